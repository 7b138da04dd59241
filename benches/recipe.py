#!/usr/bin/env python3
"""Trains variants of the recipe with several seeds and prints a table of their metrics.

    benches/recipe.py FOLDER [--only NAME,NAME] [--seeds 3] [--epochs 12] [--parallel 2] [--table FILE]

FOLDER holds two data sets, `wider_train` and `wider_val`, each with annotations.csv and images/.
Every run is a real `blazetune worker` with one thread. Earlier runs are not repeated: --results
keeps each result as a JSON line, keyed by a hash of the program and the run's parameters. Needs
target/release/blazetune (`make build`) and Python's standard library.
"""

import argparse, collections, concurrent.futures, contextlib, hashlib, json, os, pathlib, shutil, statistics
import subprocess, sys, tempfile, threading, time, urllib.request, zipfile

from recipe_variants import VARIANTS

ROOT = pathlib.Path(__file__).resolve().parent.parent
MEASURES = ["ap50_ge6", "ap50_ge12", "ap50_ge24", "keypoint_nme"]


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--only", help="names of variants, separated by commas")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--parallel", type=int, default=os.cpu_count())
    parser.add_argument("--binary", type=pathlib.Path, default=ROOT / "target/release/blazetune")
    parser.add_argument("--results", type=pathlib.Path, default=ROOT / "target/recipe/results.jsonl")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT / "target/recipe/data")
    parser.add_argument("--table", type=pathlib.Path, help="also write the table to this file, as Markdown")
    return parser.parse_args()


