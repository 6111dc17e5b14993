//! Medians, and how they are shown.

use std::io;

use integration_tests::bench::median;
use serde_json::{Map, Value, json};

use crate::live::Rates;

/// What is known of one case, in ns.
struct Figure {
    key: &'static str,
    empty: &'static str,
    median: f64,
    low: f64,
    high: f64,
}

/// All cases, and what they are to each other.
#[derive(Default)]
pub(crate) struct Figures {
    cases: Vec<Figure>,
    further: Vec<(&'static str, f64)>,
    rates: Vec<(&'static str, f64)>,
}

impl Figures {
    pub(crate) fn add(&mut self, key: &'static str, empty: &'static str, samples: &[f64]) {
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        self.cases.push(Figure {
            key,
            empty,
            median: quantile(&sorted, 0.5),
            low: quantile(&sorted, 0.1),
            high: quantile(&sorted, 0.9),
        });
    }

    /// The faster way through the kernel's ring buffer is the one to beat. What a
    /// query costs is the sum of its parts, which show what the two ways share.
    pub(crate) fn compare_ring_buffers(&mut self) {
        let reserve = self.median("ipv4_query_ringbuf_reserve_ns");
        let output = self.median("ipv4_query_ringbuf_output_ns");
        let (theirs, ours) = (reserve.min(output), self.median("ipv4_query_ns"));
        let empty = self.median("empty_ns");
        let located = self.median("non_dns_udp_ns");
        let counted = self.median("counting_only_ns");
        let built = self.median("ipv4_query_built_ns");
        self.further = vec![
            ("ipv4_query_ringbuf_ns", theirs),
            ("ringbuf_ratio", theirs / ours),
            (
                "ringbuf_ratio_above_empty",
                (theirs - empty) / (ours - empty),
            ),
            (
                "ringbuf_ratio_above_counting",
                (theirs - counted) / (ours - counted),
            ),
            ("part_port_test_ns", located - empty),
            ("part_counting_ns", counted - located),
            ("part_building_ns", built - counted),
            ("part_hand_over_ns", ours - built),
            ("part_ringbuf_hand_over_ns", theirs - built),
        ];
        let quiet = [
            ("quiet_non_dns_udp_ns", "non_dns_udp_ns"),
            ("quiet_counting_only_ns", "counting_only_ns"),
            ("quiet_ipv4_query_ns", "ipv4_query_ns"),
        ];
        let empty = self.low("empty_ns");
        let quiet = quiet.map(|(key, case)| (key, self.low(case) - empty));
        self.further.extend(quiet);
    }

    /// Packets per second.
    pub(crate) fn add_rates(&mut self, rates: &Rates) {
        for (key, samples) in &rates.rates {
            self.rates.push((key, median(samples)));
        }
        self.further.extend([
            ("live_delivered_share", rates.delivered_share()),
            ("live_turns_sampled", rates.sampled_turns.into()),
        ]);
    }

    fn median(&self, key: &str) -> f64 {
        self.of(key, |case| case.median)
    }

    /// When the machine is left alone, as far as it is.
    fn low(&self, key: &str) -> f64 {
        self.of(key, |case| case.low)
    }

    fn of(&self, key: &str, value: impl Fn(&Figure) -> f64) -> f64 {
        let case = self.cases.iter().find(|case| case.key == key);
        case.map_or(f64::NAN, value)
    }

    pub(crate) fn table(&self, out: &mut impl io::Write) -> io::Result<()> {
        writeln!(
            out,
            "{:<30} {:>9} {:>12} {:>7} {:>7}",
            "case", "median ns", "above empty", "p10", "p90"
        )?;
        for case in &self.cases {
            let above = case.median - self.median(case.empty);
            writeln!(
                out,
                "{:<30} {:>9.1} {above:>12.1} {:>7.1} {:>7.1}",
                case.key, case.median, case.low, case.high
            )?;
        }
        for (key, value) in &self.further {
            writeln!(out, "{key:<30} {value:>9.2}")?;
        }
        for (key, rate) in &self.rates {
            let cost = 1e9 / rate;
            writeln!(out, "{key:<30} {rate:>9.0} {cost:>9.0} ns a packet in all")?;
        }
        Ok(())
    }

    /// One line for whoever keeps the figures.
    pub(crate) fn json(&self) -> Value {
        let cases = self.cases.iter().map(|case| (case.key, case.median));
        let figures: Map<_, _> = cases
            .chain(self.further.iter().copied())
            .chain(self.rates.iter().copied())
            .map(|(key, value)| (key.to_owned(), json!((value * 100.0).round() / 100.0)))
            .collect();
        json!({ "bench": "probe", "figures": figures })
    }
}

/// The value below which that share of the sorted samples lies.
fn quantile(sorted: &[f64], share: f64) -> f64 {
    let last = sorted.len().saturating_sub(1);
    let place = (last as f64 * share).round() as usize;
    sorted.get(place).copied().unwrap_or(f64::NAN)
}
