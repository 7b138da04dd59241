"""What MediaPipe's own runtime computes with a given model, for tests/weights to compare with.

    python tests/parity/answers.py raw MODEL.tflite OUT.f32 PICTURE…
    python tests/parity/answers.py faces MODEL.tflite OUT.json PICTURE…

`raw` takes pictures of 128 x 128 and writes each one's outputs in the format of make_golden.py's
`raw.f32`, one after another. `faces` writes a list for each picture. The faces are those of
FaceDetector, but with the graph's boxes: FaceDetector rounds them to pixels, and moves those that
begin outside the picture inside.
"""

import json
import pathlib
import sys

import mediapipe as mp
import numpy as np
from make_golden import raw_outputs
from mediapipe.framework.formats import detection_pb2  # noqa: F401 (what the packets hold)
from mediapipe.modules.face_detection import face_detection_pb2  # noqa: F401 (named in the graph)
from PIL import Image

# The graph behind mediapipe.solutions.face_detection, which itself cannot take another model.
GRAPH = """
input_stream: "image"
output_stream: "detections"
node {{
  calculator: "FaceDetectionShortRange"
  input_stream: "IMAGE:image"
  output_stream: "DETECTIONS:detections"
  node_options {{ [type.googleapis.com/mediapipe.FaceDetectionOptions] {{
    model_path: "{model}" min_score_thresh: 0.5 delegate {{ xnnpack {{}} }}
  }} }}
}}
"""


def faces(model: str, pictures: list[pathlib.Path]) -> list[list[dict]]:
    graph = mp.CalculatorGraph(graph_config=GRAPH.format(model=model))
    packets = {}
    graph.observe_output_stream("detections", lambda _, packet: packets.__setitem__(packet.timestamp.value, packet))
    graph.start_run()
    for time, path in enumerate(pictures):
        image = mp.Image(mp.ImageFormat.SRGB, read(path))
        graph.add_packet_to_input_stream("image", mp.packet_creator.create_image(image).at(time))
        graph.wait_until_idle()
    graph.close()
    found = [packets.get(time) for time in range(len(pictures))]
    return [[face(d) for d in mp.packet_getter.get_proto_list(packet)] if packet else [] for packet in found]


def face(detection: object) -> dict:
    box = detection.location_data.relative_bounding_box
    return {
        "box": [box.ymin, box.xmin, box.ymin + box.height, box.xmin + box.width],
        "score": detection.score[0],
        "keypoints": [[point.x, point.y] for point in detection.location_data.relative_keypoints],
    }


def check_tasks(model: str, pictures: list[pathlib.Path], found: list[list[dict]]) -> None:
    """Checks that FaceDetector finds the graph's faces: as many, with the same scores and keypoints."""
    base = mp.tasks.BaseOptions(model_asset_path=model)
    options = mp.tasks.vision.FaceDetectorOptions(base_options=base, min_detection_confidence=0.5)
    with mp.tasks.vision.FaceDetector.create_from_options(options) as detector:
        for path, ours in zip(pictures, found, strict=True):
            theirs = detector.detect(mp.Image(mp.ImageFormat.SRGB, read(path))).detections
            scores = [face.categories[0].score for face in theirs], [face["score"] for face in ours]
            points = [[(p.x, p.y) for p in face.keypoints] for face in theirs], [face["keypoints"] for face in ours]
            if not all(len(a) == len(b) and np.allclose(a, b, atol=1e-4) for a, b in (scores, points)):
                sys.exit(f"{path}: FaceDetector finds {theirs}, the graph {ours}")


def read(path: pathlib.Path) -> np.ndarray:
    return np.array(Image.open(path).convert("RGB"))


def main() -> None:
    what, model, out, *pictures = sys.argv[1:]
    pictures = [pathlib.Path(path) for path in pictures]
    if what == "raw":
        np.stack([raw_outputs(model, read(path)) for path in pictures]).astype("<f4").tofile(out)
    else:
        found = faces(model, pictures)
        check_tasks(model, pictures, found)
        pathlib.Path(out).write_text(json.dumps(found))


if __name__ == "__main__":
    main()
