//! IoU and distance of boxes, on tensors.

use tch::{Kind, Tensor};

/// Boxes of any shape `[…, 4]`, split into the parts that IoU and distance need. Each part is computed only once,
/// because every operation costs a kernel launch on a GPU.
#[derive(Debug)]
pub struct Boxes {
    /// `[…, 2]`, like `low` and `high`.
    centre: Tensor,
    low: Tensor,
    high: Tensor,
    /// `[…]`
    area: Tensor,
}

impl Boxes {
    /// Splits boxes whose last dimension is centre x, y, width, height.
    pub fn of(boxes: &Tensor) -> Self {
        let mut halves = boxes.chunk(2, -1);
        let sides = halves.swap_remove(1).clamp_min(0.0);
        let (centre, half) = (halves.swap_remove(0), &sides / 2.0);
        Self { low: &centre - &half, high: &centre + half, area: product(&sides), centre }
    }

    /// Returns the intersection over union with other boxes: `[…]`.
    pub fn iou(&self, other: &Self) -> Tensor {
        let overlap = self.high.minimum(&other.high) - self.low.maximum(&other.low);
        let overlap = product(&overlap.clamp_min(0.0));
        let union = &self.area + &other.area - &overlap;
        overlap / union.clamp_min(1e-9)
    }

    /// Returns the squared distance between the centres, divided by the squared diagonal of the enclosing box: `[…]`.
    pub fn distance(&self, other: &Self) -> Tensor {
        let around = self.high.maximum(&other.high) - self.low.minimum(&other.low);
        squared(&(&self.centre - &other.centre)) / squared(&around).clamp_min(1e-9)
    }
}

/// Returns the intersection over union of boxes whose last dimension is centre x, y, width, height.
pub fn iou(a: &Tensor, b: &Tensor) -> Tensor {
    Boxes::of(a).iou(&Boxes::of(b))
}

/// Multiplies the two numbers of each pair. The gradient of libtorch's `prod` checks for zeros on the host, which then
/// waits for the device.
fn product(pairs: &Tensor) -> Tensor {
    let sides = pairs.unbind(-1);
    &sides[0] * &sides[1]
}

/// Returns the squared length of each vector.
fn squared(vectors: &Tensor) -> Tensor {
    vectors.square().sum_dim_intlist([-1i64].as_slice(), false, Kind::Float)
}
