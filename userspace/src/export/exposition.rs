//! The two texts Prometheus and its relatives read, and the choice between
//! them.
//!
//! prometheus-client writes OpenMetrics 1.0 only. A scraper that did not ask
//! for OpenMetrics must not get it: Prometheus marks the target down, and
//! VictoriaMetrics and `promtool check metrics` know the classic format alone.
//! So the registry is encoded once, as OpenMetrics, and translated line by line
//! where the classic text is wanted.

use super::accept::{Preference, Quality, preferences};

/// A text format of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exposition {
    /// OpenMetrics 1.0.
    OpenMetrics,
    /// Prometheus's classic text format, 0.0.4.
    Text,
}

/// How narrowly a media range names a format; the narrower range decides
/// (RFC 9110, section 12.5.1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Specificity {
    Any,
    Type,
    Exact,
}

impl Exposition {
    /// The format to answer with, given the request's `Accept`. OpenMetrics has
    /// to be asked for; whoever asks for nothing we have gets the classic text.
    pub fn negotiate(accept: Option<&str>) -> Self {
        let mut openmetrics = None;
        let mut text = None;
        for preference in preferences(accept.unwrap_or_default()) {
            openmetrics = openmetrics.max(Self::OpenMetrics.wanted_by(&preference));
            text = text.max(Self::Text.wanted_by(&preference));
        }
        match (openmetrics, text) {
            (Some((_, quality)), None) if quality.is_acceptable() => Self::OpenMetrics,
            (Some((_, quality)), Some((_, other)))
                if quality.is_acceptable() && quality >= other =>
            {
                Self::OpenMetrics
            }
            _ => Self::Text,
        }
    }

    /// The `Content-Type` of the answer.
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
        }
    }

    fn wanted_by(self, preference: &Preference<'_>) -> Option<(Specificity, Quality)> {
        let range = preference.value.to_ascii_lowercase();
        let version = preference.parameter("version");
        let specificity = match (self, range.as_str()) {
            (Self::OpenMetrics, "application/openmetrics-text") => {
                matches!(version, None | Some("1.0.0" | "0.0.1")).then_some(Specificity::Exact)
            }
            (Self::Text, "text/plain") => {
                matches!(version, None | Some("0.0.4")).then_some(Specificity::Exact)
            }
            (Self::OpenMetrics, "application/*") | (Self::Text, "text/*") => {
                Some(Specificity::Type)
            }
            (Self::Text, "*/*") => Some(Specificity::Any),
            _ => None,
        };
        specificity.map(|specificity| (specificity, preference.quality))
    }
}

/// Translates OpenMetrics 1.0 into the classic text format 0.0.4.
///
/// What the classic format cannot say is left out (units, exemplars, creation
/// times) or said in its nearest words (`info` is a gauge, `unknown` is
/// `untyped`). A line that is not OpenMetrics is passed through: the scraper
/// shall complain about it rather than miss it.
pub fn to_classic_text(openmetrics: &str) -> String {
    let mut translation = Translation {
        text: String::with_capacity(openmetrics.len()),
        family: Family {
            name: "",
            kind: Kind::Unknown,
        },
        help: None,
    };
    for line in openmetrics.split_terminator('\n') {
        translation.line(line);
    }
    translation.flush_help();
    translation.text
}

/// A metric's type in OpenMetrics.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Counter,
    Gauge,
    GaugeHistogram,
    Histogram,
    Info,
    StateSet,
    Summary,
    Unknown,
}

impl Kind {
    fn parse(keyword: &str) -> Self {
        match keyword {
            "counter" => Self::Counter,
            "gauge" => Self::Gauge,
            "gaugehistogram" => Self::GaugeHistogram,
            "histogram" => Self::Histogram,
            "info" => Self::Info,
            "stateset" => Self::StateSet,
            "summary" => Self::Summary,
            _ => Self::Unknown,
        }
    }

    /// What OpenMetrics appends to the family's name in its samples. The classic
    /// format has no families apart from their samples' names.
    const fn sample_suffix(self) -> &'static str {
        match self {
            Self::Counter => "_total",
            Self::Info => "_info",
            Self::Gauge
            | Self::GaugeHistogram
            | Self::Histogram
            | Self::StateSet
            | Self::Summary
            | Self::Unknown => "",
        }
    }

    const fn classic_keyword(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge | Self::Info | Self::StateSet => "gauge",
            Self::Histogram => "histogram",
            Self::Summary => "summary",
            Self::GaugeHistogram | Self::Unknown => "untyped",
        }
    }

    const fn has_creation_time(self) -> bool {
        match self {
            Self::Counter | Self::GaugeHistogram | Self::Histogram | Self::Summary => true,
            Self::Gauge | Self::Info | Self::StateSet | Self::Unknown => false,
        }
    }
}

/// The metric family whose lines are being read.
struct Family<'a> {
    name: &'a str,
    kind: Kind,
}

