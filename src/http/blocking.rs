//! Work that would keep other requests waiting.

use super::problem::{Problem, Result};

/// Runs blocking work on a thread where it may block.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Problem::internal(&error))
}
