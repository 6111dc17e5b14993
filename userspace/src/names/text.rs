//! Names on the wire and names as text (RFC 1035, sections 3.1 and 5.1).

use super::punycode;

/// Longest name on the wire (RFC 1035, section 3.1).
const MAX_NAME: usize = 255;
/// Longest label (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

/// The labels of a name, or of a suffix of one, up to its root, its end, or an
/// octet that begins no label within it. Any octets are safe.
pub fn labels(name: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = name;
    std::iter::from_fn(move || {
        let (len, after) = rest.split_first()?;
        let len = usize::from(*len);
        if len == 0 || len > MAX_LABEL {
            return None;
        }
        let (label, next) = after.split_at_checked(len)?;
        rest = next;
        Some(label)
    })
}

/// Appends a name, or a suffix of one, in its presentation form: lower case,
/// dots and backslashes within labels escaped as `\.` and `\\`, all octets that
/// are not graphic ASCII as `\DDD`, the root as `.`, and no dot at the end else.
pub fn push_text(name: &[u8], to: &mut String) {
    let mut first = true;
    for label in labels(name) {
        if !first {
            to.push('.');
        }
        first = false;
        label.iter().for_each(|octet| push_octet(*octet, to));
    }
    if first {
        to.push('.');
    }
}

/// Appends a name as DSC prints it: lower case, line ends as spaces, dots within
/// labels as they are, and nothing behind an octet of zero. The root is `.`. Any
/// other octets can occur, so the text may be no UTF-8.
pub fn push_dsc_text(name: &[u8], to: &mut Vec<u8>) {
    let start = to.len();
    for label in labels(name) {
        if to.len() > start {
            to.push(b'.');
        }
        for octet in label {
            match octet {
                0 => return end_dsc_text(start, to),
                b'\n' | b'\r' => to.push(b' '),
                _ => to.push(octet.to_ascii_lowercase()),
            }
        }
    }
    end_dsc_text(start, to);
}

/// A name as DSC prints it; see [`push_dsc_text`].
#[must_use]
pub fn dsc_text(name: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    push_dsc_text(name, &mut text);
    text
}

/// Why a text is no name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    /// No text at all.
    #[error("it is empty; the root is written as a dot")]
    Empty,
    /// Two dots in a row, or one in front.
    #[error("it has an empty label; write one dot between two labels and none in front")]
    EmptyLabel,
    /// A label of more than 63 octets.
    #[error("it has a label of more than 63 octets; no name on the wire has one")]
    LabelLength,
    /// A name of more than 255 octets.
    #[error("it has more than 255 octets; no name on the wire is longer")]
    NameLength,
    /// A backslash that escapes nothing.
    #[error("it has a bad escape; write \\. or \\\\ or three digits up to 255 behind a backslash")]
    Escape,
}

/// The wire form of a name as text, in lower case and with its root label. A dot
/// at the end makes no difference. A label with other characters than ASCII
/// becomes an A-label (RFC 5891).
///
/// # Errors
/// Why it is no name.
pub fn parse(text: &str) -> Result<Vec<u8>, NameError> {
    if text.is_empty() {
        return Err(NameError::Empty);
    }
    let mut wire = Vec::with_capacity(text.len() + 2);
    if text != "." {
        parse_labels(text, &mut wire)?;
    }
    wire.push(0);
    if wire.len() > MAX_NAME {
        return Err(NameError::NameLength);
    }
    Ok(wire)
}

/// Whether a label claims to be an A-label (RFC 5890, section 2.3.2.1).
#[must_use]
pub fn is_idn_label(label: &[u8]) -> bool {
    label
        .first_chunk::<4>()
        .is_some_and(|prefix| prefix.eq_ignore_ascii_case(b"xn--"))
}

fn push_octet(octet: u8, to: &mut String) {
    match octet {
        b'.' | b'\\' => {
            to.push('\\');
            to.push(char::from(octet));
        }
        b'!'..=b'~' => to.push(char::from(octet.to_ascii_lowercase())),
        _ => {
            to.push('\\');
            for divisor in [100, 10, 1] {
                to.push(char::from(b'0' + octet / divisor % 10));
            }
        }
    }
}

