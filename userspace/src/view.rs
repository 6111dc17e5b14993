//! What the JSON API says: the page at `/` and `xdsc top` read the same.
//!
//! Only shapes stand here, for both sides: `live_view` fills them, `http` serves
//! them, whoever asks reads them. All rates are per second, all times are seconds,
//! all sizes octets. Where not said otherwise, numbers are of what the observed
//! host does as a server. Fields may be added: readers pass over those that they
//! do not know.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// `GET /api/v1/summary`: all there is to know at a glance.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Summary {
    /// When, in seconds since the Unix epoch.
    pub time: f64,
    /// Who says so.
    pub instance: Instance,
    /// What is wrong, in words, the worst first; empty when all is well.
    pub findings: Vec<Finding>,
    /// Messages since the start.
    pub totals: Totals,
    /// The same per second: the newest point of the history. None in the first
    /// moments.
    pub now: Option<Point>,
    /// Where every packet went, by hook.
    pub accounts: Vec<Account>,
    /// The rings.
    pub rings: Vec<Ring>,
    /// How far the stages are behind.
    pub stages: Vec<Stage>,
    /// Response times: how much of the traffic they are of.
    pub pairing: Pairing,
    /// Different clients; none where they are not counted.
    pub clients: Option<DistinctClients>,
    /// Zones flooded with random names, the worst first.
    pub random_subdomains: Vec<FloodedZone>,
    /// Tables that clients and names are looked up in; empty where none is
    /// configured.
    pub tables: Vec<Table>,
    /// How clients are shown to whoever asks.
    pub clients_shown: ClientsShown,
    /// Those who look at the events.
    pub viewers: Viewers,
}

/// This xdsc.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Instance {
    /// Its version.
    pub version: String,
    /// Name of the server.
    pub node: String,
    /// Name of its site; may be empty.
    pub site: String,
    /// Seconds since the start.
    pub uptime_seconds: u64,
    /// Where and how the kernel programs are attached.
    pub attachments: Vec<Attachment>,
    /// Where the metrics are, as in `/metrics`.
    pub telemetry_path: String,
}

/// A kernel program's place.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Attachment {
    /// Name of the interface.
    pub interface: String,
    /// `ingress` or `egress`.
    pub hook: String,
    /// `xdp_native`, `xdp_generic`, `tcx`, `clsact`.
    pub mode: String,
}

/// Something that an operator should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// What it is, as a word for programs: `records_lost`, `sampling`, `lagging`,
    /// `unanswered`, `servfail`, `random_subdomain`, `table_stale`, `no_traffic`.
    pub code: String,
    /// What it is, in a sentence.
    pub message: String,
    /// What to do, in a sentence; may be empty.
    pub cure: String,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Good to know.
    Notice,
    /// Numbers are less exact, or the server may be in trouble.
    Warning,
    /// Something is lost, or does not work.
    Critical,
}

/// Messages since the start, exact but for TCP streams that had to be sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Totals {
    /// Queries to the server.
    pub queries: u64,
    /// Responses of the server.
    pub responses: u64,
    /// Octets of the queries.
    pub query_bytes: u64,
    /// Octets of the responses.
    pub response_bytes: u64,
    /// Responses with the TC bit.
    pub truncated: u64,
    /// Queries over TCP.
    pub tcp_queries: u64,
    /// Queries over IPv6.
    pub ipv6_queries: u64,
    /// Queries without a response in time; scaled up from those that are paired.
    pub unanswered: u64,
    /// Packets at both hooks.
    pub packets: u64,
    /// Packets that could not be read.
    pub rejected: u64,
    /// Records left out on purpose, since a ring was filling.
    pub sampled_out: u64,
    /// Records that found no room.
    pub lost: u64,
    /// Queries that this host sends to others.
    pub own_queries: u64,
}

