//! `GET /api/v1/tail`: the enriched stream, as lines of JSON.
//!
//! What may be shown to whom is decided here, before anything is subscribed to: a
//! client's address only where the configuration shows addresses, and then only to
//! this machine; longer prefixes than /24 and /48 only to this machine. A filter
//! by client may not ask for more than is shown, or it would tell by its answer.
//!
//! The stream is `application/x-ndjson`: an exchange per line; `{"dropped": 12}`
//! where the reader was too slow and missed so many; an empty line when there was
//! nothing for a while. It ends when xdsc stops, or after `count` exchanges.

mod lines;
#[cfg(test)]
mod tests;

use std::{net::IpAddr, net::SocketAddr};

use axum::{
    body::Body,
    extract::{ConnectInfo, RawQuery, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE, FORWARDED, HOST},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;
use tracing::debug;

use super::routes::Site;
use crate::{
    config::{ClientsShown, IpPrefix, enumerated, nearest, printable},
    enrich::{
        exchange::{
            filter::{Condition, Filter},
            shown::Disclosure,
        },
        privacy::Privacy,
        stream::{Handle, Refused},
    },
};

pub(super) const TAIL_PATH: &str = "/api/v1/tail";

/// What is shown to others than this machine at most, in bits.
const PUBLIC_V4: u8 = 24;
const PUBLIC_V6: u8 = 48;

/// What there is to subscribe to, and how it is shown.
#[derive(Clone, Debug)]
pub struct Tail {
    /// The stream.
    pub stream: Handle,
    /// How much is shown, as configured.
    pub disclosure: Disclosure,
    /// Bits of the prefixes of clients: of IPv4, of IPv6.
    pub prefixes: (u8, u8),
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Peer {
    /// A program on this machine.
    Local,
    /// Anybody else, or who cannot be told from them.
    Remote,
}

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    count: Option<u64>,
    clients: Option<ClientsShown>,
    filter: Filter,
}

/// Why there is nothing to show (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq)]
struct Problem {
    status: StatusCode,
    title: &'static str,
    detail: String,
}

/// Answers with the stream.
pub(super) async fn tail(
    State(site): State<Site>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let peer = Peer::of(peer.ip(), &headers);
    let Some(tail) = site.telemetry().tail() else {
        return Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "No stream",
            "there is no stream here",
        )
        .into_response();
    };
    match open(&tail, peer, query.as_deref().unwrap_or("")) {
        Ok(body) => {
            let mut response = body.into_response();
            let headers = response.headers_mut();
            let ndjson = HeaderValue::from_static("application/x-ndjson");
            headers.insert(CONTENT_TYPE, ndjson);
            headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
            response
        }
        Err(problem) => problem.into_response(),
    }
}

fn open(tail: &Tail, peer: Peer, query: &str) -> Result<Body, Problem> {
    let wanted = Wanted::parse(query)?;
    let disclosure = tail.disclose(peer, wanted.clients, wanted.filter.client())?;
    let subscription = tail.stream.subscribe().map_err(|refused| match refused {
        Refused::Full(_) | Refused::Closed => Problem::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "No place in the stream",
            refused,
        ),
    })?;
    debug!(?peer, ?wanted, "a subscriber of the stream");
    let view = lines::View {
        filter: wanted.filter,
        disclosure,
        count: wanted.count,
    };
    Ok(lines::body(subscription, view))
}

impl Tail {
    /// How much this peer gets to see.
    fn disclose(
        &self,
        peer: Peer,
        wanted: Option<ClientsShown>,
        client: Option<IpPrefix>,
    ) -> Result<Disclosure, Problem> {
        let privacy = self.privacy(peer, wanted)?;
        if let Some(client) = client {
            require_no_more_than_shown(client, &privacy)?;
        }
        Ok(Disclosure {
            privacy,
            suffixes: self.disclosure.suffixes.clone(),
        })
    }

    fn privacy(&self, peer: Peer, wanted: Option<ClientsShown>) -> Result<Privacy, Problem> {
        let configured = &self.disclosure.privacy;
        match (wanted, configured, peer) {
            (None | Some(ClientsShown::Pseudonym), Privacy::Pseudonym(_), _)
            | (None | Some(ClientsShown::Address), Privacy::Address, Peer::Local) => {
                Ok(configured.clone())
            }
            (None | Some(ClientsShown::Prefix), Privacy::Prefix { .. } | Privacy::Address, _) => {
                Ok(self.prefix(peer))
            }
            (Some(ClientsShown::Address), Privacy::Address, Peer::Remote) => Err(forbidden(
                "addresses of clients are shown to programs on this machine only; ask from here, \
                 by http://127.0.0.1 and without a proxy, or leave `clients` out",
            )),
            (Some(wanted), _, _) => Err(forbidden(&format!(
                "clients are not shown by {} here; leave `clients` out, or set `clients = \"{}\"` \
                 in [privacy]",
                match wanted {
                    ClientsShown::Prefix => "prefixes",
                    ClientsShown::Pseudonym => "pseudonyms",
                    ClientsShown::Address => "addresses",
                },
                clients_name(wanted)
            ))),
        }
    }

