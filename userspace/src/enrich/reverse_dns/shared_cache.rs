//! The cache that a fleet shares, over the protocol of Redis.
//!
//! It spares resolvers what another node has asked already, and is never needed:
//! what it does not tell within a moment is asked for elsewhere. Its keys are
//! `xdsc:ptr:ADDRESS`, its values names as text, or nothing for those without
//! one, each with its own time to live.

use std::{
    fmt,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use redis::{
    Client, Pipeline, RedisError,
    aio::{ConnectionManager, ConnectionManagerConfig},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    asking::MAX_TEXT,
    breaker::{Admission, Breaker, BreakerState, Rules},
    names::Known,
    requests::{Requests, Waiting},
    stats::{Counters, SharedResult},
};

/// How long it may take to connect, and to answer.
const PATIENCE: Duration = Duration::from_millis(200);
/// Addresses that are looked for at a time.
const BATCH: usize = 64;
/// When it is left alone.
const BREAKER: Rules = Rules {
    failures: 3,
    open_min: Duration::from_secs(1),
    open_max: Duration::from_secs(30),
};

/// A name to be written.
#[derive(Clone, Debug)]
pub(super) struct Write {
    address: IpAddr,
    name: Option<Arc<str>>,
    ttl: Duration,
}

impl Write {
    pub(super) fn new(address: IpAddr, known: Known, ttl: Duration) -> Self {
        let name = match known {
            Known::Name(name) => Some(name),
            Known::NoName | Known::Failed => None,
        };
        Self { address, name, ttl }
    }
}

/// The connection, and whether it is worth a try.
#[derive(Clone)]
pub(super) struct SharedCache {
    connection: ConnectionManager,
    breaker: Arc<Mutex<Breaker>>,
}

impl fmt::Debug for SharedCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedCache").finish_non_exhaustive()
    }
}

impl SharedCache {
    /// Does not connect yet. To be called within a runtime.
    ///
    /// # Errors
    /// When the URL is none.
    pub(super) fn new(url: &str) -> Result<Self, RedisError> {
        let config = ConnectionManagerConfig::new()
            .set_connection_timeout(Some(PATIENCE))
            .set_response_timeout(Some(PATIENCE))
            .set_number_of_retries(0);
        let connection = ConnectionManager::new_lazy_with_config(Client::open(url)?, config)?;
        Ok(Self {
            connection,
            breaker: Arc::new(Mutex::new(Breaker::new(BREAKER))),
        })
    }

    pub(super) fn state(&self) -> BreakerState {
        self.breaker().state(Instant::now())
    }

    /// Looks addresses up before the resolvers are asked, until it is aborted.
    pub(super) async fn find_all(self, requests: Arc<Requests>) {
        loop {
            let batch = requests.next_to_find(BATCH).await;
            let found = self.find(&batch, &requests.counters).await;
            for (at, waiting) in batch.into_iter().enumerate() {
                match found.get(at).cloned().flatten() {
                    Some((known, ttl)) => requests.learn(waiting.address, known, ttl),
                    None => requests.not_found(waiting),
                }
            }
        }
    }

    /// Writes what was found, until nobody finds anything any more.
    pub(super) async fn write_all(
        self,
        counters: Arc<Counters>,
        mut writes: mpsc::Receiver<Write>,
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        while writes.recv_many(&mut batch, BATCH).await > 0 {
            let mut pipe = redis::pipe();
            for write in batch.drain(..) {
                let ttl = (write.ttl.as_millis() as u64).max(1);
                let set = pipe.cmd("SET").arg(key(write.address));
                set.arg(write.name.as_deref().unwrap_or_default());
                set.arg("PX").arg(ttl).ignore();
            }
            let count = pipe.len() as u64;
            match self.query::<()>(&pipe).await {
                Some(Ok(())) => counters.shared_written.add(count),
                Some(Err(_)) | None => counters.shared_unwritten.add(count),
            }
        }
    }

