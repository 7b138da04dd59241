//! Adds the nodes that turn raw outputs into faces.
//!
//! `MediaPipe`'s weighted suppression takes the best detection, averages it with every detection that overlaps it,
//! and repeats this with the remaining detections. Plain suppression picks the same best detections. Every other
//! detection belongs to the first pick that it overlaps. The graph therefore needs no loop: it compares every pick
//! with every anchor.

use super::graph::Attribute::Int;
use super::graph::{Dim, Graph};
use crate::geometry::MIN_SUPPRESSION_IOU;
use crate::model::anchors;
use crate::model::layout::{ANCHORS, COORDINATES};

/// Default minimum score of `MediaPipe`'s `FaceDetector`.
const MIN_SCORE: f32 = 0.5;
/// Logits are clipped to ± this value before the sigmoid.
const LOGIT_LIMIT: f32 = 100.0;

/// Adds the nodes that follow `regressors` and `classificators`.
pub(super) fn add(graph: &mut Graph, input_size: usize) {
    // A default value makes the input optional.
    graph.floats("min_score", &[1], &[MIN_SCORE]);
    graph.input("min_score", &[Dim::Fixed(1)]);
    let (values, scores) = decode(graph, input_size);
    let picks = pick(graph, &values, &scores);
    let share = shares(graph, &values, &scores, &picks);
    let first = graph.ints(&[1]);
    let share = graph.node("Unsqueeze", &[&share, &first], &[]); // [F, 1, 896]
    let mean = graph.node("MatMul", &[&share, &picks.anchors], &[]); // [F, 1, 16]
    let mean = graph.node("Squeeze", &[&mean, &first], &[]);
    let boxes = slice(graph, &mean, 1, 0, 4);
    let points = slice(graph, &mean, 1, 4, COORDINATES as i64);
    let shape = graph.ints(&[0, 6, 2]);
    graph.named("Identity", &[&boxes], "boxes", &[]);
    graph.named("GatherND", &[&scores, &picks.index], "scores", &[]);
    graph.named("Reshape", &[&points, &shape], "keypoints", &[]);
    graph.named("Identity", &[&picks.picture], "pictures", &[]);
    let faces = Dim::Named("F");
    graph.output("boxes", &[faces, Dim::Fixed(4)]);
    graph.output("scores", &[faces]);
    graph.output("keypoints", &[faces, Dim::Fixed(6), Dim::Fixed(2)]);
    graph.int_output("pictures", &[faces]);
}

/// Returns boxes and keypoints `[N, 896, 16]` in fractions of the square, and scores `[N, 896]`. The score of a box
/// without area is 0.
fn decode(graph: &mut Graph, input_size: usize) -> (String, String) {
    let size = graph.number(input_size as f32);
    let scaled = graph.node("Div", &["regressors", &size], &[]);
    let offsets: Vec<f32> = anchors::centres()
        .iter()
        .flat_map(|&[x, y]| {
            let points = [x, y].repeat(6);
            [&[x, y, 0.0, 0.0], points.as_slice()].concat()
        })
        .collect();
    let offsets = graph.floats("anchors", &[1, ANCHORS, COORDINATES], &offsets);
    let placed = graph.node("Add", &[&scaled, &offsets], &[]);
    let swap = graph.ints(&[1, 0]);
    let centre = slice(graph, &placed, 2, 0, 2);
    let centre = graph.node("Gather", &[&centre, &swap], &[Int("axis", 2)]); // y, x
    let lengths = slice(graph, &placed, 2, 2, 4);
    let yx = graph.node("Gather", &[&lengths, &swap], &[Int("axis", 2)]);
    let two = graph.number(2.0);
    let half = graph.node("Div", &[&yx, &two], &[]);
    let low = graph.node("Sub", &[&centre, &half], &[]);
    let high = graph.node("Add", &[&centre, &half], &[]);
    let points = slice(graph, &placed, 2, 4, COORDINATES as i64);
    let values = graph.node("Concat", &[&low, &high, &points], &[Int("axis", 2)]);

    let last = graph.ints(&[2]);
    let logits = graph.node("Squeeze", &["classificators", &last], &[]);
    let (lowest, highest) = (graph.number(-LOGIT_LIMIT), graph.number(LOGIT_LIMIT));
    let clipped = graph.node("Clip", &[&logits, &lowest, &highest], &[]);
    let scores = graph.node("Sigmoid", &[&clipped], &[]);
    let zero = graph.number(0.0);
    let sides = graph.node("Greater", &[&lengths, &zero], &[]);
    let sides = graph.node("Cast", &[&sides], &[Int("to", 1)]);
    let both = reduce(graph, "ReduceMin", &sides);
    let scores = graph.node("Mul", &[&scores, &both], &[]);
    (values, scores)
}

/// Plain suppression's picks, best first within each picture.
struct Picks {
    /// `[F]`: index of each pick's picture in the batch.
    picture: String,
    /// `[F, 2]`: index of each pick's picture and of its anchor.
    index: String,
    /// `[F, 896, 16]`: all detections in each pick's picture.
    anchors: String,
}

