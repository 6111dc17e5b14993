//! The demonstration's numbers in the terminal, once a second.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::time::{Duration, Instant};

use super::counters::{HOOKS, names};
use super::exposition::{Label, Samples};
use super::tally::Flow;

/// Longer rows would be wrapped, and the next drawing begin too low.
const WIDTH: usize = 79;

/// Draws one scrape over the one before, or line after line where that is no
/// terminal.
pub(super) struct View {
    start: Instant,
    last: Option<(Instant, Samples)>,
    in_place: bool,
    lines_drawn: usize,
}

impl View {
    pub(super) fn new() -> Self {
        Self {
            start: Instant::now(),
            last: None,
            in_place: io::stdout().is_terminal(),
            lines_drawn: 0,
        }
    }

    pub(super) fn draw(&mut self, now: Samples) -> io::Result<()> {
        let at = Instant::now();
        if let Some((before_at, before)) = &self.last {
            let rates = Rates {
                before,
                now: &now,
                elapsed: at.duration_since(*before_at),
            };
            let text = if self.in_place {
                rates.block()
            } else {
                rates.line()
            };
            self.put(&format!("{:>5} s  {text}", self.start.elapsed().as_secs()))?;
        }
        self.last = Some((at, now));
        Ok(())
    }

    fn put(&mut self, text: &str) -> io::Result<()> {
        let mut out = io::stdout().lock();
        if self.in_place && self.lines_drawn > 0 {
            // Up to the first line of the last drawing, and clear from there.
            write!(out, "\x1b[{}F\x1b[J", self.lines_drawn)?;
        }
        writeln!(out, "{text}")?;
        self.lines_drawn = text.lines().count();
        out.flush()
    }
}

/// What happened between two scrapes.
struct Rates<'a> {
    before: &'a Samples,
    now: &'a Samples,
    elapsed: Duration,
}

impl Rates<'_> {
    fn rate(&self, name: &str, labels: &[Label<'_>]) -> f64 {
        let grown = self.now.sum(name, labels) - self.before.sum(name, labels);
        grown / self.elapsed.as_secs_f64().max(f64::EPSILON)
    }

    fn queries(&self, more: &[Label<'_>]) -> f64 {
        self.rate(
            names::MESSAGES,
            &[
                &[("hook", "ingress"), ("role", "server"), ("type", "query")],
                more,
            ]
            .concat(),
        )
    }

    fn responses(&self, more: &[Label<'_>]) -> f64 {
        self.rate(
            names::MESSAGES,
            &[
                &[("hook", "egress"), ("role", "server"), ("type", "response")],
                more,
            ]
            .concat(),
        )
    }

    fn line(&self) -> String {
        format!(
            "{:.0} queries/s, {:.0} responses/s, {} rejected, lag {}, {}",
            self.queries(&[]),
            self.responses(&[]),
            self.now.count(names::REJECTED, &[]),
            self.lag(),
            self.losses()
        )
    }

    fn block(&self) -> String {
        let mut text = format!("{:>17} {:>12}\n", "queries/s", "responses/s");
        for flow in Flow::all() {
            let labels = [
                ("family", flow.family.label()),
                ("transport", flow.transport.label()),
            ];
            let (queries, responses) = (self.queries(&labels), self.responses(&labels));
            row(
                &mut text,
                &flow.to_string(),
                &format!("{queries:>12.0} {responses:>12.0}"),
            );
        }
        row(
            &mut text,
            "all",
            &format!("{:>12.0} {:>12.0}", self.queries(&[]), self.responses(&[])),
        );
        row(&mut text, "rcodes/s", &self.rcodes());
        row(
            &mut text,
            "rejected",
            &top(self.now.by("reason", names::REJECTED, &[])),
        );
        row(&mut text, "ring lag", &self.lag());
        row(&mut text, "losses", &self.losses());
        text.truncate(text.trim_end().len());
        text
    }

    fn rcodes(&self) -> String {
        let counts = self
            .now
            .by("rcode", names::RCODES, &[("role", "server")])
            .into_keys()
            .map(|rcode| {
                let rate = self.rate(names::RCODES, &[("role", "server"), ("rcode", &rcode)]);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "a rate, rounded to be shown"
                )]
                let rate = rate.round() as u64;
                (rcode, rate)
            });
        top(counts.collect())
    }

    fn lag(&self) -> String {
        let lags = HOOKS.map(|hook| match self.now.max(names::LAG, &[("hook", hook)]) {
            Some(seconds) => format!("{hook} {:.1} ms", seconds * 1000.0),
            None => format!("{hook} -"),
        });
        lags.join(", ")
    }

    fn losses(&self) -> String {
        let records = |outcome| self.now.count(names::RECORDS, &[("outcome", outcome)]);
        format!(
            "{} records lost, {} sampled out",
            records("ring_full"),
            records("sampled_out")
        )
    }
}

fn row(text: &mut String, name: &str, value: &str) {
    let row = format!("    {name:<9} {value}");
    text.extend(row.chars().take(WIDTH).chain(['\n']));
}

/// The five largest.
fn top(counts: BTreeMap<String, u64>) -> String {
    let mut counts: Vec<_> = counts.into_iter().filter(|&(_, count)| count > 0).collect();
    counts.sort_by_key(|&(_, count)| std::cmp::Reverse(count));
    let shown: Vec<_> = counts
        .iter()
        .take(5)
        .map(|(name, count)| format!("{name} {count}"))
        .collect();
    if shown.is_empty() {
        "none".to_owned()
    } else {
        shown.join("  ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrape(queries: u64) -> Samples {
        let text = format!(
            "xdsc_dns_messages_total{{hook=\"ingress\",role=\"server\",family=\"ipv4\",transport=\"udp\",type=\"query\"}} {queries}\n\
             xdsc_ring_lag_seconds{{hook=\"ingress\",cpu=\"0\"}} 0.0004\n\
             xdsc_ring_lag_seconds{{hook=\"ingress\",cpu=\"1\"}} 0.0017\n"
        );
        Samples::parse(&text).expect("a scrape")
    }

    #[test]
    fn rates_are_per_second_whatever_the_interval() {
        let (before, now) = (scrape(100), scrape(400));
        let rates = Rates {
            before: &before,
            now: &now,
            elapsed: Duration::from_millis(1500),
        };
        assert_eq!(
            rates.line(),
            "200 queries/s, 0 responses/s, 0 rejected, lag ingress 1.7 ms, egress -, \
             0 records lost, 0 sampled out"
        );
    }

    #[test]
    fn largest_come_first_and_five_at_most() {
        let counts = (0..7).map(|n| (format!("R{n}"), n)).collect();
        assert_eq!(top(counts), "R6 6  R5 5  R4 4  R3 3  R2 2");
        assert_eq!(top(BTreeMap::from([("R0".into(), 0)])), "none");
    }
}
