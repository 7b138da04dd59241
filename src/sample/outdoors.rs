//! Draws outdoor backgrounds: a park, a street, a beach and a stadium.

use super::canvas::{Canvas, Ink, ellipse};
use super::clutter::{ON_BEACHES, OUTDOORS, Thing};
use super::colour::{BRIGHT, CALM, Colour, HAIR, SKY, WHITE, hex};
use super::dice::Dice;
use super::indoors::scatter;

/// Draws the sky down to `horizon`, sometimes with a sun or clouds.
fn sky(canvas: &mut Canvas, dice: &mut Dice, horizon: f32) {
    let (w, _) = canvas.size();
    let (top, bottom) = dice.pick(&SKY);
    canvas.band(0.0, horizon, top, bottom);
    if dice.chance(0.5) {
        let (x, y, r) = (dice.between(0.1, 0.9) * w, horizon * dice.between(0.15, 0.6), w * 0.05);
        let sun = hex(0xff_f0b8);
        canvas.circle(x, y, r * 3.0, Ink::Radial((x, y), sun.alpha(0.5), r * 3.0, sun.alpha(0.0)));
        canvas.circle(x, y, r, sun);
    }
    for _ in 0..dice.whole(0, 5) {
        let (x, y) = (dice.between(0.0, w), horizon * dice.between(0.1, 0.7));
        let r = w * dice.between(0.02, 0.05);
        let cloud = WHITE.mix(bottom, 0.3).alpha(0.85);
        for (dx, dy, size) in
            [(-1.6, 0.2, 0.7), (-0.6, -0.2, 1.0), (0.6, 0.0, 0.9), (1.6, 0.25, 0.6)]
        {
            canvas.circle(x + dx * r, y + dy * r, r * size, cloud);
        }
    }
}

/// Draws a meadow with hills and trees, and sometimes a path. Returns the y coordinate of the horizon.
pub(super) fn park(canvas: &mut Canvas, dice: &mut Dice) -> f32 {
    let (w, h) = canvas.size();
    let horizon = h * dice.between(0.35, 0.55);
    sky(canvas, dice, horizon);
    let grass = dice.pick(&[hex(0x8f_bf6a), hex(0x6f_a85f), hex(0xb4_c46a), hex(0x5c_8f6f)]);
    for (rise, shade) in [(0.16, 0.35), (0.08, 0.2)] {
        let (x, r) = (dice.between(0.0, w), w * dice.between(0.4, 0.7));
        canvas.ellipse(x, horizon + r * 0.1, r, h * rise, grass.mix(hex(0x7a_a0b8), shade));
    }
    canvas.band(horizon, h, grass.lighter(0.15), grass.darker(0.15));
    for _ in 0..dice.whole(2, 9) {
        tree(canvas, dice, horizon);
    }
    if dice.chance(0.6) {
        let (far, near) = (dice.between(0.3, 0.7) * w, dice.between(0.1, 0.9) * w);
        let path =
            [(far - 4.0, horizon), (far + 4.0, horizon), (near + w * 0.2, h), (near - w * 0.2, h)];
        canvas.polygon(&path, hex(0xe6_d3a8));
    }
    scatter(canvas, dice, &OUTDOORS, (0.5, 0.95), 5);
    horizon
}

fn tree(canvas: &mut Canvas, dice: &mut Dice, horizon: f32) {
    let (w, _) = canvas.size();
    let (x, size) = (dice.between(0.0, w), w * dice.log_between(0.03, 0.1));
    let foot = horizon + size * dice.between(0.1, 0.8);
    let leaf = dice.pick(&[hex(0x4f_8f57), hex(0x6f_a34e), hex(0x3c_7560), hex(0xd8_8f4a)]);
    canvas.rect(x - size * 0.12, foot - size * 1.4, size * 0.24, size * 1.4, dice.pick(&HAIR));
    if dice.chance(0.3) {
        for (y, half) in [(-1.0, 0.8), (-1.7, 0.62), (-2.3, 0.45)] {
            let (y, half) = (foot + y * size, half * size);
            canvas.polygon(&[(x - half, y), (x, y - size), (x + half, y)], leaf.darker(0.15));
        }
    } else {
        for (dx, dy, r) in [(-0.5, -1.5, 0.6), (0.5, -1.5, 0.6), (0.0, -2.1, 0.75)] {
            canvas.circle(x + dx * size, foot + dy * size, r * size, leaf);
        }
        canvas.circle(x - 0.2 * size, foot - 2.2 * size, 0.4 * size, leaf.lighter(0.12));
    }
}

