//! QNAME cut into labels, once per message, for all that look at it.
//!
//! Names compare without case (RFC 4343), so it is made lower-case here. What
//! is cut is the name on the wire; where DSC's answers are wanted, it is DSC's
//! text of it, in which a dot within a label looks like one between two.

use crate::{names::text, stats::plan::Compat};

/// A name has at most 127 labels; DSC takes longer ones, and 255 octets of text
/// with nothing but dots.
const MAX_LABELS: usize = 512;
/// DSC's buffer for a name.
const MAX_OCTETS: usize = 512;

/// The labels of a name.
#[derive(Clone, Debug)]
pub struct Qname {
    octets: [u8; MAX_OCTETS],
    len: usize,
    starts: [u16; MAX_LABELS],
    labels: usize,
    text_len: usize,
}

impl Default for Qname {
    fn default() -> Self {
        Self {
            octets: [0; MAX_OCTETS],
            len: 0,
            starts: [0; MAX_LABELS],
            labels: 0,
            text_len: 0,
        }
    }
}

impl Qname {
    /// Cuts a name on the wire, root label included; empty without a question.
    #[inline]
    pub fn set(&mut self, wire: &[u8], compat: Compat) {
        match compat {
            Compat::None => self.set_wire(wire),
            Compat::Dsc => self.set_text(wire),
        }
    }

    #[inline]
    fn set_wire(&mut self, wire: &[u8]) {
        let wire = wire.get(..MAX_OCTETS).unwrap_or(wire);
        let mut at = 0;
        self.labels = 0;
        while let Some(len @ 1..) = wire.get(at) {
            if let Some(start) = self.starts.get_mut(self.labels) {
                *start = at as u16;
                self.labels += 1;
            }
            at += 1 + usize::from(*len);
        }
        self.len = wire.len();
        for (to, from) in self.octets.iter_mut().zip(wire) {
            // The octets of lengths are below those of letters.
            *to = from.to_ascii_lowercase();
        }
        self.text_len = match wire.len() {
            0 => 0,
            1 => 1,
            len => len - 2,
        };
    }

    fn set_text(&mut self, wire: &[u8]) {
        let text = dsc_text(wire);
        let text = text.get(..MAX_OCTETS - 1).unwrap_or(&text);
        self.len = text.len();
        self.text_len = text.len();
        for (to, from) in self.octets.iter_mut().zip(text) {
            *to = *from;
        }
        self.labels = 0;
        if text == b"." || text.is_empty() {
            return;
        }
        let after_dots = text.iter().enumerate().filter(|(_, octet)| **octet == b'.');
        for start in std::iter::once(0).chain(after_dots.map(|(dot, _)| dot + 1)) {
            if let Some(place) = self.starts.get_mut(self.labels) {
                *place = start as u16;
                self.labels += 1;
            }
        }
    }

    /// Labels, without that of the root.
    #[must_use]
    pub const fn labels(&self) -> usize {
        self.labels
    }

    /// Octets as text, without the final dot; 1 for the root, 0 for none.
    #[must_use]
    pub const fn text_len(&self) -> usize {
        self.text_len
    }

    /// The whole of it.
    #[must_use]
    pub fn whole(&self) -> &[u8] {
        self.octets.get(..self.len).unwrap_or(&[])
    }

    /// Offsets of the labels.
    #[must_use]
    pub fn starts(&self) -> &[u16] {
        self.starts.get(..self.labels).unwrap_or(&[])
    }

    /// The last `labels` labels; the whole name where it has no more. The root
    /// is all that the root has.
    #[must_use]
    pub fn last(&self, labels: usize) -> &[u8] {
        let skipped = self.labels.saturating_sub(labels);
        let start = self.starts().get(skipped).copied().unwrap_or(0);
        self.octets.get(usize::from(start)..self.len).unwrap_or(&[])
    }

    /// The n-th label from the left, without its length.
    #[must_use]
    pub fn label(&self, index: usize, compat: Compat) -> Option<&[u8]> {
        let start = usize::from(*self.starts().get(index)?);
        match compat {
            Compat::None => {
                let len = usize::from(*self.octets.get(start)?);
                self.octets.get(start + 1..start + 1 + len)
            }
            Compat::Dsc => {
                let end = self.starts().get(index + 1);
                let end = end.map_or(self.len, |next| usize::from(*next) - 1);
                self.octets.get(start..end)
            }
        }
    }
}

/// The name as DSC prints it; nothing without a question.
pub(super) fn dsc_text(wire: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    push_dsc_text(wire, &mut text);
    text
}

/// Appends the name as DSC prints it; nothing without a question.
pub(super) fn push_dsc_text(wire: &[u8], to: &mut Vec<u8>) {
    if !wire.is_empty() {
        text::push_dsc_text(wire, to);
    }
}
