//! Colours: of what means something, the same on all dashboards.

use serde_json::json;

use super::schema::{Matcher, Override, Property, Step};

/// Nothing to worry about.
pub(super) const GOOD: &str = "green";
/// Look at it.
pub(super) const WARNING: &str = "orange";
/// Do something.
pub(super) const BAD: &str = "red";
/// Neither good nor bad.
pub(super) const NEUTRAL: &str = "blue";
/// What is all the rest.
const REST: &str = "#8e8e8e";

/// Colours of the values of a label.
pub(super) type Palette = &'static [(&'static str, &'static str)];

pub(super) const RCODES: Palette = &[
    ("NOERROR", "green"),
    ("NXDOMAIN", "blue"),
    ("SERVFAIL", "red"),
    ("REFUSED", "orange"),
    ("FORMERR", "purple"),
    ("NOTIMP", "yellow"),
    ("NOTAUTH", "super-light-orange"),
    ("BADVERS", "super-light-purple"),
    ("BADCOOKIE", "light-purple"),
    ("other", REST),
];

pub(super) const QTYPES: Palette = &[
    ("A", "green"),
    ("AAAA", "blue"),
    ("NS", "yellow"),
    ("MX", "orange"),
    ("TXT", "purple"),
    ("SOA", "light-yellow"),
    ("PTR", "light-green"),
    ("CNAME", "light-orange"),
    ("SRV", "light-purple"),
    ("CAA", "semi-dark-orange"),
    ("HTTPS", "light-blue"),
    ("SVCB", "super-light-blue"),
    ("DS", "semi-dark-purple"),
    ("DNSKEY", "dark-purple"),
    ("RRSIG", "dark-blue"),
    ("NSEC", "dark-green"),
    ("ANY", "red"),
    ("AXFR", "dark-red"),
    ("IXFR", "semi-dark-red"),
    ("none", "#c0c0c0"),
    ("other", REST),
];

pub(super) const TRANSPORTS: Palette = &[("udp", "blue"), ("tcp", "orange"), ("other", REST)];

pub(super) const FAMILIES: Palette = &[
    ("ipv4", "blue"),
    ("ipv6", "green"),
    ("IPv4", "blue"),
    ("IPv6", "green"),
    ("ipv6_64", "light-green"),
    ("none", "#c0c0c0"),
    ("other", REST),
];

pub(super) const OUTCOMES: Palette = &[
    ("answered", "green"),
    ("unanswered", "red"),
    ("unsolicited", "orange"),
    ("delivered", "green"),
    ("sampled_out", "yellow"),
    ("count_only", "blue"),
    ("ring_full", "red"),
    ("reentered", "dark-red"),
    ("unreadable", "orange"),
    ("dns", "green"),
    ("segment", "light-green"),
    ("not_dns", "blue"),
    ("rejected", "red"),
    ("fragment", "orange"),
];

pub(super) const QUANTILES: Palette = &[
    ("50 %", "green"),
    ("90 %", "yellow"),
    ("95 %", "orange"),
    ("99 %", "red"),
];

pub(super) const DIRECTIONS: Palette = &[
    ("queries", "blue"),
    ("responses", "green"),
    ("unanswered", "red"),
];

/// Names without a meaning: only what is all the rest has a colour.
pub(super) const NAMES: Palette = &[("other", REST)];

/// The colours as overrides of the series that are called so.
pub(super) fn overrides(palette: Palette) -> Vec<Override> {
    let of = |(name, colour): &(&str, &'static str)| Override {
        matcher: Matcher {
            id: "byName",
            options: (*name).to_owned(),
        },
        properties: vec![Property {
            id: "color",
            value: json!({"mode": "fixed", "fixedColor": colour}),
        }],
    };
    palette.iter().map(of).collect()
}

/// Good until `warning`, bad from `bad` on.
pub(super) fn rising(warning: f64, bad: f64) -> Vec<Step> {
    steps(&[(GOOD, None), (WARNING, Some(warning)), (BAD, Some(bad))])
}

/// Bad until `warning`, good from `good` on.
pub(super) fn falling(warning: f64, good: f64) -> Vec<Step> {
    steps(&[(BAD, None), (WARNING, Some(warning)), (GOOD, Some(good))])
}

/// Bad as soon as there is any.
pub(super) fn never() -> Vec<Step> {
    steps(&[(GOOD, None), (BAD, Some(1e-9))])
}

/// No value is good or bad.
pub(super) fn neutral() -> Vec<Step> {
    steps(&[(NEUTRAL, None)])
}

fn steps(steps: &[(&'static str, Option<f64>)]) -> Vec<Step> {
    let of = |(color, value): &(&'static str, Option<f64>)| Step {
        color,
        value: *value,
    };
    steps.iter().map(of).collect()
}
