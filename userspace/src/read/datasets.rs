//! Captures as datasets, cut into intervals: what DSC would write of them.
//!
//! The packets go one of two ways. The right one is that of [`Reading`], the
//! parser and the shard of everything else; the other is `dsc_front`, which
//! sees what DSC sees.

use std::{io, mem, num::NonZeroU32, path::Path, sync::Arc};

use dns_wire::Settings;
use jiff::Timestamp;

use super::{LinkTypes, Progress, ReadError, Reading, link, seed};
use crate::{
    config::IpPrefix,
    dsc_conf::{DscConf, PlanError},
    source::{
        dsc_front::{self, DscFront, UnsupportedLink},
        file::Packet,
    },
    stats::{
        engine::Engine,
        intervals::{Cut, Intervals, Span, Step},
        label::Style,
        plan::{Compat, Plan},
        table::{CaptureCounts, Interval},
    },
};

/// What is done with an interval that has ended.
pub(super) type Sink<'a> = dyn FnMut(Interval) -> io::Result<()> + 'a;

/// Captures being read, one after the other.
pub struct DatasetReading {
    way: Way,
    cut: Cut,
    intervals: Intervals,
    style: Style,
    now_ns: u64,
    /// Packets of the open interval, by the files that it has seen.
    captures: Vec<CaptureCounts>,
    progress: Progress,
}

enum Way {
    Exact(Box<Reading>),
    Dsc(Box<DscFront>, Box<Engine>),
}

/// What a capture is read by.
#[derive(Debug)]
pub struct Options {
    /// Datasets and rules; whose answers are wanted is one of these.
    pub plan: Arc<Plan>,
    /// Ports and tunnels, where the right answers are wanted.
    pub settings: Settings,
    /// The server's addresses; empty means every address.
    pub service_addresses: Vec<IpPrefix>,
    /// What DSC's front end goes by.
    pub front: dsc_front::Settings,
    /// Length of an interval in seconds.
    pub interval: NonZeroU32,
    /// How values are printed.
    pub style: Style,
}

/// Why a capture is not all in the datasets.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It cannot be read to its end.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// DSC could not.
    #[error("{file}: {cause}")]
    Unsupported {
        /// The file.
        file: String,
        /// Why.
        cause: UnsupportedLink,
    },
    /// It begins before the interval that was open when it was opened. All of it
    /// is counted.
    #[error(
        "{file}: begins at {}, before the interval that the captures before it have reached; \
         name captures in the order of time, or files of the same interval replace each other",
        when(*begins_ns)
    )]
    OutOfOrder {
        /// The file.
        file: String,
        /// Its first packet's time, in ns since the Unix epoch.
        begins_ns: u64,
    },
    /// An interval could not be handed on.
    #[error(transparent)]
    Output(#[from] io::Error),
}

/// The second of a time in ns since the Unix epoch.
fn when(time_ns: u64) -> Timestamp {
    let seconds = (time_ns / 1_000_000_000).cast_signed();
    Timestamp::from_second(seconds).unwrap_or(Timestamp::MAX)
}

impl Options {
    /// What a dsc.conf asks for.
    ///
    /// # Errors
    /// Files that it names and that cannot be used.
    pub fn of_dsc(conf: &DscConf, compat: Compat) -> Result<Self, PlanError> {
        Ok(Self {
            plan: Arc::new(conf.plan(compat)?),
            settings: Settings::new(&[conf.dns_port]).with_decapsulation(true),
            service_addresses: Vec::new(),
            front: dsc_front::Settings {
                port: conf.dns_port,
                drop_fragments: conf.drop_ip_fragments,
                vlans: conf.match_vlan.clone(),
            },
            interval: NonZeroU32::new(conf.statistics_interval).unwrap_or(NonZeroU32::MIN),
            style: Style::Dsc,
        })
    }
}

impl DatasetReading {
    /// Nothing read yet.
    #[must_use]
    pub fn new(options: Options) -> Self {
        let plan = options.plan;
        let (way, cut) = match plan.rules().compat {
            Compat::None => {
                let (settings, addresses) = (options.settings, options.service_addresses);
                let reading = Reading::with_plan(settings, addresses, plan);
                (Way::Exact(Box::new(reading.without_pairing())), Cut::Exact)
            }
            Compat::Dsc => {
                let engine = Engine::in_order(plan, super::CELLS, seed());
                let front = DscFront::new(options.front);
                (Way::Dsc(Box::new(front), Box::new(engine)), Cut::Dsc)
            }
        };
        Self {
            way,
            cut,
            intervals: Intervals::new(options.interval, cut),
            style: options.style,
            now_ns: 0,
            captures: Vec::new(),
            progress: Progress::hidden(),
        }
    }

    /// The same for whoever waits for it.
    #[must_use]
    pub fn with_progress(mut self, progress: Progress) -> Self {
        self.progress = progress;
        self
    }

