//! Packets as nobody would send them: valid frames, damaged at random but
//! reproducibly.

use crate::packet::{
    Dns, Ethernet, Extension, Gre, Ipv4, Ipv6, Network, Payload, RootRecord, Tcp, Udp, ether, flag,
    frame, name, prefixed, proto,
};

/// A small generator of random numbers (SplitMix64): the same numbers from the
/// same seed, on every machine and in every release.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// From a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next number.
    pub const fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `bound`, which is not 0.
    pub const fn below(&mut self, bound: usize) -> usize {
        (self.number() % bound as u64) as usize
    }
}

/// A frame of every kind that the parser tells apart.
#[must_use]
pub fn corpus() -> Vec<Vec<u8>> {
    payloads().iter().flat_map(wrapped).collect()
}

/// DNS messages of every kind, queries first.
#[must_use]
pub fn messages() -> Vec<Vec<u8>> {
    let www = name("www.example.com");
    let cookie = RootRecord {
        options: vec![0, 10, 0, 8, 1, 2, 3, 4, 5, 6, 7, 8],
        ..RootRecord::dnssec_ok()
    };
    let longest = name(
        &[
            "x".repeat(63),
            "y".repeat(63),
            "z".repeat(63),
            "w".repeat(61),
        ]
        .join("."),
    );
    let messages = [
        Dns::query(&www, 1),
        Dns::query(&www, 28).additional(&RootRecord::dnssec_ok()),
        Dns::query(&name("."), 2).additional(&cookie),
        Dns::query(&longest, 65),
        Dns::query(&longest, 16).additional(&cookie),
        Dns::query(&www, 1).question(&www, 28),
        Dns::header(Dns::QUERY).additional(&cookie),
        Dns::response(&www, 1).answer(),
        Dns::response(&www, 1).answer().additional(&cookie),
        Dns::response(&www, 15).additional(&RootRecord {
            extended_rcode: 1,
            ..RootRecord::default()
        }),
        Dns::response(&www, 255).flags(0x8703),
        Dns::header(0x8105),
        // An OPT record behind another, in more octets than a record takes.
        Dns::response(&www, 16)
            .answer()
            .additional(&cookie)
            .trailing(&[0x35; 2000]),
    ];
    messages.iter().map(Dns::bytes).collect()
}

fn payloads() -> Vec<Payload> {
    let mut payloads = vec![
        Payload::new(proto::ICMP, &[8, 0, 0, 0, 0, 1, 0, 1]),
        Payload::new(proto::ICMPV6, &[128, 0, 0, 0, 0, 1, 0, 1]),
        Udp::between(40_000, 853).carry(&[0; 40]),
        Tcp::between(443, 40_000).carry(&[0; 40]),
        Udp::between(53, 53).carry(&Dns::query(&name("example"), 6).bytes()),
        Tcp::flagged(flag::SYN).carry(&[]),
        Tcp::default().carry(&[0; 1]),
        Tcp::default().carry(&[0x35; 3000]),
    ];
    for message in messages() {
        payloads.push(Udp::query().carry(&message));
        payloads.push(Udp::response().carry(&message));
        payloads.push(Tcp::default().carry(&prefixed(&message)));
        payloads.push(Tcp::between(53, 40_000).carry(&prefixed(&message)[1..]));
    }
    payloads
}

/// A payload in a few ways down to the wire.
fn wrapped(payload: &Payload) -> Vec<Vec<u8>> {
    let plain4 = Ipv4::default().carry(payload);
    let plain6 = Ipv6::default().carry(payload);
    let options = Ipv4 {
        options: vec![1; 8],
        ..Ipv4::default()
    };
    let first4 = Ipv4 {
        more_fragments: true,
        ..Ipv4::default()
    };
    let extensions = [
        Extension::padded(proto::HOP_BY_HOP, 1),
        Extension::padded(proto::ROUTING, 3),
        Extension::fragment(0, true),
        Extension::authentication(12),
        Extension::padded(proto::DESTINATION, 2),
    ];
    let gre = Gre {
        checksum: true,
        key: Some(1),
        sequence: Some(2),
        other_bits: 0,
    };
    let tags = |tags: &[u16], network: &Network| {
        let tags = tags.to_vec();
        Ethernet { tags }.carry(network)
    };
    vec![
        frame(&plain4),
        frame(&plain6),
        tags(&[ether::VLAN], &plain6),
        tags(&[ether::QINQ, ether::VLAN], &plain4),
        tags(&[ether::QINQ, ether::VLAN, ether::VLAN], &plain4),
        frame(&options.carry(payload)),
        frame(&first4.carry(payload)),
        frame(&Ipv6::with(&extensions).carry(payload)),
        frame(&Ipv4::default().carry(&plain4.clone().in_ip())),
        frame(&Ipv4::default().carry(&plain6.in_ip())),
        frame(&Ipv6::default().carry(&gre.carry(&plain4))),
    ]
}

/// What every program takes in one buffer when it is run for a test: a page
/// less the room that the kernel keeps before and behind.
const LONGEST: usize = 3500;

/// A damaged frame: one of the corpus after one to four mutations.
pub fn mutant(random: &mut Random, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = corpus[random.below(corpus.len())].clone();
    for _ in 0..1 + random.below(4) {
        mutate(random, corpus, &mut bytes);
    }
    bytes.truncate(LONGEST);
    bytes
}

/// Damages in place. Bytes beyond the headers are rarely worth it, hence the
/// bias towards the start.
fn mutate(random: &mut Random, corpus: &[Vec<u8>], bytes: &mut Vec<u8>) {
    if bytes.is_empty() {
        return;
    }
    let reach = bytes
        .len()
        .min(if random.below(4) == 0 { 4096 } else { 120 });
    let at = random.below(reach);
    match random.below(8) {
        0 | 1 => bytes[at] ^= 1 << random.below(8),
        2 => bytes[at] = random.number() as u8,
        3 => {
            bytes[at] = *pick(
                random,
                &[0, 1, 6, 17, 41, 44, 47, 51, 53, 60, 63, 64, 0xc0, 0xff],
            )
        }
        // A length field, off by a few.
        4 => {
            let word = [bytes[at], bytes[(at + 1) % bytes.len()]];
            let moved = u16::from_be_bytes(word).wrapping_add(random.below(9) as u16);
            let [high, low] = moved.wrapping_sub(4).to_be_bytes();
            let next = (at + 1) % bytes.len();
            bytes[at] = high;
            bytes[next] = low;
        }
        5 => bytes.truncate(at.max(14)),
        6 => splice(random, corpus, bytes, at),
        _ => {
            let len = random.below(16);
            bytes.extend((0..len).map(|_| random.number() as u8));
        }
    }
}

/// Goes on with another frame from `at` on.
fn splice(random: &mut Random, corpus: &[Vec<u8>], bytes: &mut Vec<u8>, at: usize) {
    let other = pick(random, corpus);
    let from = random.below(other.len());
    bytes.truncate(at);
    bytes.extend(&other[from..]);
}

fn pick<'a, T>(random: &mut Random, from: &'a [T]) -> &'a T {
    &from[random.below(from.len())]
}
