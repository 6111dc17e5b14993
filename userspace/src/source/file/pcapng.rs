//! The block format: sections of blocks, each section with its own byte order
//! and interfaces. See draft-ietf-opsawg-pcapng.
//!
//! We read what it takes to know a packet's time and link type, and skip all
//! other blocks (names, statistics, secrets, vendors' own) by their length.

use super::clock::Clock;
use super::error::{Damage, Fault};
use super::fields::{ByteOrder, Fields};
use super::window::Window;
use super::{LinkType, Packet};

/// A Section Header Block's type: the same in both byte orders.
pub(super) const MAGIC: [u8; 4] = *b"\x0a\x0d\x0d\x0a";

const INTERFACE_DESCRIPTION: u32 = 1;
const OBSOLETE_PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const ENHANCED_PACKET: u32 = 6;

const OPT_ENDOFOPT: u16 = 0;
const IF_TSRESOL: u16 = 9;
const IF_TSOFFSET: u16 = 14;

/// Type and length; and what follows them in a section's header: byte-order
/// magic and version.
const BLOCK_HEADER: usize = 8;
const SECTION_START: usize = 16;
/// The block's length a second time, at its end.
const BLOCK_TRAILER: usize = 4;
const MIN_BLOCK: u32 = 12;
/// Also libpcap's limit. 64 times the longest packet leaves room for options.
const MAX_BLOCK: u32 = 16 << 20;
/// So many that only a made-up file exceeds it, so few that it costs nothing.
const MAX_INTERFACES: usize = 1 << 16;

/// The section being read: what its header and interface blocks have said so far.
pub(super) struct Section {
    order: ByteOrder,
    interfaces: Vec<Interface>,
}

struct Interface {
    link: LinkType,
    snaplen: u32,
    clock: Clock,
}

/// A block's place, and its type and length, which is at least `MIN_BLOCK`.
#[derive(Clone, Copy)]
struct BlockHead {
    offset: u64,
    kind: u32,
    length: u32,
}

impl Section {
    /// Looks at the section header that comes next, and leaves it there.
    pub(super) fn open(window: &mut Window) -> Result<Self, Fault> {
        let offset = window.offset();
        let start = &window.peek(SECTION_START)?[BLOCK_HEADER..];
        let order = byte_order(start).map_err(|damage| damage.at(offset))?;
        let version = version(order, start).map_err(|damage| damage.at(offset))?;
        match version {
            // "Readers of pcapng files MUST treat a Minor Version of 2 as
            // equivalent to a Minor Version of 0."
            (1, 0 | 2) => Ok(Self {
                order,
                interfaces: Vec::new(),
            }),
            (major, minor) => Err(Fault::Version {
                format: "pcapng",
                major,
                minor,
                supported: "1.0",
            }),
        }
    }

    pub(super) fn next_packet<'w>(
        &mut self,
        window: &'w mut Window,
    ) -> Result<Option<Packet<'w>>, Fault> {
        while !window.at_end()? {
            let head = self.next_block(window)?;
            if head.is_packet() {
                return self.packet(head, window).map(Some);
            }
            self.learn(head, window)?;
        }
        Ok(None)
    }

    /// Looks at the block that comes next; a section header starts over.
    fn next_block(&mut self, window: &mut Window) -> Result<BlockHead, Fault> {
        if window.peek(BLOCK_HEADER)?.starts_with(&MAGIC) {
            *self = Self::open(window)?;
        }
        let offset = window.offset();
        let bytes = window.peek(BLOCK_HEADER)?;
        BlockHead::parse(offset, self.order, bytes).map_err(|damage| damage.at(offset))
    }

    fn packet<'w>(&self, head: BlockHead, window: &'w mut Window) -> Result<Packet<'w>, Fault> {
        let body = self.body(head, window)?;
        match head.kind {
            SIMPLE_PACKET => self.simple_packet(body),
            OBSOLETE_PACKET => self.obsolete_packet(body),
            _ => self.enhanced_packet(body),
        }
        .map_err(|damage| damage.at(head.offset))
    }

    /// Moves past a block that is no packet.
    fn learn(&mut self, head: BlockHead, window: &mut Window) -> Result<(), Fault> {
        let body = self.body(head, window)?;
        if head.kind == INTERFACE_DESCRIPTION {
            self.describe_interface(body)
                .map_err(|damage| damage.at(head.offset))?;
        }
        Ok(())
    }

    /// Moves past a block and gives what is between its type and lengths.
    fn body<'w>(&self, head: BlockHead, window: &'w mut Window) -> Result<Fields<'w>, Fault> {
        let block = window.take(head.length as usize)?;
        head.strip(self.order, block)
            .map_err(|damage| damage.at(head.offset))
    }

    fn describe_interface(&mut self, body: Fields<'_>) -> Result<(), Damage> {
        if self.interfaces.len() == MAX_INTERFACES {
            return Err(Damage::TooManyInterfaces {
                limit: MAX_INTERFACES,
            });
        }
        self.interfaces.push(Interface::parse(self.order, body)?);
        Ok(())
    }

    fn enhanced_packet<'b>(&self, mut body: Fields<'b>) -> Result<Packet<'b>, Damage> {
        let interface = body.u32()?;
        self.timed_packet(interface, body)
    }

    /// The enhanced one's forerunner, which differs in its first fields only.
    fn obsolete_packet<'b>(&self, mut body: Fields<'b>) -> Result<Packet<'b>, Damage> {
        let interface = body.u16()?;
        let _drops = body.u16()?;
        self.timed_packet(interface.into(), body)
    }

    fn timed_packet<'b>(&self, interface: u32, mut body: Fields<'b>) -> Result<Packet<'b>, Damage> {
        let interface = self.interface(interface)?;
        let upper = u64::from(body.u32()?);
        let lower = u64::from(body.u32()?);
        let captured = body.u32()?;
        let wire_len = body.u32()?;
        Ok(Packet {
            time_ns: interface.clock.nanoseconds(upper << 32 | lower),
            link: interface.link,
            wire_len,
            bytes: body.bytes(captured as usize)?,
        })
    }

    /// "The Simple Packet Block does not contain the Interface ID field.
    /// Therefore, it MUST be assumed that all the Simple Packet Blocks have been
    /// captured on the interface previously specified in the first Interface
    /// Description Block." It also leaves the captured length to be worked out.
    fn simple_packet<'b>(&self, mut body: Fields<'b>) -> Result<Packet<'b>, Damage> {
        let interface = self.interface(0)?;
        let wire_len = body.u32()?;
        let captured = match interface.snaplen {
            0 => wire_len,
            snaplen => wire_len.min(snaplen),
        };
        Ok(Packet {
            time_ns: 0,
            link: interface.link,
            wire_len,
            bytes: body.bytes(captured as usize)?,
        })
    }

    fn interface(&self, index: u32) -> Result<&Interface, Damage> {
        self.interfaces
            .get(index as usize)
            .ok_or(Damage::UnknownInterface {
                interface: index,
                known: self.interfaces.len(),
            })
    }
}

