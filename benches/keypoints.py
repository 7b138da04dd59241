#!/usr/bin/env python3
"""Measures how far MediaPipe's own keypoints move when the picture hardly changes: the floor for `keypoint_nme`.

    .deps/venv/bin/python benches/keypoints.py FOLDER [MODEL.tflite]

FOLDER holds pictures in images/. MediaPipe gets each one twice, unchanged and changed; the table shows how far apart
the keypoints of the same faces are, as a share of the face's width, for faces of each size in pixels of the
network's 128-pixel input. In the last row, keypoints are averaged over 16 such changes: the best that a network can
learn without repeating the base model's noise. Needs `make setup-test`.
"""

import pathlib, sys

import mediapipe, numpy
from PIL import Image

ROOT = pathlib.Path(__file__).resolve().parent.parent
MIRRORED_ORDER = [1, 0, 2, 3, 5, 4]  # the right and left eyes and ears change places
AVERAGED = 16
AVERAGE = f"averaged over {AVERAGED} changes"
EDGES = [0, 12, 24, 48, float("inf")]


def mirrored(picture):
    def back(points):
        return numpy.array([picture.shape[1], 0]) + points * [-1, 1]

    return picture[:, ::-1], back, MIRRORED_ORDER


def shifted(inputs_pixels):
    """Shifts right and down by this many pixels of the network's input."""

    def change(picture):
        height, width = picture.shape[:2]
        by = round(max(height, width) * inputs_pixels / 128)
        moved = numpy.pad(picture, ((by, 0), (by, 0), (0, 0)))[:height, :width]
        return moved, lambda points: points - by, range(6)

    return change


def shrunk(share):
    def change(picture):
        margin = [int(side * share / 2) for side in picture.shape[:2]]
        framed = numpy.pad(picture, [(margin[0],) * 2, (margin[1],) * 2, (0, 0)])
        return framed, lambda points: points - margin[::-1], range(6)

    return change


def moved(generator):
    """Places the picture at random in a frame that is up to a tenth larger."""
    share, at = generator.uniform(0, 0.1), generator.uniform(0, 1, 2)

    def change(picture):
        margin = [round(max(picture.shape[:2]) * share * where) for where in at]
        rest = [round(max(picture.shape[:2]) * share) - low for low in margin]
        framed = numpy.pad(picture, [*zip(margin, rest), (0, 0)])
        return framed, lambda points: points - margin[::-1], range(6)

    return change


CHANGES = {
    "shifted by half a pixel": shifted(0.5),
    "shifted by two pixels": shifted(2),
    "shrunk by 4 %": shrunk(0.04),
    "mirrored": mirrored,
}


def faces(detector, picture):
    """Corners `[2, 2]` and keypoints `[6, 2]` of each face, x and y in pixels."""
    picture = numpy.ascontiguousarray(picture)
    found = detector.detect(mediapipe.Image(image_format=mediapipe.ImageFormat.SRGB, data=picture)).detections
    for face in found:
        box = face.bounding_box
        low = numpy.array([box.origin_x, box.origin_y], float)
        points = numpy.array([[point.x, point.y] for point in face.keypoints]) * picture.shape[1::-1]
        yield numpy.stack([low, low + [box.width, box.height]]), points


def overlap(a, b):
    sides = numpy.minimum(a[1], b[1]) - numpy.maximum(a[0], b[0])
    shared = sides.clip(0).prod()
    return shared / ((a[1] - a[0]).prod() + (b[1] - b[0]).prod() - shared)


def same_faces(before, picture, change, detector):
    """For each face, its keypoints in the changed picture, or None if it is not found there."""
    changed, back, order = change(picture)
    after = []
    for corners, points in faces(detector, changed):
        corners = numpy.sort(back(corners), axis=0)
        after.append((corners, back(points)[list(order)]))
    for corners, _ in before:
        yield next((found for box, found in after if overlap(corners, box) >= 0.5), None)


def apart(before, found, picture):
    """For each face found again, its size in pixels of the input and the distance in face widths."""
    for (corners, points), again in zip(before, found):
        if again is not None:
            width = corners[1][0] - corners[0][0]
            yield width * 128 / max(picture.shape[:2]), numpy.hypot(*(points - again).T).mean() / width


def averaged(before, picture, detector):
    """Each face's keypoints, averaged over the changes in which it is found, if those are at least half."""
    generator = numpy.random.default_rng(0)
    found = [list(same_faces(before, picture, moved(generator), detector)) for _ in range(AVERAGED)]
    for of_face in zip(*found):
        there = [points for points in of_face if points is not None]
        yield numpy.mean(there, axis=0) if len(there) >= AVERAGED / 2 else None


def main():
    folder = pathlib.Path(sys.argv[1])
    model = sys.argv[2] if len(sys.argv) > 2 else ROOT / ".deps/weights/face_detection_short_range.tflite"
    options = mediapipe.tasks.vision.FaceDetectorOptions(
        base_options=mediapipe.tasks.BaseOptions(model_asset_path=str(model)), min_detection_confidence=0.5
    )
    measured = {name: [] for name in [*CHANGES, AVERAGE]}
    with mediapipe.tasks.vision.FaceDetector.create_from_options(options) as detector:
        for path in sorted((folder / "images").iterdir()):
            picture = numpy.array(Image.open(path).convert("RGB"))
            before = list(faces(detector, picture))
            for name, change in CHANGES.items():
                measured[name].extend(apart(before, same_faces(before, picture, change, detector), picture))
            measured[AVERAGE].extend(apart(before, averaged(before, picture, detector), picture))
    print("| picture | all | < 12 px | 12–24 px | 24–48 px | ≥ 48 px |\n|---|---|---|---|---|---|")
    for name, pairs in measured.items():
        pairs = numpy.array(pairs)
        columns = [pairs] + [pairs[(pairs[:, 0] >= a) & (pairs[:, 0] < b)] for a, b in zip(EDGES, EDGES[1:])]
        figures = [f"{column[:, 1].mean():.3f} ({len(column)})" if len(column) else "–" for column in columns]
        print(f"| {name} | " + " | ".join(figures) + " |")


if __name__ == "__main__":
    main()
