//! The whole way of one packet, the same in the kernel and in user space.

use crate::{
    counters::{Count, Delivery, Hook, Outcome, Role},
    locate::{Family, Flow, Layers, Link, Located, Payload, Transport, locate, tcp_flag},
    message::{self, Header, Message},
    packet::Packet,
    plain,
    reject::Reject,
    settings::{Settings, Watched},
};

/// What the code path needs of the place where it runs.
pub trait Host {
    /// What it counts into.
    type Counts: Count;

    /// The counters of this CPU and hook.
    fn counters(&mut self) -> &mut Self::Counts;

    /// Whether an address (in memory order, IPv4 in the first four octets) is
    /// one of the configured service addresses. Asked only when there are any.
    fn is_service_address(&mut self, family: Family, address: [u64; 2]) -> bool;

    /// Finds the payload: [`locate`], or a call that leads to it.
    #[inline(always)]
    fn locate<P: Packet>(
        &mut self,
        packet: &P,
        link: Link,
        _hook: Hook,
        settings: &Settings,
    ) -> (Layers, Located) {
        locate(packet, link, settings)
    }

    /// Sees the payload: [`observe_payload`], or a call that leads to it.
    #[inline(always)]
    fn payload<P: Packet>(
        &mut self,
        packet: &P,
        payload: &Payload,
        hook: Hook,
        settings: &Settings,
    ) -> Finding
    where
        Self: Sized,
    {
        observe_payload(packet, || *payload, hook, settings, self)
    }

    /// Sees a TCP segment without payload: [`observe_control`], or a call that
    /// leads to it.
    #[inline(always)]
    fn control<P: Packet>(
        &mut self,
        packet: &P,
        payload: &Payload,
        hook: Hook,
        settings: &Settings,
    ) -> Outcome
    where
        Self: Sized,
    {
        observe_control(packet, payload, hook, settings, self)
    }

    /// A SYN-ACK of the observed server leaves on a connection, and `ack` will
    /// acknowledge it.
    fn handshake_begins(&mut self, connection: u64, ack: u32);

    /// Nanoseconds since that SYN-ACK, if `ack` is the first that acknowledges it.
    fn handshake_ends(&mut self, connection: u64, ack: u32) -> Option<u64>;

    /// A reader of a payload's start.
    type Window: Packet;

    /// The start of a payload that the frame itself does not let read; offsets in
    /// it begin there.
    fn window(&mut self, payload: &Payload) -> Option<Self::Window>;

    /// Hands a whole message on. Its name is read from `packet`. What stands beside
    /// it is read when `context` is called, and may be read anew: a kernel program
    /// has more room for it in the packet than on its stack.
    fn message<P: Packet>(
        &mut self,
        packet: &P,
        context: impl Fn() -> Context,
        message: &Message,
    ) -> Delivery;

    /// Hands the payload's octets on, with the context that [`raw_context`]
    /// tells: a TCP segment to be reassembled, or a whole message. Counts the
    /// delivery, since a caller that looked at it would have to for each way
    /// that leads there.
    fn raw<P: Packet>(
        &mut self,
        packet: &P,
        payload: &Payload,
        finding: Finding,
        hook: Hook,
        settings: &Settings,
    );
}

/// What a payload was found to be, in a word: the kernel programs find it in one
/// function and hand its octets on in another.
///
/// The lowest three bits are the outcome's index; of a whole message the upper
/// half is its ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Finding(u32);

impl Finding {
    const RAW: u32 = 1 << 8;
    const WHOLE: u32 = 1 << 9;
    const RESPONSE: u32 = 1 << 10;

    /// A message that was handed on parsed.
    pub const PARSED: Self = Self(Outcome::Dns.index() as u32);
    /// A segment, still to be handed on.
    pub const SEGMENT: Self = Self(Outcome::Segment.index() as u32 | Self::RAW);
    /// Nothing that could be read.
    pub const REJECTED: Self = Self(Outcome::Rejected.index() as u32);

