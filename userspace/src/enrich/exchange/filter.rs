//! Which exchanges a subscriber wants: conditions by name and value, as they stand
//! in a URL or on the command line.

use dns_wire::iana::{Qtype, Rcode};

use super::Exchange;
use crate::{
    config::{InvalidValue, IpPrefix},
    enrich::customers::UNASSIGNED,
    names::text,
};

/// Conditions, all of which an exchange must meet; none lets everything pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    qtypes: Vec<Qtype>,
    rcodes: Vec<Rcode>,
    /// A suffix: labels in lower case, root label included.
    qname: Option<Vec<u8>>,
    client: Option<IpPrefix>,
    countries: Vec<[u8; 2]>,
    asns: Vec<u32>,
    customer: Option<String>,
}

/// What a condition is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// QTYPE is one of these, with commas between them.
    Qtype,
    /// There is a response with one of these RCODEs.
    Rcode,
    /// QNAME is this name or below it.
    Qname,
    /// The client is in this network.
    Client,
    /// The client is in one of these countries.
    Country,
    /// The client is in one of these autonomous systems.
    Asn,
    /// It is this customer's; `unassigned` is nobody's.
    Customer,
}

impl Condition {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Qtype,
        Self::Rcode,
        Self::Qname,
        Self::Client,
        Self::Country,
        Self::Asn,
        Self::Customer,
    ];

    /// Its name, in URLs and on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Qtype => "qtype",
            Self::Rcode => "rcode",
            Self::Qname => "qname",
            Self::Client => "client",
            Self::Country => "country",
            Self::Asn => "asn",
            Self::Customer => "customer",
        }
    }
}

impl Filter {
    /// Adds a condition.
    ///
    /// # Errors
    /// When the value is none of its kind.
    pub fn require(&mut self, condition: Condition, value: &str) -> Result<(), InvalidValue> {
        match condition {
            Condition::Qtype => self.qtypes = list(value, qtype)?,
            Condition::Rcode => self.rcodes = list(value, rcode)?,
            Condition::Qname => self.qname = Some(qname(value)?),
            Condition::Client => self.client = Some(value.parse()?),
            Condition::Country => self.countries = list(value, country)?,
            Condition::Asn => self.asns = list(value, asn)?,
            Condition::Customer => self.customer = Some(value.to_owned()),
        }
        Ok(())
    }

    /// The network that clients are to be in.
    #[must_use]
    pub const fn client(&self) -> Option<IpPrefix> {
        self.client
    }

    /// Whether an exchange meets all conditions.
    #[must_use]
    pub fn matches(&self, exchange: &Exchange) -> bool {
        let question = exchange.question.as_ref();
        let place = &exchange.place;
        any(&self.qtypes, question.map(|question| question.qtype))
            && any(
                &self.rcodes,
                exchange.response.map(|response| response.rcode),
            )
            && self.qname.as_ref().is_none_or(|suffix| {
                question.is_some_and(|question| is_below(&question.name, suffix))
            })
            && self
                .client
                .is_none_or(|prefix| prefix.contains(exchange.client))
            && any(&self.countries, place.country)
            && any(&self.asns, place.asn)
            && self.customer.as_ref().is_none_or(|customer| {
                exchange.customer.as_deref().unwrap_or(UNASSIGNED) == customer
            })
    }
}

/// Whether a value is among those that are wanted; all are where none is named.
fn any<T: PartialEq>(wanted: &[T], value: Option<T>) -> bool {
    wanted.is_empty() || value.is_some_and(|value| wanted.contains(&value))
}

/// Whether a name ends with the labels of another.
fn is_below(name: &[u8], suffix: &[u8]) -> bool {
    let mut rest = name;
    while rest.len() >= suffix.len() {
        // Lengths are below letters, so that they compare as they are.
        if rest.eq_ignore_ascii_case(suffix) {
            return true;
        }
        let Some(len) = rest.first() else {
            return false;
        };
        rest = rest.get(usize::from(*len) + 1..).unwrap_or(&[]);
    }
    false
}

fn list<T>(
    text: &str,
    one: impl Fn(&str) -> Result<T, InvalidValue>,
) -> Result<Vec<T>, InvalidValue> {
    text.split(',').map(|value| one(value.trim())).collect()
}

fn qtype(text: &str) -> Result<Qtype, InvalidValue> {
    let named = Qtype::ALL
        .iter()
        .find(|qtype| qtype.to_string().eq_ignore_ascii_case(text));
    let number = || number(text, "TYPE").map(Qtype);
    named
        .copied()
        .or_else(number)
        .ok_or_else(|| invalid("a QTYPE", "write a mnemonic, as in `AAAA`, or `TYPE65280`"))
}

fn rcode(text: &str) -> Result<Rcode, InvalidValue> {
    let named = Rcode::ALL
        .iter()
        .find(|rcode| rcode.to_string().eq_ignore_ascii_case(text));
    let number = || number(text, "RCODE").map(Rcode);
    named.copied().or_else(number).ok_or_else(|| {
        invalid(
            "an RCODE",
            "write a mnemonic, as in `NXDOMAIN`, or a number",
        )
    })
}

