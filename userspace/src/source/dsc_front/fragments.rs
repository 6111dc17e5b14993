//! IPv4 fragments as DSC puts them together: the first one opens the datagram,
//! the later ones join the newest that has their addresses, protocol and ID.
//!
//! DSC measures their age by the clock on the wall, so that none ends while a
//! capture is read; here, their number has a bound.

use std::collections::VecDeque;

use super::layers::{Datagram, Fragment};

/// Datagrams that wait for fragments.
#[derive(Default)]
pub(super) struct Fragments {
    /// The newest first.
    waiting: VecDeque<Waiting>,
    octets: usize,
}

struct Waiting {
    key: Key,
    /// By offset; among equal ones the last to come first.
    pieces: Vec<Piece>,
    octets: usize,
}

type Key = (u16, u8, u64, u64);

struct Piece {
    offset: usize,
    more: bool,
    bytes: Vec<u8>,
}

/// Datagrams that wait at most.
const MAX_DATAGRAMS: usize = 1024;
/// Octets that they hold at most, [`PIECE`] for each piece included.
const MAX_OCTETS: usize = 64 << 20;
/// Pieces of one datagram: the most that 64 KiB can be cut into.
const MAX_PIECES: usize = 8192;
/// Memory of a piece besides its octets.
const PIECE: usize = 64;

impl Fragments {
    /// Takes a fragment; gives the payload of the datagram that it completes.
    pub(super) fn add(&mut self, datagram: &Datagram<'_>, fragment: &Fragment) -> Option<Vec<u8>> {
        let key = (
            fragment.id,
            datagram.protocol,
            datagram.source[0],
            datagram.destination[0],
        );
        if fragment.offset == 0 {
            self.open(key);
        }
        let index = self.waiting.iter().position(|one| one.key == key)?;
        let waiting = self.waiting.get_mut(index)?;
        if waiting.pieces.len() == MAX_PIECES {
            return None;
        }
        self.octets += waiting.add(datagram.payload, fragment);
        let Some(len) = waiting.complete_len() else {
            self.evict();
            return None;
        };
        let complete = self.waiting.remove(index)?;
        self.octets -= complete.octets;
        Some(complete.join(len))
    }

    fn open(&mut self, key: Key) {
        self.waiting.push_front(Waiting {
            key,
            pieces: Vec::new(),
            octets: 0,
        });
        if self.waiting.len() > MAX_DATAGRAMS {
            self.drop_oldest();
        }
    }

    fn evict(&mut self) {
        while self.octets > MAX_OCTETS {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        let dropped = self.waiting.pop_back();
        self.octets -= dropped.map_or(0, |one| one.octets);
    }
}

impl Waiting {
    /// Takes a piece; returns the octets that it occupies.
    fn add(&mut self, payload: &[u8], fragment: &Fragment) -> usize {
        // DSC goes by the header, and reads beyond what was captured.
        let mut bytes = payload.to_vec();
        bytes.resize(fragment.len, 0);
        let place = self
            .pieces
            .partition_point(|piece| piece.offset < fragment.offset);
        let piece = Piece {
            offset: fragment.offset,
            more: fragment.more,
            bytes,
        };
        self.pieces.insert(place, piece);
        let occupied = fragment.len + PIECE;
        self.octets += occupied;
        occupied
    }

    /// The end of the first piece that is a last one, if there is no gap before.
    fn complete_len(&self) -> Option<usize> {
        let mut end = 0;
        for piece in &self.pieces {
            if piece.offset > end {
                return None;
            }
            end = piece.offset + piece.bytes.len();
            if !piece.more {
                return Some(end);
            }
        }
        None
    }

    /// Later pieces of the list overwrite earlier ones; those beyond the end are
    /// left out.
    fn join(self, len: usize) -> Vec<u8> {
        let mut whole = vec![0; len];
        for piece in &self.pieces {
            let end = piece.offset + piece.bytes.len();
            if let Some(place) = whole.get_mut(piece.offset..end) {
                place.copy_from_slice(&piece.bytes);
            }
        }
        whole
    }
}
