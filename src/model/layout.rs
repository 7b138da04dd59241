//! Each variant's layout: its convolutions, their published names and their shapes.
//!
//! Sources: BlazeFace, <https://arxiv.org/abs/1907.05047>; the constants of `MediaPipe`'s
//! `face_detection_short_range.tflite`; and, for the back camera's variant, the published `PyTorch` port,
//! <https://github.com/hollance/BlazeFace-PyTorch>.

pub use crate::geometry::INPUT_SIZE;

/// Anchors of both grids together; the same for every variant.
pub const ANCHORS: usize = 896;
/// Coordinates per anchor: x, y, w, h, then six keypoints x, y.
pub const COORDINATES: usize = 16;
/// Grids of the short-range variant's heads: side, anchors per cell, input channels. Other variants differ only in the
/// channels, so their anchors are the same.
pub const GRIDS: [Grid; 2] = [
    Grid { side: 16, anchors_per_cell: 2, channels: 88 },
    Grid { side: 8, anchors_per_cell: 6, channels: 96 },
];
/// Added to BatchNorm's variance before taking the square root.
pub const EPSILON: f64 = 1e-3;
/// Channels after the stem, in every variant.
pub const STEM_CHANNELS: usize = 24;
/// The short-range variant's `BlazeBlock`s: output channels and stride.
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
/// Blocks before the 16×16 grid branches off, in the short-range variant.
pub const FIRST_BACKBONE_BLOCKS: usize = 11;

/// The back camera's blocks; the last one has no shortcut.
const BACK_BLOCKS: [(usize, usize); 32] = {
    let mut blocks = [(24, 1); 32];
    blocks[7] = (24, 2);
    let mut index = 15;
    while index < 32 {
        blocks[index] = (if index < 23 { 48 } else { 96 }, 1);
        index += 1;
    }
    blocks[15].1 = 2;
    blocks[23].1 = 2;
    blocks[31].1 = 2;
    blocks
};

/// A variant of the network.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Variant {
    /// `MediaPipe`'s short-range model, for the front camera: 128×128.
    #[default]
    Short,
    /// `MediaPipe`'s model for the back camera: 256×256.
    Back,
}

/// The sizes of a variant's layers.
#[derive(Debug, PartialEq, Eq)]
pub struct Layout {
    /// The variant.
    pub variant: Variant,
    /// Human-readable name.
    pub title: &'static str,
    /// Side of the square input, in pixels. Coordinates are in the same pixels.
    pub input_size: usize,
    /// The blocks: output channels and stride.
    pub blocks: &'static [(usize, usize)],
    /// Blocks before the 16×16 grid branches off.
    pub first_blocks: usize,
    /// Number of blocks with a shortcut; later blocks have none.
    pub shortcuts: usize,
    /// The heads' grids.
    pub grids: [Grid; 2],
}

/// `MediaPipe`'s short-range model.
pub static SHORT: Layout = Layout {
    variant: Variant::Short,
    title: "BlazeFace short range, 128×128, 896 anchors",
    input_size: INPUT_SIZE,
    blocks: &BLOCKS,
    first_blocks: FIRST_BACKBONE_BLOCKS,
    shortcuts: BLOCKS.len(),
    grids: GRIDS,
};

/// `MediaPipe`'s model for the back camera.
pub static BACK: Layout = Layout {
    variant: Variant::Back,
    title: "BlazeFace back camera, 256×256, 896 anchors",
    input_size: 256,
    blocks: &BACK_BLOCKS,
    first_blocks: 31,
    shortcuts: 31,
    grids: [
        Grid { side: 16, anchors_per_cell: 2, channels: 96 },
        Grid { side: 8, anchors_per_cell: 6, channels: 96 },
    ],
};

impl Variant {
    /// All variants.
    pub const ALL: [Self; 2] = [Self::Short, Self::Back];

    /// Returns the variant's layout.
    pub fn layout(self) -> &'static Layout {
        match self {
            Self::Short => &SHORT,
            Self::Back => &BACK,
        }
    }

    /// Returns the variant's name in the API.
    pub fn name(self) -> &'static str {
        match self {
            Self::Short => "short",
            Self::Back => "back",
        }
    }
}

impl Layout {
    /// Returns the prefix of a block's names in the published port.
    fn block_name(&self, index: usize) -> String {
        let sequence = match self.variant {
            Variant::Short => "backbone1",
            Variant::Back => "backbone",
        };
        match (self.variant, index.checked_sub(self.first_blocks)) {
            (_, None) => format!("{sequence}.{}", index + 2), // 0 is the stem, 1 its ReLU
            (Variant::Short, Some(second)) => format!("backbone2.{second}"),
            (Variant::Back, Some(_)) => "final".to_owned(),
        }
    }

    /// Returns every convolution, in the order of the published names: the backbones', then the four heads.
    pub fn convs(&self) -> Vec<Conv> {
        let stem = match self.variant {
            Variant::Short => "backbone1.0",
            Variant::Back => "backbone.0",
        };
        let mut convs = vec![Conv {
            name: stem.into(),
            tflite_name: "conv2d".into(),
            role: Role::Stem,
            shape: [STEM_CHANNELS, 3, 5, 5],
            stride: 2,
        }];
        let mut inputs = STEM_CHANNELS;
        for (index, &(outputs, stride)) in self.blocks.iter().enumerate() {
            let block = self.block_name(index);
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
            // The port names heads after the stride: `_8` is the 16×16 grid.
            for (grid, name) in self.grids.iter().zip(["8", "16"]) {
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
}

/// One grid of anchors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Grid {
    /// Cells per side.
    pub side: usize,
    /// Anchors that share a cell's centre.
    pub anchors_per_cell: usize,
    /// Channels of the feature map.
    pub channels: usize,
}

/// A convolution's role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// 5×5, stride 2, on the picture.
    Stem,
    /// 3×3, depthwise.
    Depthwise,
    /// 1×1, across channels.
    Pointwise,
    /// 1×1, for the anchors' logits or coordinates.
    Head,
}

/// A convolution with a bias.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conv {
    /// Prefix in the published `PyTorch` port; `.weight` and `.bias` follow.
    pub name: String,
    /// Prefix in `MediaPipe`'s `.tflite`; `/Kernel` and `/Bias` follow.
    pub tflite_name: String,
    /// Its role.
    pub role: Role,
    /// `PyTorch`'s weight shape `[out, in / groups, height, width]`.
    pub shape: [usize; 4],
    /// Stride, in pixels.
    pub stride: usize,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn layouts_have_the_published_number_of_parameters() {
        for (layout, count, expected) in [(&SHORT, 37, 101_390), (&BACK, 69, 136_240)] {
            let convs = layout.convs();
            assert_eq!(convs.len(), count);
            let parameters: usize =
                convs.iter().map(|conv| conv.shape.iter().product::<usize>() + conv.shape[0]).sum();
            assert_eq!(parameters, expected);
        }
    }

    #[test]
    fn the_grids_hold_every_anchor() {
        for layout in Variant::ALL.map(Variant::layout) {
            let anchors: usize =
                layout.grids.iter().map(|g| g.side * g.side * g.anchors_per_cell).sum();
            assert_eq!(anchors, ANCHORS);
        }
    }
}
