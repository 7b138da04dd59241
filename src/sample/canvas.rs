//! A canvas that draws anti-aliased shapes in local coordinates; y points down.

use image::RgbImage;
use tiny_skia::{
    FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Mask, Paint, Path, PathBuilder,
    Pixmap, Point, RadialGradient, Rect, Shader, SpreadMode, Stroke, Transform,
};

use super::colour::Colour;

/// A picture that is being drawn.
pub(super) struct Canvas {
    pixmap: Pixmap,
    transform: Transform,
    mask: Option<Mask>,
}

/// The drawable area from before a clip, restored when the clip ends.
pub(super) struct Clip(Option<Mask>);

/// What a shape is filled with.
#[derive(Clone, Copy)]
pub(super) enum Ink {
    /// One colour.
    Flat(Colour),
    /// A gradient from the first colour at the first point to the second colour at the second point.
    Linear((f32, f32), Colour, (f32, f32), Colour),
    /// A gradient from the first colour at the centre to the second colour at the radius.
    Radial((f32, f32), Colour, f32, Colour),
}

impl From<Colour> for Ink {
    fn from(colour: Colour) -> Self {
        Self::Flat(colour)
    }
}

/// An outline. `None` is empty and draws nothing.
pub(super) type Outline = Option<Path>;

impl Canvas {
    /// Creates a black picture.
    pub(super) fn new(width: u32, height: u32) -> Self {
        let pixmap = Pixmap::new(width, height).expect("pictures have a size");
        Self { pixmap, transform: Transform::identity(), mask: None }
    }

    /// Returns the width and height in pixels.
    pub(super) fn size(&self) -> (f32, f32) {
        (self.pixmap.width() as f32, self.pixmap.height() as f32)
    }

    /// Draws with the origin at `(x, y)`, rotated clockwise by `degrees` and scaled by `(scale_x, scale_y)`.
    pub(super) fn placed(
        &mut self,
        (x, y): (f32, f32),
        degrees: f32,
        (scale_x, scale_y): (f32, f32),
        draw: impl FnOnce(&mut Self),
    ) {
        let before = self.transform;
        let placed = before.pre_translate(x, y);
        self.transform =
            placed.pre_concat(Transform::from_rotate(degrees)).pre_scale(scale_x, scale_y);
        draw(self);
        self.transform = before;
    }

    /// Draws only within `outline`.
    pub(super) fn within(&mut self, outline: &Outline, draw: impl FnOnce(&mut Self)) {
        let before = self.clip(outline);
        draw(self);
        self.unclip(before);
    }

    /// Limits drawing to `outline` until the returned value is passed to [`Canvas::unclip`].
    #[must_use]
    pub(super) fn clip(&mut self, outline: &Outline) -> Clip {
        let before = Clip(self.mask.clone());
        let mask = match self.mask.take() {
            None => Mask::new(self.pixmap.width(), self.pixmap.height()).map(|mut mask| {
                if let Some(path) = outline {
                    mask.fill_path(path, FillRule::Winding, true, self.transform);
                }
                mask
            }),
            Some(mut mask) => {
                match outline {
                    Some(path) => {
                        mask.intersect_path(path, FillRule::Winding, true, self.transform);
                    }
                    None => mask.clear(),
                }
                Some(mask)
            }
        };
        self.mask = mask;
        before
    }

    /// Ends a clip.
    pub(super) fn unclip(&mut self, before: Clip) {
        self.mask = before.0;
    }

    /// Fills an outline.
    pub(super) fn fill(&mut self, outline: &Outline, ink: impl Into<Ink>) {
        self.fill_by(FillRule::Winding, outline, ink.into());
    }

    /// Fills an outline by the even-odd rule: two nested loops give a ring.
    pub(super) fn fill_ring(&mut self, outline: &Outline, ink: impl Into<Ink>) {
        self.fill_by(FillRule::EvenOdd, outline, ink.into());
    }

    fn fill_by(&mut self, rule: FillRule, outline: &Outline, ink: Ink) {
        let (Some(path), Some(paint)) = (outline, paint(ink)) else { return };
        self.pixmap.fill_path(path, &paint, rule, self.transform, self.mask.as_ref());
    }

