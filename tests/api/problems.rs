//! How the server answers bad requests, and what it serves besides jobs: health, system, schema and dashboard.

use reqwest::Method;
use serde_json::json;

use crate::support::{Server, read, script};

async fn server() -> (tempfile::TempDir, Server) {
    let folder = tempfile::tempdir().unwrap();
    let server = Server::start(folder.path(), script("exit 0")).await;
    (folder, server)
}

#[tokio::test]
async fn every_refused_request_gets_a_problem() {
    let (_folder, server) = server().await;
    let requests = [
        (server.request(Method::GET, "/nothing/here"), 404),
        (server.request(Method::GET, "/jobs/not-an-id"), 404),
        (server.request(Method::PUT, "/jobs"), 405),
        (server.request(Method::GET, "/jobs?limit=0"), 422),
        (server.request(Method::GET, "/jobs?limt=5"), 422),
        (server.request(Method::GET, "/jobs?cursor=5"), 422),
        (server.request(Method::POST, "/jobs").body("{}"), 415),
        (server.request(Method::POST, "/jobs").json(&json!({"kind": "train"})), 422),
        (
            server
                .request(Method::POST, "/jobs")
                .header("content-type", "application/json")
                .body("{"),
            400,
        ),
    ];
    for (request, expected) in requests {
        let response = request.send().await.unwrap();
        let url = response.url().clone();
        assert_eq!(response.headers()["content-type"], "application/problem+json", "{url}");
        assert!(response.headers().contains_key("x-request-id"));
        let (status, problem) = read(response).await;
        assert_eq!(status, expected, "{url}: {problem}");
        assert_eq!(problem["status"], expected);
        assert!(problem["detail"].as_str().unwrap().len() > 10, "{problem}");
    }
}

#[tokio::test]
async fn the_problem_has_a_pointer_to_each_wrong_value() {
    let (_folder, server) = server().await;
    let nobody = "01970000-0000-7000-8000-000000000000";
    let job = |extra: serde_json::Value| {
        let mut job = json!({"kind": "train", "dataset_id": nobody});
        job.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        job
    };
    let cases = [
        (
            job(json!({"params": {"epochs": 20_000, "loss": {"box_weight": -1}}})),
            vec!["/params/epochs", "/params/loss/box_weight"],
        ),
        (job(json!({"params": {"epoch": 3}})), vec!["/params/epoch"]),
        (job(json!({"params": {"views": {"flip": "often"}}})), vec!["/params/views/flip"]),
        (job(json!({"params": {"device": "tpu"}})), vec!["/params/device"]),
        (job(json!({"priority": 5000, "name": " "})), vec!["/priority", "/name"]),
        (job(json!({"colour": "red"})), vec!["/colour"]),
        (job(json!({"kind": "dream"})), vec!["/kind"]),
        (job(json!({})), vec!["/dataset_id"]),
    ];
    for (body, expected) in cases {
        let (status, problem) = server.post("/jobs", &body).await;
        assert_eq!(status, 422, "{body}: {problem}");
        let errors = problem["errors"].as_array().unwrap();
        let pointers: Vec<_> = errors.iter().map(|e| e["pointer"].as_str().unwrap()).collect();
        assert_eq!(pointers, expected, "{problem}");
    }
    assert_eq!(server.get("/jobs").await.1["items"], json!([]), "nothing was queued");
}

#[tokio::test]
async fn requests_from_other_web_sites_are_refused() {
    let (_folder, server) = server().await;
    for header in [("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")] {
        let request = server.request(Method::POST, "/jobs").json(&json!({}));
        let (status, problem) =
            read(request.header(header.0, header.1).send().await.unwrap()).await;
        assert_eq!((status, &problem["status"]), (403, &json!(403)), "{problem}");
    }
    let own = format!("http://{}", server.address);
    let request = server.request(Method::POST, "/jobs").json(&json!({})).header("origin", own);
    assert_eq!(request.send().await.unwrap().status(), 422);
}

#[tokio::test]
async fn the_server_reports_its_health_and_system() {
    let (_folder, server) = server().await;
    assert_eq!(server.get("/health/live").await.0, 200);
    assert_eq!(server.get("/health/ready").await.0, 200);
    let (status, system) = server.get("/system").await;
    assert_eq!(status, 200);
    assert_eq!(system["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(system["queue"]["queued"], 0);
    assert!(system["disk"]["free_bytes"].as_u64().unwrap() > 0);
    let (_, schema) = server.get("/schema/train").await;
    assert_eq!(schema["properties"]["epochs"]["maximum"], 10_000);
}

#[tokio::test]
async fn a_browser_gets_a_page_that_loads_nothing_from_elsewhere() {
    let (_folder, server) = server().await;
    let response = server.request(Method::GET, "/").send().await.unwrap();
    assert_eq!(response.status(), 200);
    let policy = response.headers()["content-security-policy"].to_str().unwrap().to_owned();
    assert!(policy.contains("default-src 'self'"), "{policy}");
    assert!(response.text().await.unwrap().contains("Blazetune"));
    let missing = format!("http://{}/assets/missing.js", server.address);
    assert_eq!(server.client.get(missing).send().await.unwrap().status(), 404);
}

/// Simple clients send the whole body before they read the answer.
#[tokio::test]
async fn a_client_that_reads_only_after_sending_everything_still_gets_the_refusal() {
    let (_folder, server) = server().await;
    let address = server.address;
    let answer = tokio::task::spawn_blocking(move || {
        use std::io::{Read, Write};
        let mut connection = std::net::TcpStream::connect(address).unwrap();
        let body = vec![0; 64 << 20]; // More than fits into any socket's buffer.
        let head = "POST /api/v1/datasets HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n";
        write!(
            connection,
            "{head}content-type: text/plain\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )
        .unwrap();
        connection.write_all(&body).unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    });
    let answer = answer.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 415 "), "{answer}");
    assert!(answer.contains("send a zip"), "{answer}");
}
