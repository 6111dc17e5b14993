//! What lies in `deploy/` is taken by the programs that it is for, and does what it
//! says.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, net::UnixDatagram},
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, Result, ensure};
use integration_tests::{
    network::{
        Network, SERVER, Side,
        client::kdig,
        daemon::{Daemon, binary},
        eventually,
        exposition::Samples,
        in_network,
        process::Process,
        prometheus::Prometheus,
        server::{Kind, NameServer},
    },
    rules,
};
use nix::sys::signal::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// What `systemd-analyze security` calls exposure, in tenths of its points, of which
/// a service without any protection has nearly ten.
const EXPOSURE: &str = "--threshold=25";

fn deploy(file: &str) -> PathBuf {
    rules::repository().join("deploy").join(file)
}

fn run(program: &str, arguments: &[&str]) -> Result<Output> {
    let output = Command::new(program).args(arguments).output();
    output.with_context(|| format!("cannot start {program}; `cargo xtask setup` installs it"))
}

fn said(output: &Output) -> String {
    let said = [&output.stdout[..], &output.stderr].concat();
    String::from_utf8_lossy(&said).into_owned()
}

/// Prometheus's folder as the examples lay it out; the path of its configuration.
fn lay_out(folder: &Path, targets: &str) -> Result<String> {
    let ruled = folder.join("rules");
    let groups = folder.join("targets");
    fs::create_dir(&ruled)?;
    fs::create_dir(&groups)?;
    fs::write(groups.join("example.yml"), targets)?;
    for file in rules::FILES {
        fs::copy(rules::folder().join(file), ruled.join(file))?;
    }
    let config = folder.join("prometheus.yml");
    fs::copy(deploy("prometheus/prometheus.yml"), &config)?;
    Ok(config.to_str().context("a path that is text")?.to_owned())
}

#[test]
fn prometheus_takes_its_configuration_with_targets_and_rules() -> Result<()> {
    let folder = TempDir::new()?;
    let targets = fs::read_to_string(deploy("prometheus/targets/example.yml"))?;
    let config = lay_out(folder.path(), &targets)?;
    let checked = run("promtool", &["check", "config", &config])?;
    let said = said(&checked);
    ensure!(checked.status.success(), "{said}");
    ensure!(said.contains("3 rule files found"), "{said}");
    Ok(())
}

#[test]
fn sites_become_labels_of_what_is_scraped() -> Result<()> {
    in_network(|network| {
        let daemon = Daemon::start(network, "")?;
        let targets = "- labels: { site: ams }\n  targets: ['127.0.0.1:9953']\n";
        let config = lay_out(network.directory(), targets)?;
        // Nobody waits for the first quarter of a minute here.
        let hurried = fs::read_to_string(&config)?.replace("15s", "1s");
        let prometheus = Prometheus::start_with(network, &hurried)?;
        let up = eventually("a scrape", || {
            let now = SystemTime::now().duration_since(UNIX_EPOCH)?;
            let up = prometheus.instant("up == 1", now.as_secs_f64())?;
            Ok(up.first().context("nothing is up")?.clone())
        })?;
        let labels = &up["metric"];
        for (label, value) in [("job", "xdsc"), ("site", "ams"), ("instance", "127.0.0.1")] {
            ensure!(labels[label] == value, "{label}: {labels}");
        }
        daemon.stop()?;
        Ok(())
    })
}

#[test]
fn compose_takes_its_file_and_asks_for_a_password() -> Result<()> {
    let file = deploy("compose.yaml");
    let file = file.to_str().context("a path that is text")?;
    let check = |password: Option<&str>| {
        let mut command = Command::new("docker-compose");
        command.args(["--file", file, "config", "--quiet"]);
        command.env_remove("GRAFANA_PASSWORD");
        if let Some(password) = password {
            command.env("GRAFANA_PASSWORD", password);
        }
        command
            .output()
            .context("cannot start docker-compose; `cargo xtask setup` installs it")
    };
    let good = check(Some("a secret"))?;
    ensure!(good.status.success(), "{}", said(&good));
    let bad = check(None)?;
    ensure!(
        !bad.status.success() && said(&bad).contains("set GRAFANA_PASSWORD"),
        "{}",
        said(&bad)
    );
    Ok(())
}

fn yaml(file: &str) -> Result<Value> {
    let text = fs::read_to_string(deploy(file))?;
    serde_saphyr::from_str(&text).with_context(|| file.to_owned())
}

/// What a service mounts: where from, relative to `deploy/`, and where to.
fn mounts(service: &Value) -> Result<Vec<(String, String)>> {
    let volumes = service["volumes"].as_array().context("volumes")?;
    let volumes = volumes.iter().filter_map(|volume| {
        let mut parts = volume.as_str()?.split(':');
        let (from, to) = (parts.next()?, parts.next()?);
        from.starts_with('.')
            .then(|| (from.to_owned(), to.to_owned()))
    });
    Ok(volumes.collect())
}

#[test]
fn what_compose_mounts_is_there() -> Result<()> {
    let compose = yaml("compose.yaml")?;
    for (service, expected) in [("prometheus", 3), ("grafana", 2)] {
        let mounts = mounts(&compose["services"][service])?;
        for (from, _) in &mounts {
            ensure!(deploy(from).exists(), "{from} does not exist");
        }
        ensure!(mounts.len() == expected, "{service}: {mounts:?}");
    }
    Ok(())
}

