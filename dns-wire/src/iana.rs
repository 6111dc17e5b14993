//! The names of numbers, from IANA's "Domain Name System (DNS) Parameters".
//!
//! One table per registry gives its newtype, constants and mnemonics: a value
//! without a name stays representable and prints as RFC 3597 says, its number
//! behind the kind's word.

use core::fmt;

/// The day of the registries as they stand here.
pub const REGISTRY_DATE: &str = "2026-10-04";

/// Declares a newtype with a constant and a mnemonic for each assigned value.
/// The mnemonic is the constant's name unless another one is given.
macro_rules! registry {
    (
        $(#[$meta:meta])*
        pub struct $name:ident($number:ty), unnamed $unnamed:literal {
            $( $constant:ident = $value:literal $( as $mnemonic:literal )?, )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $number);

        impl $name {
            $(
                #[doc = concat!("The value ", stringify!($value), ".")]
                pub const $constant: Self = Self($value);
            )+

            /// The assigned values, in ascending order.
            pub const ALL: &'static [Self] = &[ $( Self::$constant, )+ ];

            /// Its mnemonic, where it has one.
            #[must_use]
            pub const fn mnemonic(self) -> Option<&'static str> {
                Some(match self.0 {
                    $( $value => registry!(@mnemonic $constant $( $mnemonic )?), )+
                    _ => return None,
                })
            }

            /// Whether the registry assigns a meaning to it.
            #[must_use]
            pub const fn is_assigned(self) -> bool {
                self.mnemonic().is_some()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.mnemonic() {
                    Some(mnemonic) => f.write_str(mnemonic),
                    None => write!(f, concat!($unnamed, "{}"), self.0),
                }
            }
        }
    };
    (@mnemonic $constant:ident) => { stringify!($constant) };
    (@mnemonic $constant:ident $mnemonic:literal) => { $mnemonic };
}

registry! {
    /// A RR TYPE or QTYPE (RFC 6895, section 3.1).
    pub struct Qtype(u16), unnamed "TYPE" {
        A = 1,
        NS = 2,
        MD = 3,
        MF = 4,
        CNAME = 5,
        SOA = 6,
        MB = 7,
        MG = 8,
        MR = 9,
        NULL = 10,
        WKS = 11,
        PTR = 12,
        HINFO = 13,
        MINFO = 14,
        MX = 15,
        TXT = 16,
        RP = 17,
        AFSDB = 18,
        X25 = 19,
        ISDN = 20,
        RT = 21,
        NSAP = 22,
        NSAP_PTR = 23 as "NSAP-PTR",
        SIG = 24,
        KEY = 25,
        PX = 26,
        GPOS = 27,
        AAAA = 28,
        LOC = 29,
        NXT = 30,
        EID = 31,
        NIMLOC = 32,
        SRV = 33,
        ATMA = 34,
        NAPTR = 35,
        KX = 36,
        CERT = 37,
        A6 = 38,
        DNAME = 39,
        SINK = 40,
        OPT = 41,
        APL = 42,
        DS = 43,
        SSHFP = 44,
        IPSECKEY = 45,
        RRSIG = 46,
        NSEC = 47,
        DNSKEY = 48,
        DHCID = 49,
        NSEC3 = 50,
        NSEC3PARAM = 51,
        TLSA = 52,
        SMIMEA = 53,
        HIP = 55,
        NINFO = 56,
        RKEY = 57,
        TALINK = 58,
        CDS = 59,
        CDNSKEY = 60,
        OPENPGPKEY = 61,
        CSYNC = 62,
        ZONEMD = 63,
        SVCB = 64,
        HTTPS = 65,
        DSYNC = 66,
        HHIT = 67,
        BRID = 68,
        UNECE = 69,
        ISO = 70,
        SPF = 99,
        UINFO = 100,
        UID = 101,
        GID = 102,
        UNSPEC = 103,
        NID = 104,
        L32 = 105,
        L64 = 106,
        LP = 107,
        EUI48 = 108,
        EUI64 = 109,
        NXNAME = 128,
        TKEY = 249,
        TSIG = 250,
        IXFR = 251,
        AXFR = 252,
        MAILB = 253,
        MAILA = 254,
        ANY = 255,
        URI = 256,
        CAA = 257,
        AVC = 258,
        DOA = 259,
        AMTRELAY = 260,
        RESINFO = 261,
        WALLET = 262,
        CLA = 263,
        IPN = 264,
        TA = 32768,
        DLV = 32769,
    }
}

registry! {
    /// A CLASS or QCLASS (RFC 6895, section 3.2).
    pub struct Qclass(u16), unnamed "CLASS" {
        IN = 1,
        CH = 3,
        HS = 4,
        NONE = 254,
        ANY = 255,
    }
}

