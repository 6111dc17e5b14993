//! docs/performance.md: the machine, the method, the figures, and the bars that
//! they are held to.

use std::fmt::Write as _;
use std::fs;
use std::process::Command;

use anyhow::Result;
use serde_json::{Map, Value};

use super::Printed;
use crate::process::output;

/// All benchmarks, in the order of a packet's way.
pub(super) const NAMES: [&str; 7] = [
    "probe",
    "engine",
    "enrich",
    "live",
    "impact",
    "overload",
    "cardinality",
];

/// What a benchmark is about, in the words of the page.
fn about(name: &str) -> &'static str {
    match name {
        "probe" => {
            "What a packet costs in the kernel programs, by the kernel's own test runs. All cases \
             take turns; what is told are medians. What a delivered query costs above the empty \
             program is taken apart (`part_`): the test of the ports, parsing and counting, building \
             the record, handing it over. The baseline does the same but hands over by the \
             kernel's ring buffer, one per CPU, its reader never woken. `quiet_` is what is above the \
             empty program in the quietest tenth of the turns of each. `live` are packets per \
             second of one CPU that makes them and of the programs on their way: medians of the turns \
             in which no packet was lost and no record left out."
        }
        "engine" => {
            "What a message costs in the statistics engine, as the daemon runs it: messages lie \
             in memory as the parser made them, and two million of them are counted between two \
             hand-overs, or a hundred thousand (`often`). The traffic is that of a server with \
             some thousand clients and names (`mps`), of 8,000 clients that ask equally often \
             (`even`), of a busy one whose clients and names are more than caches hold (`many`), \
             and a flood in which each query has a client and a name of its own, which only its \
             response has, too (`flood`). `full` are the 34 datasets of DSC's sample \
             configuration; the engine alone counts 32 of them, all but `response_time` and \
             `direction_vs_ipproto`, which want pairs of messages and packets. `direct` counts \
             each message in each dataset by itself; `none` holds and hashes it only; `cached` has \
             so few different messages that all that is known of them stays in the caches. `read` \
             adds the parsing of a capture and the printing of a minute."
        }
        "enrich" => {
            "What a message costs more when countries, autonomous systems, networks and customers \
             are looked up and counted: with warm caches, and with each client a new one."
        }
        "live" => {
            "The whole daemon at the end of a virtual cable. A program in the kernel makes the \
             packets on the first CPU, as live frames, so what was sent is known exactly; \
             responses are forwarded out of the server's namespace. `10k` to `500k` are \
             queries and responses per second together; `all` is queries only, as many as are \
             made. `full` are the datasets of DSC's sample configuration that need no further \
             file, `all` every built-in one of which that holds, but for `client`, since clients \
             are shown as prefixes by default. `random` is a flood of queries as fast as they are \
             made, in which 262,144 clients and names take turns, so that no table holds them. The \
             kernel takes some 25 ms to end a series of packets, so those at a rate come in \
             bursts. What is sampled out at the full rate is what comes before a thread that slept \
             has looked. Each load has a daemon of its own; lag and pause are the longest since its \
             start, its warm-up of eight seconds included. It is attached as at a network card, by \
             XDP in the driver. CPU time is the scheduler's account of the daemon's threads, per \
             message that was read; dnscap (writing a capture) stands beside for comparison."
        }
        "impact" => {
            "NSD under dnsperf at saturation, both on this machine, with nobody watching, with \
             xdsc, and with other tools at the same interface. That is a veth, where xdsc takes TCX by \
             itself, as XDP would copy each packet there. The watchers take turns; the ratio \
             of medians is what the server keeps of its queries per second. The latency is that \
             of a second client that asks 1000 times per second; a query without an answer counts \
             with the two seconds that it was waited for. `seen_share` is what a watcher says that \
             it saw of the messages; dnstop, which shows it on its screen only, must have counted \
             some. `program_ns` is what the kernel measures a run of xdsc's programs to take, its \
             timing included, while the server works beside them. A turn in which xdsc \
             saw fewer queries or responses than were answered fails."
        }
        "overload" => {
            "A flood over UDP while the daemon may take 3 % of a CPU only: by its own `ring.cpu_budget`, and, \
             with `_group` behind the key, by a control group of the kernel's without a budget, where \
             the machine has one (`group_version`), which stopped it `group_throttled` times. The \
             budget is of the threads that read the rings (`drain_cores`); merging and scrapes come \
             on top. Totals are compared with what was sent. Each cell of the datasets is compared \
             with the truth, in standard deviations as `xdsc_ring_sampling_variance_total` states \
             them; 95 % of them should be within 1.96. Two datasets have a cell for each of some 5900 \
             networks, each a draw of its own (the messages of one TCP connection are not, so there \
             is no TCP here). Records are lost only when a ring is full at its highest \
             sampling level. The recovery is the time from the flood's end until all is counted \
             again."
        }
        "cardinality" => {
            "Ten million queries within a minute of a made-up clock, each from another address \
             for another name of one zone, through parser, shard and aggregate. The errors are \
             those of the numbers of different clients and names of the minute; `flood_names` is what the \
             guard against random names says, which is coarser. Memory grows from a tenth of the \
             flood to its end."
        }
        _ => "",
    }
}

