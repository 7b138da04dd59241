//! Draws hair, in the head's coordinates.

use super::canvas::{Canvas, blob};
use super::dice::Dice;
use super::head::Look;

/// A hairstyle.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Style {
    Bald,
    Tufts,
    Crop,
    SidePart,
    Quiff,
    Fringe,
    Bob,
    Long,
    Wavy,
    Bun,
    Pigtails,
    Curls,
    Afro,
    Spikes,
    Mohawk,
}

/// Returns a random hairstyle; common styles are more likely.
pub(super) fn random(dice: &mut Dice) -> Style {
    dice.weighted(&[
        (0.6, Style::Bald),
        (0.5, Style::Tufts),
        (1.2, Style::Crop),
        (1.5, Style::SidePart),
        (1.2, Style::Quiff),
        (1.0, Style::Fringe),
        (1.2, Style::Bob),
        (1.3, Style::Long),
        (1.0, Style::Wavy),
        (1.0, Style::Bun),
        (0.7, Style::Pigtails),
        (0.9, Style::Curls),
        (0.8, Style::Afro),
        (0.8, Style::Spikes),
        (0.3, Style::Mohawk),
    ])
}

impl Style {
    /// Returns how far the hair extends beyond each side of the face.
    pub(super) fn bulk(self) -> f32 {
        match self {
            Self::Afro => 0.5,
            Self::Bob | Self::Long | Self::Wavy | Self::Pigtails => 0.3,
            Self::Bald | Self::Tufts | Self::Mohawk => 0.05,
            _ => 0.12,
        }
    }

    /// Whether the hair covers the ears.
    pub(super) fn covers_ears(self) -> bool {
        matches!(self, Self::Bob | Self::Long | Self::Wavy | Self::Afro)
    }

    /// Whether a beard looks natural with this hairstyle.
    pub(super) fn goes_with_a_beard(self) -> bool {
        !matches!(
            self,
            Self::Bob | Self::Long | Self::Wavy | Self::Bun | Self::Pigtails | Self::Fringe
        )
    }

    /// Whether the hair falls over the forehead.
    fn is_fringed(self) -> bool {
        matches!(self, Self::Fringe | Self::Bob | Self::Pigtails)
    }
}

/// Draws the hair behind the neck and shoulders.
pub(super) fn draw_back(canvas: &mut Canvas, look: &Look) {
    let (w, colour) = (look.width, look.hair_colour.darker(0.18));
    match look.hair {
        Style::Bob => {
            let (x, low) = (w + 0.32, 1.0);
            canvas.blob(
                &[(-x, -1.35), (x, -1.35), (x + 0.1, low), (0.0, low + 0.1), (-x - 0.1, low)],
                colour,
            );
        }
        Style::Long => {
            let (x, low) = (w + 0.3, 2.3);
            canvas.blob(
                &[(-x, -1.4), (x, -1.4), (x + 0.15, low), (0.0, low), (-x - 0.15, low)],
                colour,
            );
        }
        Style::Wavy => {
            for (x, y, r) in
                [(0.85, -0.4, 0.5), (1.0, 0.25, 0.45), (0.95, 0.9, 0.45), (0.8, 1.5, 0.42)]
            {
                canvas.circle(-x * w - 0.05, y, r, colour);
                canvas.circle(x * w + 0.05, y, r, colour);
            }
            canvas.rect(-w, -0.5, 2.0 * w, 1.9, colour);
        }
        Style::Bun => canvas.circle(0.0, -1.25, 0.42, colour),
        Style::Pigtails => {
            for side in [-1.0, 1.0] {
                let x = side * (w + 0.3);
                canvas.blob(
                    &[
                        (x - 0.3, -0.4),
                        (x + 0.3, -0.4),
                        (x + side * 0.3, 1.1),
                        (x - side * 0.1, 1.0),
                    ],
                    colour,
                );
                canvas.circle(side * (w + 0.08), -0.22, 0.12, look.hat_colour);
            }
        }
        Style::Afro => canvas.ellipse(0.0, -0.42, w + 0.55, 1.1, colour),
        _ => {}
    }
}

