//! The routes under `/uploads`: resumable uploads of archives, as tus 1.0 defines them (<https://tus.io>), with the
//! extensions creation, creation-with-upload, checksum, concatenation, expiration and termination.
//!
//! An upload's ID becomes that of its data set, whose import begins with the last byte.

mod create;
mod headers;
mod metadata;
mod receive;
pub(super) mod receiving;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use schemars::SchemaGenerator;

use super::app::App;
use super::problem::{Problem, Result};
use crate::jobs::UnfinishedUpload;
use crate::store::ids::DatasetId;

const VERSION: &str = "1.0.0";
const RESUMABLE: HeaderName = HeaderName::from_static("tus-resumable");
/// The media type of a body with bytes of an upload.
const BYTES: &str = "application/offset+octet-stream";

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/uploads", get(view::list).post(create::create).options(view::options))
        .route(
            "/uploads/{id}",
            get(view::show).head(view::show).patch(receive::patch).delete(view::delete),
        )
        .layer(middleware::from_fn(speaks_tus))
}

/// Adds the schemas of responses.
pub(super) fn describe(generator: &mut SchemaGenerator) {
    generator.subschema_for::<view::UploadView>();
}

/// Refuses other versions of the protocol, and states ours in each response.
async fn speaks_tus(request: Request, next: Next) -> Response {
    let theirs = request.headers().get(RESUMABLE);
    let mut response = if theirs.is_some_and(|theirs| theirs != VERSION) {
        let versions = [("tus-version", VERSION)];
        let text = format!("this server speaks version {VERSION} of tus");
        (versions, Problem::new(StatusCode::PRECONDITION_FAILED, text)).into_response()
    } else {
        next.run(request).await
    };
    response.headers_mut().insert(RESUMABLE, HeaderValue::from_static(VERSION));
    response
}

/// Returns the upload with this ID.
fn find(app: &App, id: DatasetId) -> Result<UnfinishedUpload> {
    app.jobs.upload(id)?.ok_or_else(|| missing(id))
}

fn missing(id: DatasetId) -> Problem {
    Problem::not_found(format_args!("upload {id}; it may have expired or been deleted"))
}
