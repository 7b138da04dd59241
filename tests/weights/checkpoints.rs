//! Our own training checkpoints: their weights are read, and written with BatchNorm.

use std::fs;

use blazetune::model::network::{Network, array};
use blazetune::model::unfold;
use blazetune::weights::{self, checkpoint, pth};
use safetensors::tensor::{Dtype, TensorView, serialize};
use tch::Device;

use crate::support::{Python, floats, open, path, pictures, raw, relative_gap, square, tuned};

/// As training would write it.
fn checkpoint(network: &Network) -> Vec<u8> {
    let flat = |tensor| array(tensor).values.iter().flat_map(|v| v.to_le_bytes()).collect();
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
    let network = Network::folded(&tuned(), Device::Cpu);
    let bytes = checkpoint(&network);
    assert!(weights::load(&bytes).unwrap() == tuned());
    assert!(checkpoint::unfolded(&bytes).unwrap().is_none());
}

#[test]
fn a_checkpoint_with_batch_norm_is_folded_and_torch_reads_it_unfolded() {
    let folder = tempfile::tempdir().unwrap();
    let squares: Vec<_> = pictures().iter().map(|file| square(file, 128, folder.path())).collect();
    let bytes = checkpoint(&unfold::identity(&Network::folded(&tuned(), Device::Cpu)));
    let folded = weights::load(&bytes).unwrap();
    let unfolded = checkpoint::unfolded(&bytes).unwrap().unwrap();
    let written = pth::write_unfolded(&unfolded).unwrap();
    assert!(weights::load(&written).unwrap() == folded, "the .pth folds to other weights");
    for square in &squares {
        let (ours, before) = (raw(&folded, &open(square)), raw(&tuned(), &open(square)));
        let gap = relative_gap(&before, &ours);
        assert!(gap < 1e-3, "folding changed what is found by {gap}");
    }

    let Some(python) = Python::find() else { return };
    let (file, out) = (folder.path().join("last.bn.pth"), folder.path().join("raw.f32"));
    fs::write(&file, written).unwrap();
    let mut arguments = vec![path(&file), path(&out)];
    arguments.extend(squares.iter().map(|file| path(file)));
    python.run("torch_network.py", &arguments);
    let answers = floats(&out);
    for (square, theirs) in squares.iter().zip(answers.chunks_exact(answers.len() / squares.len()))
    {
        let gap = relative_gap(&raw(&folded, &open(square)), theirs);
        assert!(gap < 1e-4, "{}: off by {gap}", square.display());
    }
}
