//! The page at `/` and the API behind it, of a running xdsc: in a browser, by a
//! tester that knows nothing but the description, and against the metrics.

use std::{env, path::PathBuf, process::Command};

use anyhow::{Context as _, Result, ensure};
use integration_tests::{
    mmdb::Mmdb,
    network::{
        Network, SERVER, Side,
        client::{Load, Transport},
        daemon::{CLASSIC, Daemon},
        eventually,
        exposition::Samples,
        in_network,
        process::Process,
        server::{Kind, NameServer},
    },
};
use serde_json::{Value, json};

/// Set where the programs that `setup` installs must be there.
const REQUIRE_TOOLS: &str = "XDSC_REQUIRE_TOOLS";
/// Where the daemon listens.
const URL: &str = "http://127.0.0.1:9953";
/// What would run if it became markup.
const HOSTILE: &str = "<img/src=x/onerror=alert(1)>.example";
const QUESTIONS: [(&str, &str); 5] = [
    ("www.example", "A"),
    ("www.example", "AAAA"),
    ("example", "MX"),
    ("absent.example", "A"),
    (HOSTILE, "A"),
];
/// Paths that do not end by themselves.
const ENDLESS: [&str; 2] = ["/api/v1/events", "/api/v1/tail"];

/// What a list shows, and the family and label that it stands for.
const LISTS: [(&str, &str, &str); 7] = [
    ("qtype", "xdsc_dns_qtype_messages_total", "qtype"),
    ("rcode", "xdsc_dns_rcode_responses_total", "rcode"),
    ("tld", "xdsc_dataset_tld_messages_total", "tld"),
    (
        "second_ld",
        "xdsc_dataset_second_ld_messages_total",
        "second_ld",
    ),
    ("qname", "xdsc_dataset_qname_messages_total", "qname"),
    (
        "client_subnet",
        "xdsc_dataset_client_subnet_messages_total",
        "client_subnet",
    ),
    (
        "country",
        "xdsc_dataset_country_code_messages_total",
        "country_code",
    ),
];

#[test]
fn the_page_shows_what_the_metrics_say_and_behaves() -> Result<()> {
    let Some(browser) = Browser::find()? else {
        return Ok(());
    };
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start(network, &settings(network)?)?;
        load(200, None).run(network)?;
        let samples = daemon.quiet()?;
        let shown = browser.look(network, "numbers")?;
        shown_is_what_was_counted(&serde_json::from_str(&shown)?, &samples)?;
        let traffic = steady(network)?;
        browser.look(network, "behave")?;
        drop(traffic);
        stale_when_it_ends(&browser, network, daemon)
    })
}

#[test]
fn the_api_says_what_the_metrics_say_and_what_its_description_promises() -> Result<()> {
    let Some(schemathesis) = schemathesis()? else {
        return Ok(());
    };
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Knot)?;
        let daemon = Daemon::start(network, &settings(network)?)?;
        load(200, None).run(network)?;
        let samples = daemon.quiet()?;
        summary_is_what_was_counted(&daemon, &samples)?;
        datasets_are_what_was_counted(&daemon, &samples)?;
        let _traffic = steady(network)?;
        history_is_what_was_sent(&daemon)?;
        event_is_the_summary_and_lists(network)?;
        let schema = format!("{URL}/api/v1/openapi.json");
        // It keeps notes where it runs.
        let folder = network.directory().display().to_string();
        let mut arguments = vec!["-C", &folder, &schemathesis, "run", &schema];
        arguments.extend(["--max-examples", "15", "--no-color"]);
        // A dataset has dimensions of its own; the schema cannot name them.
        arguments.extend(["--exclude-checks", "positive_data_acceptance"]);
        for path in ENDLESS {
            arguments.extend(["--exclude-path", path]);
        }
        network.output(Side::Server, "env", &arguments)?;
        daemon.stop()?;
        Ok(())
    })
}

/// Countries, so that there is a map.
fn settings(network: &Network) -> Result<String> {
    let file = network.directory().join("country.mmdb");
    Mmdb::new("GeoLite2-Country")
        .network("192.0.2.0/24", json!({"country": {"iso_code": "NL"}}))
        .write(&file)?;
    Ok(format!("[geoip]\ndatabases = [\"{}\"]\n", file.display()))
}

const fn load(rounds: u64, rate: Option<u32>) -> Load<'static> {
    Load {
        server: SERVER[0],
        transport: Transport::Udp,
        questions: &QUESTIONS,
        rounds,
        rate,
    }
}

/// Traffic that goes on until it is dropped, or the test has long ended.
fn steady(network: &Network) -> Result<Process> {
    let arguments = load(100_000, Some(100)).arguments(network)?;
    let mut arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    if let Some(seconds) = arguments.iter().position(|one| *one == "-l") {
        arguments[seconds + 1] = "120";
    }
    network.start(Side::Client, "dnsperf", &arguments)
}

