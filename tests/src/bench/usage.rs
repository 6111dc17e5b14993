//! What a process has taken of the processor and of the memory.

use std::{fs, time::Duration};

use anyhow::{Context as _, Result};

/// Time on a CPU of all threads so far, by the scheduler's account, which is
/// exact to the nanosecond.
///
/// Threads that have ended are not in it.
///
/// # Errors
/// When /proc does not say.
pub fn processor_time(pid: u32) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = thread?.path().join("schedstat");
        // A thread may end while we look.
        let Ok(text) = fs::read_to_string(path) else {
            continue;
        };
        let first = text.split_whitespace().next().context("no time on a CPU")?;
        nanoseconds += first.parse::<u64>()?;
    }
    Ok(Duration::from_nanos(nanoseconds))
}

/// Octets of memory that a process has in use.
///
/// # Errors
/// When /proc does not say.
pub fn resident(pid: u32) -> Result<u64> {
    status(&pid.to_string(), "VmRSS:")
}

/// Octets of memory that a process has had in use at most.
///
/// # Errors
/// When /proc does not say.
pub fn peak(pid: u32) -> Result<u64> {
    status(&pid.to_string(), "VmHWM:")
}

fn status(process: &str, field: &'static str) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix(field));
    let kilobytes = line.context(field)?.trim().trim_end_matches(" kB");
    Ok(kilobytes.parse::<u64>()? << 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_taken_some_of_each() {
        let pid = std::process::id();
        assert!(processor_time(pid).expect("a time") > Duration::ZERO);
        assert!(resident(pid).expect("memory") > 1 << 20);
        assert!(peak(pid).expect("memory") >= resident(pid).expect("memory") / 2);
    }
}
