//! docs/dashboards.md: what there is, how to use it, and what stands where.

use std::fmt::Write as _;

use super::{
    path,
    predecessors::{PROGRAMS, Theirs},
    schema::{Dashboard, Item, Panel},
    unused::UNUSED,
};

const INTRODUCTION: &str = "\
# Dashboards

Dashboards for Grafana 11 or later, with Prometheus (or what speaks its language)
as data source. This page and the dashboards are made from one source
(`cargo xtask generate`); to change them, change that, or save copies of them.

## Import

Provisioning: put the files of `dashboards/grafana/` into a folder that a provider
of Grafana names (`/etc/grafana/provisioning/dashboards/`). By hand: Dashboards,
New, Import, one file after another. No data source is named in them: choose one at
the top of each dashboard.

They take the labels `job` and `instance`, which Prometheus sets, and `site`,
which you set where targets are configured:

```yaml
scrape_configs:
  - job_name: xdsc
    scrape_interval: 15s
    static_configs:
      - targets: [ns1.example.net:9953, ns2.example.net:9953]
        labels: { site: ams }
```

Without sites they work as well. The recording rules are not needed; they are for
alerts, and for ranges of many weeks.

## How to read them

- The buttons at the top lead to the same nodes and the same time on another
  dashboard; names of sites, nodes, zones and customers in tables lead further.
- Purple marks are restarts of xdsc.
- Colours mean the same on all dashboards: an RCODE, a type, a transport has its own.
- Lists of what is greatest are those of the whole time shown, and so are the lines
  beside them: choose a short time to see what is great in it. What has no cell of
  its own in xdsc is `other`, and left out of lists.
- Where a heading says what a section needs, it is empty without. A series that
  xdsc does not export costs nothing.
- Client networks are shown as far as `[privacy]` of xdsc lets them.
- For long ranges, lists are asked for over the whole range: a month over hundreds
  of nodes takes Prometheus some seconds.

";

/// The whole page.
pub(super) fn page(dashboards: &[Dashboard]) -> String {
    let mut page = INTRODUCTION.to_owned();
    page.push_str("## What there is\n\n| Dashboard | What for | File |\n|---|---|---|\n");
    for dashboard in dashboards {
        let path = path(dashboard);
        line(
            &mut page,
            &[
                short_title(dashboard),
                &dashboard.description,
                &format!("[{}.json](../{path})", dashboard.uid),
            ],
        );
    }
    for dashboard in dashboards {
        let title = short_title(dashboard);
        page.push_str(&format!(
            "\n### {title}\n\n| Panel | What it shows |\n|---|---|\n"
        ));
        for panel in panels(dashboard).filter(|panel| !panel.description.is_empty()) {
            line(&mut page, &[&panel.title, &panel.description]);
        }
    }
    others(&mut page, dashboards);
    unused(&mut page);
    page
}

/// The panels, those in collapsed sections as well.
pub(super) fn panels(dashboard: &Dashboard) -> impl Iterator<Item = &Panel> {
    dashboard.panels.iter().flat_map(|item| match item {
        Item::Panel(panel) => std::slice::from_ref(&**panel),
        Item::Row(row) => &row.panels,
    })
}

fn others(page: &mut String, dashboards: &[Dashboard]) {
    page.push_str(
        "\n## Coming from other programs\n\n\
         What the dashboards of others show, and where it is here.\n",
    );
    for program in PROGRAMS {
        let name = program.name;
        page.push_str(&format!(
            "\n### {name}\n\n| There | Here | Difference |\n|---|---|---|\n"
        ));
        for theirs in program.panels {
            line(page, &[theirs.name, &ours(theirs, dashboards), theirs.note]);
        }
    }
}

fn ours(theirs: &Theirs, dashboards: &[Dashboard]) -> String {
    let of = |(uid, title): &(&str, &str)| {
        let dashboard = dashboards.iter().find(|dashboard| dashboard.uid == *uid);
        format!("{}: {title}", dashboard.map_or(*uid, short_title))
    };
    theirs.ours.iter().map(of).collect::<Vec<_>>().join("<br>")
}

fn unused(page: &mut String) {
    page.push_str(
        "\n## Families that are not used\n\n\
         Every other family of [METRICS.md](METRICS.md) is in a panel, an alert or a\n\
         recording rule.\n\n| Family | Why not |\n|---|---|\n",
    );
    for (family, reason) in UNUSED {
        line(page, &[&format!("`{family}`"), reason]);
    }
}

/// Titles on Grafana's own list begin with what all have in common.
fn short_title(dashboard: &Dashboard) -> &str {
    let (_, short) = dashboard
        .title
        .split_once(" / ")
        .unwrap_or(("", &dashboard.title));
    short
}

fn line(page: &mut String, cells: &[&str]) {
    for cell in cells {
        // Writing to a string does not fail.
        _ = write!(page, "| {} ", cell.replace('|', "\\|").replace('*', "\\*"));
    }
    page.push_str("|\n");
}
