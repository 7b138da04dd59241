#!/usr/bin/env python3
"""Shows where a model misses faces: average precision by the IoU that a hit needs, and by the size of the faces.

    blazetune evaluate --model MODEL --dataset FOLDER --out REPORT
    .deps/venv/bin/python benches/misses.py REPORT

Sizes are in pixels of the network's 128-pixel input. Faces of other sizes are neither hits nor misses.
"""

import collections, json, pathlib, sys

import numpy

STRICTNESS = [0.3, 0.4, 0.5, 0.6, 0.7]
AT_LEAST = [6, 12, 24]
RANGES = [(6, 8), (8, 12), (12, 24), (24, float("inf"))]


def overlaps(box, boxes):
    low = numpy.maximum(box[:2], boxes[:, :2])
    high = numpy.minimum(box[:2] + box[2:], boxes[:, :2] + boxes[:, 2:])
    shared = (high - low).clip(0).prod(1)
    return shared / (box[2:].prod() + boxes[:, 2:].prod(1) - shared)


def average_precision(faces, found, strictness, low, high):
    """Also returns the recall and the number of faces. Only the first match of a face, by score, is a hit."""
    is_hit, wanted = [], sum(low <= size < high for _, sizes in faces.values() for size in sizes)
    taken = {image: numpy.zeros(len(sizes), bool) for image, (_, sizes) in faces.items()}
    for detection in found:
        boxes, sizes = faces.get(detection["image_id"], (numpy.zeros((0, 4)), []))
        counts = numpy.array([low <= size < high for size in sizes], bool)
        shares = overlaps(numpy.array(detection["bbox"]), boxes) if len(boxes) else numpy.zeros(0)
        free = (shares >= strictness) & ~(taken.get(detection["image_id"], counts) & counts)
        candidates = numpy.flatnonzero(free & counts)
        if not len(candidates) and (free & ~counts).any():
            continue  # It matches a face of another size.
        if not len(candidates) and not low <= detection["input_px"] < high and high != float("inf"):
            continue
        is_hit.append(bool(len(candidates)))
        if len(candidates):
            taken[detection["image_id"]][candidates[shares[candidates].argmax()]] = True
    hits = numpy.cumsum(is_hit)
    precision = hits / numpy.arange(1, len(hits) + 1)
    precision = numpy.maximum.accumulate(precision[::-1])[::-1]
    return precision[numpy.array(is_hit, bool)].sum() / wanted, hits[-1] / wanted, wanted


def main():
    report = pathlib.Path(sys.argv[1])
    annotations = json.loads((report / "ground_truth.json").read_text())["annotations"]
    of_image = collections.defaultdict(list)
    for face in annotations:
        of_image[face["image_id"]].append(face)
    faces = {
        image: (numpy.array([face["bbox"] for face in some]), [face["input_px"] for face in some])
        for image, some in of_image.items()
    }
    found = sorted(json.loads((report / "detections.json").read_text()), key=lambda face: -face["score"])
    print("| IoU of a hit | " + " | ".join(f"≥ {low} px" for low in AT_LEAST) + " |\n|" + "---|" * 4)
    for strictness in STRICTNESS:
        columns = [average_precision(faces, found, strictness, low, float("inf"))[0] for low in AT_LEAST]
        print(f"| {strictness} | " + " | ".join(f"{value:.3f}" for value in columns) + " |")
    print("\n| faces of | number | average precision | recall |\n|---|---|---|---|")
    for low, high in RANGES:
        precision, recall, wanted = average_precision(faces, found, 0.5, low, high)
        name = f"≥ {low} px" if high == float("inf") else f"{low}–{high} px"
        print(f"| {name} | {wanted} | {precision:.3f} | {recall:.2f} |")


if __name__ == "__main__":
    main()