    /// Writes to the terminal beside what it shows of its progress.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.progress.aside(write)
    }

    /// Reads a file to its end, or to where it breaks; what was wrong with it.
    ///
    /// # Errors
    /// Where `sink` failed, and there is no use in going on.
    pub fn file(&mut self, path: &Path, sink: &mut Sink<'_>) -> Result<Vec<Error>, io::Error> {
        let name = path.display().to_string();
        self.captures.push(CaptureCounts {
            name: name.clone(),
            ..CaptureCounts::default()
        });
        let mut capture = match self.progress.open(path) {
            Ok(capture) => capture,
            Err(error) => return Ok(vec![ReadError::from(error).into()]),
        };
        let mut skipped = super::Skipped::default();
        let mut errors = Vec::new();
        let mut is_first = true;
        loop {
            let packet = match capture.next_packet() {
                Ok(Some(packet)) => packet,
                Ok(None) => break,
                Err(error) => {
                    errors.push(ReadError::from(error).into());
                    return Ok(errors);
                }
            };
            if mem::take(&mut is_first) && self.intervals.begins_before(packet.time_ns) {
                errors.push(self.go_back(&name, packet.time_ns, sink)?);
            }
            match self.packet(&packet, sink) {
                Ok(()) => {}
                Err(PacketError::Unknown) => skipped.count(packet.link),
                Err(PacketError::Unsupported(cause)) => {
                    errors.push(Error::Unsupported { file: name, cause });
                    return Ok(errors);
                }
                Err(PacketError::Output(error)) => return Err(error),
            }
        }
        errors.extend(unknown_links(name, skipped));
        Ok(errors)
    }

    /// Ends the open interval: there are no more files.
    ///
    /// # Errors
    /// Where `sink` failed.
    pub fn finish(mut self, sink: &mut Sink<'_>) -> io::Result<()> {
        self.progress = Progress::hidden();
        if let Way::Exact(reading) = &mut self.way {
            reading.finish_fragments();
            reading.shard.finish();
        }
        match self.intervals.finish() {
            Some(span) => self.end(span, sink),
            None => Ok(()),
        }
    }

    /// A capture begins before the open interval. That ends where it is, but for
    /// DSC, which knows one capture only.
    fn go_back(&mut self, file: &str, begins_ns: u64, sink: &mut Sink<'_>) -> io::Result<Error> {
        let open = match self.cut {
            Cut::Exact => self.intervals.finish(),
            Cut::Dsc => None,
        };
        if let Some(span) = open {
            self.end(span, sink)?;
        }
        Ok(Error::OutOfOrder {
            file: file.to_owned(),
            begins_ns,
        })
    }

    fn packet(&mut self, packet: &Packet<'_>, sink: &mut Sink<'_>) -> Result<(), PacketError> {
        let step = self.intervals.packet(packet.time_ns);
        if let Step::Before(span) = step {
            self.end(span, sink)?;
        }
        self.now_ns = packet.time_ns;
        if let Some(capture) = self.captures.last_mut() {
            capture.captured += 1;
        }
        match &mut self.way {
            Way::Exact(reading) => {
                let link = link(packet.link).ok_or(PacketError::Unknown)?;
                reading.packet(packet, link);
            }
            Way::Dsc(front, engine) => {
                front.packet(packet, &mut |observed| engine.message(observed))?;
            }
        }
        if let Step::After(span) = step {
            self.end(span, sink)?;
        }
        Ok(())
    }

    fn end(&mut self, span: Span, sink: &mut Sink<'_>) -> io::Result<()> {
        let engine = match &mut self.way {
            Way::Exact(reading) => reading.shard.engine(),
            Way::Dsc(front, engine) => {
                front.end_interval(self.now_ns);
                engine
            }
        };
        engine.end_interval(self.now_ns);
        let interval = Interval {
            start: span.start,
            stop: span.stop,
            tables: engine.tables(self.style),
            captures: self.captures.clone(),
        };
        engine.clear();
        // The files before this one are through.
        self.captures.drain(..self.captures.len().saturating_sub(1));
        for capture in &mut self.captures {
            capture.captured = 0;
        }
        sink(interval)
    }
}

/// Why a packet was not counted.
enum PacketError {
    Unknown,
    Unsupported(UnsupportedLink),
    Output(io::Error),
}

impl From<UnsupportedLink> for PacketError {
    fn from(cause: UnsupportedLink) -> Self {
        Self::Unsupported(cause)
    }
}

impl From<io::Error> for PacketError {
    fn from(cause: io::Error) -> Self {
        Self::Output(cause)
    }
}

fn unknown_links(file: String, skipped: super::Skipped) -> Vec<Error> {
    let super::Skipped { packets, links } = skipped;
    if packets == 0 {
        return Vec::new();
    }
    let links: LinkTypes = links;
    let error = ReadError::LinkType {
        file,
        packets,
        links,
    };
    vec![error.into()]
}
