//! Draws things that are not faces, though some look a little like faces. In local coordinates, a thing's radius is 1.

use std::f32::consts::TAU;

use super::canvas::{Canvas, Ink, blob, ellipse};
use super::colour::{BLACK, BRIGHT, CALM, HAIR, SKIN, WHITE, hex};
use super::dice::Dice;

/// A kind of thing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Thing {
    Clock,
    Plate,
    Socket,
    Frame,
    Speaker,
    Balloon,
    Ball,
    Button,
    Cat,
    Car,
    Flower,
    Plant,
    Lamp,
    Mannequin,
    Egg,
    Lollipop,
}

/// Things that hang on walls.
pub(super) const ON_WALLS: [Thing; 6] =
    [Thing::Clock, Thing::Plate, Thing::Socket, Thing::Frame, Thing::Speaker, Thing::Button];
/// Things that stand in rooms.
pub(super) const IN_ROOMS: [Thing; 8] = [
    Thing::Plant,
    Thing::Lamp,
    Thing::Mannequin,
    Thing::Cat,
    Thing::Ball,
    Thing::Balloon,
    Thing::Egg,
    Thing::Speaker,
];
/// Things found outdoors.
pub(super) const OUTDOORS: [Thing; 7] = [
    Thing::Balloon,
    Thing::Ball,
    Thing::Cat,
    Thing::Flower,
    Thing::Plant,
    Thing::Car,
    Thing::Lollipop,
];

/// Things found on beaches.
pub(super) const ON_BEACHES: [Thing; 5] =
    [Thing::Ball, Thing::Balloon, Thing::Egg, Thing::Cat, Thing::Lollipop];

/// Draws a thing.
pub(super) fn draw(canvas: &mut Canvas, dice: &mut Dice, thing: Thing) {
    match thing {
        Thing::Clock => clock(canvas, dice),
        Thing::Plate => plate(canvas, dice),
        Thing::Socket => socket(canvas, dice),
        Thing::Frame => frame(canvas, dice),
        Thing::Speaker => speaker(canvas, dice),
        Thing::Balloon => balloon(canvas, dice),
        Thing::Ball => ball(canvas, dice),
        Thing::Button => button(canvas, dice),
        Thing::Cat => cat(canvas, dice),
        Thing::Car => car(canvas, dice),
        Thing::Flower => flower(canvas, dice),
        Thing::Plant => plant(canvas, dice),
        Thing::Lamp => lamp(canvas, dice),
        Thing::Mannequin => mannequin(canvas, dice),
        Thing::Egg => egg(canvas, dice),
        Thing::Lollipop => lollipop(canvas, dice),
    }
}

fn clock(canvas: &mut Canvas, dice: &mut Dice) {
    canvas.circle(0.0, 0.0, 1.0, dice.pick(&BRIGHT));
    canvas.circle(0.0, 0.0, 0.82, WHITE);
    for hour in 0..12_u8 {
        let (sin, cos) = (f32::from(hour) / 12.0 * TAU).sin_cos();
        canvas.circle(sin * 0.68, cos * 0.68, 0.05, BLACK);
    }
    for (length, width) in [(0.4, 0.12), (0.6, 0.08)] {
        let (sin, cos) = dice.between(0.0, TAU).sin_cos();
        canvas.line(&[(0.0, 0.0), (sin * length, cos * length)], width, BLACK);
    }
}

fn plate(canvas: &mut Canvas, dice: &mut Dice) {
    let rim = dice.pick(&BRIGHT);
    canvas.circle(0.0, 0.0, 1.0, rim);
    canvas.circle(0.0, 0.0, 0.88, WHITE);
    canvas.circle(0.0, 0.0, 0.6, WHITE.darker(0.08));
    for (x, y) in [(-0.25, -0.15), (0.25, -0.15), (0.0, 0.25)] {
        canvas.circle(x, y, dice.between(0.1, 0.2), rim.lighter(0.2));
    }
}

fn socket(canvas: &mut Canvas, dice: &mut Dice) {
    canvas.rounded([-1.0, -1.0, 2.0, 2.0], 0.3, WHITE.darker(0.06));
    canvas.circle(0.0, 0.0, 0.78, WHITE.darker(0.14));
    for side in [-1.0, 1.0] {
        canvas.circle(side * 0.35, -0.08, 0.13, BLACK);
    }
    if dice.chance(0.6) {
        canvas.rounded([-0.14, 0.3, 0.28, 0.28], 0.1, BLACK);
    }
}

fn frame(canvas: &mut Canvas, dice: &mut Dice) {
    let wood = dice.pick(&HAIR);
    canvas.rect(-1.0, -0.8, 2.0, 1.6, wood);
    canvas.rect(-0.85, -0.65, 1.7, 1.3, dice.pick(&CALM));
    canvas.circle(dice.wobble(0.6), -0.2, 0.2, dice.pick(&BRIGHT));
    canvas.polygon(
        &[(-0.85, 0.65), (-0.3, 0.0), (0.1, 0.4), (0.4, 0.1), (0.85, 0.65)],
        dice.pick(&BRIGHT),
    );
}