impl Family<'_> {
    fn is_creation_time(&self, sample: &str) -> bool {
        self.kind.has_creation_time() && sample.strip_suffix("_created") == Some(self.name)
    }
}

struct Translation<'a> {
    text: String,
    family: Family<'a>,
    /// A family's name and help, held back until its type tells the name its
    /// samples go by.
    help: Option<(&'a str, &'a str)>,
}

impl<'a> Translation<'a> {
    fn line(&mut self, line: &'a str) {
        match line.strip_prefix('#') {
            Some(descriptor) => self.descriptor(descriptor.trim_start_matches(' ')),
            None if line.is_empty() => {}
            None => self.sample(line),
        }
    }

    fn descriptor(&mut self, descriptor: &'a str) {
        let mut words = descriptor.splitn(3, ' ');
        match (words.next(), words.next(), words.next()) {
            (Some("HELP"), Some(name), help) => self.help(name, help.unwrap_or_default()),
            (Some("TYPE"), Some(name), Some(keyword)) => self.kind(name, Kind::parse(keyword)),
            // `# UNIT` and `# EOF`.
            _ => {}
        }
    }

    fn help(&mut self, name: &'a str, help: &'a str) {
        self.flush_help();
        if self.family.name == name {
            self.write_help(name, self.family.kind, help);
        } else {
            self.help = Some((name, help));
        }
    }

    fn kind(&mut self, name: &'a str, kind: Kind) {
        match self.help.take_if(|(described, _)| *described == name) {
            Some((_, help)) => self.write_help(name, kind, help),
            None => self.flush_help(),
        }
        self.family = Family { name, kind };
        let words = [
            "# TYPE ",
            name,
            kind.sample_suffix(),
            " ",
            kind.classic_keyword(),
            "\n",
        ];
        self.text.extend(words);
    }

    fn flush_help(&mut self) {
        if let Some((name, help)) = self.help.take() {
            self.write_help(name, Kind::Unknown, help);
        }
    }

    fn write_help(&mut self, name: &str, kind: Kind, help: &str) {
        self.text
            .extend(["# HELP ", name, kind.sample_suffix(), " "]);
        push_classic_help(&mut self.text, help);
        self.text.push('\n');
    }

    fn sample(&mut self, line: &str) {
        self.flush_help();
        let Some(sample) = Sample::parse(line) else {
            self.text.extend([line, "\n"]);
            return;
        };
        if self.family.is_creation_time(sample.name()) {
            return;
        }
        self.text
            .extend([sample.series, " ", classic_value(sample.value)]);
        if let Some(milliseconds) = sample.timestamp.and_then(milliseconds) {
            self.text.extend([" ", &milliseconds.to_string()]);
        }
        self.text.push('\n');
    }
}

/// A sample's line without its exemplar.
struct Sample<'a> {
    /// Name and labels, the same in both formats.
    series: &'a str,
    value: &'a str,
    timestamp: Option<&'a str>,
}

impl<'a> Sample<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (series, rest) = line.split_at(series_end(line)?);
        let (numbers, _exemplar) = rest.split_once(" # ").unwrap_or((rest, ""));
        let mut numbers = numbers.split_ascii_whitespace();
        Some(Self {
            series,
            value: numbers.next()?,
            timestamp: numbers.next(),
        })
    }

    fn name(&self) -> &'a str {
        self.series
            .split_once('{')
            .map_or(self.series, |(name, _)| name)
    }
}

/// Where name and labels end. Label values may hold any of `{}"#` and spaces;
/// only a quote that no backslash precedes ends a value.
fn series_end(line: &str) -> Option<usize> {
    let name_end = line.find(['{', ' '])?;
    if line[name_end..].starts_with(' ') {
        return Some(name_end);
    }
    let mut quoted = false;
    let mut escaped = false;
    for (at, byte) in line.bytes().enumerate().skip(name_end + 1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'}' if !quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// OpenMetrics takes infinities in any case, and prometheus-client writes them
/// small; the classic format names `+Inf` and `-Inf`.
fn classic_value(value: &str) -> &str {
    match value {
        "inf" => "+Inf",
        "-inf" => "-Inf",
        finite => finite,
    }
}

/// OpenMetrics has seconds with a fraction, the classic format whole
/// milliseconds.
fn milliseconds(seconds: &str) -> Option<i64> {
    let seconds: f64 = seconds.parse().ok()?;
    seconds
        .is_finite()
        .then_some((seconds * 1000.0).round() as i64)
}

/// OpenMetrics escapes quotes in help texts, the classic format knows `\\` and
/// `\n` only and rejects every other backslash.
fn push_classic_help(text: &mut String, help: &str) {
    let mut characters = help.chars();
    while let Some(character) = characters.next() {
        if character != '\\' {
            text.push(character);
            continue;
        }
        match characters.next() {
            Some('n') => text.push_str(r"\n"),
            Some('\\') | None => text.push_str(r"\\"),
            Some('"') => text.push('"'),
            Some(other) => text.extend(['\\', '\\', other]),
        }
    }
}

#[cfg(test)]
mod tests;
