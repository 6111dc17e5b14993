//! What an operator should know, in words: the strip at the top of every view.
//!
//! Judged by the last minute, so that one bad second does not flicker. The
//! thresholds are for looking at; alerts have their own, in Prometheus.

use crate::{
    export::snapshot::{Snapshot, Stage},
    view::{Finding, Severity},
};

use super::history::{History, Lately};

/// Samples that are judged.
const LATELY: usize = 60;
/// Counts are handed over once a second, so less is no delay.
const LAG_SECONDS: f64 = 5.0;
/// Fewer queries per second tell nothing about shares.
const MIN_RATE: f64 = 1.0;
/// Queries without a response, as a share.
const UNANSWERED: f64 = 0.05;
/// Responses that are SERVFAIL, as a share.
const SERVFAIL: f64 = 0.1;
const SERVFAIL_SLOT: usize = 2;
/// Databases are built at least once a month.
const OLD_DATABASE_SECONDS: f64 = 45.0 * 86_400.0;

/// All findings, the worst first.
pub(super) fn findings(snapshot: &Snapshot, history: &History) -> Vec<Finding> {
    let lately = history.sum(LATELY);
    let mut findings: Vec<Finding> = [
        lost(&lately),
        sampling(snapshot),
        lagging(snapshot),
        unanswered(&lately),
        servfail(&lately),
        random_subdomains(snapshot),
        no_traffic(snapshot, &lately),
    ]
    .into_iter()
    .flatten()
    .chain(tables(snapshot))
    .collect();
    findings.sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    findings
}

fn finding(severity: Severity, code: &str, message: String, cure: &str) -> Finding {
    Finding {
        severity,
        code: code.to_owned(),
        message,
        cure: cure.to_owned(),
    }
}

fn lost(lately: &Lately) -> Option<Finding> {
    let lost = lately.totals.lost;
    (lost > 0).then(|| {
        finding(
            Severity::Critical,
            "records_lost",
            format!("{lost} records were lost in the last minute: rings were full."),
            "Totals stay exact, details do not. Give xdsc more CPU, or raise `ring.size`.",
        )
    })
}

fn sampling(snapshot: &Snapshot) -> Option<Finding> {
    let one_in = sampling_interval(snapshot);
    (one_in > 1).then(|| {
        finding(
            Severity::Warning,
            "sampling",
            format!("One record in {one_in} is kept at the moment, since a ring is filling."),
            "Totals stay exact, details are scaled up. It ends by itself when there is less traffic.",
        )
    })
}

/// One record in so many is kept, in the ring that keeps the fewest.
pub(super) fn sampling_interval(snapshot: &Snapshot) -> u64 {
    let rings = snapshot.live.iter().flat_map(|live| &live.rings);
    rings.map(|ring| ring.one_in).max().unwrap_or(1)
}

/// How far the slowest stage is behind.
pub(super) fn lag_seconds(snapshot: &Snapshot) -> f64 {
    let lags = snapshot.stages.iter().map(|(_, lag)| lag.lag_seconds);
    lags.fold(0.0, f64::max)
}

fn lagging(snapshot: &Snapshot) -> Option<Finding> {
    let stages = snapshot.stages.iter();
    let slow = stages.filter(|(_, lag)| lag.lag_seconds > LAG_SECONDS);
    let (stage, lag) = slow.max_by(|(_, a), (_, b)| a.lag_seconds.total_cmp(&b.lag_seconds))?;
    let what = match stage {
        Stage::Drain => "The reading of the rings",
        Stage::Aggregate => "The adding up of the datasets",
        Stage::Enrich => "The enrichment of the stream",
    };
    Some(finding(
        Severity::Warning,
        "lagging",
        format!("{what} is {:.0} s behind.", lag.lag_seconds),
        "xdsc does not get enough CPU: see its limits, and what else runs here.",
    ))
}

fn unanswered(lately: &Lately) -> Option<Finding> {
    let share = share(lately, lately.totals.unanswered, lately.totals.queries)?;
    (share > UNANSWERED).then(|| {
        finding(
            Severity::Warning,
            "unanswered",
            format!("{} of queries get no response.", percent(share)),
            "See whether the name server runs and keeps up; response rate limiting drops some on purpose.",
        )
    })
}

fn servfail(lately: &Lately) -> Option<Finding> {
    let failures = lately.rcode.get(SERVFAIL_SLOT).copied().unwrap_or(0);
    let share = share(lately, failures, lately.totals.responses)?;
    (share > SERVFAIL).then(|| {
        finding(
            Severity::Warning,
            "servfail",
            format!("{} of responses are SERVFAIL.", percent(share)),
            "See the log of the name server: a zone may have expired, or not be loaded.",
        )
    })
}

fn random_subdomains(snapshot: &Snapshot) -> Option<Finding> {
    let report = snapshot.statistics.as_ref()?;
    let (zone, names) = report.flooded_zones.first()?;
    let others = match report.flooded.saturating_sub(1) {
        0 => String::new(),
        1 => ", and so is another zone".to_owned(),
        others => format!(", and so are {others} other zones"),
    };
    Some(finding(
        Severity::Warning,
        "random_subdomain",
        format!(
            "{zone} is flooded with random names, {names:.0} different ones in a minute{others}."
        ),
        "Names there are counted together, as `*.` and the zone. See which clients ask.",
    ))
}