/// A bar: of which benchmark, what is measured, and its bound.
struct Bar {
    bench: &'static str,
    what: &'static str,
    figure: fn(&Figures<'_>) -> Option<f64>,
    bound: Bound,
}

#[derive(Clone, Copy)]
enum Bound {
    AtLeast(f64),
    AtMost(f64),
}

impl Bound {
    fn holds(self, figure: f64) -> bool {
        match self {
            Self::AtLeast(bound) => figure >= bound,
            Self::AtMost(bound) => figure <= bound,
        }
    }

    fn text(self) -> String {
        match self {
            Self::AtLeast(bound) => format!("at least {}", shown(bound)),
            Self::AtMost(bound) => format!("at most {}", shown(bound)),
        }
    }
}

/// The figures of one benchmark.
struct Figures<'a>(&'a Map<String, Value>);

impl Figures<'_> {
    fn get(&self, key: &str) -> Option<f64> {
        self.0.get(key)?.as_f64()
    }

    fn above_empty(&self, key: &str) -> Option<f64> {
        Some(self.get(key)? - self.get("empty_ns")?)
    }
}

const fn bar(
    bench: &'static str,
    what: &'static str,
    figure: fn(&Figures<'_>) -> Option<f64>,
    bound: Bound,
) -> Bar {
    Bar {
        bench,
        what,
        figure,
        bound,
    }
}

use Bound::{AtLeast, AtMost};

#[rustfmt::skip]
const BARS: [Bar; 42] = [
    bar("probe", "delivered IPv4 query, ns above the empty program", |f| f.above_empty("ipv4_query_ns"), AtMost(45.0)),
    bar("probe", "the same, as a share of the kernel's ring buffer", |f| Some(1.0 / f.get("ringbuf_ratio_above_empty")?), AtMost(1.0 / 3.0)),
    bar("probe", "handing a record over, likewise", |f| Some(f.get("part_hand_over_ns")? / f.get("part_ringbuf_hand_over_ns")?), AtMost(1.0 / 3.0)),
    bar("probe", "counting only, ns above the empty program", |f| f.above_empty("counting_only_ns"), AtMost(20.0)),
    bar("probe", "UDP that is not DNS, ns above the empty program", |f| f.above_empty("non_dns_udp_ns"), AtMost(8.0)),
    bar("engine", "full set, millions of messages per second and core", |f| f.get("full_mps"), AtLeast(8.0)),
    bar("engine", "default set, likewise", |f| f.get("default_mps"), AtLeast(12.0)),
    bar("engine", "two threads, as a multiple of one", |f| f.get("two_threads_ratio"), AtLeast(1.8)),
    bar("engine", "longest pause to hand over, ms, full set", |f| f.get("pause_ms"), AtMost(1.0)),
    bar("engine", "20,000 series encoded, ms", |f| f.get("encode_20000_series_ms"), AtMost(10.0)),
    bar("enrich", "time per message, as a multiple of the plain one's", |f| f.get("ratio"), AtMost(1.3)),
    bar("live", "packets per second that were made", |f| f.get("offered_pps_default"), AtLeast(2e6)),
    bar("live", "records lost at that rate", |f| f.get("lost_default"), AtMost(0.0)),
    bar("live", "totals exact (1 or 0)", |f| f.get("totals_exact_default"), AtLeast(1.0)),
    bar("live", "totals exact with the full set", |f| f.get("totals_exact"), AtLeast(1.0)),
    bar("live", "records missing at 500,000 messages per second", |f| f.get("missing_500k"), AtMost(0.0)),
    bar("live", "us of a CPU per message at 100,000 per second, full set", |f| f.get("daemon_us_per_msg_100k"), AtMost(0.3)),
    bar("live", "longest pause of a drain thread to hand over, ms of a CPU, full set", |f| f.get("pause_ms"), AtMost(1.0)),
    bar("live", "resident memory at most, MiB, default configuration", |f| f.get("peak_mb_default"), AtMost(100.0)),
    bar("live", "the same in a flood of random clients and names", |f| f.get("peak_mb_random"), AtMost(100.0)),
    bar("live", "totals exact in that flood", |f| f.get("totals_exact_random"), AtLeast(1.0)),
    bar("impact", "share of the server's queries per second that is left", |f| f.get("xdsc_ratio"), AtLeast(0.98)),
    bar("overload", "totals exact (1 or 0)", |f| f.get("totals_exact"), AtLeast(1.0)),
    bar("overload", "share sampled out, for it to be an overload", |f| f.get("sampled_share"), AtLeast(0.1)),
    bar("overload", "CPUs to read the rings, of a budget of 0.03", |f| f.get("drain_cores"), AtMost(0.033)),
    bar("overload", "CPUs of the daemon, with merging and two scrapes", |f| f.get("daemon_cores"), AtMost(0.05)),
    bar("overload", "cells that are compared with the truth", |f| f.get("cells"), AtLeast(60.0)),
    bar("overload", "share of them within 1.96 standard deviations", |f| f.get("within_95_percent"), AtLeast(0.94)),
    bar("overload", "growth of memory", |f| f.get("rss_growth"), AtMost(1.05)),
    bar("overload", "recovery, s", |f| f.get("recovery_s"), AtMost(3.0)),
    bar("overload", "times that the control group stopped the daemon", |f| f.get("group_throttled"), AtLeast(1.0)),
    bar("overload", "totals exact with the group (1 or 0)", |f| f.get("totals_exact_group"), AtLeast(1.0)),
    bar("overload", "share sampled out with the group", |f| f.get("sampled_share_group"), AtLeast(0.1)),
    bar("overload", "CPUs of the daemon, of 0.03 that the group has", |f| f.get("daemon_cores_group"), AtMost(0.033)),
    bar("overload", "cells that are compared with the group", |f| f.get("cells_group"), AtLeast(60.0)),
    bar("overload", "share of them within 1.96 standard deviations", |f| f.get("within_95_percent_group"), AtLeast(0.94)),
    bar("overload", "growth of memory with the group", |f| f.get("rss_growth_group"), AtMost(1.1)),
    bar("overload", "recovery with the group, s", |f| f.get("recovery_s_group"), AtMost(3.0)),
    bar("cardinality", "resident memory, MiB", |f| f.get("rss_mb"), AtMost(100.0)),
    bar("cardinality", "growth of memory from a tenth of the flood to its end", |f| f.get("rss_growth"), AtMost(1.1)),
    bar("cardinality", "error of the number of clients, in stated deviations", |f| Some(f.get("clients_error")? / f.get("clients_error_stated")?), AtMost(3.0)),
    bar("cardinality", "error of the number of names, in stated deviations", |f| Some(f.get("names_error")? / f.get("names_error_stated")?), AtMost(3.0)),
];

/// What the figures say of a bar that was missed, by its name; what a profile said, where
/// they do not tell.
type Reason = (&'static str, fn(&Figures<'_>) -> Option<String>);