/// DSC prints a text that is empty as the root.
fn end_dsc_text(start: usize, to: &mut Vec<u8>) {
    if to.len() == start {
        to.push(b'.');
    }
}

fn parse_labels(text: &str, wire: &mut Vec<u8>) -> Result<(), NameError> {
    let mut rest = text;
    while !rest.is_empty() {
        let (label, after) = split_label(rest)?;
        let octets = label_octets(label)?;
        if octets.is_empty() {
            return Err(NameError::EmptyLabel);
        }
        if octets.len() > MAX_LABEL {
            return Err(NameError::LabelLength);
        }
        wire.push(octets.len() as u8);
        wire.extend(octets);
        rest = after;
    }
    Ok(())
}

/// The text up to the first dot that is not escaped, and what is behind it.
fn split_label(text: &str) -> Result<(&str, &str), NameError> {
    let mut escaped = false;
    for (at, octet) in text.bytes().enumerate() {
        match octet {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'.' => return Ok((&text[..at], &text[at + 1..])),
            _ => {}
        }
    }
    if escaped {
        return Err(NameError::Escape);
    }
    Ok((text, ""))
}

fn label_octets(label: &str) -> Result<Vec<u8>, NameError> {
    if !label.is_ascii() {
        // Escapes are for octets, of which these labels have none yet.
        if label.contains('\\') {
            return Err(NameError::Escape);
        }
        if label.chars().count() > MAX_LABEL {
            return Err(NameError::LabelLength);
        }
        let a_label = punycode::to_a_label(label).ok_or(NameError::LabelLength)?;
        return Ok(a_label.into_bytes());
    }
    unescaped(label)
}

fn unescaped(label: &str) -> Result<Vec<u8>, NameError> {
    let mut octets = Vec::with_capacity(label.len());
    let mut rest = label.as_bytes();
    while let Some((octet, after)) = rest.split_first() {
        rest = after;
        let octet = if *octet == b'\\' {
            let (octet, after) = escape(rest).ok_or(NameError::Escape)?;
            rest = after;
            octet
        } else {
            *octet
        };
        octets.push(octet.to_ascii_lowercase());
    }
    Ok(octets)
}

