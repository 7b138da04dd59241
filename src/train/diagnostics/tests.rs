//! Tests the sums and the sheet on one batch.

use image::Rgb;
use tch::{Device, Kind, Tensor};

use super::sheet::{IGNORED, POSITIVE};
use super::torch::{Seen, TorchWatch};
use crate::eval::overlay::GREEN;
use crate::geometry::Rect;
use crate::model::layout::ANCHORS;
use crate::protocol::diagnostics::GridLoss;
use crate::protocol::train_spec::Loss;
use crate::train::loss::torch;
use crate::train::loss::torch::targets::{Faces, Targets};
use crate::train::loss::torch::{Parts, StepCountTensors};
use crate::train::views::ViewFace;

/// Observes a batch of three views. The first view has a face of 4 pixels and a face of 32 pixels, the second has an
/// ignored face of 8 pixels, and the third has no face. The large face has three positive anchors: two in the 16 × 16
/// grid, whose boxes match it exactly, and one in the 8 × 8 grid, whose box has half its height. The small face has no
/// positive anchor. Every score is 0.5.
fn observed() -> (TorchWatch, Parts) {
    let device = Device::Cpu;
    let face =
        |px: f32, ignored| ViewFace::new(Rect::around(0.5, 0.5, px / 128.0, px / 128.0), ignored);
    let views = [vec![face(4.0, false), face(32.0, false)], vec![face(8.0, true)], vec![]];
    let faces = Faces::new(&views, device);
    let whole = [0.5f32, 0.5, 0.25, 0.25];
    let anchors = ANCHORS as i64;
    let mut positive = vec![false; 3 * ANCHORS];
    for at in [3, 511, 512] {
        positive[at] = true;
    }
    let boxes = Tensor::from_slice(&whole).repeat([3 * anchors]).reshape([3, anchors, 4]);
    let targets = Targets {
        positive: Tensor::from_slice(&positive).reshape([3, anchors]),
        faces: Tensor::ones([3, anchors], (Kind::Int64, device)),
        boxes: boxes.copy(),
        ignored: Tensor::zeros([3, anchors], (Kind::Bool, device)),
    };
    let logits = Tensor::zeros([3, anchors], (Kind::Float, device));
    let half = Tensor::from_slice(&[0.5f32, 0.5, 0.25, 0.125]);
    boxes.get(0).get(512).copy_(&half);
    let parts =
        torch::parts(&logits, &boxes, &targets, &Loss::default(), &StepCountTensors::of(&targets));
    let inputs = &Tensor::zeros([3, 3, 128, 128], (Kind::Float, device));
    let mut watch = TorchWatch::new(device);
    let (faces, targets, logits) = (&faces, &targets, &logits);
    watch.observe(&Seen { inputs, view_faces: &views, faces, targets, logits, parts: &parts });
    (watch, parts)
}

#[test]
fn faces_and_their_positives_are_counted_by_size() {
    let found = observed().0.diagnostics(1);
    let counts: Vec<u64> = found.faces.iter().map(|size| size.count).collect();
    assert_eq!(counts, [1, 0, 0, 1], "ignored faces do not count");
    let positives: Vec<_> = found.faces.iter().map(|size| size.positives_per_face).collect();
    assert_eq!(positives, [Some(0.0), None, None, Some(3.0)]);
    let without: Vec<_> = found.faces.iter().map(|size| size.without_positive).collect();
    assert_eq!(without, [Some(1.0), None, None, Some(0.0)]);
    assert!((found.views_without_face - 2.0 / 3.0).abs() < 1e-9);
}

#[test]
fn the_losses_of_the_grids_add_up_to_the_whole_loss() {
    let (watch, parts) = observed();
    let found = watch.diagnostics(1);
    let shares: Vec<_> = found.grids.iter().map(|grid| grid.share_of_positives).collect();
    assert_eq!(shares, [Some(2.0 / 3.0), Some(1.0 / 3.0)]);
    assert!(found.grids[0].box_loss < 1e-6 && found.grids[1].box_loss > 0.1);
    for (whole, part) in [
        (&parts.boxes, (|grid| grid.box_loss) as fn(&GridLoss) -> f64),
        (&parts.positive, |grid| grid.positive),
        (&parts.background, |grid| grid.background),
    ] {
        let sum: f64 = found.grids.iter().map(part).sum();
        let whole = whole.double_value(&[]);
        assert!((sum - whole).abs() < 1e-5 * whole.max(1.0), "{sum} of {whole}");
    }
}

#[test]
fn scores_are_grouped_by_iou() {
    let found = observed().0.diagnostics(1);
    let bins = &found.score_by_iou;
    assert_eq!(bins.iter().map(|bin| bin.count).sum::<u64>(), 3);
    assert_eq!((bins[5].count, bins[5].mean_score), (1, Some(0.5)));
    assert_eq!((bins[9].count, bins[9].mean_score), (2, Some(0.5)), "IoU 1 is in the last bin");
    assert_eq!(bins[0].mean_score, None);
}

#[test]
fn losses_are_means_over_steps_and_an_epoch_without_batches_is_empty() {
    let (mut watch, _) = observed();
    let twice: Vec<f64> = watch.sums().iter().map(|sum| 2.0 * sum).collect();
    watch = TorchWatch::restored(&twice, watch.views(), Device::Cpu);
    assert_eq!(watch.diagnostics(2).grids, observed().0.diagnostics(1).grids);
    let nothing = TorchWatch::new(Device::Cpu).diagnostics(1);
    assert_eq!(nothing.views_without_face, 0.0);
    assert!(nothing.faces.iter().all(|size| size.positives_per_face.is_none()));
}

#[test]
fn a_sheet_draws_faces_and_positive_anchors_in_the_right_views() {
    let sheet = observed().0.take_sheet().unwrap().draw();
    assert_eq!(sheet.dimensions(), (3 * 260 + 4, 264));
    let at = |view: u32, x: u32, y: u32| *sheet.get_pixel(4 + view * 260 + x, 4 + y);
    assert_eq!(at(0, 96, 128), GREEN, "the left edge of the 32-pixel face");
    assert_eq!(at(1, 120, 128), IGNORED, "the left edge of the ignored face");
    // Anchor 3 is in the second cell of the 16 × 16 grid, 12 pixels from the left.
    assert_eq!(at(0, 24, 8), POSITIVE);
    assert_eq!(at(1, 24, 8), Rgb([128; 3]), "the anchor of another view is not drawn");
    assert!((0..256).all(|x| at(2, x, 128) == Rgb([128; 3])), "a view without faces stays empty");
}
