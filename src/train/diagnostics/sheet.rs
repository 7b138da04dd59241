//! A contact sheet of training views as the network saw them, with their faces and positive anchors drawn in.

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{ImageResult, Rgb, RgbImage};

use crate::eval::overlay::{self, GREEN};
use crate::model::anchors;
use crate::model::layout::{ANCHORS, INPUT_SIZE};
use crate::model::native::Inputs;
use crate::train::views::ViewFace;

/// Colour of an ignored face: too small or too truncated to learn.
pub(super) const IGNORED: Rgb<u8> = Rgb([255, 140, 30]);
/// Colour of a positive anchor's centre.
pub(super) const POSITIVE: Rgb<u8> = Rgb([255, 60, 220]);

/// Maximum number of views per sheet.
pub(super) const VIEWS: usize = 12;
const COLUMNS: usize = 4;
/// Enlargement factor: each pixel of a view becomes a square with this side.
const ZOOM: u32 = 2;
/// Gap between views, in pixels.
const GAP: u32 = 4;
/// How far a dot extends from its centre, in pixels.
const DOT: u32 = 2;
const JPEG_QUALITY: u8 = 90;

/// Returns the file name of an epoch's sheet among the job's artifacts, or `None` if the epoch has no sheet. Only
/// epochs that are powers of two have one. This gives many sheets early on, when targets change most, and few overall.
pub fn file_name(epoch: u32) -> Option<String> {
    epoch.is_power_of_two().then(|| format!("views-epoch-{epoch}.jpg"))
}

/// The first views of a batch, with their faces and positive anchors.
#[derive(Debug)]
pub struct Sheet {
    /// `[side, side, 3]` bytes each.
    views: Vec<Vec<u8>>,
    /// Side of a view, in pixels.
    side: u32,
    /// The faces of each view.
    faces: Vec<Vec<ViewFace>>,
    /// The positive anchors, as `view × 896 + anchor`.
    positives: Vec<usize>,
}

impl Sheet {
    /// Creates a sheet.
    ///
    /// * `views`: `[side, side, 3]` bytes each.
    /// * `faces`: the faces of each view; faces of further views are dropped.
    /// * `positives`: the positive anchors, as `view × 896 + anchor`.
    pub(super) fn new(
        views: Vec<Vec<u8>>,
        side: usize,
        faces: &[Vec<ViewFace>],
        positives: Vec<usize>,
    ) -> Self {
        let faces = faces[..views.len()].to_vec();
        Self { views, side: side as u32, faces, positives }
    }

    /// Creates a sheet of a batch's first views.
    pub(super) fn of_inputs(
        inputs: &Inputs,
        faces: &[Vec<ViewFace>],
        positives: Vec<usize>,
    ) -> Self {
        let view = |at: usize| {
            let values = (0..INPUT_SIZE).flat_map(|y| inputs.row(at, y));
            values.map(|value| ((value + 1.0) * 127.5).round().clamp(0.0, 255.0) as u8).collect()
        };
        let views = (0..inputs.count().min(VIEWS)).map(view).collect();
        Self::new(views, INPUT_SIZE, faces, positives)
    }

    /// Draws the sheet: faces to learn in green, ignored faces in orange, and centres of positive anchors in pink.
    pub fn draw(&self) -> RgbImage {
        let side = INPUT_SIZE as u32 * ZOOM;
        let mut tiles = self.tiles();
        // Faces to learn are drawn after ignored faces, so that ignored faces do not cover them.
        for ignored in [true, false] {
            let colour = if ignored { IGNORED } else { GREEN };
            for (tile, faces) in tiles.iter_mut().zip(&self.faces) {
                for face in faces.iter().rev().filter(|face| face.ignored == ignored) {
                    overlay::outline(tile, &face.rect, colour);
                }
            }
        }
        let centres = anchors::centres();
        for anchor in &self.positives {
            if let Some(tile) = tiles.get_mut(anchor / ANCHORS) {
                dot(tile, centres[anchor % ANCHORS]);
            }
        }
        let columns = tiles.len().min(COLUMNS);
        let length = |count: usize| count as u32 * (side + GAP) + GAP;
        let mut sheet = RgbImage::new(length(columns), length(tiles.len().div_ceil(COLUMNS)));
        for (index, tile) in tiles.iter().enumerate() {
            let (x, y) = (length(index % COLUMNS), length(index / COLUMNS));
            imageops::replace(&mut sheet, tile, x.into(), y.into());
        }
        sheet
    }

    fn tiles(&self) -> Vec<RgbImage> {
        let drawn = INPUT_SIZE as u32 * ZOOM;
        let tile = |bytes: &Vec<u8>| {
            let view = RgbImage::from_raw(self.side, self.side, bytes.clone()).unwrap_or_default();
            imageops::resize(&view, drawn, drawn, FilterType::Nearest)
        };
        self.views.iter().map(tile).collect()
    }
}

/// Encodes the sheet as a JPEG file.
///
/// # Errors
///
/// In practice, encoding never fails, because it writes to memory.
pub fn jpeg(sheet: &RgbImage) -> ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    sheet.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))?;
    Ok(bytes)
}

fn dot(tile: &mut RgbImage, [x, y]: [f32; 2]) {
    let (width, height) = tile.dimensions();
    let (x, y) = ((x * width as f32) as u32, (y * height as f32) as u32);
    let around = |at: u32, side: u32| at.saturating_sub(DOT)..(at + DOT + 1).min(side);
    for y in around(y, height) {
        around(x, width).for_each(|x| tile.put_pixel(x, y, POSITIVE));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_epochs_that_are_powers_of_two_have_a_sheet() {
        let named: Vec<u32> = (0..=20).filter(|&epoch| file_name(epoch).is_some()).collect();
        assert_eq!(named, [1, 2, 4, 8, 16]);
    }
}
