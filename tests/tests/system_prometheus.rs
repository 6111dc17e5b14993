//! A real Prometheus that scrapes a real daemon.

use std::{io::Write as _, process::Stdio};

use anyhow::{Context as _, Result, ensure};
use integration_tests::network::{
    SERVER, Side,
    client::{Load, Transport},
    daemon::{CLASSIC, Daemon},
    eventually, in_network,
    prometheus::Prometheus,
    server::{Kind, NameServer},
};

/// As Prometheus 2.42 asks.
const OPEN_METRICS: &str = "application/openmetrics-text;version=1.0.0,\
    application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

#[test]
fn prometheus_reads_openmetrics_and_finds_the_rate() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let _daemon = Daemon::start(network, "")?;
        let prometheus = Prometheus::start(network)?;
        // Counters grow from a sample that Prometheus has.
        scrapes(&prometheus, 2.0)?;
        let load = Load {
            server: SERVER[0],
            transport: Transport::Udp,
            questions: &[("www.example", "A"), ("www.example", "AAAA")],
            rounds: 500,
            rate: Some(200),
        };
        let tally = load.run(network)?;
        let count = "sum(xdsc_dns_messages_total{hook=\"ingress\",type=\"query\"})";
        eventually("Prometheus to have it all", || {
            let counted = prometheus.value(count)?;
            ensure!(counted == tally.sent as f64, "{counted} of {tally:?}");
            Ok(())
        })?;
        // Both are extrapolated to the edges of the window.
        let window = 30.0;
        let of = "xdsc_dns_messages_total{hook=\"ingress\",type=\"query\"}[30s]";
        let increase = prometheus.value(&format!("sum(increase({of}))"))?;
        let rate = prometheus.value(&format!("sum(rate({of}))"))?;
        for (what, sent) in [("increase", increase), ("rate", rate * window)] {
            let share = sent / tally.sent as f64;
            ensure!((0.9..1.1).contains(&share), "{what}: {sent} of {tally:?}");
        }
        ensure!(prometheus.value("min_over_time(up[1m])")? == 1.0);
        ensure!(prometheus.value("min_over_time(scrape_samples_scraped[1m])")? > 100.0);
        // The suffix belongs to the sample in OpenMetrics, to the name before it.
        ensure!(prometheus.declares("xdsc_dns_messages")?);
        ensure!(!prometheus.declares("xdsc_dns_messages_total")?);
        let log = prometheus.log()?;
        let complaint = log
            .lines()
            .find(|line| line.contains("level=error") || line.contains("level=warn"));
        ensure!(complaint.is_none(), "{complaint:?}");
        Ok(())
    })
}

fn scrapes(prometheus: &Prometheus<'_>, number: f64) -> Result<()> {
    eventually("Prometheus to scrape", || {
        let scrapes = prometheus.value("sum(count_over_time(up[1m]))")?;
        ensure!(scrapes >= number, "{scrapes} scrapes");
        Ok(())
    })
}

#[test]
fn the_format_is_the_one_that_is_asked_for() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start(network, "")?;
        let load = Load {
            server: SERVER[1],
            transport: Transport::Udp,
            questions: &[("www.example", "A")],
            rounds: 10,
            rate: None,
        };
        load.run(network)?;
        let modern = daemon.get("/metrics", OPEN_METRICS)?;
        ensure!(
            modern
                .content_type
                .starts_with("application/openmetrics-text")
        );
        ensure!(modern.body.ends_with("# EOF\n"));
        let classic = daemon.get("/metrics", CLASSIC)?;
        ensure!(
            classic
                .content_type
                .starts_with("text/plain; version=0.0.4")
        );
        ensure!(!classic.body.contains("# EOF"));

        let mut promtool = network
            .command(Side::Server, "promtool")
            .args(["check", "metrics"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let mut input = promtool.stdin.take().context("a pipe")?;
        input.write_all(classic.body.as_bytes())?;
        drop(input);
        let output = promtool.wait_with_output()?;
        let said = [output.stdout, output.stderr].concat();
        ensure!(
            output.status.success() && said.is_empty(),
            "{}",
            String::from_utf8_lossy(&said)
        );
        daemon.stop()?;
        Ok(())
    })
}