#[rustfmt::skip]
const REASONS: [Reason; 11] = [
    ("delivered IPv4 query, ns above the empty program", |f| quiet(f, "quiet_ipv4_query_ns")),
    ("counting only, ns above the empty program", |f| quiet(f, "quiet_counting_only_ns")),
    ("UDP that is not DNS, ns above the empty program", |f| quiet(f, "quiet_non_dns_udp_ns")),
    ("the same, as a share of the kernel's ring buffer", |f| {
        let baseline = f.above_empty("ipv4_query_ringbuf_ns")?;
        let alike = ["part_port_test_ns", "part_counting_ns", "part_building_ns"];
        let alike = alike.iter().map(|part| f.get(part)).sum::<Option<f64>>()?;
        Some(format!(
            "Until the record is handed over both programs do the same: {} of the baseline's {} ns. \
             Handed over for nothing, the share would still be {}. What is xdsc's own, the handing \
             over, takes {} ns instead of {}.",
            shown(alike),
            shown(baseline),
            shown(alike / baseline),
            shown(f.get("part_hand_over_ns")?),
            shown(f.get("part_ringbuf_hand_over_ns")?)
        ))
    }),
    ("full set, millions of messages per second and core", |f| best(f, "full")),
    ("default set, likewise", |f| {
        let ns = |key| Some(1e3 / f.get(key)?);
        Some(format!(
            "{} Of {} ns per message {} are for holding and hashing it, and {} would be saved if \
             memory cost nothing; the rest are instructions. {PROFILE}",
            best(f, "default")?,
            shown(ns("default_mps")?),
            shown(ns("none_mps")?),
            shown(ns("default_mps")? - ns("default_cached_mps")?)
        ))
    }),
    ("time per message, as a multiple of the plain one's", |f| {
        let (plain, enriched) = (f.get("plain_ns")?, f.get("enriched_ns")?);
        Some(format!(
            "What is looked up and counted beside takes {} ns more than the {} ns of the plain \
             datasets.",
            shown(enriched - plain),
            shown(plain)
        ))
    }),
    ("packets per second that were made", |f| {
        Some(format!(
            "It is the generator's rate, on a CPU that it shares with the daemon's threads, which need \
             {} of the two CPUs. Lost: {}; totals exact (1 or 0): {}.",
            shown(f.get("daemon_cores_default")?),
            shown(f.get("lost_default")?),
            shown(f.get("totals_exact_default")?)
        ))
    }),
    ("records missing at 500,000 messages per second", |_| {
        Some(
            "The table tells how many were sampled out and how many lost. Sampling begins when a ring is \
             half full, as it is after its thread did not run for long."
                .to_owned(),
        )
    }),
    ("us of a CPU per message at 100,000 per second, full set", |f| {
        Some(format!(
            "At the full rate it is {}. A profile of the daemon at 100,000 per second (`perf record`) had \
             more than half of its time in the engine, an eighth in the pairing, and a thirteenth in \
             what merges for scrapes and the page.",
            shown(f.get("daemon_us_per_msg")?)
        ))
    }),
    ("share of the server's queries per second that is left", |f| {
        // Two messages per query, and two CPUs that are both busy.
        let query = 2e6 / f.get("base_qps")?;
        let daemon = 2.0 * f.get("xdsc_us_per_msg")?;
        let programs = 2e-3 * f.get("xdsc_program_ns")?;
        Some(format!(
            "On top of {} us of both CPUs per query the daemon takes {} for two messages, and the \
             programs take {} as the kernel times them, the timing included: {} of the queries would \
             be left by that alone.",
            shown(query),
            shown(daemon),
            shown(programs),
            shown(query / (query + daemon + programs))
        ))
    }),
];

