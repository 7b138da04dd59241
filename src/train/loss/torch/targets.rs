//! Assigns anchors to faces with libtorch.

use tch::{Device, Kind, Tensor};

use super::boxes::iou;
use crate::model::anchors;
use crate::model::layout::ANCHORS;
use crate::model::torch::anchors::centre_tensor;
use crate::protocol::train_spec::Assignment;
use crate::train::loss::constants::{FORBIDDEN, IOU_COST, RADIUS, TOP};
use crate::train::torch::upload::upload;
use crate::train::views::ViewFace;

/// The faces of a batch, one per row. Faces to learn come first, then ignored faces.
#[derive(Debug)]
pub struct Faces {
    /// `[F, 4]`: centre x, y, width, height, as fractions of the view.
    pub boxes: Tensor,
    /// `[F]`: index of each face's view in the batch.
    pub views: Tensor,
    /// Number of faces to learn.
    learnt: i64,
    /// Number of all faces, including ignored faces.
    count: i64,
    views_without: usize,
    /// `[F, 12]`: x, y of each keypoint, as fractions of the view; NaN if the keypoint is not labelled. `None` if the
    /// batch has no labelled keypoint.
    pub keypoints: Option<Tensor>,
}

impl Faces {
    /// Creates the tensors from the faces of each view.
    pub fn new<V: AsRef<[ViewFace]>>(views: &[V], device: Device) -> Self {
        let (mut boxes, mut indices) = (Vec::<f32>::new(), Vec::<i64>::new());
        let mut points = Vec::<f32>::new();
        let mut push_all = |ignored: bool| {
            for (view, faces) in views.iter().enumerate() {
                for face in faces.as_ref().iter().filter(|face| face.ignored == ignored) {
                    let (x, y) = face.rect.centre();
                    boxes.extend([x, y, face.rect.width(), face.rect.height()]);
                    points.extend(face.keypoints.iter().flat_map(|p| p.unwrap_or([f32::NAN; 2])));
                    indices.push(view as i64);
                }
            }
            indices.len() as i64
        };
        let learnt = push_all(false);
        let count = push_all(true);
        let boxes = upload(&Tensor::from_slice(&boxes).reshape([-1, 4]), device);
        let is_labelled = points.iter().any(|value| !value.is_nan());
        let points = || upload(&Tensor::from_slice(&points).reshape([-1, 12]), device);
        let keypoints = is_labelled.then(points);
        let has_none = |faces: &&V| faces.as_ref().iter().all(|face| face.ignored);
        let views_without = views.iter().filter(has_none).count();
        let views = upload(&Tensor::from_slice(&indices), device);
        Self { boxes, views, learnt, count, views_without, keypoints }
    }

    /// Returns the number of faces to learn.
    pub fn learnt(&self) -> i64 {
        self.learnt
    }

    /// Returns the number of views without a face to learn.
    pub fn views_without(&self) -> usize {
        self.views_without
    }
}

/// The targets of each anchor of a batch. Their shapes do not depend on the number of positives, so the host never has
/// to wait for the GPU to know a shape.
#[derive(Debug)]
pub struct Targets {
    /// `[N, 896]` bool: the positive anchors.
    pub positive: Tensor,
    /// `[N, 896]`: index of each positive anchor's face; an arbitrary face at other anchors.
    pub faces: Tensor,
    /// `[N, 896, 4]`: box of that face.
    pub boxes: Tensor,
    /// `[N, 896]` bool: the anchors near ignored faces, which never count as background.
    pub ignored: Tensor,
}

impl Targets {
    /// Returns the number of positive anchors, a scalar on the device.
    pub fn count(&self) -> Tensor {
        self.positive.sum(Kind::Float)
    }

    /// Returns the targets of a batch without a face to learn.
    fn none(ignored: Tensor) -> Self {
        let [views, anchors] = [0, 1].map(|at| ignored.size()[at]);
        let zeros = |shape: &[i64], kind| Tensor::zeros(shape, (kind, ignored.device()));
        Self {
            positive: zeros(&[views, anchors], Kind::Bool),
            faces: zeros(&[views, anchors], Kind::Int64),
            boxes: zeros(&[views, anchors, 4], Kind::Float),
            ignored,
        }
    }
}

/// The candidates of each face: `K` anchors of the face's view. All tensors are `[F, K]`.
struct Wishes {
    anchors: Tensor,
    costs: Tensor,
    /// Which candidates the face wants.
    taken: Tensor,
}

