//! An exchange as people and programs get to see it: one JSON object.
//!
//! Clients are shown as [`Privacy`] says, and what would name them beside their
//! address goes with it: port and message ID, which others have seen, too, and
//! the name from the reverse zone, of which the domain is left.

use std::{path::Path, sync::Arc};

use serde::{Deserialize, Serialize};

use super::{Edns, Exchange, Query, Response};
use crate::{
    config::Config,
    enrich::privacy::{Privacy, PrivacyError},
    names::{list_file::ListError, suffix::SuffixList, text},
    stats::{plan::Compat, qname::Qname},
};

/// How much is shown.
#[derive(Clone, Debug)]
pub struct Disclosure {
    /// How clients are.
    pub privacy: Privacy,
    /// What tells where a client's domain begins; without, it is the last two
    /// labels of its name.
    pub suffixes: Option<Arc<SuffixList>>,
}

/// Why it is not known how much may be shown.
#[derive(Debug, thiserror::Error)]
pub enum DisclosureError {
    /// The secret of pseudonyms.
    #[error(transparent)]
    Privacy(#[from] PrivacyError),
    /// The list of suffixes.
    #[error("statistics.suffix_list: {0}")]
    Suffixes(#[from] ListError),
}

impl Disclosure {
    /// As configured.
    ///
    /// # Errors
    /// When the secret of pseudonyms or the list of suffixes cannot be read.
    pub fn from_config(config: &Config) -> Result<Self, DisclosureError> {
        let suffix_list = &config.statistics.suffix_list;
        let suffixes = (!suffix_list.is_empty())
            .then(|| SuffixList::load(Path::new(suffix_list)))
            .transpose()?;
        Ok(Self {
            privacy: Privacy::from_config(config)?,
            suffixes: suffixes.map(Arc::new),
        })
    }

    /// Whether addresses are shown, and all that goes with them.
    #[must_use]
    pub const fn names_clients(&self) -> bool {
        match self.privacy {
            Privacy::Address => true,
            Privacy::Prefix { .. } | Privacy::Pseudonym(_) => false,
        }
    }
}

/// An exchange, shown. What is not known, or not to be known, is not there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Shown {
    /// RFC 3339, UTC.
    pub time: String,
    /// `answered`, `unanswered` or `unsolicited`.
    pub kind: String,
    /// It stands for so many.
    pub weight: u64,
    /// `server` or `client`: the observed host's side.
    pub role: String,
    /// `udp` or `tcp`.
    pub transport: String,
    /// `ipv4` or `ipv6`.
    pub family: String,
    /// A prefix, a pseudonym, or an address.
    pub client: String,
    /// Where addresses are shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub client_port: Option<u16>,
    /// Address of the server.
    pub server: String,
    /// Its port.
    pub server_port: u16,
    /// Where addresses are shown: message ID.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<u16>,
    /// OPCODE.
    pub opcode: String,
    /// QNAME in lower case, in presentation form.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qname: Option<String>,
    /// QTYPE.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qtype: Option<String>,
    /// QCLASS.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub qclass: Option<String>,
    /// The query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub query: Option<ShownQuery>,
    /// The response.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response: Option<ShownResponse>,
    /// ISO 3166-1 alpha-2 code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub country: Option<String>,
    /// Two letters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continent: Option<String>,
    /// Number of the autonomous system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub asn: Option<u32>,
    /// Its organisation.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub as_org: Option<String>,
    /// The network that is known by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// The customer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub customer: Option<String>,
    /// Where addresses are shown: the client's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ptr: Option<String>,
    /// Where they are not: the end of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ptr_domain: Option<String>,
}

/// What a query has of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShownQuery {
    /// Octets.
    pub size: u16,
    /// RD.
    pub rd: bool,
    /// CD.
    pub cd: bool,
    /// AD.
    pub ad: bool,
    /// The OPT record.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub edns: Option<ShownEdns>,
}

/// The fixed part of an OPT record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShownEdns {
    /// VERSION.
    pub version: u8,
    /// UDP payload size.
    pub udp_size: u16,
    /// DO.
    #[serde(rename = "do")]
    pub dnssec_ok: bool,
}

/// What a response has of its own.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ShownResponse {
    /// RCODE.
    pub rcode: String,
    /// Octets.
    pub size: u16,
    /// AA.
    pub aa: bool,
    /// TC.
    pub tc: bool,
    /// RA.
    pub ra: bool,
    /// AD.
    pub ad: bool,
    /// Since the query.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub response_time_seconds: Option<f64>,
}

