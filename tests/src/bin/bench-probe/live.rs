//! Packets per second through a pair of virtual interfaces with a program at
//! them: what arrives, natively in XDP; and what leaves, in TC, behind the kernel's
//! forwarding, since its generator makes frames that arrive only.
//!
//! Generator, cable and program share a CPU, so a rate says what one packet costs
//! in all. The programs take turns. A turn in which packets were lost on their way, or
//! records left out, does not count, since such packets cost less; in the others every
//! packet must be seen.

use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};
use dns_wire::counters::{Counters, Delivery, Hook, Outcome};
use integration_tests::{
    bench::{
        cables,
        generator::{Generator, Passing, Template},
        pin,
    },
    network::{CLIENT_INTERFACES, INTERFACES, Network, Side, in_network},
};

use crate::{
    packets,
    programs::{Baseline, PROGRAM_CPU, Program, Real},
};

/// Turns of every program, and how many of them must count.
const TURNS: usize = 9;
const LEAST: usize = 3;
/// Packets of a turn.
const QUERIES: u32 = 300_000;
const RESPONSES: u32 = 100_000;

/// Packets per second, by key.
#[derive(Default)]
pub(crate) struct Rates {
    pub(crate) rates: Vec<(&'static str, Vec<f64>)>,
    /// Turns that do not count.
    pub(crate) sampled_turns: u32,
    messages: u64,
    delivered: u64,
}

impl Rates {
    /// The share of the messages whose record was handed on.
    pub(crate) fn delivered_share(&self) -> f64 {
        self.delivered as f64 / self.messages as f64
    }
}

/// What stands at the interface.
enum Observer<'a> {
    /// A program that does nothing.
    Empty(&'a mut Program),
    /// xdsc's, and what becomes of each message.
    Real(&'a mut Real, Delivery),
}

impl Observer<'_> {
    const fn program(&mut self, hook: Hook) -> &mut Program {
        match self {
            Self::Empty(program) => program,
            Self::Real(real, _) => real.program(hook),
        }
    }

    /// What it has counted at a hook so far.
    fn counted(&self, hook: Hook) -> Result<Counted> {
        Ok(match self {
            Self::Empty(_) => Counted::default(),
            Self::Real(real, delivery) => Counted::of(&real.counters(hook)?, *delivery),
        })
    }
}

#[derive(Clone, Copy, Default)]
struct Counted {
    messages: u64,
    /// Those of which became what should.
    done: u64,
}

impl Counted {
    fn of(counters: &Counters, delivery: Delivery) -> Self {
        Self {
            messages: counters.outcomes(Outcome::Dns),
            done: counters.records(delivery),
        }
    }

