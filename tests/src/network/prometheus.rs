//! A real Prometheus that scrapes the daemon once a second, and answers.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use ureq::Agent;

use super::{Network, Side, eventually, process::Process};

const CONFIG: &str = "global:\n  scrape_interval: 1s\n  scrape_timeout: 1s\n  \
                      evaluation_interval: 1s\n\
                      scrape_configs:\n  - job_name: xdsc\n    static_configs:\n      \
                      - targets: [ '127.0.0.1:9953' ]\n";
const ADDRESS: &str = "127.0.0.1:9090";

/// An alert that fires.
#[derive(Clone, Debug)]
pub struct Alert {
    /// Its labels, of which `alertname` is one.
    pub labels: BTreeMap<String, String>,
    /// What it says.
    pub annotations: BTreeMap<String, String>,
}

/// A running Prometheus.
#[derive(Debug)]
pub struct Prometheus<'a> {
    network: &'a Network,
    process: Process,
}

impl<'a> Prometheus<'a> {
    /// Starts it beside the daemon, and waits until it is ready.
    ///
    /// # Errors
    /// When it is not.
    pub fn start(network: &'a Network) -> Result<Self> {
        Self::start_with_rules(network, &[])
    }

    /// Starts it with files of rules, each with its name, which it evaluates once a
    /// second.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_with_rules(network: &'a Network, rules: &[(&str, String)]) -> Result<Self> {
        let mut config = CONFIG.to_owned();
        if !rules.is_empty() {
            config.push_str("rule_files:\n");
        }
        for (name, text) in rules {
            network.file(name, text)?;
            config.push_str(&format!("  - {name}\n"));
        }
        Self::start_with(network, &config)
    }

    /// Starts it with a configuration of its own.
    ///
    /// # Errors
    /// When it does not get ready.
    pub fn start_with(network: &'a Network, config: &str) -> Result<Self> {
        let config = network.file("prometheus.yml", config)?;
        let storage = network.directory().join("prometheus");
        let arguments = [
            format!("--config.file={config}"),
            format!("--storage.tsdb.path={}", storage.display()),
            format!("--web.listen-address={ADDRESS}"),
        ];
        let arguments = arguments.each_ref().map(String::as_str);
        let process = network.start(Side::Server, "prometheus", &arguments)?;
        let prometheus = Self { network, process };
        eventually("Prometheus to be ready", || prometheus.get("/-/ready", &[]))?;
        Ok(prometheus)
    }

    /// The value of an expression that gives one.
    ///
    /// # Errors
    /// When it gives none or several.
    pub fn value(&self, expression: &str) -> Result<f64> {
        let answer = self.json("/api/v1/query", &[("query", expression)])?;
        let series = answer["data"]["result"].as_array();
        let [one] = series.context("no result")?.as_slice() else {
            anyhow::bail!("{expression} gives {answer}");
        };
        let value = one["value"][1].as_str().context("no value")?;
        Ok(value.parse()?)
    }

    /// The series of an expression at a time.
    ///
    /// # Errors
    /// When it cannot be evaluated.
    pub fn instant(&self, expression: &str, seconds: f64) -> Result<Vec<Value>> {
        let query = [("query", expression), ("time", &seconds.to_string())];
        let answer = self.json("/api/v1/query", &query)?;
        let series = answer["data"]["result"].as_array();
        series.cloned().context("no list of series")
    }

    /// The series of an expression in a time, with a value for each second.
    ///
    /// # Errors
    /// When it cannot be evaluated.
    pub fn range(&self, expression: &str, seconds: RangeInclusive<f64>) -> Result<Vec<Value>> {
        let [start, end] = [seconds.start(), seconds.end()].map(f64::to_string);
        let query = [
            ("query", expression),
            ("start", &start),
            ("end", &end),
            ("step", "1"),
        ];
        let answer = self.json("/api/v1/query_range", &query)?;
        let series = answer["data"]["result"].as_array();
        series.cloned().context("no list of series")
    }

    /// The values of a label in the series that a selector selects.
    ///
    /// # Errors
    /// When Prometheus does not say.
    pub fn label_values(&self, label: &str, selector: &str) -> Result<Vec<String>> {
        let path = format!("/api/v1/label/{label}/values");
        let mut answer = self.json(&path, &[("match[]", selector)])?;
        Ok(serde_json::from_value(answer["data"].take())?)
    }

    /// The alerts that fire now.
    ///
    /// # Errors
    /// When Prometheus does not say.
    pub fn firing(&self) -> Result<Vec<Alert>> {
        let answer = self.json("/api/v1/alerts", &[])?;
        let alerts = answer["data"]["alerts"].as_array().context("alerts")?;
        let firing = alerts.iter().filter(|alert| alert["state"] == "firing");
        Ok(firing
            .map(|alert| Alert {
                labels: texts(&alert["labels"]),
                annotations: texts(&alert["annotations"]),
            })
            .collect())
    }

    /// The names of all alerts that have fired within the last minutes.
    ///
    /// # Errors
    /// When Prometheus does not say.
    pub fn fired(&self) -> Result<BTreeSet<String>> {
        let expression = "group by (alertname) (max_over_time(ALERTS{alertstate=\"firing\"}[10m]))";
        let answer = self.json("/api/v1/query", &[("query", expression)])?;
        let series = answer["data"]["result"].as_array().context("no result")?;
        let names = series.iter().map(|one| one["metric"]["alertname"].as_str());
        Ok(names.flatten().map(str::to_owned).collect())
    }

    /// What went wrong with rules when they were evaluated the last time.
    ///
    /// # Errors
    /// When Prometheus does not say.
    pub fn complaints_of_rules(&self) -> Result<Vec<String>> {
        let answer = self.json("/api/v1/rules", &[])?;
        let groups = answer["data"]["groups"].as_array().context("groups")?;
        let rules = groups.iter().filter_map(|group| group["rules"].as_array());
        let wrong = rules.flatten().filter(|rule| rule["health"] != "ok");
        Ok(wrong.map(ToString::to_string).collect())
    }

    /// Whether the scraped text declared a family of this very name.
    ///
    /// # Errors
    /// When Prometheus does not say.
    pub fn declares(&self, family: &str) -> Result<bool> {
        let answer = self.json("/api/v1/targets/metadata", &[("metric", family)])?;
        Ok(answer["data"].as_array().is_some_and(|all| !all.is_empty()))
    }

    /// What it has logged so far.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn log(&self) -> Result<String> {
        self.process.log()
    }

    fn json(&self, path: &str, query: &[(&str, &str)]) -> Result<Value> {
        let answer: Value = serde_json::from_str(&self.get(path, query)?)?;
        ensure!(answer["status"] == "success", "{path}: {answer}");
        Ok(answer)
    }

    fn get(&self, path: &str, query: &[(&str, &str)]) -> Result<String> {
        self.network.within(Side::Server, || {
            let agent: Agent = Agent::config_builder()
                .timeout_global(Some(Duration::from_secs(5)))
                .build()
                .into();
            let mut request = agent.get(format!("http://{ADDRESS}{path}"));
            for (name, value) in query {
                request = request.query(*name, *value);
            }
            Ok(request.call()?.body_mut().read_to_string()?)
        })
    }
}

/// An object whose values are texts.
fn texts(object: &Value) -> BTreeMap<String, String> {
    let entries = object.as_object().into_iter().flatten();
    entries
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())))
        .collect()
}
