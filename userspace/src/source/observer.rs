//! The parser's host in user space: the same counters and records as the kernel
//! programs make, for frames from capture files.

use std::{num::NonZeroUsize, ops::Range};

use dns_wire::{
    Packet, Settings, Slice,
    counters::{Count as _, Counters, Delivery, Hook, Outcome},
    handshake::SynAck,
    locate::{self, Family, Layers, Link, Located, Payload, Transport, locate},
    message::Message,
    observe::{Context, Finding, Host, observe_located, raw_context},
    packet::{NAME_AT, NameArea},
    record::{self, HEAD, HEAD_WORDS, LINE, MAX_SEGMENT, Record, Stamp, ip_addr},
};

use foldhash::quality::RandomState;
use lru::LruCache;

use crate::{config::IpPrefix, stats::observed::Observed};

/// Handshakes that are timed at once.
const HANDSHAKES: NonZeroUsize = NonZeroUsize::new(1 << 16).unwrap();

/// Sees frames one after the other.
#[derive(Debug)]
pub struct Observer {
    settings: Settings,
    service_addresses: Vec<IpPrefix>,
    counters: Box<[Counters; 2]>,
    /// Under way, by connection; the oldest make room.
    handshakes: LruCache<u64, SynAck, RandomState>,
    records: Vec<u8>,
}

impl Observer {
    /// With the given settings; `service_addresses` empty means every address.
    #[must_use]
    pub fn new(settings: Settings, service_addresses: Vec<IpPrefix>) -> Self {
        Self {
            settings: settings.with_service_addresses(!service_addresses.is_empty()),
            service_addresses,
            counters: Box::default(),
            handshakes: LruCache::with_hasher(HANDSHAKES, RandomState::default()),
            records: Vec::new(),
        }
    }

    /// The counters of a hook.
    #[must_use]
    pub const fn counters(&self, hook: Hook) -> &Counters {
        let [ingress, egress] = &*self.counters;
        match hook {
            Hook::Ingress => ingress,
            Hook::Egress => egress,
        }
    }

    /// Sees a frame at `hook`, and hands its records on, stamped with `time_ns`;
    /// what it ended as.
    pub fn observe(
        &mut self,
        frame: Slice<'_>,
        link: Link,
        hook: Hook,
        time_ns: u64,
        sink: impl FnMut(&Record<'_>),
    ) -> Outcome {
        let found = locate(&frame, link, &self.settings);
        self.observe_located(frame, found, hook, time_ns, &mut Records(sink))
    }

    /// Sees a frame of a capture, where it would have been seen on the server;
    /// what it ended as.
    pub fn observe_captured(
        &mut self,
        frame: Slice<'_>,
        link: Link,
        time_ns: u64,
        sink: &mut impl Sink,
    ) -> Outcome {
        let found = locate(&frame, link, &self.settings);
        let hook = self.hook_of_located(&frame, &found.1);
        self.observe_located(frame, found, hook, time_ns, sink)
    }

    fn observe_located<S: Sink>(
        &mut self,
        frame: Slice<'_>,
        found: (Layers, Located),
        hook: Hook,
        time_ns: u64,
        sink: &mut S,
    ) -> Outcome {
        self.records.clear();
        let settings = self.settings;
        let mut run = Run {
            observer: self,
            sink,
            frame,
            hook,
            time_ns,
        };
        let outcome = observe_located(&frame, found, hook, &settings, &mut run);
        let mut rest = self.records.as_slice();
        while let Ok(record) = Record::parse(rest) {
            sink.record(&record);
            rest = rest.get(record.lines() * LINE..).unwrap_or(&[]);
        }
        outcome
    }

    /// The fragment of an IP packet that a frame is, if it is left for others to be
    /// put together.
    #[must_use]
    pub fn fragment(&self, frame: &Slice<'_>, link: Link) -> Option<Range<usize>> {
        locate::fragment(frame, link, &self.settings)
    }

    /// Where a frame would have been seen on the server: a capture does not say.
    ///
    /// What comes from a service address, or from a watched port, left; where
    /// both ports are watched, what is a response did.
    #[must_use]
    pub fn hook_of(&self, frame: &Slice<'_>, link: Link) -> Hook {
        let (_, located) = locate(frame, link, &self.settings);
        self.hook_of_located(frame, &located)
    }

    fn hook_of_located(&self, frame: &Slice<'_>, located: &Located) -> Hook {
        let (Located::Payload(payload) | Located::Control(payload)) = located else {
            return Hook::Ingress;
        };
        if !self.service_addresses.is_empty() {
            let left = payload
                .flow(frame)
                .is_ok_and(|flow| self.serves(flow.family, flow.source));
            return if left { Hook::Egress } else { Hook::Ingress };
        }
        let to_server = self.settings.watches(payload.destination_port);
        let from_server = self.settings.watches(payload.source_port);
        match (from_server, to_server) {
            (true, false) => Hook::Egress,
            (true, true) if is_response(frame, payload) => Hook::Egress,
            (true | false, true) | (false, false) => Hook::Ingress,
        }
    }

    fn serves(&self, family: Family, address: [u64; 2]) -> bool {
        let address = ip_addr(family, address);
        self.service_addresses
            .iter()
            .any(|prefix| prefix.contains(address))
    }
}

fn is_response(frame: &Slice<'_>, payload: &Payload) -> bool {
    let prefix = match payload.transport {
        Transport::Udp => 0,
        Transport::Tcp => 2,
    };
    let flags = frame.read::<1>(payload.at + prefix + 2);
    flags.is_some_and(|[flags]| flags & 0x80 != 0)
}

/// Where what was seen goes.
pub trait Sink {
    /// Takes a record in.
    fn record(&mut self, record: &Record<'_>);

    /// Takes a message over UDP in, if no record need be made of it.
    fn message(&mut self, observed: &Observed<'_>) -> bool;
}

/// Takes records only, as there are from the kernel.
struct Records<F>(F);

impl<F: FnMut(&Record<'_>)> Sink for Records<F> {
    fn record(&mut self, record: &Record<'_>) {
        (self.0)(record);
    }

    fn message(&mut self, _: &Observed<'_>) -> bool {
        false
    }
}

/// One frame on its way.
struct Run<'a, S> {
    observer: &'a mut Observer,
    sink: &'a mut S,
    frame: Slice<'a>,
    hook: Hook,
    time_ns: u64,
}

impl<S: Sink> Run<'_, S> {
    /// Everything from a file is paired, and nothing sampled.
    fn stamp(&self, hash: u32) -> Stamp {
        Stamp {
            time_ns: self.time_ns,
            position: 0,
            level: 0,
            share_bits: 0,
            paired: true,
            hash,
        }
    }

