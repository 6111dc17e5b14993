//! The values of one message: each computed at most once, however many datasets
//! ask for it.
//!
//! A value is a [`Key`]: a number as it is, or the hash of a text. `label` turns
//! keys back into what is printed.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "an arm names the indexers that it is about, among more than sixty"
)]

use std::{net::IpAddr, sync::Arc};

use dns_wire::{
    counters::{Hook, Role},
    locate::{Family, IpPacket, Transport},
    message::EdnsState,
    opt::{Ecs, KnownOptions, Options},
    record::ip_addr,
};

use super::{
    atoms::Words,
    cells::{Cells, Key},
    classify::{Traits, classify, classify_as_dsc},
    dataset::{Indexer, Predicate},
    known_names::{self, Known, Wanted},
    observed::Observed,
    octets::Hasher,
    plan::{Compat, Plan, Rules, Step, Way},
    qname::{Qname, dsc_text, push_dsc_text},
};
use crate::{
    config::CustomerBy,
    enrich::{
        locator::{Caches, Locator, Place},
        tables::Tables,
    },
};

/// Octets of an option's text that make a value; longer ones are cut.
const MAX_TEXT: usize = 512;
/// There is no such value: no EDNS, no option, no question.
pub(super) const NONE: Key = u64::MAX;
/// The message is in no cell of the dataset.
pub(super) const SKIP: Key = u64::MAX - 1;
/// [`NONE`] of an IPv6 address.
pub(super) const NONE_IPV6: Key = u64::MAX - 2;
/// What is not exported by itself; no message has it.
pub(super) const OTHER: Key = u64::MAX - 3;
/// [`NONE`] of an IPv4 address.
pub(super) const NONE_IPV4: Key = u64::MAX - 4;
/// Hashes are below.
const RESERVED: Key = u64::MAX - 7;
/// An address of IPv6 is a hash, one of IPv4 the address itself.
pub(super) const IPV6: Key = 1 << 63;

/// Values of `certain_qnames`.
const LOCALHOST: Key = 0;
const ROOT_SERVER: Key = 1;

/// DSC's directions.
pub(crate) mod direction {
    /// From a local address.
    pub(crate) const SENT: u64 = 0;
    /// To a local address.
    pub(crate) const RECV: u64 = 1;
    /// Neither.
    pub(crate) const ELSE: u64 = 2;
}

/// What the values of the message at hand are computed with, and kept in.
#[derive(Debug)]
pub(super) struct Values {
    /// By indexer, with the number of the message that they are of.
    keys: [(Key, u32); Indexer::COUNT],
    /// The number of the message at hand; 0 is none's.
    message: u32,
    /// The conditions that hold, with the number of the message.
    holding: (u64, u32),
    name: Qname,
    name_known: bool,
    /// Where the text of a value is put together.
    scratch: Vec<u8>,
    hasher: Hasher,
    /// Source ports in the order of their appearance: DSC prints that.
    ports: Vec<u16>,
    port_ordinals: Vec<u16>,
    /// What is known of addresses.
    locator: Locator<PlaceKeys>,
    /// What comes of the client's address, with the number of the message.
    place: Option<(PlaceKeys, u32)>,
    /// By the keys of names, where customers are counted.
    owners: Box<[(Key, Key)]>,
}

/// The values that come of an address, as keys: small, since they are read for
/// each message.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct PlaceKeys {
    as_org: Key,
    network: Key,
    customer: Key,
    /// 0 where it is not known: it is nobody's (RFC 7607).
    asn: u32,
    /// Two letters; 0 where they are not known.
    country: u16,
    continent: u16,
    /// What an unknown value is printed as.
    no_country: Unknown,
    no_asn: Unknown,
}

/// DSC tells the family of an address where it has no database.
#[derive(Clone, Copy, Debug, Default)]
enum Unknown {
    #[default]
    ToDatabase,
    Ipv4,
    Ipv6,
}

impl Unknown {
    const fn key(self) -> Key {
        match self {
            Self::ToDatabase => NONE,
            Self::Ipv4 => NONE_IPV4,
            Self::Ipv6 => NONE_IPV6,
        }
    }
}

/// Customers of names that were asked for of late: 64 KiB.
const RECENT_OWNERS: usize = 4096;

/// The message at hand and the rules.
#[derive(Clone, Copy)]
pub(super) struct At<'a> {
    pub(super) observed: &'a Observed<'a>,
    pub(super) rules: &'a Rules,
}