/// One moment of the history: what there was per second since the point before.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Point {
    /// Its end, in seconds since the Unix epoch.
    pub time: f64,
    /// Queries to the server, per second, as all that follow unless said otherwise.
    pub queries: f64,
    /// Responses of the server.
    pub responses: f64,
    /// Octets of the queries.
    pub query_bytes: f64,
    /// Octets of the responses.
    pub response_bytes: f64,
    /// Responses with the TC bit.
    pub truncated: f64,
    /// Queries over TCP.
    pub tcp_queries: f64,
    /// Queries over IPv6.
    pub ipv6_queries: f64,
    /// Queries without a response in time; they are known to be so only after
    /// `pairing.timeout`.
    pub unanswered: f64,
    /// Packets at both hooks.
    pub packets: f64,
    /// Packets that could not be read.
    pub rejected: f64,
    /// Records left out on purpose.
    pub sampled_out: f64,
    /// Records that found no room.
    pub lost: f64,
    /// One record in so many is kept at the moment, in the ring that keeps the
    /// fewest; not a rate.
    pub sampling_interval: f64,
    /// How far the slowest stage is behind, in seconds; not a rate.
    pub lag_seconds: f64,
    /// Median response time in seconds; none where nothing was answered.
    pub response_time_p50: Option<f64>,
    /// 90 % are answered within.
    pub response_time_p90: Option<f64>,
    /// 99 % are answered within.
    pub response_time_p99: Option<f64>,
    /// Queries by QTYPE: the most frequent ones of the history, and `other`.
    pub qtype: BTreeMap<String, f64>,
    /// Responses by RCODE, likewise.
    pub rcode: BTreeMap<String, f64>,
}

/// `GET /api/v1/history`: the last ten minutes, a point per second, by columns.
///
/// All columns are as long as `time`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct History {
    /// Seconds between two points. There may be gaps: `time` tells.
    pub step_seconds: f64,
    /// Ends of the points, in seconds since the Unix epoch, rising.
    pub time: Vec<f64>,
    /// By the names that a point has for them, but for those below. Null where there
    /// is no value, as of response times.
    pub series: BTreeMap<String, Vec<Option<f64>>>,
    /// By QTYPE: the eight most frequent ones, and `other`.
    pub qtype: BTreeMap<String, Vec<f64>>,
    /// By RCODE, likewise.
    pub rcode: BTreeMap<String, Vec<f64>>,
}

/// Where the packets of a hook went: each sum holds exactly once all is read.
/// `packets = dns + segments + not_dns + rejected + fragments`, and
/// `dns + segments` is the sum of the rest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Account {
    /// `ingress` or `egress`.
    pub hook: String,
    /// Packets seen.
    pub packets: u64,
    /// Whole DNS messages.
    pub dns: u64,
    /// TCP segments that are put together in the daemon.
    pub segments: u64,
    /// Packets without DNS.
    pub not_dns: u64,
    /// Packets that could not be read.
    pub rejected: u64,
    /// Fragments after the first.
    pub fragments: u64,
    /// By what became of the record: `delivered`, `sampled_out`, `ring_full` and
    /// others, as in `xdsc_records_total`.
    pub records: BTreeMap<String, u64>,
}

/// A ring between the kernel and the daemon.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Ring {
    /// `ingress` or `egress`.
    pub hook: String,
    /// The CPU that fills it.
    pub cpu: u64,
    /// Share of it that was in use, 0 to 1.
    pub fill_ratio: f64,
    /// One record in so many is kept.
    pub sampling_interval: u64,
    /// Age of the oldest record in it.
    pub lag_seconds: f64,
    /// The longest that one had waited, in the last minute.
    pub max_lag_seconds: f64,
    /// Records in it.
    pub backlog: u64,
    /// Records that found no room, since the start.
    pub dropped: u64,
}

/// A stage that every event passes.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Stage {
    /// `drain`, `aggregate`, `enrich`.
    pub stage: String,
    /// Age of the oldest record that waits for it; 0 when none does.
    pub lag_seconds: f64,
    /// The longest lag of the last minute.
    pub max_lag_seconds: f64,
    /// Records that wait.
    pub backlog: u64,
}

/// How queries and responses are brought together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Pairing {
    /// One transaction in so many.
    pub interval: u64,
    /// Transactions that wait for their other half.
    pub pending: u64,
    /// Messages that could not wait, since the table was full.
    pub overflows: u64,
}

/// Different clients, estimated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct DistinctClients {
    /// In the last minute that is over.
    pub minute: ByFamily,
    /// In this day (UTC) so far.
    pub day: ByFamily,
    /// Standard deviation, as a share.
    pub relative_error: f64,
}

/// A number for each family of addresses.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ByFamily {
    /// IPv4 addresses.
    pub ipv4: f64,
    /// IPv6 addresses.
    pub ipv6: f64,
    /// IPv6 networks of 64 bits.
    pub ipv6_64: f64,
}

/// A zone in which very many names are asked for once.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct FloodedZone {
    /// Its name.
    pub zone: String,
    /// Different names per minute, estimated.
    pub names_per_minute: f64,
}

