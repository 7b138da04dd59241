//! Training views: affine cuts of pictures, with the faces in them.

pub(super) mod ahead;
pub mod batch;
pub mod native;
pub mod pictures;
pub mod random;
#[cfg(feature = "torch")]
pub mod torch;

use rand::RngExt;
use rand_pcg::Pcg64Mcg;

use self::random::{along, chance, log_uniform, order, rng};
use crate::data::CACHE_SIZE;
use crate::geometry::{Keypoints, Rect};
use crate::model::layout::INPUT_SIZE;
use crate::protocol::train_spec::{Colours, TrainSpec, Views};

/// A picture of the cache, from which views are cut.
#[derive(Debug, Clone)]
pub struct Source {
    /// The picture within its square, as fractions of the square.
    pub content: Rect,
    /// Its faces, as fractions of the square.
    pub faces: Vec<Rect>,
    /// The keypoints of each face, as fractions of the square; empty where none is labelled.
    pub keypoints: Vec<Keypoints>,
}

/// A face in a view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewFace {
    /// Fractions of the view.
    pub rect: Rect,
    /// Too small or too much cut off to learn: neither face nor background.
    pub ignored: bool,
    /// Fractions of the view.
    pub keypoints: Keypoints,
}

impl ViewFace {
    /// A face of which no keypoint is known.
    pub fn new(rect: Rect, ignored: bool) -> Self {
        Self { rect, ignored, keypoints: Keypoints::default() }
    }
}

/// One view of a picture: where it lies, and which faces are in it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Centre in the square, x then y.
    centre: (f32, f32),
    /// Side, as a share of the square's.
    scale: f32,
    /// Radians.
    angle: f32,
    flipped: bool,
    /// Pixels of its side once it is rendered.
    side: usize,
    /// How far the sampling grid is off, in pixels of the view; see [`sampling_shift`].
    shift: f32,
    /// The faces in it.
    pub faces: Vec<ViewFace>,
    colour: ColourChange,
}

/// Colour changes of a view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColourChange {
    /// What every value is multiplied by.
    pub brightness: f32,
    /// 0 is the view's mean.
    pub contrast: f32,
    /// 0 is grey.
    pub saturation: f32,
}

/// How much red, green and blue add to grey: the luma of ITU-R BT.601.
const GREY: [f32; 3] = [0.299, 0.587, 0.114];
/// A face of which less than this share is visible is ignored rather than learnt.
const MIN_VISIBLE: f32 = 0.5;
/// How far from the middle of a zoom its face may lie, as a share of the view.
const FACE_JITTER: f32 = 0.35;

impl View {
    /// A random cut of `source`; the same `seed`, `epoch` and `index` give the same one.
    pub fn draw(
        source: &Source,
        views: &Views,
        colours: &Colours,
        min_face_px: f64,
        key: (u64, u32, usize),
    ) -> Self {
        let mut rng = rng(key);
        let scale = log_uniform(&mut rng, views.scale_min, views.scale_max);
        let on_face = scale < 1.0 && chance(&mut rng, views.zoom_on_face);
        let centre = if on_face && !source.faces.is_empty() {
            let face = source.faces[rng.random_range(0..source.faces.len())].centre();
            let mut jitter = || rng.random_range(-FACE_JITTER..FACE_JITTER) * scale;
            (face.0 + jitter(), face.1 + jitter())
        } else {
            let content = &source.content;
            let x = along(&mut rng, content.xmin, content.xmax, scale);
            (x, along(&mut rng, content.ymin, content.ymax, scale))
        };
        let limit = views.rotation_degrees.to_radians() as f32;
        let angle = limit * rng.random_range(-1.0..=1.0);
        let flipped = chance(&mut rng, views.flip);
        let colour = ColourChange::draw(&mut rng, colours);
        let (side, shift) = (INPUT_SIZE, sampling_shift(scale, INPUT_SIZE));
        let faces = Vec::new();
        let mut view = Self { centre, scale, angle, flipped, side, shift, faces, colour };
        let keypoints = source.keypoints.iter().copied().chain(std::iter::repeat([None; 6]));
        let faces = source.faces.iter().zip(keypoints);
        view.faces = faces
            .filter_map(|(face, keypoints)| view.place(face, keypoints, min_face_px as f32))
            .collect();
        view
    }

    /// The same cut, to be rendered with this many pixels per side.
    #[must_use]
    pub fn sized(self, side: usize) -> Self {
        Self { side, shift: sampling_shift(self.scale, side), ..self }
    }

