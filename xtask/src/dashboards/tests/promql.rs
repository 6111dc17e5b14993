//! As much of PromQL as the checks need: selectors with their matchers and ranges,
//! and what is summed up by which labels.
//!
//! Whether a query is right as a whole is up to Prometheus, which is asked all of
//! them in the tests of `integration-tests`.

/// The series that a query takes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Selector {
    pub(super) metric: String,
    /// Label, operator, and value without quotes.
    pub(super) matchers: Vec<(String, String, String)>,
    pub(super) range: Option<String>,
    /// The function that it is in.
    pub(super) function: String,
    /// Labels that it is summed up by, here and around.
    pub(super) by: Vec<String>,
}

impl Selector {
    pub(super) fn has(&self, label: &str, operator: &str, value: &str) -> bool {
        let wanted = [label, operator, value].map(str::to_owned);
        self.matchers.contains(&wanted.into())
    }
}

/// All selectors of a query.
pub(super) fn selectors(query: &str) -> Vec<Selector> {
    let tokens = tokens(query);
    let mut reader = Reader {
        tokens: &tokens,
        at: 0,
        found: Vec::new(),
    };
    reader.expression("", &[]);
    assert_eq!(reader.at, tokens.len(), "a bracket too many: {query}");
    reader.found
}

/// Words, texts in quotes, operators, brackets.
fn tokens(query: &str) -> Vec<String> {
    let mut tokens: Vec<String> = Vec::new();
    let mut letters = query.chars().peekable();
    while let Some(letter) = letters.next() {
        let mut token = letter.to_string();
        if letter == '"' {
            while let Some(letter) = letters.next() {
                token.push(letter);
                match letter {
                    '\\' => token.extend(letters.next()),
                    '"' => break,
                    _ => {}
                }
            }
        } else if is_word(letter) {
            while let Some(letter) = letters.next_if(|letter| is_word(*letter)) {
                token.push(letter);
            }
        } else if "=!<>~".contains(letter) {
            token.extend(letters.next_if(|next| "=~".contains(*next)));
        } else if letter.is_whitespace() {
            continue;
        }
        tokens.push(token);
    }
    tokens
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || "_:$.".contains(letter)
}

struct Reader<'a> {
    tokens: &'a [String],
    at: usize,
    found: Vec<Selector>,
}

/// Words that are neither metrics nor functions.
const KEYWORDS: [&str; 8] = [
    "and", "or", "unless", "bool", "offset", "end", "start", "inf",
];
/// What has a list of labels after it.
const LISTS: [&str; 6] = [
    "by",
    "without",
    "on",
    "ignoring",
    "group_left",
    "group_right",
];

impl Reader<'_> {
    fn peek(&self) -> &str {
        self.tokens.get(self.at).map_or("", String::as_str)
    }

    fn next(&mut self) -> String {
        let token = self.peek().to_owned();
        self.at += 1;
        token
    }

    /// Up to the bracket that closes it.
    fn expression(&mut self, function: &str, by: &[String]) {
        let mut last = String::new();
        let mut around = by.to_vec();
        loop {
            match self.peek() {
                "" | ")" => return,
                "(" => {
                    self.next();
                    self.expression(&last, &around);
                    assert_eq!(self.next(), ")");
                    (last, around) = (String::new(), by.to_vec());
                }
                word if LISTS.contains(&word) => {
                    let is_by = self.next() == "by";
                    let labels = self.labels();
                    if is_by {
                        around.extend(labels);
                    }
                }
                word if word.starts_with(|c: char| c.is_alphabetic() || c == '_') => {
                    last = self.word(function, by);
                }
                _ => drop(self.next()),
            }
        }
    }

    /// A metric, or the name of a function.
    fn word(&mut self, function: &str, by: &[String]) -> String {
        let word = self.next();
        if self.peek() == "{" {
            self.selector(word, function, by);
            return String::new();
        }
        let is_called = self.peek() == "(" || LISTS.contains(&self.peek());
        assert!(
            is_called || KEYWORDS.contains(&word.as_str()),
            "a metric without matchers: {word}"
        );
        word
    }

    fn selector(&mut self, metric: String, function: &str, by: &[String]) {
        let mut selector = Selector {
            metric,
            function: function.to_owned(),
            by: by.to_vec(),
            ..Selector::default()
        };
        assert_eq!(self.next(), "{");
        while self.peek() != "}" {
            let (label, operator, value) = (self.next(), self.next(), self.next());
            let value = value.trim_matches('"').to_owned();
            selector.matchers.push((label, operator, value));
            if self.peek() == "," {
                self.next();
            }
        }
        self.next();
        if self.peek() == "[" {
            self.next();
            selector.range = Some(self.next());
            assert_eq!(self.next(), "]");
        }
        self.found.push(selector);
    }

    fn labels(&mut self) -> Vec<String> {
        assert_eq!(self.next(), "(");
        let mut labels = Vec::new();
        while self.peek() != ")" {
            labels.push(self.next());
            if self.peek() == "," {
                self.next();
            }
        }
        self.next();
        labels
    }
}

#[test]
fn selectors_are_found_with_what_is_around_them() {
    let query = r#"topk(5, sum by (a, b) (rate(x_total{c=~"d|\"}",e!="f"}[$__rate_interval] offset 1d))) / on (a) (y{} > bool 0)"#;
    let of = |label: &str, operator: &str, value: &str| {
        (label.to_owned(), operator.to_owned(), value.to_owned())
    };
    let expected = [
        Selector {
            metric: "x_total".to_owned(),
            matchers: vec![of("c", "=~", r#"d|\"}"#), of("e", "!=", "f")],
            range: Some("$__rate_interval".to_owned()),
            function: "rate".to_owned(),
            by: vec!["a".to_owned(), "b".to_owned()],
        },
        Selector {
            metric: "y".to_owned(),
            ..Selector::default()
        },
    ];
    assert_eq!(selectors(query), expected);
}

#[test]
#[should_panic(expected = "a metric without matchers: up")]
fn a_metric_without_matchers_is_not_overlooked() {
    selectors("sum(up)");
}
