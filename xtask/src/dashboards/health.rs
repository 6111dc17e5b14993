//! How xdsc itself does: whether its numbers can be trusted, what it costs, and
//! whether it keeps up.

use super::{
    layout::Section,
    limits::Limit,
    palette::{self, falling, rising},
    panel::{Unit, stat, states, table, time_series},
    query::{metric, ratio},
    schema::{Dashboard, Panel},
};

pub(super) const UID: &str = "xdsc-health";
const NODE: &str = "{{site}} {{instance}}";
const BY_NODE: &str = "site, instance";
const SUBSCRIBER: &str = "{{site}} {{instance}} {{subscriber}}";
const BY_SUBSCRIBER: &str = "site, instance, subscriber";

pub(super) fn dashboard() -> Dashboard {
    super::dashboard(
        UID,
        "Health of xdsc",
        "Whether the numbers can be trusted: the account of packets, losses, sampling, lag, what xdsc costs, and how old its tables are.",
        vec![],
        vec![
            trust(),
            account(),
            lag(),
            rings(),
            cost(),
            datasets(),
            pairing(),
            streams(),
            tables(),
            reverse_dns(),
            names_kept(),
            enriched(),
            subscribers(),
            files(),
            identity(),
        ],
    )
}

/// A family per node.
fn rate_of(title: &str, description: &str, unit: Unit, family: &str) -> Panel {
    time_series(title, description, unit).query(&metric(family).rate(BY_NODE), NODE)
}

/// The same of what must not happen.
fn never_of(title: &str, description: &str, unit: Unit, family: &str) -> Panel {
    rate_of(title, description, unit, family).limit(Limit::Never)
}

/// A gauge per node.
fn gauge_of(title: &str, description: &str, unit: Unit, family: &str) -> Panel {
    time_series(title, description, unit).query(&metric(family).max(BY_NODE), NODE)
}

