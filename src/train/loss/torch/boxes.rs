//! Overlaps and distances of boxes in tensors.

use tch::{Kind, Tensor};

/// Boxes of any shape `[…, 4]`, in the parts that overlaps and distances are made of, each computed once: every
/// operation costs the GPU's host a launch.
#[derive(Debug)]
pub struct Boxes {
    /// `[…, 2]`
    centre: Tensor,
    low: Tensor,
    high: Tensor,
    /// `[…]`
    area: Tensor,
}

impl Boxes {
    /// * `boxes`: centre x, y, width, height in the last dimension.
    pub fn of(boxes: &Tensor) -> Self {
        let mut halves = boxes.chunk(2, -1);
        let sides = halves.swap_remove(1).clamp_min(0.0);
        let (centre, half) = (halves.swap_remove(0), &sides / 2.0);
        Self { low: &centre - &half, high: &centre + half, area: product(&sides), centre }
    }

    /// Intersection over union with others: `[…]`.
    pub fn iou(&self, other: &Self) -> Tensor {
        let overlap = self.high.minimum(&other.high) - self.low.maximum(&other.low);
        let overlap = product(&overlap.clamp_min(0.0));
        let union = &self.area + &other.area - &overlap;
        overlap / union.clamp_min(1e-9)
    }

    /// Squared distance of the centres over the squared diagonal of the box around both: `[…]`.
    pub fn distance(&self, other: &Self) -> Tensor {
        let around = self.high.maximum(&other.high) - self.low.minimum(&other.low);
        squared(&(&self.centre - &other.centre)) / squared(&around).clamp_min(1e-9)
    }
}

/// Intersection over union of boxes given as centre x, y, width, height in the last dimension.
pub fn iou(a: &Tensor, b: &Tensor) -> Tensor {
    Boxes::of(a).iou(&Boxes::of(b))
}

/// The product of pairs. The gradient of libtorch's own product along a dimension asks the device whether there are
/// zeros, and waits for it.
fn product(pairs: &Tensor) -> Tensor {
    let sides = pairs.unbind(-1);
    &sides[0] * &sides[1]
}

/// Length of vectors, squared.
fn squared(vectors: &Tensor) -> Tensor {
    vectors.square().sum_dim_intlist([-1i64].as_slice(), false, Kind::Float)
}
