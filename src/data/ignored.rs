//! Places that count neither as faces nor as background. They are painted grey: nothing is learnt from them, and no
//! detection there counts as wrong.

use std::io;
use std::path::Path;

use super::cache::{CacheFile, INPUTS, SQUARES};
use super::manifest::Picture;
use crate::geometry::{Letterbox, Rect};

/// The middle of the network's input range, which is -1 to 1.
const GREY: u8 = 127;

/// Paints the ignored places of all pictures grey, except for the faces inside them.
pub(super) fn paint(work: &Path, pictures: &[Picture]) -> io::Result<()> {
    if pictures.iter().all(|picture| picture.ignored.is_empty()) {
        return Ok(());
    }
    for kind in [SQUARES, INPUTS] {
        let file = kind.open_to_write(work)?;
        for (index, picture) in pictures.iter().enumerate() {
            if !picture.ignored.is_empty() {
                let mut bytes = kind.read(&file, index)?;
                paint_one(&mut bytes, kind, picture);
                kind.write(&file, index, &bytes)?;
            }
        }
        file.sync_all()?;
    }
    Ok(())
}

/// Paints the ignored places of one picture grey.
///
/// * `square`: `[side, side, 3]` bytes.
fn paint_one(square: &mut [u8], kind: CacheFile, picture: &Picture) {
    let letterbox = Letterbox::exact(picture.width, picture.height, kind.side());
    let side = kind.side() as usize;
    let holds = |places: &[Rect], x: usize, y: usize| {
        let (x, y) = (x as f32 + 0.5, y as f32 + 0.5);
        places.iter().any(|place| {
            let [top, left, bottom, right] = (*place).into();
            let (left, top) = letterbox.point_to_square(left, top);
            let (right, bottom) = letterbox.point_to_square(right, bottom);
            let scale = side as f32;
            (left * scale..right * scale).contains(&x) && (top * scale..bottom * scale).contains(&y)
        })
    };
    for (index, pixel) in square.chunks_exact_mut(3).enumerate() {
        let (x, y) = (index % side, index / side);
        if holds(&picture.ignored, x, y) && !holds(&picture.faces, x, y) {
            pixel.fill(GREY);
        }
    }
}
