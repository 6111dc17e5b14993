//! Sees that a file was replaced, by looking at it now and then.
//!
//! No notifications of the kernel: they follow neither renamed folders nor network
//! file systems, and what a look costs is nothing at this pace. A file counts as
//! changed once two looks in a row saw the same, so one that is still being copied
//! is left alone; each change is told once, whatever becomes of it.

use std::{
    fs, io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

/// A file, as it was when it was read and when it was looked at.
#[derive(Clone, Debug)]
pub struct Watched {
    file: PathBuf,
    told: Fingerprint,
    seen: Fingerprint,
}

/// What is different when a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fingerprint {
    Present {
        device: u64,
        inode: u64,
        size: u64,
        modified_s: i64,
        modified_ns: i64,
    },
    /// It cannot be looked at, for this reason.
    Absent(io::ErrorKind),
}

impl Watched {
    /// Watches a file from now on: to be called before it is read, so that no
    /// change is missed.
    #[must_use]
    pub fn new(file: &Path) -> Self {
        let now = Fingerprint::of(file);
        Self {
            file: file.to_owned(),
            told: now,
            seen: now,
        }
    }

    /// The file.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// Looks at the file; whether it has changed and come to rest. That it has
    /// vanished is a change, too.
    pub fn look(&mut self) -> bool {
        let now = Fingerprint::of(&self.file);
        let rests = now == self.seen;
        self.seen = now;
        let changed = rests && now != self.told;
        if changed {
            self.told = now;
        }
        changed
    }
}

impl Fingerprint {
    fn of(file: &Path) -> Self {
        match fs::metadata(file) {
            Ok(metadata) => Self::Present {
                device: metadata.dev(),
                inode: metadata.ino(),
                size: metadata.size(),
                modified_s: metadata.mtime(),
                modified_ns: metadata.mtime_nsec(),
            },
            Err(cause) => Self::Absent(cause.kind()),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs::File,
        os::unix::fs::symlink,
        time::{Duration, SystemTime},
    };

    use super::*;

    /// A folder with a file in it that is watched.
    fn watched() -> (tempfile::TempDir, PathBuf, Watched) {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        fs::write(&file, "one").expect("a file");
        let watched = Watched::new(&file);
        (folder, file, watched)
    }

    /// Sets the time of a change, which the clock of a file system may be too
    /// coarse for.
    fn date(file: &Path, seconds: u64) {
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let file = File::options().write(true).open(file).expect("a file");
        file.set_modified(time).expect("a time");
    }

    /// What the next looks say.
    fn looks<const N: usize>(watched: &mut Watched) -> [bool; N] {
        std::array::from_fn(|_| watched.look())
    }

    #[test]
    fn a_file_that_stays_has_not_changed() {
        let (_folder, _file, mut watched) = watched();
        assert_eq!(looks(&mut watched), [false; 3]);
    }

    #[test]
    fn a_change_is_told_once_when_it_rests() {
        let (folder, file, mut watched) = watched();
        fs::write(&file, "three").expect("in place");
        assert_eq!(looks(&mut watched), [false, true, false, false]);
        date(&file, 1);
        assert_eq!(looks(&mut watched), [false, true, false]);
        let new = folder.path().join("new");
        fs::write(&new, "three").expect("a file");
        date(&new, 1);
        fs::rename(&new, &file).expect("of the same size and time");
        assert_eq!(looks(&mut watched), [false, true, false]);
    }

    #[test]
    fn a_file_that_is_being_copied_is_left_alone() {
        let (_folder, file, mut watched) = watched();
        for text in ["h", "ha", "hal", "half"] {
            fs::write(&file, text).expect("in place");
            assert!(!watched.look(), "{text}");
        }
        assert!(watched.look());
    }

    #[test]
    fn a_change_that_is_taken_back_is_none() {
        let (folder, file, mut watched) = watched();
        let aside = folder.path().join("aside");
        fs::rename(&file, &aside).expect("away");
        assert!(!watched.look());
        fs::rename(&aside, &file).expect("back");
        assert_eq!(looks(&mut watched), [false; 3]);
    }

    #[test]
    fn a_file_that_vanishes_and_returns_changes_twice() {
        let (_folder, file, mut watched) = watched();
        fs::remove_file(&file).expect("away");
        assert_eq!(looks(&mut watched), [false, true, false]);
        fs::write(&file, "two").expect("a file");
        assert_eq!(looks(&mut watched), [false, true, false]);
    }

    #[test]
    fn a_link_that_is_set_to_another_file_is_a_change() {
        let (folder, file, _) = watched();
        let (link, other) = (folder.path().join("link"), folder.path().join("other"));
        fs::write(&other, "two").expect("a file");
        symlink(&file, &link).expect("a link");
        let mut watched = Watched::new(&link);
        fs::remove_file(&link).expect("away");
        symlink(&other, &link).expect("a link");
        assert_eq!(looks(&mut watched), [false, true, false]);
    }
}
