//! Draws hats and other headwear, in the head's coordinates.

use super::canvas::{Canvas, blob, ellipse, together};
use super::colour::{BLACK, WHITE, hex};
use super::dice::Dice;
use super::head::Look;

/// What a person wears on the head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Hat {
    None,
    Beanie,
    Cap,
    Straw,
    Top,
    Party,
    Scarf,
    Hood,
    Crown,
    Helmet,
    Headphones,
    Bow,
}

/// Returns random headwear, usually none.
pub(super) fn random(dice: &mut Dice) -> Hat {
    dice.weighted(&[
        (12.0, Hat::None),
        (1.0, Hat::Beanie),
        (1.1, Hat::Cap),
        (0.7, Hat::Straw),
        (0.3, Hat::Top),
        (0.3, Hat::Party),
        (0.8, Hat::Scarf),
        (0.4, Hat::Hood),
        (0.2, Hat::Crown),
        (0.4, Hat::Helmet),
        (0.5, Hat::Headphones),
        (0.6, Hat::Bow),
    ])
}

/// Draws the parts behind the neck and shoulders.
pub(super) fn draw_back(canvas: &mut Canvas, look: &Look) {
    let (w, colour) = (look.width, look.hat_colour);
    match look.hat {
        Hat::Scarf | Hat::Hood => {
            let x = w + 0.25;
            let corners = [(-x, -1.45), (x, -1.45), (x + 0.15, 1.6), (0.0, 2.0), (-x - 0.15, 1.6)];
            canvas.blob(&corners, colour.darker(0.2));
        }
        Hat::Straw => canvas.ellipse(0.0, -0.62, w * 1.75, 0.4, hex(0xc9_9d52)),
        _ => {}
    }
}

/// Draws the parts over the hair.
pub(super) fn draw_front(canvas: &mut Canvas, look: &Look) {
    let (w, colour) = (look.width, look.hat_colour);
    let dark = colour.darker(0.22);
    let dome = |top: f32| {
        blob(&[(-w - 0.14, -0.4), (-w - 0.1, top), (w + 0.1, top), (w + 0.14, -0.4), (0.0, -0.72)])
    };
    match look.hat {
        Hat::None => {}
        Hat::Beanie => {
            canvas.fill(&dome(-1.75), colour);
            canvas.rounded([-w - 0.1, -0.8, 2.0 * w + 0.2, 0.32], 0.14, dark);
            canvas.circle(0.0, -1.42, 0.2, colour.lighter(0.5));
        }
        Hat::Cap => {
            canvas.fill(&dome(-1.7), colour);
            let side = if look.yaw < 0.0 { -1.0 } else { 1.0 };
            let x = side * (0.4 + look.yaw.abs() * 0.5);
            canvas.blob(&[(x - w, -0.62), (x, -0.78), (x + w, -0.62), (x, -0.42)], dark);
        }
        Hat::Straw => {
            let straw = hex(0xe6_bf6f);
            canvas.blob(
                &[(-w * 0.85, -0.6), (-w * 0.8, -1.7), (w * 0.8, -1.7), (w * 0.85, -0.6)],
                straw,
            );
            canvas.rounded([-w * 0.78, -0.92, w * 1.56, 0.2], 0.05, colour);
            canvas.ellipse(0.0, -0.68, w * 1.75, 0.17, straw);
        }
        Hat::Top => {
            canvas.rounded([-w * 0.78, -2.0, w * 1.56, 1.3], 0.08, BLACK);
            canvas.rect(-w * 0.78, -1.0, w * 1.56, 0.22, colour);
            canvas.rounded([-w * 1.35, -0.82, w * 2.7, 0.16], 0.08, BLACK);
        }
        Hat::Party => {
            canvas.polygon(&[(-0.5, -0.75), (0.05, -2.0), (0.5, -0.75)], colour);
            canvas.line(&[(-0.3, -1.1), (0.35, -0.9)], 0.1, WHITE);
            canvas.line(&[(-0.12, -1.5), (0.22, -1.35)], 0.1, WHITE);
            canvas.circle(0.05, -2.0, 0.16, hex(0xf2_b544));
        }
        Hat::Scarf | Hat::Hood => {
            let outer = blob(&[
                (-w - 0.24, -1.5),
                (w + 0.24, -1.5),
                (w + 0.3, 0.5),
                (0.4, 1.5),
                (-0.4, 1.5),
                (-w - 0.3, 0.5),
            ]);
            let inner = ellipse(look.yaw * 0.06, 0.16, w * 0.9, 0.84);
            canvas.fill_ring(&together(&outer, &inner), colour);
        }
        Hat::Crown => {
            let points = [-1.0, -0.5, 0.0, 0.5, 1.0];
            let mut corners = vec![(-w, -0.7)];
            corners.extend(
                points.iter().flat_map(|x| [(x * w, -1.5), ((x + 0.25).min(1.0) * w, -1.1)]),
            );
            corners.push((w, -0.7));
            canvas.polygon(&corners, hex(0xf0_c040));
            canvas.circle(0.0, -0.92, 0.1, colour);
        }
        Hat::Helmet => {
            canvas.fill(&dome(-1.8), colour.lighter(0.1));
            canvas.rounded([-w - 0.25, -0.72, 2.0 * w + 0.5, 0.18], 0.09, dark);
            canvas.rounded([-0.14, -1.45, 0.28, 0.75], 0.1, dark);
        }
        Hat::Headphones => {
            canvas.curve([(-w - 0.05, -0.1), (0.0, -2.2), (w + 0.05, -0.1)], 0.14, BLACK);
            for side in [-1.0, 1.0] {
                canvas.ellipse(side * (w + 0.06), 0.03, 0.17, 0.3, colour);
            }
        }
        Hat::Bow => {
            canvas.polygon(&[(0.4, -1.0), (0.0, -1.3), (0.0, -0.75)], colour);
            canvas.polygon(&[(0.4, -1.0), (0.8, -1.25), (0.8, -0.7)], colour);
            canvas.circle(0.4, -1.0, 0.12, dark);
        }
    }
}
