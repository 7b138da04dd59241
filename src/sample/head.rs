//! Draws heads. In local coordinates, y points down and the face reaches from -1 (crown) to 1 (chin).

use tiny_skia::PathBuilder;

use super::canvas::{Canvas, Ink, Outline};
use super::colour::{BRIGHT, Colour, DYED_HAIR, HAIR, hex, skin};
use super::dice::Dice;
use super::expression::{Beard, Features};
use super::features;
use super::hair::{self, Style};
use super::hats::{self, Hat};
use super::profile;

/// How much detail the faces of a picture have. Faces with less detail are harder to find.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Manner {
    /// All features of a face.
    Storybook,
    /// Small eyes and a small mouth in a large face.
    Dainty,
    /// At most a nose, as on some posters.
    Blank,
}

/// The properties that all people in a picture share.
#[derive(Debug, Clone, Copy)]
pub(super) struct Drawing {
    pub(super) manner: Manner,
    /// Where the light comes from: -1 left, 1 right.
    pub(super) light: f32,
}

impl Drawing {
    pub(super) fn random(dice: &mut Dice) -> Self {
        let manners = [(0.18, Manner::Storybook), (0.45, Manner::Dainty), (0.37, Manner::Blank)];
        Self { manner: dice.weighted(&manners), light: dice.side() }
    }
}

/// How a person looks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) manner: Manner,
    /// The side that a head in profile faces: 1 right, -1 left. `None` for a head seen from the front.
    pub(super) profile: Option<f32>,
    pub(super) skin: Colour,
    pub(super) hair_colour: Colour,
    pub(super) hair: Style,
    pub(super) hat: Hat,
    pub(super) hat_colour: Colour,
    pub(super) features: Features,
    /// Half the face's width.
    pub(super) width: f32,
    /// 0 for a pointed chin, 1 for a square jaw.
    pub(super) jaw: f32,
    /// -1 looks left, 0 at the viewer, 1 right.
    pub(super) yaw: f32,
    /// Where the light comes from: -1 left, 1 right.
    pub(super) light: f32,
}

impl Look {
    /// Creates a random look.
    pub(super) fn random(dice: &mut Dice, drawing: Drawing) -> Self {
        let Drawing { manner, light } = drawing;
        let skin = skin(dice);
        let hair_colour = if dice.chance(0.07) { dice.pick(&DYED_HAIR) } else { dice.pick(&HAIR) };
        let hair = hair::random(dice);
        let mut features = Features::random(dice, manner, skin, hair_colour);
        if !hair.goes_with_a_beard() {
            features.beard = Beard::None;
        }
        Self {
            manner,
            profile: dice.chance(0.15).then(|| dice.side()),
            skin,
            hair_colour,
            hair,
            hat: hats::random(dice),
            hat_colour: dice.pick(&BRIGHT),
            features,
            width: 0.83 + dice.wobble(0.16),
            jaw: dice.between(0.1, 1.0),
            yaw: if dice.chance(0.35) { dice.between(-0.9, 0.9) } else { dice.wobble(0.3) },
            light,
        }
    }

    /// Returns the colour of skin in shadow, used for the neck, ears and nose.
    pub(super) fn shade(&self) -> Colour {
        self.skin.mix(hex(0x8a_2f3a), 0.2).darker(0.08)
    }

    /// Returns the centre and semi-axes of the face, from hairline to chin and from ear to ear.
    pub(super) fn face_ellipse(&self) -> (f32, f32, f32, f32) {
        match self.profile {
            None => (0.0, 0.14, self.width + 0.06, 0.86),
            Some(side) => {
                let (x, y, rx, ry) = profile::FACE;
                (x * side, y, rx, ry)
            }
        }
    }

    /// Returns the semi-axes of the ellipse around the origin that covers the head and its hair.
    pub(super) fn silhouette(&self) -> (f32, f32) {
        (self.width + self.hair.bulk(), 1.15)
    }
}

/// Draws the parts behind the body.
pub(super) fn draw_back(canvas: &mut Canvas, look: &Look) {
    if let Some(side) = look.profile {
        canvas.placed((0.0, 0.0), 0.0, (side, 1.0), |canvas| profile::draw_back(canvas, look));
        return;
    }
    hair::draw_back(canvas, look);
    hats::draw_back(canvas, look);
}

/// Draws the parts in front of the body. `fine` adds details that would not be visible on a small head.
pub(super) fn draw_front(canvas: &mut Canvas, look: &Look, fine: bool) {
    if let Some(side) = look.profile {
        canvas.placed((0.0, 0.0), 0.0, (side, 1.0), |canvas| profile::draw_front(canvas, look));
        return;
    }
    ears(canvas, look);
    let face = outline(look);
    canvas.fill(&face, look.skin);
    if fine {
        canvas.within(&face, |canvas| shading(canvas, look));
    }
    features::draw(canvas, look, &face, fine);
    hair::draw_front(canvas, look, fine);
    features::draw_glasses(canvas, look);
    hats::draw_front(canvas, look);
}

fn outline(look: &Look) -> Outline {
    let (w, chin) = (look.width, 0.22 + 0.42 * look.jaw);
    let turn = look.yaw * 0.1;
    let mut path = PathBuilder::new();
    path.move_to(0.0, -1.0);
    path.cubic_to(w * 0.62, -1.0, w, -0.65, w, -0.12);
    path.cubic_to(w, 0.3 + 0.25 * look.jaw, turn + w * chin, 1.0, turn, 1.0);
    path.cubic_to(turn - w * chin, 1.0, -w, 0.3 + 0.25 * look.jaw, -w, -0.12);
    path.cubic_to(-w, -0.65, -w * 0.62, -1.0, 0.0, -1.0);
    path.close();
    path.finish()
}

/// Draws the ears. The far ear disappears as the head turns.
fn ears(canvas: &mut Canvas, look: &Look) {
    for side in [-1.0, 1.0] {
        let turned = side * look.yaw;
        if turned > 0.45 || look.hair.covers_ears() {
            continue;
        }
        let x = side * (look.width - 0.02 - 0.22 * (-turned).max(0.0));
        canvas.ellipse(x, 0.06, 0.15, 0.22, look.skin.mix(look.shade(), 0.35));
        canvas.ellipse(x + side * 0.02, 0.07, 0.07, 0.13, look.shade());
    }
}

/// Draws soft shadows away from the light and under the hair, and a blush on the cheeks.
fn shading(canvas: &mut Canvas, look: &Look) {
    let (w, shade) = (look.width, look.shade());
    let dark = -look.light;
    canvas.ellipse(dark * w * 1.25, 0.25, w * 0.72, 1.4, shade.alpha(0.3));
    canvas.ellipse(0.0, -0.98, w * 1.1, 0.42, shade.alpha(0.3));
    for side in [-1.0, 1.0] {
        let (x, y) = (look.yaw * 0.28 + side * w * 0.56, 0.32);
        let blush = hex(0xe8_5a5a);
        let strength = look.features.blush;
        canvas.circle(
            x,
            y,
            0.24,
            Ink::Radial((x, y), blush.alpha(strength), 0.24, blush.alpha(0.0)),
        );
    }
}
