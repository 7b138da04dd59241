#!/usr/bin/env python3
"""Measures models that take the place of MediaPipe's file, in MediaPipe itself, at its default threshold of 0.5.

    .deps/venv/bin/python benches/drop_in.py FOLDER [--seeds 0,1,2] [--epochs 12]

FOLDER is as for recipe.py. For each seed, three jobs train on `wider_train`: one validates on all of `wider_val`, two on
half of it (every other picture). The latter are measured on the other half too, which chose neither their epoch nor
their mix nor their shift. MediaPipe loads each job's best.tflite, and the same weights without the shift. `best` is
the best F1 of any threshold, in MediaPipe too, and so shows what the shift leaves. Prints a table in Markdown.
"""

import argparse, concurrent.futures, json, os, pathlib, subprocess, sys, tempfile, zipfile

import recipe

sys.path.insert(0, str(recipe.ROOT / "tests/parity"))
import answers

GRAPH = answers.GRAPH
SIZES = (6, 24)
THRESHOLDS = [step / 50 for step in range(10, 41)]  # 0.20 to 0.80


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seeds", default="0", help="seeds, separated by commas")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--binary", type=pathlib.Path, default=recipe.ROOT / "target/release/blazetune")
    parser.add_argument("--data", type=pathlib.Path, default=recipe.ROOT / "target/recipe/data")
    return parser.parse_args()


def halved(binary, folder, data, half):
    """Imports `wider_train` and every other picture of `wider_val`; returns the data set's folder."""
    archive = data / f"wider-half-{half}.zip"
    if not (data / f"{archive.stem}-dataset").exists():
        data.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(archive, "w") as out:
            for part in ("wider_train", "wider_val"):
                pictures = sorted((folder / part / "images").iterdir())
                if part == "wider_val":
                    pictures = pictures[half::2]
                names = {f"images/{path.name}" for path in pictures}
                head, *rows = (folder / part / "annotations.csv").read_text().splitlines()
                rows = [row for row in rows if row.split(",")[0] in names]
                out.writestr(f"{part}/annotations.csv", "\n".join([head, *rows]) + "\n")
                for path in pictures:
                    out.write(path, path.relative_to(folder))
    return recipe.import_archive(binary, archive, data)


def truth_of(binary, dataset, folder, work):
    """Each validation picture's path, size and faces, from an evaluation's files, in the order of their names."""
    command = [binary, "evaluate", "--model", "mediapipe", "--dataset", dataset, "--out", work]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    truth = json.loads((work / "ground_truth.json").read_text())
    faces = {image["id"]: [] for image in truth["images"]}
    for face in truth["annotations"]:
        faces[face["image_id"]].append((face["bbox"], face["input_px"]))
    images = sorted(truth["images"], key=lambda image: pathlib.Path(image["file_name"]).name)
    place = lambda image: folder / "wider_val/images" / pathlib.Path(image["file_name"]).name
    return [(place(image), image["width"], image["height"], faces[image["id"]]) for image in images]


def found(model, truth, threshold):
    """MediaPipe's detections of each picture in pixels, best first."""
    answers.GRAPH = GRAPH.replace("min_score_thresh: 0.5", f"min_score_thresh: {threshold}")
    pictures = answers.faces(str(model), [path for path, *_ in truth])
    for faces, (_, width, height, _) in zip(pictures, truth, strict=True):
        faces.sort(key=lambda face: -face["score"])
        boxes = [face["box"] for face in faces]
        yield [(left * width, top * height, right * width, bottom * height) for top, left, bottom, right in boxes]


