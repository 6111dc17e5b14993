//! A message on its way from the drain to the enrich thread: of a fixed size, so
//! that taking it is a copy and nothing else.

use std::net::IpAddr;

use dns_wire::{
    counters::{Hook, Qr, Role},
    locate::Flow,
    message::{MAX_NAME, Message},
    record::{Record, ip_addr},
};

use crate::stats::choice::Choice;

/// A message of a chosen transaction.
#[derive(Clone, Copy, Debug)]
pub struct Raw {
    /// When it was seen, in ns of the clock that messages are stamped with.
    pub time_ns: u64,
    /// Where it was seen.
    pub hook: Hook,
    /// The observed host's side.
    pub role: Role,
    /// Addresses, ports, transport.
    pub flow: Flow,
    /// Header, question, OPT record.
    pub message: Message,
    /// How its transaction was chosen.
    pub choice: Choice,
    name_len: u8,
    name: [u8; MAX_NAME],
}

impl Raw {
    /// A message, as its record and the parser tell of it; `name` is QNAME on the
    /// wire. Of one put together from segments, `record` is that of the last
    /// segment, and the time its own.
    #[must_use]
    pub fn new(record: &Record<'_>, message: &Message, name: &[u8], time_ns: u64) -> Self {
        let mut raw = Self {
            time_ns,
            hook: record.hook(),
            role: record.role(),
            flow: record.flow(),
            message: *message,
            choice: Choice::of(record),
            name_len: name.len().min(MAX_NAME) as u8,
            name: [0; MAX_NAME],
        };
        for (to, from) in raw.name.iter_mut().zip(name) {
            *to = *from;
        }
        raw
    }

    /// QNAME on the wire; empty without a question.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.name.get(..usize::from(self.name_len)).unwrap_or(&[])
    }

    /// Query or response.
    #[must_use]
    pub const fn qr(&self) -> Qr {
        if self.message.header.is_response() {
            Qr::Response
        } else {
            Qr::Query
        }
    }

    /// Address and port of the client, as in memory.
    #[must_use]
    pub const fn client(&self) -> ([u64; 2], u16) {
        match self.qr() {
            Qr::Query => (self.flow.source, self.flow.source_port),
            Qr::Response => (self.flow.destination, self.flow.destination_port),
        }
    }

    /// Address and port of the server, as in memory.
    #[must_use]
    pub const fn server(&self) -> ([u64; 2], u16) {
        match self.qr() {
            Qr::Query => (self.flow.destination, self.flow.destination_port),
            Qr::Response => (self.flow.source, self.flow.source_port),
        }
    }

    /// An address of its flow.
    #[must_use]
    pub fn address(&self, words: [u64; 2]) -> IpAddr {
        ip_addr(self.flow.family, words)
    }
}

#[cfg(test)]
pub(crate) mod example {
    //! Messages for the tests.

    use dns_wire::{
        locate::{Family, Transport},
        message::{EdnsState, Header, Opt, Question},
    };

    use super::*;

    fn words(octets: [u8; 4]) -> [u64; 2] {
        let [a, b, c, d] = octets;
        [u64::from_ne_bytes([a, b, c, d, 0, 0, 0, 0]), 0]
    }

    /// A query from 192.0.2.77 to 198.51.100.53 for `name`, type A, over UDP.
    pub(crate) fn query(id: u16, name: &[u8], time_ns: u64) -> Raw {
        let [high, low] = id.to_be_bytes();
        // RD; one question.
        let header = [high, low, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        let mut raw = Raw {
            time_ns,
            hook: Hook::Ingress,
            role: Role::Server,
            flow: Flow {
                family: Family::Ipv4,
                transport: Transport::Udp,
                hop_limit: 64,
                source: words([192, 0, 2, 77]),
                destination: words([198, 51, 100, 53]),
                source_port: 40_000,
                destination_port: 53,
            },
            message: Message {
                header: Header::new(header),
                question: Question::new(12, name.len(), 1, 1),
                edns: EdnsState::Absent,
                opt: Opt::default(),
                len: 16 + name.len(),
            },
            choice: Choice::default(),
            name_len: name.len() as u8,
            name: [0; MAX_NAME],
        };
        raw.name[..name.len()].copy_from_slice(name);
        raw
    }

    /// The response to a query, with AA and RCODE `rcode`, after so long.
    pub(crate) fn response(query: &Raw, rcode: u8, after_ns: u64) -> Raw {
        let [high, low] = query.message.header.id().to_be_bytes();
        let header = [high, low, 0x85, rcode, 0, 1, 0, 1, 0, 0, 0, 0];
        Raw {
            time_ns: query.time_ns + after_ns,
            hook: Hook::Egress,
            flow: Flow {
                source: query.flow.destination,
                destination: query.flow.source,
                source_port: query.flow.destination_port,
                destination_port: query.flow.source_port,
                ..query.flow
            },
            message: Message {
                header: Header::new(header),
                len: query.message.len + 16,
                ..query.message
            },
            ..*query
        }
    }
}
