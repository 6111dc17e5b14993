//! What a flood of random names from random addresses costs in memory, against
//! everyday traffic of as many messages: live nothing, as tables are bounded; of
//! files so much per cell, as there every cell is told.
//!
//! Each reading is a process of its own, as only the peak of a whole process is
//! known: this very program, asked for the one test that is left out else.

use std::{
    env,
    fs::{self, File},
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use dns_wire::{Settings, Slice, locate::Link};
use foldhash::quality::RandomState;
use integration_tests::traffic::{Exchange, Profile, Traffic, Truth, write_pcap};
use xdsc::{
    dsc_conf::DscConf,
    read::{DatasetOptions, DatasetReading},
    source::{file::Capture, observer::Observer, stream},
    stats::{
        aggregate::{Aggregate, Limits, Moment},
        builtin,
        engine::{Counts, Engine},
        plan::{Compat, Plan, Rules},
        shard::Shard,
    },
};

/// Names the capture that the process is to read.
const CAPTURE: &str = "XDSC_READ_CAPTURE";
/// Cells of a dataset between two hand-overs: the default of the daemon.
const CELLS: usize = 16_384;
const QUERIES_PER_SECOND: u64 = 50_000;
const SEED: u64 = 1;

/// A million messages, all of them queries or about half of them.
fn capture(folder: &Path, profile: Profile) -> PathBuf {
    let path = folder.join(format!("{profile:?}.pcap"));
    let mut out = BufWriter::new(File::create(&path).expect("a file"));
    let mut truth = Truth {
        numbers_only: true,
        ..Truth::default()
    };
    let traffic = Traffic::new(profile, SEED, QUERIES_PER_SECOND);
    let messages = match profile {
        Profile::Everyday | Profile::Few | Profile::Even => {
            write_pcap(traffic.take(508_000), &mut out, &mut truth)
        }
        Profile::Flood => {
            let unanswered = traffic.map(|exchange| Exchange {
                response_after_ns: None,
                ..exchange
            });
            write_pcap(unanswered.take(1_000_000), &mut out, &mut truth)
        }
    };
    out.flush().expect("room");
    assert!(messages.expect("room").abs_diff(1_000_000) < 5_000);
    path
}

/// What a process says of itself at its end.
#[derive(Debug)]
struct Peak {
    /// Octets of memory that it needed at most.
    memory: u64,
    /// Cells that it had to tell.
    cells: u64,
}

impl Peak {
    /// Of a process that reads a capture in this way.
    fn of(way: &str, capture: &Path) -> Self {
        let this = env::current_exe().expect("a path");
        let output = Command::new(this)
            .args(["--exact", way, "--ignored", "--nocapture"])
            .env(CAPTURE, capture)
            .output()
            .expect("a process");
        let text = String::from_utf8(output.stdout).expect("text");
        let number = |what: &str| {
            let (_, rest) = text.split_once(what)?;
            rest.split_whitespace().next()?.parse::<u64>().ok()
        };
        let (Some(kilobytes), Some(cells)) = (number("VmHWM:"), number(CELLS_TOLD)) else {
            panic!("{way} failed: {text}");
        };
        Self {
            memory: kilobytes << 10,
            cells,
        }
    }

    fn tell(cells: usize) {
        let status = fs::read_to_string("/proc/self/status").expect("Linux");
        let mut out = std::io::stdout().lock();
        writeln!(out, "{status}{CELLS_TOLD} {cells}").expect("a parent");
    }
}

const CELLS_TOLD: &str = "Cells:";

fn given() -> PathBuf {
    let capture = env::var_os(CAPTURE);
    capture.expect("a capture by the environment").into()
}

#[test]
#[ignore = "run by its parents"]
fn live() {
    let plan = Plan::new(builtin::default(), Rules::default()).with_distinct_counts();
    let plan = Arc::new(plan);
    let engine = Engine::new(Arc::clone(&plan), CELLS, SEED);
    let mut counts = Counts::new(&plan, CELLS, SEED);
    let mut aggregate = Aggregate::new(Arc::clone(&plan), Limits::default(), SEED);
    let limits = stream::Limits {
        streams: 1 << 16,
        memory: 1 << 26,
        idle_ns: 10_000_000_000,
    };
    let mut shard = Shard::new(limits, RandomState::default(), engine);
    let mut observer = Observer::new(Settings::default(), Vec::new());
    let mut capture = Capture::open(&given()).expect("the capture");
    let mut handed_over_ns = 0;
    let mut messages = 0;
    while let Some(packet) = capture.next_packet().expect("the capture") {
        let frame = Slice::new(packet.bytes);
        let hook = observer.hook_of(&frame, Link::Ethernet);
        observer.observe(frame, Link::Ethernet, hook, packet.time_ns, |record| {
            shard.record(record);
        });
        shard.take_events().for_each(drop);
        messages += 1;
        if packet.time_ns >= handed_over_ns + 1_000_000_000 {
            handed_over_ns = packet.time_ns;
            shard.engine().exchange(&mut counts);
            let moment = Moment {
                now_ns: packet.time_ns,
                unix_s: packet.time_ns / 1_000_000_000,
            };
            aggregate.merge(&counts, moment);
            counts.clear();
        }
    }
    assert!(messages > 900_000);
    Peak::tell(aggregate.report().series);
}

#[test]
#[ignore = "run by its parents"]
fn of_files() {
    let conf = DscConf::parse(b"", "none", Path::new("/")).expect("a dsc.conf");
    let options = DatasetOptions::of_dsc(&conf, Compat::None).expect("no files");
    let mut reading = DatasetReading::new(DatasetOptions {
        plan: Arc::new(Plan::new(builtin::default(), Rules::default())),
        ..options
    });
    let mut cells = 0;
    let mut sink = |interval: xdsc::stats::table::Interval| {
        let rows = interval.tables.iter().flat_map(|table| &table.rows);
        cells += rows
            .map(|row| row.cells.len() + row.skipped.cells as usize)
            .sum::<usize>();
        Ok(())
    };
    assert!(
        reading
            .file(&given(), &mut sink)
            .expect("no output")
            .is_empty()
    );
    reading.finish(&mut sink).expect("no output");
    Peak::tell(cells);
}

/// The peaks of everyday traffic and of a flood.
fn both(way: &str) -> [Peak; 2] {
    let folder = tempfile::tempdir().expect("a folder");
    [Profile::Everyday, Profile::Flood]
        .map(|profile| Peak::of(way, &capture(folder.path(), profile)))
}

#[test]
fn live_a_flood_needs_hardly_more_than_a_quiet_day() {
    let [quiet, flood] = both("live");
    let enough = flood.memory * 10 <= quiet.memory * 13;
    assert!(enough, "{quiet:?}, {flood:?}");
}

#[test]
fn of_files_a_flood_needs_so_much_per_cell() {
    let [quiet, flood] = both("of_files");
    assert!(
        flood.cells > quiet.cells + 1_000_000,
        "{quiet:?}, {flood:?}"
    );
    // As counted and as printed, which is when most is needed.
    let per_cell = (flood.memory - quiet.memory) / (flood.cells - quiet.cells);
    assert!(per_cell < 320, "{per_cell}: {quiet:?}, {flood:?}");
}