/// What stands behind a backslash: three digits, or any octet that is none.
fn escape(text: &[u8]) -> Option<(u8, &[u8])> {
    let (first, after) = text.split_first()?;
    if !first.is_ascii_digit() {
        return Some((*first, after));
    }
    let (digits, after) = text.split_first_chunk::<3>()?;
    let number = digits.iter().try_fold(0_u16, |number, digit| {
        let digit = digit.is_ascii_digit().then(|| u16::from(digit - b'0'))?;
        Some(number * 10 + digit)
    })?;
    Some((u8::try_from(number).ok()?, after))
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::{NameError, dsc_text, is_idn_label, labels, parse, push_text};

    fn text(name: &[u8]) -> String {
        let mut text = String::new();
        push_text(name, &mut text);
        text
    }

    #[test]
    fn names_are_printed_as_rfc_1035_says() {
        let cases: [(&[u8], &str, &str); 10] = [
            (b"\0", ".", "."),
            (b"", ".", "."),
            (
                b"\x03www\x07example\x03com\0",
                "www.example.com",
                "www.example.com",
            ),
            (b"\x07Example\x03COM\0", "example.com", "example.com"),
            // A suffix without the root.
            (b"\x03com", "com", "com"),
            (b"\x043w.w\x03com\0", r"3w\.w.com", "3w.w.com"),
            (b"\x03a\\b\0", r"a\\b", r"a\b"),
            (b"\x04a\nb\r\x02 c\0", r"a\010b\013.\032c", "a b . c"),
            (b"\x04a\0bc\x03com\0", r"a\000bc.com", "a"),
            (b"\x02\0b\x03com\0", r"\000b.com", "."),
        ];
        for (name, expected, dsc) in cases {
            assert_eq!(text(name), expected);
            assert_eq!(dsc_text(name), dsc.as_bytes(), "{expected}");
        }
        assert_eq!(text(b"\x02\xffa\0"), r"\255a");
        assert_eq!(dsc_text(b"\x02\xffA\0"), b"\xffa");
    }

    #[test]
    fn broken_names_are_printed_up_to_where_they_break() {
        let cases: [(&[u8], &str); 4] = [
            (b"\x03com\x05ab", "com"),
            (b"\x03com\xc0\x0c", "com"),
            (b"\x40", "."),
            (b"\x03com\0\x03net", "com"),
        ];
        for (name, expected) in cases {
            assert_eq!(text(name), expected);
        }
    }

    #[test]
    fn text_is_read_as_rfc_1035_says() {
        let cases: [(&str, &[u8]); 9] = [
            (".", b"\0"),
            ("com", b"\x03com\0"),
            ("COM.", b"\x03com\0"),
            ("www.Example.com", b"\x03www\x07example\x03com\0"),
            (r"3w\.w.com", b"\x043w.w\x03com\0"),
            (r"a\\b.c\010", b"\x03a\\b\x02c\n\0"),
            (r"\065", b"\x01a\0"),
            ("bücher.example", b"\x0dxn--bcher-kva\x07example\0"),
            (r"\255", b"\x01\xff\0"),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn text_that_is_no_name_is_refused() {
        let label = "a".repeat(63);
        let long = [&*label; 4].join(".");
        let cases = [
            ("", NameError::Empty),
            ("..", NameError::EmptyLabel),
            (".com", NameError::EmptyLabel),
            ("a..b", NameError::EmptyLabel),
            (r"a\", NameError::Escape),
            (r"a\25", NameError::Escape),
            (r"a\256", NameError::Escape),
            (r"a\2x6", NameError::Escape),
            (r"ü\065", NameError::Escape),
            (&format!("a{label}"), NameError::LabelLength),
            (&long, NameError::NameLength),
        ];
        for (text, expected) in cases {
            assert_eq!(parse(text), Err(expected), "{text}");
        }
        assert!(parse(&long[2..]).is_ok(), "254 octets and the root");
    }

    #[test]
    fn idn_labels_are_known_by_their_prefix() {
        assert!(is_idn_label(b"xn--p1ai") && is_idn_label(b"XN--P1AI"));
        assert!(!is_idn_label(b"xn-") && !is_idn_label(b"axn--b") && !is_idn_label(b""));
    }

    /// Names of any octets, as long as names can be.
    fn names() -> impl Strategy<Value = Vec<u8>> {
        vec(vec(any::<u8>(), 1..=63), 0..=127).prop_map(|labels| {
            let mut name = Vec::new();
            for label in labels {
                if name.len() + 1 + label.len() < 255 {
                    name.push(label.len() as u8);
                    name.extend(label);
                }
            }
            name.push(0);
            name
        })
    }

    proptest! {
        #[test]
        fn text_leads_back_to_the_name(name in names()) {
            let lower = name.to_ascii_lowercase();
            prop_assert_eq!(parse(&text(&name)), Ok(lower));
        }

        #[test]
        fn text_is_graphic_ascii_whatever_the_octets(octets in vec(any::<u8>(), 0..300)) {
            let text = text(&octets);
            prop_assert!(text.bytes().all(|octet| octet.is_ascii_graphic()));
            let read: usize = labels(&octets).map(|label| 1 + label.len()).sum();
            prop_assert!(read <= octets.len());
            let dsc = dsc_text(&octets);
            prop_assert!(!dsc.is_empty() && dsc.len() <= read.max(1));
            prop_assert!(!dsc.contains(&0) && !dsc.contains(&b'\n'));
        }

        #[test]
        fn any_text_is_read_without_panic(text in "\\PC{0,80}") {
            if let Ok(name) = parse(&text) {
                prop_assert!(name.len() <= 255 && name.ends_with(&[0]));
            }
        }
    }
}
