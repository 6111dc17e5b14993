//! The days of a running daemon, in a folder that survives it.
//!
//! `FOLDER/partial/YYYYMMDD.json` is what this node has counted of a day. The
//! file is written again and again while the day lasts, and read back by a
//! daemon that starts later. What is published of a day is written beside it
//! once the day is over.
//!
//! The clock may be set, and then a day may come twice: its file is read back
//! and goes on. A file that cannot be understood is never written over; until it
//! is moved away, the day is kept in memory.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
};

use dns_wire::counters::Counters;
use jiff::civil::Date;

use super::{
    Day, Error, check_service, create_folder, first_file, partial_path, read_partial, write_files,
    write_partial,
};
use crate::stats::sketches::Clients;

/// Days that wait for being written, when they cannot be.
const MAX_WAITING: usize = 8;

/// The days of a daemon.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    service: String,
    today: Date,
    /// Today, and earlier days that could not be written yet.
    days: BTreeMap<Date, Kept>,
    /// All messages that the daemon had counted when it was looked at last.
    before: Box<Counters>,
}

/// A day in memory.
#[derive(Debug)]
struct Kept {
    day: Day,
    /// Whether what its file holds is in `day`.
    has_file: bool,
}

impl Journal {
    /// Goes on with what is in the folder of this day; where there is none, the
    /// day begins. `service` is what is published about.
    ///
    /// # Errors
    /// When the folder cannot be used, or the day's file is damaged.
    pub fn open(folder: &Path, service: &str, today: Date) -> Result<Self, Error> {
        check_service(service)?;
        let mut journal = Self {
            folder: folder.to_owned(),
            service: service.to_owned(),
            today,
            days: BTreeMap::new(),
            before: Box::default(),
        };
        create_folder(&journal.partials())?;
        let mut kept = Kept::new(today);
        kept.store(&journal.partials())?;
        journal.days.insert(today, kept);
        Ok(journal)
    }

    /// Publishes earlier days that no daemon was there to publish; what could
    /// not be.
    #[must_use]
    pub fn catch_up(&self) -> Vec<Error> {
        let files = match fs::read_dir(self.partials()) {
            Ok(files) => files.flatten(),
            Err(cause) => {
                let path = self.partials();
                return vec![Error::Io { path, cause }];
            }
        };
        let paths = files.map(|file| file.path());
        let is_json = |path: &PathBuf| path.extension().is_some_and(|end| end == "json");
        paths
            .filter(is_json)
            .filter_map(|path| self.publish_file(&path).err())
            .collect()
    }

    /// Counts all that happened since the last time: `messages` is all that the
    /// daemon has counted so far, `sources` those seen since. It belongs to the
    /// day that was [`turn`](Self::turn)ed to.
    pub fn count(&mut self, messages: &Counters, sources: &Clients) {
        let Some(kept) = self.days.get_mut(&self.today) else {
            return;
        };
        let since = messages.since(&self.before);
        kept.day.add_messages(&since);
        kept.day.add_rcodes(&since);
        // They have one key, that of the service: `open` refuses a file of another.
        drop(kept.day.add_sources(sources));
        *self.before = messages.clone();
    }

    /// Which day it is, in UTC.
    #[must_use]
    pub const fn today(&self) -> Date {
        self.today
    }

    /// It is this day now.
    pub fn turn(&mut self, today: Date) {
        self.today = today;
        self.days.entry(today).or_insert_with(|| Kept::new(today));
        while self.days.len() > MAX_WAITING {
            // They could not be written for a week.
            let oldest = self.days.keys().find(|date| **date != today).copied();
            if let Some(oldest) = oldest {
                self.days.remove(&oldest);
            }
        }
    }

    /// Writes today's file, and what is over; all that could not be.
    pub fn write(&mut self) -> Vec<Error> {
        let mut errors = Vec::new();
        let mut days = std::mem::take(&mut self.days);
        days.retain(|date, kept| {
            let mut written = kept.store(&self.partials());
            if *date != self.today && written.is_ok() {
                written = write_files(&kept.day, &self.service, &self.folder).map(drop);
            }
            let is_done = *date != self.today && written.is_ok();
            errors.extend(written.err());
            !is_done
        });
        self.days = days;
        errors
    }

    fn partials(&self) -> PathBuf {
        self.folder.join("partial")
    }

    /// Publishes an earlier day unless that was done after its file was written.
    fn publish_file(&self, path: &Path) -> Result<(), Error> {
        let name = path.file_stem().and_then(|name| name.to_str());
        let date = name.and_then(|name| Date::strptime("%Y%m%d", name).ok());
        let Some(date) = date.filter(|date| *date < self.today) else {
            return Ok(());
        };
        let written = |path: &Path| fs::metadata(path).and_then(|file| file.modified()).ok();
        let published = written(&first_file(date, &self.service, &self.folder));
        if published.is_some() && published >= written(path) {
            return Ok(());
        }
        let day = read_partial(path)?;
        if day.date() != date {
            return Err(Error::OtherDay {
                ours: date,
                theirs: day.date(),
            });
        }
        write_files(&day, &self.service, &self.folder).map(drop)
    }
}

impl Kept {
    fn new(date: Date) -> Self {
        Self {
            day: Day::new(date),
            has_file: false,
        }
    }

