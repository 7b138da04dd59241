//! `/health/live` and `/health/ready`, for process supervisors and load balancers.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::{Value, json};

use super::app::App;
use super::problem::{Problem, Result};
use crate::store;

pub(super) fn routes() -> Router<Arc<App>> {
    Router::new().route("/health/live", get(live)).route("/health/ready", get(ready))
}

async fn live() -> Json<Value> {
    Json(json!({"status": "ok"}))
}

async fn ready(State(app): State<Arc<App>>) -> Result<Json<Value>> {
    match store::ping(&app.db).await {
        Ok(()) if !app.stop.is_cancelled() => Ok(Json(json!({"status": "ok"}))),
        Ok(()) => Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the server is shutting down")),
        Err(error) => {
            tracing::error!("not ready: {error}");
            Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the database does not respond"))
        }
    }
}
