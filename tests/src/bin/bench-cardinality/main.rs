//! What millions of different clients and names cost: time, memory, and how far
//! the numbers of different values are off.
//!
//! Every query comes from another address and asks for another name of one zone,
//! all within a minute, and goes the way that it goes in the daemon: parsed,
//! counted by a shard, handed over once per second, added up. The clock is made
//! up, so a minute takes as long as the machine needs.

use std::{
    env, fs,
    io::{self, Write as _},
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use dns_wire::{Settings, Slice, counters::Hook, locate::Link};
use foldhash::quality::RandomState;
use integration_tests::{
    bench::{
        rounded,
        usage::{peak, resident},
    },
    traffic::{Exchange, START_NS},
};
use nix::time::{ClockId, clock_gettime};
use serde_json::json;
use xdsc::{
    source::{observer::Observer, stream},
    stats::{
        aggregate::{Aggregate, Limits, Moment, Report, zone_names_error},
        builtin,
        engine::{Counts, Engine},
        plan::{Plan, Rules},
        shard::Shard,
        zones::Zones,
    },
};

/// Queries, each of another client for another name.
const QUERIES: u64 = 10_000_000;
/// They take so many seconds of the made-up clock.
const SECONDS: u64 = 50;
/// Cells of a dataset between two hand-overs: the daemon's default.
const CELLS: usize = 16_384;
const SEED: u64 = 1;
const ZONE: &str = "victim.example";

fn main() -> Result<()> {
    xdsc::memory::prefer_huge_pages();
    let queries = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => QUERIES,
        [queries] => queries.parse()?,
        _ => bail!("usage: bench-cardinality [QUERIES]"),
    };
    let mut daemon = Daemon::new()?;
    let pid = std::process::id();
    let (mut busy, mut longest_merge) = (Duration::ZERO, Duration::ZERO);
    let mut early = 0;
    for second in 0..SECONDS {
        let frames: Vec<Vec<u8>> = (second * queries / SECONDS..(second + 1) * queries / SECONDS)
            .map(|number| query(number).query_frame())
            .collect();
        let start = processor_time()?;
        daemon.count(&frames, START_NS + second * 1_000_000_000);
        let merge = Instant::now();
        daemon.merge(second);
        longest_merge = longest_merge.max(merge.elapsed());
        busy += processor_time()? - start;
        drop(frames);
        if second == SECONDS / 10 {
            early = resident(pid)?;
        }
    }
    let late = resident(pid)?;
    let flooded = daemon.aggregate.report();
    daemon.aggregate.advance(moment(60));
    let over = daemon.aggregate.report();
    Figures {
        queries,
        busy,
        longest_merge,
        resident: [early, late, peak(pid)?],
        estimates: Estimates::of(&flooded, &over)?,
        memory: flooded.memory,
    }
    .tell()
}

/// The `number`-th query: no other has its client, or its name.
fn query(number: u64) -> Exchange {
    let client = if number % 5 == 4 {
        let network = 0x2a00_0000_0000_0000_u64 | number;
        IpAddr::V6(Ipv6Addr::from(u128::from(network) << 64 | 1))
    } else {
        // An odd factor keeps different numbers different.
        IpAddr::V4(Ipv4Addr::from((number as u32).wrapping_mul(0x9e37_79b1)))
    };
    let label = format!("{:x}", number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    let zone = ZONE.split('.').map(str::to_owned);
    Exchange {
        time_ns: 0,
        response_after_ns: None,
        client,
        port: 1024 + (number % 60_000) as u16,
        tcp: false,
        id: number as u16,
        recursion_desired: false,
        labels: [label].into_iter().chain(zone).collect(),
        qtype: 1,
        edns: Some((1232, true)),
        rcode: 0,
        answers: 0,
    }
}

/// The daemon's way of a message, without a kernel.
struct Daemon {
    observer: Observer,
    shard: Shard,
    emptied: Counts,
    aggregate: Aggregate,
}

impl Daemon {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let file = folder.path().join("zones");
        fs::write(&file, ZONE)?;
        let rules = Rules {
            zones: Zones::read(&file)?,
            ..Rules::default()
        };
        let plan = Plan::new(builtin::default(), rules).with_distinct_counts();
        let plan = Arc::new(plan);
        let limits = stream::Limits {
            streams: 1 << 14,
            memory: 1 << 24,
            idle_ns: 10_000_000_000,
        };
        let engine = Engine::new(Arc::clone(&plan), CELLS, SEED);
        Ok(Self {
            observer: Observer::new(Settings::default(), Vec::new()),
            shard: Shard::new(limits, RandomState::default(), engine),
            emptied: Counts::new(&plan, CELLS, SEED),
            aggregate: Aggregate::new(plan, Limits::default(), SEED),
        })
    }

    fn count(&mut self, frames: &[Vec<u8>], time_ns: u64) {
        for frame in frames {
            let (frame, shard) = (Slice::new(frame), &mut self.shard);
            self.observer
                .observe(frame, Link::Ethernet, Hook::Ingress, time_ns, |record| {
                    shard.record(record);
                });
            self.shard.take_events().for_each(drop);
        }
    }

    fn merge(&mut self, second: u64) {
        self.shard.engine().exchange(&mut self.emptied);
        self.aggregate.merge(&self.emptied, moment(second));
        self.emptied.clear();
    }
}

