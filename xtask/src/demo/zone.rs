//! What the demonstration's name server knows, and how it answers.
//!
//! A pure function from message to message, so that a table of messages tests
//! it. Authoritative for `example.` and `test.`, both made up at compile time.

use hickory_proto::op::{Edns, Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, HINFO, MX, NS, NULL, SOA, TXT};
use hickory_proto::rr::{DNSClass, Name, RData, Record, RecordType};

use super::tally::Transport;

/// The zones, each a top-level domain that RFC 2606 reserves.
pub(super) const ZONES: [&str; 2] = ["example", "test"];
/// The delegation-less domains in each zone.
pub(super) const DOMAINS: [&str; 8] = [
    "alpha", "bravo", "charlie", "delta", "echo", "foxtrot", "golf", "hotel",
];
/// The hosts in each domain.
pub(super) const HOSTS: [&str; 7] = ["www", "mail", "api", "cdn", "static", "ns1", "ns2"];
/// A name in each zone whose TXT answer fits no datagram that we send.
pub(super) const HUGE: &str = "huge";

/// Our own limit for datagrams, as the DNS flag day 2020 recommends.
const MAX_UDP: u16 = 1232;
/// RFC 1035, section 2.3.4: UDP messages have 512 octets or less.
const MIN_UDP: u16 = 512;
const TTL: u32 = 3600;

/// The answer to a message; none where it is no query that can be read.
pub(super) fn answer(request: &[u8], transport: Transport) -> Option<Vec<u8>> {
    let query = Message::from_vec(request).ok()?;
    if query.metadata.message_type == MessageType::Response {
        return None;
    }
    fit(&reply(&query), limit(&query, transport))
}

/// Encodes the reply; where it exceeds the limit, its header with TC set.
fn fit(reply: &Message, limit: usize) -> Option<Vec<u8>> {
    let whole = reply.to_vec().ok()?;
    if whole.len() <= limit {
        return Some(whole);
    }
    reply.truncate().to_vec().ok()
}

fn limit(query: &Message, transport: Transport) -> usize {
    match transport {
        Transport::Tcp => usize::from(u16::MAX),
        Transport::Udp => {
            let offered = query.edns.as_ref().map_or(MIN_UDP, Edns::max_payload);
            // RFC 6891, section 6.2.3: "Values lower than 512 MUST be treated
            // as equal to 512."
            usize::from(offered.clamp(MIN_UDP, MAX_UDP))
        }
    }
}

fn reply(query: &Message) -> Message {
    let mut reply = Message::response(query.metadata.id, query.metadata.op_code);
    reply.metadata.recursion_desired = query.metadata.recursion_desired;
    reply.add_queries(query.queries.iter().cloned());
    if let Some(edns) = &query.edns {
        let mut ours = Edns::new();
        ours.set_max_payload(MAX_UDP)
            .set_dnssec_ok(edns.flags().dnssec_ok);
        reply.set_edns(ours);
    }
    fill(&mut reply, query);
    reply
}

fn fill(reply: &mut Message, query: &Message) {
    if query.metadata.op_code != OpCode::Query {
        reply.metadata.response_code = ResponseCode::NotImp;
    } else if query.edns.as_ref().is_some_and(|edns| edns.version() != 0) {
        // RFC 6891, section 6.1.3.
        reply.metadata.response_code = ResponseCode::BADVERS;
    } else if let [question] = query.queries.as_slice() {
        resolve(reply, question);
    } else {
        reply.metadata.response_code = ResponseCode::FormErr;
    }
}

fn resolve(reply: &mut Message, question: &Query) {
    let name = question.name.to_lowercase();
    let labels: Vec<String> = name
        .iter()
        .map(|label| String::from_utf8_lossy(label).into_owned())
        .collect();
    let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
    match (question.query_class, labels.as_slice()) {
        (DNSClass::CH, ["version", "bind"]) => {
            reply.add_answer(record(question, RData::TXT(text(&["xdsc demonstration"]))));
        }
        (DNSClass::IN, [.., zone]) if ZONES.contains(zone) => {
            reply.metadata.authoritative = true;
            authoritative(reply, question, &labels, zone);
        }
        _ => reply.metadata.response_code = ResponseCode::Refused,
    }
}

fn authoritative(reply: &mut Message, question: &Query, labels: &[&str], zone: &str) {
    if !exists(labels) {
        reply.metadata.response_code = ResponseCode::NXDomain;
    }
    for data in records(labels, question.query_type) {
        reply.add_answer(record(question, data));
    }
    if reply.answers.is_empty() {
        // RFC 2308, section 3: negative answers carry the SOA.
        reply.add_authority(Record::from_rdata(domain(&[zone]), TTL, soa(zone)));
    }
}

fn exists(labels: &[&str]) -> bool {
    match labels {
        [_zone] | [HUGE | "ns1" | "ns2", _zone] => true,
        [domain, _zone] => DOMAINS.contains(domain),
        [host, domain, _zone] => HOSTS.contains(host) && DOMAINS.contains(domain),
        _ => false,
    }
}

