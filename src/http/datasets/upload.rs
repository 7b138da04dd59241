//! `POST /datasets`: streams an archive to disk.

use std::path::PathBuf;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::{StatusCode, header};
use axum::response::IntoResponse;
use axum::routing::post;
use futures_util::Stream;
use futures_util::StreamExt;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tokio::fs::File;
use tokio::io::AsyncWriteExt;

use super::view::DatasetView;
use crate::data::{BoxShape, LabelOptions, Units};
use crate::disk;
use crate::http::app::App;
use crate::http::blocking::blocking;
use crate::http::extract::{Query, content_type};
use crate::http::fields::valid_name;
use crate::http::problem::{Problem, Result};
use crate::jobs::Reservation;
use crate::store;
use crate::store::ids::DatasetId;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/datasets", post(create).put(put))
}

pub(in crate::http) const ADVICE: &str = "send a zip, tar or tar.gz archive as the body with the header \
    Content-Type: application/zip, application/x-tar or application/gzip, or in the \
    \"file\" field of a multipart form";
const ARCHIVES: [&str; 8] = [
    "application/zip",
    "application/x-zip-compressed",
    "application/x-tar",
    "application/tar",
    "application/gzip",
    "application/x-gzip",
    "application/x-gtar",
    "application/octet-stream",
];
const LONGEST_FILE_NAME: usize = 200;
/// Name of a data set if neither the user nor the file gives one.
pub(in crate::http) const UNNAMED: &str = "Unnamed";
/// Offset at which `ustar` ends in a tar header. This many leading bytes are enough to recognise an archive.
pub(in crate::http) const MAGIC_BYTES: usize = 262;

/// The data set's name, and what the user says about its labels.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::http) struct UploadQuery {
    pub(in crate::http) name: Option<String>,
    boxes: Option<BoxShape>,
    units: Option<Units>,
    /// Names separated by commas.
    face_categories: Option<String>,
}

impl UploadQuery {
    pub(in crate::http) fn labels(&self) -> LabelOptions {
        let categories = self.face_categories.as_deref().unwrap_or_default().split(',');
        let face_categories = categories.map(str::trim).filter(|name| !name.is_empty());
        let face_categories = face_categories.map(str::to_owned).collect();
        LabelOptions { boxes: self.boxes, units: self.units, face_categories }
    }
}

/// `POST /datasets?name=&boxes=&units=&face_categories=`
async fn create(
    State(app): State<Arc<App>>,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> Result<impl IntoResponse> {
    let kind = content_type(request.headers());
    if kind != "multipart/form-data" && !ARCHIVES.contains(&kind.as_str()) {
        return Err(Problem::wrong_type(ADVICE));
    }
    receive(&app, query, request).await
}

/// `PUT /datasets?name=&boxes=&units=&face_categories=`, for `curl -T`, which does not name the type of the body.
async fn put(
    State(app): State<Arc<App>>,
    Query(query): Query<UploadQuery>,
    request: Request,
) -> Result<impl IntoResponse> {
    receive(&app, query, request).await
}

/// Saves the archive in the body and queues its import.
async fn receive(
    app: &App,
    query: UploadQuery,
    request: Request,
) -> Result<impl IntoResponse + use<>> {
    let labels = query.labels();
    let name = valid_name(query.name)?;
    // Checked now rather than after gigabytes have arrived. The import checks again once it knows the number of
    // pictures.
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse().ok()).unwrap_or(0);
    if length > app.config.limits.upload_bytes {
        return Err(Problem::too_large(app.config.limits.upload_bytes));
    }
    let reservation = app.jobs.reserve(length).map_err(Problem::no_room)?;
    let id = DatasetId::new();
    let mut upload = Upload::begin(app, id, reservation).await?;
    let file_name = if content_type(request.headers()) == "multipart/form-data" {
        from_form(&mut upload, request).await?
    } else {
        upload.take(request.into_body().into_data_stream()).await?;
        None
    };
    let sha256 = upload.finish(app.folder.upload(id)).await?;

    let name = name.or(file_name).unwrap_or_else(|| UNNAMED.to_owned());
    app.jobs.begin_import(id, &name, Some(sha256), &labels).await?;
    let dataset = store::datasets::find(&app.db, id).await?;
    let dataset = dataset.ok_or_else(|| Problem::not_found(format_args!("data set {id}")))?;
    let location = [(header::LOCATION, format!("/api/v1/datasets/{id}"))];
    Ok((StatusCode::ACCEPTED, location, Json(DatasetView::new(app, dataset))))
}

