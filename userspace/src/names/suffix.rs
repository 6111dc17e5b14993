//! Public suffixes: under which names others register theirs.
//!
//! One list serves two formats: the Public Suffix List (publicsuffix.org/list),
//! and DSC's `tld_list`, which is one suffix per line. Both are read by the same
//! rules, for the second has only the plain ones.

use std::path::Path;

use foldhash::fast::RandomState;
use hashbrown::HashMap;

use super::{
    list_file::{self, ListError, Problem},
    text,
};

/// What begins a comment: the first is the Public Suffix List's own.
const COMMENTS: &[&str] = &["//", "#"];

/// A list of suffixes.
#[derive(Clone, Debug)]
pub struct SuffixList {
    /// By suffixes in wire form, those between a rule and the root included.
    nodes: HashMap<Box<[u8]>, Node, RandomState>,
    rules: usize,
}

/// What is known of one suffix.
#[derive(Clone, Copy, Debug, Default)]
struct Node {
    /// It is a public suffix.
    is_suffix: bool,
    /// Each name one label longer is a public suffix.
    is_wildcard: bool,
    /// It is none, although a wildcard says so.
    is_exception: bool,
    /// There are rules of longer names.
    has_longer: bool,
}

impl SuffixList {
    /// Reads a list from a file.
    ///
    /// # Errors
    /// When the file cannot be read, or what [`parse`](Self::parse) says.
    pub fn load(path: &Path) -> Result<Self, ListError> {
        Self::parse(&path.display().to_string(), &list_file::read(path)?)
    }

    /// Reads a list from a text; `name` stands in errors. An entry is the first
    /// word of a line; lines beginning with `//` or `#` are comments.
    ///
    /// # Errors
    /// At the first line that is no rule, and when there is no rule at all.
    pub fn parse(name: &str, text: &str) -> Result<Self, ListError> {
        let mut list = Self {
            nodes: HashMap::default(),
            rules: 0,
        };
        for (line, entry) in list_file::entries(text, COMMENTS) {
            list.add(entry).map_err(|problem| ListError::Line {
                name: name.to_owned(),
                line,
                text: entry.to_owned(),
                problem,
            })?;
        }
        if list.rules == 0 {
            let name = name.to_owned();
            return Err(ListError::Empty { name });
        }
        Ok(list)
    }

    /// How many rules it has.
    #[must_use]
    pub const fn rules(&self) -> usize {
        self.rules
    }

    /// How many labels, counted from the right, the longest public suffix of a
    /// name has. A name that no rule matches has its last label as its suffix;
    /// the root has none.
    ///
    /// `name` is on the wire and in lower case; `starts` are the offsets of its
    /// labels, from the left.
    #[must_use]
    pub fn labels(&self, name: &[u8], starts: &[u16]) -> usize {
        let mut found = starts.len().min(1);
        let mut wildcard = false;
        for (suffix, labels) in suffixes(name, starts) {
            if wildcard {
                found = labels;
            }
            let Some(node) = self.nodes.get(suffix) else {
                break;
            };
            if node.is_exception {
                return labels - 1;
            }
            if node.is_suffix {
                found = labels;
            }
            if !node.has_longer {
                break;
            }
            wildcard = node.is_wildcard;
        }
        found
    }

    /// The same as DSC has it. It looks at no wildcards and never at the whole
    /// name; and where it comes to the name's begin while the list still knows
    /// longer suffixes, it forgets what it has found and takes the last label.
    ///
    /// `text` is DSC's text of the name ([`text::dsc_text`]), in which a dot
    /// within a label parts it; `starts` are the offsets of the parts.
    #[must_use]
    pub fn dsc_labels(&self, text: &[u8], starts: &[u16]) -> usize {
        let last = starts.len().min(1);
        let mut found = last;
        let (wire, len) = as_wire(text, starts);
        for (suffix, labels) in suffixes(wire.get(..len).unwrap_or(&[]), starts) {
            if labels == starts.len() {
                return last;
            }
            let node = self.nodes.get(suffix).copied().unwrap_or_default();
            if node.is_suffix {
                found = labels;
            }
            if !node.has_longer {
                break;
            }
        }
        found
    }

    fn add(&mut self, entry: &str) -> Result<(), Problem> {
        let rule = if let Some(name) = entry.strip_prefix('!') {
            self.add_exception(name)
        } else if let Some(name) = entry.strip_prefix("*.") {
            self.add_wildcard(name)
        } else {
            self.add_suffix(entry)
        };
        self.rules += 1;
        rule
    }