impl Values {
    /// Engines whose counts are to be added up have the same seed.
    pub(super) fn new(plan: &Plan, seed: u64) -> Self {
        let places = if plan.reads_places() {
            plan.rules.places
        } else {
            0
        };
        let hasher = Hasher::new(seed);
        let keys = move |tables: &Tables, address: IpAddr, place: &Place| {
            PlaceKeys::new(tables, address, place, hasher)
        };
        Self {
            keys: [(0, 0); Indexer::COUNT],
            message: 0,
            holding: (0, 0),
            name: Qname::default(),
            name_known: false,
            scratch: Vec::new(),
            hasher,
            ports: Vec::new(),
            port_ordinals: Vec::new(),
            locator: Locator::noting(Arc::clone(&plan.rules.tables), places, keys),
            place: None,
            owners: if plan.reads(Indexer::Customer) {
                vec![(OTHER, NONE); RECENT_OWNERS].into()
            } else {
                Box::default()
            },
        }
    }

    /// Whether there are newer tables.
    pub(super) fn is_behind(&self) -> bool {
        self.locator.is_behind()
    }

    /// Goes over to the tables of now. Nothing of before may wait to be counted.
    pub(super) fn refresh(&mut self) {
        self.locator.refresh();
        self.owners.fill((OTHER, NONE));
    }

    /// The number of the tables of now.
    pub(super) const fn tables(&self) -> u32 {
        self.locator.generation()
    }

    /// How the caches of what is known of addresses did.
    pub(super) fn caches(&self) -> Caches {
        self.locator.caches()
    }

    /// Another message is at hand.
    #[inline]
    pub(super) fn begin(&mut self) {
        self.message = self.message.wrapping_add(1);
        if self.message == 0 {
            self.keys = [(0, 0); Indexer::COUNT];
            self.place = None;
            self.holding = (0, 0);
            self.message = 1;
        }
        // Read for most messages, as every flat dataset has it.
        self.set(Indexer::Null, 0);
        self.name_known = false;
    }

    /// What DSC forgets with each interval.
    pub(super) fn end_interval(&mut self) {
        self.ports.clear();
        self.port_ordinals.clear();
    }

    /// Source ports in the order of their appearance, where DSC is followed.
    pub(super) fn ports(&self) -> &[u16] {
        &self.ports
    }

    /// The value of the message at hand.
    #[inline]
    pub(super) fn key(&mut self, indexer: Indexer, at: At<'_>) -> Key {
        let index = indexer.index();
        if let Some((key, message)) = self.keys.get(index)
            && *message == self.message
        {
            return *key;
        }
        let key = self.compute(indexer, at);
        if let Some(place) = self.keys.get_mut(index) {
            *place = (key, self.message);
        }
        key
    }

