#!/usr/bin/env python3
"""Trains on photographs and measures on drawings, and the other way round, with and without a teacher.

    benches/domains.py FOLDER [--parallel 2] [--epochs 12]

FOLDER is as for recipe.py. The drawings come from `blazetune sample`; training on them takes 2.5 times as many epochs.
Prints a table in Markdown: average precision at IoU 0.5 for faces of at least 6, 12 and 24 pixels.
"""

import argparse, concurrent.futures, json, os, pathlib, subprocess, tempfile

import recipe

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--epochs", type=int, default=12)
parser.add_argument("--parallel", type=int, default=os.cpu_count())
parser.add_argument("--binary", type=pathlib.Path, default=recipe.ROOT / "target/release/blazetune")
parser.add_argument("--data", type=pathlib.Path, default=recipe.ROOT / "target/recipe/data")
args = parser.parse_args()


def measure(model, dataset):
    with tempfile.TemporaryDirectory() as out:
        command = [args.binary, "evaluate", "--model", model, "--dataset", dataset, "--out", out]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        report = json.loads(pathlib.Path(out, "report.json").read_text())
    sizes = {row["from_px"]: row["ap50"] for row in report["models"][0]["by_min_size"]}
    return [sizes[px] for px in (6, 12, 24)]


def row(title, figures, base=None):
    kept = f"{figures[2] / base[2]:.0%}" if base else ""
    return f"| {title} | " + " | ".join(f"{figure:.3f}" for figure in figures) + f" | {kept} |"


data = args.data.resolve()
photographs = recipe.import_photographs(args.binary, args.folder.resolve(), data)
drawn = data / "drawn.zip"
if not drawn.exists():
    subprocess.run([args.binary, "sample", "--out", drawn], check=True)
drawings = recipe.import_archive(args.binary, drawn, data)
jobs = [
    (f"{name}, teacher_weight {weight:g}", trained, other, {"epochs": epochs, "loss": {"teacher_weight": weight}})
    for name, trained, other, epochs in [
        ("drawings → photographs", drawings, photographs, args.epochs * 5 // 2),
        ("photographs → drawings", photographs, drawings, args.epochs),
    ]
    for weight in (0.0, 1.0)
]


def job(title, trained, other, params):
    with tempfile.TemporaryDirectory() as folder:
        model = pathlib.Path(folder, "model.safetensors")
        recipe.run(args.binary, trained, params | {"seed": 0, "device": "cpu"}, model)
        return row(title, measure(model, other), measure("mediapipe", other))


print("| | ≥ 6 px | ≥ 12 px | ≥ 24 px | of the base model's ≥ 24 px |\n|---|---|---|---|---|")
for name, dataset in [("base model on photographs", photographs), ("base model on drawings", drawings)]:
    print(row(name, measure("mediapipe", dataset)), flush=True)
with concurrent.futures.ThreadPoolExecutor(args.parallel) as pool:
    for line in pool.map(lambda each: job(*each), jobs):
        print(line, flush=True)
