//! The demonstration's end: does the daemon's account agree with itself and
//! with the clients'?

use std::fmt;

use super::counters::{Counted, Equation, HOOKS, identity, names};
use super::exposition::Samples;
use super::tally::Tally;

pub(super) struct Verdict {
    hooks: Vec<HookVerdict>,
    clients: Vec<Equation>,
    timeouts: u64,
}

struct HookVerdict {
    hook: &'static str,
    packets: u64,
    outcomes: String,
    equations: Vec<Equation>,
}

impl HookVerdict {
    fn new(samples: &Samples, hook: &'static str) -> Self {
        let outcomes = samples.by("outcome", names::OUTCOMES, &[("hook", hook)]);
        let outcomes: Vec<_> = outcomes
            .iter()
            .map(|(outcome, count)| format!("{outcome} {count}"))
            .collect();
        Self {
            hook,
            packets: samples.count(names::PACKETS, &[("hook", hook)]),
            outcomes: outcomes.join(" + "),
            equations: identity(samples, hook),
        }
    }

    /// Where nothing was seen, nothing was proven.
    fn holds(&self) -> bool {
        self.packets > 0 && self.equations.iter().all(Equation::holds)
    }
}

impl Verdict {
    pub(super) fn new(before: &Samples, after: &Samples, tally: &Tally) -> Self {
        Self {
            hooks: HOOKS.map(|hook| HookVerdict::new(after, hook)).into(),
            clients: Counted { before, after }.beside(tally),
            timeouts: tally.timeouts,
        }
    }

    /// Whether every packet is accounted for, and every message is where the
    /// clients say that it is.
    pub(super) fn good(&self) -> bool {
        self.hooks.iter().all(HookVerdict::holds)
            && self.clients.iter().all(Equation::holds)
            && self.timeouts == 0
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "conservation of packets at each hook")?;
        for hook in &self.hooks {
            writeln!(
                f,
                "  {:<8} {} packets = {}  [{}]",
                hook.hook,
                hook.packets,
                hook.outcomes,
                word(hook.holds())
            )?;
            for broken in hook.equations.iter().filter(|equation| !equation.holds()) {
                writeln!(
                    f,
                    "           {}: {} and {}",
                    broken.what, broken.left, broken.right
                )?;
            }
        }
        writeln!(f, "  {:<28} {:>10} {:>10}", "", "clients", "xdsc")?;
        for Equation { what, left, right } in &self.clients {
            writeln!(
                f,
                "  {what:<28} {left:>10} {right:>10}  [{}]",
                word(left == right)
            )?;
        }
        writeln!(
            f,
            "  {:<28} {:>10}",
            "queries without answer", self.timeouts
        )
    }
}

fn word(good: bool) -> &'static str {
    if good { "ok" } else { "WRONG" }
}

#[cfg(test)]
mod tests {
    use super::super::tally::{Family, Flow, Transport};
    use super::*;

    /// One query came in and one response went out, each with its record.
    const SCRAPE: &str = r#"
xdsc_packets_total{hook="ingress"} 1
xdsc_packet_outcomes_total{hook="ingress",outcome="dns"} 1
xdsc_records_total{hook="ingress",outcome="delivered"} 1
xdsc_packets_total{hook="egress"} 1
xdsc_packet_outcomes_total{hook="egress",outcome="dns"} 1
xdsc_records_total{hook="egress",outcome="delivered"} 1
xdsc_dns_messages_total{hook="ingress",role="server",family="ipv6",transport="udp",type="query"} 1
xdsc_dns_messages_total{hook="egress",role="server",family="ipv6",transport="udp",type="response"} 1
xdsc_dns_qtype_messages_total{role="server",type="query",qtype="NS"} 1
xdsc_dns_rcode_responses_total{role="server",rcode="REFUSED"} 1
"#;

    fn verdict(scrape: &str, tally: &Tally) -> Verdict {
        Verdict::new(
            &Samples::default(),
            &Samples::parse(scrape).expect("a scrape"),
            tally,
        )
    }

    fn one_query() -> Tally {
        let flow = Flow {
            family: Family::Ipv6,
            transport: Transport::Udp,
        };
        let mut tally = Tally::default();
        tally.sent(flow, "NS");
        tally.received(flow, "REFUSED");
        tally
    }

    #[test]
    fn agreement_is_good() {
        let verdict = verdict(SCRAPE, &one_query());
        assert!(verdict.good(), "{verdict}");
        assert!(!verdict.to_string().contains("WRONG"), "{verdict}");
    }

    #[test]
    fn disagreement_is_not_and_is_pointed_at() {
        let mut more = one_query();
        more.received(
            Flow {
                family: Family::Ipv4,
                transport: Transport::Tcp,
            },
            "NOERROR",
        );
        let text = verdict(SCRAPE, &more).to_string();
        assert!(!verdict(SCRAPE, &more).good());
        assert_eq!(
            text.matches("WRONG").count(),
            2,
            "a response and its code: {text}"
        );
    }

    #[test]
    fn lost_packet_is_not_good() {
        let lost = SCRAPE.replace(r#"total{hook="egress"} 1"#, r#"total{hook="egress"} 2"#);
        assert!(!verdict(&lost, &one_query()).good());
    }

    #[test]
    fn silence_proves_nothing() {
        assert!(!verdict("", &Tally::default()).good());
    }

    #[test]
    fn unanswered_query_is_not_good() {
        let tally = Tally {
            timeouts: 1,
            ..one_query()
        };
        assert!(!verdict(SCRAPE, &tally).good());
    }
}