    fn compute(&mut self, indexer: Indexer, at: At<'_>) -> Key {
        let At { observed, rules } = at;
        let hasher = self.hasher;
        let message = &observed.message;
        let flags = message.header.flags();
        let bit = |bit: u32| u64::from(flags >> bit & 1);
        let opt_bit = |bit: u16| u64::from(message.opt.flags() & bit != 0);
        match indexer {
            Indexer::Null | Indexer::ResponseTime => 0,
            Indexer::Encryption => 0,
            Indexer::Client => self.address(observed.flow.family, client(observed)),
            Indexer::Server => self.address(observed.flow.family, server(observed)),
            Indexer::ClientSubnet => {
                let masked = rules.client_network(client_address(observed));
                self.ip(masked)
            }
            Indexer::Country => self.place(at).country(),
            Indexer::Continent => self.place(at).continent(),
            Indexer::Asn => self.place(at).asn(),
            Indexer::AsOrg => self.place(at).as_org,
            Indexer::Network => self.place(at).network,
            Indexer::Customer => self.customer(at),
            Indexer::Qname
            | Indexer::SecondLd
            | Indexer::ThirdLd
            | Indexer::Tld
            | Indexer::EdnsCookieClient
            | Indexer::EdnsCookieServer
            | Indexer::EdnsNsidData
            | Indexer::EdnsNsidText
            | Indexer::EdnsEcsAddress
            | Indexer::EdnsEcsSubnet
            | Indexer::EdnsEdeText
            | Indexer::EdnsOptions => match self.text(indexer, at) {
                Some(text) => hash_text(text, hasher),
                None => SKIP,
            },
            Indexer::Qtype if message.has_question() => u64::from(message.question.qtype()),
            Indexer::Qclass if message.has_question() => u64::from(message.question.qclass()),
            // DSC tells them as 0.
            Indexer::Qtype | Indexer::Qclass => match rules.compat {
                Compat::None => NONE,
                Compat::Dsc => 0,
            },
            Indexer::Qnamelen => self.name(at).text_len() as u64,
            Indexer::LabelCount => match rules.compat {
                Compat::None => self.name(at).labels() as u64,
                Compat::Dsc => self.name(at).labels().min(63) as u64,
            },
            Indexer::Msglen => message.len as u64,
            Indexer::Opcode => u64::from(message.header.opcode()),
            Indexer::Rcode => u64::from(message.rcode()),
            Indexer::RdBit => bit(8),
            Indexer::TcBit => bit(9),
            Indexer::RaBit => bit(7),
            Indexer::AdBit => bit(5),
            Indexer::CdBit => bit(4),
            Indexer::QrAaBits => bit(15) | bit(10) << 1,
            Indexer::DoBit => opt_bit(0x8000),
            Indexer::CoBit => opt_bit(0x4000),
            Indexer::DeBit => opt_bit(0x2000),
            Indexer::IdnQname => u64::from(self.is_idn(at)),
            Indexer::IdnFirstLabel => u64::from(self.is_first_label_idn(at)),
            Indexer::CertainQnames => self.certain_qnames(at),
            Indexer::QueryClassification => match rules.compat {
                Compat::None => {
                    let traits = Traits::of(self.name(at), rules);
                    classify(observed, traits).index() as u64
                }
                Compat::Dsc => self.dsc_class(at),
            },
            Indexer::DscClassification => self.dsc_class(at),
            Indexer::EdnsVersion => match message.edns {
                EdnsState::Present => u64::from(message.opt.version()),
                EdnsState::Absent | EdnsState::Unreached | EdnsState::Malformed => NONE,
            },
            Indexer::EdnsBufsiz => match message.edns {
                EdnsState::Present => u64::from(message.opt.udp_size() >> 9),
                EdnsState::Absent | EdnsState::Unreached | EdnsState::Malformed => NONE,
            },
            Indexer::EdnsCookie
            | Indexer::EdnsCookieLen
            | Indexer::EdnsNsid
            | Indexer::EdnsNsidLen
            | Indexer::EdnsEcs
            | Indexer::EdnsEcsFamily
            | Indexer::EdnsEcsSourcePrefix
            | Indexer::EdnsEcsScopePrefix
            | Indexer::EdnsEde
            | Indexer::EdnsEdeCode
            | Indexer::EdnsEdeTextlen => option_number(indexer, observed.options),
            Indexer::Transport | Indexer::IpProto => match observed.flow.transport {
                Transport::Udp => 17,
                Transport::Tcp => 6,
            },
            Indexer::DnsIpVersion | Indexer::IpVersion => version(observed.flow.family),
            Indexer::DnsSourcePort => match rules.compat {
                Compat::None => u64::from(observed.flow.source_port),
                Compat::Dsc => self.port_ordinal(observed.flow.source_port),
            },
            Indexer::DnsSportRange => u64::from(observed.flow.source_port >> 10),
            Indexer::IpDirection => LocalEnds::of(observed, rules).direction(observed, rules),
            Indexer::HopLimit => u64::from(observed.flow.hop_limit),
            Indexer::Role => observed.role.index() as u64,
            Indexer::Zone => rules
                .zones
                .find(self.name(at))
                .map_or(NONE, |zone| zone as u64),
            Indexer::TldState => self.tld_state(at),
        }
    }

    /// The key of a name as the server is asked for it: that of its text.
    #[inline]
    pub(super) fn key_of_name(&self, wire: &[u8]) -> Key {
        self.hasher.name(wire).min(RESERVED)
    }

    /// The hash of a joint: of what a mask leaves of the small atoms, with a big one.
    #[inline(always)]
    pub(super) const fn joint(&self, words: Words, mask: Words, with: u64) -> u64 {
        words.hash(mask, with, self.hasher.seed())
    }

    /// The key of an address's words.
    #[inline]
    pub(super) const fn key_of_words(&self, words: [u64; 2]) -> Key {
        self.hasher.words(words)
    }

    /// Shows the text of a value, if its key is a hash.
    pub(super) fn show_text(&mut self, indexer: Indexer, at: At<'_>, show: impl FnOnce(&[u8])) {
        if let Some(octets) = Self::address_text(indexer, at) {
            debug_assert!(self.key(indexer, at) & IPV6 != 0);
            show(&octets);
        } else if let Some(text) = self.text(indexer, at) {
            show(text);
        }
    }

    /// Keeps the texts of a new cell.
    #[cold]
    pub(super) fn keep_texts(&mut self, step: &Step, at: At<'_>, cell: u32, cells: &mut Cells) {
        for (dimension, indexer) in [step.first, step.second].into_iter().enumerate() {
            self.show_text(indexer, at, |text| cells.keep_text(cell, dimension, text));
        }
    }

