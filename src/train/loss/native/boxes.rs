//! The box loss. A box is `[centre x, centre y, width, height]`.

use super::{NativeGrid, Positive};
use crate::model::layout::{COORDINATES, INPUT_SIZE};
use crate::model::outputs::OutputsRef;
use crate::protocol::train_spec::{BoxLoss, Loss};

/// A loss and its gradient with respect to the predicted box.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    pub(super) value: f32,
    pub(super) gradient: [f32; 4],
}

/// Sets the IoU and box loss of each positive anchor, and adds the gradient to `coordinates`.
///
/// * `count`: the number of positive anchors to divide by.
pub(super) fn add(
    outputs: &OutputsRef<'_>,
    grid: &NativeGrid,
    targets: &[[f32; 4]],
    loss: &Loss,
    count: f64,
    positives: &mut [Positive],
    coordinates: &mut [f32],
) {
    let weight = (loss.box_weight / count) as f32;
    for (positive, &truth) in positives.iter_mut().zip(targets) {
        let found = grid.decode(outputs, positive.anchor);
        let cost = match loss.box_loss {
            BoxLoss::Diou => diou(found, truth),
            BoxLoss::Huber => huber(found, truth),
        };
        positive.overlap = iou(found, truth);
        positive.box_loss = cost.value * weight;
        let into = &mut coordinates[positive.anchor * COORDINATES..];
        for (into, gradient) in into.iter_mut().zip(cost.gradient) {
            *into += gradient * weight / INPUT_SIZE as f32;
        }
    }
}

/// Returns the intersection over union of two boxes.
pub(super) fn iou(a: [f32; 4], b: [f32; 4]) -> f32 {
    let along = |at: usize, length: usize| {
        let (half_a, half_b) = (a[length].max(0.0) / 2.0, b[length].max(0.0) / 2.0);
        ((a[at] + half_a).min(b[at] + half_b) - (a[at] - half_a).max(b[at] - half_b)).max(0.0)
    };
    let both = along(0, 2) * along(1, 3);
    let area = |of: [f32; 4]| of[2].max(0.0) * of[3].max(0.0);
    both / (area(a) + area(b) - both).max(1e-9)
}

/// Returns 1 − DIoU: 1 − IoU plus the squared distance between the centres, divided by the squared diagonal of the
/// enclosing box.
pub(super) fn diou(a: [f32; 4], b: [f32; 4]) -> Cost {
    let (x, y) = (Axis::new(a[0], a[2], b[0], b[2]), Axis::new(a[1], a[3], b[1], b[3]));
    let both = x.overlap * y.overlap;
    let area_a = x.length * y.length;
    let whole = area_a + b[2].max(0.0) * b[3].max(0.0) - both;
    let union = whole.max(1e-9);
    let grows = if whole >= 1e-9 { 1.0 } else { 0.0 };
    // Derivatives of the IoU with respect to the intersection's area and to the area of `a`.
    let by_both = (union + both * grows) / (union * union);
    let by_area = -both * grows / (union * union);

    let apart = (a[0] - b[0]).powi(2) + (a[1] - b[1]).powi(2);
    let around = x.around * x.around + y.around * y.around;
    let diagonal = around.max(1e-9);
    let by_around = if around >= 1e-9 { -apart / (diagonal * diagonal) } else { 0.0 };

    let gradient = |axis: &Axis, other: &Axis, gap: f32| {
        let at = -by_both * axis.overlap_by[0] * other.overlap
            + 2.0 * gap / diagonal
            + by_around * 2.0 * axis.around * axis.around_by[0];
        let length = -by_both * axis.overlap_by[1] * other.overlap
            - by_area * axis.length_by * other.length
            + by_around * 2.0 * axis.around * axis.around_by[1];
        (at, length)
    };
    let (by_x, by_width) = gradient(&x, &y, a[0] - b[0]);
    let (by_y, by_height) = gradient(&y, &x, a[1] - b[1]);
    Cost {
        value: 1.0 - both / union + apart / diagonal,
        gradient: [by_x, by_y, by_width, by_height],
    }
}

/// Two intervals on one axis, with derivatives with respect to the first interval's centre and length.
struct Axis {
    /// Length of the first interval; at least 0.
    length: f32,
    length_by: f32,
    overlap: f32,
    overlap_by: [f32; 2],
    /// Length of the interval that encloses both.
    around: f32,
    around_by: [f32; 2],
}

impl Axis {
    fn new(at: f32, length: f32, other_at: f32, other_length: f32) -> Self {
        let length_by = if length >= 0.0 { 1.0 } else { 0.0 };
        let (half, other_half) = (length.max(0.0) / 2.0, other_length.max(0.0) / 2.0);
        let (low, high) = (at - half, at + half);
        let (other_low, other_high) = (other_at - other_half, other_at + other_half);
        // How much each end of the intersection moves with the first interval's end.
        let inner_high = share(high < other_high, high == other_high);
        let inner_low = share(low > other_low, low == other_low);
        let overlap = high.min(other_high) - low.max(other_low);
        let is_there = if overlap >= 0.0 { 1.0 } else { 0.0 };
        let by = |of_high: f32, of_low: f32| {
            [of_high - of_low, f32::midpoint(of_high, of_low) * length_by]
        };
        Self {
            length: length.max(0.0),
            length_by,
            overlap: overlap.max(0.0),
            overlap_by: by(inner_high, inner_low).map(|by| by * is_there),
            around: high.max(other_high) - low.min(other_low),
            around_by: by(1.0 - inner_high, 1.0 - inner_low),
        }
    }
}

/// Returns how much an end of the intersection moves with the first interval's end: 1 or 0, or 0.5 for a tie.
fn share(is_first: bool, is_tie: bool) -> f32 {
    match (is_first, is_tie) {
        (_, true) => 0.5,
        (true, false) => 1.0,
        (false, false) => 0.0,
    }
}

/// Returns the Huber loss, averaged over the four edges of a box.
fn huber(a: [f32; 4], b: [f32; 4]) -> Cost {
    let (mut value, mut gradient) = (0.0, [0.0; 4]);
    for (at, length) in [(0, 2), (1, 3)] {
        for side in [-0.5, 0.5] {
            let gap = (a[at] + side * a[length]) - (b[at] + side * b[length]);
            let (cost, slope) = match gap.abs() {
                small @ ..1.0 => (0.5 * small * small, gap),
                large => (large - 0.5, gap.signum()),
            };
            value += cost / 4.0;
            gradient[at] += slope / 4.0;
            gradient[length] += side * slope / 4.0;
        }
    }
    Cost { value, gradient }
}
