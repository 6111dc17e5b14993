//! The events of a running xdsc, and the history before them.
//!
//! [`Stream`] is one connection. [`Feed`] keeps one open from a thread of its own
//! and connects again where it broke, or where something else is asked for.

use std::{
    io::{BufRead as _, BufReader, Read, Take},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, SyncSender},
    },
    thread,
    time::Duration,
};

use serde::de::DeserializeOwned;
use ureq::BodyReader;

use super::app::PANES;
use crate::{
    cli::{TopArgs, TopSort},
    remote::{Remote, RemoteError},
    view::{History, View},
};

const EVENTS: &str = "/api/v1/events";
const HISTORY: &str = "/api/v1/history";
/// What both are called where they do not exist.
const WHAT: &str = "a live view";
/// Lists of the longest names come to less: who sends more is none of ours.
const LONGEST: u64 = 4 << 20;
/// Rows of each list: as many as the API gives.
const ROWS: u8 = 50;
/// From one attempt to be connected to the next.
const PAUSE: Duration = Duration::from_secs(1);
/// News that wait for the screen: it takes them ten times a second.
const WAITING: usize = 16;

/// What is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Request {
    /// Only what has this value: an indexer's name, a colon, the value.
    pub(super) filter: Option<String>,
    /// What comes first.
    pub(super) sort: TopSort,
}

impl Request {
    pub(super) fn new(args: &TopArgs) -> Self {
        Self {
            filter: args.filter.clone(),
            sort: args.sort,
        }
    }

    pub(super) fn path(&self) -> String {
        let lists: Vec<_> = PANES.iter().map(|pane| pane.of).collect();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("top", &lists.join(","));
        query.append_pair("limit", &ROWS.to_string());
        query.append_pair(
            "by",
            match self.sort {
                TopSort::Rate | TopSort::Name => "rate",
                TopSort::Total => "total",
            },
        );
        if let Some(filter) = &self.filter {
            query.append_pair("filter", filter);
        }
        format!("{EVENTS}?{}", query.finish())
    }
}

/// Events of one connection, as the JSON that they are.
pub(super) struct Stream {
    lines: BufReader<Take<BodyReader<'static>>>,
}

impl Stream {
    /// Connects.
    pub(super) fn open(remote: &Remote, request: &Request) -> Result<Self, RemoteError> {
        let body = remote.get(&request.path(), WHAT)?.into_body();
        Ok(Self {
            lines: BufReader::new(body.into_reader().take(0)),
        })
    }

    /// The next event; none when there are no more.
    ///
    /// # Errors
    /// When the connection breaks, in words.
    pub(super) fn next(&mut self) -> Result<Option<String>, String> {
        let mut line = String::new();
        loop {
            line.clear();
            self.lines.get_mut().set_limit(LONGEST);
            let read = self.lines.read_line(&mut line);
            let read = read.map_err(|error| format!("the connection broke off: {error}"))?;
            if read == 0 {
                return Ok(None);
            }
            if let Some(data) = line.strip_prefix("data:") {
                return Ok(Some(data.trim().to_owned()));
            }
        }
    }
}

/// What an event says.
pub(super) fn parse<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    serde_json::from_str(json).map_err(|error| {
        format!("what came is no view of xdsc ({error}); see whose address --url is")
    })
}

/// Something new.
#[derive(Debug)]
pub(super) enum News {
    /// What was before.
    History(History),
    /// What is now.
    View(Box<View>),
    /// Why there is nothing.
    Trouble(String),
}

/// News that come by themselves.
#[derive(Debug)]
pub(super) struct Feed {
    news: Receiver<News>,
    request: Arc<Mutex<Request>>,
}

impl Feed {
    /// Follows the first connection, and those after it.
    ///
    /// # Errors
    /// When there is no thread to be had.
    pub(super) fn start(
        remote: Remote,
        request: Request,
        first: Stream,
    ) -> Result<Self, std::io::Error> {
        // A screen that is slow keeps the connection waiting, and not the memory.
        let (sender, news) = mpsc::sync_channel(WAITING);
        let request = Arc::new(Mutex::new(request));
        let wanted = Arc::clone(&request);
        thread::Builder::new()
            .name("feed".to_owned())
            .spawn(move || {
                // It ends when nobody listens any more, which is what was wanted.
                let _ = follow(&remote, &wanted, first, &sender);
            })?;
        Ok(Self { news, request })
    }

    /// What came since the last look.
    pub(super) fn news(&self) -> impl Iterator<Item = News> {
        self.news.try_iter()
    }

    /// Asks for something else, from the next event on.
    pub(super) fn ask(&self, request: Request) {
        *self.request.lock().unwrap_or_else(PoisonError::into_inner) = request;
    }
}

/// Nobody listens any more.
struct Unheard;

/// Why a connection is not followed any longer.
enum Turn {
    /// Something else is asked for.
    Other,
    /// It broke off.
    Broken(String),
}

/// Connection after connection, until nobody listens any more.
fn follow(
    remote: &Remote,
    wanted: &Mutex<Request>,
    first: Stream,
    news: &SyncSender<News>,
) -> Result<(), Unheard> {
    let mut first = Some(first);
    let mut has_history = false;
    loop {
        let request = current(wanted);
        let opened = match first.take() {
            Some(stream) => Ok(stream),
            None => Stream::open(remote, &request),
        };
        let turn = match opened {
            Ok(stream) => {
                if !has_history {
                    tell_history(remote, news)?;
                    has_history = true;
                }
                tell_views(stream, &request, wanted, news)?
            }
            Err(error) => Turn::Broken(error.to_string()),
        };
        if let Turn::Broken(why) = turn {
            has_history = false;
            tell(news, News::Trouble(why))?;
            thread::sleep(PAUSE);
        }
    }
}

fn current(wanted: &Mutex<Request>) -> Request {
    let request = wanted.lock().unwrap_or_else(PoisonError::into_inner);
    request.clone()
}

fn tell(news: &SyncSender<News>, new: News) -> Result<(), Unheard> {
    news.send(new).map_err(|_| Unheard)
}

/// The history is an ornament: without it, it begins now.
fn tell_history(remote: &Remote, news: &SyncSender<News>) -> Result<(), Unheard> {
    let Ok(response) = remote.get(HISTORY, WHAT) else {
        return Ok(());
    };
    let mut text = String::new();
    let mut body = response.into_body().into_reader().take(LONGEST);
    match body.read_to_string(&mut text).map(|_| parse(&text)) {
        Ok(Ok(history)) => tell(news, News::History(history)),
        Ok(Err(_)) | Err(_) => Ok(()),
    }
}

fn tell_views(
    mut stream: Stream,
    request: &Request,
    wanted: &Mutex<Request>,
    news: &SyncSender<News>,
) -> Result<Turn, Unheard> {
    loop {
        let view = match stream.next() {
            Ok(Some(json)) => parse(&json),
            Ok(None) => Err("xdsc has stopped there".to_owned()),
            Err(why) => Err(why),
        };
        // What comes now was asked for before.
        if current(wanted) != *request {
            return Ok(Turn::Other);
        }
        match view {
            Ok(view) => tell(news, News::View(view))?,
            Err(why) => return Ok(Turn::Broken(why)),
        }
    }
}
