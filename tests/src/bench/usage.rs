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
    processor_time_of(pid, "")
}

/// The same of those threads only whose names begin so.
///
/// # Errors
/// When /proc does not say.
pub fn processor_time_of(pid: u32, threads: &str) -> Result<Duration> {
    let mut nanoseconds = 0;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let path = thread?.path();
        // A thread may end while we look.
        let (Ok(name), Ok(text)) = (
            fs::read_to_string(path.join("comm")),
            fs::read_to_string(path.join("schedstat")),
        ) else {
            continue;
        };
        if !name.starts_with(threads) {
            continue;
        }
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
        let time = processor_time(pid).expect("a time");
        assert!(time > Duration::ZERO);
        assert!(processor_time_of(pid, "no thread").expect("a time") == Duration::ZERO);
        assert!(resident(pid).expect("memory") > 1 << 20);
        assert!(peak(pid).expect("memory") >= resident(pid).expect("memory") / 2);
    }
}
