//! One picture, from a file's bytes to its places in the cache.

use std::io::Cursor;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageReader, Limits, RgbImage};

use super::cache::CACHE_SIZE;
use super::resample;
use crate::geometry::{INPUT_SIZE, Letterbox};

/// Memory that decoding takes: up to 16 bits per channel, rotated, and converted to RGB.
const BYTES_A_PIXEL: u64 = 12;

/// A picture that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum PictureError {
    /// Not a picture, or a damaged one.
    #[error("cannot be decoded ({0})")]
    Decode(#[from] image::ImageError),
    /// Unreadable.
    #[error("cannot be read ({0})")]
    Read(#[from] std::io::Error),
    /// Too many pixels.
    #[error("has {width} × {height} pixels; at most {limit} megapixels are accepted")]
    TooLarge {
        /// Its width, in pixels.
        width: u32,
        /// Its height, in pixels.
        height: u32,
        /// The limit, in millions of pixels.
        limit: u32,
    },
    /// The decoder panicked on it.
    #[error("cannot be decoded (the decoder gave up)")]
    Panicked,
}

/// A picture ready for the cache.
pub(super) struct Decoded {
    /// Upright, in pixels of the original.
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) letterbox: Letterbox,
    /// `[256, 256, 3]`.
    pub(super) square: Vec<u8>,
    /// `[128, 128, 3]`.
    pub(super) input: Vec<u8>,
}

/// Decodes, turns upright, letterboxes.
pub(super) fn decode(bytes: &[u8], megapixels: u32) -> Result<Decoded, PictureError> {
    let picture = read_upright(bytes, megapixels)?;
    let (width, height) = picture.dimensions();
    let letterbox = Letterbox::exact(width, height, CACHE_SIZE);
    let square = resample::letterbox(&picture, CACHE_SIZE);
    let input = resample::letterbox(&picture, INPUT_SIZE as u32);
    Ok(Decoded { width, height, letterbox, square, input })
}

/// About how many bytes [`decode`] takes, the picture's own included.
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

/// A picture as it should look: RGB, rotated by its EXIF orientation, black where transparent.
///
/// # Errors
///
/// [`PictureError`]; a picture of more than `megapixels` is refused before it is decoded.
pub fn read_upright(bytes: &[u8], megapixels: u32) -> Result<RgbImage, PictureError> {
    // There are many decoders, fed with arbitrary bytes: a panic is an error here.
    std::panic::catch_unwind(|| read(bytes, megapixels)).unwrap_or(Err(PictureError::Panicked))
}

fn read(bytes: &[u8], megapixels: u32) -> Result<RgbImage, PictureError> {
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
    Ok(picture.into_rgb8())
}
