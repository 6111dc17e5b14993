//! A share of a CPU for a process, by a control group of the kernel's.
//!
//! Machines have the CPU's controller in one of two versions, some have both
//! mounted and only one of them with this controller, and containers often have
//! none that may be written to. So the mounts are asked, nothing is taken for
//! granted, and at the end the kernel itself must say that it has throttled.

use std::{
    fmt,
    fs::{self, OpenOptions},
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, bail, ensure};

/// Microseconds in which the share may be used up. The least share that the
/// kernel takes is a millisecond, so a percent must not be less.
const PERIOD: u32 = 100_000;
/// A group's files: who is in it, and what became of them.
const MEMBERS: &str = "cgroup.procs";
const ACCOUNT: &str = "cpu.stat";

/// Which of the kernel's two kinds of control groups.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    First,
    Second,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::First => "version 1",
            Self::Second => "version 2",
        })
    }
}

/// Where groups with the CPU's controller can be made.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Controller {
    root: PathBuf,
    version: Version,
    /// We have enabled it for the root's groups, and take that back.
    is_ours: bool,
}

/// Holds a process back as long as it lives.
pub(crate) struct Throttle<'a> {
    controller: &'a Controller,
    pid: u32,
    group: PathBuf,
    /// The group from which the process came.
    origin: PathBuf,
}

impl Controller {
    /// The one of this machine.
    ///
    /// # Errors
    /// With the reason why there is none to be had.
    pub(crate) fn find() -> Result<Self> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let mut reasons = vec!["no CPU controller is mounted".to_owned()];
        for (root, version) in mounted(&mounts) {
            match Self::at(root, version) {
                Ok(controller) => return Ok(controller),
                Err(reason) => reasons.push(format!("{reason:#}")),
            }
        }
        bail!("{}", reasons.pop().unwrap_or_default())
    }

    fn at(root: PathBuf, version: Version) -> Result<Self> {
        let mut controller = Self {
            root,
            version,
            is_ours: false,
        };
        if version == Version::Second && !controller.lists_cpu("cgroup.subtree_control")? {
            ensure!(
                controller.lists_cpu("cgroup.controllers")?,
                "{} has no CPU controller",
                controller.root.display()
            );
            write(&controller.root.join("cgroup.subtree_control"), "+cpu")?;
            controller.is_ours = true;
        }
        // Only a try tells whether groups may be made, and limited, here.
        let probe = controller.new_group("probe")?;
        let limited = controller.limit(&probe, 100);
        fs::remove_dir(&probe)?;
        limited?;
        Ok(controller)
    }

    fn lists_cpu(&self, file: &str) -> Result<bool> {
        Ok(read(&self.root.join(file))?
            .split_whitespace()
            .any(|controller| controller == "cpu"))
    }

    pub(crate) const fn version(&self) -> Version {
        self.version
    }

    /// The kernel fills a new group's folder with its files.
    fn new_group(&self, name: &str) -> Result<PathBuf> {
        let own = std::process::id();
        let group = self.root.join(format!("xdsc-bench-{own}-{name}"));
        fs::create_dir(&group).with_context(|| format!("cannot make {}", group.display()))?;
        Ok(group)
    }

    fn limit(&self, group: &Path, percent: u32) -> Result<()> {
        let quota = PERIOD / 100 * percent;
        match self.version {
            Version::Second => write(&group.join("cpu.max"), &format!("{quota} {PERIOD}")),
            Version::First => {
                write(&group.join("cpu.cfs_period_us"), &PERIOD.to_string())?;
                write(&group.join("cpu.cfs_quota_us"), &quota.to_string())
            }
        }
    }

    /// The group that a process is in.
    fn group_of(&self, pid: u32) -> Result<PathBuf> {
        let groups = read(Path::new(&format!("/proc/{pid}/cgroup")))?;
        let group = place(&groups, self.version).context("a process in no group")?;
        Ok(self.root.join(group.trim_start_matches('/')))
    }
}

impl Drop for Controller {
    fn drop(&mut self) {
        if self.is_ours {
            // Somebody else may have begun to use it.
            drop(write(&self.root.join("cgroup.subtree_control"), "-cpu"));
        }
    }
}

impl<'a> Throttle<'a> {
    /// Lets a process take so many percent of a CPU.
    pub(crate) fn new(controller: &'a Controller, pid: u32, percent: u32) -> Result<Self> {
        let throttle = Self {
            controller,
            pid,
            group: controller.new_group(&pid.to_string())?,
            origin: controller.group_of(pid)?,
        };
        controller.limit(&throttle.group, percent)?;
        write(&throttle.group.join(MEMBERS), &pid.to_string())?;
        let group = controller.group_of(pid)?;
        ensure!(
            group == throttle.group,
            "the daemon is in {} instead of {}",
            group.display(),
            throttle.group.display()
        );
        Ok(throttle)
    }

