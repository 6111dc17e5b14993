//! Loads the kernel programs and hands out their maps.

use std::io;

use aya::{
    Ebpf, EbpfError, EbpfLoader, include_bytes_aligned,
    maps::{
        Array, Map, MapData, MapError,
        lpm_trie::{Key, LpmTrie},
    },
    programs::{ProgramError, SchedClassifier, Xdp},
    util::KernelVersion,
};
use aya_log::EbpfLogger;
use dns_wire::{
    Settings,
    counters::{Counters, Delivery, Hook},
    ring,
    tally::Tally,
};

use tracing::warn;

use crate::{config::IpPrefix, export::snapshot::ProgramCost};

/// The oldest kernel with everything the programs use: XDP on frames in several
/// buffers and its helpers came with 5.18.
pub const MINIMUM_KERNEL: (u8, u8) = (5, 18);

static PLAIN: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/probe.o"));
static TRACE: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/probe-trace.o"));

/// Which build of the kernel programs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Variant {
    /// The one for production.
    #[default]
    Plain,
    /// The one that traces every packet.
    Trace,
}

impl Variant {
    /// The object file, when this binary was built with it.
    #[must_use]
    pub fn object(self) -> Option<&'static [u8]> {
        let object = match self {
            Self::Plain => PLAIN,
            Self::Trace => TRACE,
        };
        built(object)
    }
}

/// The build script leaves an empty file where there was no object.
const fn built(object: &[u8]) -> Option<&[u8]> {
    if object.is_empty() {
        None
    } else {
        Some(object)
    }
}

/// What the programs are loaded with.
#[derive(Clone, Debug, Default)]
pub struct LoadOptions {
    /// The build.
    pub variant: Variant,
    /// Ports, tunnels, seed.
    pub settings: Settings,
    /// Chunks of 64 KiB per ring, a power of two; 0 chooses by the number of CPUs.
    pub chunks: u64,
    /// The addresses served; empty for all.
    pub service_addresses: Vec<IpPrefix>,
}

/// Why the programs could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// This binary has no kernel programs in it.
    #[error(
        "this xdsc was built without its kernel programs, so it can read capture files only; \
         build it with `cargo xtask build --release`"
    )]
    NotBuilt,
    /// Too old a kernel.
    #[error(
        "kernel {found} is too old: xdsc needs {}.{} or newer (XDP helpers for frames in several \
         buffers); upgrade the kernel, or feed captures to `xdsc read`",
        MINIMUM_KERNEL.0, MINIMUM_KERNEL.1
    )]
    Kernel {
        /// The release of the running one.
        found: String,
    },
    /// No right to load.
    #[error(
        "no permission to load BPF programs: run as root, or give the capabilities CAP_BPF, \
         CAP_NET_ADMIN and CAP_PERFMON (as `AmbientCapabilities=` in a systemd unit)"
    )]
    Privileges,
    /// The verifier or the kernel said no.
    #[error("the kernel refused program `{program}`: {cause}")]
    Program {
        /// Its name.
        program: &'static str,
        /// What the kernel said, with the end of the verifier's log.
        cause: String,
    },
    /// The object or a map.
    #[error("cannot load the kernel programs: {0}")]
    Object(String),
    /// Reading a map.
    #[error("cannot read map `{map}`: {cause}")]
    Map {
        /// Its name.
        map: &'static str,
        /// What the kernel said.
        cause: String,
    },
}

/// The loaded programs and their maps.
pub struct Probe {
    pub(super) ebpf: Ebpf,
    geometry: Geometry,
}

/// A block, as the kernel hands it out.
type Block = [u64; ring::BLOCK / 8];

/// How the rings lie in their maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Possible CPUs.
    pub cpus: u64,
    /// Chunks per ring.
    pub chunks: u64,
}

impl Geometry {
    /// Rings of the given size (0: chosen so that all together take at most
    /// 64 MiB, each between 256 KiB and 4 MiB).
    ///
    /// # Errors
    /// When the number of CPUs cannot be read.
    pub fn new(chunks: u64) -> io::Result<Self> {
        let cpus = aya::util::nr_cpus()
            .map_err(|(path, error)| io::Error::new(error.kind(), format!("{path}: {error}")))?
            as u64;
        let chunks = if chunks == 0 {
            let share = (64 << 20) / (64 << 10) / (2 * cpus);
            let fitting = 1 << share.max(1).ilog2();
            fitting.clamp(4, 64)
        } else {
            chunks.next_power_of_two().min(ring::MAX_CHUNKS)
        };
        Ok(Self { cpus, chunks })
    }

    /// Number of rings.
    #[must_use]
    pub const fn rings(&self) -> u64 {
        self.cpus * 2
    }

    /// Octets of data of each ring.
    #[must_use]
    pub const fn ring_bytes(&self) -> u64 {
        self.chunks * ring::CHUNK_LINES * dns_wire::record::LINE as u64
    }
}