    fn prefix(&self, peer: Peer) -> Privacy {
        let (ipv4, ipv6) = self.prefixes;
        match peer {
            Peer::Local => Privacy::Prefix { ipv4, ipv6 },
            Peer::Remote => Privacy::Prefix {
                ipv4: ipv4.min(PUBLIC_V4),
                ipv6: ipv6.min(PUBLIC_V6),
            },
        }
    }
}

fn require_no_more_than_shown(client: IpPrefix, privacy: &Privacy) -> Result<(), Problem> {
    let longest = match privacy {
        Privacy::Address => return Ok(()),
        Privacy::Pseudonym(_) => {
            return Err(forbidden(
                "clients are shown by pseudonyms, and a filter by `client` would tell whose they \
                 are; leave it out",
            ));
        }
        Privacy::Prefix { ipv4, ipv6 } => match client.address() {
            IpAddr::V4(_) => *ipv4,
            IpAddr::V6(_) => *ipv6,
        },
    };
    if client.length() <= longest {
        return Ok(());
    }
    Err(forbidden(&format!(
        "clients are shown by prefixes of {longest} bits, and a filter by `client` may not be \
         longer; shorten {client}"
    )))
}

impl Peer {
    /// A proxy on this machine speaks for others; and a page in a browser on this
    /// machine may reach us under a name of its author's.
    fn of(address: IpAddr, headers: &HeaderMap) -> Self {
        let is_proxied = headers.contains_key(FORWARDED)
            || ["x-forwarded-for", "x-real-ip", "via"]
                .iter()
                .any(|name| headers.contains_key(*name));
        let host = headers.get(HOST).and_then(|host| host.to_str().ok());
        if address.to_canonical().is_loopback() && !is_proxied && host.is_none_or(is_literal) {
            Self::Local
        } else {
            Self::Remote
        }
    }
}

/// Whether a Host header has an address or `localhost`.
fn is_literal(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|octet| octet.is_ascii_digit()) => name,
        Some(_) | None => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']');
    [host, address]
        .iter()
        .any(|text| text.parse::<IpAddr>().is_ok())
        || name.eq_ignore_ascii_case("localhost")
}

impl Wanted {
    fn parse(query: &str) -> Result<Self, Problem> {
        let mut wanted = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if seen.iter().any(|before| *before == name) {
                return Err(bad_request(format!(
                    "`{}` is given twice; give it once, with commas between several values",
                    printable(&name)
                )));
            }
            wanted.set(&name, &value)?;
            seen.push(name.into_owned());
        }
        Ok(wanted)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), Problem> {
        match name {
            "count" => self.count = Some(count(value)?),
            "clients" => self.clients = Some(clients(value)?),
            name => {
                let mut conditions = Condition::ALL.into_iter();
                let condition = conditions
                    .find(|condition| condition.name() == name)
                    .ok_or_else(|| unknown(name))?;
                let required = self.filter.require(condition, value);
                required.map_err(|error| {
                    bad_request(format!("`{name}`: {:?} {error}", printable(value)))
                })?;
            }
        }
        Ok(())
    }
}

fn names() -> impl Iterator<Item = &'static str> {
    let conditions = Condition::ALL.iter().map(|condition| condition.name());
    ["count", "clients"].into_iter().chain(conditions)
}

fn unknown(name: &str) -> Problem {
    let cure = match nearest(name, names()) {
        Some(known) => format!("did you mean `{known}`?"),
        None => format!("there are {}", enumerated(names())),
    };
    let name = printable(name);
    bad_request(format!("there is no parameter `{name}`; {cure}"))
}

fn count(value: &str) -> Result<u64, Problem> {
    match value.parse() {
        Ok(count @ 1..) => Ok(count),
        Ok(0) | Err(_) => Err(bad_request(format!(
            "`count`: {:?} is not a number of exchanges; write a whole number from 1",
            printable(value)
        ))),
    }
}

const CLIENTS: [ClientsShown; 3] = [
    ClientsShown::Prefix,
    ClientsShown::Pseudonym,
    ClientsShown::Address,
];

const fn clients_name(clients: ClientsShown) -> &'static str {
    match clients {
        ClientsShown::Prefix => "prefix",
        ClientsShown::Pseudonym => "pseudonym",
        ClientsShown::Address => "address",
    }
}

fn clients(value: &str) -> Result<ClientsShown, Problem> {
    let known = CLIENTS
        .into_iter()
        .find(|known| clients_name(*known) == value);
    known.ok_or_else(|| {
        let names = enumerated(CLIENTS.map(clients_name));
        bad_request(format!(
            "`clients`: {:?} is no way to show them; there are {names}",
            printable(value)
        ))
    })
}

fn bad_request(detail: String) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, "Wrong parameter", detail)
}

fn forbidden(detail: &str) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, "Not to be shown", detail)
}

impl Problem {
    fn new(status: StatusCode, title: &'static str, detail: impl ToString) -> Self {
        Self {
            status,
            title,
            detail: detail.to_string(),
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let body = json!({
            "type": "about:blank",
            "title": self.title,
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response = (self.status, format!("{body}\n")).into_response();
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, problem);
        response
    }
}
