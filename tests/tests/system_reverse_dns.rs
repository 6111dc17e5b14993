//! Reverse DNS against a real resolver and a real shared cache: its limit holds in
//! the resolver's own log, its cache does what can be reckoned by hand, and nobody
//! waits for what is down.

use std::{
    net::IpAddr,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use integration_tests::network::{
    Network, SERVER, Side,
    daemon::{Daemon, refusal},
    eventually, in_network,
    process::Process,
    resolver::{NAMED, Unbound, address, name_of},
};
use nix::sys::signal::Signal;
use tokio::runtime::{Builder, Runtime};
use xdsc::{
    config::{Config, ReverseDns as Settings},
    enrich::reverse_dns::{Answer, BreakerState, Request, ReverseDns, Watched},
};

const SECOND: Duration = Duration::from_secs(1);

/// The service, in the clients' namespace.
struct Node {
    service: ReverseDns,
    // Its threads, which are of the namespace that they were started in.
    _runtime: Runtime,
}

impl Node {
    fn start(network: &Network, settings: &Settings) -> Result<Self> {
        network.within(Side::Client, || {
            let runtime = Builder::new_multi_thread()
                .worker_threads(1)
                .enable_all()
                .build()?;
            let watched = Watched::default();
            let service = ReverseDns::start(settings, &watched, runtime.handle())?;
            Ok(Self {
                service,
                _runtime: runtime,
            })
        })
    }

    fn lookup(&self, number: u32) -> Answer {
        self.service.lookup(IpAddr::V4(address(number)))
    }

    /// Until nothing is queued or asked for.
    fn rest(&self) -> Result<()> {
        eventually("an empty queue", || {
            let stats = self.service.stats();
            let left = stats.queue_length + stats.in_flight;
            ensure!(left == 0, "{left} are left");
            Ok(())
        })
    }

    /// Asks for new addresses, from this one on, until one is told its name;
    /// how many it took.
    fn until_a_name(&self, from: u32) -> Result<u32> {
        let mut number = from;
        eventually("a name", || {
            if let Answer::Name(_) = self.lookup(number) {
                return Ok(number + 1 - from);
            }
            if self.lookup(number) == Answer::Refused {
                number += 1;
            }
            ensure!(number < NAMED, "no names are left");
            anyhow::bail!("{:?}", self.service.stats().breaker)
        })
    }

    fn hits_and_misses(&self) -> (u64, u64) {
        let cache = self.service.stats().cache;
        (cache.hits, cache.misses)
    }

    /// Lookups of these addresses: how many find something, how many do not.
    fn pass(&self, numbers: std::ops::Range<u32>) -> (u64, u64) {
        let (hits, misses) = self.hits_and_misses();
        numbers.for_each(|number| drop(self.lookup(number)));
        let now = self.hits_and_misses();
        (now.0 - hits, now.1 - misses)
    }
}

fn settings() -> Result<Settings> {
    Ok(Settings {
        enabled: true,
        resolvers: vec![SERVER[0].to_string()],
        allow: vec!["10.0.0.0/8".parse()?],
        timeout: SECOND / 2,
        queries_per_second: 5000,
        burst: 500,
        in_flight: 64,
        ..Config::default().reverse_dns
    })
}

fn name(number: u32) -> Answer {
    Answer::Name(name_of(number).into())
}

#[test]
fn a_million_clients_do_not_exceed_the_limit() -> Result<()> {
    const RATE: u32 = 100;
    const BURST: u32 = 50;
    const CLIENTS: u32 = 1_000_000;
    in_network(|network| {
        let server = Unbound::start(network)?;
        let node = Node::start(
            network,
            &Settings {
                queries_per_second: RATE,
                burst: BURST,
                ..settings()?
            },
        )?;
        let start = Instant::now();
        let mut lookups = 0_u32;
        while start.elapsed() < 10 * SECOND || lookups < CLIENTS {
            for _ in 0..1000 {
                drop(node.lookup(lookups % CLIENTS));
                lookups += 1;
            }
        }
        let took = start.elapsed().as_secs();
        node.service.stop();
        let seconds = server.queries_by_second()?;
        let most = seconds.values().copied().max().unwrap_or(0);
        ensure!(most <= u64::from(RATE + BURST), "{seconds:?}");
        let all: u64 = seconds.values().sum();
        // It is a limit, no standstill.
        ensure!(all >= u64::from(RATE) * took * 3 / 4, "{all} in {took} s");
        let sent = node.service.stats().queries_sent;
        // At the end, some may have been about to be sent.
        ensure!(
            (all..=all + 64).contains(&sent),
            "{sent} sent, {all} in the log"
        );
        println(&format!(
            "{lookups} lookups of {CLIENTS} clients in {took} s; queries per second in the \
             resolver's log: at most {most} of {}, {all} in all",
            RATE + BURST
        ));
        Ok(())
    })
}

#[test]
fn the_cache_hits_as_reckoned_by_hand() -> Result<()> {
    in_network(|network| {
        let server = Unbound::start(network)?;
        let node = Node::start(
            network,
            &Settings {
                cache: 1024,
                queue: 4096,
                ..settings()?
            },
        )?;
        // Nothing is known; then everything; NXDOMAIN as well as names.
        let absent = NAMED..NAMED + 24;
        ensure!(node.pass(0..1000) == (0, 1000));
        ensure!(node.pass(absent.clone()) == (0, 24));
        node.rest()?;
        ensure!(node.lookup(0) == name(0) && node.lookup(999) == name(999));
        ensure!(node.lookup(NAMED) == Answer::NoName);
        for _ in 0..3 {
            ensure!(node.pass(0..1000) == (1000, 0));
        }
        ensure!(node.pass(absent.clone()) == (24, 0));
        // It is full. 500 more take the room of the 500 that were asked for least
        // recently: 500..1000, after these.
        ensure!(node.pass(0..500) == (500, 0));
        ensure!(node.pass(absent.clone()) == (24, 0));
        ensure!(node.pass(1000..1500) == (0, 500));
        node.rest()?;
        ensure!(node.service.stats().cache.evictions == 500);
        ensure!(node.pass(0..500) == (500, 0));
        ensure!(node.pass(absent) == (24, 0));
        ensure!(node.pass(1000..1500) == (500, 0));
        ensure!(node.pass(500..1000) == (0, 500));
        node.rest()?;
        // One query for each miss, none for a hit.
        let queries: u64 = server.queries_by_second()?.values().sum();
        ensure!(queries == 1000 + 24 + 500 + 500, "{queries}");
        Ok(())
    })
}

#[test]
fn a_resolver_that_is_down_costs_nobody_any_time() -> Result<()> {
    in_network(|network| {
        let mut server = Unbound::start(network)?;
        let node = Node::start(network, &settings()?)?;
        node.pass(0..100);
        node.rest()?;
        let up = lookups_per_second(&node, 1000)?;

        server.suspend()?;
        let down = lookups_per_second(&node, 3000)?;
        breaker_opens(&node, 5000)?;
        let open = lookups_per_second(&node, 5000)?;
        ensure!(node.service.stats().requests(Request::BreakerOpen) > 0);
        println(&format!(
            "lookups per second: {up:.0} with the resolver, {down:.0} while it stops, {open:.0} \
             while it is left alone"
        ));
        // Generous: the machine may be busy. A wait would be 500 ms per lookup.
        ensure!(down > up / 4.0 && open > up / 4.0);
        ensure!(node.lookup(7) == name(7), "what is known is told");

        server.resume()?;
        node.until_a_name(10_000)?;
        ensure!(node.service.stats().breaker == BreakerState::Closed);

        server.kill()?;
        breaker_opens(&node, 20_000)?;
        server.restart()?;
        node.until_a_name(30_000)?;
        let stats = node.service.stats();
        ensure!(stats.breaker == BreakerState::Closed && stats.breaker_opened >= 2);
        Ok(())
    })
}

#[test]
fn a_fleet_shares_what_it_found_and_goes_on_without() -> Result<()> {
    in_network(|network| {
        let server = Unbound::start(network)?;
        let mut redis = redis(network)?;
        let settings = Settings {
            redis: format!("redis://{}/0", SERVER[0]),
            ..settings()?
        };
        let first = Node::start(network, &settings)?;
        first.pass(0..50);
        first.pass(NAMED..NAMED + 10);
        eventually("the names to be shared", || {
            let written = first.service.stats().shared.map(|shared| shared.written);
            ensure!(written == Some(60), "{written:?}");
            Ok(())
        })?;

        let second = Node::start(network, &settings)?;
        second.pass(0..50);
        second.pass(NAMED..NAMED + 10);
        second.rest()?;
        eventually("the names of the first one", || {
            let names = (0..50).filter(|it| second.lookup(*it) == name(*it)).count();
            ensure!(names == 50, "{names}");
            Ok(())
        })?;
        ensure!(second.lookup(NAMED) == Answer::NoName);
        let stats = second.service.stats();
        ensure!(stats.queries_sent == 0, "{stats:?}");
        ensure!(stats.shared.map(|shared| shared.reads[0]) == Some(60));

        // Gone in the middle of it: names still come, from the resolver.
        redis.end_by(Signal::SIGKILL)?;
        second.pass(100..200);
        second.rest()?;
        eventually("names without the shared cache", || {
            let names = (100..200).filter(|it| second.lookup(*it) == name(*it));
            let names = names.count();
            ensure!(names == 100, "{names}");
            Ok(())
        })?;
        let shared = second.service.stats().shared.context("a shared cache")?;
        let [_, _, errors, skipped] = shared.reads;
        ensure!(errors + skipped == 100, "{shared:?}");

        // Back again, empty: it is used as before.
        let _redis = self::redis(network)?;
        let mut number = 1000;
        eventually("the shared cache to be used again", || {
            second.lookup(number);
            number += 1;
            let now = second.service.stats().shared.context("a shared cache")?;
            ensure!(now.written > shared.written, "{now:?}");
            ensure!(now.breaker == BreakerState::Closed, "{now:?}");
            Ok(())
        })?;
        let queries: u64 = server.queries_by_second()?.values().sum();
        ensure!(queries <= 60 + 100 + u64::from(number - 1000), "{queries}");
        Ok(())
    })
}

#[test]
fn the_daemon_does_not_ask_the_server_that_it_watches() -> Result<()> {
    in_network(|network| {
        for server in SERVER {
            let config = format!("[reverse_dns]\nenabled = true\nresolvers = [\"{server}\"]\n");
            let config = network.file("xdsc.toml", &config)?;
            let arguments = ["run", "--interface", "dns0", "--config", &config];
            let refused = refusal(network, &[], &arguments)?;
            ensure!(refused.status.code() == Some(1), "{refused:?}");
            for part in ["is the server that xdsc watches", "name another one"] {
                ensure!(refused.said.contains(part), "{}", refused.said);
            }
        }
        Ok(())
    })
}

#[test]
fn the_daemon_tells_of_it_and_keeps_its_names() -> Result<()> {
    in_network(|network| {
        let file = network.directory().join("names");
        let config = format!(
            "[reverse_dns]\nenabled = true\nresolvers = [\"192.0.2.2\"]\ncache_file = \"{}\"\n",
            file.display()
        );
        let daemon = Daemon::start(network, &config)?;
        let samples = daemon.scrape()?;
        let closed = samples.count("xdsc_reverse_dns_breaker_state", &[("state", "closed")])?;
        ensure!(closed == 1);
        let requests = samples.count("xdsc_reverse_dns_requests_total", &[("result", "queued")])?;
        ensure!(requests == 0);
        daemon.stop()?;
        let names = std::fs::read_to_string(&file)?;
        ensure!(names == "{\"xdsc_reverse_dns\":1}\n", "{names}");
        Ok(())
    })
}

/// With names that are known, and as many that are not.
fn lookups_per_second(node: &Node, from: u32) -> Result<f64> {
    const ROUNDS: u32 = 2000;
    let start = Instant::now();
    for round in 0..ROUNDS {
        for number in 0..50 {
            ensure!(matches!(node.lookup(number), Answer::Name(_)));
            drop(node.lookup(from + round % 1000));
        }
    }
    Ok(f64::from(ROUNDS * 100) / start.elapsed().as_secs_f64())
}

fn breaker_opens(node: &Node, from: u32) -> Result<()> {
    let mut number = from;
    eventually("the breaker to open", || {
        node.lookup(number);
        number += 1;
        let state = node.service.stats().breaker;
        ensure!(state == BreakerState::Open, "{state:?}");
        Ok(())
    })
}

fn redis(network: &Network) -> Result<Process> {
    let address = SERVER[0].to_string();
    let directory = network.directory().display().to_string();
    let arguments = [
        "--bind",
        &address,
        "--protected-mode",
        "no",
        "--save",
        "",
        "--dir",
        &directory,
    ];
    let process = network.start(Side::Server, "redis-server", &arguments)?;
    eventually("the shared cache to listen", || {
        let log = process.log()?;
        ensure!(log.contains("Ready to accept connections"), "{log}");
        Ok(())
    })?;
    // It says so a moment before it does.
    thread::sleep(SECOND / 10);
    Ok(process)
}

#[expect(
    clippy::print_stderr,
    reason = "figures to be read when a test is run by hand"
)]
fn println(text: &str) {
    eprintln!("{text}");
}