    /// A message whose octets are still to be handed on.
    #[inline(always)]
    #[must_use]
    pub const fn whole(header: &Header) -> Self {
        let response = if header.is_response() {
            Self::RESPONSE
        } else {
            0
        };
        let id = (header.id() as u32) << 16;
        Self(Self::PARSED.0 | Self::RAW | Self::WHOLE | response | id)
    }

    /// As a number, for a call.
    #[inline(always)]
    #[must_use]
    pub const fn pack(self) -> u64 {
        self.0 as u64
    }

    /// The finding of such a number.
    #[inline(always)]
    #[must_use]
    pub const fn unpack(word: u64) -> Self {
        Self(word as u32)
    }

    /// What the packet ended as.
    #[inline(always)]
    #[must_use]
    pub fn outcome(self) -> Outcome {
        // By the table of eight the verifier sees one way, and needs no check of
        // bounds. What a payload does not end as stands for nothing.
        const REJECTED: Outcome = Outcome::Rejected;
        const BY_INDEX: [Outcome; 8] = [
            Outcome::Dns,
            Outcome::Segment,
            REJECTED,
            REJECTED,
            REJECTED,
            REJECTED,
            REJECTED,
            REJECTED,
        ];
        const { assert!(Outcome::Dns.index() == 0 && Outcome::Segment.index() == 1) }
        let outcome = BY_INDEX.get(self.0 as usize & 7);
        outcome.copied().unwrap_or(Outcome::Rejected)
    }

    /// Whether it is a message, counted, whose octets are still to be handed on.
    #[inline(always)]
    #[must_use]
    pub const fn is_whole(self) -> bool {
        self.0 & Self::WHOLE != 0
    }

    /// Whether octets are still to be handed on.
    #[inline(always)]
    #[must_use]
    pub const fn is_raw(self) -> bool {
        self.0 & Self::RAW != 0
    }

    /// QR of a whole message.
    #[inline(always)]
    #[must_use]
    pub const fn is_response(self) -> bool {
        self.0 & Self::RESPONSE != 0
    }

    /// ID of a whole message; 0 of a segment.
    #[inline(always)]
    #[must_use]
    pub const fn id(self) -> u16 {
        (self.0 >> 16) as u16
    }
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
    if link == Link::Ethernet
        && let Some(outcome) = plain::observe(packet, hook, settings, host)
    {
        return outcome;
    }
    let found = host.locate(packet, link, hook, settings);
    observe_located(packet, found, hook, settings, host)
}

