"""Makes tests/parity/golden: what MediaPipe's own runtime computes for known pictures.

    python tests/parity/make_golden.py MODEL.tflite tests/parity/golden

Needs mediapipe==0.10.21. `raw.f32` holds 896 x 17 little-endian float32, anchor by anchor: the
logit, then the 16 coordinates, for the 128 x 128 picture that `pattern` makes. `faces.json` holds
the detections of MediaPipe's FaceDetector on the pictures of the folder `pictures`.
"""

import json
import pathlib
import sys

import mediapipe as mp
import numpy as np
from mediapipe.tasks.python import BaseOptions, vision


def pattern() -> np.ndarray:
    """A 128 x 128 RGB picture that is easy to reproduce: waves of three colours."""
    y, x = np.mgrid[0:128, 0:128].astype(np.int64)
    red = (x * 3 + y * 5) % 256
    green = (x * x // 7 + y * 2) % 256
    blue = ((x - 64) ** 2 // 16 + (y - 64) ** 2 // 16) % 256
    return np.stack([red, green, blue], axis=-1).astype(np.uint8)


GRAPH = """
input_stream: "image"
output_stream: "floats0"
output_stream: "floats1"
node {{
  calculator: "ImageToTensorCalculator"
  input_stream: "IMAGE:image"
  output_stream: "TENSORS:input"
  options {{ [mediapipe.ImageToTensorCalculatorOptions.ext] {{
    output_tensor_width: 128 output_tensor_height: 128 keep_aspect_ratio: true
    output_tensor_float_range {{ min: -1.0 max: 1.0 }} border_mode: BORDER_ZERO
  }} }}
}}
node {{
  calculator: "InferenceCalculator"
  input_stream: "TENSORS:input"
  output_stream: "TENSORS:outputs"
  options {{ [mediapipe.InferenceCalculatorOptions.ext] {{
    model_path: "{model}" delegate {{ xnnpack {{}} }}
  }} }}
}}
node {{
  calculator: "SplitTensorVectorCalculator"
  input_stream: "outputs"
  output_stream: "tensors0"
  output_stream: "tensors1"
  options {{ [mediapipe.SplitVectorCalculatorOptions.ext] {{
    ranges: {{ begin: 0 end: 1 }} ranges: {{ begin: 1 end: 2 }}
  }} }}
}}
node {{ calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:tensors0" output_stream: "FLOATS:floats0" }}
node {{ calculator: "TensorsToFloatsCalculator" input_stream: "TENSORS:tensors1" output_stream: "FLOATS:floats1" }}
"""


def raw_outputs(model: str, picture: np.ndarray) -> np.ndarray:
    """[896, 17]: logits and coordinates of every anchor."""
    graph = mp.CalculatorGraph(graph_config=GRAPH.format(model=model))
    found = {}
    for stream in ("floats0", "floats1"):
        graph.observe_output_stream(
            stream,
            lambda name, packet: found.__setitem__(name, mp.packet_getter.get_float_list(packet)),
        )
    graph.start_run()
    image = mp.Image(image_format=mp.ImageFormat.SRGB, data=picture)
    graph.add_packet_to_input_stream("image", mp.packet_creator.create_image(image).at(0))
    graph.close()
    arrays = sorted((np.array(values, np.float32) for values in found.values()), key=len)
    return np.concatenate([arrays[0].reshape(896, 1), arrays[1].reshape(896, 16)], axis=1)


def faces(model: str, pictures: list[pathlib.Path], min_score: float = 0.5) -> list[dict]:
    """What MediaPipe's FaceDetector finds; boxes are [ymin, xmin, ymax, xmax] as fractions."""
    options = vision.FaceDetectorOptions(
        base_options=BaseOptions(model_asset_path=model),
        min_detection_confidence=min_score,
        min_suppression_threshold=0.3,
    )
    result = []
    with vision.FaceDetector.create_from_options(options) as detector:
        for path in pictures:
            image = mp.Image.create_from_file(str(path))
            # The network takes no alpha channel, but some decoders add one.
            image = mp.Image(mp.ImageFormat.SRGB, np.ascontiguousarray(image.numpy_view()[..., :3]))
            width, height = image.width, image.height
            found = []
            for face in detector.detect(image).detections:
                box = face.bounding_box
                found.append(
                    {
                        "box": [
                            box.origin_y / height,
                            box.origin_x / width,
                            (box.origin_y + box.height) / height,
                            (box.origin_x + box.width) / width,
                        ],
                        "score": face.categories[0].score,
                        "keypoints": [[point.x, point.y] for point in face.keypoints],
                    }
                )
            result.append({"picture": path.name, "width": width, "height": height, "faces": found})
    return result


def main() -> None:
    model, folder = sys.argv[1], pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    raw_outputs(model, pattern()).astype("<f4").tofile(folder / "raw.f32")
    pictures = sorted((folder / "pictures").glob("*.*g"))
    (folder / "faces.json").write_text(json.dumps(faces(model, pictures), indent=1) + "\n")


if __name__ == "__main__":
    main()
