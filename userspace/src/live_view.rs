//! What is going on right now, for people who look: the page at `/`, `xdsc top`.
//!
//! A thread looks at the daemon once a second. It keeps ten minutes of `history`
//! at all times, which is cheap; reports of the datasets, by which a `window`
//! tells rates, are taken only while somebody looks. `top` makes lists of them,
//! `summary` and `findings` say how things are, `viewers` tells all who watch,
//! each kind of view being written once for all of them. `audience` decides what
//! is shown to whom.
//!
//! Nothing here touches the packets' path: it asks as a scrape does.

mod audience;
mod counted;
mod findings;
mod history;
mod summary;
#[cfg(test)]
mod tests;
mod top;
mod viewers;
mod window;

use std::{
    io,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::sync::watch;

use self::{
    audience::Disclosed,
    counted::Counted,
    findings::{lag_seconds, sampling_interval},
    history::{History, Lately, SAMPLES, Sample, State},
    summary::{Beside, summary},
    top::Exact,
    viewers::Watching,
    window::{Compared, WINDOW_SECONDS, Window},
};
pub use self::{
    audience::{Audience, PUBLIC_PREFIXES},
    top::{By, Rows, Wants},
    viewers::{MAX_VIEWERS, Subscription, TooMany},
};
use crate::{
    config::ClientsShown,
    export::snapshot::Snapshot,
    stats::dataset::Indexer,
    view::{self, Dataset, DatasetInfo, Summary, Top, View, Viewers},
};

/// How often the daemon is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Who has asked for datasets may ask again, so they are kept ready for so long.
const PATIENCE: Duration = Duration::from_secs(30);
/// Who asks for rates waits at most so long for the second report.
const LONGEST_WAIT: Duration = Duration::from_millis(2500);

/// What is looked at.
pub trait Source: Send + Sync + 'static {
    /// Everything as it is now, with datasets or without; none when it ends.
    fn look(&self, detail: Detail) -> Option<Snapshot>;
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// What is cheap.
    Counters,
    /// The datasets, too.
    Datasets,
}

/// What does not change while it runs.
#[derive(Clone, Debug)]
pub struct Facts {
    /// Where the metrics are.
    pub telemetry_path: String,
    /// How clients are shown in datasets.
    pub clients: ClientsShown,
}

/// What somebody wants to see of the datasets, once a second.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// The lists.
    pub top: Vec<Indexer>,
    /// What the messages in them must have.
    pub filter: Option<Wants>,
    /// How long they are.
    pub rows: Rows,
}

/// There is nothing to see: it ends, or has only begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("xdsc has nothing to show at the moment; it starts or stops")]
pub struct Nothing;

/// Why a dataset cannot be shown.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DatasetError {
    /// There is none of that name.
    #[error("there is no dataset of that name")]
    Unknown(String, Vec<String>),
    /// It has no such dimension.
    #[error("the dataset has no dimension of that name")]
    NoDimension(String, Vec<String>),
    /// Nothing at all.
    #[error(transparent)]
    Nothing(#[from] Nothing),
}

/// The view, for whoever asks.
#[derive(Clone, Debug)]
pub struct LiveView(Arc<Shared>);

/// The thread that looks. It ends when told to.
#[derive(Debug)]
pub struct Looking {
    thread: JoinHandle<()>,
    view: LiveView,
}

#[derive(Debug)]
struct Shared {
    facts: Facts,
    started: Instant,
    state: Mutex<Looked>,
    ticks: watch::Sender<u64>,
    watching: Watching,
    stop: AtomicBool,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Looked {
    latest: Option<Arc<Latest>>,
    history: History,
    window: Window,
    /// When somebody asked for datasets last.
    asked: Option<Instant>,
}

/// The newest look.
#[derive(Debug)]
struct Latest {
    at: Instant,
    time: f64,
    /// Without the datasets' tables, which are in the window.
    snapshot: Snapshot,
    counted: Counted,
}

impl LiveView {
    /// Starts to look.
    ///
    /// # Errors
    /// When there is no thread.
    pub fn start(source: Arc<dyn Source>, facts: Facts) -> io::Result<Looking> {
        let view = Self(Arc::new(Shared {
            facts,
            started: Instant::now(),
            state: Mutex::default(),
            ticks: watch::channel(0).0,
            watching: Watching::default(),
            stop: AtomicBool::new(false),
        }));
        let looking = view.clone();
        let thread = thread::Builder::new()
            .name("live-view".to_owned())
            .spawn(move || looking.look_on(&*source))?;
        Ok(Looking { thread, view })
    }

