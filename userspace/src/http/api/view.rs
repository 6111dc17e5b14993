//! What is going on right now, as JSON: `summary`, `history`, `datasets`, `events`.

use std::{
    convert::Infallible,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{
    body::{Body, Bytes},
    extract::{ConnectInfo, Path, RawQuery, State},
    http::{
        HeaderMap, HeaderValue, StatusCode,
        header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, VARY},
    },
    response::{IntoResponse, Response},
};
use hyper::body::Frame;
use serde::Serialize;
use tokio::sync::mpsc;

use super::{
    audience::audience,
    parameters::{filter, indexer, number, parameters, rows},
    problem::Problem,
};
use crate::{
    config::{enumerated, nearest, printable},
    http::{
        routes::{Site, encoding},
        scrape::{COMPRESS_ABOVE, Encoding, gzip},
    },
    live_view::{By, DatasetError, LiveView, Nothing, Rows, Wanted, Wants},
    stats::dataset::Indexer,
    view::{Dataset, DatasetInfo, History, Summary, View},
};

/// Seconds of history.
const LONGEST_HISTORY: usize = 600;
/// Rows of a dataset.
const MOST_CELLS: usize = 1000;
/// Rows of a list in an event.
const MOST_ROWS: usize = 50;
/// Lists in an event.
const MOST_LISTS: usize = 16;
/// The lists that an event has when nothing else is asked for.
const LISTS: [Indexer; 7] = [
    Indexer::Qtype,
    Indexer::Rcode,
    Indexer::Tld,
    Indexer::SecondLd,
    Indexer::Qname,
    Indexer::ClientSubnet,
    Indexer::Country,
];
/// Events that wait for the connection; the newest ones wait elsewhere.
const PIECES: usize = 1;

