//! Which resolvers are asked, and that the server that xdsc watches is none.
//!
//! If it were, xdsc's own lookups would be counted as those of a client, and a
//! server in trouble would get more queries because xdsc wants to tell of it.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
};

use hickory_resolver::{net::NetError, system_conf::parse_resolv_conf};
use nix::{ifaddrs::getifaddrs, sys::socket::SockaddrStorage};
use tracing::warn;

use super::ReverseDnsError;
use crate::config::{Config, IpPrefix};

/// Where the resolvers stand when the configuration names none.
const RESOLV_CONF: &str = "/etc/resolv.conf";
/// The port of DNS, where none is given.
const PORT: u16 = 53;

/// Where the server that xdsc watches is asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Watched {
    /// Its addresses.
    pub addresses: Vec<IpPrefix>,
    /// Its ports.
    pub ports: Vec<u16>,
}

impl Watched {
    /// The service addresses and the local addresses of the interfaces that are
    /// listened on; where no service addresses are named, all local addresses
    /// beside loopback ones.
    ///
    /// # Errors
    /// When the system does not tell its addresses.
    pub fn of(config: &Config) -> io::Result<Self> {
        let services = &config.probe.service_addresses;
        let mut addresses = services.clone();
        for interface in getifaddrs()? {
            let Some(address) = interface.address.and_then(|address| ip_address(&address)) else {
                continue;
            };
            let attached = config.interfaces.contains(&interface.interface_name);
            if attached && address.is_loopback() {
                addresses.extend(loopback());
            } else if attached || (services.is_empty() && !address.is_loopback()) {
                addresses.push(address.into());
            }
        }
        Ok(Self {
            addresses,
            ports: config.probe.ports.clone(),
        })
    }

    fn contains(&self, resolver: SocketAddr) -> bool {
        let address = resolver.ip().to_canonical();
        self.ports.contains(&resolver.port())
            && self.addresses.iter().any(|own| own.contains(address))
    }
}

/// The resolvers to ask.
///
/// # Errors
/// When a configured one is the watched server, or none is left.
pub(super) fn resolvers(
    configured: &[String],
    watched: &Watched,
) -> Result<Vec<SocketAddr>, ReverseDnsError> {
    if configured.is_empty() {
        return of_system(watched);
    }
    let resolvers = configured.iter().filter_map(|text| parse(text));
    let (own, others): (Vec<_>, Vec<_>) = resolvers.partition(|it| watched.contains(*it));
    match own.first() {
        Some(resolver) => Err(ReverseDnsError::Watched(*resolver)),
        None => Ok(others),
    }
}

fn of_system(watched: &Watched) -> Result<Vec<SocketAddr>, ReverseDnsError> {
    let text = std::fs::read(RESOLV_CONF).map_err(|error| unusable(error.to_string()))?;
    of_resolv_conf(&text, watched)
}

fn of_resolv_conf(text: &[u8], watched: &Watched) -> Result<Vec<SocketAddr>, ReverseDnsError> {
    let unreadable = |error: NetError| unusable(error.to_string());
    let (config, _) = parse_resolv_conf(text).map_err(unreadable)?;
    let servers = config.name_servers().iter();
    let servers = servers.map(|server| SocketAddr::new(server.ip, PORT));
    let (own, others): (Vec<_>, Vec<_>) = servers.partition(|it| watched.contains(*it));
    for resolver in &own {
        warn!("{RESOLV_CONF}: {resolver} is the server that xdsc watches: it is not asked");
    }
    if others.is_empty() {
        return Err(unusable(
            "the server that xdsc watches is all that it names".to_owned(),
        ));
    }
    Ok(others)
}

const fn unusable(reason: String) -> ReverseDnsError {
    ReverseDnsError::NoResolver { reason }
}

/// An address with or without a port, which the configuration has checked.
fn parse(text: &str) -> Option<SocketAddr> {
    let with_port = text.parse().ok();
    with_port.or_else(|| Some(SocketAddr::new(text.parse().ok()?, PORT)))
}

