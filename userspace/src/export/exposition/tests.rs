use std::fmt::Write as _;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::exemplar::CounterWithExemplar;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::metrics::info::Info;
use prometheus_client::registry::{Registry, Unit};

use super::{Exposition, to_classic_text};
use crate::export::promtool;

#[test]
fn openmetrics_is_served_to_whoever_prefers_it() {
    let cases = [
        // Prometheus 2.42.
        "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
        // Prometheus 3, without and with protobuf.
        "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.5,application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=1.0.0;escaping=allow-utf-8;q=0.3,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.2,*/*;q=0.1",
        "application/openmetrics-text",
        "Application/OpenMetrics-Text; Version=\"1.0.0\"; charset=utf-8",
        "application/openmetrics-text; version=0.0.1",
        "text/plain;q=0.5 , application/openmetrics-text ; q=0.500",
        // Version 1.0.0 of the classic text is not what we would send.
        "text/plain;version=1.0.0, application/openmetrics-text;q=0.1",
        "application/*",
    ];
    for accept in cases {
        let chosen = Exposition::negotiate(Some(accept));
        assert_eq!(chosen, Exposition::OpenMetrics, "Accept: {accept}");
    }
}

#[test]
fn everyone_else_gets_the_classic_text() {
    let cases = [
        "",
        "*/*",
        "text/plain",
        "text/plain;version=0.0.4;q=1,*/*;q=0.1",
        "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
        "application/openmetrics-text;q=0.4, text/plain;q=0.5",
        "application/openmetrics-text;q=0.4, */*",
        "application/openmetrics-text;q=0",
        "application/openmetrics-text;q=0, application/*",
        "application/openmetrics-text;version=2.0.0",
        "application/openmetrics-text;q=",
        "application/openmetrics-text;q=-1",
        "application/openmetrics-text;q=NaN",
        "application/openmetrics-text;q=1.5",
        "application/openmetrics-textual",
        "openmetrics",
        ";;;,,,q=1,\u{fffd}",
    ];
    for accept in cases {
        let chosen = Exposition::negotiate(Some(accept));
        assert_eq!(chosen, Exposition::Text, "Accept: {accept}");
    }
    assert_eq!(Exposition::negotiate(None), Exposition::Text);
}

/// Checks one translation; both sides are written by hand.
#[track_caller]
fn assert_translation(openmetrics: &str, classic: &str) {
    assert_eq!(to_classic_text(openmetrics), classic);
}

#[test]
fn a_counter_is_described_under_its_samples_name() {
    assert_translation(
        "# HELP xdsc_messages DNS messages.\n\
         # TYPE xdsc_messages counter\n\
         xdsc_messages_total{qr=\"query\"} 17\n\
         # EOF\n",
        "# HELP xdsc_messages_total DNS messages.\n\
         # TYPE xdsc_messages_total counter\n\
         xdsc_messages_total{qr=\"query\"} 17\n",
    );
}

#[test]
fn help_may_follow_the_type_or_stand_alone() {
    assert_translation(
        "# TYPE a counter\n# HELP a After.\na_total 1\n# HELP b Alone.\nb 2\n# HELP c Last.\n# EOF\n",
        "# TYPE a_total counter\n# HELP a_total After.\na_total 1\n# HELP b Alone.\nb 2\n# HELP c Last.\n",
    );
}

#[test]
fn units_and_the_end_mark_are_dropped() {
    assert_translation(
        "# HELP lag_seconds Lag.\n# TYPE lag_seconds gauge\n# UNIT lag_seconds seconds\nlag_seconds 0.5\n# EOF\n",
        "# HELP lag_seconds Lag.\n# TYPE lag_seconds gauge\nlag_seconds 0.5\n",
    );
}

#[test]
fn types_unknown_to_the_classic_format_get_their_nearest_relative() {
    assert_translation(
        "# HELP xdsc_build Build.\n# TYPE xdsc_build info\nxdsc_build_info{version=\"1\"} 1\n\
         # TYPE a unknown\na 1\n\
         # TYPE b stateset\nb{b=\"on\"} 1\n\
         # TYPE c gaugehistogram\nc_bucket{le=\"+Inf\"} 3\nc_gcount 3\nc_gsum 4\n\
         # EOF\n",
        "# HELP xdsc_build_info Build.\n# TYPE xdsc_build_info gauge\nxdsc_build_info{version=\"1\"} 1\n\
         # TYPE a untyped\na 1\n\
         # TYPE b gauge\nb{b=\"on\"} 1\n\
         # TYPE c untyped\nc_bucket{le=\"+Inf\"} 3\nc_gcount 3\nc_gsum 4\n",
    );
}

#[test]
fn creation_times_are_dropped_but_not_gauges_of_that_name() {
    assert_translation(
        "# TYPE a counter\na_total 1\na_created{x=\"1\"} 1520430000.123\n\
         # TYPE b histogram\nb_count 0\nb_created 1520430000.123\n\
         # TYPE zone_created gauge\nzone_created 1520430000\n",
        "# TYPE a_total counter\na_total 1\n\
         # TYPE b histogram\nb_count 0\n\
         # TYPE zone_created gauge\nzone_created 1520430000\n",
    );
}

