//! One scrape: encode, translate, compress, all on a blocking thread.
//!
//! Encoding a large registry takes long enough to hold up every other request
//! on an async worker, and several at once cost memory for a body each. So few
//! run at a time and the others wait in line, but no longer than a scraper
//! waits for its answer.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::{Telemetry, TelemetryError};
use crate::export::exposition::{Exposition, to_classic_text};

/// Scrapes that run at once; two redundant Prometheus servers need two.
const CONCURRENT_SCRAPES: usize = 4;

/// Prometheus's default `scrape_timeout`: after that nobody waits for the answer.
const LONGEST_WAIT: Duration = Duration::from_secs(10);

/// Bodies up to about one network packet gain nothing from compression.
pub(super) const COMPRESS_ABOVE: usize = 1024;

/// How the client wants its metrics.
#[derive(Clone, Copy, Debug)]
pub(super) struct Wanted {
    pub(super) exposition: Exposition,
    pub(super) encoding: Encoding,
}

/// A content coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Encoding {
    Identity,
    Gzip,
}

/// A body and the coding that it has in the end.
#[derive(Debug)]
pub(super) struct Scrape {
    pub(super) body: Bytes,
    pub(super) encoding: Encoding,
}

#[derive(Debug, thiserror::Error)]
pub(super) enum ScrapeError {
    #[error(
        "{CONCURRENT_SCRAPES} scrapes are running and none ended within {} s; scrape less often or by fewer servers",
        LONGEST_WAIT.as_secs()
    )]
    Busy,
    #[error(transparent)]
    Telemetry(#[from] TelemetryError),
    #[error("cannot compress the metrics: {0}")]
    Compress(#[from] io::Error),
    #[error("the scrape ended early: {0}; this is a defect of xdsc, see its log")]
    Panicked(#[from] tokio::task::JoinError),
}

/// Runs scrapes, a few at a time.
#[derive(Clone)]
pub(super) struct Scraper {
    telemetry: Arc<dyn Telemetry>,
    slots: Arc<Semaphore>,
}

impl Scraper {
    pub(super) fn new(telemetry: Arc<dyn Telemetry>) -> Self {
        Self {
            telemetry,
            slots: Arc::new(Semaphore::new(CONCURRENT_SCRAPES)),
        }
    }

    pub(super) fn telemetry(&self) -> &dyn Telemetry {
        &*self.telemetry
    }

    pub(super) async fn scrape(&self, wanted: Wanted) -> Result<Scrape, ScrapeError> {
        let slot = self.slot().await?;
        let telemetry = Arc::clone(&self.telemetry);
        spawn_blocking(move || {
            // The slot is the thread's, not the request's: a client that hangs
            // up does not end the work that it started.
            let _slot = slot;
            wanted.prepare(telemetry.openmetrics()?)
        })
        .await?
    }

    async fn slot(&self) -> Result<OwnedSemaphorePermit, ScrapeError> {
        let slot = Arc::clone(&self.slots).acquire_owned();
        match timeout(LONGEST_WAIT, slot).await {
            Ok(Ok(slot)) => Ok(slot),
            // The semaphore is never closed, so this is the wait's end.
            Ok(Err(_)) | Err(_) => Err(ScrapeError::Busy),
        }
    }
}

impl Wanted {
    fn prepare(self, openmetrics: String) -> Result<Scrape, ScrapeError> {
        let text = match self.exposition {
            Exposition::OpenMetrics => openmetrics,
            Exposition::Text => to_classic_text(&openmetrics),
        };
        if self.encoding == Encoding::Gzip && text.len() > COMPRESS_ABOVE {
            let body = gzip(text.as_bytes())?.into();
            return Ok(Scrape {
                body,
                encoding: Encoding::Gzip,
            });
        }
        Ok(Scrape {
            body: text.into(),
            encoding: Encoding::Identity,
        })
    }
}

/// The fastest level already shrinks metrics to a tenth.
pub(super) fn gzip(text: &[u8]) -> io::Result<Vec<u8>> {
    let buffer = Vec::with_capacity(text.len() / 8);
    let mut encoder = GzEncoder::new(buffer, Compression::fast());
    encoder.write_all(text)?;
    encoder.finish()
}

#[cfg(test)]
mod tests {
    use std::sync::{Mutex, mpsc};

    use super::*;

    const PLAIN: Wanted = Wanted {
        exposition: Exposition::OpenMetrics,
        encoding: Encoding::Identity,
    };

    /// Reports each scrape that begins, and ends it when told.
    struct Held {
        begun: mpsc::Sender<()>,
        release: Mutex<mpsc::Receiver<()>>,
    }

    impl Telemetry for Held {
        fn openmetrics(&self) -> Result<String, TelemetryError> {
            self.begun.send(()).expect("the test listens");
            let release = self.release.lock().expect("no scrape panics");
            release.recv().expect("the test releases");
            Ok("# EOF\n".to_owned())
        }

        fn ready(&self) -> Result<(), String> {
            Ok(())
        }

        fn facts(&self) -> Vec<(String, String)> {
            Vec::new()
        }
    }

    #[tokio::test(start_paused = true)]
    async fn the_fifth_scrape_waits_and_gives_up_after_ten_seconds() {
        let (begun, has_begun) = mpsc::channel();
        let (release, released) = mpsc::channel();
        let scraper = Scraper::new(Arc::new(Held {
            begun,
            release: Mutex::new(released),
        }));
        let spawn = || {
            let scraper = scraper.clone();
            tokio::spawn(async move { scraper.scrape(PLAIN).await })
        };

        let running: Vec<_> = (0..4).map(|_| spawn()).collect();
        tokio::task::yield_now().await;
        for _ in &running {
            has_begun.recv().expect("four scrapes begin");
        }
        let fifth = spawn();
        tokio::task::yield_now().await;
        tokio::time::advance(LONGEST_WAIT + Duration::from_secs(1)).await;
        let error = fifth
            .await
            .expect("no panic")
            .expect_err("all slots are taken");
        assert!(matches!(error, ScrapeError::Busy), "{error}");
        assert!(has_begun.try_recv().is_err(), "a fifth scrape began");

        for _ in 0..running.len() + 1 {
            release.send(()).expect("the scrapes listen");
        }
        for scrape in running {
            assert!(scrape.await.expect("no panic").is_ok());
        }
        let sixth = spawn()
            .await
            .expect("no panic")
            .expect("a slot is free again");
        assert_eq!(sixth.body, "# EOF\n");
    }
}
