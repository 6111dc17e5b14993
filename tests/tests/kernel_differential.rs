//! The kernel against user space: on packets damaged in every way, the programs
//! must count and record what the same code does in the daemon.

use std::fmt::Write as _;

use anyhow::{Result, ensure};
use dns_wire::{
    Settings, Slice,
    counters::{Counters, Outcome, Qr, Role},
    locate::Link,
    reject::Reject,
};
use integration_tests::{
    kernel::{Conservation, Kernel, Seen, described, difference, hook_of},
    mutation::{Random, corpus, mutant},
    privileged,
};
use xdsc::{
    config::IpPrefix,
    source::{
        live::{probe::LoadOptions, test_run::Program},
        observer::Observer,
        whole::Assembler,
    },
};

/// Packets between two looks at the counters.
const BATCH: u64 = 5000;
/// Seeds the hash of transactions, which both sides must agree on.
const HASH_SEED: u64 = 0x5eed_0f0d_45ec_2026;

/// What is handed on raw.
#[derive(Clone, Copy, Debug)]
enum Raw {
    SegmentsOnly,
    WholeMessages,
}

/// A program and its counterpart.
struct Pair {
    program: Program,
    kernel: Kernel,
    observer: Observer,
    /// Hands no message on raw: its records are what assembled messages must
    /// give.
    parsed: Observer,
    assembler: Assembler,
    /// Messages that were handed on raw.
    whole: u64,
    /// Packets that the kernel did not take: a run of TC wants a whole IP header.
    refused: u64,
}

impl Pair {
    fn load(program: Program, served: &[&str], raw: Raw) -> Result<Self> {
        let service_addresses = prefixes(served)?;
        let settings = Settings::new(&[53, 5353])
            .with_decapsulation(true)
            .with_seed(HASH_SEED);
        let parsed = Observer::new(settings, service_addresses.clone());
        let settings = settings.with_whole_messages(matches!(raw, Raw::WholeMessages));
        let kernel = Kernel::load(&LoadOptions {
            settings,
            service_addresses: service_addresses.clone(),
            ..LoadOptions::default()
        })?;
        Ok(Self {
            program,
            kernel,
            observer: Observer::new(settings, service_addresses),
            parsed,
            assembler: Assembler::default(),
            whole: 0,
            refused: 0,
        })
    }

    /// Shows a frame to both.
    fn compare(&mut self, frame: &[u8]) -> Result<()> {
        let Ok(run) = self.kernel.run(self.program, frame) else {
            self.refused += 1;
            return Ok(());
        };
        let mut records = Vec::new();
        let mut parsed = Vec::new();
        let mut octets = Vec::new();
        let (slice, hook) = (Slice::new(frame), hook_of(self.program));
        let (assembler, whole) = (&mut self.assembler, &mut self.whole);
        self.observer
            .observe(slice, Link::Ethernet, hook, 0, |record| {
                records.push(Seen::from(record));
                if !record.is_whole() {
                    parsed.push(Seen::from(record));
                } else if let Some(message) = assembler.take(record) {
                    *whole += 1;
                    parsed.push(Seen::from(&message.record));
                    octets.extend(message.octets);
                }
            });
        ensure!(
            run.records == records,
            "{} and user space differ on {}\nkernel: {:#?}\nuser space: {records:#?}",
            self.program.name(),
            hex(frame),
            run.records,
        );
        self.compare_parsed(frame, &parsed)?;
        // Of two equal runs of octets in a frame one is as good as the other.
        let held = octets.is_empty() || frame.windows(octets.len()).any(|part| part == octets);
        ensure!(held, "not what is in {}: {}", hex(frame), hex(&octets));
        ensure!(self.assembler.broken() == 0, "{}", hex(frame));
        Ok(())
    }

    /// What is handed on raw must, put together, be what is handed on parsed.
    fn compare_parsed(&mut self, frame: &[u8], assembled: &[Seen]) -> Result<()> {
        let (slice, hook) = (Slice::new(frame), hook_of(self.program));
        let mut parsed = Vec::new();
        self.parsed
            .observe(slice, Link::Ethernet, hook, 0, |record| {
                parsed.push(Seen::from(record));
            });
        ensure!(
            assembled == parsed,
            "differ on {}\nassembled: {assembled:#?}\nparsed: {parsed:#?}",
            hex(frame),
        );
        Ok(())
    }

