"""What MediaPipe's own metadata library reads from a .tflite, as JSON.

    python tests/parity/metadata.py MODEL.tflite OUT.json
"""

import pathlib
import sys

from mediapipe.tasks.python.metadata import metadata

model, out = sys.argv[1:]
buffer = pathlib.Path(model).read_bytes()
displayer = metadata.MetadataDisplayer.with_model_buffer(buffer)
pathlib.Path(out).write_text(displayer.get_metadata_json())