#[test]
fn exemplars_are_cut_and_label_values_are_not() {
    assert_translation(
        "a_total{q=\"x # {\\\"y\\\"} 1\"} 2 # {id=\"} # {\"} 0.5 1520879607.789\n\
         b_total 3 # {} 1\n\
         c_total{end=\"\\\\\"} 4 # {id=\"7\"} 1\n",
        "a_total{q=\"x # {\\\"y\\\"} 1\"} 2\n\
         b_total 3\n\
         c_total{end=\"\\\\\"} 4\n",
    );
}

#[test]
fn seconds_become_milliseconds() {
    assert_translation(
        "a 1 1520879607.789\nb{x=\"y\"} 2 1520879607 # {id=\"7\"} 1 1520879606\nc 3 0.0004\nd 4 -1.5\n",
        "a 1 1520879607789\nb{x=\"y\"} 2 1520879607000\nc 3 0\nd 4 -1500\n",
    );
}

#[test]
fn help_keeps_only_the_escapes_that_the_classic_format_knows() {
    assert_translation(
        "# HELP a One\\nline, a \\\\ and a \\\"quote\\\"; a stray \\d and \"quotes\".\n# HELP b End \\\n",
        "# HELP a One\\nline, a \\\\ and a \"quote\"; a stray \\\\d and \"quotes\".\n# HELP b End \\\\\n",
    );
}

#[test]
fn infinities_are_spelled_as_the_classic_format_has_them() {
    assert_translation("a inf\nb -inf\nc +Inf\n", "a +Inf\nb -Inf\nc +Inf\n");
}

#[test]
fn special_values_and_broken_lines_pass_unchanged() {
    let lines = "a +Inf\nb NaN\nc{x=\"never closed\nd\n";
    assert_translation(lines, lines);
}

#[test]
fn names_that_merely_share_a_suffix_are_left_alone() {
    assert_translation(
        "# HELP hosts_info Hosts.\n# TYPE hosts_info gauge\nhosts_info 1\n",
        "# HELP hosts_info Hosts.\n# TYPE hosts_info gauge\nhosts_info 1\n",
    );
}

/// DNS names are bytes of a stranger's choice; these are their worst texts.
const HOSTILE: [&str; 10] = [
    "quote\"",
    "back\\slash",
    "\\",
    "line\nfeed",
    "carriage\rreturn\r",
    "} 1 # {x=\"y\"} 2",
    "# EOF",
    "{}",
    "привет \u{1f980} \u{0}\u{7f}",
    " # TYPE x counter\n",
];

fn hostile_registry() -> Registry {
    let mut registry = Registry::with_prefix("xdsc");
    let names = Family::<[(&str, &str); 1], Counter>::default();
    for name in HOSTILE {
        names.get_or_create(&[("qname", name)]).inc();
    }
    registry.register("queries", "Queries by name, \"as sent\"", names);

    let traced = CounterWithExemplar::<Vec<(String, String)>>::default();
    traced.inc_by(3, Some(vec![("trace".into(), HOSTILE[5].into())]), None);
    registry.register("traced", "Messages traced", traced);

    let lag: Gauge<f64, std::sync::atomic::AtomicU64> = Gauge::default();
    lag.set(0.25);
    registry.register_with_unit("lag", "Age of the oldest record", Unit::Seconds, lag);

    let sizes = Histogram::new([512.0, 1232.0]);
    sizes.observe(600.0);
    registry.register_with_unit("reply_size", "Sizes of replies", Unit::Bytes, sizes);

    registry.register("build", "The build", Info::new([("version", HOSTILE[0])]));
    registry
}

#[test]
fn promtool_accepts_the_translation_of_hostile_names() -> std::fmt::Result {
    let mut openmetrics = String::new();
    encode(&mut openmetrics, &hostile_registry())?;
    let classic = to_classic_text(&openmetrics);
    assert_eq!(
        classic.matches("\nxdsc_queries_total{").count(),
        HOSTILE.len()
    );
    promtool::check_metrics(&classic);
    Ok(())
}

#[test]
fn promtool_reads_every_form_the_translation_writes() -> std::fmt::Result {
    let mut openmetrics = String::new();
    writeln!(
        openmetrics,
        "# HELP a Stray \\d and \\\"quote\\\".\n# TYPE a counter"
    )?;
    for (index, name) in HOSTILE.iter().enumerate() {
        let escaped = name
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        writeln!(
            openmetrics,
            "a_total{{n=\"{index}\",qname=\"{escaped}\"}} 1 1520879607.789 # {{id=\"{escaped}\"}} 1"
        )?;
    }
    openmetrics.push_str("# HELP b A state.\n# TYPE b stateset\nb{b=\"on\"} 1\n# HELP c Unknown.\n# TYPE c unknown\nc NaN\n# EOF\n");
    promtool::check_metrics(&to_classic_text(&openmetrics));
    Ok(())
}
