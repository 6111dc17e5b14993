//! Prometheus text, read, and the laws that xdsc's numbers obey.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context as _, Result, ensure};

/// A label's name and value.
pub type Label<'a> = (&'a str, &'a str);

/// The samples of one scrape.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Samples(Vec<Sample>);

#[derive(Clone, Debug, PartialEq)]
struct Sample {
    name: String,
    labels: BTreeMap<String, String>,
    value: f64,
}

impl Sample {
    fn is(&self, name: &str, labels: &[Label<'_>]) -> bool {
        let has = |(key, value): &Label<'_>| self.labels.get(*key).is_some_and(|v| v == value);
        self.name == name && labels.iter().all(has)
    }
}

impl Samples {
    /// Reads the text format 0.0.4, or that of OpenMetrics without exemplars.
    ///
    /// # Errors
    /// With the line that is no sample.
    pub fn parse(text: &str) -> Result<Self> {
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        lines
            .filter(|line| !line.trim().is_empty())
            .map(|line| sample(line).with_context(|| format!("no sample: {line}")))
            .collect::<Result<_>>()
            .map(Self)
    }

    /// The sum of all series of a name that have these labels.
    ///
    /// # Errors
    /// When there is none: a mistyped name must not count as 0.
    pub fn sum(&self, name: &str, labels: &[Label<'_>]) -> Result<f64> {
        let mut series = self.series(name, labels).peekable();
        ensure!(
            series.peek().is_some(),
            "there is no {name} with {labels:?}"
        );
        Ok(series.map(|sample| sample.value).sum())
    }

    /// The same for counters, which are whole numbers.
    ///
    /// # Errors
    /// When there is none, or it is no whole number.
    pub fn count(&self, name: &str, labels: &[Label<'_>]) -> Result<u64> {
        let sum = self.sum(name, labels)?;
        ensure!(
            sum >= 0.0 && sum.fract() == 0.0 && sum < 9e15,
            "{name} with {labels:?} is {sum}, not a count"
        );
        Ok(sum as u64)
    }

    /// The largest of all series of a name.
    ///
    /// # Errors
    /// When there is none.
    pub fn max(&self, name: &str, labels: &[Label<'_>]) -> Result<f64> {
        self.series(name, labels)
            .map(|sample| sample.value)
            .reduce(f64::max)
            .with_context(|| format!("there is no {name} with {labels:?}"))
    }

    /// Counts by the values of a label, those that are not 0.
    ///
    /// # Errors
    /// When one is no whole number.
    pub fn by(
        &self,
        label: &str,
        name: &str,
        labels: &[Label<'_>],
    ) -> Result<BTreeMap<String, u64>> {
        let mut counts = BTreeMap::new();
        for value in self.values_of(label, name, labels) {
            let count = self.count(name, &[labels, &[(label, &value)]].concat())?;
            if count > 0 {
                counts.insert(value, count);
            }
        }
        Ok(counts)
    }

    /// The values that a label has.
    #[must_use]
    pub fn values_of(&self, label: &str, name: &str, labels: &[Label<'_>]) -> BTreeSet<String> {
        self.series(name, labels)
            .filter_map(|sample| sample.labels.get(label).cloned())
            .collect()
    }

    fn series(&self, name: &str, labels: &[Label<'_>]) -> impl Iterator<Item = &Sample> {
        self.0.iter().filter(move |sample| sample.is(name, labels))
    }
}

/// The laws of conservation that hold whenever no packet is on its way.
///
/// # Errors
/// With every law that is broken.
pub fn identity(samples: &Samples) -> Result<()> {
    let mut broken = Vec::new();
    for hook in ["ingress", "egress"] {
        for (law, left, right) in laws(samples, hook)? {
            if left != right {
                broken.push(format!("{hook}: {law}: {left} is not {right}"));
            }
        }
    }
    ensure!(broken.is_empty(), "{}", broken.join("\n"));
    Ok(())
}

fn laws(samples: &Samples, hook: &str) -> Result<Vec<(&'static str, u64, u64)>> {
    let all = |name| samples.count(name, &[("hook", hook)]);
    let outcome = |outcome| {
        let labels = [("hook", hook), ("outcome", outcome)];
        samples.count("xdsc_packet_outcomes_total", &labels)
    };
    Ok(vec![
        (
            "packets are the sum of their outcomes",
            all("xdsc_packets_total")?,
            all("xdsc_packet_outcomes_total")?,
        ),
        (
            "dns and segment have a record's fate each",
            outcome("dns")? + outcome("segment")?,
            all("xdsc_records_total")?,
        ),
        (
            "what is rejected has a reason",
            outcome("rejected")?,
            all("xdsc_rejected_packets_total")?,
        ),
        (
            "what is not DNS has a protocol",
            outcome("not_dns")?,
            all("xdsc_not_dns_packets_total")?,
        ),
        (
            "what was produced is consumed",
            all("xdsc_ring_produced_records_total")?,
            all("xdsc_ring_consumed_records_total")?,
        ),
    ])
}

fn sample(line: &str) -> Result<Sample> {
    let end = line.find(['{', ' ']).context("no value")?;
    let (name, mut rest) = line.split_at(end);
    let mut labels = BTreeMap::new();
    if let Some(inside) = rest.strip_prefix('{') {
        (labels, rest) = label_set(inside)?;
    }
    let mut fields = rest.split_whitespace();
    let value = fields.next().context("no value")?.parse()?;
    let stamp = fields.next().map(str::parse::<f64>).transpose();
    ensure!(
        stamp.is_ok() && fields.next().is_none(),
        "more than a value"
    );
    Ok(Sample {
        name: name.to_owned(),
        labels,
        value,
    })
}

/// The labels, and what follows the closing brace.
fn label_set(mut text: &str) -> Result<(BTreeMap<String, String>, &str)> {
    let mut labels = BTreeMap::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, value) = text.split_once("=\"").context("a label without value")?;
        let (value, rest) = quoted(value)?;
        labels.insert(name.to_owned(), value);
        text = rest;
    }
}

/// A value up to its closing quote, with `\\`, `\"` and `\n` resolved.
fn quoted(text: &str) -> Result<(String, &str)> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, char)) = chars.next() {
        match char {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next().context("nothing behind a backslash")?.1 {
                'n' => value.push('\n'),
                other => value.push(other),
            },
            other => value.push(other),
        }
    }
    anyhow::bail!("a label value without end")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# TYPE p_total counter\n\
        p_total{hook=\"ingress\",family=\"ipv4\"} 10\n\
        p_total{hook=\"ingress\",family=\"ipv6\"} 5 1700000000000\n\
        p_total{hook=\"egress\",family=\"ipv4\",} 0\n\
        \n\
        lag_seconds 0.25\n\
        # EOF\n";

    #[test]
    fn series_add_up_over_the_labels_not_asked_for() -> Result<()> {
        let samples = Samples::parse(TEXT)?;
        assert_eq!(samples.count("p_total", &[])?, 15);
        assert_eq!(samples.count("p_total", &[("family", "ipv4")])?, 10);
        let by_hook = samples.by("hook", "p_total", &[])?;
        assert_eq!(by_hook, BTreeMap::from([("ingress".to_owned(), 15)]));
        assert!(
            samples.count("lag_seconds", &[]).is_err(),
            "0.25 is no count"
        );
        assert!(samples.count("p", &[]).is_err(), "there is no such name");
        Ok(())
    }

    #[test]
    fn label_values_may_hold_anything() -> Result<()> {
        let samples = Samples::parse(r#"n{zone="a\"b\\c,d}\n",x="é"} 3"#)?;
        let values = samples.values_of("zone", "n", &[("x", "é")]);
        assert_eq!(values, BTreeSet::from(["a\"b\\c,d}\n".to_owned()]));
        Ok(())
    }

    #[test]
    fn what_is_no_sample_is_an_error() {
        for line in [
            "a",
            "a{b=\"c\" 1",
            "a{b=c} 1",
            "a{b=\"c} 1",
            "a one",
            "a 1 2 3",
        ] {
            assert!(Samples::parse(line).is_err(), "{line}");
        }
    }

    /// A scrape with one DNS packet each way, and one sample changed.
    fn scrape(changed: &str, value: u64) -> Result<Samples> {
        let mut text = String::new();
        for hook in ["ingress", "egress"] {
            for (name, label) in [
                ("xdsc_packets_total", ",family=\"ipv4\""),
                ("xdsc_packet_outcomes_total", ",outcome=\"dns\""),
                ("xdsc_records_total", ",outcome=\"delivered\""),
                ("xdsc_ring_produced_records_total", ",cpu=\"0\""),
                ("xdsc_ring_consumed_records_total", ",cpu=\"0\""),
            ] {
                let value = if name == changed { value } else { 1 };
                text += &format!("{name}{{hook=\"{hook}\"{label}}} {value}\n");
            }
            for name in ["rejected", "not_dns", "segment"] {
                text += &format!(
                    "xdsc_packet_outcomes_total{{hook=\"{hook}\",outcome=\"{name}\"}} 0\n"
                );
            }
            text += &format!("xdsc_rejected_packets_total{{hook=\"{hook}\"}} 0\n");
            text += &format!("xdsc_not_dns_packets_total{{hook=\"{hook}\"}} 0\n");
        }
        Samples::parse(&text)
    }

    #[test]
    fn identity_tells_which_law_is_broken() -> Result<()> {
        identity(&scrape("", 1)?)?;
        for (changed, law) in [
            ("xdsc_packets_total", "sum of their outcomes"),
            ("xdsc_records_total", "a record's fate"),
            ("xdsc_ring_produced_records_total", "produced is consumed"),
            ("xdsc_ring_consumed_records_total", "produced is consumed"),
        ] {
            let error = identity(&scrape(changed, 2)?).expect_err(changed);
            assert!(error.to_string().contains(law), "{changed}: {error}");
        }
        Ok(())
    }
}