/// Computes the targets of each anchor with the chosen rule.
///
/// * `logits`: `[N, 896]`, `boxes`: `[N, 896, 4]`, both detached.
pub fn assign(
    rule: Assignment,
    logits: &Tensor,
    boxes: &Tensor,
    faces: &Faces,
    grid: &AnchorGrid,
) -> Targets {
    let _guard = tch::no_grad_guard();
    let ignored = near_ignored(logits, faces, grid);
    if faces.learnt == 0 {
        return Targets::none(ignored);
    }
    let wishes = match rule {
        Assignment::Dynamic => dynamic(logits, boxes, faces, grid),
        Assignment::BestCell => best_cell(faces, grid),
    };
    settle(&wishes, faces, ignored)
}

/// Selects, for each face, all anchors of the cell with the highest IoU, among the cells of both grids. On a tie, the
/// nearest cell wins.
fn best_cell(faces: &Faces, grid: &AnchorGrid) -> Wishes {
    let truth = faces.boxes.narrow(0, 0, faces.learnt);
    let cells = Tensor::cat(&[&grid.centres, &grid.cells.unsqueeze(1).expand([-1, 2], false)], 1);
    let offset = grid.centres.unsqueeze(0) - truth.narrow(1, 0, 2).unsqueeze(1); // [F, 896, 2]
    let distance = offset.square().sum_dim_intlist([2i64].as_slice(), false, Kind::Float);
    let costs = distance * 1e-3 - iou(&cells.unsqueeze(0), &truth.unsqueeze(1)); // [F, 896]
    let best = cells.index_select(0, &costs.argmin(1, false)).unsqueeze(1); // [F, 1, 4]
    let taken = cells.unsqueeze(0).eq_tensor(&best).all_dim(2, false); // [F, 896]
    let anchors = Tensor::arange(ANCHORS as i64, (Kind::Int64, truth.device()));
    Wishes { anchors: anchors.expand_as(&costs), costs, taken }
}

/// Selects, for each face, the anchors that already match it best. Their number is the sum of the face's ten highest
/// candidate IoU values, rounded down, but at least one. The anchors with the lowest cost come first. The cost combines score
/// and IoU.
///
/// Source: SimOTA, <https://arxiv.org/abs/2107.08430>, with the soft score cost of RTMDet,
/// <https://arxiv.org/abs/2212.07784>.
fn dynamic(logits: &Tensor, boxes: &Tensor, faces: &Faces, grid: &AnchorGrid) -> Wishes {
    let f = faces.learnt;
    let (truth, views) = (faces.boxes.narrow(0, 0, f), faces.views.narrow(0, 0, f));
    let found = boxes.index_select(0, &views); // [F, 896, 4]
    let iou = iou(&found, &truth.unsqueeze(1)); // [F, 896]
    let candidate = grid.candidates(&truth); // [F, 896] bool
    let iou = iou * &candidate;
    let cost = score_cost(&logits.index_select(0, &views), &iou) - (&iou + 1e-7).log() * IOU_COST
        + candidate.logical_not() * FORBIDDEN;

    let (best_overlaps, _) = iou.topk(TOP, 1, true, false);
    let wanted = best_overlaps.sum_dim_intlist([1i64].as_slice(), true, Kind::Float);
    let wanted = wanted.floor().clamp_min(1.0); // [F, 1]
    let (costs, anchors) = cost.topk(TOP, 1, false, true); // [F, 10], cheapest first
    let rank = Tensor::arange(TOP, (Kind::Float, logits.device())).unsqueeze(0);
    let taken = rank.lt_tensor(&wanted).logical_and(&costs.lt(FORBIDDEN));
    Wishes { anchors, costs, taken }
}

