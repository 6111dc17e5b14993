//! The daemon at the server's end of a cable, and traffic both ways past it at a
//! chosen rate.
//!
//! Queries come over the first cable by the in-kernel generator. Responses come
//! over the second one into the server's namespace, which forwards them out of
//! the first: so they leave as a name server's do, but cost no server.

use std::{
    panic::resume_unwind,
    sync::atomic::{AtomicU64, Ordering},
    thread::{self, ScopedJoinHandle},
    time::{Duration, Instant},
};

use anyhow::Result;

use super::{
    cables,
    generator::{Generator, Passing, Template},
    pin,
    usage::processor_time,
};
use crate::{
    network::{CLIENT_INTERFACES, INTERFACES, Network, Side, daemon::Daemon, exposition::Samples},
    traffic::{Exchange, Profile, Traffic},
};

/// Different exchanges, everyday and in a flood of random clients and names.
const TEMPLATES: usize = 16_384;
const RANDOM_TEMPLATES: usize = 262_144;
/// How often the generator is called at a chosen rate, at most.
const TICK: Duration = Duration::from_millis(2);
/// Packets per call at full rate.
const CHUNK: u32 = 16_384;
/// Threads that call a generator by turns, as each sleeps for long after its call: as
/// many as keep the CPU busy.
const TURNS: usize = 6;
/// Where packets are made; the rest is left to the scheduler.
const GENERATOR_CPU: usize = 0;

/// What comes past the daemon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Load {
    /// Queries only, as fast as they are made.
    Full,
    /// Queries and responses, so many messages per second together.
    Paced(u64),
}

/// What a run took.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    /// Messages sent.
    pub sent: u64,
    /// How long it took.
    pub elapsed: Duration,
    /// Time on a CPU of the process that was watched.
    pub processor: Duration,
}

impl Run {
    /// Messages per second.
    #[must_use]
    pub fn rate(&self) -> f64 {
        self.sent as f64 / self.elapsed.as_secs_f64()
    }

    /// CPUs that the process kept busy.
    #[must_use]
    pub fn cores(&self) -> f64 {
        self.processor.as_secs_f64() / self.elapsed.as_secs_f64()
    }
}

/// What a daemon has counted of messages.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Messages of either direction: exact.
    pub messages: u64,
    /// Records that were handed on.
    pub delivered: u64,
    /// Records left out by sampling.
    pub sampled_out: u64,
    /// Records lost.
    pub lost: u64,
}

impl Account {
    /// The account once no packet is on its way; the conservation identity holds.
    ///
    /// # Errors
    /// When it does not hold.
    pub fn of(daemon: &Daemon<'_>) -> Result<Self> {
        Self::read(&daemon.quiet()?)
    }

    /// Reads it from a scrape.
    ///
    /// # Errors
    /// When a family is missing.
    pub fn read(samples: &Samples) -> Result<Self> {
        let records = |outcome| samples.count("xdsc_records_total", &[("outcome", outcome)]);
        let lost = ["ring_full", "reentered", "unreadable"].map(records);
        Ok(Self {
            messages: samples.count("xdsc_dns_messages_total", &[("role", "server")])?,
            delivered: records("delivered")?,
            sampled_out: records("sampled_out")?,
            lost: lost.into_iter().sum::<Result<u64>>()?,
        })
    }

    /// What has come since an earlier one.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            messages: self.messages - earlier.messages,
            delivered: self.delivered - earlier.delivered,
            sampled_out: self.sampled_out - earlier.sampled_out,
            lost: self.lost - earlier.lost,
        }
    }
}

/// The cables and the generators.
pub struct Stage<'a> {
    network: &'a Network,
    /// The MAC address that responses are sent on by.
    router: [u8; 6],
    exchanges: Vec<Exchange>,
    sender: Sender,
    /// Keeps the program at the interfaces that need one.
    _passing: Passing,
}

/// The generators and where they send to.
struct Sender {
    queries: Generator,
    responses: Generator,
    /// The numbers of the clients' interfaces.
    interfaces: [u32; 2],
}

impl<'a> Stage<'a> {
    /// Lays the second cable and prepares the traffic.
    ///
    /// # Errors
    /// When the kernel does not allow it.
    pub fn new(network: &'a Network, seed: u64) -> Result<Self> {
        network.add_second_cable()?;
        let router = cables::forward(network)?;
        let traffic = Traffic::new(Profile::Everyday, seed, 1_000);
        let (exchanges, [queries, responses]) = generators(traffic, TEMPLATES, router)?;
        let mut passing = Passing::load()?;
        network.within(Side::Server, || passing.attach(INTERFACES[1]))?;
        for interface in CLIENT_INTERFACES {
            network.within(Side::Client, || passing.attach(interface))?;
        }
        Ok(Self {
            network,
            router,
            exchanges,
            sender: Sender {
                queries,
                responses,
                interfaces: [
                    cables::interface_index(network, CLIENT_INTERFACES[0])?,
                    cables::interface_index(network, CLIENT_INTERFACES[1])?,
                ],
            },
            _passing: passing,
        })
    }

