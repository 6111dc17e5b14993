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
    /// `name` is in lower case; `offsets` are those of its labels, from the left.
    #[must_use]
    pub fn labels(&self, name: &[u8], offsets: &[u8]) -> usize {
        let mut found = offsets.len().min(1);
        let mut wildcard = false;
        for (suffix, labels) in suffixes(name, offsets) {
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
    #[must_use]
    pub fn dsc_labels(&self, name: &[u8], offsets: &[u8]) -> usize {
        let last = offsets.len().min(1);
        let mut found = last;
        for (suffix, labels) in suffixes(name, offsets) {
            if labels == offsets.len() {
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

/// The suffixes of a name, the shortest first, and the labels of each.
fn suffixes<'a>(name: &'a [u8], offsets: &'a [u8]) -> impl Iterator<Item = (&'a [u8], usize)> {
    let from_right = offsets.iter().rev().zip(1..);
    from_right.map_while(|(offset, labels)| Some((name.get(usize::from(*offset)..)?, labels)))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::{collection::vec, prelude::*};

    use super::SuffixList;
    use crate::names::text;

    fn offsets(name: &[u8]) -> Vec<u8> {
        let mut next = 0;
        text::labels(name)
            .map(|label| {
                let at = next;
                next += 1 + label.len();
                at as u8
            })
            .collect()
    }

    /// The suffix of a name by this lookup, as text.
    fn suffix(
        list: &SuffixList,
        lookup: fn(&SuffixList, &[u8], &[u8]) -> usize,
        name: &str,
    ) -> String {
        let wire = text::parse(name).expect("a name");
        let offsets = offsets(&wire);
        let labels = lookup(list, &wire, &offsets);
        let at = match labels {
            0 => wire.len() - 1,
            _ => usize::from(offsets[offsets.len() - labels]),
        };
        let mut text = String::new();
        text::push_text(&wire[at..], &mut text);
        text
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
            ("www.Example.COM", "com"),
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
            ("www.食狮.公司.cn", "xn--55qx5d.cn"),
            ("cn", "cn"),
            // Names between a rule and the root are no suffixes themselves.
            ("x.b.c.example", "example"),
            ("x.a.b.c.example", "a.b.c.example"),
            ("unlisted", "unlisted"),
        ];
        for (name, expected) in cases {
            assert_eq!(suffix(&list, SuffixList::labels, name), expected, "{name}");
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
            assert_eq!(
                suffix(&list, SuffixList::dsc_labels, name),
                expected,
                "{name}"
            );
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
            prop_assert_eq!(list.labels(&wire, &offsets(&wire)), expected);
        }

        #[test]
        fn any_octets_and_offsets_are_looked_up_without_panic(
            name in vec(any::<u8>(), 0..260),
            offsets in vec(any::<u8>(), 0..130),
        ) {
            let list = SuffixList::parse("rules", RULES).expect("valid");
            prop_assert!(list.labels(&name, &offsets) <= offsets.len());
            prop_assert!(list.dsc_labels(&name, &offsets) <= offsets.len());
        }
    }
}
