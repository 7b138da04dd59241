//! Label Studio's exports "JSON" and "JSON-MIN": a list of tasks, each with a picture and regions in per cent of it.
//!
//! Source: <https://labelstud.io/guide/export> and <https://labelstud.io/guide/task_format>.

mod address;
mod region;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer, SeqAccess, Visitor};
use serde_json::Value;

use self::address::picture_name;
use self::region::{label, outline, size};
use super::categories::keep_faces;
use super::format::{LabelFile, LabelFormat, Unread, table};
use super::shapes::{DrawnShape, ShapePicture};
use super::{BoxShape, Face, LabelOptions, LabelTable, Row, Units};
use crate::data::reporter::Reporter;

/// Whether a JSON text is a list of tasks.
pub(super) fn is_label_studio(text: &str) -> bool {
    let has = |key: &str| text.contains(key);
    let is_full = has("\"data\"") && (has("\"annotations\"") || has("\"completions\""));
    let is_min = has("\"annotation_id\"") && has("\"annotator\"");
    text.trim_start().starts_with('[') && (is_full || is_min)
}

/// Reads an export. The number of a row is its task's position in the file, from 1.
pub(in crate::data) fn read(
    file: &LabelFile,
    options: &LabelOptions,
    report: Reporter,
) -> Result<LabelTable, Unread> {
    let path: Arc<str> = file.path.as_str().into();
    let mut reading = Reading { path: path.clone(), rows: Vec::new(), nameless: 0, report };
    let mut number = 0;
    let mut deserializer = serde_json::Deserializer::from_str(&file.text);
    let tasks = Tasks(|task: Value| {
        number += 1;
        reading.task(number, &task);
    });
    deserializer.deserialize_seq(tasks).and_then(|()| deserializer.end()).map_err(|error| {
        Unread::Damaged(format!("it looks like Label Studio JSON, but {error}"))
    })?;
    let Reading { mut rows, nameless, mut report, .. } = reading;
    keep_faces(&mut rows, options, &path, &mut report)?;
    let given = rows.len() as u64 + nameless;
    let source = (file.path.clone(), LabelFormat::LabelStudio, 1);
    Ok(table(source, (BoxShape::Xyxy, Units::Fractions), rows, given, report))
}

/// A visitor of a list that never holds more than one task.
struct Tasks<F>(F);

impl<'de, F: FnMut(Value)> Visitor<'de> for Tasks<F> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list of tasks")
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut tasks: A) -> Result<(), A::Error> {
        while let Some(task) = tasks.next_element()? {
            (self.0)(task);
        }
        Ok(())
    }
}

struct Reading {
    path: Arc<str>,
    rows: Vec<Row>,
    nameless: u64,
    report: Reporter,
}

impl Reading {
    fn task(&mut self, number: u64, task: &Value) {
        let path = match picture_name(task) {
            Ok(path) => path,
            Err(reason) => {
                self.report.lose_row("row without a picture", &self.path, number, reason);
                self.nameless += 1;
                return;
            }
        };
        let Some(regions) = regions(task) else {
            let reason = format!("{path} has no annotation, or only cancelled ones");
            self.report.lose_row("task without an annotation", &self.path, number, reason);
            let row = Row::new(number, path, Face::Unknown);
            self.rows.push(Row { file: Some(self.path.clone()), ..row });
            return;
        };
        let size = regions.iter().find_map(|region| size(region));
        let picture = ShapePicture { number, path, size, shapes: shapes(number, &regions) };
        self.rows.extend(picture.into_rows(&self.path, &mut self.report));
    }
}

/// Returns a task's regions; `None` if nobody has annotated it.
fn regions(task: &Value) -> Option<Vec<&Value>> {
    let annotations = task.get("annotations").or_else(|| task.get("completions"));
    let Some(annotations) = annotations.filter(|_| task.get("data").is_some()) else {
        return Some(task.as_object()?.values().filter_map(Value::as_array).flatten().collect());
    };
    let is_true = |annotation: &Value, key| annotation[key] == true || annotation[key] == 1;
    let usable = annotations.as_array()?.iter().filter(|annotation| {
        annotation["result"].is_array() && !is_true(annotation, "was_cancelled")
    });
    // Several people may have annotated the task; the truth counts first, and then the newest. The times are ISO 8601.
    let best = usable.max_by_key(|annotation| {
        let time = |key: &str| annotation[key].as_str().unwrap_or_default();
        let times = (time("updated_at"), time("created_at"));
        (is_true(annotation, "ground_truth"), times, annotation["id"].as_i64())
    });
    Some(best?["result"].as_array()?.iter().collect())
}

/// Converts regions to shapes. A shape and its labels may be two regions with the same id.
fn shapes(number: u64, regions: &[&Value]) -> Vec<DrawnShape> {
    let mut shapes: Vec<DrawnShape> = Vec::new();
    let mut by_id: BTreeMap<&str, usize> = BTreeMap::new();
    for region in regions {
        let Some(outline) = outline(region) else { continue };
        let label = label(region);
        let id = region["id"].as_str();
        if let Some(&first) = id.and_then(|id| by_id.get(id)) {
            let first = &mut shapes[first];
            if first.label.is_empty() {
                first.label = label;
            }
            continue;
        }
        by_id.extend(id.map(|id| (id, shapes.len())));
        let group = region["parentID"].as_str().or(id).map(str::to_owned);
        shapes.push(DrawnShape { number, label, group, outline });
    }
    shapes
}

#[cfg(test)]
mod tests;
