//! POSIX extended regular expressions, which DSC's `qname_filter` takes, for
//! the crate `regex`, whose syntax differs.
//!
//! The expression is written anew, piece by piece: within brackets a backslash
//! is itself in POSIX, `{` is itself where it opens no repetition, and what
//! means something to the crate alone must not. Not supported, and refused:
//! back-references, collating elements `[.a.]`, equivalence classes `[=a=]`,
//! two repetitions in a row (to the crate, `a+?` means something else), and a
//! backslash before a letter or digit that glibc gives no meaning to.
//!
//! Letters match in both cases. Classes are those of ASCII: names are octets.

use std::iter::Peekable;
use std::str::Chars;

use regex::bytes::{Regex, RegexBuilder};

/// Octets of the compiled expression: they bound its memory, not its speed,
/// which is linear in the name.
const SIZE_LIMIT: usize = 1 << 20;

/// The POSIX character classes.
const CLASSES: [&str; 12] = [
    "alnum", "alpha", "blank", "cntrl", "digit", "graph", "lower", "print", "punct", "space",
    "upper", "xdigit",
];

/// The expression, ready to be searched for in a name.
///
/// # Errors
/// What is wrong with the expression, as the predicate of a sentence.
pub(super) fn compile(expression: &str) -> Result<Regex, String> {
    let translated = Translation::of(expression)?;
    RegexBuilder::new(&translated)
        .case_insensitive(true)
        .dot_matches_new_line(true)
        .unicode(false)
        .size_limit(SIZE_LIMIT)
        .dfa_size_limit(SIZE_LIMIT)
        .build()
        .map_err(|error| reason(&error))
}

fn reason(error: &regex::Error) -> String {
    if matches!(error, regex::Error::CompiledTooBig(_)) {
        return "becomes too big".to_owned();
    }
    // The crate draws a picture; its last line says what is wrong.
    let text = error.to_string();
    let last = text.lines().next_back().unwrap_or_default();
    format!("cannot be used: {}", last.trim_start_matches("error: "))
}

struct Translation<'a> {
    input: Peekable<Chars<'a>>,
    output: String,
    /// Whether the last piece was a repetition.
    repeated: bool,
}

impl<'a> Translation<'a> {
    fn of(expression: &'a str) -> Result<String, String> {
        let mut translation = Self {
            input: expression.chars().peekable(),
            output: String::with_capacity(expression.len() * 2),
            repeated: false,
        };
        while let Some(c) = translation.input.next() {
            translation.piece(c)?;
        }
        Ok(translation.output)
    }

    fn piece(&mut self, c: char) -> Result<(), String> {
        match c {
            '*' | '+' | '?' => return self.repetition(c.to_string()),
            '{' => {
                if let Some(bounds) = self.bounds() {
                    return self.repetition(bounds);
                }
                self.literal(c);
            }
            '\\' => self.escape()?,
            '[' => self.bracket()?,
            '.' | '^' | '$' | '(' | ')' | '|' => self.output.push(c),
            _ => self.literal(c),
        }
        self.repeated = false;
        Ok(())
    }

    fn repetition(&mut self, repetition: String) -> Result<(), String> {
        if self.repeated {
            return Err("repeats a repetition".to_owned());
        }
        // What the crate would read as flags, `(?`, is no repetition of ours.
        if self.output.ends_with('(') && !self.output.ends_with("\\(") {
            return Err("has a repetition of nothing".to_owned());
        }
        self.output.push_str(&repetition);
        self.repeated = true;
        Ok(())
    }

    /// The bounds of a repetition, with its braces; `None`, and nothing is
    /// read, when the brace opens none.
    fn bounds(&mut self) -> Option<String> {
        let mut ahead = self.input.clone();
        let inside: String = ahead.by_ref().take_while(|c| *c != '}').collect();
        let (least, most) = inside.split_once(',').unwrap_or((&inside, &inside));
        let is_number = |text: &str| text.bytes().all(|octet| octet.is_ascii_digit());
        if !is_number(least) || !is_number(most) || inside.is_empty() || inside == "," {
            return None;
        }
        self.input.clone().find(|c| *c == '}')?;
        self.input = ahead;
        let least = if least.is_empty() { "0" } else { least };
        Some(format!("{{{least},{most}}}"))
    }

    fn escape(&mut self) -> Result<(), String> {
        let Some(c) = self.input.next() else {
            return Err("ends in a backslash".to_owned());
        };
        match c {
            '<' => self.output.push_str(r"\b{start}"),
            '>' => self.output.push_str(r"\b{end}"),
            '`' => self.output.push_str(r"\A"),
            '\'' => self.output.push_str(r"\z"),
            'b' | 'B' | 'w' | 'W' | 's' | 'S' => self.output.extend(['\\', c]),
            '1'..='9' => return Err("has a back-reference".to_owned()),
            _ if c.is_ascii_alphanumeric() => {
                return Err(format!("has `\\{c}`, which means nothing"));
            }
            _ => self.literal(c),
        }
        Ok(())
    }