/// Sees one packet whose payload was located.
#[inline(always)]
pub fn observe_located<P: Packet, H: Host>(
    packet: &P,
    (layers, located): (Layers, Located),
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Outcome {
    match located {
        Located::Payload(payload) => {
            host.counters().packet(layers, packet.wire_len());
            let finding = host.payload(packet, &payload, hook, settings);
            if finding.is_raw() {
                host.raw(packet, &payload, finding, hook, settings);
            }
            finding.outcome()
        }
        Located::Control(payload) => {
            host.counters().packet(layers, packet.wire_len());
            host.control(packet, &payload, hook, settings)
        }
        Located::NotDns(kind, icmp) => {
            host.counters().packet(layers, packet.wire_len());
            host.counters().not_dns(layers, kind, icmp)
        }
        Located::Fragment => {
            host.counters().packet(layers, packet.wire_len());
            host.counters().fragment(layers)
        }
        Located::Rejected(reason) => {
            host.counters().packet(layers, packet.wire_len());
            host.counters().rejected(layers, reason)
        }
    }
}

/// Sees the payload of a datagram or segment on a watched port. What it calls
/// raw is counted, but still to be handed on. What is known of the payload is asked
/// for where it is needed: a kernel program unpacks it anew each time, as it has no
/// room to keep it.
#[inline(always)]
pub fn observe_payload<P: Packet, H: Host>(
    packet: &P,
    payload: impl Fn() -> Payload,
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Finding {
    let seen = Seen {
        hook,
        settings,
        payload: &payload,
        watched: None,
    };
    let Payload {
        at, len, transport, ..
    } = payload();
    match transport {
        Transport::Udp => match message::parse(packet, at, len) {
            Ok(message) => {
                let flow = || payload().flow_of_message(packet);
                observe_message(packet, &seen, flow, &message, host)
            }
            Err(reason) => rejected(&payload(), reason, host),
        },
        Transport::Tcp if packet.holds(at + len) => observe_stream(packet, packet, at, &seen, host),
        Transport::Tcp => match host.window(&payload()) {
            Some(window) => observe_stream(packet, &window, 0, &seen, host),
            None => segment(&payload(), host),
        },
    }
}

/// Sees the payload of a datagram whose header was read; `flow` reads addresses
/// and ports.
#[inline(always)]
pub(crate) fn observe_datagram<P: Packet, H: Host>(
    packet: &P,
    seen: &Seen<'_, impl Fn() -> Payload>,
    header: Header,
    flow: impl Fn() -> Flow,
    host: &mut H,
) -> Finding {
    let payload = (seen.payload)();
    match message::parse_behind(packet, header, payload.at, payload.len) {
        Ok(message) => observe_message(packet, seen, flow, &message, host),
        Err(reason) => rejected(&payload, reason, host),
    }
}

/// Sees a TCP segment without payload on a watched port: counts it, and times the
/// handshakes of the observed server.
#[inline(always)]
pub fn observe_control<P: Packet, H: Host>(
    packet: &P,
    control: &Payload,
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Outcome {
    const HANDSHAKE: u8 = tcp_flag::SYN | tcp_flag::ACK | tcp_flag::RST | tcp_flag::FIN;
    const SYN_ACK: u8 = tcp_flag::SYN | tcp_flag::ACK;
    match (hook, control.tcp_flags & HANDSHAKE) {
        (Hook::Egress, SYN_ACK) => {
            if let Some(connection) = served(packet, control, hook, settings, host) {
                host.handshake_begins(connection, control.sequence);
            }
        }
        (Hook::Ingress, tcp_flag::ACK) => {
            // RFC 9293, section 3.1: behind ports and sequence number.
            if let Some(ack) = packet.read(control.at + 8).map(u32::from_be_bytes)
                && let Some(connection) = served(packet, control, hook, settings, host)
                && let Some(round_trip_ns) = host.handshake_ends(connection, ack)
            {
                host.counters().handshake(control.family, round_trip_ns);
            }
        }
        (Hook::Ingress | Hook::Egress, _) => {}
    }
    host.counters().control(control.layers(), control.tcp_flags)
}

/// The connection, if the observed host is its server.
#[inline(always)]
fn served<P: Packet, H: Host>(
    packet: &P,
    control: &Payload,
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Option<u64> {
    let flow = control.flow(packet).ok()?;
    let watched = settings.watched(control.ports());
    let role = role(hook, settings, watched, &flow, hook == Hook::Egress, host);
    (role == Role::Server).then(|| flow.connection(settings.seed()))
}

/// What is known of a payload before it is parsed.
pub(crate) struct Seen<'a, P> {
    pub(crate) hook: Hook,
    pub(crate) settings: &'a Settings,
    /// The payload.
    pub(crate) payload: P,
    /// Which of its ports are watched, where that was found out before.
    pub(crate) watched: Option<Watched>,
}

/// A segment that is exactly one message needs no reassembly. Its octets are read
/// from `start` at `at`; that may be the packet, or a part of it.
#[inline(always)]
fn observe_stream<P: Packet, W: Packet, H: Host>(
    packet: &P,
    start: &W,
    at: usize,
    seen: &Seen<'_, impl Fn() -> Payload>,
    host: &mut H,
) -> Finding {
    let payload = &seen.payload;
    let len = payload().len;
    // RFC 7766, section 8: "a two-octet length field" comes first.
    let prefix = start.read(at).map(u16::from_be_bytes);
    if len < 2 + message::HEADER_LEN || prefix.map(usize::from) != Some(len - 2) {
        return segment(&payload(), host);
    }
    match message::parse(start, at + 2, len - 2) {
        Ok(message) => {
            let flow = || payload().flow_of_message(packet);
            observe_message(start, seen, flow, &message, host)
        }
        // Only the stream tells whether it is broken or out of step.
        Err(_) => segment(&payload(), host),
    }
}

#[inline(always)]
fn segment<H: Host>(payload: &Payload, host: &mut H) -> Finding {
    host.counters().segment(payload.layers());
    Finding::SEGMENT
}

#[inline(always)]
fn rejected<H: Host>(payload: &Payload, reason: Reject, host: &mut H) -> Finding {
    host.counters().rejected(payload.layers(), reason);
    Finding::REJECTED
}

#[inline(always)]
fn observe_message<P: Packet, H: Host>(
    packet: &P,
    seen: &Seen<'_, impl Fn() -> Payload>,
    flow: impl Fn() -> Flow,
    message: &Message,
    host: &mut H,
) -> Finding {
    let payload = &seen.payload;
    let Payload {
        family, transport, ..
    } = payload();
    let response = message.header.is_response();
    let (hook, settings) = (seen.hook, seen.settings);
    let watched = match seen.watched {
        Some(watched) => watched,
        None => settings.watched(payload().ports()),
    };
    let role = role(hook, settings, watched, &flow(), response, host);
    host.counters().message(role, family, transport, message);
    if settings.hands_on_whole_messages() && message.tells_more() && is_here(packet, &payload()) {
        return Finding::whole(&message.header);
    }
    let context = || Context {
        hook,
        role,
        flow: flow(),
        sequence: payload().sequence,
    };
    let delivery = host.message(packet, context, message);
    host.counters().delivery(delivery);
    Finding::PARSED
}

/// Whether the payload is in this frame to its end: of a first fragment over UDP
/// it is not.
#[inline(always)]
fn is_here<P: Packet>(packet: &P, payload: &Payload) -> bool {
    let Payload { at, len, .. } = *payload;
    !payload.first_fragment && packet.is_captured(at + len)
}

/// What stands beside a payload that is handed on raw.
///
/// # Errors
/// Where the frame does not hold the addresses.
#[inline(always)]
pub fn raw_context<P: Packet, H: Host>(
    packet: &P,
    payload: &Payload,
    finding: Finding,
    hook: Hook,
    settings: &Settings,
    host: &mut H,
) -> Result<Context, Reject> {
    let flow = payload.flow(packet)?;
    let watched = settings.watched(payload.ports());
    let response = if finding.is_whole() {
        finding.is_response()
    } else {
        // A server's segments that leave are responses, those that arrive queries.
        hook == Hook::Egress
    };
    Ok(Context {
        hook,
        role: role(hook, settings, watched, &flow, response, host),
        flow,
        sequence: payload.sequence,
    })
}

/// The side that the observed host is on: by its service addresses where they
/// are listed, by its port, and by QR where both ports are watched ones.
#[inline(always)]
fn role<H: Host>(
    hook: Hook,
    settings: &Settings,
    watched: Watched,
    flow: &Flow,
    response: bool,
    host: &mut H,
) -> Role {
    let (address, is_local, is_remote) = match hook {
        Hook::Ingress => (
            flow.destination,
            watched.is_destination(),
            watched.is_source(),
        ),
        Hook::Egress => (flow.source, watched.is_source(), watched.is_destination()),
    };
    let lists = settings.lists_service_addresses();
    if lists && !host.is_service_address(flow.family, address) {
        return Role::Client;
    }
    if !is_local {
        return Role::Client;
    }
    let answers = response == (hook == Hook::Egress);
    if is_remote && !answers {
        return Role::Client;
    }
    Role::Server
}