/// Saves the file in the field `file` of a form and returns the file's name.
async fn from_form(upload: &mut Upload, request: Request) -> Result<Option<String>> {
    let unreadable = |text: String| Problem::new(StatusCode::BAD_REQUEST, text);
    let form = Multipart::from_request(request, &()).await;
    let mut form = form.map_err(|rejection| unreadable(rejection.body_text()))?;
    while let Some(field) = form.next_field().await.map_err(|e| unreadable(e.body_text()))? {
        if field.name() == Some("file") {
            let name = file_name(&field);
            upload.take(field).await?;
            return Ok(name);
        }
    }
    Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the form has no field \"file\""))
}

fn file_name(field: &Field<'_>) -> Option<String> {
    let name: String = field.file_name()?.chars().take(LONGEST_FILE_NAME).collect();
    Some(name).filter(|name| !name.trim().is_empty())
}

/// An archive that is being written to disk. If it is dropped before it is finished, its file is removed.
struct Upload {
    path: PathBuf,
    file: File,
    reservation: Reservation,
    bytes: u64,
    limit_bytes: u64,
    /// The first bytes, collected until they show whether this is an archive.
    head: Vec<u8>,
    hash: Sha256,
}

impl Upload {
    async fn begin(app: &App, id: DatasetId, reservation: Reservation) -> Result<Self> {
        let path = app.folder.uploads().join(format!("{id}.part"));
        let file = File::create_new(&path).await?;
        let limit_bytes = app.config.limits.upload_bytes;
        let (head, hash) = (Vec::new(), Sha256::new());
        Ok(Self { path, file, reservation, bytes: 0, limit_bytes, head, hash })
    }

    async fn take<E: std::fmt::Display>(
        &mut self,
        chunks: impl Stream<Item = Result<Bytes, E>>,
    ) -> Result<()> {
        let mut chunks = std::pin::pin!(chunks);
        while let Some(chunk) = chunks.next().await {
            let chunk = chunk.map_err(|error| {
                Problem::new(
                    StatusCode::BAD_REQUEST,
                    format_args!("the upload was cut off: {error}"),
                )
            })?;
            self.bytes += chunk.len() as u64;
            if self.bytes > self.limit_bytes {
                return Err(Problem::too_large(self.limit_bytes));
            }
            self.look_at(&chunk)?;
            self.reservation.spend(chunk.len() as u64).map_err(Problem::no_room)?;
            self.hash.update(&chunk);
            self.file.write_all(&chunk).await?;
        }
        if self.bytes == 0 {
            return Err(Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                format_args!("the body is empty; {ADVICE}"),
            ));
        }
        if self.head.len() < MAGIC_BYTES && !is_archive(&self.head) {
            return Err(Problem::wrong_type(format_args!("this is not an archive; {ADVICE}")));
        }
        Ok(())
    }

    /// Rejects anything that is not an archive as soon as its first bytes have arrived, rather than after gigabytes.
    fn look_at(&mut self, chunk: &[u8]) -> Result<()> {
        if self.head.len() >= MAGIC_BYTES {
            return Ok(());
        }
        self.head.extend_from_slice(chunk);
        if self.head.len() < MAGIC_BYTES || is_archive(&self.head) {
            Ok(())
        } else {
            Err(Problem::wrong_type(format_args!("this is not an archive; {ADVICE}")))
        }
    }

    /// Moves the archive to `path` and returns its SHA-256.
    async fn finish(mut self, path: PathBuf) -> Result<String> {
        self.file.flush().await?;
        self.file.sync_all().await?;
        tokio::fs::rename(&self.path, &path).await?;
        let folder = path.parent().map(PathBuf::from).unwrap_or_default();
        blocking(move || disk::sync_folder(&folder)).await??;
        Ok(hex::encode(self.hash.finalize_reset()))
    }
}

impl Drop for Upload {
    fn drop(&mut self) {
        // A finished upload is no longer at this path.
        let _ = std::fs::remove_file(&self.path);
    }
}

/// Whether the first bytes are those of a zip, a gzip or a tar file.
pub(in crate::http) fn is_archive(head: &[u8]) -> bool {
    head.starts_with(b"PK\x03\x04")
        || head.starts_with(b"PK\x05\x06")
        || head.starts_with(&[0x1f, 0x8b])
        || head.get(257..262) == Some(b"ustar")
}
