//! What is remarkable in a query: DSC's query_classification, by the current
//! registries and by whole labels; and as DSC itself does it.
//!
//! The first that matches wins, in DSC's order (DSC's dns_message.c, as
//! described in dsc.conf(5)).

use dns_wire::iana::{Qclass, Qtype};

use super::{
    observed::Observed,
    plan::{Compat, Rules},
    qname::Qname,
};

dns_wire::table! {
    /// The classes.
    pub enum Class {
        /// Nothing remarkable.
        Ok = "ok",
        /// Not a DNS message; never told of what reached the statistics.
        Malformed = "malformed",
        /// The source port is 0.
        SourcePortZero = "src-port-zero",
        /// QCLASS is none of IN, CH, HS, NONE, ANY.
        FunnyQclass = "funny-qclass",
        /// QTYPE is not assigned.
        FunnyQtype = "funny-qtype",
        /// An A query for what is an IPv4 address already.
        AForA = "a-for-a",
        /// An A query for the root.
        AForRoot = "a-for-root",
        /// A name in `localhost`.
        Localhost = "localhost",
        /// A name in `root-servers.net`.
        RootServersNet = "root-servers.net",
        /// The top-level domain is not delegated.
        NonAuthTld = "non-auth-tld",
        /// A PTR query for an address of private use (RFC 1918).
        Rfc1918Ptr = "rfc1918-ptr",
    }
}

/// What the name of a question adds to its class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Traits(u8);

impl Traits {
    const OF_ADDRESS: u8 = 1;
    const OF_ROOT: u8 = 1 << 1;
    const OF_LOCALHOST: u8 = 1 << 2;
    const OF_ROOT_SERVERS: u8 = 1 << 3;
    const OF_NO_TLD: u8 = 1 << 4;
    const OF_PRIVATE_ADDRESS: u8 = 1 << 5;

    /// Those of a name.
    pub(super) fn of(name: &Qname, rules: &Rules) -> Self {
        let labels = name.labels();
        let label = |from_right: usize| {
            let index = labels.checked_sub(from_right + 1)?;
            name.label(index, Compat::None)
        };
        let ends_with =
            |suffix: [&[u8]; 2]| label(0) == Some(suffix[1]) && label(1) == Some(suffix[0]);
        let on = |trait_: u8, holds: bool| if holds { trait_ } else { 0 };
        let is_address = labels == 4 && (0..4).all(|n| label(n).is_some_and(is_octet));
        let is_reverse = ends_with([b"in-addr", b"arpa"]);
        Self(
            on(Self::OF_ADDRESS, is_address)
                | on(Self::OF_ROOT, labels == 0)
                | on(Self::OF_LOCALHOST, label(0) == Some(b"localhost"))
                | on(Self::OF_ROOT_SERVERS, ends_with([b"root-servers", b"net"]))
                | on(
                    Self::OF_NO_TLD,
                    label(0).is_some_and(|tld| !rules.known_tlds.contains(tld)),
                )
                | on(
                    Self::OF_PRIVATE_ADDRESS,
                    is_reverse && is_private(label(2), label(3)),
                ),
        )
    }

    /// All of them as a number.
    pub(super) const fn bits(self) -> u8 {
        self.0
    }

    const fn has(self, trait_: u8) -> bool {
        self.0 & trait_ != 0
    }
}

/// The class of a query for a name with these traits.
#[must_use]
pub(super) fn classify(observed: &Observed<'_>, name: Traits) -> Class {
    let question = &observed.message.question;
    let (qtype, qclass) = (Qtype(question.qtype()), Qclass(question.qclass()));
    if observed.flow.source_port == 0 {
        Class::SourcePortZero
    } else if !observed.message.has_question() {
        // Nothing is asked that could be classified.
        Class::Ok
    } else if qclass.mnemonic().is_none() {
        Class::FunnyQclass
    } else if !qtype.is_assigned() {
        Class::FunnyQtype
    } else if qtype.0 == 1 && name.has(Traits::OF_ADDRESS) {
        Class::AForA
    } else if qtype.0 == 1 && name.has(Traits::OF_ROOT) {
        Class::AForRoot
    } else if name.has(Traits::OF_LOCALHOST) {
        Class::Localhost
    } else if name.has(Traits::OF_ROOT_SERVERS) {
        Class::RootServersNet
    } else if qclass.0 == 1 && name.has(Traits::OF_NO_TLD) {
        // Names of other classes than IN, as `version.bind`, are in no zone of
        // the root.
        Class::NonAuthTld
    } else if qtype.0 == 12 && name.has(Traits::OF_PRIVATE_ADDRESS) {
        Class::Rfc1918Ptr
    } else {
        Class::Ok
    }
}

