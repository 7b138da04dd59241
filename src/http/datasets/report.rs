//! `GET /datasets/{id}/report`: the import's full report, page by page or as CSV.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use crate::data::{FileTally, ImportProblem, ImportedDataset, RowTally};
use crate::http::app::App;
use crate::http::blocking::blocking;
use crate::http::extract::{Path, Query};
use crate::http::page::PageQuery;
use crate::http::problem::{Problem, Result};
use crate::store::ids::DatasetId;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/datasets/{id}/report", get(show))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReportQuery {
    /// Only problems of this kind.
    kind: Option<String>,
    /// The response's format, for links, which cannot set `Accept`.
    format: Option<Format>,
    limit: Option<u32>,
    cursor: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Json,
    Csv,
}

/// An import's report, with a page of its problems.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DatasetReport")]
pub(super) struct ReportView {
    /// Number of problems of each kind.
    counts: std::collections::BTreeMap<String, u64>,
    /// Notes on how the archive was read.
    notes: Vec<String>,
    rows: RowTally,
    files: FileTally,
    items: Vec<ImportProblem>,
    /// Cursor of the next page; `null` on the last page.
    next_cursor: Option<String>,
}

/// `GET /datasets/{id}/report?kind=&limit=&cursor=`; with `format=csv` or `Accept: text/csv`, all problems at once.
async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<DatasetId>,
    Query(query): Query<ReportQuery>,
    headers: HeaderMap,
) -> Result<Response> {
    let ReportQuery { kind, format, limit, cursor } = query;
    let page = PageQuery { limit, cursor };
    let (limit, from) = (page.limit()?, page.cursor::<u64>()?.unwrap_or(0));
    let dataset = app.dataset(id).await?;
    if let Some(kind) = &kind
        && !dataset.manifest.report.counts.contains_key(kind)
    {
        let kinds: Vec<&String> = dataset.manifest.report.counts.keys().collect();
        let text = format!("there are no problems of kind {kind:?}; this report has {kinds:?}");
        return Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text));
    }
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    let is_csv = format.map_or_else(
        || accept.is_some_and(|accept| accept.contains("text/csv")),
        |format| format == Format::Csv,
    );
    if is_csv {
        return Ok(csv(dataset, kind));
    }
    Ok(Json(blocking(move || view(&dataset, from, kind.as_deref(), limit)).await??).into_response())
}

fn view(
    dataset: &ImportedDataset,
    from: u64,
    kind: Option<&str>,
    limit: usize,
) -> Result<ReportView> {
    let report = &dataset.manifest.report;
    let mut problems = dataset.problems(from)?;
    let mut items = Vec::new();
    let mut next = None;
    while let Some(problem) = problems.next().transpose()? {
        if kind.is_some_and(|kind| problem.kind != kind) {
            continue;
        }
        if items.len() == limit {
            break;
        }
        items.push(problem);
        next = Some(problems.position());
    }
    let has_more = items.len() == limit
        && dataset.problems(next.unwrap_or(from))?.any(|problem| {
            problem.is_ok_and(|problem| kind.is_none_or(|kind| problem.kind == kind))
        });
    Ok(ReportView {
        counts: report.counts.clone(),
        notes: report.notes.clone(),
        rows: report.rows.clone(),
        files: report.files.clone(),
        items,
        next_cursor: next.filter(|_| has_more).map(|position| position.to_string()),
    })
}

/// How many problems are sent together.
const CHUNK: usize = 500;

/// Returns all problems as a table, which is written while it is sent.
fn csv(dataset: Arc<ImportedDataset>, kind: Option<String>) -> Response {
    let (send, receive) = mpsc::channel::<std::io::Result<Bytes>>(2);
    tokio::task::spawn_blocking(move || {
        let write = || -> std::io::Result<()> {
            let mut problems = dataset.problems(0)?.filter(|problem| {
                let of_kind = |kind: &String| problem.as_ref().is_ok_and(|p| p.kind == *kind);
                problem.is_err() || kind.as_ref().is_none_or(of_kind)
            });
            let mut has_header = false;
            loop {
                let mut table =
                    csv::WriterBuilder::new().has_headers(false).from_writer(Vec::new());
                if !has_header {
                    table.write_record(["kind", "file", "row", "reason"])?;
                    has_header = true;
                }
                let mut count = 0;
                for problem in problems.by_ref().take(CHUNK) {
                    let ImportProblem { kind, file, row, reason } = problem?;
                    let row = row.map(|row| row.to_string()).unwrap_or_default();
                    table.write_record([&kind, &file, &row, &reason])?;
                    count += 1;
                }
                let bytes = table.into_inner().map_err(csv::IntoInnerError::into_error)?;
                // Sending fails if the client has disconnected.
                if send.blocking_send(Ok(bytes.into())).is_err() || count < CHUNK {
                    return Ok(());
                }
            }
        };
        if let Err(error) = write() {
            let _ = send.blocking_send(Err(error)); // The client may have disconnected.
        }
    });
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (header::CONTENT_DISPOSITION, "attachment; filename=\"report.csv\""),
    ];
    (headers, Body::from_stream(ReceiverStream::new(receive))).into_response()
}
