//! Why a request is not answered, as RFC 9457 has it.

use axum::{
    http::{HeaderValue, StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
};

use crate::view;

/// Why there is nothing to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::http) struct Problem {
    pub(super) status: StatusCode,
    pub(super) title: &'static str,
    pub(super) detail: String,
}

impl Problem {
    pub(in crate::http) fn new(
        status: StatusCode,
        title: &'static str,
        detail: impl ToString,
    ) -> Self {
        Self {
            status,
            title,
            detail: detail.to_string(),
        }
    }

    pub(super) fn bad_request(detail: impl ToString) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "Wrong parameter", detail)
    }

    pub(super) fn forbidden(detail: impl ToString) -> Self {
        Self::new(StatusCode::FORBIDDEN, "Not to be shown", detail)
    }

    pub(super) fn unavailable(title: &'static str, detail: impl ToString) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, title, detail)
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let problem = view::Problem {
            kind: "about:blank".to_owned(),
            title: self.title.to_owned(),
            status: self.status.as_u16(),
            detail: self.detail,
        };
        // Plain texts and a number: this does not fail.
        let body = serde_json::to_string(&problem).unwrap_or_default();
        let mut response = (self.status, format!("{body}\n")).into_response();
        let problem = HeaderValue::from_static("application/problem+json");
        response.headers_mut().insert(CONTENT_TYPE, problem);
        response
    }
}
