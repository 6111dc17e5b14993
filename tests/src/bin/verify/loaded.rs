//! The programs in the kernel, and what it says of them.

use std::{collections::BTreeSet, io};

use anyhow::{Context as _, Result};
use aya::programs::{ProgramInfo, loaded_programs};
use xdsc::source::live::probe::Probe;

use crate::cases::Case;

/// One program, over all settings.
pub(crate) struct Row {
    pub(crate) program: &'static str,
    least_verified: u32,
    pub(crate) most: Figures,
    /// The settings with which the verifier walks farthest.
    hardest: String,
}

impl Row {
    fn new(program: &'static str) -> Self {
        Self {
            program,
            least_verified: u32::MAX,
            most: Figures::default(),
            hardest: String::new(),
        }
    }

    fn add(&mut self, figures: Figures, settings: &str) {
        if figures.verified > self.most.verified {
            self.hardest = settings.to_owned();
        }
        self.least_verified = self.least_verified.min(figures.verified);
        self.most = self.most.max(figures);
    }

    pub(crate) fn print(
        &self,
        out: &mut impl io::Write,
        object: &str,
        stack: u32,
    ) -> io::Result<()> {
        let verified = format!("{}-{}", self.least_verified, self.most.verified);
        writeln!(
            out,
            "{object:<14} {:<12} {verified:>17} {:>11} {:>8} {stack:>8} {:>12}  {}",
            self.program, self.most.translated, self.most.jited, self.most.locked, self.hardest
        )
    }
}

/// Loads the object with each of the settings.
pub(crate) fn load_all(object: &[u8], cases: &[Case]) -> Result<Vec<Row>> {
    let mut rows = ["xdp_ingress", "tc_ingress", "tc_egress"].map(Row::new);
    for case in cases {
        let before = program_ids();
        let _probe = Probe::load_object(object, &case.options)
            .with_context(|| format!("with {}", case.name))?;
        for info in listed_programs() {
            let row = rows
                .iter_mut()
                .find(|row| Some(row.program) == info.name_as_str());
            if let Some(row) = row
                && !before.contains(&info.id())
            {
                row.add(Figures::of(&info)?, &case.name);
            }
        }
    }
    Ok(rows.into())
}

/// The programs that others have loaded.
fn program_ids() -> BTreeSet<u32> {
    listed_programs().map(|info| info.id()).collect()
}

/// All programs in the kernel; others' may vanish while they are listed.
fn listed_programs() -> impl Iterator<Item = ProgramInfo> {
    loaded_programs().filter_map(Result::ok)
}

/// What the kernel says of a loaded program.
#[derive(Clone, Copy, Default)]
pub(crate) struct Figures {
    pub(crate) verified: u32,
    translated: u32,
    pub(crate) jited: u32,
    locked: u32,
}

impl Figures {
    fn of(info: &ProgramInfo) -> Result<Self> {
        Ok(Self {
            verified: info
                .verified_instruction_count()
                .context("the kernel does not count verified instructions")?,
            translated: info.size_translated().unwrap_or(0),
            jited: info.size_jitted(),
            locked: info.memory_locked()?,
        })
    }

    fn max(self, other: Self) -> Self {
        Self {
            verified: self.verified.max(other.verified),
            translated: self.translated.max(other.translated),
            jited: self.jited.max(other.jited),
            locked: self.locked.max(other.locked),
        }
    }
}