    /// All there is to know at a glance.
    ///
    /// # Errors
    /// Before the first look.
    pub fn summary(&self, audience: Audience) -> Result<Summary, Nothing> {
        let state = self.state();
        let latest = state.latest.as_ref().ok_or(Nothing)?;
        Ok(self.summary_of(latest, &state.history, self.disclosed(audience)))
    }

    /// The last so many seconds, at most ten minutes.
    #[must_use]
    pub fn history(&self, seconds: usize) -> view::History {
        self.state().history.columns(seconds.min(SAMPLES))
    }

    /// The datasets.
    ///
    /// # Errors
    /// Before the first look.
    pub fn datasets(&self) -> Result<Vec<DatasetInfo>, Nothing> {
        let compared = self.compared().ok_or(Nothing)?;
        Ok(compared.tables().map(|grown| top::about(&grown)).collect())
    }

    /// The biggest cells of a dataset.
    ///
    /// # Errors
    /// [`DatasetError`]
    pub fn dataset(
        &self,
        name: &str,
        filters: &[Wants],
        rows: Rows,
        audience: Audience,
    ) -> Result<Dataset, DatasetError> {
        let compared = self.compared().ok_or(Nothing)?;
        let mut tables = compared.tables();
        let found = tables.find(|grown| grown.table.dataset.name == name);
        let Some(grown) = found else {
            let names = compared.tables().map(|grown| top::about(&grown).name);
            return Err(DatasetError::Unknown(name.to_owned(), names.collect()));
        };
        let shown = top::dataset(grown, filters, rows, self.disclosed(audience));
        let shown = shown.map_err(|dimension| {
            let dimensions = top::about(&grown).dimensions.into_iter();
            let names = dimensions.map(|dimension| dimension.label).collect();
            DatasetError::NoDimension(dimension.to_owned(), names)
        })?;
        Ok(Dataset {
            time: self.state().latest.as_ref().ok_or(Nothing)?.time,
            ..shown
        })
    }

    /// What somebody wants to see, now.
    ///
    /// # Errors
    /// Before the first look.
    pub fn view(&self, wanted: &Wanted, audience: Audience) -> Result<View, Nothing> {
        let disclosed = self.disclosed(audience);
        let (latest, lately, compared, summary) = {
            let mut state = self.state();
            state.asked = Some(Instant::now());
            let latest = Arc::clone(state.latest.as_ref().ok_or(Nothing)?);
            (
                Arc::clone(&latest),
                state.history.sum(WINDOW_SECONDS as usize),
                state.window.compared(),
                self.summary_of(&latest, &state.history, disclosed),
            )
        };
        Ok(View {
            summary,
            top: tops(&latest, &lately, compared.as_ref(), wanted, disclosed),
        })
    }

    /// The view, once a second, as an event.
    ///
    /// # Errors
    /// When all places are taken.
    pub fn watch(&self, wanted: Wanted, audience: Audience) -> Result<Subscription, TooMany> {
        self.0.watching.subscribe(self, wanted, audience)
    }

    /// Who watches.
    #[must_use]
    pub fn viewers(&self) -> Viewers {
        self.0.watching.viewers()
    }

    /// Waits until there are rates, where nobody has looked for a while; not long.
    pub async fn rates(&self) {
        let mut ticks = self.0.ticks.subscribe();
        self.state().asked = Some(Instant::now());
        let ready = async {
            while !self.state().window.has_rates() {
                if ticks.changed().await.is_err() {
                    return;
                }
            }
        };
        drop(tokio::time::timeout(LONGEST_WAIT, ready).await);
    }

