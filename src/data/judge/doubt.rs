//! Checks whether a table's boxes fit their pictures as the columns are named, or only if read another way.

use super::frame::{Frame, TurnedPicture};
use crate::data::labels::{BoxShape, LabelTable};
use crate::data::plan_error::PlanError;

/// A face whose picture was decoded.
#[derive(Debug)]
pub(super) struct Sample<'a> {
    /// The picture's path.
    pub(super) name: &'a str,
    pub(super) row: u64,
    pub(super) numbers: [f32; 4],
    pub(super) measured: TurnedPicture,
    pub(super) frame: Frame,
}

/// Boxes may reach over the edge by this share of the picture's size.
const MARGIN: f32 = 0.05;
/// How many rows an error quotes.
const QUOTED: usize = 3;

/// Whether a box has a size and stays within its picture, up to the margin.
pub(super) fn fit(shape: BoxShape, numbers: [f32; 4], frame: Frame) -> bool {
    let [x, y, w, h] = shape.to_xywh(numbers);
    let is_in = |from: f32, size: f32, limit: f32| {
        size > 0.0 && from >= -MARGIN * limit && from + size <= (1.0 + MARGIN) * limit
    };
    is_in(x, w, frame.width) && is_in(y, h, frame.height)
}

/// Refuses a table if too many of its boxes would leave their pictures as its columns are named.
pub(super) fn check(samples: &[Sample<'_>], table: &LabelTable) -> Result<(), PlanError> {
    let leaving = |numbers: fn([f32; 4]) -> [f32; 4], shape| {
        samples.iter().filter(|sample| !fit(shape, numbers(sample.numbers), sample.frame)).count()
    };
    let as_they_are = |numbers: [f32; 4]| numbers;
    let count = leaving(as_they_are, table.shape);
    if table.is_shape_stated || count < 2 || count * 3 <= samples.len() {
        return Ok(());
    }
    let others = [BoxShape::Xywh, BoxShape::Xyxy, BoxShape::Cxcywh].into_iter();
    let shapes: Vec<BoxShape> =
        others.filter(|&shape| shape != table.shape && leaving(as_they_are, shape) == 0).collect();
    let are_swapped = leaving(|[a, b, c, d]| [b, a, d, c], table.shape) == 0;
    let instead = match shapes[..] {
        [shape] => looks_like(shape, table.shape),
        [_, ..] => {
            let names: Vec<&str> = shapes.iter().map(|shape| shape.name()).collect();
            format!("say what they are: ?boxes={}", names.join(" or ?boxes="))
        }
        [] if are_swapped => {
            "they fit if x and y are swapped, so correct the names of the columns".to_owned()
        }
        [] if count * 2 <= samples.len() => return Ok(()),
        [] => other_size(samples, table),
    };
    let examples: Vec<String> = samples
        .iter()
        .filter(|sample| !fit(table.shape, sample.numbers, sample.frame))
        .take(QUOTED)
        .map(|Sample { name, row, numbers: [a, b, c, d], measured, .. }| {
            let (width, height) = (measured.width, measured.height);
            format!("row {row} has {a},{b},{c},{d} for {name}, which is {width} × {height} pixels")
        })
        .collect();
    let (file, header, all) = (&table.path, &table.header, samples.len());
    let (named, examples) = (described(table.shape), examples.join("; "));
    Err(PlanError::Doubtful(format!(
        "{count} of {all} boxes in {file} would leave their pictures if read as {named}; {instead}. The table's first line is \"{header}\"; {examples}"
    )))
}

fn described(shape: BoxShape) -> &'static str {
    match shape {
        BoxShape::Xywh => "left, top, width and height",
        BoxShape::Xyxy => "corners (x1,y1 and x2,y2)",
        BoxShape::Cxcywh => "centre, width and height",
    }
}

fn looks_like(shape: BoxShape, named: BoxShape) -> String {
    format!(
        "they all fit as {}. If that is what they are, upload the archive again with ?boxes={}; if not, with ?boxes={}",
        described(shape),
        shape.name(),
        named.name()
    )
}

fn other_size(samples: &[Sample<'_>], table: &LabelTable) -> String {
    let reach = samples.iter().fold([0.0_f32; 2], |reach, sample| {
        let [x, y, w, h] = table.shape.to_xywh(sample.numbers);
        [reach[0].max(x + w), reach[1].max(y + h)]
    });
    let [right, bottom] = reach;
    format!(
        "they reach to x = {right} and y = {bottom}, so they seem to have been drawn on pictures of another size. Add columns width and height with the size of those pictures, or export the boxes for the pictures in the archive; ?boxes={} accepts the boxes as they are",
        table.shape.name()
    )
}
