//! Which anchors are to find which face.

use tch::{Device, Kind, Tensor};

use super::device::upload;
use super::spec::Assignment;
use super::views::ViewFace;
use crate::model::anchors;
use crate::model::layout::ANCHORS;

/// The faces of a batch, one row each.
#[derive(Debug)]
pub struct Faces {
    /// `[F, 4]`: centre x, y, width, height, as fractions of the view.
    pub boxes: Tensor,
    /// `[F]`: which view of the batch.
    pub views: Tensor,
    /// How many are to be learnt; they come first.
    learnt: i64,
    /// All, the ignored ones included.
    count: i64,
    views_without: usize,
    /// `[F, 12]`: x, y of each keypoint, as fractions of the view, not a number where it is not labelled;
    /// `None` where none is.
    pub keypoints: Option<Tensor>,
}

impl Faces {
    /// From the faces of each view.
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
        let keypoints =
            is_labelled.then(|| upload(&Tensor::from_slice(&points).reshape([-1, 12]), device));
        let has_none = |faces: &&V| faces.as_ref().iter().all(|face| face.ignored);
        let views_without = views.iter().filter(has_none).count();
        let views = upload(&Tensor::from_slice(&indices), device);
        Self { boxes, views, learnt, count, views_without, keypoints }
    }

    /// Faces to be learnt.
    pub fn learnt(&self) -> i64 {
        self.learnt
    }

    /// Views in which there is none to be learnt.
    pub fn views_without(&self) -> usize {
        self.views_without
    }
}

/// What each anchor of a batch is to say.
#[derive(Debug)]
pub struct Targets {
    /// `[P]`: the anchors that are to find a face, as `view × 896 + anchor`, each once.
    pub positive: Tensor,
    /// `[P]`: the face that each is to find.
    pub faces: Tensor,
    /// `[P, 4]`: the box each is to give.
    pub boxes: Tensor,
    /// `[N, 896]` bool: background that must not be punished, near ignored faces.
    pub ignored: Tensor,
}

/// Anchors a face may take at most, and candidates whose overlaps are added up for its number.
pub(super) const TOP: i64 = 10;
/// An anchor may find a face whose centre is within this many of its cells.
pub(super) const RADIUS: f64 = 1.5;
/// Weight of −ln IoU in the cost of an anchor.
pub(super) const IOU_COST: f64 = 3.0;
/// Cost of what must not be taken.
pub(super) const FORBIDDEN: f64 = 1e6;

/// What each anchor is to say, by the rule that was chosen.
///
/// * `logits`: `[N, 896]`, `boxes`: `[N, 896, 4]`, both detached.
pub fn assign(
    rule: Assignment,
    logits: &Tensor,
    boxes: &Tensor,
    faces: &Faces,
    grid: &AnchorGrid,
) -> Targets {
    match rule {
        Assignment::Dynamic => dynamic(logits, boxes, faces, grid),
        Assignment::BestCell => best_cell(logits, faces, grid),
    }
}

/// Gives each face all anchors of the one cell, of either grid, that overlaps it most; the nearest one
/// where several lie within it.
fn best_cell(logits: &Tensor, faces: &Faces, grid: &AnchorGrid) -> Targets {
    let _guard = tch::no_grad_guard();
    let truth = faces.boxes.narrow(0, 0, faces.learnt);
    let cells = Tensor::cat(&[&grid.centres, &grid.cells.unsqueeze(1).expand([-1, 2], false)], 1);
    let offset = grid.centres.unsqueeze(0) - truth.narrow(1, 0, 2).unsqueeze(1); // [F, 896, 2]
    let distance = offset.square().sum_dim_intlist([2i64].as_slice(), false, Kind::Float);
    let cost = distance * 1e-3 - iou(&cells.unsqueeze(0), &truth.unsqueeze(1)); // [F, 896]
    let pairs = if faces.learnt == 0 {
        Tensor::zeros([0, 2], (Kind::Int64, logits.device()))
    } else {
        let best = cells.index_select(0, &cost.argmin(1, false)).unsqueeze(1); // [F, 1, 4]
        cells.unsqueeze(0).eq_tensor(&best).all_dim(2, false).nonzero() // [Q, 2]: face, anchor
    };
    let (face, anchor) = (pairs.select(1, 0), pairs.select(1, 1));
    let cell = faces.views.index_select(0, &face) * ANCHORS as i64 + &anchor;
    let cost = cost.reshape([-1]).index_select(0, &(&face * ANCHORS as i64 + anchor));
    let keep = cheapest_of_each(&cell, &cost);
    let (positive, face) = (cell.index_select(0, &keep), face.index_select(0, &keep));
    let ignored = near_ignored(logits, faces, grid);
    Targets { positive, boxes: truth.index_select(0, &face), faces: face, ignored }
}

