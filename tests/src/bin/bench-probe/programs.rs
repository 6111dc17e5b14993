//! The programs in the kernel, and the threads that take their records.

use std::{
    cell::Cell,
    env, fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use aya::{
    Ebpf, EbpfLoader,
    maps::{Array, ArrayOfMaps, Map, MapData, RingBuf},
    programs::{
        ProgramInfo, SchedClassifier, TcAttachType, TestRun as _, TestRunOptions, Xdp, XdpMode,
        loaded_programs, tc::SchedClassifierLinkId, xdp::XdpLinkId,
    },
};
use aya_obj::programs::XdpAttachType;
use dns_wire::{
    Settings,
    counters::{Counters, Hook},
    record::Record,
    ring,
    tally::Tally,
};
use integration_tests::bench::pin;
use xdsc::source::live::{
    clock::now_ns,
    probe::{LoadOptions, Probe},
    ring::Ring,
};

use crate::packets::{SEED, SHARE_BITS};

/// Where the programs run.
pub(crate) const PROGRAM_CPU: usize = 0;
/// Where their records are taken.
const CONSUMER_CPU: usize = 1;
/// How often.
const POLL: Duration = Duration::from_micros(500);
/// Polls until records are taken for lost: two seconds.
const PATIENCE: u32 = 4000;
/// 4 MiB per ring: as many as the daemon takes on a machine of up to 8 CPUs.
const CHUNKS: u64 = 64;
/// Octets of a ring buffer of the kernel's.
const RINGBUF: u32 = 4 << 20;
const BPF_MAP_TYPE_RINGBUF: u32 = 27;

/// A program that can be run on a packet.
pub(crate) enum Program {
    Xdp(Xdp),
    Tc(SchedClassifier),
}

/// Where a program is attached; it is taken off with this.
pub(crate) enum Attached {
    Xdp(XdpLinkId),
    Tc(SchedClassifierLinkId),
}

impl Program {
    /// Attaches it to an interface of the thread's namespace: natively to what
    /// arrives, or to what leaves.
    pub(crate) fn attach(&mut self, interface: &str) -> Result<Attached> {
        Ok(match self {
            Self::Xdp(program) => Attached::Xdp(program.attach(interface, XdpMode::Driver)?),
            Self::Tc(program) => Attached::Tc(program.attach(interface, TcAttachType::Egress)?),
        })
    }

    /// Takes it off.
    pub(crate) fn detach(&mut self, attached: Attached) -> Result<()> {
        match (self, attached) {
            (Self::Xdp(program), Attached::Xdp(link)) => program.detach(link)?,
            (Self::Tc(program), Attached::Tc(link)) => program.detach(link)?,
            (Self::Xdp(_), Attached::Tc(_)) | (Self::Tc(_), Attached::Xdp(_)) => {
                bail!("attached elsewhere")
            }
        }
        Ok(())
    }

    /// Runs it `repeat` times; the time of one run, in ns, as the kernel took it.
    pub(crate) fn run(&self, packet: &[u8], repeat: u32) -> Result<f64> {
        let options = TestRunOptions {
            data_in: Some(packet),
            repeat,
            ..TestRunOptions::default()
        };
        let result = match self {
            Self::Xdp(program) => program.test_run(options),
            Self::Tc(program) => program.test_run(options),
        };
        Ok(result?.duration.as_nanos() as f64)
    }
}

/// Takes records away, and counts them.
pub(crate) struct Consumer {
    taken: Arc<AtomicU64>,
    expected: Cell<u64>,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Consumer {
    /// Calls `drain`, which tells how many it took, again and again.
    fn start(mut drain: impl FnMut() -> u64 + Send + 'static) -> Self {
        let taken = Arc::new(AtomicU64::new(0));
        let stop = Arc::new(AtomicBool::new(false));
        let (count, stopped) = (Arc::clone(&taken), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            pin(CONSUMER_CPU).expect("there is a second CPU");
            while !stopped.load(Ordering::Relaxed) {
                count.fetch_add(drain(), Ordering::Release);
                thread::sleep(POLL);
            }
        });
        Self {
            taken,
            expected: Cell::new(0),
            stop,
            thread: Some(thread),
        }
    }

    /// Waits until it has taken `more` records more, so that the rings are empty.
    pub(crate) fn wait_for(&self, more: u64) -> Result<()> {
        let expected = self.expected.get() + more;
        self.expected.set(expected);
        for _ in 0..PATIENCE {
            if self.taken.load(Ordering::Acquire) >= expected {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        let taken = self.taken.load(Ordering::Acquire);
        bail!(
            "{} records of the last {more} did not arrive",
            expected - taken
        )
    }
}

impl Drop for Consumer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // A panic in there has been printed.
            let _ = thread.join();
        }
    }
}

