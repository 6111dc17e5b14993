//! The daemon's metrics by their names, and what must hold between them.

use super::exposition::Samples;
use super::tally::{Flow, Tally};

/// All that the demonstration reads.
pub(super) mod names {
    pub(in super::super) const MESSAGES: &str = "xdsc_dns_messages_total";
    pub(in super::super) const QTYPES: &str = "xdsc_dns_qtype_messages_total";
    pub(in super::super) const RCODES: &str = "xdsc_dns_rcode_responses_total";
    pub(in super::super) const PACKETS: &str = "xdsc_packets_total";
    pub(in super::super) const OUTCOMES: &str = "xdsc_packet_outcomes_total";
    pub(in super::super) const REJECTED: &str = "xdsc_rejected_packets_total";
    pub(in super::super) const NOT_DNS: &str = "xdsc_not_dns_packets_total";
    pub(in super::super) const RECORDS: &str = "xdsc_records_total";
    pub(in super::super) const PRODUCED: &str = "xdsc_ring_produced_records_total";
    pub(in super::super) const CONSUMED: &str = "xdsc_ring_consumed_records_total";
    pub(in super::super) const LAG: &str = "xdsc_ring_lag_seconds";
}

pub(super) const HOOKS: [&str; 2] = ["ingress", "egress"];

/// Two numbers that are to be equal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Equation {
    pub(super) what: String,
    pub(super) left: u64,
    pub(super) right: u64,
}

impl Equation {
    fn new(what: impl Into<String>, left: u64, right: u64) -> Self {
        Self {
            what: what.into(),
            left,
            right,
        }
    }

    pub(super) fn holds(&self) -> bool {
        self.left == self.right
    }
}

/// Every packet is in exactly one bucket, every message's record has exactly
/// one fate: the conservation identity at one hook.
pub(super) fn identity(samples: &Samples, hook: &str) -> Vec<Equation> {
    let count = |name| samples.count(name, &[("hook", hook)]);
    let outcome = |outcome| samples.count(names::OUTCOMES, &[("hook", hook), ("outcome", outcome)]);
    vec![
        Equation::new(
            "packets = outcomes",
            count(names::PACKETS),
            count(names::OUTCOMES),
        ),
        Equation::new(
            "dns + segment = records",
            outcome("dns") + outcome("segment"),
            count(names::RECORDS),
        ),
        Equation::new(
            "rejected = reasons",
            outcome("rejected"),
            count(names::REJECTED),
        ),
        Equation::new(
            "not_dns = protocols",
            outcome("not_dns"),
            count(names::NOT_DNS),
        ),
        Equation::new(
            "produced = consumed",
            count(names::PRODUCED),
            count(names::CONSUMED),
        ),
    ]
}

/// What the daemon counted between two scrapes.
pub(super) struct Counted<'a> {
    pub(super) before: &'a Samples,
    pub(super) after: &'a Samples,
}

impl Counted<'_> {
    fn count(&self, name: &str, labels: &[(&str, &str)]) -> u64 {
        self.after
            .count(name, labels)
            .saturating_sub(self.before.count(name, labels))
    }

    fn messages(&self, direction: (&str, &str), flow: Flow) -> u64 {
        let (hook, kind) = direction;
        let (family, transport) = (flow.family.label(), flow.transport.label());
        self.count(
            names::MESSAGES,
            &[
                ("hook", hook),
                ("role", "server"),
                ("type", kind),
                ("family", family),
                ("transport", transport),
            ],
        )
    }

    /// The clients' account (left) beside the daemon's (right).
    pub(super) fn beside(&self, tally: &Tally) -> Vec<Equation> {
        let mut equations = Vec::new();
        for flow in Flow::all() {
            let counted = self.messages(("ingress", "query"), flow);
            equations.push(Equation::new(
                format!("queries {flow}"),
                tally.queries.get(flow),
                counted,
            ));
        }
        for flow in Flow::all() {
            let counted = self.messages(("egress", "response"), flow);
            equations.push(Equation::new(
                format!("responses {flow}"),
                tally.responses.get(flow),
                counted,
            ));
        }
        for (reason, &sent) in &tally.malformed {
            let counted = self.count(names::REJECTED, &[("hook", "ingress"), ("reason", reason)]);
            equations.push(Equation::new(format!("rejected {reason}"), sent, counted));
        }
        for (rcode, &received) in &tally.rcodes {
            let counted = self.count(names::RCODES, &[("role", "server"), ("rcode", rcode)]);
            equations.push(Equation::new(format!("rcode {rcode}"), received, counted));
        }
        for (qtype, &sent) in &tally.qtypes {
            let labels = [
                ("role", "server"),
                ("type", "query"),
                ("qtype", qtype.as_str()),
            ];
            equations.push(Equation::new(
                format!("qtype {qtype}"),
                sent,
                self.count(names::QTYPES, &labels),
            ));
        }
        equations
    }
}

