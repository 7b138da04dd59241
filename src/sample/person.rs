//! Draws people. Local coordinates are those of the head before it is tilted.

use super::canvas::{Canvas, Ink, Outline, blob, rounded};
use super::colour::{BLACK, BRIGHT, Colour, WHITE};
use super::dice::Dice;
use super::head::{self, Drawing, Look};

/// A person's look, clothes and pose.
#[derive(Debug, Clone, Copy)]
pub(super) struct Person {
    pub(super) look: Look,
    /// Clockwise tilt of the head in degrees.
    pub(super) tilt: f32,
    build: f32,
    clothes: Clothes,
    top: Colour,
    accent: Colour,
    legs: Colour,
    arms: Arms,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Clothes {
    Plain,
    Stripes,
    Dots,
    Collar,
    Suit,
    Zip,
    Scarf,
    Overall,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Arms {
    Down,
    Waving,
    Cheering,
}

/// How much of the body is drawn.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum PersonBody {
    /// A torso that continues below the picture's lower edge.
    Bust,
    /// The whole body, down to the shoes at [`FEET`].
    Standing,
}

/// How far a standing person's feet are below the middle of the face.
pub(super) const FEET: f32 = 7.4;
/// Approximate half width of a person's shoulders.
pub(super) const SHOULDERS: f32 = 1.6;

impl Person {
    /// Creates a random person.
    pub(super) fn random(dice: &mut Dice, drawing: Drawing) -> Self {
        let tilt = if dice.chance(0.2) { dice.wobble(38.0) } else { dice.wobble(14.0) };
        let clothes = [
            Clothes::Plain,
            Clothes::Plain,
            Clothes::Stripes,
            Clothes::Dots,
            Clothes::Collar,
            Clothes::Suit,
            Clothes::Zip,
            Clothes::Scarf,
            Clothes::Overall,
        ];
        Self {
            look: Look::random(dice, drawing),
            tilt,
            build: dice.between(0.85, 1.2),
            clothes: dice.pick(&clothes),
            top: dice.pick(&BRIGHT),
            accent: dice.pick(&BRIGHT),
            legs: dice.pick(&BRIGHT).darker(0.35),
            arms: dice.weighted(&[(5.0, Arms::Down), (0.8, Arms::Waving), (0.6, Arms::Cheering)]),
        }
    }
}

/// Draws a person whose face is centred at the origin and 2 units high.
///
/// `fine` adds details that would not be visible on a small person.
pub(super) fn draw(canvas: &mut Canvas, person: &Person, body: PersonBody, fine: bool) {
    canvas.placed((0.0, 0.0), person.tilt, (1.0, 1.0), |canvas| {
        head::draw_back(canvas, &person.look);
    });
    if body == PersonBody::Standing {
        legs(canvas, person);
    }
    neck_and_torso(canvas, person, body, fine);
    arms(canvas, person, body);
    canvas.placed((0.0, 0.0), person.tilt, (1.0, 1.0), |canvas| {
        head::draw_front(canvas, &person.look, fine);
    });
}

fn legs(canvas: &mut Canvas, person: &Person) {
    let b = person.build;
    canvas.ellipse(0.0, FEET, 1.5 * b, 0.22, BLACK.alpha(0.18));
    for side in [-1.0, 1.0] {
        let x = side * 0.42 * b;
        canvas.line(&[(x, 4.0), (x * 1.15, FEET - 0.3)], 0.62 * b, person.legs);
        canvas.ellipse(x * 1.2 + side * 0.15, FEET - 0.12, 0.45, 0.22, person.accent.darker(0.5));
    }
}

fn torso(person: &Person, body: PersonBody) -> Outline {
    let b = person.build;
    let (half, low) = if body == PersonBody::Bust { (1.25 * b, 60.0) } else { (0.95 * b, 4.7) };
    let shoulder = half * 1.12;
    blob(&[
        (-0.3, 1.2),
        (0.3, 1.2),
        (shoulder, 1.45),
        (shoulder, 2.5),
        (half, low - 1.0),
        (half, low),
        (-half, low),
        (-half, low - 1.0),
        (-shoulder, 2.5),
        (-shoulder, 1.45),
    ])
}

fn neck_and_torso(canvas: &mut Canvas, person: &Person, body: PersonBody, fine: bool) {
    let skin = person.look.shade();
    canvas.rounded([-0.32, 0.6, 0.64, 1.2], 0.2, skin);
    let torso = torso(person, body);
    let dark = person.look.light * -1.8;
    canvas.fill(&torso, Ink::Linear((-dark, 2.0), person.top, (dark, 2.4), person.top.darker(0.2)));
    if fine {
        canvas.within(&torso, |canvas| pattern(canvas, person));
    }
    if person.clothes == Clothes::Scarf {
        canvas.rounded([-0.62, 1.05, 1.24, 0.5], 0.25, person.accent);
        canvas.rounded([0.1, 1.3, 0.36, 1.3], 0.1, person.accent.darker(0.1));
    } else {
        canvas.blob(&[(-0.5, 1.1), (0.5, 1.1), (0.36, 1.75), (-0.36, 1.75)], skin);
    }
}

/// Draws the pattern of the clothes. The caller clips it to the torso.
fn pattern(canvas: &mut Canvas, person: &Person) {
    let accent = person.accent;
    let rows = |from: f32, step: f32| (0..12_u8).map(move |i| from + f32::from(i) * step);
    match person.clothes {
        Clothes::Plain | Clothes::Scarf => {}
        Clothes::Stripes => {
            for y in rows(1.9, 0.6) {
                canvas.rect(-2.0, y, 4.0, 0.26, accent);
            }
        }
        Clothes::Dots => {
            for (row, y) in rows(1.8, 0.5).enumerate() {
                for x in -3..=3_i8 {
                    let shift = if row % 2 == 0 { 0.0 } else { 0.25 };
                    canvas.circle(f32::from(x) * 0.5 + shift, y, 0.1, accent);
                }
            }
        }
        Clothes::Collar => {
            canvas.polygon(&[(-0.75, 1.2), (0.0, 2.1), (-0.75, 2.05)], accent.lighter(0.4));
            canvas.polygon(&[(0.75, 1.2), (0.0, 2.1), (0.75, 2.05)], accent.lighter(0.4));
            for y in rows(2.4, 0.6) {
                canvas.circle(0.0, y, 0.08, accent.lighter(0.4));
            }
        }
        Clothes::Suit => {
            canvas.polygon(&[(-0.62, 1.1), (0.62, 1.1), (0.0, 3.6)], WHITE);
            canvas
                .polygon(&[(-0.14, 1.7), (0.14, 1.7), (0.2, 3.0), (0.0, 3.4), (-0.2, 3.0)], accent);
        }
        Clothes::Zip => {
            canvas.line(&[(0.0, 1.5), (0.0, 14.0)], 0.08, accent);
            canvas.line(&[(-0.6, 1.5), (0.0, 1.9), (0.6, 1.5)], 0.2, person.top.darker(0.25));
        }
        Clothes::Overall => {
            canvas.rect(-0.7, 2.4, 1.4, 12.0, accent);
            canvas.line(&[(-0.55, 2.5), (-0.75, 1.2)], 0.24, accent);
            canvas.line(&[(0.55, 2.5), (0.75, 1.2)], 0.24, accent);
        }
    }
}

fn arms(canvas: &mut Canvas, person: &Person, body: PersonBody) {
    let sleeve = person.top.darker(0.1);
    for side in [-1.0, 1.0] {
        let x = side * person.build;
        let up = person.arms == Arms::Cheering || (person.arms == Arms::Waving && side > 0.0);
        if up {
            let (elbow, hand) = ((x * 1.95, 1.7), (x * 1.9, -0.4));
            canvas.line(&[(x * 1.05, 1.9), elbow, hand], 0.5, sleeve);
            canvas.circle(hand.0, hand.1 - 0.3, 0.33, person.look.skin);
        } else if body == PersonBody::Standing {
            let hand = (x * 1.3, 4.6);
            canvas.line(&[(x * 0.95, 1.9), (x * 1.3, 3.2), hand], 0.45, sleeve);
            canvas.circle(hand.0, hand.1 + 0.2, 0.28, person.look.skin);
        }
    }
}

/// Draws a raised hand that holds a sign, a phone or nothing, in front of other people.
pub(super) fn draw_raised_hand(canvas: &mut Canvas, dice: &mut Dice) {
    let (sleeve, skin) = (dice.pick(&BRIGHT), super::colour::skin(dice));
    canvas.line(&[(0.0, 6.0), (0.0, 1.2)], 0.7, sleeve);
    canvas.line(&[(0.0, 1.2), (0.0, 0.3)], 0.5, skin);
    canvas.circle(0.0, 0.1, 0.42, skin);
    let thing = dice.pick(&BRIGHT);
    match dice.whole(0, 2) {
        0 => {
            let sign = rounded([-1.3, -1.6, 2.6, 1.5], 0.15);
            canvas.fill(&sign, thing.lighter(0.5));
            canvas.line(&[(-0.8, -1.1), (0.8, -1.1)], 0.18, thing);
            canvas.line(&[(-0.8, -0.65), (0.4, -0.65)], 0.18, thing);
        }
        1 => {
            canvas.rounded([-0.4, -0.9, 0.8, 1.3], 0.12, BLACK);
            canvas.rounded([-0.32, -0.8, 0.64, 1.0], 0.06, thing.lighter(0.6));
        }
        _ => {
            for (x, tilt) in [(-0.3, -0.2), (-0.1, -0.05), (0.1, 0.08), (0.3, 0.25)] {
                canvas.line(&[(x, 0.0), (x + tilt, -0.55)], 0.2, skin);
            }
        }
    }
}
