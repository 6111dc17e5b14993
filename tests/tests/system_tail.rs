//! `xdsc tail` beside a real name server, and from captures: what it tells is what
//! was asked and answered.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{BufRead as _, BufReader, BufWriter, Write as _},
    net::{IpAddr, TcpStream},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use integration_tests::{
    network::{
        Network, SERVER, Side,
        client::{Load, Transport, kdig},
        daemon::{Daemon, binary},
        eventually,
        exposition::Samples,
        in_network,
        process::Process,
        server::{HUGE, Kind, NameServer},
    },
    traffic::{Exchange, Profile, Traffic, Truth, write_pcap},
};
use nix::sys::signal::Signal;
use serde_json::Value;

const PAIR_ALL: &str = "[pairing]\none_in = 1\n";

/// A tail that runs beside the daemon, once it is subscribed.
fn start_tail(network: &Network, daemon: &Daemon<'_>, arguments: &[&str]) -> Result<Process> {
    let binary = binary()?;
    let arguments = [&["tail"], arguments].concat();
    let process = network.start(Side::Server, &binary, &arguments)?;
    daemon.subscribed()?;
    Ok(process)
}

/// What a tail of so many lines printed, once it has ended by itself.
fn printed(mut tail: Process) -> Result<String> {
    eventually("the tail to end", || {
        let log = tail.log()?;
        let status = tail.ended()?.with_context(|| format!("it runs: {log}"))?;
        ensure!(status.success(), "{status}: {log}");
        Ok(log)
    })
}

fn json_lines(text: &str) -> Result<Vec<Value>> {
    let lines = text.lines().filter(|line| !line.is_empty());
    let lines = lines.map(|line| serde_json::from_str(line).with_context(|| line.to_owned()));
    lines.collect()
}

/// Asked by kdig: what is to be told of it. The client's addresses are in the
/// server's networks.
struct Asked {
    server: IpAddr,
    arguments: &'static [&'static str],
    qname: &'static str,
    qtype: &'static str,
    rcode: &'static str,
    transport: &'static str,
    rd: bool,
    udp_size: Option<u64>,
    dnssec_ok: bool,
}

fn questions() -> [Asked; 5] {
    let plain = Asked {
        server: SERVER[0],
        arguments: &["www.example", "A"],
        qname: "www.example",
        qtype: "A",
        rcode: "NOERROR",
        transport: "udp",
        rd: true,
        udp_size: None,
        dnssec_ok: false,
    };
    [
        Asked { ..plain },
        Asked {
            server: SERVER[1],
            arguments: &["+norec", "+bufsize=1400", "+dnssec", "absent.example", "MX"],
            qname: "absent.example",
            qtype: "MX",
            rcode: "NXDOMAIN",
            rd: false,
            udp_size: Some(1400),
            dnssec_ok: true,
            ..plain
        },
        Asked {
            arguments: &["+tcp", "example", "SOA"],
            qname: "example",
            qtype: "SOA",
            transport: "tcp",
            ..plain
        },
        Asked {
            arguments: &["elsewhere.test", "TYPE65280"],
            qname: "elsewhere.test",
            qtype: "TYPE65280",
            rcode: "REFUSED",
            ..plain
        },
        Asked {
            server: SERVER[1],
            arguments: &["+tcp", HUGE, "TXT"],
            qname: HUGE,
            qtype: "TXT",
            transport: "tcp",
            ..plain
        },
    ]
}

#[test]
fn what_kdig_asked_appears_with_its_answer() -> Result<()> {
    for kind in [Kind::Nsd, Kind::Knot] {
        in_network(|network| {
            let _server = NameServer::start(network, kind)?;
            let daemon = Daemon::start(network, PAIR_ALL)?;
            let tail = start_tail(network, &daemon, &["--format", "json", "--count", "5"])?;
            for asked in questions() {
                kdig(network, asked.server, asked.arguments)?;
            }
            let mut lines = json_lines(&printed(tail)?)?;
            // What came by two CPUs within one look is told CPU by CPU.
            lines.sort_by_key(|line| line["time"].as_str().map(str::to_owned));
            for (asked, line) in questions().iter().zip(&lines) {
                is_told(asked, line).with_context(|| line.to_string())?;
            }
            ensure!(lines.len() == 5, "{} lines", lines.len());
            let samples = daemon.quiet()?;
            let answered =
                samples.count("xdsc_enriched_exchanges_total", &[("kind", "answered")])?;
            ensure!(answered == 5, "{answered} exchanges");
            daemon.stop()?;
            Ok(())
        })?;
    }
    Ok(())
}

