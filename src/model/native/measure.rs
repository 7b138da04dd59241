//! Measures the outputs of every backbone convolution over many pictures, for BatchNorm's initial statistics.

use rayon::prelude::*;

use super::forward::{self, Maps};
use super::inputs::Inputs;
use super::packed::Packed;
use super::rows;
use super::shape::{Block, STEM_SIDE};
use crate::model::layout::STEM_CHANNELS;
use crate::model::numbers::Statistics;

/// Measures the outputs of every backbone convolution of a folded network over some batches.
///
/// * `parameters`: the folded network's flat parameters.
///
/// # Panics
///
/// If there are no pictures.
pub fn measure(parameters: &[f32], batches: &[Inputs]) -> Vec<Statistics> {
    let (packed, blocks) = (Packed::new(parameters), Block::all());
    let pictures: Vec<&[f32]> = batches
        .iter()
        .flat_map(|inputs| (0..inputs.count()).map(|at| inputs.picture(at)))
        .collect();
    let each: Vec<Vec<Vec<f64>>> = pictures
        .par_iter()
        .map_init(|| Maps::new(&blocks), |maps, picture| moments(&packed, &blocks, picture, maps))
        .collect();
    let number = each.len() as f64;
    let mut each = each.into_iter();
    let mut sums = each.next().expect("at least one picture");
    // Summed in order, so that results do not depend on the number of threads.
    for more in each {
        let pairs = sums.iter_mut().flatten().zip(more.iter().flatten());
        pairs.for_each(|(sum, more)| *sum += more);
    }
    let stem = (STEM_SIDE * STEM_SIDE, STEM_CHANNELS, None);
    let of_block = |(block, through)| {
        let pixels = Block::pixels(block);
        [(pixels, block.inputs, None), (pixels, block.outputs, Some(through))]
    };
    let convs = std::iter::once(stem).chain(blocks.iter().zip(&packed.through).flat_map(of_block));
    let found = sums.iter().zip(convs).map(|(sums, (pixels, channels, through))| {
        let count = number * pixels as f64;
        let (sums, squares) = sums.split_at(sums.len() / 2);
        let mean = |channel: usize| sums[channel] / count;
        let lacks = |channel: usize| through.map_or(0.0, |t: &Vec<f32>| f64::from(t[channel]));
        let variance = |channel: usize| (squares[channel] / count - mean(channel).powi(2)).max(0.0);
        Statistics {
            mean: (0..channels).map(|channel| (mean(channel) + lacks(channel)) as f32).collect(),
            variance: (0..channels).map(|channel| variance(channel) as f32).collect(),
        }
    });
    found.collect()
}

/// Returns the sums of each convolution's outputs and of their squares, `[2, C]`.
fn moments(packed: &Packed, blocks: &[Block], picture: &[f32], maps: &mut Maps) -> Vec<Vec<f64>> {
    let wide = blocks.iter().flat_map(|block| [block.wide_in(), block.wide()]);
    let wide = std::iter::once(STEM_CHANNELS).chain(wide);
    let mut found: Vec<Vec<f64>> = wide.map(|wide| vec![0.0; 2 * wide]).collect();
    forward::picture(packed, blocks, picture, maps, |conv, map| {
        rows::moments(map, &mut found[conv]);
    });
    found
}