    fn push(&mut self, head: &[u64; HEAD_WORDS], payload: &[u8]) {
        let records = &mut self.observer.records;
        let start = records.len();
        records.extend(head.iter().flat_map(|word| word.to_ne_bytes()));
        records.extend(payload);
        records.resize(start + record::lines(payload.len()) * LINE, 0);
    }
}

impl<S: Sink> Host for Run<'_, S> {
    type Counts = Counters;
    type Window = Slice<'static>;

    fn counters(&mut self) -> &mut Counters {
        let [ingress, egress] = &mut *self.observer.counters;
        match self.hook {
            Hook::Ingress => ingress,
            Hook::Egress => egress,
        }
    }

    fn is_service_address(&mut self, family: Family, address: [u64; 2]) -> bool {
        self.observer.serves(family, address)
    }

    fn handshake_begins(&mut self, connection: u64, ack: u32) {
        let handshakes = &mut self.observer.handshakes;
        let sent = SynAck::new(self.time_ns, ack, handshakes.peek(&connection));
        handshakes.put(connection, sent);
    }

    fn handshake_ends(&mut self, connection: u64, ack: u32) -> Option<u64> {
        let handshakes = &mut self.observer.handshakes;
        let sent = *handshakes.peek(&connection)?;
        if !sent.is_acknowledged(ack) {
            return None;
        }
        handshakes.pop(&connection);
        sent.round_trip_ns(self.time_ns)
    }

    fn window(&mut self, _: &Payload) -> Option<Self::Window> {
        None
    }

    fn message<P: Packet>(
        &mut self,
        packet: &P,
        context: impl Fn() -> Context,
        message: &Message,
    ) -> Delivery {
        let context = context();
        let id = match context.flow.transport {
            Transport::Udp
                if self
                    .sink
                    .message(&observed(self.frame, self.time_ns, &context, message)) =>
            {
                return Delivery::Delivered;
            }
            Transport::Udp => message.header.id(),
            Transport::Tcp => 0,
        };
        let stamp = self.stamp(context.flow.hash(id, self.observer.settings.seed()));
        let head = record::message_head(&context, message, &stamp);
        let mut area: NameArea = [0; size_of::<NameArea>()];
        let question = &message.question;
        packet.copy_name(question.name_at, question.name_len, &mut area);
        let name = area.get(NAME_AT..NAME_AT + question.name_len);
        self.push(&head, name.unwrap_or(&[]));
        Delivery::Delivered
    }

