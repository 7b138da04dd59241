#!/usr/bin/env python3
"""Measures other programs on this machine, for `make bench`: prints a line of JSON.

    benches/rivals.py pillow ARCHIVE.zip
    benches/rivals.py mediapipe MODEL.tflite CALLS PICTURE…

`pillow` decodes every JPEG of an archive and scales it to 256 and to 128 pixels, one after the other, as a data loader
would. `mediapipe` calls the Python FaceDetector on pictures that are already decoded.
"""

import io, json, sys, time, zipfile


def pillow(path):
    from PIL import Image

    archive = zipfile.ZipFile(path)
    names = [name for name in archive.namelist() if name.endswith(".jpg")]
    began = time.perf_counter()
    for name in names:
        picture = Image.open(io.BytesIO(archive.read(name))).convert("RGB")
        for side in (256, 128):
            scale = side / max(picture.size)
            picture.resize([round(length * scale) for length in picture.size], Image.BILINEAR)
    return {"images_per_s": len(names) / (time.perf_counter() - began)}


def mediapipe(model, calls, *paths):
    import mediapipe as mp
    import numpy
    from PIL import Image

    vision = mp.tasks.vision
    options = vision.FaceDetectorOptions(base_options=mp.tasks.BaseOptions(model_asset_path=model))
    read = lambda path: mp.Image(mp.ImageFormat.SRGB, numpy.array(Image.open(path).convert("RGB")))
    pictures = [read(path) for path in paths]
    times = []
    with vision.FaceDetector.create_from_options(options) as detector:
        for turn in range(int(calls) + 50):
            began = time.perf_counter()
            detector.detect(pictures[turn % len(pictures)])
            times.append(time.perf_counter() - began)
    times = sorted(times[50:])  # The first ones warm up.
    at = lambda share: 1e3 * times[int((len(times) - 1) * share)]
    return {"p50_ms": at(0.5), "p99_ms": at(0.99), "images_per_s": len(times) / sum(times)}


if __name__ == "__main__":
    print(json.dumps({"pillow": pillow, "mediapipe": mediapipe}[sys.argv[1]](*sys.argv[2:])))