    /// The whole square, unchanged: what a deployed model is fed.
    pub fn whole(source: &Source, min_face_px: f64) -> Self {
        let place = |rect: &Rect| {
            let ignored = size_px(rect) < min_face_px as f32;
            ViewFace::new(*rect, ignored)
        };
        Self {
            centre: (0.5, 0.5),
            scale: 1.0,
            angle: 0.0,
            flipped: false,
            side: INPUT_SIZE,
            shift: sampling_shift(1.0, INPUT_SIZE),
            faces: source.faces.iter().map(place).collect(),
            colour: ColourChange { brightness: 1.0, contrast: 1.0, saturation: 1.0 },
        }
    }

    /// Where a point of the square is in the view.
    fn point(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let (dx, dy) = ((x - self.centre.0) / self.scale, (y - self.centre.1) / self.scale);
        let (sin, cos) = self.angle.sin_cos();
        let (dx, dy) = (cos * dx + sin * dy, cos * dy - sin * dx);
        (0.5 + if self.flipped { -dx } else { dx }, 0.5 + dy)
    }

    /// Where a face of the square is in the view; `None` when it is out of sight.
    fn place(&self, face: &Rect, keypoints: Keypoints, min_face_px: f32) -> Option<ViewFace> {
        let (x, y) = self.point(face.centre());
        let (sin, cos) = self.angle.sin_cos();
        // A head is an ellipse; this is the box around the turned one.
        let (a, b) = (face.width() / self.scale, face.height() / self.scale);
        let width = (a * cos).hypot(b * sin);
        let height = (a * sin).hypot(b * cos);
        let whole = Rect::around(x, y, width, height);
        let rect = whole.clipped()?;
        let ignored = size_px(&rect) < min_face_px || rect.area() < MIN_VISIBLE * whole.area();
        let mut keypoints =
            keypoints.map(|point| point.map(|[x, y]| <[f32; 2]>::from(self.point((x, y)))));
        if self.flipped {
            // In a mirror, the right eye or ear becomes the left one.
            keypoints.swap(0, 1);
            keypoints.swap(4, 5);
        }
        Some(ViewFace { rect, ignored, keypoints })
    }

    /// Pixels of its side once it is rendered.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Its colour changes.
    pub fn colour(&self) -> ColourChange {
        self.colour
    }

    /// Where its pixels lie, in pixels of the square.
    pub fn sampling(&self) -> Sampling {
        let [xx, xy, x, yx, yy, y] = self.matrix();
        let (square, side) = (CACHE_SIZE as f32, self.side as f32);
        // Both go from -1 to 1, from the outer edge of the first pixel to that of the last.
        let first = 1.0 / side - 1.0;
        let pixel = |at: f32| ((at + 1.0) * square - 1.0) / 2.0;
        let step = square / side;
        Sampling {
            square: CACHE_SIZE as usize,
            first: (pixel((xx + xy) * first + x), pixel((yx + yy) * first + y)),
            right: (xx * step, yx * step),
            down: (xy * step, yy * step),
        }
    }

    /// The top two rows of the matrix that takes a view's coordinates (−1..1) to the square's.
    fn matrix(&self) -> [f32; 6] {
        let (sin, cos) = self.angle.sin_cos();
        let flip = if self.flipped { -1.0 } else { 1.0 };
        let s = self.scale;
        // In −1..1 a pixel of the view is 2/side wide.
        let shift = -self.shift * 2.0 / self.side as f32;
        let (x, y) = (2.0 * self.centre.0 - 1.0, 2.0 * self.centre.1 - 1.0);
        let (xx, xy, yx, yy) = (s * cos * flip, -s * sin, s * sin * flip, s * cos);
        [xx, xy, x + (xx + xy) * shift, yx, yy, y + (yx + yy) * shift]
    }
}

/// Where a view's pixels lie, in pixels of its square.
#[derive(Debug, Clone, Copy)]
pub struct Sampling {
    /// The square's side.
    pub square: usize,
    /// The view's first pixel, x then y.
    first: (f32, f32),
    /// From one pixel to the next in a row.
    pub right: (f32, f32),
    /// From one row to the next.
    down: (f32, f32),
}

impl Sampling {
    /// Pixel `x` of row `y`.
    pub fn at(&self, x: usize, y: usize) -> (f32, f32) {
        let (x, y) = (x as f32, y as f32);
        (
            self.first.0 + self.right.0 * x + self.down.0 * y,
            self.first.1 + self.right.1 * x + self.down.1 * y,
        )
    }
}

