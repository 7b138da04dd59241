//! A picture as the network sees it: `MediaPipe`'s own letterboxing and sampling.

use image::RgbImage;

/// Sub-pixel positions per source pixel, as in `OpenCV`'s fixed-point warp.
const POSITIONS: i32 = 32;

/// Scales a picture to fit a square, centred on black. Returns `[size, size, 3]` RGB bytes.
///
/// Samples bilinearly without smoothing first, so large pictures alias, as they do for a deployed
/// model. Output pixel `i` is at source coordinate `i × scale` without a half-pixel shift, and
/// positions are rounded to 1/32 of a source pixel.
///
/// Source: `MediaPipe` `image_to_tensor_converter_opencv.cc` (`cv::warpPerspective`, linear,
/// constant border).
pub fn letterbox(picture: &RgbImage, size: u32) -> Vec<u8> {
    let (width, height) = (picture.width() as i32, picture.height() as i32);
    let longer = f64::from(width.max(height));
    let scale = longer / f64::from(size);
    let position = |index: u32, length: i32| {
        let start = (f64::from(length) - longer) / 2.0;
        (f64::from(index) * scale + start).mul_add(f64::from(POSITIONS), 0.0).round_ties_even()
            as i32
    };
    let columns: Vec<Tap> = (0..size).map(|x| Tap::new(position(x, width), width)).collect();
    let mut bytes = vec![0; (size * size * 3) as usize];
    for (y, line) in (0..size).zip(bytes.chunks_exact_mut(size as usize * 3)) {
        let rows = Tap::new(position(y, height), height);
        for (column, pixel) in columns.iter().zip(line.chunks_exact_mut(3)) {
            pixel.copy_from_slice(&sample(picture, column, &rows));
        }
    }
    bytes
}

/// Two neighbours along one axis and their shares in 1/32; a neighbour outside the picture has the share 0.
struct Tap {
    at: [usize; 2],
    shares: [u32; 2],
}

impl Tap {
    /// Returns the tap at `position`, in 1/32 of a pixel, along a row or column of `length` pixels.
    fn new(position: i32, length: i32) -> Self {
        let (first, second) = (position.div_euclid(POSITIONS), position.rem_euclid(POSITIONS));
        // A share of 0 makes neighbours outside the picture black.
        let neighbour = |at: i32, share: i32| {
            if (0..length).contains(&at) { (at as usize, share as u32) } else { (0, 0) }
        };
        let (a, b) = (neighbour(first, POSITIONS - second), neighbour(first + 1, second));
        Self { at: [a.0, b.0], shares: [a.1, b.1] }
    }
}

/// Returns the bilinear mean; pixels outside the picture are black.
fn sample(picture: &RgbImage, columns: &Tap, rows: &Tap) -> [u8; 3] {
    let stride = picture.width() as usize * 3;
    let mut sums = [(POSITIONS * POSITIONS / 2) as u32; 3];
    for (row, row_share) in rows.at.iter().zip(rows.shares) {
        for (column, share) in columns.at.iter().zip(columns.shares) {
            let pixel = &picture.as_raw()[row * stride + column * 3..][..3];
            for (sum, &value) in sums.iter_mut().zip(pixel) {
                *sum += u32::from(value) * row_share * share;
            }
        }
    }
    sums.map(|sum| (sum / (POSITIONS * POSITIONS) as u32) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_picture_of_the_right_size_is_copied() {
        let picture = RgbImage::from_fn(16, 16, |x, y| image::Rgb([x as u8, y as u8, 7]));
        assert_eq!(letterbox(&picture, 16), picture.into_raw());
    }

    #[test]
    fn bars_are_black_and_the_picture_is_centred() {
        let picture = RgbImage::from_pixel(64, 32, image::Rgb([200, 100, 50]));
        let bytes = letterbox(&picture, 32);
        let pixel = |x: usize, y: usize| &bytes[(y * 32 + x) * 3..][..3];
        assert_eq!(pixel(5, 2), [0, 0, 0]);
        assert_eq!(pixel(5, 16), [200, 100, 50]);
        assert_eq!(pixel(5, 29), [0, 0, 0]);
    }

    /// The warp as `OpenCV`'s documentation defines it, one pixel at a time.
    fn slowly(picture: &RgbImage, size: u32) -> Vec<u8> {
        let (width, height) = (i64::from(picture.width()), i64::from(picture.height()));
        let longer = width.max(height) as f64;
        let scale = longer / f64::from(size);
        let position = |index: u32, length: i64| {
            let start = (length as f64 - longer) / 2.0;
            ((f64::from(index) * scale + start) * 32.0).round_ties_even() as i64
        };
        let value = |x: i64, y: i64, channel: usize| {
            let inside = (0..width).contains(&x) && (0..height).contains(&y);
            if inside { i64::from(picture.get_pixel(x as u32, y as u32).0[channel]) } else { 0 }
        };
        let at = (0..size).flat_map(|y| (0..size).map(move |x| (x, y)));
        at.flat_map(|(x, y)| {
            let (x, y) = (position(x, width), position(y, height));
            let (left, top) = (x.div_euclid(32), y.div_euclid(32));
            let (right_share, bottom_share) = (x.rem_euclid(32), y.rem_euclid(32));
            [0, 1, 2].map(|channel| {
                let row = |y| {
                    value(left, y, channel) * (32 - right_share)
                        + value(left + 1, y, channel) * right_share
                };
                let sum = row(top) * (32 - bottom_share) + row(top + 1) * bottom_share;
                ((sum + 512) / 1024) as u8
            })
        })
        .collect()
    }

    #[test]
    fn every_byte_matches_the_definition_for_any_shape() {
        for (width, height) in [(480, 361), (7, 100), (1, 1), (300, 3), (97, 129), (256, 256)] {
            let noise = |x: u32, y: u32| ((x * 2_654_435) ^ (y * 40_503)).wrapping_mul(97) >> 8;
            let picture = RgbImage::from_fn(width, height, |x, y| {
                image::Rgb([noise(x, y) as u8, noise(y, x) as u8, (noise(x, y) >> 8) as u8])
            });
            for size in [32, 128] {
                assert_eq!(letterbox(&picture, size), slowly(&picture, size), "{width}×{height}");
            }
        }
    }
}