/// Assigns each wanted anchor to one face. If several faces want it, the face with the lowest cost gets it. On a tie,
/// the first face does.
fn settle(Wishes { anchors, costs, taken }: &Wishes, faces: &Faces, ignored: Tensor) -> Targets {
    let (f, shape) = (faces.learnt, ignored.size());
    let device = ignored.device();
    let views = faces.views.narrow(0, 0, f).unsqueeze(1); // [F, 1]
    let cell = (views * ANCHORS as i64 + anchors).reshape([-1]); // [F × K]
    let costs = costs.masked_fill(&taken.logical_not(), f64::INFINITY).reshape([-1]);
    let cheapest = |from: Tensor, costs: &Tensor| -> Tensor {
        from.internal_scatter_reduce(0, &cell, costs, "amin", true) // [N × 896]
    };
    let least = Tensor::full([ignored.numel() as i64], f64::INFINITY, (Kind::Float, device));
    let least = cheapest(least, &costs).index_select(0, &cell);
    let wins = costs.isfinite().logical_and(&costs.eq_tensor(&least));
    let face = Tensor::arange(f, (Kind::Int64, device)).unsqueeze(1).expand_as(taken);
    let face = face.reshape([-1]).masked_fill(&wins.logical_not(), f);
    let owner = Tensor::full([ignored.numel() as i64], f, (Kind::Int64, device));
    let owner = cheapest(owner, &face);
    let positive = owner.lt(f).view(shape.as_slice());
    let owner = owner.clamp_max(f - 1);
    let boxes = faces.boxes.index_select(0, &owner).view([shape[0], shape[1], 4]);
    Targets { positive, faces: owner.view(shape.as_slice()), boxes, ignored }
}

/// Returns the cost of the gap between score and IoU: cross-entropy, weighted by the squared gap.
fn score_cost(logits: &Tensor, iou: &Tensor) -> Tensor {
    let entropy = logits.softplus() - logits * iou;
    entropy * (logits.sigmoid() - iou).square()
}

/// Returns which anchors have their centre on an ignored face or within half a cell of one: `[N, 896]` bool.
fn near_ignored(logits: &Tensor, faces: &Faces, grid: &AnchorGrid) -> Tensor {
    let mut ignored = Tensor::zeros(logits.size(), (Kind::Bool, logits.device()));
    let count = faces.count - faces.learnt;
    if count > 0 {
        let boxes = faces.boxes.narrow(0, faces.learnt, count);
        let views = faces.views.narrow(0, faces.learnt, count);
        let near = grid.within(&boxes, 0.5, 0.5); // [I, 896]
        ignored =
            ignored.to_kind(Kind::Float).index_add(0, &views, &near.to_kind(Kind::Float)).gt(0.0);
    }
    ignored
}

/// The centres and cell sizes of all anchors as tensors, as fractions of the view.
#[derive(Debug)]
pub struct AnchorGrid {
    /// `[896, 2]`
    pub centres: Tensor,
    /// `[896]`
    cells: Tensor,
}

impl AnchorGrid {
    /// Creates the grid on `device`.
    pub fn new(device: Device) -> Self {
        let cells = Tensor::from_slice(&anchors::cells()).to_device(device);
        Self { centres: centre_tensor(device), cells }
    }

    /// Returns which anchors are on each face or close to its centre: `[F, 4]` → `[F, 896]` bool.
    fn candidates(&self, faces: &Tensor) -> Tensor {
        self.within(faces, 0.0, RADIUS).logical_or(&self.within(faces, 0.5, 0.0))
    }

