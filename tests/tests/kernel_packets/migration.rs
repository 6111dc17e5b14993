//! A TCP stream whose segments come by several CPUs, so in several rings, while
//! the threads that read them pause.

use std::{sync::Arc, time::Duration};

use anyhow::{Context as _, Result, ensure};
use integration_tests::{
    bench::pin,
    packet::{self, Ipv4, Tcp, frame, name, prefixed},
    privileged,
};
use xdsc::{
    enrich::{
        stream::{Enricher, Options, Stream},
        tables::nothing_known,
    },
    source::{
        live::{
            collect::CollectOptions,
            drain::{DrainOptions, Drains},
            probe::{LoadOptions, Probe},
            ring::Ring,
            test_run::Program,
        },
        stream::{Limits, StreamStats},
    },
    stats::{
        aggregate, builtin,
        pairing::Pairing,
        plan::{Plan, Rules},
    },
};

/// Octets of a segment: no number of whole messages.
const SEGMENT: usize = 1399;
/// Segments of each connection: far more by each CPU than may wait for one that
/// is missing, and more octets than a sequence number may be ahead.
const SEGMENTS: usize = 1000;
/// How long a thread does not look at its rings.
const PAUSE: Duration = Duration::from_secs(1);
const SECOND: u64 = 1_000_000_000;

#[test]
fn streams_that_change_their_cpu_all_the_time_are_put_together() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    for threads in [1, 2] {
        let (messages, stats) = counted(threads)?;
        let whole = StreamStats {
            streams: 2,
            messages,
            ..StreamStats::default()
        };
        ensure!(stats == whole, "{threads} threads: {stats:?}");
    }
    Ok(())
}

/// Lets two connections run, and tells their messages, and what became of them.
fn counted(threads: usize) -> Result<(u64, StreamStats)> {
    // Rings that are never half full, however many CPUs there are.
    let probe = Probe::load(&LoadOptions {
        chunks: 64,
        ..LoadOptions::default()
    })?;
    let rings = Ring::all(&probe)?;
    let cpus = probe.geometry().cpus as usize;
    ensure!(cpus > 1, "this test needs two CPUs");
    let mut stream = Stream::start(&options(threads), enricher())?;
    let mut drains = Drains::start(
        rings,
        Pairing::new(1024, SECOND),
        drain_options(threads),
        &Arc::new(Plan::new(builtin::default(), Rules::default())),
        None,
        stream.handle(),
    )?;
    let octets = octets();
    for (turn, data) in octets.chunks(SEGMENT).enumerate() {
        pin(turn % 2).context("pinning")?;
        for port in [40_000, 40_001] {
            let tcp = Tcp {
                sequence: 0x1000_0000_u32.wrapping_add((turn * SEGMENT) as u32),
                ..Tcp::between(port, 53)
            };
            let frame = frame(&Ipv4::default().carry(&tcp.carry(data)));
            probe.test_run(Program::XdpIngress, &frame, 1)?;
        }
    }
    let (reports, _) = drains.report();
    drains.stop();
    stream.stop();
    let mut stats = StreamStats::default();
    for report in reports {
        stats.merge(&report.streams);
    }
    Ok((2 * messages() as u64, stats))
}

fn message() -> Vec<u8> {
    prefixed(&packet::Dns::query(&name("www.example.com"), 1).bytes())
}

/// Messages that fill the segments of one connection.
fn messages() -> usize {
    SEGMENTS * SEGMENT / message().len()
}

fn octets() -> Vec<u8> {
    message().repeat(messages())
}

fn drain_options(threads: usize) -> DrainOptions {
    DrainOptions {
        threads,
        poll_min: PAUSE,
        poll_max: PAUSE,
        cpu_budget: None,
        limits: Limits {
            streams: 1024,
            memory: threads * (16 << 20),
            idle_ns: 60 * SECOND,
        },
        share_bits: 3,
        full_below: 0,
        collect: CollectOptions {
            cells: 1024,
            limits: aggregate::Limits::default(),
            sources: false,
        },
    }
}

fn options(taps: usize) -> Options {
    Options {
        max_rate: 1,
        queue: 16,
        taps,
        pending: 16,
        timeout_ns: SECOND,
        buffer: 16,
        subscribers: 1,
        always: false,
    }
}

fn enricher() -> Enricher {
    Enricher::new(&nothing_known(), 16, Vec::new())
}
