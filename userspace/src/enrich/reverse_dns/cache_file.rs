//! The file that keeps names over restarts.
//!
//! Text, a JSON object per line: first what it is, then an address, its name or
//! null, and the second of the Unix epoch in which that expires. It is written
//! beside its place and moved there, so that whoever reads sees all of it or the
//! one before. Reading trusts nothing: lines that are no use are counted and
//! left out, and nothing is kept for longer than the configuration has it.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Read as _},
    net::IpAddr,
    path::Path,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;
use tokio::time::Instant;

use super::{
    names::{Entry, Known},
    requests::Requests,
    shared_cache::known,
};

/// The most lines that are written, and read.
pub(super) const MAX_LINES: usize = 262_144;
/// The longest line that is read: an address and a name take far less.
const MAX_LINE: u64 = 1024;
const VERSION: u32 = 1;

#[derive(Debug, Serialize, Deserialize)]
struct Head {
    /// The version of the format.
    xdsc_reverse_dns: u32,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    address: IpAddr,
    name: Option<String>,
    expires: u64,
}

/// Reads the file, if there is one.
///
/// # Errors
/// When it is there and cannot be read, or is something else.
pub(super) fn load(path: &Path, now: SystemTime, requests: &Requests) -> io::Result<()> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return check_folder(path),
        Err(error) => return Err(error),
    };
    read(&mut BufReader::new(file), seconds(now), requests)
}

/// Writes the names that were asked for last.
///
/// # Errors
/// When they cannot be written.
pub(super) fn save(path: &Path, now: SystemTime, requests: &Requests) -> io::Result<()> {
    // Taken before the file is: the lock is not held while anything is written.
    let names = requests.latest(MAX_LINES);
    let mut file = NamedTempFile::new_in(folder(path))?;
    write(&mut BufWriter::new(file.as_file_mut()), seconds(now), names)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    requests.counters.file_written_ms.set(millis(now));
    Ok(())
}

fn read(file: &mut impl BufRead, now: u64, requests: &Requests) -> io::Result<()> {
    let head = next_line(file)?.unwrap_or_default();
    let version = serde_json::from_slice(&head).map(|head: Head| head.xdsc_reverse_dns);
    if !version.is_ok_and(|version| version == VERSION) {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is no cache of names, or that of another version of xdsc",
        ));
    }
    let counters = &requests.counters;
    for _ in 0..MAX_LINES {
        let Some(line) = next_line(file)? else {
            return Ok(());
        };
        let Some((line, known)) = parse(&line).filter(|(line, _)| requests.allows(line.address))
        else {
            counters.file_dropped.add(1);
            continue;
        };
        match line.expires.checked_sub(now).filter(|left| *left > 0) {
            Some(left) => {
                requests.learn(line.address, known, Duration::from_secs(left));
                counters.file_loaded.add(1);
            }
            None => counters.file_expired.add(1),
        }
    }
    Ok(())
}

/// A line without its end; an empty one for any that is too long.
fn next_line(file: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut line = Vec::new();
    if file.take(MAX_LINE).read_until(b'\n', &mut line)? == 0 {
        return Ok(None);
    }
    if line.last() != Some(&b'\n') && line.len() as u64 == MAX_LINE {
        line.clear();
        file.skip_until(b'\n')?;
    }
    Ok(Some(line))
}

fn parse(line: &[u8]) -> Option<(Line, Known)> {
    let line: Line = serde_json::from_slice(line).ok()?;
    let known = match line.name.as_deref() {
        Some("") => None,
        Some(name) => known(name.as_bytes()),
        None => Some(Known::NoName),
    };
    known.map(|known| (line, known))
}

fn write(to: &mut impl io::Write, now: u64, names: Vec<(IpAddr, Entry)>) -> io::Result<()> {
    let head = Head {
        xdsc_reverse_dns: VERSION,
    };
    write_line(to, &head)?;
    let present = Instant::now();
    for (address, entry) in names.into_iter().rev() {
        let left = entry.expires.saturating_duration_since(present).as_secs();
        let name = match entry.known {
            Known::Name(name) => Some(name.as_ref().to_owned()),
            Known::NoName => None,
            Known::Failed => continue,
        };
        let expires = now + left;
        write_line(
            to,
            &Line {
                address,
                name,
                expires,
            },
        )?;
    }
    to.flush()
}

fn write_line(to: &mut impl io::Write, line: &impl Serialize) -> io::Result<()> {
    serde_json::to_writer(&mut *to, line)?;
    to.write_all(b"\n")
}

/// A folder that is not there is better told at the start than at the end.
fn check_folder(path: &Path) -> io::Result<()> {
    folder(path).read_dir().map(drop)
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        Some(_) | None => Path::new("."),
    }
}

fn seconds(time: SystemTime) -> u64 {
    millis(time) / 1000
}

fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    since.as_millis() as u64
}

#[cfg(test)]
mod tests {
    use super::{super::Answer, *};
    use crate::config;

    const NOW: u64 = 1_800_000_000;

    fn requests() -> Requests {
        Requests::new(&config::ReverseDns {
            allow: vec!["192.0.2.0/24".parse().expect("a prefix")],
            ttl_max: Duration::from_secs(1000),
            ..config::Config::default().reverse_dns
        })
    }