fn is_told(asked: &Asked, line: &Value) -> Result<()> {
    let family = if asked.server.is_ipv4() {
        "ipv4"
    } else {
        "ipv6"
    };
    for (key, expected) in [
        ("kind", "answered"),
        ("role", "server"),
        ("family", family),
        ("transport", asked.transport),
        ("server", &asked.server.to_string()),
        ("opcode", "QUERY"),
        ("qname", asked.qname),
        ("qtype", asked.qtype),
        ("qclass", "IN"),
    ] {
        ensure!(line[key] == expected, "{key} is not {expected}");
    }
    let client = line["client"].as_str().context("no client")?;
    let prefix = if asked.server.is_ipv4() { "/24" } else { "/48" };
    ensure!(client.ends_with(prefix), "client {client}");
    ensure!(line["server_port"] == 53 && line["weight"] == 1);
    for secret in ["client_port", "id", "ptr"] {
        ensure!(line.get(secret).is_none(), "{secret} is told");
    }
    let (query, response) = (&line["query"], &line["response"]);
    ensure!(query["rd"] == asked.rd, "RD");
    let edns = &query["edns"];
    ensure!(edns["udp_size"].as_u64() == asked.udp_size, "UDP size");
    let dnssec_ok = edns["do"].as_bool().unwrap_or(false);
    ensure!(dnssec_ok == asked.dnssec_ok, "DO");
    ensure!(response["rcode"] == asked.rcode, "RCODE");
    ensure!(response["aa"] == (asked.rcode != "REFUSED"), "AA");
    let took = response["response_time_seconds"].as_f64();
    let took = took.context("no response time")?;
    ensure!(took > 0.0 && took < 5.0, "{took} s");
    let size = response["size"].as_u64().context("no size")?;
    let is_huge = asked.qname == HUGE;
    ensure!((size > 60 * 201) == is_huge, "{size} octets");
    Ok(())
}

#[test]
fn text_filters_and_addresses_are_as_the_configuration_and_the_arguments_say() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Nsd)?;
        let customers = network.file("customers.csv", "example,Example\n")?;
        let config = format!(
            "{PAIR_ALL}[privacy]\nclients = \"address\"\n[customers]\nfile = \"{customers}\"\n"
        );
        let daemon = Daemon::start(network, &config)?;
        let arguments = ["--rcode", "NXDOMAIN", "--count", "1"];
        let tail = start_tail(network, &daemon, &arguments)?;
        kdig(network, SERVER[0], &["www.example", "A"])?;
        kdig(network, SERVER[0], &["absent.example", "AAAA"])?;
        let text = printed(tail)?;
        let lines: Vec<_> = text.lines().collect();
        let [head, line] = lines.as_slice() else {
            anyhow::bail!("{text}");
        };
        ensure!(head.starts_with("time"), "{head}");
        let words: Vec<_> = line.split_whitespace().collect();
        let [
            _,
            client,
            place,
            transport,
            qtype,
            result,
            took,
            _,
            qname,
            customer,
        ] = *words
        else {
            anyhow::bail!("{line}");
        };
        client
            .parse::<IpAddr>()
            .with_context(|| client.to_owned())?;
        ensure!(
            [place, transport, qtype, result, qname, customer]
                == [
                    "-",
                    "udp",
                    "AAAA",
                    "NXDOMAIN",
                    "absent.example",
                    "customer=Example"
                ],
            "{line}"
        );
        ensure!(took.ends_with("ms"), "{line}");
        daemon.stop()?;
        Ok(())
    })
}

/// One that stops reading loses, is told so, and nobody else notices.
#[test]
fn a_subscriber_that_stops_reading_slows_nothing_and_is_told_its_losses() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let config = format!("{PAIR_ALL}[stream]\nbuffer = 64\nmax_rate = 1000000\n");
        let daemon = Daemon::start(network, &config)?;
        // Or the kernel would keep all of it.
        for buffer in ["rmem", "wmem"] {
            let small = format!("echo 4096 16384 16384 > /proc/sys/net/ipv4/tcp_{buffer}");
            network.output(Side::Server, "sh", &["-c", &small])?;
        }
        let stream = network.within(Side::Server, || {
            let mut stream = TcpStream::connect(("127.0.0.1", 9953))?;
            stream.set_read_timeout(Some(Duration::from_secs(20)))?;
            stream.write_all(b"GET /api/v1/tail HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
            Ok(stream)
        })?;
        daemon.subscribed()?;
        let load = Load {
            server: SERVER[0],
            transport: Transport::Udp,
            questions: &[("www.example", "A"), ("absent.example", "AAAA")],
            rounds: 4_000,
            rate: Some(4_000),
        };
        let tally = load.run(network)?;
        let samples = eventually("every transaction to end", || {
            let samples = daemon.quiet()?;
            let waiting = samples.count("xdsc_enriched_pending", &[])?
                + samples.count("xdsc_enriched_queue_length", &[])?;
            ensure!(waiting == 0, "{waiting} wait");
            Ok(samples)
        })?;
        let counted = samples.count(
            "xdsc_transactions_total",
            &[("outcome", "answered"), ("role", "server")],
        )?;
        ensure!(
            counted == tally.completed,
            "{counted} of {}",
            tally.completed
        );
        let lost = samples.sum("xdsc_records_total", &[("outcome", "ring_full")])?;
        ensure!(lost == 0.0, "{lost} records lost");
        let dropped = samples.count("xdsc_enriched_subscriber_dropped_exchanges_total", &[])?;
        ensure!(dropped > 0, "nothing dropped");
        only_the_subscriber_lags(&samples)?;
        let exchanges = samples.sum("xdsc_enriched_exchanges_total", &[])? as u64;
        let (read, missed) = read_all(stream, exchanges)?;
        ensure!(
            read + missed == exchanges,
            "{read} + {missed} of {exchanges}"
        );
        ensure!(missed == dropped, "told {missed} of {dropped}");
        daemon.stop()?;
        Ok(())
    })
}

