//! What a name server under full load loses when its traffic is watched: by
//! xdsc, and by the tools that capture packets.
//!
//! NSD answers dnsperf over a cable, as fast as both can, on the same machine.
//! The watchers take turns in every round, each round beginning with another one, so
//! that what else the machine does hits all alike; what is told are medians, and ratios
//! of them to nobody watching. A watcher that has seen nothing is no watcher: its turn
//! fails.

mod client;
mod report;
mod watched;
mod watcher;

use std::env;

use anyhow::{Result, bail};
use integration_tests::network::{
    in_network,
    server::{Kind, NameServer},
};

use crate::{client::Client, watched::Watched, watcher::Watcher};

/// Turns of every watcher: many, as the rates of a watcher's turns differ by a tenth.
const ROUNDS: usize = 11;
/// How long each turn lasts, in seconds: after one, dnstop shows nothing yet.
const SECONDS: u64 = 2;

fn main() -> Result<()> {
    let (rounds, seconds) = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => (ROUNDS, SECONDS),
        [rounds] => (rounds.parse()?, SECONDS),
        [rounds, seconds] => (rounds.parse()?, seconds.parse()?),
        _ => bail!("usage: bench-impact [ROUNDS [SECONDS]]"),
    };
    in_network(|network| {
        let server = NameServer::start(network, Kind::Nsd)?;
        let client = Client::new(network)?;
        // The first answers of a server are slower.
        client.ask(1)?;
        let mut watched = Watcher::ALL.map(Watched::new);
        for round in 0..rounds {
            for turn in 0..watched.len() {
                let at = (round + turn) % watched.len();
                if let Some(one) = watched.get_mut(at) {
                    one.take_turn(network, &server, &client, seconds)?;
                }
            }
        }
        report::tell(&watched)
    })
}
