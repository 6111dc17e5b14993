//! The process metrics that every Prometheus client offers, by their usual
//! names, read from `/proc` at each scrape.
//!
//! What cannot be read is left out of the scrape: a hardened `/proc` costs the
//! operator these numbers, not the others.

use std::fmt;

use procfs::WithCurrentSystemInfo as _;
use procfs::process::{LimitValue, Process, Stat};
use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Unit;

/// Exports this process's `process_*` metrics. Register it in a registry
/// without prefix: dashboards know these names.
#[derive(Debug)]
pub struct ProcessCollector {
    /// Read once. The kernel derives the boot time from the wall clock, so a
    /// clock step would look like a restart.
    start_time_seconds: Option<f64>,
}

impl ProcessCollector {
    /// Reads what does not change.
    pub fn new() -> Self {
        let stat = Process::myself().and_then(|process| process.stat());
        Self {
            start_time_seconds: stat.ok().as_ref().and_then(start_time_seconds),
        }
    }
}

impl Default for ProcessCollector {
    fn default() -> Self {
        Self::new()
    }
}

impl Collector for ProcessCollector {
    fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let usage = Usage {
            start_time_seconds: self.start_time_seconds,
            ..Usage::of_this_process()
        };
        usage.encode(encoder)
    }
}

/// What `/proc` tells about the process; `None` where it does not.
#[derive(Debug, Default)]
struct Usage {
    cpu_seconds: Option<f64>,
    open_fds: Option<u64>,
    max_fds: Option<f64>,
    virtual_memory_bytes: Option<u64>,
    resident_memory_bytes: Option<u64>,
    start_time_seconds: Option<f64>,
    threads: Option<i64>,
}

impl Usage {
    fn of_this_process() -> Self {
        let Ok(process) = Process::myself() else {
            return Self::default();
        };
        let stat = process.stat().ok();
        let stat = stat.as_ref();
        Self {
            cpu_seconds: stat.map(|stat| ticks_to_seconds(stat.utime + stat.stime)),
            open_fds: process.fd_count().ok().map(|count| count as u64),
            max_fds: max_fds(&process),
            virtual_memory_bytes: stat.map(|stat| stat.vsize),
            resident_memory_bytes: stat.map(|stat| stat.rss_bytes().get()),
            threads: stat.map(|stat| stat.num_threads),
            ..Self::default()
        }
    }

    fn encode(self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let mut family = Families(encoder);
        family.write(
            "process_cpu",
            "Total user and system CPU time spent in seconds.",
            Some(Unit::Seconds),
            self.cpu_seconds.map(ConstCounter::new),
        )?;
        family.write(
            "process_open_fds",
            "Number of open file descriptors.",
            None,
            self.open_fds.map(ConstGauge::new),
        )?;
        family.write(
            "process_max_fds",
            "Maximum number of open file descriptors.",
            None,
            self.max_fds.map(ConstGauge::new),
        )?;
        family.write(
            "process_virtual_memory",
            "Virtual memory size in bytes.",
            Some(Unit::Bytes),
            self.virtual_memory_bytes.map(ConstGauge::new),
        )?;
        family.write(
            "process_resident_memory",
            "Resident memory size in bytes.",
            Some(Unit::Bytes),
            self.resident_memory_bytes.map(ConstGauge::new),
        )?;
        family.write(
            "process_start_time",
            "Start time of the process since unix epoch in seconds.",
            Some(Unit::Seconds),
            self.start_time_seconds.map(ConstGauge::new),
        )?;
        family.write(
            "process_threads",
            "Number of OS threads in the process.",
            None,
            self.threads.map(ConstGauge::new),
        )
    }
}

struct Families<'a>(DescriptorEncoder<'a>);

impl Families<'_> {
    /// One family of one sample, or nothing for want of a value. The encoder
    /// appends the unit to the name.
    fn write<M: EncodeMetric>(
        &mut self,
        name: &str,
        help: &str,
        unit: Option<Unit>,
        metric: Option<M>,
    ) -> fmt::Result {
        let Some(metric) = metric else {
            return Ok(());
        };
        let kind = metric.metric_type();
        metric.encode(self.0.encode_descriptor(name, help, unit.as_ref(), kind)?)
    }
}

/// The soft limit, which is the one in force; infinite where there is none.
fn max_fds(process: &Process) -> Option<f64> {
    match process.limits().ok()?.max_open_files.soft_limit {
        LimitValue::Value(limit) => Some(limit as f64),
        LimitValue::Unlimited => Some(f64::INFINITY),
    }
}

fn start_time_seconds(stat: &Stat) -> Option<f64> {
    let boot_time = procfs::boot_time_secs().ok()?;
    Some(boot_time as f64 + ticks_to_seconds(stat.starttime))
}

