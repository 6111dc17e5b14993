//! The OPT record of a whole message, wherever it stands, and its options
//! (RFC 6891, section 6.1).
//!
//! [`message::parse`](crate::message::parse) runs in the kernel and reads an OPT
//! record only where nothing stands before it. This module walks all sections,
//! for messages that are wholly in memory, and reads the options that are
//! counted. Names are skipped and never followed, so that each octet is seen
//! once.

use crate::{
    iana::{EdnsOption, Qtype},
    message::{HEADER_LEN, MAX_NAME, Opt},
};

/// An OPT record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FoundOpt<'a> {
    /// Its fixed part.
    pub opt: Opt,
    /// Its RDATA, for [`Options::new`].
    pub options: &'a [u8],
}

/// Why the OPT record of a message cannot be reached or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OptError {
    /// Fewer octets than a header has.
    Header,
    /// A question runs past the message's end, or its name is none.
    Question,
    /// A record runs past the message's end, or its owner is no name.
    Record,
    /// The options run past the message's end; the fixed part is here.
    Options(Opt),
}

/// The first OPT record in the additional section of a message, from its header
/// on; `None` where there is none. An OPT record has the root as its owner.
///
/// # Errors
/// What is broken in front of it, or in it.
pub fn find(message: &[u8]) -> Result<Option<FoundOpt<'_>>, OptError> {
    let mut cursor = Cursor(message);
    let header: [u8; HEADER_LEN] = cursor.take().ok_or(OptError::Header)?;
    let [_, _, _, _, q0, q1, a0, a1, n0, n1, r0, r1] = header;
    for _ in 0..u16::from_be_bytes([q0, q1]) {
        cursor.skip_question().ok_or(OptError::Question)?;
    }
    let before = u32::from(u16::from_be_bytes([a0, a1])) + u32::from(u16::from_be_bytes([n0, n1]));
    for _ in 0..before {
        cursor.record()?;
    }
    for _ in 0..u16::from_be_bytes([r0, r1]) {
        if let Some(found) = cursor.record()? {
            return Ok(Some(found));
        }
    }
    Ok(None)
}

/// The options of an OPT record, in their order. It ends at the first one that
/// runs past the RDATA, and [`is_broken`](Self::is_broken) then tells.
#[derive(Clone, Debug)]
pub struct Options<'a> {
    rest: Cursor<'a>,
    broken: bool,
}

impl<'a> Options<'a> {
    /// Of this RDATA.
    #[must_use]
    pub const fn new(options: &'a [u8]) -> Self {
        Self {
            rest: Cursor(options),
            broken: false,
        }
    }

    /// Whether it ended at an option that runs past the RDATA.
    #[must_use]
    pub const fn is_broken(&self) -> bool {
        self.broken
    }
}

impl<'a> Iterator for Options<'a> {
    type Item = (EdnsOption, &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.0.is_empty() {
            return None;
        }
        let option = self.rest.option();
        if option.is_none() {
            self.rest = Cursor(&[]);
            self.broken = true;
        }
        option
    }
}

impl core::iter::FusedIterator for Options<'_> {}

/// The options that are counted by their content, read in one pass: the first
/// one of each that is valid.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KnownOptions<'a> {
    /// Name server identifier (RFC 5001): empty in queries, any octets else.
    pub nsid: Option<&'a [u8]>,
    /// Client subnet.
    pub ecs: Option<Ecs<'a>>,
    /// Cookie.
    pub cookie: Option<Cookie<'a>>,
    /// Extended DNS error.
    pub ede: Option<Ede<'a>>,
}

impl<'a> KnownOptions<'a> {
    /// Reads the options of an OPT record.
    #[must_use]
    pub fn read(options: &'a [u8]) -> Self {
        let mut known = Self::default();
        for (code, octets) in Options::new(options) {
            match code {
                EdnsOption::NSID => known.nsid = known.nsid.or(Some(octets)),
                EdnsOption::ECS => known.ecs = known.ecs.or_else(|| Ecs::parse(octets)),
                EdnsOption::COOKIE => known.cookie = known.cookie.or_else(|| Cookie::parse(octets)),
                EdnsOption::EDE => known.ede = known.ede.or_else(|| Ede::parse(octets)),
                _ => {}
            }
        }
        known
    }
}

/// A DNS cookie (RFC 7873, section 4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cookie<'a> {
    /// The client's 8 octets.
    pub client: &'a [u8],
    /// The server's 8 to 32 octets; empty where the client knows none yet.
    pub server: &'a [u8],
}