/// A number, with or without a word in front.
fn number(text: &str, word: &str) -> Option<u16> {
    let split = text.split_at_checked(word.len());
    let digits = match split {
        Some((front, rest)) if front.eq_ignore_ascii_case(word) => rest,
        Some(_) | None => text,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    is_number.then(|| digits.parse().ok()).flatten()
}

fn qname(text: &str) -> Result<Vec<u8>, InvalidValue> {
    let mut name = text::parse(text).map_err(|error| InvalidValue {
        message: format!("is not a name: {error}"),
        hint: "write a name, as in `example.com`".to_owned(),
    })?;
    name.make_ascii_lowercase();
    Ok(name)
}

fn country(text: &str) -> Result<[u8; 2], InvalidValue> {
    match text.as_bytes() {
        [a, b] if a.is_ascii_alphabetic() && b.is_ascii_alphabetic() => {
            Ok([a.to_ascii_uppercase(), b.to_ascii_uppercase()])
        }
        _ => Err(invalid(
            "a country",
            "write two letters of ISO 3166-1, as in `NL`",
        )),
    }
}

fn asn(text: &str) -> Result<u32, InvalidValue> {
    let digits = match text.split_at_checked(2) {
        Some((front, rest)) if front.eq_ignore_ascii_case("AS") => rest,
        Some(_) | None => text,
    };
    let is_number = !digits.is_empty() && digits.bytes().all(|octet| octet.is_ascii_digit());
    is_number
        .then(|| digits.parse().ok())
        .flatten()
        .ok_or_else(|| {
            invalid(
                "the number of an autonomous system",
                "write it as in `64496` or `AS64496`",
            )
        })
}

fn invalid(what: &str, hint: &str) -> InvalidValue {
    InvalidValue {
        message: format!("is not {what}"),
        hint: hint.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::exchange::example::exchange;

    fn filter(conditions: &[(Condition, &str)]) -> Filter {
        let mut filter = Filter::default();
        for (condition, value) in conditions {
            filter.require(*condition, value).expect(value);
        }
        filter
    }

    /// The example: AAAA, NOERROR, www.example.com, 192.0.2.77, NL, AS 64496,
    /// customer Example.
    #[test]
    fn each_condition_lets_pass_what_it_names() {
        for (condition, passes, stops) in [
            (Condition::Qtype, "AAAA", "A"),
            (Condition::Qtype, "A, aaaa", "MX,TYPE27"),
            (Condition::Qtype, "TYPE28", "TYPE1"),
            (Condition::Qtype, "28", "1"),
            (Condition::Rcode, "NOERROR", "NXDOMAIN"),
            (Condition::Rcode, "nxdomain,0", "RCODE3"),
            (Condition::Qname, "example.com", "xample.com"),
            (Condition::Qname, "EXAMPLE.com.", "example"),
            (Condition::Qname, "www.example.com", "a.www.example.com"),
            (Condition::Qname, ".", "net"),
            (Condition::Client, "192.0.2.0/24", "192.0.3.0/24"),
            (Condition::Client, "192.0.2.77", "192.0.2.78"),
            (Condition::Client, "0.0.0.0/0", "::/0"),
            (Condition::Country, "nl", "DE"),
            (Condition::Country, "DE,NL", "BE,FR"),
            (Condition::Asn, "64496", "64497"),
            (Condition::Asn, "AS64496", "as1,as2"),
            (Condition::Customer, "Example", "unassigned"),
        ] {
            let name = condition.name();
            let exchange = exchange();
            let matches = |value| filter(&[(condition, value)]).matches(&exchange);
            assert!(matches(passes), "{name}={passes}");
            assert!(!matches(stops), "{name}={stops}");
        }
    }

    #[test]
    fn all_conditions_must_be_met() {
        let both = filter(&[(Condition::Qtype, "AAAA"), (Condition::Country, "DE")]);
        assert!(!both.matches(&exchange()));
        assert!(Filter::default().matches(&exchange()));
    }

    #[test]
    fn what_is_unknown_meets_no_condition_but_unassigned() {
        let bare = Exchange {
            question: None,
            response: None,
            place: std::sync::Arc::default(),
            customer: None,
            ..exchange()
        };
        for (condition, value) in [
            (Condition::Qtype, "AAAA"),
            (Condition::Rcode, "NOERROR"),
            (Condition::Qname, "."),
            (Condition::Country, "NL"),
            (Condition::Asn, "64496"),
            (Condition::Customer, "Example"),
        ] {
            let filter = filter(&[(condition, value)]);
            assert!(!filter.matches(&bare), "{condition:?}");
        }
        assert!(filter(&[(Condition::Customer, "unassigned")]).matches(&bare));
    }

    #[test]
    fn values_of_another_kind_are_refused() {
        for (condition, value) in [
            (Condition::Qtype, "AAAAA"),
            (Condition::Qtype, ""),
            (Condition::Qtype, "TYPE65536"),
            (Condition::Qtype, "TYPE"),
            (Condition::Qtype, "-1"),
            (Condition::Qtype, "A,,MX"),
            (Condition::Rcode, "GOOD"),
            (Condition::Qname, ""),
            (Condition::Qname, "a..b"),
            (Condition::Client, "192.0.2.1/24"),
            (Condition::Client, "example.com"),
            (Condition::Country, "NLD"),
            (Condition::Country, "N1"),
            (Condition::Asn, "AS"),
            (Condition::Asn, "+1"),
            (Condition::Asn, "4294967296"),
        ] {
            let refused = Filter::default().require(condition, value);
            assert!(refused.is_err(), "{condition:?}={value}");
        }
    }
}