fn shown_is_what_was_counted(shown: &Value, samples: &Samples) -> Result<()> {
    let of = |kind| {
        let labels = [("role", "server"), ("type", kind)];
        samples.count("xdsc_dns_messages_total", &labels)
    };
    let [queries, responses] = [of("query")?, of("response")?];
    ensure!(queries == 5 * 200 && shown["queries"] == queries, "{shown}");
    ensure!(shown["responses"] == responses, "{shown}");
    // As people read it: 1 000, with a narrow space.
    ensure!(shown["shown"][0] == "1\u{202f}000 in all", "{shown}");
    for (list, family, label) in LISTS {
        let role = [("role", "server")];
        let labels = if list == "rcode" || list == "qtype" {
            &role[..]
        } else {
            &[]
        };
        let mut counted = samples.by(label, family, labels)?;
        if list == "qtype" {
            let queries = [("role", "server"), ("type", "query")];
            counted = samples.by(label, family, &queries)?;
        }
        let rows = shown["lists"][list].as_object().context("a list")?;
        ensure!(!rows.is_empty(), "{list} is empty: {shown}");
        for (value, numbers) in rows {
            let value = if value == "Netherlands" { "NL" } else { value };
            let expected = counted.get(value).copied();
            ensure!(
                numbers[0].as_u64() == expected,
                "{list}: {value}: {numbers}"
            );
            let text = numbers[1]
                .as_str()
                .context("a text")?
                .replace('\u{202f}', "");
            ensure!(text.parse().ok() == expected, "{list}: {value}: {numbers}");
        }
    }
    Ok(())
}

fn stale_when_it_ends(browser: &Browser, network: &Network, daemon: Daemon<'_>) -> Result<()> {
    let mut watching = browser.start(network, "stale")?;
    eventually("the page to be live", || {
        ensure!(watching.log()?.contains("live"), "not yet");
        Ok(())
    })?;
    daemon.stop()?;
    let status = eventually("the page to say that it is stale", || {
        watching.ended()?.context("it has not")
    })?;
    ensure!(status.success(), "{}", watching.log()?);
    Ok(())
}

fn summary_is_what_was_counted(daemon: &Daemon<'_>, samples: &Samples) -> Result<()> {
    let summary = json(daemon, "/api/v1/summary")?;
    let totals = &summary["totals"];
    let server = |kind| [("role", "server"), ("type", kind)];
    for (name, family, labels) in [
        ("queries", "xdsc_dns_messages_total", &server("query")[..]),
        (
            "responses",
            "xdsc_dns_messages_total",
            &server("response")[..],
        ),
        (
            "query_bytes",
            "xdsc_dns_message_bytes_total",
            &server("query")[..],
        ),
        (
            "response_bytes",
            "xdsc_dns_message_bytes_total",
            &server("response")[..],
        ),
        ("rejected", "xdsc_rejected_packets_total", &[]),
    ] {
        let counted = samples.count(family, labels)?;
        ensure!(totals[name] == counted, "{name}: {counted}, {totals}");
    }
    // Neighbours may look for each other in between.
    let counted = samples.count("xdsc_packets_total", &[])?;
    let packets = totals["packets"].as_u64().context("packets")?;
    ensure!(
        (counted..counted + 8).contains(&packets),
        "{counted}, {totals}"
    );
    for account in summary["accounts"].as_array().context("accounts")? {
        let hook = account["hook"].as_str().context("a hook")?;
        let records = account["records"].as_object().context("records")?;
        for (outcome, count) in records {
            let labels = [("hook", hook), ("outcome", outcome)];
            let counted = samples.count("xdsc_records_total", &labels)?;
            ensure!(*count == counted, "{hook} {outcome}: {counted}, {account}");
        }
    }
    ensure!(summary["instance"]["attachments"][0]["interface"] == "dns0");
    ensure!(summary["clients_shown"] == "prefix");
    Ok(())
}

fn datasets_are_what_was_counted(daemon: &Daemon<'_>, samples: &Samples) -> Result<()> {
    let datasets = json(daemon, "/api/v1/datasets")?;
    let datasets = datasets.as_array().context("a list")?;
    ensure!(datasets.len() > 20, "{} datasets", datasets.len());
    for dataset in datasets {
        let name = dataset["name"].as_str().context("a name")?;
        let family = dataset["metric"].as_str().context("a family")?;
        let whole = json(
            daemon,
            &format!("/api/v1/datasets/{name}?limit=1000&by=total"),
        )?;
        let counted = samples.count(family, &[])?;
        ensure!(whole["sum"]["total"] == counted, "{name}: {counted}");
        let mut sum = [&whole["other"]["total"], &whole["retired"]]
            .iter()
            .filter_map(|count| count.as_u64())
            .sum::<u64>();
        for row in whole["rows"].as_array().context("rows")? {
            let labels = whole["dimensions"].as_array().context("dimensions")?;
            let values = row["values"].as_array().context("values")?;
            let pairs: Option<Vec<_>> = labels
                .iter()
                .zip(values)
                .map(|(label, value)| Some((label["label"].as_str()?, value.as_str()?)))
                .collect();
            let counted = samples.count(family, &pairs.context("texts")?)?;
            ensure!(row["total"] == counted, "{name}: {row}: {counted}");
            sum += counted;
        }
        ensure!(sum == counted, "{name}: {sum} of {counted}");
    }
    let filtered = "/api/v1/datasets/qtype_vs_tld?filter=qtype:AAAA&filter=tld:example";
    let filtered = json(daemon, filtered)?;
    ensure!(filtered["sum"]["total"] == 200, "{filtered}");
    Ok(())
}