    /// A value of the message at hand that is known already.
    #[inline]
    pub(super) fn set(&mut self, indexer: Indexer, key: Key) {
        if let Some(place) = self.keys.get_mut(indexer.index()) {
            *place = (key, self.message);
        }
    }

    /// Likewise what is known of the client.
    #[inline]
    pub(super) const fn set_place(&mut self, place: PlaceKeys) {
        self.place = Some((place, self.message));
    }

    /// What is wanted of the name of the message at hand.
    pub(super) fn known_name(&mut self, hash: u64, wanted: &Wanted, at: At<'_>) -> Known {
        let mut told = [0; known_names::TOLD];
        for (told, indexer) in told.iter_mut().zip(&wanted.told) {
            *told = self.key(*indexer, at);
        }
        Known::new(hash, self.shape(wanted, at), told)
    }

    /// What the shape of the name comes to.
    fn shape(&mut self, wanted: &Wanted, at: At<'_>) -> u64 {
        let mut shape = 0;
        for predicate in &wanted.predicates {
            shape |= u64::from(self.holds(*predicate, at)) << predicate.index();
        }
        if wanted.expressions != 0 {
            shape |= matching(wanted.expressions, at);
        }
        if wanted.classes {
            let traits = Traits::of(self.name(at), at.rules);
            shape = self.hasher.words([shape, u64::from(traits.bits())]);
        }
        let keys = wanted.shape.iter();
        keys.fold(shape, |shape, indexer| {
            let key = self.key(*indexer, at);
            self.hasher.words([shape, key])
        })
    }

    /// The text that a key is the hash of.
    pub(super) fn text<'s>(&'s mut self, indexer: Indexer, at: At<'s>) -> Option<&'s [u8]> {
        match indexer {
            Indexer::Qname => Some(self.name(at).whole()),
            Indexer::Tld => Some(self.suffix(0, at)),
            Indexer::SecondLd => Some(self.suffix(1, at)),
            Indexer::ThirdLd => Some(self.suffix(2, at)),
            Indexer::AsOrg => self.known(at).as_org.as_deref().map(str::as_bytes),
            Indexer::Network => self.known(at).network.as_deref().map(str::as_bytes),
            Indexer::Customer => self.customer_name(at).map(str::as_bytes),
            _ => option_text(indexer, at.observed.options, &mut self.scratch),
        }
    }

    /// The address that a key stands for, where that is not in the key.
    pub(super) fn address_text(indexer: Indexer, at: At<'_>) -> Option<[u8; 16]> {
        let address = match indexer {
            Indexer::Client => client_address(at.observed),
            Indexer::Server => ip_addr(at.observed.flow.family, server(at.observed)),
            Indexer::ClientSubnet => at.rules.client_network(client_address(at.observed)),
            _ => return None,
        };
        match address {
            IpAddr::V4(_) => None,
            IpAddr::V6(address) => Some(address.octets()),
        }
    }

    #[inline]
    pub(super) fn name(&mut self, at: At<'_>) -> &Qname {
        if !self.name_known {
            let name = match at.observed.role {
                Role::Server => at.observed.name,
                Role::Client => at.rules.privacy.asked_for(at.observed.name),
            };
            self.name.set(name, at.rules.compat);
            self.name_known = true;
        }
        &self.name
    }

    /// The labels of the suffix that counts as top-level domain, and so many
    /// before them.
    fn suffix(&mut self, more: usize, at: At<'_>) -> &[u8] {
        let name = self.name(at);
        let suffix = at.rules.suffix_labels(name);
        name.last(suffix + more)
    }

    /// What comes of the client's address; with DSC, of the source's.
    pub(super) fn place(&mut self, at: At<'_>) -> PlaceKeys {
        if let Some((keys, message)) = self.place
            && message == self.message
        {
            return keys;
        }
        let address = located_address(at.observed, at.rules);
        let keys = self.locator.note(address);
        self.place = Some((keys, self.message));
        keys
    }

    fn known(&mut self, at: At<'_>) -> &Place {
        self.locator.locate(located_address(at.observed, at.rules))
    }

    fn customer(&mut self, at: At<'_>) -> Key {
        let mut ways = at.rules.customers_by.iter();
        ways.find_map(|by| self.customer_by(*by, at))
            .unwrap_or(NONE)
    }

    fn customer_by(&mut self, by: CustomerBy, at: At<'_>) -> Option<Key> {
        let key = match by {
            CustomerBy::Zone => self.owner(at),
            CustomerBy::Client => self.place(at).customer,
            CustomerBy::Server => self.locator.note(server_address(at.observed)).customer,
        };
        (key != NONE).then_some(key)
    }

