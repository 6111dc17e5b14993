//! What is known, what is asked for, and who may ask next: the one place where
//! the thread that wants names and the tasks that find them meet.
//!
//! All of it is behind one lock, which nobody holds for longer than it takes to
//! look into a table. So an address is never in two queues, and is in flight once.

use std::{
    collections::VecDeque,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use foldhash::fast::RandomState;
use hashbrown::HashSet;
use tokio::{
    sync::Notify,
    time::{Instant, sleep_until},
};

use super::{
    Answer,
    breaker::{Admission, Breaker, Rules},
    names::{Entry, Known, Lifetimes, Names},
    scope::Scope,
    stats::{Counters, Request, ReverseDnsStats},
};
use crate::config;

/// When resolvers are left alone.
const BREAKER: Rules = Rules {
    failures: 5,
    open_min: Duration::from_secs(10),
    open_max: Duration::from_secs(300),
};

/// What came of asking for an address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// An answer, good for so long by itself.
    Found(Known, Duration),
    /// SERVFAIL: the servers of this name are at fault, not the resolver.
    ServFail,
    /// None.
    Failed,
}

/// An address in a queue.
#[derive(Clone, Copy, Debug)]
pub(super) struct Waiting {
    pub(super) address: IpAddr,
    pub(super) since: Instant,
}

/// Requests, from the first look into memory to the end of a query.
#[derive(Debug)]
pub(super) struct Requests {
    pub(super) counters: Arc<Counters>,
    pub(super) lifetimes: Lifetimes,
    scope: Scope,
    queue: usize,
    /// Whether a shared cache is looked into before a resolver is asked.
    shared: bool,
    state: Mutex<State>,
    to_find: Notify,
    to_ask: Notify,
}

#[derive(Debug)]
struct State {
    names: Names,
    /// What is in a queue or in flight.
    waiting: HashSet<IpAddr, RandomState>,
    /// For the shared cache.
    to_find: VecDeque<Waiting>,
    /// For the resolvers.
    to_ask: VecDeque<Waiting>,
    breaker: Breaker,
}

impl Requests {
    pub(super) fn new(settings: &config::ReverseDns) -> Self {
        Self {
            counters: Arc::default(),
            lifetimes: Lifetimes::new(settings),
            scope: Scope::new(&settings.deny, &settings.allow),
            queue: settings.queue as usize,
            shared: !settings.redis.is_empty(),
            state: Mutex::new(State {
                names: Names::new(settings.cache as usize),
                waiting: HashSet::default(),
                to_find: VecDeque::new(),
                to_ask: VecDeque::new(),
                breaker: Breaker::new(BREAKER),
            }),
            to_find: Notify::new(),
            to_ask: Notify::new(),
        }
    }

    /// What is known of an address now; what is not is asked for.
    pub(super) fn lookup(&self, address: IpAddr) -> Answer {
        let address = address.to_canonical();
        let (request, answer) = if self.scope.allows(address) {
            self.find_or_queue(address)
        } else {
            (Request::Denied, Answer::Never)
        };
        self.counters.request(request);
        if request == Request::Queued {
            let queue = if self.shared {
                &self.to_find
            } else {
                &self.to_ask
            };
            queue.notify_one();
        }
        answer
    }

    fn find_or_queue(&self, address: IpAddr) -> (Request, Answer) {
        let now = Instant::now();
        let mut state = self.state();
        match state.names.find(address, now) {
            Some(Known::Name(name)) => return (Request::Name, Answer::Name(Arc::clone(name))),
            Some(Known::NoName) => return (Request::NoName, Answer::NoName),
            Some(Known::Failed) => return (Request::FailedLately, Answer::Refused),
            None => {}
        }
        if state.waiting.contains(&address) {
            return (Request::Pending, Answer::Pending);
        }
        if state.queued() >= self.queue {
            return (Request::QueueFull, Answer::Refused);
        }
        if !self.shared && state.breaker.refuses(now) {
            return (Request::BreakerOpen, Answer::Refused);
        }
        state.waiting.insert(address);
        let waiting = Waiting {
            address,
            since: now,
        };
        if self.shared {
            state.to_find.push_back(waiting);
        } else {
            state.to_ask.push_back(waiting);
        }
        (Request::Queued, Answer::Pending)
    }

    /// The next addresses for the shared cache: waits for one, takes so many.
    pub(super) async fn next_to_find(&self, most: usize) -> Vec<Waiting> {
        loop {
            let next = {
                let mut state = self.state();
                let count = most.min(state.to_find.len());
                state.to_find.drain(..count).collect::<Vec<_>>()
            };
            if !next.is_empty() {
                return next;
            }
            self.to_find.notified().await;
        }
    }