    /// Ends what watches.
    pub fn close(&self) {
        self.0.stop.store(true, Ordering::Release);
        self.0.watching.close();
    }

    fn look_on(&self, source: &dyn Source) {
        while !self.0.stop.load(Ordering::Acquire) {
            let begun = Instant::now();
            let detail = if self.is_watched() {
                Detail::Datasets
            } else {
                Detail::Counters
            };
            match source.look(detail) {
                Some(snapshot) => self.seen(snapshot),
                None => break,
            }
            self.0.ticks.send_modify(|tick| *tick += 1);
            self.0.watching.tell(self);
            thread::park_timeout(LOOK.saturating_sub(begun.elapsed()));
        }
        self.0.watching.close();
    }

    fn is_watched(&self) -> bool {
        let asked = self.state().asked;
        !self.0.watching.is_empty() || asked.is_some_and(|asked| asked.elapsed() < PATIENCE)
    }

    /// Takes a look into the books.
    fn seen(&self, mut snapshot: Snapshot) {
        let counted = Counted::of(&snapshot);
        let at = Instant::now();
        let statistics = snapshot.statistics.as_mut();
        let tables = statistics.map(|report| std::mem::take(&mut report.tables));
        let time = unix_time();
        let mut state = self.state();
        if let Some(before) = &state.latest {
            let seconds = at.duration_since(before.at).as_secs_f64();
            let grown = counted.since(&before.counted);
            let now = State {
                sampling_interval: sampling_interval(&snapshot),
                lag_seconds: lag_seconds(&snapshot),
            };
            state
                .history
                .push(Sample::new(time, seconds.max(0.001), &grown, now));
        }
        match tables {
            Some(tables) => {
                let seconds = at.duration_since(self.0.started).as_secs_f64();
                state.window.push(seconds, tables.into());
            }
            None => state.window.clear(),
        }
        state.latest = Some(Arc::new(Latest {
            at,
            time,
            snapshot,
            counted,
        }));
    }

    fn summary_of(&self, latest: &Latest, history: &History, disclosed: Disclosed) -> Summary {
        let beside = Beside {
            time: latest.time,
            uptime_seconds: self.0.started.elapsed().as_secs(),
            telemetry_path: &self.0.facts.telemetry_path,
            viewers: self.viewers(),
            disclosed,
        };
        summary(&latest.snapshot, &latest.counted, history, &beside)
    }

    fn compared(&self) -> Option<Compared> {
        let mut state = self.state();
        state.asked = Some(Instant::now());
        state.window.compared()
    }

    fn disclosed(&self, audience: Audience) -> Disclosed {
        Disclosed::new(audience, self.0.facts.clients)
    }

    fn state(&self) -> MutexGuard<'_, Looked> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Looking {
    /// For whoever asks.
    #[must_use]
    pub const fn view(&self) -> &LiveView {
        &self.view
    }

    /// Ends the thread, and what watches.
    pub fn stop(self) {
        self.view.close();
        self.thread.thread().unpark();
        if self.thread.join().is_err() {
            tracing::error!("the thread of the live view panicked");
        }
    }
}

fn tops(
    latest: &Latest,
    lately: &Lately,
    compared: Option<&Compared>,
    wanted: &Wanted,
    disclosed: Disclosed,
) -> Vec<Top> {
    let exact = Exact {
        qtype: &latest.counted.qtype,
        rcode: &latest.counted.rcode,
        lately,
    };
    let nothing = Compared::default();
    let compared = compared.unwrap_or(&nothing);
    let lists = wanted.top.iter().map(|of| {
        let filter = wanted.filter.as_ref();
        top::top(compared, exact, *of, filter, wanted.rows, disclosed)
    });
    lists.collect()
}

fn unix_time() -> f64 {
    let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
    let seconds = since_epoch.unwrap_or_default().as_secs_f64();
    (seconds * 1000.0).round() / 1000.0
}
