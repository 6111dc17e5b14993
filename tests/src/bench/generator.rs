//! The packet generator in the kernel: `bench_generate` of the probe's `bench`
//! variant, run on live frames.
//!
//! It sends copies of frames that are made here, one after the other, each time
//! under another DNS ID. What was sent is known to the packet, so its truth is
//! that of the [`Exchange`]s, so many times.

use std::{
    env, fs,
    path::Path,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result, ensure};
use aya::{
    Ebpf, EbpfLoader,
    maps::Array,
    programs::{TestRun as _, TestRunAttrs, TestRunOptions, Xdp, XdpMode},
};

use crate::traffic::Exchange;

/// Octets of the longest frame, and of the frame that the program is run on.
const LONGEST: usize = 256;
/// What Ethernet pads a frame to, as the program expects it.
const SHORTEST: usize = 64;
/// Frames that the kernel makes in one go.
const BATCH: u32 = 64;
/// `struct xdp_md`: data, `data_end`, `data_meta`, `ingress_ifindex`,
/// `rx_queue_index`, `egress_ifindex`.
const CONTEXT_WORDS: usize = 6;

/// A frame as the program wants it: its length, where the ID stands, its octets.
#[derive(Clone, Copy, Debug)]
pub struct Template(Words);

type Words = [u32; 2 + LONGEST / 4];

impl Template {
    /// The query of an exchange over UDP; none if it is too long.
    #[must_use]
    pub fn query(exchange: &Exchange) -> Option<Self> {
        Self::of(exchange.query_frame())
    }

    /// The response, to be sent on by the host with this MAC address.
    #[must_use]
    pub fn response(exchange: &Exchange, router: [u8; 6]) -> Option<Self> {
        Self::routed(exchange.response_frame(), router)
    }

    /// A frame to be sent on by the host with this MAC address.
    #[must_use]
    pub fn routed(mut frame: Vec<u8>, router: [u8; 6]) -> Option<Self> {
        frame.get_mut(..6)?.copy_from_slice(&router);
        Self::of(frame)
    }

    /// A frame of DNS over UDP, without extension headers or options; none if it is
    /// something else, or too long.
    #[must_use]
    pub fn of(mut frame: Vec<u8>) -> Option<Self> {
        let ipv4 = frame.get(12..14)? == [8, 0];
        let (udp_at, protocol) = if ipv4 {
            (34, *frame.get(23)?)
        } else {
            (54, *frame.get(20)?)
        };
        if protocol != 17 || frame.len() > LONGEST {
            return None;
        }
        if ipv4 {
            let sum = internet_checksum(frame.get(14..34)?);
            frame.get_mut(24..26)?.copy_from_slice(&sum.to_be_bytes());
        }
        let len = frame.len().max(SHORTEST) as u32;
        frame.resize(LONGEST, 0);
        let mut words = [len, udp_at + 8].into_iter().chain(
            frame
                .as_chunks::<4>()
                .0
                .iter()
                .map(|octets| u32::from_ne_bytes(*octets)),
        );
        Some(Self(std::array::from_fn(|_| words.next().unwrap_or(0))))
    }
}

/// RFC 1071, of octets whose own checksum is still 0.
fn internet_checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks_exact(2);
    let mut sum: u32 = words
        .map(|word| u32::from(u16::from_be_bytes([word[0], word[1]])))
        .sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

/// A generator with its templates.
pub struct Generator {
    ebpf: Ebpf,
    sent: AtomicU64,
}

impl Generator {
    /// Loads the program with its templates, a power of two of them.
    ///
    /// # Errors
    /// When it is not there, or the kernel does not take it.
    pub fn load(templates: &[Template]) -> Result<Self> {
        let count = templates.len() as u64;
        ensure!(count.is_power_of_two(), "{count} templates");
        let mut ebpf = load("TEMPLATE", templates.len() as u32, count)?;
        let map = ebpf.map_mut("TEMPLATE").context("map TEMPLATE")?;
        let mut array: Array<_, Words> = Array::try_from(map)?;
        for (place, template) in templates.iter().enumerate() {
            array.set(place as u32, template.0, 0)?;
        }
        program(&mut ebpf, "bench_generate")?.load()?;
        let sent = AtomicU64::new(0);
        Ok(Self { ebpf, sent })
    }

