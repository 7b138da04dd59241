//! `GET /uploads`, and the state of one upload.

use std::io;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use schemars::JsonSchema;
use serde::Serialize;

use super::headers::{LENGTH, OFFSET};
use super::{VERSION, find, missing, receive};
use crate::http::app::App;
use crate::http::extract::Path;
use crate::http::problem::{Problem, Result};
use crate::jobs::UnfinishedUpload;
use crate::store;
use crate::store::ids::DatasetId;

/// An unfinished upload that a client can continue.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Upload")]
pub(super) struct UploadView {
    id: DatasetId,
    /// Name of the data set.
    name: String,
    /// Number of bytes in total.
    length: u64,
    /// Number of bytes that have arrived.
    offset: u64,
    created_at: String,
}

/// A list of uploads.
#[derive(Debug, Serialize)]
pub(super) struct Uploads {
    items: Vec<UploadView>,
}

/// `GET /uploads`: those that can be continued, newest first.
pub(super) async fn list(State(app): State<Arc<App>>) -> Result<Json<Uploads>> {
    let uploads = app.jobs.uploads()?.into_iter().filter(|(upload, _)| !upload.note.is_part);
    let view = |(UnfinishedUpload { id, note, .. }, offset)| UploadView {
        id,
        name: note.name,
        length: note.length,
        offset,
        created_at: note.created_at,
    };
    Ok(Json(Uploads { items: uploads.map(view).collect() }))
}

/// `HEAD /uploads/{id}`: where to continue. A finished upload has all of its bytes.
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<DatasetId>,
) -> Result<Response> {
    let upload = find(&app, id)?;
    // Ends the request of a broken connection, so that the offset is final.
    let _turn = app.receiving.take_over(id).await;
    let offset = match upload.offset() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            // The upload was finished; its data set may have been deleted since.
            let dataset = store::datasets::find(&app.db, id).await?;
            dataset.ok_or_else(|| missing(id))?;
            upload.note.length
        }
        offset => offset?,
    };
    // The bytes may all be there although the last request failed.
    if offset == upload.note.length {
        receive::finish(&app, &upload, offset).await?;
    }
    let state = [
        (OFFSET, offset.to_string()),
        (LENGTH, upload.note.length.to_string()),
        (header::CACHE_CONTROL, "no-store".to_owned()),
    ];
    Ok((StatusCode::OK, state).into_response())
}

/// `DELETE /uploads/{id}`
pub(super) async fn delete(
    State(app): State<Arc<App>>,
    Path(id): Path<DatasetId>,
) -> Result<StatusCode> {
    let upload = find(&app, id)?;
    let _turn = app.receiving.take_over(id).await;
    if upload.offset().is_err() && store::datasets::find(&app.db, id).await?.is_some() {
        let text = format!("the upload is complete; delete /api/v1/datasets/{id} instead");
        return Err(Problem::conflict(text));
    }
    app.jobs.delete_upload(&upload)?;
    Ok(StatusCode::NO_CONTENT)
}

/// `OPTIONS /uploads`: what the server supports.
pub(super) async fn options(State(app): State<Arc<App>>) -> Response {
    let extensions = "creation,creation-with-upload,checksum,concatenation,expiration,termination";
    let headers = [
        ("tus-version", VERSION.to_owned()),
        ("tus-extension", extensions.to_owned()),
        ("tus-checksum-algorithm", "sha1,sha256".to_owned()),
        ("tus-max-size", app.config.limits.upload_bytes.to_string()),
    ];
    (StatusCode::NO_CONTENT, headers).into_response()
}
