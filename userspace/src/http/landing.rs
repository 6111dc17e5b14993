//! The page at `/`: what this is, where the metrics are, what runs.
//!
//! Plain HTML without scripts or anything fetched from elsewhere, so that it
//! works in a text browser over ssh. `maud` escapes what it interpolates.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::routes::{HEALTHY_PATH, READY_PATH, TelemetryPath};

const STYLE: &str = "\
:root { color-scheme: light dark; }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; }
th, td { text-align: start; vertical-align: top; padding: .25rem 1.5rem .25rem 0; overflow-wrap: anywhere; }
th { font-weight: 600; white-space: nowrap; }";

pub(super) fn page(telemetry_path: &TelemetryPath, facts: &[(String, String)]) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { "xdsc" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main {
                    h1 { "xdsc" }
                    p { "DNS statistics from inside the kernel, for Prometheus." }
                    (links(telemetry_path))
                    (table(facts))
                }
            }
        }
    };
    page.into_string()
}

fn links(telemetry_path: &TelemetryPath) -> Markup {
    html! {
        nav aria-label="Endpoints" {
            ul {
                li { a href=(telemetry_path) { "Metrics" } }
                li { a href=(HEALTHY_PATH) { "Health" } }
                li { a href=(READY_PATH) { "Readiness" } }
            }
        }
    }
}

fn table(facts: &[(String, String)]) -> Markup {
    html! {
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

#[cfg(test)]
mod tests {
    use super::page;
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
        assert!(!page.contains("<script"), "{page}");
    }

    #[test]
    fn the_page_fetches_nothing_and_leads_to_the_metrics()
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
        for foreign in ["http:", "https:", "src=", "url(", "@import", "<table"] {
            assert!(!page.contains(foreign), "{foreign} in {page}");
        }
        Ok(())
    }
}
