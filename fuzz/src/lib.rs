//! The harnesses of the fuzzers: each takes any octets, and panics when what
//! must hold does not. The same functions replay the corpora as stable tests.

pub mod dsc_files;
mod statistics;

use dns_wire::{
    Settings, Slice,
    counters::{Counters, Delivery, Hook, Outcome},
    locate::{Family, Link, Protocol},
    message::{self, EdnsState, MAX_NAME},
    opt::{self, KnownOptions, Options},
    record::{LINE, MAX_LINES, Record},
};
use xdsc::{
    names::{suffix::SuffixList, text, tld::KnownTlds},
    source::{file::Capture, observer::Observer, whole::Assembler},
};

pub use statistics::{dsc_conf, statistics};

const LINKS: [Link; 6] = [
    Link::Ethernet,
    Link::Raw,
    Link::Sll,
    Link::Sll2,
    Link::Null,
    Link::Ppp,
];

/// A frame of any link layer, whole or cut by a capture, at both hooks.
///
/// The first octet chooses the link layer, the second how much is missing.
///
/// # Panics
/// When packets or octets are lost on the way.
pub fn packet(data: &[u8]) {
    let Some(([link, missing], bytes)) = data.split_first_chunk() else {
        return;
    };
    let link = LINKS[usize::from(*link) % LINKS.len()];
    let frame = Slice::captured(bytes, bytes.len() + usize::from(*missing));
    let settings = Settings::new(&[53, 5353])
        .with_decapsulation(true)
        .with_whole_messages(missing % 2 == 1);
    let mut observer = Observer::new(settings, Vec::new());
    let chosen = observer.hook_of(&frame, link);
    for hook in [Hook::Ingress, Hook::Egress, chosen] {
        let mut payload = 0;
        observer.observe(frame, link, hook, 0, |record| {
            assert_eq!(record.hook(), hook);
            payload += record.payload().len();
        });
        assert!(payload <= bytes.len(), "more than there was");
    }
    conserved(observer.counters(Hook::Ingress));
    conserved(observer.counters(Hook::Egress));
}

/// Each packet ends as one thing, and each record somewhere.
fn conserved(counters: &Counters) {
    let packets: u64 = Family::ALL
        .iter()
        .flat_map(|family| Protocol::ALL.iter().map(|protocol| (*family, *protocol)))
        .map(|(family, protocol)| counters.packets(family, protocol).0)
        .sum();
    let outcomes: u64 = Outcome::ALL.iter().map(|one| counters.outcomes(*one)).sum();
    let records: u64 = Delivery::ALL.iter().map(|one| counters.records(*one)).sum();
    let with_record = counters.outcomes(Outcome::Dns) + counters.outcomes(Outcome::Segment);
    assert_eq!(packets, outcomes);
    assert_eq!(with_record, records);
}

/// A DNS message.
///
/// # Panics
/// When the parser tells of octets that are not there.
pub fn message(data: &[u8]) {
    let Ok(message) = message::parse(&Slice::new(data), 0, data.len()) else {
        return;
    };
    assert_eq!(message.len, data.len());
    let question = &message.question;
    assert_eq!(message.has_question(), message.header.questions() != 0);
    if message.has_question() {
        assert!(question.name_len <= MAX_NAME);
        let name = &data[question.name_at..question.name_at + question.name_len];
        assert_eq!(name.last(), Some(&0), "the name ends in the root");
    }
    let known = usize::from(message.opt.options_len()) + question.name_len;
    assert!(known <= data.len());
}

