//! Renders views with libtorch, for GPUs and for networks that the native engine does not train.

use tch::{Kind, Tensor};

use super::batch::{Batch, Cut, Pixels};
use super::{ColourChange, GREY, View};
use crate::model::layout::INPUT_SIZE;
use crate::train::torch::squares::Squares;
use crate::train::torch::upload::upload;

/// Renders a batch's views on the device that the squares are on: `[N, 3, side, side]`, channels last in memory.
///
/// # Panics
///
/// If the views are already rendered for the native kernels.
pub fn render_batch(batch: &Batch, squares: &Squares) -> Tensor {
    let none = [Vec::new(), Vec::new()];
    let [of_singles, of_tiles] = match &batch.pixels {
        Pixels::Squares(read) => read,
        Pixels::OnDevice => &none,
        Pixels::Native(_) => panic!("libtorch cannot use views rendered for the native kernels"),
    };
    let render = |cuts: &[Cut], read: &[u8]| {
        let indices: Vec<usize> = cuts.iter().map(|cut| cut.picture).collect();
        let views: Vec<&View> = cuts.iter().map(|cut| &cut.view).collect();
        render(&squares.of(&indices, read), &views)
    };
    let inputs = match (&batch.singles[..], &batch.tiles[..]) {
        (singles, []) => render(singles, of_singles),
        ([], tiles) => join(&render(tiles, of_tiles)),
        (singles, tiles) => {
            Tensor::cat(&[render(singles, of_singles), join(&render(tiles, of_tiles))], 0)
        }
    };
    channels_last(&inputs)
}

/// Joins tiles into mosaics: `[4 N, 3, side, side]` → `[N, 3, 2 side, 2 side]`.
fn join(tiles: &Tensor) -> Tensor {
    let (n, side) = (tiles.size()[0] / 4, tiles.size()[3]);
    let tiles = tiles.contiguous().view([n, 2, 2, 3, side, side]);
    tiles.permute([0, 3, 1, 4, 2, 5]).reshape([n, 3, 2 * side, 2 * side])
}

/// Renders views of the cached squares.
///
/// * `squares`: `[N, S, S, 3]` bytes, one square per view.
/// * `views`: views that all have the same side.
///
/// Returns `[N, 3, side, side]` floats, RGB / 127.5 − 1.
pub fn render(squares: &Tensor, views: &[&View]) -> Tensor {
    let _guard = tch::no_grad_guard();
    let (device, n) = (squares.device(), views.len() as i64);
    let side = views.first().map_or(INPUT_SIZE, |view| view.side) as i64;
    let matrices: Vec<f32> = views.iter().flat_map(|view| view.matrix()).collect();
    let matrices = upload(&Tensor::from_slice(&matrices).reshape([n, 2, 3]), device);
    let grid = Tensor::affine_grid_generator(&matrices, [n, 3, side, side], false);
    let squares = squares.permute([0, 3, 1, 2]).to_kind(Kind::Float);
    let pictures = squares.grid_sampler_2d(&grid, BILINEAR, ZEROS_OUTSIDE, false); // 0..255
    let mut pictures = recolour(&pictures, views);
    pictures.clamp_(0.0, 255.0) / 127.5 - 1.0
}

const BILINEAR: i64 = 0;

const ZEROS_OUTSIDE: i64 = 0;

fn recolour(pictures: &Tensor, views: &[&View]) -> Tensor {
    let column = |value: fn(&ColourChange) -> f32| {
        let values: Vec<f32> = views.iter().map(|view| value(&view.colour)).collect();
        upload(&Tensor::from_slice(&values).reshape([-1, 1, 1, 1]), pictures.device())
    };
    let saturation = column(|colour| colour.saturation);
    let contrast = column(|colour| colour.contrast);
    let brightness = column(|colour| colour.brightness);
    let weights = Tensor::from_slice(&GREY).reshape([1, 3, 1, 1]);
    let weights = upload(&weights, pictures.device());
    let grey = (pictures * weights).sum_dim_intlist([1i64].as_slice(), true, Kind::Float);
    let mean = grey.mean_dim([2i64, 3].as_slice(), true, Kind::Float); // [N, 1, 1, 1]
    // One weighted sum applies saturation, contrast and brightness.
    let own = &saturation * &contrast * &brightness;
    let grey_share = (1.0 - saturation) * &contrast * &brightness;
    let offset = mean * (1.0 - contrast) * brightness;
    pictures * own + (grey * grey_share + offset)
}

/// Returns the same values with the channels of each pixel adjacent in memory.
fn channels_last(pictures: &Tensor) -> Tensor {
    pictures.permute([0, 2, 3, 1]).contiguous().permute([0, 3, 1, 2])
}

