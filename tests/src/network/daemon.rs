//! The `xdsc` binary: started in the server's namespace, scraped, stopped.

use std::{env, fs, path::PathBuf, process::ExitStatus, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{
    sys::{
        ptrace,
        signal::{Signal, kill},
        wait::{WaitPidFlag, waitpid},
    },
    unistd::Pid,
};
use ureq::Agent;

use super::{
    INTERFACES, Network, Side, eventually,
    exposition::{Samples, identity},
    kernel_objects::KernelObjects,
    process::Process,
};

/// Each namespace has all ports to itself.
const PORT: u16 = 9953;
/// Unless a test says how to attach, it is as at a network card, where a veth has xdsc
/// take another way by itself.
const AS_AT_A_CARD: &str = "[probe]\nxdp_mode = \"native\"\n";
const ANSWER: Duration = Duration::from_secs(5);
/// What a client that knows nothing newer asks for.
pub const CLASSIC: &str = "text/plain;version=0.0.4";

/// A running xdsc.
#[derive(Debug)]
pub struct Daemon<'a> {
    network: &'a Network,
    process: Process,
    port: u16,
}

/// What its HTTP endpoint answered.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The content type.
    pub content_type: String,
    /// The body.
    pub body: String,
}

impl<'a> Daemon<'a> {
    /// Starts it at the first cable, and waits until it is ready.
    ///
    /// # Errors
    /// With its log when it does not start.
    pub fn start(network: &'a Network, config: &str) -> Result<Self> {
        Self::start_at(network, &INTERFACES[..1], config)
    }

    /// Starts one more, that serves another port.
    ///
    /// # Errors
    /// With its log when it does not start.
    pub fn start_on_port(network: &'a Network, port: u16, config: &str) -> Result<Self> {
        Self::launch(network, &[], &INTERFACES[..1], port, config)
    }

    /// Starts one more, at an interface and a port of its own.
    ///
    /// # Errors
    /// With its log when it does not start.
    pub fn start_apart(
        network: &'a Network,
        interface: &str,
        port: u16,
        config: &str,
    ) -> Result<Self> {
        Self::launch(network, &[], &[interface], port, config)
    }

    /// Starts it where the kernel's own BTF cannot be seen.
    ///
    /// # Errors
    /// With its log when it does not start.
    pub fn start_without_btf(network: &'a Network) -> Result<Self> {
        // `ip netns exec` has made mounts private.
        const HIDE: &str = "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"";
        let prefix = ["sh", "-c", HIDE, "sh"];
        Self::launch(network, &prefix, &INTERFACES[..1], PORT, "")
    }

    /// Starts it at the given interfaces, and waits until it is ready.
    ///
    /// # Errors
    /// With its log when it does not start.
    pub fn start_at(network: &'a Network, interfaces: &[&str], config: &str) -> Result<Self> {
        Self::launch(network, &[], interfaces, PORT, config)
    }

    fn launch(
        network: &'a Network,
        prefix: &[&str],
        interfaces: &[&str],
        port: u16,
        config: &str,
    ) -> Result<Self> {
        let config = network.file(&format!("xdsc-{port}.toml"), &attached(config))?;
        let address = format!("127.0.0.1:{port}");
        let binary = binary()?;
        let mut line = [prefix, &[binary.as_str()]].concat();
        line.extend(["run", "--config", &config, "--web.listen-address", &address]);
        for interface in interfaces {
            line.extend(["--interface", interface]);
        }
        let (program, arguments) = line.split_first().context("a program")?;
        let process = network.start(Side::Server, program, arguments)?;
        let mut daemon = Self {
            network,
            process,
            port,
        };
        eventually("xdsc to be ready", || {
            if let Some(status) = daemon.process.ended()? {
                // Nothing to wait for; the caller sees it from the answer below.
                return Ok(Err(status));
            }
            daemon.get("/-/ready", CLASSIC).map(Ok)
        })?
        .map_err(|status| anyhow::anyhow!("xdsc ended at its start: {status}"))
        .with_context(|| daemon.log().unwrap_or_default())?;
        Ok(daemon)
    }

    /// Asks its endpoint.
    ///
    /// # Errors
    /// When there is no answer, or one of failure.
    pub fn get(&self, path: &str, accept: &str) -> Result<Answer> {
        let url = format!("http://127.0.0.1:{}{path}", self.port);
        self.network.within(Side::Server, || {
            let agent: Agent = Agent::config_builder()
                .timeout_global(Some(ANSWER))
                .build()
                .into();
            let mut response = agent.get(url).header("Accept", accept).call()?;
            let content_type = response.headers().get("Content-Type");
            Ok(Answer {
                content_type: content_type
                    .context("no content type")?
                    .to_str()?
                    .to_owned(),
                body: response.body_mut().read_to_string()?,
            })
        })
    }

    /// The metrics as they are now.
    ///
    /// # Errors
    /// When they cannot be had or read.
    pub fn scrape(&self) -> Result<Samples> {
        let text = self.get("/metrics", CLASSIC)?.body;
        // Shown when the test fails.
        let counted = text.lines().filter(|line| !line.ends_with(" 0"));
        let counted: Vec<_> = counted.filter(|line| !line.starts_with('#')).collect();
        self.network
            .file(&format!("metrics-{}.log", self.port), &counted.join("\n"))?;
        Samples::parse(&text)
    }