    /// The customer that owns QNAME.
    fn owner(&mut self, at: At<'_>) -> Key {
        let name = self.key(Indexer::Qname, at);
        let index = name as usize & (RECENT_OWNERS - 1);
        if let Some((recent, owner)) = self.owners.get(index)
            && *recent == name
        {
            return *owner;
        }
        self.name(at);
        let owner = self.locator.tables().customers.of_name(&self.name);
        let owner = owner.map_or(NONE, |owner| hash_text(owner.as_bytes(), self.hasher));
        if let Some(recent) = self.owners.get_mut(index) {
            *recent = (name, owner);
        }
        owner
    }

    fn customer_name(&mut self, at: At<'_>) -> Option<&str> {
        let mut ways = at.rules.customers_by.iter().copied();
        let by = ways.find(|by| self.customer_by(*by, at).is_some())?;
        let name = match by {
            CustomerBy::Zone => {
                self.name(at);
                self.locator.tables().customers.of_name(&self.name)
            }
            CustomerBy::Client => self.known(at).customer.as_ref(),
            CustomerBy::Server => self
                .locator
                .locate(server_address(at.observed))
                .customer
                .as_ref(),
        };
        name.map(|name| &**name)
    }

    #[inline]
    fn address(&self, family: Family, words: [u64; 2]) -> Key {
        match family {
            Family::Ipv6 => self.hash_words(words),
            Family::Ipv4 | Family::Other => {
                let [a, b, c, d, ..] = words[0].to_ne_bytes();
                u64::from(u32::from_be_bytes([a, b, c, d]))
            }
        }
    }

    fn ip(&self, address: IpAddr) -> Key {
        match address {
            IpAddr::V4(address) => u64::from(u32::from(address)),
            IpAddr::V6(address) => {
                let octets = address.octets();
                let words = octets.as_chunks::<8>().0;
                let word = |n: usize| words.get(n).map_or(0, |word| u64::from_ne_bytes(*word));
                self.hash_words([word(0), word(1)])
            }
        }
    }

    const fn hash_words(&self, words: [u64; 2]) -> Key {
        let hash = self.hasher.words(words) | IPV6;
        if hash < RESERVED { hash } else { RESERVED }
    }

    fn is_idn(&mut self, at: At<'_>) -> bool {
        match at.rules.compat {
            Compat::Dsc => self.is_first_label_idn(at),
            Compat::None => {
                let name = self.name(at);
                (0..name.labels()).any(|n| {
                    let label = name.label(n, Compat::None);
                    label.is_some_and(|label| label.starts_with(b"xn--"))
                })
            }
        }
    }

    fn is_first_label_idn(&mut self, at: At<'_>) -> bool {
        let compat = at.rules.compat;
        let label = self.name(at).label(0, compat);
        label.is_some_and(|label| label.starts_with(b"xn--"))
    }

    fn certain_qnames(&mut self, at: At<'_>) -> Key {
        let compat = at.rules.compat;
        let name = self.name(at);
        // Both are told by their length from nearly all names.
        match name.text_len() {
            9 if name.label(0, compat) == Some(b"localhost") => LOCALHOST,
            18 if is_root_server(name, compat) => ROOT_SERVER,
            _ => 2,
        }
    }

    fn dsc_class(&mut self, at: At<'_>) -> Key {
        let mut text = std::mem::take(&mut self.scratch);
        text.clear();
        push_dsc_text(at.observed.name, &mut text);
        let tld = match (at.rules.compat, at.rules.suffixes.is_some()) {
            (Compat::Dsc, true) => self.suffix(0, at),
            (Compat::Dsc | Compat::None, _) if text == b"." => &text,
            (Compat::Dsc | Compat::None, _) => {
                let last = text.rsplit(|octet| *octet == b'.').next();
                last.unwrap_or(&[])
            }
        };
        let class = classify_as_dsc(at.observed, &text, tld, at.rules);
        self.scratch = text;
        class.index() as u64
    }

    fn tld_state(&mut self, at: At<'_>) -> Key {
        let name = self.name(at);
        let last = name.labels().checked_sub(1);
        let tld = last.and_then(|last| name.label(last, at.rules.compat));
        tld.map_or(NONE, |tld| at.rules.known_tlds.state(tld).index() as u64)
    }

