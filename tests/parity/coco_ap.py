"""Average precision as COCO's own tools compute it, for tests/evaluate.rs to compare with.

    python tests/parity/coco_ap.py GROUND_TRUTH.json DETECTIONS.json OUT.json

OUT.json holds `ap50_95`, `by_iou`, `by_min_size` and `by_size`, in the order of Blazetune's report.
Three things differ from COCO's defaults:

* COCO samples precision at 101 recalls; Blazetune sums the whole area under the curve. With 10,001
  recalls, COCO agrees to 1e-4.
* COCO keeps the 100 best detections a picture; Blazetune keeps all.
* COCO measures size by a box's area in pixels of the picture; Blazetune by its longer side in pixels of
  the network's input. `area` is overwritten with that length, so that COCO's area ranges are ours.

If faces below a size are ignored (`by_min_size`), COCO would also ignore false detections below it, but
Blazetune counts them. So every detection gets an `area` inside the range. For `by_size`, both ignore
false detections outside the range. COCO's ranges include both ends, ours only the lower one.
"""

import contextlib
import copy
import json
import os
import sys

import numpy as np
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

MIN_SIZES = [0, 6, 12, 24]
SIZES = [6, 12, 24, 48, np.inf]


def average_precisions(truth: COCO, found: list[dict], size: tuple[float, float], false_of_any_size: bool) -> list:
    """At IoU 0.50, 0.55 ... 0.95; None where there is no face."""
    detections = truth.loadRes(copy.deepcopy(found))
    for annotation in detections.dataset["annotations"]:
        annotation["area"] = size[0] if false_of_any_size else annotation["input_px"]
    evaluation = COCOeval(truth, detections, "bbox")
    evaluation.params.recThrs = np.linspace(0, 1, 10_001)
    evaluation.params.maxDets = [100_000]
    evaluation.params.areaRng = [[size[0], np.nextafter(size[1], 0)]]
    evaluation.params.areaRngLbl = ["all"]
    evaluation.evaluate()
    evaluation.accumulate()
    precision = evaluation.eval["precision"][:, :, 0, 0, 0]  # [IoU, recall]
    return [float(row.mean()) if (row >= 0).all() else None for row in precision]


def main() -> None:
    truth_file, found_file, out = sys.argv[1:]
    truth = COCO(truth_file)
    for annotation in truth.dataset["annotations"]:
        annotation["area"] = annotation["input_px"]
    with open(found_file) as file:
        found = json.load(file)
    by_min_size = [average_precisions(truth, found, (size, np.inf), True) for size in MIN_SIZES]
    by_size = [average_precisions(truth, found, size, False) for size in zip(SIZES, SIZES[1:])]
    answer = {
        "ap50_95": float(np.mean(by_min_size[0])),
        "by_iou": by_min_size[0],
        "by_min_size": [row[0] for row in by_min_size],
        "by_size": [row[0] for row in by_size],
    }
    with open(out, "w") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    with open(os.devnull, "w") as silence, contextlib.redirect_stdout(silence):
        main()
