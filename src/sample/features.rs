//! Draws eyes, brows, nose, mouth, beard and glasses, in the head's coordinates.

use super::canvas::{Canvas, Outline, blob, ellipse, rounded, together};
use super::colour::{BLACK, Colour, WHITE, hex};
use super::expression::{Beard, Eyes, Features, Glasses, Mouth, Nose};
use super::head::Look;

/// Returns the x coordinate of the middle of the features, which moves as the head turns.
fn middle(look: &Look) -> f32 {
    look.yaw * 0.3
}

/// Returns each eye's centre and the visible share of its width, from left to right.
fn eyes_at(look: &Look) -> [(f32, f32, f32); 2] {
    let gap = look.features.eye_gap * look.width / 0.8;
    [-1.0, 1.0].map(|side| {
        let away = (side * look.yaw).max(0.0);
        (middle(look) + side * gap * (1.0 - 0.3 * away), -0.03, 1.0 - 0.3 * away)
    })
}

/// Draws all features except the glasses, which go over the hair.
pub(super) fn draw(canvas: &mut Canvas, look: &Look, face: &Outline, fine: bool) {
    canvas.within(face, |canvas| beard(canvas, look));
    if fine && look.features.freckles {
        freckles(canvas, look);
    }
    let Features { scale, drop, .. } = look.features;
    canvas.placed((0.0, drop), 0.0, (scale, scale), |canvas| {
        eyes(canvas, look, fine);
        nose(canvas, look);
        mouth(canvas, look, face);
    });
}

fn eyes(canvas: &mut Canvas, look: &Look, fine: bool) {
    let f = &look.features;
    for (i, (x, y, share)) in eyes_at(look).into_iter().enumerate() {
        let side = if i == 0 { -1.0 } else { 1.0 };
        let style = if f.eyes == Eyes::Wink && i == 1 { Eyes::Smiling } else { f.eyes };
        canvas.placed((x, y), 0.0, (f.eye_size * share, f.eye_size), |canvas| {
            eye(canvas, style, f.iris, look.yaw, fine);
        });
        if f.brows {
            let (half, tilt) = (0.17 * share, f.brow_tilt * side);
            let ends = [(x - half, y - 0.3 - tilt), (x, y - 0.4), (x + half, y - 0.3 + tilt)];
            canvas.curve(ends, 0.075, look.hair_colour.darker(0.3));
        }
    }
}

/// Draws one eye, centred at the origin.
fn eye(canvas: &mut Canvas, style: Eyes, iris: Colour, yaw: f32, fine: bool) {
    match style {
        Eyes::Dots => canvas.ellipse(0.0, 0.0, 0.085, 0.105, BLACK),
        Eyes::Ovals => {
            canvas.ellipse(0.0, 0.0, 0.105, 0.165, BLACK);
            if fine {
                canvas.circle(0.035, -0.06, 0.04, WHITE);
            }
        }
        Eyes::Round | Eyes::Wink => {
            canvas.ellipse(0.0, 0.0, 0.185, 0.175, WHITE);
            canvas.circle(yaw * 0.07, 0.01, 0.105, iris);
            if fine {
                canvas.circle(yaw * 0.07, 0.01, 0.055, BLACK);
                canvas.curve([(-0.19, -0.04), (0.0, -0.28), (0.19, -0.04)], 0.05, BLACK);
            }
        }
        Eyes::Smiling => {
            canvas.curve([(-0.15, 0.06), (0.0, -0.17), (0.15, 0.06)], 0.07, BLACK);
        }
        Eyes::None => {}
        Eyes::Closed => {
            canvas.curve([(-0.15, -0.02), (0.0, 0.15), (0.15, -0.02)], 0.07, BLACK);
        }
    }
}

fn nose(canvas: &mut Canvas, look: &Look) {
    let (x, shade) = (middle(look) + look.yaw * 0.12, look.shade());
    let side = if look.yaw < 0.0 { -1.0 } else { 1.0 };
    match look.features.nose {
        Nose::Hook => {
            canvas.line(
                &[(x, 0.02), (x + side * 0.12, 0.26), (x - side * 0.02, 0.28)],
                0.06,
                shade,
            );
        }
        Nose::Round => canvas.ellipse(x, 0.22, 0.13, 0.11, shade),
        Nose::Triangle => {
            canvas.polygon(&[(x, 0.0), (x + 0.12, 0.3), (x - 0.12, 0.3)], shade.alpha(0.75));
        }
        Nose::Arc => canvas.curve([(x - 0.1, 0.22), (x, 0.34), (x + 0.1, 0.22)], 0.06, shade),
        Nose::Long => canvas.rounded([x - 0.08, -0.05, 0.16, 0.38], 0.08, shade.alpha(0.7)),
        Nose::None => {}
    }
}