fn speaker(canvas: &mut Canvas, dice: &mut Dice) {
    let cone = dice.pick(&CALM).darker(0.3);
    canvas.rounded([-0.7, -1.0, 1.4, 2.0], 0.12, BLACK.lighter(0.12));
    for (y, r) in [(-0.5, 0.3), (0.35, 0.5)] {
        canvas.circle(0.0, y, r, cone);
        canvas.circle(0.0, y, r * 0.45, BLACK);
    }
}

fn balloon(canvas: &mut Canvas, dice: &mut Dice) {
    let colour = if dice.chance(0.3) { dice.pick(&SKIN) } else { dice.pick(&BRIGHT) };
    canvas.curve([(0.0, 1.0), (0.4, 2.0), (0.0, 3.2)], 0.05, BLACK.alpha(0.5));
    canvas.polygon(&[(-0.14, 1.12), (0.0, 0.9), (0.14, 1.12)], colour.darker(0.2));
    let shine = Ink::Radial((-0.3, -0.4), colour.lighter(0.5), 1.2, colour);
    canvas.ellipse(0.0, 0.0, 0.84, 1.0, shine);
}

fn ball(canvas: &mut Canvas, dice: &mut Dice) {
    let (colour, mark) = (dice.pick(&BRIGHT), dice.pick(&BRIGHT));
    let round = ellipse(0.0, 0.0, 1.0, 1.0);
    canvas.fill(&round, colour);
    let degrees = dice.between(0.0, 360.0);
    let kind = dice.whole(0, 2);
    canvas.within(&round, |canvas| {
        canvas.placed((0.0, 0.0), degrees, (1.0, 1.0), |canvas| match kind {
            0 => {
                canvas.line(&[(-1.0, 0.0), (1.0, 0.0)], 0.08, BLACK);
                canvas.curve([(-0.8, -0.8), (0.0, 0.0), (-0.8, 0.8)], 0.08, BLACK);
                canvas.curve([(0.8, -0.8), (0.0, 0.0), (0.8, 0.8)], 0.08, BLACK);
            }
            1 => {
                for (x, y) in [(0.0, 0.0), (0.75, 0.3), (-0.7, 0.4), (0.1, -0.85), (0.1, 0.85)] {
                    canvas.circle(x, y, 0.25, mark.darker(0.5));
                }
            }
            _ => canvas.rect(-1.0, -0.3, 2.0, 0.6, mark),
        });
        canvas.ellipse(0.6, 0.5, 1.0, 1.1, BLACK.alpha(0.12));
    });
}

fn button(canvas: &mut Canvas, dice: &mut Dice) {
    let colour = dice.pick(&BRIGHT);
    canvas.circle(0.0, 0.0, 1.0, colour.darker(0.2));
    canvas.circle(0.0, 0.0, 0.8, colour);
    for (x, y) in [(-0.24, -0.24), (0.24, -0.24), (-0.24, 0.24), (0.24, 0.24)] {
        canvas.circle(x, y, 0.12, colour.darker(0.6));
    }
}

fn cat(canvas: &mut Canvas, dice: &mut Dice) {
    let fur = dice.pick(&HAIR).lighter(0.1);
    canvas.blob(&[(-0.9, 0.2), (0.9, 0.2), (1.2, 2.6), (-1.2, 2.6)], fur.darker(0.12));
    for side in [-1.0, 1.0] {
        canvas.polygon(&[(side * 0.85, -0.05), (side * 0.8, -1.25), (side * 0.1, -0.6)], fur);
        canvas.polygon(
            &[(side * 0.7, -0.3), (side * 0.7, -0.95), (side * 0.32, -0.6)],
            hex(0xe8_a0a0),
        );
    }
    canvas.ellipse(0.0, 0.0, 1.0, 0.8, fur);
    for side in [-1.0, 1.0] {
        canvas.ellipse(side * 0.42, -0.08, 0.17, 0.2, hex(0xd6_d45a));
        canvas.ellipse(side * 0.42, -0.08, 0.05, 0.18, BLACK);
        for y in [0.25, 0.42] {
            canvas.line(&[(side * 0.35, 0.3), (side * 1.25, y)], 0.03, BLACK.alpha(0.7));
        }
    }
    canvas.polygon(&[(-0.12, 0.2), (0.12, 0.2), (0.0, 0.34)], hex(0xd8_6a78));
}

fn car(canvas: &mut Canvas, dice: &mut Dice) {
    let paint = dice.pick(&BRIGHT);
    canvas.ellipse(0.0, 0.92, 1.5, 0.16, BLACK.alpha(0.25));
    for side in [-1.0, 1.0] {
        canvas.rounded([side * 0.98 - 0.2, 0.4, 0.4, 0.55], 0.1, BLACK);
    }
    canvas.blob(&[(-0.95, 0.3), (-0.85, -1.0), (0.85, -1.0), (0.95, 0.3)], paint.darker(0.12));
    canvas.blob(&[(-0.8, 0.1), (-0.7, -0.8), (0.7, -0.8), (0.8, 0.1)], hex(0xb9_d6e2));
    canvas.rounded([-1.25, -0.15, 2.5, 0.85], 0.3, paint);
    for side in [-1.0, 1.0] {
        canvas.circle(side * 0.88, 0.16, 0.22, hex(0xfb_f0c0));
        canvas.circle(side * 0.88, 0.16, 0.13, WHITE);
    }
    canvas.rounded([-0.5, 0.08, 1.0, 0.3], 0.12, BLACK.lighter(0.2));
    canvas.rounded([-0.32, 0.46, 0.64, 0.16], 0.04, WHITE);
}