impl Probe {
    /// Loads the programs into the kernel; nothing is attached yet.
    ///
    /// # Errors
    /// [`LoadError`], each with its cure.
    pub fn load(options: &LoadOptions) -> Result<Self, LoadError> {
        let object = options.variant.object().ok_or(LoadError::NotBuilt)?;
        Self::load_object(object, options)
    }

    /// Loads the programs of a given object file.
    ///
    /// # Errors
    /// [`LoadError`], each with its cure.
    pub fn load_object(object: &[u8], options: &LoadOptions) -> Result<Self, LoadError> {
        check_kernel()?;
        let geometry =
            Geometry::new(options.chunks).map_err(|error| LoadError::Object(error.to_string()))?;
        let settings = options
            .settings
            .with_service_addresses(!options.service_addresses.is_empty())
            .to_words();
        let rings = [geometry.cpus, geometry.chunks];
        let mut ebpf = EbpfLoader::new()
            .override_global("SETTINGS", &settings, true)
            .override_global("RINGS", &rings, true)
            .map_max_entries("BLOCKS", geometry.rings() as u32)
            .map_max_entries("CHUNKS", (geometry.rings() * geometry.chunks) as u32)
            .load(object)
            .map_err(object_error)?;
        load_programs(&mut ebpf)?;
        let mut probe = Self { ebpf, geometry };
        probe.set_service_addresses(&options.service_addresses)?;
        Ok(probe)
    }

    /// How the rings lie in their maps.
    #[must_use]
    pub const fn geometry(&self) -> Geometry {
        self.geometry
    }

    /// The counters of a hook, summed over all CPUs.
    ///
    /// # Errors
    /// When the kernel does not hand them out.
    pub fn counters(&self, hook: Hook) -> Result<Box<Counters>, LoadError> {
        Ok(self.counters_and_losses(hook)?.0)
    }

    /// The counters of a hook, and by CPU how many records were lost there.
    ///
    /// # Errors
    /// When the kernel does not hand them out.
    pub fn counters_and_losses(&self, hook: Hook) -> Result<(Box<Counters>, Vec<u64>), LoadError> {
        let blocks: Array<_, Block> =
            Array::try_from(self.map("BLOCKS")?).map_err(|error| map_error("BLOCKS", &error))?;
        let first = hook.index() as u64 * self.geometry.cpus;
        let mut sum = Box::<Tally>::default();
        let mut losses = Vec::new();
        for index in first..first + self.geometry.cpus {
            let block = blocks
                .get(&(index as u32), 0)
                .map_err(|error| map_error("BLOCKS", &error))?;
            let mut tally = Box::<Tally>::default();
            tally.merge_cells(block.get(ring::CONTROL / 8..).unwrap_or(&[]));
            let lost = [Delivery::RingFull, Delivery::Reentered];
            losses.push(lost.into_iter().map(|one| tally.records(one)).sum());
            sum.merge(&tally);
        }
        let mut counters = Box::<Counters>::default();
        sum.add_to(&mut counters);
        Ok((counters, losses))
    }

    /// What the programs cost so far, in the time that the kernel measured.
    #[must_use]
    pub fn costs(&self) -> Vec<ProgramCost> {
        let costs = PROGRAMS.into_iter().filter_map(|name| {
            let info = self.ebpf.program(name)?.info().ok()?;
            Some(ProgramCost {
                name,
                seconds: info.run_time().as_secs_f64(),
                runs: info.run_count(),
            })
        });
        costs.collect()
    }

    /// Takes the programs off their interfaces.
    ///
    /// # Errors
    /// What the kernel said.
    pub(super) fn detach(&mut self) -> Result<(), String> {
        let mut result = Ok(());
        for name in PROGRAMS {
            let Some(program) = self.ebpf.program_mut(name) else {
                continue;
            };
            // Unloading drops the links, and with them the attachments.
            let unloaded = if name == "xdp_ingress" {
                <&mut Xdp>::try_from(program).and_then(Xdp::unload)
            } else {
                <&mut SchedClassifier>::try_from(program).and_then(SchedClassifier::unload)
            };
            if let Err(error) = unloaded {
                result = Err(chain(&error));
            }
        }
        result
    }

    /// Writes what the tracing programs say to the log.
    pub(super) fn log_packets(&mut self) {
        match EbpfLogger::init(&mut self.ebpf) {
            Ok(logger) => {
                let spawned = std::thread::Builder::new()
                    .name("trace".to_owned())
                    .spawn(move || forward(logger));
                if let Err(error) = spawned {
                    warn!(%error, "packets are not logged");
                }
            }
            Err(error) => warn!(error = chain(&error), "packets are not logged"),
        }
    }

    /// One of the two maps of the rings.
    pub(super) fn ring_map(&self, name: &'static str) -> Result<&MapData, LoadError> {
        let Map::Array(data) = self.map(name)? else {
            return Err(LoadError::Object(format!("map {name} is no array")));
        };
        Ok(data)
    }

