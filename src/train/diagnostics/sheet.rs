//! A contact sheet of training views, as the network saw them, with their targets drawn.

use image::codecs::jpeg::JpegEncoder;
use image::imageops::{self, FilterType};
use image::{ImageResult, Rgb, RgbImage};
use tch::{Device, Kind, Tensor};

use crate::eval::overlay::{self, GREEN};
use crate::geometry::Rect;
use crate::model::anchors;
use crate::model::layout::{ANCHORS, INPUT_SIZE};
use crate::train::loss::torch::targets::Faces;
use crate::train::views::batch::Pixels;

/// A face that is too small, or too much cut off, to be learnt.
pub(super) const IGNORED: Rgb<u8> = Rgb([255, 140, 30]);
/// The centre of an anchor that is to find a face.
pub(super) const POSITIVE: Rgb<u8> = Rgb([255, 60, 220]);

/// Views of a sheet.
const VIEWS: usize = 12;
const COLUMNS: usize = 4;
/// A view's pixels are drawn as squares of this side, so that they can be seen.
const ZOOM: u32 = 2;
/// Between views, in pixels.
const GAP: u32 = 4;
/// How far a dot reaches from its centre, in pixels.
const DOT: u32 = 2;
const JPEG_QUALITY: u8 = 90;

/// The name of an epoch's sheet among the job's artifacts; `None` for most epochs. Those that are powers
/// of two have one: many early on, when targets change most, and never more than a few.
pub fn file_name(epoch: u32) -> Option<String> {
    epoch.is_power_of_two().then(|| format!("views-epoch-{epoch}.jpg"))
}

/// The first views of a batch, still on the device.
#[derive(Debug)]
pub struct Seen {
    /// `[K, 3, side, side]`
    inputs: Tensor,
    /// `[F, 4]`: centre x, y, width, height; those to be learnt come first.
    boxes: Tensor,
    /// `[F]`: which view.
    views: Tensor,
    learnt: usize,
    /// `[P]`: positive anchors, as `view × 896 + anchor`.
    positive: Tensor,
}

impl Seen {
    /// Keeps what is drawn of a batch; `positive`: `[P]`, as `view × 896 + anchor`.
    pub fn new(pixels: &Pixels, faces: &Faces, positive: &Tensor) -> Self {
        Self {
            inputs: pixels.first(VIEWS),
            boxes: faces.boxes.shallow_clone(),
            views: faces.views.shallow_clone(),
            learnt: faces.learnt() as usize,
            positive: positive.shallow_clone(),
        }
    }

    /// Draws them: faces to be learnt green, ignored ones orange, centres of positive anchors pink.
    pub fn draw(&self) -> RgbImage {
        let side = INPUT_SIZE as u32 * ZOOM;
        let mut tiles = self.tiles();
        let faces: Vec<(usize, Rect)> = self.faces();
        // The faces to be learnt last, so that nothing lies over them.
        for (index, (view, rect)) in faces.iter().enumerate().rev() {
            let colour = if index < self.learnt { GREEN } else { IGNORED };
            if let Some(tile) = tiles.get_mut(*view) {
                overlay::outline(tile, rect, colour);
            }
        }
        let centres = anchors::centres();
        for anchor in integers(&self.positive) {
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
        let pixels = ((&self.inputs + 1.0) * 127.5).round().clamp(0.0, 255.0);
        let pixels = pixels.permute([0, 2, 3, 1]).to_kind(Kind::Uint8).to_device(Device::Cpu);
        let bytes: Vec<u8> = Vec::try_from(pixels.reshape([-1])).unwrap_or_default();
        let (side, drawn) = (self.inputs.size()[2] as u32, INPUT_SIZE as u32 * ZOOM);
        let tile = |bytes: &[u8]| {
            let view = RgbImage::from_raw(side, side, bytes.to_vec()).unwrap_or_default();
            imageops::resize(&view, drawn, drawn, FilterType::Nearest)
        };
        bytes.chunks_exact((side * side * 3) as usize).map(tile).collect()
    }

    fn faces(&self) -> Vec<(usize, Rect)> {
        let numbers = self.boxes.to_device(Device::Cpu).reshape([-1]);
        let numbers: Vec<f32> = Vec::try_from(numbers).unwrap_or_default();
        let rects = numbers.as_chunks().0.iter().map(|&[x, y, w, h]| Rect::around(x, y, w, h));
        integers(&self.views).into_iter().zip(rects).collect()
    }
}

/// As a file.
///
/// # Errors
///
/// None that is known of: it is written to memory.
pub fn jpeg(sheet: &RgbImage) -> ImageResult<Vec<u8>> {
    let mut bytes = Vec::new();
    sheet.write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, JPEG_QUALITY))?;
    Ok(bytes)
}

fn integers(tensor: &Tensor) -> Vec<usize> {
    let numbers: Vec<i64> = Vec::try_from(tensor.to_device(Device::Cpu)).unwrap_or_default();
    numbers.into_iter().map(|number| number as usize).collect()
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
    fn few_epochs_have_a_sheet_the_first_among_them() {
        let named: Vec<u32> = (0..=20).filter(|&epoch| file_name(epoch).is_some()).collect();
        assert_eq!(named, [1, 2, 4, 8, 16]);
    }
}
