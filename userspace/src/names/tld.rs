//! The top-level domains that exist, and the names that are set aside.
//!
//! The list is IANA's (data.iana.org/TLD/tlds-alpha-by-domain.txt), embedded as
//! it was on the day that its first line tells. A file of the same format can
//! take its place; DSC's `knowntlds_file` is one.

use std::path::Path;

use foldhash::fast::RandomState;
use hashbrown::HashSet;

use super::{
    list_file::{self, ListError, Problem},
    text,
};

const EMBEDDED: &str = include_str!("tlds.txt");

/// What begins a comment, the version among them.
const COMMENT: &str = "#";

/// The top-level domains that exist.
#[derive(Clone, Debug)]
pub struct KnownTlds {
    labels: HashSet<Box<[u8]>, RandomState>,
    version: String,
}

impl KnownTlds {
    /// The embedded list.
    #[must_use]
    pub fn embedded() -> Self {
        let entries = list_file::entries(EMBEDDED, &[COMMENT]);
        Self {
            labels: entries
                .map(|(_, entry)| entry.to_ascii_lowercase().into_bytes().into())
                .collect(),
            version: version(EMBEDDED),
        }
    }

    /// Reads a list from a file.
    ///
    /// # Errors
    /// When the file cannot be read, or what [`parse`](Self::parse) says.
    pub fn load(path: &Path) -> Result<Self, ListError> {
        Self::parse(&path.display().to_string(), &list_file::read(path)?)
    }

    /// Reads a list from a text; `name` stands in errors. An entry is one label
    /// in either case; lines beginning with `#` are comments.
    ///
    /// # Errors
    /// At the first line that is no label, and when there is no label at all.
    pub fn parse(name: &str, text: &str) -> Result<Self, ListError> {
        let mut list = Self {
            labels: HashSet::default(),
            version: version(text),
        };
        for (line, entry) in list_file::entries(text, &[COMMENT]) {
            let label = label(entry).map_err(|problem| ListError::Line {
                name: name.to_owned(),
                line,
                text: entry.to_owned(),
                problem,
            })?;
            list.labels.insert(label);
        }
        if list.labels.is_empty() {
            let name = name.to_owned();
            return Err(ListError::Empty { name });
        }
        Ok(list)
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none; a list that was read has some.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// What the list's first line says of its version and day; empty where it
    /// says nothing.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether there is a top-level domain of this label, in lower case.
    #[must_use]
    pub fn contains(&self, label: &[u8]) -> bool {
        self.labels.contains(label)
    }

    /// What there is behind a top-level domain, by its label in lower case.
    #[must_use]
    pub fn state(&self, label: &[u8]) -> TldState {
        if self.contains(label) {
            TldState::Delegated
        } else if SpecialUse::is_top_level(label) {
            TldState::SpecialUse
        } else {
            TldState::Unknown
        }
    }
}

impl Default for KnownTlds {
    fn default() -> Self {
        Self::embedded()
    }
}

dns_wire::table! {
    /// What there is behind a top-level domain.
    pub enum TldState {
        /// It is delegated from the root.
        Delegated = "delegated",
        /// It is set aside (RFC 6761), and asked of no server on purpose.
        SpecialUse = "special_use",
        /// Nothing: a mistake, a leak, or younger than the list.
        Unknown = "unknown",
    }
}

/// A name that is set aside, with all names below it (RFC 6761).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpecialUse {
    /// The name as text.
    pub name: &'static str,
    /// What sets it aside.
    pub reference: &'static str,
    wire: &'static [u8],
}

impl SpecialUse {
    /// IANA's "Special-Use Domain Names" as of 2026-10, but for reverse zones of
    /// addresses and names below existing top-level domains, and ICANN's name for
    /// private use. The longest of several that match stands first.
    pub const ALL: &'static [Self] = &[
        special("home.arpa", "RFC 8375", b"\x04home\x04arpa\0"),
        special("resolver.arpa", "RFC 9462", b"\x08resolver\x04arpa\0"),
        special("service.arpa", "RFC 9665", b"\x07service\x04arpa\0"),
        special("ipv4only.arpa", "RFC 8880", b"\x08ipv4only\x04arpa\0"),
        special("eap-noob.arpa", "RFC 9140", b"\x08eap-noob\x04arpa\0"),
        special("eap.arpa", "RFC 9965", b"\x03eap\x04arpa\0"),
        special("6tisch.arpa", "RFC 9031", b"\x066tisch\x04arpa\0"),
        special("alt", "RFC 9476", b"\x03alt\0"),
        special("example", "RFC 6761", b"\x07example\0"),
        special("internal", "ICANN, 2024-07-29", b"\x08internal\0"),
        special("invalid", "RFC 6761", b"\x07invalid\0"),
        special("local", "RFC 6762", b"\x05local\0"),
        special("localhost", "RFC 6761", b"\x09localhost\0"),
        special("onion", "RFC 7686", b"\x05onion\0"),
        special("test", "RFC 6761", b"\x04test\0"),
    ];

    /// The one that a name is, or is below.
    ///
    /// `name` is on the wire and in lower case; `starts` are the offsets of its
    /// labels.
    #[must_use]
    pub fn of(name: &[u8], starts: &[u16]) -> Option<&'static Self> {
        Self::ALL.iter().find(|special| {
            let before = name.strip_suffix(special.wire).map(<[u8]>::len);
            before.is_some_and(|at| starts.iter().any(|start| usize::from(*start) == at))
        })
    }

    /// Whether a top-level domain of this label, in lower case, is set aside.
    #[must_use]
    pub fn is_top_level(label: &[u8]) -> bool {
        Self::ALL
            .iter()
            .any(|special| special.name.as_bytes() == label)
    }
}

