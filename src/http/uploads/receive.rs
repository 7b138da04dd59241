//! `PATCH /uploads/{id}`: appends bytes.

use std::io::{self, Read};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt;
use sha2::Digest;
use tokio::io::AsyncWriteExt;

use super::headers::{EXPIRES, OFFSET, expires, number};
use super::receiving::Turn;
use super::{BYTES, find};
use crate::http::app::App;
use crate::http::blocking::blocking;
use crate::http::datasets::upload::{ADVICE, MAGIC_BYTES, is_archive};
use crate::http::extract::{Path, content_type};
use crate::http::problem::{Problem, Result};
use crate::jobs::UnfinishedUpload;
use crate::store::ids::DatasetId;

/// How long to wait for the next bytes before the connection counts as broken.
const PATIENCE: Duration = Duration::from_mins(1);
/// The status of a chunk that does not match its checksum, as tus defines it.
const CHECKSUM_MISMATCH: u16 = 460;

/// `PATCH /uploads/{id}`
pub(super) async fn patch(
    State(app): State<Arc<App>>,
    Path(id): Path<DatasetId>,
    request: Request,
) -> Result<Response> {
    if content_type(request.headers()) != BYTES {
        return Err(Problem::wrong_type(format_args!("send the header Content-Type: {BYTES}")));
    }
    let upload = find(&app, id)?;
    let offset = number(request.headers(), &OFFSET)?.ok_or_else(|| {
        let text = "give the position of the first byte in the Upload-Offset header";
        Problem::new(StatusCode::BAD_REQUEST, text)
    })?;
    let offset = receive(&app, &upload, offset, request).await?;
    let state = [
        (OFFSET, offset.to_string()),
        (EXPIRES, expires()),
        (header::CONTENT_LOCATION, format!("/api/v1/datasets/{id}")),
    ];
    Ok((StatusCode::NO_CONTENT, state).into_response())
}

/// Appends the body to an upload. Begins the import after the last byte. Returns the new offset.
pub(super) async fn receive(
    app: &Arc<App>,
    upload: &UnfinishedUpload,
    offset: u64,
    request: Request,
) -> Result<u64> {
    // If the connection breaks, this function is dropped, but the task still closes the file properly.
    let task = tokio::spawn(append(app.clone(), upload.clone(), offset, request));
    task.await.map_err(|error| Problem::internal(&error))?
}

async fn append(
    app: Arc<App>,
    upload: UnfinishedUpload,
    offset: u64,
    request: Request,
) -> Result<u64> {
    let turn = app.receiving.take_over(upload.id).await;
    let has = match upload.offset() {
        // The upload is already complete.
        Err(error) if error.kind() == io::ErrorKind::NotFound => upload.note.length,
        has => has?,
    };
    if has != offset {
        let text = format!("the upload has {has} bytes, not {offset}; continue from there");
        return Err(Problem::conflict(text));
    }
    let mut end = offset;
    if offset < upload.note.length {
        let checksum = Checksum::announced(request.headers())?;
        let mut chunk = Chunk::open(&app, &upload, offset, checksum).await?;
        let received = chunk.take(request, &turn).await;
        end = chunk.close(received).await?;
    }
    finish(&app, &upload, end).await?;
    Ok(end)
}

/// Rejects anything that is not an archive, and begins the import if all bytes have arrived. The caller must hold the
/// upload's [`Turn`].
pub(super) async fn finish(app: &App, upload: &UnfinishedUpload, end: u64) -> Result<()> {
    let is_telling = end >= MAGIC_BYTES as u64 || end == upload.note.length;
    if is_telling
        && !upload.note.is_part
        && let Ok(file) = std::fs::File::open(upload.part())
    {
        let mut head = Vec::new();
        file.take(MAGIC_BYTES as u64).read_to_end(&mut head)?;
        if !is_archive(&head) {
            app.jobs.delete_upload(upload)?;
            return Err(Problem::wrong_type(format_args!("this is not an archive; {ADVICE}")));
        }
    }
    let finished = app.jobs.finish_upload(upload).await;
    finished.map(drop).map_err(|error| Problem::internal(error.as_ref()))
}

/// The bytes of one request.
struct Chunk {
    upload: UnfinishedUpload,
    file: tokio::fs::File,
    reservation: crate::jobs::Reservation,
    start: u64,
    end: u64,
    checksum: Option<Checksum>,
}

