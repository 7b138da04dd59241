//! Face detection over HTTP, and the dashboard's files.

use std::path::Path;
use std::sync::Arc;

use futures_util::future::join_all;
use reqwest::{Method, header};
use serde_json::{Value, json};

use crate::common::skip;
use crate::support::{Server, config, read, script};

async fn server(folder: &Path) -> Server {
    Server::start(folder, script("exit 0")).await
}

fn picture() -> Vec<u8> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/parity/golden/pictures");
    std::fs::read(golden.join("group.jpg")).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn simultaneous_detections_give_the_same_faces_as_single_ones() {
    let folder = tempfile::tempdir().unwrap();
    let server = Arc::new(server(folder.path()).await);
    let weights = server.request(Method::GET, "/models/base/face_detection_short_range.tflite");
    let weights = weights.send().await.unwrap().bytes().await.unwrap();
    let import = server.request(Method::POST, "/models?name=same").body(weights);
    let (status, model) = read(import.send().await.unwrap()).await;
    assert_eq!(status, 201, "{model}");
    let ask = |model: String, min_score: &'static str| {
        let path = format!("/models/{model}/detect?min_score={min_score}");
        let request = server.request(Method::POST, &path).header("content-type", "image/jpeg");
        let request = request.body(picture());
        async move {
            let (status, answer) = read(request.send().await.unwrap()).await;
            assert_eq!(status, 200, "{answer}");
            answer["faces"].clone()
        }
    };
    let few = ask("base".to_owned(), "0.5").await;
    let many = ask("base".to_owned(), "0").await;
    assert!(many.as_array().unwrap().len() > few.as_array().unwrap().len());
    let other = model["id"].as_str().unwrap();
    let asked = (0..40).map(|n| {
        let model = if n % 3 == 0 { other } else { "base" };
        ask(model.to_owned(), if n % 2 == 0 { "0.5" } else { "0" })
    });
    for (number, faces) in join_all(asked).await.into_iter().enumerate() {
        assert_eq!(faces, if number % 2 == 0 { few.clone() } else { many.clone() });
    }
}

#[tokio::test]
async fn a_full_queue_says_when_to_try_again() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.limits.detections = 1;
    let server = Server::start_with(folder.path(), script("exit 0"), config).await;
    let ask = || {
        let request = server.request(Method::POST, "/models/base/detect");
        request.header("content-type", "image/jpeg")
    };
    let endless = futures_util::stream::pending::<Result<Vec<u8>, std::io::Error>>();
    let slow = tokio::spawn(ask().body(reqwest::Body::wrap_stream(endless)).send());
    let mut refused = None;
    for _ in 0..1000 {
        let response = ask().body(picture()).send().await.unwrap();
        if response.status() == 503 {
            refused = Some(response);
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let refused = refused.expect("an endless request takes the only place");
    assert_eq!(refused.headers()[header::RETRY_AFTER], "1");
    assert_eq!(refused.headers()["content-type"], "application/problem+json");
    let (_, problem) = read(refused).await;
    assert!(problem["detail"].as_str().unwrap().contains("try again"), "{problem}");
    slow.abort();
    for _ in 0..1000 {
        if ask().body(picture()).send().await.unwrap().status() == 200 {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    panic!("the place never became free again");
}

#[tokio::test]
async fn the_dashboards_files_are_sent_compressed_and_only_if_they_have_changed() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let get = |path: &str, name: &'static str, value: &str| {
        let url = format!("http://{}{path}", server.address);
        server.client.get(url).header(name, value).send()
    };
    let index = get("/", "accept-encoding", "identity").await.unwrap();
    assert_eq!(index.headers()["cache-control"], "no-cache");
    let index = index.text().await.unwrap();
    let Some(at) = index.find("/assets/") else {
        skip("this build has no dashboard; `make build` embeds it");
        return;
    };
    let script = index[at..].split('"').next().unwrap();
    let plain = get(script, "accept-encoding", "br;q=0").await.unwrap();
    assert!(!plain.headers().contains_key("content-encoding"));
    let plain = (plain.headers()["etag"].clone(), plain.bytes().await.unwrap());
    for (coding, most) in [("br", 0.45), ("gzip", 0.5)] {
        for path in [script, "/", "/jobs/new"] {
            let sent = get(path, "accept-encoding", coding).await.unwrap();
            let headers = sent.headers().clone();
            assert_eq!(headers["content-encoding"], coding, "{path}");
            assert_eq!(headers["vary"], "accept-encoding");
            assert_ne!(headers["etag"], plain.0);
            let size = sent.bytes().await.unwrap().len();
            if path == script {
                let immutable = headers["cache-control"].to_str().unwrap().contains("immutable");
                assert!(immutable && (size as f64) < most * plain.1.len() as f64, "{size}");
            }
            let url = format!("http://{}{path}", server.address);
            let again = server.client.get(url).header("accept-encoding", coding);
            let again = again.header("if-none-match", headers["etag"].clone());
            let again = again.send().await.unwrap();
            assert_eq!((again.status().as_u16(), again.content_length()), (304, Some(0)), "{path}");
            assert_eq!(again.headers()["etag"], headers["etag"]);
        }
    }
    let copy = get(&format!("{script}.br"), "accept-encoding", "br").await.unwrap();
    assert_eq!(copy.status(), 404, "compressed copies have no URL of their own");
    let missing: Value = serde_json::from_slice(&copy.bytes().await.unwrap()).unwrap();
    assert_eq!(missing["status"], json!(404));
}
