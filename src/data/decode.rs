//! Decodes one picture, from the bytes of its file to the pixels for the cache.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};

use super::cache::CACHE_SIZE;
use super::foreign::{self, Foreign};
use super::resample;
use crate::geometry::{INPUT_SIZE, Letterbox};

/// Memory for decoding a pixel: up to 16 bits per channel, a rotated copy, and the conversion to RGB.
const BYTES_A_PIXEL: u64 = 12;

/// A picture that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// The file is damaged or not a picture.
    #[error("cannot be decoded ({0})")]
    Decode(#[from] image::ImageError),
    /// The file cannot be read.
    #[error("cannot be read ({0})")]
    Read(#[from] std::io::Error),
    /// The picture has too many pixels.
    #[error("has {width} × {height} pixels; at most {limit} megapixels are accepted")]
    TooLarge {
        /// Its width, in pixels.
        width: u32,
        /// Its height, in pixels.
        height: u32,
        /// The limit, in millions of pixels.
        limit: u32,
    },
    /// The format is not supported.
    #[error("{}", .0.advice())]
    Foreign(Foreign),
    /// The end of the JPEG is missing.
    #[error("is cut short: the end of the JPEG is missing, so download or copy it again")]
    CutShort,
    /// The decoder panicked.
    #[error("cannot be decoded (the decoder gave up)")]
    Panicked,
}

/// A picture ready for the cache.
pub(super) struct Decoded {
    /// Upright, in pixels of the original.
    pub(super) width: u32,
    pub(super) height: u32,
    /// EXIF orientation of the stored picture.
    pub(super) orientation: Orientation,
    /// Whether it is nearly all one colour.
    pub(super) is_flat: bool,
    pub(super) letterbox: Letterbox,
    /// `[256, 256, 3]`.
    pub(super) square: Vec<u8>,
    /// `[128, 128, 3]`.
    pub(super) input: Vec<u8>,
}

/// Decodes a picture, turns it upright and letterboxes it.
pub(super) fn decode(bytes: &[u8], megapixels: u32) -> Result<Decoded, PictureError> {
    if foreign::is_jpeg_cut_short(bytes) {
        return Err(PictureError::CutShort);
    }
    let (picture, orientation) = read_safely(bytes, megapixels)?;
    let (width, height) = picture.dimensions();
    let is_flat = is_flat(&picture);
    let letterbox = Letterbox::exact(width, height, CACHE_SIZE);
    let square = resample::letterbox(&picture, CACHE_SIZE);
    let input = resample::letterbox(&picture, INPUT_SIZE as u32);
    Ok(Decoded { width, height, orientation, is_flat, letterbox, square, input })
}

/// Estimates how many bytes [`decode`] needs, including those of the encoded picture.
pub(super) fn memory(bytes: &[u8], megapixels: u32) -> u64 {
    let header = std::panic::catch_unwind(|| {
        ImageReader::new(Cursor::new(bytes)).with_guessed_format()?.into_dimensions()
    });
    let pixels = match header {
        Ok(Ok((width, height))) => u64::from(width) * u64::from(height),
        _ => 0,
    };
    // A picture that is too large is refused before it is decoded.
    let is_decoded = pixels <= u64::from(megapixels) * 1_000_000;
    bytes.len() as u64 + if is_decoded { pixels * BYTES_A_PIXEL } else { 0 }
}

/// Decodes a picture as a viewer shows it: RGB, turned by its EXIF orientation, over black if it is transparent.
///
/// # Errors
///
/// [`PictureError`]. A picture of more than `megapixels` million pixels is refused before it is decoded.
pub fn read_upright(bytes: &[u8], megapixels: u32) -> Result<RgbImage, PictureError> {
    read_safely(bytes, megapixels).map(|(picture, _)| picture)
}

fn read_safely(bytes: &[u8], megapixels: u32) -> Result<(RgbImage, Orientation), PictureError> {
    // The many decoders get arbitrary bytes, so a panic counts as an error.
    let read = std::panic::catch_unwind(|| read(bytes, megapixels));
    read.unwrap_or(Err(PictureError::Panicked)).map_err(|error| match foreign::format(bytes) {
        Some(format) => PictureError::Foreign(format),
        None => error,
    })
}

fn read(bytes: &[u8], megapixels: u32) -> Result<(RgbImage, Orientation), PictureError> {
    let mut limits = Limits::default();
    limits.max_alloc = Some(u64::from(megapixels) * 16_000_000 + (64 << 20));
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format()?;
    reader.limits(limits);
    let mut decoder = reader.into_decoder()?;
    let (width, height) = decoder.dimensions();
    if u64::from(width) * u64::from(height) > u64::from(megapixels) * 1_000_000 {
        return Err(PictureError::TooLarge { width, height, limit: megapixels });
    }
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let mut picture = DynamicImage::from_decoder(decoder)?;
    picture.apply_orientation(orientation);
    if picture.color().has_alpha() {
        let mut rgba = picture.into_rgba8();
        for pixel in rgba.pixels_mut() {
            let [r, g, b, a] = pixel.0;
            let over_black = |value: u8| (u16::from(value) * u16::from(a) / 255) as u8;
            pixel.0 = [over_black(r), over_black(g), over_black(b), 255];
        }
        picture = DynamicImage::ImageRgba8(rgba);
    }
    Ok((picture.into_rgb8(), orientation))
}

/// About how many pixels [`is_flat`] looks at.
const LOOKED_AT: usize = 20_000;
/// In a picture of nearly one colour, the values of a channel differ by at most this.
const FLAT: u8 = 8;

/// Whether a picture is nearly all one colour, such as a transparent one over black, or 10 bits stored in 16.
fn is_flat(picture: &RgbImage) -> bool {
    let step = (picture.as_raw().len() / 3 / LOOKED_AT).max(1);
    let (mut least, mut most) = ([u8::MAX; 3], [0; 3]);
    for pixel in picture.pixels().step_by(step) {
        for channel in 0..3 {
            least[channel] = least[channel].min(pixel[channel]);
            most[channel] = most[channel].max(pixel[channel]);
        }
    }
    least.iter().zip(most).all(|(&least, most)| most.saturating_sub(least) <= FLAT)
}
