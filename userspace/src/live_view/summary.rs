//! A snapshot as it is told at a glance.

use dns_wire::counters::{Counters, Delivery, Hook, Outcome};

use super::{audience::Disclosed, counted::Counted, findings::findings, history::History};
use crate::{
    export::snapshot::{LiveState, Snapshot},
    stats::aggregate::ClientCounts,
    view::{
        Account, Attachment, ByFamily, DistinctClients, FloodedZone, Instance, Pairing, Ring,
        Stage, Summary, Table, Viewers,
    },
};

/// What is known beside the snapshot.
#[derive(Clone, Debug)]
pub(super) struct Beside<'a> {
    pub(super) time: f64,
    pub(super) uptime_seconds: u64,
    pub(super) telemetry_path: &'a str,
    pub(super) viewers: Viewers,
    pub(super) disclosed: Disclosed,
}

pub(super) fn summary(
    snapshot: &Snapshot,
    counted: &Counted,
    history: &History,
    beside: &Beside<'_>,
) -> Summary {
    let live = snapshot.live.as_ref();
    let report = snapshot.statistics.as_ref();
    Summary {
        time: beside.time,
        instance: instance(live, beside),
        findings: findings(snapshot, history),
        totals: counted.totals,
        now: history.point(),
        accounts: accounts(snapshot),
        rings: live.map(rings).unwrap_or_default(),
        stages: stages(snapshot),
        pairing: Pairing {
            interval: snapshot.pairing.one_in,
            pending: snapshot.pairing.pending,
            overflows: snapshot.pairing.overflowed,
        },
        clients: report.and_then(|report| report.clients).map(clients),
        random_subdomains: report
            .map(|report| flooded(&report.flooded_zones))
            .unwrap_or_default(),
        tables: tables(snapshot),
        clients_shown: beside.disclosed.clients(),
        viewers: beside.viewers,
    }
}

fn instance(live: Option<&LiveState>, beside: &Beside<'_>) -> Instance {
    let attachments = live.iter().flat_map(|live| &live.attachments);
    let attachments = attachments.map(|place| Attachment {
        interface: place.interface.clone(),
        hook: place.hook.label().to_owned(),
        mode: place.mode.to_owned(),
    });
    Instance {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        node: live.map(|live| live.node.clone()).unwrap_or_default(),
        site: live.map(|live| live.site.clone()).unwrap_or_default(),
        uptime_seconds: beside.uptime_seconds,
        attachments: attachments.collect(),
        telemetry_path: beside.telemetry_path.to_owned(),
    }
}

fn accounts(snapshot: &Snapshot) -> Vec<Account> {
    let hooks = Hook::ALL.iter();
    hooks
        .map(|hook| account(*hook, &snapshot.hook(*hook).packets))
        .collect()
}

fn account(hook: Hook, counters: &Counters) -> Account {
    let of = |outcome| counters.outcomes(outcome);
    let records = Delivery::ALL.iter();
    let records = records.map(|delivery| {
        let count = counters.records(*delivery);
        (delivery.label().to_owned(), count)
    });
    Account {
        hook: hook.label().to_owned(),
        packets: Outcome::ALL.iter().map(|outcome| of(*outcome)).sum(),
        dns: of(Outcome::Dns),
        segments: of(Outcome::Segment),
        not_dns: of(Outcome::NotDns),
        rejected: of(Outcome::Rejected),
        fragments: of(Outcome::Fragment),
        records: records.collect(),
    }
}

fn rings(live: &LiveState) -> Vec<Ring> {
    let rings = live.rings.iter().map(|ring| Ring {
        hook: ring.hook.label().to_owned(),
        cpu: ring.cpu,
        fill_ratio: ring.fill,
        sampling_interval: ring.one_in,
        lag_seconds: ring.lag.lag_seconds,
        max_lag_seconds: ring.lag.max_lag_seconds,
        backlog: ring.lag.backlog,
        dropped: ring.dropped,
    });
    rings.collect()
}

fn stages(snapshot: &Snapshot) -> Vec<Stage> {
    let stages = snapshot.stages.iter().map(|(stage, lag)| Stage {
        stage: stage.label().to_owned(),
        lag_seconds: lag.lag_seconds,
        max_lag_seconds: lag.max_lag_seconds,
        backlog: lag.backlog,
    });
    stages.collect()
}

fn clients(counts: ClientCounts) -> DistinctClients {
    let by_family = |[ipv4, ipv6, ipv6_64]: [f64; 3]| ByFamily {
        ipv4: ipv4.round(),
        ipv6: ipv6.round(),
        ipv6_64: ipv6_64.round(),
    };
    DistinctClients {
        minute: by_family(counts.minute),
        day: by_family(counts.day),
        relative_error: counts.relative_error,
    }
}

fn flooded(zones: &[(String, f64)]) -> Vec<FloodedZone> {
    let zones = zones.iter().map(|(zone, names)| FloodedZone {
        zone: zone.clone(),
        names_per_minute: names.round(),
    });
    zones.collect()
}

fn tables(snapshot: &Snapshot) -> Vec<Table> {
    let sources = snapshot.tables.iter().flat_map(|tables| &tables.sources);
    let mut tables: Vec<Table> = Vec::new();
    for source in sources {
        let label = source.table.label();
        match tables.iter_mut().find(|table| table.table == label) {
            Some(table) => table.stale |= source.is_stale,
            None => tables.push(Table {
                table: label.to_owned(),
                stale: source.is_stale,
            }),
        }
    }
    tables
}
