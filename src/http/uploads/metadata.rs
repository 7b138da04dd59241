//! The header `Upload-Metadata`: keys, each with a value in base64, separated by commas.

use axum::http::{HeaderMap, StatusCode};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};

use crate::data::LabelOptions;
use crate::http::datasets::upload::{UNNAMED, UploadQuery};
use crate::http::fields::valid_name;
use crate::http::problem::{Problem, Result};

/// Keys that clients add on their own.
const IGNORED: [&str; 5] = ["filetype", "type", "relativePath", "lastModified", "contentType"];

/// Reads the data set's name and what the user says about the labels.
pub(super) fn read(headers: &HeaderMap) -> Result<(String, LabelOptions)> {
    let text = headers.get("upload-metadata").map_or(Ok(""), |value| value.to_str());
    let text = text.map_err(|_| bad("it is not ASCII"))?;
    let mut fields = Map::new();
    for pair in text.split(',').map(str::trim).filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once(' ').unwrap_or((pair, ""));
        let value = STANDARD.decode(value.trim()).ok();
        let value = value.and_then(|value| String::from_utf8(value).ok());
        let value = value.ok_or_else(|| bad(format_args!("{key} is not base64-encoded text")))?;
        if !IGNORED.contains(&key) {
            fields.insert(key.to_owned(), Value::String(value));
        }
    }
    let file_name = fields.remove("filename");
    let query: UploadQuery = serde_json::from_value(Value::Object(fields)).map_err(bad)?;
    let labels = query.labels();
    let file_name = file_name.as_ref().and_then(Value::as_str).map(str::trim);
    let file_name = file_name.filter(|name| !name.is_empty());
    let name = valid_name(query.name)?.or(file_name.map(|name| name.chars().take(200).collect()));
    Ok((name.unwrap_or_else(|| UNNAMED.to_owned()), labels))
}

fn bad(why: impl std::fmt::Display) -> Problem {
    let text = format!("cannot use the header Upload-Metadata: {why}");
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, text)
}
