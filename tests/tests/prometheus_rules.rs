//! The rules for Prometheus: promtool finds them valid and runs their cases, each
//! alert has cases and a runbook, and nothing is named that xdsc does not export.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
    thread,
};

use anyhow::{Context as _, Result, ensure};
use clap::Parser as _;
use integration_tests::rules::{FILES, Rule, folder, load, named, repository};
use serde::Deserialize;
use xdsc::cli::Cli;

const SEVERITIES: [&str; 3] = ["critical", "warning", "info"];
const SECTIONS: [&str; 4] = [
    "## What it means",
    "## How to check",
    "## What to do",
    "## False alarms",
];
/// What Prometheus itself adds to every target.
const OF_TARGETS: [&str; 3] = ["up", "scrape_duration_seconds", "scrape_samples_scraped"];
const TARGET_LABELS: [&str; 2] = ["job", "instance"];

#[test]
fn promtool_finds_the_rules_and_the_example_valid() -> Result<()> {
    for file in FILES {
        promtool(&["check", "rules", "--lint=all", "--lint-fatal", file])?;
    }
    promtool(&["check", "config", "../prometheus.yml"])
}

#[test]
fn every_case_comes_out_as_it_says() -> Result<()> {
    let files = files_in(&folder().join("tests"))?;
    thread::scope(|scope| {
        let runs = files.iter().map(|file| {
            scope.spawn(move || promtool(&["test", "rules", &format!("tests/{file}")]))
        });
        let runs: Vec<_> = runs.collect();
        runs.into_iter().try_for_each(|run| {
            run.join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    })
}

fn promtool(arguments: &[&str]) -> Result<()> {
    let output = Command::new("promtool")
        .args(arguments)
        .current_dir(folder())
        .output()
        .context("cannot start promtool: `cargo xtask setup` installs it")?;
    ensure!(
        output.status.success(),
        "promtool {arguments:?}:\n{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// What is read of a file of cases.
#[derive(Debug, Deserialize)]
struct Cases {
    tests: Vec<Case>,
}

#[derive(Debug, Deserialize)]
struct Case {
    alert_rule_test: Vec<Check>,
}

#[derive(Debug, Deserialize)]
struct Check {
    alertname: String,
    exp_alerts: Vec<serde::de::IgnoredAny>,
}

#[test]
fn every_alert_has_a_case_that_raises_it_and_one_that_does_not() -> Result<()> {
    let mut raised = BTreeSet::new();
    let mut silent = BTreeSet::new();
    for file in files_in(&folder().join("tests"))? {
        let text = fs::read_to_string(folder().join("tests").join(&file))?;
        let cases: Cases = serde_saphyr::from_str(&text).with_context(|| file)?;
        for case in cases.tests {
            let (never, at_times) = outcomes(case.alert_rule_test);
            silent.extend(never);
            raised.extend(at_times);
        }
    }
    let alerts: BTreeSet<_> = alerts()?.into_keys().collect();
    assert_eq!(raised, alerts, "a case that raises it");
    assert_eq!(silent, alerts, "a case that does not");
    Ok(())
}

/// The alerts that a case looks at: those that it never raises, and the others.
fn outcomes(checks: Vec<Check>) -> (BTreeSet<String>, BTreeSet<String>) {
    let names = |checks: &[Check], raised: bool| -> BTreeSet<String> {
        let kept = checks.iter();
        kept.filter(|it| it.exp_alerts.is_empty() != raised)
            .map(|it| it.alertname.clone())
            .collect()
    };
    let raised = names(&checks, true);
    let quiet = names(&checks, false);
    (quiet.difference(&raised).cloned().collect(), raised)
}

#[test]
fn every_alert_says_what_it_is_and_has_a_runbook() -> Result<()> {
    let alerts = alerts()?;
    let list = fs::read_to_string(repository().join("docs/alerts.md"))?;
    for (name, rule) in &alerts {
        let severity = rule.labels.get("severity").context("a severity")?;
        ensure!(
            SEVERITIES.contains(&severity.as_str()),
            "{name}: {severity}"
        );
        for annotation in ["summary", "description"] {
            ensure!(rule.annotations.contains_key(annotation), "{name}");
        }
        let link = rule.annotations.get("runbook_url").context("a link")?;
        ensure!(link.ends_with(&format!("}}{name}.md")), "{name}: {link}");
        let runbook = runbook(name)?;
        ensure!(runbook.starts_with(&format!("# {name}\n")), "{name}");
        let headings: Vec<_> = runbook.lines().filter(|it| it.starts_with("## ")).collect();
        ensure!(headings == SECTIONS, "{name}: {headings:?}");
        ensure!(runbook.contains("\n```promql\n"), "{name}: how to check");
        let hold = rule.hold.as_deref().unwrap_or("at once");
        let row = format!("| [{name}](runbooks/{name}.md) | {severity} | {hold} |");
        ensure!(list.contains(&row), "docs/alerts.md lacks {row}");
    }
    let runbooks = files_in(&repository().join("docs/runbooks"))?;
    let expected: BTreeSet<_> = alerts.keys().map(|it| format!("{it}.md")).collect();
    assert_eq!(runbooks, expected);
    Ok(())
}

#[test]
fn every_threshold_is_used_and_told() -> Result<()> {
    let list = fs::read_to_string(repository().join("docs/alerts.md"))?;
    let mut defined = BTreeSet::new();
    for rule in load("thresholds.yml")? {
        let Some(name) = rule.labels.get("name") else {
            continue;
        };
        ensure!(defined.insert(name.clone()), "{name} twice");
        let value = rule.expr.strip_prefix("vector(");
        let value = value.and_then(|it| it.strip_suffix(')'));
        let row = format!("| `{name}` | {} |", value.context("a number")?);
        ensure!(list.contains(&row), "docs/alerts.md lacks {row}");
    }
    let alerts = alerts()?;
    let used: BTreeSet<_> = alerts
        .values()
        .flat_map(|rule| rule.expr.split("scalar(xdsc:threshold{name=\"").skip(1))
        .filter_map(|rest| rest.split('"').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(used, defined);
    Ok(())
}

#[test]
fn rules_and_runbooks_name_only_what_there_is() -> Result<()> {
    let known = known_series()?;
    for file in FILES {
        for rule in load(file)? {
            let name = rule.record.or(rule.alert).unwrap_or_default();
            check_names(&rule.expr, &known).with_context(|| name)?;
        }
    }
    for alert in alerts()?.keys() {
        for expression in expressions(&runbook(alert)?) {
            check_names(&expression, &known).with_context(|| format!("the runbook of {alert}"))?;
        }
    }
    Ok(())
}

#[test]
fn runbooks_call_xdsc_as_it_can_be_called() -> Result<()> {
    let mut calls = 0;
    for alert in alerts()?.keys() {
        for line in blocks(&runbook(alert)?, "sh") {
            let Some(arguments) = line.strip_prefix("xdsc ") else {
                continue;
            };
            let arguments = arguments.split(['|', '#']).next().unwrap_or("");
            let words = ["xdsc"].into_iter().chain(arguments.split_whitespace());
            Cli::try_parse_from(words).with_context(|| format!("{alert}: {line}"))?;
            calls += 1;
        }
    }
    ensure!(calls > 5, "{calls} calls");
    Ok(())
}

fn check_names(expression: &str, known: &BTreeMap<String, BTreeSet<String>>) -> Result<()> {
    let named = named(expression);
    let mut all = BTreeSet::new();
    for (series, selected) in &named.series {
        let labels = known
            .get(series)
            .with_context(|| format!("there is no {series}, in: {expression}"))?;
        let wrong: Vec<_> = selected.difference(labels).collect();
        ensure!(wrong.is_empty(), "{series} has no {wrong:?}");
        all.extend(labels.iter().cloned());
    }
    let wrong: Vec<_> = named.groupings.difference(&all).collect();
    ensure!(wrong.is_empty(), "nothing has {wrong:?}, in: {expression}");
    Ok(())
}

/// Everything that a rule may name, with its labels: what xdsc exports, what
/// Prometheus adds, and what is recorded.
fn known_series() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let mut known = exported()?;
    let target: BTreeSet<_> = TARGET_LABELS.map(str::to_owned).into();
    known.extend(OF_TARGETS.map(|name| (name.to_owned(), target.clone())));
    for file in ["thresholds.yml", "recording.yml"] {
        for rule in load(file)? {
            let name = rule.record.context("a record")?;
            let level = name.split(':').next().context("a level")?;
            let labels = recorded_labels(level).with_context(|| name.clone())?;
            let own = rule.labels.into_keys();
            known.entry(name).or_default().extend(own.chain(labels));
        }
    }
    Ok(known)
}

/// The labels that the level of a recorded series leaves.
fn recorded_labels(level: &str) -> Result<Vec<String>> {
    let labels: &[&str] = match level {
        "instance" => &["job", "instance", "site", "node"],
        "instance_rcode" => &["job", "instance", "site", "node", "rcode"],
        "instance_qtype" => &["job", "instance", "site", "node", "qtype"],
        "site" => &["job", "site"],
        "job" => &["job"],
        "qtype" => &["job", "qtype"],
        "country" => &["job", "country_code"],
        "xdsc" => &[],
        _ => anyhow::bail!("the level {level} is not known here"),
    };
    Ok(labels.iter().map(|it| (*it).to_owned()).collect())
}

/// The series of the families in docs/METRICS.md, with their labels.
fn exported() -> Result<BTreeMap<String, BTreeSet<String>>> {
    let page = fs::read_to_string(repository().join("docs/METRICS.md"))?;
    let (_, table) = page.split_once("## Families").context("families")?;
    let (table, _) = table.split_once("\n## ").context("what follows them")?;
    let mut series = BTreeMap::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let [_, name, kind, labels, ..] = cells.as_slice() else {
            anyhow::bail!("no family: {row}");
        };
        let name = name.trim_matches('`');
        let labels = labels.split(", ").map(|it| it.trim_matches('`').to_owned());
        let mut labels: BTreeSet<_> = labels.filter(|it| !it.is_empty()).collect();
        labels.extend(TARGET_LABELS.map(str::to_owned));
        // A label `site` of the target, which names the site of every series.
        labels.insert("site".to_owned());
        if *kind == "histogram" {
            for suffix in ["_sum", "_count"] {
                series.insert(format!("{name}{suffix}"), labels.clone());
            }
            labels.insert("le".to_owned());
            series.insert(format!("{name}_bucket"), labels);
        } else {
            series.insert(name.to_owned(), labels);
        }
    }
    ensure!(series.len() > 100, "{} series", series.len());
    Ok(series)
}

/// The expressions in a page, each in a line or several that are indented.
fn expressions(page: &str) -> Vec<String> {
    let mut expressions: Vec<String> = Vec::new();
    for line in blocks(page, "promql") {
        match expressions.last_mut() {
            Some(last) if line.starts_with(' ') => last.push_str(line),
            _ => expressions.push(line.to_owned()),
        }
    }
    expressions
}

/// The lines of a page that are in a language.
fn blocks<'a>(page: &'a str, language: &str) -> Vec<&'a str> {
    let fence = format!("```{language}\n");
    let blocks = page.split(&fence).skip(1);
    let lines = blocks.flat_map(|block| block.split("```").next().unwrap_or("").lines());
    lines.collect()
}

fn alerts() -> Result<BTreeMap<String, Rule>> {
    let rules = load("alerts.yml")?.into_iter();
    rules
        .map(|rule| Ok((rule.alert.clone().context("an alert")?, rule)))
        .collect()
}

fn runbook(alert: &str) -> Result<String> {
    let path = repository().join(format!("docs/runbooks/{alert}.md"));
    fs::read_to_string(&path).with_context(|| format!("no runbook {}", path.display()))
}

fn files_in(folder: &Path) -> Result<BTreeSet<String>> {
    let names = fs::read_dir(folder)?.map(|entry| {
        let name = entry?.file_name();
        Ok(name.to_string_lossy().into_owned())
    });
    names.collect()
}
