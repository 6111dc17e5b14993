//! The classic Prometheus text format (0.0.4), read.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::str::Chars;

use anyhow::{Context as _, Result, bail};

/// A label's name and value.
pub(super) type Label<'a> = (&'a str, &'a str);

/// The samples of one scrape.
#[derive(Clone, Debug, Default)]
pub(super) struct Samples(Vec<Sample>);

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    fn matches(&self, name: &str, labels: &[Label<'_>]) -> bool {
        self.name == name
            && labels
                .iter()
                .all(|&(key, value)| self.labels.get(key).is_some_and(|have| have == value))
    }
}

impl Samples {
    pub(super) fn parse(text: &str) -> Result<Self> {
        text.lines()
            .map(str::trim)
            .filter(|line| !line.is_empty() && !line.starts_with('#'))
            .map(|line| parse_line(line).with_context(|| format!("no metric sample: {line}")))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// The values of all series that have these labels, added up.
    pub(super) fn sum(&self, name: &str, labels: &[Label<'_>]) -> f64 {
        self.matching(name, labels).map(|sample| sample.value).sum()
    }

    /// The same for counters, which are whole numbers.
    pub(super) fn count(&self, name: &str, labels: &[Label<'_>]) -> u64 {
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "saturates, and no counter is that large"
        )]
        let count = self.sum(name, labels).round() as u64;
        count
    }

    pub(super) fn max(&self, name: &str, labels: &[Label<'_>]) -> Option<f64> {
        self.matching(name, labels)
            .map(|sample| sample.value)
            .reduce(f64::max)
    }

    /// The counts by the values of one label.
    pub(super) fn by(
        &self,
        label: &str,
        name: &str,
        labels: &[Label<'_>],
    ) -> BTreeMap<String, u64> {
        let values = self
            .matching(name, labels)
            .filter_map(|sample| sample.labels.get(label));
        let mut counts: BTreeMap<String, u64> = values.map(|value| (value.clone(), 0)).collect();
        for (value, count) in &mut counts {
            *count = self.count(name, &[labels, &[(label, value)]].concat());
        }
        counts
    }

    fn matching(&self, name: &str, labels: &[Label<'_>]) -> impl Iterator<Item = &Sample> {
        self.0
            .iter()
            .filter(move |sample| sample.matches(name, labels))
    }
}

fn parse_line(line: &str) -> Result<Sample> {
    let name_end = line
        .find(|c: char| c == '{' || c.is_whitespace())
        .context("no value")?;
    let (name, rest) = line.split_at(name_end);
    let mut rest = rest.chars().peekable();
    let labels = if rest.next_if_eq(&'{').is_some() {
        parse_labels(&mut rest)?
    } else {
        BTreeMap::new()
    };
    let rest: String = rest.collect();
    let mut fields = rest.split_whitespace();
    // "NaN", "+Inf" and "-Inf" are numbers to the standard library as well.
    let value = fields
        .next()
        .context("no value")?
        .parse()
        .context("the value is no number")?;
    if let Some(timestamp) = fields.next() {
        timestamp
            .parse::<i64>()
            .context("the timestamp is no number")?;
    }
    if fields.next().is_some() || name.is_empty() {
        bail!("not of the form NAME{{LABELS}} VALUE [TIMESTAMP]");
    }
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// What stands between the braces, and the closing one.
fn parse_labels(rest: &mut Peekable<Chars<'_>>) -> Result<BTreeMap<String, String>> {
    let mut labels = BTreeMap::new();
    loop {
        while rest.next_if(|&c| c == ',' || c == ' ').is_some() {}
        if rest.next_if_eq(&'}').is_some() {
            return Ok(labels);
        }
        let name: String = std::iter::from_fn(|| rest.next_if(|&c| c != '=')).collect();
        if rest.next() != Some('=') || rest.next() != Some('"') {
            bail!("label {name} has no value in quotes");
        }
        labels.insert(name.trim().to_owned(), parse_label_value(rest)?);
    }
}

/// The rest of a quoted value: `\\`, `\"` and `\n` are its escapes.
fn parse_label_value(rest: &mut Peekable<Chars<'_>>) -> Result<String> {
    let mut value = String::new();
    loop {
        match rest.next().context("a label value without end")? {
            '"' => return Ok(value),
            '\\' => value.push(match rest.next().context("a label value without end")? {
                'n' => '\n',
                escaped => escaped,
            }),
            plain => value.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SCRAPE: &str = r#"# HELP packets_total Packets seen.
# TYPE packets_total counter
packets_total{hook="ingress",family="ipv4"} 10
packets_total{hook="ingress",family="ipv6"} 5 1700000000000
packets_total{hook="egress",family="ipv4",} 7

lag_seconds 0.25
lag_seconds{cpu="1"} 1.5e-3
up 1
"#;

    fn scrape() -> Samples {
        Samples::parse(SCRAPE).expect("a scrape")
    }

    #[test]
    fn counts_add_up_over_the_labels_not_asked_for() {
        assert_eq!(scrape().count("packets_total", &[]), 22);
        assert_eq!(scrape().count("packets_total", &[("hook", "ingress")]), 15);
        assert_eq!(
            scrape().count("packets_total", &[("hook", "ingress"), ("family", "ipv6")]),
            5
        );
        assert_eq!(scrape().count("packets_total", &[("hook", "sideways")]), 0);
        assert_eq!(scrape().count("packets", &[]), 0);
    }

    #[test]
    fn counts_by_label() {
        let by_family = scrape().by("family", "packets_total", &[]);
        assert_eq!(
            by_family,
            BTreeMap::from([("ipv4".into(), 17), ("ipv6".into(), 5)])
        );
    }

    #[test]
    fn gauges_have_a_maximum() {
        assert_eq!(scrape().max("lag_seconds", &[]), Some(0.25));
        assert_eq!(scrape().max("absent", &[]), None);
    }

    #[test]
    fn label_values_are_unescaped() {
        let line = r#"names_total{name="a\"b\\c,d}\n",zone="é"} 3"#;
        let sample = parse_line(line).expect("a sample");
        assert_eq!(
            sample.labels.get("name").map(String::as_str),
            Some("a\"b\\c,d}\n")
        );
        assert_eq!(sample.labels.get("zone").map(String::as_str), Some("é"));
    }

    #[test]
    fn special_values_are_numbers() {
        let value = |line| parse_line(line).expect("a sample").value;
        assert!(value("a NaN").is_nan());
        assert_eq!(value("a +Inf"), f64::INFINITY);
        assert_eq!(value("a{} -Inf"), f64::NEG_INFINITY);
        assert_eq!(value("a 1.5e+3"), 1500.0);
    }

    #[test]
    fn what_is_no_sample_is_an_error_that_quotes_the_line() {
        for line in [
            "a",
            "a{b=\"c\" 1",
            "a{b=c} 1",
            "a{b=\"c} 1",
            "a one",
            "a 1 2 3",
            "{} 1",
        ] {
            let error = Samples::parse(line).expect_err(line);
            assert!(error.to_string().contains(line), "{error}");
        }
    }
}
