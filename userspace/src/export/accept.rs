//! Weighted lists as `Accept` and `Accept-Encoding` carry them (RFC 9110,
//! section 12.4.2).
//!
//! An element that is not well-formed is passed over: a client that sends one
//! gets what it would get without it, never an error instead of its metrics.

/// How much the client wants an element, in thousandths.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Quality(u16);

/// One element: a media range or a content coding, and its parameters.
#[derive(Debug)]
pub(super) struct Preference<'a> {
    pub(super) value: &'a str,
    pub(super) quality: Quality,
    parameters: &'a str,
}

/// Whether the client takes gzip, by `Accept-Encoding`.
pub(crate) fn accepts_gzip(accept_encoding: &str) -> bool {
    preferences(accept_encoding)
        .any(|coding| coding.value.eq_ignore_ascii_case("gzip") && coding.quality.is_acceptable())
}

pub(super) fn preferences(header: &str) -> impl Iterator<Item = Preference<'_>> {
    header.split(',').filter_map(Preference::parse)
}

impl<'a> Preference<'a> {
    fn parse(element: &'a str) -> Option<Self> {
        let (value, parameters) = element.split_once(';').unwrap_or((element, ""));
        let quality =
            find_parameter(parameters, "q").map_or(Some(Quality::FULL), Quality::parse)?;
        Some(Self {
            value: value.trim(),
            quality,
            parameters,
        })
    }

    pub(super) fn parameter(&self, name: &str) -> Option<&'a str> {
        find_parameter(self.parameters, name)
    }
}

impl Quality {
    /// "If no "q" parameter is present, the default weight is 1."
    const FULL: Self = Self(1000);

    /// "a value of 0 means "not acceptable""
    pub(super) fn is_acceptable(self) -> bool {
        self > Self(0)
    }

    fn parse(text: &str) -> Option<Self> {
        let weight: f32 = text.parse().ok()?;
        // The range excludes NaN as well.
        (0.0..=1.0)
            .contains(&weight)
            .then_some(Self((weight * 1000.0).round() as u16))
    }
}

fn find_parameter<'a>(parameters: &'a str, name: &str) -> Option<&'a str> {
    parameters
        .split(';')
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(key, _)| key.trim().eq_ignore_ascii_case(name))
        .map(|(_, value)| value.trim().trim_matches('"'))
}

#[cfg(test)]
mod tests {
    use super::accepts_gzip;

    #[test]
    fn gzip_is_used_only_where_it_is_welcome() {
        let cases = [
            ("gzip", true),
            ("GZIP", true),
            ("deflate, gzip;q=0.5", true),
            ("gzip ; q=1.0, *;q=0", true),
            ("", false),
            ("identity", false),
            ("br", false),
            ("gzip;q=0", false),
            ("gzip;q=0.000", false),
            ("gzip;q=two", false),
            ("gzip;q=NaN", false),
            ("gzip;q=7", false),
            ("gzipped", false),
            (",,;;=", false),
        ];
        for (header, expected) in cases {
            assert_eq!(accepts_gzip(header), expected, "Accept-Encoding: {header}");
        }
    }
}
