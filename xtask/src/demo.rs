//! `demo`: everything that xdsc does, on this machine alone, in one command.
//!
//! Builds the daemon, then plays three roles in two network namespaces: a name
//! server and its clients (both of this program, over real sockets), and xdsc
//! on the cable between them. At the end it compares what the clients sent and
//! got with what xdsc counted.
//!
//! Building is done as the user. The stage, everything from the namespaces on,
//! needs root; where the user is not, it is this program again, through sudo.

mod addresses;
mod counters;
mod daemon;
mod exposition;
mod generator;
mod live;
mod network;
mod queries;
mod responder;
mod tally;
mod verdict;
mod zone;

pub(crate) use generator::Generator;
pub(crate) use responder::Responder;

use std::env;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use clap::Args;

use crate::build::{Profile, build_daemon, build_probe};
use crate::process::{as_root, is_root};
use crate::setup::{self, Report, Scope};
use daemon::Daemon;
use exposition::Samples;
use live::View;
use network::{Network, Side};
use tally::Tally;
use verdict::Verdict;

/// Where the daemon's own default is, and how many ports to try from there.
const DEFAULT_LISTEN: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 9953);
const PORTS_TO_TRY: u16 = 20;
/// How long the last messages may take to be counted.
const SETTLE: Duration = Duration::from_secs(10);

/// Build xdsc and watch it count real DNS traffic between two namespaces
#[derive(Args)]
pub(crate) struct Demo {
    #[command(flatten)]
    play: Play,
    /// Address of the web pages [default: 127.0.0.1:9953 or the next free port]
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,
}

/// What happens on the stage.
#[derive(Args, Clone)]
struct Play {
    /// Stop after so many seconds; else at Ctrl-C
    #[arg(long, value_name = "N")]
    seconds: Option<u64>,
    /// Queries per second
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    qps: u32,
}

impl Demo {
    pub(crate) fn run(&self) -> Result<()> {
        // First, so that a port in use is not found out after minutes.
        let listener = self.bind()?;
        setup::ensure(Scope::Demo, Report::Changes)?;
        build_probe()?;
        let daemon = build_daemon(Profile::Release)?;
        let stage = Stage {
            daemon,
            play: self.play.clone(),
        };
        if is_root() {
            return stage.perform(listener.into());
        }
        println!("sudo           network namespaces and BPF programs need root");
        stage.perform_through_sudo(listener)
    }

    fn bind(&self) -> Result<TcpListener> {
        let Some(address) = self.listen else {
            return bind_default();
        };
        TcpListener::bind(address).with_context(|| format!("cannot listen on {address}"))
    }
}

/// The first free port from the default on.
fn bind_default() -> Result<TcpListener> {
    let ports = DEFAULT_LISTEN.port()..DEFAULT_LISTEN.port() + PORTS_TO_TRY;
    let addresses: Vec<_> = ports
        .map(|port| SocketAddr::new(DEFAULT_LISTEN.ip(), port))
        .collect();
    TcpListener::bind(addresses.as_slice()).with_context(|| {
        format!("no free port among the {PORTS_TO_TRY} from {DEFAULT_LISTEN}; choose with --listen")
    })
}

/// The part of `demo` that needs root; its HTTP socket is standard input
#[derive(Args)]
pub(crate) struct Stage {
    #[arg(long)]
    daemon: PathBuf,
    #[command(flatten)]
    play: Play,
}

impl Stage {
    pub(crate) fn run(&self) -> Result<()> {
        let listener = io::stdin().as_fd().try_clone_to_owned()?;
        self.perform(listener)
    }

    /// Returns only if sudo cannot be started.
    fn perform_through_sudo(&self, listener: TcpListener) -> Result<()> {
        let mut command = as_root(env::current_exe()?);
        command.arg("demo-stage").arg("--daemon").arg(&self.daemon);
        command.args(["--qps", &self.play.qps.to_string()]);
        if let Some(seconds) = self.play.seconds {
            command.args(["--seconds", &seconds.to_string()]);
        }
        Err(command.stdin(OwnedFd::from(listener)).exec()).context("cannot start sudo")
    }

