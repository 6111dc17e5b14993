//! The way of responses that no server makes: in by the second cable, and, by the
//! kernel's forwarding, out by the first.

use anyhow::{Context as _, Result};

use crate::network::{INTERFACES, Network, Side};

/// Makes the server's namespace a router from the second cable to the first,
/// where neighbours are that nobody has; its MAC address at the second.
///
/// # Errors
/// When the kernel does not do it.
pub fn forward(network: &Network) -> Result<[u8; 6]> {
    let [first, second] = INTERFACES;
    let script = format!(
        "set -e\n\
         echo 1 > /proc/sys/net/ipv4/ip_forward\n\
         echo 1 > /proc/sys/net/ipv6/conf/all/forwarding\n\
         for each in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $each; done\n\
         ip neighbour replace 192.0.2.66 lladdr 02:00:00:00:00:66 dev {first}\n\
         ip neighbour replace 2001:db8::66 lladdr 02:00:00:00:00:66 dev {first}\n\
         ip route add default via 192.0.2.66 dev {first}\n\
         ip route add default via 2001:db8::66 dev {first}\n"
    );
    network.output(Side::Server, "sh", &["-c", &script])?;
    mac_address(network, Side::Server, second)
}

/// The kernel's number of an interface of the clients' side.
///
/// # Errors
/// When there is no such interface.
pub fn interface_index(network: &Network, interface: &str) -> Result<u32> {
    let path = format!("/sys/class/net/{interface}/ifindex");
    let text = network.output(Side::Client, "cat", &[&path])?;
    Ok(text.trim().parse()?)
}

fn mac_address(network: &Network, side: Side, interface: &str) -> Result<[u8; 6]> {
    let path = format!("/sys/class/net/{interface}/address");
    let text = network.output(side, "cat", &[&path])?;
    let octets: Vec<u8> = text
        .trim()
        .split(':')
        .map(|octet| u8::from_str_radix(octet, 16))
        .collect::<Result<_, _>>()?;
    octets.try_into().ok().context("six octets")
}
