//! A number is bad on a dashboard from where on an alert goes off for it.

use std::{collections::BTreeMap, fs};

use crate::{dashboards::limits::Limit, workspace};

/// Limits, and the thresholds of alerts for the same numbers, in their units.
const SAME: [(Limit, &str, f64); 11] = [
    (Limit::Unanswered, "unanswered_ratio", 1.0),
    (Limit::ResponseTime, "response_time_seconds", 1.0),
    (Limit::Servfail, "servfail_ratio", 1.0),
    (Limit::Tcp, "tcp_ratio", 1.0),
    (Limit::Amplification, "reflection_amplification", 1.0),
    (Limit::Spike, "spike_ratio", 1.0),
    (Limit::RandomNames, "random_names", 1.0),
    (Limit::Sampled, "sampled_ratio", 1.0),
    (Limit::Lag, "lag_seconds", 1.0),
    (Limit::Scrape, "scrape_seconds", 1.0),
    (Limit::DatabaseAge, "geoip_days", 86_400.0),
];

/// `expr: vector(5)` and, in the line after, `labels: {name: lag_seconds}`.
fn thresholds<'a>(rules: &'a str) -> BTreeMap<&'a str, f64> {
    let lines: Vec<_> = rules.lines().map(str::trim).collect();
    let of = |pair: &[&'a str]| {
        let value = pair[0].strip_prefix("expr: vector(")?.strip_suffix(')')?;
        let name = pair[1].strip_prefix("labels: {name: ")?.strip_suffix('}')?;
        Some((name, value.parse().ok()?))
    };
    lines.windows(2).filter_map(of).collect()
}

#[test]
fn what_is_bad_raises_an_alert() {
    let path = workspace::root().join("dashboards/prometheus/thresholds.yml");
    let Ok(rules) = fs::read_to_string(path) else {
        panic!("there are no thresholds of alerts");
    };
    let thresholds = thresholds(&rules);
    for (limit, name, factor) in SAME {
        let alert = thresholds.get(name).unwrap_or_else(|| panic!("no {name}"));
        let steps = limit.steps();
        let bad = steps.last().and_then(|step| step.value);
        assert_eq!(bad, Some(alert * factor), "{limit:?}");
    }
}
