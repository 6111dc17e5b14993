//! `xdsc run`: the daemon.

mod enrichment;
mod files;
mod stream;

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use sd_notify::NotifyState;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{info, level_filters::LevelFilter, warn};
use tracing_subscriber::{
    filter::Targets, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

use crate::{
    cli::RunArgs,
    config::{Config, ListenAddress, ListenHost, LogLevel},
    export::{process::ProcessCollector, prometheus, snapshot::Snapshot},
    http::{self, Listeners, Tail, Telemetry, TelemetryError},
    live_view::{Detail, Facts, LiveView, Source},
    source::live::{Beside, Ended, Live, probe::Variant},
};

use enrichment::Enrichment;
use files::{Files, States};

/// How long requests in flight may hold the end up.
const SHUTDOWN: Duration = Duration::from_secs(5);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// Whatever keeps it from starting, with its cure.
pub fn run(args: &RunArgs) -> anyhow::Result<()> {
    let config = configuration(args)?;
    log_to_stderr(config.log.level);
    if config.interfaces.is_empty() {
        anyhow::bail!(
            "no interface to listen on: give `--interface IF`, or `interfaces` in the configuration"
        );
    }
    // Before anything is loaded: a port in use must not cost a moment of traffic.
    let listeners = listeners(args, &config)?;
    let variant = if args.trace_probe {
        Variant::Trace
    } else {
        Variant::Plain
    };
    watch(&config, listeners, variant, signalled())
}

/// Attaches, counts and serves until `end` comes, and sees to the end.
///
/// # Errors
/// Whatever keeps it from starting, with its cure.
pub(crate) fn watch(
    config: &Config,
    listeners: Listeners,
    variant: Variant,
    end: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    // Before anything is loaded, too: files that cannot be written.
    let files = Files::open(config)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the threads of HTTP and reverse DNS")?;
    let enrichment = Enrichment::start(config, runtime.handle())?;
    let beside = Beside {
        tables: enrichment.tables(),
        stream: &enrichment.tail().stream,
    };
    let live = Live::start(config, variant, files.dsc_plan(), &beside)?;
    let daemon = Arc::new(Daemon::new(live, files.states(), enrichment));
    let observed = Arc::clone(&daemon);
    let writing = (files.start(move || observed.live())).context("cannot start a thread")?;
    let looking = LiveView::start(Arc::clone(&daemon) as _, facts(config));
    let looking = looking.context("cannot start the thread of the live view")?;
    let site = Arc::new(Site {
        daemon: Arc::clone(&daemon),
        view: looking.view().clone(),
    });
    let served = runtime.block_on(serve(config, listeners, site, end));
    runtime.shutdown_timeout(SHUTDOWN);
    looking.stop();
    daemon.enrichment.stop();
    let files = writing.stop();
    let ended = daemon.stop()?;
    if let Some(files) = files {
        files.end(ended.as_ref());
    }
    served
}

async fn serve(
    config: &Config,
    listeners: Listeners,
    site: Arc<Site>,
    end: impl Future<Output = ()> + Send + 'static,
) -> anyhow::Result<()> {
    let path = config.web.telemetry_path.parse()?;
    let stream = site.daemon.enrichment.tail().stream.clone();
    let view = site.view.clone();
    let router = http::router(site, &path);
    for address in listeners.local_addresses()? {
        info!("serving http://{address}{}", path.as_str());
    }
    tell_systemd(NotifyState::Ready);
    let shutdown = async move {
        end.await;
        tell_systemd(NotifyState::Stopping);
        // Or they would hold the end up.
        stream.close();
        view.close();
    };
    http::serve(listeners, router, shutdown).await?;
    Ok(())
}

/// For units of `Type=notify`; nobody listens elsewhere.
fn tell_systemd(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        warn!("cannot tell systemd how it goes: {error}");
    }
}

/// Waits for SIGTERM or SIGINT.
async fn signalled() {
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt)] = signals else {
        // Neither can be caught, so either ends the process.
        return std::future::pending().await;
    };
    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM: stopping"),
        _ = interrupt.recv() => info!("SIGINT: stopping"),
    }
}

fn configuration(args: &RunArgs) -> anyhow::Result<Config> {
    let mut config = match &args.config {
        Some(file) => Config::load(file)?,
        None => Config::default(),
    };
    if !args.interfaces.is_empty() {
        config.interfaces.clone_from(&args.interfaces);
    }
    if !args.listen_addresses.is_empty() {
        config
            .web
            .listen_addresses
            .clone_from(&args.listen_addresses);
    }
    if let Some(file) = &args.dsc_conf {
        config.dsc.conf = file.display().to_string();
    }
    if let Some(path) = &args.telemetry_path {
        config.web.telemetry_path.clone_from(path);
    }
    if let Some(level) = args.log_level {
        config.log.level = level;
    }
    Ok(config)
}

fn listeners(args: &RunArgs, config: &Config) -> anyhow::Result<Listeners> {
    if args.systemd_socket {
        return Ok(Listeners::from_systemd()?);
    }
    let addresses = config.web.listen_addresses.iter();
    Ok(Listeners::bind(addresses.map(host_and_port))?)
}

fn host_and_port(address: &ListenAddress) -> (Option<String>, u16) {
    let host = match &address.host {
        ListenHost::Any => None,
        ListenHost::Address(address) => Some(address.to_string()),
        ListenHost::Name(name) => Some(name.clone()),
    };
    (host, address.port)
}