fn mouth(canvas: &mut Canvas, look: &Look, face: &Outline) {
    let f = &look.features;
    let (x, y, w) = (middle(look), 0.54, f.mouth_width * (1.0 - 0.25 * look.yaw.abs()));
    let dark = hex(0x5c_1f2a);
    match f.mouth {
        Mouth::None => {}
        Mouth::Smile => {
            canvas.curve([(x - w, y - 0.05), (x, y + 0.24), (x + w, y - 0.05)], 0.07, dark);
        }
        Mouth::Frown => {
            canvas.curve([(x - w, y + 0.1), (x, y - 0.1), (x + w, y + 0.1)], 0.07, dark);
        }
        Mouth::Flat => canvas.line(&[(x - w, y + 0.02), (x + w, y)], 0.07, dark),
        Mouth::Surprise => canvas.ellipse(x, y + 0.03, 0.12, 0.16, dark),
        Mouth::Laugh => {
            let open = blob(&[
                (x - w * 1.3, y - 0.14),
                (x + w * 1.3, y - 0.14),
                (x + w, y + 0.34),
                (x - w, y + 0.34),
            ]);
            canvas.fill(&open, dark);
            canvas.within(&open, |canvas| {
                canvas.rect(x - 1.0, y - 0.3, 2.0, 0.26, WHITE);
                canvas.ellipse(x, y + 0.3, w * 0.6, 0.14, hex(0xd9_5560));
            });
        }
        Mouth::Grin => {
            canvas.rounded([x - w, y - 0.08, 2.0 * w, 0.2], 0.1, dark);
            canvas.rounded([x - w + 0.04, y - 0.05, 2.0 * w - 0.08, 0.14], 0.07, WHITE);
        }
        Mouth::Lips => {
            canvas.blob(&[(x - w, y), (x, y - 0.13), (x + w, y), (x, y + 0.22)], f.lips);
            canvas.curve([(x - w * 0.7, y), (x, y + 0.05), (x + w * 0.7, y)], 0.035, dark);
        }
        Mouth::Mask => canvas.within(face, |canvas| {
            let cloth = hex(0xb9_d9e6);
            canvas.blob(&[(-1.3, 0.1), (x, 0.12), (1.3, 0.1), (1.1, 1.2), (-1.1, 1.2)], cloth);
            canvas.line(&[(-1.0, 0.5), (1.0, 0.5)], 0.035, cloth.darker(0.2));
        }),
    }
}

/// Draws the beard. The caller clips it to the face.
fn beard(canvas: &mut Canvas, look: &Look) {
    let (f, w, x) = (&look.features, look.width, middle(look));
    let full = blob(&[
        (-w - 0.3, -0.1),
        (-w + 0.12, 0.3),
        (x - 0.3, 0.38),
        (x, 0.34),
        (x + 0.3, 0.38),
        (w - 0.12, 0.3),
        (w + 0.3, -0.1),
        (w, 1.3),
        (-w, 1.3),
    ]);
    match f.beard {
        Beard::None => {}
        Beard::Full => canvas.fill(&full, f.beard_colour),
        Beard::Stubble => canvas.fill(&full, f.beard_colour.alpha(0.25)),
        Beard::Goatee => canvas.blob(
            &[(x - 0.35, 0.4), (x + 0.35, 0.4), (x + 0.22, 1.2), (x - 0.22, 1.2)],
            f.beard_colour,
        ),
        Beard::Moustache => {
            let tips = [
                (x, 0.32),
                (x + 0.28, 0.34),
                (x + 0.5, 0.56),
                (x, 0.42),
                (x - 0.5, 0.56),
                (x - 0.28, 0.34),
            ];
            canvas.blob(&tips, f.beard_colour);
        }
    }
}

fn freckles(canvas: &mut Canvas, look: &Look) {
    let x = middle(look);
    for (dx, y) in
        [(-0.42, 0.22), (-0.33, 0.31), (-0.24, 0.21), (0.24, 0.21), (0.33, 0.31), (0.42, 0.22)]
    {
        canvas.circle(x + dx, y, 0.03, look.shade());
    }
}

/// Draws the glasses over the hair and eyes.
pub(super) fn draw_glasses(canvas: &mut Canvas, look: &Look) {
    let f = &look.features;
    if f.glasses == Glasses::None {
        return;
    }
    let [left, right] = eyes_at(look);
    let colour = f.glasses_colour;
    let ears = [(-look.width, -0.06), (look.width, -0.06)];
    canvas.line(&[ears[0], (left.0 - 0.2, left.1)], 0.05, colour);
    canvas.line(&[(right.0 + 0.2, right.1), ears[1]], 0.05, colour);
    canvas.line(&[(left.0 + 0.2, left.1), (right.0 - 0.2, right.1)], 0.06, colour);
    for (x, y, share) in [left, right] {
        let (rx, ry) = (0.27 * share, 0.25);
        let lens = |grow: f32| {
            if f.glasses == Glasses::Round {
                return ellipse(x, y, rx + grow, ry + grow);
            }
            let (left, top) = (x - rx - grow, y - ry * 0.8 - grow);
            rounded([left, top, 2.0 * (rx + grow), 1.7 * ry + 2.0 * grow], 0.12)
        };
        if f.glasses == Glasses::Sun {
            canvas.fill(&lens(0.03), BLACK.mix(colour, 0.25));
            canvas.line(&[(x - 0.1, y + 0.05), (x + 0.06, y - 0.1)], 0.04, WHITE.alpha(0.5));
        } else {
            canvas.fill(&lens(0.0), WHITE.alpha(0.2));
            canvas.fill_ring(&together(&lens(0.035), &lens(-0.035)), colour);
        }
    }
}
