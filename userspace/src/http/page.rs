//! The page at `/`: what goes on right now, and where everything else is.
//!
//! The skeleton is written here, so that it has its headings and links before any
//! script runs, and without scripts is still of use in a text browser over ssh.
//! What moves is filled in by the modules under `page/`, from the JSON API. Nothing
//! is fetched from elsewhere: the security policy forbids it. `maud` escapes what it
//! interpolates, the scripts set texts only.

use axum::{
    Router,
    extract::Path,
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use maud::{DOCTYPE, Markup, html};

use super::{
    api::OPENAPI_PATH,
    routes::{HEALTHY_PATH, READY_PATH, Site, TelemetryPath, encoding},
    scrape::{Encoding, gzip},
};

/// Where its parts are.
const ASSET_PATH: &str = "/-/page/{name}";

/// What the browser may do: run and show what comes from here, and nothing else.
pub(super) const CONTENT_POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const JAVASCRIPT: &str = "text/javascript; charset=utf-8";

/// A part of the page.
struct Asset {
    name: &'static str,
    content_type: &'static str,
    content: &'static str,
}

const fn asset(name: &'static str, content_type: &'static str, content: &'static str) -> Asset {
    Asset {
        name,
        content_type,
        content,
    }
}

const ASSETS: [Asset; 8] = [
    asset(
        "page.css",
        "text/css; charset=utf-8",
        include_str!("page/page.css"),
    ),
    asset("page.js", JAVASCRIPT, include_str!("page/page.js")),
    asset("chart.js", JAVASCRIPT, include_str!("page/chart.js")),
    asset("format.js", JAVASCRIPT, include_str!("page/format.js")),
    asset("list.js", JAVASCRIPT, include_str!("page/list.js")),
    asset("map.js", JAVASCRIPT, include_str!("page/map.js")),
    asset(
        "world.json",
        "application/json",
        include_str!("page/world.json"),
    ),
    asset("icon.svg", "image/svg+xml", include_str!("page/icon.svg")),
];

/// A list on the page.
struct Panel {
    /// The name of the indexer that it is by.
    of: &'static str,
    title: &'static str,
    /// What its first column has.
    column: &'static str,
    extra: Extra,
}

/// What a list has beside its rows.
#[derive(PartialEq, Eq)]
enum Extra {
    None,
    /// Ten minutes, in layers.
    Chart,
    Map,
}

const fn panel(of: &'static str, title: &'static str, column: &'static str, extra: Extra) -> Panel {
    Panel {
        of,
        title,
        column,
        extra,
    }
}

const PANELS: [Panel; 13] = [
    panel("qtype", "Queries by type", "Type", Extra::Chart),
    panel("rcode", "Responses by code", "Code", Extra::Chart),
    panel("country", "Countries", "Country", Extra::Map),
    panel("tld", "Top-level domains", "TLD", Extra::None),
    panel("second_ld", "Domains", "Domain", Extra::None),
    panel("qname", "Names", "Name", Extra::None),
    panel("client_subnet", "Clients", "Network", Extra::None),
    panel("asn", "Autonomous systems", "AS", Extra::None),
    panel("zone", "Zones", "Zone", Extra::None),
    panel(
        "query_classification",
        "Classification",
        "Class",
        Extra::None,
    ),
    panel("transport", "Transport", "Transport", Extra::None),
    panel("network", "Known networks", "Network", Extra::None),
    panel("customer", "Customers", "Customer", Extra::None),
];

/// The figures at the top: names, titles, and the series of their lines.
const FIGURES: [(&str, &str); 8] = [
    ("queries", "Queries"),
    ("responses", "Responses"),
    ("response-time", "Response time"),
    ("unanswered", "Unanswered"),
    ("traffic", "Traffic"),
    ("truncated", "Truncated"),
    ("tcp", "Over TCP"),
    ("ipv6", "Over IPv6"),
];

/// The routes of the page's parts.
pub(super) fn router() -> Router<Site> {
    Router::new().route(ASSET_PATH, get(part))
}

/// The page itself.
pub(super) fn page(telemetry_path: &TelemetryPath, facts: &[(String, String)]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            (head())
            body {
                a.skip href="#main" { "Skip to the figures" }
                (banner())
                main id="main" {
                    h1.spoken { "DNS traffic right now" }
                    (health())
                    (without_scripts(facts))
                    div.live hidden {
                        (filter())
                        (figures())
                        (panels())
                        (itself())
                    }
                }
                (links(telemetry_path))
            }
        }
    };
    page.into_string()
}