/// `MediaPipe` samples output pixel `i` at source pixel `i × scale`, without the half pixel that
/// would centre it, so a picture appears shifted. The squares were sampled like that and have a part
/// of the shift already; this is the rest of what the cut would have, in pixels of the view.
fn sampling_shift(scale: f32, side: usize) -> f32 {
    0.5 - 0.5 * side as f32 / (CACHE_SIZE as f32 * scale)
}

impl ColourChange {
    fn draw(rng: &mut Pcg64Mcg, colours: &Colours) -> Self {
        let mut around_one = |range: f64| 1.0 + range as f32 * rng.random_range(-1.0f32..=1.0);
        let brightness = around_one(colours.brightness);
        let contrast = around_one(colours.contrast);
        let saturation = around_one(colours.saturation);
        let grey = chance(rng, colours.grey);
        Self { brightness, contrast, saturation: if grey { 0.0 } else { saturation } }
    }
}

/// Pixels of the network's input: √(width × height).
pub fn size_px(rect: &Rect) -> f32 {
    rect.area().sqrt() * INPUT_SIZE as f32
}

/// Views from which BatchNorm's statistics are measured.
const CALIBRATION_VIEWS: usize = 256;
/// How many of these at once.
const CALIBRATION_BATCH: usize = 32;

/// The pictures from whose views BatchNorm's first statistics are measured, in batches.
pub(super) fn calibration_batches(
    spec: &TrainSpec,
    pictures: &pictures::Pictures,
) -> Vec<Vec<usize>> {
    let order = order(pictures.train.len(), spec.seed, 0);
    let chosen: Vec<usize> =
        order.iter().take(CALIBRATION_VIEWS).map(|&at| pictures.train[at]).collect();
    chosen.chunks(CALIBRATION_BATCH).map(<[usize]>::to_vec).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: (u64, u32, usize) = (1, 2, 3);

    fn source(faces: Vec<Rect>) -> Source {
        Source { content: [0.0, 0.0, 1.0, 1.0].into(), faces, keypoints: Vec::new() }
    }

    fn draw(source: &Source, views: &Views, key: (u64, u32, usize)) -> View {
        View::draw(source, views, &Colours::default(), 3.0, key)
    }

    #[test]
    fn the_same_key_draws_the_same_view_and_another_key_another() {
        let source = source(vec![Rect::around(0.5, 0.5, 0.1, 0.1)]);
        let views = Views::default();
        assert_eq!(draw(&source, &views, KEY), draw(&source, &views, KEY));
        assert_ne!(draw(&source, &views, KEY), draw(&source, &views, (1, 3, 3)));
    }

    #[test]
    fn tiny_faces_and_faces_mostly_out_of_view_are_ignored_and_hidden_ones_are_gone() {
        let mut view = View::whole(&source(vec![]), 3.0);
        view.scale = 0.5; // shows 0.25..0.75
        let place = |rect: Rect| view.place(&rect, [None; 6], 3.0);
        assert!(!place(Rect::around(0.5, 0.5, 0.1, 0.1)).unwrap().ignored);
        assert!(place(Rect::around(0.5, 0.5, 0.01, 0.01)).unwrap().ignored);
        assert!(place(Rect::around(0.24, 0.5, 0.1, 0.1)).unwrap().ignored);
        assert_eq!(place(Rect::around(0.1, 0.5, 0.1, 0.1)), None);
    }

    #[test]
    fn keypoints_go_where_the_face_goes_and_change_sides_in_a_mirror() {
        let mut view = View::whole(&source(vec![]), 3.0);
        view.scale = 0.5; // shows 0.25..0.75
        view.flipped = true;
        let [right, left, nose] = [[0.4, 0.5], [0.6, 0.5], [0.5, 0.55]].map(Some);
        let face = Rect::around(0.5, 0.5, 0.4, 0.4);
        let placed = view.place(&face, [right, left, nose, None, None, right], 3.0).unwrap();
        let expected = [[0.3, 0.5], [0.7, 0.5], [0.5, 0.6]];
        for (found, expected) in placed.keypoints.iter().zip(expected) {
            let found = found.unwrap();
            assert!((found[0] - expected[0]).abs() + (found[1] - expected[1]).abs() < 1e-5);
        }
        assert!(placed.keypoints[4].is_some() && placed.keypoints[5].is_none(), "the ears");
    }
}