/// Draws the hair on top of the head and over the forehead.
pub(super) fn draw_front(canvas: &mut Canvas, look: &Look, fine: bool) {
    let (w, colour) = (look.width, look.hair_colour);
    let part = if look.light > 0.0 { 1.0 } else { -1.0 };
    canvas.placed((0.0, 0.0), 0.0, (part, 1.0), |canvas| match look.hair {
        Style::Bald => {}
        Style::Tufts => {
            for side in [-1.0, 1.0] {
                canvas.ellipse(side * (w - 0.01), -0.28, 0.13, 0.3, colour);
            }
        }
        Style::Curls | Style::Afro => curls(canvas, look),
        Style::Spikes => spikes(canvas, look),
        Style::Mohawk => {
            canvas.blob(&[(-0.2, -0.55), (-0.32, -1.7), (0.32, -1.7), (0.2, -0.55)], colour);
        }
        style => {
            let cap = blob(&cap(style, w));
            canvas.fill(&cap, colour);
            if fine {
                canvas.within(&cap, |canvas| {
                    let shine = [(-0.5 * w, -0.85), (0.0, -1.12), (0.5 * w, -0.95)];
                    canvas.curve(shine, 0.07, colour.lighter(0.25).alpha(0.6));
                });
            }
        }
    });
}

/// Returns corners that go over the skull from ear to ear and back along the hairline. The parting is on the left.
fn cap(style: Style, w: f32) -> Vec<(f32, f32)> {
    let top = if style == Style::Quiff { -1.62 } else { -1.3 };
    let low = if style.covers_ears() { 0.65 } else { 0.05 };
    let out = if style.covers_ears() { 0.3 } else { 0.1 };
    let mut corners = vec![
        (-w - out, low),
        (-w - 0.14, -0.8),
        (-0.6 * w, top + 0.08),
        (0.1 * w, top),
        (w * 0.8, top + 0.12),
        (w + 0.14, -0.75),
        (w + out, low),
    ];
    if style.is_fringed() {
        corners.extend([(w - 0.02, -0.3), (0.4 * w, -0.32), (-0.4 * w, -0.32), (-w + 0.02, -0.3)]);
    } else if matches!(style, Style::Long | Style::Wavy | Style::Bun) {
        corners.extend([
            (w - 0.02, -0.1),
            (0.62 * w, -0.5),
            (0.0, -0.95),
            (-0.62 * w, -0.5),
            (-w + 0.02, -0.1),
        ]);
    } else if style == Style::Crop {
        corners.extend([
            (w - 0.04, -0.42),
            (0.5 * w, -0.62),
            (-0.5 * w, -0.62),
            (-w + 0.04, -0.42),
        ]);
    } else {
        corners.extend([
            (w - 0.04, -0.32),
            (0.55 * w, -0.42),
            (-0.15 * w, -0.72),
            (-0.6 * w, -0.8),
            (-w + 0.04, -0.4),
        ]);
    }
    corners
}

fn curls(canvas: &mut Canvas, look: &Look) {
    let (w, colour) = (look.width, look.hair_colour);
    let radius = if look.hair == Style::Afro { 0.36 } else { 0.27 };
    for i in 0..9_u8 {
        let angle = std::f32::consts::PI * (f32::from(i) / 8.0 * 1.1 - 0.05);
        let shade = if i % 2 == 0 { colour } else { colour.lighter(0.06) };
        canvas.circle(-angle.cos() * (w + 0.04), -0.3 - angle.sin() * 0.72, radius, shade);
    }
    canvas.ellipse(0.0, -0.88, w * 0.75, 0.3, colour);
}

fn spikes(canvas: &mut Canvas, look: &Look) {
    let w = look.width;
    let mut corners = vec![(-w - 0.08, -0.05)];
    for (x, tip) in [(-1.0, -0.85), (-0.6, -1.35), (-0.1, -1.55), (0.4, -1.45), (0.85, -1.05)] {
        corners.extend([((x - 0.1) * w, tip), ((x + 0.16) * w, tip + 0.3)]);
    }
    corners.extend([(w + 0.08, -0.05), (w - 0.06, -0.5)]);
    corners.extend([
        (0.5 * w, -0.45),
        (0.2 * w, -0.66),
        (-0.15 * w, -0.42),
        (-0.5 * w, -0.66),
        (-w + 0.06, -0.45),
    ]);
    canvas.polygon(&corners, look.hair_colour);
}
