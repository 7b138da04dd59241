//! Renders views on the CPU. `views::torch` renders the same views, up to rounding, with libtorch.

use super::{GREY, Sampling, View};
use crate::model::native::InputPicture;

/// Renders a view of a square directly into a part of an input.
///
/// * `square`: `[S, S, 3]` bytes; `left`, `top`: the input pixel at which the view starts.
/// * `pixels`: a reusable buffer of any length.
pub fn render(
    square: &[u8],
    view: &View,
    into: &mut InputPicture<'_>,
    (left, top): (usize, usize),
    pixels: &mut Vec<[f32; 3]>,
) {
    let side = view.side();
    pixels.clear();
    sample(square, &view.sampling(), side, pixels);
    let colour = view.colour();
    let sum = pixels.iter().map(|pixel| f64::from(grey(*pixel))).sum::<f64>();
    let mean = (sum / pixels.len() as f64) as f32;
    // One weighted sum applies saturation, contrast and brightness. The result is scaled to −1..1.
    let gain = colour.contrast * colour.brightness;
    let own = colour.saturation * gain;
    let share = (1.0 - colour.saturation) * gain;
    let offset = mean * (1.0 - colour.contrast) * colour.brightness;
    for (y, row) in pixels.chunks_exact(side).enumerate() {
        let out = &mut into.row(top + y)[left * 3..(left + side) * 3];
        for (out, pixel) in out.as_chunks_mut::<3>().0.iter_mut().zip(row) {
            let base = grey(*pixel) * share + offset;
            *out = pixel.map(|value| (value * own + base).clamp(0.0, 255.0) / 127.5 - 1.0);
        }
    }
}

fn grey([red, green, blue]: [f32; 3]) -> f32 {
    GREY[0] * red + GREY[1] * green + GREY[2] * blue
}

/// Samples the square bilinearly. Pixels outside the square are 0.
fn sample(square: &[u8], sampling: &Sampling, side: usize, pixels: &mut Vec<[f32; 3]>) {
    let length = sampling.square;
    let last = (length - 1) as f32;
    for y in 0..side {
        let start = sampling.at(0, y);
        for x in 0..side {
            let at_x = sampling.right.0 * x as f32 + start.0;
            let at_y = sampling.right.1 * x as f32 + start.1;
            let (low_x, low_y) = (at_x.floor(), at_y.floor());
            let (share_x, share_y) = (at_x - low_x, at_y - low_y);
            let weights = [
                (1.0 - share_x) * (1.0 - share_y),
                share_x * (1.0 - share_y),
                (1.0 - share_x) * share_y,
                share_x * share_y,
            ];
            let inside = low_x >= 0.0 && low_y >= 0.0 && low_x < last && low_y < last;
            let pixel = if inside {
                let first = (low_y as usize * length + low_x as usize) * 3;
                let (above, below) = (&square[first..][..6], &square[first + length * 3..][..6]);
                let mix = |c: usize| {
                    weights[0] * f32::from(above[c])
                        + weights[1] * f32::from(above[c + 3])
                        + weights[2] * f32::from(below[c])
                        + weights[3] * f32::from(below[c + 3])
                };
                [mix(0), mix(1), mix(2)]
            } else {
                edge(square, length, (low_x as i64, low_y as i64), weights)
            };
            pixels.push(pixel);
        }
    }
}

/// Samples at or beyond the square's edge, where some of the four neighbouring pixels are missing.
fn edge(square: &[u8], length: usize, (x, y): (i64, i64), weights: [f32; 4]) -> [f32; 3] {
    let mut pixel = [0.0; 3];
    for (weight, (dx, dy)) in weights.into_iter().zip([(0, 0), (1, 0), (0, 1), (1, 1)]) {
        let (Ok(x), Ok(y)) = (usize::try_from(x + dx), usize::try_from(y + dy)) else { continue };
        if x >= length || y >= length {
            continue;
        }
        for (value, byte) in pixel.iter_mut().zip(&square[(y * length + x) * 3..]) {
            *value += weight * f32::from(*byte);
        }
    }
    pixel
}
