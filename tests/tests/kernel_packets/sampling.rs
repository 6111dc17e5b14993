//! What the daemon's wishes do: how many records a program puts in at a floor, and
//! which belong together.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result, ensure};
use dns_wire::{
    Settings,
    counters::{Delivery, Hook},
    record::MAX_LEVEL,
};
use integration_tests::{
    bench::pin,
    packet::{self, Ipv4, Tcp, Udp, frame, name, prefixed},
    privileged,
};
use xdsc::source::live::{
    probe::{LoadOptions, Probe},
    ring::Ring,
    test_run::Program,
};

/// CPU that the packets come by.
const CPU: u64 = 0;
/// None of few transactions is paired, but for one in so many.
const RARELY_PAIRED: u8 = 10;

/// A loaded program and the ring that it fills.
struct Sampled {
    probe: Probe,
    ring: Ring,
    /// Records put in and sampled out before, and the variance.
    before: [u64; 3],
}

/// Records by source port.
type ByPort = BTreeMap<u16, u64>;

impl Sampled {
    fn load() -> Result<Self> {
        pin(CPU as usize).context("pinning")?;
        let probe = Probe::load(&LoadOptions {
            // A seed of its own, so that what is drawn is the same each time.
            settings: Settings::default().with_seed(1),
            ..LoadOptions::default()
        })?;
        let rings = Ring::all(&probe)?;
        let is_filled = |ring: &Ring| {
            let watch = ring.watch();
            (watch.hook(), watch.cpu()) == (Hook::Ingress, CPU)
        };
        let ring = rings.into_iter().find(is_filled).context("its ring")?;
        Ok(Self {
            probe,
            ring,
            before: [0; 3],
        })
    }

    fn run(&self, frame: &[u8], times: u32) -> Result<()> {
        self.probe.test_run(Program::XdpIngress, frame, times)?;
        Ok(())
    }

    /// What was put in of so many messages since the last time, each of which must
    /// be accounted for.
    fn records(&mut self, messages: u64, floor: u8) -> Result<ByPort> {
        let mut records = ByPort::new();
        let mut levels = Vec::new();
        self.ring.look();
        self.ring.drain(0, |record| {
            levels.push(record.level());
            *records.entry(record.flow().source_port).or_default() += 1;
        })?;
        ensure!(levels.iter().all(|level| *level == floor), "{levels:?}");
        let counters = self.probe.counters(Hook::Ingress)?;
        let now = [
            counters.records(Delivery::Delivered),
            counters.records(Delivery::SampledOut),
            self.ring.watch().state(0).variance,
        ];
        let before = std::mem::replace(&mut self.before, now);
        let [put_in, left_out, variance] = std::array::from_fn(|of| now[of] - before[of]);
        ensure!(put_in == records.values().sum::<u64>());
        ensure!(put_in + left_out == messages);
        let weight = 1_u64 << floor;
        ensure!(variance == put_in * weight * (weight - 1), "{variance}");
        Ok(records)
    }
}

fn datagram(port: u16, id: u16) -> Vec<u8> {
    let query = packet::Dns {
        id,
        ..packet::Dns::query(&name("www.example.com"), 1)
    };
    frame(&Ipv4::default().carry(&Udp::between(port, 53).carry(&query.bytes())))
}

fn segment(port: u16) -> Vec<u8> {
    let query = packet::Dns::query(&name("www.example.com"), 1);
    let tcp = Tcp::between(port, 53).carry(&prefixed(&query.bytes()));
    frame(&Ipv4::default().carry(&tcp))
}

/// One in `2^floor` is in the ring, whether all are alike or none.
#[test]
fn a_floor_keeps_one_message_in_so_many() -> Result<()> {
    const MESSAGES: u32 = 8192;
    if !privileged() {
        return Ok(());
    }
    let mut sampled = Sampled::load()?;
    sampled.ring.set_share(RARELY_PAIRED);
    for floor in [0, 1, 3, MAX_LEVEL] {
        sampled.ring.set_floor(floor);
        for ports in [1, 2, 64] {
            for port in 0..ports {
                sampled.run(&datagram(1024 + port, port), MESSAGES / u32::from(ports))?;
            }
            let records = sampled.records(MESSAGES.into(), floor)?;
            let kept = records.values().sum::<u64>() as f64;
            let expected = f64::from(MESSAGES >> floor);
            let deviations = (kept - expected).abs() / expected.sqrt();
            ensure!(deviations < 4.0, "floor {floor}, {ports} ports: {kept}");
        }
    }
    Ok(())
}

/// A transaction that is paired, and a connection, are in the ring as a whole.
#[test]
fn what_belongs_together_is_kept_together() -> Result<()> {
    const TIMES: u32 = 10;
    const PORTS: u16 = 128;
    const FLOOR: u8 = 3;
    if !privileged() {
        return Ok(());
    }
    let mut sampled = Sampled::load()?;
    sampled.ring.set_floor(FLOOR);
    for (what, share_bits) in [("transactions", 0), ("connections", RARELY_PAIRED)] {
        sampled.ring.set_share(share_bits);
        for port in 1024..1024 + PORTS {
            let frame = match what {
                "transactions" => datagram(port, port),
                _ => segment(port),
            };
            sampled.run(&frame, TIMES)?;
        }
        let messages = u64::from(TIMES) * u64::from(PORTS);
        let records = sampled.records(messages, FLOOR)?;
        let whole = |records: &u64| *records == u64::from(TIMES);
        ensure!(records.values().all(whole), "{what}: {records:?}");
        let expected = f64::from(PORTS >> FLOOR);
        let deviations = (records.len() as f64 - expected).abs() / expected.sqrt();
        ensure!(deviations < 4.0, "{what}: {} are kept", records.len());
    }
    Ok(())
}
