//! What a process holds of the kernel's BPF objects, and whether it outlives it.
//!
//! The kernel never gives a number twice, so nothing that other tests load
//! meanwhile can be mistaken for it.

use std::{collections::BTreeSet, fs, path::Path};

use anyhow::{Result, ensure};
use aya::{
    maps::loaded_maps,
    programs::{loaded_links, loaded_programs},
};

use super::eventually;

/// Numbers of programs, maps and links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KernelObjects {
    /// Programs.
    pub programs: BTreeSet<u32>,
    /// Maps.
    pub maps: BTreeSet<u32>,
    /// Links: attachments that end with their owner.
    pub links: BTreeSet<u32>,
}

impl KernelObjects {
    /// Those that a process holds.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn of(pid: u32) -> Result<Self> {
        let mut objects = Self::default();
        for entry in fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fdinfo"))? {
            // Descriptors come and go while they are listed.
            let text = fs::read_to_string(entry?.path()).unwrap_or_default();
            objects.note(&text);
        }
        Ok(objects)
    }

    /// A link's description names its program as well; the program's own
    /// descriptor is there anyway.
    fn note(&mut self, fdinfo: &str) {
        for line in fdinfo.lines() {
            let mut fields = line.split_whitespace();
            let set = match fields.next() {
                Some("prog_id:") => &mut self.programs,
                Some("map_id:") => &mut self.maps,
                Some("link_id:") => &mut self.links,
                _ => continue,
            };
            set.extend(fields.next().and_then(|id| id.parse::<u32>().ok()));
        }
    }

    /// Waits until the kernel has freed them all.
    ///
    /// # Errors
    /// With those that stay.
    pub fn gone(&self) -> Result<()> {
        eventually("programs, maps and links to go", || {
            let left = self.left();
            ensure!(left == Self::default(), "still in the kernel: {left:?}");
            Ok(())
        })
    }

    fn left(&self) -> Self {
        let programs = loaded_programs().flatten().map(|program| program.id());
        let maps = loaded_maps().flatten().map(|map| map.id());
        let links = loaded_links().flatten().map(|link| link.id());
        Self {
            programs: programs.filter(|id| self.programs.contains(id)).collect(),
            maps: maps.filter(|id| self.maps.contains(id)).collect(),
            links: links.filter(|id| self.links.contains(id)).collect(),
        }
    }
}
