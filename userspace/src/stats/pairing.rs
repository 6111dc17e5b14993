//! Pairs queries with their responses: response time, unanswered queries,
//! unsolicited responses.
//!
//! One bounded table for all rings, since a query and its response come through
//! different ones, in any order. Only a share of the transactions gets here, the
//! same one for both hooks; each counts for those it stands for.

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, VecDeque},
    hash::BuildHasher as _,
};

use dns_wire::{
    counters::{Qr, Role},
    locate::{Family, Transport},
    message::Message,
    record::Record,
};
use foldhash::quality::RandomState;
use hashbrown::HashTable;

use super::{
    choice::{Choice, Depth},
    response_time::{self, ResponseTime},
};

/// How long a response may come before its query: records of different rings
/// are read one ring after the other.
pub const REORDER_NS: u64 = 1_000_000_000;

/// Upper bounds of the response time histogram, in nanoseconds.
pub const BUCKETS_NS: [u64; 20] = [
    10_000,
    25_000,
    50_000,
    100_000,
    250_000,
    500_000,
    1_000_000,
    2_500_000,
    5_000_000,
    10_000_000,
    25_000_000,
    50_000_000,
    100_000_000,
    250_000_000,
    500_000_000,
    1_000_000_000,
    2_000_000_000,
    3_000_000_000,
    4_000_000_000,
    5_000_000_000,
];

/// A message of a chosen transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    key: Key,
    qr: Qr,
    time_ns: u64,
    choice: Choice,
}

/// What makes a transaction. DSC compares addresses, ports, protocol and ID; the
/// question is compared here, too.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Key {
    client: [u64; 2],
    server: [u64; 2],
    client_port: u16,
    server_port: u16,
    id: u16,
    family: Family,
    transport: Transport,
    role: Role,
    question: u64,
}

impl Event {
    /// The event that the record of a message tells, if its transaction was
    /// chosen. `message` is the record's own, or one that was reassembled from
    /// segments of which `record` was read last; `name` is its question's.
    #[must_use]
    pub fn new(
        record: &Record<'_>,
        message: &Message,
        name: &[u8],
        hasher: &RandomState,
    ) -> Option<Self> {
        if !record.is_paired() {
            return None;
        }
        let flow = record.flow();
        let source = (flow.source, flow.source_port);
        let destination = (flow.destination, flow.destination_port);
        let (qr, client, server) = if message.header.is_response() {
            (Qr::Response, destination, source)
        } else {
            (Qr::Query, source, destination)
        };
        let key = Key {
            client: client.0,
            server: server.0,
            client_port: client.1,
            server_port: server.1,
            id: message.header.id(),
            family: flow.family,
            transport: flow.transport,
            role: record.role(),
            question: question_hash(message, name, hasher),
        };
        Some(Self {
            key,
            qr,
            time_ns: record.time_ns(),
            choice: Choice::of(record),
        })
    }

    /// The same at another time: the last segment of a message need not be the
    /// last one to be read.
    #[must_use]
    pub const fn at(self, time_ns: u64) -> Self {
        Self { time_ns, ..self }
    }
}

/// Names compare without case (RFC 1035, section 2.3.3). A response without a
/// question, as some error responses are, matches no query that has one.
fn question_hash(message: &Message, name: &[u8], hasher: &RandomState) -> u64 {
    let mut lower = [0; 255];
    let len = name.len().min(lower.len());
    for (to, from) in lower.iter_mut().zip(name) {
        *to = from.to_ascii_lowercase();
    }
    let question = &message.question;
    hasher.hash_one((lower.get(..len), question.qtype(), question.qclass()))
}

/// How transactions ended, each counted for those it stands for.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PairingStats {
    /// By [`Role`] and [`Transport`].
    pub ended: [[TransactionStats; 2]; 2],
    /// Messages given up since the table was full.
    pub overflowed: u64,
    /// Transactions waiting for their other half.
    pub pending: u64,
    /// One transaction in so many is chosen at the moment.
    pub one_in: u64,
}

impl PairingStats {
    /// How the transactions of a role and transport ended.
    #[must_use]
    pub const fn of(&self, role: Role, transport: Transport) -> &TransactionStats {
        let [[server_udp, server_tcp], [client_udp, client_tcp]] = &self.ended;
        match (role, transport) {
            (Role::Server, Transport::Udp) => server_udp,
            (Role::Server, Transport::Tcp) => server_tcp,
            (Role::Client, Transport::Udp) => client_udp,
            (Role::Client, Transport::Tcp) => client_tcp,
        }
    }
}