/// What the default set's instructions are for.
const PROFILE: &str = "callgrind counts some 1,400 of them: a fifth asks for the cells that no \
    joint counts, four of a query and two of a response, as they depend on whole names, \
    second-level domains, ports, or networks and classes together; a seventh counts in them; a \
    seventh hashes the message, an eighth looks its joints and its name up; the rest copies it, \
    computes values, is about what is new, and brings sums to cells in the end (`valgrind \
    --tool=callgrind --toggle-collect='*Counting*count*' target/release/bench-engine --count default \
    few 1`, of four million messages). The bar leaves 83 ns.";

/// The same where the machine was left alone, as far as it was.
fn quiet(figures: &Figures<'_>, key: &str) -> Option<String> {
    let ns = shown(figures.get(key)?);
    Some(format!("In the quietest tenth of the turns it is {ns}."))
}

/// Likewise of a set of datasets.
fn best(figures: &Figures<'_>, set: &str) -> Option<String> {
    let figure = |key| figures.get(&format!("{set}_{key}")).map(shown);
    let (best, cached) = (figure("mps_best")?, figure("cached_mps")?);
    Some(format!(
        "In the best turn it is {best}, with all that is known of messages in the caches {cached}."
    ))
}

/// Where it was measured, and when.
pub(super) struct Machine {
    processor: String,
    cpus: usize,
    memory: String,
    kernel: String,
    date: String,
}

