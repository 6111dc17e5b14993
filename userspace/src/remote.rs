//! A running xdsc, asked over its HTTP interface.
//!
//! Both `xdsc tail` and `xdsc top` are its clients; what goes wrong on the way they
//! tell in the same words.

use std::{io::Read as _, time::Duration};

use serde_json::Value;
use ureq::{Agent, Body, http::Response};

/// To be connected, and to be answered.
const ANSWER: Duration = Duration::from_secs(10);
/// What is said against a request is no longer.
const LONGEST_REFUSAL: u64 = 64 * 1024;

/// Where it is.
#[derive(Clone, Debug)]
pub(crate) struct Remote {
    /// As it was given.
    url: String,
    agent: Agent,
}

/// Why there is no answer to read, in words for people.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RemoteError {
    /// What was given is no address of one.
    #[error("--url: {0:?} does not begin with `http://`; write it as in http://127.0.0.1:9953")]
    Url(String),
    /// Nobody answers.
    #[error(
        "cannot reach a running xdsc at {url}: {error}; start it with `xdsc run`, or give its \
         address with --url (it logs \"serving\" and the address at its start)"
    )]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        error: Box<ureq::Error>,
    },
    /// It answers, and says why not.
    #[error("{0}")]
    Refused(String),
    /// Something else answers.
    #[error("{url} answers {status}, and is no xdsc that has {what}; see whose address --url is")]
    Foreign {
        /// Where.
        url: String,
        /// The HTTP status.
        status: u16,
        /// What was asked for.
        what: &'static str,
    },
}

impl Remote {
    /// One that goes away when it says nothing for so long.
    ///
    /// # Errors
    /// When the URL is none of HTTP.
    pub(crate) fn new(url: &str, silence: Duration) -> Result<Self, RemoteError> {
        let url = url.trim_end_matches('/');
        if !url.starts_with("http://") {
            return Err(RemoteError::Url(url.to_owned()));
        }
        let agent = Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .timeout_connect(Some(ANSWER))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(silence))
            .build()
            .into();
        Ok(Self {
            url: url.to_owned(),
            agent,
        })
    }

    /// Its address, for people.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// Asks for `path`, which is said to be `what` where it does not exist.
    ///
    /// # Errors
    /// When nobody answers, or not well.
    pub(crate) fn get(
        &self,
        path: &str,
        what: &'static str,
    ) -> Result<Response<Body>, RemoteError> {
        let response = self.agent.get(format!("{}{path}", self.url)).call();
        let response = response.map_err(|error| RemoteError::Unreachable {
            url: self.url.clone(),
            error: Box::new(error),
        })?;
        match response.status().is_success() {
            true => Ok(response),
            false => Err(self.refusal(response, what)),
        }
    }

    /// What the daemon says against it (RFC 9457).
    fn refusal(&self, response: Response<Body>, what: &'static str) -> RemoteError {
        let status = response.status().as_u16();
        let mut text = String::new();
        let body = response.into_body().into_reader();
        // What cannot be read is as good as empty.
        drop(body.take(LONGEST_REFUSAL).read_to_string(&mut text));
        let problem = serde_json::from_str::<Value>(&text).ok();
        match problem
            .as_ref()
            .and_then(|problem| problem["detail"].as_str())
        {
            Some(detail) => RemoteError::Refused(detail.to_owned()),
            None => RemoteError::Foreign {
                url: self.url.clone(),
                status,
                what,
            },
        }
    }
}
