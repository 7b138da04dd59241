//! Our own training checkpoints: reading their weights, and exporting them with BatchNorm.

use std::fs;

use blazetune::model::numbers::Numbers;
use blazetune::weights::{self, checkpoint, pth};
use safetensors::tensor::{Dtype, TensorView, serialize};

use crate::support::{Expected, Python, compare, open, path, pictures, raw, square, tuned};

/// The averaged weights of a checkpoint, as training writes them.
fn checkpoint(network: &Numbers) -> Vec<u8> {
    let flat = |values: &[f32]| values.iter().flat_map(|v| v.to_le_bytes()).collect();
    let tensors: [(&str, Vec<u8>); 2] = [
        ("average.parameters", flat(&network.parameters)),
        ("average.buffers", flat(&network.buffers)),
    ];
    let views = tensors.iter().map(|(name, bytes)| {
        (*name, TensorView::new(Dtype::F32, vec![bytes.len() / 4], bytes).unwrap())
    });
    serialize(views, None).unwrap()
}

#[test]
fn a_checkpoint_without_batch_norm_holds_the_same_weights() {
    let bytes = checkpoint(&Numbers::folded(&tuned()));
    assert!(weights::load(&bytes).unwrap() == tuned());
    assert!(checkpoint::unfolded(&bytes).unwrap().is_none());
}

#[test]
fn a_checkpoint_with_batch_norm_is_folded_and_torch_reads_it_unfolded() {
    let folder = tempfile::tempdir().unwrap();
    let squares: Vec<_> = pictures().iter().map(|file| square(file, 128, folder.path())).collect();
    let bytes = checkpoint(&Numbers::identity(&tuned()));
    let folded = weights::load(&bytes).unwrap();
    let unfolded = checkpoint::unfolded(&bytes).unwrap().unwrap();
    let written = pth::write_unfolded(&unfolded).unwrap();
    assert!(weights::load(&written).unwrap() == folded, "the .pth folds to other weights");
    for square in &squares {
        let picture = open(square);
        let excess = Expected::new(&tuned(), &picture).excess(&raw(&folded, &picture));
        assert!(excess < 1.0, "folding changed the outputs: {excess} × what rounding explains");
    }

    let Some(python) = Python::find() else { return };
    let file = folder.path().join("last.bn.pth");
    fs::write(&file, written).unwrap();
    compare(&python, &["torch_network.py", path(&file)], &folded, "last.bn.pth");
}