    const fn since(self, earlier: Self) -> Self {
        Self {
            messages: self.messages - earlier.messages,
            done: self.done - earlier.done,
        }
    }
}

/// Measures all.
pub(crate) fn measure(
    real: &mut Real,
    counting: &mut Real,
    baseline: &mut Baseline,
) -> Result<Rates> {
    let mut rates = Rates::default();
    in_network(|network| {
        network.add_second_cable()?;
        let router = cables::forward(network)?;
        // A cable takes live frames only where XDP is at both ends.
        let mut passing = Passing::load()?;
        for interface in CLIENT_INTERFACES {
            network.within(Side::Client, || passing.attach(interface))?;
        }
        network.within(Side::Server, || passing.attach(INTERFACES[1]))?;
        let arriving = Way {
            network,
            hook: Hook::Ingress,
            at: INTERFACES[0],
            from: CLIENT_INTERFACES[0],
            to: (Side::Server, INTERFACES[0]),
            packets: QUERIES,
        };
        let mut observers = [
            ("live_empty_pps", Observer::Empty(&mut baseline.empty)),
            (
                "live_counting_only_pps",
                Observer::Real(&mut *counting, Delivery::CountOnly),
            ),
            ("live_pps", Observer::Real(&mut *real, Delivery::Delivered)),
        ];
        let queries = packets::ipv4_queries().into_iter().map(Template::of);
        arriving.measure(loaded(queries)?, &mut observers, &mut rates)?;
        let leaving = Way {
            network,
            hook: Hook::Egress,
            at: INTERFACES[0],
            from: CLIENT_INTERFACES[1],
            to: (Side::Client, CLIENT_INTERFACES[0]),
            packets: RESPONSES,
        };
        let mut observers = [
            ("live_empty_tc_pps", Observer::Empty(&mut baseline.empty_tc)),
            (
                "live_counting_only_tc_pps",
                Observer::Real(counting, Delivery::CountOnly),
            ),
            ("live_tc_pps", Observer::Real(real, Delivery::Delivered)),
        ];
        let responses = packets::responses().into_iter();
        let responses = responses.map(|frame| Template::routed(frame, router));
        leaving.measure(loaded(responses)?, &mut observers, &mut rates)
    })?;
    Ok(rates)
}

/// A generator of these frames. It counts their IDs up, and so has one in eight
/// paired, as the test runs have.
fn loaded(templates: impl Iterator<Item = Option<Template>>) -> Result<Generator> {
    let templates: Option<Vec<_>> = templates.collect();
    Generator::load(&templates.context("a packet that the generator does not take")?)
}

/// The way of the packets past the programs.
struct Way<'a> {
    network: &'a Network,
    hook: Hook,
    /// The interface, of the server's side, where the programs are.
    at: &'static str,
    /// The interface, of the clients' side, that the generator sends out of.
    from: &'static str,
    /// Where all must arrive at last.
    to: (Side, &'static str),
    /// Packets of a turn.
    packets: u32,
}

impl Way<'_> {
    fn measure(
        &self,
        mut generator: Generator,
        observers: &mut [(&'static str, Observer<'_>)],
        rates: &mut Rates,
    ) -> Result<()> {
        let mut samples = vec![Vec::new(); observers.len()];
        for _ in 0..TURNS {
            for ((key, observer), samples) in observers.iter_mut().zip(&mut samples) {
                let Some(turn) = self.turn(&mut generator, observer).context(*key)? else {
                    continue;
                };
                if let Observer::Real(_, Delivery::Delivered) = observer {
                    rates.messages += turn.counted.messages;
                    rates.delivered += turn.counted.done;
                }
                if turn.counted.messages == turn.counted.done {
                    samples.push(f64::from(self.packets) / turn.elapsed.as_secs_f64());
                } else {
                    rates.sampled_turns += 1;
                }
            }
        }
        for ((key, _), samples) in observers.iter().zip(samples) {
            ensure!(
                samples.len() >= LEAST,
                "{key}: packets were lost, or records left out, in all but {} of {TURNS} turns; \
                 something else keeps the CPUs busy",
                samples.len()
            );
            rates.rates.push((*key, samples));
        }
        Ok(())
    }

    /// Sends the packets past a program; none where the cable has lost some.
    fn turn(&self, generator: &mut Generator, observer: &mut Observer<'_>) -> Result<Option<Turn>> {
        let Self {
            network,
            hook,
            at,
            packets,
            ..
        } = *self;
        let attach = || observer.program(hook).attach(at);
        let attached = network.within(Side::Server, attach)?;
        let counted_before = observer.counted(hook)?;
        let received_before = received(network, self.to)?;
        let interface = cables::interface_index(network, self.from)?;
        let elapsed = network.within(Side::Client, || {
            pin(PROGRAM_CPU)?;
            let start = Instant::now();
            generator.send(interface, packets)?;
            Ok(start.elapsed())
        })?;
        generator.check()?;
        let received = received(network, self.to)? - received_before;
        let counted = observer.counted(hook)?.since(counted_before);
        observer.program(hook).detach(attached)?;
        let sent = u64::from(packets);
        if received < sent {
            return Ok(None);
        }
        if let Observer::Real(..) = observer {
            ensure!(
                counted.messages == sent,
                "{} of {sent} packets were counted",
                counted.messages
            );
        }
        Ok(Some(Turn { elapsed, counted }))
    }
}

/// What a turn came to.
struct Turn {
    elapsed: Duration,
    counted: Counted,
}

/// Packets that an interface has received.
fn received(network: &Network, (side, interface): (Side, &str)) -> Result<u64> {
    let path = format!("/sys/class/net/{interface}/statistics/rx_packets");
    Ok(network.output(side, "cat", &[&path])?.trim().parse()?)
}