/// The production object.
pub(crate) struct Real {
    probe: Probe,
    pub(crate) xdp_ingress: Program,
    pub(crate) tc_egress: Program,
    pub(crate) consumer: Consumer,
}

impl Real {
    pub(crate) fn load(settings: Settings) -> Result<Self> {
        let options = LoadOptions {
            settings: settings.with_seed(SEED),
            chunks: CHUNKS,
            ..LoadOptions::default()
        };
        let last = loaded_programs()
            .filter_map(Result::ok)
            .map(|info| info.id())
            .max()
            .unwrap_or(0);
        let probe = Probe::load_object(&object("probe.o")?, &options)?;
        let xdp_ingress = Xdp::from_program_info(
            newest("xdp_ingress", last)?,
            "xdp_ingress".into(),
            XdpAttachType::Interface,
        )?;
        let tc_egress =
            SchedClassifier::from_program_info(newest("tc_egress", last)?, "tc_egress".into())?;
        let mut rings = Ring::all(&probe)?;
        for ring in &mut rings {
            ring.set_share(SHARE_BITS as u8);
        }
        let consumer = Consumer::start(move || {
            // As the daemon does: one look at the clock for all rings.
            rings.iter_mut().for_each(Ring::look);
            let now = now_ns();
            let drained = rings.iter_mut().map(|ring| ring.drain(now, touch));
            drained.map(|taken| taken.expect("no damage").count()).sum()
        });
        Ok(Self {
            probe,
            xdp_ingress: Program::Xdp(xdp_ingress),
            tc_egress: Program::Tc(tc_egress),
            consumer,
        })
    }

    /// The one that stands at a hook.
    pub(crate) const fn program(&mut self, hook: Hook) -> &mut Program {
        match hook {
            Hook::Ingress => &mut self.xdp_ingress,
            Hook::Egress => &mut self.tc_egress,
        }
    }

    pub(crate) fn counters(&self, hook: Hook) -> Result<Counters> {
        Ok(*self.probe.counters(hook)?)
    }
}

/// The program of that name with the lowest id above `last`: the one just loaded.
fn newest(name: &str, last: u32) -> Result<ProgramInfo> {
    loaded_programs()
        .filter_map(Result::ok)
        .filter(|info| info.id() > last && info.name_as_str() == Some(name))
        .min_by_key(ProgramInfo::id)
        .with_context(|| format!("program {name} is not in the kernel"))
}

/// The object with the programs to compare with.
pub(crate) struct Baseline {
    ebpf: Ebpf,
    pub(crate) empty: Program,
    pub(crate) empty_tc: Program,
    pub(crate) reserve: Program,
    pub(crate) output: Program,
    pub(crate) build: Program,
    pub(crate) consumer: Consumer,
}