registry! {
    /// An RCODE of 12 bits. 16 is BADVERS here: BADSIG, which shares the
    /// number, stands in TSIG records only.
    pub struct Rcode(u16), unnamed "RCODE" {
        NOERROR = 0,
        FORMERR = 1,
        SERVFAIL = 2,
        NXDOMAIN = 3,
        NOTIMP = 4,
        REFUSED = 5,
        YXDOMAIN = 6,
        YXRRSET = 7,
        NXRRSET = 8,
        NOTAUTH = 9,
        NOTZONE = 10,
        DSOTYPENI = 11,
        BADVERS = 16,
        BADKEY = 17,
        BADTIME = 18,
        BADMODE = 19,
        BADNAME = 20,
        BADALG = 21,
        BADTRUNC = 22,
        BADCOOKIE = 23,
    }
}

registry! {
    /// An OpCode of 4 bits.
    pub struct Opcode(u8), unnamed "OPCODE" {
        QUERY = 0,
        IQUERY = 1,
        STATUS = 2,
        NOTIFY = 4,
        UPDATE = 5,
        DSO = 6,
    }
}

registry! {
    /// The code of an EDNS option (RFC 6891, section 9), by the short names that
    /// operators use: ECS is the registry's "edns-client-subnet".
    pub struct EdnsOption(u16), unnamed "OPTION" {
        LLQ = 1,
        UL = 2,
        NSID = 3,
        DAU = 5,
        DHU = 6,
        N3U = 7,
        ECS = 8,
        EXPIRE = 9,
        COOKIE = 10,
        TCP_KEEPALIVE = 11 as "TCP-KEEPALIVE",
        PADDING = 12,
        CHAIN = 13,
        KEY_TAG = 14 as "KEY-TAG",
        EDE = 15,
        CLIENT_TAG = 16 as "CLIENT-TAG",
        SERVER_TAG = 17 as "SERVER-TAG",
        REPORT_CHANNEL = 18 as "REPORT-CHANNEL",
        ZONEVERSION = 19,
        MQTYPE_QUERY = 20 as "MQTYPE-QUERY",
        MQTYPE_RESPONSE = 21 as "MQTYPE-RESPONSE",
        EDE_EXTRA_TEXT_LANGUAGE = 22 as "EDE-EXTRA-TEXT-LANGUAGE",
        FILTERING_CONTACT = 23 as "FILTERING-CONTACT",
        FILTERING_ORGANIZATION = 24 as "FILTERING-ORGANIZATION",
        FILTERING_DB = 25 as "FILTERING-DB",
        STRUCTURED_DNS_ERROR = 26 as "STRUCTURED-DNS-ERROR",
        UMBRELLA_IDENT = 20292 as "UMBRELLA-IDENT",
        DEVICEID = 26946,
    }
}

registry! {
    /// The INFO-CODE of an Extended DNS Error (RFC 8914, section 4), by the
    /// registry's words of its purpose.
    pub struct ExtendedError(u16), unnamed "EDE" {
        OTHER_ERROR = 0 as "Other Error",
        UNSUPPORTED_DNSKEY_ALGORITHM = 1 as "Unsupported DNSKEY Algorithm",
        UNSUPPORTED_DS_DIGEST_TYPE = 2 as "Unsupported DS Digest Type",
        STALE_ANSWER = 3 as "Stale Answer",
        FORGED_ANSWER = 4 as "Forged Answer",
        DNSSEC_INDETERMINATE = 5 as "DNSSEC Indeterminate",
        DNSSEC_BOGUS = 6 as "DNSSEC Bogus",
        SIGNATURE_EXPIRED = 7 as "Signature Expired",
        SIGNATURE_NOT_YET_VALID = 8 as "Signature Not Yet Valid",
        DNSKEY_MISSING = 9 as "DNSKEY Missing",
        RRSIGS_MISSING = 10 as "RRSIGs Missing",
        NO_ZONE_KEY_BIT_SET = 11 as "No Zone Key Bit Set",
        NSEC_MISSING = 12 as "NSEC Missing",
        CACHED_ERROR = 13 as "Cached Error",
        NOT_READY = 14 as "Not Ready",
        BLOCKED = 15 as "Blocked",
        CENSORED = 16 as "Censored",
        FILTERED = 17 as "Filtered",
        PROHIBITED = 18 as "Prohibited",
        STALE_NXDOMAIN_ANSWER = 19 as "Stale NXDomain Answer",
        NOT_AUTHORITATIVE = 20 as "Not Authoritative",
        NOT_SUPPORTED = 21 as "Not Supported",
        NO_REACHABLE_AUTHORITY = 22 as "No Reachable Authority",
        NETWORK_ERROR = 23 as "Network Error",
        INVALID_DATA = 24 as "Invalid Data",
        SIGNATURE_EXPIRED_BEFORE_VALID = 25 as "Signature Expired before Valid",
        TOO_EARLY = 26 as "Too Early",
        UNSUPPORTED_NSEC3_ITERATIONS_VALUE = 27 as "Unsupported NSEC3 Iterations Value",
        UNABLE_TO_CONFORM_TO_POLICY = 28 as "Unable to conform to policy",
        SYNTHESIZED = 29 as "Synthesized",
        INVALID_QUERY_TYPE = 30 as "Invalid Query Type",
        RATE_LIMITED = 31 as "Rate Limited",
        OVER_QUOTA = 32 as "Over Quota",
        NEGATIVE_TRUST_ANCHOR = 33 as "Negative Trust Anchor",
        NEW_DELEGATION_ONLY = 34 as "New Delegation Only",
        BLOCKED_BY_UPSTREAM_DNS_SERVER = 35 as "Blocked by Upstream DNS Server",
    }
}

