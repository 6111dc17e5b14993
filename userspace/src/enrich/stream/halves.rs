//! Brings the halves of exchanges together: queries and responses.
//!
//! `stats::pairing` counts how transactions end; here the messages themselves are
//! kept until they do, so there is less room, and the share that is taken is
//! smaller. The rules are the same: the question belongs to what must agree, a
//! response answers the oldest query, it may come a while before its query, as
//! records of different rings do, and what waits longer than the timeout is told
//! without its other half.

use std::{collections::VecDeque, hash::BuildHasher as _};

use dns_wire::{
    counters::{Qr, Role},
    locate::{Family, Transport},
};
use foldhash::quality::RandomState;
use hashbrown::HashMap;

use super::raw::Raw;
use crate::stats::{choice::Depth, pairing::REORDER_NS};

/// Messages of one key that wait at most: more of them are a flood, or a loop.
const SAME: usize = 64;

/// A query with its response, or one of them alone.
#[derive(Clone, Debug)]
pub(super) struct Met {
    pub(super) query: Option<Raw>,
    pub(super) response: Option<Raw>,
    /// It stands for so many.
    pub(super) weight: u64,
    /// When it was complete, or given up.
    pub(super) complete_ns: u64,
}

/// Messages that did not become part of an exchange.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// The table was full.
    pub(super) table_full: u64,
    /// The share had become smaller since they were taken.
    pub(super) narrowed: u64,
    /// Responses whose query may have come before anything was taken.
    pub(super) too_early: u64,
}

/// What waits.
#[derive(Debug)]
pub(super) struct Halves {
    table: HashMap<Key, VecDeque<Half>, RandomState>,
    /// In order of arrival: when it came and what it is. Not all wait any more.
    queries: VecDeque<(u64, Key)>,
    responses: VecDeque<(u64, Key)>,
    waiting: usize,
    capacity: usize,
    timeout_ns: u64,
    depth: Depth,
    now_ns: u64,
    /// Queries before this were not taken; `None` when all were.
    began_ns: Option<u64>,
    left: Left,
}

/// All messages under a key are queries, or all are responses.
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

#[derive(Debug)]
struct Half {
    raw: Raw,
    weight: u64,
}

impl Halves {
    /// At most `capacity` messages wait, each up to `timeout_ns`.
    pub(super) fn new(capacity: usize, timeout_ns: u64) -> Self {
        Self {
            table: HashMap::default(),
            queries: VecDeque::new(),
            responses: VecDeque::new(),
            waiting: 0,
            capacity,
            timeout_ns,
            depth: Depth::default(),
            now_ns: 0,
            began_ns: None,
            left: Left::default(),
        }
    }

    /// Messages that wait for their other half.
    pub(super) const fn waiting(&self) -> usize {
        self.waiting
    }

    /// Messages that did not become part of an exchange so far.
    pub(super) const fn left(&self) -> Left {
        self.left
    }

    /// Forgets all that waits; from `now_ns` on, messages are taken again.
    pub(super) fn begin(&mut self, now_ns: u64) {
        self.table.clear();
        self.queries.clear();
        self.responses.clear();
        self.waiting = 0;
        self.depth = Depth::default();
        self.began_ns = Some(now_ns);
    }

    /// Takes a message in. Time goes on by [`advance`](Self::advance) only: rings
    /// are read one after the other, and the time of one is ahead of the next.
    pub(super) fn take(&mut self, raw: &Raw, out: &mut Vec<Met>) {
        if self.depth.take(raw.choice, self.now_ns, self.timeout_ns) {
            self.forget_unchosen();
        }
        if !self.depth.chooses(raw.choice.hash) {
            self.left.narrowed += 1;
            return;
        }
        let key = Key::of(raw, self.table.hasher());
        let waiting = self.table.get(&key).and_then(|halves| halves.front());
        match (waiting.map(|half| half.raw.qr()), raw.qr()) {
            (Some(Qr::Query), Qr::Response) => self.answer(key, raw, out),
            (Some(Qr::Response), Qr::Query) => self.answered_early(key, raw, out),
            (None | Some(_), _) => self.wait(key, raw),
        }
    }

    /// All messages up to `now_ns` have been taken in: gives up what has waited too
    /// long by then. Time never goes back.
    pub(super) fn advance(&mut self, now_ns: u64, out: &mut Vec<Met>) {
        self.now_ns = self.now_ns.max(now_ns);
        let before = self.now_ns.saturating_sub(self.timeout_ns);
        while let Some((time_ns, key)) = due(&mut self.queries, before) {
            self.give_up(key, Qr::Query, time_ns, out);
        }
        let reorder_ns = REORDER_NS.min(self.timeout_ns);
        let before = self.now_ns.saturating_sub(reorder_ns);
        while let Some((time_ns, key)) = due(&mut self.responses, before) {
            self.give_up(key, Qr::Response, time_ns, out);
        }
    }

    /// Gives everything up, and lets time begin anew: what follows may be older.
    pub(super) fn finish(&mut self, out: &mut Vec<Met>) {
        let end_ns = self.now_ns.saturating_add(self.timeout_ns);
        self.advance(end_ns.saturating_add(1), out);
        self.now_ns = 0;
        self.depth.restart();
    }

    /// A response to queries that wait: it answers the oldest.
    fn answer(&mut self, key: Key, response: &Raw, out: &mut Vec<Met>) {
        let oldest = |halves: &VecDeque<Half>| {
            let times = halves.iter().map(|half| half.raw.time_ns);
            times.enumerate().min_by_key(|(_, time_ns)| *time_ns)
        };
        match self.table.get(&key).and_then(oldest) {
            Some((at, time_ns)) if time_ns <= response.time_ns => {
                if let Some(query) = self.remove(key, at) {
                    out.push(Met::pair(query.raw, *response, query.weight));
                }
            }
            // It left before they came: what it answers was not seen.
            Some(_) | None => {
                let weight = self.depth.weight();
                self.tell_alone(
                    Half {
                        raw: *response,
                        weight,
                    },
                    out,
                );
            }
        }
    }

