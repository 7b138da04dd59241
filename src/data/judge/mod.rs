//! Decides what the numbers of a table mean, once the sizes of its pictures are known.
//!
//! A single row fits any reading, but all rows together often fit only one. If they leave no doubt, the table is read
//! that way, and a note says so. If they leave doubt, the table is refused with advice on how to state what is meant.

mod doubt;
mod frame;

use self::doubt::{Sample, check, fit};
use self::frame::{Frame, TurnedPicture};
use super::decoding::Stored;
use super::labels::{LabelFormat, LabelTable, Units};
use super::plan::{Plan, PlannedFace, PlannedPicture};
use super::plan_error::PlanError;
use super::reporter::Reporter;

/// Converts the boxes of all planned faces to left, top, width and height in pixels of the upright picture.
///
/// * `stored`: what is known about each planned picture; `None` for a bad one, whose faces stay as they are.
///
/// # Errors
///
/// [`PlanError::Doubtful`].
pub(super) fn judge(
    plan: &mut Plan,
    stored: &[Option<&Stored>],
    report: &mut Reporter,
) -> Result<(), PlanError> {
    let Plan { pictures, tables } = plan;
    for (index, table) in tables.iter().enumerate() {
        let table = &table.labels;
        let mut samples = samples(pictures, stored, index, table);
        let are_as_stored = are_as_stored(&samples, table);
        for sample in samples.iter_mut().filter(|_| are_as_stored) {
            sample.frame = sample.frame.if_turned(sample.measured, table.units);
        }
        check(&samples, table)?;
        note(&samples, table, report);
        let mut reading = Reading { table, are_as_stored, report };
        for ((name, picture), stored) in pictures.iter_mut().zip(stored) {
            let Some(stored) = stored else { continue };
            reading.read(index, name, picture, TurnedPicture::of(stored));
        }
    }
    Ok(())
}

/// Returns the faces of one table whose pictures were decoded.
fn samples<'a>(
    pictures: &'a [(String, PlannedPicture)],
    stored: &[Option<&Stored>],
    index: usize,
    table: &LabelTable,
) -> Vec<Sample<'a>> {
    let known =
        pictures.iter().zip(stored).filter_map(|(picture, stored)| Some((picture, (*stored)?)));
    known
        .flat_map(|((name, picture), stored)| {
            let measured = TurnedPicture::of(stored);
            let faces = picture.faces.iter().filter(move |face| face.table == index);
            faces.filter_map(move |face| {
                let frame = Frame::of(face, measured, table.units)?;
                Some(Sample { name, row: face.row, numbers: face.numbers, measured, frame })
            })
        })
        .collect()
}