    fn map(&self, name: &'static str) -> Result<&Map, LoadError> {
        self.ebpf
            .map(name)
            .ok_or_else(|| LoadError::Object(format!("map {name} is missing")))
    }

    fn set_service_addresses(&mut self, prefixes: &[IpPrefix]) -> Result<(), LoadError> {
        let Some(map) = self.ebpf.map_mut("SERVICE") else {
            return Err(LoadError::Object("map SERVICE is missing".to_owned()));
        };
        let mut trie: LpmTrie<_, [u8; 16], u8> =
            LpmTrie::try_from(map).map_err(|error| map_error("SERVICE", &error))?;
        for prefix in prefixes {
            let (octets, length) = prefix.as_mapped();
            trie.insert(&Key::new(u32::from(length), octets), 1, 0)
                .map_err(|error| map_error("SERVICE", &error))?;
        }
        Ok(())
    }
}

/// The programs, by their names in the object.
const PROGRAMS: [&str; 3] = ["xdp_ingress", "tc_ingress", "tc_egress"];

fn forward(mut logger: EbpfLogger<&'static dyn log::Log>) {
    loop {
        logger.flush();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

fn load_programs(ebpf: &mut Ebpf) -> Result<(), LoadError> {
    for name in PROGRAMS {
        let program = ebpf
            .program_mut(name)
            .ok_or_else(|| LoadError::Object(format!("program {name} is missing")))?;
        let loaded = if name == "xdp_ingress" {
            <&mut Xdp>::try_from(program).and_then(Xdp::load)
        } else {
            <&mut SchedClassifier>::try_from(program).and_then(SchedClassifier::load)
        };
        loaded.map_err(|error| program_error(name, &error))?;
    }
    Ok(())
}

fn check_kernel() -> Result<(), LoadError> {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    check_version(KernelVersion::current().ok(), release.trim())
}

fn check_version(running: Option<KernelVersion>, release: &str) -> Result<(), LoadError> {
    let (major, minor) = MINIMUM_KERNEL;
    let minimum = KernelVersion::new(major, minor, 0);
    if running.is_some_and(|running| running >= minimum) {
        return Ok(());
    }
    Err(LoadError::Kernel {
        found: release.to_owned(),
    })
}

fn object_error(error: EbpfError) -> LoadError {
    if denied(&error) {
        return LoadError::Privileges;
    }
    LoadError::Object(chain(&error))
}

fn program_error(program: &'static str, error: &ProgramError) -> LoadError {
    if let ProgramError::LoadError {
        io_error,
        verifier_log,
    } = error
    {
        if io_error.kind() == io::ErrorKind::PermissionDenied && verifier_log.to_string().is_empty()
        {
            return LoadError::Privileges;
        }
        let log = verifier_log.to_string();
        let lines: Vec<_> = log.lines().collect();
        let end = lines.get(lines.len().saturating_sub(12)..).unwrap_or(&[]);
        return LoadError::Program {
            program,
            cause: format!("{io_error}; the verifier's last words:\n{}", end.join("\n")),
        };
    }
    LoadError::Program {
        program,
        cause: chain(error),
    }
}

fn map_error(map: &'static str, error: &MapError) -> LoadError {
    LoadError::Map {
        map,
        cause: chain(error),
    }
}

/// Whether the kernel said EPERM somewhere on the way.
fn denied(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        let cause = error.downcast_ref::<io::Error>();
        if cause.is_some_and(|cause| cause.kind() == io::ErrorKind::PermissionDenied) {
            return true;
        }
        next = error.source();
    }
    false
}

/// An error with all its causes, in a line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text = format!("{text}: {cause_text}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kernels_from_the_minimum_on_are_taken() {
        for version in [(5, 18, 0), (5, 18, 7), (6, 1, 0), (7, 0, 0)] {
            let (major, minor, patch) = version;
            let running = KernelVersion::new(major, minor, patch);
            assert!(check_version(Some(running), "").is_ok(), "{version:?}");
        }
    }

    #[test]
    fn older_kernels_are_told_what_is_needed() {
        for (running, release) in [
            (Some(KernelVersion::new(5, 17, 255)), "5.17.15-generic"),
            (Some(KernelVersion::new(4, 19, 0)), "4.19.0"),
            (None, "unheard-of"),
        ] {
            let error = check_version(running, release).expect_err(release);
            let text = error.to_string();
            assert!(
                text.contains(&format!("kernel {release} is too old")),
                "{text}"
            );
            assert!(text.contains("5.18 or newer"), "{text}");
            assert!(text.contains("`xdsc read`"), "{text}");
        }
    }

    #[test]
    fn a_binary_without_programs_says_how_to_build_them() {
        assert_eq!(built(&[]), None);
        assert_eq!(built(b"\x7fELF"), Some(&b"\x7fELF"[..]));
        let text = LoadError::NotBuilt.to_string();
        assert!(text.contains("without its kernel programs"), "{text}");
        assert!(text.contains("`cargo xtask build --release`"), "{text}");
    }
}