    /// Draws along an outline with a round pen.
    pub(super) fn stroke(&mut self, outline: &Outline, width: f32, colour: Colour) {
        let (Some(path), Some(paint)) = (outline, paint(colour.into())) else { return };
        let (line_cap, line_join) = (LineCap::Round, LineJoin::Round);
        let stroke = Stroke { width, line_cap, line_join, ..Stroke::default() };
        self.pixmap.stroke_path(path, &paint, &stroke, self.transform, self.mask.as_ref());
    }

    /// Fills an ellipse centred at `(x, y)`.
    pub(super) fn ellipse(&mut self, x: f32, y: f32, rx: f32, ry: f32, ink: impl Into<Ink>) {
        self.fill(&ellipse(x, y, rx, ry), ink);
    }

    /// Fills a circle centred at `(x, y)`.
    pub(super) fn circle(&mut self, x: f32, y: f32, radius: f32, ink: impl Into<Ink>) {
        self.fill(&ellipse(x, y, radius, radius), ink);
    }

    /// Fills a rectangle with its top left corner at `(x, y)`.
    pub(super) fn rect(&mut self, x: f32, y: f32, w: f32, h: f32, ink: impl Into<Ink>) {
        self.fill(&Rect::from_xywh(x, y, w, h).map(PathBuilder::from_rect), ink);
    }

    /// Like [`Canvas::rect`], with rounded corners.
    pub(super) fn rounded(&mut self, area: [f32; 4], radius: f32, ink: impl Into<Ink>) {
        self.fill(&rounded(area, radius), ink);
    }

    /// Fills the full width of the picture from `top` to `bottom` with a gradient between the two colours.
    pub(super) fn band(&mut self, top: f32, bottom: f32, from: Colour, to: Colour) {
        let (width, _) = self.size();
        let ink = Ink::Linear((0.0, top), from, (0.0, bottom), to);
        self.rect(0.0, top, width, bottom - top, ink);
    }

    /// Fills a polygon.
    pub(super) fn polygon(&mut self, corners: &[(f32, f32)], ink: impl Into<Ink>) {
        self.fill(&polygon(corners), ink);
    }

    /// Fills the smooth shape that [`blob`] makes from the corners.
    pub(super) fn blob(&mut self, corners: &[(f32, f32)], ink: impl Into<Ink>) {
        self.fill(&blob(corners), ink);
    }

    /// Draws a line through `points`.
    pub(super) fn line(&mut self, points: &[(f32, f32)], width: f32, colour: Colour) {
        self.stroke(&open(points), width, colour);
    }

    /// Draws a quadratic curve from `a` to `b` with the control point `pull`.
    pub(super) fn curve(&mut self, [a, pull, b]: [(f32, f32); 3], width: f32, colour: Colour) {
        let mut path = PathBuilder::new();
        path.move_to(a.0, a.1);
        path.quad_to(pull.0, pull.1, b.0, b.1);
        self.stroke(&path.finish(), width, colour);
    }

    /// Returns the finished picture.
    pub(super) fn into_image(self) -> RgbImage {
        let (width, height) = (self.pixmap.width(), self.pixmap.height());
        let pixels = self.pixmap.pixels().iter();
        let bytes = pixels.flat_map(|pixel| [pixel.red(), pixel.green(), pixel.blue()]).collect();
        RgbImage::from_raw(width, height, bytes).expect("three bytes per pixel")
    }
}

/// Returns an ellipse centred at `(x, y)`.
pub(super) fn ellipse(x: f32, y: f32, rx: f32, ry: f32) -> Outline {
    Rect::from_xywh(x - rx, y - ry, 2.0 * rx, 2.0 * ry).and_then(PathBuilder::from_oval)
}

/// Returns the rectangle `[x, y, w, h]` with rounded corners.
pub(super) fn rounded([x, y, w, h]: [f32; 4], radius: f32) -> Outline {
    let round = radius.min(w / 2.0).min(h / 2.0);
    let mut path = PathBuilder::new();
    path.move_to(x + round, y);
    path.line_to(x + w - round, y);
    path.quad_to(x + w, y, x + w, y + round);
    path.line_to(x + w, y + h - round);
    path.quad_to(x + w, y + h, x + w - round, y + h);
    path.line_to(x + round, y + h);
    path.quad_to(x, y + h, x, y + h - round);
    path.line_to(x, y + round);
    path.quad_to(x, y, x + round, y);
    path.close();
    path.finish()
}