impl Baseline {
    pub(crate) fn load(settings: Settings) -> Result<Self> {
        let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)? as u32;
        let mut ebpf = EbpfLoader::new()
            .override_global("SETTINGS", &settings.with_seed(SEED).to_words(), true)
            .override_global("RINGS", &[u64::from(cpus), 1], true)
            .map_max_entries("BLOCKS", 2 * cpus)
            .map_max_entries("CHUNKS", 2 * cpus)
            .map_max_entries("RINGBUFS", cpus)
            .load(&object("probe-bench.o")?)?;
        let mut buffers = ring_buffers(&mut ebpf, cpus)?;
        let consumer = Consumer::start(move || buffers.iter_mut().map(drain).sum());
        Ok(Self {
            empty: xdp(&mut ebpf, "bench_empty")?,
            empty_tc: tc(&mut ebpf, "bench_empty_tc")?,
            reserve: xdp(&mut ebpf, "bench_reserve")?,
            output: xdp(&mut ebpf, "bench_output")?,
            build: xdp(&mut ebpf, "bench_build")?,
            ebpf,
            consumer,
        })
    }

    pub(crate) fn counters(&self) -> Result<Counters> {
        let map = self.ebpf.map("BLOCKS").context("map BLOCKS")?;
        let blocks: Array<_, [u64; ring::BLOCK / 8]> = Array::try_from(map)?;
        let mut tally = Tally::default();
        // Those of the other hook are empty.
        for block in blocks.iter() {
            tally.merge_cells(block?.get(ring::CONTROL / 8..).unwrap_or(&[]));
        }
        let mut counters = Counters::default();
        tally.add_to(&mut counters);
        Ok(counters)
    }
}

fn xdp(ebpf: &mut Ebpf, name: &'static str) -> Result<Program> {
    let program = ebpf.program_mut(name).context(name)?;
    let program: &mut Xdp = program.try_into()?;
    program.load()?;
    let copy = Xdp::from_program_info(program.info()?, name.into(), XdpAttachType::Interface)?;
    Ok(Program::Xdp(copy))
}

fn tc(ebpf: &mut Ebpf, name: &'static str) -> Result<Program> {
    let program = ebpf.program_mut(name).context(name)?;
    let program: &mut SchedClassifier = program.try_into()?;
    program.load()?;
    let copy = SchedClassifier::from_program_info(program.info()?, name.into())?;
    Ok(Program::Tc(copy))
}

/// Makes a ring buffer per CPU and puts it where the program looks.
fn ring_buffers(ebpf: &mut Ebpf, cpus: u32) -> Result<Vec<RingBuf<MapData>>> {
    let map = ebpf.map_mut("RINGBUFS").context("map RINGBUFS")?;
    let mut places: ArrayOfMaps<_, RingBuf<MapData>> = ArrayOfMaps::try_from(map)?;
    (0..cpus)
        .map(|cpu| {
            let wanted = aya_obj::Map::new_from_params(BPF_MAP_TYPE_RINGBUF, 0, 0, RINGBUF, 0);
            let data = MapData::create(wanted, "bench_ringbuf", None)?;
            let buffer = RingBuf::try_from(Map::RingBuf(data))?;
            places.set(cpu, &buffer, 0)?;
            Ok(buffer)
        })
        .collect()
}

fn drain(buffer: &mut RingBuf<MapData>) -> u64 {
    let mut taken = 0;
    while let Some(item) = buffer.next() {
        touch(&Record::parse(&item).expect("no damage"));
        taken += 1;
    }
    taken
}

/// What a reader does at least: all lines of a record are loaded.
fn touch(record: &Record<'_>) {
    std::hint::black_box((record.time_ns(), record.payload().last().copied()));
}

/// The object that `cargo xtask build` made.
fn object(name: &str) -> Result<Vec<u8>> {
    let folder = env::var_os("XDSC_PROBE_DIR").unwrap_or_else(|| "target/bpf".into());
    let path: PathBuf = Path::new(&folder).join(name);
    fs::read(&path)
        .with_context(|| format!("cannot read {}; run `cargo xtask build`", path.display()))
}
