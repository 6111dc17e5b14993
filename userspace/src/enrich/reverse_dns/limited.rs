//! The way to the resolvers: every message that is sent takes a permit.
//!
//! The limit is a promise about queries on the wire, so it stands at the last
//! place where one message is one message: below whatever makes a lookup into
//! several (other name servers, TCP after a truncated response, aliases,
//! confirmation), and with the repetition of UDP queries switched off.

use std::{
    cell::Cell,
    future::{Future, ready},
    io,
    net::{IpAddr, SocketAddr},
    num::NonZeroU32,
    pin::Pin,
    sync::Arc,
    time::Duration,
};

use governor::{
    DefaultDirectRateLimiter, Quota, RateLimiter,
    clock::{Clock as _, DefaultClock},
};
use hickory_resolver::{
    ConnectionProvider, PoolContext,
    config::{ConnectionConfig, ProtocolConfig},
    net::{
        NetError,
        runtime::TokioRuntimeProvider,
        tcp::TcpClientStream,
        udp::UdpClientStream,
        xfer::{DnsExchange, DnsHandle, DnsResponseStream, FirstAnswer as _},
    },
    proto::op::{DnsRequest, DnsResponse, ResponseCode},
};
use tokio::{task_local, time::Instant};

use super::stats::{Counters, QueryResult};
use crate::config;

task_local! {
    /// Whether the task has a permit already for its next query.
    static HAS_PERMIT: Cell<bool>;
}

/// Lets a task send its first query by a permit that was taken before. Others
/// take theirs when they are sent.
pub(super) async fn with_permit<T>(task: impl Future<Output = T>) -> T {
    HAS_PERMIT.scope(Cell::new(true), task).await
}

/// Hands out permits to send a query.
#[derive(Debug)]
pub(super) struct Limiter {
    permits: DefaultDirectRateLimiter,
    clock: DefaultClock,
}

impl Limiter {
    /// No second, wherever it begins, sees more permits than `per_second + burst`.
    pub(super) fn new(per_second: u32, burst: u32) -> Self {
        let quota = Quota::with_period(Duration::from_nanos(
            1_000_000_000_u64.div_ceil(u64::from(per_second.max(1))),
        ));
        // A busy machine sends late, and then queries catch up with each other:
        // a tenth of the burst is kept back for it.
        let burst = burst.saturating_sub(burst.div_ceil(10)).max(1);
        let one = NonZeroU32::MIN;
        let quota = quota.unwrap_or(Quota::per_second(one));
        Self {
            permits: RateLimiter::direct(quota.allow_burst(NonZeroU32::new(burst).unwrap_or(one))),
            clock: DefaultClock::default(),
        }
    }

    /// Waits for a permit.
    pub(super) async fn permit(&self, counters: &Counters) {
        let start = Instant::now();
        let mut waited = false;
        while let Err(not_until) = self.permits.check() {
            waited = true;
            tokio::time::sleep(not_until.wait_time_from(self.clock.now())).await;
        }
        if waited {
            counters.limited.add(1);
            counters.limited_us.add(start.elapsed().as_micros() as u64);
        }
    }
}

/// Makes connections whose queries take permits.
#[derive(Clone)]
pub(super) struct Limited {
    limiter: Arc<Limiter>,
    counters: Arc<Counters>,
    timeout: Duration,
    max_active: usize,
    runtime: TokioRuntimeProvider,
}

impl Limited {
    pub(super) fn new(settings: &config::ReverseDns, counters: &Arc<Counters>) -> Self {
        Self {
            limiter: Arc::new(Limiter::new(settings.queries_per_second, settings.burst)),
            counters: Arc::clone(counters),
            timeout: settings.timeout,
            max_active: settings.in_flight as usize,
            runtime: TokioRuntimeProvider::new(),
        }
    }

    pub(super) const fn limiter(&self) -> &Arc<Limiter> {
        &self.limiter
    }

    fn connected(&self, exchange: DnsExchange<TokioRuntimeProvider>) -> Connection {
        Connection {
            exchange,
            limiter: Arc::clone(&self.limiter),
            counters: Arc::clone(&self.counters),
        }
    }
}

impl ConnectionProvider for Limited {
    type Conn = Connection;
    type FutureConn = Pin<Box<dyn Future<Output = Result<Connection, NetError>> + Send>>;
    type RuntimeProvider = TokioRuntimeProvider;

    fn new_connection(
        &self,
        ip: IpAddr,
        config: &ConnectionConfig,
        _context: &PoolContext,
    ) -> Result<Self::FutureConn, NetError> {
        let server = SocketAddr::new(ip, config.port);
        match config.protocol {
            ProtocolConfig::Udp => {
                let exchange = UdpClientStream::builder(server, self.runtime.clone())
                    .with_timeout(Some(self.timeout))
                    // One message in all, the first one counted.
                    .with_max_retries(1)
                    .exchange();
                Ok(Box::pin(ready(Ok(self.connected(exchange)))))
            }
            ProtocolConfig::Tcp => {
                let this = self.clone();
                Ok(Box::pin(async move {
                    let (timeout, most) = (this.timeout, Some(this.max_active));
                    let runtime = this.runtime.clone();
                    let exchange = TcpClientStream::exchange(server, None, timeout, most, runtime);
                    Ok(this.connected(exchange.await?))
                }))
            }
        }
    }

    fn runtime_provider(&self) -> &TokioRuntimeProvider {
        &self.runtime
    }
}

/// A connection to a resolver.
#[derive(Clone)]
pub(super) struct Connection {
    exchange: DnsExchange<TokioRuntimeProvider>,
    limiter: Arc<Limiter>,
    counters: Arc<Counters>,
}

impl DnsHandle for Connection {
    type Response = DnsResponseStream;
    type Runtime = TokioRuntimeProvider;

    fn send(&self, request: DnsRequest) -> DnsResponseStream {
        let this = self.clone();
        DnsResponseStream::from(Box::pin(async move {
            let has_permit = HAS_PERMIT.try_with(|it| it.replace(false));
            if !has_permit.unwrap_or(false) {
                this.limiter.permit(&this.counters).await;
            }
            this.counters.queries_sent.add(1);
            let sent = Instant::now();
            let response = this.exchange.send(request).first_answer().await;
            if response.is_ok() {
                this.counters.latency.add(sent.elapsed());
            }
            let result = result_of(&response);
            this.counters.result(result);
            if result == QueryResult::Refused {
                // A resolver that does not serve us: the next one is asked, as if
                // there were nobody.
                return Err(io::Error::from(io::ErrorKind::ConnectionRefused).into());
            }
            response
        }))
    }
}

fn result_of(response: &Result<DnsResponse, NetError>) -> QueryResult {
    match response {
        Ok(response) => {
            let code = response.response_code;
            if response.truncation {
                QueryResult::Truncated
            } else if code == ResponseCode::NXDomain {
                QueryResult::NxDomain
            } else if code == ResponseCode::ServFail {
                QueryResult::ServFail
            } else if code == ResponseCode::Refused {
                QueryResult::Refused
            } else if code != ResponseCode::NoError {
                QueryResult::Error
            } else if response.answers.is_empty() {
                QueryResult::NoData
            } else {
                QueryResult::Answer
            }
        }
        Err(error) if is_timeout(error) => QueryResult::Timeout,
        Err(_) => QueryResult::Error,
    }
}

fn is_timeout(error: &NetError) -> bool {
    if let NetError::Io(error) = error {
        return error.kind() == io::ErrorKind::TimedOut;
    }
    matches!(error, NetError::Timeout)
}
