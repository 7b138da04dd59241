//! Compares the native losses and gradients with those of libtorch.

use tch::{Device, Kind, Tensor};

use super::*;
use crate::geometry::Rect;
use crate::model::outputs::Outputs;
use crate::model::torch::anchors::decode_boxes;
use crate::model::torch::{OutputTensors, array};
use crate::protocol::train_spec::{Assignment, BoxLoss};
use crate::train::diagnostics;
use crate::train::diagnostics::torch::Seen;
use crate::train::loss::torch::targets::{self, AnchorGrid, Faces};
use crate::train::loss::torch::{self, teacher};

const VIEWS: i64 = 3;

/// Random outputs: boxes of many sizes near their anchors, and scores above and below 0.5.
fn outputs(seed: i64) -> OutputTensors {
    tch::manual_seed(seed);
    let numbers = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu));
    let (n, anchors) = (VIEWS, ANCHORS as i64);
    let sides = (numbers(&[n, anchors, 2]) * 0.6 + 3.0).exp();
    let rest = [numbers(&[n, anchors, 2]) * 6.0, sides, numbers(&[n, anchors, 12]) * 8.0];
    OutputTensors { logits: numbers(&[n, anchors]) * 2.0 - 0.5, coordinates: Tensor::cat(&rest, 2) }
}

/// Three views: two overlapping faces, an ignored face and a small face; no faces; a face with two labelled keypoints
/// and a large face.
fn faces() -> Vec<Vec<ViewFace>> {
    let face = |x, y, w, h, ignored| ViewFace::new(Rect::around(x, y, w, h), ignored);
    let mut labelled = face(0.4, 0.6, 0.21, 0.27, false);
    labelled.keypoints[1] = Some([0.43, 0.55]);
    labelled.keypoints[3] = Some([0.4, 0.66]);
    let first = vec![
        face(0.5, 0.5, 0.3, 0.32, false),
        face(0.2, 0.2, 0.1, 0.1, true),
        face(0.52, 0.5, 0.3, 0.3, false),
        face(0.81, 0.77, 0.04, 0.05, false),
    ];
    vec![first, vec![], vec![labelled, face(0.5, 0.5, 0.9, 0.8, false)]]
}

fn plain(outputs: &OutputTensors) -> Outputs {
    outputs.into()
}

fn ours(found: &OutputTensors, base: &OutputTensors, loss: &Loss) -> Costs {
    let (found, base) = (plain(found), plain(base));
    costs(found.as_ref(), Some(base.as_ref()), &faces(), loss, &NativeGrid::default(), None)
}

struct Theirs {
    total: f64,
    parts: torch::Parts,
    targets: targets::Targets,
    gradients: [Vec<f32>; 2],
}

fn theirs(found: &OutputTensors, base: &OutputTensors, loss: &Loss) -> Theirs {
    let leaf = |tensor: &Tensor| tensor.copy().set_requires_grad(true);
    let found =
        OutputTensors { logits: leaf(&found.logits), coordinates: leaf(&found.coordinates) };
    let grid = AnchorGrid::new(Device::Cpu);
    let faces = Faces::new(&faces(), Device::Cpu);
    let boxes = decode_boxes(&found.coordinates, &grid.centres);
    let (logits, detached) = (found.logits.detach(), boxes.detach());
    let targets = targets::assign(loss.assignment, &logits, &detached, &faces, &grid);
    let known = teacher::known_keypoints(base, &grid.centres, &faces);
    let counts = teacher::count(base, known.as_ref(), &faces, &targets);
    let parts = torch::parts(&found.logits, &boxes, &targets, loss, &counts);
    let (centres, known) = (&grid.centres, known.as_ref());
    let apart = teacher::cost(&found, base, centres, known, &targets, loss, &counts);
    let total = parts.total() + apart;
    total.backward();
    let gradients = [&found.logits, &found.coordinates].map(|tensor| array(&tensor.grad()).values);
    Theirs { total: total.double_value(&[]), parts, targets, gradients }
}