/// How the transactions of one role and transport ended.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TransactionStats {
    /// Queries with a response.
    pub answered: u64,
    /// Queries without one in the time given.
    pub unanswered: u64,
    /// Responses without a query.
    pub unsolicited: u64,
    /// Response times: per bucket of [`BUCKETS_NS`], and above.
    pub buckets: [u64; BUCKETS_NS.len() + 1],
    /// Sum of the response times, in ns.
    pub sum_ns: u128,
}

impl TransactionStats {
    fn answer(&mut self, time_ns: u64, weight: u64) {
        self.answered += weight;
        self.sum_ns += u128::from(time_ns) * u128::from(weight);
        let bucket = BUCKETS_NS.partition_point(|bound| *bound < time_ns);
        if let Some(count) = self.buckets.get_mut(bucket) {
            *count += weight;
        }
    }
}

/// The table.
#[derive(Debug)]
pub struct Pairing {
    /// Slots by key.
    table: HashTable<u32>,
    slots: Vec<Slot>,
    free: Vec<u32>,
    /// Uses of slots in order of their arrival, what waits for a response and
    /// what waits for a query.
    queries: VecDeque<Use>,
    responses: VecDeque<Use>,
    hasher: RandomState,
    capacity: usize,
    timeout_ns: u64,
    depth: Depth,
    now_ns: u64,
    stats: PairingStats,
    times: Option<Times>,
}

/// How transactions ended, in DSC's classes, since it was asked for last.
#[derive(Debug)]
struct Times {
    settings: response_time::Settings,
    /// Only transactions of this role.
    role: Option<Role>,
    counts: BTreeMap<ResponseTime, u64>,
}

impl Times {
    fn count(&mut self, role: Role, value: ResponseTime, weight: u64) {
        if self.role.is_none_or(|wanted| wanted == role) {
            *self.counts.entry(value).or_default() += weight;
        }
    }
}

/// The messages of one key that wait.
#[derive(Clone, Copy, Debug)]
struct Slot {
    key: Key,
    waiting: Qr,
    /// Tells the uses of the slot apart.
    generation: u32,
    oldest_ns: u64,
    newest_ns: u64,
    /// 0 when the slot is free.
    count: u32,
    weight: u64,
    hash: u32,
}

#[derive(Clone, Copy, Debug)]
struct Use {
    slot: u32,
    generation: u32,
    /// Nothing had come for the slot after this time when it was queued.
    since_ns: u64,
}

impl Pairing {
    /// At most `capacity` transactions wait, each up to `timeout_ns`.
    #[must_use]
    pub fn new(capacity: usize, timeout_ns: u64) -> Self {
        Self {
            table: HashTable::new(),
            slots: Vec::new(),
            free: Vec::new(),
            queries: VecDeque::new(),
            responses: VecDeque::new(),
            hasher: RandomState::default(),
            capacity,
            timeout_ns,
            depth: Depth::default(),
            now_ns: 0,
            stats: PairingStats::default(),
            times: None,
        }
    }

    /// Counts how transactions end in DSC's classes, too: of one role, or all.
    #[must_use]
    pub fn with_times(mut self, settings: response_time::Settings, role: Option<Role>) -> Self {
        self.times = Some(Times {
            settings,
            role,
            counts: BTreeMap::new(),
        });
        self
    }

    /// How many transactions ended in each class since the last call.
    pub fn take_times(&mut self) -> BTreeMap<ResponseTime, u64> {
        self.times
            .as_mut()
            .map(|times| std::mem::take(&mut times.counts))
            .unwrap_or_default()
    }

    /// Takes an event in.
    pub fn event(&mut self, event: &Event) {
        self.advance(event.time_ns);
        if self.depth.take(event.choice, self.now_ns, self.timeout_ns) {
            self.forget_unchosen();
        }
        if !self.depth.chooses(event.choice.hash) {
            return;
        }
        let hash = self.hasher.hash_one(event.key);
        let found = self.table.find(hash, |slot| {
            let slot = self.slots.get(*slot as usize);
            slot.is_some_and(|slot| slot.key == event.key)
        });
        match found.copied() {
            Some(slot) => self.meet(slot, hash, event),
            None => self.insert(hash, event),
        }
    }

