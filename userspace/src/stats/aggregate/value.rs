//! Values as those of labels: what a packet says is never taken for what we say.

use std::hash::BuildHasher as _;

use foldhash::quality::FixedState;

use crate::{
    enrich::customers::UNASSIGNED,
    stats::{
        cells::Key,
        dataset::Indexer,
        label::{Style, label},
        plan::Rules,
        values::{NONE, OTHER},
    },
};

/// The cell of all values that have none of their own.
pub(super) const OTHER_VALUE: &str = "other";
/// The cell of all values that had one.
pub(super) const RETIRED_VALUE: &str = "retired";
const NONE_VALUE: &str = "none";

/// A name has at most 255 octets, each of which may become four. It is never
/// cut, or whoever makes names could make many that are printed alike.
const LONGEST_NAME: usize = 4 * 255;
/// Other values that are longer are cut; a hash tells them apart.
const LONGEST: usize = 300;

/// How a value is printed in a label.
///
/// What is not printable ASCII is escaped as in RFC 1035, section 5.1, and so is
/// the first octet of a real value that is spelled like one of ours.
pub(super) fn value(indexer: Indexer, key: Key, text: &[u8], rules: &Rules) -> String {
    if key == OTHER {
        return OTHER_VALUE.to_owned();
    }
    let printed = label(indexer, key, text, rules, Style::Named);
    let mut value = if is_of_table(indexer) {
        escaped_words(&printed)
    } else {
        escaped(&printed, has_escapes(indexer))
    };
    if is_foreign(indexer, key, text) && is_ours(&value) {
        value = format!(
            "{}{}",
            octet(value.as_bytes()),
            value.get(1..).unwrap_or("")
        );
    }
    if value.is_empty() {
        NONE_VALUE.clone_into(&mut value);
    }
    let longest = if has_escapes(indexer) {
        LONGEST_NAME
    } else {
        LONGEST
    };
    cut(value, longest)
}

/// How the random names of a zone are printed together.
pub(super) fn folded(zone: &[u8], rules: &Rules) -> String {
    let printed = label(Indexer::Qname, 0, zone, rules, Style::Named);
    let zone = escaped(&printed, true);
    cut(format!("*.{}", zone.trim_start_matches('.')), LONGEST_NAME)
}

/// Names are printed with escapes already.
const fn has_escapes(indexer: Indexer) -> bool {
    matches!(
        indexer,
        Indexer::Qname | Indexer::Tld | Indexer::SecondLd | Indexer::ThirdLd | Indexer::Zone
    )
}

/// Words of people in any language, which tables have checked.
const fn is_of_table(indexer: Indexer) -> bool {
    matches!(
        indexer,
        Indexer::AsOrg | Indexer::Network | Indexer::Customer
    )
}

/// Whether the text of a value is somebody else's choice.
const fn is_foreign(indexer: Indexer, key: Key, text: &[u8]) -> bool {
    let is_text = matches!(
        indexer,
        Indexer::Qname
            | Indexer::Tld
            | Indexer::SecondLd
            | Indexer::ThirdLd
            | Indexer::EdnsNsidText
            | Indexer::EdnsEdeText
            | Indexer::AsOrg
            | Indexer::Network
            | Indexer::Customer
    );
    (is_text && !text.is_empty()) || (matches!(indexer, Indexer::Zone) && key != NONE)
}

fn is_ours(value: &str) -> bool {
    let ours = [
        OTHER_VALUE,
        RETIRED_VALUE,
        NONE_VALUE,
        UNASSIGNED,
        "??",
        "?4",
        "?6",
    ];
    ours.contains(&value) || value.starts_with("*.")
}

/// What does not end up on a screen as a letter is escaped.
fn escaped_words(printed: &[u8]) -> String {
    let mut value = String::with_capacity(printed.len());
    for letter in String::from_utf8_lossy(printed).chars() {
        match letter {
            '\\' => value.push_str("\\\\"),
            _ if letter.is_control() => {
                let mut octets = [0; 4];
                for byte in letter.encode_utf8(&mut octets).bytes() {
                    value.push_str(&octet(&[byte]));
                }
            }
            _ => value.push(letter),
        }
    }
    value
}

