//! Models: imported, downloaded, named, compared and deleted.

use std::io::{Cursor, Read};

use blazetune::weights::{self, pth, tflite};
use reqwest::Method;
use serde_json::{Value, json};

use crate::support::{Server, drawn, id, read, script};

pub(crate) async fn upload(
    server: &Server,
    name: &str,
    bytes: impl Into<reqwest::Body>,
) -> (u16, Value) {
    let request = server.request(Method::POST, &format!("/models?name={name}")).body(bytes);
    read(request.send().await.unwrap()).await
}

pub(crate) async fn download(server: &Server, path: &str) -> (u16, Vec<u8>) {
    let answer = server.request(Method::GET, path).send().await.unwrap();
    (answer.status().as_u16(), answer.bytes().await.unwrap().to_vec())
}

#[tokio::test]
async fn a_model_is_downloaded_in_every_format_and_in_a_bundle_with_its_card() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("exit 0")).await;
    let (status, model) = upload(&server, "mine", pth::write(tflite::mediapipe()).unwrap()).await;
    assert_eq!((status, &model["variant"]), (201, &json!("short")), "{model}");
    let path = format!("/models/{}", id(&model));
    let downloads = model["downloads"].as_array().unwrap();
    for name in downloads.iter().map(|name| name.as_str().unwrap()) {
        let (status, bytes) = download(&server, &format!("{path}/{name}")).await;
        assert_eq!(status, 200, "{name}");
        if !name.contains("onnx") && !name.contains("int8") && name != "bundle.zip" {
            assert!(&weights::load(&bytes).unwrap() == tflite::mediapipe(), "{name}");
        }
    }
    for name in [
        "model.onnx",
        "model.faces.onnx",
        "model.float32.tflite",
        "model.int8.tflite",
        "bundle.zip",
    ] {
        assert!(downloads.contains(&json!(name)), "{name} is not among {downloads:?}");
    }
    let (status, problem) = download(&server, &format!("{path}/best.onnx")).await;
    let problem: Value = serde_json::from_slice(&problem).unwrap();
    assert_eq!(status, 404);
    assert!(problem["detail"].as_str().unwrap().contains("model.faces.onnx"), "{problem}");

    let (_, bundle) = download(&server, &format!("{path}/bundle.zip")).await;
    let mut zip = zip::ZipArchive::new(Cursor::new(bundle)).unwrap();
    let mut text = |name: &str| {
        let mut text = String::new();
        zip.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    let card: Value = serde_json::from_str(&text("card.json")).unwrap();
    assert_eq!((&card["name"], &card["kind"]), (&json!("mine"), &json!("imported")));
    assert!(text("MODEL_CARD.md").starts_with("# mine\n"));
    assert!(text("SHA256SUMS").contains("  model.tflite\n"));
    let mut names: Vec<String> = zip.file_names().map(str::to_owned).collect();
    names.retain(|name| name.starts_with("model."));
    assert_eq!(names.len(), 7, "{names:?}");
    let (status, base) = download(&server, "/models/base/model.onnx").await;
    assert!(status == 200 && base.len() > 400_000, "MediaPipe's model has every format too");
}

#[tokio::test]
async fn files_that_are_not_weights_are_refused_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("exit 0")).await;
    let magic = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.";
    let call = [magic.as_slice(), b"\x80\x02cos\nsystem\nX\x02\0\0\0id\x85R."].concat();
    let deep = [magic.as_slice(), b"\x80\x02)", &vec![0x85; 500_000], b"."].concat();
    let opcode = [magic.as_slice(), b"\x80\x02\x93."].concat();
    let mut huge = u64::MAX.to_le_bytes().to_vec();
    huge.extend(b"{}");
    let mut arrays = tflite::mediapipe().arrays().clone();
    arrays.remove("classifier_8.bias");
    let partial = pth::write_unfolded(&arrays).unwrap();
    let cases = [
        (call, "os.system"),
        (deep, "more than 262144 values"),
        (opcode, "opcode 0x93"),
        (huge, ".safetensors file is damaged"),
        (partial, "missing tensors: classifier_8.bias"),
        (tflite::base()[..9000].to_vec(), "damaged"),
        (b"hello".to_vec(), "not a weights file"),
    ];
    for (bytes, expected) in cases {
        let (status, problem) = upload(&server, "hostile", bytes).await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(status == 422 && detail.contains(expected), "{expected}: {status} {problem}");
    }
    assert_eq!(server.get("/models").await.1["items"].as_array().unwrap().len(), 1);
}

/// A worker that mixes, and sleeps instead of training.
fn mixes_only() -> blazetune::jobs::Program {
    let worker = env!("CARGO_BIN_EXE_blazetune");
    script(&format!("grep -q '\"mix\"' $1/spec.json && exec {worker} worker $1; sleep 100"))
}