    fn port_ordinal(&mut self, port: u16) -> Key {
        if self.port_ordinals.is_empty() {
            self.port_ordinals = vec![0; 1 << 16];
        }
        let Some(ordinal) = self.port_ordinals.get_mut(usize::from(port)) else {
            return 0;
        };
        // 0 stands for a port that has not been seen; 65536 wrap to it, and the
        // last new port of a whole set of them is told as the first.
        let seen = *ordinal != 0 || self.ports.first() == Some(&port);
        if !seen {
            *ordinal = self.ports.len() as u16;
            self.ports.push(port);
        }
        u64::from(*ordinal)
    }

    /// Whether all of these conditions hold.
    #[inline(always)]
    pub(super) fn pass(&mut self, required: u64, way: &Way, at: At<'_>) -> bool {
        required == 0 || self.conditions(way, at) & required == required
    }

    /// Which of the conditions hold.
    #[inline]
    pub(super) fn conditions(&mut self, way: &Way, at: At<'_>) -> u64 {
        let (holding, message) = self.holding;
        if message == self.message {
            return holding;
        }
        let holding = self.all_conditions(way, at);
        self.holding = (holding, self.message);
        holding
    }

    fn all_conditions(&mut self, way: &Way, at: At<'_>) -> u64 {
        let message = &at.observed.message;
        let flags = message.header.flags();
        let (qtype, qclass) = (message.question.qtype(), message.question.qclass());
        let on = |predicate: Predicate, holds: bool| u64::from(holds) << predicate.index();
        let mut bits = on(Predicate::Any, true)
            | on(Predicate::Queries, flags & 0x8000 == 0)
            | on(Predicate::Replies, flags & 0x8000 != 0)
            | on(Predicate::Nxdomains, message.rcode() == 3)
            | on(Predicate::Servfail, message.rcode() == 2)
            | on(Predicate::PopularQtypes, is_popular(qtype))
            | on(Predicate::AaaaOrA6, matches!(qtype, 28 | 38))
            | on(Predicate::Chaos, qclass == 3)
            | on(Predicate::AuthenticData, flags & 0x20 != 0)
            | on(Predicate::Server, at.observed.role == Role::Server)
            | on(Predicate::Client, at.observed.role == Role::Client)
            | on(
                Predicate::Edns0,
                message.edns == EdnsState::Present && message.opt.version() == 0,
            );
        for predicate in &way.costly {
            bits |= on(*predicate, self.holds(*predicate, at));
        }
        if way.qname_filters != 0 {
            bits |= matching(way.qname_filters, at);
        }
        bits
    }

    fn holds(&mut self, predicate: Predicate, at: At<'_>) -> bool {
        let message = &at.observed.message;
        let compat = at.rules.compat;
        match predicate {
            Predicate::Idn => self.key(Indexer::IdnQname, at) != 0,
            Predicate::RootServersNet => self.key(Indexer::CertainQnames, at) == ROOT_SERVER,
            Predicate::Priming => {
                // A root label alone.
                let is_root = at.observed.name.len() == 1;
                let wanted = match compat {
                    Compat::None => is_root,
                    Compat::Dsc => !is_root,
                };
                message.question.qtype() == 2 && wanted
            }
            Predicate::Cookie => option_number(Indexer::EdnsCookie, at.observed.options) != 0,
            Predicate::Nsid => option_number(Indexer::EdnsNsid, at.observed.options) != 0,
            Predicate::Ecs => option_number(Indexer::EdnsEcs, at.observed.options) != 0,
            Predicate::Ede => option_number(Indexer::EdnsEde, at.observed.options) != 0,
            Predicate::Served => !LocalEnds::of(at.observed, at.rules).are_own(at.observed),
            Predicate::UnknownTld => {
                self.tld_state(at) == crate::names::tld::TldState::Unknown.index() as u64
            }
            Predicate::Any
            | Predicate::Queries
            | Predicate::Replies
            | Predicate::Nxdomains
            | Predicate::Servfail
            | Predicate::PopularQtypes
            | Predicate::AaaaOrA6
            | Predicate::Chaos
            | Predicate::AuthenticData
            | Predicate::Edns0
            | Predicate::Server
            | Predicate::Client => false,
        }
    }
}

impl PlaceKeys {
    fn new(tables: &Tables, address: IpAddr, place: &Place, hasher: Hasher) -> Self {
        let unknown = |is_told: bool| match address {
            _ if is_told => Unknown::ToDatabase,
            IpAddr::V4(_) => Unknown::Ipv4,
            IpAddr::V6(_) => Unknown::Ipv6,
        };
        let no_asn = unknown(tables.geo.knows_asn());
        let text = |text: &Option<Arc<str>>| {
            let text = text.as_ref();
            text.map(|text| hash_text(text.as_bytes(), hasher))
        };
        Self {
            as_org: text(&place.as_org).unwrap_or(no_asn.key()),
            network: text(&place.network).unwrap_or(NONE),
            customer: text(&place.customer).unwrap_or(NONE),
            asn: place.asn.unwrap_or(0),
            country: place.country.map_or(0, u16::from_be_bytes),
            continent: place.continent.map_or(0, u16::from_be_bytes),
            no_country: unknown(tables.geo.knows_country()),
            no_asn,
        }
    }

