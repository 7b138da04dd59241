//! Boxes, their overlap and letterboxing, in plain `f32`.

use serde::{Deserialize, Serialize};

/// An axis-aligned box `[ymin, xmin, ymax, xmax]`, as fractions (0..1) of the enclosing picture or square, as in
/// `MediaPipe`. JSON represents it as an array of four numbers.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(from = "[f32; 4]", into = "[f32; 4]")]
pub struct Rect {
    /// Top.
    pub ymin: f32,
    /// Left.
    pub xmin: f32,
    /// Bottom.
    pub ymax: f32,
    /// Right.
    pub xmax: f32,
}

/// IoU above which `MediaPipe`'s non-maximum suppression treats two detections as the same face.
///
/// Source: `MediaPipe`'s `face_detection.pbtxt`, `min_suppression_threshold`.
pub const MIN_SUPPRESSION_IOU: f32 = 0.3;

/// A face's right eye, left eye, nose, mouth, right ear and left ear, each `[x, y]` as fractions of the enclosing
/// picture or square; `None` if it is not labelled. Right and left are from the person's point of view.
pub type Keypoints = [Option<[f32; 2]>; 6];

/// The names of [`Keypoints`], in labels.
pub const KEYPOINT_NAMES: [&str; 6] =
    ["right_eye", "left_eye", "nose", "mouth", "right_ear", "left_ear"];

impl From<[f32; 4]> for Rect {
    fn from([ymin, xmin, ymax, xmax]: [f32; 4]) -> Self {
        Self { ymin, xmin, ymax, xmax }
    }
}

impl From<Rect> for [f32; 4] {
    fn from(rect: Rect) -> Self {
        [rect.ymin, rect.xmin, rect.ymax, rect.xmax]
    }
}

impl Rect {
    /// Returns the box of this size centred on `(x, y)`.
    pub fn around(x: f32, y: f32, width: f32, height: f32) -> Self {
        let (half_width, half_height) = (width / 2.0, height / 2.0);
        [y - half_height, x - half_width, y + half_height, x + half_width].into()
    }

    /// Returns the width, or 0 if the corners are swapped.
    pub fn width(&self) -> f32 {
        (self.xmax - self.xmin).max(0.0)
    }

    /// Returns the height, or 0 if the corners are swapped.
    pub fn height(&self) -> f32 {
        (self.ymax - self.ymin).max(0.0)
    }

    /// Returns the larger of width and height.
    pub fn longer_side(&self) -> f32 {
        self.width().max(self.height())
    }

    /// Returns width times height.
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// Returns the centre `(x, y)`.
    pub fn centre(&self) -> (f32, f32) {
        (f32::midpoint(self.xmin, self.xmax), f32::midpoint(self.ymin, self.ymax))
    }

    /// Clips the box to 0..1. Returns `None` if nothing is left.
    pub fn clipped(&self) -> Option<Self> {
        let clip = |v: f32| v.clamp(0.0, 1.0);
        let inside: Self =
            [clip(self.ymin), clip(self.xmin), clip(self.ymax), clip(self.xmax)].into();
        (inside.area() > 0.0).then_some(inside)
    }

    /// Returns the intersection over union, 0..1; 0 if both boxes are empty.
    pub fn iou(&self, other: &Self) -> f32 {
        let overlap = Self {
            ymin: self.ymin.max(other.ymin),
            xmin: self.xmin.max(other.xmin),
            ymax: self.ymax.min(other.ymax),
            xmax: self.xmax.min(other.xmax),
        }
        .area();
        let union = self.area() + other.area() - overlap;
        if union > 0.0 { overlap / union } else { 0.0 }
    }
}

/// Side of the short-range variant's square input, in pixels. Face sizes are measured at this scale.
pub const INPUT_SIZE: usize = 128;

/// The position of a picture in a square: scaled to fit, centred and padded with zeros.
///
/// All lengths are in pixels of the square.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Letterbox {
    /// Side of the square.
    pub size: f32,
    /// Left edge of the picture.
    pub left: f32,
    /// Top edge of the picture.
    pub top: f32,
    /// Width of the picture in the square.
    pub width: f32,
    /// Height of the picture in the square.
    pub height: f32,
}

impl Letterbox {
    /// Returns the exact fit of a `width` × `height` picture, as in `MediaPipe`. Its edges may fall between pixels.
    pub fn exact(width: u32, height: u32, size: u32) -> Self {
        let (width, height, size) = (width as f32, height as f32, size as f32);
        let scale = size / width.max(height).max(1.0);
        let (width, height) = (width * scale, height * scale);
        Self { size, left: (size - width) / 2.0, top: (size - height) / 2.0, width, height }
    }

    /// Converts fractions of the picture to fractions of the square.
    pub fn to_square(&self, rect: &Rect) -> Rect {
        let (x0, y0) = self.point_to_square(rect.xmin, rect.ymin);
        let (x1, y1) = self.point_to_square(rect.xmax, rect.ymax);
        [y0, x0, y1, x1].into()
    }

    /// Converts fractions of the square to fractions of the picture.
    pub fn to_picture(&self, rect: &Rect) -> Rect {
        let (x0, y0) = self.point_to_picture(rect.xmin, rect.ymin);
        let (x1, y1) = self.point_to_picture(rect.xmax, rect.ymax);
        [y0, x0, y1, x1].into()
    }

    /// Like [`Letterbox::to_square`], for one point.
    pub fn point_to_square(&self, x: f32, y: f32) -> (f32, f32) {
        ((self.left + x * self.width) / self.size, (self.top + y * self.height) / self.size)
    }

    /// Like [`Letterbox::to_picture`], for one point.
    pub fn point_to_picture(&self, x: f32, y: f32) -> (f32, f32) {
        ((x * self.size - self.left) / self.width, (y * self.size - self.top) / self.height)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_overlapping_boxes_have_an_iou_of_a_third() {
        let a = Rect::from([0.0, 0.0, 1.0, 1.0]);
        let b = Rect::from([0.0, 0.5, 1.0, 1.5]);
        assert!((a.iou(&b) - 1.0 / 3.0).abs() < 1e-6);
        assert!((a.iou(&a) - 1.0).abs() < 1e-6);
        assert_eq!(a.iou(&Rect::from([2.0, 2.0, 3.0, 3.0])), 0.0);
    }

    #[test]
    fn an_inverted_box_is_empty() {
        let inverted = Rect::from([1.0, 1.0, 0.0, 0.0]);
        assert_eq!(inverted.area(), 0.0);
        assert_eq!(inverted.iou(&inverted), 0.0);
        assert_eq!(inverted.clipped(), None);
    }

    #[test]
    fn a_letterbox_round_trip_changes_nothing() {
        for (width, height) in [(480, 361), (7, 1000), (1, 1), (256, 256)] {
            let letterbox = Letterbox::exact(width, height, 128);
            let rect = Rect::from([0.1, 0.2, 0.6, 0.9]);
            let back = letterbox.to_picture(&letterbox.to_square(&rect));
            let (a, b): ([f32; 4], [f32; 4]) = (rect.into(), back.into());
            assert!(a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5), "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_wide_picture_has_bars_above_and_below() {
        let letterbox = Letterbox::exact(480, 240, 256);
        assert_eq!(
            letterbox,
            Letterbox { size: 256.0, left: 0.0, top: 64.0, width: 256.0, height: 128.0 }
        );
    }
}
