//! Asks the resolvers for names, as many at a time as the configuration allows.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use hickory_resolver::{
    Resolver,
    config::{ConnectionConfig, NameServerConfig, ResolveHosts, ResolverConfig, ResolverOpts},
    lookup::Lookup,
    net::{DnsError, NetError},
    proto::{
        op::ResponseCode,
        rr::{Name, RData, RecordType},
    },
};
use tokio::{sync::mpsc, task::JoinSet};

use super::{
    limited::{Limited, Limiter, with_permit},
    names::Known,
    requests::{Ended, Requests},
    shared_cache::Write,
    stats::Counters,
};
use crate::{config, names::text::push_text};

/// The longest name as text (RFC 1035, section 2.3.4, without the root's dot).
/// Escapes could make it longer: no honest name has so many.
pub(super) const MAX_TEXT: usize = 253;
/// The resolver's own deadline for all servers of a lookup, which is not ours:
/// it does not know that queries wait for permits.
const NO_DEADLINE: Duration = Duration::from_secs(86_400);

/// What asks.
#[derive(Clone)]
pub(super) struct Asker {
    resolver: Resolver<Limited>,
    limiter: Arc<Limiter>,
    counters: Arc<Counters>,
    confirm: bool,
}

impl Asker {
    /// # Errors
    /// What the resolver complains of.
    pub(super) fn new(
        settings: &config::ReverseDns,
        servers: &[SocketAddr],
        counters: &Arc<Counters>,
    ) -> Result<Self, NetError> {
        let servers = servers.iter().map(|server| name_server(*server)).collect();
        let config = ResolverConfig::from_name_servers(servers);
        let limited = Limited::new(settings, counters);
        let limiter = Arc::clone(limited.limiter());
        let mut builder = Resolver::builder_with_config(config, limited);
        *builder.options_mut() = options(settings);
        Ok(Self {
            resolver: builder.build()?,
            limiter,
            counters: Arc::clone(counters),
            confirm: settings.confirm,
        })
    }

    /// Asks for the name of an address.
    async fn ask(&self, address: IpAddr) -> Ended {
        let lookup = match self.resolver.reverse_lookup(Name::from(address)).await {
            Ok(lookup) => lookup,
            Err(error) => return without_records(&error),
        };
        let ttl = ttl(&lookup);
        let Some((name, text)) = self.first_name(&lookup) else {
            return Ended::Found(Known::NoName, ttl);
        };
        if !self.confirm {
            return Ended::Found(Known::Name(text.into()), ttl);
        }
        match self.leads_back(name, address).await {
            Ok(Some(other)) => Ended::Found(Known::Name(text.into()), ttl.min(other)),
            Ok(None) => {
                self.counters.unconfirmed.add(1);
                Ended::Found(Known::NoName, ttl)
            }
            Err(error) => match without_records(&error) {
                Ended::Found(..) => {
                    self.counters.unconfirmed.add(1);
                    Ended::Found(Known::NoName, ttl)
                }
                failed @ (Ended::ServFail | Ended::Failed) => failed,
            },
        }
    }

    /// Of several names the first one by its text, so that it is always the same.
    fn first_name(&self, lookup: &Lookup) -> Option<(Name, String)> {
        let mut first: Option<(Name, String)> = None;
        let mut usable = 0_u64;
        for record in lookup.answers() {
            let RData::PTR(name) = &record.data else {
                continue;
            };
            let Some(text) = text_of(name) else {
                self.counters.unusable_names.add(1);
                continue;
            };
            usable += 1;
            if first.as_ref().is_none_or(|(_, other)| text < *other) {
                first = Some((name.0.clone(), text));
            }
        }
        self.counters.surplus_names.add(usable.saturating_sub(1));
        first
    }

