//! Anchor centres, and what the network's numbers mean relative to them.

use tch::{Device, Tensor};

use super::layout::{ANCHORS, GRIDS, INPUT_SIZE};

/// Centre `(x, y)` of every anchor, as fractions of the input. Their size is fixed at 1.
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

/// Side of the cell of every anchor, as a fraction of the input.
pub fn cells() -> Vec<f32> {
    let cells = |grid: &super::layout::Grid| {
        let anchors = grid.side * grid.side * grid.anchors_per_cell;
        std::iter::repeat_n(1.0 / grid.side as f32, anchors)
    };
    GRIDS.iter().flat_map(cells).collect()
}

/// [`centres`] as `[896, 2]`.
pub fn centre_tensor(device: Device) -> Tensor {
    Tensor::from_slice(centres().as_flattened()).reshape([-1, 2]).to_device(device)
}

/// Raw coordinates `[N, 896, 16]` to boxes `[N, 896, 4]`: centre x, y, width, height as fractions
/// of the input.
///
/// Source: `MediaPipe` `tensors_to_detections_calculator.cc`, `DecodeBoxes`.
pub fn decode_boxes(coordinates: &Tensor, centres: &Tensor) -> Tensor {
    let scaled = coordinates.narrow(2, 0, 4) / INPUT_SIZE as f64; // [N, 896, 4]
    scaled + centres.constant_pad_nd([0, 2])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn anchors_share_the_centres_of_two_grids() {
        let centres = centres();
        assert_eq!(centres.len(), ANCHORS);
        assert_eq!(centres[0], [0.5 / 16.0, 0.5 / 16.0]);
        assert_eq!(centres[2], [1.5 / 16.0, 0.5 / 16.0], "x runs faster than y");
        assert_eq!(centres[512], [0.5 / 8.0, 0.5 / 8.0]);
        assert_eq!(centres[895], [7.5 / 8.0, 7.5 / 8.0]);
        assert_eq!(cells().len(), ANCHORS);
    }

    #[test]
    fn offsets_are_pixels_of_the_input() {
        let mut raw = vec![0.0f32; ANCHORS * 16];
        raw[..4].copy_from_slice(&[12.8, -6.4, 64.0, 32.0]);
        let raw = Tensor::from_slice(&raw).reshape([1, ANCHORS as i64, 16]);
        let boxes = decode_boxes(&raw, &centre_tensor(Device::Cpu));
        let first = Vec::<f32>::try_from(boxes.get(0).get(0)).unwrap();
        let expected = [0.5 / 16.0 + 0.1, 0.5 / 16.0 - 0.05, 0.5, 0.25];
        assert!(first.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-6), "{first:?}");
    }
}
