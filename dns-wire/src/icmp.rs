//! What ICMP (RFC 792) and ICMPv6 (RFC 4443, RFC 4861) messages say, as far as
//! it matters to a name server.
//!
//! Type and code are looked up in tables rather than compared: the verifier then
//! sees one way instead of twenty.

use crate::packet::Packet;

table! {
    /// Type of an ICMP or ICMPv6 message; of "destination unreachable" with the
    /// reason that its code gives.
    pub enum IcmpType {
        /// Any other type.
        Other = "other",
        /// Echo request: ping.
        EchoRequest = "echo_request",
        /// Echo reply.
        EchoReply = "echo_reply",
        /// Destination unreachable: no route to its network.
        NetUnreachable = "net_unreachable",
        /// Destination unreachable: the host or its address.
        HostUnreachable = "host_unreachable",
        /// Destination unreachable: nobody listens on the port.
        PortUnreachable = "port_unreachable",
        /// Destination unreachable: prohibited by a filter or policy.
        Prohibited = "prohibited",
        /// Destination unreachable for another reason.
        OtherUnreachable = "other_unreachable",
        /// Packet too big; in IPv4, fragmentation needed and not allowed.
        PacketTooBig = "packet_too_big",
        /// Time exceeded: hop limit, or fragments that did not come.
        TimeExceeded = "time_exceeded",
        /// Parameter problem.
        ParameterProblem = "parameter_problem",
        /// Source quench (deprecated by RFC 6633).
        SourceQuench = "source_quench",
        /// Redirect.
        Redirect = "redirect",
        /// Router solicitation.
        RouterSolicitation = "router_solicitation",
        /// Router advertisement.
        RouterAdvertisement = "router_advertisement",
        /// Neighbor solicitation.
        NeighborSolicitation = "neighbor_solicitation",
        /// Neighbor advertisement.
        NeighborAdvertisement = "neighbor_advertisement",
    }
}

/// A protocol's types, and the codes of its "destination unreachable".
struct Types {
    of_type: [u8; 256],
    unreachable: u8,
    of_code: [u8; 16],
}

/// ICMP (RFC 792, RFC 1256, RFC 1812).
static ICMP: Types = {
    let mut of_type = [IcmpType::Other as u8; 256];
    of_type[0] = IcmpType::EchoReply as u8;
    of_type[3] = IcmpType::OtherUnreachable as u8;
    of_type[4] = IcmpType::SourceQuench as u8;
    of_type[5] = IcmpType::Redirect as u8;
    of_type[8] = IcmpType::EchoRequest as u8;
    of_type[9] = IcmpType::RouterAdvertisement as u8;
    of_type[10] = IcmpType::RouterSolicitation as u8;
    of_type[11] = IcmpType::TimeExceeded as u8;
    of_type[12] = IcmpType::ParameterProblem as u8;
    let mut of_code = [IcmpType::OtherUnreachable as u8; 16];
    of_code[0] = IcmpType::NetUnreachable as u8;
    of_code[1] = IcmpType::HostUnreachable as u8;
    of_code[3] = IcmpType::PortUnreachable as u8;
    of_code[4] = IcmpType::PacketTooBig as u8;
    of_code[6] = IcmpType::NetUnreachable as u8;
    of_code[7] = IcmpType::HostUnreachable as u8;
    of_code[9] = IcmpType::Prohibited as u8;
    of_code[10] = IcmpType::Prohibited as u8;
    of_code[13] = IcmpType::Prohibited as u8;
    Types {
        of_type,
        unreachable: 3,
        of_code,
    }
};

/// ICMPv6 (RFC 4443, RFC 4861).
static ICMPV6: Types = {
    let mut of_type = [IcmpType::Other as u8; 256];
    of_type[1] = IcmpType::OtherUnreachable as u8;
    of_type[2] = IcmpType::PacketTooBig as u8;
    of_type[3] = IcmpType::TimeExceeded as u8;
    of_type[4] = IcmpType::ParameterProblem as u8;
    of_type[128] = IcmpType::EchoRequest as u8;
    of_type[129] = IcmpType::EchoReply as u8;
    of_type[133] = IcmpType::RouterSolicitation as u8;
    of_type[134] = IcmpType::RouterAdvertisement as u8;
    of_type[135] = IcmpType::NeighborSolicitation as u8;
    of_type[136] = IcmpType::NeighborAdvertisement as u8;
    of_type[137] = IcmpType::Redirect as u8;
    let mut of_code = [IcmpType::OtherUnreachable as u8; 16];
    of_code[0] = IcmpType::NetUnreachable as u8;
    of_code[1] = IcmpType::Prohibited as u8;
    of_code[3] = IcmpType::HostUnreachable as u8;
    of_code[4] = IcmpType::PortUnreachable as u8;
    of_code[5] = IcmpType::Prohibited as u8;
    of_code[6] = IcmpType::Prohibited as u8;
    Types {
        of_type,
        unreachable: 1,
        of_code,
    }
};

/// Index of the type of the ICMP message at offset `at` of an IP packet that
/// ends at `end`; that of [`IcmpType::Other`] if it has none.
#[inline(always)]
pub(crate) fn icmp<P: Packet>(packet: &P, at: usize, end: usize) -> u8 {
    index(packet, at, end, &ICMP)
}

/// The same of an ICMPv6 message.
#[inline(always)]
pub(crate) fn icmpv6<P: Packet>(packet: &P, at: usize, end: usize) -> u8 {
    index(packet, at, end, &ICMPV6)
}

#[inline(always)]
fn index<P: Packet>(packet: &P, at: usize, end: usize, types: &Types) -> u8 {
    if at + 2 > end {
        return IcmpType::Other as u8;
    }
    let Some([kind, code]) = packet.read(at) else {
        return IcmpType::Other as u8;
    };
    let index = if kind == types.unreachable {
        types.of_code.get(usize::from(code))
    } else {
        types.of_type.get(usize::from(kind))
    };
    let unknown = if kind == types.unreachable {
        IcmpType::OtherUnreachable
    } else {
        IcmpType::Other
    };
    index.copied().unwrap_or(unknown as u8)
}
