//! Tracks how much of each face remains visible once everything is drawn.

/// An ellipse or a box in the picture, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shape {
    /// An ellipse: centre, semi-axes and clockwise rotation in degrees.
    Ellipse { x: f32, y: f32, rx: f32, ry: f32, degrees: f32 },
    /// An upright rectangle.
    Box(Bounds),
}

/// An upright rectangle given by two opposite corners, in pixels.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bounds {
    pub(super) x0: f32,
    pub(super) y0: f32,
    pub(super) x1: f32,
    pub(super) y1: f32,
}

impl Bounds {
    fn contains(&self, x: f32, y: f32) -> bool {
        (self.x0..self.x1).contains(&x) && (self.y0..self.y1).contains(&y)
    }

    pub(super) fn width(&self) -> f32 {
        self.x1 - self.x0
    }

    pub(super) fn height(&self) -> f32 {
        self.y1 - self.y0
    }

    fn clipped(&self, to: &Self) -> Self {
        Self {
            x0: self.x0.clamp(to.x0, to.x1),
            y0: self.y0.clamp(to.y0, to.y1),
            x1: self.x1.clamp(to.x0, to.x1),
            y1: self.y1.clamp(to.y0, to.y1),
        }
    }
}

impl Shape {
    fn contains(&self, x: f32, y: f32) -> bool {
        match *self {
            Self::Box(bounds) => bounds.contains(x, y),
            Self::Ellipse { x: cx, y: cy, rx, ry, degrees } => {
                let (sin, cos) = degrees.to_radians().sin_cos();
                let (dx, dy) = (x - cx, y - cy);
                let (along, across) = ((dx * cos + dy * sin) / rx, (dy * cos - dx * sin) / ry);
                along * along + across * across < 1.0
            }
        }
    }

    fn bounds(&self) -> Bounds {
        match *self {
            Self::Box(bounds) => bounds,
            Self::Ellipse { x, y, rx, ry, degrees } => {
                let (sin, cos) = degrees.to_radians().sin_cos();
                let (half_w, half_h) = ((rx * cos).hypot(ry * sin), (rx * sin).hypot(ry * cos));
                Bounds { x0: x - half_w, y0: y - half_h, x1: x + half_w, y1: y + half_h }
            }
        }
    }
}

/// Everything drawn so far, from back to front. Each layer is visible only inside its `frame`, such as a window.
#[derive(Debug, Default)]
pub(super) struct Layers(Vec<Layer>);

#[derive(Debug)]
struct Layer {
    shape: Shape,
    frame: Bounds,
    is_face: bool,
}

impl Layers {
    /// Adds a shape that hides everything behind it.
    pub(super) fn hide(&mut self, shape: Shape, frame: Bounds) {
        self.0.push(Layer { shape, frame, is_face: false });
    }

    /// Adds a face. Add its head with [`Self::hide`] first, so that the head does not hide the face.
    pub(super) fn face(&mut self, shape: Shape, frame: Bounds) {
        self.0.push(Layer { shape, frame, is_face: true });
    }

    /// Whether these shapes would leave another face half hidden.
    pub(super) fn would_half_hide(&mut self, shapes: [Shape; 2], frame: Bounds) -> bool {
        let count = self.0.len();
        let half = |layers: &Self| {
            let faces = (0..count).filter(|&i| layers.0[i].is_face);
            let seen: Vec<_> = faces.map(|i| layers.seen_share(i)).collect();
            seen.into_iter().filter(|seen| (0.05..0.7).contains(seen)).count()
        };
        let before = half(self);
        for shape in shapes {
            self.hide(shape, frame);
        }
        let after = half(self);
        self.0.truncate(count);
        after > before
    }

    /// Returns boxes around all faces so far, including hidden faces.
    pub(super) fn faces(&self) -> impl Iterator<Item = Bounds> {
        self.0.iter().filter(|layer| layer.is_face).map(|layer| layer.shape.bounds())
    }