/// The records of an existing name; none for another name or type.
fn records(labels: &[&str], qtype: RecordType) -> Vec<RData> {
    if !exists(labels) {
        return Vec::new();
    }
    // RFC 8482, section 4.2.
    if qtype == RecordType::ANY {
        return vec![RData::HINFO(HINFO::new("RFC8482".into(), String::new()))];
    }
    match labels {
        ["cdn", rest @ ..] => vec![RData::CNAME(CNAME(domain(&[&["www"], rest].concat())))],
        [HUGE, _] if qtype == RecordType::TXT => {
            vec![RData::TXT(text(&["huge ".repeat(48).as_str(); 7]))]
        }
        [zone] => apex_records(zone, qtype),
        _ => host_records(labels, qtype),
    }
}

fn apex_records(zone: &str, qtype: RecordType) -> Vec<RData> {
    match u16::from(qtype) {
        1 | 28 => host_records(&[zone], qtype),
        2 => ["ns1", "ns2"]
            .map(|host| RData::NS(NS(domain(&[host, zone]))))
            .into(),
        6 => vec![soa(zone)],
        15 => vec![RData::MX(MX::new(10, domain(&["mail", "alpha", zone])))],
        16 => vec![RData::TXT(text(&["v=spf1 -all"]))],
        48 => [257, 256].map(dnskey).into(),
        _ => Vec::new(),
    }
}

fn host_records(labels: &[&str], qtype: RecordType) -> Vec<RData> {
    // Any number that differs by name: the addresses are never used.
    let number = labels
        .concat()
        .bytes()
        .fold(7_u8, |sum, byte| sum.wrapping_mul(31) ^ byte);
    match u16::from(qtype) {
        1 => vec![RData::A(A::new(192, 0, 2, number))],
        28 => {
            vec![RData::AAAA(AAAA::new(
                0x2001,
                0xdb8,
                0x53,
                0,
                0,
                0,
                0,
                u16::from(number),
            ))]
        }
        15 => vec![RData::MX(MX::new(
            10,
            domain(&[&["mail"], labels].concat()),
        ))],
        16 => vec![RData::TXT(text(&["v=spf1 mx -all", "a demonstration"]))],
        _ => Vec::new(),
    }
}

/// As long as a real key of 2048 bits, so that both exceed 512 octets.
fn dnskey(flags: u16) -> RData {
    let [high, low] = flags.to_be_bytes();
    let rdata = [[high, low, 3, 8].as_slice(), &[0xda; 260]].concat();
    RData::Unknown {
        code: RecordType::DNSKEY,
        rdata: NULL::with(rdata),
    }
}

fn soa(zone: &str) -> RData {
    let (primary, contact) = (domain(&["ns1", zone]), domain(&["hostmaster", zone]));
    RData::SOA(SOA::new(primary, contact, 1, 7200, 900, 1_209_600, 300))
}

fn text(strings: &[&str]) -> TXT {
    TXT::new(strings.iter().map(|&string| string.to_owned()).collect())
}

fn record(question: &Query, data: RData) -> Record {
    let mut record = Record::from_rdata(question.name.clone(), TTL, data);
    record.dns_class = question.query_class;
    record
}