/// The OPT record of a whole message, and its options.
///
/// # Panics
/// When options are told of that are not there, or when what the kernel reads of
/// the record is something else.
pub fn options(data: &[u8]) {
    let found = opt::find(data);
    if let Ok(message) = message::parse(&Slice::new(data), 0, data.len()) {
        let opt = found.map(|found| found.map(|found| found.opt));
        match message.edns {
            EdnsState::Present => assert_eq!(opt, Ok(Some(message.opt))),
            EdnsState::Absent => assert!(!matches!(opt, Ok(Some(_)))),
            EdnsState::Malformed => assert!(opt.is_err()),
            EdnsState::Unreached => {}
        }
    }
    let Ok(Some(found)) = found else {
        return;
    };
    assert_eq!(usize::from(found.opt.options_len()), found.options.len());
    assert!(found.options.len() + 23 <= data.len());
    let mut options = Options::new(found.options);
    let read: usize = options.by_ref().map(|(_, octets)| 4 + octets.len()).sum();
    assert_eq!(read < found.options.len(), options.is_broken());
    let known = KnownOptions::read(found.options);
    if let Some(cookie) = known.cookie {
        let server = cookie.server.len();
        assert!(cookie.client.len() == 8 && (server == 0 || (8..=32).contains(&server)));
    }
}

/// A name on the wire, a name as text, and a list of names.
///
/// # Panics
/// When a name as text is no longer the name.
pub fn name(data: &[u8]) {
    let mut printed = String::new();
    text::push_text(data, &mut printed);
    assert!(printed.bytes().all(|octet| octet.is_ascii_graphic()));
    let labels: Vec<_> = text::labels(data).collect();
    let len: usize = labels.iter().map(|label| 1 + label.len()).sum();
    let mut wire = data[..len].to_ascii_lowercase();
    wire.push(0);
    if wire.len() <= MAX_NAME {
        assert_eq!(text::parse(&printed), Ok(wire));
    } else {
        assert!(text::parse(&printed).is_err());
    }
    let dsc = text::dsc_text(data);
    assert!(!dsc.is_empty() && dsc.len() <= len.max(1));
    if let Ok(text) = std::str::from_utf8(data) {
        list(text);
    }
}

/// Each name of a list that was read has a suffix there.
fn list(text: &str) {
    if let Ok(tlds) = KnownTlds::parse("fuzz", text) {
        assert!(!tlds.is_empty());
    }
    let Ok(list) = SuffixList::parse("fuzz", text) else {
        return;
    };
    for name in text.lines().filter_map(|line| text::parse(line).ok()) {
        let mut next = 0;
        let mut starts = Vec::new();
        for label in text::labels(&name) {
            starts.push(next);
            next += 1 + label.len() as u16;
        }
        let labels = list.labels(&name, &starts);
        assert!(labels <= starts.len() && (labels > 0 || starts.is_empty()));
    }
}

/// A record out of a damaged ring.
///
/// # Panics
/// When a record reaches beyond its lines.
pub fn record(data: &[u8]) {
    let Ok(record) = Record::parse(data) else {
        return;
    };
    assert!(record.lines() * LINE >= record.payload().len());
    let raw = record.is_segment() || record.is_whole();
    assert!(raw || record.lines() <= MAX_LINES);
    assert!(record.payload().len() <= data.len());
    if !raw {
        let message = record.message();
        assert_eq!(message.question.name_len, record.payload().len());
    }
    if record.is_whole() {
        // Twice: a part may be missing before it, and then comes another.
        let mut assembler = Assembler::default();
        for _ in 0..2 {
            if let Some(whole) = assembler.take(&record) {
                assert!(whole.octets.len() <= data.len());
                assert_eq!(whole.message.len, whole.octets.len());
            }
        }
        assembler.finish();
    }
}

/// A capture file, plain or compressed.
///
/// # Panics
/// When the reader goes on after an error.
pub fn capture(data: &[u8]) {
    let reader = Box::new(std::io::Cursor::new(data.to_vec()));
    let Ok(mut capture) = Capture::from_reader("fuzz".to_owned(), reader) else {
        return;
    };
    let mut packets = 0;
    loop {
        match capture.next_packet() {
            Ok(Some(packet)) => {
                assert!(packet.bytes.len() <= 16 << 20);
                packets += 1;
            }
            Ok(None) => break,
            Err(_) => {
                assert!(matches!(capture.next_packet(), Ok(None)));
                break;
            }
        }
    }
    assert_eq!(capture.packets_read(), packets);
}
