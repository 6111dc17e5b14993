//! A daemon of our own, which watches interfaces for as long as somebody looks.
//!
//! It is the one of `xdsc run`, on a thread of its own, and serves a port of this
//! machine that nobody else was told of. It writes no files and asks no resolvers.

use std::{
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::{Context as _, anyhow};
use tokio::sync::oneshot;

use crate::{
    cli::TopArgs,
    config::{Config, Dsc, ReverseDns, Rssac002},
    http::Listeners,
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
    end: oneshot::Sender<()>,
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
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new().name("xdsc".to_owned());
        let thread = thread.spawn(move || {
            run::watch(&config, listeners, Variant::Plain, async move {
                // Whether it was told or forgotten makes no difference.
                let _ = ended.await;
            })
        })?;
        Self { url, end, thread }.ready()
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
        // Where it has ended already, there is nobody to tell.
        let _ = self.end.send(());
        joined(self.thread)
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
