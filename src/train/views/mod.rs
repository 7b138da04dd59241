//! Training views: affine cuts of pictures, and the faces in them.

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

/// A cached picture that views are cut from.
#[derive(Debug, Clone)]
pub struct Source {
    /// The area of the square that the picture fills, as fractions of the square.
    pub content: Rect,
    /// The box of each face, as fractions of the square.
    pub faces: Vec<Rect>,
    /// The keypoints of each face, as fractions of the square; empty if no keypoints are labelled.
    pub keypoints: Vec<Keypoints>,
}

/// A face in a view.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ViewFace {
    /// The face's box, as fractions of the view.
    pub rect: Rect,
    /// Whether the face is too small or too truncated to learn. It then counts as neither face nor background.
    pub ignored: bool,
    /// The face's keypoints, as fractions of the view.
    pub keypoints: Keypoints,
}

impl ViewFace {
    /// Creates a face without known keypoints.
    pub fn new(rect: Rect, ignored: bool) -> Self {
        Self { rect, ignored, keypoints: Keypoints::default() }
    }
}

/// One view of a picture: the area that it shows and the faces in it.
#[derive(Debug, Clone, PartialEq)]
pub struct View {
    /// Centre x, y, as fractions of the square.
    centre: (f32, f32),
    /// Side, as a fraction of the square's side.
    scale: f32,
    /// Rotation in radians.
    angle: f32,
    flipped: bool,
    /// Side of the rendered view, in pixels.
    side: usize,
    /// Shift of the sampling grid, in pixels of the view; see [`sampling_shift`].
    shift: f32,
    /// The faces in the view.
    pub faces: Vec<ViewFace>,
    colour: ColourChange,
}

/// A view's colour changes. A factor of 1 changes nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ColourChange {
    /// Factor for every colour value.
    pub brightness: f32,
    /// Contrast factor; 0 turns the view into one uniform grey.
    pub contrast: f32,
    /// Saturation factor; 0 removes all colour.
    pub saturation: f32,
}

/// Weights of red, green and blue in a grey value: the luma of ITU-R BT.601.
const GREY: [f32; 3] = [0.299, 0.587, 0.114];
/// Minimum visible share of a face's box; a face with less is ignored.
const MIN_VISIBLE: f32 = 0.5;
/// Maximum distance, on each axis, between the centre of a view that zooms in on a face and the face's centre, as a
/// fraction of the view's side.
const FACE_JITTER: f32 = 0.35;

impl View {
    /// Draws a random view of `source`. The same key, `(seed, epoch, index)`, gives the same view.
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

    /// Returns the same view, rendered with `side` pixels per side.
    #[must_use]
    pub fn sized(self, side: usize) -> Self {
        Self { side, shift: sampling_shift(self.scale, side), ..self }
    }

    /// Returns a view of the whole square, unchanged, like the input of a deployed model.
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

    /// Maps a point from the square to the view.
    fn point(&self, (x, y): (f32, f32)) -> (f32, f32) {
        let (dx, dy) = ((x - self.centre.0) / self.scale, (y - self.centre.1) / self.scale);
        let (sin, cos) = self.angle.sin_cos();
        let (dx, dy) = (cos * dx + sin * dy, cos * dy - sin * dx);
        (0.5 + if self.flipped { -dx } else { dx }, 0.5 + dy)
    }

    /// Maps a face from the square to the view. Returns `None` if the face is outside the view.
    fn place(&self, face: &Rect, keypoints: Keypoints, min_face_px: f32) -> Option<ViewFace> {
        let (x, y) = self.point(face.centre());
        let (sin, cos) = self.angle.sin_cos();
        // Treats the head as an ellipse and computes the bounding box of the rotated ellipse.
        let (a, b) = (face.width() / self.scale, face.height() / self.scale);
        let width = (a * cos).hypot(b * sin);
        let height = (a * sin).hypot(b * cos);
        let whole = Rect::around(x, y, width, height);
        let rect = whole.clipped()?;
        let ignored = size_px(&rect) < min_face_px || rect.area() < MIN_VISIBLE * whole.area();
        let mut keypoints =
            keypoints.map(|point| point.map(|[x, y]| <[f32; 2]>::from(self.point((x, y)))));
        if self.flipped {
            // A horizontal flip swaps the left and right eyes and ears.
            keypoints.swap(0, 1);
            keypoints.swap(4, 5);
        }
        Some(ViewFace { rect, ignored, keypoints })
    }