/// A hundred per second: of ten seconds, on a machine that has more to do, some
/// may have less and others more.
fn history_is_what_was_sent(daemon: &Daemon<'_>) -> Result<()> {
    eventually("points with traffic", || {
        let history = json(daemon, "/api/v1/history?seconds=5")?;
        let queries = history["series"]["queries"]
            .as_array()
            .context("a column")?;
        ensure!(queries.len() == 5, "{history}");
        for columns in ["series", "qtype", "rcode"] {
            for (name, column) in history[columns].as_object().context("columns")? {
                let length = column.as_array().map(Vec::len);
                ensure!(length == Some(5), "{name}: {length:?}");
            }
        }
        let mean = queries.iter().filter_map(Value::as_f64).sum::<f64>() / 5.0;
        ensure!((80.0..120.0).contains(&mean), "{mean} queries per second");
        Ok(())
    })
}

fn event_is_the_summary_and_lists(network: &Network) -> Result<()> {
    let url = format!("{URL}/api/v1/events?top=qtype,tld&limit=2");
    // It never ends by itself: curl is made to, which is no success of its own.
    let read = format!("curl -sN --max-time 4 '{url}' || true");
    let said = network.output(Side::Server, "sh", &["-c", &read])?;
    ensure!(
        said.starts_with("retry: 2000\n\nevent: view\ndata: {"),
        "{said}"
    );
    let events: Vec<Value> = said
        .lines()
        .filter_map(|line| line.strip_prefix("data: "))
        .filter_map(|data| serde_json::from_str(data).ok())
        .collect();
    ensure!((3..=6).contains(&events.len()), "{} events", events.len());
    let last = events.last().context("an event")?;
    ensure!(last["summary"]["viewers"]["now"] == 1, "{last}");
    ensure!(last["top"][0]["of"] == "qtype" && last["top"][1]["of"] == "tld");
    let rate = last["top"][0]["sum"]["rate"].as_f64().context("a rate")?;
    ensure!(rate > 50.0, "{last}");
    Ok(())
}

fn json(daemon: &Daemon<'_>, path: &str) -> Result<Value> {
    Ok(serde_json::from_str(&daemon.get(path, CLASSIC)?.body)?)
}

/// What looks at the page.
struct Browser {
    script: String,
    packages: String,
}

impl Browser {
    /// None where it need not be there.
    fn find() -> Result<Option<Self>> {
        let packages = target()?.join("npm/page/node_modules");
        let is_there = packages.is_dir() && is_installed("chromium") && is_installed("node");
        if !is_there {
            return missing("a browser and what drives it");
        }
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/page/look.mjs");
        Ok(Some(Self {
            script: script.to_owned(),
            packages: packages.display().to_string(),
        }))
    }

    fn look(&self, network: &Network, task: &str) -> Result<String> {
        let folder = network.directory().display().to_string();
        let arguments = [&self.script, task, URL, &self.packages, &folder];
        network.output(Side::Server, "node", &arguments)
    }

    fn start(&self, network: &Network, task: &str) -> Result<Process> {
        let folder = network.directory().display().to_string();
        let arguments = [&self.script, task, URL, &self.packages, &folder];
        network.start(Side::Server, "node", &arguments)
    }
}

fn schemathesis() -> Result<Option<String>> {
    let program = target()?.join("python/schemathesis/bin/schemathesis");
    if program.is_file() {
        return Ok(Some(program.display().to_string()));
    }
    missing("schemathesis")
}

fn target() -> Result<PathBuf> {
    let test = env::current_exe()?;
    let target = test.ancestors().nth(3).context("a test lies in deps/")?;
    Ok(target.to_owned())
}

fn is_installed(program: &str) -> bool {
    let answer = Command::new(program).arg("--version").output();
    answer.is_ok_and(|answer| answer.status.success())
}

fn missing<T>(what: &str) -> Result<Option<T>> {
    ensure!(
        env::var_os(REQUIRE_TOOLS).is_none(),
        "{what} is missing: run `cargo xtask setup`"
    );
    skipped(what);
    Ok(None)
}

#[expect(clippy::print_stderr, reason = "whoever runs a test by itself is told")]
fn skipped(what: &str) {
    eprintln!("SKIPPED: {what} is missing; `cargo xtask setup` installs it");
}