    /// Sends so many packets out of an interface of the calling thread's
    /// namespace. The interface itself must have XDP, and so must its peer.
    ///
    /// Several threads may send, if they are pinned to one CPU: what is made of a
    /// batch is not interrupted. The kernel takes some 25 ms to clear up after each
    /// call, for which the thread sleeps.
    ///
    /// # Errors
    /// When the kernel does not do it.
    pub fn send(&self, interface_index: u32, packets: u32) -> Result<()> {
        if packets == 0 {
            return Ok(());
        }
        let mut context = [0_u32; CONTEXT_WORDS];
        context[1] = LONGEST as u32;
        context[3] = interface_index;
        let context: Vec<u8> = context.iter().flat_map(|w| w.to_ne_bytes()).collect();
        let options = TestRunOptions {
            data_in: Some(&[0; LONGEST]),
            ctx_in: Some(&context),
            repeat: packets,
            attrs: TestRunAttrs::new().xdp_live_frames(BATCH),
            ..TestRunOptions::default()
        };
        let program = self.ebpf.program("bench_generate");
        let program: &Xdp = program.context("the generator is missing")?.try_into()?;
        program.test_run(options).context("the generator")?;
        self.sent.fetch_add(packets.into(), Ordering::Relaxed);
        Ok(())
    }

    /// Packets so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Compares with what the program itself has counted: packets that it made
    /// whole.
    ///
    /// # Errors
    /// When it has made fewer, which then were not sent.
    pub fn check(&self) -> Result<()> {
        let map = self.ebpf.map("MADE").context("map MADE")?;
        let made: u64 = Array::try_from(map)?.get(&0, 0)?;
        ensure!(
            made == self.sent(),
            "the generator has made {made} packets instead of {}",
            self.sent()
        );
        Ok(())
    }
}

/// An XDP program that passes everything on: for interfaces that need one.
pub struct Passing {
    ebpf: Ebpf,
}

impl Passing {
    /// Loads it.
    ///
    /// # Errors
    /// When the kernel does not take it.
    pub fn load() -> Result<Self> {
        let mut ebpf = load("TEMPLATE", 2, 2)?;
        program(&mut ebpf, "bench_empty")?.load()?;
        Ok(Self { ebpf })
    }

    /// Attaches it, in the driver, to an interface of the calling thread's
    /// namespace; it stays as long as this program is loaded.
    ///
    /// # Errors
    /// When the kernel does not do it.
    pub fn attach(&mut self, interface: &str) -> Result<()> {
        program(&mut self.ebpf, "bench_empty")?
            .attach(interface, XdpMode::Driver)
            .with_context(|| format!("no XDP at {interface}"))?;
        Ok(())
    }
}

fn load(map: &str, entries: u32, templates: u64) -> Result<Ebpf> {
    let folder = env::var_os("XDSC_PROBE_DIR").unwrap_or_else(|| "target/bpf".into());
    let path = Path::new(&folder).join("probe-bench.o");
    let object = fs::read(&path)
        .with_context(|| format!("cannot read {}; run `cargo xtask build`", path.display()))?;
    Ok(EbpfLoader::new()
        .override_global("GENERATOR", &[templates], true)
        .map_max_entries(map, entries)
        .load(&object)?)
}

fn program<'a>(ebpf: &'a mut Ebpf, name: &str) -> Result<&'a mut Xdp> {
    Ok(ebpf
        .program_mut(name)
        .with_context(|| format!("program {name} is missing"))?
        .try_into()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checksum_is_that_of_rfc_1071() {
        // Section 3: the words 0001, f203, f4f5, f6f7 add up to ddf2.
        let sum = internet_checksum(&[0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7]);
        assert_eq!(sum, !0xddf2);
    }
}
