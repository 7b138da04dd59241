//! CVAT's own XML: `image` elements with shapes, or for a video, `track` elements with one shape per frame.
//!
//! Source: <https://docs.cvat.ai/docs/dataset_management/formats/format-cvat/> and the description of its XML.

mod shape;
mod video;

use std::collections::BTreeMap;
use std::sync::Arc;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use self::shape::{Attributes, outline};
use self::video::{Tracked, frames};
use super::categories::keep_faces;
use super::format::{LabelFile, LabelFormat, Unread, table};
use super::shapes::{DrawnShape, ShapePicture};
use super::{BoxShape, LabelOptions, LabelTable, Units};
use crate::data::reporter::Reporter;

/// The elements that are shapes.
const SHAPES: [&str; 8] =
    ["box", "polygon", "polyline", "points", "ellipse", "mask", "cuboid", "skeleton"];

/// Returns the format of an XML text if it is one of CVAT's.
pub(super) fn cvat_format(text: &str) -> Option<LabelFormat> {
    let has = |tag: &str| text.contains(tag);
    let is_cvat = has("<annotations>") && (has("<meta>") || has("<version>") || has(" xtl="));
    match (has("<image "), has("<track ")) {
        _ if !is_cvat => None,
        (_, false) => Some(LabelFormat::Cvat),
        (_, true) => Some(LabelFormat::CvatVideo),
    }
}

/// Reads a file, as one table per subset: a project's `Train`, `Validation` and so on, or an empty name.
pub(in crate::data) fn read(
    file: &LabelFile,
    format: LabelFormat,
    options: &LabelOptions,
    report: &Reporter,
) -> Result<Vec<(String, LabelTable)>, Unread> {
    let path: Arc<str> = file.path.as_str().into();
    let Found { images, tracks, .. } = Found::read(&file.text)?;
    let mut own = report.child();
    let mut subsets: BTreeMap<String, usize> = BTreeMap::new();
    let mut rows = Vec::new();
    let frames = frames(tracks)?.into_iter().map(|picture| (String::new(), picture));
    let mut pictures: Vec<_> = images.into_iter().chain(frames).collect();
    pictures.sort_by(|(a, _), (b, _)| a.cmp(b)); // Stable: their order in the file stays.
    for (subset, picture) in pictures {
        let of_picture = picture.into_rows(&path, &mut own);
        *subsets.entry(subset).or_default() += of_picture.len();
        rows.extend(of_picture);
    }
    keep_faces(&mut rows, options, &file.path, &mut own)?;
    if subsets.is_empty() {
        subsets.insert(String::new(), 0);
    }
    let mut tables = Vec::new();
    for (subset, count) in subsets {
        let rest = rows.split_off(count);
        let of_subset = std::mem::replace(&mut rows, rest);
        // The first has the problems of all.
        let own = std::mem::take(&mut own);
        let source = (file.path.clone(), format, u64::from(tables.is_empty()));
        let table = table(source, (BoxShape::Xyxy, Units::Pixels), of_subset, count as u64, own);
        tables.push((subset, table));
    }
    Ok(tables)
}

/// What has been read of a file.
#[derive(Default)]
struct Found {
    /// Pictures with their subsets.
    images: Vec<(String, ShapePicture)>,
    tracks: Vec<Vec<Tracked>>,
    /// The label of the track that is being read.
    track: Option<String>,
    is_in_image: bool,
    is_in_skeleton: bool,
    /// The frame of that skeleton, in a track.
    skeleton_frame: Option<u64>,
}

impl Found {
    fn read(text: &str) -> Result<Self, Unread> {
        let mut reader = Reader::from_str(text);
        let mut found = Self::default();
        let (mut line, mut counted, mut depth) = (1, 0, 0_u64);
        loop {
            let event = reader.read_event();
            let position = (reader.buffer_position() as usize).min(text.len());
            if let Some(new) = text.get(counted..position) {
                line += new.matches('\n').count() as u64;
                counted = position;
            }
            let damaged = |reason: String| {
                Unread::Damaged(format!("it looks like CVAT XML, but at line {line}, {reason}"))
            };
            match event {
                Ok(Event::Eof) if depth == 0 => return Ok(found),
                Ok(Event::Eof) => return Err(damaged("it ends inside an element".to_owned())),
                Ok(Event::Start(element)) => {
                    depth += 1;
                    found.open(&element, line).map_err(damaged)?;
                }
                Ok(Event::Empty(element)) => {
                    found.open(&element, line).map_err(damaged)?;
                    found.close(element.name().as_ref());
                }
                Ok(Event::End(element)) => {
                    depth = depth.saturating_sub(1);
                    found.close(element.name().as_ref());
                }
                Ok(_) => {}
                Err(error) => return Err(damaged(error.to_string())),
            }
        }
    }

    fn open(&mut self, element: &BytesStart<'_>, line: u64) -> Result<(), String> {
        let attributes = Attributes::of(element)?;
        match element.name().as_ref() {
            "image" => {
                let path = attributes.text("name")?.to_owned();
                let size = [attributes.number("width"), attributes.number("height")];
                let size = match size {
                    [Ok(width), Ok(height)] if width > 0.0 && height > 0.0 => Some([width, height]),
                    _ => None,
                };
                let subset = attributes.0.get("subset").cloned().unwrap_or_default();
                self.images
                    .push((subset, ShapePicture { number: line, path, size, shapes: Vec::new() }));
                self.is_in_image = true;
            }
            "track" => {
                self.track = Some(attributes.0.get("label").cloned().unwrap_or_default());
                self.tracks.push(Vec::new());
            }
            kind if SHAPES.contains(&kind) => self.shape(kind, &attributes, line)?,
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        match name {
            "image" => self.is_in_image = false,
            "track" => self.track = None,
            "skeleton" => (self.is_in_skeleton, self.skeleton_frame) = (false, None),
            _ => {}
        }
    }

    fn shape(&mut self, kind: &str, attributes: &Attributes, line: u64) -> Result<(), String> {
        let is_outside = attributes.0.get("outside").is_some_and(|value| value == "1");
        if kind == "skeleton" {
            // Its points follow as elements of their own.
            self.is_in_skeleton = true;
            self.skeleton_frame = self.track.is_some().then(|| attributes.frame()).transpose()?;
            return Ok(());
        }
        let own = attributes.0.get("label").cloned();
        let of_track = self.track.clone().filter(|_| !self.is_in_skeleton);
        let label = of_track.or(own).unwrap_or_default();
        let group = attributes.0.get("group_id").filter(|group| *group != "0").cloned();
        let shape = DrawnShape { number: line, label, group, outline: outline(kind, attributes) };
        if self.track.is_some() {
            let frame = match self.skeleton_frame {
                Some(frame) => frame,
                None => attributes.frame()?,
            };
            let track = self.tracks.last_mut().ok_or("a shape is outside its track")?;
            track.push(Tracked { frame, is_outside, shape });
        } else if self.is_in_image
            && !is_outside
            && let Some((_, picture)) = self.images.last_mut()
        {
            picture.shapes.push(shape);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
