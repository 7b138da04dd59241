#!/usr/bin/env python3
"""Measures how fast `GET /jobs` is while two CPU jobs train and 1,000 finished jobs of 100 epochs are stored.

    benches/api_latency.py [--binary target/release/blazetune] [--requests 2000]

Needs `make build` and Python's standard library.
"""

import argparse, http.client, json, os, pathlib, signal, sqlite3, subprocess, tempfile, time, uuid

ROOT = pathlib.Path(__file__).resolve().parent.parent


def serve(binary, data):
    env = {**os.environ, "BLAZETUNE__DEVICES__CPU_SLOTS": "2", "BLAZETUNE__DEVICES__CPU_THREADS": "1",
           "BLAZETUNE__STORAGE__RESERVE_BYTES": "0", "BLAZETUNE__LOG__FILTER": "warn"}
    command = [binary, "serve", "--listen", "127.0.0.1:0", "--data", data]
    server = subprocess.Popen(command, cwd=data, env=env, stdout=subprocess.PIPE, text=True)
    return server, server.stdout.readline().strip().rsplit("/", 1)[1]


def call(connection, method, path, body=None, kind="application/json"):
    connection.request(method, "/api/v1" + path, body, {"content-type": kind} if body else {})
    response = connection.getresponse()
    text = response.read()
    assert response.status < 300, (path, response.status, text[:300])
    return json.loads(text)


def fill(database, like, rows):
    """Stores a thousand copies of a finished job, under older ids, with the rows and events of a hundred epochs."""
    db = sqlite3.connect(database)
    columns = [row[1] for row in db.execute("pragma table_info(job)")]
    source = dict(zip(columns, db.execute("select * from job where id = ?", [like]).fetchone()))
    (sample,) = db.execute("select body from event where job_id = ? and type = 'sample'", [like]).fetchone()
    for number in range(1000):
        job = str(uuid.UUID(int=(0x01900000000070008000000000000000 + number)))
        begun = {**source, "id": job, "state": "queued", "finished_at": None}
        db.execute(f"insert into job ({', '.join(columns)}) values ({', '.join('?' * len(columns))})",
                   [begun[column] for column in columns])
        for state, finished in [("running", None), ("completed", source["finished_at"])]:
            db.execute("update job set state = ?, finished_at = ? where id = ?", [state, finished, job])
        db.executemany("insert into epoch (job_id, epoch, row) values (?, ?, ?)",
                       [(job, epoch, rows[min(epoch, len(rows) - 1)]) for epoch in range(101)])
        db.executemany("insert into event (job_id, type, epoch, body) values (?, 'epoch', ?, '{}')",
                       [(job, epoch) for epoch in range(101)])
        db.executemany("insert into event (job_id, type, epoch, body) values (?, 'sample', ?, ?)",
                       [(job, epoch, sample) for epoch in (0, 1, 2, 4, 8, 16, 32, 64, 77, 100)])
        db.executemany("insert into transition (job_id, from_state, to_state, reason) values (?, ?, ?, '')",
                       [(job, None, "queued"), (job, "queued", "running"), (job, "running", "completed")])
        db.execute("insert into model (id, name, kind, job_id, files, metrics) values (?, 'm', 'trained', ?, '[]', '{}')",
                   [str(uuid.uuid4()), job])
    db.commit()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=str(ROOT / "target/release/blazetune"))
    parser.add_argument("--requests", type=int, default=2000)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as data:
        archive = pathlib.Path(data) / "sample.zip"
        subprocess.run([arguments.binary, "sample", "--out", archive], check=True, stdout=subprocess.DEVNULL)
        server, address = serve(arguments.binary, data)
        connection = http.client.HTTPConnection(address, timeout=60)
        dataset = call(connection, "POST", "/datasets?name=sample", archive.read_bytes(), "application/zip")["id"]
        while call(connection, "GET", f"/datasets/{dataset}")["status"] != "ready":
            time.sleep(0.2)

        def job(epochs):
            params = {"epochs": epochs, "device": "cpu", "batch_size": 16}
            body = {"kind": "train", "dataset_id": dataset, "params": params}
            return call(connection, "POST", "/jobs", json.dumps(body))["id"]

        first = job(1)
        while call(connection, "GET", f"/jobs/{first}")["state"] != "completed":
            time.sleep(0.2)
        rows = [json.dumps(row) for row in call(connection, "GET", f"/jobs/{first}/metrics")["items"]]
        server.send_signal(signal.SIGTERM)
        server.wait()
        fill(pathlib.Path(data) / "blazetune.sqlite", first, rows)

        server, address = serve(arguments.binary, data)
        connection = http.client.HTTPConnection(address, timeout=60)
        busy = [job(10_000), job(10_000)]
        while any((call(connection, "GET", f"/jobs/{id}")["progress"] or {}).get("epoch", 0) < 1 for id in busy):
            time.sleep(0.2)
        times = []
        for _ in range(arguments.requests):
            began = time.perf_counter()
            call(connection, "GET", "/jobs")
            times.append(1000 * (time.perf_counter() - began))
            time.sleep(0.005)
        times.sort()
        size = (pathlib.Path(data) / "blazetune.sqlite").stat().st_size >> 20
        at = lambda share: times[int(share * (len(times) - 1))]
        print(f"GET /jobs, {len(times)} requests, 2 CPU jobs training, 1,000 finished jobs ({size} MB), "
              f"load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores: "
              f"median {at(.5):.1f} ms, p99 {at(.99):.1f} ms, longest {times[-1]:.1f} ms")
        for id in busy:
            call(connection, "POST", f"/jobs/{id}/cancel")
        while any(call(connection, "GET", f"/jobs/{id}")["state"] != "cancelled" for id in busy):
            time.sleep(0.2)
        server.send_signal(signal.SIGTERM)
        server.wait()


main()
