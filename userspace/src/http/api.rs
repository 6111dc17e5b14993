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