    /// The metrics once no packet is on its way; the conservation identity holds.
    ///
    /// # Errors
    /// When the cable does not fall silent, or the identity does not hold then.
    pub fn quiet(&self) -> Result<Samples> {
        let mut before = None;
        let samples = eventually("the cable to fall silent", || {
            let samples = self.scrape()?;
            let packets = samples.count("xdsc_packets_total", &[])?;
            let silent = before.replace(packets) == Some(packets);
            ensure!(silent, "packets still come in");
            Ok(samples)
        })?;
        identity(&samples)?;
        Ok(samples)
    }

    /// Waits until it has a subscriber of the enriched stream, and takes messages
    /// for it.
    ///
    /// # Errors
    /// When nobody subscribes.
    pub fn subscribed(&self) -> Result<()> {
        eventually("a subscriber", || {
            let samples = self.scrape()?;
            for family in ["xdsc_enriched_subscribers", "xdsc_enriched_stream_active"] {
                let value = samples.count(family, &[])?;
                ensure!(value == 1, "{family} {value}");
            }
            Ok(())
        })?;
        // The drain follows with its next batch; asking it makes one.
        self.scrape()?;
        self.scrape()?;
        Ok(())
    }

    /// What it holds in the kernel.
    ///
    /// # Errors
    /// When /proc does not say.
    pub fn kernel_objects(&self) -> Result<KernelObjects> {
        KernelObjects::of(self.process.pid())
    }

    /// Its process's number.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Keeps it from running, all of its threads, while `meanwhile` is done.
    ///
    /// # Errors
    /// Those of `meanwhile`, or when it cannot be stopped or continued.
    pub fn stopped<T>(&self, meanwhile: impl FnOnce() -> Result<T>) -> Result<T> {
        let pid = Pid::from_raw(i32::try_from(self.pid())?);
        kill(pid, Signal::SIGSTOP)?;
        let done = meanwhile();
        kill(pid, Signal::SIGCONT)?;
        done
    }

    /// Keeps one of its threads from running while `meanwhile` is done.
    ///
    /// # Errors
    /// Those of `meanwhile`, or when there is no such thread, or the kernel does
    /// not let it be traced.
    pub fn thread_stopped<T>(
        &self,
        name: &str,
        meanwhile: impl FnOnce() -> Result<T>,
    ) -> Result<T> {
        let thread = self.thread(name)?;
        ptrace::attach(thread)?;
        waitpid(thread, Some(WaitPidFlag::__WALL))?;
        let done = meanwhile();
        ptrace::detach(thread, None)?;
        done
    }

    fn thread(&self, name: &str) -> Result<Pid> {
        for thread in fs::read_dir(format!("/proc/{}/task", self.pid()))? {
            let thread = thread?;
            if fs::read_to_string(thread.path().join("comm"))?.trim() == name {
                let number = thread.file_name().to_string_lossy().parse()?;
                return Ok(Pid::from_raw(number));
            }
        }
        bail!("xdsc has no thread {name}")
    }

    /// What it has logged so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        self.process.log()
    }

    /// Stops it as systemd does; its whole log.
    ///
    /// # Errors
    /// When it does not end in time and with success.
    pub fn stop(mut self) -> Result<String> {
        let status = self.process.end_by(Signal::SIGTERM)?;
        ensure!(status.success(), "xdsc ended with {status}");
        self.process.log()
    }

    /// Ends it without a chance to clean up.
    ///
    /// # Errors
    /// When it does not end.
    pub fn kill(mut self) -> Result<()> {
        self.process.end_by(Signal::SIGKILL)?;
        Ok(())
    }
}

/// How xdsc ended when it was not expected to run.
#[derive(Debug)]
pub struct Refusal {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it said.
    pub said: String,
}

/// Starts xdsc in the server's namespace with arguments that it must refuse.
///
/// # Errors
/// When it cannot be started.
pub fn refusal(network: &Network, prefix: &[&str], arguments: &[&str]) -> Result<Refusal> {
    let binary = binary()?;
    let line = [prefix, &[binary.as_str()], arguments].concat();
    let output = network
        .command(Side::Server, "timeout")
        .arg("20")
        .args(line)
        .output()?;
    Ok(Refusal {
        status: output.status,
        said: String::from_utf8(output.stderr)?,
    })
}

/// A configuration with the way to attach, whether its table is there or not.
fn attached(config: &str) -> String {
    if config.contains("xdp_mode") {
        config.to_owned()
    } else if config.contains("[probe]\n") {
        config.replacen("[probe]\n", AS_AT_A_CARD, 1)
    } else {
        format!("{config}\n{AS_AT_A_CARD}")
    }
}

/// The binary that cargo has built beside this test, which lies in `deps/`, or
/// beside this benchmark.
///
/// # Errors
/// When it was not built.
pub fn binary() -> Result<String> {
    let own = env::current_exe()?;
    let mut folders = own.ancestors().skip(1);
    let mut folder = folders.next().context("a program lies in a folder")?;
    if folder.ends_with("deps") {
        folder = folders.next().context("deps/ lies in a folder")?;
    }
    let binary: PathBuf = folder.join("xdsc");
    if !binary.is_file() {
        bail!(
            "{} is missing: run `cargo xtask build --probe-only` and `cargo build -p xdsc` first, \
             or all by `cargo xtask test`",
            binary.display()
        );
    }
    Ok(binary.to_string_lossy().into_owned())
}
