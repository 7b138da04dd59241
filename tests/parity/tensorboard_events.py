"""What TensorBoard's own reader reads from an event file.

    tensorboard_events.py FILE OUT.json

OUT: {"scalars": {TAG: [[step, value], ...]}, "images": {TAG: [[step, width, height, JPEG bytes], ...]}}
"""

import json
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

EVERYTHING = {"scalars": 0, "images": 0}


def main() -> None:
    file, out = sys.argv[1:]
    events = EventAccumulator(file, size_guidance=EVERYTHING)
    events.Reload()
    tags = events.Tags()
    answer = {
        "scalars": {tag: [[e.step, e.value] for e in events.Scalars(tag)] for tag in tags["scalars"]},
        "images": {
            tag: [[e.step, e.width, e.height, len(e.encoded_image_string)] for e in events.Images(tag)]
            for tag in tags["images"]
        },
    }
    with open(out, "w") as file:
        json.dump(answer, file)


if __name__ == "__main__":
    main()
