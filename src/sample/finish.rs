//! Makes a drawing look more like a photograph: adds light, blur and noise.

use image::RgbImage;
use image::imageops::blur;

use super::dice::Dice;

/// Adds random light, blur and noise to a drawing. `side` is where the light comes from: -1 left, 1 right.
pub(super) fn photograph(drawing: RgbImage, dice: &mut Dice, side: f32) -> RgbImage {
    let light = Light::random(dice, side);
    let is_soft = dice.chance(0.4);
    let noise = if dice.chance(0.6) { dice.between(1.0, 6.0) } else { 0.0 };
    let mut picture = if is_soft { blur(&drawing, dice.between(0.5, 1.2)) } else { drawing };
    expose(&mut picture, dice, &light, noise);
    picture
}

struct Light {
    /// Gain of red, green and blue.
    gain: [f32; 3],
    /// Relative increase in brightness from the centre to the right edge.
    slope: f32,
    /// Relative decrease in brightness from the centre to the corners.
    vignette: f32,
    /// Contrast around mid-grey; values below 1 reduce it.
    contrast: f32,
}

impl Light {
    fn random(dice: &mut Dice, side: f32) -> Self {
        let exposure = 1.0 + dice.wobble(0.18);
        let warmth = dice.wobble(0.12);
        let night = dice.chance(0.08);
        let gain = if night { [0.55, 0.62, 0.85] } else { [1.0 + warmth, 1.0, 1.0 - warmth] };
        Self {
            gain: gain.map(|gain| gain * exposure),
            slope: side * dice.between(0.0, 0.22),
            vignette: if dice.chance(0.5) { dice.between(0.05, 0.35) } else { 0.0 },
            contrast: dice.between(0.82, 1.08),
        }
    }

    /// Returns the gain at a point. `x` goes from -1 (left) to 1 (right), `y` from -1 (top) to 1 (bottom).
    fn at(&self, x: f32, y: f32) -> f32 {
        (1.0 + self.slope * x) * (1.0 - self.vignette * 0.5 * (x * x + y * y))
    }
}

fn expose(picture: &mut RgbImage, dice: &mut Dice, light: &Light, noise: f32) {
    let (width, height) = (picture.width() as f32, picture.height() as f32);
    for (x, y, pixel) in picture.enumerate_pixels_mut() {
        let brightness = light.at(x as f32 / width * 2.0 - 1.0, y as f32 / height * 2.0 - 1.0);
        let grain = if noise > 0.0 { noise * grain(dice.bits()) } else { 0.0 };
        for (value, gain) in pixel.0.iter_mut().zip(light.gain) {
            let lit = f32::from(*value) * gain * brightness;
            // The cast saturates.
            *value = ((lit - 128.0) * light.contrast + 128.0 + grain).round() as u8;
        }
    }
}

/// Returns an approximately normal number with a standard deviation of 1, from the sum of four uniform bytes.
fn grain(bits: u32) -> f32 {
    let sum: u16 = bits.to_le_bytes().into_iter().map(u16::from).sum();
    (f32::from(sum) - 510.0) / 147.8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grain_has_no_bias_and_unit_variance() {
        let mut dice = Dice::new(3, 0);
        let values: Vec<_> = (0..20_000).map(|_| f64::from(grain(dice.bits()))).collect();
        let mean = values.iter().sum::<f64>() / 20_000.0;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }

    #[test]
    fn photographing_keeps_the_size_and_changes_the_light() {
        let drawing = RgbImage::from_pixel(40, 30, image::Rgb([120, 120, 120]));
        let photographs: Vec<_> =
            (0..8).map(|i| photograph(drawing.clone(), &mut Dice::new(0, i), 1.0)).collect();
        assert!(photographs.iter().all(|picture| picture.dimensions() == (40, 30)));
        assert!(photographs.iter().any(|picture| *picture != drawing));
        assert_ne!(photographs[0], photographs[1]);
    }

    #[test]
    fn blur_does_not_darken_the_edges() {
        let drawing = RgbImage::from_pixel(40, 30, image::Rgb([200, 200, 200]));
        for i in 0..12 {
            let picture = photograph(drawing.clone(), &mut Dice::new(1, i), 1.0);
            let [edge, inside] = [(0, 15), (3, 15)].map(|(x, y)| picture.get_pixel(x, y).0[1]);
            assert!(edge.abs_diff(inside) < 50, "{edge} {inside}");
        }
    }
}
