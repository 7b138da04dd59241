//! A job with the real worker, from the request to the model.

use reqwest::Method;
use reqwest::header;
use serde_json::{Value, json};

use crate::stream::Event;
use crate::support::{Server, archive, id, read, real_worker, script};

fn short() -> Value {
    json!({"epochs": 2, "batch_size": 8, "device": "cpu"})
}

#[tokio::test]
async fn a_job_ends_with_metrics_samples_a_log_and_a_model() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), real_worker()).await;
    let dataset = server.dataset().await;
    let job = server.job(&dataset, short()).await;
    let path = format!("/jobs/{job}");
    // Requested while the job runs, so that its events are live rather than replayed.
    let live = events(&server, &job, None).await;
    let done = server.when_state(&job, &["completed", "failed"]).await;
    assert_eq!(done["state"], "completed", "{done}");
    assert_eq!((&done["device"], &done["error"]), (&json!("cpu"), &Value::Null));
    assert_eq!(done["progress"]["epochs"], 2);
    assert!(done["best"]["epoch"].as_u64().unwrap() >= 1, "{done}");

    let names: Vec<&str> = live.iter().map(|event| event.name.as_str()).collect();
    assert_eq!(names.iter().filter(|name| **name == "epoch").count(), 3, "{names:?}");
    assert_eq!(names.iter().filter(|name| **name == "sample").count(), 3, "{names:?}");
    assert_eq!(names.last(), Some(&"end"));
    let states: Vec<&Value> =
        live.iter().filter(|e| e.name == "state").map(|e| &e.data["state"]).collect();
    assert_eq!(states, ["queued", "running", "completed"]);

    metrics(&server, &path).await;
    let (_, samples) = server.get(&format!("{path}/samples")).await;
    assert_eq!(samples["epoch"], 2);
    assert!(!samples["pictures"].as_array().unwrap().is_empty());
    assert_eq!(server.get(&format!("{path}/samples?epoch=0")).await.1["epoch"], 0);
    let (_, log) = server.get(&format!("{path}/log?limit=3")).await;
    assert_eq!(log["items"].as_array().unwrap().len(), 3);
    assert!(log["items"][2]["message"].is_string(), "{log}");

    replay(&server, &job, &live).await;
    artifacts(&server, &path).await;
    model(&server, &done).await;
    mix(&server, &done).await;
    deletion(&server, &dataset, &done).await;
}

#[tokio::test]
async fn a_running_job_has_sample_views_and_diagnostics_and_a_cancelled_one_keeps_no_files() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), real_worker()).await;
    let dataset = server.dataset().await;
    let job = server.job(&dataset, json!({"epochs": 500, "batch_size": 8, "device": "cpu"})).await;
    let path = format!("/jobs/{job}");
    let has_epoch = |rows: &Value| rows["items"].as_array().is_some_and(|rows| rows.len() > 1);
    let rows = server.when(&format!("{path}/metrics"), has_epoch).await;
    assert_eq!(rows["items"][0]["diagnostics"], Value::Null);
    let found = &rows["items"][1]["diagnostics"];
    assert_eq!(found["faces"].as_array().unwrap().len(), 4, "{found}");
    let name = found["sample_views"].as_str().unwrap();
    assert_eq!(name, "views-epoch-1.jpg");
    let views = server.request(Method::GET, &format!("{path}/artifacts/{name}"));
    let views = views.send().await.unwrap();
    assert_eq!(
        (views.status().as_u16(), &views.headers()["content-type"]),
        (200, &"image/jpeg".parse().unwrap())
    );
    image::load_from_memory(&views.bytes().await.unwrap()).unwrap();
    let (_, list) = server.get(&format!("{path}/artifacts")).await;
    let names: Vec<_> =
        list["items"].as_array().unwrap().iter().map(|file| &file["name"]).collect();
    assert!(names.contains(&&json!("events.out.tfevents.blazetune")), "{names:?}");

    server.post(&format!("{path}/cancel"), &json!({})).await;
    server.when_state(&job, &["cancelled"]).await;
    let is_empty = |list: &Value| list["items"].as_array().is_some_and(Vec::is_empty);
    server.when(&format!("{path}/artifacts"), is_empty).await;
}

