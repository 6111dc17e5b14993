//! What DSC 2.15.2 would see in a capture, its defects included, for
//! `xdsc read --compat dsc`.
//!
//! The way of a packet is that of the modules: `layers` finds the IP packets of a
//! frame, `fragments` and `tcp` put together what came in pieces, `message` reads
//! the DNS message. Nothing is shared with the parser of `dns-wire`: that one is
//! right, and this one must be wrong in the same places as DSC.
//!
//! | what | DSC, and so this | the rest of xdsc |
//! |---|---|---|
//! | frame of less than 14 octets | dropped, whatever the link type | read |
//! | link types | Ethernet, raw IP, Linux cooked v1, null and loop (family in network order), PPP (IPv4 only); any other is an error | all of these, v2, either byte order |
//! | VLAN | one tag of type 0x8100 | two, 802.1ad too |
//! | IPv4 fragments | only if the first arrives first; overlaps overwrite | any order |
//! | IPv6 fragments, payload above 1,460 octets, packets cut by the capture | dropped | read as far as there |
//! | IPv6 AH and ESP | walked like an options header | AH by its own length, ESP ends the chain |
//! | GRE | optional fields looked for in the wrong bits | RFC 2784, RFC 2890 |
//! | IP in IP | not looked into | looked into where enabled |
//! | UDP length | not looked at: the IP packet's end is the message's | checked |
//! | TCP | from the SYN on; 8 messages, 8 held segments, 8 holes; a length split by a segment that also fills an earlier message is lost; idle connections end with the interval | resynchronised |
//! | QNAME | compression followed, up to 512 octets of text | not compressed, 255 octets |
//! | 12 octets with QDCOUNT 1 | counted, without question | rejected |
//! | message cut by the capture | parsed as if it were whole; its length is what was captured | counted as cut |
//! | OPT with a root owner that is compressed, or behind a broken record | not seen | seen, or malformed |
//! | extended RCODE | not read | read |
//! | client and server | by QR alone | by hook and port |
//!
//! One of its faults is not here: a compressed name that ends in a pointer to a
//! root label has a dot too many in DSC's text. DSC's memory has no bound; this
//! front end forgets the oldest fragments and connections beyond the bounds of
//! its modules.

mod fragments;
mod layers;
mod message;
mod tcp;

use dns_wire::{
    counters::{Hook, Role},
    locate::{Flow, Transport},
};

use super::file::{LinkType, Packet};
use crate::stats::observed::Observed;
use fragments::Fragments;
use layers::Datagram;
use message::Reader;
use tcp::Streams;

/// What a DSC configuration may change here.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `dns_port`.
    pub port: u16,
    /// `drop_ip_fragments`: not even the first one is read.
    pub drop_fragments: bool,
    /// `match_vlan`: tags that are let through, untagged frames always being;
    /// all tags where it is empty. As DSC does, priority bits are part of it.
    pub vlans: Vec<u16>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            port: 53,
            drop_fragments: false,
            vlans: Vec::new(),
        }
    }
}

/// DSC gives up at such a capture.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("DSC cannot read link type {0}: leave out --compat dsc")]
pub struct UnsupportedLink(pub LinkType);

/// Reads packets as DSC does.
pub struct DscFront {
    settings: Settings,
    fragments: Fragments,
    transport: TransportLayer,
}

/// What stands behind IP.
struct TransportLayer {
    port: u16,
    streams: Streams,
    reader: Reader,
}

impl DscFront {
    /// A front end that has seen nothing yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self {
            transport: TransportLayer {
                port: settings.port,
                streams: Streams::default(),
                reader: Reader::default(),
            },
            fragments: Fragments::default(),
            settings,
        }
    }

    /// Hands each message that DSC would count at this packet to `sink`.
    ///
    /// # Errors
    /// DSC does not know the link type.
    pub fn packet(
        &mut self,
        packet: &Packet<'_>,
        sink: &mut dyn FnMut(&Observed<'_>),
    ) -> Result<(), UnsupportedLink> {
        let mut ip = layers::ip_in_frame(packet.link, packet.bytes, &self.settings.vlans)?;
        while let Some(datagram) = ip.and_then(layers::datagram) {
            ip = datagram.in_gre();
            self.datagram(&datagram, packet.time_ns, sink);
        }
        Ok(())
    }

    /// DSC forgets idle connections when an interval ends, and only then;
    /// `time_ns` is the last packet's.
    pub fn end_interval(&mut self, time_ns: u64) {
        self.transport.streams.forget_idle(seconds(time_ns));
    }

    fn datagram(
        &mut self,
        datagram: &Datagram<'_>,
        time_ns: u64,
        sink: &mut dyn FnMut(&Observed<'_>),
    ) {
        let Some(fragment) = &datagram.fragment else {
            self.transport
                .payload(datagram, datagram.payload, time_ns, sink);
            return;
        };
        if self.settings.drop_fragments {
            return;
        }
        if let Some(whole) = self.fragments.add(datagram, fragment) {
            self.transport.payload(datagram, &whole, time_ns, sink);
        }
    }
}

impl TransportLayer {
    fn payload(
        &mut self,
        datagram: &Datagram<'_>,
        payload: &[u8],
        time_ns: u64,
        sink: &mut dyn FnMut(&Observed<'_>),
    ) {
        match datagram.protocol {
            layers::UDP => self.udp(datagram, payload, time_ns, sink),
            layers::TCP => self.tcp(datagram, payload, time_ns, sink),
            _ => {}
        }
    }

    fn udp(
        &mut self,
        datagram: &Datagram<'_>,
        payload: &[u8],
        time_ns: u64,
        sink: &mut dyn FnMut(&Observed<'_>),
    ) {
        let Some((header, message)) = payload.split_first_chunk::<UDP_HEADER>() else {
            return;
        };
        let flow = datagram.flow(Transport::Udp, header);
        if self.is_watched(&flow) {
            observe(&mut self.reader, &flow, time_ns, message, sink);
        }
    }

    fn tcp(
        &mut self,
        datagram: &Datagram<'_>,
        payload: &[u8],
        time_ns: u64,
        sink: &mut dyn FnMut(&Observed<'_>),
    ) {
        let Some((header, _)) = payload.split_first_chunk::<{ tcp::HEADER }>() else {
            return;
        };
        let flow = datagram.flow(Transport::Tcp, header);
        if !self.is_watched(&flow) {
            return;
        }
        let segment = tcp::Segment::parse(header, payload);
        let reader = &mut self.reader;
        self.streams
            .segment(&flow, &segment, seconds(time_ns), &mut |message| {
                observe(reader, &flow, time_ns, message, sink);
            });
    }

    fn is_watched(&self, flow: &Flow) -> bool {
        flow.source_port == self.port || flow.destination_port == self.port
    }
}

/// Octets of a UDP header.
const UDP_HEADER: usize = 8;

fn observe(
    reader: &mut Reader,
    flow: &Flow,
    time_ns: u64,
    bytes: &[u8],
    sink: &mut dyn FnMut(&Observed<'_>),
) {
    let Some((message, name, options)) = reader.read(bytes) else {
        return;
    };
    sink(&Observed {
        time_ns,
        hook: if message.header.is_response() {
            Hook::Egress
        } else {
            Hook::Ingress
        },
        role: Role::Server,
        flow: *flow,
        message,
        name,
        options,
        weight: 1,
    });
}

const fn seconds(time_ns: u64) -> u64 {
    time_ns / 1_000_000_000
}
