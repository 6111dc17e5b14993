//! What a record tells, whoever wrote it.
//!
//! The layouts that are read:
//!
//! | edition | country, continent | autonomous system |
//! |---|---|---|
//! | GeoLite2 and GeoIP2 Country, City; DB-IP | `country.iso_code`, `continent.code` | |
//! | GeoLite2 ASN, GeoIP2 ISP, DB-IP ASN | | `autonomous_system_number`, `autonomous_system_organization` |
//! | GeoIP2 Enterprise, DB-IP ISP | as above | the same below `traits` |
//! | IPinfo Lite | `country_code`, `continent_code` (`country` and `continent` are names) | `asn` as in `AS64496`, `as_name` |
//! | IPinfo of before | `country`, `continent` as codes | `asn`, `as_name`, or `name` |
//!
//! The country is where the client is. `registered_country` is where the holder
//! of the network is registered; where it stands alone, the client's country is
//! unknown, and remains so, as it does in DSC.
//!
//! A field of an unexpected type is absent: what a vendor adds or changes must
//! not make the other fields unreadable. Only fields that are asked for are
//! decoded.

use std::{fmt, marker::PhantomData, sync::Arc};

use maxminddb::{LookupResult, MaxMindDbError};
use serde::{
    Deserialize, Deserializer,
    de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor, value::MapAccessDeserializer},
};

use super::Location;

/// Characters of an organisation that are kept: it becomes a label.
const MAX_ORG_CHARACTERS: usize = 128;

/// What stands in the place of a control character.
const REPLACEMENT: char = char::REPLACEMENT_CHARACTER;

/// What the record of a lookup tells; nothing where there is no record.
///
/// # Errors
/// Where the record is damaged.
pub(super) fn location<S: AsRef<[u8]>>(
    found: &LookupResult<'_, S>,
) -> Result<Location, MaxMindDbError> {
    let told = match found.decode::<Value<'_, Record<'_>>>()? {
        Some(Value::Map(record)) => record.location(),
        Some(Value::Text(_) | Value::Number(_) | Value::Other) | None => Location::default(),
    };
    Ok(told)
}

/// A text for a label: no control characters, at most so many characters.
pub(super) fn printable(text: &str, most: usize) -> String {
    let shown = |character: char| {
        if character.is_control() {
            REPLACEMENT
        } else {
            character
        }
    };
    text.trim().chars().take(most).map(shown).collect()
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Record<'a> {
    country: Value<'a, Country<'a>>,
    country_code: Value<'a>,
    continent: Value<'a, Continent<'a>>,
    continent_code: Value<'a>,
    traits: Value<'a, Traits<'a>>,
    autonomous_system_number: Value<'a>,
    autonomous_system_organization: Value<'a>,
    asn: Value<'a>,
    as_name: Value<'a>,
    name: Value<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Country<'a> {
    iso_code: Value<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Continent<'a> {
    code: Value<'a>,
}

#[derive(Default, Deserialize)]
#[serde(default, bound(deserialize = "'de: 'a"))]
struct Traits<'a> {
    autonomous_system_number: Value<'a>,
    autonomous_system_organization: Value<'a>,
}

impl Record<'_> {
    fn location(&self) -> Location {
        let asn = self.asn();
        Location {
            country: self.country(),
            continent: self.continent(),
            asn,
            as_org: self.as_org(asn),
        }
    }

    fn country(&self) -> Option<[u8; 2]> {
        let nested = match &self.country {
            Value::Map(country) => country.iso_code.text(),
            Value::Text(code) => Some(*code),
            Value::Number(_) | Value::Other => None,
        };
        let flat = self.country_code.text();
        [flat, nested].into_iter().flatten().find_map(two_letters)
    }

    fn continent(&self) -> Option<[u8; 2]> {
        let nested = match &self.continent {
            Value::Map(continent) => continent.code.text(),
            Value::Text(code) => Some(*code),
            Value::Number(_) | Value::Other => None,
        };
        let flat = self.continent_code.text();
        [flat, nested].into_iter().flatten().find_map(continent)
    }

    fn asn(&self) -> Option<u32> {
        let nested = match &self.traits {
            Value::Map(traits) => traits.autonomous_system_number.system(),
            Value::Text(_) | Value::Number(_) | Value::Other => None,
        };
        let flat = self.autonomous_system_number.system();
        flat.or(nested).or_else(|| self.asn.system())
    }

    fn as_org(&self, asn: Option<u32>) -> Option<Arc<str>> {
        let nested = match &self.traits {
            Value::Map(traits) => traits.autonomous_system_organization.text(),
            Value::Text(_) | Value::Number(_) | Value::Other => None,
        };
        // Beside the number of a system, a name is the system's.
        let name = asn.and_then(|_| self.name.text());
        let flat = self.autonomous_system_organization.text();
        let told = [flat, nested, self.as_name.text(), name];
        let kept = |text| printable(text, MAX_ORG_CHARACTERS);
        let mut named = told.into_iter().flatten().map(kept);
        named.find(|org| !org.is_empty()).map(Arc::from)
    }
}

/// A value of any type, of which some types are understood.
#[derive(Default)]
enum Value<'a, M = Nothing> {
    Text(&'a str),
    Number(u64),
    Map(M),
    #[default]
    Other,
}

