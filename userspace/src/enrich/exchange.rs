//! A query with its response, and all that is known of its client: the one
//! message type of the enriched stream.
//!
//! An [`Exchange`] has everything, as it was seen. Whoever shows it to people or
//! sends it elsewhere does so by a view that keeps to the rules of privacy
//! ([`shown`]); whoever wants only some chooses before that ([`filter`]), as
//! filters know more than is shown. New consumers attach to this type.

pub mod filter;
pub mod shown;

use std::{net::IpAddr, sync::Arc};

use dns_wire::{
    counters::Role,
    iana::{Opcode, Qclass, Qtype, Rcode},
    locate::{Family, Transport},
};

use super::locator::Place;

/// A query with its response, or one of them without the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exchange {
    /// When the query came, or the response where there is no query: in ns since
    /// the Unix epoch.
    pub time_ns: u64,
    /// When it was complete, or given up: in ns of the clock that messages are
    /// stamped with, which is `CLOCK_MONOTONIC` live.
    pub complete_ns: u64,
    /// It stands for so many, since only a share of all is taken.
    pub weight: u64,
    /// The observed host's side.
    pub role: Role,
    /// UDP or TCP.
    pub transport: Transport,
    /// IPv4 or IPv6.
    pub family: Family,
    /// Who asks.
    pub client: IpAddr,
    /// From which port.
    pub client_port: u16,
    /// Who is asked.
    pub server: IpAddr,
    /// At which port.
    pub server_port: u16,
    /// Message ID.
    pub id: u16,
    /// OPCODE.
    pub opcode: Opcode,
    /// The first question, where there is one.
    pub question: Option<Question>,
    /// The query; none where only a response was seen.
    pub query: Option<Query>,
    /// The response; none where the query got none in time.
    pub response: Option<Response>,
    /// What is known of the client's address.
    pub place: Arc<Place>,
    /// The customer that it is told by.
    pub customer: Option<Arc<str>>,
    /// The client's name, from the reverse zone, in presentation form.
    pub ptr: Option<Arc<str>>,
}

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// QNAME on the wire, in the case that it was asked in.
    pub name: Box<[u8]>,
    /// QTYPE.
    pub qtype: Qtype,
    /// QCLASS.
    pub qclass: Qclass,
}

/// What a query has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query {
    /// Octets of the message.
    pub len: u16,
    /// RD.
    pub recursion_desired: bool,
    /// CD.
    pub checking_disabled: bool,
    /// AD.
    pub authentic_data: bool,
    /// Its OPT record, where it has a readable one.
    pub edns: Option<Edns>,
}

/// The fixed part of an OPT record (RFC 6891, section 6.1.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Edns {
    /// VERSION.
    pub version: u8,
    /// The requestor's UDP payload size.
    pub udp_size: u16,
    /// DO.
    pub dnssec_ok: bool,
}

/// What a response has of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Response {
    /// Octets of the message.
    pub len: u16,
    /// RCODE, with the bits of the OPT record where they are known.
    pub rcode: Rcode,
    /// AA.
    pub authoritative: bool,
    /// TC.
    pub truncated: bool,
    /// RA.
    pub recursion_available: bool,
    /// AD.
    pub authentic_data: bool,
    /// Time since the query, in ns; none where there was no query.
    pub after_ns: Option<u64>,
}

/// How an exchange ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A query with its response.
    Answered,
    /// A query without a response in the time given.
    Unanswered,
    /// A response without a query.
    Unsolicited,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Answered, Self::Unanswered, Self::Unsolicited];

    /// Its word in metrics and in the stream.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Answered => "answered",
            Self::Unanswered => "unanswered",
            Self::Unsolicited => "unsolicited",
        }
    }
}

impl Exchange {
    /// How it ended.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        match (&self.query, &self.response) {
            (_, None) => Kind::Unanswered,
            (Some(_), Some(_)) => Kind::Answered,
            (None, Some(_)) => Kind::Unsolicited,
        }
    }
}

#[cfg(test)]
pub(crate) mod example {
    //! One exchange for the tests of whoever consumes them.

    use super::*;

    /// `www.example.com`, asked for over UDP and found.
    pub(crate) fn exchange() -> Exchange {
        Exchange {
            // 2026-01-10T12:00:00.25Z
            time_ns: 1_768_046_400_250_000_000,
            complete_ns: 1_000_123_456,
            weight: 8,
            role: Role::Server,
            transport: Transport::Udp,
            family: Family::Ipv4,
            client: IpAddr::from([192, 0, 2, 77]),
            client_port: 40_000,
            server: IpAddr::from([198, 51, 100, 53]),
            server_port: 53,
            id: 4711,
            opcode: Opcode::QUERY,
            question: Some(Question {
                name: b"\x03Www\x07example\x03com\0".as_slice().into(),
                qtype: Qtype::AAAA,
                qclass: Qclass::IN,
            }),
            query: Some(Query {
                len: 44,
                recursion_desired: true,
                checking_disabled: false,
                authentic_data: false,
                edns: Some(Edns {
                    version: 0,
                    udp_size: 1232,
                    dnssec_ok: true,
                }),
            }),
            response: Some(Response {
                len: 120,
                rcode: Rcode::NOERROR,
                authoritative: true,
                truncated: false,
                recursion_available: false,
                authentic_data: false,
                after_ns: Some(123_456),
            }),
            place: Arc::new(Place {
                country: Some(*b"NL"),
                continent: Some(*b"EU"),
                asn: Some(64_496),
                as_org: Some("Example Networks".into()),
                network: Some("example-resolver".into()),
                customer: None,
            }),
            customer: Some("Example".into()),
            ptr: Some("host-77.dsl.example.net".into()),
        }
    }
}