fn only_the_subscriber_lags(samples: &Samples) -> Result<()> {
    let backlog = samples.max("xdsc_enriched_subscriber_backlog_exchanges", &[])?;
    let lag = samples.max("xdsc_enriched_subscriber_lag_seconds", &[])?;
    ensure!(backlog == 64.0 && lag > 0.5, "{backlog} wait for {lag} s");
    let lag = samples.max("xdsc_stage_lag_seconds", &[])?;
    ensure!(lag < 0.5, "a stage is behind by {lag} s");
    Ok(())
}

/// Reads until so many were told or are told to be missing: how many of both.
fn read_all(stream: TcpStream, all: u64) -> Result<(u64, u64)> {
    let (mut read, mut missed) = (0, 0);
    // HTTP/1.0: no chunks, the lines follow the head.
    let lines = BufReader::new(stream).lines();
    let mut lines = lines.skip_while(|line| line.as_ref().is_ok_and(|line| !line.is_empty()));
    while read + missed < all {
        let line = lines.next().context("the stream has ended")??;
        if line.is_empty() {
            continue;
        }
        let line: Value = serde_json::from_str(&line)?;
        match line["dropped"].as_u64() {
            Some(count) => missed += count,
            None => read += 1,
        }
    }
    Ok((read, missed))
}

/// Whoever ends a tail by Ctrl-C has what was shown by then, and made no mistake.
#[test]
fn a_tail_that_is_interrupted_ends_well() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start(network, PAIR_ALL)?;
        for signal in [Signal::SIGINT, Signal::SIGTERM] {
            let mut tail = start_tail(network, &daemon, &["--format", "json"])?;
            kdig(network, SERVER[0], &["www.example", "A"])?;
            eventually("the line", || {
                let lines = json_lines(&tail.log()?)?.len();
                ensure!(lines == 1, "{lines} lines");
                Ok(())
            })?;
            let status = tail.end_by(signal)?;
            ensure!(status.code() == Some(0), "{signal}: {status}");
            let lines = json_lines(&tail.log()?)?;
            ensure!(lines.len() == 1, "{signal}: {lines:?}");
            nobody_subscribes(&daemon)?;
        }
        daemon.stop()?;
        Ok(())
    })
}

/// A reader that has seen enough, as `head` has, ends the tail without complaint.
#[test]
fn a_tail_whose_output_is_closed_ends_well() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start(network, PAIR_ALL)?;
        let line = format!(
            "set -o pipefail; {} tail --format json | head -n 1",
            binary()?
        );
        let mut tail = network.start(Side::Server, "bash", &["-c", &line])?;
        daemon.subscribed()?;
        eventually("the end of the tail", || {
            // The second line and those after it find nobody.
            kdig(network, SERVER[0], &["www.example", "A"])?;
            let status = tail.ended()?.context("it runs")?;
            ensure!(status.success(), "{status}: {}", tail.log()?);
            Ok(())
        })?;
        let lines = json_lines(&tail.log()?)?;
        ensure!(lines.len() == 1, "{lines:?}");
        nobody_subscribes(&daemon)?;
        daemon.stop()?;
        Ok(())
    })
}

/// What was taken for the subscriber that has gone is in the account.
fn nobody_subscribes(daemon: &Daemon<'_>) -> Result<()> {
    eventually("the subscriber to be gone", || {
        let samples = daemon.scrape()?;
        let active = samples.count("xdsc_enriched_stream_active", &[])?;
        ensure!(active == 0, "messages are taken");
        let exchanges = |labels: &[_]| samples.count("xdsc_enriched_exchanges_total", labels);
        // Two messages where there is an answer.
        let told = exchanges(&[])? + exchanges(&[("kind", "answered")])?;
        let left_out = samples.count("xdsc_enriched_left_out_records_total", &[])?;
        let taken = samples.count("xdsc_enriched_records_total", &[("outcome", "taken")])?;
        ensure!(taken == told + left_out, "{taken}, not {told} + {left_out}");
        Ok(())
    })
}