impl Shown {
    /// An exchange, with no more than is to be disclosed.
    #[must_use]
    pub fn new(exchange: &Exchange, disclosure: &Disclosure) -> Self {
        let named = disclosure.names_clients();
        let question = exchange.question.as_ref();
        let place = &exchange.place;
        let text = |text: &Arc<str>| text.to_string();
        let ptr = exchange.ptr.as_deref();
        Self {
            time: rfc_3339(exchange.time_ns),
            kind: exchange.kind().label().to_owned(),
            weight: exchange.weight,
            role: exchange.role.label().to_owned(),
            transport: exchange.transport.label().to_owned(),
            family: exchange.family.label().to_owned(),
            client: disclosure.privacy.show(exchange.client),
            client_port: named.then_some(exchange.client_port),
            server: exchange.server.to_string(),
            server_port: exchange.server_port,
            id: named.then_some(exchange.id),
            opcode: exchange.opcode.to_string(),
            qname: question.map(|question| presentation(&question.name)),
            qtype: question.map(|question| question.qtype.to_string()),
            qclass: question.map(|question| question.qclass.to_string()),
            query: exchange.query.as_ref().map(ShownQuery::new),
            response: exchange.response.as_ref().map(ShownResponse::new),
            country: place.country.map(letters),
            continent: place.continent.map(letters),
            asn: place.asn,
            as_org: place.as_org.as_ref().map(text),
            network: place.network.as_ref().map(text),
            customer: exchange.customer.as_ref().map(text),
            ptr: ptr.filter(|_| named).map(str::to_owned),
            ptr_domain: ptr
                .filter(|_| !named)
                .and_then(|ptr| domain(ptr, disclosure.suffixes.as_deref())),
        }
    }
}

impl ShownQuery {
    fn new(query: &Query) -> Self {
        Self {
            size: query.len,
            rd: query.recursion_desired,
            cd: query.checking_disabled,
            ad: query.authentic_data,
            edns: query.edns.as_ref().map(ShownEdns::new),
        }
    }
}

impl ShownEdns {
    const fn new(edns: &Edns) -> Self {
        Self {
            version: edns.version,
            udp_size: edns.udp_size,
            dnssec_ok: edns.dnssec_ok,
        }
    }
}

impl ShownResponse {
    fn new(response: &Response) -> Self {
        Self {
            rcode: response.rcode.to_string(),
            size: response.len,
            aa: response.authoritative,
            tc: response.truncated,
            ra: response.recursion_available,
            ad: response.authentic_data,
            response_time_seconds: response.after_ns.map(|ns| ns as f64 / 1e9),
        }
    }
}

fn presentation(name: &[u8]) -> String {
    let mut to = String::new();
    text::push_text(name, &mut to);
    to
}

fn letters(code: [u8; 2]) -> String {
    code.map(char::from).iter().collect()
}

/// Always nine digits of the second, so that lines align.
fn rfc_3339(unix_ns: u64) -> String {
    match jiff::Timestamp::from_nanosecond(i128::from(unix_ns)) {
        Ok(time) => time.strftime("%Y-%m-%dT%H:%M:%S.%9fZ").to_string(),
        // Beyond the year 9999, of which a capture file may tell.
        Err(_) => String::new(),
    }
}

