//! How much memory the full set needs, and whether more messages need more.
//!
//! A process of its own reads endless traffic out of a pipe, so that neither a
//! file of that size nor the memory of other readings is in the way.

use std::{
    env, fs,
    io::{self, BufWriter, Write},
    os::fd::AsRawFd as _,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context as _, Result, bail, ensure};

use integration_tests::traffic::Profile;

use crate::{capture, sets::Set};

/// Asks this program to be that process.
pub(crate) const ARGUMENT: &str = "--read-endlessly";

/// Octets at most, up to an earlier message (and the end of its interval), and
/// up to a later one.
pub(crate) struct Peaks {
    pub(crate) octets: [u64; 2],
}

impl Peaks {
    pub(crate) fn mebibytes(&self) -> [f64; 2] {
        self.octets.map(|octets| octets as f64 / f64::from(1 << 20))
    }

    pub(crate) fn growth(&self) -> f64 {
        let [earlier, later] = self.mebibytes();
        later / earlier
    }

    /// Measures in a process of its own.
    pub(crate) fn measure(messages: [u64; 2]) -> Result<Self> {
        let output = Command::new(env::current_exe()?)
            .arg(ARGUMENT)
            .args(messages.map(|number| number.to_string()))
            .stderr(Stdio::inherit())
            .output()?;
        ensure!(output.status.success(), "the reading of memory failed");
        let text = String::from_utf8(output.stdout)?;
        let numbers: Vec<u64> = text
            .split_whitespace()
            .map(str::parse)
            .collect::<Result<_, _>>()?;
        let octets = <[u64; 2]>::try_from(numbers).ok().context("two numbers")?;
        Ok(Self { octets })
    }
}

/// Is that process.
pub(crate) fn read_endlessly([earlier, later]: [u64; 2]) -> Result<()> {
    let (reader, writer) = io::pipe()?;
    let path = PathBuf::from(format!("/proc/self/fd/{}", reader.as_raw_fd()));
    let writer = thread::spawn(move || {
        let mut out = BufWriter::new(writer);
        capture::write(Profile::Everyday, later / 2, &mut out)?;
        out.flush()
    });
    let mut peaks = Vec::new();
    let read = capture::read(&path, Set::Full.options()?, |packets| {
        if packets >= earlier && peaks.is_empty() {
            peaks.push(peak());
        }
    })?;
    let Ok(written) = writer.join() else {
        bail!("the writer panicked");
    };
    written?;
    ensure!(read.abs_diff(later) < later / 20, "{read} messages");
    peaks.push(peak());
    for peak in peaks {
        writeln!(io::stdout(), "{}", peak?)?;
    }
    Ok(())
}

/// Octets of memory that this process has needed at most.
fn peak() -> Result<u64> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kilobytes = line.context("VmHWM")?.trim().trim_end_matches(" kB");
    Ok(kilobytes.parse::<u64>()? << 10)
}
