//! `/models`: the `MediaPipe` model, and trained, mixed and imported models.

mod batcher;
mod bundle;
mod change;
mod compare;
mod detect;
pub(super) mod detectors;
mod downloads;
mod export;
mod files;
mod import;
mod list;
mod mix;
mod provenance;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use schemars::SchemaGenerator;

use super::app::App;

/// Routes whose requests are answered quickly.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/models", get(list::list))
        .route("/models/compare", get(compare::compare))
        .route("/models/{id}", get(list::show))
        .merge(change::routes())
        .merge(mix::routes())
}

/// Routes whose requests may take a long time.
pub(super) fn slow_routes() -> Router<Arc<App>> {
    import::routes().merge(files::routes()).merge(detect::routes())
}

/// Adds the schemas of responses.
pub(super) fn describe(generator: &mut SchemaGenerator) {
    generator.subschema_for::<view::ModelView>();
    generator.subschema_for::<list::Whole>();
    generator.subschema_for::<compare::Comparison>();
    generator.subschema_for::<detect::Detections>();
}