@contextlib.contextmanager
def serving(binary, data):
    """Runs a server; yields the URL of its API."""
    data.mkdir(parents=True, exist_ok=True)
    command = [binary, "serve", "--data", data, "--listen", "127.0.0.1:0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        address = next(word for line in server.stdout for word in line.split() if word.startswith("http://"))
        threading.Thread(target=server.stdout.read, daemon=True).start()
        yield address.rstrip("/.,") + "/api/v1"
        server.terminate()


def presets(binary, data):
    """The parameters that each preset changes; a worker itself applies no presets."""
    with serving(binary, data) as api:
        return json.load(urllib.request.urlopen(f"{api}/schema/train"))["x-presets"]


def merged(under, over):
    """Merges two trees of parameters; `over` wins."""
    both = under | over
    for name in under.keys() & over.keys():
        if isinstance(under[name], dict):
            both[name] = merged(under[name], over[name])
    return both


def import_photographs(binary, folder, data):
    """Imports the data set unless an earlier run did; returns its folder."""
    archive = data / "wider.zip"
    if not (data / "wider-dataset").exists():
        data.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(archive, "w") as out:
            for part in ("wider_train", "wider_val"):
                for path in [folder / part / "annotations.csv", *sorted((folder / part / "images").iterdir())]:
                    out.write(path, path.relative_to(folder))
    return import_archive(binary, archive, data)


def import_archive(binary, archive, data):
    """Imports the archive unless an earlier run did; returns the data set's folder."""
    done = data / f"{archive.stem}-dataset"
    if done.exists():
        return pathlib.Path(done.read_text())
    with serving(binary, data) as api:
        request = urllib.request.Request(
            f"{api}/datasets?name={archive.stem}", archive.read_bytes(), {"Content-Type": "application/zip"}
        )
        found = json.load(urllib.request.urlopen(request))
        while found["status"] == "importing":
            time.sleep(0.2)
            found = json.load(urllib.request.urlopen(f"{api}/datasets/{found['id']}"))
    archive.unlink()
    if found["status"] != "ready":
        sys.exit(f"the import failed: {found['error']}")
    dataset = data / "datasets" / found["id"]
    done.write_text(str(dataset))
    return dataset


def start(binary, folder, dataset, params, threads=1):
    """Makes `folder` the folder of a job and starts a worker on it."""
    spec = {"kind": "train", "job_id": "recipe", "name": "recipe", "dataset_dir": str(dataset), "init_file": None, "threads": threads, "params": params}
    for part in ("checkpoints", "artifacts"):
        (folder / part).mkdir(parents=True)
    (folder / "spec.json").write_text(json.dumps(spec))
    # As a server starts it, except that OpenMP would start a thread per core for each worker.
    settings = {"GLIBC_TUNABLES": "glibc.malloc.hugetlb=1", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen([binary, "worker", folder], env=os.environ | settings)


def run(binary, dataset, params, model=None):
    """Runs one job; returns its metrics rows and its mixing curve, if any. Copies its best weights to `model`."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="recipe-"))
    began = time.time()
    worker = start(binary, folder, dataset, params)
    if worker.wait():
        sys.exit(f"{folder}: the worker exited with {worker.returncode}")
    events = [json.loads(line) for line in (folder / "events.jsonl").read_text().splitlines()]
    if events[-1].get("outcome") != "completed":
        sys.exit(f"{folder}: {events[-1]}")
    rows = [{"epoch": e["epoch"], **e["val"]} for e in events if e["type"] == "epoch"]
    card = json.loads((folder / "artifacts/card.json").read_text())
    if model:
        shutil.copy(folder / "artifacts/best.safetensors", model)
    shutil.rmtree(folder)
    return {"rows": rows, "seconds": time.time() - began, "retention": card.get("retention")}


def study(args):
    dataset = import_photographs(args.binary, args.folder.resolve(), args.data.resolve())
    known_presets = presets(args.binary, args.data.resolve())
    program = hashlib.sha256(args.binary.read_bytes()).hexdigest()[:16]
    args.results.parent.mkdir(parents=True, exist_ok=True)
    known = {}
    if args.results.exists():
        lines = map(json.loads, args.results.read_text().splitlines())
        known = {line["key"]: line for line in lines}
    names = args.only.split(",") if args.only else list(VARIANTS)
    lock, results = threading.Lock(), collections.defaultdict(list)

    def one(name, seed):
        params = VARIANTS[name]["params"] | {"seed": seed, "device": "cpu"}
        params = merged(known_presets.get(params.get("preset"), {}), params)
        params.setdefault("epochs", args.epochs)
        key = hashlib.sha256(json.dumps([program, str(dataset), params], sort_keys=True).encode()).hexdigest()
        result = known.get(key)
        if result is None:
            result = {"key": key, "name": name, "params": params} | run(args.binary, dataset, params)
            with lock, args.results.open("a") as out:
                out.write(json.dumps(result) + "\n")
        with lock:
            results[name].append(result)
            figures = "  ".join(f"{measure} {final(result, measure):.3f}" for measure in MEASURES)
            print(f"{name:28} seed {seed}  {result['seconds']:4.0f} s  {figures}", flush=True)

    with concurrent.futures.ThreadPoolExecutor(args.parallel) as pool:
        list(pool.map(lambda pair: one(*pair), [(name, seed) for seed in range(args.seeds) for name in names]))
    return names, results


def final(result, measure):
    """The measure at the last epoch, because the best epoch would favour lucky runs."""
    return result["rows"][-1][measure]


def delivered(result, measure):
    """The measure of the model that the job delivers: its best epoch, mixed with the base model as `retain` says."""
    chosen = result["retention"]["retain"]
    return next(mix["val"][measure] for mix in result["retention"]["curve"] if mix["retain"] == chosen)


def table(names, results):
    sizes = ["≥ 6 px", "≥ 12 px", "≥ 24 px"]
    heads = ["variant", "why", "runs", *sizes, "keypoint_nme", *(f"delivered, {size}" for size in sizes), "share kept"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for name in names:
        runs = results[name]
        columns = [[final(run, measure) for run in runs] for measure in MEASURES]
        columns += [[delivered(run, measure) for run in runs] for measure in MEASURES[:3]]
        figures = [mean_and_spread(values) for values in columns]
        kept = ", ".join(sorted({f"{run['retention']['retain']:g}" for run in runs}))
        lines.append("| " + " | ".join([f"`{name}`", VARIANTS[name]["why"], str(len(runs)), *figures, kept]) + " |")
    return "\n".join(lines) + "\n"


def mean_and_spread(values):
    spread = f" ± {statistics.stdev(values):.3f}" if len(values) > 1 else ""
    return f"{statistics.mean(values):.3f}{spread}"


if __name__ == "__main__":
    args = arguments()
    text = table(*study(args))
    print(text)
    if args.table:
        args.table.write_text(text)