/// Returns a polygon.
pub(super) fn polygon(corners: &[(f32, f32)]) -> Outline {
    let mut path = builder(corners)?;
    path.close();
    path.finish()
}

/// Returns a closed quadratic B-spline, which passes through the midpoints of the polygon's sides.
pub(super) fn blob(corners: &[(f32, f32)]) -> Outline {
    let middle = |a: (f32, f32), b: (f32, f32)| (f32::midpoint(a.0, b.0), f32::midpoint(a.1, b.1));
    let (first, last) = (*corners.first()?, *corners.last()?);
    let start = middle(last, first);
    let mut path = PathBuilder::new();
    path.move_to(start.0, start.1);
    for (i, &corner) in corners.iter().enumerate() {
        let end = middle(corner, corners[(i + 1) % corners.len()]);
        path.quad_to(corner.0, corner.1, end.0, end.1);
    }
    path.close();
    path.finish()
}

/// Joins two outlines into one, for [`Canvas::fill_ring`].
pub(super) fn together(a: &Outline, b: &Outline) -> Outline {
    let mut path = PathBuilder::new();
    for part in [a, b].into_iter().flatten() {
        path.push_path(part);
    }
    path.finish()
}

fn open(points: &[(f32, f32)]) -> Outline {
    builder(points)?.finish()
}

fn builder(points: &[(f32, f32)]) -> Option<PathBuilder> {
    let (&(x, y), rest) = points.split_first()?;
    let mut path = PathBuilder::new();
    path.move_to(x, y);
    for &(x, y) in rest {
        path.line_to(x, y);
    }
    Some(path)
}

fn paint(ink: Ink) -> Option<Paint<'static>> {
    let stops = |from: Colour, to: Colour| {
        vec![GradientStop::new(0.0, from.into()), GradientStop::new(1.0, to.into())]
    };
    let (mode, still) = (SpreadMode::Pad, Transform::identity());
    let shader = match ink {
        Ink::Flat(colour) => Shader::SolidColor(colour.into()),
        Ink::Linear(a, from, b, to) => {
            LinearGradient::new(a.into(), b.into(), stops(from, to), mode, still)?
        }
        Ink::Radial(centre, from, radius, to) => {
            let centre = Point::from(centre);
            RadialGradient::new(centre, 0.0, centre, radius, stops(from, to), mode, still)?
        }
    };
    Some(Paint { shader, anti_alias: true, ..Paint::default() })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample::colour::hex;

    #[test]
    fn shapes_are_placed_and_clipped() {
        let mut canvas = Canvas::new(20, 20);
        canvas.within(&rounded([0.0, 0.0, 10.0, 20.0], 0.0), |canvas| {
            canvas.placed((10.0, 10.0), 45.0, (4.0, 4.0), |canvas| {
                canvas.rect(-1.0, -1.0, 2.0, 2.0, hex(0xff_0000));
            });
        });
        let image = canvas.into_image();
        let red = |x, y| image.get_pixel(x, y).0[0];
        assert_eq!((red(8, 10), red(6, 10), red(2, 10)), (255, 255, 0));
        assert_eq!((red(6, 6), red(12, 10)), (0, 0)); // outside the rotated square; clipped
    }

    #[test]
    fn an_edge_through_a_pixel_covers_part_of_it() {
        let mut canvas = Canvas::new(4, 4);
        canvas.rect(0.0, 0.0, 1.5, 4.0, hex(0xff_ffff));
        let image = canvas.into_image();
        assert_eq!(image.get_pixel(0, 1).0[0], 255);
        assert!((100..156).contains(&image.get_pixel(1, 1).0[0]));
    }

    #[test]
    fn shapes_of_zero_size_draw_nothing() {
        let mut canvas = Canvas::new(4, 4);
        canvas.ellipse(2.0, 2.0, 0.0, f32::NAN, hex(0xff_ffff));
        canvas.polygon(&[], hex(0xff_ffff));
        canvas.line(&[(1.0, 1.0)], 1.0, hex(0xff_ffff));
        assert!(canvas.into_image().pixels().all(|pixel| pixel.0 == [0; 3]));
    }
}
