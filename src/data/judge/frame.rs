//! The picture that a box was drawn on: upright, as stored, or scaled.

use image::metadata::Orientation;

use crate::data::decoding::Stored;
use crate::data::labels::Units;
use crate::data::plan::PlannedFace;

/// Two shapes are the same if their aspect ratios differ by less than this share.
const SAME_SHAPE: f32 = 0.02;
/// Sizes are the same if they differ by at most this many pixels.
const SAME_SIZE: f32 = 1.0;

/// A picture's size, and how its EXIF orientation turns it.
#[derive(Debug, Clone, Copy)]
pub(super) struct TurnedPicture {
    /// Upright, in pixels.
    pub(super) width: u32,
    /// Upright, in pixels.
    pub(super) height: u32,
    orientation: Orientation,
}

impl TurnedPicture {
    pub(super) fn of(stored: &Stored) -> Self {
        Self { width: stored.width, height: stored.height, orientation: stored.orientation }
    }

    /// Whether the stored picture lies on its side.
    pub(super) fn is_turned(self) -> bool {
        use Orientation::{Rotate90, Rotate90FlipH, Rotate270, Rotate270FlipH};
        matches!(self.orientation, Rotate90 | Rotate270 | Rotate90FlipH | Rotate270FlipH)
    }

    fn upright_size(self) -> [f32; 2] {
        [self.width as f32, self.height as f32]
    }
}

/// The picture that a box was drawn on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Frame {
    /// In the table's units: 1 for fractions.
    pub(super) width: f32,
    pub(super) height: f32,
    /// Whether the row states the picture's size.
    pub(super) is_stated: bool,
    /// Whether it is the stored picture, before its EXIF orientation is applied.
    pub(super) is_stored: bool,
    /// Whether it is larger or smaller than the picture in the archive.
    pub(super) is_scaled: bool,
}

impl Frame {
    /// Returns the frame that a face was drawn on; `None` if its row states a size of another shape.
    pub(super) fn of(face: &PlannedFace, measured: TurnedPicture, units: Units) -> Option<Self> {
        let upright = measured.upright_size();
        let in_units = |[width, height]: [f32; 2]| match units {
            Units::Pixels => [width, height],
            Units::Fractions => [1.0; 2],
        };
        let frame = |size, is_stated, is_stored, is_scaled| {
            let [width, height] = in_units(size);
            let is_scaled = is_scaled && units == Units::Pixels;
            Some(Self { width, height, is_stated, is_stored, is_scaled })
        };
        let Some(stated) = face.size else { return frame(upright, false, false, false) };
        let stored = [upright[1], upright[0]];
        if is_same_size(stated, upright) {
            frame(upright, true, false, false)
        } else if measured.is_turned() && is_same_size(stated, stored) {
            frame(stored, true, true, false)
        } else if is_same_shape(stated, upright) {
            frame(stated, true, false, true)
        } else if measured.is_turned() && is_same_shape(stated, stored) {
            frame(stated, true, true, true)
        } else {
            None
        }
    }

    /// Returns the frame of the stored picture if it lies on its side and the row states no size; otherwise, `self`.
    pub(super) fn if_turned(self, measured: TurnedPicture, units: Units) -> Self {
        if !measured.is_turned() || self.is_stated {
            return self;
        }
        let [height, width] = match units {
            Units::Pixels => measured.upright_size(),
            Units::Fractions => [1.0; 2],
        };
        Self { width, height, is_stored: true, ..self }
    }

    /// Converts a point of this frame to pixels of the upright picture.
    pub(super) fn upright(self, [x, y]: [f32; 2], measured: TurnedPicture) -> [f32; 2] {
        let (u, v) = (x / self.width, y / self.height);
        let [u, v] = match measured.orientation {
            Orientation::Rotate90 if self.is_stored => [1.0 - v, u],
            Orientation::Rotate270 if self.is_stored => [v, 1.0 - u],
            Orientation::Rotate90FlipH if self.is_stored => [v, u],
            Orientation::Rotate270FlipH if self.is_stored => [1.0 - v, 1.0 - u],
            _ if !self.is_scaled && !self.is_stored && self.width > 1.0 => return [x, y], // Exact.
            _ => [u, v],
        };
        let [width, height] = measured.upright_size();
        [u * width, v * height]
    }
}

fn is_same_size(a: [f32; 2], b: [f32; 2]) -> bool {
    a.iter().zip(b).all(|(a, b)| (a - b).abs() <= SAME_SIZE)
}

fn is_same_shape(a: [f32; 2], b: [f32; 2]) -> bool {
    let [a, b] = [a, b].map(|[width, height]| width / height);
    (a / b - 1.0).abs() < SAME_SHAPE
}