/// Hits among lookups.
fn hits(family: &str, by: &str) -> String {
    let lookups = metric(family);
    ratio(
        &lookups.clone().with(r#"result="hit""#).rate(by),
        &lookups.rate(by),
    )
}

fn trust() -> Section {
    let records = metric("xdsc_records_total");
    let sampled = ratio(
        &records.clone().with(r#"outcome="sampled_out""#).rate(""),
        &records.clone().rate(""),
    );
    let lost = records.with(r#"outcome=~"ring_full|reentered""#);
    let probe = ratio(
        &metric("xdsc_probe_run_seconds_total").rate(""),
        &metric("xdsc_probe_runs_total").rate(""),
    );
    Section::new("Can the numbers be trusted")
        .line(4, vec![
            stat("Nodes that cannot be scraped", "Targets of the job that Prometheus gets no answer from.", Unit::Count)
                .query(&format!("sum(1 - {})", metric("up")), "down")
                .limit(Limit::Never),
            stat("Missing in the account", "What the account of packets lacks: 0, but for packets under way between two counters.", Unit::Packets)
                .query(&imbalance(""), "difference")
                .thresholds(rising(1.0, 100.0)),
            stat("Lost records", "Records that rings had no room for. Totals have them, names and clients do not.", Unit::Records)
                .query(&lost.rate(""), "lost")
                .limit(Limit::Never),
            stat("Sampled out", "Share of records that others stand for.", Unit::Share)
                .query(&sampled, "sampled")
                .limit(Limit::Sampled),
            stat("Worst lag", "The longest that a record took through a stage, in the last minute, of all nodes.", Unit::Seconds)
                .query(&metric("xdsc_stage_max_lag_seconds").max(""), "lag")
                .limit(Limit::Lag),
            stat("Time per packet", "Mean run time of the kernel programs.", Unit::Seconds)
                .query(&probe, "time")
                .limit(Limit::ProbeTime),
            stat("Oldest database", "Age of the oldest database of countries or autonomous systems.", Unit::Seconds)
                .query(&metric("xdsc_geoip_database_age_seconds").max(""), "age")
                .limit(Limit::DatabaseAge),
            stat("Tables that are stale", "Tables that could not be read the last time.", Unit::Count)
                .query(&metric("xdsc_table_stale").sum(""), "stale")
                .limit(Limit::Never),
        ])
}

/// Packets less their outcomes.
fn imbalance(by: &str) -> String {
    format!(
        "abs({} - {})",
        metric("xdsc_packets_total").rate(by),
        metric("xdsc_packet_outcomes_total").rate(by)
    )
}

fn account() -> Section {
    Section::new("The account")
        .line(8, outcomes())
        .line(8, directions())
}

/// Where everything went.
fn outcomes() -> Vec<Panel> {
    vec![
        time_series(
            "Packets by outcome",
            "What packets end as, each as exactly one.",
            Unit::Packets,
        )
        .query(
            &metric("xdsc_packet_outcomes_total").rate("outcome"),
            "{{outcome}}",
        )
        .stacked()
        .coloured(palette::OUTCOMES),
        time_series(
            "Records by outcome",
            "What becomes of the records of DNS messages and TCP segments.",
            Unit::Records,
        )
        .query(&metric("xdsc_records_total").rate("outcome"), "{{outcome}}")
        .coloured(palette::OUTCOMES),
        time_series(
            "Packets without an outcome",
            "The account of each node. It does not stay above 0.",
            Unit::Packets,
        )
        .query(&imbalance(BY_NODE), NODE)
        .thresholds(rising(1.0, 100.0)),
    ]
}

/// What came and left.
fn directions() -> Vec<Panel> {
    vec![
        time_series(
            "Packets by direction and protocol",
            "What the programs see at the interfaces.",
            Unit::Packets,
        )
        .query(
            &metric("xdsc_packets_total").rate("hook, protocol"),
            "{{hook}} {{protocol}}",
        ),
        time_series(
            "Packets by IP version",
            "By the innermost IP header.",
            Unit::Packets,
        )
        .query(&metric("xdsc_packets_total").rate("family"), "{{family}}")
        .coloured(palette::FAMILIES),
        time_series(
            "Octets by direction",
            "Octets of packets, link layer included.",
            Unit::OctetRate,
        )
        .query(&metric("xdsc_packet_bytes_total").rate("hook"), "{{hook}}"),
    ]
}

fn lag() -> Section {
    let stage = "{{site}} {{instance}} {{stage}}";
    let by = "site, instance, stage";
    Section::new("Lag by stage")
        .line(8, vec![
            time_series("Worst lag by stage", "The longest that a record took through a stage, in the last minute. Usual are milliseconds; up to four seconds for aggregate.", Unit::Seconds)
                .query(&metric("xdsc_stage_max_lag_seconds").max(by), stage)
                .limit(Limit::Lag),
            time_series("Lag of the moment", "Age of the oldest record that is not through. It grows while a thread hangs.", Unit::Seconds)
                .query(&metric("xdsc_stage_lag_seconds").max(by), stage)
                .limit(Limit::Lag),
            time_series("Backlog by stage", "Records that wait for a stage.", Unit::Count)
                .query(&metric("xdsc_stage_backlog").max(by), stage),
            time_series("Produced less consumed", "What comes to a stage faster than it goes through: 0 in health.", Unit::Records)
                .query(&format!("{} - {}", metric("xdsc_stage_produced_total").rate("stage"), metric("xdsc_stage_consumed_total").rate("stage")), "{{stage}}"),
        ])
}

/// Standard deviation of the messages of a second, as a share of them.
fn uncertainty() -> String {
    let variance = metric("xdsc_ring_sampling_variance_total").rate(BY_NODE);
    let messages = metric("xdsc_dns_messages_total").rate(BY_NODE);
    ratio(&format!("sqrt({variance})"), &messages)
}

fn rings() -> Section {
    let sampling = metric("xdsc_ring_sampling_interval").max(BY_NODE);
    let by = "site, instance, hook";
    let ring = "{{site}} {{instance}} {{hook}}";
    let fill = metric("xdsc_ring_fill_ratio").max(by);
    Section::new("Rings: from the kernel to the daemon")
        .line(8, vec![
            states("Sampling", "One record in so many is put into the rings: 1 is all of them.", Unit::Plain)
                .query(&sampling, NODE)
                .limit(Limit::Sampling),
            time_series("Fill of the fullest ring", "Share of a ring that was in use when the scrape came. Above half, sampling begins.", Unit::Share)
                .query(&fill, ring)
                .limit(Limit::Fill),
            time_series("Worst lag of a ring", "The longest that a record had waited when it was read, in the last minute.", Unit::Seconds)
                .query(&metric("xdsc_ring_max_lag_seconds").max(by), ring)
                .limit(Limit::Lag),
        ])
        .line(8, vec![
            time_series("Records through the rings", "What the kernel puts in and what the daemon takes out.", Unit::Records)
                .query(&metric("xdsc_ring_produced_records_total").rate(""), "produced")
                .query(&metric("xdsc_ring_consumed_records_total").rate(""), "consumed"),
            time_series("Records dropped", "Records that were lost since a ring was full, or in use.", Unit::Records)
                .query(&metric("xdsc_ring_dropped_records_total").rate(by), ring)
                .limit(Limit::Never),
            time_series("Backlog of the rings", "Records that a scrape found, and the age of the oldest.", Unit::Count)
                .query(&metric("xdsc_ring_backlog_records").sum(by), ring),
            time_series("Lag of the rings", "Age of the oldest record that a scrape found.", Unit::Seconds)
                .query(&metric("xdsc_ring_lag_seconds").max(by), ring),
        ])
        .line(8, vec![
            gauge_of("Longest pause", "The longest time on a CPU, in the last minute, for which a drain thread read no ring, as it handed its counts over.", Unit::Seconds, "xdsc_drain_max_pause_seconds"),
            time_series("Uncertainty by sampling", "Standard deviation, by sampling, of the messages of one second that the records stand for, as a share of them. 0 where nothing is sampled.", Unit::Share)
                .query(&uncertainty(), NODE),
            never_of("Damaged records", "What followed a damaged record in its batch was skipped. Never, in health.", Unit::Records, "xdsc_ring_damaged_total"),
        ])
}

fn cost() -> Section {
    let probe = ratio(
        &metric("xdsc_probe_run_seconds_total").rate("program"),
        &metric("xdsc_probe_runs_total").rate("program"),
    );
    let time = metric("xdsc_time_seconds");
    let clock = format!("abs({time} - timestamp({time}))");
    let scrape = metric("scrape_duration_seconds").max(BY_NODE);
    let descriptors = format!(
        "{} / {}",
        metric("process_open_fds"),
        metric("process_max_fds")
    );
    Section::new("What xdsc costs")
        .line(8, vec![
            time_series("Time per packet by program", "Mean run time of each kernel program, while the kernel measures it.", Unit::Seconds)
                .query(&probe, "{{program}}")
                .limit(Limit::ProbeTime),
            rate_of("CPU of the daemon", "CPU seconds per second: 1 is one CPU. That of the kernel programs is not in it.", Unit::Plain, "process_cpu_seconds_total"),
            gauge_of("Memory of the daemon", "Resident memory.", Unit::Octets, "process_resident_memory_bytes"),
        ])
        .line(8, vec![
            time_series("Duration of scrapes", "How long Prometheus waits for the metrics.", Unit::Seconds)
                .query(&scrape, NODE)
                .limit(Limit::Scrape),
            time_series("Samples of scrapes", "How many samples a scrape has.", Unit::Count)
                .query(&metric("scrape_samples_scraped").max(BY_NODE), NODE),
            time_series("File descriptors", "Open ones, as a share of what the system allows.", Unit::Share)
                .query(&descriptors, NODE)
                .thresholds(rising(0.7, 0.9)),
            time_series("Clock", "What the server's clock says less what Prometheus's does: more than a second or two is a wrong clock. The time of a scrape is in it.", Unit::Seconds)
                .query(&clock, NODE)
                .thresholds(rising(2.0, 5.0)),
            gauge_of("Threads", "Threads of the daemon.", Unit::Count, "process_threads"),
        ])
}

fn datasets() -> Section {
    Section::new("Datasets")
        .line(8, series())
        .line(8, cells())
        .line(
            7,
            vec![
                time_series(
                    "Octets without room",
                    "The same of datasets that add octets up.",
                    Unit::OctetRate,
                )
                .query(
                    &by_dataset("xdsc_dataset_uncounted_bytes_total"),
                    "{{dataset}}",
                ),
                time_series(
                    "Error bound in octets",
                    "The same of datasets that add octets up.",
                    Unit::Octets,
                )
                .query(
                    &metric("xdsc_dataset_error_bound_bytes").max("dataset"),
                    "{{dataset}}",
                ),
            ],
        )
}

fn by_dataset(family: &str) -> String {
    metric(family).rate("dataset")
}

/// What is exported, and what it takes.
fn series() -> Vec<Panel> {
    let series = metric("xdsc_export_series").max(BY_NODE);
    let full = format!(
        "{} / {}",
        metric("xdsc_export_series"),
        metric("xdsc_export_max_series")
    );
    vec![
        time_series(
            "Series of datasets",
            "Series that are exported.",
            Unit::Count,
        )
        .query(&series, NODE),
        time_series(
            "Series, of those allowed",
            "At 1, values get no cells any more (`export.max_series`).",
            Unit::Share,
        )
        .query(&full, NODE)
        .thresholds(rising(0.8, 0.95)),
        gauge_of(
            "Memory of datasets",
            "Memory of what is added up for the datasets.",
            Unit::Octets,
            "xdsc_aggregate_memory_bytes",
        ),
    ]
}

/// What has no cell, or lost it.
fn cells() -> Vec<Panel> {
    vec![
        time_series(
            "Churn",
            "Cells that went, by why. Much of it makes Prometheus's index grow.",
            Unit::Events,
        )
        .query(
            &metric("xdsc_dataset_churn_total").rate("dataset, reason"),
            "{{dataset}} {{reason}}",
        ),
        time_series(
            "Values without a cell",
            "Values that were frequent enough for a cell and got none.",
            Unit::Events,
        )
        .query(&by_dataset("xdsc_dataset_overflow_total"), "{{dataset}}"),
        time_series(
            "Messages without room",
            "Messages, of those in other, whose values found no room in memory.",
            Unit::Messages,
        )
        .query(
            &by_dataset("xdsc_dataset_uncounted_messages_total"),
            "{{dataset}}",
        ),
        time_series(
            "Error bound",
            "Messages that a value without a cell can have at most.",
            Unit::Count,
        )
        .query(
            &metric("xdsc_dataset_error_bound_messages").max("dataset"),
            "{{dataset}}",
        ),
    ]
}

fn pairing() -> Section {
    Section::new("Pairing of queries and responses").line(
        8,
        vec![
            gauge_of(
                "One transaction in so many",
                "Of all transactions, so many are paired; numbers are scaled up.",
                Unit::Count,
                "xdsc_pairing_interval",
            ),
            gauge_of(
                "Transactions that wait",
                "Transactions that wait for their other half.",
                Unit::Count,
                "xdsc_pairing_pending",
            ),
            never_of(
                "Transactions without room",
                "Messages that could not wait, since the table was full (`pairing.capacity`).",
                Unit::Messages,
                "xdsc_pairing_overflows_total",
            ),
        ],
    )
}

fn streams() -> Section {
    Section::new("TCP streams")
        .line(
            8,
            vec![
                gauge_of(
                    "Streams that are followed",
                    "TCP streams with unfinished messages.",
                    Unit::Count,
                    "xdsc_streams",
                ),
                gauge_of(
                    "Memory of streams",
                    "Octets kept of unfinished streams.",
                    Unit::Octets,
                    "xdsc_stream_memory_bytes",
                ),
                rate_of(
                    "Messages put together",
                    "DNS messages that came in several segments.",
                    Unit::Messages,
                    "xdsc_stream_messages_total",
                ),
            ],
        )
        .line(
            8,
            vec![
                rate_of(
                    "Segments out of step",
                    "Segments that could not be brought into step with their stream.",
                    Unit::Packets,
                    "xdsc_stream_out_of_step_segments_total",
                ),
                rate_of(
                    "Streams that end in a message",
                    "Streams forgotten with an unfinished message.",
                    Unit::Events,
                    "xdsc_stream_unfinished_total",
                ),
                never_of(
                    "Streams forgotten early",
                    "A bound was reached (`tcp.streams`, `tcp.memory`).",
                    Unit::Events,
                    "xdsc_stream_evictions_total",
                ),
                never_of(
                    "Segments out of order",
                    "Segments that could not wait for older ones, which came by other CPUs.",
                    Unit::Packets,
                    "xdsc_stream_unordered_segments_total",
                ),
                never_of(
                    "Segments lost",
                    "Segments for which there was no room on the way to the drain thread that has their stream.",
                    Unit::Packets,
                    "xdsc_stream_lost_segments_total",
                ),
            ],
        )
}

fn tables() -> Section {
    let database = "{{site}} {{instance}} {{database}}";
    let by_table = "site, instance, table, source";
    let built = format!(
        "{} * 1000",
        metric("xdsc_geoip_database_build_timestamp_seconds").max("database, type")
    );
    Section::new("Databases and tables: countries, networks, customers, zones")
        .line(8, vec![
            time_series("Age of databases", "Since a database was built. Those of MaxMind are built anew each week.", Unit::Seconds)
                .query(&metric("xdsc_geoip_database_age_seconds").max("site, instance, database"), database)
                .limit(Limit::DatabaseAge),
            states("Stale tables", "Tables that could not be read the last time, so that what they were before goes on.", Unit::Plain)
                .query(&metric("xdsc_table_stale").max(by_table), "{{site}} {{instance}} {{table}} {{source}}")
                .limit(Limit::Never)
                .told(&[("0", "fresh", palette::GOOD), ("1", "stale", palette::BAD)]),
            table("Databases", "What they call themselves, and when they were built.", Unit::PointInTime)
                .column(&built, "Built")
                .labels(&[("database", "Database"), ("type", "Type")]),
        ])
        .line(8, vec![
            time_series("Hits of caches", "Lookups that caches of what is known of addresses could answer, as a share.", Unit::Share)
                .query(&hits("xdsc_enrichment_cache_lookups_total", "cache"), "{{cache}}")
                .thresholds(falling(0.5, 0.8)),
            time_series("Evictions of caches", "Values that went to make room. Many with few hits: enlarge `geoip.cache`.", Unit::Events)
                .query(&metric("xdsc_enrichment_cache_evictions_total").rate("cache"), "{{cache}}"),
            time_series("Fill of caches", "Values in the caches, as a share of what they take.", Unit::Share)
                .query(&format!("{} / {}", metric("xdsc_enrichment_cache_entries").sum("cache"), metric("xdsc_enrichment_cache_max_entries").sum("cache")), "{{cache}}"),
            time_series("Entries of tables", "How many prefixes, zones and names tables have.", Unit::Count)
                .query(&metric("xdsc_table_entries").max("table"), "{{table}}"),
        ])
        .line(8, vec![
            table("Tables", "When what is used was read; memory of databases is beside.", Unit::PointInTime)
                .column(&format!("{} * 1000", metric("xdsc_table_loaded_timestamp_seconds").max(by_table)), "Read")
                .labels(&[("site", "Site"), ("instance", "Node"), ("table", "Table"), ("source", "Source")]),
            time_series("Readings of tables", "Times that a table was read anew, or could not be.", Unit::Events)
                .query(&metric("xdsc_table_reloads_total").rate("table, result"), "{{table}} {{result}}"),
            time_series("Memory of databases", "Each database is in memory as a whole.", Unit::Octets)
                .query(&metric("xdsc_geoip_database_size_bytes").max("database"), "{{database}}"),
        ])
}

fn reverse_dns() -> Section {
    let states_of = metric("xdsc_reverse_dns_breaker_state").max("site, instance, state");
    let queue = format!(
        "{} / {}",
        metric("xdsc_reverse_dns_queue_length"),
        metric("xdsc_reverse_dns_queue_capacity")
    );
    let took = metric("xdsc_reverse_dns_query_duration_seconds");
    let waited = metric("xdsc_reverse_dns_queue_wait_seconds");
    let limited = metric("xdsc_reverse_dns_limited_queries_total");
    Section::new("Names of clients: needs reverse_dns.enabled")
        .collapsed()
        .line(8, vec![
            time_series("Queries to resolvers", "What xdsc itself sends, and how much of it had to wait for the limiter.", Unit::Queries)
                .query(&metric("xdsc_reverse_dns_queries_total").rate(""), "sent")
                .query(&limited.rate(""), "had to wait"),
            time_series("Results of queries", "How queries to resolvers end.", Unit::Events)
                .query(&metric("xdsc_reverse_dns_query_results_total").rate("result"), "{{result}}"),
            time_series("Duration of queries", "From a query to its response.", Unit::Seconds)
                .query(&took.quantile(0.5, ""), "50 %")
                .query(&took.quantile(0.95, ""), "95 %")
                .coloured(palette::QUANTILES)
                .thresholds(rising(0.5, 2.0)),
            states("Breaker", "Whether resolvers are asked (closed), left alone (open), or tried (half_open).", Unit::Plain)
                .query(&format!("{states_of} == 1"), "{{site}} {{instance}} {{state}}"),
        ])
        .line(8, vec![
            time_series("Requests for names", "What those who want a name are told at once.", Unit::Events)
                .query(&metric("xdsc_reverse_dns_requests_total").rate("result"), "{{result}}"),
            time_series("Queue of addresses", "Addresses that wait to be asked for, as a share of the room for them.", Unit::Share)
                .query(&queue, NODE)
                .limit(Limit::Fill),
            time_series("Waiting time in the queue", "From a request to the moment that its address is asked for.", Unit::Seconds)
                .query(&waited.quantile(0.5, ""), "50 %")
                .query(&waited.quantile(0.95, ""), "95 %")
                .coloured(palette::QUANTILES),
            gauge_of("Under way", "Addresses that are being asked for.", Unit::Count, "xdsc_reverse_dns_in_flight"),
        ])
        .line(8, vec![
            rate_of("Time spent in the limiter", "Seconds that queries waited for the limiter, per second.", Unit::Plain, "xdsc_reverse_dns_limited_seconds_total"),
            rate_of("Requests dropped", "Addresses that left the queue unasked, since resolvers were failing.", Unit::Events, "xdsc_reverse_dns_dropped_requests_total"),
            rate_of("Openings of the breaker", "Times that resolvers were left alone.", Unit::Events, "xdsc_reverse_dns_breaker_openings_total"),
            time_series("Names that count as none", "Not confirmed, beside another, or not usable.", Unit::Events)
                .query(&metric("xdsc_reverse_dns_unconfirmed_names_total").rate(""), "not confirmed")
                .query(&metric("xdsc_reverse_dns_surplus_names_total").rate(""), "beside another")
                .query(&metric("xdsc_reverse_dns_unusable_names_total").rate(""), "not usable"),
        ])
}

fn names_kept() -> Section {
    Section::new("Names that are kept: in memory, in a file, in the cache of a fleet")
        .collapsed()
        .line(8, memory())
        .line(8, fleet())
        .line(8, file())
}

/// Names in memory.
fn memory() -> Vec<Panel> {
    let fill = format!(
        "{} / {}",
        metric("xdsc_reverse_dns_cache_entries"),
        metric("xdsc_reverse_dns_cache_capacity")
    );
    vec![
        time_series(
            "Hits in memory",
            "Requests for a name of which something was known, as a share.",
            Unit::Share,
        )
        .query(
            &hits("xdsc_reverse_dns_cache_lookups_total", "site, instance"),
            NODE,
        )
        .thresholds(falling(0.3, 0.6)),
        time_series(
            "Fill of memory",
            "Addresses in memory, as a share of the most.",
            Unit::Share,
        )
        .query(&fill, NODE),
        rate_of(
            "Evictions from memory",
            "Addresses that went to make room (`reverse_dns.cache`).",
            Unit::Events,
            "xdsc_reverse_dns_cache_evictions_total",
        ),
    ]
}

/// Names in the cache of the fleet.
fn fleet() -> Vec<Panel> {
    let redis = metric("xdsc_reverse_dns_redis_breaker_state").max("site, instance, state");
    vec![
        time_series(
            "Lookups in the fleet's cache",
            "What came of looking there (`reverse_dns.redis`).",
            Unit::Events,
        )
        .query(
            &metric("xdsc_reverse_dns_redis_lookups_total").rate("result"),
            "{{result}}",
        ),
        time_series(
            "Writes to the fleet's cache",
            "Whether it took them.",
            Unit::Events,
        )
        .query(
            &metric("xdsc_reverse_dns_redis_writes_total").rate("result"),
            "{{result}}",
        ),
        states(
            "Breaker of the fleet's cache",
            "Whether it is asked (closed), left alone (open), or tried (half_open).",
            Unit::Plain,
        )
        .query(&format!("{redis} == 1"), "{{site}} {{instance}} {{state}}"),
    ]
}

/// Names in a file.
fn file() -> Vec<Panel> {
    let written = format!(
        "time() - ({} > 0)",
        metric("xdsc_reverse_dns_file_last_write_timestamp_seconds")
    );
    vec![
        time_series(
            "Since the file was written",
            "Age of the file of names (`reverse_dns.cache_file`).",
            Unit::Seconds,
        )
        .query(&written, NODE),
        never_of(
            "Errors of the file",
            "Times that the names could not be written; the log says why.",
            Unit::Events,
            "xdsc_reverse_dns_file_errors_total",
        ),
        table(
            "Lines of the file",
            "What became of them at the start.",
            Unit::Count,
        )
        .column(
            &metric("xdsc_reverse_dns_file_lines_total").total("result"),
            "Lines",
        )
        .labels(&[("result", "Result")]),
    ]
}

fn enriched() -> Section {
    Section::new("Enriched stream: xdsc tail and other subscribers")
        .collapsed()
        .line(8, exchanges())
        .line(8, sampling())
}

/// What goes through the stream.
fn exchanges() -> Vec<Panel> {
    let queue = format!(
        "{} / {}",
        metric("xdsc_enriched_queue_length"),
        metric("xdsc_enriched_queue_capacity")
    );
    vec![
        time_series(
            "Exchanges",
            "Queries and responses that were brought together.",
            Unit::Events,
        )
        .query(
            &metric("xdsc_enriched_exchanges_total").rate("kind"),
            "{{kind}}",
        ),
        time_series(
            "Messages chosen",
            "Looked at, or dropped since the queue was full.",
            Unit::Messages,
        )
        .query(
            &metric("xdsc_enriched_records_total").rate("outcome"),
            "{{outcome}}",
        ),
        time_series(
            "Messages in no exchange",
            "Why messages were left out.",
            Unit::Messages,
        )
        .query(
            &metric("xdsc_enriched_left_out_records_total").rate("reason"),
            "{{reason}}",
        ),
        time_series(
            "Queue of messages",
            "Messages that wait to be enriched, as a share of the room for them.",
            Unit::Share,
        )
        .query(&queue, NODE)
        .limit(Limit::Fill),
    ]
}

/// How much of it is wanted.
fn sampling() -> Vec<Panel> {
    vec![
        states(
            "Active",
            "Whether messages are taken for the stream.",
            Unit::Plain,
        )
        .query(&metric("xdsc_enriched_stream_active").max(BY_NODE), NODE)
        .told(&[("0", "off", "#8e8e8e"), ("1", "on", palette::GOOD)]),
        gauge_of(
            "One of the paired in so many",
            "Of the paired transactions, so many are taken.",
            Unit::Count,
            "xdsc_enriched_sampling_interval",
        ),
        gauge_of(
            "Messages that wait",
            "Messages that wait for their other half.",
            Unit::Count,
            "xdsc_enriched_pending",
        ),
    ]
}

fn subscribers() -> Section {
    Section::new("Subscribers of the enriched stream")
        .collapsed()
        .line(8, subscriptions())
        .line(8, subscribers_lag())
}

fn subscriptions() -> Vec<Panel> {
    let of = |title: &str, description: &str, family: &str| {
        time_series(title, description, Unit::Events)
            .query(&metric(family).rate(BY_SUBSCRIBER), SUBSCRIBER)
    };
    let taken = format!(
        "{} / {}",
        metric("xdsc_enriched_subscribers"),
        metric("xdsc_enriched_subscribers_max")
    );
    vec![
        time_series(
            "Places taken",
            "Subscribers, as a share of those that are allowed.",
            Unit::Share,
        )
        .query(&taken, NODE)
        .thresholds(rising(0.8, 1.0)),
        rate_of(
            "Subscribers turned away",
            "All places were taken.",
            Unit::Events,
            "xdsc_enriched_refused_subscriptions_total",
        ),
        of(
            "Sent",
            "Exchanges that were sent to a subscriber.",
            "xdsc_enriched_subscriber_sent_exchanges_total",
        ),
        of(
            "Missed",
            "Exchanges that a subscriber missed since it was too slow.",
            "xdsc_enriched_subscriber_dropped_exchanges_total",
        )
        .limit(Limit::Never),
    ]
}

fn subscribers_lag() -> Vec<Panel> {
    vec![
        time_series(
            "Produced less consumed by subscribers",
            "Exchanges that come faster than a subscriber takes them.",
            Unit::Events,
        )
        .query(
            &format!(
                "{} - {}",
                metric("xdsc_enriched_subscriber_produced_exchanges_total").rate(BY_SUBSCRIBER),
                metric("xdsc_enriched_subscriber_consumed_exchanges_total").rate(BY_SUBSCRIBER)
            ),
            SUBSCRIBER,
        ),
        time_series(
            "Backlog",
            "Exchanges that wait for a subscriber.",
            Unit::Count,
        )
        .query(
            &metric("xdsc_enriched_subscriber_backlog_exchanges").max(BY_SUBSCRIBER),
            SUBSCRIBER,
        ),
        time_series(
            "Lag",
            "Age of the oldest exchange that waits, and the worst of the last minute.",
            Unit::Seconds,
        )
        .query(
            &metric("xdsc_enriched_subscriber_lag_seconds").max(BY_SUBSCRIBER),
            &format!("{SUBSCRIBER} now"),
        )
        .query(
            &metric("xdsc_enriched_subscriber_max_lag_seconds").max(BY_SUBSCRIBER),
            &format!("{SUBSCRIBER} worst"),
        )
        .limit(Limit::Lag),
    ]
}

fn files() -> Section {
    let age = |family: &str| format!("time() - ({} > 0)", metric(family));
    Section::new("Files of DSC: needs dsc.conf")
        .collapsed()
        .line(
            8,
            vec![
                time_series(
                    "Since the last interval",
                    "Age of DSC's files.",
                    Unit::Seconds,
                )
                .query(&age("xdsc_dsc_last_write_timestamp_seconds"), NODE)
                .thresholds(rising(300.0, 3600.0)),
                never_of(
                    "Errors of writing",
                    "Intervals that could not be written; the log says why.",
                    Unit::Events,
                    "xdsc_dsc_file_errors_total",
                ),
                never_of(
                    "Messages without room in the files",
                    "Messages, by datasets, that are not in the files (`dsc.cells`).",
                    Unit::Messages,
                    "xdsc_dsc_file_uncounted_messages_total",
                ),
            ],
        )
}

fn identity() -> Section {
    let nodes = format!(
        "count by (site, exported_site, node, instance) ({})",
        metric("xdsc_node_info")
    );
    Section::new("Who and what").line(8, vec![
        table("Nodes", "The names that nodes give themselves.", Unit::Plain)
            .column(&nodes, "Nodes")
            .labels(&[("site", "Site"), ("instance", "Instance"), ("node", "Node"), ("exported_site", "Site, as configured there")])
            .without(&["Value"]),
        table("Versions", "What is running where.", Unit::Plain)
            .column(&format!("count by (site, instance, version) ({})", metric("xdsc_build_info")), "Nodes")
            .labels(&[("site", "Site"), ("instance", "Instance"), ("version", "Version")])
            .without(&["Value"]),
        table("Interfaces", "Where and how the kernel programs are attached: generic XDP costs more than native.", Unit::Plain)
            .column(&format!("count by (site, instance, interface, hook, mode) ({})", metric("xdsc_attachment_info")), "Programs")
            .labels(&[("site", "Site"), ("instance", "Instance"), ("interface", "Interface"), ("hook", "Direction"), ("mode", "Mode")])
            .without(&["Value"]),
        table("Sizes of rings", "Octets of each ring's data; all rings of a node are equally large.", Unit::Octets)
            .column(&metric("xdsc_ring_size_bytes").max("site, instance"), "Size")
            .labels(&[("site", "Site"), ("instance", "Instance")]),
    ])
}
