//! A picture as the network sees it: `MediaPipe`'s own letterboxing and sampling.

use image::RgbImage;

/// Sub-pixel positions a source pixel, as in `OpenCV`'s fixed-point warp.
const POSITIONS: i32 = 32;

/// `[size, size, 3]` RGB bytes: the picture scaled to fit a square, centred, black around it.
///
/// Sampled bilinearly at single points, without smoothing first, so large pictures alias: this is
/// what a deployed model is fed. Output pixel `i` lies at source coordinate `i × scale` with no
/// half-pixel shift, and positions are rounded to 1/32 of a source pixel.
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
    let columns: Vec<i32> = (0..size).map(|x| position(x, width)).collect();
    let mut bytes = Vec::with_capacity((size * size * 3) as usize);
    for y in (0..size).map(|y| position(y, height)) {
        for &x in &columns {
            bytes.extend(sample(picture, x, y));
        }
    }
    bytes
}

/// The bilinear mean at `x`, `y` in 1/32 of a pixel; outside is black.
fn sample(picture: &RgbImage, x: i32, y: i32) -> [u8; 3] {
    let (left, top) = (x.div_euclid(POSITIONS), y.div_euclid(POSITIONS));
    let (right_share, bottom_share) = (x.rem_euclid(POSITIONS), y.rem_euclid(POSITIONS));
    let mut sums = [POSITIONS * POSITIONS / 2; 3];
    for (row, row_share) in [(top, POSITIONS - bottom_share), (top + 1, bottom_share)] {
        for (column, share) in [(left, POSITIONS - right_share), (left + 1, right_share)] {
            let inside = u32::try_from(column).ok().zip(u32::try_from(row).ok());
            if let Some(pixel) = inside.and_then(|(x, y)| picture.get_pixel_checked(x, y)) {
                for (sum, &value) in sums.iter_mut().zip(&pixel.0) {
                    *sum += i32::from(value) * row_share * share;
                }
            }
        }
    }
    sums.map(|sum| (sum / (POSITIONS * POSITIONS)) as u8)
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
}