def overlap(a, b):
    width = min(a[2], b[2]) - max(a[0], b[0])
    height = min(a[3], b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0
    area = lambda box: (box[2] - box[0]) * (box[3] - box[1])
    return width * height / (area(a) + area(b) - width * height)


def counts(boxes, faces, size):
    """Hits, false detections and faces of one picture, as `Ranking::curve` counts them."""
    faces = [((x, y, x + w, y + h), px >= size) for (x, y, w, h), px in faces]
    taken, hits, false = set(), 0, 0
    for box in boxes:
        free = [(at, overlap(box, face), big) for at, (face, big) in enumerate(faces) if at not in taken]
        best = max((face for face in free if face[1] >= 0.5), key=lambda face: (face[2], face[1]), default=None)
        if best is None:
            false += 1
        else:
            taken.add(best[0])
            hits += best[2]
    return hits, false, sum(big for _, big in faces)


def measured(job):
    """Counts by picture, for each size, at one threshold."""
    model, truth, threshold = job
    pictures = zip(found(model, truth, threshold), truth)
    return [[counts(boxes, faces, size) for size in SIZES] for boxes, (*_, faces) in pictures]


class Measures:
    """A model's counts at every threshold."""

    def __init__(self, pool, model, truth):
        jobs = [(model, truth, threshold) for threshold in THRESHOLDS]
        self.by_threshold = dict(zip(THRESHOLDS, pool.map(measured, jobs)))

    def at(self, pictures, threshold=0.5):
        chosen = self.by_threshold[threshold][pictures]
        (hits, false, all), (large, _, all_large) = (map(sum, zip(*(row[at] for row in chosen))) for at in (0, 1))
        return {"precision": hits / max(hits + false, 1), "recall": hits / all, "f1": 2 * hits / (hits + false + all), "large": (large, all_large)}

    def row(self, title, pictures):
        at, best = self.at(pictures), max(self.at(pictures, threshold)["f1"] for threshold in THRESHOLDS)
        large, all_large = at["large"]
        figures = [at["f1"], best, at["precision"], at["recall"], large / all_large]
        print(f"| {title} | " + " | ".join(f"{figure:.3f}" for figure in figures) + f" ({large} of {all_large}) |", flush=True)


def train(args, dataset, seed, work):
    """Runs a job; returns its shift, and its model with and without the shift."""
    folder = work / f"job-{dataset.name}-{seed}"
    params = {"epochs": args.epochs, "seed": seed, "device": "cpu"}
    if recipe.start(args.binary, folder, dataset, params, args.threads).wait():
        sys.exit(f"{folder}: the worker failed")
    shift = json.loads((folder / "artifacts/card.json").read_text())["score_shift"]["logits"]
    unshifted = folder / "unshifted.tflite"
    source = folder / "artifacts/best.safetensors"
    command = [args.binary, "export", source, "--format", "tflite", "--score-shift", str(-shift), "--out", unshifted]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return shift, unshifted, folder / "artifacts/best.tflite"


def main():
    args = arguments()
    folder, data = args.folder.resolve(), args.data.resolve()
    every = recipe.import_photographs(args.binary, folder, data)
    halves = [halved(args.binary, folder, data, half) for half in (0, 1)]
    parts = {"all": slice(None), "half A": slice(0, None, 2), "half B": slice(1, None, 2)}
    with tempfile.TemporaryDirectory() as work, concurrent.futures.ProcessPoolExecutor(args.threads) as pool:
        work = pathlib.Path(work)
        truth = truth_of(args.binary, every, folder, work)
        base = Measures(pool, recipe.ROOT / ".deps/weights/face_detection_short_range.tflite", truth)
        print("| at 0.5, in MediaPipe | F1 ≥ 6 px | best | precision | recall ≥ 6 px | recall ≥ 24 px |\n|---|---|---|---|---|---|")
        for name, part in parts.items():
            base.row(f"MediaPipe's weights, {name}", part)
        jobs = [(every, "all", ["all"]), (halves[0], "half A", ["half A", "half B"]), (halves[1], "half B", ["half B", "half A"])]
        for seed in map(int, args.seeds.split(",")):
            for dataset, chosen, places in jobs:
                shift, *models = train(args, dataset, seed, work)
                before, after = (Measures(pool, model, truth) for model in models)
                for place in places:
                    title = f"seed {seed}, chosen on {chosen}, on {place}"
                    before.row(f"{title}: without the shift", parts[place])
                    after.row(f"{title}: **shifted by {shift:+.2f}**", parts[place])


if __name__ == "__main__":
    main()
