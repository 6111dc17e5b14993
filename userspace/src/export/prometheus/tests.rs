//! What a scrape shows, by the text itself and by Prometheus's own tool.

use super::super::{exposition::to_classic_text, promtool};
use super::*;

#[test]
fn prometheus_finds_nothing_to_complain_about() -> fmt::Result {
    let text = openmetrics(Snapshot::example(), Some(ProcessCollector::new()))?;
    promtool::check_metrics(&to_classic_text(&text));
    Ok(())
}

#[test]
fn the_example_has_a_sample_of_every_family() -> fmt::Result {
    let text = openmetrics(Snapshot::example(), None)?;
    let mut lines = text.lines().peekable();
    let mut families = 0;
    while let Some(line) = lines.next() {
        let Some(family) = line.strip_prefix("# TYPE ") else {
            continue;
        };
        let (name, _) = family.split_once(' ').expect("a name and a type");
        let _unit = lines.next_if(|line| line.starts_with("# UNIT "));
        let sample = lines.peek().expect("more than a family's head");
        assert!(sample.starts_with(name), "no sample of {name}: {sample}");
        families += 1;
    }
    assert!(families > 30, "{families} families");
    Ok(())
}

#[test]
fn a_capture_has_no_families_of_the_live_source() -> fmt::Result {
    let text = openmetrics(Snapshot::default(), None)?;
    assert!(text.contains("xdsc_packets_total{"));
    for family in ["xdsc_ring_", "xdsc_probe_", "xdsc_node_info", "process_"] {
        assert!(!text.contains(family), "{family}");
    }
    Ok(())
}

#[test]
fn values_from_packets_are_escaped() -> fmt::Result {
    use crate::stats::{
        aggregate::{Aggregate, Limits, Moment, Report},
        builtin,
        cells::Counted,
        engine::Counts,
        plan::{Plan, Rules},
    };
    let plan = Plan::new(builtin::all(), Rules::default()).with_distinct_counts();
    let plan = std::sync::Arc::new(plan);
    let mut counts = Counts::new(&plan, 100, 1);
    let hostile = b"\x0da\"b\nc\\d{}\xff\x00,=\x05other\x00";
    for dataset in &mut counts.datasets {
        dataset.total = 1;
        if let Counted::New(cell) = dataset.cells.add(7, 7, 1) {
            for dimension in 0..2 {
                dataset.cells.keep_text(cell, dimension, hostile);
            }
        }
    }
    let mut aggregate = Aggregate::new(plan, Limits::default(), 1);
    aggregate.merge(&counts, Moment::default());
    let snapshot = Snapshot {
        statistics: Some(Report {
            flooded_zones: vec![("example.com".to_owned(), 1.0)],
            ..aggregate.report()
        }),
        ..Snapshot::example()
    };
    let text = to_classic_text(&openmetrics(snapshot, None)?);
    promtool::check_metrics(&text);
    let qname =
        r#"xdsc_dataset_qname_messages_total{qname="a\"b\\010c\\\\d{}\\255\\000,=.other"} 1"#;
    let line = text
        .lines()
        .find(|line| line.contains("dataset_qname") && line.contains("other\"} 1"));
    assert_eq!(line, Some(qname));
    Ok(())
}
