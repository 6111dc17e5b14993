//! An exchange as a line for people, in columns; the name stands behind them, as
//! it may be long.

use std::fmt::Write as _;

use crate::{enrich::exchange::shown::Shown, terminal::clean};

/// What the columns are.
pub(super) const HEAD: &str = "time (UTC)      client               country/AS     proto qtype   result          time     size  name";

/// The colours of lines.
#[derive(Clone, Copy, Debug)]
pub(super) struct Palette {
    dim: &'static str,
    good: &'static str,
    odd: &'static str,
    bad: &'static str,
    end: &'static str,
}

impl Palette {
    pub(super) const fn new(has_colour: bool) -> Self {
        if has_colour {
            Self {
                dim: "\x1b[2m",
                good: "\x1b[32m",
                odd: "\x1b[33m",
                bad: "\x1b[31m",
                end: "\x1b[0m",
            }
        } else {
            Self {
                dim: "",
                good: "",
                odd: "",
                bad: "",
                end: "",
            }
        }
    }

    fn of_result(&self, result: &str) -> &'static str {
        match result {
            "NOERROR" => self.good,
            "NXDOMAIN" => self.odd,
            _ => self.bad,
        }
    }
}

/// A line, without its end.
pub(super) fn line(shown: &Shown, palette: &Palette) -> String {
    let Palette { dim, end, .. } = palette;
    let result = result(shown);
    let colour = palette.of_result(result);
    let response = shown.response.as_ref();
    let response_time = response.and_then(|response| response.response_time_seconds);
    let size = response.map_or("-".to_owned(), |response| response.size.to_string());
    let mut line = format!(
        "{dim}{time:15}{end} {client:20} {place:14} {transport:5} {qtype:7} {colour}{result:10}{end} {took:>9} {size:>8}  {qname}",
        time = clean(time_of_day(&shown.time)),
        client = clean(&shown.client),
        place = clean(&place(shown)),
        transport = clean(&shown.transport),
        qtype = clean(shown.qtype.as_deref().unwrap_or("-")),
        result = clean(result),
        took = response_time.map_or("-".to_owned(), took),
        qname = clean(shown.qname.as_deref().unwrap_or("-")),
    );
    for remark in remarks(shown) {
        // Writing into a text does not fail.
        let _ = write!(line, "  {dim}{}{end}", clean(&remark));
    }
    line
}

/// RCODE, or that there is none.
fn result(shown: &Shown) -> &str {
    match &shown.response {
        Some(response) => &response.rcode,
        None => &shown.kind,
    }
}

/// Of `2026-01-10T12:00:00.250000000Z`, the time down to microseconds.
fn time_of_day(time: &str) -> &str {
    time.get(11..26).unwrap_or(time)
}

fn place(shown: &Shown) -> String {
    match (&shown.country, shown.asn) {
        (Some(country), Some(asn)) => format!("{country}/AS{asn}"),
        (Some(country), None) => country.clone(),
        (None, Some(asn)) => format!("AS{asn}"),
        (None, None) => "-".to_owned(),
    }
}

fn took(seconds: f64) -> String {
    if seconds < 1.0 {
        format!("{:.3}ms", seconds * 1e3)
    } else {
        format!("{seconds:.3}s")
    }
}

/// What is out of the ordinary, or known by tables.
fn remarks(shown: &Shown) -> Vec<String> {
    let mut remarks = Vec::new();
    let mut remark = |is: bool, text: &str| {
        if is {
            remarks.push(text.to_owned());
        }
    };
    let response = shown.response.as_ref();
    remark(response.is_some_and(|response| response.tc), "TC");
    remark(shown.kind == "unsolicited", "unsolicited");
    remark(shown.role == "client", "as-client");
    let opcode = &shown.opcode;
    remark(opcode != "QUERY" && !opcode.is_empty(), opcode);
    let class = shown.qclass.as_deref().unwrap_or("IN");
    remark(class != "IN", class);
    if shown.weight > 1 {
        remarks.push(format!("x{}", shown.weight));
    }
    for (name, value) in [
        ("customer", &shown.customer),
        ("network", &shown.network),
        ("ptr", &shown.ptr),
        ("ptr", &shown.ptr_domain),
    ] {
        remarks.extend(value.as_ref().map(|value| format!("{name}={value}")));
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::enrich::{
        exchange::{example::exchange, shown::Disclosure},
        privacy::Privacy,
    };

    fn shown() -> Shown {
        let disclosure = Disclosure {
            privacy: Privacy::Prefix { ipv4: 24, ipv6: 48 },
            suffixes: None,
            confirms_names: false,
        };
        Shown::new(&exchange(), &disclosure)
    }

    const PLAIN: Palette = Palette::new(false);

    #[test]
    fn columns_stand_below_their_heads() {
        let line = line(&shown(), &PLAIN);
        assert_eq!(
            line,
            "12:00:00.250000 192.0.2.0/24         NL/AS64496     udp   AAAA    NOERROR      0.123ms      120  www.example.com  x8  customer=Example  network=example-resolver  ptr=example.net"
        );
        for (head, cell) in [
            ("client", "192.0.2.0/24"),
            ("country", "NL/AS"),
            ("proto", "udp"),
            ("qtype", "AAAA"),
            ("result", "NOERROR"),
            ("name", "www.example.com"),
        ] {
            assert_eq!(HEAD.find(head), line.find(cell), "{head}");
        }
        // These end together.
        for (head, cell) in [("time     size", "0.123ms"), ("size  ", "120  ")] {
            let end = |text: &str, of: &str| text.find(of).map(|at| at + of.len());
            let head_end = end(HEAD, head).expect("a head");
            let head_end = head_end - head.len() + 4;
            let cell_end = line.find(cell).expect("a cell") + cell.trim_end().len();
            assert_eq!(head_end, cell_end, "{head}");
        }
    }

    #[test]
    fn a_query_without_response_says_so() {
        let shown = Shown {
            kind: "unanswered".to_owned(),
            response: None,
            weight: 1,
            customer: None,
            network: None,
            ptr_domain: None,
            country: None,
            asn: None,
            ..shown()
        };
        assert_eq!(
            line(&shown, &PLAIN),
            "12:00:00.250000 192.0.2.0/24         -              udp   AAAA    unanswered         -        -  www.example.com"
        );
    }

    #[test]
    fn colour_tells_how_it_went_and_ends() {
        let palette = Palette::new(true);
        let line = line(&shown(), &palette);
        assert!(line.contains("\x1b[32mNOERROR   \x1b[0m"), "{line:?}");
        assert!(line.ends_with("\x1b[0m"));
    }

    #[test]
    fn nothing_from_elsewhere_reaches_the_terminal_as_a_command() {
        let hostile = "\x1b]0;x\x07\u{9b}2J\n".to_owned();
        let shown = Shown {
            client: hostile.clone(),
            qname: Some(hostile.clone()),
            customer: Some(hostile.clone()),
            time: hostile.clone(),
            qtype: Some(hostile.clone()),
            country: Some(hostile),
            ..Shown::default()
        };
        let line = line(&shown, &PLAIN);
        assert!(!line.contains(char::is_control), "{line:?}");
    }

    #[test]
    fn long_times_are_told_in_seconds() {
        assert_eq!(took(0.000_000_5), "0.001ms");
        assert_eq!(took(0.999), "999.000ms");
        assert_eq!(took(4.25), "4.250s");
    }
}
