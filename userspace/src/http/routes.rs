//! What is answered where.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use axum::Router;
use axum::extract::State;
use axum::http::header::{
    ACCEPT, ACCEPT_ENCODING, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
    REFERRER_POLICY, VARY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use super::Telemetry;
use super::api::{self, OPENAPI_PATH, Problem};
use super::page;
use super::scrape::{Encoding, Scrape, ScrapeError, Scraper, Wanted};
use crate::export::accepts_gzip;
use crate::export::exposition::Exposition;

pub(super) const HEALTHY_PATH: &str = "/-/healthy";
pub(super) const READY_PATH: &str = "/-/ready";
const LANDING_PATH: &str = "/";

/// The endpoint as an application: give it to [`serve`](super::serve), with an
/// authenticating layer around it if there is to be one.
pub fn router(telemetry: Arc<dyn Telemetry>, path: &TelemetryPath) -> Router {
    let site = Site {
        scraper: Scraper::new(telemetry),
        path: path.clone(),
    };
    let mut router = Router::new()
        .route(path.as_str(), get(metrics))
        .merge(api::router())
        .merge(page::router())
        .route(HEALTHY_PATH, get(healthy))
        .route(READY_PATH, get(ready));
    if path.as_str() != LANDING_PATH {
        router = router.route(LANDING_PATH, get(landing_page));
    }
    router
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(not_found)
        .layer(map_response(with_security_headers))
        .with_state(site)
}

/// Where the metrics are: `/metrics` unless the operator says otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TelemetryPath(String);

/// Why a text is not a path for the metrics.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum TelemetryPathError {
    /// It does not begin as a path does.
    #[error("the telemetry path `{0}` does not begin with `/`; write `/{0}`")]
    NotAbsolute(String),
    /// It would take the place of the health checks, or of the API.
    #[error(
        "the telemetry path `{0}` is taken: under `/-/` is what is for management, under `/api/` what is for programs; choose another, such as `/metrics`"
    )]
    Reserved(String),
    /// It has characters that would need encoding or mean something else.
    #[error(
        "the telemetry path `{path}` contains `{character}`; use letters, digits, `/`, `-`, `.`, `_` and `~`"
    )]
    Character {
        /// The whole text.
        path: String,
        /// Its first wrong character.
        character: char,
    },
}

impl TelemetryPath {
    /// The path's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for TelemetryPath {
    fn default() -> Self {
        Self("/metrics".to_owned())
    }
}

impl fmt::Display for TelemetryPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for TelemetryPath {
    type Err = TelemetryPathError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let path = text.to_owned();
        if !path.starts_with('/') {
            return Err(TelemetryPathError::NotAbsolute(path));
        }
        let taken = ["/-", "/api"];
        if taken.contains(&&*path) || path.starts_with("/-/") || path.starts_with("/api/") {
            return Err(TelemetryPathError::Reserved(path));
        }
        match path.chars().find(|&character| !is_plain(character)) {
            Some(character) => Err(TelemetryPathError::Character { path, character }),
            None => Ok(Self(path)),
        }
    }
}

/// RFC 3986's unreserved characters and the separator.
fn is_plain(character: char) -> bool {
    character.is_ascii_alphanumeric() || "/-._~".contains(character)
}

/// What the handlers share.
#[derive(Clone)]
pub(super) struct Site {
    scraper: Scraper,
    path: TelemetryPath,
}

impl Site {
    pub(super) fn telemetry(&self) -> &dyn Telemetry {
        self.scraper.telemetry()
    }
}

async fn metrics(State(site): State<Site>, headers: HeaderMap) -> Response {
    let wanted = Wanted {
        exposition: Exposition::negotiate(joined(&headers, ACCEPT).as_deref()),
        encoding: encoding(&headers),
    };
    match site.scraper.scrape(wanted).await {
        Ok(scrape) => answer(scrape, wanted.exposition),
        Err(error) => failure(&error),
    }
}

