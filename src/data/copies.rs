//! Pictures that an archive holds several times under different names: imported once.

use std::collections::BTreeMap;

use super::decoding::DecodeOutcome;
use super::manifest::Split;
use super::plan::{PlannedFace, PlannedPicture};
use super::report::ImportReport;

/// Merges pictures whose files are the same, byte for byte: the plan and outcome stay with one of them, the others
/// become [`DecodeOutcome::CopyOf`].
///
/// A copy in the validation split wins, so that it is not trained on; otherwise the first path wins. Boxes come from
/// the first copy that has any; copies with different boxes are reported.
pub(super) fn merge(
    planned: &mut [(String, PlannedPicture)],
    outcomes: &mut [DecodeOutcome],
    report: &mut ImportReport,
) {
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
        let kept = merge_plans(planned, &slots, report);
        outcomes.swap(decoded, kept);
    }
}

/// Returns which of `slots` (sorted) stands for all of them.
fn merge_plans(
    planned: &mut [(String, PlannedPicture)],
    slots: &[usize],
    report: &mut ImportReport,
) -> usize {
    let of_split = |split| slots.iter().copied().find(|&slot| planned[slot].1.split == split);
    let validated = of_split(Some(Split::Val));
    let kept = validated.or(of_split(Some(Split::Train))).unwrap_or(slots[0]);
    let with_faces = slots.iter().copied().find(|&slot| !planned[slot].1.faces.is_empty());
    let source = with_faces.unwrap_or(kept);
    for &slot in slots {
        let (name, plan) = &planned[slot];
        if slot != kept {
            let leaves_training = validated.is_some() && plan.split == Some(Split::Train);
            let why = if leaves_training { ", and is not trained on" } else { "" };
            let reason =
                format!("is the same picture as {}; it was imported once{why}", planned[kept].0);
            report.add("identical picture", name, None, reason);
        }
        if !plan.faces.is_empty() && !have_same_boxes(&plan.faces, &planned[source].1.faces) {
            let (other, first) = (&plan.faces[0], &planned[source].1.faces[0]);
            let reason = format!(
                "the boxes of {name} are not those of the same picture {} in {}, row {}; the latter were used",
                planned[source].0, first.file, first.row
            );
            report.add("conflicting boxes", &other.file, Some(other.row), reason);
        }
    }
    let faces = std::mem::take(&mut planned[source].1.faces);
    planned[kept].1.faces = faces;
    kept
}

/// Whether both have the same boxes, in any order.
fn have_same_boxes(a: &[PlannedFace], b: &[PlannedFace]) -> bool {
    let sorted = |faces: &[PlannedFace]| {
        let mut labels: Vec<_> = faces.iter().map(|face| (face.pixels, face.keypoints)).collect();
        labels.sort_by(|(a, _), (b, _)| a.partial_cmp(b).unwrap_or(std::cmp::Ordering::Equal));
        labels
    };
    sorted(a) == sorted(b)
}