    /// How often the kernel has held the process back.
    ///
    /// # Errors
    /// When it never has, or the process went elsewhere.
    pub(crate) fn times(&self) -> Result<u64> {
        ensure!(
            self.controller.group_of(self.pid)? == self.group,
            "the daemon has left its control group"
        );
        let account = read(&self.group.join(ACCOUNT))?;
        let times = account
            .lines()
            .find_map(|line| line.strip_prefix("nr_throttled "))
            .with_context(|| format!("no nr_throttled in {ACCOUNT}"))?
            .parse()?;
        ensure!(
            times > 0,
            "{} has throttled nobody: {account}",
            self.group.display()
        );
        Ok(times)
    }
}

impl Drop for Throttle<'_> {
    fn drop(&mut self) {
        // It may have ended, which is as good: a group without processes goes.
        drop(write(&self.origin.join(MEMBERS), &self.pid.to_string()));
        if let Err(error) = fs::remove_dir(&self.group) {
            let group = self.group.display();
            // Whoever runs it may want to remove the folder by hand.
            drop(writeln!(
                std::io::stderr(),
                "{group} is left behind: {error}"
            ));
        }
    }
}

/// Where groups may have the CPU's controller, by the kernel's list of mounts.
fn mounted(mounts: &str) -> Vec<(PathBuf, Version)> {
    mounts
        .lines()
        .filter_map(|line| {
            let mut fields = line.split(' ').skip(1);
            let (root, kind, options) = (fields.next()?, fields.next()?, fields.next()?);
            let version = match kind {
                "cgroup2" => Version::Second,
                "cgroup" if options.split(',').any(|option| option == "cpu") => Version::First,
                _ => return None,
            };
            Some((root.into(), version))
        })
        .collect()
}

/// The path in lines such as `1:cpu,cpuacct:/path` and, of version 2, `0::/path`.
fn place(groups: &str, version: Version) -> Option<&str> {
    groups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, path) = (fields.next()?, fields.next()?);
        let is_meant = match version {
            Version::First => controllers.split(',').any(|name| name == "cpu"),
            Version::Second => controllers.is_empty(),
        };
        is_meant.then_some(path)
    })
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// To a file that the kernel has made: what is not there is not made, for a folder
/// that is none of the kernel's takes any file.
fn write(path: &Path, text: &str) -> Result<()> {
    let file = OpenOptions::new().write(true).open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .with_context(|| format!("cannot write `{text}` to {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HYBRID: &str = "tmpfs /sys/fs/cgroup tmpfs rw,mode=755 0 0\n\
                          cgroup /sys/fs/cgroup/cpuset cgroup rw,cpuset 0 0\n\
                          cgroup /sys/fs/cgroup/cpu,cpuacct cgroup rw,cpu,cpuacct 0 0\n\
                          cgroup2 /sys/fs/cgroup/unified cgroup2 rw,relatime 0 0\n";

    #[test]
    fn controllers_are_found_where_they_are_mounted() {
        let found = mounted(HYBRID);
        assert_eq!(
            found,
            [
                ("/sys/fs/cgroup/cpu,cpuacct".into(), Version::First),
                ("/sys/fs/cgroup/unified".into(), Version::Second)
            ]
        );
        let pure = mounted("cgroup2 /sys/fs/cgroup cgroup2 rw,nosuid 0 0\n");
        assert_eq!(pure, [("/sys/fs/cgroup".into(), Version::Second)]);
    }

    #[test]
    fn groups_are_read_by_version() {
        let groups = "9:name=systemd:/a\n3:cpuset:/b\n2:cpu,cpuacct:/c:d\n0::/e\n";
        assert_eq!(place(groups, Version::First), Some("/c:d"));
        assert_eq!(place(groups, Version::Second), Some("/e"));
        assert_eq!(place("1:pids:/a\n", Version::Second), None);
    }

    #[test]
    fn nothing_is_written_where_the_kernel_has_no_file() -> Result<()> {
        let folder = tempfile::tempdir()?;
        assert!(write(&folder.path().join("cpu.max"), "3000 100000").is_err());
        assert_eq!(fs::read_dir(folder.path())?.count(), 0);
        Ok(())
    }
}
