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

use std::net::{IpAddr, SocketAddr};

use axum::{
    body::Body,
    extract::{ConnectInfo, RawQuery, State},
    http::{
        HeaderMap, HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use tracing::debug;

use super::{
    audience::audience,
    parameters::{twice, unknown},
    problem::Problem,
};
use crate::{
    config::{ClientsShown, IpPrefix, enumerated, printable},
    enrich::{
        exchange::{
            filter::{Condition, Filter},
            shown::Disclosure,
        },
        privacy::Privacy,
        stream::{Handle, Refused},
    },
    http::routes::Site,
    live_view::{Audience, PUBLIC_PREFIXES},
};

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

/// What is asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Wanted {
    count: Option<u64>,
    clients: Option<ClientsShown>,
    filter: Filter,
}

/// The enriched stream: queries with their responses
///
/// Lines of JSON, each an exchange, `{"dropped": n}` where some are missing, or empty
/// when there was nothing for a while. docs/stream.md says what is in them.
#[utoipa::path(
    get,
    path = super::TAIL_PATH,
    params(
        ("count" = Option<u64>, Query, minimum = 1, description = "End after so many"),
        ("role" = Option<String>, Query, description = "`server` or `client`"),
        ("qtype" = Option<String>, Query, description = "Mnemonics or numbers, with commas"),
        ("rcode" = Option<String>, Query, description = "Mnemonics or numbers, with commas"),
        ("qname" = Option<String>, Query, description = "This name and those below it"),
        ("client" = Option<String>, Query, description = "A prefix, no longer than those that are shown"),
        ("country" = Option<String>, Query, description = "Of the client, with commas"),
        ("asn" = Option<String>, Query, description = "Of the client, with commas"),
        ("customer" = Option<String>, Query, description = "A name"),
        ("clients" = Option<String>, Query, description = "How to show them: `prefix`, `pseudonym`, `address`"),
    ),
    responses(
        (status = 200, description = "The stream", body = String,
            content_type = "application/x-ndjson"),
        (status = 400, description = "A wrong parameter", body = crate::view::Problem,
            content_type = "application/problem+json"),
        (status = 403, description = "Not to be shown", body = crate::view::Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "All places are taken, or there is no stream",
            body = crate::view::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn tail(
    State(site): State<Site>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Response {
    let peer = audience(peer.ip(), &headers);
    let Some(tail) = site.telemetry().tail() else {
        return Problem::unavailable("No stream", "there is no stream here").into_response();
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

fn open(tail: &Tail, peer: Audience, query: &str) -> Result<Body, Problem> {
    let wanted = Wanted::parse(query)?;
    let disclosure = tail.disclose(peer, wanted.clients, wanted.filter.client())?;
    let subscription = tail.stream.subscribe().map_err(|refused| match refused {
        Refused::Full(_) | Refused::Closed => {
            Problem::unavailable("No place in the stream", refused)
        }
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
        peer: Audience,
        wanted: Option<ClientsShown>,
        client: Option<IpPrefix>,
    ) -> Result<Disclosure, Problem> {
        let privacy = self.privacy(peer, wanted)?;
        if let Some(client) = client {
            require_no_more_than_shown(client, &privacy)?;
        }
        Ok(Disclosure {
            privacy,
            ..self.disclosure.clone()
        })
    }

    fn privacy(&self, peer: Audience, wanted: Option<ClientsShown>) -> Result<Privacy, Problem> {
        let configured = &self.disclosure.privacy;
        match (wanted, configured, peer) {
            (None | Some(ClientsShown::Pseudonym), Privacy::Pseudonym(_), _)
            | (None | Some(ClientsShown::Address), Privacy::Address, Audience::Local) => {
                Ok(configured.clone())
            }
            (None | Some(ClientsShown::Prefix), Privacy::Prefix { .. } | Privacy::Address, _) => {
                Ok(self.prefix(peer))
            }
            (Some(ClientsShown::Address), Privacy::Address, Audience::Remote) => {
                Err(Problem::forbidden(
                    "addresses of clients are shown to programs on this machine only; ask from here, \
                 by http://127.0.0.1 and without a proxy, or leave `clients` out",
                ))
            }
            (Some(wanted), _, _) => Err(Problem::forbidden(format!(
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

    fn prefix(&self, peer: Audience) -> Privacy {
        let (ipv4, ipv6) = self.prefixes;
        match peer {
            Audience::Local => Privacy::Prefix { ipv4, ipv6 },
            Audience::Remote => Privacy::Prefix {
                ipv4: ipv4.min(PUBLIC_PREFIXES.0),
                ipv6: ipv6.min(PUBLIC_PREFIXES.1),
            },
        }
    }
}

fn require_no_more_than_shown(client: IpPrefix, privacy: &Privacy) -> Result<(), Problem> {
    let longest = match privacy {
        Privacy::Address => return Ok(()),
        Privacy::Pseudonym(_) => {
            return Err(Problem::forbidden(
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
    Err(Problem::forbidden(format!(
        "clients are shown by prefixes of {longest} bits, and a filter by `client` may not be \
         longer; shorten {client}"
    )))
}

impl Wanted {
    fn parse(query: &str) -> Result<Self, Problem> {
        let mut wanted = Self::default();
        let mut seen: Vec<String> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            if seen.iter().any(|before| *before == name) {
                return Err(twice(&name));
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
                    .ok_or_else(|| unknown(name, &names().collect::<Vec<_>>()))?;
                let required = self.filter.require(condition, value);
                required.map_err(|error| {
                    Problem::bad_request(format!("`{name}`: {:?} {error}", printable(value)))
                })?;
            }
        }
        Ok(())
    }
}

/// The names of all parameters.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let conditions = Condition::ALL.iter().map(|condition| condition.name());
    ["count", "clients"].into_iter().chain(conditions)
}

fn count(value: &str) -> Result<u64, Problem> {
    match value.parse() {
        Ok(count @ 1..) => Ok(count),
        Ok(0) | Err(_) => Err(Problem::bad_request(format!(
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
        Problem::bad_request(format!(
            "`clients`: {:?} is no way to show them; there are {names}",
            printable(value)
        ))
    })
}
