//! A writer of captures, for every variant that exists in the wild.

use std::io::Write;

use super::super::Compression;
use super::Sample;

#[derive(Clone, Copy, Debug)]
pub(super) enum Order {
    Big,
    Little,
}

impl Order {
    pub(super) fn u16(self, value: u16) -> [u8; 2] {
        match self {
            Self::Big => value.to_be_bytes(),
            Self::Little => value.to_le_bytes(),
        }
    }

    pub(super) fn u32(self, value: u32) -> [u8; 4] {
        match self {
            Self::Big => value.to_be_bytes(),
            Self::Little => value.to_le_bytes(),
        }
    }

    pub(super) fn u64(self, value: u64) -> [u8; 8] {
        match self {
            Self::Big => value.to_be_bytes(),
            Self::Little => value.to_le_bytes(),
        }
    }
}

/// The unit of pcap's fractions of seconds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ticks {
    Microseconds,
    Nanoseconds,
}

pub(super) fn pcap_header(order: Order, ticks: Ticks, link_field: u32) -> Vec<u8> {
    let magic = match ticks {
        Ticks::Microseconds => 0xa1b2_c3d4,
        Ticks::Nanoseconds => 0xa1b2_3c4d,
    };
    let mut file = order.u32(magic).to_vec();
    file.extend(order.u16(2));
    file.extend(order.u16(4));
    for word in [0, 0, 262_144, link_field] {
        file.extend(order.u32(word));
    }
    file
}

pub(super) fn pcap_record(order: Order, ticks: Ticks, sample: &Sample) -> Vec<u8> {
    let (seconds, nanoseconds) = (
        sample.time_ns / 1_000_000_000,
        sample.time_ns % 1_000_000_000,
    );
    let fraction = match ticks {
        Ticks::Microseconds => nanoseconds / 1000,
        Ticks::Nanoseconds => nanoseconds,
    };
    let mut record = Vec::new();
    record.extend(order.u32(u32::try_from(seconds).expect("a time before 2106")));
    record.extend(order.u32(u32::try_from(fraction).expect("less than a second")));
    record.extend(order.u32(length_of(&sample.bytes)));
    record.extend(order.u32(sample.wire_len));
    record.extend(&sample.bytes);
    record
}

/// pcapng, block by block.
pub(super) struct Pcapng {
    order: Order,
    pub(super) bytes: Vec<u8>,
}

pub(super) const IF_TSRESOL: u16 = 9;
pub(super) const IF_TSOFFSET: u16 = 14;

impl Pcapng {
    /// Starts with a section header.
    pub(super) fn new(order: Order) -> Self {
        let mut file = Self {
            order,
            bytes: Vec::new(),
        };
        file.section(order);
        file
    }

    pub(super) fn section(&mut self, order: Order) {
        self.order = order;
        let mut body = order.u32(0x1a2b_3c4d).to_vec();
        body.extend(order.u16(1));
        body.extend(order.u16(0));
        body.extend(order.u64(u64::MAX)); // of unspecified length
        self.block(0x0a0d_0d0a, &body);
    }

    pub(super) fn interface(&mut self, link: u16, snaplen: u32, options: &[(u16, &[u8])]) {
        let mut body = self.order.u16(link).to_vec();
        body.extend([0, 0]);
        body.extend(self.order.u32(snaplen));
        for (code, value) in options {
            body.extend(self.order.u16(*code));
            body.extend(self.order.u16(u16::try_from(value.len()).expect("short")));
            body.extend(*value);
            pad(&mut body);
        }
        self.block(1, &body);
    }

    pub(super) fn enhanced(&mut self, interface: u32, ticks: u64, wire_len: u32, bytes: &[u8]) {
        let body = self.packet(&self.order.u32(interface), ticks, wire_len, bytes);
        self.block(6, &body);
    }

    pub(super) fn obsolete(&mut self, interface: u16, ticks: u64, wire_len: u32, bytes: &[u8]) {
        let drops = 0xffff; // unknown
        let start = [self.order.u16(interface), self.order.u16(drops)].concat();
        let body = self.packet(&start, ticks, wire_len, bytes);
        self.block(2, &body);
    }

    pub(super) fn simple(&mut self, wire_len: u32, bytes: &[u8]) {
        let mut body = self.order.u32(wire_len).to_vec();
        body.extend(bytes);
        pad(&mut body);
        self.block(3, &body);
    }

    pub(super) fn block(&mut self, kind: u32, body: &[u8]) {
        let length = self.order.u32(length_of(body) + 12);
        self.bytes.extend(self.order.u32(kind));
        self.bytes.extend(length);
        self.bytes.extend(body);
        self.bytes.extend(length);
    }

    fn packet(&self, start: &[u8], ticks: u64, wire_len: u32, bytes: &[u8]) -> Vec<u8> {
        let mut body = start.to_vec();
        body.extend(self.order.u32((ticks >> 32) as u32));
        body.extend(self.order.u32((ticks & 0xffff_ffff) as u32));
        body.extend(self.order.u32(length_of(bytes)));
        body.extend(self.order.u32(wire_len));
        body.extend(bytes);
        pad(&mut body);
        body
    }
}

pub(super) fn compress(compression: Option<Compression>, bytes: &[u8]) -> Vec<u8> {
    match compression {
        None => bytes.to_vec(),
        Some(Compression::Gzip) => {
            let mut encoder =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(bytes).expect("memory takes it");
            encoder.finish().expect("memory takes it")
        }
        Some(Compression::Xz) => {
            let mut encoder = liblzma::write::XzEncoder::new(Vec::new(), 0);
            encoder.write_all(bytes).expect("memory takes it");
            encoder.finish().expect("memory takes it")
        }
        Some(Compression::Zstd) => zstd::encode_all(bytes, 1).expect("memory takes it"),
    }
}

fn length_of(bytes: &[u8]) -> u32 {
    u32::try_from(bytes.len()).expect("short")
}

fn pad(body: &mut Vec<u8>) {
    body.resize(body.len().next_multiple_of(4), 0);
}
