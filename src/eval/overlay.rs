//! Draws boxes on pictures, for people to look at.

use image::imageops::{self, FilterType};
use image::{Rgb, RgbImage};

use super::average_precision::PictureResult;
use super::matching::Matching;
use crate::geometry::Rect;

/// Colour of an annotated face that was detected or is too small to count.
pub const GREEN: Rgb<u8> = Rgb([40, 200, 70]);
/// Colour of a detection that matches no face.
pub const RED: Rgb<u8> = Rgb([235, 50, 50]);
/// Colour of a missed face.
pub const YELLOW: Rgb<u8> = Rgb([250, 210, 30]);

/// Longer side of the drawing, in pixels.
const SIDE: u32 = 768;
/// Line thickness, in pixels.
const THICKNESS: u32 = 2;

/// Returns a scaled copy of a picture with faces in green, missed faces in yellow and false detections in red.
///
/// * `result`: the picture's detections and faces, in fractions of the picture.
/// * `mistakes`: the mistakes in `result`.
pub fn draw(picture: &RgbImage, result: &PictureResult, mistakes: &Matching) -> RgbImage {
    let longer = picture.width().max(picture.height()).max(1);
    let scaled = |side: u32| (side * SIDE / longer).max(1);
    let (width, height) = (scaled(picture.width()), scaled(picture.height()));
    let mut drawing = imageops::resize(picture, width, height, FilterType::Triangle);
    for (index, face) in result.faces.iter().enumerate() {
        let is_missed = mistakes.missed.contains(&index);
        outline(&mut drawing, face, if is_missed { YELLOW } else { GREEN });
    }
    for &index in &mistakes.false_detections {
        outline(&mut drawing, &result.detections[index].0, RED);
    }
    drawing
}

/// Draws a box's edges, clipped to the picture.
///
/// * `rect`: in fractions of the picture.
pub fn outline(picture: &mut RgbImage, rect: &Rect, colour: Rgb<u8>) {
    let Some(rect) = rect.clipped() else { return };
    let (width, height) = picture.dimensions();
    let pixel = |share: f32, side: u32| ((share * side as f32) as u32).min(side - 1);
    let (left, right) = (pixel(rect.xmin, width), pixel(rect.xmax, width));
    let (top, bottom) = (pixel(rect.ymin, height), pixel(rect.ymax, height));
    for y in top..=bottom {
        for x in left..=right {
            let from_edge = (x - left).min(right - x).min(y - top).min(bottom - y);
            if from_edge < THICKNESS {
                picture.put_pixel(x, y, colour);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_kind_of_mistake_has_its_own_colour() {
        let at = |x: f32| Rect::around(x, 0.5, 0.2, 0.5);
        let detections = vec![(at(0.15), 0.9), (at(0.85), 0.8)];
        let result = PictureResult { detections, faces: vec![at(0.15), at(0.5)] };
        let mistakes = Matching { false_detections: vec![1], missed: vec![1] };
        let drawing = draw(&RgbImage::new(200, 100), &result, &mistakes);
        assert_eq!(drawing.dimensions(), (768, 384));
        let edge = |x: f32| *drawing.get_pixel((x * 768.0) as u32, 97);
        assert_eq!([edge(0.15), edge(0.5), edge(0.85)], [GREEN, YELLOW, RED]);
        assert_eq!(*drawing.get_pixel(384, 192), Rgb([0, 0, 0]), "only edges are drawn");
    }

    #[test]
    fn a_box_is_clipped_to_the_picture() {
        let mut picture = RgbImage::new(10, 10);
        outline(&mut picture, &Rect::from([-1.0, -1.0, 2.0, 2.0]), RED);
        assert_eq!((*picture.get_pixel(0, 0), *picture.get_pixel(9, 9)), (RED, RED));
        outline(&mut picture, &Rect::from([2.0, 2.0, 3.0, 3.0]), GREEN);
        assert!(!picture.pixels().any(|pixel| *pixel == GREEN));
    }
}
