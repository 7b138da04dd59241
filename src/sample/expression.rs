//! Chooses the eyes, nose, mouth, beard and glasses of a face.

use super::colour::{BLACK, BRIGHT, Colour, hex};
use super::dice::Dice;
use super::head::Manner;

/// The features of a face.
#[derive(Debug, Clone, Copy)]
pub(super) struct Features {
    /// Scale of the eyes, nose and mouth.
    pub(super) scale: f32,
    /// How far the eyes, nose and mouth are moved down.
    pub(super) drop: f32,
    pub(super) eyes: Eyes,
    pub(super) eye_size: f32,
    pub(super) eye_gap: f32,
    pub(super) iris: Colour,
    pub(super) brows: bool,
    pub(super) brow_tilt: f32,
    pub(super) nose: Nose,
    pub(super) mouth: Mouth,
    pub(super) mouth_width: f32,
    pub(super) lips: Colour,
    pub(super) beard: Beard,
    pub(super) beard_colour: Colour,
    pub(super) glasses: Glasses,
    pub(super) glasses_colour: Colour,
    pub(super) freckles: bool,
    /// Opacity of the blush on the cheeks.
    pub(super) blush: f32,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Eyes {
    Dots,
    Ovals,
    Round,
    Smiling,
    Closed,
    Wink,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Nose {
    Hook,
    Round,
    Triangle,
    Arc,
    Long,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Mouth {
    Smile,
    Laugh,
    Grin,
    Flat,
    Surprise,
    Frown,
    Lips,
    Mask,
    None,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Beard {
    None,
    Full,
    Goatee,
    Moustache,
    Stubble,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Glasses {
    None,
    Round,
    Square,
    Sun,
}

impl Features {
    pub(super) fn random(dice: &mut Dice, manner: Manner, skin: Colour, hair: Colour) -> Self {
        let features = Self::storybook(dice, skin, hair);
        match manner {
            Manner::Storybook => features,
            Manner::Dainty => features.dainty(dice),
            Manner::Blank => Self {
                brows: false,
                eyes: Eyes::None,
                nose: if dice.chance(0.5) { features.nose } else { Nose::None },
                mouth: Mouth::None,
                glasses: Glasses::None,
                ..features
            },
        }
    }

    fn dainty(self, dice: &mut Dice) -> Self {
        let plain = |mouth| !matches!(mouth, Mouth::Laugh | Mouth::Mask | Mouth::Lips);
        Self {
            scale: dice.between(0.26, 0.4),
            drop: dice.between(0.05, 0.32),
            eyes: dice.pick(&[Eyes::Dots, Eyes::Dots, Eyes::Ovals, Eyes::Smiling]),
            eye_gap: dice.between(0.3, 0.42),
            brows: false,
            nose: if dice.chance(0.3) { Nose::Arc } else { Nose::None },
            mouth: if plain(self.mouth) { self.mouth } else { Mouth::Smile },
            beard: if self.beard == Beard::Moustache { Beard::None } else { self.beard },
            glasses: Glasses::None,
            ..self
        }
    }

    fn storybook(dice: &mut Dice, skin: Colour, hair: Colour) -> Self {
        let lips = skin.mix(hex(0xb0_3045), dice.between(0.35, 0.75));
        Self {
            scale: 1.0,
            drop: 0.0,
            eyes: dice.weighted(&EYES),
            eye_size: dice.between(0.85, 1.25),
            eye_gap: dice.between(0.36, 0.46),
            iris: dice.pick(&[hex(0x4a_3020), hex(0x2b_2530), hex(0x3c_6e9c), hex(0x4c_7a4a)]),
            brows: dice.chance(0.8),
            brow_tilt: dice.wobble(0.08),
            nose: dice.weighted(&NOSES),
            mouth: dice.weighted(&MOUTHS),
            mouth_width: dice.between(0.22, 0.4),
            lips,
            beard: dice.weighted(&BEARDS),
            beard_colour: hair.darker(0.05),
            glasses: dice.weighted(&GLASSES),
            glasses_colour: if dice.chance(0.6) { BLACK } else { dice.pick(&BRIGHT) },
            freckles: dice.chance(0.12),
            blush: if dice.chance(0.7) { dice.between(0.15, 0.45) } else { 0.0 },
        }
    }
}

const EYES: [(f32, Eyes); 6] = [
    (3.0, Eyes::Dots),
    (2.5, Eyes::Ovals),
    (2.0, Eyes::Round),
    (1.2, Eyes::Smiling),
    (0.8, Eyes::Closed),
    (0.4, Eyes::Wink),
];
const NOSES: [(f32, Nose); 6] = [
    (2.0, Nose::Hook),
    (2.0, Nose::Round),
    (1.0, Nose::Triangle),
    (2.0, Nose::Arc),
    (1.0, Nose::Long),
    (0.6, Nose::None),
];
const MOUTHS: [(f32, Mouth); 8] = [
    (3.0, Mouth::Smile),
    (1.5, Mouth::Laugh),
    (1.2, Mouth::Grin),
    (1.0, Mouth::Flat),
    (0.7, Mouth::Surprise),
    (0.6, Mouth::Frown),
    (1.2, Mouth::Lips),
    (0.35, Mouth::Mask),
];
const BEARDS: [(f32, Beard); 5] = [
    (6.0, Beard::None),
    (0.9, Beard::Full),
    (0.5, Beard::Goatee),
    (0.8, Beard::Moustache),
    (0.5, Beard::Stubble),
];
const GLASSES: [(f32, Glasses); 4] =
    [(6.0, Glasses::None), (0.9, Glasses::Round), (0.8, Glasses::Square), (0.7, Glasses::Sun)];
