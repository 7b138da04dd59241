//! Annotations and detections in the format of COCO's tools.
//!
//! Source: <https://cocodataset.org/#format-data> and <https://cocodataset.org/#format-results>

use serde::Serialize;

use crate::geometry::{Letterbox, Rect};

/// A picture with its faces and detections, in fractions of the picture.
#[derive(Debug, Clone)]
pub struct CocoPicture<'a> {
    /// The picture's path in the data set.
    pub name: &'a str,
    /// Width of the upright picture, in pixels.
    pub width: u32,
    /// Height of the upright picture, in pixels.
    pub height: u32,
    /// The annotated faces.
    pub faces: Vec<Rect>,
    /// Boxes and scores.
    pub detections: Vec<(Rect, f32)>,
}

/// The contents of `ground_truth.json`.
#[derive(Debug, Serialize)]
pub struct GroundTruth {
    info: Info,
    images: Vec<Image>,
    annotations: Vec<Annotation>,
    categories: [Category; 1],
}

/// A description of the file. `pycocotools` rejects results if it is missing.
#[derive(Debug, Serialize)]
struct Info {
    description: &'static str,
}

#[derive(Debug, Serialize)]
struct Image {
    id: usize,
    file_name: String,
    width: u32,
    height: u32,
}

#[derive(Debug, Serialize)]
struct Annotation {
    id: usize,
    image_id: usize,
    category_id: u8,
    /// `[left, top, width, height]` in pixels of the picture.
    bbox: [f64; 4],
    /// Area in square pixels of the picture.
    area: f64,
    iscrowd: u8,
    /// Not part of COCO: the length of the longer side in input pixels, which is Blazetune's measure of size.
    input_px: f64,
}

#[derive(Debug, Serialize)]
struct Category {
    id: u8,
    name: &'static str,
}

/// A detection in `detections.json`.
#[derive(Debug, Serialize)]
pub struct Found {
    image_id: usize,
    category_id: u8,
    /// `[left, top, width, height]` in pixels of the picture.
    bbox: [f64; 4],
    /// The score, 0..1.
    score: f32,
    /// Not part of COCO: the length of the longer side in input pixels.
    input_px: f64,
}

const FACE: u8 = 1;

/// Builds `ground_truth.json`. Ids start at 1, because COCO's tools treat annotation 0 as "none".
pub fn ground_truth(pictures: &[CocoPicture<'_>], input_size: u32) -> GroundTruth {
    let mut annotations = Vec::new();
    let mut images = Vec::with_capacity(pictures.len());
    for (index, picture) in pictures.iter().enumerate() {
        let &CocoPicture { name, width, height, .. } = picture;
        images.push(Image { id: index + 1, file_name: name.to_owned(), width, height });
        for face in &picture.faces {
            let bbox = pixels(face, picture);
            annotations.push(Annotation {
                id: annotations.len() + 1,
                image_id: index + 1,
                category_id: FACE,
                bbox,
                area: bbox[2] * bbox[3],
                iscrowd: 0,
                input_px: input_px(face, picture, input_size),
            });
        }
    }
    let info = Info { description: "exported by Blazetune" };
    let categories = [Category { id: FACE, name: "face" }];
    GroundTruth { info, images, annotations, categories }
}

/// Builds `detections.json`.
pub fn detections(pictures: &[CocoPicture<'_>], input_size: u32) -> Vec<Found> {
    let of_picture = |(index, picture): (usize, &CocoPicture<'_>)| {
        let found = picture.detections.iter().map(move |(rect, score)| Found {
            image_id: index + 1,
            category_id: FACE,
            bbox: pixels(rect, picture),
            score: *score,
            input_px: input_px(rect, picture, input_size),
        });
        found.collect::<Vec<_>>()
    };
    pictures.iter().enumerate().flat_map(of_picture).collect()
}

fn pixels(rect: &Rect, picture: &CocoPicture<'_>) -> [f64; 4] {
    let (width, height) = (f64::from(picture.width), f64::from(picture.height));
    let [top, left, bottom, right] = <[f32; 4]>::from(*rect).map(f64::from);
    [left * width, top * height, (right - left) * width, (bottom - top) * height]
}

fn input_px(rect: &Rect, picture: &CocoPicture<'_>, input_size: u32) -> f64 {
    let letterbox = Letterbox::exact(picture.width, picture.height, input_size);
    f64::from(letterbox.to_square(rect).longer_side() * letterbox.size)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_are_in_picture_pixels() {
        let face = Rect::from([0.5, 0.25, 0.75, 0.5]);
        let picture = CocoPicture {
            name: "a.jpg",
            width: 256,
            height: 512,
            faces: vec![face],
            detections: vec![(face, 0.5)],
        };
        let truth =
            serde_json::to_value(ground_truth(std::slice::from_ref(&picture), 128)).unwrap();
        let annotation = &truth["annotations"][0];
        assert_eq!(annotation["bbox"], serde_json::json!([64.0, 256.0, 64.0, 128.0]));
        assert_eq!((&annotation["area"], &annotation["input_px"]), (&8192.0.into(), &32.0.into()));
        let found = serde_json::to_value(detections(&[picture], 128)).unwrap();
        assert_eq!(found[0]["bbox"], annotation["bbox"]);
        assert_eq!((&found[0]["image_id"], &found[0]["score"]), (&1.into(), &0.5.into()));
    }
}
