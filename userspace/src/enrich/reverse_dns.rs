//! Names of addresses, from the reverse zones.
//!
//! [`ReverseDns::lookup`] tells what is known at once and never waits. What is not
//! known goes into a queue, from which tasks ask the shared cache (`shared_cache`)
//! and then the resolvers (`asking`): at a rate that `limited` keeps for each
//! message on the wire, and not at all while `breaker` is open. `requests` is the
//! place where both sides meet, `names` the cache in memory, `cache_file` its copy
//! for the next start, `scope` and `resolvers` say who is asked about whom.

mod asking;
mod breaker;
mod cache_file;
mod limited;
mod names;
mod requests;
mod resolvers;
mod scope;
mod shared_cache;
mod stats;
#[cfg(test)]
mod tests;

use std::{
    io,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use hickory_resolver::net::NetError;
use tokio::{
    runtime::Handle,
    sync::mpsc,
    task::{AbortHandle, spawn_blocking},
};
use tracing::warn;

pub use breaker::BreakerState;
pub use resolvers::Watched;
pub use stats::{
    BOUNDS_S, FileStats, Histogram, QueryResult, Request, ReverseDnsStats, SharedResult,
    SharedStats,
};

use crate::config;
use asking::{Asker, ask_all};
use requests::Requests;
use shared_cache::SharedCache;

/// How often the file is written.
const SAVE_INTERVAL: Duration = Duration::from_secs(300);
/// Names that wait to be written into the shared cache.
const WRITES: usize = 1024;

/// What a lookup tells.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The address's name in its presentation form (RFC 1035, section 5.1): graphic
    /// ASCII, at most 253 octets, no dot at the end.
    Name(Arc<str>),
    /// It has none.
    NoName,
    /// It is being asked for: the next lookup may tell.
    Pending,
    /// It is of a network that is never asked for.
    Never,
    /// It is not asked for now: the queue is full, resolvers fail, or this address
    /// failed of late.
    Refused,
}

/// Why reverse DNS does not start.
#[derive(Debug, thiserror::Error)]
pub enum ReverseDnsError {
    /// The configuration names the watched server as a resolver.
    #[error(
        "`reverse_dns.resolvers`: {0} is the server that xdsc watches, whose statistics would \
         count xdsc's own queries: name another one, or set `reverse_dns.enabled = false`"
    )]
    Watched(SocketAddr),
    /// The system names no resolver that can be asked.
    #[error(
        "no resolver in /etc/resolv.conf ({reason}): name one in `reverse_dns.resolvers`, or set \
         `reverse_dns.enabled = false`"
    )]
    NoResolver {
        /// What is wrong.
        reason: String,
    },
    /// The resolver cannot be set up.
    #[error("cannot ask resolvers: {0}")]
    Resolver(#[from] NetError),
    /// The shared cache is not named by a URL.
    #[error(
        "`reverse_dns.redis`: {0}: write a URL such as `redis://192.0.2.1/0`, or nothing for none"
    )]
    SharedCache(redis::RedisError),
    /// The cache file is of no use.
    #[error(
        "`reverse_dns.cache_file`: cannot use {}: {error}: remove it, or name another one in a \
         folder that xdsc may write into", path.display()
    )]
    CacheFile {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
}

/// The service. Copies are the same one; it ends with the last of them.
#[derive(Clone, Debug)]
pub struct ReverseDns(Arc<Service>);