fn ip_address(address: &SockaddrStorage) -> Option<IpAddr> {
    let ipv4 = address.as_sockaddr_in().map(|it| IpAddr::V4(it.ip()));
    ipv4.or_else(|| address.as_sockaddr_in6().map(|it| IpAddr::V6(it.ip())))
}

/// All addresses of the loopback interface, told or not (RFC 1122, section
/// 3.2.1.3; RFC 4291, section 2.5.3).
fn loopback() -> [IpPrefix; 2] {
    let ipv4 = IpPrefix::new(Ipv4Addr::new(127, 0, 0, 0).into(), 8);
    [
        ipv4.unwrap_or_else(|_| IpAddr::V4(Ipv4Addr::LOCALHOST).into()),
        IpAddr::V6(Ipv6Addr::LOCALHOST).into(),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watched() -> Watched {
        let parse = |text: &str| text.parse().expect(text);
        Watched {
            addresses: ["192.0.2.1", "198.51.100.0/24", "2001:db8::1"]
                .map(parse)
                .into(),
            ports: vec![53],
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|&text| text.to_owned()).collect()
    }

    fn told(resolvers: Vec<SocketAddr>) -> Vec<String> {
        resolvers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn resolvers_have_a_port_of_their_own_or_that_of_dns() {
        let configured = texts(&["192.0.2.7", "127.0.0.1:5353", "2001:db8::7", "[::1]:54"]);
        let resolvers = resolvers(&configured, &watched()).expect("resolvers");
        let expected = [
            "192.0.2.7:53",
            "127.0.0.1:5353",
            "[2001:db8::7]:53",
            "[::1]:54",
        ];
        assert_eq!(told(resolvers), expected);
    }

    #[test]
    fn the_watched_server_is_refused_with_a_cure() {
        for own in [
            "192.0.2.1",
            "198.51.100.9",
            "2001:db8::1",
            "::ffff:192.0.2.1",
        ] {
            let error = resolvers(&texts(&["192.0.2.7", own]), &watched()).expect_err(own);
            let text = error.to_string();
            assert!(text.contains("the server that xdsc watches"), "{text}");
            assert!(text.contains("name another one"), "{text}");
        }
        // Who listens there on another port is somebody else.
        let other = resolvers(&texts(&["192.0.2.1:5353"]), &watched());
        assert_eq!(told(other.expect("a resolver")), ["192.0.2.1:5353"]);
    }

    #[test]
    fn of_resolv_conf_the_watched_server_is_left_out() {
        let text = "# a comment\nnameserver 192.0.2.1\nnameserver 127.0.0.53\n\
                    nameserver 2001:db8::2\nsearch example.com\noptions timeout:9\n";
        let resolvers = of_resolv_conf(text.as_bytes(), &watched()).expect("resolvers");
        assert_eq!(told(resolvers), ["127.0.0.53:53", "[2001:db8::2]:53"]);
    }

    #[test]
    fn without_any_resolver_the_error_tells_the_cure() {
        for text in ["nameserver 192.0.2.1\n", "", "search example.com\n"] {
            let error = of_resolv_conf(text.as_bytes(), &watched()).expect_err(text);
            let error = error.to_string();
            assert!(error.contains("/etc/resolv.conf"), "{error}");
            assert!(error.contains("reverse_dns.resolvers"), "{error}");
            assert!(error.contains("reverse_dns.enabled = false"), "{error}");
        }
    }

    #[test]
    fn loopback_is_watched_only_when_it_is_listened_on() {
        let of = |interface: &str| {
            let config = Config {
                interfaces: vec![interface.to_owned()],
                ..Config::default()
            };
            Watched::of(&config).expect("addresses")
        };
        let local = SocketAddr::new(Ipv4Addr::new(127, 0, 0, 53).into(), 53);
        assert!(of("lo").contains(local));
        assert!(!of("none").contains(local));
    }
}
