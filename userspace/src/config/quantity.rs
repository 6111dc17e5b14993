//! Durations and sizes as text: `"500us"`, `"20ms"`, `"5s"`; `"64 KiB"`,
//! `"16 MiB"`.

use std::time::Duration;

pub(super) const KIB: u64 = 1024;
pub(super) const MIB: u64 = 1024 * KIB;

/// Units in microseconds, the largest first.
const DURATION_UNITS: [(&str, u64); 3] = [("s", 1_000_000), ("ms", 1_000), ("us", 1)];

/// Units in bytes, the largest first.
const SIZE_UNITS: [(&str, u64); 2] = [("MiB", MIB), ("KiB", KIB)];

pub(super) fn parse_duration(text: &str) -> Option<Duration> {
    parse(text, &DURATION_UNITS).map(Duration::from_micros)
}

pub(super) fn parse_size(text: &str) -> Option<u64> {
    parse(text, &SIZE_UNITS)
}

/// The duration in the largest unit that gives a whole number.
pub(super) fn duration_text(duration: Duration) -> String {
    let micros = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
    match largest_unit(micros, &DURATION_UNITS) {
        Some((unit, count)) => format!("{count}{unit}"),
        None => "0s".to_owned(),
    }
}

/// The size in the largest unit that gives a whole number.
pub(super) fn size_text(bytes: u64) -> String {
    match largest_unit(bytes, &SIZE_UNITS) {
        Some((unit, count)) => format!("{count} {unit}"),
        None => bytes.to_string(),
    }
}

fn parse(text: &str, units: &[(&str, u64)]) -> Option<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let (count, unit) = text.split_at(digits);
    let (_, factor) = units.iter().find(|(name, _)| *name == unit.trim_start())?;
    count.parse::<u64>().ok()?.checked_mul(*factor)
}

fn largest_unit<'a>(value: u64, units: &[(&'a str, u64)]) -> Option<(&'a str, u64)> {
    units
        .iter()
        .find(|(_, factor)| value != 0 && value.is_multiple_of(*factor))
        .map(|(unit, factor)| (*unit, value / factor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_a_whole_number_and_a_unit() {
        for (text, micros) in [
            ("500us", Some(500)),
            ("20ms", Some(20_000)),
            ("20 ms", Some(20_000)),
            ("5s", Some(5_000_000)),
            ("18446744073709551615us", Some(u64::MAX)),
            ("18446744073709551615s", None),
            ("5", None),
            ("s", None),
            ("", None),
            ("-5s", None),
            ("0.5s", None),
            ("5S", None),
            ("5s ", None),
            ("5 minutes", None),
        ] {
            let expected = micros.map(Duration::from_micros);
            assert_eq!(parse_duration(text), expected, "{text:?}");
        }
    }

    #[test]
    fn sizes_have_binary_units() {
        for (text, bytes) in [
            ("64 KiB", Some(65_536)),
            ("16MiB", Some(16_777_216)),
            ("16 MB", None),
            ("16M", None),
            ("1048576", None),
            ("99999999999999 MiB", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text:?}");
        }
    }

    #[test]
    fn text_has_the_largest_unit_that_is_exact() {
        assert_eq!(duration_text(Duration::from_micros(500)), "500us");
        assert_eq!(duration_text(Duration::from_micros(1_500_000)), "1500ms");
        assert_eq!(duration_text(Duration::from_secs(60)), "60s");
        assert_eq!(duration_text(Duration::ZERO), "0s");
        assert_eq!(size_text(MIB + KIB), "1025 KiB");
        assert_eq!(size_text(MIB + 1), "1048577");
        assert_eq!(size_text(0), "0");
    }
}
