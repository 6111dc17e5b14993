//! The DNS message as DSC reads it: header, first question, OPT record.

use dns_wire::message::{EdnsState, HEADER_LEN, Header, Message, Opt, Question};

/// Reads messages; keeps the place for their names.
#[derive(Default)]
pub(super) struct Reader {
    /// The last QNAME on the wire, not compressed.
    name: Vec<u8>,
}

impl Reader {
    /// The message, its QNAME and its OPT record's options; `None` if DSC would
    /// not count it.
    pub(super) fn read<'a>(&'a mut self, bytes: &'a [u8]) -> Option<(Message, &'a [u8], &'a [u8])> {
        let header = Header::new(*bytes.first_chunk()?);
        let mut at = HEADER_LEN;
        let mut questions = header.questions();
        self.name.clear();
        let mut question = Question::default();
        // Where the message ends with the header, DSC looks for no question.
        if questions > 0 && at < bytes.len() {
            (question, at) = self.question(bytes)?;
            questions -= 1;
        }
        let found = opt(bytes, at, &header, questions);
        let (edns, (opt, options)) = match found {
            Some(found) => (EdnsState::Present, found),
            None => (EdnsState::Absent, (Opt::default(), [].as_slice())),
        };
        let message = Message {
            header,
            question,
            edns,
            opt,
            len: bytes.len(),
        };
        Some((message, &self.name, options))
    }

    /// The first question, and where it ends.
    fn question(&mut self, bytes: &[u8]) -> Option<(Question, usize)> {
        let at = read_name(bytes, HEADER_LEN, &mut self.name)?;
        let &[a, b, c, d] = bytes.get(at..)?.first_chunk()?;
        let (qtype, qclass) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
        let question = Question::new(HEADER_LEN, self.name.len(), qtype, qclass);
        Some((question, at + 4))
    }
}

/// DSC's buffer for the name as text, a dot behind each label.
const MAX_TEXT: usize = 512;
/// As many places as a pointer can point to: who jumps more often is in a loop.
const MAX_JUMPS: usize = 0x4000;

/// Reads the name at `at` into `name`; returns where it ends.
///
/// A name that the message's end cuts off is a name for DSC, where that happens
/// behind a pointer: a question must still follow.
fn read_name(bytes: &[u8], at: usize, name: &mut Vec<u8>) -> Option<usize> {
    let mut walk = Walk::new(at);
    // Behind each pointer DSC starts anew, in what is left of its buffer.
    let (mut room, mut used) = (MAX_TEXT, 0);
    while let Some(step) = walk.step(bytes)? {
        match step {
            Step::Jump => {
                room = room.checked_sub(used).filter(|room| *room > 0)?;
                used = 0;
            }
            Step::Label(len) => {
                let len = len.min(room - 1);
                let label = bytes.get(walk.at..walk.at + len)?;
                if used + len + 1 > room {
                    return None;
                }
                name.push(u8::try_from(len).ok()?);
                name.extend_from_slice(label);
                walk.at += len;
                used += len + 1;
            }
        }
    }
    name.push(0);
    Some(walk.end())
}

/// Where the name at `at` ends.
fn skip_name(bytes: &[u8], at: usize) -> Option<usize> {
    let mut walk = Walk::new(at);
    while let Some(step) = walk.step(bytes)? {
        if let Step::Label(len) = step {
            bytes.get(walk.at..walk.at + len)?;
            walk.at += len;
        }
    }
    Some(walk.end())
}

/// A way through a compressed name (RFC 1035, section 4.1.4).
struct Walk {
    at: usize,
    jumps: usize,
    /// Behind the first pointer.
    end: Option<usize>,
}

enum Step {
    /// A label of so many octets stands at `at`.
    Label(usize),
    /// `at` is where a pointer points to.
    Jump,
}

impl Walk {
    const fn new(at: usize) -> Self {
        Self {
            at,
            jumps: 0,
            end: None,
        }
    }

    /// The next step, none at the end; `None` if it is no name for DSC.
    fn step(&mut self, bytes: &[u8]) -> Option<Option<Step>> {
        let Some(&first) = bytes.get(self.at) else {
            return Some(None);
        };
        self.at += 1;
        match first {
            0 => Some(None),
            1..=63 => Some(Some(Step::Label(usize::from(first)))),
            64..=191 => None,
            192.. => self.jump(first, bytes).map(|()| Some(Step::Jump)),
        }
    }

    fn jump(&mut self, first: u8, bytes: &[u8]) -> Option<()> {
        let low = *bytes.get(self.at)?;
        self.at += 1;
        let target = usize::from(first & 0x3f) << 8 | usize::from(low);
        self.jumps += 1;
        // DSC wants an octet behind each pointer.
        let is_good = self.at < bytes.len()
            && (HEADER_LEN..bytes.len()).contains(&target)
            && self.jumps <= MAX_JUMPS;
        self.end.get_or_insert(self.at);
        self.at = target;
        is_good.then_some(())
    }

    fn end(&self) -> usize {
        self.end.unwrap_or(self.at)
    }
}

/// The first OPT record with root owner in the additional section, and its
/// options if DSC reads them.
///
/// Sections end with the message, whatever the counts say, and a record that
/// cannot be skipped ends the search.
fn opt<'a>(
    bytes: &'a [u8],
    mut at: usize,
    header: &Header,
    questions: u16,
) -> Option<(Opt, &'a [u8])> {
    for _ in 0..questions {
        if at == bytes.len() {
            break;
        }
        at = skip_name(bytes, at)? + 4;
        bytes.get(..at)?;
    }
    for _ in 0..u32::from(header.answers()) + u32::from(header.authorities()) {
        if at == bytes.len() {
            break;
        }
        at = record(bytes, skip_name(bytes, at)?)?.end?;
    }
    for _ in 0..header.additionals() {
        let is_root = *bytes.get(at)? == 0;
        let record = record(bytes, skip_name(bytes, at)?)?;
        if is_root && record.kind == OPT {
            return Some(record.opt(bytes));
        }
        at = record.end?;
    }
    None
}

/// TYPE of OPT.
const OPT: u16 = 41;

/// The fixed part of a record (RFC 1035, section 4.1.3) and where RDATA lies.
struct Record {
    kind: u16,
    class: u16,
    ttl: [u8; 4],
    rdata_len: u16,
    rdata_at: usize,
    /// `None` where RDATA overruns the message.
    end: Option<usize>,
}

fn record(bytes: &[u8], at: usize) -> Option<Record> {
    let &[a, b, c, d, e, f, g, h, i, j] = bytes.get(at..)?.first_chunk()?;
    let rdata_len = u16::from_be_bytes([i, j]);
    let rdata_at = at + 10;
    let end = rdata_at + usize::from(rdata_len);
    Some(Record {
        kind: u16::from_be_bytes([a, b]),
        class: u16::from_be_bytes([c, d]),
        ttl: [e, f, g, h],
        rdata_len,
        rdata_at,
        end: (end <= bytes.len()).then_some(end),
    })
}

impl Record {
    /// As OPT. DSC reads the options of version 0 only.
    fn opt<'a>(&self, bytes: &'a [u8]) -> (Opt, &'a [u8]) {
        let [_, version, high, low] = self.ttl;
        let range = self.rdata_at..self.end.unwrap_or(self.rdata_at);
        let options = bytes.get(range).filter(|_| version == 0);
        let flags = u16::from_be_bytes([high, low]);
        let opt = Opt::new(self.class, 0, version, flags, self.rdata_len);
        (opt, options.unwrap_or_default())
    }
}
