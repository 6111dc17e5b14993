//! The thread that writes files while the daemon runs.
//!
//! It looks at the clock every second, and at each beginning of a minute or a
//! day. What was counted since its last look belongs to the day that it was
//! then, so that a clock that is set loses nothing.

use std::{
    io,
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tracing::{error, warn};

use crate::{
    config::Config,
    dsc_files::DscFiles,
    export::{
        dsc,
        snapshot::{FileState, FileStates},
    },
    rssac002::{self, Journal, date_of},
    source::live::{Ended, Live, drain::FilePlan},
};

/// How often the clock is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// How often the day is written.
const WRITE: Duration = Duration::from_secs(60);

/// All files that are written, and how that goes.
#[derive(Debug)]
pub(super) struct Files {
    days: Option<Days>,
    dsc: Option<Dsc>,
    states: Arc<Mutex<FileStates>>,
}

/// Reads how the writing goes.
#[derive(Clone, Debug)]
pub(super) struct States(Arc<Mutex<FileStates>>);

/// The thread.
#[derive(Debug)]
pub(super) struct FileThread {
    thread: JoinHandle<Files>,
    stop: Arc<AtomicBool>,
}

/// DSC's files.
#[derive(Debug)]
struct Dsc {
    files: DscFiles,
    state: FileState,
}

/// The days of RSSAC002.
#[derive(Debug)]
struct Days {
    journal: Journal,
    written: Instant,
    state: FileState,
}

impl Files {
    /// Opens what the configuration asks for.
    ///
    /// # Errors
    /// When a folder cannot be used, or what is in it.
    pub(super) fn open(config: &Config) -> anyhow::Result<Self> {
        let settings = &config.rssac002;
        let mut days = None;
        if !settings.directory.is_empty() {
            let folder = Path::new(&settings.directory);
            days = Some(Days::open(folder, &settings.service)?);
        }
        let files = Self {
            days,
            dsc: DscFiles::open(config, unix_time().as_secs())?.map(|files| Dsc {
                files,
                state: FileState::default(),
            }),
            states: Arc::default(),
        };
        files.tell();
        Ok(files)
    }

    /// What must be counted for DSC's files.
    pub(super) fn dsc_plan(&self) -> Option<&FilePlan> {
        self.dsc.as_ref().map(|dsc| dsc.files.plan())
    }

    /// How the writing goes, from now on.
    pub(super) fn states(&self) -> States {
        States(Arc::clone(&self.states))
    }

    /// Starts the thread; `live` is asked for what was counted.
    ///
    /// # Errors
    /// When there can be no thread.
    pub(super) fn start(
        self,
        live: impl Fn() -> Option<Arc<Live>> + Send + 'static,
    ) -> io::Result<FileThread> {
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("files".to_owned())
            .spawn(move || self.run(&stopping, live))?;
        Ok(FileThread { thread, stop })
    }

    fn run(mut self, stopping: &AtomicBool, live: impl Fn() -> Option<Arc<Live>>) -> Self {
        while !stopping.load(Ordering::Acquire) {
            if let Some(live) = live() {
                self.look(&live);
            }
            thread::park_timeout(until_next_second());
        }
        // A scrape that does not end may keep the last numbers from us.
        if let Some((days, live)) = self.days.as_mut().zip(live()) {
            days.count(&live);
        }
        self
    }

    fn look(&mut self, live: &Live) {
        if let Some(days) = &mut self.days {
            days.look(live);
        }
        if let Some(dsc) = &mut self.dsc {
            dsc.look(live);
        }
        self.tell();
    }

    /// Writes what is left.
    pub(super) fn end(mut self, ended: Option<&Ended>) {
        if let Some(days) = &mut self.days {
            if let Some(ended) = ended {
                let messages = ended.snapshot.messages();
                days.journal.count(&messages, &ended.sources);
            }
            days.write();
        }
        let interval = ended.and_then(|ended| ended.interval.as_ref());
        if let Some((dsc, counts)) = self.dsc.as_mut().zip(interval) {
            let written = dsc.files.end(counts, unix_time().as_secs());
            dsc.account(written);
        }
    }

    fn tell(&self) {
        let mut states = self.states.lock().unwrap_or_else(PoisonError::into_inner);
        states.rssac002 = self.days.as_ref().map(|days| days.state);
        states.dsc = self.dsc.as_ref().map(|dsc| dsc.state);
    }
}

impl States {
    pub(super) fn get(&self) -> FileStates {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FileThread {
    /// Ends the thread; the files, to write what is left. None if it has
    /// panicked.
    pub(super) fn stop(self) -> Option<Files> {
        self.stop.store(true, Ordering::Release);
        self.thread.thread().unpark();
        let files = self.thread.join();
        if files.is_err() {
            error!("the thread that writes files panicked");
        }
        files.ok()
    }
}

impl Days {
    fn open(folder: &Path, service: &str) -> Result<Self, rssac002::Error> {
        let journal = Journal::open(folder, service, date_of(unix_time().as_secs()))?;
        let errors = journal.catch_up();
        let mut days = Self {
            journal,
            written: Instant::now(),
            state: FileState::default(),
        };
        days.account(&errors);
        Ok(days)
    }

    fn look(&mut self, live: &Live) {
        let today = date_of(unix_time().as_secs());
        if today == self.journal.today() && self.written.elapsed() < WRITE {
            return;
        }
        self.count(live);
        self.journal.turn(today);
        self.write();
    }

    fn count(&mut self, live: &Live) {
        match live.messages() {
            Ok(messages) => self.journal.count(&messages.counted, &messages.sources),
            Err(cause) => error!("rssac002: {cause}"),
        }
    }

    fn write(&mut self) {
        self.written = Instant::now();
        let errors = self.journal.write();
        self.account(&errors);
    }

    fn account(&mut self, errors: &[rssac002::Error]) {
        for error in errors {
            error!("rssac002: {error}");
        }
        self.state.errors += errors.len() as u64;
        if errors.is_empty() {
            self.state.written_s = unix_time().as_secs_f64();
        }
    }
}

impl Dsc {
    fn look(&mut self, live: &Live) {
        let now = unix_time().as_secs();
        if !self.files.is_over(now) {
            return;
        }
        match live.interval() {
            Ok(Some(counts)) => {
                let written = self.files.cut(&counts, now);
                self.account(written);
            }
            Ok(None) => {}
            // Everything is in the next interval then.
            Err(cause) => error!("dsc: {cause}"),
        }
    }

    fn account(&mut self, written: Result<u64, dsc::Error>) {
        match written {
            Ok(uncounted) => {
                if uncounted > 0 && self.state.uncounted == 0 {
                    warn!(
                        uncounted,
                        "dsc: more values than `dsc.cells`: some messages are not in the files"
                    );
                }
                self.state.uncounted += uncounted;
                self.state.written_s = unix_time().as_secs_f64();
            }
            Err(error) => {
                error!("dsc: {error}");
                self.state.errors += 1;
            }
        }
    }
}

fn unix_time() -> Duration {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    since_epoch.unwrap_or_default()
}

/// A little more than there is of this second.
fn until_next_second() -> Duration {
    let gone = Duration::from_nanos(unix_time().subsec_nanos().into());
    LOOK.saturating_sub(gone) + Duration::from_millis(1)
}
