//! A video's tracks.

use std::collections::BTreeMap;

use crate::data::labels::Unread;
use crate::data::labels::shapes::{DrawnShape, ShapePicture};

/// A shape of a track.
pub(super) struct Tracked {
    pub(super) frame: u64,
    /// Whether the object has left the picture.
    pub(super) is_outside: bool,
    pub(super) shape: DrawnShape,
}

/// Converts a video's tracks to pictures, named as CVAT names the frames that it exports.
pub(super) fn frames(tracks: Vec<Vec<Tracked>>) -> Result<Vec<ShapePicture>, Unread> {
    refuse_gaps(&tracks)?;
    let mut by_frame: BTreeMap<u64, Vec<DrawnShape>> = BTreeMap::new();
    for Tracked { frame, is_outside, shape } in tracks.into_iter().flatten() {
        if !is_outside {
            by_frame.entry(frame).or_default().push(shape);
        }
    }
    let picture = |(frame, shapes)| ShapePicture {
        number: 1, // It has shapes, which have numbers.
        path: format!("images/frame_{frame:06}"),
        size: None,
        shapes,
    };
    Ok(by_frame.into_iter().map(picture).collect())
}

/// Refuses tracks that leave out frames while their objects are visible: the pictures would count as negatives. Where
/// a task has only every tenth frame, all of them are ten apart.
fn refuse_gaps(tracks: &[Vec<Tracked>]) -> Result<(), Unread> {
    let steps = || {
        let pairs = tracks.iter().flat_map(|track| track.windows(2));
        pairs.filter_map(|pair| {
            let [a, b] = pair else { return None };
            (b.frame > a.frame).then(|| (b.frame - a.frame, a, b))
        })
    };
    let step = steps().map(|(step, ..)| step).min().unwrap_or(1);
    match steps().find(|&(gap, a, _)| gap > step && !a.is_outside) {
        None => Ok(()),
        Some((_, a, b)) => Err(Unread::Damaged(format!(
            "the track of the shapes in lines {} and {} leaves out the frames between {} and {}; export it from CVAT \
            as \"CVAT for images 1.1\", which has the shapes of every frame",
            a.shape.number, b.shape.number, a.frame, b.frame
        ))),
    }
}