#[test]
fn losses_and_gradients_match_libtorch() {
    let default = Loss::default;
    let variants = [
        default(),
        Loss { teacher_weight: 0.7, focal_gamma: 1.5, ..default() },
        Loss { hard_negatives: 3.0, assignment: Assignment::BestCell, ..default() },
        Loss { box_loss: BoxLoss::Huber, min_quality: 0.0, background_weight: 2.0, ..default() },
    ];
    for (seed, loss) in variants.into_iter().enumerate() {
        let (found, base) = (outputs(seed as i64), outputs(100 + seed as i64));
        let ours = ours(&found, &base, &loss);
        let theirs = theirs(&found, &base, &loss);
        let positives = theirs.targets.positive.reshape([-1]).nonzero().squeeze_dim(1);
        let positives: Vec<i64> = Vec::try_from(&positives).unwrap();
        let views = ours.views.iter().enumerate();
        let chosen: Vec<i64> = views
            .flat_map(|(view, of)| {
                of.positives.iter().map(move |p| (view * ANCHORS + p.anchor) as i64)
            })
            .collect();
        assert_eq!(chosen, positives, "{loss:?}");
        let parts = &theirs.parts;
        for (ours, theirs) in [
            (ours.total, theirs.total),
            (ours.boxes, parts.boxes.double_value(&[])),
            (ours.positive, parts.positive.double_value(&[])),
            (ours.background, parts.background.double_value(&[])),
        ] {
            assert!((ours - theirs).abs() < 1e-4 * theirs.abs(), "{loss:?}: {ours} {theirs}");
        }
        for (ours, theirs) in [&ours.logits, &ours.coordinates].into_iter().zip(&theirs.gradients) {
            let largest = theirs.iter().fold(0.0f32, |most, value| most.max(value.abs()));
            for (at, (ours, theirs)) in ours.iter().zip(theirs).enumerate() {
                let gap = (ours - theirs).abs();
                assert!(gap < 1e-4 * largest, "{loss:?}: {at}: {ours} {theirs}");
            }
        }
    }
}

#[test]
fn anchors_with_nan_outputs_are_assigned_to_no_face() {
    let mut found = outputs(1);
    found.coordinates *= f64::NAN;
    assert_eq!(ours(&found, &outputs(2), &Loss::default()).positives, 0);
}

#[test]
fn epoch_diagnostics_match_libtorch() {
    let (found, loss) = (outputs(7), Loss::default());
    let (costs, theirs) = (ours(&found, &outputs(8), &loss), theirs(&found, &outputs(8), &loss));
    let mut one = diagnostics::native::NativeWatch::default();
    let mut other = diagnostics::torch::TorchWatch::new(Device::Cpu);
    let inputs = crate::model::native::Inputs::zeros(VIEWS as usize);
    one.observe(&inputs, &faces(), &costs, &plain(&found).logits);
    other.observe(&Seen {
        inputs: &Tensor::zeros([VIEWS, 3, 128, 128], (Kind::Float, Device::Cpu)),
        view_faces: &faces(),
        faces: &Faces::new(&faces(), Device::Cpu),
        targets: &theirs.targets,
        logits: &found.logits,
        parts: &theirs.parts,
    });
    let (one, other) = (one.diagnostics(1), other.diagnostics(1));
    assert_eq!(one.faces, other.faces);
    assert_eq!(one.views_without_face, other.views_without_face);
    for (one, other) in one.grids.iter().zip(&other.grids) {
        assert_eq!(one.share_of_positives, other.share_of_positives);
        for (a, b) in [(one.box_loss, other.box_loss), (one.background, other.background)] {
            assert!((a - b).abs() < 1e-4 * b, "{a} {b}");
        }
    }
    for (one, other) in one.score_by_iou.iter().zip(&other.score_by_iou) {
        assert_eq!(one.count, other.count);
        let gap = one.mean_score.unwrap_or_default() - other.mean_score.unwrap_or_default();
        assert!(gap.abs() < 1e-5, "{gap}");
    }
}
