//! Messages in memory, as drain threads hand them to the engine: what the parser
//! makes of the captures' packets.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use dns_wire::{Settings, Slice, locate::Link};
use xdsc::{
    source::{file::Capture, observer::Observer},
    stats::observed::Observed,
};

/// The messages of a capture, in their order.
pub(crate) struct Messages(Vec<Observed<'static>>);

impl Messages {
    /// Reads a capture.
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let mut capture = Capture::open(path)?;
        let mut observer = Observer::new(Settings::default(), Vec::new());
        let mut messages = Vec::new();
        // Side by side as in a ring.
        let (mut names, mut lengths) = (Vec::new(), Vec::new());
        while let Some(packet) = capture.next_packet()? {
            let frame = Slice::new(packet.bytes);
            let hook = observer.hook_of(&frame, Link::Ethernet);
            observer.observe(frame, Link::Ethernet, hook, packet.time_ns, |record| {
                messages.push(Observed {
                    time_ns: record.time_ns(),
                    hook: record.hook(),
                    role: record.role(),
                    flow: record.flow(),
                    message: record.message(),
                    name: &[],
                    options: &[],
                    weight: 1,
                });
                names.extend_from_slice(record.payload());
                lengths.push(record.payload().len());
            });
        }
        // Until the end of the program.
        let mut rest: &'static [u8] = names.leak();
        for (message, length) in messages.iter_mut().zip(lengths) {
            let (first, others) = rest.split_at_checked(length).context("a name")?;
            (message.name, rest) = (first, others);
        }
        ensure!(messages.len() > 1_900_000, "{} messages", messages.len());
        Ok(Self(messages))
    }

    /// As many, but the first ones again and again.
    pub(crate) fn first(&self, many: usize) -> Self {
        let first = self.0.iter().take(many);
        Self(first.cycle().take(self.0.len()).copied().collect())
    }

    /// So many at a time.
    pub(crate) fn chunks(&self, many: usize) -> impl Iterator<Item = &[Observed<'static>]> {
        self.0.chunks(many)
    }

    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }
}