    /// The shared cache does not know an address: the resolvers are asked, unless
    /// they are left alone for the moment.
    pub(super) fn not_found(&self, waiting: Waiting) {
        {
            let mut state = self.state();
            if state.breaker.refuses(Instant::now()) {
                state.waiting.remove(&waiting.address);
                self.counters.dropped.add(1);
                return;
            }
            state.to_ask.push_back(waiting);
        }
        self.to_ask.notify_one();
    }

    /// Waits until an address may be asked for: there is one, and the breaker lets
    /// it through.
    pub(super) async fn something_to_ask(&self) {
        loop {
            let admission = {
                let state = self.state();
                let waits = !state.to_ask.is_empty();
                waits.then(|| state.breaker.would_admit(Instant::now()))
            };
            match admission {
                Some(Admission::Go) => return,
                None => self.to_ask.notified().await,
                Some(Admission::WaitUntil(until)) => {
                    // A trial that ends well opens the way before its time is up.
                    tokio::select! {
                        () = sleep_until(until) => {}
                        () = self.to_ask.notified() => {}
                    }
                }
            }
        }
    }

    /// The next address for the resolvers, if it may be asked for now.
    pub(super) fn next_to_ask(self: &Arc<Self>) -> Option<Ticket> {
        let mut state = self.state();
        let waiting = state.to_ask.front().copied()?;
        match state.breaker.admit(Instant::now()) {
            Admission::Go => state.to_ask.pop_front(),
            Admission::WaitUntil(_) => return None,
        };
        Some(Ticket::new(self, waiting))
    }

    /// Keeps what another cache knows, for no longer than the bounds allow.
    pub(super) fn learn(&self, address: IpAddr, known: Known, ttl: Duration) {
        let expires = Instant::now() + self.lifetimes.at_most(&known, ttl);
        let mut state = self.state();
        state.waiting.remove(&address);
        state.names.insert(address, Entry { known, expires });
    }

    /// So many names that are worth keeping.
    pub(super) fn latest(&self, most: usize) -> Vec<(IpAddr, Entry)> {
        self.state().names.latest(most, Instant::now())
    }

    /// Whether an address may be looked up.
    pub(super) fn allows(&self, address: IpAddr) -> bool {
        self.scope.allows(address)
    }

    /// How all stands, but for what others have to tell.
    pub(super) fn stats(&self) -> ReverseDnsStats {
        let state = self.state();
        ReverseDnsStats {
            queue_length: state.queued() as u64,
            queue_capacity: self.queue as u64,
            breaker: state.breaker.state(Instant::now()),
            breaker_opened: state.breaker.opened(),
            cache: state.names.stats(),
            ..self.counters.get()
        }
    }

    fn settle(&self, address: IpAddr, ended: &Ended) {
        {
            let now = Instant::now();
            let (known, ttl) = match ended {
                Ended::Found(known, ttl) => (known.clone(), *ttl),
                Ended::ServFail | Ended::Failed => (Known::Failed, Duration::ZERO),
            };
            let expires = now + self.lifetimes.clamp(&known, ttl);
            let mut state = self.state();
            state.waiting.remove(&address);
            state.names.insert(address, Entry { known, expires });
            match ended {
                Ended::Found(..) | Ended::ServFail => state.breaker.succeeded(),
                Ended::Failed => state.breaker.failed(now),
            }
        }
        self.to_ask.notify_one();
    }

    /// A panic elsewhere leaves tables that are whole.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn queued(&self) -> usize {
        self.to_find.len() + self.to_ask.len()
    }
}

/// The right to ask for one address, and the duty to tell what came of it.
#[derive(Debug)]
pub(super) struct Ticket {
    requests: Arc<Requests>,
    address: IpAddr,
    settled: bool,
}

impl Ticket {
    fn new(requests: &Arc<Requests>, waiting: Waiting) -> Self {
        requests.counters.in_flight.add(1);
        requests.counters.waits.add(waiting.since.elapsed());
        Self {
            requests: Arc::clone(requests),
            address: waiting.address,
            settled: false,
        }
    }

    pub(super) const fn address(&self) -> IpAddr {
        self.address
    }

    /// Tells what came of it.
    pub(super) fn settle(mut self, ended: &Ended) {
        self.settled = true;
        self.requests.counters.in_flight.subtract(1);
        self.requests.settle(self.address, ended);
    }
}

impl Drop for Ticket {
    /// Who goes without a word must not keep the address waiting for ever.
    fn drop(&mut self) {
        if !self.settled {
            self.requests.counters.in_flight.subtract(1);
            self.requests.state().waiting.remove(&self.address);
        }
    }
}