/// A table that clients or names are looked up in.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Table {
    /// What it tells: `geoip`, `networks`, `customers`.
    pub table: String,
    /// Whether it could not be read the last time, so that an older one is used.
    pub stale: bool,
}

/// How clients are shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClientsShown {
    /// As prefixes.
    #[default]
    Prefix,
    /// As addresses that stand for them.
    Pseudonym,
    /// By their addresses.
    Address,
}

/// Those who watch the events.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Viewers {
    /// At the moment.
    pub now: u64,
    /// At most.
    pub max: u64,
    /// Turned away, since all places were taken.
    pub refused: u64,
    /// Let go, since they did not keep up.
    pub dropped: u64,
}

/// An element of `GET /api/v1/datasets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DatasetInfo {
    /// Its name.
    pub name: String,
    /// Its family at the metrics' endpoint.
    pub metric: String,
    /// What it counts.
    pub counts: Counted,
    /// By what: one or two.
    pub dimensions: Vec<Dimension>,
    /// What must hold of a message that is counted, by the names of filters.
    pub filters: Vec<String>,
    /// Values that have a cell of their own.
    pub cells: u64,
    /// Since the start.
    pub total: u64,
}

/// What a dataset, or a list made of one, counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Counted {
    /// Queries.
    Queries,
    /// Responses.
    Responses,
    /// Both.
    #[default]
    Messages,
    /// Octets of messages.
    Bytes,
    /// IP packets.
    Packets,
}

/// A dimension of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Dimension {
    /// The label that it has in Prometheus, as `country_code`.
    pub label: String,
    /// What gives the value, as `country`.
    pub indexer: String,
}

/// An amount: since the start, and lately.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Amount {
    /// Since the start.
    pub total: u64,
    /// Per second, over `window_seconds`; none while nothing is known to compare
    /// with.
    pub rate: Option<f64>,
}

/// `GET /api/v1/datasets/{name}`: the biggest cells of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// Its family at the metrics' endpoint.
    pub metric: String,
    /// What it counts.
    pub counts: Counted,
    /// By what: one or two.
    pub dimensions: Vec<Dimension>,
    /// When, in seconds since the Unix epoch.
    pub time: f64,
    /// Rates are over so many seconds.
    pub window_seconds: f64,
    /// The biggest first.
    pub rows: Vec<Cell>,
    /// Cells that were left out, since `limit` is lower.
    pub more: u64,
    /// What values without a cell have.
    pub other: Amount,
    /// What cells had that went. Not in any rate.
    pub retired: u64,
    /// All, filtered or not.
    pub sum: Amount,
}

/// A cell of a dataset.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Cell {
    /// A value for each dimension.
    pub values: Vec<String>,
    /// What it has counted.
    #[serde(flatten)]
    pub amount: Amount,
}

/// An event of `GET /api/v1/events`, named `view`: one per second.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct View {
    /// At a glance; its `now` is the newest point of the history.
    pub summary: Summary,
    /// The lists that were asked for, in that order.
    pub top: Vec<Top>,
}

/// The most frequent values of one kind.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Top {
    /// What was asked for: an indexer's name, as `qtype`, `rcode`, `tld`,
    /// `second_ld`, `qname`, `client_subnet`, `country`, `asn`, `zone`.
    pub of: String,
    /// What the numbers are of.
    pub counts: Counted,
    /// The dataset that they come from; none of the kernel's own counters, or
    /// where there is none.
    pub dataset: Option<String>,
    /// Its family at the metrics' endpoint; none where there is none.
    pub metric: Option<String>,
    /// Why there is nothing, or not all, for people; may be empty. As when no
    /// dataset crosses this with the filter.
    pub note: String,
    /// Whether there can be rows at all; else `note` says why not.
    pub available: bool,
    /// Rates are over so many seconds.
    pub window_seconds: f64,
    /// The biggest first.
    pub rows: Vec<Row>,
    /// What values without a row have, where that is known.
    pub other: Option<Amount>,
    /// All, that of the filter where there is one.
    pub sum: Amount,
}

/// A value in a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Row {
    /// The value.
    pub value: String,
    /// What is known of it beside, as the organisation of an autonomous system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What it has.
    #[serde(flatten)]
    pub amount: Amount,
}

/// Why a request was not answered (RFC 9457), as `application/problem+json`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Problem {
    /// `about:blank`: the title says all.
    #[serde(rename = "type")]
    pub kind: String,
    /// What kind of problem.
    pub title: String,
    /// The HTTP status code.
    pub status: u16,
    /// What is wrong, and what to do.
    pub detail: String,
}
