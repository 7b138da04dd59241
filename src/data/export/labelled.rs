//! A picture with its labels in pixels.

use super::format::ExportedPictures;
use crate::data::cache::cropped_size;
use crate::data::manifest::{Difficulty, Picture};
use crate::geometry::Rect;

/// Digits after the point in pixels: a thousandth is far below what anybody labels by hand.
const PER_PIXEL: f64 = 1000.0;
/// The smallest width and height of a box, so that rounding does not make it vanish.
const LEAST: f64 = 1.0 / PER_PIXEL;

/// A picture with its labels in pixels of the file that `path` names.
#[derive(Debug, Clone, Copy)]
pub(super) struct LabelledPicture<'a> {
    /// In the zip if it holds pictures, in the uploaded archive if not.
    pub(super) path: &'a str,
    pub(super) width: u32,
    pub(super) height: u32,
    picture: &'a Picture,
}

/// A face in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct LabelledFace {
    pub(super) corners: PixelBox,
    /// x and y of each keypoint.
    pub(super) keypoints: [Option<[f64; 2]>; 6],
    pub(super) difficulty: Option<Difficulty>,
}

/// The corners of a box, rounded to what is written.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct PixelBox {
    pub(super) left: f64,
    pub(super) top: f64,
    pub(super) right: f64,
    pub(super) bottom: f64,
}

impl PixelBox {
    /// Returns left, top, width and height.
    pub(super) fn to_xywh(self) -> [f64; 4] {
        let Self { left, top, right, bottom } = self;
        [left, top, rounded(right - left), rounded(bottom - top)]
    }
}

impl<'a> LabelledPicture<'a> {
    pub(super) fn new(path: &'a str, picture: &'a Picture, pictures: ExportedPictures) -> Self {
        let (width, height) = match pictures {
            ExportedPictures::Cached => cropped_size(&picture.letterbox),
            ExportedPictures::None => (picture.width, picture.height),
        };
        Self { path, width, height, picture }
    }

    pub(super) fn faces(self) -> impl Iterator<Item = LabelledFace> + 'a {
        let picture = self.picture;
        picture.faces.iter().enumerate().map(move |(index, face)| {
            let keypoints = picture.keypoints.get(index).copied().unwrap_or_default();
            LabelledFace {
                corners: self.corners(face),
                keypoints: keypoints.map(|point| point.map(|[x, y]| self.point(x, y))),
                difficulty: picture.difficulties.get(index).copied().flatten(),
            }
        })
    }

    /// Returns the places that count neither as faces nor as background.
    pub(super) fn ignored(self) -> impl Iterator<Item = PixelBox> + 'a {
        self.picture.ignored.iter().map(move |place| self.corners(place))
    }

    fn corners(self, rect: &Rect) -> PixelBox {
        let [left, top] = self.point(rect.xmin, rect.ymin);
        let [right, bottom] = self.point(rect.xmax, rect.ymax);
        let left = left.min(f64::from(self.width) - LEAST);
        let top = top.min(f64::from(self.height) - LEAST);
        PixelBox { left, top, right: right.max(left + LEAST), bottom: bottom.max(top + LEAST) }
    }

    fn point(self, x: f32, y: f32) -> [f64; 2] {
        let scaled = |value: f32, size: u32| rounded(f64::from(value) * f64::from(size));
        [scaled(x, self.width), scaled(y, self.height)]
    }
}

fn rounded(value: f64) -> f64 {
    (value * PER_PIXEL).round() / PER_PIXEL + 0.0 // Turns -0 into 0.
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::manifest::Split;
    use crate::geometry::Letterbox;

    fn picture(faces: Vec<Rect>) -> Picture {
        Picture {
            name: "a.jpg".to_owned(),
            split: Split::Train,
            width: 1000,
            height: 750,
            letterbox: Letterbox::exact(1000, 750, 256),
            faces,
            ignored: Vec::new(),
            keypoints: Vec::new(),
            difficulties: Vec::new(),
        }
    }

    #[test]
    fn whole_pixels_of_the_original_come_back_whole() {
        let face = Rect::from([330.0 / 750.0, 449.0 / 1000.0, 479.0 / 750.0, 571.0 / 1000.0]);
        let picture = picture(vec![face]);
        let boxes = |pictures| {
            let labelled = LabelledPicture::new("a.jpg", &picture, pictures);
            labelled.faces().map(|face| face.corners.to_xywh()).next().unwrap()
        };
        assert_eq!(boxes(ExportedPictures::None), [449.0, 330.0, 122.0, 149.0]);
        assert_eq!(boxes(ExportedPictures::Cached), [114.944, 84.48, 31.232, 38.144]);
    }

    #[test]
    fn a_box_never_vanishes_nor_leaves_its_picture() {
        let sliver = Rect::from([0.999_999_9, 0.999_999_9, 1.0, 1.0]);
        let picture = picture(vec![sliver]);
        for pictures in [ExportedPictures::None, ExportedPictures::Cached] {
            let labelled = LabelledPicture::new("a.jpg", &picture, pictures);
            let PixelBox { left, top, right, bottom } = labelled.faces().next().unwrap().corners;
            assert!(left < right && top < bottom);
            assert!(right <= f64::from(labelled.width) && bottom <= f64::from(labelled.height));
        }
    }
}