    const fn country(&self) -> Key {
        known_or(self.country as Key, self.no_country)
    }

    const fn continent(&self) -> Key {
        known_or(self.continent as Key, self.no_country)
    }

    const fn asn(&self) -> Key {
        known_or(self.asn as Key, self.no_asn)
    }
}

const fn known_or(key: Key, unknown: Unknown) -> Key {
    if key == 0 { unknown.key() } else { key }
}

/// The key of a text.
fn hash_text(text: &[u8], hasher: Hasher) -> Key {
    hasher.octets(text).min(RESERVED)
}

/// Conditions that are always told, being cheaper than the question whether
/// anybody asks.
pub(super) const CHEAP: u64 = {
    let mut bits = 0;
    let cheap = [
        Predicate::Any,
        Predicate::Queries,
        Predicate::Replies,
        Predicate::Nxdomains,
        Predicate::Servfail,
        Predicate::PopularQtypes,
        Predicate::AaaaOrA6,
        Predicate::Chaos,
        Predicate::AuthenticData,
        Predicate::Edns0,
        Predicate::Server,
        Predicate::Client,
    ];
    let mut index = 0;
    while index < cheap.len() {
        bits |= 1 << cheap[index].index();
        index += 1;
    }
    bits
};

/// The regular expressions, of those wanted, that the name matches.
fn matching(wanted: u64, at: At<'_>) -> u64 {
    let text = dsc_text(at.observed.name);
    let filters = at.rules.qname_filters.iter().enumerate();
    filters.fold(0, |bits, (index, filter)| {
        let bit = 1 << (Predicate::COUNT + index);
        let matches = wanted & bit != 0 && filter.is_match(&text);
        bits | if matches { bit } else { 0 }
    })
}

/// Which ends of a packet have a local address.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocalEnds {
    source: bool,
    destination: bool,
}

impl LocalEnds {
    #[inline]
    pub(super) fn of(observed: &Observed<'_>, rules: &Rules) -> Self {
        let flow = &observed.flow;
        Self::of_addresses(flow.family, [flow.source, flow.destination], rules)
    }

    #[inline]
    fn of_addresses(family: Family, [source, destination]: [[u64; 2]; 2], rules: &Rules) -> Self {
        Self {
            source: rules.local.contain(family, source),
            destination: rules.local.contain(family, destination),
        }
    }

    /// Whether a local address talks with another host's server.
    pub(super) const fn are_own(self, observed: &Observed<'_>) -> bool {
        if observed.message.header.is_response() {
            self.destination && !self.source
        } else {
            self.source && !self.destination
        }
    }

    /// By the local addresses; by the hook where none are known, as live.
    pub(super) const fn direction(self, observed: &Observed<'_>, rules: &Rules) -> u64 {
        if rules.local.is_empty() && matches!(rules.compat, Compat::None) {
            return match observed.hook {
                Hook::Ingress => direction::RECV,
                Hook::Egress => direction::SENT,
            };
        }
        self.known_direction()
    }

    const fn known_direction(self) -> u64 {
        if self.source {
            direction::SENT
        } else if self.destination {
            direction::RECV
        } else {
            direction::ELSE
        }
    }
}

/// A, NS, CNAME, SOA, PTR, MX, AAAA, SRV, A6, ANY.
const fn is_popular(qtype: u16) -> bool {
    matches!(qtype, 1 | 2 | 5 | 6 | 12 | 15 | 28 | 33 | 38 | 255)
}

/// `X.root-servers.net`, X being one octet.
fn is_root_server(name: &Qname, compat: Compat) -> bool {
    name.labels() == 3
        && name.label(0, compat).is_some_and(|label| label.len() == 1)
        && name.label(1, compat) == Some(b"root-servers")
        && name.label(2, compat) == Some(b"net")
}

/// The client: where a query comes from, and a response goes to.
pub(super) const fn client(observed: &Observed<'_>) -> [u64; 2] {
    if observed.message.header.is_response() {
        observed.flow.destination
    } else {
        observed.flow.source
    }
}

const fn server(observed: &Observed<'_>) -> [u64; 2] {
    if observed.message.header.is_response() {
        observed.flow.source
    } else {
        observed.flow.destination
    }
}