#[test]
fn grafana_is_told_where_dashboards_and_prometheus_are() -> Result<()> {
    let compose = yaml("compose.yaml")?;
    let mounts = mounts(&compose["services"]["grafana"])?;
    let dashboards = yaml("grafana/provisioning/dashboards/xdsc.yaml")?;
    let path = &dashboards["providers"][0]["options"]["path"];
    let mounted = mounts
        .iter()
        .find(|(from, _)| from == "../dashboards/grafana");
    ensure!(
        mounted.is_some_and(|(_, to)| path == to),
        "{path}: {mounts:?}"
    );
    let sources = yaml("grafana/provisioning/datasources/prometheus.yaml")?;
    let source = &sources["datasources"][0];
    ensure!(
        source["type"] == "prometheus" && source["url"] == "http://prometheus:9090",
        "{source}"
    );
    ensure!(compose["services"]["prometheus"].is_object());
    for file in [&dashboards, &sources] {
        ensure!(file["apiVersion"] == 1, "{file}");
    }
    Ok(())
}

/// The unit, with the daemon where it was built.
fn unit(folder: &Path) -> Result<String> {
    let text = fs::read_to_string(deploy("systemd/xdsc.service"))?;
    let here = text.replace("=/usr/local/bin/xdsc", &format!("={}", binary()?));
    let path = folder.join("xdsc.service");
    fs::write(&path, here)?;
    Ok(path.to_str().context("a path that is text")?.to_owned())
}

#[test]
fn systemd_takes_the_unit_and_finds_it_well_protected() -> Result<()> {
    let folder = TempDir::new()?;
    let unit = unit(folder.path())?;
    let verified = run("systemd-analyze", &["verify", "--man=no", &unit])?;
    ensure!(verified.status.success(), "{}", said(&verified));
    let complaint = said(&verified);
    let about_it: Vec<_> = complaint
        .lines()
        .filter(|line| line.contains("xdsc"))
        .collect();
    ensure!(about_it.is_empty(), "{about_it:#?}");
    let exposed = run(
        "systemd-analyze",
        &["security", "--offline=yes", EXPOSURE, &unit],
    )?;
    ensure!(exposed.status.success(), "{}", said(&exposed));
    Ok(())
}

/// A setting of the unit.
fn setting(name: &str) -> Result<String> {
    let text = fs::read_to_string(deploy("systemd/xdsc.service"))?;
    let mut lines = text
        .lines()
        .filter_map(|line| line.strip_prefix(name)?.strip_prefix('='));
    Ok(lines
        .next()
        .with_context(|| format!("no {name}"))?
        .to_owned())
}

/// What `setpriv` calls a unit's list of capabilities.
fn capabilities(list: &str) -> String {
    let names = list
        .split_whitespace()
        .map(|name| name.to_lowercase().replace("cap_", ",+"));
    format!("-all{}", names.collect::<String>())
}

/// The daemon with the unit's capabilities and nobody's identity.
fn start_unprivileged(network: &Network, socket: &str) -> Result<Process> {
    let bounding = capabilities(&setting("CapabilityBoundingSet")?);
    let ambient = capabilities(&setting("AmbientCapabilities")?);
    let socket = format!("NOTIFY_SOCKET={socket}");
    let binary = binary()?;
    network.start(
        Side::Server,
        "setpriv",
        &[
            "--reuid=65534",
            "--regid=65534",
            "--clear-groups",
            "--no-new-privs",
            &format!("--inh-caps={ambient}"),
            &format!("--ambient-caps={ambient}"),
            &format!("--bounding-set={bounding}"),
            "--",
            "env",
            &socket,
            &binary,
            "run",
            "--interface=dns0",
            "--web.listen-address=127.0.0.1:9953",
        ],
    )
}

fn scrape(network: &Network) -> Result<Samples> {
    network.within(Side::Server, || {
        let mut answer = ureq::get("http://127.0.0.1:9953/metrics").call()?;
        Samples::parse(&answer.body_mut().read_to_string()?)
    })
}

#[test]
fn the_units_capabilities_are_enough_and_systemd_is_told() -> Result<()> {
    in_network(|network| {
        let _server = NameServer::start(network, Kind::Nsd)?;
        let folder = TempDir::new()?;
        let socket = folder.path().join("notify");
        let systemd = UnixDatagram::bind(&socket)?;
        systemd.set_read_timeout(Some(Duration::from_secs(20)))?;
        for path in [folder.path(), &socket] {
            fs::set_permissions(path, fs::Permissions::from_mode(0o777))?;
        }
        let socket = socket.to_str().context("a path that is text")?;
        let mut daemon = start_unprivileged(network, socket)?;
        let told = || -> Result<String> {
            let mut told = [0; 256];
            let length = systemd.recv(&mut told)?;
            Ok(String::from_utf8_lossy(&told[..length]).trim().to_owned())
        };
        let ready = told().with_context(|| daemon.log().unwrap_or_default())?;
        ensure!(ready == "READY=1", "{ready}");
        kdig(network, SERVER[0], &["www.example", "A"])?;
        eventually("a query and its response", || {
            let samples = scrape(network)?;
            for kind in ["query", "response"] {
                let count = samples.count("xdsc_dns_messages_total", &[("type", kind)])?;
                ensure!(count == 1, "{count} of {kind}");
            }
            Ok(())
        })?;
        let status = daemon.end_by(Signal::SIGTERM)?;
        ensure!(status.success(), "{status}");
        ensure!(told()? == "STOPPING=1");
        Ok(())
    })
}