    fn raw<P: Packet>(
        &mut self,
        packet: &P,
        payload: &Payload,
        finding: Finding,
        hook: Hook,
        settings: &Settings,
    ) {
        let delivery = self.push_raw(packet, payload, finding, hook, settings);
        self.counters().delivery(delivery);
    }
}

impl<S: Sink> Run<'_, S> {
    fn push_raw<P: Packet>(
        &mut self,
        packet: &P,
        payload: &Payload,
        finding: Finding,
        hook: Hook,
        settings: &Settings,
    ) -> Delivery {
        let Ok(context) = raw_context(packet, payload, finding, hook, settings, self) else {
            return Delivery::Unreadable;
        };
        let captured = self.frame.bytes();
        let end = captured.len().min(payload.at + payload.len);
        let bytes = captured.get(payload.at..end).unwrap_or(&[]);
        let id = match context.flow.transport {
            Transport::Udp => finding.id(),
            Transport::Tcp => 0,
        };
        let stamp = self.stamp(context.flow.hash(id, settings.seed()));
        let template = record::raw_head(&context, payload, finding, &stamp);
        for (part, octets) in bytes.chunks(MAX_SEGMENT).enumerate() {
            let mut head = template;
            record::complete_raw_head(&mut head, part * MAX_SEGMENT, octets.len(), 0);
            self.push(&head, octets);
        }
        if bytes.len() < payload.len {
            return Delivery::Unreadable;
        }
        Delivery::Delivered
    }
}

fn observed<'a>(
    frame: Slice<'a>,
    time_ns: u64,
    context: &Context,
    message: &Message,
) -> Observed<'a> {
    let question = &message.question;
    let name = question.name_at..question.name_at + question.name_len;
    Observed {
        time_ns,
        hook: context.hook,
        role: context.role,
        flow: context.flow,
        message: *message,
        name: frame.bytes().get(name).unwrap_or(&[]),
        options: &[],
        weight: 1,
    }
}

const _: () = assert!(HEAD == HEAD_WORDS * 8);

#[cfg(test)]
mod tests {
    use dns_wire::locate::Family;

    use super::*;

    /// A TCP segment without data, between port 40000 of a client and port 53.
    fn control(from_server: bool, sequence: u32, ack: u32, flags: u8) -> Vec<u8> {
        let (client, server) = ([192, 0, 2, 1], [198, 51, 100, 53]);
        let (ports, [source, destination]) = if from_server {
            ([0, 53, 0x9c, 0x40], [server, client])
        } else {
            ([0x9c, 0x40, 0, 53], [client, server])
        };
        let mut packet = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, 0, 0];
        packet.extend(source);
        packet.extend(destination);
        packet.extend(ports);
        packet.extend(sequence.to_be_bytes());
        packet.extend(ack.to_be_bytes());
        packet.extend([0x50, flags, 0, 0, 0, 0, 0, 0]);
        packet
    }

    fn see(observer: &mut Observer, packet: &[u8], time_ns: u64) {
        let frame = Slice::new(packet);
        let hook = observer.hook_of(&frame, Link::Raw);
        observer.observe(frame, Link::Raw, hook, time_ns, |_| panic!("no message"));
    }

    #[test]
    fn handshakes_in_files_take_the_time_between_their_packets() {
        let mut observer = Observer::new(Settings::default(), Vec::new());
        see(&mut observer, &control(false, 99, 0, 0x02), 1_000_000);
        see(&mut observer, &control(true, 700, 100, 0x12), 1_010_000);
        see(&mut observer, &control(false, 100, 701, 0x10), 1_310_000);
        see(&mut observer, &control(false, 100, 701, 0x10), 1_400_000);
        let counters = observer.counters(Hook::Ingress);
        // 300 us lie in the bucket that ends at 512 us, the tenth.
        let mut expected = [0; 26];
        expected[9] = 1;
        assert_eq!(counters.handshakes(Family::Ipv4), expected);
        assert_eq!(counters.handshake_ns(Family::Ipv4), 300_000);
        assert_eq!(counters.handshake_ns(Family::Ipv6), 0);
    }
}