/// A number from 0 to 255 as it stands in an address.
fn is_octet(label: &[u8]) -> bool {
    let text = std::str::from_utf8(label).unwrap_or("");
    text.bytes().all(|octet| octet.is_ascii_digit()) && text.parse::<u8>().is_ok()
}

/// RFC 1918, section 3: 10/8, 172.16/12, 192.168/16.
fn is_private(first: Option<&[u8]>, second: Option<&[u8]>) -> bool {
    let number = |label: Option<&[u8]>| {
        let text = std::str::from_utf8(label?).ok()?;
        text.parse::<u8>().ok()
    };
    match (number(first), number(second)) {
        (Some(10), _) | (Some(192), Some(168)) => true,
        (Some(172), Some(second)) => (16..32).contains(&second),
        _ => false,
    }
}

/// The class as DSC tells it.
///
/// `name` is the name as DSC prints it. Suffixes match without a dot before
/// them, and types assigned since 2007 are funny.
#[must_use]
pub fn classify_as_dsc(observed: &Observed<'_>, name: &[u8], tld: &[u8], rules: &Rules) -> Class {
    let question = &observed.message.question;
    let (qtype, qclass) = (question.qtype(), question.qclass());
    if observed.flow.source_port == 0 {
        Class::SourcePortZero
    } else if !matches!(qclass, 1 | 3 | 4 | 254 | 255) {
        Class::FunnyQclass
    } else if !matches!(qtype, 1..=35 | 38 | 41 | 251..=255) {
        Class::FunnyQtype
    } else if qtype == 1 && inet_aton(name) {
        Class::AForA
    } else if qtype == 1 && name == b"." {
        Class::AForRoot
    } else if name.ends_with(b"localhost") {
        Class::Localhost
    } else if name.ends_with(b"root-servers.net") {
        Class::RootServersNet
    } else if !rules.known_tlds.contains(tld) && tld != b"." {
        Class::NonAuthTld
    } else if qtype == 12 && dsc_rfc1918(name) {
        Class::Rfc1918Ptr
    } else {
        Class::Ok
    }
}

/// Whether inet_aton(3) takes it: one to four numbers, decimal, octal or
/// hexadecimal, the last one filling what is left of 32 bits.
fn inet_aton(text: &[u8]) -> bool {
    let parts: Vec<&[u8]> = text.split(|octet| *octet == b'.').collect();
    let Some((last, others)) = parts.split_last() else {
        return false;
    };
    if others.len() > 3 {
        return false;
    }
    let room = u64::from(u32::MAX) >> (8 * others.len());
    let others = others
        .iter()
        .all(|part| c_number(part).is_some_and(|n| n <= 255));
    others && c_number(last).is_some_and(|n| n <= room)
}

/// A number as C writes it.
fn c_number(digits: &[u8]) -> Option<u64> {
    let digits = std::str::from_utf8(digits).ok()?;
    if digits.starts_with('+') {
        return None;
    }
    match (digits.strip_prefix("0x"), digits.strip_prefix('0')) {
        (Some(hexadecimal), _) => u64::from_str_radix(hexadecimal, 16).ok(),
        (None, Some("")) => Some(0),
        (None, Some(octal)) => u64::from_str_radix(octal, 8).ok(),
        (None, None) => digits.parse().ok(),
    }
}

/// Labels before `.in-addr.arpa` from the right, as atoi(3) reads them, against
/// the private networks as far as they go.
fn dsc_rfc1918(name: &[u8]) -> bool {
    let suffix = b".in-addr.arpa";
    let Some(at) = name
        .windows(suffix.len())
        .position(|window| window == suffix)
    else {
        return false;
    };
    let labels = name.get(..at).unwrap_or(&[]);
    let (mut address, mut mask) = (0_u32, 0_u32);
    for (place, label) in labels.rsplit(|octet| *octet == b'.').take(4).enumerate() {
        let shift = 24 - 8 * place as u32;
        address |= (atoi(label) & 0xff) << shift;
        mask |= 0xff << shift;
    }
    let within = |network: u32, bits: u32| (address ^ network) & bits & mask == 0;
    within(0x0a00_0000, 0xff00_0000)
        || within(0xac10_0000, 0xfff0_0000)
        || within(0xc0a8_0000, 0xffff_0000)
}

fn atoi(label: &[u8]) -> u32 {
    let digits = label.iter().take_while(|octet| octet.is_ascii_digit());
    digits.fold(0, |number: u32, digit| {
        number
            .wrapping_mul(10)
            .wrapping_add(u32::from(digit - b'0'))
    })
}