/// Gives each face the anchors that already find it best: as many as the overlaps of its ten best
/// candidates add up to, at least one; the cheapest first, where the cost joins score and overlap.
/// An anchor wanted by several faces goes to the one it is cheapest for.
///
/// Source: `SimOTA`, <https://arxiv.org/abs/2107.08430>, with the soft score cost of `RTMDet`,
/// <https://arxiv.org/abs/2212.07784>.
fn dynamic(logits: &Tensor, boxes: &Tensor, faces: &Faces, grid: &AnchorGrid) -> Targets {
    let _guard = tch::no_grad_guard();
    let ignored = near_ignored(logits, faces, grid);
    let f = faces.learnt;
    if f == 0 {
        let none = Tensor::zeros([0], (Kind::Int64, logits.device()));
        let boxes = Tensor::zeros([0, 4], (Kind::Float, logits.device()));
        return Targets { faces: none.shallow_clone(), positive: none, boxes, ignored };
    }
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
    let taken = rank.lt_tensor(&wanted).logical_and(&costs.lt(FORBIDDEN)); // [F, 10]

    // One row a (face, anchor) pair.
    let pairs = taken.nonzero(); // [Q, 2]: face, rank
    let face = pairs.select(1, 0);
    let cell = (&views.unsqueeze(1) * ANCHORS as i64 + anchors).masked_select(&taken); // [Q]
    let cost = costs.masked_select(&taken);
    let keep = cheapest_of_each(&cell, &cost);
    let (positive, face) = (cell.index_select(0, &keep), face.index_select(0, &keep));
    Targets { positive, boxes: truth.index_select(0, &face), faces: face, ignored }
}

/// Where the cheapest pair of each cell stands: `[Q]`, `[Q]` → `[P]`.
fn cheapest_of_each(cell: &Tensor, cost: &Tensor) -> Tensor {
    let by_cost = cost.argsort(0, false);
    let (cells, by_cell) = cell.index_select(0, &by_cost).sort_stable(true, 0, false);
    let first = cells.ones_like().to_kind(Kind::Bool);
    if cells.numel() == 0 {
        return by_cell; // Costs that are not numbers pick no anchor.
    }
    let more = cells.size()[0] - 1;
    first.narrow(0, 1, more).copy_(&cells.narrow(0, 1, more).ne_tensor(&cells.narrow(0, 0, more)));
    by_cost.index_select(0, &by_cell).masked_select(&first)
}

/// What a score that is far from the overlap costs: cross-entropy, weighted by the gap squared.
fn score_cost(logits: &Tensor, iou: &Tensor) -> Tensor {
    let entropy = logits.softplus() - logits * iou;
    entropy * (logits.sigmoid() - iou).square()
}

/// Anchors whose centre lies on an ignored face, or within half a cell of it.
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

/// Anchor centres and cells as tensors.
#[derive(Debug)]
pub struct AnchorGrid {
    /// `[896, 2]`.
    pub centres: Tensor,
    /// `[896]`.
    cells: Tensor,
}

impl AnchorGrid {
    /// On `device`.
    pub fn new(device: Device) -> Self {
        let cells = Tensor::from_slice(&anchors::cells()).to_device(device);
        Self { centres: anchors::centre_tensor(device), cells }
    }

    /// Anchors on the face, or close to its centre. `[F, 4]` → `[F, 896]` bool.
    fn candidates(&self, faces: &Tensor) -> Tensor {
        self.within(faces, 0.0, RADIUS).logical_or(&self.within(faces, 0.5, 0.0))
    }

    /// Anchors within `share` of the box's sides plus `cells` of their own cells of its centre.
    fn within(&self, boxes: &Tensor, share: f64, cells: f64) -> Tensor {
        let offset = (self.centres.unsqueeze(0) - boxes.narrow(1, 0, 2).unsqueeze(1)).abs(); // [F, 896, 2]
        let reach = boxes.narrow(1, 2, 2).unsqueeze(1) * share; // [F, 1, 2]
        let reach = reach + (&self.cells * cells).reshape([1, -1, 1]);
        offset.le_tensor(&reach).all_dim(2, false)
    }
}