    fn counters(&self) -> Result<(Box<Counters>, &Counters)> {
        let hook = hook_of(self.program);
        Ok((self.kernel.counters(hook)?, self.observer.counters(hook)))
    }

    fn compare_counters(&self) -> Result<()> {
        let (kernel, observer) = self.counters()?;
        ensure!(
            *kernel == *observer,
            "{}: the kernel has more than user space, modulo 2^64: {:#?}",
            self.program.name(),
            described(&difference(&kernel, observer)),
        );
        ensure!(Conservation::of(&kernel).holds());
        Ok(())
    }

    /// However messages are handed on, they count the same.
    fn compare_kept(&self) -> Result<()> {
        let hook = hook_of(self.program);
        let (parsed, kernel) = (self.parsed.counters(hook), self.kernel.counters(hook)?);
        ensure!(
            *parsed == *kernel,
            "what is handed on raw counts otherwise: {:#?}",
            described(&difference(parsed, &kernel)),
        );
        Ok(())
    }

    /// Runs `packets` mutants.
    fn run(&mut self, seed: u64, packets: u64) -> Result<()> {
        let corpus = corpus();
        let mut random = Random::new(seed);
        for frame in &corpus {
            self.compare(frame)?;
        }
        for number in 1..=packets {
            self.compare(&mutant(&mut random, &corpus))?;
            if number % BATCH == 0 {
                self.compare_counters()?;
                self.compare_kept()?;
            }
        }
        self.compare_counters()
    }
}

fn prefixes(served: &[&str]) -> Result<Vec<IpPrefix>> {
    let parsed = served.iter().map(|prefix| Ok(prefix.parse()?));
    parsed.collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let written = write!(text, "{byte:02x}");
        debug_assert!(written.is_ok());
        text
    })
}

#[test]
fn xdp_and_user_space_agree_on_mutants() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let mut pair = Pair::load(Program::XdpIngress, &[], Raw::SegmentsOnly)?;
    pair.run(1, 200_000)?;
    ensure!(pair.refused < 20_000, "{} refused", pair.refused);
    reaches_everything(&pair.counters()?.0)
}

#[test]
fn tc_egress_and_user_space_agree_on_mutants() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let mut pair = Pair::load(Program::TcEgress, &[], Raw::SegmentsOnly)?;
    pair.run(2, 50_000)?;
    ensure!(pair.refused < 5000, "{} refused", pair.refused);
    reaches_everything(&pair.counters()?.0)
}

/// The builders' servers are in these prefixes, unless damaged.
#[test]
fn tc_ingress_and_user_space_agree_on_who_is_served() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    let served = ["198.51.100.32/27", "2001:db8:53::/48"];
    let mut pair = Pair::load(Program::TcIngress, &served, Raw::SegmentsOnly)?;
    pair.run(3, 50_000)?;
    let (counters, _) = pair.counters()?;
    for role in Role::ALL {
        let queries = counters.messages_of(*role, Qr::Query);
        ensure!(queries > 100, "{queries} queries of a {}", role.label());
    }
    Ok(())
}

#[test]
fn kernel_and_user_space_agree_on_whole_messages() -> Result<()> {
    if !privileged() {
        return Ok(());
    }
    for (program, seed) in [(Program::XdpIngress, 4), (Program::TcEgress, 5)] {
        let mut pair = Pair::load(program, &[], Raw::WholeMessages)?;
        pair.run(seed, 60_000)?;
        ensure!(pair.whole > 3000, "{} whole messages", pair.whole);
    }
    Ok(())
}

/// Mutants that all end in the same few places would prove nothing.
fn reaches_everything(counters: &Counters) -> Result<()> {
    for outcome in Outcome::ALL {
        let packets = counters.outcomes(*outcome);
        ensure!(packets > 100, "{packets} packets are {}", outcome.label());
    }
    for reason in Reject::ALL {
        let packets = counters.rejected_packets(*reason);
        // A frame that is whole has everything that its headers promise.
        let possible = *reason != Reject::Snapped;
        ensure!(
            (packets > 0) == possible,
            "{packets} packets are {}",
            reason.label()
        );
    }
    Ok(())
}
