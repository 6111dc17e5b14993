//! PromQL, put together so that every selector obeys the variables.
//!
//! Each selector has the matchers of job, site and instance, each rate the range
//! that Grafana derives from scrape interval and resolution, and no series of a
//! dataset is what its retired cells had: that grows by leaps.

use std::fmt;

/// The matchers of the variables that all dashboards have.
const NODES: &str = r#"job=~"$job",site=~"$site",instance=~"$instance""#;

/// The series of a family.
#[derive(Clone, Debug)]
pub(super) struct Selector {
    family: String,
    matchers: String,
}

/// A family by its name as it is scraped.
pub(super) fn metric(family: &str) -> Selector {
    Selector {
        family: family.to_owned(),
        matchers: NODES.to_owned(),
    }
}

/// The messages of a dataset; `label` is the one of its last dimension.
pub(super) fn dataset(name: &str, label: &str) -> Selector {
    metric(&format!("xdsc_dataset_{name}_messages_total")).with(&format!(r#"{label}!="retired""#))
}

/// DNS queries to the server.
pub(super) fn queries() -> Selector {
    metric("xdsc_dns_messages_total").with(r#"role="server",type="query""#)
}

/// DNS responses of the server.
pub(super) fn responses() -> Selector {
    metric("xdsc_dns_messages_total").with(r#"role="server",type="response""#)
}

/// DNS responses of the server by RCODE.
pub(super) fn rcodes() -> Selector {
    metric("xdsc_dns_rcode_responses_total").with(r#"role="server""#)
}

/// Alerts that fire. They are of nodes, sites, or of a whole job, so that the job
/// alone can be chosen.
pub(super) fn alerts() -> Selector {
    Selector {
        family: "ALERTS".to_owned(),
        matchers: r#"job=~"$job|",alertname=~"Xdsc.*",alertstate="firing""#.to_owned(),
    }
}

impl fmt::Display for Selector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{{{}}}", self.family, self.matchers)
    }
}

impl Selector {
    /// Only those that meet these, too.
    pub(super) fn with(mut self, matchers: &str) -> Self {
        self.matchers = format!("{},{matchers}", self.matchers);
        self
    }

    /// The buckets of a histogram.
    fn buckets(&self) -> Self {
        Self {
            family: format!("{}_bucket", self.family),
            matchers: self.matchers.clone(),
        }
    }

    /// Per second, summed up by labels.
    pub(super) fn rate(&self, by: &str) -> String {
        sum(by, &format!("rate({self}[$__rate_interval])"))
    }

    /// Per second, some time ago.
    pub(super) fn rate_before(&self, by: &str, offset: &str) -> String {
        let rate = format!("rate({self}[$__rate_interval] offset {offset})");
        sum(by, &rate)
    }

    /// In the whole time that is shown.
    pub(super) fn total(&self, by: &str) -> String {
        sum(by, &format!("increase({self}[$__range])"))
    }

    /// The greatest ones of the whole time, without what has no cell of its own.
    pub(super) fn top_totals(&self, count: u32, by: &str) -> String {
        format!("topk({count}, {})", self.own_cells(by).total(by))
    }

    /// Per second, of those that are the greatest ones in the whole time: the same
    /// ones at each point.
    pub(super) fn top_rates(&self, count: u32, by: &str) -> String {
        let whole = sum(by, &format!("increase({self}[$__range] @ end())"));
        format!("{} and topk({count}, {whole})", self.rate(by))
    }

    /// What has changed most: the rate of now without that of the whole time.
    pub(super) fn movers(&self, count: u32, by: &str) -> String {
        let own = self.own_cells(by);
        format!(
            "topk({count}, {} - {} / $__range_s)",
            own.rate(by),
            own.total(by)
        )
    }

    /// How evenly values share the messages: 1 all alike, 0 all of one.
    pub(super) fn evenness(&self, by: &str) -> String {
        let rate = format!("({} > 0)", self.rate(by));
        let share = format!("({rate} / scalar(sum({rate})))");
        format!("-sum({share} * log2({share})) / log2(count({rate}))")
    }

    /// The share of the greatest values.
    pub(super) fn concentration(&self, count: u32, by: &str) -> String {
        let top = format!("sum(topk({count}, {}))", self.own_cells(by).rate(by));
        ratio(&top, &self.rate(""))
    }

    /// A quantile of a histogram.
    pub(super) fn quantile(&self, quantile: f64, by: &str) -> String {
        let by = if by.is_empty() {
            "le".to_owned()
        } else {
            format!("le, {by}")
        };
        format!(
            "histogram_quantile({quantile}, {})",
            self.buckets().rate(&by)
        )
    }

    /// Events of each bucket, for a heatmap.
    pub(super) fn heatmap(&self) -> String {
        sum(
            "le",
            &format!("increase({}[$__rate_interval])", self.buckets()),
        )
    }

    /// Events up to a bound of a histogram, per second.
    pub(super) fn up_to(&self, bound: &str) -> String {
        self.buckets().with(&format!(r#"le="{bound}""#)).rate("")
    }

    /// How many there are.
    pub(super) fn count(&self, by: &str) -> String {
        format!("count by ({by}) ({self})")
    }

    /// The sum of a gauge.
    pub(super) fn sum(&self, by: &str) -> String {
        sum(by, &self.to_string())
    }

    /// The greatest value of a gauge.
    pub(super) fn max(&self, by: &str) -> String {
        if by.is_empty() {
            format!("max({self})")
        } else {
            format!("max by ({by}) ({self})")
        }
    }

    /// Without what has no cell of its own.
    fn own_cells(&self, by: &str) -> Self {
        let last = by.rsplit(", ").next().unwrap_or(by);
        self.clone().with(&format!(r#"{last}!="other""#))
    }
}

fn sum(by: &str, of: &str) -> String {
    if by.is_empty() {
        format!("sum({of})")
    } else {
        format!("sum by ({by}) ({of})")
    }
}

/// A share; nothing where there is nothing to share.
pub(super) fn ratio(part: &str, whole: &str) -> String {
    format!("{part} / ({whole} > 0)")
}

/// A share of each group in all of them together.
pub(super) fn ratio_of_all(part: &str, whole: &str) -> String {
    format!("{part} / scalar({whole} > 0)")
}