fn escaped(printed: &[u8], has_escapes: bool) -> String {
    let mut value = String::with_capacity(printed.len());
    for byte in printed {
        match byte {
            b'\\' if !has_escapes => value.push_str("\\\\"),
            b' '..=b'~' => value.push(char::from(*byte)),
            _ => value.push_str(&octet(&[*byte])),
        }
    }
    value
}

/// `\DDD` of the first octet.
fn octet(text: &[u8]) -> String {
    format!("\\{:03}", text.first().copied().unwrap_or(0))
}

/// The hash is the same after a restart.
fn cut(mut value: String, longest: usize) -> String {
    if value.len() > longest {
        let longest = value.floor_char_boundary(longest);
        let hash = FixedState::with_seed(0).hash_one(value.get(longest..));
        value.truncate(longest);
        value.push_str(&format!("...{hash:016x}"));
    }
    value
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(indexer: Indexer, key: Key, text: &[u8]) -> String {
        value(indexer, key, text, &Rules::default())
    }

    #[test]
    fn real_values_cannot_be_mistaken_for_ours() {
        for (indexer, text, expected) in [
            (Indexer::Tld, &b"\x05other\x00"[..], r"\111ther"),
            (Indexer::Qname, b"\x07retired\x00", r"\114etired"),
            (Indexer::Qname, b"\x04none\x00", r"\110one"),
            (Indexer::Qname, b"\x04none\x07example\x00", "none.example"),
            (Indexer::Qname, b"\x01*\x07example\x00", r"\042.example"),
            (Indexer::Qname, b"\x00", "."),
            (Indexer::Qname, b"", "none"),
            (Indexer::EdnsNsidText, b"other", r"\111ther"),
            (Indexer::Customer, b"unassigned", r"\117nassigned"),
            (Indexer::AsOrg, b"??", r"\063?"),
        ] {
            assert_eq!(printed(indexer, 1, text), expected, "{text:?}");
        }
        assert_eq!(printed(Indexer::Tld, OTHER, b""), "other");
        assert_eq!(printed(Indexer::EdnsVersion, NONE, b""), "none");
    }

    #[test]
    fn what_is_not_printable_is_escaped() {
        for (text, expected) in [
            (&b"a\nb"[..], r"a\010b"),
            (b"\xff\xfe", r"\255\254"),
            (br"\255", r"\\255"),
            (b"say \"hi\"", "say \"hi\""),
            ("\u{fc}".as_bytes(), r"\195\188"),
        ] {
            assert_eq!(printed(Indexer::EdnsEdeText, 1, text), expected);
        }
    }

    #[test]
    fn names_of_people_keep_their_letters() {
        for (text, expected) in [
            ("Exámple \u{30d7}", "Exámple \u{30d7}"),
            ("a\nb\u{85}", r"a\010b\194\133"),
            (r"a\b", r"a\\b"),
            ("", "??"),
        ] {
            let key = if text.is_empty() { NONE } else { 1 };
            assert_eq!(printed(Indexer::AsOrg, key, text.as_bytes()), expected);
        }
        let long = printed(Indexer::Network, 1, "\u{e9}".repeat(200).as_bytes());
        assert!(long.starts_with(&"\u{e9}".repeat(150)), "{long}");
        assert_eq!(long.len(), LONGEST + 3 + 16);
    }

    #[test]
    fn long_values_are_cut() {
        let start = format!("{}...", "x".repeat(LONGEST));
        let [one, other] = [5000, 5001].map(|len| {
            let long = printed(Indexer::EdnsEdeText, 1, &vec![b'x'; len]);
            assert_eq!(long.len(), start.len() + 16);
            assert!(long.starts_with(&start), "{long}");
            long
        });
        assert_ne!(one, other);
    }

    #[test]
    fn names_are_never_cut() {
        // 255 octets: four labels, of which 250 octets are escaped.
        let label = |len: u8| [&[len][..], &vec![0xff; len.into()]].concat();
        let name = [label(63), label(63), label(63), label(61), vec![0]].concat();
        assert_eq!(name.len(), 255);
        let printed = printed(Indexer::Qname, 1, &name);
        let labels = [63, 63, 63, 61].map(|octets| r"\255".repeat(octets));
        assert_eq!(printed, labels.join("."));
    }

    #[test]
    fn random_names_have_a_star() {
        let rules = Rules::default();
        assert_eq!(folded(b"\x07example\x00", &rules), "*.example");
        assert_eq!(folded(b"\x00", &rules), "*.");
    }
}
