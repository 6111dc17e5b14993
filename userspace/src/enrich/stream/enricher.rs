//! From two messages to an exchange: what was parsed, put into words, and what the
//! tables and the reverse zones know of the client.

use std::{net::IpAddr, num::NonZeroUsize, sync::Arc};

use dns_wire::{
    counters::Role,
    iana::{Opcode, Qclass, Qtype, Rcode},
    message::{EdnsState, Message},
};
use foldhash::quality::RandomState;
use lru::LruCache;

use super::{halves::Met, raw::Raw};
use crate::{
    config::{Config, CustomerBy},
    enrich::{
        customers::Parties,
        exchange::{Edns, Exchange, Query, Question, Response},
        locator::Locator,
        tables::SharedTables,
    },
    stats::{plan::Compat, qname::Qname},
};

/// The name of a client, if it is known by now; never waits for it. Whoever asks
/// makes that it will be known.
pub type ReverseLookup = Box<dyn FnMut(IpAddr) -> Option<Arc<str>> + Send>;

/// Clients that are counted at a time, to find those that are seen often.
const CLIENTS: NonZeroUsize = NonZeroUsize::new(1 << 14).unwrap();

// Bits of the header (RFC 1035, section 4.1.1; RFC 4035, section 3.2).
const AA: u16 = 0x0400;
const TC: u16 = 0x0200;
const RD: u16 = 0x0100;
const RA: u16 = 0x0080;
const AD: u16 = 0x0020;
const CD: u16 = 0x0010;

/// Makes exchanges, on one thread.
#[derive(Debug)]
pub struct Enricher {
    locator: Locator,
    by: Vec<CustomerBy>,
    names: Option<Names>,
    qname: Box<Qname>,
    /// From the clock of messages to the Unix epoch, in ns.
    unix_offset_ns: i128,
}

/// Names of clients.
struct Names {
    lookup: ReverseLookup,
    min_seen: u32,
    seen: LruCache<IpAddr, u32, RandomState>,
}

impl std::fmt::Debug for Names {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Names").finish_non_exhaustive()
    }
}

impl Enricher {
    /// Looks up in these tables, through a cache of so many addresses; customers
    /// are told by what stands in `by`.
    #[must_use]
    pub fn new(tables: &SharedTables, cache: usize, by: Vec<CustomerBy>) -> Self {
        Self {
            locator: Locator::new(Arc::clone(tables), cache),
            by,
            names: None,
            qname: Box::default(),
            unix_offset_ns: 0,
        }
    }

    /// Looks up in these tables, as configured.
    #[must_use]
    pub fn from_config(config: &Config, tables: &SharedTables) -> Self {
        let cache = config.geoip.cache as usize;
        Self::new(tables, cache, config.customers.by.clone())
    }

    /// The server's clients are looked up in the reverse zones, too, once they
    /// were seen so often.
    #[must_use]
    pub fn with_names(mut self, lookup: ReverseLookup, min_seen: u32) -> Self {
        self.names = Some(Names {
            lookup,
            min_seen,
            seen: LruCache::with_hasher(CLIENTS, RandomState::default()),
        });
        self
    }

    /// Goes over to the tables of now: to be called between two batches.
    /// `unix_offset_ns` leads from the messages' clock to the Unix epoch.
    pub fn refresh(&mut self, unix_offset_ns: i128) {
        self.locator.refresh();
        self.unix_offset_ns = unix_offset_ns;
    }

    /// What two messages, or one, tell; none if there is none.
    pub(super) fn exchange(&mut self, met: &Met) -> Option<Exchange> {
        let first = met.query.as_ref().or(met.response.as_ref())?;
        let (client, client_port) = first.client();
        let (server, server_port) = first.server();
        let (client, server) = (first.address(client), first.address(server));
        let query_ns = met.query.as_ref().map(|query| query.time_ns);
        Some(Exchange {
            time_ns: self.unix_ns(first.time_ns),
            complete_ns: met.complete_ns,
            weight: met.weight,
            role: first.role,
            transport: first.flow.transport,
            family: first.flow.family,
            client,
            client_port,
            server,
            server_port,
            id: first.message.header.id(),
            opcode: Opcode(first.message.header.opcode()),
            question: question(first),
            query: met.query.as_ref().map(|query| self::query(&query.message)),
            response: (met.response.as_ref()).map(|raw| response(raw, query_ns)),
            place: Arc::clone(self.locator.locate(client)),
            customer: self.customer(first.name(), client, server),
            ptr: self.name_of(first.role, client),
        })
    }

    fn unix_ns(&self, time_ns: u64) -> u64 {
        u64::try_from(i128::from(time_ns) + self.unix_offset_ns).unwrap_or(0)
    }

    fn customer(&mut self, name: &[u8], client: IpAddr, server: IpAddr) -> Option<Arc<str>> {
        let tables = self.locator.tables();
        if tables.customers.is_empty() {
            return None;
        }
        self.qname.set(name, Compat::None);
        let parties = Parties {
            name: &self.qname,
            client,
            server,
        };
        tables.customers.of(&self.by, &parties).cloned()
    }

    /// The name of a client of the server that was seen often enough.
    fn name_of(&mut self, role: Role, client: IpAddr) -> Option<Arc<str>> {
        let names = self.names.as_mut().filter(|_| role == Role::Server)?;
        let seen = names.seen.get_or_insert_mut(client, || 0);
        *seen = seen.saturating_add(1);
        if *seen < names.min_seen {
            return None;
        }
        (names.lookup)(client)
    }
}

fn question(raw: &Raw) -> Option<Question> {
    let question = &raw.message.question;
    raw.message.has_question().then(|| Question {
        name: raw.name().into(),
        qtype: Qtype(question.qtype()),
        qclass: Qclass(question.qclass()),
    })
}

fn query(message: &Message) -> Query {
    let flags = message.header.flags();
    Query {
        len: octets(message),
        recursion_desired: flags & RD != 0,
        checking_disabled: flags & CD != 0,
        authentic_data: flags & AD != 0,
        edns: (message.edns == EdnsState::Present).then(|| Edns {
            version: message.opt.version(),
            udp_size: message.opt.udp_size(),
            dnssec_ok: message.opt.dnssec_ok(),
        }),
    }
}

fn response(raw: &Raw, query_ns: Option<u64>) -> Response {
    let flags = raw.message.header.flags();
    Response {
        len: octets(&raw.message),
        rcode: Rcode(raw.message.rcode()),
        authoritative: flags & AA != 0,
        truncated: flags & TC != 0,
        recursion_available: flags & RA != 0,
        authentic_data: flags & AD != 0,
        after_ns: query_ns.map(|query_ns| raw.time_ns.saturating_sub(query_ns)),
    }
}

fn octets(message: &Message) -> u16 {
    u16::try_from(message.len).unwrap_or(u16::MAX)
}
