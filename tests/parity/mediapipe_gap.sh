#!/bin/sh
# Measures how far MediaPipe with an exported .tflite is from our own evaluation, over a whole data set:
#
#     tests/parity/mediapipe_gap.sh WEIGHTS DATASET [FORMAT]
#
# WEIGHTS can be of any format; DATASET is a zip or a folder of pictures with a CSV file; FORMAT is tflite (16 bits) by
# default. Prints both APs at IoU 0.5 for faces of at least 0, 6, 12 and 24 pixels, as COCO's own tools compute them.
# Fails if those for 6 pixels are more than 0.01 apart.
set -eu
root=$(cd "$(dirname "$0")/../.." && pwd)
weights=$(realpath "$1") dataset=$(realpath "$2") format=${3-tflite}
blazetune=${BLAZETUNE_BIN-$root/target/release/blazetune} python=$root/.deps/venv/bin/python
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
pictures=$dataset
if [ -f "$dataset" ]; then
    pictures=$folder/pictures
    "$python" -m zipfile -e "$dataset" "$pictures"
fi
"$blazetune" export "$weights" --format "$format" --out "$folder/model.tflite"
"$blazetune" evaluate --model "$weights" --dataset "$dataset" --out "$folder/evaluation" >"$folder/report"
cd "$root/tests/parity"
truth=$folder/evaluation/ground_truth.json
"$python" -B mediapipe_ap.py "$folder/model.tflite" "$truth" "$pictures" "$folder/found.json" 2>"$folder/log" ||
    { cat "$folder/log" >&2; exit 1; }
"$python" -B coco_ap.py "$truth" "$folder/found.json" "$folder/mediapipe.json"
"$python" -B coco_ap.py "$truth" "$folder/evaluation/detections.json" "$folder/ours.json"
exec "$python" - "$folder/mediapipe.json" "$folder/ours.json" <<'END'
import json, sys
theirs, ours = (json.load(open(path))["by_min_size"] for path in sys.argv[1:])
for name, row in (("MediaPipe", theirs), ("Blazetune", ours)):
    print(f"{name}: " + "  ".join(f"{value:.4f}" for value in row))
sys.exit(abs(theirs[1] - ours[1]) > 0.01)
END