fn no_traffic(snapshot: &Snapshot, lately: &Lately) -> Option<Finding> {
    if lately.totals.queries > 0 || lately.seconds < 5.0 {
        return None;
    }
    let live = snapshot.live.as_ref()?;
    let mut places: Vec<_> = live.attachments.iter().map(|a| &*a.interface).collect();
    places.dedup();
    let places = places.join(", ");
    let (severity, message) = if lately.totals.packets > 0 {
        let message = format!("There are packets on {places}, but no queries to a server.");
        (Severity::Notice, message)
    } else {
        (
            Severity::Notice,
            format!("There is no traffic on {places}."),
        )
    };
    Some(finding(
        severity,
        "no_traffic",
        message,
        "See whether queries come in by this interface, and whether `probe.ports` has their port.",
    ))
}

fn tables(snapshot: &Snapshot) -> impl Iterator<Item = Finding> {
    let tables = snapshot.tables.iter();
    let stale = tables.clone().flat_map(|tables| &tables.sources);
    let stale = stale.filter(|source| source.is_stale).map(|source| {
        finding(
            Severity::Warning,
            "table_stale",
            format!(
                "The {} of {} could not be read again; what it was before goes on.",
                source.table.label(),
                source.source
            ),
            "The log says why.",
        )
    });
    let old = tables.flat_map(|tables| &tables.databases);
    let old = old.filter(|database| database.age_s > OLD_DATABASE_SECONDS);
    stale.chain(old.map(|database| {
        finding(
            Severity::Notice,
            "geoip_old",
            format!(
                "The database {} is {:.0} days old.",
                database.name,
                database.age_s / 86_400.0
            ),
            "Replace the file; xdsc reads it again by itself.",
        )
    }))
}

/// None where there is too little to judge.
fn share(lately: &Lately, part: u64, whole: u64) -> Option<f64> {
    let enough = lately.seconds > 0.0 && whole as f64 / lately.seconds >= MIN_RATE;
    enough.then(|| part as f64 / whole as f64)
}

fn percent(share: f64) -> String {
    format!("{:.0} %", (share * 100.0).min(100.0))
}

#[cfg(test)]
mod tests {
    use dns_wire::iana::Qtype;

    use super::*;
    use crate::{
        enrich::reload::TablesState,
        live_view::{
            counted::{Counted, tests::queries},
            history::{Sample, State},
        },
        stats::lag::LagReport,
    };

    /// A minute in which so much came each second.
    fn minute(second: &Counted) -> History {
        let mut history = History::default();
        for time in 0..60_u32 {
            history.push(Sample::new(time.into(), 1.0, second, State::default()));
        }
        history
    }

    fn healthy() -> (Snapshot, Counted) {
        let mut snapshot = Snapshot::example();
        if let Some(report) = &mut snapshot.statistics {
            report.flooded_zones.clear();
        }
        snapshot.tables = None;
        let mut second = queries(Qtype::A, 100);
        second.totals.responses = 100;
        (snapshot, second)
    }

    fn codes(snapshot: &Snapshot, second: &Counted) -> Vec<String> {
        let findings = findings(snapshot, &minute(second));
        findings.into_iter().map(|finding| finding.code).collect()
    }

    #[test]
    fn nothing_is_said_when_all_is_well() {
        let (snapshot, second) = healthy();
        assert!(codes(&snapshot, &second).is_empty());
        assert!(findings(&snapshot, &History::default()).is_empty());
    }

    #[test]
    fn each_trouble_has_its_finding() {
        type Trouble = fn(&mut Snapshot, &mut Counted);
        let troubles: [(&str, Trouble); 9] = [
            ("records_lost", |_, second| second.totals.lost = 1),
            ("sampling", |snapshot, _| {
                for ring in snapshot.live.iter_mut().flat_map(|live| &mut live.rings) {
                    ring.one_in = 4;
                }
            }),
            ("lagging", |snapshot, _| {
                let lag = LagReport {
                    lag_seconds: 7.0,
                    ..LagReport::default()
                };
                snapshot.stages = vec![(Stage::Aggregate, lag)];
            }),
            ("unanswered", |_, second| second.totals.unanswered = 6),
            ("servfail", |_, second| second.rcode[SERVFAIL_SLOT] = 11),
            ("random_subdomain", |snapshot, _| {
                if let Some(report) = &mut snapshot.statistics {
                    report.flooded_zones = vec![("example.com".to_owned(), 5000.0)];
                    report.flooded = 1;
                }
            }),
            ("no_traffic", |_, second| second.totals.queries = 0),
            ("table_stale", |snapshot, _| {
                let mut tables = TablesState::example();
                tables.databases.clear();
                tables.sources.truncate(1);
                tables.sources[0].is_stale = true;
                snapshot.tables = Some(tables);
            }),
            ("geoip_old", |snapshot, _| {
                let mut tables = TablesState::example();
                tables.sources.clear();
                tables.databases[0].age_s = 46.0 * 86_400.0;
                snapshot.tables = Some(tables);
            }),
        ];
        for (code, trouble) in troubles {
            let (mut snapshot, mut second) = healthy();
            trouble(&mut snapshot, &mut second);
            assert_eq!(codes(&snapshot, &second), [code]);
        }
    }

    #[test]
    fn the_worst_comes_first() {
        let (mut snapshot, mut second) = healthy();
        let mut tables = TablesState::example();
        tables.sources.clear();
        tables.databases[0].age_s = 46.0 * 86_400.0;
        snapshot.tables = Some(tables);
        second.totals.lost = 1;
        second.totals.unanswered = 50;
        let expected = ["records_lost", "unanswered", "geoip_old"];
        assert_eq!(codes(&snapshot, &second), expected);
    }

    #[test]
    fn a_trickle_is_not_judged() {
        let (snapshot, mut second) = healthy();
        let mut history = minute(&queries(Qtype::A, 0));
        second.totals.queries = 10;
        second.totals.unanswered = 10;
        history.push(Sample::new(60.0, 1.0, &second, State::default()));
        let found = findings(&snapshot, &history);
        assert!(found.is_empty(), "{found:?}");
    }
}
