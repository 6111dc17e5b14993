//! Grafana's dashboards: one typed source, from which `generate` writes the JSON.
//!
//! `schema` is Grafana's JSON as types, `panel` what panels look like, `query` the
//! PromQL, `palette` the colours, `layout` the grid. Each dashboard has a module of
//! its own that only says what is shown. `page` writes docs/dashboards.md, with
//! what the dashboards of other programs show and which of our panels does, from
//! `predecessors`. Nothing here asks a Prometheus: the tests of
//! `integration-tests` do.

mod attack;
mod clients;
mod customers;
mod health;
mod layout;
mod limits;
mod overview;
mod page;
mod palette;
mod panel;
mod predecessors;
mod queries;
mod query;
mod responses;
mod rssac002;
mod schema;
#[cfg(test)]
mod tests;
mod unused;
mod variables;

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};

use self::{
    layout::Section,
    schema::{Dashboard, DashboardLink, Templating, TimeRange, Variable},
};
use crate::workspace;

/// What all of them have, so that links find them.
const TAG: &str = "xdsc";

/// Writes the files anew.
pub(crate) fn write() -> Result<()> {
    for (path, text) in files()? {
        let path = workspace::root().join(path);
        let folder = path.parent().context("a file has a folder")?;
        fs::create_dir_all(folder)?;
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Compares the files with what would be written.
pub(crate) fn check() -> Result<()> {
    for (path, text) in files()? {
        let found = fs::read_to_string(workspace::root().join(&path)).unwrap_or_default();
        ensure!(
            found == text,
            "{path} is out of date; run `cargo xtask generate` and commit it"
        );
    }
    Ok(())
}

/// Paths from the root of the repository, and texts.
fn files() -> Result<Vec<(String, String)>> {
    let dashboards = dashboards();
    let mut files = vec![("docs/dashboards.md".to_owned(), page::page(&dashboards))];
    for dashboard in &dashboards {
        let text = serde_json::to_string_pretty(dashboard)?;
        files.push((path(dashboard), text + "\n"));
    }
    Ok(files)
}

fn path(dashboard: &Dashboard) -> String {
    let folder = Path::new("dashboards/grafana");
    let name = format!("{}.json", dashboard.uid);
    folder.join(name).display().to_string()
}

/// All of them, in the order in which an operator goes through them.
fn dashboards() -> Vec<Dashboard> {
    vec![
        overview::dashboard(),
        queries::dashboard(),
        responses::dashboard(),
        clients::dashboard(),
        attack::dashboard(),
        customers::dashboard(),
        rssac002::dashboard(),
        health::dashboard(),
    ]
}

/// A dashboard with all that they have in common.
fn dashboard(
    uid: &str,
    title: &str,
    description: &str,
    variables: Vec<Variable>,
    sections: Vec<Section>,
) -> Dashboard {
    Dashboard {
        uid: uid.to_owned(),
        title: format!("xdsc / {title}"),
        description: description.to_owned(),
        tags: vec![TAG.to_owned(), "dns".to_owned()],
        schema_version: schema::SCHEMA_VERSION,
        editable: false,
        graph_tooltip: 1,
        refresh: "30s".to_owned(),
        time: TimeRange {
            from: "now-6h".to_owned(),
            to: "now".to_owned(),
        },
        timezone: "browser".to_owned(),
        links: vec![links()],
        templating: Templating {
            list: variables::of_all().into_iter().chain(variables).collect(),
        },
        annotations: variables::annotations(),
        panels: layout::place(sections),
    }
}

/// All dashboards of ours, with what is chosen here.
fn links() -> DashboardLink {
    DashboardLink {
        title: "xdsc".to_owned(),
        tooltip: "The same nodes and the same time on another dashboard".to_owned(),
        kind: "dashboards",
        tags: vec![TAG.to_owned()],
        icon: "external link".to_owned(),
        as_dropdown: false,
        include_vars: true,
        keep_time: true,
        target_blank: false,
    }
}
