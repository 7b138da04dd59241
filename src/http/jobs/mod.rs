//! `/jobs`: creating, listing and controlling jobs.

mod artifacts;
mod commands;
mod create;
mod evaluate;
mod events;
mod extend;
mod files;
mod list;
mod metrics;
mod queue;
mod train;
pub(super) mod view;
mod when;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use schemars::SchemaGenerator;

use super::app::App;

/// Routes whose requests are answered quickly.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/jobs", get(list::list).post(create::create))
        .route("/jobs/{id}", get(list::show).delete(list::delete))
        .route("/schema/train", get(train::schema))
        .merge(commands::routes())
        .merge(extend::routes())
        .merge(queue::routes())
        .merge(metrics::routes())
        .merge(files::routes())
}

/// Routes whose requests may take a long time.
pub(super) fn slow_routes() -> Router<Arc<App>> {
    events::routes().merge(artifacts::routes())
}

/// Adds the schemas of responses.
pub(super) fn describe(generator: &mut SchemaGenerator) {
    generator.subschema_for::<view::JobView>();
}