    fn perform(&self, listener: OwnedFd) -> Result<()> {
        let interrupt = Interrupt::catch()?;
        let address = TcpListener::from(listener.try_clone()?).local_addr()?;
        // Dropped in the reverse order: the network goes last.
        let network = Network::create()?;
        let _responder = start_responder(&network)?;
        let mut daemon = Daemon::start(&self.daemon, &network, listener, address)?;
        daemon.await_ready(&interrupt)?;
        print_urls(&daemon.url, self.play.seconds);
        let before = daemon.scrape()?;
        let tally = self.play(&network, &daemon, &interrupt)?;
        let verdict = settle(&daemon, &before, &tally)?;
        println!("\n{verdict}");
        daemon.stop()?;
        if !verdict.good() {
            bail!("xdsc did not count what was sent");
        }
        println!("every packet is accounted for, and every message was counted once");
        Ok(())
    }

    /// Lets the clients ask, showing numbers, until the time is over.
    fn play(&self, network: &Network, daemon: &Daemon, interrupt: &Interrupt) -> Result<Tally> {
        let mut clients = Clients::start(network, &self.play)?;
        let mut view = View::new();
        while clients.are_asking()? && !interrupt.is_set() {
            view.draw(daemon.scrape()?)?;
            interrupt.sleep(Duration::from_secs(1));
        }
        clients.finish()
    }
}

fn print_urls(url: &str, seconds: Option<u64>) {
    println!("open           {url}/          (live page)");
    println!("               {url}/metrics   (for Prometheus)");
    match seconds {
        Some(seconds) => println!("running        for {seconds} s"),
        None => println!("running        until Ctrl-C"),
    }
}

/// Scrapes until all is as it should be, or the time for that is over.
fn settle(daemon: &Daemon, before: &Samples, tally: &Tally) -> Result<Verdict> {
    let start = Instant::now();
    loop {
        let verdict = Verdict::new(before, &daemon.scrape()?, tally);
        if verdict.good() || start.elapsed() > SETTLE {
            return Ok(verdict);
        }
        thread::sleep(Duration::from_millis(200));
    }
}

/// A child process that does not outlive its owner.
struct Attendant(Child);

impl Drop for Attendant {
    fn drop(&mut self) {
        // Fails only for one that has ended already.
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

/// This program in another role, on a side of the network.
fn role(network: &Network, side: Side, name: &str) -> Result<Command> {
    let mut command = network.command(side, &env::current_exe()?);
    // The terminal's Ctrl-C is for us alone; we end the others in turn.
    command.arg(name).process_group(0);
    Ok(command)
}

fn start_responder(network: &Network) -> Result<Attendant> {
    let mut command = role(network, Side::Server, "demo-responder")?;
    let child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
    let mut responder = Attendant(child.context("cannot start the responder")?);
    let mut said = String::new();
    if let Some(stdout) = responder.0.stdout.take() {
        BufReader::new(stdout).read_line(&mut said)?;
    }
    if said.trim() != responder::READY {
        bail!("the responder did not start");
    }
    Ok(responder)
}

/// The process that asks.
struct Clients(Attendant);

impl Clients {
    fn start(network: &Network, play: &Play) -> Result<Self> {
        let mut command = role(network, Side::Client, "demo-generator")?;
        command.args(["--qps", &play.qps.to_string()]);
        if let Some(seconds) = play.seconds {
            command.args(["--seconds", &seconds.to_string()]);
        }
        let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        Ok(Self(Attendant(child.context("cannot start the clients")?)))
    }

    fn are_asking(&mut self) -> Result<bool> {
        Ok(self.0.0.try_wait()?.is_none())
    }

    /// Ends the questions and returns the account of them.
    fn finish(mut self) -> Result<Tally> {
        // The end of their input is the sign to stop.
        drop(self.0.0.stdin.take());
        let mut account = String::new();
        if let Some(mut stdout) = self.0.0.stdout.take() {
            stdout.read_to_string(&mut account)?;
        }
        let status = self.0.0.wait()?;
        if !status.success() {
            bail!("the clients failed: {status}");
        }
        serde_json::from_str(account.trim()).context("the clients gave no account")
    }
}

/// Whether the user asked to end: by Ctrl-C, SIGTERM or SIGHUP.
#[derive(Clone, Default)]
struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    fn catch() -> Result<Self> {
        let interrupt = Self::default();
        let flag = Arc::clone(&interrupt.0);
        ctrlc::set_handler(move || flag.store(true, Ordering::Relaxed))?;
        Ok(interrupt)
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Sleeps until the time is over or the user asks to end.
    fn sleep(&self, time: Duration) {
        let start = Instant::now();
        while !self.is_set() && start.elapsed() < time {
            thread::sleep(Duration::from_millis(20));
        }
    }
}
