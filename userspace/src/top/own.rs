//! A daemon of our own, which watches interfaces for as long as somebody looks.
//!
//! It is the one of `xdsc run`, on a thread of its own, and serves a port of this
//! machine that nobody else was told of. It writes no files and asks no resolvers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use tokio::sync::Notify;

use crate::{
    cli::TopArgs,
    config::{Config, Dsc, ReverseDns, Rssac002},
    http::Listeners,
    interrupt,
    remote::Remote,
    run,
    source::live::probe::Variant,
};

/// How long it takes to answer at most, once it answers at all.
const ANSWER: Duration = Duration::from_secs(10);
/// From one look whether it is there to the next.
const PAUSE: Duration = Duration::from_millis(20);

/// The daemon.
#[derive(Debug)]
pub(super) struct Own {
    url: String,
    end: Arc<Notify>,
    is_interrupted: Arc<AtomicBool>,
    thread: JoinHandle<anyhow::Result<()>>,
}

impl Own {
    /// Attaches, and waits until that is done.
    ///
    /// # Errors
    /// What keeps it from starting, with its cure.
    pub(super) fn start(args: &TopArgs) -> anyhow::Result<Self> {
        let config = configuration(args)?;
        let listeners = Listeners::bind([(Some("127.0.0.1"), 0)])?;
        let addresses = listeners.local_addresses()?;
        let address = addresses.first().context("no address to serve")?;
        let url = format!("http://{address}");
        let end = Arc::new(Notify::new());
        let ended = Arc::clone(&end);
        let thread = thread::Builder::new().name("xdsc".to_owned());
        let thread = thread.spawn(move || {
            let ended = async move { ended.notified().await };
            run::watch(&config, listeners, Variant::Plain, ended)
        })?;
        let own = Self {
            url,
            end,
            is_interrupted: Arc::default(),
            thread,
        };
        own.end_at_signals()?;
        own.ready()
    }

    /// Whether a signal has ended it.
    pub(super) fn is_interrupted(&self) -> bool {
        self.is_interrupted.load(Ordering::Relaxed)
    }

    /// Where it answers.
    pub(super) fn url(&self) -> &str {
        &self.url
    }

    /// Detaches.
    ///
    /// # Errors
    /// When it did not end well.
    pub(super) fn stop(self) -> anyhow::Result<()> {
        self.end.notify_one();
        joined(self.thread)
    }

    /// Not every kernel detaches what a process leaves behind.
    fn end_at_signals(&self) -> std::io::Result<()> {
        let (end, is_interrupted) = (Arc::clone(&self.end), Arc::clone(&self.is_interrupted));
        interrupt::at_end(move || {
            is_interrupted.store(true, Ordering::Relaxed);
            end.notify_one();
        })
    }

    fn ready(self) -> anyhow::Result<Self> {
        let remote = Remote::new(&self.url, ANSWER)?;
        while let Err(error) = remote.get("/-/ready", "readiness") {
            if self.thread.is_finished() {
                joined(self.thread)?;
                return Err(error.into());
            }
            thread::sleep(PAUSE);
        }
        Ok(self)
    }
}

fn joined(thread: JoinHandle<anyhow::Result<()>>) -> anyhow::Result<()> {
    let ended = thread.join();
    ended.unwrap_or_else(|_| Err(anyhow!("xdsc has panicked, which is a defect")))
}

fn configuration(args: &TopArgs) -> anyhow::Result<Config> {
    let config = match &args.config {
        Some(file) => Config::load(file)?,
        None => Config::default(),
    };
    Ok(Config {
        interfaces: args.interfaces.clone(),
        // These are the running daemon's.
        reverse_dns: ReverseDns::default(),
        rssac002: Rssac002::default(),
        dsc: Dsc::default(),
        ..config
    })
}
