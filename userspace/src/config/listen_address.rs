//! Where the HTTP endpoint listens, in the notation of Prometheus exporters.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use super::error::InvalidValue;

/// `HOST:PORT`, `[IPv6]:PORT`, or `:PORT`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ListenAddress {
    /// The addresses to listen on.
    pub host: ListenHost,
    /// The port; for 0 the system picks one.
    pub port: u16,
}

/// The addresses that a [`ListenAddress`] stands for.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum ListenHost {
    /// All addresses of both families.
    Any,
    /// One address, or, when it is unspecified, all of its family.
    Address(IpAddr),
    /// The addresses that a host name resolves to.
    Name(String),
}

impl ListenAddress {
    /// All addresses of both families.
    pub fn any(port: u16) -> Self {
        Self {
            host: ListenHost::Any,
            port,
        }
    }
}

impl FromStr for ListenAddress {
    type Err = InvalidValue;

    fn from_str(text: &str) -> Result<Self, InvalidValue> {
        let Some((host, port)) = text.rsplit_once(':') else {
            return Err(invalid("has no port"));
        };
        Ok(Self {
            host: parse_host(host)?,
            port: parse_port(port)?,
        })
    }
}

impl fmt::Display for ListenAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let port = self.port;
        match &self.host {
            ListenHost::Any => write!(f, ":{port}"),
            ListenHost::Address(IpAddr::V4(address)) => write!(f, "{address}:{port}"),
            ListenHost::Address(IpAddr::V6(address)) => write!(f, "[{address}]:{port}"),
            ListenHost::Name(name) => write!(f, "{name}:{port}"),
        }
    }
}

fn parse_host(host: &str) -> Result<ListenHost, InvalidValue> {
    if host.is_empty() {
        return Ok(ListenHost::Any);
    }
    if let Some(bracketed) = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')) {
        let address: Result<Ipv6Addr, _> = bracketed.parse();
        return match address {
            Ok(address) => Ok(ListenHost::Address(address.into())),
            Err(_) => Err(invalid("has no IPv6 address in its brackets")),
        };
    }
    if host.contains(':') {
        return Err(invalid("has an IPv6 address without brackets, or no port"));
    }
    match host.parse::<Ipv4Addr>() {
        Ok(address) => Ok(ListenHost::Address(address.into())),
        Err(_) if is_host_name(host) => Ok(ListenHost::Name(host.to_owned())),
        Err(_) => Err(invalid("has a host that is no address and no name")),
    }
}

/// RFC 1123, section 2.1: a valid host name can never have the dotted-decimal
/// form #.#.#.#, since at least the highest-level component label will be
/// alphabetic. The underscore is for names that only a hosts file knows.
fn is_host_name(host: &str) -> bool {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    let is_label = |label: &str| matches!(label.len(), 1..=63) && label.chars().all(fits);
    let highest = host.rsplit('.').next().unwrap_or_default();
    host.len() <= 253
        && host.split('.').all(is_label)
        && highest.contains(|c: char| c.is_ascii_alphabetic())
}

fn parse_port(port: &str) -> Result<u16, InvalidValue> {
    let is_number = !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    match port.parse() {
        Ok(port) if is_number => Ok(port),
        Ok(_) | Err(_) => Err(invalid("has a port that is no number from 0 to 65535")),
    }
}

fn invalid(message: &str) -> InvalidValue {
    InvalidValue {
        message: message.to_owned(),
        hint: "write `HOST:PORT`, `[IPv6]:PORT`, or `:PORT` for all addresses".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_exporters_write_them() {
        let loopback_v6 = ListenHost::Address(Ipv6Addr::LOCALHOST.into());
        let loopback_v4 = ListenHost::Address(Ipv4Addr::LOCALHOST.into());
        let name = |text: &str| ListenHost::Name(text.to_owned());
        for (text, host, port) in [
            (":9953", ListenHost::Any, 9953),
            (":0", ListenHost::Any, 0),
            ("127.0.0.1:65535", loopback_v4, 65535),
            ("[::1]:9953", loopback_v6, 9953),
            ("localhost:80", name("localhost"), 80),
            ("ns1.example.net:80", name("ns1.example.net"), 80),
            ("1.2.3.example:80", name("1.2.3.example"), 80),
        ] {
            let address: ListenAddress = text.parse().expect(text);
            assert_eq!(address, ListenAddress { host, port }, "{text:?}");
            assert_eq!(address.to_string(), text);
        }
    }

    #[test]
    fn bad_addresses_say_why() {
        const NO_HOST: &str = "has a host that is no address and no name";
        const BAD_PORT: &str = "has a port that is no number from 0 to 65535";
        const NO_BRACKETS: &str = "has an IPv6 address without brackets, or no port";
        for (text, expected) in [
            ("", "has no port"),
            ("9953", "has no port"),
            ("localhost", "has no port"),
            ("localhost:", BAD_PORT),
            (":65536", BAD_PORT),
            (":+80", BAD_PORT),
            (":http", BAD_PORT),
            ("::1:9953", NO_BRACKETS),
            ("2001:db8::1", NO_BRACKETS),
            ("[::1]", NO_BRACKETS),
            ("[127.0.0.1]:80", "has no IPv6 address in its brackets"),
            ("[]:80", "has no IPv6 address in its brackets"),
            ("[::1:80", NO_BRACKETS),
            ("*:80", NO_HOST),
            ("300.1.1.1:80", NO_HOST),
            ("a..b:80", NO_HOST),
            ("http//x:80", NO_HOST),
        ] {
            assert_eq!(
                text.parse::<ListenAddress>(),
                Err(invalid(expected)),
                "{text:?}"
            );
        }
    }
}