    async fn find(&self, batch: &[Waiting], counters: &Counters) -> Vec<Option<(Known, Duration)>> {
        let mut pipe = redis::pipe();
        for waiting in batch {
            let key = key(waiting.address);
            pipe.cmd("GET").arg(&key).cmd("PTTL").arg(&key);
        }
        let answers = match self.query::<Vec<redis::Value>>(&pipe).await {
            Some(Ok(answers)) => answers,
            Some(Err(_)) => {
                counters.read(SharedResult::Error, batch.len() as u64);
                return Vec::new();
            }
            None => {
                counters.read(SharedResult::Skipped, batch.len() as u64);
                return Vec::new();
            }
        };
        let found = answers.chunks(2).map(|answer| read(answer, counters));
        found.collect()
    }

    /// `None`: it is left alone.
    async fn query<T: redis::FromRedisValue>(&self, pipe: &Pipeline) -> Option<Result<T, ()>> {
        if self.breaker().admit(Instant::now()) != Admission::Go {
            return None;
        }
        let mut connection = self.connection.clone();
        // Connecting and asking have bounds of their own; this one is for both.
        let result = timeout(2 * PATIENCE, pipe.query_async(&mut connection)).await;
        let result = match result {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(_)) | Err(_) => Err(()),
        };
        match result {
            Ok(_) => self.breaker().succeeded(),
            Err(()) => self.breaker().failed(Instant::now()),
        }
        Some(result)
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(address: IpAddr) -> String {
    format!("xdsc:ptr:{address}")
}

/// A value and its time to live in milliseconds, which others may have written.
fn read(answer: &[redis::Value], counters: &Counters) -> Option<(Known, Duration)> {
    let [value, ttl] = answer else {
        counters.read(SharedResult::Error, 1);
        return None;
    };
    let redis::Value::BulkString(text) = value else {
        let is_miss = *value == redis::Value::Nil;
        let result = if is_miss {
            SharedResult::Miss
        } else {
            SharedResult::Error
        };
        counters.read(result, 1);
        return None;
    };
    let ttl = if let redis::Value::Int(ttl) = ttl {
        u64::try_from(*ttl).ok().map(Duration::from_millis)
    } else {
        None
    };
    // Gone in between, or without an end: not ours.
    let (Some(known), Some(ttl)) = (known(text), ttl) else {
        counters.read(SharedResult::Error, 1);
        return None;
    };
    counters.read(SharedResult::Hit, 1);
    Some((known, ttl))
}

/// What a text that somebody kept for us says, if it can be a name.
pub(super) fn known(text: &[u8]) -> Option<Known> {
    if text.is_empty() {
        return Some(Known::NoName);
    }
    let is_name = text.len() <= MAX_TEXT && text.iter().all(u8::is_ascii_graphic);
    let text = std::str::from_utf8(text).ok().filter(|_| is_name)?;
    Some(Known::Name(text.into()))
}

#[cfg(test)]
mod tests {
    use redis::Value;

    use super::*;

    #[test]
    fn values_of_others_are_read_with_care() {
        let text = |text: &[u8]| Value::BulkString(text.to_vec());
        let name = |text: &str| Some((Known::Name(text.into()), Duration::from_secs(5)));
        let long = [b'a'; 254];
        let cases = [
            (
                text(b"a.example"),
                Value::Int(5000),
                name("a.example"),
                SharedResult::Hit,
            ),
            (
                text(b""),
                Value::Int(5000),
                Some((Known::NoName, Duration::from_secs(5))),
                SharedResult::Hit,
            ),
            (Value::Nil, Value::Int(-2), None, SharedResult::Miss),
            (
                text(b"a.example"),
                Value::Int(-1),
                None,
                SharedResult::Error,
            ),
            (
                text(b"a example"),
                Value::Int(5000),
                None,
                SharedResult::Error,
            ),
            (text(b"a\xff"), Value::Int(5000), None, SharedResult::Error),
            (text(b"a\n"), Value::Int(5000), None, SharedResult::Error),
            (text(&long), Value::Int(5000), None, SharedResult::Error),
            (Value::Okay, Value::Int(5000), None, SharedResult::Error),
            (text(b"a.example"), Value::Okay, None, SharedResult::Error),
        ];
        for (value, ttl, expected, result) in cases {
            let counters = Counters::default();
            let told = format!("{value:?} {ttl:?}");
            assert_eq!(read(&[value, ttl], &counters), expected, "{told}");
            assert_eq!(counters.shared().reads[result as usize], 1, "{told}");
        }
    }
}
