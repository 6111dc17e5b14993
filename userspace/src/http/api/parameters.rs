//! The parameters of a request: each known, each understood, or it is an error.

use std::borrow::Cow;

use super::problem::Problem;
use crate::{
    config::{enumerated, nearest, printable},
    live_view::{By, Rows, Wants},
    stats::dataset::Indexer,
};

/// Names of parameters are short, and so is what is said of one that is not.
type Pair<'q> = (Cow<'q, str>, Cow<'q, str>);

/// The parameters of a query, all of which are among the known ones. Those that are
/// not among the `repeated` ones are given once.
pub(super) fn parameters<'q>(
    query: &'q str,
    known: &[&str],
    repeated: &[&str],
) -> Result<Vec<Pair<'q>>, Problem> {
    let mut pairs: Vec<Pair<'q>> = Vec::new();
    for (name, value) in form_urlencoded::parse(query.as_bytes()) {
        if !known.contains(&&*name) {
            return Err(unknown(&name, known));
        }
        let is_repeated = pairs.iter().any(|(before, _)| *before == name);
        if is_repeated && !repeated.contains(&&*name) {
            return Err(twice(&name));
        }
        pairs.push((name, value));
    }
    Ok(pairs)
}

/// A parameter that is given more than once.
pub(super) fn twice(name: &str) -> Problem {
    Problem::bad_request(format!(
        "`{}` is given twice; give it once, with commas between several values",
        printable(name)
    ))
}

/// A parameter that does not exist.
pub(super) fn unknown(name: &str, known: &[&str]) -> Problem {
    let cure = match nearest(name, known.iter().copied()) {
        Some(known) => format!("did you mean `{known}`?"),
        None if known.is_empty() => "there are none here".to_owned(),
        None => format!("there are {}", enumerated(known.iter().copied())),
    };
    let name = printable(name);
    Problem::bad_request(format!("there is no parameter `{name}`; {cure}"))
}

/// A whole number up to a bound.
pub(super) fn number(name: &str, value: &str, max: usize) -> Result<usize, Problem> {
    match value.parse() {
        Ok(number) if (1..=max).contains(&number) => Ok(number),
        Ok(_) | Err(_) => Err(Problem::bad_request(format!(
            "`{name}`: {:?} is not a whole number from 1 to {max}",
            printable(value)
        ))),
    }
}

/// What rows are ordered by.
pub(super) fn by(value: &str) -> Result<By, Problem> {
    match value {
        "rate" => Ok(By::Rate),
        "total" => Ok(By::Total),
        _ => Err(Problem::bad_request(format!(
            "`by`: {:?} is no order; there are rate and total",
            printable(value)
        ))),
    }
}

/// `limit` and `by`.
pub(super) fn rows(rows: &mut Rows, name: &str, value: &str, max: usize) -> Result<(), Problem> {
    match name {
        "limit" => rows.limit = number(name, value, max)?,
        _ => rows.by = by(value)?,
    }
    Ok(())
}

/// `dimension:value`.
pub(super) fn filter(value: &str) -> Result<Wants, Problem> {
    let parts = value.split_once(':');
    let parts = parts.filter(|(dimension, value)| !dimension.is_empty() && !value.is_empty());
    let (dimension, value) = parts.ok_or_else(|| {
        Problem::bad_request(format!(
            "`filter`: {:?} is no filter; write a dimension and a value, as `qtype:AAAA`",
            printable(value)
        ))
    })?;
    Ok(Wants {
        dimension: dimension.to_owned(),
        value: value.to_owned(),
    })
}

/// The name of an indexer.
pub(super) fn indexer(parameter: &str, name: &str) -> Result<Indexer, Problem> {
    let found = Indexer::from_name(name).filter(|indexer| *indexer != Indexer::Null);
    found.ok_or_else(|| {
        let names = Indexer::ALL.iter().map(|indexer| indexer.label());
        let cure = match nearest(name, names) {
            Some(known) => format!("did you mean `{known}`?"),
            None => "there are qtype, rcode, tld, country and others, as in [[dataset]]".to_owned(),
        };
        Problem::bad_request(format!(
            "`{parameter}`: there is nothing by `{}`; {cure}",
            printable(name)
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detail<T>(result: Result<T, Problem>) -> String {
        result
            .err()
            .map(|problem| problem.detail)
            .unwrap_or_default()
    }

    #[test]
    fn what_is_not_understood_is_said() {
        let known = ["limit", "by", "filter"];
        let parse = |query: &str| detail(parameters(query, &known, &["filter"]));
        assert_eq!(parse("limit=1&filter=a:b&filter=c:d&by=rate"), "");
        assert_eq!(
            parse("limt=1"),
            "there is no parameter `limt`; did you mean `limit`?"
        );
        assert!(parse("limit=1&limit=2").starts_with("`limit` is given twice"));
        assert!(detail(parameters("x=1", &[], &[])).ends_with("there are none here"));
        for value in ["", "0", "51", "-1", "1.5", "\u{202e}1"] {
            let said = detail(number("limit", value, 50));
            assert!(
                said.ends_with("is not a whole number from 1 to 50"),
                "{said}"
            );
        }
        for value in ["", "qtype", ":A", "qtype:"] {
            assert!(detail(filter(value)).contains("is no filter"), "{value}");
        }
        assert_eq!(
            detail(indexer("top", "qtyp")),
            "`top`: there is nothing by `qtyp`; did you mean `qtype`?"
        );
        assert!(indexer("top", "null").is_err());
        assert!(by("name").is_err());
    }

    #[test]
    fn a_value_may_have_colons() {
        let wants = filter("client_subnet:2001:db8::/48").expect("a filter");
        assert_eq!(wants.dimension, "client_subnet");
        assert_eq!(wants.value, "2001:db8::/48");
    }
}
