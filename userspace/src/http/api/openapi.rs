//! The description of the API, as OpenAPI 3.1 has it.
//!
//! It is made of the types that are sent and of what stands at each handler, so it
//! cannot differ from them; what is missing in it, a test finds.

use axum::{
    http::{
        HeaderValue,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
};
use utoipa::OpenApi;

#[derive(OpenApi)]
#[openapi(
    info(
        title = "xdsc",
        description = "What an xdsc sees of the DNS traffic of its server, right now. Rates are \
            per second, times in seconds, sizes in octets. What names a client is shown to \
            programs on this machine only; others get prefixes of at most 24 and 48 bits."
    ),
    paths(
        super::view::summary,
        super::view::history,
        super::view::datasets,
        super::view::dataset,
        super::view::events,
        super::tail::tail,
    )
)]
struct Api;

/// Answers with the description.
pub(super) async fn document() -> Response {
    let mut response = text().into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response
}

/// The description as JSON.
pub(super) fn text() -> String {
    // Plain values: this does not fail.
    let mut text = Api::openapi().to_pretty_json().unwrap_or_default();
    text.push('\n');
    text
}
