//! `/datasets/{id}/images`: the pictures of a data set, with their faces.

use std::io::Cursor;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use image::codecs::jpeg::JpegEncoder;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::data::{ImportedDataset, Split};
use crate::geometry::Rect;
use crate::http::app::App;
use crate::http::blocking::blocking;
use crate::http::conditional::is_known;
use crate::http::extract::{Path, Query};
use crate::http::page::{Page, PageQuery};
use crate::http::problem::{Problem, Result};
use crate::store::ids::DatasetId;

pub(super) fn list_routes() -> Router<Arc<App>> {
    Router::new().route("/datasets/{id}/images", get(list))
}

pub(super) fn picture_routes() -> Router<Arc<App>> {
    Router::new().route("/datasets/{id}/images/{index}", get(show))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ImagesQuery {
    split: Option<Split>,
    limit: Option<u32>,
    cursor: Option<String>,
}

/// A picture as clients see it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DatasetImage")]
pub(super) struct ImageView {
    index: usize,
    name: String,
    split: Split,
    /// Width of the original, in pixels.
    width: u32,
    /// Height of the original, in pixels.
    height: u32,
    faces: Vec<Rect>,
}

/// `GET /datasets/{id}/images`: the pictures, in the order of the data set.
async fn list(
    State(app): State<Arc<App>>,
    Path(id): Path<DatasetId>,
    Query(query): Query<ImagesQuery>,
) -> Result<Json<Page<ImageView>>> {
    let ImagesQuery { split, limit, cursor } = query;
    let page = PageQuery { limit, cursor };
    let (limit, first) = (page.limit()?, page.cursor()?.map_or(0, |last: usize| last + 1));
    let dataset = app.dataset(id).await?;
    let pictures = dataset.manifest.pictures.iter().enumerate().skip(first);
    let of_split = pictures.filter(|(_, picture)| split.is_none_or(|split| picture.split == split));
    let views = of_split.take(limit + 1).map(|(index, picture)| ImageView {
        index,
        name: picture.name.clone(),
        split: picture.split,
        width: picture.width,
        height: picture.height,
        faces: picture.faces.clone(),
    });
    Ok(Json(Page::new(views.collect(), limit, |view: &ImageView| view.index.to_string())))
}

/// `GET /datasets/{id}/images/{index}`: the picture as imported, 256 pixels on its longer side.
async fn show(
    State(app): State<Arc<App>>,
    Path((id, index)): Path<(DatasetId, usize)>,
    headers: HeaderMap,
) -> Result<Response> {
    let dataset = app.dataset(id).await?;
    let hash = &dataset.manifest.content_hash;
    let etag = format!("\"{hash}-{index}\"");
    let caching = [
        (header::ETAG, etag.clone()),
        (header::CACHE_CONTROL, "private, max-age=31536000, immutable".to_owned()),
    ];
    if is_known(&headers, &etag) {
        return Ok((StatusCode::NOT_MODIFIED, caching).into_response());
    }
    let jpeg = blocking(move || jpeg(&dataset, index)).await??;
    let jpeg =
        jpeg.ok_or_else(|| Problem::not_found(format_args!("picture {index} in data set {id}")))?;
    Ok((caching, [(header::CONTENT_TYPE, "image/jpeg")], jpeg).into_response())
}

const JPEG_QUALITY: u8 = 90;

fn jpeg(dataset: &ImportedDataset, index: usize) -> Result<Option<Vec<u8>>> {
    let Some(picture) = dataset.picture(index)? else { return Ok(None) };
    let mut jpeg = Cursor::new(Vec::new());
    let encoder = JpegEncoder::new_with_quality(&mut jpeg, JPEG_QUALITY);
    picture.write_with_encoder(encoder).map_err(|error| Problem::internal(&error))?;
    Ok(Some(jpeg.into_inner()))
}