    fn add_suffix(&mut self, name: &str) -> Result<(), Problem> {
        self.node(name)?.is_suffix = true;
        Ok(())
    }

    fn add_wildcard(&mut self, name: &str) -> Result<(), Problem> {
        if name.is_empty() {
            return Err(Problem::Wildcard);
        }
        let node = self.node(name)?;
        node.is_wildcard = true;
        node.has_longer = true;
        Ok(())
    }

    fn add_exception(&mut self, name: &str) -> Result<(), Problem> {
        // What is excepted from is one label shorter.
        if !name.trim_end_matches('.').contains('.') {
            return Err(Problem::Exception);
        }
        self.node(name)?.is_exception = true;
        Ok(())
    }

    /// The node of a name, those between it and the root made known.
    fn node(&mut self, name: &str) -> Result<&mut Node, Problem> {
        let wire = wire(name)?;
        let mut rest = &wire[..];
        for label in text::labels(&wire) {
            rest = &rest[1 + label.len()..];
            if rest.len() > 1 {
                self.nodes.entry(rest.into()).or_default().has_longer = true;
            }
        }
        Ok(self.nodes.entry(wire.into()).or_default())
    }
}

/// The name of a rule; it has a label, and no wildcard further on.
fn wire(name: &str) -> Result<Vec<u8>, Problem> {
    let wire = text::parse(name)?;
    if wire.len() == 1 {
        return Err(text::NameError::EmptyLabel.into());
    }
    if text::labels(&wire).any(|label| label == b"*") {
        return Err(Problem::Wildcard);
    }
    Ok(wire)
}

/// Longest text of DSC, and the root label.
const MAX_TEXT: usize = 512;

/// A text on the wire, and its octets there. The length of each part takes the
/// place of the dot of the one before, so that the offsets stay the same.
fn as_wire(text: &[u8], starts: &[u16]) -> ([u8; MAX_TEXT], usize) {
    let mut wire = [0; MAX_TEXT];
    let len = text.len().min(MAX_TEXT - 2);
    for (to, from) in wire.iter_mut().skip(1).zip(text.iter().take(len)) {
        *to = *from;
    }
    let ends = starts.iter().skip(1).map(|next| usize::from(*next));
    for (start, end) in starts.iter().zip(ends.chain([len + 1])) {
        let part = end.saturating_sub(usize::from(*start) + 1);
        if let Some(octet) = wire.get_mut(usize::from(*start)) {
            *octet = part as u8;
        }
    }
    (wire, len + 2)
}