#[tokio::test]
async fn models_are_named_tagged_and_deleted_once_nothing_needs_them() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), mixes_only()).await;
    let (_, model) = upload(&server, "mine", tflite::base()).await;
    let path = format!("/models/{}", id(&model));
    let patch = async |path: &str, body: Value| {
        let request = server.request(Method::PATCH, path).json(&body);
        read(request.send().await.unwrap()).await
    };
    let (status, named) = patch(&path, json!({"name": "ours", "tags": ["night", "v2"]})).await;
    assert_eq!((status, &named["name"]), (200, &json!("ours")), "{named}");
    let (status, again) = patch(&path, json!({})).await;
    assert_eq!((status, &again["tags"]), (200, &json!(["night", "v2"])));
    let (status, problem) = patch(&path, json!({"tags": [""]})).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/tags")));
    assert_eq!(patch("/models/base", json!({"name": "x"})).await.0, 409);

    let (status, two) = server.get(&format!("/models/compare?a=base&b={}", id(&model))).await;
    assert_eq!((status, &two["b"]["name"]), (200, &json!("ours")), "{two}");
    assert_eq!(two["same_dataset"], json!(false), "an imported model has no data set");
    assert_eq!(server.get("/models/compare?a=base&b=nobody").await.0, 422);

    let mixed = server.mix(&path, &json!({"retain": 0.5})).await;
    assert_eq!(mixed["metrics"], Value::Null, "an imported model has no pictures to measure on");
    let (status, whole) = server.get(&format!("/models/{}", id(&mixed))).await;
    assert_eq!((status, &whole["provenance"]["parent_id"]), (200, &json!(id(&model))));
    let body = json!({"kind": "train", "dataset_id": server.dataset().await, "params": {"init": id(&model)}});
    let job = server.post("/jobs", &body).await.1;

    let refused = async |what: &str| {
        let request = server.request(Method::DELETE, &path);
        let (status, problem) = read(request.send().await.unwrap()).await;
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(status == 409 && detail.contains(what), "{what}: {status} {problem}");
    };
    refused(&id(&mixed)).await;
    refused(&id(&job)).await;
    assert_eq!(server.delete(&format!("/models/{}", id(&mixed))).await.0, 204);
    refused(&id(&job)).await;
    server.post(&format!("/jobs/{}/cancel", id(&job)), &json!({})).await;
    server.when_state(&id(&job), &["cancelled"]).await;
    assert_eq!(server.delete(&path).await.0, 204);
    assert_eq!(server.get(&path).await.0, 404);
    assert_eq!(server.delete("/models/base").await.0, 409);
}

#[tokio::test]
async fn an_imported_models_scores_are_calibrated_on_a_named_data_set() {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), mixes_only()).await;
    // Its scores are those of MediaPipe's model, but lower.
    let lower = tflite::mediapipe().with_scores_shifted(-1.0);
    let (_, model) = upload(&server, "lower", pth::write(&lower).unwrap()).await;
    let path = format!("/models/{}", id(&model));
    let body = json!({"retain": 0, "calibrate_scores": true});
    let (status, problem) = server.post(&format!("{path}/mix"), &body).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/dataset_id")));
    let unknown = json!({"retain": 0, "dataset_id": "01970000-0000-7000-8000-000000000000"});
    let (status, problem) = server.post(&format!("{path}/mix"), &unknown).await;
    assert_eq!((status, &problem["errors"][0]["pointer"]), (422, &json!("/dataset_id")));

    let (_, dataset) = server.upload("faces", drawn(40)).await;
    let dataset = id(&dataset);
    server.when(&format!("/datasets/{dataset}"), |d| d["status"] == "ready").await;
    let mixed = server.mix(&path, &json!({"retain": 0, "dataset_id": dataset})).await;
    let metrics = &mixed["metrics"];
    let logits = metrics["score_shift"]["logits"].as_f64().unwrap();
    assert!(logits > 0.5, "{metrics}");
    assert_eq!(metrics["recommended_threshold"], json!(0.5));
    let (_, bytes) = download(&server, &format!("/models/{}/best.safetensors", id(&mixed))).await;
    assert!(weights::load(&bytes).unwrap() == lower.with_scores_shifted(logits as f32));
    for name in ["best.onnx", "best.int8.tflite", "bundle.zip"] {
        let (status, _) = download(&server, &format!("/models/{}/{name}", id(&mixed))).await;
        assert_eq!(status, 200, "{name}");
    }
    let (_, two) = server.get(&format!("/models/compare?a=base&b={}", id(&mixed))).await;
    assert_eq!(two["same_dataset"], json!(true), "{two}");
    let kept = json!({"retain": 0, "dataset_id": dataset, "calibrate_scores": false});
    let kept = server.mix(&path, &kept).await;
    assert_eq!(kept["metrics"]["score_shift"], Value::Null);
    let (_, bytes) = download(&server, &format!("/models/{}/best.pth", id(&kept))).await;
    assert!(weights::load(&bytes).unwrap() == lower);
}