    /// From here on each exchange has a client and a name of its own: so many that no
    /// table of the daemon's holds them.
    ///
    /// # Errors
    /// When the kernel does not allow it.
    pub fn flood(&mut self, seed: u64) -> Result<()> {
        let traffic = Traffic::new(Profile::Flood, seed, 1_000);
        let (exchanges, [queries, responses]) = generators(traffic, RANDOM_TEMPLATES, self.router)?;
        self.exchanges = exchanges;
        self.sender = Sender {
            queries,
            responses,
            interfaces: self.sender.interfaces,
        };
        Ok(())
    }

    /// Sends for so long, and tells what that cost the process of this number.
    ///
    /// # Errors
    /// When the kernel does not do it.
    pub fn run(&mut self, load: Load, duration: Duration, pid: u32) -> Result<Run> {
        let before = self.sent();
        let sender = &self.sender;
        let (elapsed, processor) = self.network.within(Side::Client, || {
            pin(GENERATOR_CPU)?;
            let start = Instant::now();
            let taken = processor_time(pid)?;
            match load {
                Load::Full => sender.send_fast(duration)?,
                Load::Paced(rate) => sender.send_paced(rate, duration)?,
            }
            Ok((start.elapsed(), processor_time(pid)? - taken))
        })?;
        self.sender.queries.check()?;
        self.sender.responses.check()?;
        Ok(Run {
            sent: self.sent() - before,
            elapsed,
            processor,
        })
    }

    /// Messages so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sender.queries.sent() + self.sender.responses.sent()
    }

    /// The exchanges, each with how often its query was sent, and its response.
    pub fn exchanges(&self) -> impl Iterator<Item = (&Exchange, [u64; 2])> {
        let totals = [self.sender.queries.sent(), self.sender.responses.sent()];
        let count = self.exchanges.len() as u64;
        self.exchanges
            .iter()
            .enumerate()
            .map(move |(place, exchange)| {
                let sent =
                    totals.map(|total| total / count + u64::from((place as u64) < total % count));
                (exchange, sent)
            })
    }
}

/// So many exchanges over UDP, and the generators of their queries and responses.
fn generators(
    traffic: Traffic,
    count: usize,
    router: [u8; 6],
) -> Result<(Vec<Exchange>, [Generator; 2])> {
    let (mut queries, mut responses, mut exchanges) = (Vec::new(), Vec::new(), Vec::new());
    for mut exchange in traffic {
        exchange.tcp = false;
        exchange.response_after_ns = exchange.response_after_ns.or(Some(1));
        let both = Template::query(&exchange).zip(Template::response(&exchange, router));
        if let Some((query, response)) = both {
            queries.push(query);
            responses.push(response);
            exchanges.push(exchange);
        }
        if exchanges.len() == count {
            break;
        }
    }
    let generators = [Generator::load(&queries)?, Generator::load(&responses)?];
    Ok((exchanges, generators))
}

impl Sender {
    fn send_fast(&self, duration: Duration) -> Result<()> {
        let start = Instant::now();
        by_turns(|| {
            while start.elapsed() < duration {
                self.queries.send(self.interfaces[0], CHUNK)?;
            }
            Ok(())
        })
    }

    /// Half of the messages are queries, half are responses.
    fn send_paced(&self, rate: u64, duration: Duration) -> Result<()> {
        let [queries, responses] = self.interfaces;
        thread::scope(|scope| {
            let pace = |generator, interface| send_paced(generator, interface, rate / 2, duration);
            let queries = scope.spawn(move || pace(&self.queries, queries));
            let sent = pace(&self.responses, responses);
            joined(queries).and(sent)
        })
    }
}

/// Sends so many packets per second: at each turn those that are due.
fn send_paced(generator: &Generator, interface: u32, rate: u64, duration: Duration) -> Result<()> {
    let start = Instant::now();
    let sent = AtomicU64::new(0);
    by_turns(|| {
        loop {
            let elapsed = start.elapsed();
            let due = (elapsed.min(duration).as_secs_f64() * rate as f64) as u64;
            let before = sent.fetch_max(due, Ordering::Relaxed);
            generator.send(interface, u32::try_from(due.saturating_sub(before))?)?;
            if elapsed >= duration {
                return Ok(());
            }
            thread::sleep(TICK.saturating_sub(start.elapsed() - elapsed));
        }
    })
}

/// Lets several threads do the same.
fn by_turns(send: impl Fn() -> Result<()> + Sync) -> Result<()> {
    thread::scope(|scope| {
        let threads: Vec<_> = (0..TURNS).map(|_| scope.spawn(&send)).collect();
        threads.into_iter().try_for_each(joined)
    })
}

fn joined(thread: ScopedJoinHandle<'_, Result<()>>) -> Result<()> {
    thread.join().unwrap_or_else(|panic| resume_unwind(panic))
}