async fn metrics(server: &Server, path: &str) {
    let (_, metrics) = server.get(&format!("{path}/metrics")).await;
    let rows = metrics["items"].as_array().unwrap();
    let epochs: Vec<_> = rows.iter().map(|row| row["epoch"].as_u64().unwrap()).collect();
    assert_eq!(epochs, [0, 1, 2]);
    assert!(rows[0]["train"].is_null() && rows[2]["train"]["loss"].is_number(), "{metrics}");
    assert!(rows.iter().all(|row| row["val"]["ap50"].is_number()), "{metrics}");
    let csv = server.request(Method::GET, &format!("{path}/metrics"));
    let csv = csv.header(header::ACCEPT, "text/csv").send().await.unwrap();
    assert_eq!(csv.headers()["content-type"], "text/csv; charset=utf-8");
    let csv = csv.text().await.unwrap();
    assert!(csv.starts_with("epoch,step,") && csv.lines().count() == 4, "{csv}");
}

async fn replay(server: &Server, job: &str, live: &[Event]) {
    // The server has deleted the steps of finished epochs by now.
    let lasting = |events: &[Event]| -> Vec<Event> {
        events.iter().filter(|event| event.name != "step").cloned().collect()
    };
    assert_eq!(lasting(&events(server, job, None).await), lasting(live));
    let middle = live.iter().position(|event| event.name == "sample").unwrap();
    let rest = events(server, job, Some(live[middle].id)).await;
    assert_eq!(lasting(&rest), lasting(&live[middle + 1..]));
}

async fn artifacts(server: &Server, path: &str) {
    let (_, list) = server.get(&format!("{path}/artifacts")).await;
    let list = list["items"].as_array().unwrap().clone();
    let find = |name: &str| list.iter().find(|file| file["name"] == name).unwrap();
    for name in ["best.pth", "last.safetensors", "card.json", "events.out.tfevents.blazetune"] {
        assert!(find(name)["size_bytes"].as_u64().unwrap() > 0);
    }
    let file = find("best.tflite");
    let etag = format!("\"{}\"", file["sha256"].as_str().unwrap());
    let get = || server.request(Method::GET, &format!("{path}/artifacts/best.tflite"));
    let whole = get().send().await.unwrap();
    assert_eq!(whole.headers()["etag"], etag);
    assert!(whole.headers()["content-disposition"].to_str().unwrap().contains("best.tflite"));
    let whole = whole.bytes().await.unwrap();
    assert_eq!(whole.len() as u64, file["size_bytes"].as_u64().unwrap());

    let part = get().header(header::RANGE, "bytes=100-199").send().await.unwrap();
    assert_eq!(part.status(), 206);
    let range = format!("bytes 100-199/{}", whole.len());
    assert_eq!(part.headers()["content-range"], range);
    assert_eq!(part.bytes().await.unwrap(), whole[100..200]);
    let stale = get().header(header::RANGE, "bytes=0-9").header(header::IF_RANGE, "\"old\"");
    assert_eq!(stale.send().await.unwrap().status(), 200);
    let beyond = get().header(header::RANGE, "bytes=99999999-").send().await.unwrap();
    assert_eq!(beyond.status(), 416);
    assert_eq!(beyond.headers()["content-type"], "application/problem+json");
    let known = get().header(header::IF_NONE_MATCH, etag).send().await.unwrap();
    assert_eq!(known.status(), 304);
    for outside in ["..%2Fspec.json", "spec.json", "%2Fetc%2Fpasswd"] {
        let (status, problem) = server.get(&format!("{path}/artifacts/{outside}")).await;
        assert_eq!(status, 404, "{problem}");
    }
}

