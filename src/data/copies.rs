//! Imports a picture only once if the archive holds it under several names.

use std::collections::BTreeMap;

use super::decoding::DecodeOutcome;
use super::manifest::Split;
use super::plan::{Plan, PlannedFace};
use super::reporter::Reporter;

/// The kind of problem for copies and their rows.
const IDENTICAL: &str = "identical picture";

/// Merges pictures with byte-identical files: one of them keeps the plan and the outcome, and the others become
/// [`DecodeOutcome::CopyOf`].
///
/// A copy in the test or the validation split wins, so that it is not trained on; otherwise the first path wins. Boxes
/// come from the first copy that has any; copies with different boxes are reported.
pub(super) fn merge(plan: &mut Plan, outcomes: &mut [DecodeOutcome], report: &mut Reporter) {
    let mut groups: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (slot, outcome) in outcomes.iter().enumerate() {
        if let DecodeOutcome::CopyOf(first) = *outcome {
            groups.entry(first).or_insert_with(|| vec![first]).push(slot);
        }
    }
    for (decoded, mut slots) in groups {
        slots.sort_unstable();
        if let DecodeOutcome::Bad(reason) = &outcomes[decoded] {
            let reason = reason.clone();
            for slot in slots {
                outcomes[slot] = DecodeOutcome::Bad(reason.clone());
            }
            continue;
        }
        let kept = merge_plans(plan, &slots, report);
        outcomes.swap(decoded, kept);
    }
}

/// Merges the plans of `slots`, which are sorted, and returns the slot that is kept.
fn merge_plans(plan: &mut Plan, slots: &[usize], report: &mut Reporter) -> usize {
    let planned = &mut plan.pictures;
    let strictest = slots.iter().map(|&slot| planned[slot].1.split).max().flatten();
    let of_split = |split| slots.iter().copied().find(|&slot| planned[slot].1.split == split);
    let kept = of_split(strictest).unwrap_or(slots[0]);
    let is_measured_on = matches!(strictest, Some(Split::Val | Split::Test));
    let with_faces = slots.iter().copied().find(|&slot| !planned[slot].1.faces.is_empty());
    let source = with_faces.unwrap_or(kept);
    for &slot in slots {
        let (name, plan) = &planned[slot];
        if slot != kept {
            let leaves_training =
                is_measured_on && !matches!(plan.split, Some(Split::Val | Split::Test));
            let why = if leaves_training { ", and is not trained on" } else { "" };
            let reason =
                format!("is the same picture as {}; it was imported once{why}", planned[kept].0);
            report.lose_file(IDENTICAL, name, reason);
        }
        if slot != source {
            report.told.rows.lose(IDENTICAL, plan.faces.len() as u64);
        }
        if !plan.faces.is_empty() && !have_same_boxes(&plan.faces, &planned[source].1.faces) {
            let (other, first) = (&plan.faces[0], &planned[source].1.faces[0]);
            let reason = format!(
                "the boxes of {name} differ from those of the identical picture {} in {}, row {}; the latter were used",
                planned[source].0, first.file, first.row
            );
            report.add("conflicting boxes", &other.file, Some(other.row), reason);
        }
    }
    let faces = std::mem::take(&mut planned[source].1.faces);
    for &slot in slots {
        planned[slot].1.faces = Vec::new();
    }
    planned[kept].1.faces = faces;
    kept
}

/// Whether both have the same boxes, in any order.
fn have_same_boxes(a: &[PlannedFace], b: &[PlannedFace]) -> bool {
    let sorted = |faces: &[PlannedFace]| {
        let mut labels: Vec<_> = faces.iter().map(|face| (face.numbers, face.keypoints)).collect();
        labels.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        labels
    };
    sorted(a) == sorted(b)
}
