//! The JSON API: `/api/v1/...`.
//!
//! `view` answers for the page at `/`, `xdsc top` and others who look; `tail` has
//! the enriched stream. What may be shown to whom depends on who asks (`audience`),
//! errors are `problem`s, and `openapi` says all of it to programs. Requests are
//! strict: a parameter that is misspelt is an error, not a surprise.

mod audience;
mod openapi;
mod parameters;
mod problem;
mod tail;
mod view;

use axum::{Router, routing::get};

use super::routes::Site;
pub(super) use problem::Problem;
pub use tail::Tail;

/// What all paths of the API begin with.
pub(super) const PREFIX: &str = "/api/";
const SUMMARY_PATH: &str = "/api/v1/summary";
const HISTORY_PATH: &str = "/api/v1/history";
const DATASETS_PATH: &str = "/api/v1/datasets";
const DATASET_PATH: &str = "/api/v1/datasets/{name}";
const EVENTS_PATH: &str = "/api/v1/events";
const TAIL_PATH: &str = "/api/v1/tail";
/// Where the description is.
pub(super) const OPENAPI_PATH: &str = "/api/v1/openapi.json";

/// The routes of the API.
pub(super) fn router() -> Router<Site> {
    Router::new()
        .route(SUMMARY_PATH, get(view::summary))
        .route(HISTORY_PATH, get(view::history))
        .route(DATASETS_PATH, get(view::datasets))
        .route(DATASET_PATH, get(view::dataset))
        .route(EVENTS_PATH, get(view::events))
        .route(TAIL_PATH, get(tail::tail))
        .route(OPENAPI_PATH, get(openapi::document))
}

/// The description of the API, as JSON.
#[must_use]
pub fn openapi() -> String {
    openapi::text()
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    /// All but the description itself.
    const PATHS: [&str; 6] = [
        SUMMARY_PATH,
        HISTORY_PATH,
        DATASETS_PATH,
        DATASET_PATH,
        EVENTS_PATH,
        TAIL_PATH,
    ];

    #[test]
    fn the_description_has_every_route_and_every_parameter_has_its_own() {
        let api: Value = serde_json::from_str(&openapi()).expect("JSON");
        assert_eq!(api["openapi"], "3.1.0");
        let paths = api["paths"].as_object().expect("paths");
        let described: Vec<_> = paths.keys().collect();
        assert_eq!(described.len(), PATHS.len(), "{described:?}");
        for path in PATHS {
            let operation = &paths[path]["get"];
            assert!(operation["summary"].is_string(), "{path}");
            let parameters = operation["parameters"].as_array();
            for parameter in parameters.into_iter().flatten() {
                assert!(parameter["description"].is_string(), "{path}: {parameter}");
            }
        }
    }

    #[test]
    fn the_description_names_each_parameter_of_the_stream() {
        let api: Value = serde_json::from_str(&openapi()).expect("JSON");
        let parameters = &api["paths"][TAIL_PATH]["get"]["parameters"];
        let described = parameters.as_array().expect("parameters").iter();
        let described: Vec<_> = described.filter_map(|one| one["name"].as_str()).collect();
        let mut known: Vec<_> = tail::names().collect();
        known.sort_unstable();
        let mut sorted = described.clone();
        sorted.sort_unstable();
        assert_eq!(sorted, known);
    }
}