    /// Gives up what has waited too long at `now_ns`; time never goes back.
    pub fn advance(&mut self, now_ns: u64) {
        self.now_ns = self.now_ns.max(now_ns);
        while let Some(slot) = overdue(
            &mut self.queries,
            &self.slots,
            self.now_ns.saturating_sub(self.timeout_ns),
        ) {
            self.give_up(slot);
        }
        let reorder_ns = REORDER_NS.min(self.timeout_ns);
        while let Some(slot) = overdue(
            &mut self.responses,
            &self.slots,
            self.now_ns.saturating_sub(reorder_ns),
        ) {
            self.give_up(slot);
        }
    }

    /// Gives everything up: there will be no more messages.
    pub fn finish(&mut self) {
        self.advance(
            self.now_ns
                .saturating_add(self.timeout_ns)
                .saturating_add(1),
        );
    }

    /// Gives everything up, and lets time begin anew: what follows is older.
    pub fn restart(&mut self) {
        self.finish();
        self.now_ns = 0;
        self.depth.restart();
    }

    /// How transactions ended so far.
    #[must_use]
    pub fn stats(&self) -> PairingStats {
        PairingStats {
            pending: self.table.len() as u64,
            one_in: self.depth.weight(),
            ..self.stats.clone()
        }
    }

    fn insert(&mut self, hash: u64, event: &Event) {
        if self.table.len() >= self.capacity {
            self.stats.overflowed += 1;
            if let Some(times) = &mut self.times
                && event.qr == Qr::Query
            {
                let weight = self.depth.weight();
                times.count(event.key.role, ResponseTime::DroppedQuery, weight);
            }
            return;
        }
        let slot = Slot {
            key: event.key,
            waiting: event.qr,
            generation: 0,
            oldest_ns: event.time_ns,
            newest_ns: event.time_ns,
            count: 1,
            weight: self.depth.weight(),
            hash: event.choice.hash,
        };
        let used = self.place(slot);
        let (slots, hasher) = (&self.slots, &self.hasher);
        self.table.insert_unique(hash, used.slot, |slot| {
            let slot = slots.get(*slot as usize);
            slot.map_or(0, |slot| hasher.hash_one(slot.key))
        });
        match event.qr {
            Qr::Query => self.queries.push_back(used),
            Qr::Response => self.responses.push_back(used),
        }
        self.trim_queues();
    }

    /// Puts a slot into a free place.
    fn place(&mut self, mut slot: Slot) -> Use {
        if let Some(index) = self.free.pop()
            && let Some(place) = self.slots.get_mut(index as usize)
        {
            slot.generation = place.generation.wrapping_add(1);
            *place = slot;
            return Use {
                slot: index,
                generation: slot.generation,
                since_ns: slot.newest_ns,
            };
        }
        self.slots.push(slot);
        Use {
            slot: (self.slots.len() - 1) as u32,
            generation: 0,
            since_ns: slot.newest_ns,
        }
    }

    /// A queue also holds what was paired long ago; it must not grow with the
    /// rate of the traffic.
    fn trim_queues(&mut self) {
        let bound = self.capacity.saturating_mul(2);
        for queue in [&mut self.queries, &mut self.responses] {
            if queue.len() > bound {
                queue.retain(|used| current(&self.slots, *used).is_some());
            }
        }
    }