    fn bracket(&mut self) -> Result<(), String> {
        self.output.push('[');
        if self.input.next_if_eq(&'^').is_some() {
            self.output.push('^');
        }
        let mut first = true;
        loop {
            match self.input.next() {
                None => return Err("has a `[` without an end".to_owned()),
                Some(']') if !first => break,
                Some('[') if self.input.peek() == Some(&':') => self.class()?,
                Some('[') if matches!(self.input.peek(), Some('.' | '=')) => {
                    return Err("has a collating element or equivalence class".to_owned());
                }
                Some(c) => self.range(c)?,
            }
            first = false;
        }
        self.output.push(']');
        Ok(())
    }

    /// `[:name:]`, of which the bracket is read.
    fn class(&mut self) -> Result<(), String> {
        self.input.next();
        let name: String = self.input.by_ref().take_while(|c| *c != ':').collect();
        let ended = self.input.next() == Some(']');
        if !ended || !CLASSES.contains(&name.as_str()) {
            return Err("has an unknown character class".to_owned());
        }
        self.output.push_str(&format!("[:{name}:]"));
        Ok(())
    }

    /// A character within brackets, or the range that it begins.
    fn range(&mut self, start: char) -> Result<(), String> {
        self.literal(start);
        let mut ahead = self.input.clone();
        let ends = (ahead.next(), ahead.next());
        let (Some('-'), Some(end)) = ends else {
            return Ok(());
        };
        if end == ']' {
            return Ok(());
        }
        if end < start || (end == '[' && matches!(ahead.peek(), Some('.' | '=' | ':'))) {
            return Err("has a range that ends before it begins".to_owned());
        }
        self.input = ahead;
        self.output.push('-');
        self.literal(end);
        Ok(())
    }

    fn literal(&mut self, c: char) {
        // The crate has no syntax for a backslash before a letter.
        if c.is_ascii_punctuation() {
            self.output.push('\\');
        }
        self.output.push(c);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_match_as_in_posix() {
        // Expected by IEEE 1003.1, chapter 9, or grep -E where it leaves open.
        for (expression, matching, other) in [
            (r"^www\.", "www.example", "wwwx.example"),
            (r"^WWW\.", "www.example", "xwww.example"),
            (r"(^|\.)example$", "a.example", "anexample"),
            (r"[\.]", r"a\b", "ab"),
            (r"[]x]", "a]b", "ab"),
            (r"[^]a]", "b", "]a"),
            (r"[a-]", "-", "b"),
            (r"[a&&b]", "&", "c"),
            (r"[a[b]", "[", "c"),
            (r"^[[:digit:]-]+$", "1-2", "1-a"),
            (r"a{2}", "aa", "ab"),
            (r"^a{,2}$", "aa", "aaa"),
            (r"^a{2,}$", "aaa", "a"),
            (r"a{x", "a{x", "ax"),
            (r"a}", "a}", "a"),
            (r"^a.b$", "a\nb", "ab"),
            (r"\<com\>", "a.com", "a.xcom"),
            (r"a\{2", "a{2", "aa"),
            (r"a#b ~c", "a#b ~c", "ab"),
            (r"\-\_", "-_", "-"),
            (r"(a|b){2}c", "abc", "ac"),
            ("", "anything", "\u{0}never\u{0}"),
        ] {
            let regex = compile(expression).unwrap_or_else(|error| panic!("{expression}: {error}"));
            assert!(regex.is_match(matching.as_bytes()), "{expression}");
            if !expression.is_empty() {
                assert!(!regex.is_match(other.as_bytes()), "{expression}");
            }
        }
    }

    #[test]
    fn what_is_not_supported_is_refused() {
        for (expression, complaint) in [
            (r"(a)\1", "has a back-reference"),
            (r"[[.a.]]", "has a collating element or equivalence class"),
            (r"[[=a=]]", "has a collating element or equivalence class"),
            (r"[[:dns:]]", "has an unknown character class"),
            (r"a+?", "repeats a repetition"),
            (r"(?i)a", "has a repetition of nothing"),
            (r"\d", r"has `\d`, which means nothing"),
            (r"a\", "ends in a backslash"),
            (r"[a", "has a `[` without an end"),
            (r"[b-a]", "has a range that ends before it begins"),
            (r"((a{999}){999}){999}", "becomes too big"),
        ] {
            assert_eq!(
                compile(expression).map(|_| ()),
                Err(complaint.to_owned()),
                "{expression}"
            );
        }
        for expression in ["(a", "a)", "*a", "a{2,1}", "[é]"] {
            let complaint = compile(expression).expect_err(expression);
            assert!(complaint.starts_with("cannot be used: "), "{complaint}");
        }
    }

    proptest::proptest! {
        #[test]
        fn no_text_is_a_panic(expression in ".*") {
            let _ = compile(&expression);
        }
    }
}
