//! The whole way of one packet, the same in the kernel and in user space.

use crate::{
    counters::{Counters, Delivery, Hook, Outcome, Role},
    locate::{Flow, Link, Located, Payload, Transport, locate},
    message::{self, Message},
    packet::Packet,
    reject::Reject,
    settings::Settings,
};

/// What the code path needs of the place where it runs.
pub trait Host {
    /// The counters of this CPU and hook.
    fn counters(&mut self) -> &mut Counters;

    /// Whether an address (in memory order, IPv4 in the first four octets) is
    /// one of the configured service addresses. Asked only when there are any.
    fn is_service_address(&mut self, flow: &Flow, address: [u64; 2]) -> bool;

    /// Hands a whole message on.
    fn message(&mut self, context: &Context, message: &Message) -> Delivery;

    /// Hands a TCP segment on to be reassembled.
    fn segment(&mut self, context: &Context, payload: &Payload) -> Delivery;
}

/// What stands beside a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Where the packet was seen.
    pub hook: Hook,
    /// The observed host's side of the exchange.
    pub role: Role,
    /// Who talks to whom.
    pub flow: Flow,
    /// TCP sequence number of the payload's first octet; 0 over UDP.
    pub sequence: u32,
}

/// Sees one packet: counts it, and hands on what it holds.
#[inline(always)]
pub fn observe<P: Packet, H: Host>(
    packet: &P,
    link: Link,
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Outcome {
    let (layers, located) = locate(packet, link, settings);
    host.counters().packet(layers, packet.wire_len());
    match located {
        Located::Payload(payload) => observe_payload(packet, &payload, hook, settings, host),
        Located::NotDns(kind, tcp_flags) => host.counters().not_dns(kind, tcp_flags),
        Located::Fragment => host.counters().outcome(Outcome::Fragment),
        Located::Rejected(reason) => host.counters().rejected(reason),
    }
}

#[inline(always)]
fn observe_payload<P: Packet, H: Host>(
    packet: &P,
    payload: &Payload,
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Outcome {
    // RFC 7766, section 8: over TCP a message has a length of two octets
    // before it.
    let (whole, prefix) = match payload.transport {
        Transport::Udp => (true, 0),
        Transport::Tcp => (holds_one_message(packet, payload), 2),
    };
    let parsed = if whole {
        message::parse(packet, payload.at + prefix, payload.len - prefix)
    } else {
        Err(Reject::DnsHeader)
    };
    match parsed {
        Ok(message) => observe_message(packet, payload, &message, hook, settings, host),
        // Part of a stream: only the stream tells whether it is broken.
        Err(_) if payload.transport == Transport::Tcp => {
            observe_segment(packet, payload, hook, settings, host)
        }
        Err(reason) => host.counters().rejected(reason),
    }
}

#[inline(always)]
fn observe_message<P: Packet, H: Host>(
    packet: &P,
    payload: &Payload,
    message: &Message,
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Outcome {
    let flow = match payload.flow(packet) {
        Ok(flow) => flow,
        Err(reason) => return host.counters().rejected(reason),
    };
    let context = Context {
        hook,
        role: role(&flow, hook, message.header.is_response(), settings, host),
        flow,
        sequence: payload.sequence,
    };
    let counters = host.counters();
    counters.message(context.role, flow.family, flow.transport, message);
    let delivery = host.message(&context, message);
    host.counters().delivery(delivery);
    host.counters().outcome(Outcome::Dns)
}

#[inline(always)]
fn observe_segment<P: Packet, H: Host>(
    packet: &P,
    payload: &Payload,
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Outcome {
    let flow = match payload.flow(packet) {
        Ok(flow) => flow,
        Err(reason) => return host.counters().rejected(reason),
    };
    let context = Context {
        hook,
        role: role(&flow, hook, hook == Hook::Egress, settings, host),
        flow,
        sequence: payload.sequence,
    };
    let delivery = host.segment(&context, payload);
    host.counters().delivery(delivery);
    host.counters().outcome(Outcome::Segment)
}

/// Whether the length prefix says that the segment is one whole message.
#[inline(always)]
fn holds_one_message<P: Packet>(packet: &P, payload: &Payload) -> bool {
    let prefix = packet.read(payload.at).map(u16::from_be_bytes);
    payload.len >= 2 + message::HEADER_LEN && prefix.map(usize::from) == Some(payload.len - 2)
}

/// The side that the observed host is on: by its service addresses where they
/// are listed, by its port, and by QR where both ports are watched ones.
#[inline(always)]
fn role<H: Host>(
    flow: &Flow,
    hook: Hook,
    response: bool,
    settings: &Settings,
    host: &mut H,
) -> Role {
    let (local, local_port, remote_port) = match hook {
        Hook::Ingress => (flow.destination, flow.destination_port, flow.source_port),
        Hook::Egress => (flow.source, flow.source_port, flow.destination_port),
    };
    if settings.lists_service_addresses() && !host.is_service_address(flow, local) {
        return Role::Client;
    }
    if !settings.watches(local_port) {
        return Role::Client;
    }
    let answers = response == (hook == Hook::Egress);
    if settings.watches(remote_port) && !answers {
        return Role::Client;
    }
    Role::Server
}
