//! A share of a CPU for a process, by a control group of the kernel's, of either
//! version; where there is none to be had, nobody is throttled.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

/// Microseconds in which the share may be used up.
const PERIOD: u32 = 10_000;
/// Where the CPU's groups are, of version 2 and of version 1; and what limits a
/// group there.
const VERSIONS: [(&str, Limit); 2] = [
    ("/sys/fs/cgroup", Limit::Second),
    ("/sys/fs/cgroup/cpu", Limit::First),
];

#[derive(Clone, Copy)]
enum Limit {
    First,
    Second,
}

/// Holds a process back as long as it lives.
pub(crate) struct Throttle {
    /// The group, and the one from which the process came.
    group: Option<(PathBuf, &'static str, u32)>,
}

impl Throttle {
    /// Lets a process take so many percent of a CPU.
    pub(crate) fn new(pid: u32, percent: u32) -> Result<Self> {
        for (root, limit) in VERSIONS {
            let folder = Path::new(root).join(format!("xdsc-bench-{pid}"));
            // The kernel fills a new group's folder with its files.
            if fs::create_dir(&folder).is_err() {
                continue;
            }
            if set(&folder, limit, percent).is_ok() {
                let throttle = Self {
                    group: Some((folder.clone(), root, pid)),
                };
                fs::write(folder.join("cgroup.procs"), pid.to_string())
                    .with_context(|| format!("cannot put the daemon into {}", folder.display()))?;
                return Ok(throttle);
            }
            // The controller is not to be had here.
            drop(fs::remove_dir(&folder));
        }
        Ok(Self { group: None })
    }

    /// What holds the process back.
    pub(crate) const fn name(&self) -> &'static str {
        match self.group {
            Some(_) => "a control group",
            None => "its own budget only",
        }
    }
}

fn set(folder: &Path, limit: Limit, percent: u32) -> Result<()> {
    let quota = PERIOD / 100 * percent;
    match limit {
        Limit::Second => fs::write(folder.join("cpu.max"), format!("{quota} {PERIOD}"))?,
        Limit::First => {
            fs::write(folder.join("cpu.cfs_period_us"), PERIOD.to_string())?;
            // The least that the kernel takes is a millisecond.
            fs::write(folder.join("cpu.cfs_quota_us"), quota.max(1000).to_string())?;
        }
    }
    Ok(())
}

impl Drop for Throttle {
    fn drop(&mut self) {
        if let Some((folder, root, pid)) = &self.group {
            // It may have ended, which is as good.
            drop(fs::write(
                Path::new(root).join("cgroup.procs"),
                pid.to_string(),
            ));
            drop(fs::remove_dir(folder));
        }
    }
}