impl BlockHead {
    fn parse(offset: u64, order: ByteOrder, bytes: &[u8]) -> Result<Self, Damage> {
        let mut fields = Fields::new(order, bytes);
        let kind = fields.u32()?;
        let length = fields.u32()?;
        // "This value MUST be a multiple of 4."
        if !(MIN_BLOCK..=MAX_BLOCK).contains(&length) || !length.is_multiple_of(4) {
            return Err(Damage::BlockLength {
                length,
                limit: MAX_BLOCK,
            });
        }
        Ok(Self {
            offset,
            kind,
            length,
        })
    }

    /// A block without its type and lengths.
    fn strip<'b>(self, order: ByteOrder, block: &'b [u8]) -> Result<Fields<'b>, Damage> {
        let mut fields = Fields::new(order, block);
        let _head = fields.bytes(BLOCK_HEADER)?;
        let body = fields.bytes(self.length as usize - BLOCK_HEADER - BLOCK_TRAILER)?;
        let trailing = fields.u32()?;
        if trailing != self.length {
            return Err(Damage::BlockLengthsDiffer {
                leading: self.length,
                trailing,
            });
        }
        Ok(Fields::new(order, body))
    }

    fn is_packet(self) -> bool {
        matches!(self.kind, ENHANCED_PACKET | SIMPLE_PACKET | OBSOLETE_PACKET)
    }
}

impl Interface {
    fn parse(order: ByteOrder, mut body: Fields<'_>) -> Result<Self, Damage> {
        let link = LinkType(body.u16()?);
        let _reserved = body.u16()?;
        let snaplen = body.u32()?;
        let mut clock = Clock::default();
        while let Some((code, value)) = next_option(&mut body)? {
            set_clock(&mut clock, order, code, value)?;
        }
        Ok(Self {
            link,
            snaplen,
            clock,
        })
    }
}

fn set_clock(clock: &mut Clock, order: ByteOrder, code: u16, value: &[u8]) -> Result<(), Damage> {
    match (code, value) {
        (IF_TSRESOL, [resolution]) => clock.set_resolution(*resolution),
        (IF_TSOFFSET, [_, _, _, _, _, _, _, _]) => {
            clock.set_offset(Fields::new(order, value).i64()?);
        }
        (IF_TSRESOL | IF_TSOFFSET, _) => {
            let length = value.len();
            return Err(Damage::OptionLength { code, length });
        }
        (_, _) => {}
    }
    Ok(())
}

/// An option's code and value. Values are padded to 32 bits.
fn next_option<'b>(body: &mut Fields<'b>) -> Result<Option<(u16, &'b [u8])>, Damage> {
    if body.is_empty() {
        return Ok(None);
    }
    let code = body.u16()?;
    let length = usize::from(body.u16()?);
    if code == OPT_ENDOFOPT {
        return Ok(None);
    }
    let padded = body.bytes(length.next_multiple_of(4))?;
    Ok(Some((code, &padded[..length])))
}

/// The byte-order magic: 0x1a2b3c4d as the writing host stores it.
fn byte_order(section_start: &[u8]) -> Result<ByteOrder, Damage> {
    match section_start.first_chunk().ok_or(Damage::BlockTooShort)? {
        b"\x1a\x2b\x3c\x4d" => Ok(ByteOrder::Big),
        b"\x4d\x3c\x2b\x1a" => Ok(ByteOrder::Little),
        magic => Err(Damage::ByteOrder { magic: *magic }),
    }
}

fn version(order: ByteOrder, section_start: &[u8]) -> Result<(u16, u16), Damage> {
    let mut fields = Fields::new(order, section_start);
    let _byte_order = fields.u32()?;
    Ok((fields.u16()?, fields.u16()?))
}
