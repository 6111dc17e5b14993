//! The classic format: a header of 24 bytes, then records of a 16-byte header
//! and a packet. See draft-ietf-opsawg-pcap.

use super::error::{Damage, Fault};
use super::fields::{ByteOrder, Fields};
use super::window::Window;
use super::{LinkType, Packet};

const HEADER: usize = 24;
const RECORD_HEADER: usize = 16;
/// What libpcap writes and reads at most (its `MAXIMUM_SNAPLEN`).
const MAX_PACKET: u32 = 256 << 10;

/// What the first four bytes tell.
#[derive(Clone, Copy)]
pub(super) struct Magic {
    order: ByteOrder,
    nanoseconds_per_tick: u64,
}

impl Magic {
    pub(super) fn of(start: &[u8]) -> Option<Self> {
        let (order, nanoseconds_per_tick) = match start.first_chunk()? {
            b"\xa1\xb2\xc3\xd4" => (ByteOrder::Big, 1000),
            b"\xd4\xc3\xb2\xa1" => (ByteOrder::Little, 1000),
            b"\xa1\xb2\x3c\x4d" => (ByteOrder::Big, 1),
            b"\x4d\x3c\xb2\xa1" => (ByteOrder::Little, 1),
            _ => return None,
        };
        Some(Self {
            order,
            nanoseconds_per_tick,
        })
    }
}

pub(super) struct Pcap {
    magic: Magic,
    link: LinkType,
}

impl Pcap {
    pub(super) fn open(magic: Magic, window: &mut Window) -> Result<Self, Fault> {
        let header = window.take(HEADER)?;
        let header = Header::parse(magic, header).map_err(|damage| damage.at(0))?;
        match (header.major, header.minor) {
            (2, 4) => Ok(Self {
                magic,
                link: header.link,
            }),
            (major, minor) => Err(Fault::Version {
                format: "pcap",
                major,
                minor,
                supported: "2.4",
            }),
        }
    }

    pub(super) fn next_packet<'w>(
        &self,
        window: &'w mut Window,
    ) -> Result<Option<Packet<'w>>, Fault> {
        if window.at_end()? {
            return Ok(None);
        }
        let offset = window.offset();
        let header = window.peek(RECORD_HEADER)?;
        let record = Record::parse(self.magic, header).map_err(|damage| damage.at(offset))?;
        let whole = window.take(RECORD_HEADER + record.captured)?;
        Ok(Some(Packet {
            time_ns: record.time_ns,
            link: self.link,
            wire_len: record.wire_len,
            bytes: &whole[RECORD_HEADER..],
        }))
    }
}

struct Header {
    major: u16,
    minor: u16,
    link: LinkType,
}

impl Header {
    fn parse(magic: Magic, bytes: &[u8]) -> Result<Self, Damage> {
        let mut fields = Fields::new(magic.order, bytes);
        let _magic = fields.u32()?;
        let major = fields.u16()?;
        let minor = fields.u16()?;
        let _time_zone = fields.u32()?;
        let _accuracy = fields.u32()?;
        let _snaplen = fields.u32()?;
        // The upper half tells the length of a frame check sequence, if any.
        let link = LinkType((fields.u32()? & 0xffff) as u16);
        Ok(Self { major, minor, link })
    }
}

struct Record {
    time_ns: u64,
    captured: usize,
    wire_len: u32,
}

impl Record {
    fn parse(magic: Magic, bytes: &[u8]) -> Result<Self, Damage> {
        let mut fields = Fields::new(magic.order, bytes);
        let seconds = u64::from(fields.u32()?);
        let ticks = u64::from(fields.u32()?);
        let length = fields.u32()?;
        let wire_len = fields.u32()?;
        if length > MAX_PACKET {
            return Err(Damage::PacketLength {
                length,
                limit: MAX_PACKET,
            });
        }
        Ok(Self {
            // Below 2^63, as both factors of seconds and ticks are of 32 bits at most.
            time_ns: seconds * 1_000_000_000 + ticks * magic.nanoseconds_per_tick,
            captured: length as usize,
            wire_len,
        })
    }
}