/// The part of a name under which others have theirs, and one label more.
fn domain(name: &str, suffixes: Option<&SuffixList>) -> Option<String> {
    let wire = text::parse(name).ok()?;
    let mut qname = Qname::default();
    qname.set(&wire, Compat::None);
    let suffix = suffixes.map_or(1, |list| list.labels(qname.whole(), qname.starts()));
    let labels = (suffix + 1).min(qname.starts().len());
    Some(presentation(qname.last(labels)))
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use serde_json::{Value, json};

    use super::*;
    use crate::enrich::exchange::example::exchange;

    fn json_of(exchange: &Exchange, privacy: Privacy) -> Value {
        let disclosure = Disclosure {
            privacy,
            suffixes: None,
        };
        serde_json::to_value(Shown::new(exchange, &disclosure)).expect("plain values")
    }

    const PREFIX: Privacy = Privacy::Prefix { ipv4: 24, ipv6: 48 };

    #[test]
    fn a_client_shown_by_its_prefix_is_not_named_elsewhere() {
        let expected = json!({
            "time": "2026-01-10T12:00:00.250000000Z",
            "kind": "answered",
            "weight": 8,
            "role": "server",
            "transport": "udp",
            "family": "ipv4",
            "client": "192.0.2.0/24",
            "server": "198.51.100.53",
            "server_port": 53,
            "opcode": "QUERY",
            "qname": "www.example.com",
            "qtype": "AAAA",
            "qclass": "IN",
            "query": {
                "size": 44, "rd": true, "cd": false, "ad": false,
                "edns": {"version": 0, "udp_size": 1232, "do": true},
            },
            "response": {
                "rcode": "NOERROR", "size": 120,
                "aa": true, "tc": false, "ra": false, "ad": false,
                "response_time_seconds": 0.000_123_456,
            },
            "country": "NL",
            "continent": "EU",
            "asn": 64496,
            "as_org": "Example Networks",
            "network": "example-resolver",
            "customer": "Example",
            "ptr_domain": "example.net",
        });
        assert_eq!(json_of(&exchange(), PREFIX), expected);
    }

    #[test]
    fn an_address_comes_with_its_port_id_and_name() {
        let shown = json_of(&exchange(), Privacy::Address);
        assert_eq!(shown["client"], "192.0.2.77");
        assert_eq!(shown["client_port"], 40_000);
        assert_eq!(shown["id"], 4711);
        assert_eq!(shown["ptr"], "host-77.dsl.example.net");
        assert_eq!(shown["ptr_domain"], Value::Null);
    }

    #[test]
    fn nothing_of_an_address_is_left_where_a_prefix_is_shown() {
        let exchange = Exchange {
            client: "2001:db8:1:2:3:4:5:6"
                .parse::<IpAddr>()
                .expect("an address"),
            ..exchange()
        };
        let shown = json_of(&exchange, PREFIX);
        assert_eq!(shown["client"], "2001:db8:1::/48");
        for secret in ["2001:db8:1:2", "40000", "4711", "host-77", "dsl"] {
            assert!(!shown.to_string().contains(secret), "{secret} in {shown}");
        }
    }

    #[test]
    fn what_is_not_there_is_left_out() {
        let bare = Exchange {
            question: None,
            query: None,
            place: Arc::default(),
            customer: None,
            ptr: None,
            response: exchange().response.map(|response| Response {
                after_ns: None,
                ..response
            }),
            ..exchange()
        };
        let shown = json_of(&bare, PREFIX);
        assert_eq!(shown["kind"], "unsolicited");
        for absent in ["qname", "qtype", "query", "country", "asn", "customer"] {
            assert!(shown.get(absent).is_none(), "{absent} in {shown}");
        }
        assert!(shown["response"].get("response_time_seconds").is_none());
        let unanswered = Exchange {
            response: None,
            ..exchange()
        };
        assert_eq!(json_of(&unanswered, PREFIX)["kind"], "unanswered");
    }

    #[test]
    fn hostile_names_are_escaped() {
        let mut hostile = exchange();
        let question = hostile.question.as_mut().expect("a question");
        question.name = b"\x04\x1b[0m\x03a.b\x02\"\n\0".as_slice().into();
        let shown = json_of(&hostile, PREFIX);
        assert_eq!(shown["qname"], "\\027[0m.a\\.b.\"\\010");
    }

    #[test]
    fn a_domain_is_the_public_suffix_and_one_label() {
        let list = SuffixList::parse("list", "com\nco.uk\n").expect("a list");
        for (name, plain, by_list) in [
            ("host.example.com", "example.com", "example.com"),
            ("a.b.example.co.uk.", "co.uk", "example.co.uk"),
            ("co.uk", "co.uk", "co.uk"),
            ("com", "com", "com"),
            (".", ".", "."),
            (r"x.a\.b.com", r"a\.b.com", r"a\.b.com"),
        ] {
            assert_eq!(domain(name, None).as_deref(), Some(plain), "{name}");
            let by = domain(name, Some(&list));
            assert_eq!(by.as_deref(), Some(by_list), "{name}");
        }
        assert_eq!(domain("a..b", None), None);
    }

    #[test]
    fn what_is_shown_can_be_read_back() {
        let disclosure = Disclosure {
            privacy: PREFIX,
            suffixes: None,
        };
        let shown = Shown::new(&exchange(), &disclosure);
        let text = serde_json::to_string(&shown).expect("plain values");
        assert_eq!(serde_json::from_str::<Shown>(&text).ok(), Some(shown));
    }
}