fn pick(graph: &mut Graph, values: &str, scores: &str) -> Picks {
    let boxes = slice(graph, values, 2, 0, 4);
    let first = graph.ints(&[1]);
    let classes = graph.node("Unsqueeze", &[scores, &first], &[]); // [N, 1, 896]
    let most = graph.ints(&[ANCHORS as i64]);
    let iou = graph.floats("min_suppression_iou", &[1], &[MIN_SUPPRESSION_IOU]);
    let inputs = [boxes.as_str(), &classes, &most, &iou, "min_score"];
    let selected = graph.node("NonMaxSuppression", &inputs, &[]); // [F, 3]
    let columns = graph.ints(&[0, 2]);
    let index = graph.node("Gather", &[&selected, &columns], &[Int("axis", 1)]);
    let picture = slice(graph, &index, 1, 0, 1);
    let picture = graph.node("Squeeze", &[&picture, &first], &[]);
    let anchors = graph.node("Gather", &[values, &picture], &[Int("axis", 0)]);
    Picks { picture, index, anchors }
}

/// Returns `[F, 896]`: the weight of each detection in a pick's average. The weight is 0 if the detection does not
/// overlap the pick, overlaps a better pick, or scores below the minimum.
fn shares(graph: &mut Graph, values: &str, scores: &str, picks: &Picks) -> String {
    let own_scores = graph.node("Gather", &[scores, &picks.picture], &[Int("axis", 0)]);
    let near = overlapping(graph, values, picks);
    let found = graph.node("Greater", &[&own_scores, "min_score"], &[]);
    let near = graph.node("And", &[&near, &found], &[]); // [F, 896]
    let near = graph.node("Cast", &[&near], &[Int("to", 1)]);

    // [F, F]: whether the column's pick precedes the row's pick in the same picture.
    let (rows, columns) = (graph.ints(&[1]), graph.ints(&[0]));
    let across = |graph: &mut Graph, op: &str, xs: &str| {
        let row = graph.node("Unsqueeze", &[xs, &rows], &[]);
        let column = graph.node("Unsqueeze", &[xs, &columns], &[]);
        graph.node(op, &[&column, &row], &[])
    };
    let same = across(graph, "Equal", &picks.picture);
    let ones = graph.node("Sub", &[&picks.picture, &picks.picture], &[]);
    let one = graph.ints(&[1]);
    let ones = graph.node("Add", &[&ones, &one], &[]);
    let axis = graph.ints(&[0]);
    let axis = graph.node("Squeeze", &[&axis], &[]);
    let rank = graph.node("CumSum", &[&ones, &axis], &[]);
    let earlier = across(graph, "Less", &rank);
    let earlier = graph.node("And", &[&same, &earlier], &[]);
    let earlier = graph.node("Cast", &[&earlier], &[Int("to", 1)]);
    let taken = graph.node("MatMul", &[&earlier, &near], &[]); // [F, 896]
    let none = graph.number(0.5);
    let free = graph.node("Less", &[&taken, &none], &[]);
    let free = graph.node("Cast", &[&free], &[Int("to", 1)]);

    let counted = graph.node("Mul", &[&near, &free], &[]);
    let weights = graph.node("Mul", &[&counted, &own_scores], &[]);
    let axis = graph.ints(&[1]);
    let total = graph.node("ReduceSum", &[&weights, &axis], &[Int("keepdims", 1)]);
    graph.node("Div", &[&weights, &total], &[])
}

/// Returns `[F, 896]`: whether each detection in a pick's picture overlaps the pick.
fn overlapping(graph: &mut Graph, values: &str, picks: &Picks) -> String {
    let pick = graph.node("GatherND", &[values, &picks.index], &[]); // [F, 16]
    let axis = graph.ints(&[1]);
    let pick = graph.node("Unsqueeze", &[&pick, &axis], &[]); // [F, 1, 16]
    let corners =
        |graph: &mut Graph, xs: &str| (slice(graph, xs, 2, 0, 2), slice(graph, xs, 2, 2, 4));
    let (low, high) = corners(graph, &pick);
    let (other_low, other_high) = corners(graph, &picks.anchors);
    let area = |graph: &mut Graph, low: &str, high: &str| {
        let zero = graph.number(0.0);
        let lengths = graph.node("Sub", &[high, low], &[]);
        let lengths = graph.node("Max", &[&lengths, &zero], &[]);
        reduce(graph, "ReduceProd", &lengths)
    };
    let inner_low = graph.node("Max", &[&low, &other_low], &[]);
    let inner_high = graph.node("Min", &[&high, &other_high], &[]);
    let overlap = area(graph, &inner_low, &inner_high);
    let (own, other) = (area(graph, &low, &high), area(graph, &other_low, &other_high));
    let sum = graph.node("Add", &[&own, &other], &[]);
    let union = graph.node("Sub", &[&sum, &overlap], &[]);
    let iou = graph.node("Div", &[&overlap, &union], &[]);
    let least = graph.number(MIN_SUPPRESSION_IOU);
    graph.node("Greater", &[&iou, &least], &[])
}

/// Reduces the last of three dimensions and removes it.
fn reduce(graph: &mut Graph, op: &str, xs: &str) -> String {
    graph.node(op, &[xs], &[super::graph::Attribute::Ints("axes", vec![2]), Int("keepdims", 0)])
}

fn slice(graph: &mut Graph, xs: &str, axis: i64, from: i64, to: i64) -> String {
    let (from, to, axis) = (graph.ints(&[from]), graph.ints(&[to]), graph.ints(&[axis]));
    graph.node("Slice", &[xs, &from, &to, &axis], &[])
}
