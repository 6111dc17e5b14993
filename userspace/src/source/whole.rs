//! Puts messages together that were handed on raw, since there is more to them
//! than a record holds: EDNS options, an OPT record behind other records.
//!
//! A message of more octets than a record takes lies in several, one behind the
//! other in the same ring and published at once: between two of them stands no
//! other record. So one place to assemble in is enough. A part that does not go
//! on where the one before ended was damaged, and the message is counted as
//! broken.

#[cfg(test)]
mod tests;

use dns_wire::{
    Slice,
    locate::Transport,
    message::{self, Message},
    record::Record,
};

/// Most octets of a payload: its length field has 16 bits.
const MAX_OCTETS: usize = 65_535;
/// Octets of the length before a message over TCP.
const PREFIX: usize = 2;

/// The message under way.
#[derive(Debug, Default)]
pub struct Assembler {
    /// The record that began it; none between two messages.
    first: Option<Record<'static>>,
    octets: Vec<u8>,
    broken: u64,
}

/// A message put together.
#[derive(Clone, Copy, Debug)]
pub struct Whole<'a> {
    /// The record that it would have if it had been handed on parsed: its
    /// payload is the question's name.
    pub record: Record<'a>,
    /// The message; the offset of its name is one into `octets`.
    pub message: Message,
    /// Its octets, header first, without the length prefix of TCP.
    pub octets: &'a [u8],
}

impl Assembler {
    /// Takes in a record of a whole message; the message when it is complete.
    pub fn take<'a>(&'a mut self, record: &Record<'a>) -> Option<Whole<'a>> {
        let (offset, total) = (record.raw_offset() as usize, record.raw_total() as usize);
        let part = record.payload();
        if offset == 0 {
            self.begin(record);
        }
        let first = self.first?;
        let fits = offset == self.octets.len()
            && offset + part.len() <= total.min(MAX_OCTETS)
            && total == first.raw_total() as usize
            && first.flow() == record.flow();
        if !fits {
            self.give_up();
            return None;
        }
        if part.len() == total {
            // Most are one record: no need to copy them.
            self.first = None;
            return self.whole(first, part);
        }
        self.octets.extend_from_slice(part);
        if self.octets.len() < total {
            return None;
        }
        self.first = None;
        let whole = read(&first, &self.octets);
        self.broken += u64::from(whole.is_none());
        whole
    }

    /// There are no more records of this ring at the moment: what is under way
    /// will not be complete.
    pub fn finish(&mut self) {
        if self.first.is_some() {
            self.give_up();
        }
    }

    /// Messages of which a part was missing, or that could not be read: 0 unless
    /// a ring was damaged.
    #[must_use]
    pub const fn broken(&self) -> u64 {
        self.broken
    }

    fn begin(&mut self, record: &Record<'_>) {
        self.finish();
        self.first = Some(record.head());
        self.octets.clear();
    }

    fn give_up(&mut self) {
        self.first = None;
        self.broken += 1;
    }

    fn whole<'a>(&mut self, first: Record<'static>, octets: &'a [u8]) -> Option<Whole<'a>> {
        let whole = read(&first, octets);
        self.broken += u64::from(whole.is_none());
        whole
    }
}

/// Reads the message as the kernel did.
fn read<'a>(first: &Record<'_>, octets: &'a [u8]) -> Option<Whole<'a>> {
    let octets = match first.flow().transport {
        Transport::Udp => octets,
        Transport::Tcp => octets.get(PREFIX..)?,
    };
    let message = message::parse(&Slice::new(octets), 0, octets.len()).ok()?;
    let question = &message.question;
    let name = octets.get(question.name_at..question.name_at + question.name_len)?;
    Some(Whole {
        record: first.of_message(&message, name),
        message,
        octets,
    })
}