impl Machine {
    /// The one that this runs on.
    pub(super) fn this() -> Result<Self> {
        let cpus = fs::read_to_string("/proc/cpuinfo")?;
        let memory = fs::read_to_string("/proc/meminfo")?;
        let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
        Ok(Self {
            processor: field(&cpus, "model name").unwrap_or_else(|| "unknown".to_owned()),
            cpus: std::thread::available_parallelism()?.get(),
            memory: field(&memory, "MemTotal").unwrap_or_default(),
            kernel: kernel.trim().to_owned(),
            date: output(Command::new("date").args(["--utc", "+%F"]))?
                .trim()
                .to_owned(),
        })
    }
}

/// Of lines such as `name : value`.
fn field(text: &str, name: &str) -> Option<String> {
    let line = text.lines().find(|line| line.starts_with(name))?;
    let (_, value) = line.split_once(':')?;
    Some(value.trim().to_owned())
}

/// The bars that were missed, for people.
pub(super) fn missed(all: &[Printed]) -> Vec<String> {
    judged(all)
        .filter(|(bar, figure)| !figure.is_some_and(|figure| bar.bound.holds(figure)))
        .map(|(bar, figure)| {
            let figure = figure.map_or_else(|| "not measured".to_owned(), shown);
            format!(
                "{}: {}: {figure}, {}",
                bar.bench,
                bar.what,
                bar.bound.text()
            )
        })
        .collect()
}

/// The bars, with their figures.
fn judged(all: &[Printed]) -> impl Iterator<Item = (&'static Bar, Option<f64>)> {
    BARS.iter().filter_map(|bar| {
        let printed = all.iter().find(|printed| printed.name == bar.bench)?;
        Some((bar, (bar.figure)(&Figures(&printed.figures))))
    })
}

/// The bars that were missed, and why.
fn reasons(all: &[Printed]) -> impl Iterator<Item = (&'static Bar, String)> {
    let missed =
        judged(all).filter(|(bar, figure)| figure.is_some_and(|figure| !bar.bound.holds(figure)));
    missed.filter_map(|(bar, _)| {
        let (_, why) = REASONS.iter().find(|(what, _)| *what == bar.what)?;
        let printed = all.iter().find(|printed| printed.name == bar.bench)?;
        Some((bar, why(&Figures(&printed.figures))?))
    })
}

/// The page; what the verifier says of the programs is told as it is.
pub(super) fn page(machine: &Machine, verified: &str, all: &[Printed]) -> String {
    let Machine {
        processor,
        cpus,
        memory,
        kernel,
        date,
    } = machine;
    let mut page = format!(
        "# Performance\n\n\
         Written by `cargo xtask bench all` on {date}, on a machine of {cpus} CPUs ({processor}, \
         {memory} of memory) with Linux {kernel}. Figures of other machines differ, their ratios \
         less so. Run it on a quiet machine; it takes some twenty minutes.\n\n\
         ## Bars\n\n\
         | Benchmark | What | Figure | Bar | |\n|---|---|---:|---|---|\n"
    );
    for (bar, figure) in judged(all) {
        let verdict = match figure {
            Some(figure) if bar.bound.holds(figure) => "met",
            Some(_) => "**missed**",
            None => "not measured",
        };
        // Writing to a String cannot fail.
        let _ = writeln!(
            page,
            "| {} | {} | {} | {} | {verdict} |",
            bar.bench,
            bar.what,
            figure.map_or_else(|| "-".to_owned(), shown),
            bar.bound.text()
        );
    }
    let reasons: Vec<_> = reasons(all).collect();
    if !reasons.is_empty() {
        page.push_str("\n## Why bars are missed\n\n");
        for (bar, reason) in reasons {
            let _ = writeln!(page, "- **{}: {}.** {reason}", bar.bench, bar.what);
        }
    }
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "\n## The kernel programs\n\nWhat `cargo xtask verify` says of them, and holds to budgets: \
         the instructions that the verifier walks through, with the easiest and the hardest \
         settings; what they are translated to; the deepest chain of calls.\n\n```\n{}\n```\n",
        verified.trim_end()
    );
    for printed in all {
        let Printed {
            name,
            table,
            figures,
        } = printed;
        let _ = write!(
            page,
            "\n## `bench {name}`\n\n{}\n\n```\n{table}\n```\n\n| Figure | Value |\n|---|---:|\n",
            about(name)
        );
        for (key, value) in figures {
            let _ = writeln!(page, "| `{key}` | {value} |");
        }
    }
    page
}

