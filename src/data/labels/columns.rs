//! Finds a table's columns by the names that common tools give them.

use super::BoxShape;
use crate::geometry::KEYPOINT_NAMES;

/// The columns of a table. All numbers are column indices.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Columns {
    pub(super) image_path: usize,
    pub(super) shape: BoxShape,
    /// The four numbers of a box, in the order of `shape`.
    pub(super) numbers: [usize; 4],
    /// Width and height of the picture.
    pub(super) size: Option<[usize; 2]>,
    pub(super) category: Option<usize>,
    pub(super) difficulty: Option<usize>,
    /// 1 for a place that counts neither as a face nor as background.
    pub(super) ignored: Option<usize>,
    /// x and y of each keypoint.
    pub(super) keypoints: [Option<[usize; 2]>; 6],
}

/// The columns that the documentation and messages suggest.
pub(crate) const WANTED: &str = "image_path,x1,y1,w,h";

const IMAGE_PATH: [&str; 14] = [
    "image_path",
    "filename",
    "file_name",
    "file",
    "image",
    "path",
    "img",
    "img_path",
    "image_name",
    "filepath",
    "file_path",
    "image_file",
    "name",
    "image_id",
];
const LEFT: [&str; 10] =
    ["x1", "xmin", "x_min", "left", "x", "x0", "bbox_x", "box_x", "bbox_x1", "bbox_left"];
const TOP: [&str; 10] =
    ["y1", "ymin", "y_min", "top", "y", "y0", "bbox_y", "box_y", "bbox_y1", "bbox_top"];
const RIGHT: [&str; 6] = ["x2", "xmax", "x_max", "right", "bbox_x2", "bbox_right"];
const BOTTOM: [&str; 6] = ["y2", "ymax", "y_max", "bottom", "bbox_y2", "bbox_bottom"];
const CENTRE_X: [&str; 7] =
    ["cx", "x_center", "xcenter", "center_x", "x_centre", "centre_x", "bbox_cx"];
const CENTRE_Y: [&str; 7] =
    ["cy", "y_center", "ycenter", "center_y", "y_centre", "centre_y", "bbox_cy"];
const BOX_WIDTH: [&str; 4] = ["w", "bbox_w", "box_w", "bbox_width"];
const BOX_HEIGHT: [&str; 4] = ["h", "bbox_h", "box_h", "bbox_height"];
const PICTURE_WIDTH: [&str; 5] = ["image_width", "img_width", "img_w", "image_w", "orig_w"];
const PICTURE_HEIGHT: [&str; 5] = ["image_height", "img_height", "img_h", "image_h", "orig_h"];
const CATEGORY: [&str; 5] = ["class", "label", "category", "class_name", "label_name"];
pub(super) const KEYPOINTS: [&str; 6] = KEYPOINT_NAMES;

impl Columns {
    /// Finds the columns in a header; `None` if a required one is missing.
    ///
    /// If a table has corners, its width and height are the picture's.
    pub(super) fn find(header: &[String]) -> Option<Self> {
        let names: Vec<String> = header.iter().map(|name| plain(name)).collect();
        let one = |wanted: &str| names.iter().position(|name| name == wanted);
        let any = |wanted: &[&str]| wanted.iter().find_map(|wanted| one(wanted));
        let pair = |a: &[&str], b: &[&str]| Some([any(a)?, any(b)?]);
        let image_path = any(&IMAGE_PATH)?;
        let picture = pair(&PICTURE_WIDTH, &PICTURE_HEIGHT);
        let plain_size = pair(&["width"], &["height"]);
        let own = pair(&BOX_WIDTH, &BOX_HEIGHT);
        let top_left = pair(&LEFT, &TOP);
        let (shape, [a, b], [c, d], size) =
            match (top_left, pair(&RIGHT, &BOTTOM), pair(&CENTRE_X, &CENTRE_Y)) {
                (Some(first), Some(second), _) => {
                    (BoxShape::Xyxy, first, second, picture.or(plain_size).or(own))
                }
                (_, _, Some(centre)) => (
                    BoxShape::Cxcywh,
                    centre,
                    own.or(plain_size)?,
                    size_beside(own, picture, plain_size),
                ),
                (Some(first), _, _) => (
                    BoxShape::Xywh,
                    first,
                    own.or(plain_size)?,
                    size_beside(own, picture, plain_size),
                ),
                _ => return None,
            };
        let keypoints =
            KEYPOINTS.map(|name| Some([one(&format!("{name}_x"))?, one(&format!("{name}_y"))?]));
        Some(Self {
            image_path,
            shape,
            numbers: [a, b, c, d],
            size,
            category: any(&CATEGORY),
            difficulty: one("difficulty"),
            ignored: one("ignored"),
            keypoints,
        })
    }
}

/// Returns the columns of the picture's size. Plain `width` and `height` are the picture's only if the box has others.
fn size_beside(
    own: Option<[usize; 2]>,
    picture: Option<[usize; 2]>,
    plain: Option<[usize; 2]>,
) -> Option<[usize; 2]> {
    picture.or(own.and(plain))
}

/// Returns a column's name in lower case, with `_` between words.
fn plain(name: &str) -> String {
    let name = name.trim().trim_matches(['"', '\'']).to_lowercase();
    name.split([' ', '-', '.', '_']).filter(|word| !word.is_empty()).collect::<Vec<_>>().join("_")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(header: &str) -> Option<(BoxShape, [usize; 4], Option<[usize; 2]>)> {
        let header: Vec<String> = header.split(',').map(str::to_owned).collect();
        Columns::find(&header).map(|columns| (columns.shape, columns.numbers, columns.size))
    }

    #[test]
    fn columns_are_found_by_the_names_that_tools_give_them() {
        use BoxShape::{Cxcywh, Xywh, Xyxy};
        for (header, expected) in [
            ("image_path,x1,y1,w,h", Some((Xywh, [1, 2, 3, 4], None))),
            ("h,w,y,x,Filename", Some((Xywh, [3, 2, 1, 0], None))),
            ("file,left,top,width,height", Some((Xywh, [1, 2, 3, 4], None))),
            (
                "filename,width,height,class,xmin,ymin,xmax,ymax",
                Some((Xyxy, [4, 5, 6, 7], Some([1, 2]))),
            ),
            ("image,x1,y1,x2,y2,w,h", Some((Xyxy, [1, 2, 3, 4], Some([5, 6])))),
            ("path,x,y,w,h,width,height", Some((Xywh, [1, 2, 3, 4], Some([5, 6])))),
            ("path,x center,Y-Center,width,height", Some((Cxcywh, [1, 2, 3, 4], None))),
            (
                "image,x,y,width,height,image_width,image_height",
                Some((Xywh, [1, 2, 3, 4], Some([5, 6]))),
            ),
            ("image_path,x1,y1,w", None),
            ("x1,y1,w,h", None),
        ] {
            assert_eq!(found(header), expected, "{header}");
        }
    }
}