fn flower(canvas: &mut Canvas, dice: &mut Dice) {
    let petal = dice.pick(&BRIGHT);
    canvas.line(&[(0.0, 0.3), (0.1, 3.0)], 0.16, hex(0x4e_8f4a));
    canvas.ellipse(0.45, 2.0, 0.45, 0.18, hex(0x4e_8f4a));
    for i in 0..7_u8 {
        let (sin, cos) = (f32::from(i) / 7.0 * TAU).sin_cos();
        canvas.circle(sin * 0.65, cos * 0.65, 0.36, petal);
    }
    canvas.circle(0.0, 0.0, 0.42, hex(0xf2_c94c));
}

fn plant(canvas: &mut Canvas, dice: &mut Dice) {
    let leaf = dice.pick(&[hex(0x3f_8f5b), hex(0x5f_a052), hex(0x2f_6f58)]);
    for degrees in [-55.0, -28.0, 0.0, 28.0, 55.0] {
        let shade = leaf.mix(hex(0xb8_d66a), dice.between(0.0, 0.3));
        canvas.placed((0.0, 0.4), degrees, (1.0, 1.0), |canvas| {
            canvas.blob(&[(0.0, 0.2), (0.32, -0.8), (0.0, -1.7), (-0.32, -0.8)], shade);
        });
    }
    let pot = dice.pick(&[hex(0xc8_6f4a), hex(0xe0_d3c0), hex(0x6b_7a8f)]);
    canvas.polygon(&[(-0.55, 0.3), (0.55, 0.3), (0.4, 1.2), (-0.4, 1.2)], pot);
    canvas.rounded([-0.62, 0.2, 1.24, 0.25], 0.06, pot.darker(0.12));
}

fn lamp(canvas: &mut Canvas, dice: &mut Dice) {
    canvas.circle(
        0.0,
        -0.4,
        1.6,
        Ink::Radial((0.0, -0.4), hex(0xff_e6a0).alpha(0.5), 1.6, hex(0xff_e6a0).alpha(0.0)),
    );
    canvas.rect(-0.05, 0.0, 0.1, 2.6, BLACK);
    canvas.ellipse(0.0, 2.6, 0.5, 0.12, BLACK);
    let shade = dice.pick(&CALM).lighter(0.3);
    canvas.polygon(&[(-0.5, -0.9), (0.5, -0.9), (0.85, 0.2), (-0.85, 0.2)], shade);
}

/// Draws a head without a face.
fn mannequin(canvas: &mut Canvas, dice: &mut Dice) {
    let stuff = dice.pick(&[hex(0xe4_dccf), hex(0xc9_b8a2), hex(0xf2_efe8), hex(0x9a_938c)]);
    canvas.rounded([-0.28, 0.6, 0.56, 1.0], 0.15, stuff.darker(0.12));
    canvas.blob(&[(-0.9, 1.9), (-0.5, 1.25), (0.5, 1.25), (0.9, 1.9)], stuff.darker(0.05));
    canvas.blob(
        &[(-0.85, -1.15), (0.85, -1.15), (0.95, 0.3), (0.4, 1.15), (-0.4, 1.15), (-0.95, 0.3)],
        stuff,
    );
    canvas.line(&[(0.0, -0.95), (0.0, 0.9)], 0.03, stuff.darker(0.15));
}

fn egg(canvas: &mut Canvas, dice: &mut Dice) {
    let shell = dice.pick(&SKIN);
    let shape = blob(&[(-0.6, -1.3), (0.6, -1.3), (1.1, 0.7), (0.0, 1.2), (-1.1, 0.7)]);
    canvas.fill(&shape, Ink::Radial((-0.25, -0.3), shell.lighter(0.4), 1.3, shell));
    let band = dice.pick(&BRIGHT);
    canvas.within(&shape, |canvas| {
        canvas.line(&[(-1.2, 0.1), (-0.6, -0.1), (0.0, 0.1), (0.6, -0.1), (1.2, 0.1)], 0.14, band);
    });
}

fn lollipop(canvas: &mut Canvas, dice: &mut Dice) {
    let (a, b) = (dice.pick(&BRIGHT), dice.pick(&BRIGHT).lighter(0.3));
    canvas.line(&[(0.0, 0.9), (0.0, 3.2)], 0.14, WHITE.darker(0.1));
    for (i, radius) in [1.0, 0.78, 0.56, 0.34, 0.14].into_iter().enumerate() {
        canvas.circle(0.0, 0.0, radius, if i % 2 == 0 { a } else { b });
    }
}