#[cfg(test)]
mod tests {
    use super::super::{Source, native};
    use super::*;
    use crate::geometry::Rect;
    use crate::model::native::Inputs;
    use crate::protocol::train_spec::{Colours, Views};

    fn source(faces: Vec<Rect>) -> Source {
        Source { content: [0.0, 0.0, 1.0, 1.0].into(), faces, keypoints: Vec::new() }
    }

    fn draw(source: &Source, views: &Views, key: (u64, u32, usize)) -> View {
        View::draw(source, views, &Colours::default(), 3.0, key)
    }

    /// Compares a face's box with the pixels of a white rectangle on black, in many views.
    #[test]
    fn face_boxes_match_the_rendered_pixels() {
        let side = 256;
        let face = Rect::from([0.40625, 0.5, 0.53125, 0.65625]); // 32 pixels high, 40 wide
        let mut bytes = vec![0u8; side * side * 3];
        for y in 104..136 {
            for x in 128..168 {
                bytes[(y * side + x) * 3..][..3].fill(255);
            }
        }
        let square = Tensor::from_slice(&bytes).reshape([1, side as i64, side as i64, 3]);
        let views = Views { rotation_degrees: 0.0, zoom_on_face: 1.0, ..Views::default() };
        let plain = Colours { brightness: 0.0, contrast: 0.0, saturation: 0.0, grey: 0.0 };
        let source = source(vec![face]);
        let mut seen = 0;
        for index in 0..40 {
            let view = View::draw(&source, &views, &plain, 3.0, (5, 1, index));
            let Some(found) = view.faces.first().filter(|found| found.rect.area() > 0.0) else {
                continue;
            };
            let rendered = render(&square, &[&view]);
            let white = rendered.get(0).get(0).gt(0.0); // [128, 128]
            let range = |dim: i64| {
                let hits = white.any_dim(1 - dim, false).nonzero();
                let [low, high] = [hits.min(), hits.max()].map(|t| t.int64_value(&[]) as f32);
                (low / 128.0, (high + 1.0) / 128.0)
            };
            if white.any().int64_value(&[]) == 0 {
                continue;
            }
            let ((top, bottom), (left, right)) = (range(0), range(1));
            let rect = Rect::from([top, left, bottom, right]);
            // Allows one pixel for rounding and half a pixel for MediaPipe's shift.
            let far = <[f32; 4]>::from(rect)
                .iter()
                .zip(<[f32; 4]>::from(found.rect))
                .map(|(a, b)| (a - b).abs())
                .fold(0.0, f32::max);
            assert!(far < 1.6 / 128.0, "{rect:?} is not {:?}", found.rect);
            seen += 1;
        }
        assert!(seen > 20, "{seen}");
    }

    #[test]
    fn native_views_match_libtorch() {
        let side: i64 = 256;
        let bytes: Vec<u8> = (0..side * side * 3).map(|at| (at * at / 977 % 256) as u8).collect();
        let square = Tensor::from_slice(&bytes).reshape([1, side, side, 3]);
        let source = source(vec![Rect::around(0.3, 0.4, 0.1, 0.1)]);
        for index in 0..12 {
            let mut view = draw(&source, &Views::default(), (9, 1, index));
            if index % 2 == 1 {
                view = view.sized(64);
            }
            let mut inputs = Inputs::zeros(1);
            let mut room = Vec::new();
            let mut picture = inputs.pictures_mut().next().unwrap();
            native::render(&bytes, &view, &mut picture, (0, 0), &mut room);
            let expected = render(&square, &[&view]).get(0).permute([1, 2, 0]).contiguous();
            let width = view.side() * 3;
            for y in 0..view.side() {
                let expected: Vec<f32> =
                    Vec::try_from(expected.get(y as i64).reshape([-1])).unwrap();
                for (found, expected) in inputs.row(0, y)[..width].iter().zip(expected) {
                    assert!(
                        (found - expected).abs() < 2e-3,
                        "{index}, row {y}: {found} {expected}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_whole_view_equals_the_picture() {
        let bytes: Vec<u8> = (0..128 * 128 * 3).map(|at| (at / 7 % 256) as u8).collect();
        let square = Tensor::from_slice(&bytes).reshape([1, 128, 128, 3]);
        let mut view = View::whole(&source(vec![]), 3.0);
        view.shift = 0.0;
        let rendered = render(&square, &[&view]);
        let expected = crate::model::torch::to_input(&square);
        assert!((rendered - expected).abs().max().double_value(&[]) < 1e-3);
    }
}
