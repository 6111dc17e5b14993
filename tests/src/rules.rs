//! The rules for Prometheus in `dashboards/prometheus`, and the expressions in
//! them and in their documentation.
//!
//! An expression is not parsed, promtool does that: what is taken from it are the
//! series and labels that it names, to be compared with what xdsc exports.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use anyhow::{Context as _, Result};
use regex::{Captures, Regex};
use serde::Deserialize;

/// The files of rules, in the order in which they build on each other.
pub const FILES: [&str; 3] = ["thresholds.yml", "recording.yml", "alerts.yml"];

/// The folder of this repository.
#[must_use]
pub fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of the rules.
#[must_use]
pub fn folder() -> PathBuf {
    repository().join("dashboards/prometheus")
}

/// A file of rules.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleFile {
    /// Its groups.
    pub groups: Vec<Group>,
}

/// Rules that are evaluated one after the other.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// Its name.
    pub name: String,
    /// The rules.
    pub rules: Vec<Rule>,
}

/// A rule that records a series, or one that alerts.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The name of what it records.
    pub record: Option<String>,
    /// The name of the alert.
    pub alert: Option<String>,
    /// The expression.
    pub expr: String,
    /// How long the expression must have a value until the alert is raised.
    #[serde(rename = "for")]
    pub hold: Option<String>,
    /// Labels that it adds.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// What an alert says.
    #[serde(default)]
    pub annotations: BTreeMap<String, String>,
}

/// The rules of one file.
///
/// # Errors
/// When it cannot be read.
pub fn load(file: &str) -> Result<Vec<Rule>> {
    let text = fs::read_to_string(folder().join(file)).with_context(|| file.to_owned())?;
    let parsed: RuleFile = serde_saphyr::from_str(&text).with_context(|| file.to_owned())?;
    Ok(parsed.groups.into_iter().flat_map(|it| it.rules).collect())
}

/// Rules as they are, with all of their durations so many times shorter: ranges,
/// offsets and `for`. What takes ten minutes can be waited for then. Thresholds,
/// and names such as `rate5m`, stay as they are.
///
/// # Errors
/// When a duration is not one.
pub fn faster(rules: &str, times: u64) -> Result<String> {
    static DURATION: LazyLock<Regex> =
        LazyLock::new(|| compiled(r"(\[|offset |for: )((?:\d+[wdhms])+)"));
    let mut failed = None;
    let text = DURATION.replace_all(rules, |found: &Captures<'_>| {
        let seconds = seconds(&found[2]).unwrap_or_else(|error| {
            failed = Some(error);
            0
        });
        format!("{}{}s", &found[1], seconds.div_ceil(times))
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(text.into_owned()),
    }
}

/// A duration such as `1h30m`.
fn seconds(duration: &str) -> Result<u64> {
    let mut seconds = 0;
    let mut number = 0;
    for symbol in duration.chars() {
        let unit = match symbol {
            'w' => 7 * 86_400,
            'd' => 86_400,
            'h' => 3_600,
            'm' => 60,
            's' => 1,
            digit => {
                let digit = digit.to_digit(10).context("a digit")?;
                number = 10 * number + u64::from(digit);
                continue;
            }
        };
        seconds += number * unit;
        number = 0;
    }
    Ok(seconds)
}

/// What an expression names.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Named {
    /// Series, with the labels by which they are selected.
    pub series: Vec<(String, BTreeSet<String>)>,
    /// Labels by which is grouped or matched.
    pub groupings: BTreeSet<String>,
}

/// Takes apart what an expression names.
#[must_use]
pub fn named(expression: &str) -> Named {
    static STRING: LazyLock<Regex> = LazyLock::new(|| compiled(r#""(?:[^"\\]|\\.)*""#));
    static GROUPING: LazyLock<Regex> = LazyLock::new(|| {
        compiled(r"\b(?:by|without|on|ignoring|group_left|group_right)\s*\(([^)]*)\)")
    });
    static WORD: LazyLock<Regex> = LazyLock::new(|| {
        compiled(r"(?:\[[^\]]*\]|\boffset\s+\w+|\b\d[\w.]*)|([A-Za-z_][\w:]*)\s*(\(|\{[^}]*\})?")
    });
    static LABEL: LazyLock<Regex> = LazyLock::new(|| compiled(r"\w+"));

    let bare = STRING.replace_all(expression, "");
    let mut named = Named::default();
    for grouping in GROUPING.captures_iter(&bare) {
        let labels = LABEL.find_iter(&grouping[1]);
        named
            .groupings
            .extend(labels.map(|it| it.as_str().to_owned()));
    }
    let bare = GROUPING.replace_all(&bare, " ");
    for word in WORD.captures_iter(&bare) {
        let Some(name) = word.get(1).map(|it| it.as_str()) else {
            continue;
        };
        let behind = word.get(2).map_or("", |it| it.as_str());
        if behind == "(" || OPERATORS.contains(&name) {
            continue;
        }
        let labels = LABEL.find_iter(behind).map(|it| it.as_str().to_owned());
        named.series.push((name.to_owned(), labels.collect()));
    }
    named
}

/// Words between series. Those before a parenthesis are no series anyway.
const OPERATORS: [&str; 12] = [
    "and", "or", "unless", "bool", "sum", "max", "min", "count", "group", "topk", "quantile", "avg",
];

#[expect(clippy::expect_used, reason = "the patterns stand above")]
fn compiled(pattern: &str) -> Regex {
    Regex::new(pattern).expect("a pattern")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_shortened_and_nothing_else() -> Result<()> {
        let rules = "record: a:b:rate5m\nexpr: rate(x{y=\"5m\"}[5m]) > 300 \
                     or a[1h] offset 167h30m\nfor: 2m\n";
        let expected = "record: a:b:rate5m\nexpr: rate(x{y=\"5m\"}[10s]) > 300 \
                        or a[120s] offset 20100s\nfor: 4s\n";
        assert_eq!(faster(rules, 30)?, expected);
        // Never to nothing.
        assert_eq!(faster("for: 10s", 30)?, "for: 1s");
        Ok(())
    }

    #[test]
    fn series_and_labels_are_found_in_expressions() {
        let none = BTreeSet::new;
        let set = |labels: &[&str]| labels.iter().map(|it| (*it).to_owned()).collect();
        let found = named(
            "sum by (job, le) (rate(a_total{b=\"x\", c!~\"d{2}|e\"}[5m] offset 1d)) * on (job) \
             group_left (site) level:a:rate5m > 1e3 and topk by (z) (1, up) == 300 \
             or label_replace(v, \"new\", \"1\", \"\", \"\")",
        );
        let expected = Named {
            series: vec![
                ("a_total".to_owned(), set(&["b", "c"])),
                ("level:a:rate5m".to_owned(), none()),
                ("up".to_owned(), none()),
                ("v".to_owned(), none()),
            ],
            groupings: set(&["job", "le", "site", "z"]),
        };
        assert_eq!(found, expected);
    }
}