    /// Whether a name's own addresses have this one among them, and for how long.
    async fn leads_back(
        &self,
        mut name: Name,
        address: IpAddr,
    ) -> Result<Option<Duration>, NetError> {
        let record_type = match address {
            IpAddr::V4(_) => RecordType::A,
            IpAddr::V6(_) => RecordType::AAAA,
        };
        name.set_fqdn(true);
        let lookup = self.resolver.lookup(name, record_type).await?;
        let leads_back = lookup.answers().iter().any(|record| {
            let to = record.data.ip_addr();
            to.is_some_and(|to| to == address)
        });
        Ok(leads_back.then(|| ttl(&lookup)))
    }
}

/// Asks for what waits, one task for each address, until it is aborted. Names
/// that were found are offered to the shared cache.
pub(super) async fn ask_all(
    requests: Arc<Requests>,
    asker: Asker,
    in_flight: usize,
    writes: Option<mpsc::Sender<Write>>,
) {
    // Aborted with this task.
    let mut tasks = JoinSet::new();
    loop {
        while tasks.len() >= in_flight {
            tasks.join_next().await;
        }
        // Permits first, so that what waits for one waits in the queue, and the
        // breaker stops it there.
        requests.something_to_ask().await;
        asker.limiter.permit(&asker.counters).await;
        let Some(ticket) = requests.next_to_ask() else {
            continue;
        };
        let (asker, writes) = (asker.clone(), writes.clone());
        let lifetimes = requests.lifetimes;
        let counters = Arc::clone(&requests.counters);
        tasks.spawn(async move {
            let address = ticket.address();
            let ended = with_permit(asker.ask(address)).await;
            ticket.settle(&ended);
            if let (Some(writes), Ended::Found(known, ttl)) = (writes, ended) {
                let ttl = lifetimes.clamp(&known, ttl);
                let write = Write::new(address, known, ttl);
                if writes.try_send(write).is_err() {
                    counters.shared_unwritten.add(1);
                }
            }
        });
        while tasks.try_join_next().is_some() {}
    }
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let mut udp = ConnectionConfig::udp();
    udp.port = server.port();
    let mut tcp = ConnectionConfig::tcp();
    tcp.port = server.port();
    let mut config = NameServerConfig::udp_and_tcp(server.ip());
    config.connections = vec![udp, tcp];
    config
}

fn options(settings: &config::ReverseDns) -> ResolverOpts {
    let mut options = ResolverOpts::default();
    options.timeout = NO_DEADLINE;
    options.attempts = 0;
    options.num_concurrent_reqs = 1;
    options.cache_size = 0;
    options.use_hosts_file = ResolveHosts::Never;
    options.edns0 = true;
    options.max_active_requests = settings.in_flight as usize;
    // TTLs are clamped where names are kept.
    options.positive_max_ttl = Some(NO_DEADLINE * 7);
    options
}

/// What is meant where there are no records.
fn without_records(error: &NetError) -> Ended {
    if let NetError::Dns(DnsError::NoRecordsFound(none)) = error
        && (none.response_code == ResponseCode::NXDomain
            || none.response_code == ResponseCode::NoError)
    {
        // RFC 2308, section 5: no SOA, nothing to be kept by its own right.
        let ttl = none.negative_ttl.unwrap_or(0);
        return Ended::Found(Known::NoName, Duration::from_secs(ttl.into()));
    }
    if let NetError::Dns(DnsError::ResponseCode(ResponseCode::ServFail)) = error {
        return Ended::ServFail;
    }
    Ended::Failed
}

fn ttl(lookup: &Lookup) -> Duration {
    let ttls = lookup.answers().iter().map(|record| record.ttl);
    Duration::from_secs(ttls.min().unwrap_or(0).into())
}

/// A name as text, unless it is too long for one, or the root, which is no name.
fn text_of(name: &Name) -> Option<String> {
    let mut wire = Vec::with_capacity(256);
    for label in name.iter() {
        wire.push(label.len() as u8);
        wire.extend(label);
    }
    let mut text = String::new();
    push_text(&wire, &mut text);
    (text.len() <= MAX_TEXT && text != ".").then_some(text)
}