    /// Returns the side of the rendered view, in pixels.
    pub fn side(&self) -> usize {
        self.side
    }

    /// Returns the view's colour changes.
    pub fn colour(&self) -> ColourChange {
        self.colour
    }

    /// Returns the positions of the view's pixels, in pixels of the square.
    pub fn sampling(&self) -> Sampling {
        let [xx, xy, x, yx, yy, y] = self.matrix();
        let (square, side) = (CACHE_SIZE as f32, self.side as f32);
        // Both coordinate systems run from −1 to 1, between the outer edges of the first and the last pixel.
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

    /// Returns the top two rows of the matrix that maps view coordinates (−1..1) to square coordinates (−1..1).
    fn matrix(&self) -> [f32; 6] {
        let (sin, cos) = self.angle.sin_cos();
        let flip = if self.flipped { -1.0 } else { 1.0 };
        let s = self.scale;
        // A pixel of the view is 2 / side wide in these coordinates.
        let shift = -self.shift * 2.0 / self.side as f32;
        let (x, y) = (2.0 * self.centre.0 - 1.0, 2.0 * self.centre.1 - 1.0);
        let (xx, xy, yx, yy) = (s * cos * flip, -s * sin, s * sin * flip, s * cos);
        [xx, xy, x + (xx + xy) * shift, yx, yy, y + (yx + yy) * shift]
    }
}

/// The positions of a view's pixels, in pixels of its square.
#[derive(Debug, Clone, Copy)]
pub struct Sampling {
    /// The square's side.
    pub square: usize,
    /// Position x, y of the view's first pixel.
    first: (f32, f32),
    /// Step from one pixel to the next in a row.
    pub right: (f32, f32),
    /// Step from one row to the next.
    down: (f32, f32),
}

impl Sampling {
    /// Returns the position of pixel `x` in row `y`.
    pub fn at(&self, x: usize, y: usize) -> (f32, f32) {
        let (x, y) = (x as f32, y as f32);
        (
            self.first.0 + self.right.0 * x + self.down.0 * y,
            self.first.1 + self.right.1 * x + self.down.1 * y,
        )
    }
}

/// Returns how far to shift a view's sampling grid to imitate MediaPipe, in pixels of the view.
///
/// MediaPipe samples output pixel `i` at source pixel `i × scale`, without the half-pixel offset that would centre the
/// sample, so pictures appear shifted. The squares are sampled the same way and already contain part of the shift. The
/// result is the rest.
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

/// Returns a face's size, √(width × height), in pixels of a 128-pixel view.
pub fn size_px(rect: &Rect) -> f32 {
    rect.area().sqrt() * INPUT_SIZE as f32
}

/// Number of views that BatchNorm's initial statistics are measured on.
const CALIBRATION_VIEWS: usize = 256;
/// Number of calibration views per batch.
const CALIBRATION_BATCH: usize = 32;

/// Returns the pictures for measuring BatchNorm's initial statistics, in batches.
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
    fn a_key_fixes_the_view_and_another_key_changes_it() {
        let source = source(vec![Rect::around(0.5, 0.5, 0.1, 0.1)]);
        let views = Views::default();
        assert_eq!(draw(&source, &views, KEY), draw(&source, &views, KEY));
        assert_ne!(draw(&source, &views, KEY), draw(&source, &views, (1, 3, 3)));
    }

    #[test]
    fn tiny_and_mostly_hidden_faces_are_ignored_and_faces_out_of_view_are_dropped() {
        let mut view = View::whole(&source(vec![]), 3.0);
        view.scale = 0.5; // shows 0.25..0.75
        let place = |rect: Rect| view.place(&rect, [None; 6], 3.0);
        assert!(!place(Rect::around(0.5, 0.5, 0.1, 0.1)).unwrap().ignored);
        assert!(place(Rect::around(0.5, 0.5, 0.01, 0.01)).unwrap().ignored);
        assert!(place(Rect::around(0.24, 0.5, 0.1, 0.1)).unwrap().ignored);
        assert_eq!(place(Rect::around(0.1, 0.5, 0.1, 0.1)), None);
    }

    #[test]
    fn keypoints_move_with_the_face_and_a_flip_swaps_left_and_right() {
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
        assert!(placed.keypoints[4].is_some() && placed.keypoints[5].is_none(), "ears swapped");
    }
}