#[derive(Debug)]
struct Service {
    requests: Arc<Requests>,
    shared: Option<SharedCache>,
    file: Option<PathBuf>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl ReverseDns {
    /// Starts the tasks that ask, and reads the cache file. Whether the
    /// configuration enables reverse DNS is the caller's concern.
    ///
    /// # Errors
    /// What the operator must change first.
    pub fn start(
        settings: &config::ReverseDns,
        watched: &Watched,
        runtime: &Handle,
    ) -> Result<Self, ReverseDnsError> {
        let servers = resolvers::resolvers(&settings.resolvers, watched)?;
        // What follows spawns tasks by itself.
        let _entered = runtime.enter();
        let requests = Arc::new(Requests::new(settings));
        let asker = Asker::new(settings, &servers, &requests.counters)?;
        let shared = match settings.redis.as_str() {
            "" => None,
            url => Some(SharedCache::new(url).map_err(ReverseDnsError::SharedCache)?),
        };
        let file = match settings.cache_file.as_str() {
            "" => None,
            path => Some(PathBuf::from(path)),
        };
        if let Some(path) = &file {
            let loaded = cache_file::load(path, SystemTime::now(), &requests);
            loaded.map_err(|error| ReverseDnsError::CacheFile {
                path: path.clone(),
                error,
            })?;
        }
        let service = Self(Arc::new(Service {
            requests,
            shared,
            file,
            tasks: Mutex::default(),
        }));
        service.spawn(asker, settings.in_flight as usize, runtime);
        Ok(service)
    }

    /// What is known of an address. Never waits: what is not known is put into
    /// the queue.
    #[must_use]
    pub fn lookup(&self, address: IpAddr) -> Answer {
        self.0.requests.lookup(address)
    }

    /// What was done so far, and how it stands.
    #[must_use]
    pub fn stats(&self) -> ReverseDnsStats {
        let Service {
            requests,
            shared,
            file,
            tasks: _,
        } = &*self.0;
        ReverseDnsStats {
            shared: shared.as_ref().map(|shared| SharedStats {
                breaker: shared.state(),
                ..requests.counters.shared()
            }),
            file: file.as_ref().map(|_| requests.counters.file()),
            ..requests.stats()
        }
    }

    /// Asks no more, and writes the cache file. What is known is still told.
    pub fn stop(&self) {
        self.0.abort();
        if let Some(path) = &self.0.file {
            save(path, &self.0.requests);
        }
    }

    fn spawn(&self, asker: Asker, in_flight: usize, runtime: &Handle) {
        let requests = &self.0.requests;
        let mut tasks = Vec::new();
        let writes = self.0.shared.clone().map(|shared| {
            let (sender, receiver) = mpsc::channel(WRITES);
            let counters = Arc::clone(&requests.counters);
            let finding = shared.clone().find_all(Arc::clone(requests));
            let writing = shared.write_all(counters, receiver);
            tasks.push(runtime.spawn(finding).abort_handle());
            tasks.push(runtime.spawn(writing).abort_handle());
            sender
        });
        let asking = ask_all(Arc::clone(requests), asker, in_flight, writes);
        tasks.push(runtime.spawn(asking).abort_handle());
        if let Some(path) = self.0.file.clone() {
            let saving = save_often(path, Arc::clone(requests));
            tasks.push(runtime.spawn(saving).abort_handle());
        }
        *self.0.tasks() = tasks;
    }
}

impl Service {
    fn abort(&self) {
        self.tasks().drain(..).for_each(|task| task.abort());
    }

    fn tasks(&self) -> std::sync::MutexGuard<'_, Vec<AbortHandle>> {
        self.tasks.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.abort();
    }
}

async fn save_often(path: PathBuf, requests: Arc<Requests>) {
    let path = Arc::new(path);
    loop {
        tokio::time::sleep(SAVE_INTERVAL).await;
        let (path, requests) = (Arc::clone(&path), Arc::clone(&requests));
        // An error here is a panic, which has been told.
        let _saved = spawn_blocking(move || save(&path, &requests)).await;
    }
}

fn save(path: &Path, requests: &Requests) {
    if let Err(error) = cache_file::save(path, SystemTime::now(), requests) {
        requests.counters.file_errors.add(1);
        warn!(
            "cannot write `reverse_dns.cache_file` {}: {error}",
            path.display()
        );
    }
}