impl Qtype {
    /// Slots of the counters: types 0 to 262, messages without a question, and
    /// all other types.
    pub const SLOTS: usize = 265;
    /// The slot of messages without a question.
    pub const NO_QUESTION_SLOT: usize = 263;
    /// The slot of all types without one of their own.
    pub const OTHER_SLOT: usize = 264;

    /// The counter slot.
    #[inline(always)]
    #[must_use]
    pub const fn slot(self) -> usize {
        if (self.0 as usize) < Self::NO_QUESTION_SLOT {
            self.0 as usize
        } else {
            Self::OTHER_SLOT
        }
    }

    /// Whether it stands in questions only and never in a record: IXFR, AXFR,
    /// MAILB, MAILA and ANY (RFC 1035, section 3.2.3).
    #[must_use]
    pub const fn is_query_type(self) -> bool {
        matches!(
            self,
            Self::IXFR | Self::AXFR | Self::MAILB | Self::MAILA | Self::ANY
        )
    }
}

#[cfg(test)]
mod tests {
    use std::string::{String, ToString as _};

    use super::{EdnsOption, ExtendedError, Opcode, Qclass, Qtype, Rcode};

    #[test]
    fn values_print_as_their_mnemonics_and_unnamed_ones_as_numbers() {
        let cases: [(String, &str); 22] = [
            (Qtype(1).to_string(), "A"),
            (Qtype(23).to_string(), "NSAP-PTR"),
            (Qtype(65).to_string(), "HTTPS"),
            (Qtype(54).to_string(), "TYPE54"),
            (Qtype(65280).to_string(), "TYPE65280"),
            (Qclass(1).to_string(), "IN"),
            (Qclass(3).to_string(), "CH"),
            (Qclass(254).to_string(), "NONE"),
            (Qclass(0).to_string(), "CLASS0"),
            (Rcode(3).to_string(), "NXDOMAIN"),
            (Rcode(16).to_string(), "BADVERS"),
            (Rcode(4000).to_string(), "RCODE4000"),
            (Opcode(6).to_string(), "DSO"),
            (Opcode(3).to_string(), "OPCODE3"),
            (EdnsOption(3).to_string(), "NSID"),
            (EdnsOption(8).to_string(), "ECS"),
            (EdnsOption(11).to_string(), "TCP-KEEPALIVE"),
            (EdnsOption(4).to_string(), "OPTION4"),
            (EdnsOption(65001).to_string(), "OPTION65001"),
            (ExtendedError(0).to_string(), "Other Error"),
            (ExtendedError(22).to_string(), "No Reachable Authority"),
            (ExtendedError(49152).to_string(), "EDE49152"),
        ];
        for (found, expected) in cases {
            assert_eq!(found, expected);
        }
    }

    #[test]
    fn registries_are_sorted_and_complete() {
        assert!(Qtype::ALL.is_sorted() && Rcode::ALL.is_sorted() && Opcode::ALL.is_sorted());
        assert!(Qclass::ALL.is_sorted() && EdnsOption::ALL.is_sorted());
        assert_eq!(Qtype::ALL.len(), 99);
        assert_eq!(EdnsOption::ALL.len(), 27);
        // No gaps there as yet.
        let numbers = ExtendedError::ALL.iter().map(|code| code.0);
        assert!(numbers.eq(0..=35));
    }

    #[test]
    fn classification_knows_the_kinds_of_types() {
        assert!(Qtype::DS.is_assigned() && Qtype::HTTPS.is_assigned());
        assert!(!Qtype(0).is_assigned() && !Qtype(54).is_assigned());
        assert!(Qtype::AXFR.is_query_type() && Qtype::ANY.is_query_type());
        assert!(!Qtype::A.is_query_type() && !Qtype::TSIG.is_query_type());
    }
}