/// All there is to know at a glance
#[utoipa::path(
    get,
    path = super::SUMMARY_PATH,
    responses(
        (status = 200, description = "The summary", body = Summary),
        (status = 400, description = "A wrong parameter", body = crate::view::Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Nothing to show at the moment",
            body = crate::view::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn summary(
    State(site): State<Site>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters(query.as_deref().unwrap_or(""), &[], &[])?;
    let view = looked_at(&site).await?;
    let summary = view.summary(audience(peer.ip(), &headers))?;
    Ok(json(&summary, &headers))
}

/// The last ten minutes, a point per second
#[utoipa::path(
    get,
    path = super::HISTORY_PATH,
    params(("seconds" = Option<u32>, Query, minimum = 1, maximum = 600,
        description = "How much of it; all by default")),
    responses(
        (status = 200, description = "The history", body = History),
        (status = 400, description = "A wrong parameter", body = crate::view::Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Nothing to show at the moment",
            body = crate::view::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn history(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let mut seconds = LONGEST_HISTORY;
    for (name, value) in parameters(query.as_deref().unwrap_or(""), &["seconds"], &[])? {
        seconds = number(&name, &value, LONGEST_HISTORY)?;
    }
    Ok(json(&view(&site)?.history(seconds), &headers))
}

/// The datasets that are counted
#[utoipa::path(
    get,
    path = super::DATASETS_PATH,
    responses(
        (status = 200, description = "The datasets", body = Vec<DatasetInfo>),
        (status = 400, description = "A wrong parameter", body = crate::view::Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Nothing to show at the moment",
            body = crate::view::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn datasets(
    State(site): State<Site>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    parameters(query.as_deref().unwrap_or(""), &[], &[])?;
    let view = looked_at(&site).await?;
    Ok(json(&view.datasets()?, &headers))
}

/// The biggest cells of a dataset
///
/// Rates are over the last ten seconds. When nobody has asked for a while, the
/// answer takes a second or two, since there is nothing to compare with before.
#[utoipa::path(
    get,
    path = super::DATASET_PATH,
    params(
        ("name" = String, Path, description = "Its name, as `datasets` has it"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 1000,
            description = "Cells at most; 20 by default"),
        ("by" = inline(Option<ByName>), Query,
            description = "What cells are ordered by; `rate` by default"),
        ("filter" = inline(Option<Vec<FilterText>>), Query, explode, max_items = 2,
            description = "A dimension, by its label or indexer, a colon, and the value that \
                cells must have there, as `qtype:AAAA`; may be given once for each dimension"),
    ),
    responses(
        (status = 200, description = "The cells", body = Dataset),
        (status = 400, description = "A wrong parameter", body = crate::view::Problem,
            content_type = "application/problem+json"),
        (status = 404, description = "No such dataset", body = crate::view::Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "Nothing to show at the moment",
            body = crate::view::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn dataset(
    State(site): State<Site>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(name): Path<String>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let (filters, rows) = cells_of(query.as_deref().unwrap_or(""))?;
    let view = looked_at(&site).await?;
    let dataset = view.dataset(&name, &filters, rows, audience(peer.ip(), &headers))?;
    Ok(json(&dataset, &headers))
}

/// The view of now, once a second
///
/// Server-sent events, each named `view`, with a `View` as JSON in one line. A viewer
/// who does not keep up misses some; one who takes nothing for ten seconds is let go.
#[utoipa::path(
    get,
    path = super::EVENTS_PATH,
    params(
        ("top" = Option<String>, Query,
            description = "The lists that are wanted, by the names of indexers, with commas \
                between them, at most 16; may be empty. By default \
                `qtype,rcode,tld,second_ld,qname,client_subnet,country`"),
        ("limit" = Option<u32>, Query, minimum = 1, maximum = 50,
            description = "Rows of a list at most; 10 by default"),
        ("by" = inline(Option<ByName>), Query,
            description = "What rows are ordered by; `rate` by default"),
        ("filter" = inline(Option<FilterText>), Query,
            description = "The name of an indexer, a colon, and the value that messages in the \
                lists must have, as `tld:com`"),
    ),
    responses(
        (status = 200, description = "The events", body = View,
            content_type = "text/event-stream"),
        (status = 400, description = "A wrong parameter", body = crate::view::Problem,
            content_type = "application/problem+json"),
        (status = 503, description = "All places are taken, or nothing to show",
            body = crate::view::Problem, content_type = "application/problem+json"),
    )
)]
pub(super) async fn events(
    State(site): State<Site>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let wanted = wanted(query.as_deref().unwrap_or(""))?;
    let view = view(&site)?;
    let subscription = view
        .watch(wanted, audience(peer.ip(), &headers))
        .map_err(|full| Problem::unavailable("No place left", full))?;
    let (pieces, receiver) = mpsc::channel(PIECES);
    tokio::spawn(subscription.into_pipe(pieces));
    let mut response = Body::new(Pieces(receiver)).into_response();
    let headers = response.headers_mut();
    let events = HeaderValue::from_static("text/event-stream");
    headers.insert(CONTENT_TYPE, events);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Ok(response)
}

/// What rows are ordered by.
#[derive(utoipa::ToSchema)]
#[schema(rename_all = "snake_case")]
#[expect(dead_code, reason = "it only describes a parameter")]
pub(super) enum ByName {
    /// What was counted lately.
    Rate,
    /// What was counted since the start.
    Total,
}

/// `dimension:value`.
#[derive(utoipa::ToSchema)]
#[schema(pattern = r"^[^:]+:[\s\S]+$")]
#[expect(dead_code, reason = "it only describes a parameter")]
pub(super) struct FilterText(String);

fn view(site: &Site) -> Result<LiveView, Problem> {
    site.telemetry().view().ok_or_else(|| Nothing.into())
}

/// The same when there are rates.
async fn looked_at(site: &Site) -> Result<LiveView, Problem> {
    let view = view(site)?;
    view.rates().await;
    Ok(view)
}

fn cells_of(query: &str) -> Result<(Vec<Wants>, Rows), Problem> {
    let mut cells = Rows {
        by: By::Rate,
        limit: 20,
    };
    let mut filters = Vec::new();
    for (name, value) in parameters(query, &["limit", "by", "filter"], &["filter"])? {
        match &*name {
            "filter" => filters.push(filter(&value)?),
            name => rows(&mut cells, name, &value, MOST_CELLS)?,
        }
    }
    if filters.len() > 2 {
        let detail = "`filter` is given more than twice; a dataset has two dimensions at most";
        return Err(Problem::bad_request(detail));
    }
    Ok((filters, cells))
}

fn wanted(query: &str) -> Result<Wanted, Problem> {
    let mut wanted = Wanted {
        top: LISTS.to_vec(),
        filter: None,
        rows: Rows {
            by: By::Rate,
            limit: 10,
        },
    };
    for (name, value) in parameters(query, &["top", "limit", "by", "filter"], &[])? {
        match &*name {
            "top" => wanted.top = lists(&value)?,
            "filter" => {
                let filter = filter(&value)?;
                indexer("filter", &filter.dimension)?;
                wanted.filter = Some(filter);
            }
            name => rows(&mut wanted.rows, name, &value, MOST_ROWS)?,
        }
    }
    Ok(wanted)
}

fn lists(value: &str) -> Result<Vec<Indexer>, Problem> {
    let names = value.split(',').filter(|name| !name.is_empty());
    let lists: Vec<_> = names
        .map(|name| indexer("top", name))
        .collect::<Result<_, _>>()?;
    if lists.len() > MOST_LISTS {
        let detail = format!(
            "`top` has {} lists; ask for {MOST_LISTS} at most",
            lists.len()
        );
        return Err(Problem::bad_request(detail));
    }
    Ok(lists)
}

fn json(value: &impl Serialize, headers: &HeaderMap) -> Response {
    // Plain values: neither this nor a buffer in memory fails.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let packed = (text.len() > COMPRESS_ABOVE && encoding(headers) == Encoding::Gzip)
        .then(|| gzip(&text).ok())
        .flatten();
    let is_packed = packed.is_some();
    let mut response = packed.unwrap_or(text).into_response();
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(VARY, HeaderValue::from_static("Accept-Encoding"));
    if is_packed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    response
}

/// A body of what comes through a pipe.
struct Pieces(mpsc::Receiver<Bytes>);

impl hyper::body::Body for Pieces {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let piece = self.0.poll_recv(context);
        piece.map(|piece| piece.map(|bytes| Ok(Frame::data(bytes))))
    }
}

impl From<Nothing> for Problem {
    fn from(nothing: Nothing) -> Self {
        Self::unavailable("Nothing to show", nothing)
    }
}

impl From<DatasetError> for Problem {
    fn from(error: DatasetError) -> Self {
        match error {
            DatasetError::Unknown(asked, names) => {
                let detail = match nearest(&asked, names.iter().map(String::as_str)) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => "/api/v1/datasets lists them".to_owned(),
                };
                let asked = printable(&asked);
                let detail = format!("there is no dataset `{asked}`; {detail}");
                Self::new(StatusCode::NOT_FOUND, "No such dataset", detail)
            }
            DatasetError::NoDimension(name, names) => Self::bad_request(format!(
                "`filter`: the dataset is not by `{}`, but by {}",
                printable(&name),
                enumerated(names.iter().map(String::as_str))
            )),
            DatasetError::Nothing(nothing) => nothing.into(),
        }
    }
}