    /// Another message of a key that waits.
    fn meet(&mut self, index: u32, hash: u64, event: &Event) {
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return;
        };
        if slot.waiting == event.qr {
            // A repetition, or a second response: both wait.
            slot.count = slot.count.saturating_add(1);
            slot.newest_ns = slot.newest_ns.max(event.time_ns);
            slot.oldest_ns = slot.oldest_ns.min(event.time_ns);
            return;
        }
        match event.qr {
            Qr::Response => self.answer(index, hash, event),
            Qr::Query => self.answered_early(index, hash, event),
        }
    }

    /// A response to queries that wait: it answers the oldest.
    fn answer(&mut self, index: u32, hash: u64, response: &Event) {
        let Some(slot) = self.slots.get(index as usize).copied() else {
            return;
        };
        match response.time_ns.checked_sub(slot.oldest_ns) {
            Some(time_ns) => {
                self.answered(&slot, time_ns);
                self.take_one(index, hash, slot.newest_ns);
            }
            // It left before they came: what it answers was not seen.
            None => self.unpaired(&slot, Qr::Response, slot.weight),
        }
    }

    /// A query whose response may be among those that wait.
    fn answered_early(&mut self, index: u32, hash: u64, query: &Event) {
        let Some(slot) = self.slots.get(index as usize).copied() else {
            return;
        };
        // What left before this query came answers another one.
        let answer_ns = [slot.oldest_ns, slot.newest_ns]
            .into_iter()
            .find(|response_ns| *response_ns >= query.time_ns);
        match answer_ns {
            Some(response_ns) => {
                let time_ns = response_ns - query.time_ns;
                self.answered(&slot, time_ns);
                let other_ns = slot.oldest_ns ^ slot.newest_ns ^ response_ns;
                self.take_one(index, hash, other_ns);
            }
            None => {
                self.give_up(index);
                self.insert(hash, query);
            }
        }
    }

    /// Takes one message of a slot away; of those that stay, only one time is
    /// known.
    fn take_one(&mut self, index: u32, hash: u64, remaining_ns: u64) {
        let Some(slot) = self.slots.get_mut(index as usize) else {
            return;
        };
        slot.count -= 1;
        slot.oldest_ns = remaining_ns;
        slot.newest_ns = remaining_ns;
        if slot.count == 0 {
            self.remove(index, hash);
        }
    }

    fn remove(&mut self, index: u32, hash: u64) {
        if let Ok(entry) = self.table.find_entry(hash, |slot| *slot == index) {
            entry.remove();
        }
        if let Some(slot) = self.slots.get_mut(index as usize) {
            slot.count = 0;
        }
        self.free.push(index);
    }

    fn give_up(&mut self, index: u32) {
        let Some(slot) = self.slots.get(index as usize).copied() else {
            return;
        };
        self.remove(index, self.hasher.hash_one(slot.key));
        self.unpaired(&slot, slot.waiting, u64::from(slot.count) * slot.weight);
    }

    /// A query has its response, after so long.
    fn answered(&mut self, slot: &Slot, time_ns: u64) {
        self.stats_of(slot.key).answer(time_ns, slot.weight);
        if let Some(times) = &mut self.times {
            let class = times.settings.class(time_ns / 1000);
            times.count(slot.key.role, class, slot.weight);
        }
    }

    /// Messages without their other half.
    fn unpaired(&mut self, slot: &Slot, qr: Qr, messages: u64) {
        let stats = self.stats_of(slot.key);
        let value = match qr {
            Qr::Query => {
                stats.unanswered += messages;
                ResponseTime::Timeout
            }
            Qr::Response => {
                stats.unsolicited += messages;
                ResponseTime::MissingQuery
            }
        };
        if let Some(times) = &mut self.times {
            times.count(slot.key.role, value, messages);
        }
    }

    /// After the choice has become narrower: what it leaves out is forgotten, and
    /// what stays stands for more.
    fn forget_unchosen(&mut self) {
        let weight = self.depth.weight();
        let mut forgotten = Vec::new();
        for (index, slot) in self.slots.iter_mut().enumerate() {
            if slot.count == 0 {
                continue;
            }
            if self.depth.chooses(slot.hash) {
                slot.weight = weight;
            } else {
                forgotten.push((index as u32, self.hasher.hash_one(slot.key)));
            }
        }
        for (index, hash) in forgotten {
            self.remove(index, hash);
        }
    }

    const fn stats_of(&mut self, key: Key) -> &mut TransactionStats {
        let [[server_udp, server_tcp], [client_udp, client_tcp]] = &mut self.stats.ended;
        match (key.role, key.transport) {
            (Role::Server, Transport::Udp) => server_udp,
            (Role::Server, Transport::Tcp) => server_tcp,
            (Role::Client, Transport::Udp) => client_udp,
            (Role::Client, Transport::Tcp) => client_tcp,
        }
    }
}

/// The slot of a use, while that use lasts.
fn current(slots: &[Slot], used: Use) -> Option<&Slot> {
    let slot = slots.get(used.slot as usize)?;
    (slot.generation == used.generation && slot.count > 0).then_some(slot)
}

/// Takes the first of a queue for which nothing has come since `since_ns`. What
/// was repeated queues anew, lest it hold up those behind it.
fn overdue(queue: &mut VecDeque<Use>, slots: &[Slot], since_ns: u64) -> Option<u32> {
    while let Some(used) = queue.pop_front() {
        let Some(slot) = current(slots, used) else {
            continue;
        };
        if slot.newest_ns < since_ns {
            return Some(used.slot);
        }
        if used.since_ns >= since_ns {
            queue.push_front(used);
            return None;
        }
        queue.push_back(Use {
            since_ns: slot.newest_ns,
            ..used
        });
    }
    None
}
