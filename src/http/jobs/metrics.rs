//! `/jobs/{id}/metrics`: one row per epoch, as JSON or CSV.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde_json::{Map, Value};

use super::view::find;
use crate::http::app::App;
use crate::http::extract::Path;
use crate::http::page::Page;
use crate::http::problem::{Problem, Result};
use crate::store;
use crate::store::ids::JobId;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/jobs/{id}/metrics", get(show))
}

/// `GET /jobs/{id}/metrics`
async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<JobId>,
    headers: HeaderMap,
) -> Result<Response> {
    find(&app, id).await?;
    let rows = store::epochs::of_job(&app.db, id).await?;
    let accept = headers.get(header::ACCEPT).and_then(|accept| accept.to_str().ok());
    if !accept.is_some_and(|accept| accept.contains("text/csv")) {
        return Ok(Json(Page { items: rows, next_cursor: None }).into_response());
    }
    let csv = csv(&rows).map_err(|error| Problem::internal(&error))?;
    Ok(([(header::CONTENT_TYPE, "text/csv; charset=utf-8")], csv).into_response())
}

const FIRST: [&str; 2] = ["epoch", "step"];

/// Writes the rows as CSV, with one column per number: `train_loss`, `val_ap50` and so on.
fn csv(rows: &[Value]) -> std::result::Result<Vec<u8>, csv::Error> {
    let rows: Vec<Map<String, Value>> = rows.iter().map(flatten).collect();
    let names: BTreeSet<&String> = rows.iter().flat_map(Map::keys).collect();
    let first = FIRST.iter().copied();
    let rest = names.into_iter().map(String::as_str).filter(|name| !FIRST.contains(name));
    let columns: Vec<&str> = first.chain(rest).collect();
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(&columns)?;
    for row in &rows {
        writer.write_record(columns.iter().map(|column| cell(row.get(*column))))?;
    }
    writer.into_inner().map_err(|error| error.into_error().into())
}

fn flatten(row: &Value) -> Map<String, Value> {
    let mut flat = Map::new();
    // Leaves out diagnostics, which are tables themselves; only the JSON includes them.
    let columns = row.as_object().into_iter().flatten().filter(|(name, _)| *name != "diagnostics");
    for (name, value) in columns {
        match value {
            Value::Object(values) => flat.extend(
                values.iter().map(|(inner, value)| (format!("{name}_{inner}"), value.clone())),
            ),
            value => {
                flat.insert(name.clone(), value.clone());
            }
        }
    }
    flat.remove("train"); // `null` in row 0, the base model's.
    flat
}

fn cell(value: Option<&Value>) -> String {
    match value {
        None | Some(Value::Null) => String::new(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn csv_has_one_column_per_number() {
        let rows = [
            json!({"epoch": 0, "step": 0, "train": null, "val": {"ap50": 0.2, "loss": null}}),
            json!({"epoch": 1, "step": 9, "train": {"loss": 1.5}, "val": {"ap50": 0.5, "loss": 2},
                "diagnostics": {"grids": [{"side": 16}]}}),
        ];
        let csv = String::from_utf8(csv(&rows).unwrap()).unwrap();
        assert_eq!(csv, "epoch,step,train_loss,val_ap50,val_loss\n0,0,,0.2,\n1,9,1.5,0.5,2\n");
    }
}