/// Three digits behind the point at most.
fn shown(figure: f64) -> String {
    let rounded = (figure * 1000.0).round() / 1000.0;
    format!("{rounded}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(name: &'static str, figures: &[(&str, f64)]) -> Printed {
        let figures = figures.iter();
        Printed {
            name,
            table: "a table".to_owned(),
            figures: figures
                .map(|(key, value)| ((*key).to_owned(), (*value).into()))
                .collect(),
        }
    }

    #[test]
    fn bars_are_judged_by_the_figures() {
        let good = printed("impact", &[("xdsc_ratio", 0.985)]);
        assert!(missed(&[good]).is_empty());
        let bad = printed("impact", &[("xdsc_ratio", 0.9)]);
        let text = missed(&[bad]).join("");
        assert!(text.ends_with("0.9, at least 0.98"), "{text}");
        let absent = missed(&[printed("impact", &[])]).join("");
        assert!(absent.contains("not measured"), "{absent}");
    }

    #[test]
    fn bars_that_are_missed_have_their_reason_told() {
        assert!(
            REASONS
                .iter()
                .all(|(what, _)| BARS.iter().any(|bar| bar.what == *what))
        );
        let figures = [("ratio", 1.5), ("plain_ns", 200.0), ("enriched_ns", 310.0)];
        let told: Vec<_> = reasons(&[printed("enrich", &figures)]).collect();
        let [(bar, reason)] = &told[..] else {
            panic!("{} reasons", told.len());
        };
        assert_eq!(bar.bench, "enrich");
        assert!(reason.contains("110 ns more than the 200 ns"), "{reason}");
        let impact = [
            ("xdsc_ratio", 0.9),
            ("base_qps", 100_000.0),
            ("xdsc_us_per_msg", 0.25),
            ("xdsc_program_ns", 250.0),
        ];
        let told: Vec<_> = reasons(&[printed("impact", &impact)]).collect();
        // 20 of 20 + 0.5 + 0.5 us.
        assert!(told[0].1.contains("0.952 of the queries"), "{}", told[0].1);
        let met = [("ratio", 1.2), ("plain_ns", 200.0), ("enriched_ns", 240.0)];
        assert_eq!(reasons(&[printed("enrich", &met)]).count(), 0);
    }

    #[test]
    fn every_benchmark_is_described_and_every_bar_is_of_one() {
        assert!(NAMES.iter().all(|name| !about(name).is_empty()));
        assert!(BARS.iter().all(|bar| NAMES.contains(&bar.bench)));
    }

    #[test]
    fn page_has_machine_bars_tables_and_figures() {
        let machine = Machine {
            processor: "a processor".to_owned(),
            cpus: 2,
            memory: "4 kB".to_owned(),
            kernel: "6.1".to_owned(),
            date: "2026-01-31".to_owned(),
        };
        let text = page(
            &machine,
            "what is verified",
            &[printed("impact", &[("xdsc_ratio", 0.985)])],
        );
        for part in [
            "on 2026-01-31, on a machine of 2 CPUs (a processor",
            "| 0.985 | at least 0.98 | met |",
            "what is verified",
            "## `bench impact`",
            "a table",
            "| `xdsc_ratio` | 0.985 |",
        ] {
            assert!(text.contains(part), "{part} is not in:\n{text}");
        }
    }
}
