//! Ethernet frames written by hand, and sent as they are.
//!
//! Checksums of UDP and GRE stay 0, "none" in both; that of IPv4 is right, so
//! that the kernel takes the packet as well.

use std::{
    net::Ipv4Addr,
    os::fd::{AsRawFd as _, OwnedFd},
};

use anyhow::{Context as _, Result};
use nix::{
    ifaddrs::getifaddrs,
    sys::socket::{AddressFamily, LinkAddr, MsgFlags, SockFlag, SockType, sendto, socket},
};

use super::{CLIENT_INTERFACES, Network, Side};

/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of a customer's VLAN tag.
pub const VLAN: u16 = 0x8100;
/// EtherType of a provider's VLAN tag.
pub const PROVIDER_VLAN: u16 = 0x88a8;
/// Protocol number: IPv4 in IP.
pub const IP_IN_IP: u8 = 4;
/// Protocol number.
pub const UDP: u8 = 17;
/// Protocol number.
pub const GRE: u8 = 47;
/// "Various control flags": more fragments (RFC 791).
pub const MORE_FRAGMENTS: u16 = 0x2000;

const CLIENT: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
const SERVER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Where frames leave: an end of a cable.
#[derive(Debug)]
pub struct Sender {
    socket: OwnedFd,
    interface: LinkAddr,
}

impl Sender {
    /// Opens a packet socket at the clients' end of the first cable.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn new(network: &Network) -> Result<Self> {
        Self::at(network, Side::Client, CLIENT_INTERFACES[0])
    }

    /// Opens a packet socket at an end of a cable.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn at(network: &Network, side: Side, interface: &str) -> Result<Self> {
        network.within(side, || {
            // Protocol 0: it sends only.
            let socket = socket(
                AddressFamily::Packet,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                None,
            )?;
            let mut links = getifaddrs()?
                .filter(|link| link.interface_name == interface)
                .filter_map(|link| link.address?.as_link_addr().copied());
            let interface = links.next().context("the interface has no link address")?;
            Ok(Self { socket, interface })
        })
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the kernel refuses.
    pub fn send(&self, frame: &[u8]) -> Result<()> {
        let socket = self.socket.as_raw_fd();
        sendto(socket, frame, &self.interface, MsgFlags::empty())?;
        Ok(())
    }
}

/// A frame to everybody, with VLAN tags outermost first.
#[must_use]
pub fn ethernet(tags: &[u16], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![0xff; 6];
    frame.extend([2, 0, 0, 0, 0, 1]);
    for tag in tags {
        frame.extend(tag.to_be_bytes());
        // Priority 0, VLAN 7.
        frame.extend([0, 7]);
    }
    frame.extend(ether_type.to_be_bytes());
    frame.extend(payload);
    frame
}

/// An IPv4 packet from the client to the server, whole.
#[must_use]
pub fn ipv4(protocol: u8, payload: &[u8]) -> Vec<u8> {
    ipv4_fragment(0, protocol, payload)
}

/// An IPv4 packet with the given flags and fragment offset.
#[must_use]
pub fn ipv4_fragment(fragment: u16, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let mut packet = vec![0x45, 0];
    packet.extend(length(20 + payload.len()));
    // Identification.
    packet.extend([0x12, 0x34]);
    packet.extend(fragment.to_be_bytes());
    // Time to live, protocol, checksum.
    packet.extend([64, protocol, 0, 0]);
    packet.extend(CLIENT.octets());
    packet.extend(SERVER.octets());
    let sum = checksum(&packet);
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(payload);
    packet
}

/// A UDP datagram to port 53.
#[must_use]
pub fn udp(payload: &[u8]) -> Vec<u8> {
    let mut datagram = vec![0x9c, 0x40, 0, 53];
    datagram.extend(length(8 + payload.len()));
    datagram.extend([0, 0]);
    datagram.extend(payload);
    datagram
}

/// A GRE header without options (RFC 2784) in front of an IPv4 packet.
#[must_use]
pub fn gre(packet: &[u8]) -> Vec<u8> {
    [&[0, 0, 0x08, 0x00], packet].concat()
}

/// A query for `www.example` of type A, with an OPT record whose padding
/// (RFC 7830) has the given length.
#[must_use]
pub fn query(id: u16, padding: u16) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    // RD; one question and one additional record.
    message.extend([1, 0, 0, 1, 0, 0, 0, 0, 0, 1]);
    message.extend(b"\x03www\x07example\x00\x00\x01\x00\x01");
    // The root's OPT, 1232 octets, no extended RCODE, version 0, no flags.
    message.extend([0, 0, 41, 0x04, 0xd0, 0, 0, 0, 0]);
    message.extend((padding + 4).to_be_bytes());
    message.extend([0, 12]);
    message.extend(padding.to_be_bytes());
    message.resize(message.len() + usize::from(padding), 0);
    message
}

fn length(octets: usize) -> [u8; 2] {
    u16::try_from(octets)
        .expect("a packet has at most 65535 octets")
        .to_be_bytes()
}

/// The Internet checksum (RFC 1071).
fn checksum(header: &[u8]) -> u16 {
    let words = header
        .chunks_exact(2)
        .map(|word| u32::from(word[0]) << 8 | u32::from(word[1]));
    let sum: u32 = words.sum();
    let folded = (sum & 0xffff) + (sum >> 16);
    !((folded & 0xffff) + (folded >> 16)) as u16
}
