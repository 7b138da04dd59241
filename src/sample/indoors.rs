//! Draws backgrounds with walls: a room, a brick wall, a stage, a photo studio and a house front.

use super::canvas::{Canvas, Ink, polygon};
use super::clutter::{self, IN_ROOMS, ON_WALLS};
use super::colour::{BLACK, BRIGHT, CALM, Colour, HAIR, SKY, WHITE, hex};
use super::dice::Dice;

/// Draws a gradient with soft circles, like the backdrop of a photo studio.
pub(super) fn studio(canvas: &mut Canvas, dice: &mut Dice) {
    let (w, h) = canvas.size();
    let base = if dice.chance(0.5) { dice.pick(&CALM) } else { dice.pick(&BRIGHT) };
    let end = (dice.between(0.0, w), h);
    canvas.rect(0.0, 0.0, w, h, Ink::Linear((0.0, 0.0), base.lighter(0.25), end, base.darker(0.3)));
    for _ in 0..dice.whole(0, 26) {
        let (x, y) = (dice.between(0.0, w), dice.between(0.0, h));
        let colour = base.mix(dice.pick(&BRIGHT), 0.5).lighter(dice.between(0.0, 0.5));
        canvas.circle(
            x,
            y,
            dice.log_between(0.02, 0.13) * w,
            colour.alpha(dice.between(0.15, 0.6)),
        );
    }
}

/// Draws a wall and a floor, each with things on it.
pub(super) fn room(canvas: &mut Canvas, dice: &mut Dice) {
    let (w, h) = canvas.size();
    let floor = h * dice.between(0.68, 0.85);
    let wall = dice.pick(&CALM);
    canvas.rect(0.0, 0.0, w, floor, wall);
    wallpaper(canvas, dice, wall, floor);
    if dice.chance(0.6) {
        let (x, half) = (dice.between(0.15, 0.85) * w, w * dice.between(0.12, 0.2));
        window(canvas, dice, (x, floor * 0.35), half);
    }
    let boards = dice.pick(&HAIR).lighter(0.15);
    canvas.band(floor, h, boards, boards.darker(0.25));
    for i in 0..9_u8 {
        let x = (f32::from(i) - 4.0) / 8.0;
        canvas.line(&[(w * (0.5 + x), floor), (w * (0.5 + 2.0 * x), h)], 1.0, boards.darker(0.3));
    }
    canvas.rect(0.0, floor - h * 0.025, w, h * 0.03, wall.lighter(0.5));
    scatter(canvas, dice, &ON_WALLS, (0.08, 0.62), 5);
    scatter(canvas, dice, &IN_ROOMS, (0.6, 0.9), 4);
}

/// Draws stripes, dots or diamonds on the wall, or leaves it plain.
fn wallpaper(canvas: &mut Canvas, dice: &mut Dice, wall: Colour, floor: f32) {
    let (w, _) = canvas.size();
    let ink = if dice.chance(0.5) { wall.darker(0.1) } else { wall.lighter(0.35) };
    let step = w * dice.between(0.05, 0.11);
    let kind = dice.whole(0, 3);
    for column in 0..(w / step) as u16 + 2 {
        for row in 0..(floor / step) as u16 + 2 {
            let shift = if row % 2 == 0 { 0.0 } else { 0.5 };
            let at = ((f32::from(column) - shift) * step, f32::from(row) * step);
            canvas.placed(at, 0.0, (step, step), |canvas| match kind {
                0 if row == 0 => canvas.rect(0.0, 0.0, 0.4, floor / step, ink),
                1 => canvas.circle(0.0, 0.0, 0.2, ink),
                2 => canvas.polygon(&[(0.0, -0.4), (0.25, 0.0), (0.0, 0.4), (-0.25, 0.0)], ink),
                _ => {}
            });
        }
    }
}

/// Draws a window with sky in it, centred at `(x, y)`. `half` is half its width.
fn window(canvas: &mut Canvas, dice: &mut Dice, (x, y): (f32, f32), half: f32) {
    let (top, bottom) = dice.pick(&SKY);
    let tall = half * 1.3;
    canvas.rect(x - half * 1.1, y - tall * 1.08, half * 2.2, tall * 2.16, WHITE);
    canvas.rect(
        x - half,
        y - tall,
        half * 2.0,
        tall * 2.0,
        Ink::Linear((x, y - tall), top, (x, y + tall), bottom),
    );
    canvas.rect(x - half * 0.04, y - tall, half * 0.08, tall * 2.0, WHITE);
    canvas.rect(x - half, y - half * 0.04, half * 2.0, half * 0.08, WHITE);
    let curtain = dice.pick(&BRIGHT);
    for side in [-1.0, 1.0] {
        let edge = x + side * half * 1.3;
        let fold = x + side * half * 0.7;
        let cloth = polygon(&[
            (edge, y - tall * 1.2),
            (fold, y - tall * 1.2),
            (fold + side * half * 0.35, y + tall * 1.2),
            (edge, y + tall * 1.2),
        ]);
        canvas.fill(&cloth, curtain);
    }
}