async fn model(server: &Server, job: &Value) {
    let (_, models) = server.get("/models").await;
    let kinds: Vec<_> =
        models["items"].as_array().unwrap().iter().map(|m| m["kind"].clone()).collect();
    assert_eq!(kinds, ["trained", "base"]);
    let model = &models["items"][0];
    assert_eq!((&model["id"], &model["job_id"]), (&job["model_id"], &job["id"]));
    assert!(model["metrics"]["baseline"]["ap50"].is_number(), "{model}");
    let picture = server.request(
        Method::GET,
        &format!("/datasets/{}/images/0", job["dataset_id"].as_str().unwrap()),
    );
    let picture = picture.send().await.unwrap().bytes().await.unwrap();
    for model in [model["id"].as_str().unwrap(), "base"] {
        let request =
            server.request(Method::POST, &format!("/models/{model}/detect?min_score=0.1"));
        let request = request.header("content-type", "image/jpeg").body(picture.clone());
        let (status, found) = read(request.send().await.unwrap()).await;
        assert_eq!(status, 200, "{found}");
        assert!(found["faces"].is_array() && found["latency_ms"].as_f64().unwrap() > 0.0);
    }

    // A downloaded model can be uploaded and trained further.
    let file = format!("/models/{}/best.pth", model["id"].as_str().unwrap());
    let bytes = server.request(Method::GET, &file).send().await.unwrap().bytes().await.unwrap();
    let upload = server.request(Method::POST, "/models?name=again").body(bytes);
    let (status, imported) = read(upload.send().await.unwrap()).await;
    assert_eq!((status, &imported["kind"]), (201, &json!("imported")), "{imported}");
    assert_eq!(imported["files"][0]["name"], "model.pth");
    let dataset = job["dataset_id"].as_str().unwrap();
    let params = json!({"epochs": 1, "batch_size": 8, "init": imported["id"]});
    let next = server.job(dataset, params).await;
    let next = server.when_state(&next, &["completed", "failed"]).await;
    assert_eq!(next["state"], "completed", "{next}");
}

/// Mixes in more of the base model without training; with a `retain` of 1, the mix is the base model.
async fn mix(server: &Server, job: &Value) {
    let path = format!("/models/{}", job["model_id"].as_str().unwrap());
    let (_, trained) = server.get(&path).await;
    let retention = &trained["metrics"]["retention"];
    assert!(retention["curve"].as_array().unwrap().len() > 3, "{trained}");

    let mixed = server.mix(&path, &json!({"retain": 1})).await;
    assert_eq!((&mixed["kind"], &mixed["parent_id"]), (&json!("mixed"), &trained["id"]));
    let (best, baseline) = (&mixed["metrics"]["best"], &mixed["metrics"]["baseline"]);
    assert_eq!(best["ap50_ge12"], baseline["ap50_ge12"]);
    let file = format!("/models/{}/best.tflite", mixed["id"].as_str().unwrap());
    let bytes = server.request(Method::GET, &file).send().await.unwrap().bytes().await.unwrap();
    assert_eq!(bytes, blazetune::weights::tflite::base());

    // A mix of a mix is made from the fine-tuned weights, not from the first mix.
    let again = format!("/models/{}", mixed["id"].as_str().unwrap());
    let body = json!({"retain": 0, "name": "tuned", "calibrate_scores": false});
    let tuned = server.mix(&again, &body).await;
    assert_eq!((&tuned["parent_id"], &tuned["name"]), (&trained["id"], &json!("tuned")));
    // Bit for bit, because training has measured the same mix.
    assert_eq!(tuned["metrics"]["best"], retention["curve"][0]["val"]);

    let path = format!("{again}/mix");
    let (status, problem) = server.post(&path, &json!({"retain": 1.5})).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/retain")), "{problem}");
    assert_eq!(server.post("/models/base/mix", &json!({"retain": 0.5})).await.0, 409);
}

