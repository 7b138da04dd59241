//! Constants of the loss, shared by libtorch and the native kernels.

/// Maximum number of anchors per face. A face's number of anchors is the sum of its `TOP` highest candidate IoU values.
pub(super) const TOP: i64 = 10;
/// An anchor is a candidate for a face if their centres are at most this many cells apart on each axis.
pub(super) const RADIUS: f64 = 1.5;
/// Weight of −ln(IoU) in an anchor's cost.
pub(super) const IOU_COST: f64 = 3.0;
/// An anchor with this cost or more cannot be assigned.
pub(super) const FORBIDDEN: f64 = 1e6;
/// Minimum IoU at which a box of the base model matches a face.
pub(super) const SAME_FACE: f64 = 0.5;
/// Minimum score at which the base model is sure of a face.
pub(super) const SURE: f64 = 0.5;
/// Keypoint error, in face widths, below which the keypoint loss is roughly quadratic.
pub(super) const FOOT: f64 = 0.02;
/// Minimum number of hard negatives per view.
pub(super) const FEWEST_NEGATIVES: i64 = 10;
