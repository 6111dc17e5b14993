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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::stream::raw::example::{query, response};

    const SECOND: u64 = 1_000_000_000;
    const MS: u64 = 1_000_000;
    const START: u64 = 1_000 * SECOND;
    const NAME: &[u8] = b"\x03www\x07example\0";

    /// Takes messages in, in this order, each once all before it was known, and
    /// gives up all in the end: what ended as kind, ID, ns between both.
    fn ended(messages: &[Raw]) -> Vec<(&'static str, u16, u64)> {
        let mut halves = Halves::new(1000, 5 * SECOND);
        let mut out = Vec::new();
        for raw in messages {
            halves.take(raw, &mut out);
        }
        halves.advance(START + 100 * SECOND, &mut out);
        assert_eq!(halves.waiting(), 0);
        out.iter().map(kind).collect()
    }

    fn kind(met: &Met) -> (&'static str, u16, u64) {
        let id = |raw: &Raw| raw.message.header.id();
        match (&met.query, &met.response) {
            (Some(query), Some(response)) => {
                ("answered", id(query), response.time_ns - query.time_ns)
            }
            (Some(query), None) => ("unanswered", id(query), 0),
            (None, Some(response)) => ("unsolicited", id(response), 0),
            (None, None) => ("nothing", 0, 0),
        }
    }

    fn ask(id: u16, after_ns: u64) -> Raw {
        query(id, NAME, START + after_ns)
    }

    #[test]
    fn halves_meet_as_the_case_has_it() {
        let (a, b, again) = (ask(1, 0), ask(2, 1), ask(1, 10 * MS));
        let answer = |query: &Raw, ms: u64| response(query, 0, ms * MS);
        let named = |name: &[u8]| query(1, name, START);
        for (case, messages, expected) in [
            (
                "a query and its response",
                vec![a, answer(&a, 3)],
                vec![("answered", 1, 3 * MS)],
            ),
            (
                "the response is read first",
                vec![answer(&a, 3), a],
                vec![("answered", 1, 3 * MS)],
            ),
            (
                "two at once, answered in the other order",
                vec![a, b, answer(&b, 1), answer(&a, 2)],
                vec![("answered", 2, MS), ("answered", 1, 2 * MS)],
            ),
            ("no response", vec![a], vec![("unanswered", 1, 0)]),
            ("no query", vec![answer(&a, 1)], vec![("unsolicited", 1, 0)]),
            (
                "a second response",
                vec![a, answer(&a, 1), answer(&a, 2)],
                vec![("answered", 1, MS), ("unsolicited", 1, 0)],
            ),
            (
                "a repeated query: the response answers the oldest",
                vec![a, again, answer(&a, 20)],
                vec![("answered", 1, 20 * MS), ("unanswered", 1, 0)],
            ),
            (
                "a response that left before the query came",
                vec![again, answer(&a, 1)],
                vec![("unsolicited", 1, 0), ("unanswered", 1, 0)],
            ),
            (
                "the same, read the other way round",
                vec![answer(&a, 1), again],
                vec![("unsolicited", 1, 0), ("unanswered", 1, 0)],
            ),
            (
                "another case of the name is the same name",
                vec![named(b"\x01a\0"), answer(&named(b"\x01A\0"), 1)],
                vec![("answered", 1, MS)],
            ),
            (
                "another name is another question",
                vec![named(b"\x01a\0"), answer(&named(b"\x01b\0"), 1)],
                vec![("unanswered", 1, 0), ("unsolicited", 1, 0)],
            ),
        ] {
            assert_eq!(ended(&messages), expected, "{case}");
        }
    }

    #[test]
    fn what_waits_is_given_up_when_its_time_is_over_and_not_before() {
        let mut halves = Halves::new(1000, 5 * SECOND);
        let mut out = Vec::new();
        let (asked, other) = (ask(1, 0), ask(2, 0));
        halves.take(&asked, &mut out);
        halves.take(&response(&other, 0, 0), &mut out);
        halves.advance(START + SECOND, &mut out);
        assert_eq!((out.len(), halves.waiting()), (0, 2));
        halves.advance(START + SECOND + 1, &mut out);
        assert_eq!(out.pop().as_ref().map(kind), Some(("unsolicited", 2, 0)));
        halves.advance(START + 5 * SECOND, &mut out);
        assert_eq!(out.len(), 0);
        halves.advance(START + 5 * SECOND + 1, &mut out);
        let met = out.pop().expect("it is over");
        assert_eq!(kind(&met), ("unanswered", 1, 0));
        assert_eq!(met.complete_ns, START + 5 * SECOND + 1);
    }

    /// A thread that has slept reads one ring after the other: the queries of
    /// seconds, then their responses.
    #[test]
    fn rings_may_be_read_long_after_each_other() {
        let queries: Vec<_> = (0..100).map(|id| ask(id, u64::from(id) * SECOND)).collect();
        let responses: Vec<_> = queries.iter().map(|query| response(query, 0, MS)).collect();
        let ended = ended(&[queries, responses].concat());
        assert!(ended.iter().all(|(kind, _, _)| *kind == "answered"));
        assert_eq!(ended.len(), 100);
    }

    #[test]
    fn the_table_is_bounded_in_all_and_for_each_key() {
        let mut halves = Halves::new(10, 5 * SECOND);
        let mut out = Vec::new();
        for id in 0..30 {
            halves.take(&ask(id, 0), &mut out);
        }
        assert_eq!((halves.waiting(), halves.left().table_full), (10, 20));
        let mut halves = Halves::new(1000, 5 * SECOND);
        for time in 0..100 {
            halves.take(&ask(1, time), &mut out);
        }
        assert_eq!((halves.waiting(), halves.left().table_full), (64, 36));
        assert_eq!(out.len(), 0);
    }

    #[test]
    fn queues_do_not_grow_with_what_has_met() {
        let mut halves = Halves::new(100, 5 * SECOND);
        let mut out = Vec::new();
        for id in 0..10_000 {
            let asked = ask(id, 0);
            halves.take(&asked, &mut out);
            halves.take(&response(&asked, 0, MS), &mut out);
        }
        assert_eq!(out.len(), 10_000);
        assert!(halves.queries.len() <= 200, "{}", halves.queries.len());
    }

    #[test]
    fn a_narrower_share_leaves_out_what_it_does_not_choose() {
        let mut halves = Halves::new(1000, 5 * SECOND);
        let mut out = Vec::new();
        let chosen = |id: u16, hash: u32, thinning: u8| {
            let mut raw = ask(id, 0);
            raw.choice.hash = hash;
            raw.choice.thinning = thinning;
            raw
        };
        // Thinning goes by bit 10 first.
        let (kept, not_kept) = (chosen(1, 0, 0), chosen(2, 1 << 10, 0));
        halves.take(&kept, &mut out);
        halves.take(&not_kept, &mut out);
        let narrow = chosen(3, 0, 1);
        halves.take(&narrow, &mut out);
        assert_eq!((halves.waiting(), halves.left().narrowed), (2, 1));
        halves.take(&response(&kept, 0, MS), &mut out);
        halves.take(&response(&not_kept, 0, MS), &mut out);
        let ended: Vec<_> = out.iter().map(|met| (kind(met), met.weight)).collect();
        assert_eq!(ended, [(("answered", 1, MS), 2)]);
        assert_eq!(halves.left().narrowed, 2);
    }

    #[test]
    fn just_after_the_begin_a_response_alone_says_nothing() {
        let mut halves = Halves::new(1000, 5 * SECOND);
        let mut out = Vec::new();
        halves.begin(START);
        for seconds in [1, 6] {
            let asked = ask(1, 0);
            halves.take(&response(&asked, 0, seconds * SECOND), &mut out);
            halves.advance(START + seconds * SECOND + 2 * SECOND, &mut out);
        }
        assert_eq!(out.len(), 1);
        assert_eq!(halves.left().too_early, 1);
    }

    proptest::proptest! {
        /// Whatever comes, in whatever order: each message is in one exchange, or
        /// is counted as left out, and nothing panics.
        #[test]
        fn no_message_is_lost_or_told_twice(
            messages in proptest::collection::vec(
                (0..4_u16, proptest::bool::ANY, 0..20_u64, proptest::num::u32::ANY, 0..3_u8, 0..16_u8, 0..16_u8),
                0..200,
            ),
            capacity in 1..50_usize,
        ) {
            let mut halves = Halves::new(capacity, 2 * SECOND);
            let mut out = Vec::new();
            let all = messages.len() as u64;
            for (id, is_response, time, hash, thinning, level, share_bits) in messages {
                let mut raw = query(id, NAME, time * SECOND / 2);
                if is_response {
                    raw = response(&raw, 0, 0);
                }
                raw.choice.hash = hash;
                raw.choice.thinning = thinning;
                raw.choice.level = level;
                raw.choice.share_bits = share_bits;
                halves.take(&raw, &mut out);
                halves.advance(raw.time_ns, &mut out);
            }
            halves.finish(&mut out);
            proptest::prop_assert_eq!(halves.waiting(), 0);
            let told: u64 = out.iter().map(|met| {
                u64::from(met.query.is_some()) + u64::from(met.response.is_some())
            }).sum();
            let Left { table_full, narrowed, too_early } = halves.left();
            proptest::prop_assert_eq!(told + table_full + narrowed + too_early, all);
        }
    }
}