async fn deletion(server: &Server, dataset: &str, job: &Value) {
    let path = format!("/jobs/{}", job["id"].as_str().unwrap());
    assert_eq!(server.delete(&path).await.0, 204);
    assert_eq!(server.get(&path).await.0, 404);
    let model = format!("/models/{}", job["model_id"].as_str().unwrap());
    assert_eq!(server.get(&model).await.0, 404);
    assert_eq!(server.delete(&format!("/datasets/{dataset}")).await.0, 204);
}

/// Reads a job's event stream to its end.
async fn events(server: &Server, job: &str, after: Option<u64>) -> Vec<Event> {
    let mut request = server.request(Method::GET, &format!("/jobs/{job}/events"));
    if let Some(after) = after {
        request = request.header("last-event-id", after.to_string());
    }
    let text = request.send().await.unwrap().text().await.unwrap();
    text.split("\n\n").filter_map(Event::parse).collect()
}

#[tokio::test]
async fn a_request_repeated_with_the_same_key_creates_one_job() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("sleep 100")).await;
    let dataset = server.dataset().await;
    let post = async |key: &str, epochs: u32| {
        let body = json!({"kind": "train", "dataset_id": dataset, "params": {"epochs": epochs}});
        let request = server.request(Method::POST, "/jobs").json(&body);
        read(request.header("idempotency-key", key).send().await.unwrap()).await
    };
    let (first, again) = (post("one", 3).await, post("one", 3).await);
    assert_eq!((first.0, id(&first.1)), (201, id(&again.1)));
    assert_eq!(post("one", 4).await.0, 422);
    assert_ne!(id(&post("two", 3).await.1), id(&first.1));
    assert_eq!(server.get("/jobs").await.1["items"].as_array().unwrap().len(), 2);
    for job in server.get("/jobs").await.1["items"].as_array().unwrap() {
        server.post(&format!("/jobs/{}/cancel", id(job)), &json!({})).await;
        server.when_state(&id(job), &["cancelled"]).await;
    }
}

#[tokio::test]
async fn a_job_that_names_something_unknown_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("exit 0")).await;
    let nobody = "01970000-0000-7000-8000-000000000000";
    let dataset = server.dataset().await;
    let cases = [
        (json!({"dataset_id": nobody}), "/dataset_id"),
        (json!({"dataset_id": dataset, "params": {"init": nobody}}), "/params/init"),
        (json!({"dataset_id": dataset, "params": {"device": "cuda:7"}}), "/params/device"),
    ];
    for (mut body, pointer) in cases {
        body["kind"] = json!("train");
        let (status, problem) = server.post("/jobs", &body).await;
        assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!(pointer)), "{problem}");
    }
}

#[tokio::test]
async fn bad_pictures_and_weights_are_refused_with_a_reason() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("exit 0")).await;
    let detect = |kind: &'static str, body: &'static [u8], query: &str| {
        let path = format!("/models/base/detect{query}");
        server.request(Method::POST, &path).header("content-type", kind).body(body)
    };
    let weights = server.request(Method::POST, "/models").body(archive());
    let cases = [
        (detect("image/png", b"no picture", ""), 422),
        (detect("text/plain", b"no picture", ""), 415),
        (detect("image/png", b"", "?min_score=2"), 422),
        (weights, 422),
        (server.request(Method::GET, "/models/other"), 404),
    ];
    for (request, expected) in cases {
        let (status, problem) = read(request.send().await.unwrap()).await;
        assert_eq!((status, &problem["status"]), (expected, &json!(expected)), "{problem}");
    }
    assert_eq!(server.get("/models").await.1["items"].as_array().unwrap().len(), 1);
    let base = server.get("/models/base").await.1;
    let file = base["files"][0]["name"].as_str().unwrap();
    let bytes = server.request(Method::GET, &format!("/models/base/{file}")).send().await.unwrap();
    let length = bytes.bytes().await.unwrap().len() as u64;
    assert_eq!(length, base["files"][0]["size_bytes"].as_u64().unwrap());
}
