#!/usr/bin/env python3
"""Tests whether a mean of several epochs' weights is better than the last epoch's weights.

    .deps/venv/bin/python benches/path.py FOLDER

FOLDER is as for recipe.py, which imports it. Runs one job of 12 epochs with the defaults and takes each epoch's folded
weights from its checkpoint.
"""

import json, pathlib, subprocess, sys, tempfile, time

import numpy
from safetensors import SafetensorError, safe_open
from safetensors.numpy import load_file, save_file

import recipe

EPOCHS = 12
BINARY = recipe.ROOT / "target/release/blazetune"
DATA = recipe.ROOT / "target/recipe/data"
MIXES = {
    "the last epoch alone": {12: 1},
    "the last two": {11: 1, 12: 1},
    "the last three": {10: 1, 11: 1, 12: 1},
    "the last four": {9: 1, 10: 1, 11: 1, 12: 1},
    "the last six": {7: 1, 8: 1, 9: 1, 10: 1, 11: 1, 12: 1},
    "the last and the eighth": {8: 1, 12: 1},
    "the last and the fourth": {4: 1, 12: 1},
    "1.2 × the last − 0.2 × the eighth": {8: -0.2, 12: 1.2},
}


def train(folder, dataset):
    """The folded weights after each epoch, flat."""
    params = {"seed": 0, "device": "cpu", "epochs": EPOCHS}
    epochs = []
    with recipe.start(BINARY, folder, dataset, params, threads=2) as worker:
        while worker.poll() is None:
            time.sleep(0.1)
            try:
                with safe_open(folder / "checkpoints/last.safetensors", "np") as file:
                    weights = file.get_tensor("last")
            except (FileNotFoundError, SafetensorError):
                continue
            if not epochs or not numpy.array_equal(epochs[-1], weights):
                epochs.append(weights)
    if len(epochs) != EPOCHS:
        sys.exit(f"saw {len(epochs)} epochs of {EPOCHS}")
    return epochs


def named(flat, like):
    """The flat weights by their published names; the file orders the names differently."""
    blocks = [f"backbone1.{i}" for i in range(2, 13)] + [f"backbone2.{i}" for i in range(5)]
    convolutions = ["backbone1.0"] + [f"{block}.convs.{j}" for block in blocks for j in (0, 1)]
    convolutions += ["classifier_8", "classifier_16", "regressor_8", "regressor_16"]
    names = [f"{name}.{part}" for name in convolutions for part in ("weight", "bias")]
    ends = numpy.cumsum([like[name].size for name in names])[:-1]
    return {name: part.reshape(like[name].shape) for name, part in zip(names, numpy.split(flat, ends))}


def measure(weights, dataset, folder):
    save_file(weights, folder / "mixed.safetensors")
    command = [BINARY, "evaluate", "--model", folder / "mixed.safetensors", "--dataset", dataset, "--out", folder / "report"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    ranges = json.loads((folder / "report/report.json").read_text())["models"][0]["by_min_size"]
    return {found["from_px"]: found["ap50"] for found in ranges}


def main():
    dataset = recipe.import_photographs(BINARY, pathlib.Path(sys.argv[1]).resolve(), DATA)
    with tempfile.TemporaryDirectory(prefix="path-") as folder:
        folder = pathlib.Path(folder)
        epochs = train(folder / "job", dataset)
        like = load_file(folder / "job/artifacts/last.safetensors")
        assert all(numpy.array_equal(value, like[name]) for name, value in named(epochs[-1], like).items())
        print("| mean of | ≥ 6 px | ≥ 12 px | ≥ 24 px |\n|---|---|---|---|")
        for name, shares in MIXES.items():
            mixed = sum(epochs[epoch - 1] * share for epoch, share in shares.items()) / sum(shares.values())
            found = measure(named(mixed.astype(numpy.float32), like), dataset, folder)
            print(f"| {name} | " + " | ".join(f"{found[low]:.3f}" for low in (6, 12, 24)) + " |", flush=True)


if __name__ == "__main__":
    main()