fn ticks_to_seconds(ticks: u64) -> f64 {
    ticks as f64 / procfs::ticks_per_second() as f64
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::process::Command;

    use prometheus_client::encoding::text::encode;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::export::exposition::to_classic_text;
    use crate::export::promtool;

    /// A collector of given numbers, to see them in the registry's output.
    #[derive(Debug)]
    struct Given(fn() -> Usage);

    impl Collector for Given {
        fn encode(&self, encoder: DescriptorEncoder<'_>) -> fmt::Result {
            (self.0)().encode(encoder)
        }
    }

    fn scrape(collector: impl Collector) -> Result<String, fmt::Error> {
        let mut registry = Registry::default();
        registry.register_collector(Box::new(collector));
        let mut text = String::new();
        encode(&mut text, &registry)?;
        Ok(to_classic_text(&text))
    }

    /// The value of one of our own samples.
    fn value(text: &str, name: &str) -> f64 {
        let sample = text
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        sample
            .and_then(|value| value.parse().ok())
            .unwrap_or(f64::NAN)
    }

    #[test]
    fn names_and_help_are_those_of_the_official_clients() -> fmt::Result {
        let text = scrape(Given(|| Usage {
            cpu_seconds: Some(12.34),
            open_fds: Some(42),
            max_fds: Some(f64::INFINITY),
            virtual_memory_bytes: Some(123_456_789),
            resident_memory_bytes: Some(4096),
            start_time_seconds: Some(1_700_000_000.25),
            threads: Some(7),
        }))?;
        let expected = "\
# HELP process_cpu_seconds_total Total user and system CPU time spent in seconds.
# TYPE process_cpu_seconds_total counter
process_cpu_seconds_total 12.34
# HELP process_open_fds Number of open file descriptors.
# TYPE process_open_fds gauge
process_open_fds 42
# HELP process_max_fds Maximum number of open file descriptors.
# TYPE process_max_fds gauge
process_max_fds +Inf
# HELP process_virtual_memory_bytes Virtual memory size in bytes.
# TYPE process_virtual_memory_bytes gauge
process_virtual_memory_bytes 123456789
# HELP process_resident_memory_bytes Resident memory size in bytes.
# TYPE process_resident_memory_bytes gauge
process_resident_memory_bytes 4096
# HELP process_start_time_seconds Start time of the process since unix epoch in seconds.
# TYPE process_start_time_seconds gauge
process_start_time_seconds 1700000000.25
# HELP process_threads Number of OS threads in the process.
# TYPE process_threads gauge
process_threads 7
";
        assert_eq!(text, expected);
        Ok(())
    }

    #[test]
    fn what_cannot_be_read_is_left_out() -> fmt::Result {
        let text = scrape(Given(|| Usage {
            threads: Some(3),
            ..Usage::default()
        }))?;
        assert!(text.ends_with("\nprocess_threads 3\n"), "{text}");
        assert_eq!(text.lines().count(), 3, "{text}");
        assert_eq!(scrape(Given(Usage::default))?, "");
        Ok(())
    }

    #[test]
    fn this_process_is_described_truthfully() -> Result<(), Box<dyn std::error::Error>> {
        let text = scrape(ProcessCollector::new())?;
        promtool::check_metrics(&text);

        // A child inherits the limit; the shell asks getrlimit, not /proc.
        let ulimit = Command::new("sh").args(["-c", "ulimit -n"]).output()?;
        let ulimit = String::from_utf8(ulimit.stdout)?;
        let ulimit = ulimit.trim().replace("unlimited", "inf").parse::<f64>()?;
        assert_eq!(value(&text, "process_max_fds"), ulimit);

        // No process is older than its /proc entry's owner, init.
        let uptime = fs::read_to_string("/proc/uptime")?;
        let uptime: f64 = uptime.split(' ').next().unwrap_or_default().parse()?;
        let now = std::time::SystemTime::UNIX_EPOCH.elapsed()?.as_secs_f64();
        let started = value(&text, "process_start_time_seconds");
        assert!(
            (now - uptime - 2.0..=now + 2.0).contains(&started),
            "{started} of {now}"
        );

        let resident = value(&text, "process_resident_memory_bytes");
        let virtual_size = value(&text, "process_virtual_memory_bytes");
        assert!(resident >= 4096.0 && resident <= virtual_size, "{text}");
        // Standard input, output and error are open; the test has its own thread.
        assert!(value(&text, "process_open_fds") >= 3.0, "{text}");
        assert!(value(&text, "process_threads") >= 2.0, "{text}");
        assert!(value(&text, "process_cpu_seconds_total") >= 0.0, "{text}");
        Ok(())
    }
}