/// Draws house fronts, a road and cars seen from the front. Returns the y coordinate of the horizon.
pub(super) fn street(canvas: &mut Canvas, dice: &mut Dice) -> f32 {
    let (w, h) = canvas.size();
    let horizon = h * dice.between(0.45, 0.58);
    sky(canvas, dice, horizon);
    let mut x = -w * 0.02;
    while x < w {
        let width = w * dice.between(0.12, 0.24);
        let top = horizon * dice.between(0.05, 0.5);
        house(canvas, dice, [x, top, width, horizon]);
        x += width;
    }
    let stone = dice.pick(&CALM).darker(0.15);
    canvas.band(horizon, h, stone, stone.darker(0.3));
    canvas.rect(0.0, horizon + h * 0.1, w, h * 0.14, hex(0x5c_6070));
    for i in 0..8_u8 {
        canvas.rect(f32::from(i) * w / 7.0, horizon + h * 0.165, w / 16.0, h * 0.012, WHITE);
    }
    scatter(canvas, dice, &[Thing::Car, Thing::Car, Thing::Lamp, Thing::Plant], (0.55, 0.75), 5);
    horizon
}

/// Draws a house in the area `[x, top, width, foot]`.
fn house(canvas: &mut Canvas, dice: &mut Dice, [x, top, width, foot]: [f32; 4]) {
    let wall = if dice.chance(0.5) { dice.pick(&CALM) } else { dice.pick(&BRIGHT).lighter(0.2) };
    canvas.rect(x, top, width + 1.0, foot - top, wall);
    if dice.chance(0.5) {
        let roof = dice.pick(&[hex(0x9a_4a3c), hex(0x5a_5f70), hex(0x7a_5a48)]);
        canvas.polygon(&[(x, top), (x + width / 2.0, top - width * 0.35), (x + width, top)], roof);
    }
    let (glass, lit) = (hex(0x5a_7890), hex(0xf6_d98a));
    let columns = dice.whole(2, 3) as u8;
    let step = width / f32::from(columns);
    let mut y = top + step * 0.25;
    while y + step * 0.7 < foot - step * 0.8 {
        for column in 0..columns {
            let ink = if dice.chance(0.25) { lit } else { glass };
            canvas.rect(x + (f32::from(column) + 0.25) * step, y, step * 0.5, step * 0.6, ink);
        }
        y += step;
    }
    let door = dice.pick(&BRIGHT).darker(0.2);
    canvas.rounded([x + width * 0.38, foot - step * 0.75, width * 0.24, step * 0.8], 3.0, door);
}

/// Draws sand, sea and parasols. Returns the y coordinate of the horizon.
pub(super) fn beach(canvas: &mut Canvas, dice: &mut Dice) -> f32 {
    let (w, h) = canvas.size();
    let horizon = h * dice.between(0.3, 0.42);
    let shore = horizon + h * 0.16;
    sky(canvas, dice, horizon);
    let sea = dice.pick(&[hex(0x3f_9fb8), hex(0x5a_c0c0), hex(0x3a_78a8)]);
    canvas.band(horizon, shore + 1.0, sea.darker(0.1), sea.lighter(0.3));
    let sand = hex(0xf0_dcae);
    canvas.band(shore, h, sand, sand.darker(0.15));
    canvas.rect(0.0, shore - 1.0, w, 3.0, WHITE.alpha(0.8));
    for _ in 0..dice.whole(1, 4) {
        let at = (dice.between(0.0, w), dice.between(shore, h * 0.75));
        let size = w * dice.between(0.05, 0.1);
        let cloth = dice.pick(&BRIGHT);
        canvas.placed(at, dice.wobble(12.0), (size, size), |canvas| parasol(canvas, cloth));
    }
    scatter(canvas, dice, &ON_BEACHES, (0.6, 0.95), 4);
    horizon
}

fn parasol(canvas: &mut Canvas, cloth: Colour) {
    canvas.line(&[(0.0, -1.0), (0.0, 1.0)], 0.08, WHITE.darker(0.2));
    canvas.within(&ellipse(0.0, -0.7, 1.2, 0.8), |canvas| {
        for (left, colour) in
            [-1.2, -0.8, -0.4, 0.0, 0.4, 0.8].into_iter().zip([cloth, WHITE].into_iter().cycle())
        {
            canvas.rect(left, -1.6, 0.41, 0.95, colour);
        }
    });
}

/// Draws rows of seats for a crowd.
pub(super) fn stadium(canvas: &mut Canvas, dice: &mut Dice) {
    let (w, h) = canvas.size();
    sky(canvas, dice, h * 0.2);
    let (seat, step) = (dice.pick(&BRIGHT), h * dice.between(0.07, 0.11));
    let mut y = h * 0.12;
    while y < h {
        canvas.rect(0.0, y, w, step + 1.0, hex(0xa9_adb5));
        canvas.rect(0.0, y + step * 0.8, w, step * 0.25, hex(0x80_8590));
        let width = step * 0.8;
        for i in 0..=(w / width) as u16 {
            canvas.rounded(
                [f32::from(i) * width, y + step * 0.15, width * 0.8, step * 0.6],
                2.0,
                seat.darker(0.1),
            );
        }
        y += step;
    }
}
