//! The bar that `xdsc read` shows of large captures: what a terminal gets of it,
//! and that nobody else does.

use std::{
    fs::{self, File},
    io::{Read as _, Write as _},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    thread,
};

use flate2::{Compression, write::GzEncoder};
use nix::pty::{Winsize, openpty};

/// Erases the line.
const ERASE: &str = "\x1b[2K";
const TERMINAL: Winsize = Winsize {
    ws_row: 24,
    ws_col: 100,
    ws_xpixel: 0,
    ws_ypixel: 0,
};

/// A capture of about so many octets: frames without meaning, as large as may be.
fn capture(length: usize) -> Vec<u8> {
    const FRAME: usize = 65_535;
    let head = [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 65_535, 101];
    let packet = [1_700_000_000_u32, 0, 65_535, 65_535];
    let mut file: Vec<u8> = head.iter().flat_map(|word| word.to_le_bytes()).collect();
    while file.len() < length {
        file.extend(packet.iter().flat_map(|word| word.to_le_bytes()));
        file.resize(file.len() + FRAME, 0);
    }
    file
}

fn xdsc(files: &[&Path]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xdsc"));
    command.args(["read", "--format", "json"]).args(files);
    command.env("TERM", "xterm").stdout(Stdio::piped());
    command
}

/// Runs it with its standard error at a terminal; what that got.
fn at_terminal(mut command: Command) -> (Output, String) {
    let pty = openpty(Some(&TERMINAL), None).expect("a terminal");
    let mut screen = File::from(pty.master);
    command.stderr(pty.slave);
    let child = command.spawn().expect("xdsc starts");
    // Or our copy of the terminal's end would keep it open.
    drop(command);
    let shown = thread::spawn(move || {
        let mut shown = Vec::new();
        // Ends with an error when the last writer has gone.
        let _ = screen.read_to_end(&mut shown);
        String::from_utf8_lossy(&shown).into_owned()
    });
    let output = child.wait_with_output().expect("its end");
    (output, shown.join().expect("what was shown"))
}

struct Files {
    folder: tempfile::TempDir,
}

impl Files {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().expect("a folder"),
        }
    }

    fn file(&self, name: &str, octets: &[u8]) -> PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, octets).expect("a file");
        path
    }
}

#[test]
fn a_terminal_sees_a_bar_that_goes_away() {
    let files = Files::new();
    let large = files.file("large.pcap", &capture(20_000_000));
    let (output, shown) = at_terminal(xdsc(&[&large]));
    assert!(output.status.success(), "{shown:?}");
    assert!(shown.contains("large.pcap"), "{shown:?}");
    assert!(shown.contains("of 20.0"), "{shown:?}");
    assert!(shown.contains(" %"), "{shown:?}");
    let (_, rest) = shown.rsplit_once(ERASE).expect("an erased line");
    assert_eq!(rest.trim(), "", "{shown:?}");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.starts_with('{') && !text.contains('\x1b'), "{text}");
}

#[test]
fn what_is_compressed_counts_by_the_octets_of_the_file() {
    let files = Files::new();
    // Stored, so that the length is not far from that of the capture.
    let mut gzip = GzEncoder::new(Vec::new(), Compression::none());
    gzip.write_all(&capture(18_000_000)).expect("gzip");
    let octets = gzip.finish().expect("gzip");
    let large = files.file("large.gz", &octets);
    let (_, shown) = at_terminal(xdsc(&[&large]));
    // A few megabytes, which a f64 has room for.
    let total = format!("of {:.2} MB", octets.len() as f64 / 1e6);
    assert!(shown.contains(&total), "{total}: {shown:?}");
}

#[test]
fn complaints_are_whole_lines_above_it() {
    let files = Files::new();
    let large = files.file("large.pcap", &capture(20_000_000));
    let other = files.file("other.pcap", b"no capture at all");
    let (output, shown) = at_terminal(xdsc(&[&other, &large]));
    assert!(!output.status.success());
    let mut lines = shown.split(['\r', '\n']).map(|line| {
        let line = line.rsplit_once(ERASE).map_or(line, |(_, line)| line);
        line.trim_end()
    });
    let complaint = lines.find(|line| line.starts_with("xdsc: "));
    let complaint = complaint.unwrap_or_else(|| panic!("no complaint: {shown:?}"));
    assert!(complaint.contains("other.pcap"), "{complaint:?}");
}

#[test]
fn others_see_nothing() {
    let files = Files::new();
    let large = files.file("large.pcap", &capture(20_000_000));
    let small = files.file("small.pcap", &capture(100_000));
    let output = xdsc(&[&large])
        .stderr(Stdio::piped())
        .output()
        .expect("a run");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "", "into a pipe");
    let (_, shown) = at_terminal(xdsc(&[&small]));
    assert_eq!(shown, "", "of a small file");
    // A pipe has no length.
    let piped = xdsc_of_standard_input(&large);
    let (_, shown) = at_terminal(piped);
    assert_eq!(shown, "", "of a pipe");
}

fn xdsc_of_standard_input(file: &Path) -> Command {
    let mut command = xdsc(&[Path::new("-")]);
    command.stdin(File::open(file).expect("the file"));
    command
}
