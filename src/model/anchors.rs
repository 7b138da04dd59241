//! The anchors' centres and cells.

use super::layout::{ANCHORS, GRIDS};

/// Returns the centre `(x, y)` of every anchor, as fractions of the input. All anchors have size 1.
pub fn centres() -> Vec<[f32; 2]> {
    let mut centres = Vec::with_capacity(ANCHORS);
    for grid in GRIDS {
        let at = |cell: usize| (cell as f32 + 0.5) / grid.side as f32;
        for (y, x) in (0..grid.side).flat_map(|y| (0..grid.side).map(move |x| (y, x))) {
            centres.extend(std::iter::repeat_n([at(x), at(y)], grid.anchors_per_cell));
        }
    }
    centres
}

/// Returns the side of every anchor's cell, as a fraction of the input.
pub fn cells() -> Vec<f32> {
    let cells = |grid: &super::layout::Grid| {
        let anchors = grid.side * grid.side * grid.anchors_per_cell;
        std::iter::repeat_n(1.0 / grid.side as f32, anchors)
    };
    GRIDS.iter().flat_map(cells).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_are_at_the_cell_centres_of_both_grids() {
        let centres = centres();
        assert_eq!(centres.len(), ANCHORS);
        assert_eq!(centres[0], [0.5 / 16.0, 0.5 / 16.0]);
        assert_eq!(centres[2], [1.5 / 16.0, 0.5 / 16.0], "x varies faster than y");
        assert_eq!(centres[512], [0.5 / 8.0, 0.5 / 8.0]);
        assert_eq!(centres[895], [7.5 / 8.0, 7.5 / 8.0]);
        assert_eq!(cells().len(), ANCHORS);
    }
}