    /// Adds what its file holds, the first time; then writes it.
    fn store(&mut self, folder: &Path) -> Result<(), Error> {
        let path = partial_path(folder, self.day.date());
        if !self.has_file {
            match read_partial(&path) {
                Ok(earlier) => self.day.merge(&earlier)?,
                Err(Error::Io { cause, .. }) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(error) => return Err(error),
            }
            self.has_file = true;
        }
        write_partial(&self.day, &path)
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use dns_wire::{
        Slice,
        counters::Role,
        locate::{Family, Transport},
        message,
    };

    use super::*;
    use crate::stats::sketches::ClientKey;

    const SERVICE: &str = "a.root-servers.net";

    fn date(day: i8) -> Date {
        Date::constant(2026, 1, day)
    }

    /// Queries over UDP and IPv4, of 17 octets.
    fn queries(count: u64) -> Counters {
        let mut counters = Counters::default();
        let bytes = [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 1];
        let message = message::parse(&Slice::new(&bytes), 0, bytes.len()).expect("a query");
        let (family, transport) = (Family::Ipv4, Transport::Udp);
        counters.messages_like(Role::Server, family, transport, &message, count);
        counters
    }

    fn source(last: u8) -> Clients {
        let mut clients = Clients::new(ClientKey::of_service(SERVICE, b""));
        clients.add(IpAddr::from([192, 0, 2, last]));
        clients
    }

    fn published(folder: &Path, day: i8, metric: &str) -> Option<String> {
        let name = format!("2026/01/{metric}/a-root-202601{day:02}-{metric}.yaml");
        fs::read_to_string(folder.join(name)).ok()
    }

    fn volume(folder: &Path, day: i8) -> Option<u64> {
        let text = published(folder, day, "traffic-volume")?;
        let line = text.lines().find(|line| line.contains("udp-queries"))?;
        line.rsplit(' ').next()?.parse().ok()
    }

    fn written(journal: &mut Journal) {
        let errors = journal.write();
        assert!(errors.is_empty(), "{errors:?}");
    }

    #[test]
    fn a_day_goes_on_after_a_restart_and_is_published_when_it_is_over() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let mut journal = Journal::open(folder, SERVICE, date(10)).expect("an empty folder");
        journal.count(&queries(5), &source(1));
        journal.count(&queries(7), &source(2));
        written(&mut journal);
        assert_eq!(volume(folder, 10), None);
        // The new daemon counts from 0.
        let mut journal = Journal::open(folder, SERVICE, date(10)).expect("its own folder");
        journal.count(&queries(4), &source(2));
        written(&mut journal);
        journal.count(&queries(6), &source(3));
        journal.turn(date(11));
        journal.count(&queries(9), &source(4));
        written(&mut journal);
        assert_eq!(volume(folder, 10), Some(7 + 6));
        assert_eq!(volume(folder, 11), None);
        let sources = published(folder, 10, "unique-sources").expect("a file");
        assert!(sources.contains("num-sources-ipv4: 3\n"), "{sources}");
        journal.turn(date(12));
        written(&mut journal);
        assert_eq!(volume(folder, 11), Some(9 - 6));
    }

    #[test]
    fn a_clock_that_is_set_loses_nothing_and_counts_nothing_twice() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let mut journal = Journal::open(folder, SERVICE, date(10)).expect("an empty folder");
        journal.count(&queries(1), &source(1));
        for (day, count) in [(11, 3), (10, 6), (11, 10), (25, 15), (11, 21), (12, 28)] {
            journal.turn(date(day));
            journal.count(&queries(count), &source(1));
            written(&mut journal);
        }
        journal.turn(date(26));
        written(&mut journal);
        let volumes = [10, 11, 12, 25].map(|day| volume(folder, day));
        assert_eq!(volumes, [Some(1 + 3), Some(2 + 4 + 6), Some(7), Some(5)]);
    }

    #[test]
    fn what_cannot_be_understood_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let file = |day| folder.join(format!("partial/202601{day:02}.json"));
        fs::create_dir(folder.join("partial")).expect("a folder");
        for day in [10, 11] {
            fs::write(file(day), "half a fi").expect("a file");
        }
        let error = Journal::open(folder, SERVICE, date(10)).expect_err("damaged");
        assert!(error.to_string().contains("20260110.json: is not a day"));
        // A daemon that runs already goes on without it, until it is moved away.
        let mut journal = Journal::open(folder, SERVICE, date(9)).expect("another day");
        journal.turn(date(11));
        journal.count(&queries(5), &source(1));
        assert_eq!(journal.write().len(), 1);
        journal.turn(date(12));
        journal.count(&queries(6), &source(1));
        assert_eq!(journal.write().len(), 1);
        assert_eq!(fs::read_to_string(file(11)).expect("text"), "half a fi");
        fs::remove_file(file(11)).expect("moved away");
        written(&mut journal);
        assert_eq!(volume(folder, 11), Some(5));
    }

    #[test]
    fn days_that_ended_while_no_daemon_ran_are_published_at_the_next_start() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let mut journal = Journal::open(folder, SERVICE, date(10)).expect("an empty folder");
        journal.count(&queries(5), &source(1));
        written(&mut journal);
        fs::write(folder.join("partial/20260108.json"), "{}").expect("a file");
        let journal = Journal::open(folder, SERVICE, date(12)).expect("its own folder");
        assert_eq!(journal.catch_up().len(), 1, "the damaged one");
        assert_eq!(volume(folder, 10), Some(5));
        assert_eq!(volume(folder, 12), None);
    }

    #[test]
    fn days_that_cannot_be_written_wait_for_a_week() {
        let folder = tempfile::tempdir().expect("a folder");
        let folder = folder.path();
        let mut journal = Journal::open(folder, SERVICE, date(1)).expect("an empty folder");
        fs::remove_dir_all(folder).expect("gone");
        for day in 2..20 {
            journal.turn(date(day));
            journal.count(&queries(u64::from(day.unsigned_abs())), &source(1));
            assert!(!journal.write().is_empty());
        }
        assert_eq!(journal.days.len(), MAX_WAITING);
        fs::create_dir_all(folder.join("partial")).expect("back");
        written(&mut journal);
        assert_eq!(volume(folder, 18), Some(1));
    }
}