fn head() -> Markup {
    html! {
        head {
            meta charset="utf-8";
            meta name="viewport" content="width=device-width, initial-scale=1";
            meta name="color-scheme" content="light dark";
            title { "xdsc" }
            link rel="icon" href="/-/page/icon.svg";
            link rel="stylesheet" href="/-/page/page.css";
            script type="module" src="/-/page/page.js" {}
        }
    }
}

fn banner() -> Markup {
    html! {
        header.banner {
            p.brand { "xdsc" }
            p.instance id="instance" {}
            p.state id="state" data-state="none" {}
            button.theme id="theme" type="button" hidden { "Theme: auto" }
        }
    }
}

/// Only this is spoken by itself.
fn health() -> Markup {
    html! {
        section.health aria-labelledby="health-title" {
            h2.spoken id="health-title" { "Health" }
            div id="health" role="status" aria-live="polite" {}
            dl.gauges id="gauges" {}
        }
    }
}

fn filter() -> Markup {
    html! {
        section.filter id="filter" aria-label="Filter" hidden {
            p {
                "Lists show "
                strong id="filter-text" {}
                " only. The figures above them are of all messages."
            }
            button id="filter-clear" type="button" { "Show all" }
        }
    }
}

fn figures() -> Markup {
    html! {
        section aria-labelledby="figures-title" {
            h2.spoken id="figures-title" { "Figures" }
            div.figures {
                @for (name, title) in FIGURES {
                    div.figure id={ "figure-" (name) } {
                        h3 { (title) }
                        p.value { "–" }
                        p.detail {}
                        svg.line aria-hidden="true" focusable="false" {}
                    }
                }
            }
        }
    }
}

fn panels() -> Markup {
    html! {
        div.panels {
            @for panel in &PANELS {
                section.panel id={ "panel-" (panel.of) } data-of=(panel.of)
                    aria-labelledby={ "title-" (panel.of) } {
                    header {
                        h2 id={ "title-" (panel.of) } { (panel.title) }
                        p.sum {}
                    }
                    @match panel.extra {
                        Extra::Chart => {
                            svg.chart role="img" focusable="false"
                                aria-label={ (panel.title) ", the last ten minutes" } {}
                        }
                        Extra::Map => {
                            svg.map role="img" focusable="false"
                                aria-label="Map of the world: queries by country, as in the table" {}
                        }
                        Extra::None => {}
                    }
                    p.note hidden {}
                    (rows(panel))
                }
            }
        }
    }
}

fn rows(panel: &Panel) -> Markup {
    html! {
        table.rows aria-labelledby={ "title-" (panel.of) } {
            thead {
                tr {
                    th scope="col" { (panel.column) }
                    th.number scope="col" { "per s" }
                    th.number scope="col" { "total" }
                }
            }
            tbody {}
        }
    }
}

fn itself() -> Markup {
    html! {
        section.panel.itself aria-labelledby="itself-title" {
            header { h2 id="itself-title" { "xdsc itself" } }
            div.tables {
                (state_table("account", "Where packets went", &["Hook", "packets", "DNS", "segments", "not DNS", "unreadable", "fragments", "delivered", "sampled out", "lost"]))
                (state_table("rings", "Rings", &["Ring", "keeps 1 in", "in use", "waiting", "lag", "worst", "lost"]))
                (state_table("stages", "Stages", &["Stage", "waiting", "lag", "worst"]))
            }
        }
    }
}

fn state_table(id: &str, title: &str, columns: &[&str]) -> Markup {
    html! {
        div.scroll tabindex="0" role="region" aria-labelledby={ (id) "-title" } {
            h3 id={ (id) "-title" } { (title) }
            table.numbers id=(id) aria-labelledby={ (id) "-title" } {
                thead {
                    tr {
                        @for (index, column) in columns.iter().enumerate() {
                            @if index == 0 { th scope="col" { (column) } }
                            @else { th.number scope="col" { (column) } }
                        }
                    }
                }
                tbody {}
            }
        }
    }
}