    /// Returns which anchors are near each box's centre: on each axis, at most `share` of the box's side plus `cells`
    /// of the anchor's cells away. `[F, 4]` → `[F, 896]` bool.
    fn within(&self, boxes: &Tensor, share: f64, cells: f64) -> Tensor {
        let offset = (self.centres.unsqueeze(0) - boxes.narrow(1, 0, 2).unsqueeze(1)).abs(); // [F, 896, 2]
        let reach = boxes.narrow(1, 2, 2).unsqueeze(1) * share; // [F, 1, 2]
        let reach = reach + (&self.cells * cells).reshape([1, -1, 1]);
        offset.le_tensor(&reach).all_dim(2, false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;

    fn face(x: f32, y: f32, side: f32, ignored: bool) -> ViewFace {
        ViewFace::new(Rect::around(x, y, side, side), ignored)
    }

    /// Returns outputs in which every anchor predicts a box of this side at the anchor's centre, with a logit of 0.
    fn outputs(views: i64, side: f64) -> (Tensor, Tensor) {
        let count = ANCHORS as i64;
        let centres = centre_tensor(Device::Cpu).unsqueeze(0);
        let sides = Tensor::full([1, count, 2], side, (Kind::Float, Device::Cpu));
        let boxes = Tensor::cat(&[centres, sides], 2).repeat([views, 1, 1]);
        (Tensor::zeros([views, count], (Kind::Float, Device::Cpu)), boxes)
    }

    /// Returns the positive anchors as `view × 896 + anchor`.
    fn positives(targets: &Targets) -> Vec<i64> {
        Vec::try_from(targets.positive.reshape([-1]).nonzero().squeeze_dim(1)).unwrap()
    }

    fn assigned(views: &[Vec<ViewFace>], side: f64) -> (Vec<i64>, Targets) {
        let (logits, boxes) = outputs(views.len() as i64, side);
        let views: Vec<&[ViewFace]> = views.iter().map(Vec::as_slice).collect();
        let faces = Faces::new(&views, Device::Cpu);
        let grid = AnchorGrid::new(Device::Cpu);
        let targets = assign(Assignment::Dynamic, &logits, &boxes, &faces, &grid);
        (positives(&targets), targets)
    }

    #[test]
    fn every_face_gets_a_nearby_anchor_even_if_no_box_matches_it() {
        let (positive, _) = assigned(&[vec![face(0.3, 0.7, 0.03, false)]], 0.9);
        assert!(!positive.is_empty());
        let centres = anchors::centres();
        for anchor in positive {
            let [x, y] = centres[anchor as usize];
            assert!((x - 0.3).abs() < 0.2 && (y - 0.7).abs() < 0.2, "{x} {y}");
        }
    }

    #[test]
    fn a_face_that_many_boxes_match_gets_several_anchors_but_at_most_ten() {
        let (positive, targets) = assigned(&[vec![face(0.5, 0.5, 0.5, false)]], 0.5);
        assert!((2..=10).contains(&positive.len()), "{positive:?}");
        assert_eq!(targets.count().double_value(&[]), positive.len() as f64);
    }

    #[test]
    fn small_faces_use_the_fine_grid_and_large_faces_the_coarse_grid() {
        let grid = AnchorGrid::new(Device::Cpu);
        let (logits, boxes) = outputs(1, 0.1);
        let taken = |faces: &[ViewFace]| -> Vec<i64> {
            let faces = Faces::new(&[faces], Device::Cpu);
            positives(&assign(Assignment::BestCell, &logits, &boxes, &faces, &grid))
        };
        let cell = 1.0 / 16.0;
        // The second cell in the first row of the fine grid, then the first cell of the coarse grid.
        assert_eq!(taken(&[face(1.5 * cell, 0.5 * cell, cell, false)]), [2, 3]);
        let coarse: Vec<i64> = (512..518).collect();
        assert_eq!(taken(&[face(0.0625, 0.0625, 0.12, false)]), coarse);
        assert_eq!(taken(&[]), Vec::<i64>::new());
        let large = taken(&[face(0.5, 0.5, 0.9, false)]);
        assert!(large.len() == 6 && large[0] >= 512, "{large:?}");
    }

    #[test]
    fn an_anchor_is_assigned_to_only_one_face() {
        let twins = vec![face(0.5, 0.5, 0.3, false), face(0.51, 0.5, 0.3, false)];
        let (positive, targets) = assigned(&[twins], 0.3);
        let owners: Vec<i64> = Vec::try_from(targets.faces.reshape([-1])).unwrap();
        let of = |face: i64| positive.iter().filter(|&&at| owners[at as usize] == face).count();
        assert!(of(0) > 0 && of(1) > 0, "{positive:?}");
        assert_eq!(of(0) + of(1), positive.len());
    }

    #[test]
    fn anchors_with_nan_outputs_are_assigned_to_no_face() {
        let (logits, boxes) = outputs(1, 0.2);
        let faces = Faces::new(&[&[face(0.5, 0.5, 0.2, false)]], Device::Cpu);
        let grid = AnchorGrid::new(Device::Cpu);
        let (logits, boxes) = (logits * f64::NAN, boxes * f64::NAN);
        let targets = assign(Assignment::Dynamic, &logits, &boxes, &faces, &grid);
        assert_eq!(targets.count().double_value(&[]), 0.0);
    }

    #[test]
    fn a_face_gets_only_anchors_of_its_own_view() {
        let views = [vec![], vec![face(0.5, 0.5, 0.2, false)]];
        let (positive, _) = assigned(&views, 0.2);
        assert!(positive.iter().all(|&anchor| anchor >= ANCHORS as i64), "{positive:?}");
    }

    #[test]
    fn anchors_on_an_ignored_face_are_neither_positive_nor_background() {
        let (positive, targets) = assigned(&[vec![face(0.5, 0.5, 0.2, true)], vec![]], 0.2);
        assert!(positive.is_empty());
        let ignored = |view: i64| targets.ignored.get(view).sum(Kind::Int64).int64_value(&[]);
        assert!(ignored(0) > 4);
        assert_eq!(ignored(1), 0);
    }
}
