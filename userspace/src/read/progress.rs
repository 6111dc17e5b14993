//! How far the reading of large captures is, for whoever waits at a terminal.
//!
//! One bar over all files, by the octets of the files as they lie on the disk,
//! since of compressed ones nobody knows what they hold. It is moved where a file
//! is read in large steps, so that packets pay nothing for it. It is shown on a
//! terminal only, and takes itself away.

use std::{
    fs::{self, File},
    io::{self, IsTerminal as _, Read},
    path::{Path, PathBuf},
};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::source::file::{Capture, CaptureError};

/// Less than this is read before anybody asks how long it takes.
const LARGE: u64 = 16 << 20;
/// What is left of the terminal's width is the name's.
const TEMPLATE: &str = "[{bar:24}] {percent:>3} %  {decimal_bytes} of {decimal_total_bytes}, \
                        {decimal_bytes_per_sec}, {eta} left  {wide_msg}";

/// Shows how far a run of files is read; hidden, it does nothing.
#[derive(Debug)]
pub struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// None.
    #[must_use]
    pub fn hidden() -> Self {
        Self {
            bar: ProgressBar::hidden(),
        }
    }

    /// Of these files on standard error, if they are large and it is a terminal.
    #[must_use]
    pub fn on_stderr(files: &[PathBuf]) -> Self {
        match io::stderr().is_terminal() {
            true => Self::on(ProgressDrawTarget::stderr(), files),
            false => Self::hidden(),
        }
    }

    fn on(target: ProgressDrawTarget, files: &[PathBuf]) -> Self {
        let Some(total) = length(files).filter(|total| *total >= LARGE) else {
            return Self::hidden();
        };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        // A template that it does not understand leaves its own.
        let style = ProgressStyle::with_template(TEMPLATE);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        bar.set_style(style.progress_chars("=> "));
        Self {
            bar: bar.with_finish(ProgressFinish::AndClear),
        }
    }

    /// Opens a capture whose reading moves the bar.
    ///
    /// # Errors
    /// Those of [`Capture::open`].
    pub(super) fn open(&self, path: &Path) -> Result<Capture, CaptureError> {
        if self.bar.is_hidden() {
            return Capture::open(path);
        }
        self.bar.set_message(name(path));
        Capture::open_through(path, |file| self.watched(file))
    }

    /// Writes to the terminal without being in the way.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.bar.suspend(write)
    }

    fn watched(&self, file: File) -> Box<dyn Read + Send> {
        Box::new(self.bar.wrap_read(file))
    }
}

/// Octets of all files; none if that of any is unknown, as for a pipe.
fn length(files: &[PathBuf]) -> Option<u64> {
    let lengths = files.iter().map(|file| {
        let metadata = fs::metadata(file).ok()?;
        metadata.is_file().then_some(metadata.len())
    });
    lengths.sum()
}

/// The file's name, as a text that does nothing to a terminal.
fn name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().escape_debug().collect()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsRawFd as _;

    use super::*;

    #[test]
    fn length_is_known_of_regular_files_only() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = |name: &str, length| {
            let path = folder.path().join(name);
            let file = File::create(&path).expect("a file");
            file.set_len(length).expect("room");
            path
        };
        let (a, b) = (file("a", 3), file("b", 4));
        let absent = folder.path().join("absent");
        let (_reader, writer) = io::pipe().expect("a pipe");
        let pipe = PathBuf::from(format!("/proc/self/fd/{}", writer.as_raw_fd()));
        for (files, expected) in [
            (vec![a.clone(), b], Some(7)),
            (vec![a.clone(), "-".into()], None),
            (vec![a.clone(), absent], None),
            (vec![a.clone(), pipe], None),
            (vec![a, folder.path().to_owned()], None),
        ] {
            assert_eq!(length(&files), expected, "{files:?}");
        }
    }

    #[test]
    fn names_do_nothing_to_a_terminal() {
        for (path, shown) in [
            ("/x/day.pcap.zst", "day.pcap.zst"),
            ("/x/\x1b[2J\u{202e}.pcap", "\\u{1b}[2J\\u{202e}.pcap"),
        ] {
            assert_eq!(name(Path::new(path)), shown);
        }
    }
}