fn links(telemetry_path: &TelemetryPath) -> Markup {
    html! {
        footer {
            nav aria-label="Endpoints" {
                ul {
                    li { a href=(telemetry_path) { "Metrics" } }
                    li { a href=(HEALTHY_PATH) { "Health" } }
                    li { a href=(READY_PATH) { "Readiness" } }
                    li { a href=(OPENAPI_PATH) { "API" } }
                }
            }
            p { "DNS statistics from inside the kernel, for Prometheus. Borders: Natural Earth." }
        }
    }
}

fn without_scripts(facts: &[(String, String)]) -> Markup {
    html! {
        noscript {
            p { "What goes on right now is shown by scripts, which do not run here. The metrics have all of it." }
            @if !facts.is_empty() {
                h2 id="facts" { "This instance" }
                table aria-labelledby="facts" {
                    tbody {
                        @for (name, value) in facts {
                            tr {
                                th scope="row" { (name) }
                                td { (value) }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// A part of the page, unless the browser has it.
async fn part(Path(name): Path<String>, headers: HeaderMap) -> Response {
    let mut assets = ASSETS.iter();
    let Some(asset) = assets.find(|asset| asset.name == name) else {
        return (StatusCode::NOT_FOUND, "No such part of the page.\n").into_response();
    };
    let tag = tag(asset.content);
    let known = headers.get(IF_NONE_MATCH);
    let is_known = known.is_some_and(|known| known.as_bytes() == tag.as_bytes());
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        content(asset, encoding(&headers))
    };
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        headers.insert(ETAG, tag);
    }
    response
}

fn content(asset: &Asset, encoding: Encoding) -> Response {
    let packed = (encoding == Encoding::Gzip)
        .then(|| gzip(asset.content.as_bytes()).ok())
        .flatten();
    let mut response = match packed {
        Some(packed) => ([(CONTENT_ENCODING, "gzip")], packed).into_response(),
        None => asset.content.into_response(),
    };
    let content_type = HeaderValue::from_static(asset.content_type);
    response.headers_mut().insert(CONTENT_TYPE, content_type);
    response
}

/// The same for the same content.
fn tag(content: &str) -> String {
    use std::hash::BuildHasher as _;
    let hash = foldhash::quality::FixedState::default().hash_one(content);
    format!("W/\"{hash:016x}\"")
}

#[cfg(test)]
mod tests {
    use super::{ASSETS, page};
    use crate::http::TelemetryPath;

    #[test]
    fn facts_cannot_become_markup() {
        let facts = [(
            "<b>\"node\"".to_owned(),
            "</td><script>alert('1')</script>&amp;".to_owned(),
        )];
        let page = page(&TelemetryPath::default(), &facts);
        assert!(
            page.contains("<th scope=\"row\">&lt;b&gt;&quot;node&quot;</th>"),
            "{page}"
        );
        assert!(
            page.contains("<td>&lt;/td&gt;&lt;script&gt;alert('1')&lt;/script&gt;&amp;amp;</td>"),
            "{page}"
        );
        assert_eq!(page.matches("<script").count(), 1, "{page}");
    }

    #[test]
    fn the_page_fetches_nothing_from_elsewhere_and_leads_to_the_metrics()
    -> Result<(), crate::http::TelemetryPathError> {
        let page = page(&"/dns/metrics".parse()?, &[]);
        assert!(
            page.starts_with("<!DOCTYPE html><html lang=\"en\">"),
            "{page}"
        );
        assert!(
            page.contains("<a href=\"/dns/metrics\">Metrics</a>"),
            "{page}"
        );
        for foreign in ["http:", "https:", "url(", "@import", "style=", " on"] {
            assert!(!page.contains(&format!("=\"{foreign}")), "{foreign}");
        }
        for (part, _) in page.match_indices("src=\"") {
            assert!(page[part..].starts_with("src=\"/-/page/"), "{page}");
        }
        Ok(())
    }

    #[test]
    fn texts_never_become_markup_in_the_scripts() {
        for asset in &ASSETS {
            let forbidden = [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "https:",
            ];
            for word in forbidden {
                assert!(!asset.content.contains(word), "{word} in {}", asset.name);
            }
        }
    }
}