#[cfg(test)]
mod tests {
    use super::super::tally::{Family, Transport};
    use super::*;

    /// 10 packets came in: 4 messages, 1 segment, 2 of no DNS, 3 rejected.
    const INGRESS: &str = r#"
xdsc_packets_total{hook="ingress",family="ipv4",protocol="udp"} 7
xdsc_packets_total{hook="ingress",family="ipv6",protocol="tcp"} 3
xdsc_packet_outcomes_total{hook="ingress",outcome="dns"} 4
xdsc_packet_outcomes_total{hook="ingress",outcome="segment"} 1
xdsc_packet_outcomes_total{hook="ingress",outcome="not_dns"} 2
xdsc_packet_outcomes_total{hook="ingress",outcome="rejected"} 3
xdsc_packet_outcomes_total{hook="ingress",outcome="fragment"} 0
xdsc_records_total{hook="ingress",outcome="delivered"} 3
xdsc_records_total{hook="ingress",outcome="sampled_out"} 1
xdsc_records_total{hook="ingress",outcome="ring_full"} 1
xdsc_rejected_packets_total{hook="ingress",reason="dns_header"} 2
xdsc_rejected_packets_total{hook="ingress",reason="name_pointer"} 1
xdsc_not_dns_packets_total{hook="ingress",protocol="icmpv6"} 2
xdsc_ring_produced_records_total{hook="ingress",cpu="0"} 3
xdsc_ring_consumed_records_total{hook="ingress",cpu="0"} 3
xdsc_packets_total{hook="egress",family="ipv4",protocol="udp"} 99
"#;

    fn broken(text: &str) -> Vec<String> {
        let samples = Samples::parse(text).expect("a scrape");
        identity(&samples, "ingress")
            .into_iter()
            .filter(|it| !it.holds())
            .map(|it| it.what)
            .collect()
    }

    #[test]
    fn identity_holds_at_a_hook_whatever_the_other_says() {
        assert_eq!(broken(INGRESS), [""; 0]);
    }

    #[test]
    fn identity_names_what_is_broken() {
        let cases = [
            (
                r#"outcome="fragment"} 0"#,
                r#"outcome="fragment"} 1"#,
                "packets = outcomes",
            ),
            (
                r#"outcome="ring_full"} 1"#,
                r#"outcome="ring_full"} 0"#,
                "dns + segment = records",
            ),
            (
                r#"reason="dns_header"} 2"#,
                r#"reason="dns_header"} 1"#,
                "rejected = reasons",
            ),
            (
                r#"protocol="icmpv6"} 2"#,
                r#"protocol="icmpv6"} 3"#,
                "not_dns = protocols",
            ),
            (
                r#"consumed_records_total{hook="ingress",cpu="0"} 3"#,
                r#"consumed_records_total{hook="ingress",cpu="0"} 2"#,
                "produced = consumed",
            ),
        ];
        for (whole, changed, what) in cases {
            assert!(INGRESS.contains(whole), "{whole}");
            assert_eq!(broken(&INGRESS.replace(whole, changed)), [what]);
        }
    }

    #[test]
    fn clients_account_is_compared_with_what_was_counted_meanwhile() {
        let scrape = |queries: u64, rejected: u64| {
            let text = format!(
                "xdsc_dns_messages_total{{hook=\"ingress\",role=\"server\",family=\"ipv4\",transport=\"udp\",type=\"query\"}} {queries}\n\
                 xdsc_dns_messages_total{{hook=\"egress\",role=\"client\",family=\"ipv4\",transport=\"udp\",type=\"query\"}} 50\n\
                 xdsc_dns_qtype_messages_total{{role=\"server\",type=\"query\",qtype=\"A\"}} {queries}\n\
                 xdsc_rejected_packets_total{{hook=\"ingress\",reason=\"dns_header\"}} {rejected}\n"
            );
            Samples::parse(&text).expect("a scrape")
        };
        let mut tally = Tally::default();
        tally.sent(
            Flow {
                family: Family::Ipv4,
                transport: Transport::Udp,
            },
            "A",
        );
        tally.sent_malformed("dns_header");
        let unequal = |before: &Samples, after: &Samples| -> Vec<_> {
            let equations = Counted { before, after }.beside(&tally);
            equations
                .into_iter()
                .filter(|it| !it.holds())
                .map(|it| (it.what, it.left, it.right))
                .collect()
        };
        assert_eq!(unequal(&scrape(7, 1), &scrape(8, 2)), []);
        assert_eq!(
            unequal(&scrape(7, 1), &scrape(8, 1)),
            [("rejected dns_header".to_owned(), 1, 0)]
        );
    }
}