fn answer(scrape: Scrape, exposition: Exposition) -> Response {
    let mut response = scrape.body.into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static(exposition.content_type()),
    );
    headers.insert(VARY, HeaderValue::from_static("Accept, Accept-Encoding"));
    if scrape.encoding == Encoding::Gzip {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

fn failure(error: &ScrapeError) -> Response {
    tracing::warn!(%error, "a scrape failed");
    let status = match error {
        ScrapeError::Busy => StatusCode::SERVICE_UNAVAILABLE,
        ScrapeError::Telemetry(_) | ScrapeError::Compress(_) | ScrapeError::Panicked(_) => {
            StatusCode::INTERNAL_SERVER_ERROR
        }
    };
    (status, format!("No metrics: {error}.\n")).into_response()
}

pub(super) fn encoding(headers: &HeaderMap) -> Encoding {
    match joined(headers, ACCEPT_ENCODING) {
        Some(accepted) if accepts_gzip(&accepted) => Encoding::Gzip,
        _ => Encoding::Identity,
    }
}

/// "A recipient MAY combine multiple field lines within a field section that
/// have the same field name" (RFC 9110, section 5.3). Lines that are not text
/// are passed over.
fn joined(headers: &HeaderMap, name: HeaderName) -> Option<String> {
    let lines: Vec<&str> = headers
        .get_all(name)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .collect();
    (!lines.is_empty()).then(|| lines.join(","))
}

async fn healthy() -> &'static str {
    "xdsc is healthy.\n"
}

async fn ready(State(site): State<Site>) -> Response {
    match site.scraper.telemetry().ready() {
        Ok(()) => "xdsc is ready.\n".into_response(),
        Err(reason) => {
            let text = format!("xdsc is not ready: {reason}\n");
            (StatusCode::SERVICE_UNAVAILABLE, text).into_response()
        }
    }
}

async fn landing_page(State(site): State<Site>) -> Html<String> {
    Html(page::page(&site.path, &site.scraper.telemetry().facts()))
}

async fn not_found(State(site): State<Site>, uri: Uri) -> Response {
    if uri.path().starts_with(api::PREFIX) {
        let detail = format!("there is no such path; {OPENAPI_PATH} has them");
        return Problem::new(StatusCode::NOT_FOUND, "No such path", detail).into_response();
    }
    let text = format!(
        "Nothing here. The metrics are at {}, health at {HEALTHY_PATH} and {READY_PATH}.\n",
        site.path
    );
    (StatusCode::NOT_FOUND, text).into_response()
}

async fn method_not_allowed(uri: Uri) -> Response {
    const ANSWER: &str = "xdsc only answers GET and HEAD";
    let status = StatusCode::METHOD_NOT_ALLOWED;
    if uri.path().starts_with(api::PREFIX) {
        return Problem::new(status, "Wrong method", ANSWER).into_response();
    }
    (status, format!("{ANSWER}.\n")).into_response()
}

async fn with_security_headers(mut response: Response) -> Response {
    const HEADERS: [(HeaderName, &str); 3] = [
        (CONTENT_SECURITY_POLICY, page::CONTENT_POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
    ];
    for (name, value) in HEADERS {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::{TelemetryPath, TelemetryPathError};

    #[test]
    fn a_telemetry_path_is_absolute_plain_and_not_reserved() {
        for path in [
            "/metrics",
            "/",
            "/a/b-c/d.e_f~1",
            "/metrics/",
            "/-x",
            "/healthy",
        ] {
            let parsed = path
                .parse::<TelemetryPath>()
                .map(|parsed| parsed.to_string());
            assert_eq!(parsed, Ok(path.to_owned()));
        }
        let error = |text: &str| {
            text.parse::<TelemetryPath>()
                .map_err(|error| error.to_string())
        };
        assert_eq!(
            error("metrics"),
            Err(
                "the telemetry path `metrics` does not begin with `/`; write `/metrics`".to_owned()
            )
        );
        let character = |path: &str, character| {
            Err(TelemetryPathError::Character {
                path: path.to_owned(),
                character,
            })
        };
        assert_eq!("/{all}".parse::<TelemetryPath>(), character("/{all}", '{'));
        assert_eq!("/a b".parse::<TelemetryPath>(), character("/a b", ' '));
        assert_eq!("/ä".parse::<TelemetryPath>(), character("/ä", 'ä'));
        for path in ["/-", "/-/healthy", "/-/anything", "/api", "/api/v1/tail"] {
            let reserved = TelemetryPathError::Reserved(path.to_owned());
            assert_eq!(path.parse::<TelemetryPath>(), Err(reserved));
        }
    }
}