const fn special(name: &'static str, reference: &'static str, wire: &'static [u8]) -> SpecialUse {
    SpecialUse {
        name,
        reference,
        wire,
    }
}

/// What stands behind the `#` of the first line.
fn version(text: &str) -> String {
    let first = text.lines().next().and_then(|line| line.strip_prefix('#'));
    first.unwrap_or_default().trim().to_owned()
}

/// The one label of an entry.
fn label(entry: &str) -> Result<Box<[u8]>, Problem> {
    let wire = text::parse(entry)?;
    let mut labels = text::labels(&wire);
    match (labels.next(), labels.next()) {
        (Some(label), None) => Ok(label.into()),
        (None, _) | (_, Some(_)) => Err(Problem::NotTopLevel),
    }
}

#[cfg(test)]
mod tests {
    use super::{EMBEDDED, KnownTlds, SpecialUse, TldState};
    use crate::names::text;

    #[test]
    fn the_embedded_list_is_wellformed_and_dated() {
        let list = KnownTlds::embedded();
        assert_eq!(list.len(), EMBEDDED.lines().count() - 1);
        let parsed = KnownTlds::parse("tlds.txt", EMBEDDED).expect("valid");
        assert_eq!(parsed.labels, list.labels);
        assert!(list.version().starts_with("Version 20"));
        assert!(list.version().contains("Last Updated"));
    }

    #[test]
    fn existing_domains_are_known_and_others_are_not() {
        let list = KnownTlds::embedded();
        for label in ["com", "arpa", "uk", "xn--p1ai", "xn--vermgensberatung-pwb"] {
            assert!(list.contains(label.as_bytes()), "{label}");
        }
        for label in ["", "local", "onion", "belkin", "home", "corp", "COM"] {
            assert!(!list.contains(label.as_bytes()), "{label}");
        }
    }

    #[test]
    fn states_tell_delegated_set_aside_and_unknown_apart() {
        let list = KnownTlds::default();
        let cases: [(&[u8], TldState); 5] = [
            (b"com", TldState::Delegated),
            (b"arpa", TldState::Delegated),
            (b"onion", TldState::SpecialUse),
            (b"internal", TldState::SpecialUse),
            (b"home", TldState::Unknown),
        ];
        for (label, expected) in cases {
            assert_eq!(list.state(label), expected);
        }
    }

    #[test]
    fn a_file_of_the_same_format_takes_its_place() {
        let text = "# Version 1\r\nCOM\r\n\r\nxn--P1AI\r\n中国\r\n";
        let list = KnownTlds::parse("list", text).expect("valid");
        assert_eq!((list.len(), list.version()), (3, "Version 1"));
        assert!(list.contains(b"xn--p1ai") && list.contains(b"xn--fiqs8s"));
        assert!(!list.contains(b"net"));
    }

    #[test]
    fn errors_name_file_line_and_cure() {
        let cases = [
            (
                "com\nco.uk\n",
                "list:2: \"co.uk\" cannot be used: a top-level domain is one label, such as com; leave the rest out",
            ),
            (
                "# only this\n",
                "list: it has no entry; write one name per line",
            ),
        ];
        for (text, expected) in cases {
            let error = KnownTlds::parse("list", text).expect_err(text);
            assert_eq!(error.to_string(), expected);
        }
        let error = KnownTlds::load("no/such/file".as_ref()).expect_err("no such file");
        let cure = "name a file that exists and that this user may read";
        assert!(error.to_string().starts_with("no/such/file: "), "{error}");
        assert!(error.to_string().ends_with(cure), "{error}");
    }

    #[test]
    fn special_names_are_written_alike_on_the_wire_and_as_text() {
        for special in SpecialUse::ALL {
            assert_eq!(text::parse(special.name).as_deref(), Ok(special.wire));
        }
    }

    #[test]
    fn special_names_and_those_below_are_found() {
        type Case = (&'static [u8], &'static [u16], Option<&'static str>);
        let cases: [Case; 7] = [
            (b"\x05local\0", &[0], Some("local")),
            (b"\x07printer\x05local\0", &[0, 8], Some("local")),
            (b"\x04home\x04arpa\0", &[0, 5], Some("home.arpa")),
            (b"\x04arpa\0", &[0], None),
            (b"\x07example\x03com\0", &[0, 8], None),
            (b"\0", &[], None),
            // One label that ends in the octets of another name.
            (b"\x07a\x05local\0", &[0], None),
        ];
        for (name, starts, expected) in cases {
            let found = SpecialUse::of(name, starts).map(|special| special.name);
            assert_eq!(found, expected, "{name:?}");
        }
    }
}
