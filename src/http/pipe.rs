//! A response's body that a blocking thread writes while it is sent.

use std::io::{self, Write};
use std::time::Duration;

use axum::body::{Body, Bytes};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, OwnedPermit, Sender};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tracing::warn;

/// Maximum number of pieces that wait for a slow client.
const PIECES: usize = 16;

/// Returns a body that `write` fills on a blocking thread. Writing waits for the client, and fails once the client has
/// gone or has taken nothing for `patience`; then the body is cut off, which the client sees.
///
/// * `what`: the body's name in the log.
pub(super) fn body(
    what: &'static str,
    patience: Duration,
    write: impl FnOnce(&mut Pipe) -> io::Result<()> + Send + 'static,
) -> Body {
    let (pieces, body) = mpsc::channel(PIECES + 1);
    // The place for the error is kept free, since a client that takes nothing must learn of it, too.
    let failure = pieces.clone().try_reserve_owned().ok();
    tokio::task::spawn_blocking(move || {
        let mut failure = Failure(failure);
        match write(&mut Pipe { pieces: Some(pieces), patience }) {
            Ok(()) => failure.0 = None,
            Err(error) => warn!("cannot send the whole {what}: {error}"),
        }
    });
    Body::from_stream(ReceiverStream::new(body))
}

/// Cuts the body off when it is dropped, be it by a panic, unless the body is whole.
struct Failure(Option<OwnedPermit<io::Result<Bytes>>>);

impl Drop for Failure {
    fn drop(&mut self) {
        if let Some(place) = self.0.take() {
            place.send(Err(io::Error::other("the body was cut off")));
        }
    }
}

/// The writing end of a body.
pub(super) struct Pipe {
    /// `None` after a failure. A zip writer that is dropped then still writes its end, which goes nowhere.
    pieces: Option<Sender<io::Result<Bytes>>>,
    patience: Duration,
}

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let Some(pieces) = &self.pieces else { return Ok(bytes.len()) };
        let send = timeout(self.patience, pieces.send(Ok(Bytes::copy_from_slice(bytes))));
        let failure = match Handle::current().block_on(send) {
            Ok(Ok(())) => return Ok(bytes.len()),
            Ok(Err(_)) => io::Error::new(io::ErrorKind::BrokenPipe, "the client has gone"),
            Err(_) => io::Error::new(io::ErrorKind::TimedOut, "the client takes nothing"),
        };
        self.pieces = None;
        Err(failure)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    /// Returns whether the client sees that the body is cut off.
    async fn is_cut_off(write: impl FnOnce(&mut Pipe) -> io::Result<()> + Send + 'static) -> bool {
        use futures_util::StreamExt;
        let body = body("test", Duration::from_millis(50), write);
        tokio::time::sleep(Duration::from_millis(200)).await;
        body.into_data_stream().any(|piece| async move { piece.is_err() }).await
    }

    #[tokio::test]
    async fn the_client_sees_whether_the_body_is_whole() {
        assert!(!is_cut_off(|pipe| pipe.write_all(b"whole")).await);
        assert!(is_cut_off(|pipe| (0..PIECES * 2).try_for_each(|_| pipe.write_all(b"x"))).await);
        assert!(is_cut_off(|_| Err(io::ErrorKind::NotFound.into())).await);
        assert!(is_cut_off(|_| panic!("in a test")).await);
    }

    /// Returns how writing ends if the client takes `taken` pieces and then waits, or leaves.
    async fn end(taken: usize, leaves: bool) -> io::Error {
        use futures_util::StreamExt;
        let (ended, end) = channel();
        let body = body("test", Duration::from_millis(200), move |pipe| {
            let error = loop {
                if let Err(error) = pipe.write_all(b"piece") {
                    break error;
                }
            };
            assert!(pipe.write_all(b"after the end").is_ok());
            let _ = ended.send(error);
            Ok(())
        });
        let mut pieces = body.into_data_stream();
        for _ in 0..taken {
            assert_eq!(&pieces.next().await.unwrap().unwrap()[..], b"piece");
        }
        let kept = (!leaves).then_some(pieces);
        let error = tokio::task::spawn_blocking(move || end.recv_timeout(Duration::from_secs(10)));
        let error = error.await.unwrap().unwrap();
        drop(kept);
        error
    }

    #[tokio::test]
    async fn writing_ends_soon_after_the_client_has_gone_or_takes_nothing() {
        for taken in [0, 3, 100] {
            assert_eq!(end(taken, true).await.kind(), io::ErrorKind::BrokenPipe);
            assert_eq!(end(taken, false).await.kind(), io::ErrorKind::TimedOut);
        }
    }
}