fn moment(second: u64) -> Moment {
    let now_ns = START_NS + second * 1_000_000_000;
    Moment {
        now_ns,
        unix_s: now_ns / 1_000_000_000,
    }
}

fn processor_time() -> Result<Duration> {
    let time = clock_gettime(ClockId::CLOCK_PROCESS_CPUTIME_ID).context("the CPU's time")?;
    Ok(time.into())
}

/// What the sketches say, and how far off they say that they are.
struct Estimates {
    clients: f64,
    clients_stated: f64,
    /// Names in the zone, which is known.
    names: f64,
    names_stated: f64,
    /// The same by the guard against floods, which is coarser and knows no zones.
    flood_names: f64,
}

impl Estimates {
    /// Of the flooded minute: while it was, and when it was over.
    fn of(flooded: &Report, over: &Report) -> Result<Self> {
        let clients = over.clients.as_ref().context("clients are counted")?;
        let [ipv4, ipv6, _] = clients.minute;
        let most = |zones: &[(String, f64)]| zones.iter().map(|(_, names)| *names).reduce(f64::max);
        let zones = over.zone_names.as_ref().context("names are counted")?;
        let flood_names = most(&flooded.flooded_zones);
        Ok(Self {
            clients: ipv4 + ipv6,
            clients_stated: clients.relative_error,
            names: most(zones).context("the zone has no names")?,
            names_stated: zone_names_error(),
            flood_names: flood_names.context("the flood was not noticed")?,
        })
    }
}

struct Figures {
    queries: u64,
    busy: Duration,
    longest_merge: Duration,
    /// After a tenth, at the end, at most.
    resident: [u64; 3],
    estimates: Estimates,
    memory: usize,
}

impl Figures {
    fn tell(&self) -> Result<()> {
        let mut out = io::stdout().lock();
        let queries = self.queries as f64;
        let off = |estimate: f64| (estimate / queries - 1.0).abs();
        let mebibytes = |octets: u64| octets as f64 / f64::from(1 << 20);
        // The frames of one second lie in memory at the same time.
        let [early, late, peak] = self.resident.map(mebibytes);
        let nanoseconds = self.busy.as_secs_f64() * 1e9 / queries;
        let Estimates {
            clients,
            clients_stated,
            names,
            names_stated,
            flood_names,
        } = self.estimates;
        writeln!(out, "queries               {:>14}", self.queries)?;
        writeln!(out, "ns per query          {nanoseconds:>14.0}")?;
        writeln!(
            out,
            "longest merge, ms     {:>14.2}",
            self.longest_merge.as_secs_f64() * 1e3
        )?;
        writeln!(
            out,
            "resident, MiB         {late:>14.1}   after a tenth: {early:.1}, at most: {peak:.1}"
        )?;
        writeln!(
            out,
            "aggregate, MiB        {:>14.1}",
            mebibytes(self.memory as u64)
        )?;
        writeln!(
            out,
            "different clients     {clients:>14.0}   off by {:.2} %, stated: {:.2} %",
            100.0 * off(clients),
            100.0 * clients_stated
        )?;
        writeln!(
            out,
            "different names       {names:>14.0}   off by {:.2} %, stated: {:.2} %",
            100.0 * off(names),
            100.0 * names_stated
        )?;
        writeln!(
            out,
            "by the flood's guard  {flood_names:>14.0}   off by {:.2} %",
            100.0 * off(flood_names)
        )?;
        let figures = json!({
            "queries": self.queries,
            "ns_per_query": rounded(nanoseconds, 1),
            "longest_merge_ms": rounded(self.longest_merge.as_secs_f64() * 1e3, 2),
            "rss_mb_early": rounded(early, 1),
            "rss_mb": rounded(late, 1),
            "rss_growth": rounded(late / early, 3),
            "clients_error": rounded(off(clients), 5),
            "clients_error_stated": rounded(clients_stated, 5),
            "names_error": rounded(off(names), 5),
            "names_error_stated": rounded(names_stated, 5),
            "flood_names_error": rounded(off(flood_names), 5),
        });
        writeln!(
            out,
            "{}",
            json!({ "bench": "cardinality", "figures": figures })
        )?;
        Ok(())
    }
}
