//! Draws a head from the side, facing right, in the head's coordinates.

use super::canvas::{Canvas, blob};
use super::colour::{BLACK, hex};
use super::hair::Style;
use super::hats::Hat;
use super::head::{Look, Manner};

/// Centre and semi-axes of the face, from the ear to the tip of the nose.
pub(super) const FACE: (f32, f32, f32, f32) = (0.36, 0.14, 0.68, 0.86);

/// Draws the hair behind the neck and shoulders.
pub(super) fn draw_back(canvas: &mut Canvas, look: &Look) {
    let colour = look.hair_colour.darker(0.18);
    match look.hair {
        Style::Long | Style::Wavy | Style::Fringe => {
            let corners = [(-1.0, -1.2), (0.2, -1.2), (0.0, 1.8), (-0.7, 2.4), (-1.35, 1.8)];
            canvas.blob(&corners, colour);
        }
        Style::Bun => canvas.circle(-0.95, -0.75, 0.4, colour),
        Style::Pigtails => canvas.blob(&[(-0.8, -0.9), (-1.9, -0.6), (-1.5, 1.3)], colour),
        Style::Afro => canvas.circle(-0.25, -0.42, 1.2, colour),
        _ => {}
    }
}

/// Draws the head, with as many features as `look.manner` calls for.
pub(super) fn draw_front(canvas: &mut Canvas, look: &Look) {
    canvas.ellipse(-0.2, -0.2, 0.86, 0.8, look.skin);
    let (nose, chin) = (1.0 + 0.3 * look.jaw, 0.9 + 0.12 * look.jaw);
    let outline = blob(&[
        (-0.1, -1.05),
        (0.62, -1.0),
        (0.78, -0.5),
        (0.68, -0.12),
        (nose + 0.12, 0.26),
        (0.68, 0.3),
        (0.86, 0.5),
        (0.7, 0.66),
        (0.84, chin),
        (0.5, 1.12),
        (-0.1, 0.9),
        (-0.5, 0.5),
        (-0.7, -0.5),
    ]);
    canvas.fill(&outline, look.skin);
    let blush = hex(0xe8_5a5a).alpha(look.features.blush * 0.7);
    canvas.ellipse(0.34, 0.36, 0.18, 0.14, blush);
    let dark = hex(0x5c_1f2a);
    match look.manner {
        Manner::Blank => {}
        Manner::Dainty => {
            canvas.circle(0.5, 0.02, 0.06, BLACK);
            canvas.line(&[(0.64, 0.56), (0.74, 0.54)], 0.04, dark);
        }
        Manner::Storybook => {
            canvas.ellipse(0.46, -0.06, 0.08, 0.13, BLACK);
            canvas.line(&[(0.34, -0.36), (0.64, -0.38)], 0.075, look.hair_colour.darker(0.3));
            canvas.curve([(0.42, 0.5), (0.56, 0.68), (0.76, 0.52)], 0.065, dark);
        }
    }
    hair(canvas, look);
    if !look.hair.covers_ears() {
        canvas.ellipse(-0.2, 0.08, 0.15, 0.22, look.skin.mix(look.shade(), 0.5));
        canvas.ellipse(-0.18, 0.09, 0.07, 0.13, look.shade());
    }
    hat(canvas, look);
}

/// Draws the hair over the skull, from the forehead to the nape.
fn hair(canvas: &mut Canvas, look: &Look) {
    let colour = look.hair_colour;
    let (top, nape) = match look.hair {
        Style::Bald => return,
        Style::Tufts => {
            canvas
                .blob(&[(-0.1, -0.4), (-0.1, 0.1), (-0.7, 0.6), (-1.2, 0.0), (-0.9, -0.6)], colour);
            return;
        }
        Style::Mohawk => {
            canvas.blob(
                &[(0.5, -1.7), (0.4, -0.7), (-0.5, -0.9), (-1.1, -0.3), (-1.3, -1.3)],
                colour,
            );
            return;
        }
        Style::Quiff | Style::Spikes => (-1.6, 0.35),
        Style::Bob | Style::Long | Style::Wavy => (-1.3, 1.2),
        Style::Afro => (-1.7, 0.4),
        _ => (-1.3, 0.4),
    };
    let ear = if look.hair.covers_ears() { 0.6 } else { -0.2 };
    canvas.blob(
        &[
            (0.78, -0.72),
            (0.66, top + 0.1),
            (-0.2, top),
            (-1.1, top + 0.2),
            (-1.25, -0.3),
            (-1.0, nape),
            (-0.45, nape + 0.15),
            (0.05, ear),
            (0.2, -0.5),
        ],
        colour,
    );
}

fn hat(canvas: &mut Canvas, look: &Look) {
    let (colour, dark) = (look.hat_colour, look.hat_colour.darker(0.22));
    let dome = [(0.75, -0.4), (0.7, -1.75), (-1.1, -1.65), (-1.2, -0.1), (-0.3, -0.7)];
    match look.hat {
        Hat::None | Hat::Bow | Hat::Headphones | Hat::Crown | Hat::Party => {}
        Hat::Cap => {
            canvas.blob(&dome, colour);
            canvas.blob(&[(0.3, -0.75), (1.5, -0.75), (1.4, -0.5), (0.4, -0.5)], dark);
        }
        Hat::Straw | Hat::Top => {
            canvas.blob(&dome, colour);
            canvas.ellipse(-0.15, -0.66, 1.5, 0.15, dark);
        }
        Hat::Beanie | Hat::Helmet | Hat::Scarf | Hat::Hood => {
            canvas.blob(&dome, colour);
            canvas.line(&[(0.62, -0.62), (-0.3, -0.6), (-0.95, -0.25)], 0.28, dark);
        }
    }
}
