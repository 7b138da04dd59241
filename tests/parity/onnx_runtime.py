"""What ONNX Runtime computes with a given model, for tests/weights to compare with.

    python tests/parity/onnx_runtime.py raw MODEL.onnx OUT.f32 PICTURE…
    python tests/parity/onnx_runtime.py faces MODEL.onnx OUT.json PICTURE…

Pictures must have the size of the network's input; all run as one batch. `raw` writes for each anchor the logit, then
the coordinates, one picture after another. `faces` writes a list for each picture, in fractions of it.
"""

import json
import pathlib
import sys

import numpy as np
import onnx
import onnxruntime
from PIL import Image


def main() -> None:
    what, model, out, *pictures = sys.argv[1:]
    onnx.checker.check_model(model, full_check=True)
    imported = {entry.domain: entry.version for entry in onnx.load(model).opset_import}
    assert imported[""] >= 17, imported
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    batch = np.stack([np.asarray(Image.open(path).convert("RGB"), np.float32) for path in pictures])
    inputs = {"input": batch.transpose(0, 3, 1, 2) / 127.5 - 1}
    if what == "raw":
        coordinates, logits = session.run(["regressors", "classificators"], inputs)
        np.concatenate([logits, coordinates], axis=2).astype("<f4").tofile(out)
        return
    faces = [[] for _ in pictures]
    for box, score, points, picture in zip(*session.run(["boxes", "scores", "keypoints", "pictures"], inputs)):
        faces[picture].append({"box": box.tolist(), "score": float(score), "keypoints": points.tolist()})
    few = session.run(["scores"], inputs | {"min_score": np.array([0.99], np.float32)})[0]
    assert len(few) == sum(face["score"] > 0.99 for found in faces for face in found), few
    pathlib.Path(out).write_text(json.dumps(faces))


if __name__ == "__main__":
    main()
