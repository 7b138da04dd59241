//! Responses sent before the whole body was read. A client that is still sending would see a broken connection instead
//! of the response, so the rest is read and discarded for a while.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use axum::body::{Body, BodyDataStream, Bytes, HttpBody};
use axum::extract::Request;
use axum::http::header;
use axum::middleware::Next;
use axum::response::Response;
use futures_util::{Stream, StreamExt};

/// How long to keep reading what a client still sends.
const PATIENCE: Duration = Duration::from_secs(10);

/// Middleware.
pub(super) async fn read_on(request: Request, next: Next) -> Response {
    // A client that sent `Expect` has not begun to send.
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let mut body = Shared(Arc::new(Mutex::new(body.into_data_stream())));
    let response = next.run(Request::from_parts(head, Body::from_stream(body.clone()))).await;
    let rest = async { while let Some(Ok(_)) = body.next().await {} };
    let _ = tokio::time::timeout(PATIENCE, rest).await; // Then it has to do without the answer.
    response
}

/// A body that someone else reads to its end when the handler has stopped.
#[derive(Clone)]
struct Shared(Arc<Mutex<BodyDataStream>>);

impl Stream for Shared {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.poll_next_unpin(context)
    }
}
