//! The API and the dashboard. Each resource has a module with its routes.

mod app;
mod blocking;
mod conditional;
mod dashboard;
mod datasets;
mod devices;
mod extract;
mod fields;
mod health;
mod idempotency;
mod jobs;
mod layers;
mod models;
mod page;
mod pipe;
mod problem;
mod read_on;
pub mod schema;
mod send;
mod system;
mod uploads;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::StatusCode;
use axum::serve::ListenerExt;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tower_http::compression::CompressionLayer;
use tower_http::timeout::TimeoutLayer;
use tracing::debug;

pub use self::app::{App, AppSetup};
pub use self::devices::{DeviceView, DevicesView};

/// Returns the router for everything that the server serves.
pub fn router(app: Arc<App>) -> Router {
    let api = quick(&app).merge(slow()).fallback(problem::no_such_path);
    let router = Router::new()
        .nest("/api/v1", api)
        .merge(health::routes())
        .fallback(dashboard::asset)
        .with_state(app);
    layers::around(router)
}

/// Serves `router` until `stop` is cancelled, then finishes open requests.
///
/// # Errors
///
/// If the listener fails.
pub async fn serve(
    listener: TcpListener,
    router: Router,
    stop: CancellationToken,
) -> std::io::Result<()> {
    // Sends each response at once, without waiting for the previous one's acknowledgement.
    let listener = listener.tap_io(|connection| {
        if let Err(error) = connection.set_nodelay(true) {
            debug!("cannot set TCP_NODELAY: {error}");
        }
    });
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// Routes whose requests are answered quickly or time out.
fn quick(app: &App) -> Router<Arc<App>> {
    let timeout = Duration::from_secs(app.config.server.request_timeout_s);
    Router::new()
        .merge(datasets::routes())
        .merge(jobs::routes())
        .merge(models::routes())
        .merge(system::routes())
        .layer(CompressionLayer::new())
        .layer(TimeoutLayer::with_status_code(StatusCode::SERVICE_UNAVAILABLE, timeout))
}

/// Routes whose requests may take a long time and have their own limits.
fn slow() -> Router<Arc<App>> {
    Router::new()
        .merge(datasets::slow_routes())
        .merge(uploads::routes())
        .merge(jobs::slow_routes())
        .merge(models::slow_routes())
        .layer(DefaultBodyLimit::disable())
}
