//! `GET /models`, `GET /models/{id}`.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use schemars::JsonSchema;
use serde::Serialize;

use super::provenance::{Provenance, provenance};
use super::view::{ModelRef, ModelView, base, find};
use crate::http::app::App;
use crate::http::extract::{Path, Query};
use crate::http::page::{Page, PageQuery};
use crate::http::problem::Result;
use crate::store;

/// `GET /models`: newest first, the `MediaPipe` model last.
pub(super) async fn list(
    State(app): State<Arc<App>>,
    Query(page): Query<PageQuery>,
) -> Result<Json<Page<ModelView>>> {
    let limit = page.limit()?;
    let models = store::models::page(&app.db, page.cursor()?, limit as i64 + 1).await?;
    let views = models.into_iter().map(ModelView::from).collect();
    let mut page = Page::new(views, limit, |view: &ModelView| view.id.clone());
    if page.next_cursor.is_none() {
        page.items.push(base());
    }
    Ok(Json(page))
}

/// `GET /models/{id}`
pub(super) async fn show(
    State(app): State<Arc<App>>,
    Path(id): Path<ModelRef>,
) -> Result<Json<Whole>> {
    Ok(Json(match id {
        ModelRef::Base => Whole { model: base(), provenance: Provenance::of_base() },
        ModelRef::Id(id) => {
            let model = find(&app.db, id).await?;
            let provenance = provenance(&app, &model).await?;
            Whole { model: model.into(), provenance }
        }
    }))
}

/// A model and its provenance.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "WholeModel")]
pub(super) struct Whole {
    #[serde(flatten)]
    model: ModelView,
    provenance: Provenance,
}