/// A map of which nothing is asked.
struct Nothing;

impl<'a, M> Value<'a, M> {
    const fn text(&self) -> Option<&'a str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Number(_) | Self::Map(_) | Self::Other => None,
        }
    }

    /// The number of a system, as a number or as in `AS64496`. Zero is nobody's
    /// (RFC 7607).
    fn system(&self) -> Option<u32> {
        let number = match self {
            Self::Number(number) => u32::try_from(*number).ok()?,
            Self::Text(text) => digits(text)?.parse().ok()?,
            Self::Map(_) | Self::Other => return None,
        };
        (number != 0).then_some(number)
    }
}

/// The digits of `AS64496`, or of `64496`.
fn digits(text: &str) -> Option<&str> {
    let digits = match text.get(..2) {
        Some(prefix) if prefix.eq_ignore_ascii_case("AS") => &text[2..],
        Some(_) | None => text,
    };
    digits
        .bytes()
        .all(|byte| byte.is_ascii_digit())
        .then_some(digits)
}

/// A code of two letters, as capitals.
fn two_letters(text: &str) -> Option<[u8; 2]> {
    let code = <[u8; 2]>::try_from(text.as_bytes()).ok()?;
    code.iter()
        .all(u8::is_ascii_alphabetic)
        .then(|| code.map(|letter| letter.to_ascii_uppercase()))
}

/// The code of a continent, from its code or its English name.
fn continent(text: &str) -> Option<[u8; 2]> {
    const CONTINENTS: [([u8; 2], &str); 7] = [
        (*b"AF", "Africa"),
        (*b"AN", "Antarctica"),
        (*b"AS", "Asia"),
        (*b"EU", "Europe"),
        (*b"NA", "North America"),
        (*b"OC", "Oceania"),
        (*b"SA", "South America"),
    ];
    let code = two_letters(text);
    CONTINENTS
        .into_iter()
        .find(|(known, name)| Some(*known) == code || name.eq_ignore_ascii_case(text))
        .map(|(known, _)| known)
}

impl<'de> Deserialize<'de> for Nothing {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        IgnoredAny::deserialize(deserializer).map(|_| Self)
    }
}

impl<'de: 'a, 'a, M: Deserialize<'de>> Deserialize<'de> for Value<'a, M> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AnyType(PhantomData))
    }
}

/// Takes a value of any type.
struct AnyType<'a, M>(PhantomData<Value<'a, M>>);

impl<'de: 'a, 'a, M: Deserialize<'de>> Visitor<'de> for AnyType<'a, M> {
    type Value = Value<'a, M>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Value::Text(text))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Self::Value, E> {
        Ok(Value::Number(number))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Self::Value, E> {
        Ok(u64::try_from(number).map_or(Value::Other, Value::Number))
    }

    fn visit_u128<E: Error>(self, number: u128) -> Result<Self::Value, E> {
        Ok(u64::try_from(number).map_or(Value::Other, Value::Number))
    }

    fn visit_f64<E: Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_bool<E: Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_bytes<E: Error>(self, _: &[u8]) -> Result<Self::Value, E> {
        Ok(Value::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        M::deserialize(MapAccessDeserializer::new(map)).map(Value::Map)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        // To its end, so that what follows it is found.
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Value::Other)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_countries() {
        let cases = [
            ("DE", Some(*b"DE")),
            ("de", Some(*b"DE")),
            ("", None),
            ("D", None),
            ("D1", None),
            ("Ö", None),
            ("Germany", None),
        ];
        for (text, expected) in cases {
            assert_eq!(two_letters(text), expected, "{text}");
        }
    }

    #[test]
    fn continents_by_code_and_by_name() {
        let cases = [
            ("EU", Some(*b"EU")),
            ("na", Some(*b"NA")),
            ("North America", Some(*b"NA")),
            ("Oceania", Some(*b"OC")),
            ("XX", None),
            ("Atlantis", None),
        ];
        for (text, expected) in cases {
            assert_eq!(continent(text), expected, "{text}");
        }
    }

    #[test]
    fn numbers_of_systems() {
        let cases: [(Value<'_>, Option<u32>); 14] = [
            (Value::Text("AS64496"), Some(64496)),
            (Value::Text("as64496"), Some(64496)),
            (Value::Text("64496"), Some(64496)),
            (Value::Text("AS4294967295"), Some(4_294_967_295)),
            (Value::Text("AS4294967296"), None),
            (Value::Text("AS+1"), None),
            (Value::Text("AS"), None),
            (Value::Text(""), None),
            (Value::Text("ÄÖ"), None),
            (Value::Text("AS0"), None),
            (Value::Number(64496), Some(64496)),
            (Value::Number(0), None),
            (Value::Number(1 << 32), None),
            (Value::Other, None),
        ];
        for (index, (value, expected)) in cases.iter().enumerate() {
            assert_eq!(value.system(), *expected, "case {index}");
        }
    }

    #[test]
    fn a_text_for_a_label_is_short_and_printable() {
        assert_eq!(printable("  Example Net\n", 64), "Example Net");
        assert_eq!(printable("a\u{1b}[31mb\0c", 64), "a\u{fffd}[31mb\u{fffd}c");
        // Four octets each: a cut within one would be no text.
        assert_eq!(printable("𝄞𝄞𝄞", 2), "𝄞𝄞");
    }
}
