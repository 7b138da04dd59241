"""MediaPipe's own detections, with an exported .tflite, in the pictures of an evaluation, in COCO's format.

    python tests/parity/mediapipe_ap.py MODEL.tflite GROUND_TRUTH.json PICTURES OUT.json

`blazetune evaluate --out` writes GROUND_TRUTH.json; PICTURES is a folder with its pictures. coco_ap.py then computes
the average precision, to compare with the report's.
"""

import json
import pathlib
import sys

import answers

MIN_SCORE = 0.02  # Blazetune's threshold for average precision.


def main() -> None:
    model, truth, pictures, out = sys.argv[1:]
    answers.GRAPH = answers.GRAPH.replace("min_score_thresh: 0.5", f"min_score_thresh: {MIN_SCORE}")
    images = json.loads(pathlib.Path(truth).read_text())["images"]
    files = {path.name: path for path in pathlib.Path(pictures).rglob("*") if path.is_file()}
    found = []
    paths = [files[pathlib.Path(image["file_name"]).name] for image in images]
    for image, faces in zip(images, answers.faces(model, paths), strict=True):
        width, height = image["width"], image["height"]
        for face in faces:
            top, left, bottom, right = face["box"]
            box = [left * width, top * height, (right - left) * width, (bottom - top) * height]
            longer = max(box[2:]) * 128 / max(width, height)
            found.append({"image_id": image["id"], "category_id": 1, "bbox": box, "score": face["score"], "input_px": longer})
    pathlib.Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
