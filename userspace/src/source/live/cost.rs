//! What the kernel programs cost, by the kernel's own statistics.
//!
//! The kernel measures only while somebody holds a file descriptor for it, and
//! measuring costs some 20 ns per run: so it is on for a tenth of a second in ten
//! seconds, unless the configuration says otherwise.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use aya::sys::{Stats, enable_stats};
use tracing::warn;

use crate::config::RunTimeStats;

const PERIOD: Duration = Duration::from_secs(10);
const MEASURED: Duration = Duration::from_millis(100);

/// Switches the measuring on and off.
#[derive(Debug)]
pub struct CostMeter {
    thread: Option<JoinHandle<()>>,
    stop: Arc<AtomicBool>,
}

impl CostMeter {
    /// Starts to measure.
    ///
    /// # Errors
    /// When the thread cannot be started.
    pub fn start(when: RunTimeStats) -> io::Result<Self> {
        let stop = Arc::new(AtomicBool::new(false));
        let pause = match when {
            RunTimeStats::Off => return Ok(Self { thread: None, stop }),
            RunTimeStats::Sampled => PERIOD - MEASURED,
            RunTimeStats::Always => Duration::ZERO,
        };
        let stopped = Arc::clone(&stop);
        let thread = thread::Builder::new()
            .name("cost".to_owned())
            .spawn(move || measure(pause, &stopped))?;
        Ok(Self {
            thread: Some(thread),
            stop,
        })
    }

    /// Ends the measuring.
    pub fn stop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It has nothing to say but that it ended.
            drop(thread.join());
        }
    }
}

impl Drop for CostMeter {
    fn drop(&mut self) {
        self.stop();
    }
}

fn measure(pause: Duration, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        let measuring = match enable_stats(Stats::RunTime) {
            Ok(measuring) => measuring,
            Err(error) => {
                warn!(%error, "the kernel does not measure the programs, which takes CAP_SYS_ADMIN; their cost is not exported");
                return;
            }
        };
        thread::park_timeout(MEASURED);
        while pause.is_zero() && !stop.load(Ordering::Acquire) {
            thread::park_timeout(PERIOD);
        }
        drop(measuring);
        if !stop.load(Ordering::Acquire) {
            thread::park_timeout(pause);
        }
    }
}