    /// Returns boxes around the faces that are visible enough, clipped to their frames.
    pub(super) fn visible_faces(&self) -> Vec<Bounds> {
        let face_at = |i: usize| {
            let Layer { shape, frame, .. } = &self.0[i];
            let bounds = shape.bounds().clipped(frame);
            let seen = self.seen_share(i) >= MIN_SEEN;
            (seen && bounds.width().min(bounds.height()) >= MIN_SIDE).then_some(bounds)
        };
        (0..self.0.len()).filter(|&i| self.0[i].is_face).filter_map(face_at).collect()
    }

    /// Returns the share of the face at `index` that is inside its frame and not hidden by later layers.
    fn seen_share(&self, index: usize) -> f32 {
        let Layer { shape, frame, .. } = &self.0[index];
        let (whole, later) = (shape.bounds(), &self.0[index + 1..]);
        let (mut inside, mut seen) = (0, 0);
        for cell in 0..GRID * GRID {
            let (column, row) = ((cell % GRID) as f32 + 0.5, (cell / GRID) as f32 + 0.5);
            let x = whole.x0 + whole.width() * column / GRID as f32;
            let y = whole.y0 + whole.height() * row / GRID as f32;
            let is_hidden =
                |l: &Layer| !l.is_face && l.frame.contains(x, y) && l.shape.contains(x, y);
            if shape.contains(x, y) {
                inside += 1;
                seen += i32::from(frame.contains(x, y) && !later.iter().any(is_hidden));
            }
        }
        seen as f32 / inside.max(1) as f32
    }
}

/// The smallest visible share of a face that gets a box.
const MIN_SEEN: f32 = 0.3;
/// The smallest side of a box, in pixels. Smaller faces get no box.
const MIN_SIDE: f32 = 4.0;
const GRID: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    const PICTURE: Bounds = Bounds { x0: 0.0, y0: 0.0, x1: 100.0, y1: 100.0 };

    fn head(x: f32, y: f32) -> Shape {
        Shape::Ellipse { x, y, rx: 10.0, ry: 20.0, degrees: 0.0 }
    }

    #[test]
    fn a_face_at_the_edge_is_clipped_and_a_face_outside_is_dropped() {
        let mut layers = Layers::default();
        layers.face(head(5.0, 50.0), PICTURE);
        layers.face(head(-8.0, 50.0), PICTURE);
        let expected = Bounds { x0: 0.0, y0: 30.0, x1: 15.0, y1: 70.0 };
        assert_eq!(layers.visible_faces(), [expected]);
    }

    #[test]
    fn only_later_layers_hide_a_face() {
        let cover = Shape::Box(Bounds { x0: 0.0, y0: 0.0, x1: 100.0, y1: 60.0 });
        let mut layers = Layers::default();
        layers.hide(cover, PICTURE);
        layers.face(head(50.0, 50.0), PICTURE);
        assert_eq!(layers.visible_faces().len(), 1);
        layers.hide(cover, PICTURE); // This hides three quarters of the face.
        assert!(layers.visible_faces().is_empty());
    }

    #[test]
    fn a_shape_hides_nothing_outside_its_frame() {
        let window = Bounds { x0: 0.0, y0: 0.0, x1: 20.0, y1: 100.0 };
        let mut layers = Layers::default();
        layers.face(head(50.0, 50.0), PICTURE);
        layers.hide(Shape::Box(PICTURE), window);
        assert_eq!(layers.visible_faces().len(), 1);
    }

    #[test]
    fn an_ellipse_rotated_by_90_degrees_swaps_its_axes() {
        let shape = Shape::Ellipse { x: 50.0, y: 50.0, rx: 10.0, ry: 20.0, degrees: 90.0 };
        let bounds = shape.bounds();
        assert!((bounds.width() - 40.0).abs() < 1e-3 && (bounds.height() - 20.0).abs() < 1e-3);
        assert!(shape.contains(68.0, 50.0) && !shape.contains(50.0, 68.0));
    }
}
