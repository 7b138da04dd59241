//! `GET /datasets/{id}/export`: the data set in a format that other tools read.
//!
//! Nothing is stored: the zip is written while it is sent.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Deserialize;

use crate::data::export::{Export, ExportFormat, ExportedPictures};
use crate::http::app::App;
use crate::http::blocking::blocking;
use crate::http::extract::{Path, Query};
use crate::http::pipe;
use crate::http::problem::{Problem, Result};
use crate::store;
use crate::store::ids::DatasetId;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/datasets/{id}/export", get(export))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ExportQuery {
    format: Option<String>,
    #[serde(default)]
    pictures: ExportedPictures,
}

impl ExportQuery {
    fn format(&self) -> Result<ExportFormat> {
        let given = self.format.as_deref();
        let found = ExportFormat::ALL.into_iter().find(|format| Some(format.name()) == given);
        found.ok_or_else(|| {
            let names = ExportFormat::ALL.map(ExportFormat::name).join(", ");
            let text = match given {
                Some(given) => format!("format is {given:?}; it must be one of {names}"),
                None => format!("the query lacks format, which must be one of {names}"),
            };
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text)
        })
    }
}

/// `GET /datasets/{id}/export?format=&pictures=`
async fn export(
    State(app): State<Arc<App>>,
    Path(id): Path<DatasetId>,
    Query(query): Query<ExportQuery>,
) -> Result<Response> {
    let format = query.format()?;
    let dataset = app.dataset(id).await?;
    let name = store::datasets::find(&app.db, id).await?.map(|row| row.name).unwrap_or_default();
    let headers = headers(&format!("{name}-{}.zip", format.name()));
    let export = blocking(move || Export::new(dataset, &name, format, query.pictures)).await?;
    let export = export.map_err(|error| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, error))?;
    let patience = Duration::from_secs(app.config.server.request_timeout_s);
    let body = pipe::body("export", patience, move |pipe| export.write(pipe));
    Ok((headers, body).into_response())
}

fn headers(file_name: &str) -> HeaderMap {
    let disposition = HeaderValue::from_str(&attachment(file_name));
    let disposition = disposition.unwrap_or(HeaderValue::from_static("attachment"));
    [
        (header::CONTENT_TYPE, HeaderValue::from_static("application/zip")),
        (header::CONTENT_DISPOSITION, disposition),
    ]
    .into_iter()
    .collect()
}

/// Returns the header's value for a file name with any characters. Those that no disk accepts become `_`; clients that
/// do not know `filename*` (RFC 6266) get `_` for all that are not ASCII, too.
fn attachment(file_name: &str) -> String {
    let is_bad = |c: char| c.is_control() || r#"/\:*?"<>|%"#.contains(c);
    let name = file_name.trim_start_matches(['.', ' ']).replace(is_bad, "_");
    let ascii = name.replace(|c: char| !c.is_ascii(), "_");
    let encoded: String = name.bytes().map(encoded).collect();
    format!("attachment; filename=\"{ascii}\"; filename*=UTF-8''{encoded}")
}

/// Encodes a byte of a parameter's value (RFC 8187).
fn encoded(byte: u8) -> String {
    if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
        char::from(byte).to_string()
    } else {
        format!("%{byte:02X}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_data_set_becomes_a_file_name() {
        assert_eq!(
            attachment("faces 2-coco.zip"),
            "attachment; filename=\"faces 2-coco.zip\"; filename*=UTF-8''faces%202-coco.zip"
        );
        assert_eq!(
            attachment("../Fuß \"a\"\r\n-voc.zip"),
            "attachment; filename=\"_Fu_ _a___-voc.zip\"; filename*=UTF-8''_Fu%C3%9F%20_a___-voc.zip"
        );
        assert!(headers("顔\0-csv.zip")[header::CONTENT_DISPOSITION].to_str().is_ok());
    }
}
