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

    /// Sees the payload: [`observe_payload`], or a call that leads to it.
    #[inline(always)]
    fn payload<P: Packet>(
        &mut self,
        packet: &P,
        payload: &Payload,
        hook: Hook,
        settings: &Settings,
    ) -> Outcome
    where
        Self: Sized,
    {
        observe_payload(packet, payload, hook, settings, self)
    }

    /// A reader of a payload's start.
    type Window: Packet;

    /// The start of a payload that the frame itself does not let read; it reads
    /// at the same offsets.
    fn window(&mut self, payload: &Payload) -> Option<Self::Window>;

    /// Hands a whole message on. Its name is read from `packet`.
    fn message<P: Packet>(&mut self, packet: &P, context: &Context, message: &Message) -> Delivery;

    /// Hands a TCP segment on to be reassembled, with the context that
    /// [`segment_context`] tells.
    fn segment<P: Packet>(
        &mut self,
        packet: &P,
        payload: &Payload,
        hook: Hook,
        settings: &Settings,
    ) -> Delivery;
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
    // Nothing stands between the finding and this match: the compiler then
    // joins each way through the parser with its arm, instead of merging all.
    match located {
        Located::Payload(payload) => {
            host.counters().packet(layers, packet.wire_len());
            let outcome = host.payload(packet, &payload, hook, settings);
            if outcome == Outcome::Segment {
                let delivery = host.segment(packet, &payload, hook, settings);
                host.counters().delivery(delivery);
            }
            outcome
        }
        Located::NotDns(kind, tcp_flags) => {
            host.counters().packet(layers, packet.wire_len());
            host.counters().not_dns(kind, tcp_flags)
        }
        Located::Fragment => {
            host.counters().packet(layers, packet.wire_len());
            host.counters().outcome(Outcome::Fragment)
        }
        Located::Rejected(reason) => {
            host.counters().packet(layers, packet.wire_len());
            host.counters().rejected(reason)
        }
    }
}

/// Sees the payload of a datagram or segment on a watched port. What it calls a
/// segment is counted, but still to be handed on.
#[inline(always)]
pub fn observe_payload<P: Packet, H: Host>(
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
    let seen = Seen {
        hook,
        settings,
        payload,
        flow: &flow,
    };
    match payload.transport {
        Transport::Udp => match message::parse(packet, payload.at, payload.len) {
            Ok(message) => observe_message(packet, &seen, &message, host),
            Err(reason) => host.counters().rejected(reason),
        },
        Transport::Tcp if packet.holds(payload.at + payload.len) => {
            observe_stream(packet, &seen, host)
        }
        Transport::Tcp => match host.window(payload) {
            Some(window) => observe_stream(&window, &seen, host),
            None => host.counters().outcome(Outcome::Segment),
        },
    }
}

/// What is known of a payload before it is parsed.
struct Seen<'a> {
    hook: Hook,
    settings: &'a Settings,
    payload: &'a Payload,
    flow: &'a Flow,
}

/// A segment that is exactly one message needs no reassembly.
#[inline(always)]
fn observe_stream<P: Packet, H: Host>(packet: &P, seen: &Seen<'_>, host: &mut H) -> Outcome {
    let Payload { at, len, .. } = *seen.payload;
    // RFC 7766, section 8: "a two-octet length field" comes first.
    let prefix = packet.read(at).map(u16::from_be_bytes);
    if len < 2 + message::HEADER_LEN || prefix.map(usize::from) != Some(len - 2) {
        return host.counters().outcome(Outcome::Segment);
    }
    match message::parse(packet, at + 2, len - 2) {
        Ok(message) => observe_message(packet, seen, &message, host),
        // Only the stream tells whether it is broken or out of step.
        Err(_) => host.counters().outcome(Outcome::Segment),
    }
}

#[inline(always)]
fn observe_message<P: Packet, H: Host>(
    packet: &P,
    seen: &Seen<'_>,
    message: &Message,
    host: &mut H,
) -> Outcome {
    let context = context(seen, message.header.is_response(), host);
    let flow = &context.flow;
    let counters = host.counters();
    counters.message(context.role, flow.family, flow.transport, message);
    let delivery = host.message(packet, &context, message);
    host.counters().delivery(delivery);
    host.counters().outcome(Outcome::Dns)
}

/// What stands beside a segment.
///
/// # Errors
/// Where the frame does not hold the addresses.
#[inline(always)]
pub fn segment_context<P: Packet, H: Host>(
    packet: &P,
    payload: &Payload,
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Result<Context, Reject> {
    let seen = Seen {
        hook,
        settings,
        payload,
        flow: &payload.flow(packet)?,
    };
    // A server's segments that leave are responses, those that arrive queries.
    Ok(context(&seen, hook == Hook::Egress, host))
}

#[inline(always)]
fn context<H: Host>(seen: &Seen<'_>, response: bool, host: &mut H) -> Context {
    Context {
        hook: seen.hook,
        role: role(seen.flow, seen.hook, response, seen.settings, host),
        flow: *seen.flow,
        sequence: seen.payload.sequence,
    }
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
