//! Keeps reading a request's body after the response is ready. A client that is still sending the body would otherwise
//! see a broken connection instead of the response.

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

/// How long to keep reading and discarding the rest of the body.
const PATIENCE: Duration = Duration::from_secs(10);

/// Middleware that reads the rest of the body before it returns the response.
pub(super) async fn read_on(request: Request, next: Next) -> Response {
    // A client that sends `Expect` waits for permission before it sends the body.
    if request.body().is_end_stream() || request.headers().contains_key(header::EXPECT) {
        return next.run(request).await;
    }
    let (head, body) = request.into_parts();
    let mut body = Shared(Arc::new(Mutex::new(body.into_data_stream())));
    let response = next.run(Request::from_parts(head, Body::from_stream(body.clone()))).await;
    let rest = async { while let Some(Ok(_)) = body.next().await {} };
    let _ = tokio::time::timeout(PATIENCE, rest).await; // After that, the client may miss the response.
    response
}

/// A body that the middleware can read to its end after the handler has stopped reading.
#[derive(Clone)]
struct Shared(Arc<Mutex<BodyDataStream>>);

impl Stream for Shared {
    type Item = Result<Bytes, axum::Error>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let mut body = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        body.poll_next_unpin(context)
    }
}
