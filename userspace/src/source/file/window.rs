//! The piece of a capture that is in memory.
//!
//! One buffer for the whole run. Pieces are asked for by length and lie in it
//! contiguously; when one would cross the buffer's end, what there is of it
//! moves to the front. The buffer grows for a piece longer than itself, so the
//! formats check lengths against their limits before they ask.

use std::io;

use super::compression::Source;
use super::error::Fault;

/// Some thousand packets per system call, while it still fits the CPU's cache.
const CAPACITY: usize = 1 << 20;

pub(super) struct Window {
    source: Source,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    /// Where `start` is in the decompressed stream.
    offset: u64,
}

impl Window {
    pub(super) fn new(source: Source) -> Self {
        Self {
            source,
            buffer: vec![0; CAPACITY],
            start: 0,
            end: 0,
            offset: 0,
        }
    }

    /// Where the next piece starts.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn bytes_consumed(&self) -> u64 {
        self.source.consumed()
    }

    pub(super) fn at_end(&mut self) -> Result<bool, Fault> {
        self.fill(1)?;
        Ok(self.available() == 0)
    }

    /// The next bytes without moving past them; fewer at the end of the file.
    pub(super) fn peek_up_to(&mut self, length: usize) -> Result<&[u8], Fault> {
        self.fill(length)?;
        let length = length.min(self.available());
        Ok(&self.buffer[self.start..self.start + length])
    }

    /// The next bytes without moving past them.
    pub(super) fn peek(&mut self, length: usize) -> Result<&[u8], Fault> {
        self.need(length)?;
        Ok(&self.buffer[self.start..self.start + length])
    }

    /// The next bytes.
    pub(super) fn take(&mut self, length: usize) -> Result<&[u8], Fault> {
        self.need(length)?;
        let taken = self.start..self.start + length;
        self.start = taken.end;
        self.offset += length as u64;
        Ok(&self.buffer[taken])
    }

    fn need(&mut self, length: usize) -> Result<(), Fault> {
        self.fill(length)?;
        if self.available() < length {
            return Err(Fault::Truncated {
                offset: self.offset,
            });
        }
        Ok(())
    }

    fn available(&self) -> usize {
        self.end - self.start
    }

    #[inline]
    fn fill(&mut self, length: usize) -> Result<(), Fault> {
        if self.available() < length {
            self.read_until(length)?;
        }
        Ok(())
    }

    #[cold]
    fn read_until(&mut self, length: usize) -> Result<(), Fault> {
        self.make_room(length);
        while self.available() < length {
            match self.source.read(&mut self.buffer[self.end..]) {
                Ok(0) => break,
                Ok(read) => self.end += read,
                Err(cause) => return Err(self.fault(cause)),
            }
        }
        Ok(())
    }

    fn make_room(&mut self, length: usize) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() < length {
            self.buffer.resize(length, 0);
        }
    }

    fn fault(&self, cause: io::Error) -> Fault {
        let end = self.offset + self.available() as u64;
        self.source.fault(cause, self.offset, end)
    }
}