fn domain(labels: &[&str]) -> Name {
    // Fails for labels over 63 and names over 255 octets: ours are neither.
    Name::from_labels(labels.iter().map(|label| label.as_bytes())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A question as `kdig` would put it.
    fn ask(name: &str, qtype: RecordType) -> Message {
        let mut message = Message::new(0x1234, MessageType::Query, OpCode::Query);
        message.add_query(Query::query(Name::from_ascii(name).expect("a name"), qtype));
        message
    }

    fn with_edns(mut message: Message, size: u16, version: u8) -> Message {
        let mut edns = Edns::new();
        edns.set_max_payload(size).set_version(version);
        message.set_edns(edns);
        message
    }

    fn answered(query: &Message, transport: Transport) -> Message {
        let request = query.to_vec().expect("a query");
        let bytes = answer(&request, transport).expect("an answer");
        Message::from_vec(&bytes).expect("a readable answer")
    }

    #[test]
    fn answers_by_rcode_and_number_of_records() {
        use RecordType as T;
        use ResponseCode as R;
        let cases = [
            ("www.alpha.example.", T::A, R::NoError, 1),
            ("WwW.aLpHa.ExAmPlE.", T::AAAA, R::NoError, 1),
            ("www.alpha.example.", T::HTTPS, R::NoError, 0),
            ("cdn.bravo.test.", T::A, R::NoError, 1),
            ("example.", T::NS, R::NoError, 2),
            ("example.", T::SOA, R::NoError, 1),
            ("example.", T::DS, R::NoError, 0),
            ("hotel.test.", T::MX, R::NoError, 1),
            ("www.alpha.example.", T::ANY, R::NoError, 1),
            ("nowhere.example.", T::A, R::NXDomain, 0),
            ("a.b.c.d.example.", T::ANY, R::NXDomain, 0),
            (".", T::NS, R::Refused, 0),
            ("example.com.", T::A, R::Refused, 0),
            ("1.2.0.192.in-addr.arpa.", T::PTR, R::Refused, 0),
        ];
        for (name, qtype, rcode, records) in cases {
            let reply = answered(&ask(name, qtype), Transport::Udp);
            let got = (reply.metadata.response_code, reply.answers.len());
            assert_eq!(got, (rcode, records), "{name} {qtype}");
            assert_eq!(reply.metadata.id, 0x1234);
        }
    }

    #[test]
    fn negative_answers_carry_the_soa() {
        for name in ["nowhere.example.", "example."] {
            let reply = answered(&ask(name, RecordType::HTTPS), Transport::Udp);
            let types: Vec<_> = reply.authorities.iter().map(Record::record_type).collect();
            assert_eq!(types, [RecordType::SOA], "{name}");
        }
    }

    #[test]
    fn question_is_echoed_in_the_case_it_was_asked() {
        let reply = answered(&ask("wWw.AlPhA.example.", RecordType::A), Transport::Udp);
        assert_eq!(
            reply
                .queries
                .first()
                .map(|query| query.name.to_ascii())
                .as_deref(),
            Some("wWw.AlPhA.example.")
        );
    }

    #[test]
    fn large_answers_are_truncated_over_udp_only() {
        let keys = || ask("example.", RecordType::DNSKEY);
        let huge = || ask("huge.test.", RecordType::TXT);
        let cases = [
            ("keys, no EDNS", keys(), Transport::Udp, true),
            (
                "keys, EDNS 512",
                with_edns(keys(), 512, 0),
                Transport::Udp,
                true,
            ),
            (
                "keys, EDNS 0 means 512",
                with_edns(keys(), 0, 0),
                Transport::Udp,
                true,
            ),
            (
                "keys, EDNS 1232",
                with_edns(keys(), 1232, 0),
                Transport::Udp,
                false,
            ),
            (
                "huge, EDNS 4096",
                with_edns(huge(), 4096, 0),
                Transport::Udp,
                true,
            ),
            ("huge, TCP", huge(), Transport::Tcp, false),
        ];
        for (what, query, transport, truncated) in cases {
            let reply = answered(&query, transport);
            assert_eq!(reply.metadata.truncation, truncated, "{what}");
            assert_eq!(reply.answers.is_empty(), truncated, "{what}");
        }
    }

    #[test]
    fn chaos_class_knows_its_version_alone() {
        for (name, rcode) in [
            ("version.bind.", ResponseCode::NoError),
            ("id.server.", ResponseCode::Refused),
        ] {
            let mut query = ask(name, RecordType::TXT);
            for question in &mut query.queries {
                question.query_class = DNSClass::CH;
            }
            assert_eq!(
                answered(&query, Transport::Udp).metadata.response_code,
                rcode,
                "{name}"
            );
        }
    }

    #[test]
    fn other_opcodes_are_not_implemented() {
        for opcode in [OpCode::Notify, OpCode::Status, OpCode::Unknown(9)] {
            let mut query = ask("example.", RecordType::SOA);
            query.metadata.op_code = opcode;
            let reply = answered(&query, Transport::Udp);
            assert_eq!(
                reply.metadata.response_code,
                ResponseCode::NotImp,
                "{opcode}"
            );
        }
    }

    #[test]
    fn unknown_edns_version_is_badvers_with_our_version() {
        let reply = answered(
            &with_edns(ask("example.", RecordType::SOA), 1232, 1),
            Transport::Udp,
        );
        // 16 is BADSIG as well, in TSIG records.
        assert_eq!(u16::from(reply.metadata.response_code), 16);
        assert_eq!(reply.edns.map(|edns| edns.version()), Some(0));
    }

    #[test]
    fn what_is_no_readable_query_gets_no_answer() {
        let header = |flags: u8, questions: u8| [0, 1, flags, 0, 0, questions, 0, 0, 0, 0, 0, 0];
        let cases: [(&str, Vec<u8>); 5] = [
            ("short header", vec![0, 1, 0, 0, 0]),
            (
                "pointer to itself",
                [&header(0, 1)[..], &[0xc0, 12, 0, 1, 0, 1]].concat(),
            ),
            (
                "label of type 10",
                [&header(0, 1)[..], &[0x80, b'a', 0, 0, 1, 0, 1]].concat(),
            ),
            (
                "question cut",
                [&header(0, 1)[..], &[1, b'a', 0, 0, 1]].concat(),
            ),
            (
                "a response",
                [&header(0x80, 1)[..], &[1, b'a', 0, 0, 1, 0, 1]].concat(),
            ),
        ];
        for (what, bytes) in cases {
            assert_eq!(answer(&bytes, Transport::Udp), None, "{what}");
        }
    }
}
