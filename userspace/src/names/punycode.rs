//! Punycode, from Unicode to ASCII only (RFC 3492, section 6.3): lists of
//! suffixes and zones are written by people, the wire knows A-labels alone.
//!
//! Deliberately absent: normalisation (NFC) and the tables of what a label may
//! contain (RFC 5892), which weigh more than all else here. Who writes a list
//! writes names that exist.

const BASE: u32 = 36;
const T_MIN: u32 = 1;
const T_MAX: u32 = 26;
const SKEW: u32 = 38;
const DAMP: u32 = 700;
const INITIAL_BIAS: u32 = 72;
const INITIAL_N: u32 = 0x80;

/// The label in lower case, as an A-label where it has other characters than
/// ASCII; `None` where it is too long for numbers of 32 bits.
#[must_use]
pub fn to_a_label(label: &str) -> Option<String> {
    let label = label.to_lowercase();
    if label.is_ascii() {
        return Some(label);
    }
    let characters: Vec<u32> = label.chars().map(u32::from).collect();
    let mut encoded = "xn--".to_owned();
    encoded.extend(label.chars().filter(char::is_ascii));
    let basic = u32::try_from(encoded.len()).ok()?.checked_sub(4)?;
    if basic > 0 {
        encoded.push('-');
    }
    encode(&characters, basic, &mut encoded)?;
    Some(encoded)
}

/// Appends where which of the characters beyond ASCII are to be inserted.
fn encode(characters: &[u32], basic: u32, to: &mut String) -> Option<()> {
    let mut n = INITIAL_N;
    let mut delta = 0_u32;
    let mut bias = INITIAL_BIAS;
    let mut handled = basic;
    while let Some(next) = characters.iter().copied().filter(|one| *one >= n).min() {
        delta = delta.checked_add((next - n).checked_mul(handled + 1)?)?;
        n = next;
        for character in characters {
            if *character < n {
                delta = delta.checked_add(1)?;
            } else if *character == n {
                push_number(delta, bias, to);
                bias = adapt(delta, handled + 1, handled == basic);
                delta = 0;
                handled += 1;
            }
        }
        delta = delta.checked_add(1)?;
        n += 1;
    }
    Some(())
}

/// Appends a number in digits whose weight depends on the bias.
fn push_number(number: u32, bias: u32, to: &mut String) {
    let mut rest = number;
    let mut k = BASE;
    loop {
        let threshold = k.saturating_sub(bias).clamp(T_MIN, T_MAX);
        if rest < threshold {
            to.push(digit(rest));
            return;
        }
        to.push(digit(threshold + (rest - threshold) % (BASE - threshold)));
        rest = (rest - threshold) / (BASE - threshold);
        k += BASE;
    }
}

/// 0 to 25 are letters, 26 to 35 the figures.
fn digit(value: u32) -> char {
    let octet = match value as u8 {
        letter @ 0..=25 => b'a' + letter,
        figure => b'0' + figure - 26,
    };
    char::from(octet)
}

/// RFC 3492, section 6.1.
fn adapt(delta: u32, handled: u32, first: bool) -> u32 {
    let mut delta = delta / if first { DAMP } else { 2 };
    delta += delta / handled;
    let mut k = 0;
    while delta > (BASE - T_MIN) * T_MAX / 2 {
        delta /= BASE - T_MIN;
        k += BASE;
    }
    k + (BASE - T_MIN + 1) * delta / (delta + SKEW)
}

#[cfg(test)]
mod tests {
    use super::to_a_label;

    #[test]
    fn labels_of_tlds_and_rfc_3492_are_encoded() {
        let cases = [
            ("com", "com"),
            ("COM", "com"),
            ("中国", "xn--fiqs8s"),
            ("рф", "xn--p1ai"),
            ("vermögensberatung", "xn--vermgensberatung-pwb"),
            ("Bücher", "xn--bcher-kva"),
            ("ελ", "xn--qxam"),
            ("გე", "xn--node"),
            // RFC 3492, section 7.1, (L) and (S), in lower case.
            ("3年b組金八先生", "xn--3b-ww4c5e180e575a65lsy2b"),
            ("パフィーdeルンバ", "xn--de-jg4avhby1noc0d"),
        ];
        for (label, expected) in cases {
            assert_eq!(to_a_label(label).as_deref(), Some(expected), "{label}");
        }
    }
}
