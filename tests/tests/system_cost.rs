//! What xdsc costs while nothing happens, and what it tells when too much does.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use integration_tests::network::{
    SERVER,
    client::{Load, Transport},
    daemon::Daemon,
    in_network,
    server::{Kind, NameServer},
};

#[test]
fn idle_daemon_takes_less_than_a_fiftieth_of_a_core_without_optimisation() -> Result<()> {
    in_network(|network| {
        let daemon = Daemon::start(network, "")?;
        daemon.quiet()?;
        let before = processor_time(daemon.pid())?;
        thread::sleep(Duration::from_secs(5));
        let taken = processor_time(daemon.pid())? - before;
        ensure!(taken < Duration::from_millis(100), "{taken:?} in 5 s");
        daemon.stop()?;
        Ok(())
    })
}

/// Time in user and kernel mode so far; fields 14 and 15 of `/proc/PID/stat`, in
/// hundredths of a second.
fn processor_time(pid: u32) -> Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is a name in parentheses, which may hold anything.
    let (_, fields) = stat.rsplit_once(") ").context("no name")?;
    let ticks = fields.split(' ').skip(11).take(2);
    let ticks: Vec<u64> = ticks.map(str::parse).collect::<Result<_, _>>()?;
    Ok(Duration::from_millis(ticks.iter().sum::<u64>() * 10))
}

/// The smallest ring, read once a second: it fills in no time.
const OVERLOADED: &str = "[ring]\nbytes = \"64KiB\"\npoll_min = \"1s\"\npoll_max = \"1s\"\n";

#[test]
fn overload_is_sampled_and_the_totals_stay_exact() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start(network, OVERLOADED)?;
        let load = Load {
            server: SERVER[0],
            transport: Transport::Udp,
            questions: &[("www.example", "A"), ("absent.example", "AAAA")],
            rounds: 20_000,
            rate: None,
        };
        let tally = load.run(network)?;
        // Before anything else is seen, which would reset it.
        let interval = daemon
            .scrape()?
            .max("xdsc_ring_sampling_interval", &[("hook", "ingress")])?;
        let samples = daemon.quiet()?;
        for kind in ["query", "response"] {
            let labels = [("role", "server"), ("type", kind)];
            let counted = samples.count("xdsc_dns_messages_total", &labels)?;
            ensure!(counted == tally.sent, "{kind}: {counted}; {tally:?}");
        }
        let rcodes = samples.by("rcode", "xdsc_dns_rcode_responses_total", &[])?;
        ensure!(rcodes == tally.rcodes, "{rcodes:?} {tally:?}");
        for hook in ["ingress", "egress"] {
            let labels = [("hook", hook), ("outcome", "sampled_out")];
            let left_out = samples.count("xdsc_records_total", &labels)?;
            ensure!(left_out > 0, "{hook}: nothing was left out");
        }
        ensure!(interval > 1.0, "one in {interval}");
        daemon.stop()?;
        Ok(())
    })
}