    /// A query whose response may be among those that wait.
    fn answered_early(&mut self, key: Key, query: &Raw, out: &mut Vec<Met>) {
        let later = |halves: &VecDeque<Half>| {
            let mut halves = halves.iter();
            halves.position(|half| half.raw.time_ns >= query.time_ns)
        };
        if let Some(at) = self.table.get(&key).and_then(later) {
            if let Some(response) = self.remove(key, at) {
                out.push(Met::pair(*query, response.raw, response.weight));
            }
            return;
        }
        // All of them left before it came: they answer others.
        while let Some(response) = self.remove(key, 0) {
            self.tell_alone(response, out);
        }
        self.wait(key, query);
    }

    fn wait(&mut self, key: Key, raw: &Raw) {
        let is_full = self.waiting >= self.capacity;
        let halves = self.table.entry(key).or_default();
        if is_full || halves.len() >= SAME {
            self.left.table_full += 1;
            if halves.is_empty() {
                self.table.remove(&key);
            }
            return;
        }
        let weight = self.depth.weight();
        halves.push_back(Half { raw: *raw, weight });
        self.waiting += 1;
        let queue = match raw.qr() {
            Qr::Query => &mut self.queries,
            Qr::Response => &mut self.responses,
        };
        queue.push_back((raw.time_ns, key));
        self.trim_queues();
    }

    /// Queues also hold what has met; they must not grow with the traffic.
    fn trim_queues(&mut self) {
        let bound = self.capacity.saturating_mul(2).max(64);
        for (queue, qr) in [
            (&mut self.queries, Qr::Query),
            (&mut self.responses, Qr::Response),
        ] {
            if queue.len() > bound {
                let table = &self.table;
                queue.retain(|(time_ns, key)| place(table.get(key), qr, *time_ns).is_some());
            }
        }
    }

    fn remove(&mut self, key: Key, at: usize) -> Option<Half> {
        let halves = self.table.get_mut(&key)?;
        let half = halves.remove(at)?;
        if halves.is_empty() {
            self.table.remove(&key);
        }
        self.waiting -= 1;
        Some(half)
    }

    fn give_up(&mut self, key: Key, qr: Qr, time_ns: u64, out: &mut Vec<Met>) {
        if let Some(at) = place(self.table.get(&key), qr, time_ns)
            && let Some(half) = self.remove(key, at)
        {
            self.tell_alone(half, out);
        }
    }

    fn tell_alone(&mut self, half: Half, out: &mut Vec<Met>) {
        let Half { raw, weight } = half;
        let (query, response) = match raw.qr() {
            Qr::Query => (Some(raw), None),
            Qr::Response => (None, Some(raw)),
        };
        let unknown_before = self.began_ns.map(|began| began + self.timeout_ns);
        if query.is_none() && unknown_before.is_some_and(|time| raw.time_ns < time) {
            self.left.too_early += 1;
            return;
        }
        out.push(Met {
            query,
            response,
            weight,
            complete_ns: self.now_ns,
        });
    }

    /// After the choice has become narrower: what it leaves out is forgotten, and
    /// what stays stands for more.
    fn forget_unchosen(&mut self) {
        let weight = self.depth.weight();
        let before = self.waiting;
        let (depth, waiting) = (&self.depth, &mut self.waiting);
        self.table.retain(|_, halves| {
            let all = halves.len();
            halves.retain_mut(|half| {
                half.weight = weight;
                depth.chooses(half.raw.choice.hash)
            });
            *waiting -= all - halves.len();
            !halves.is_empty()
        });
        self.left.narrowed += (before - self.waiting) as u64;
    }
}

impl Met {
    const fn pair(query: Raw, response: Raw, weight: u64) -> Self {
        Self {
            query: Some(query),
            complete_ns: response.time_ns,
            response: Some(response),
            weight,
        }
    }
}

impl Key {
    fn of(raw: &Raw, hasher: &RandomState) -> Self {
        let ((client, client_port), (server, server_port)) = (raw.client(), raw.server());
        Self {
            client,
            server,
            client_port,
            server_port,
            id: raw.message.header.id(),
            family: raw.flow.family,
            transport: raw.flow.transport,
            role: raw.role,
            question: question_hash(raw, hasher),
        }
    }
}

/// Names compare without case (RFC 1035, section 2.3.3).
fn question_hash(raw: &Raw, hasher: &RandomState) -> u64 {
    let mut name = [0; dns_wire::message::MAX_NAME];
    for (to, from) in name.iter_mut().zip(raw.name()) {
        *to = from.to_ascii_lowercase();
    }
    let question = &raw.message.question;
    hasher.hash_one((
        name.get(..raw.name().len()),
        question.qtype(),
        question.qclass(),
    ))
}

/// The first of a queue, if it came before.
fn due(queue: &mut VecDeque<(u64, Key)>, before_ns: u64) -> Option<(u64, Key)> {
    queue.pop_front_if(|(time_ns, _)| *time_ns < before_ns)
}

/// Where a message that came at that time stands among those of its key.
fn place(halves: Option<&VecDeque<Half>>, qr: Qr, time_ns: u64) -> Option<usize> {
    let mut halves = halves?.iter();
    halves.position(|half| half.raw.time_ns == time_ns && half.raw.qr() == qr)
}