fn log_to_stderr(level: LogLevel) {
    let level = match level {
        LogLevel::Error => LevelFilter::ERROR,
        LogLevel::Warn => LevelFilter::WARN,
        LogLevel::Info => LevelFilter::INFO,
        LogLevel::Debug => LevelFilter::DEBUG,
        LogLevel::Trace => LevelFilter::TRACE,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_target(false);
    // The libraries behind reverse DNS log responses that they do not like, and
    // anyone can send those. They are counted.
    let targets = Targets::new()
        .with_default(level)
        .with_target("hickory_net", LevelFilter::OFF)
        .with_target("hickory_proto", LevelFilter::OFF)
        .with_target("hickory_resolver", LevelFilter::OFF);
    // The journal stamps and colours by itself.
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    if journal {
        let subscriber = subscriber.without_time().with_ansi(false).finish();
        subscriber.with(targets).init();
    } else {
        let ansi = std::io::IsTerminal::is_terminal(&std::io::stderr());
        subscriber.with_ansi(ansi).finish().with(targets).init();
    }
}

fn facts(config: &Config) -> Facts {
    Facts {
        telemetry_path: config.web.telemetry_path.clone(),
        clients: config.privacy.clients,
    }
}

/// What runs.
struct Daemon {
    /// `None` once stopped.
    live: Mutex<Option<Arc<Live>>>,
    started: Instant,
    files: States,
    enrichment: Enrichment,
}

impl Daemon {
    fn new(live: Live, files: States, enrichment: Enrichment) -> Self {
        Self {
            live: Mutex::new(Some(Arc::new(live))),
            started: Instant::now(),
            files,
            enrichment,
        }
    }

    fn live(&self) -> Option<Arc<Live>> {
        let live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
        live.clone()
    }

    /// Detaches, reads the rings to their end, and says what was seen.
    fn stop(&self) -> anyhow::Result<Option<Ended>> {
        let live = {
            let mut live = self.live.lock().unwrap_or_else(PoisonError::into_inner);
            live.take()
        };
        let Some(live) = live else {
            return Ok(None);
        };
        let Ok(live) = Arc::try_unwrap(live) else {
            warn!("a scrape is still under way; the programs go with the process");
            return Ok(None);
        };
        let ended = live.stop()?;
        log_end(&ended.snapshot);
        Ok(Some(ended))
    }
}

/// The account of a hook: `dns` and `segments` are `delivered`, `sampled_out` or
/// `lost`, and what was `produced` for the ring is `consumed`.
fn log_end(snapshot: &Snapshot) {
    use dns_wire::counters::{Delivery, Hook, Outcome};
    for hook in Hook::ALL {
        let counters = &snapshot.hook(*hook).packets;
        let packets: u64 = Outcome::ALL.iter().map(|o| counters.outcomes(*o)).sum();
        let rings = snapshot.live.iter().flat_map(|live| &live.rings);
        let rings = rings.filter(|ring| ring.hook == *hook);
        let (produced, consumed) = rings.fold((0, 0), |(produced, consumed), ring| {
            (produced + ring.lag.produced, consumed + ring.lag.consumed)
        });
        info!(
            hook = hook.label(),
            packets,
            dns = counters.outcomes(Outcome::Dns),
            segments = counters.outcomes(Outcome::Segment),
            rejected = counters.outcomes(Outcome::Rejected),
            delivered = counters.records(Delivery::Delivered),
            sampled_out = counters.records(Delivery::SampledOut),
            lost = counters.records(Delivery::RingFull)
                + counters.records(Delivery::Reentered)
                + counters.records(Delivery::Unreadable),
            produced,
            consumed,
            "seen"
        );
    }
}

impl Source for Daemon {
    fn look(&self, detail: Detail) -> Option<Snapshot> {
        let live = self.live()?;
        let snapshot = match detail {
            Detail::Counters => live.counters(),
            Detail::Datasets => live.snapshot(),
        };
        match snapshot {
            Ok(mut snapshot) => {
                self.enrichment.tell(&mut snapshot);
                Some(snapshot)
            }
            Err(cause) => {
                warn!(%cause, "the page at / and the API have nothing new to show any more");
                None
            }
        }
    }
}

/// What the endpoint serves.
struct Site {
    daemon: Arc<Daemon>,
    view: LiveView,
}

impl Telemetry for Site {
    fn openmetrics(&self) -> Result<String, TelemetryError> {
        let live = (self.daemon.live())
            .ok_or_else(|| TelemetryError::Source("xdsc is stopping".into()))?;
        let mut snapshot = live
            .snapshot()
            .map_err(|error| TelemetryError::Source(Box::new(error)))?;
        snapshot.files = self.daemon.files.get();
        self.daemon.enrichment.tell(&mut snapshot);
        snapshot.viewers = Some(self.view.viewers());
        Ok(prometheus::openmetrics(
            snapshot,
            Some(ProcessCollector::new()),
        )?)
    }

    fn ready(&self) -> Result<(), String> {
        match self.daemon.live() {
            Some(live) => live.check(),
            None => Err("xdsc is stopping".to_owned()),
        }
    }

    fn facts(&self) -> Vec<(String, String)> {
        let mut facts = vec![
            ("Version".to_owned(), env!("CARGO_PKG_VERSION").to_owned()),
            (
                "Uptime".to_owned(),
                format!("{} s", self.daemon.started.elapsed().as_secs()),
            ),
        ];
        if let Some(live) = self.daemon.live() {
            facts.push(("Node".to_owned(), live.node().to_owned()));
            facts.push(("Attached".to_owned(), live.places()));
        }
        facts
    }

    fn tail(&self) -> Option<Tail> {
        Some(self.daemon.enrichment.tail().clone())
    }

    fn view(&self) -> Option<LiveView> {
        Some(self.view.clone())
    }
}