impl Chunk {
    async fn open(
        app: &App,
        upload: &UnfinishedUpload,
        start: u64,
        checksum: Option<Checksum>,
    ) -> Result<Self> {
        let reservation = app.jobs.reserve(0).map_err(Problem::no_room)?;
        let opened = upload.clone();
        let file = blocking(move || opened.open_at(start)).await??;
        let file = tokio::fs::File::from_std(file);
        Ok(Self { upload: upload.clone(), file, reservation, start, end: start, checksum })
    }

    /// Writes the body until it ends, the connection breaks, or another request takes over.
    async fn take(&mut self, request: Request, turn: &Turn) -> Result<()> {
        let mut body = request.into_body().into_data_stream();
        loop {
            let next = tokio::select! {
                biased;
                () = turn.stop.cancelled() => {
                    return Err(Problem::new(StatusCode::LOCKED, "another request has taken over this upload"));
                }
                next = tokio::time::timeout(PATIENCE, body.next()) => next,
            };
            let cut_off = |why: &dyn std::fmt::Display| {
                Problem::new(StatusCode::BAD_REQUEST, format_args!("the upload was cut off: {why}"))
            };
            let next = next.map_err(|_| cut_off(&"no bytes arrived for a minute"))?;
            let Some(bytes) = next else { return Ok(()) };
            let bytes = bytes.map_err(|error| cut_off(&error))?;
            if bytes.len() as u64 > self.upload.note.length - self.end {
                let text = format!(
                    "the upload has more than the {} bytes announced",
                    self.upload.note.length
                );
                return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, text));
            }
            self.reservation.spend(bytes.len() as u64).map_err(Problem::no_room)?;
            if let Some(checksum) = &mut self.checksum {
                checksum.add(&bytes);
            }
            self.file.write_all(&bytes).await?;
            self.end += bytes.len() as u64;
        }
    }

    /// Makes what has arrived durable, even if the request failed. Bytes that do not match their checksum are dropped.
    async fn close(mut self, received: Result<()>) -> Result<u64> {
        self.file.flush().await?;
        let is_wrong = match (&self.checksum, &received) {
            (None, _) => false,
            (Some(_), Err(_)) => true,
            (Some(checksum), Ok(())) => !checksum.matches(),
        };
        if is_wrong {
            self.file.set_len(self.start).await?;
        }
        self.file.sync_data().await?;
        received?;
        if is_wrong {
            let status = StatusCode::from_u16(CHECKSUM_MISMATCH).unwrap_or(StatusCode::CONFLICT);
            let text = "the bytes do not match Upload-Checksum; send them again";
            return Err(Problem::new(status, text));
        }
        Ok(self.end)
    }
}

/// The checksum of a request's bytes, as announced and as computed so far.
struct Checksum {
    expected: Vec<u8>,
    sum: Sum,
}

enum Sum {
    Sha1(sha1::Sha1),
    Sha256(sha2::Sha256),
}

impl Checksum {
    /// Reads the header `Upload-Checksum`, such as `sha1 Kq5sNclPz7QV2+lfQIuc6R7oRu0=`.
    fn announced(headers: &HeaderMap) -> Result<Option<Self>> {
        let Some(value) = headers.get("upload-checksum") else { return Ok(None) };
        let value = value.to_str().unwrap_or_default();
        let (name, expected) = value.split_once(' ').unwrap_or((value, ""));
        let sum = match name {
            "sha1" => Some(Sum::Sha1(sha1::Sha1::new())),
            "sha256" => Some(Sum::Sha256(sha2::Sha256::new())),
            _ => None,
        };
        if let (Some(sum), Ok(expected)) = (sum, STANDARD.decode(expected.trim())) {
            return Ok(Some(Self { expected, sum }));
        }
        let text = format!(
            "cannot use the checksum {value:?}; send \"sha1\" or \"sha256\" and the sum in base64"
        );
        Err(Problem::new(StatusCode::BAD_REQUEST, text))
    }

    fn add(&mut self, bytes: &[u8]) {
        match &mut self.sum {
            Sum::Sha1(sum) => sum.update(bytes),
            Sum::Sha256(sum) => sum.update(bytes),
        }
    }

    fn matches(&self) -> bool {
        match &self.sum {
            Sum::Sha1(sum) => sum.clone().finalize()[..] == self.expected[..],
            Sum::Sha256(sum) => sum.clone().finalize()[..] == self.expected[..],
        }
    }
}
