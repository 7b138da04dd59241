#!/usr/bin/env bash
# Fine-tunes over HTTP on a folder with two data sets, `wider_train` and `wider_val` (each with
# annotations.csv and images/), and prints the metrics of each epoch:
#
#   benches/wider.sh FOLDER [EPOCHS]
#
# Needs target/release/blazetune (`make build`), curl and python3.
set -euo pipefail
folder=$(realpath "$1")
epochs=${2:-12}
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'kill $server 2>/dev/null; wait; rm -rf "$work"' EXIT

python3 - "$folder" "$work/wider.zip" <<'PYTHON'
import pathlib, sys, zipfile
folder, archive = pathlib.Path(sys.argv[1]), zipfile.ZipFile(sys.argv[2], "w")
for part in ("wider_train", "wider_val"):
    for path in [folder / part / "annotations.csv", *sorted((folder / part / "images").iterdir())]:
        archive.write(path, path.relative_to(folder))
archive.close()
PYTHON

target/release/blazetune serve --data "$work/data" --listen 127.0.0.1:0 >"$work/serve.log" 2>&1 &
server=$!
until address=$(grep -m 1 -oE 'http://[0-9.:]+' "$work/serve.log" 2>/dev/null); do sleep 0.1; done

python3 - "$address/api/v1" "$work/wider.zip" "$epochs" <<'PYTHON'
import json, sys, time, urllib.request

api, archive, epochs = sys.argv[1], sys.argv[2], int(sys.argv[3])


def call(path, body=None, kind="application/json"):
    request = urllib.request.Request(api + path, data=body, headers={"Content-Type": kind})
    return json.load(urllib.request.urlopen(request))


def wait(path, key, ends):
    while (found := call(path))[key] not in ends:
        time.sleep(0.2)
    return found


began = time.time()
dataset = call("/datasets?name=wider", open(archive, "rb").read(), "application/zip")
dataset = wait(f"/datasets/{dataset['id']}", "status", ("ready", "failed"))
print(f"import: {dataset['images']} pictures, {dataset['faces']} faces, {time.time() - began:.1f} s with the upload")

job = {"kind": "train", "dataset_id": dataset["id"], "params": {"epochs": epochs, "batch_size": 32}}
began = time.time()
job = call("/jobs", json.dumps(job).encode())
job = wait(f"/jobs/{job['id']}", "state", ("completed", "failed", "cancelled"))
print(f"job: {job['state']} in {time.time() - began:.0f} s {job['error'] or ''}")

names = ["ap50_ge6", "ap50_ge12", "ap50_ge24", "ap50", "val_iou", "best_f1", "best_threshold", "keypoint_nme"]
print("epoch  seconds  images/s  " + "  ".join(names))
for row in call(f"/jobs/{job['id']}/metrics")["items"]:
    figures = [row["val"][name] for name in names]
    figures = [f"{'–' if v is None else format(v, '.3f'):>{len(n)}}" for n, v in zip(names, figures)]
    best = "  best so far" if row["is_best"] else ""
    print(f"{row['epoch']:5}  {row['seconds']:7.1f}  {row['images_per_s']:8.0f}  " + "  ".join(figures) + best)
PYTHON
