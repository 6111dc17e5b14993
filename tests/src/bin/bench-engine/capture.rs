//! The traffic that is read, and the reading of it.

use std::{
    env,
    fs::{self, File},
    io::{self, BufWriter, Write},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};
use integration_tests::traffic::{Profile, Traffic, Truth, write_pcap};
use xdsc::{
    read::{DatasetOptions, DatasetReading},
    stats::table::Interval,
};

/// Queries in the file.
const EXCHANGES: u64 = 1_000_000;
/// The file ends within a minute, which is one interval.
const QUERIES_PER_SECOND: u64 = 20_000;
const SEED: u64 = 1;

/// Traffic of so many queries; how many messages that were.
pub(crate) fn write(profile: Profile, exchanges: u64, out: &mut impl Write) -> io::Result<u64> {
    let traffic = Traffic::new(profile, SEED, QUERIES_PER_SECOND);
    let mut truth = Truth {
        numbers_only: true,
        ..Truth::default()
    };
    write_pcap(traffic.take(exchanges as usize), out, &mut truth)
}

/// The captures beside this program: made anew when the program is younger.
pub(crate) fn file(profile: Profile) -> Result<PathBuf> {
    let program = env::current_exe()?;
    let name = format!("{profile:?}").to_lowercase();
    let path = program.with_extension(format!("{name}.pcap"));
    let modified = |path: &Path| fs::metadata(path)?.modified();
    if modified(&path).is_ok_and(|made| modified(&program).is_ok_and(|built| built < made)) {
        return Ok(path);
    }
    // Under another name until it is whole.
    let unfinished = program.with_extension("pcap.part");
    let mut out = BufWriter::new(File::create(&unfinished).context("the capture")?);
    write(profile, EXCHANGES, &mut out)?;
    out.flush()?;
    fs::rename(&unfinished, &path)?;
    Ok(path)
}

/// Reads a capture into datasets, and tells at the end of each interval how many
/// packets there were until then; how many there were in the end.
pub(crate) fn read(
    path: &Path,
    options: DatasetOptions,
    mut at_end: impl FnMut(u64),
) -> Result<u64> {
    let mut packets = 0;
    let mut sink = |interval: Interval| {
        packets += interval
            .captures
            .iter()
            .map(|one| one.captured)
            .sum::<u64>();
        at_end(packets);
        Ok(())
    };
    let mut reading = DatasetReading::new(options);
    let errors = reading.file(path, &mut sink)?;
    ensure!(errors.is_empty(), "{errors:?}");
    reading.finish(&mut sink)?;
    Ok(packets)
}