pub(super) fn client_address(observed: &Observed<'_>) -> IpAddr {
    ip_addr(observed.flow.family, client(observed))
}

fn server_address(observed: &Observed<'_>) -> IpAddr {
    ip_addr(observed.flow.family, server(observed))
}

/// DSC looks the source up, which of a response is the server.
fn located_address(observed: &Observed<'_>, rules: &Rules) -> IpAddr {
    match rules.compat {
        Compat::None => client_address(observed),
        Compat::Dsc => ip_addr(observed.flow.family, observed.flow.source),
    }
}

const fn version(family: Family) -> u64 {
    match family {
        Family::Ipv4 | Family::Other => 4,
        Family::Ipv6 => 6,
    }
}

/// The value of a packet; none for an indexer that wants a message.
pub(super) fn packet_key(indexer: Indexer, packet: &IpPacket, rules: &Rules) -> Option<Key> {
    match indexer {
        Indexer::Null => Some(0),
        Indexer::IpVersion => Some(version(packet.family)),
        Indexer::IpProto => Some(u64::from(packet.protocol)),
        Indexer::IpDirection => {
            let ends = [packet.source, packet.destination];
            let ends = LocalEnds::of_addresses(packet.family, ends, rules);
            Some(ends.known_direction())
        }
        _ => None,
    }
}

/// What an option says as a number; of the datasets that only ask whether there
/// is one, 1 or 0.
fn option_number(indexer: Indexer, options: &[u8]) -> Key {
    let known = KnownOptions::read(options);
    let is = u64::from;
    // DSC tells no difference between an empty option and none.
    let len = |len: usize| if len == 0 { NONE } else { len as u64 };
    match indexer {
        Indexer::EdnsCookie => is(known.cookie.is_some()),
        Indexer::EdnsCookieLen => {
            known.cookie.map_or(
                NONE,
                |cookie| len(cookie.client.len() + cookie.server.len()),
            )
        }
        Indexer::EdnsNsid => is(known.nsid.is_some()),
        Indexer::EdnsNsidLen => known.nsid.map_or(NONE, |nsid| len(nsid.len())),
        Indexer::EdnsEcs => is(known.ecs.is_some()),
        Indexer::EdnsEcsFamily => known.ecs.map_or(NONE, |ecs| u64::from(ecs.family)),
        Indexer::EdnsEcsSourcePrefix => known.ecs.map_or(NONE, |ecs| u64::from(ecs.source_prefix)),
        Indexer::EdnsEcsScopePrefix => known.ecs.map_or(NONE, |ecs| u64::from(ecs.scope_prefix)),
        Indexer::EdnsEde => is(known.ede.is_some()),
        Indexer::EdnsEdeCode => known.ede.map_or(NONE, |ede| u64::from(ede.code)),
        Indexer::EdnsEdeTextlen => known.ede.map_or(NONE, |ede| len(ede.text.len())),
        _ => NONE,
    }
}

/// What an option says as octets; none where there is no such option.
fn option_text<'a>(
    indexer: Indexer,
    options: &'a [u8],
    scratch: &'a mut Vec<u8>,
) -> Option<&'a [u8]> {
    let known = KnownOptions::read(options);
    let text = match indexer {
        Indexer::EdnsCookieClient => known.cookie?.client,
        Indexer::EdnsCookieServer => known.cookie?.server,
        Indexer::EdnsNsidData | Indexer::EdnsNsidText => known.nsid?,
        Indexer::EdnsEcsAddress => known.ecs?.address,
        Indexer::EdnsEdeText => known.ede?.text,
        Indexer::EdnsEcsSubnet => {
            ecs_subnet(&known.ecs?, scratch)?;
            scratch
        }
        Indexer::EdnsOptions => {
            scratch.clear();
            let codes = Options::new(options).map(|(code, _)| code.0.to_be_bytes());
            scratch.extend(codes.flatten().take(MAX_TEXT));
            return Some(scratch);
        }
        _ => return None,
    };
    let text = text.get(..MAX_TEXT).unwrap_or(text);
    (!text.is_empty()).then_some(text)
}

/// The address, filled up with zeros: 4 or 16 octets.
fn ecs_subnet(ecs: &Ecs<'_>, scratch: &mut Vec<u8>) -> Option<()> {
    // IANA, Address Family Numbers.
    let len = match ecs.family {
        1 => 4,
        2 => 16,
        _ => return None,
    };
    scratch.clear();
    scratch.extend(ecs.address.iter().take(len));
    scratch.resize(len, 0);
    Some(())
}
