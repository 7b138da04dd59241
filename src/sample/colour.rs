//! Colours, and small palettes of colours that go well together.

use tiny_skia::Color;

use super::dice::Dice;

/// Red, green, blue and opacity, each from 0 to 1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Colour([f32; 4]);

pub(super) const BLACK: Colour = hex(0x1c_1a22);
pub(super) const WHITE: Colour = hex(0xff_fdf6);

/// Creates an opaque colour from `0xRRGGBB`.
pub(super) const fn hex(rgb: u32) -> Colour {
    let [_, r, g, b] = rgb.to_be_bytes();
    Colour([r as f32 / 255.0, g as f32 / 255.0, b as f32 / 255.0, 1.0])
}

impl Colour {
    /// Returns the colour `share` of the way to `other`.
    pub(super) fn mix(self, other: Self, share: f32) -> Self {
        Self(std::array::from_fn(|i| self.0[i] + (other.0[i] - self.0[i]) * share))
    }

    pub(super) fn darker(self, share: f32) -> Self {
        let alpha = self.0[3];
        Self(self.mix(hex(0x1a_1030), share).0).alpha(alpha)
    }

    pub(super) fn lighter(self, share: f32) -> Self {
        let alpha = self.0[3];
        Self(self.mix(WHITE, share).0).alpha(alpha)
    }

    pub(super) fn alpha(self, alpha: f32) -> Self {
        let [r, g, b, _] = self.0;
        Self([r, g, b, alpha])
    }
}

impl From<Colour> for Color {
    fn from(Colour([r, g, b, a]): Colour) -> Self {
        Color::from_rgba(r, g, b, a).unwrap_or(Color::TRANSPARENT)
    }
}

/// Returns a random skin colour: usually realistic, sometimes that of a cartoon character.
pub(super) fn skin(dice: &mut Dice) -> Colour {
    let colour = if dice.chance(0.06) { dice.pick(&COMIC_SKIN) } else { dice.pick(&SKIN) };
    colour.mix(dice.pick(&SKIN), 0.12)
}

pub(super) const SKIN: [Colour; 11] = [
    hex(0xf9_dcc4),
    hex(0xf6_cfae),
    hex(0xf0_bf98),
    hex(0xe8_b088),
    hex(0xdc_9c70),
    hex(0xc6_8642),
    hex(0xb0_7445),
    hex(0x96_5d38),
    hex(0x7a_4a2e),
    hex(0x5e_3825),
    hex(0x4a_2c20),
];
const COMIC_SKIN: [Colour; 5] =
    [hex(0xa8_d08d), hex(0x9c_b8e8), hex(0xf7_d648), hex(0xc9_a6e0), hex(0xf4_9a8c)];

pub(super) const HAIR: [Colour; 11] = [
    hex(0x1f_1a1c),
    hex(0x33_231d),
    hex(0x4b_3024),
    hex(0x6b_432b),
    hex(0x94_5a2e),
    hex(0xc2_7a35),
    hex(0xdd_a84e),
    hex(0xf0_d28a),
    hex(0xb8_4a2c),
    hex(0xb9_b6b8),
    hex(0xe9_e6e2),
];
pub(super) const DYED_HAIR: [Colour; 4] =
    [hex(0xe2_5d8b), hex(0x4a_86c8), hex(0x3f_a796), hex(0x8a_5cc2)];

/// Strong, slightly muted colours for clothes, hats, balloons and cars.
pub(super) const BRIGHT: [Colour; 16] = [
    hex(0xd9_4f4a),
    hex(0xe9_7f4d),
    hex(0xf2_b544),
    hex(0xf5_d76e),
    hex(0x7c_b36a),
    hex(0x3f_8f6b),
    hex(0x2f_6f73),
    hex(0x4a_9cb8),
    hex(0x3d_6fa8),
    hex(0x35_4a7c),
    hex(0x6a_4f93),
    hex(0xa9_5c9a),
    hex(0xe5_86a0),
    hex(0xf1_ead9),
    hex(0x8a_8d94),
    hex(0x3a_3c48),
];

/// Calm colours for walls and other surfaces.
pub(super) const CALM: [Colour; 12] = [
    hex(0xf3_e3cf),
    hex(0xe8_d4c0),
    hex(0xd7_e3dc),
    hex(0xbf_d8d2),
    hex(0xc9_d6e8),
    hex(0xa9_bfd6),
    hex(0xe6_cfd8),
    hex(0xd5_c4e0),
    hex(0xf2_dfa7),
    hex(0x9f_b8a0),
    hex(0x7e_92a8),
    hex(0x6b_6f86),
];

/// Colours of the sky at the top and at the horizon, for different times of day and weather.
pub(super) const SKY: [(Colour, Colour); 7] = [
    (hex(0x6f_b7e8), hex(0xd8_eefa)),
    (hex(0x8f_c8e0), hex(0xfb_e8cf)),
    (hex(0x5b_7fb8), hex(0xf7_b58a)),
    (hex(0x43_3f73), hex(0xe8_8f7c)),
    (hex(0x1d_2447), hex(0x4c_5a8a)),
    (hex(0xa7_b4c0), hex(0xdf_e4e6)),
    (hex(0x9a_d4cf), hex(0xf4_f1d8)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hex_colour_has_the_bytes_of_its_code() {
        let colour: Color = hex(0xff_8000).into();
        let bytes = colour.to_color_u8();
        assert_eq!((bytes.red(), bytes.green(), bytes.blue(), bytes.alpha()), (255, 128, 0, 255));
    }

    #[test]
    fn shading_keeps_the_opacity() {
        let glass = hex(0x80_8080).alpha(0.25);
        for shaded in [glass.darker(0.5), glass.lighter(0.5)] {
            assert!((Color::from(shaded).alpha() - 0.25).abs() < 1e-6);
        }
        assert!(glass.darker(0.5).0[1] < glass.0[1] && glass.lighter(0.5).0[1] > glass.0[1]);
    }
}