/// The suffixes of a name, the shortest first, and the labels of each.
fn suffixes<'a>(name: &'a [u8], starts: &'a [u16]) -> impl Iterator<Item = (&'a [u8], usize)> {
    let from_right = starts.iter().rev().zip(1..);
    from_right.map_while(|(start, labels)| Some((name.get(usize::from(*start)..)?, labels)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection::vec, prelude::*};

    use super::SuffixList;
    use crate::names::text;

    /// The offsets of labels on the wire.
    fn starts(name: &[u8]) -> Vec<u16> {
        let mut next = 0;
        text::labels(name)
            .map(|label| {
                let at = next;
                next += 1 + label.len();
                at as u16
            })
            .collect()
    }

    /// The last labels of a name as text.
    fn last(name: &str, labels: usize) -> String {
        let parts: Vec<_> = name.split('.').filter(|part| !part.is_empty()).collect();
        match labels {
            0 => ".".to_owned(),
            _ => parts[parts.len() - labels..].join("."),
        }
    }

    fn suffix(list: &SuffixList, name: &str) -> String {
        let wire = text::parse(name).expect("a name");
        last(name, list.labels(&wire, &starts(&wire)))
    }

    fn dsc_suffix(list: &SuffixList, name: &str) -> String {
        let dots = name.bytes().enumerate().filter(|(_, octet)| *octet == b'.');
        let starts: Vec<u16> = match name {
            "." => Vec::new(),
            _ => [0]
                .into_iter()
                .chain(dots.map(|(at, _)| at as u16 + 1))
                .collect(),
        };
        last(name, list.dsc_labels(name.as_bytes(), &starts))
    }

    const RULES: &str = "\
// A comment
com
uk
co.uk
*.ck
!www.ck
jp
*.kawasaki.jp
!city.kawasaki.jp
公司.cn trailing words do not count
a.b.c.example

# DSC's files may have these
";

    #[test]
    fn the_longest_rule_wins() {
        let list = SuffixList::parse("rules", RULES).expect("valid");
        assert_eq!(list.rules(), 10);
        let cases = [
            (".", "."),
            ("com", "com"),
            ("www.Example.COM", "COM"),
            ("notcom", "notcom"),
            ("example.notcom", "notcom"),
            ("co.uk", "co.uk"),
            ("www.example.co.uk", "co.uk"),
            ("xco.uk", "uk"),
            ("ck", "ck"),
            ("any.ck", "any.ck"),
            ("b.any.ck", "any.ck"),
            ("www.ck", "ck"),
            ("a.www.ck", "ck"),
            ("a.b.kawasaki.jp", "b.kawasaki.jp"),
            ("kawasaki.jp", "jp"),
            ("a.city.kawasaki.jp", "kawasaki.jp"),
            ("www.食狮.公司.cn", "公司.cn"),
            ("cn", "cn"),
            // Names between a rule and the root are no suffixes themselves.
            ("x.b.c.example", "example"),
            ("x.a.b.c.example", "a.b.c.example"),
            ("unlisted", "unlisted"),
        ];
        for (name, expected) in cases {
            assert_eq!(suffix(&list, name), expected, "{name}");
        }
    }

    #[test]
    fn dsc_walks_from_the_right_and_forgets_at_the_begin() {
        let list = SuffixList::parse("rules", "google.se\nuk\nco.uk\nx.co.uk\nac.at\n");
        let list = list.expect("valid");
        let cases = [
            ("www.google.se", "google.se"),
            ("google.se", "se"),
            ("other.se", "se"),
            // `at` is no entry, and is the last label all the same.
            ("blabla.at", "at"),
            ("a.ac.at", "ac.at"),
            ("b.a.co.uk", "co.uk"),
            // The list knows x.co.uk, so DSC looks on and comes to the begin.
            ("a.co.uk", "uk"),
            ("co.uk", "uk"),
            ("x.co.uk", "uk"),
            ("a.x.co.uk", "x.co.uk"),
            (".", "."),
        ];
        for (name, expected) in cases {
            assert_eq!(dsc_suffix(&list, name), expected, "{name}");
        }
    }

    #[test]
    fn errors_name_file_line_and_cure() {
        let cases = [
            (
                "com\n*.a.*.b\n",
                "list:2: \"*.a.*.b\" cannot be used: a wildcard is a whole label in front of a name, such as *.example",
            ),
            (
                "*",
                "list:1: \"*\" cannot be used: a wildcard is a whole label in front of a name, such as *.example",
            ),
            (
                "\n!com",
                "list:2: \"!com\" cannot be used: an exception needs two labels or more, such as !www.example",
            ),
            (
                "a..b",
                "list:1: \"a..b\" cannot be used: it has an empty label; write one dot between two labels and none in front",
            ),
            (
                "// nothing\n",
                "list: it has no entry; write one name per line",
            ),
        ];
        for (text, expected) in cases {
            let error = SuffixList::parse("list", text).expect_err(text);
            assert_eq!(error.to_string(), expected);
        }
    }

    proptest! {
        /// Against the definition: of all suffixes of the name, the longest one
        /// in the list.
        #[test]
        fn plain_lists_agree_with_a_search(
            rules in vec(vec("[ab]", 1..4), 1..6),
            name in vec("[ab]", 0..5),
        ) {
            let rules: BTreeSet<String> = rules.iter().map(|labels| labels.join(".")).collect();
            let text: String = rules.iter().map(|rule| format!("{rule}\n")).collect();
            let list = SuffixList::parse("rules", &text).expect("valid");
            let expected = (0..name.len())
                .find(|from| rules.contains(&name[*from..].join(".")))
                .map_or(name.len().min(1), |from| name.len() - from);
            let wire = text::parse(&format!("{}.", name.join("."))).expect("a name");
            prop_assert_eq!(list.labels(&wire, &starts(&wire)), expected);
        }

        #[test]
        fn any_octets_and_offsets_are_looked_up_without_panic(
            name in vec(any::<u8>(), 0..260),
            starts in vec(0_u16..600, 0..130),
        ) {
            let list = SuffixList::parse("rules", RULES).expect("valid");
            prop_assert!(list.labels(&name, &starts) <= starts.len());
            prop_assert!(list.dsc_labels(&name, &starts) <= starts.len());
        }
    }
}
