//! Numbers as people read them: three digits that count, and a unit.

/// So many: `7`, `999`, `1.23 k`, `45.6 M`.
pub(super) fn count(value: u64) -> String {
    // Three digits of it are shown.
    match scaled(value as f64) {
        (_, "") => value.to_string(),
        (scaled, prefix) => format!("{}{prefix}", digits(scaled)),
    }
}

/// So many per second.
pub(super) fn rate(value: f64) -> String {
    let (scaled, prefix) = scaled(value);
    match prefix {
        "" => format!("{} /s", digits(scaled)),
        prefix => format!("{}{prefix}/s", digits(scaled)),
    }
}

/// Octets per second as bits per second.
pub(super) fn bits(octets: f64) -> String {
    let (scaled, prefix) = scaled(octets * 8.0);
    let gap = if prefix.is_empty() { " " } else { "" };
    format!("{}{gap}{prefix}bit/s", digits(scaled))
}

/// A duration in seconds.
pub(super) fn seconds(value: f64) -> String {
    match value {
        0.0 => "0 ms".to_owned(),
        value if value < 1e-3 => format!("{} µs", digits(value * 1e6)),
        value if value < 1.0 => format!("{} ms", digits(value * 1e3)),
        value => format!("{} s", digits(value)),
    }
}

/// A part of a whole, in per cent; none of nothing.
pub(super) fn share(part: f64, whole: f64) -> Option<String> {
    (whole > 0.0).then(|| format!("{:.1} %", 100.0 * part / whole))
}

/// A long time: `3 d 4 h`, `5 min`.
pub(super) fn uptime(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, minutes) => format!("{minutes} min"),
        (0, hours, minutes) => format!("{hours} h {} min", minutes % 60),
        (days, hours, _) => format!("{days} d {} h", hours % 24),
    }
}

/// Where rounding to three digits would make 1000 of it, the next prefix begins.
const NEXT: f64 = 999.5;

fn scaled(value: f64) -> (f64, &'static str) {
    let mut value = value;
    for prefix in ["", " k", " M", " G"] {
        if value.abs() < NEXT {
            return (value, prefix);
        }
        value /= 1e3;
    }
    (value, " T")
}

fn digits(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 9.995 => format!("{value:.2}"),
        size if size < 99.95 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_digits_count() {
        for (value, text) in [
            (0.0, "0 /s"),
            (0.25, "0.25 /s"),
            (9.996, "10.0 /s"),
            (99.96, "100 /s"),
            (999.4, "999 /s"),
            (999.6, "1.00 k/s"),
            (12_345.0, "12.3 k/s"),
            (999_600.0, "1.00 M/s"),
            (2.5e9, "2.50 G/s"),
            (7.25e13, "72.5 T/s"),
        ] {
            assert_eq!(rate(value), text);
        }
        for (value, text) in [
            (0, "0"),
            (9, "9"),
            (999, "999"),
            (1000, "1.00 k"),
            (45_600_000, "45.6 M"),
        ] {
            assert_eq!(count(value), text);
        }
    }

    #[test]
    fn octets_become_bits() {
        assert_eq!(bits(0.0), "0 bit/s");
        assert_eq!(bits(1e6), "8.00 Mbit/s");
    }

    #[test]
    fn durations_have_a_fitting_unit() {
        for (value, text) in [
            (0.0, "0 ms"),
            (0.000_042, "42.0 µs"),
            (0.0042, "4.20 ms"),
            (0.5, "500 ms"),
            (4.25, "4.25 s"),
        ] {
            assert_eq!(seconds(value), text);
        }
        for (value, text) in [
            (59, "59 s"),
            (3599, "59 min"),
            (3660, "1 h 1 min"),
            (90_000, "1 d 1 h"),
        ] {
            assert_eq!(uptime(value), text);
        }
    }

    #[test]
    fn shares_are_of_something() {
        assert_eq!(share(1.0, 8.0).as_deref(), Some("12.5 %"));
        assert_eq!(share(0.0, 0.0), None);
    }
}