impl<'a> Cookie<'a> {
    /// Reads an option's octets; `None` where they are no cookie.
    #[must_use]
    pub fn parse(octets: &'a [u8]) -> Option<Self> {
        // RFC 7873, section 5.2.2: other lengths are malformed.
        matches!(octets.len(), 8 | 16..=40).then_some(())?;
        let (client, server) = octets.split_at_checked(8)?;
        Some(Self { client, server })
    }
}

/// A client subnet (RFC 7871, section 6), as it stands: nothing says that the
/// prefixes fit the family, or the address the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ecs<'a> {
    /// Address family (IANA's numbers): 1 is IPv4, 2 is IPv6.
    pub family: u16,
    /// Leading bits of the address that the client gives.
    pub source_prefix: u8,
    /// Leading bits that the answer holds for; 0 in queries.
    pub scope_prefix: u8,
    /// The address, without its last octets where these are beyond the prefix.
    pub address: &'a [u8],
}

impl<'a> Ecs<'a> {
    /// Reads an option's octets; `None` where they are too few.
    #[must_use]
    pub fn parse(octets: &'a [u8]) -> Option<Self> {
        let ([a, b, source_prefix, scope_prefix], address) = octets.split_first_chunk()?;
        Some(Self {
            family: u16::from_be_bytes([*a, *b]),
            source_prefix: *source_prefix,
            scope_prefix: *scope_prefix,
            address,
        })
    }
}

/// An extended DNS error (RFC 8914, section 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ede<'a> {
    /// INFO-CODE, to be named by [`ExtendedError`](crate::iana::ExtendedError).
    pub code: u16,
    /// EXTRA-TEXT: meant to be UTF-8, but any octets can stand here.
    pub text: &'a [u8],
}

impl<'a> Ede<'a> {
    /// Reads an option's octets; `None` where they are too few.
    #[must_use]
    pub fn parse(octets: &'a [u8]) -> Option<Self> {
        let (code, text) = octets.split_first_chunk()?;
        Some(Self {
            code: u16::from_be_bytes(*code),
            text,
        })
    }
}

/// What is left to be read; it goes forward only.
#[derive(Clone, Debug)]
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    fn slice(&mut self, len: u16) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::from(len))?;
        self.0 = rest;
        Some(taken)
    }

    /// Skips a name, and tells whether it is the root, spelled out.
    fn skip_name(&mut self) -> Option<bool> {
        let before = self.0.len();
        loop {
            let [label] = self.take()?;
            match label {
                0 => break,
                1..=63 => self.slice(u16::from(label)).map(|_| ())?,
                // RFC 1035, section 4.1.4: a pointer has two octets and ends
                // the name.
                0xc0.. => return self.take::<1>().map(|_| false),
                // RFC 6891, section 5: label types 01 and 10 are obsolete.
                64..=0xbf => return None,
            }
        }
        let len = before - self.0.len();
        (len <= MAX_NAME).then_some(len == 1)
    }

    fn skip_question(&mut self) -> Option<()> {
        self.skip_name()?;
        self.take::<4>().map(|_| ())
    }

    /// Skips a record, and gives it where it is an OPT record.
    fn record(&mut self) -> Result<Option<FoundOpt<'a>>, OptError> {
        let root = self.skip_name().ok_or(OptError::Record)?;
        let [t0, t1] = self.take().ok_or(OptError::Record)?;
        // RFC 6891, section 6.1.2: CLASS, TTL and RDLEN in this order.
        let fixed: [u8; 8] = self.take().ok_or(OptError::Record)?;
        let opt = Opt {
            word: u64::from_ne_bytes(fixed),
        };
        let is_opt = root && u16::from_be_bytes([t0, t1]) == Qtype::OPT.0;
        let overrun = if is_opt {
            OptError::Options(opt)
        } else {
            OptError::Record
        };
        let options = self.slice(opt.options_len()).ok_or(overrun)?;
        Ok(is_opt.then_some(FoundOpt { opt, options }))
    }

    fn option(&mut self) -> Option<(EdnsOption, &'a [u8])> {
        let [c0, c1, l0, l1] = self.take()?;
        let octets = self.slice(u16::from_be_bytes([l0, l1]))?;
        Some((EdnsOption(u16::from_be_bytes([c0, c1])), octets))
    }
}
