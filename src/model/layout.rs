//! The network as a table of numbers: its convolutions, their published names and shapes.
//!
//! Source: BlazeFace, <https://arxiv.org/abs/1907.05047>, and the constants of `MediaPipe`'s
//! `face_detection_short_range.tflite`.

/// Side of the square input, in pixels.
pub const INPUT_SIZE: usize = 128;
/// Anchors, over both grids.
pub const ANCHORS: usize = 896;
/// Numbers an anchor: x, y, w, h, then six keypoints x, y.
pub const COORDINATES: usize = 16;
/// Grids of the heads: side, anchors a cell, channels that come in.
pub const GRIDS: [Grid; 2] = [
    Grid { side: 16, anchors_per_cell: 2, channels: 88 },
    Grid { side: 8, anchors_per_cell: 6, channels: 96 },
];
/// Channels after the stem.
pub const STEM_CHANNELS: usize = 24;
/// The `BlazeBlock`s: output channels and stride.
pub const BLOCKS: [(usize, usize); 16] = [
    (24, 1),
    (28, 1),
    (32, 2),
    (36, 1),
    (42, 1),
    (48, 2),
    (56, 1),
    (64, 1),
    (72, 1),
    (80, 1),
    (88, 1),
    (96, 2),
    (96, 1),
    (96, 1),
    (96, 1),
    (96, 1),
];
/// Blocks before the 16×16 grid branches off.
pub const FIRST_BACKBONE_BLOCKS: usize = 11;

/// One grid of anchors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Cells a side.
    pub side: usize,
    /// Anchors that share a cell's centre.
    pub anchors_per_cell: usize,
    /// Channels of the feature map.
    pub channels: usize,
}

/// What a convolution is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// 5×5, stride 2, from the picture.
    Stem,
    /// 3×3, a channel at a time.
    Depthwise,
    /// 1×1, across channels.
    Pointwise,
    /// 1×1, to anchors.
    Head,
}

/// One convolution with a bias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conv {
    /// Prefix in the published `PyTorch` port; `.weight` and `.bias` follow.
    pub name: String,
    /// Prefix in `MediaPipe`'s `.tflite`; `/Kernel` and `/Bias` follow.
    pub tflite_name: String,
    /// What it is for.
    pub role: Role,
    /// `PyTorch`'s weight shape `[out, in / groups, height, width]`.
    pub shape: [usize; 4],
    /// Pixels a step.
    pub stride: usize,
}

/// Every convolution, in the order of the published names: 33 of the backbones, 4 heads.
pub fn convs() -> Vec<Conv> {
    let mut convs = vec![Conv {
        name: "backbone1.0".into(),
        tflite_name: "conv2d".into(),
        role: Role::Stem,
        shape: [STEM_CHANNELS, 3, 5, 5],
        stride: 2,
    }];
    let mut inputs = STEM_CHANNELS;
    for (index, &(outputs, stride)) in BLOCKS.iter().enumerate() {
        let block = match index.checked_sub(FIRST_BACKBONE_BLOCKS) {
            None => format!("backbone1.{}", index + 2), // 0 is the stem, 1 its ReLU
            Some(second) => format!("backbone2.{second}"),
        };
        let suffix = if index == 0 { String::new() } else { format!("_{index}") };
        convs.push(Conv {
            name: format!("{block}.convs.0"),
            tflite_name: format!("depthwise_conv2d{suffix}"),
            role: Role::Depthwise,
            shape: [inputs, 1, 3, 3],
            stride,
        });
        convs.push(Conv {
            name: format!("{block}.convs.1"),
            tflite_name: format!("conv2d_{}", index + 1),
            role: Role::Pointwise,
            shape: [outputs, inputs, 1, 1],
            stride: 1,
        });
        inputs = outputs;
    }
    for (kind, tflite_kind, numbers) in
        [("classifier", "classificator", 1), ("regressor", "regressor", COORDINATES)]
    {
        // Named for the stride's power in the port, `_8` being the 16×16 grid.
        for (grid, name) in GRIDS.iter().zip(["8", "16"]) {
            convs.push(Conv {
                name: format!("{kind}_{name}"),
                tflite_name: format!("{tflite_kind}_{name}"),
                role: Role::Head,
                shape: [grid.anchors_per_cell * numbers, grid.channels, 1, 1],
                stride: 1,
            });
        }
    }
    convs
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_the_published_number_of_parameters() {
        let convs = convs();
        assert_eq!(convs.len(), 37);
        let parameters: usize =
            convs.iter().map(|conv| conv.shape.iter().product::<usize>() + conv.shape[0]).sum();
        assert_eq!(parameters, 101_390);
    }

    #[test]
    fn the_grids_hold_every_anchor() {
        let anchors: usize = GRIDS.iter().map(|g| g.side * g.side * g.anchors_per_cell).sum();
        assert_eq!(anchors, ANCHORS);
    }
}