/// Intersection over union of boxes given as centre x, y, width, height in the last dimension.
pub fn iou(a: &Tensor, b: &Tensor) -> Tensor {
    let corners = |boxes: &Tensor| {
        let centre = boxes.narrow(-1, 0, 2);
        let half = boxes.narrow(-1, 2, 2).clamp_min(0.0) / 2.0;
        (&centre - &half, centre + half)
    };
    let area =
        |boxes: &Tensor| boxes.narrow(-1, 2, 2).clamp_min(0.0).prod_dim_int(-1, false, Kind::Float);
    let ((a_low, a_high), (b_low, b_high)) = (corners(a), corners(b));
    let overlap = (a_high.minimum(&b_high) - a_low.maximum(&b_low)).clamp_min(0.0);
    let overlap = overlap.prod_dim_int(-1, false, Kind::Float);
    let union = area(a) + area(b) - &overlap;
    overlap / union.clamp_min(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Rect;

    fn face(x: f32, y: f32, side: f32, ignored: bool) -> ViewFace {
        ViewFace::new(Rect::around(x, y, side, side), ignored)
    }

    /// Every anchor finds a face of this side at its own centre, with a logit of 0.
    fn outputs(views: i64, side: f64) -> (Tensor, Tensor) {
        let count = ANCHORS as i64;
        let centres = anchors::centre_tensor(Device::Cpu).unsqueeze(0);
        let sides = Tensor::full([1, count, 2], side, (Kind::Float, Device::Cpu));
        let boxes = Tensor::cat(&[centres, sides], 2).repeat([views, 1, 1]);
        (Tensor::zeros([views, count], (Kind::Float, Device::Cpu)), boxes)
    }

    fn assigned(views: &[Vec<ViewFace>], side: f64) -> (Vec<i64>, Targets) {
        let (logits, boxes) = outputs(views.len() as i64, side);
        let views: Vec<&[ViewFace]> = views.iter().map(Vec::as_slice).collect();
        let faces = Faces::new(&views, Device::Cpu);
        let targets = dynamic(&logits, &boxes, &faces, &AnchorGrid::new(Device::Cpu));
        (Vec::try_from(&targets.positive).unwrap(), targets)
    }

    #[test]
    fn every_face_gets_an_anchor_near_it_even_one_that_overlaps_none() {
        let (positive, _) = assigned(&[vec![face(0.3, 0.7, 0.03, false)]], 0.9);
        assert!(!positive.is_empty());
        let centres = anchors::centres();
        for anchor in positive {
            let [x, y] = centres[anchor as usize];
            assert!((x - 0.3).abs() < 0.2 && (y - 0.7).abs() < 0.2, "{x} {y}");
        }
    }

    #[test]
    fn a_face_that_many_anchors_find_gets_several_but_at_most_ten() {
        let (positive, targets) = assigned(&[vec![face(0.5, 0.5, 0.5, false)]], 0.5);
        assert!((2..=10).contains(&positive.len()), "{positive:?}");
        assert_eq!(targets.boxes.size(), [positive.len() as i64, 4]);
    }

    #[test]
    fn the_best_cell_is_of_the_fine_grid_for_small_faces_and_of_the_coarse_one_for_large_ones() {
        let grid = AnchorGrid::new(Device::Cpu);
        let (logits, boxes) = outputs(1, 0.1);
        let taken = |faces: &[ViewFace]| -> Vec<i64> {
            let faces = Faces::new(&[faces], Device::Cpu);
            let targets = assign(Assignment::BestCell, &logits, &boxes, &faces, &grid);
            Vec::try_from(&targets.positive).unwrap()
        };
        let cell = 1.0 / 16.0;
        // The second cell of the fine grid's first row, and the coarse grid's first cell.
        assert_eq!(taken(&[face(1.5 * cell, 0.5 * cell, cell, false)]), [2, 3]);
        let coarse: Vec<i64> = (512..518).collect();
        assert_eq!(taken(&[face(0.0625, 0.0625, 0.12, false)]), coarse);
        assert_eq!(taken(&[]), Vec::<i64>::new());
        let large = taken(&[face(0.5, 0.5, 0.9, false)]);
        assert!(large.len() == 6 && large[0] >= 512, "{large:?}");
    }

    #[test]
    fn an_anchor_finds_one_face_only() {
        let twins = vec![face(0.5, 0.5, 0.3, false), face(0.51, 0.5, 0.3, false)];
        let (mut positive, _) = assigned(&[twins], 0.3);
        let count = positive.len();
        positive.sort_unstable();
        positive.dedup();
        assert_eq!(positive.len(), count);
    }

    #[test]
    fn outputs_that_are_no_numbers_are_given_no_face() {
        let (logits, boxes) = outputs(1, 0.2);
        let views = [face(0.5, 0.5, 0.2, false)];
        let faces = Faces::new(&[&views], Device::Cpu);
        let grid = AnchorGrid::new(Device::Cpu);
        let targets = dynamic(&(logits * f64::NAN), &(boxes * f64::NAN), &faces, &grid);
        assert_eq!(targets.positive.numel(), 0);
    }

    #[test]
    fn faces_belong_to_their_own_view() {
        let views = [vec![], vec![face(0.5, 0.5, 0.2, false)]];
        let (positive, _) = assigned(&views, 0.2);
        assert!(positive.iter().all(|&anchor| anchor >= ANCHORS as i64), "{positive:?}");
    }

    #[test]
    fn an_ignored_face_is_neither_face_nor_background() {
        let (positive, targets) = assigned(&[vec![face(0.5, 0.5, 0.2, true)], vec![]], 0.2);
        assert!(positive.is_empty());
        let ignored = |view: i64| targets.ignored.get(view).sum(Kind::Int64).int64_value(&[]);
        assert!(ignored(0) > 4);
        assert_eq!(ignored(1), 0);
    }
}
