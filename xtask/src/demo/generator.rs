//! The clients: asks the mix of `queries` over real sockets, at a set rate,
//! and keeps account of what it sent and got.
//!
//! Nothing may get lost on the way, or the account would prove nothing: the
//! socket buffers are large, and queries are spread evenly over time. A lost
//! answer is a timeout and is never asked for again.

mod tcp;
mod udp;

use std::io::{self, Read as _};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use hickory_proto::op::{Message, ResponseCode};

use super::queries::{Datagram, Layout, Mix};
use super::tally::{Flow, Tally};
use tcp::{Job, Lanes};
use udp::UdpClients;

/// How long an answer may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(3);
/// The shortest sleep between two bursts.
const TICK: Duration = Duration::from_millis(1);
/// Queries sent back to back: less than the 256 that a veth device queues.
const BURST: u32 = 64;

/// Ask the demonstration's name server; prints a line of JSON at the end
#[derive(Args)]
pub(crate) struct Generator {
    /// Queries per second
    #[arg(long, default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    qps: u32,
    /// Stop after so many seconds; else when standard input ends
    #[arg(long)]
    seconds: Option<u64>,
    /// The same seed gives the same queries
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

impl Generator {
    pub(crate) fn run(&self) -> Result<()> {
        let stop = self.stop_signal();
        let account = Account::default();
        let clients = UdpClients::open()?;
        thread::scope(|scope| {
            let lanes = Lanes::open(scope, &account);
            let end_of_receiving = Arc::new(AtomicBool::new(false));
            let receiver = scope.spawn({
                let (clients, lanes, end) =
                    (&clients, lanes.clone(), Arc::clone(&end_of_receiving));
                let account = &account;
                move || clients.receive(account, &lanes, &end)
            });
            let sent = self.send(&clients, &lanes, &account, &stop);
            clients.await_answers(PATIENCE);
            end_of_receiving.store(true, Ordering::Relaxed);
            // The lanes end when the last handle to them is gone.
            drop(lanes);
            let received = receiver
                .join()
                .map_err(|_| anyhow::anyhow!("the receiver panicked"))?;
            sent.and(received)
        })?;
        let mut tally = account.into_tally();
        tally.timeouts += clients.unanswered();
        println!("{}", serde_json::to_string(&tally)?);
        Ok(())
    }

    fn stop_signal(&self) -> Arc<AtomicBool> {
        let stop = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&stop);
        let seconds = self.seconds.map(Duration::from_secs);
        thread::spawn(move || {
            match seconds {
                Some(seconds) => thread::sleep(seconds),
                // An error ends the input, too.
                None => drop(io::stdin().read_to_end(&mut Vec::new())),
            }
            flag.store(true, Ordering::Relaxed);
        });
        stop
    }

    fn send(
        &self,
        clients: &UdpClients,
        lanes: &Lanes,
        account: &Account,
        stop: &AtomicBool,
    ) -> Result<()> {
        let mut mix = Mix::new(self.seed);
        let mut pace = Pace::start(self.qps);
        while !stop.load(Ordering::Relaxed) {
            for _ in 0..pace.due() {
                send_one(&mut mix, clients, lanes, account)?;
            }
            thread::sleep(TICK);
        }
        Ok(())
    }
}

fn send_one(mix: &mut Mix, clients: &UdpClients, lanes: &Lanes, account: &Account) -> Result<()> {
    let family = mix.family();
    if mix.over_tcp() {
        let layout = mix.layout();
        let queries = if layout == Layout::Pipelined { 2 } else { 1 };
        let queries = (0..queries).map(|_| mix.query()).collect();
        lanes.ask(family, Job { queries, layout });
        return Ok(());
    }
    match mix.datagram() {
        Datagram::Query(query) => clients.ask(mix, family, query, account),
        Datagram::Malformed { bytes, reason } => {
            clients.send_malformed(mix, family, &bytes)?;
            account.lock().sent_malformed(reason);
            Ok(())
        }
    }
}

/// Spreads queries over time.
struct Pace {
    qps: u32,
    since: Instant,
    sent: u64,
}

impl Pace {
    fn start(qps: u32) -> Self {
        Self {
            qps,
            since: Instant::now(),
            sent: 0,
        }
    }

    /// How many are to be sent now.
    fn due(&mut self) -> u64 {
        let due = self.due_after(self.since.elapsed());
        self.sent += due;
        due
    }

    /// Never more than a burst: what a busy machine did not let us send in
    /// time is caught up with in the next ticks.
    fn due_after(&self, elapsed: Duration) -> u64 {
        let total = elapsed.as_micros() * u128::from(self.qps) / 1_000_000;
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        total.saturating_sub(self.sent).min(u64::from(BURST))
    }
}

/// The tally, shared by the threads.
#[derive(Default)]
struct Account(Mutex<Tally>);

impl Account {
    fn lock(&self) -> MutexGuard<'_, Tally> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn received(&self, flow: Flow, response: &Message) {
        self.lock()
            .received(flow, &mnemonic(response.metadata.response_code));
    }

    fn into_tally(self) -> Tally {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The registry's name of a response code.
fn mnemonic(rcode: ResponseCode) -> String {
    let number = u16::from(rcode);
    let known = [
        "NOERROR", "FORMERR", "SERVFAIL", "NXDOMAIN", "NOTIMP", "REFUSED",
    ];
    match known.get(usize::from(number)) {
        Some(&name) => name.to_owned(),
        None if number == 16 => "BADVERS".to_owned(),
        None => format!("RCODE{number}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pace_is_even_and_bounded() {
        let mut pace = Pace {
            qps: 2000,
            since: Instant::now(),
            sent: 0,
        };
        assert_eq!(pace.due_after(Duration::from_micros(499)), 0);
        assert_eq!(pace.due_after(Duration::from_millis(1)), 2);
        pace.sent = 2;
        assert_eq!(pace.due_after(Duration::from_millis(1)), 0);
        assert_eq!(
            pace.due_after(Duration::from_secs(1)),
            u64::from(BURST),
            "after a pause"
        );
    }

    #[test]
    fn mnemonics_are_the_registry_s() {
        assert_eq!(mnemonic(ResponseCode::NoError), "NOERROR");
        assert_eq!(mnemonic(ResponseCode::Refused), "REFUSED");
        assert_eq!(mnemonic(ResponseCode::BADVERS), "BADVERS");
        assert_eq!(mnemonic(ResponseCode::NotAuth), "RCODE9");
    }
}
