//! Numbers of the loss, the same for libtorch and for our own kernels.

/// The most anchors per face, and how many candidates' overlaps add up to its number of anchors.
pub(super) const TOP: i64 = 10;
/// An anchor may be assigned to a face whose centre is within this many of its cells.
pub(super) const RADIUS: f64 = 1.5;
/// Weight of −ln IoU in the cost of an anchor.
pub(super) const IOU_COST: f64 = 3.0;
/// Cost of an anchor that must not be assigned.
pub(super) const FORBIDDEN: f64 = 1e6;
/// Overlap from which a box of the base model counts as a face's, and score from which it is sure.
pub(super) const SAME_FACE: f64 = 0.5;
pub(super) const SURE: f64 = 0.5;
/// Keypoint errors below this count quadratically, in face widths.
pub(super) const FOOT: f64 = 0.02;
/// Hard negatives per view, at least.
pub(super) const FEWEST_NEGATIVES: i64 = 10;