/// When xdsc stops, the stream ends at once, and the tail with it.
#[test]
fn the_stream_ends_when_xdsc_stops() -> Result<()> {
    in_network(|network| {
        let daemon = Daemon::start(network, PAIR_ALL)?;
        let tail = start_tail(network, &daemon, &[])?;
        let log = daemon.stop()?;
        ensure!(!log.contains("cut off connections"), "{log}");
        let said = printed(tail)?;
        ensure!(said.contains("the stream has ended"), "{said}");
        Ok(())
    })
}

/// What is told of an exchange: time, server's family, client, transport, name,
/// type, EDNS, RCODE, response time in ns.
type Told = (
    String,
    String,
    String,
    String,
    u64,
    Option<(u64, bool)>,
    Option<(u64, u64)>,
);

#[test]
fn a_capture_tells_every_exchange_that_was_made() -> Result<()> {
    let exchanges: Vec<_> = Traffic::new(Profile::Everyday, 4, 1_000)
        .take(10_000)
        .collect();
    let file = tempfile::NamedTempFile::new()?;
    let mut out = BufWriter::new(File::create(file.path())?);
    write_pcap(exchanges.iter().cloned(), &mut out, &mut Truth::default())?;
    out.flush()?;
    let output = Command::new(binary()?)
        .args(["tail", "--format", "json", "--clients", "address"])
        .arg(file.path())
        .output()?;
    ensure!(
        output.status.success() && output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = json_lines(&String::from_utf8(output.stdout)?)?;
    let told = lines.iter().map(told).collect::<Result<Vec<_>>>()?;
    let (told, made) = (counts(told), counts(exchanges.iter().map(made).collect()));
    for (exchange, count) in &made {
        let times = told.get(exchange);
        ensure!(times == Some(count), "{exchange:?}: {times:?}, not {count}");
    }
    ensure!(told.len() == made.len());
    Ok(())
}

fn counts(told: Vec<Told>) -> BTreeMap<Told, usize> {
    let mut counts = BTreeMap::new();
    for one in told {
        *counts.entry(one).or_default() += 1;
    }
    counts
}

fn told(line: &Value) -> Result<Told> {
    let text = |key: &str| -> Result<String> {
        let text = line[key].as_str();
        Ok(text
            .with_context(|| format!("no {key} in {line}"))?
            .to_owned())
    };
    let edns = &line["query"]["edns"];
    let edns = edns["udp_size"]
        .as_u64()
        .map(|size| (size, edns["do"] == true));
    let response = &line["response"];
    let after = response["response_time_seconds"].as_f64();
    Ok((
        format!("{}#{}", text("client")?, line["client_port"]),
        text("transport")?,
        text("qname")?,
        text("qtype")?,
        line["query"]["size"].as_u64().context("no size")?,
        edns,
        after.map(|after| {
            let size = response["size"].as_u64().unwrap_or(0);
            (size, (after * 1e9).round() as u64)
        }),
    ))
}

fn made(exchange: &Exchange) -> Told {
    let response = exchange.response_after_ns;
    (
        format!("{}#{}", exchange.client, exchange.port),
        if exchange.tcp { "tcp" } else { "udp" }.to_owned(),
        presentation(&exchange.labels),
        qtype(exchange.qtype),
        exchange.query().len() as u64,
        exchange
            .edns
            .map(|(size, dnssec_ok)| (size.into(), dnssec_ok)),
        response.map(|after_ns| (exchange.response().len() as u64, after_ns)),
    )
}

/// RFC 1035, section 5.1, in lower case.
fn presentation(labels: &[String]) -> String {
    let labels = labels.iter().map(|label| {
        let octets = label.bytes().map(|octet| match octet {
            b'.' | b'\\' => format!("\\{}", char::from(octet)),
            b'!'..=b'~' => char::from(octet.to_ascii_lowercase()).to_string(),
            _ => format!("\\{octet:03}"),
        });
        octets.collect::<String>()
    });
    let text = labels.collect::<Vec<_>>().join(".");
    if text.is_empty() {
        ".".to_owned()
    } else {
        text
    }
}

/// Those that the traffic has.
fn qtype(number: u16) -> String {
    let name = match number {
        1 => "A",
        2 => "NS",
        5 => "CNAME",
        6 => "SOA",
        12 => "PTR",
        15 => "MX",
        16 => "TXT",
        28 => "AAAA",
        33 => "SRV",
        43 => "DS",
        48 => "DNSKEY",
        65 => "HTTPS",
        255 => "ANY",
        _ => return format!("TYPE{number}"),
    };
    name.to_owned()
}
