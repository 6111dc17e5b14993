//! The addresses of the demonstration's network, all from blocks that are
//! reserved for documentation.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// The name server's addresses.
pub(super) const SERVERS: [IpAddr; 2] = [
    IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
    IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0x53, 0, 0, 0, 0, 1)),
];

/// The prefixes that clients live in, as the server's routes name them. The
/// server's own are the first of each family.
pub(super) const PREFIXES: [&str; 6] = [
    "192.0.2.0/24",
    "198.51.100.0/24",
    "203.0.113.0/24",
    "2001:db8:53::/64",
    "2001:db8:a::/48",
    "2001:db8:b::/48",
];

/// The server's socket address for a client of this address.
pub(super) fn server_for(client: IpAddr) -> SocketAddr {
    let [v4, v6] = SERVERS;
    SocketAddr::new(if client.is_ipv4() { v4 } else { v6 }, 53)
}

/// Every client address: more in the first prefixes than in the last ones, as
/// resolvers are spread in life.
pub(super) fn clients() -> Vec<IpAddr> {
    let v4 = [([192, 0, 2], 8_u8), ([198, 51, 100], 5), ([203, 0, 113], 3)];
    let v6 = [(0x53, 4), (0xa, 3), (0xb, 2)];
    let v4 = v4.into_iter().flat_map(|([a, b, c], hosts)| {
        (0..hosts).map(move |host| IpAddr::from([a, b, c, 2 + 3 * host]))
    });
    let v6 = v6.into_iter().flat_map(|(site, hosts)| {
        (0..hosts).map(move |host| IpAddr::from([0x2001, 0xdb8, site, 0, 0, 0, 0, 2 + 3 * host]))
    });
    v4.chain(v6).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_are_distinct_and_none_is_a_server() {
        let mut clients = clients();
        let number = clients.len();
        clients.sort();
        clients.dedup();
        assert_eq!(clients.len(), number);
        assert!(SERVERS.iter().all(|server| !clients.contains(server)));
    }

    #[test]
    fn clients_reach_the_server_of_their_family() {
        for client in clients() {
            assert_eq!(server_for(client).is_ipv4(), client.is_ipv4());
        }
    }
}