/// Whether boxes of turned pictures without a stated size were drawn on the stored pictures: most would
/// leave the upright picture, and none would leave the stored one.
fn are_as_stored(samples: &[Sample<'_>], table: &LabelTable) -> bool {
    let turned =
        samples.iter().filter(|sample| sample.measured.is_turned() && !sample.frame.is_stated);
    let (mut all, mut leaving, mut leaving_stored) = (0, 0, 0);
    for sample in turned {
        let fits = |frame| fit(table.shape, sample.numbers, frame);
        all += 1;
        leaving += usize::from(!fits(sample.frame));
        leaving_stored += usize::from(!fits(sample.frame.if_turned(sample.measured, table.units)));
    }
    leaving * 2 > all && leaving_stored == 0
}

/// Adds a note on how a table was read, if not literally.
fn note(samples: &[Sample<'_>], table: &LabelTable, report: &mut Reporter) {
    let file = &table.path;
    if table.format == LabelFormat::Csv && table.units == Units::Fractions && !samples.is_empty() {
        let text = "its numbers were read as fractions of the pictures' width and height";
        report.note(format!("{file}: {text}"));
    }
    let is_stored = |sample: &&Sample<'_>| sample.frame.is_stored;
    if let Some(first) = samples.iter().find(is_stored) {
        let count = samples.iter().filter(is_stored).count();
        report.note(format!(
            "{file}: {count} boxes were drawn on pictures as they are stored, before their EXIF orientation is applied, and were turned with the pictures; one of these is {}",
            first.name
        ));
    }
    if let Some(first) = samples.iter().find(|sample| sample.frame.is_scaled) {
        let count = samples.iter().filter(|sample| sample.frame.is_scaled).count();
        let (Frame { width, height, .. }, of) = (first.frame, first.measured);
        report.note(format!(
            "{file}: {count} boxes were scaled to their pictures; those of {} were drawn at {width} × {height} pixels, but the picture has {} × {}",
            first.name, of.width, of.height
        ));
    }
}

/// A converter of one table's faces.
struct Reading<'a> {
    table: &'a LabelTable,
    are_as_stored: bool,
    report: &'a mut Reporter,
}

/// Keypoints may be outside the picture by this share of its size. Those further out are dropped.
const KEYPOINT_MARGIN: f32 = 0.1;

impl Reading<'_> {
    /// Converts the table's faces in one picture.
    fn read(
        &mut self,
        index: usize,
        name: &str,
        picture: &mut PlannedPicture,
        measured: TurnedPicture,
    ) {
        for mut face in std::mem::take(&mut picture.faces) {
            if face.table != index || self.convert(&mut face, name, measured) {
                picture.faces.push(face);
            } else {
                picture.has_bad_rows = true;
            }
        }
    }

    /// Converts a face and returns whether it can be used.
    fn convert(&mut self, face: &mut PlannedFace, name: &str, measured: TurnedPicture) -> bool {
        let Some(mut frame) = Frame::of(face, measured, self.table.units) else {
            let [width, height] = face.size.unwrap_or_default();
            let reason = format!(
                "it was drawn on a picture of {width} × {height} pixels, but {name} has {} × {}, which is another shape",
                measured.width, measured.height
            );
            self.report.lose_row("picture of another shape", &face.file, face.row, reason);
            return false;
        };
        if self.are_as_stored {
            frame = frame.if_turned(measured, self.table.units);
        }
        let [x, y, w, h] = self.table.shape.to_xywh(face.numbers);
        let [left, top] = frame.upright([x, y], measured);
        let [right, bottom] = frame.upright([x + w, y + h], measured);
        let (x, y) = (left.min(right), top.min(bottom));
        face.numbers = [x, y, (left - right).abs(), (top - bottom).abs()];
        for point in &mut face.keypoints {
            let Some(at) = point.map(|at| frame.upright(at, measured)) else { continue };
            let size = [measured.width as f32, measured.height as f32];
            let is_far = at.iter().zip(size).any(|(&at, size)| {
                at < -KEYPOINT_MARGIN * size || at > (1.0 + KEYPOINT_MARGIN) * size
            });
            *point = (!is_far).then_some(at);
            if is_far {
                let reason = format!("a keypoint lies far outside {name}; it counts as unlabelled");
                self.report.add("keypoint outside the picture", &face.file, Some(face.row), reason);
            }
        }
        true
    }
}

/// Counts equal rows once: the same box in the same picture, with the same keypoints or without any.
pub(super) fn merge_repeated(plan: &mut Plan, report: &mut Reporter) {
    for (_, picture) in &mut plan.pictures {
        let mut kept: Vec<PlannedFace> = Vec::new();
        for face in std::mem::take(&mut picture.faces) {
            let Some(first) = kept.iter_mut().find(|first| is_repeated(first, &face)) else {
                kept.push(face);
                continue;
            };
            let reason = format!("repeats row {} of {}; it counts once", first.row, first.file);
            report.lose_row("repeated row", &face.file, face.row, reason);
            if first.keypoints.iter().all(Option::is_none) {
                first.keypoints = face.keypoints;
            }
            first.difficulty = first.difficulty.or(face.difficulty);
        }
        picture.faces = kept;
    }
}

/// Boxes that differ by less than this many pixels are equal, since tables round differently.
const SAME_PIXELS: f32 = 0.02;

fn is_repeated(first: &PlannedFace, face: &PlannedFace) -> bool {
    let near = first.numbers.iter().zip(face.numbers).all(|(a, b)| (a - b).abs() < SAME_PIXELS);
    let is_bare = |face: &PlannedFace| face.keypoints.iter().all(Option::is_none);
    let is_alike = near && first.is_ignored == face.is_ignored;
    is_alike && (is_bare(first) || is_bare(face) || first.keypoints == face.keypoints)
}