    fn answer(requests: &Requests, address: &str) -> Answer {
        requests.lookup(address.parse().expect(address))
    }

    fn name(text: &str) -> Answer {
        Answer::Name(text.into())
    }

    fn at(second: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(second)
    }

    #[test]
    fn lines_are_read_as_they_are_documented() {
        let text = r#"{"xdsc_reverse_dns":1}
{"address":"192.0.2.1","name":"a.example","expires":1800000010}
{"address":"192.0.2.2","name":null,"expires":1800000010}
{"address":"192.0.2.3","name":"old.example","expires":1800000000}
"#;
        let requests = requests();
        read(&mut text.as_bytes(), NOW, &requests).expect("a file");
        assert_eq!(answer(&requests, "192.0.2.1"), name("a.example"));
        assert_eq!(answer(&requests, "192.0.2.2"), Answer::NoName);
        assert_eq!(answer(&requests, "192.0.2.3"), Answer::Pending);
        let stats = requests.counters.file();
        assert_eq!((stats.loaded, stats.expired, stats.dropped), (2, 1, 0));
    }

    #[test]
    fn lines_that_are_no_use_are_left_out() {
        let long = format!(
            r#"{{"address":"192.0.2.9","name":"{}","expires":1800000010}}"#,
            "a".repeat(5000)
        );
        let lines = [
            "",
            "nonsense",
            r#"{"address":"192.0.2.1","name":"a b","expires":1800000010}"#,
            r#"{"address":"192.0.2.1","name":"","expires":1800000010}"#,
            r#"{"address":"192.0.2.1","name":"a\u0000b","expires":1800000010}"#,
            r#"{"address":"192.0.2.1","name":"a.example","expires":-1}"#,
            r#"{"address":"192.0.2.1","name":"a.example"}"#,
            r#"{"address":"10.0.0.1","name":"never.asked.example","expires":1800000010}"#,
            long.as_str(),
        ];
        let last = r#"{"address":"192.0.2.8","name":"z.example","expires":1800000010}"#;
        let text = format!("{{\"xdsc_reverse_dns\":1}}\n{}\n{last}", lines.join("\n"));
        let requests = requests();
        read(&mut text.as_bytes(), NOW, &requests).expect("a file");
        let stats = requests.counters.file();
        assert_eq!((stats.loaded, stats.expired), (1, 0));
        assert_eq!(stats.dropped, lines.len() as u64);
        assert_eq!(answer(&requests, "192.0.2.8"), name("z.example"));
    }

    #[test]
    fn other_files_are_refused() {
        for text in ["", "{}\n", "{\"xdsc_reverse_dns\":2}\n", "\u{0}\u{1}\n"] {
            let error = read(&mut text.as_bytes(), NOW, &requests()).expect_err(text);
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
    }

    #[test]
    fn endless_files_end() {
        let requests = requests();
        let head = b"{\"xdsc_reverse_dns\":1}\n".as_slice();
        let mut file = BufReader::new(head.chain(io::repeat(b'\n')));
        read(&mut file, NOW, &requests).expect("a file");
        assert_eq!(requests.counters.file().dropped, MAX_LINES as u64);
    }

    #[tokio::test(start_paused = true)]
    async fn names_survive_a_restart_for_the_rest_of_their_time() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("names");
        let first = requests();
        let address = |text: &str| text.parse().expect("an address");
        let known = |text: &str| Known::Name(text.into());
        first.learn(
            address("192.0.2.1"),
            known("a.example"),
            Duration::from_secs(100),
        );
        first.learn(
            address("192.0.2.2"),
            Known::NoName,
            Duration::from_secs(900),
        );
        first.learn(address("192.0.2.3"), Known::Failed, Duration::ZERO);
        first.learn(
            address("192.0.2.4"),
            known("d.example"),
            Duration::from_secs(900),
        );
        save(&path, at(NOW), &first).expect("saved");
        assert!((first.counters.file().written_s - NOW as f64).abs() < 0.001);

        let second = requests();
        load(&path, at(NOW + 200), &second).expect("loaded");
        let stats = second.counters.file();
        assert_eq!((stats.loaded, stats.expired), (2, 1));
        assert_eq!(answer(&second, "192.0.2.2"), Answer::NoName);
        assert_eq!(answer(&second, "192.0.2.4"), name("d.example"));
        tokio::time::advance(Duration::from_secs(701)).await;
        assert_eq!(answer(&second, "192.0.2.4"), Answer::Pending);

        // A clock that was set back does not keep anything for ever.
        let third = requests();
        load(&path, at(1_000_000_000), &third).expect("loaded");
        assert_eq!(answer(&third, "192.0.2.1"), name("a.example"));
        tokio::time::advance(Duration::from_secs(1001)).await;
        assert_eq!(answer(&third, "192.0.2.1"), Answer::Pending);
    }

    #[test]
    fn a_file_that_is_not_there_yet_is_no_error_but_its_folder_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let requests = requests();
        assert!(load(&folder.path().join("names"), at(NOW), &requests).is_ok());
        let nowhere = folder.path().join("nowhere").join("names");
        assert!(load(&nowhere, at(NOW), &requests).is_err());
        assert!(save(&nowhere, at(NOW), &requests).is_err());
    }
}
