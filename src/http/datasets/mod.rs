//! The routes under `/datasets`.

mod export;
mod images;
mod list;
mod report;
pub(super) mod upload;
mod view;

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use schemars::SchemaGenerator;

use super::app::App;

/// Routes whose requests are answered quickly.
pub(super) fn routes() -> Router<Arc<App>> {
    Router::new()
        .route("/datasets", get(list::list))
        .route("/datasets/{id}", get(list::show).delete(list::delete))
        .merge(images::list_routes())
        .merge(report::routes())
}

/// Routes whose requests may take a long time.
pub(super) fn slow_routes() -> Router<Arc<App>> {
    upload::routes().merge(images::picture_routes()).merge(export::routes())
}

/// Adds the schemas of responses.
pub(super) fn describe(generator: &mut SchemaGenerator) {
    generator.subschema_for::<view::DatasetView>();
    generator.subschema_for::<images::ImageView>();
    generator.subschema_for::<report::ReportView>();
}