/// Draws up to `most` random things between two heights, given as fractions of the picture's height.
pub(super) fn scatter(
    canvas: &mut Canvas,
    dice: &mut Dice,
    things: &[clutter::Thing],
    (top, bottom): (f32, f32),
    most: u32,
) {
    let (w, h) = canvas.size();
    for _ in 0..dice.whole(0, most) {
        let thing = dice.pick(things);
        let at = (dice.between(0.03, 0.97) * w, dice.between(top, bottom) * h);
        let radius = dice.log_between(0.02, 0.09) * w;
        let degrees = dice.wobble(10.0);
        canvas.placed(at, degrees, (radius, radius), |canvas| clutter::draw(canvas, dice, thing));
    }
}

/// Draws a brick wall with things on it.
pub(super) fn bricks(canvas: &mut Canvas, dice: &mut Dice) {
    let (w, h) = canvas.size();
    let brick = dice.pick(&[
        hex(0xb5_6a4e),
        hex(0x9a_5246),
        hex(0xc8_9a78),
        hex(0x8f_8a88),
        hex(0xd8_cfc4),
    ]);
    canvas.rect(0.0, 0.0, w, h, brick.lighter(0.35));
    let (bw, bh) = (w * dice.between(0.06, 0.1), w * dice.between(0.026, 0.04));
    for row in 0..=(h / bh) as u16 {
        let shift = if row % 2 == 0 { 0.0 } else { bw / 2.0 };
        for column in 0..=(w / bw) as u16 + 1 {
            let (x, y) = (f32::from(column) * bw - shift, f32::from(row) * bh);
            let shade = brick.darker(dice.between(0.0, 0.16));
            canvas.rect(x, y, bw - 1.5, bh - 1.5, shade);
        }
    }
    scatter(canvas, dice, &ON_WALLS, (0.1, 0.8), 6);
}

/// Draws a stage with curtains and spotlights.
pub(super) fn stage(canvas: &mut Canvas, dice: &mut Dice) {
    let (w, h) = canvas.size();
    let dark = dice.pick(&[hex(0x24_1b3a), hex(0x1d_2a44), hex(0x3a_1b2a), hex(0x22_2a2a)]);
    canvas.band(0.0, h, dark, dark.lighter(0.15));
    let curtain = dice.pick(&BRIGHT).darker(0.25);
    for i in 0..6_u8 {
        let fold = curtain.darker(if i % 2 == 0 { 0.0 } else { 0.2 });
        let (x, step) = (f32::from(i) * w * 0.035, w * 0.036);
        canvas.rect(x, 0.0, step, h, fold);
        canvas.rect(w - x - step, 0.0, step, h, fold);
    }
    for _ in 0..dice.whole(2, 5) {
        let (x, to) = (dice.between(0.1, 0.9) * w, dice.between(0.0, 1.0) * w);
        let light = dice.pick(&BRIGHT).lighter(0.5);
        let beam = Ink::Linear((x, 0.0), light.alpha(0.5), (to, h), light.alpha(0.05));
        canvas.polygon(
            &[(x - 4.0, 0.0), (x + 4.0, 0.0), (to + w * 0.13, h), (to - w * 0.13, h)],
            beam,
        );
        canvas.circle(x, 4.0, w * 0.018, WHITE);
    }
}

/// Draws a house front. Returns the frames of its windows, `[x, y, w, h]` in pixels.
pub(super) fn facade(canvas: &mut Canvas, dice: &mut Dice) -> Vec<[f32; 4]> {
    let (w, h) = canvas.size();
    let plaster =
        if dice.chance(0.5) { dice.pick(&CALM) } else { dice.pick(&BRIGHT).lighter(0.35) };
    canvas.rect(
        0.0,
        0.0,
        w,
        h,
        Ink::Linear((0.0, 0.0), plaster.lighter(0.1), (w, h), plaster.darker(0.12)),
    );
    let (columns, rows) = (dice.whole(2, 4) as u16, dice.whole(2, 3) as u16);
    let (step_x, step_y) = (w / f32::from(columns), h / f32::from(rows));
    let (ww, wh) = (step_x * dice.between(0.55, 0.78), step_y * dice.between(0.6, 0.78));
    let mut windows = Vec::new();
    for row in 0..rows {
        let y = f32::from(row) * step_y + (step_y - wh) / 2.0;
        canvas.rect(0.0, y + wh + step_y * 0.1, w, step_y * 0.03, plaster.darker(0.12));
        for column in 0..columns {
            let x = f32::from(column) * step_x + (step_x - ww) / 2.0;
            canvas.rect(x - 3.0, y - 3.0, ww + 6.0, wh + 6.0, WHITE);
            let inside =
                if dice.chance(0.35) { hex(0xf6_d98a) } else { BLACK.mix(dice.pick(&CALM), 0.4) };
            canvas.rect(x, y, ww, wh, Ink::Linear((x, y), inside.darker(0.2), (x, y + wh), inside));
            windows.push([x, y, ww, wh]);
        }
    }
    windows
}
