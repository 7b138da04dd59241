//! Resumable uploads, as tus 1.0 defines them, and the space that uploads reserve.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use reqwest::header::HeaderMap;
use reqwest::{Body, Method, Response};
use serde_json::json;
use sha2::Digest;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;

use crate::support::{Server, archive, config, id, read, script};

const BYTES: &str = "application/offset+octet-stream";

async fn server(folder: &Path) -> Server {
    Server::start(folder, script("exit 0")).await
}

fn metadata(name: &str) -> String {
    format!("name {},filetype {}", STANDARD.encode(name), STANDARD.encode("application/zip"))
}

/// Announces an upload and returns its path.
async fn announced(server: &Server, length: usize, more: &[(&'static str, &str)]) -> String {
    let mut request = server.request(Method::POST, "/uploads").header("tus-resumable", "1.0.0");
    request = request.header("upload-length", length).header("upload-metadata", metadata("crowds"));
    for (name, value) in more {
        request = request.header(*name, *value);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 201);
    path_of(&response)
}

fn path_of(response: &Response) -> String {
    let location = response.headers()["location"].to_str().unwrap();
    location.strip_prefix("/api/v1").unwrap().to_owned()
}

async fn patch(server: &Server, path: &str, offset: usize, body: impl Into<Body>) -> Response {
    let request = server.request(Method::PATCH, path).header("content-type", BYTES);
    request.header("upload-offset", offset).body(body).send().await.unwrap()
}

fn offset(headers: &HeaderMap) -> usize {
    headers["upload-offset"].to_str().unwrap().parse().unwrap()
}

async fn head(server: &Server, path: &str) -> (u16, HeaderMap) {
    let response = server.request(Method::HEAD, path).send().await.unwrap();
    (response.status().as_u16(), response.headers().clone())
}

/// Returns the path of the data set that an upload becomes.
fn dataset_of(upload: &str) -> String {
    upload.replace("uploads", "datasets")
}

/// Begins a request for the rest of the archive, sends only `bytes` of it, and returns the open connection. Dropping
/// the connection breaks it.
async fn begin(server: &Server, path: &str, offset: usize, bytes: &[u8]) -> TcpStream {
    let mut connection = TcpStream::connect(server.address).await.unwrap();
    let head = format!(
        "PATCH /api/v1{path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: {BYTES}\r\n\
         upload-offset: {offset}\r\ncontent-length: {}\r\n\r\n",
        archive().len() - offset
    );
    connection.write_all(head.as_bytes()).await.unwrap();
    connection.write_all(bytes).await.unwrap();
    connection
}

#[tokio::test]
async fn an_upload_continues_after_broken_connections_and_restarts_of_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = server(folder.path()).await;
    let path = announced(&server, archive().len(), &[]).await;
    let piece = archive().len() / 50;
    let mut at = 0;
    for number in 0..49 {
        drop(begin(&server, &path, at, &archive()[at..at + piece]).await);
        let (status, headers) = head(&server, &path).await;
        assert_eq!(status, 200);
        assert_eq!(headers["upload-length"], archive().len().to_string());
        assert!(offset(&headers) <= at + piece);
        at = offset(&headers);
        if number == 20 {
            let (_, list) = server.get("/uploads").await;
            assert_eq!(
                (&list["items"][0]["name"], &list["items"][0]["offset"]),
                (&json!("crowds"), &json!(at))
            );
            server.shut_down().await;
            server = self::server(folder.path()).await;
        }
    }
    assert!(at > 0);
    let last = patch(&server, &path, at, &archive()[at..]).await;
    assert_eq!((last.status().as_u16(), offset(last.headers())), (204, archive().len()));
    let dataset = server.when(&dataset_of(&path), |dataset| dataset["status"] != "importing").await;
    assert_eq!((&dataset["name"], &dataset["images"]), (&json!("crowds"), &json!(16)), "{dataset}");
    assert_eq!(server.get("/uploads").await.1["items"], json!([]));

    // A client that missed the last response asks again.
    let (status, headers) = head(&server, &path).await;
    assert_eq!((status, offset(&headers)), (200, archive().len()));
    assert_eq!(patch(&server, &path, archive().len(), "").await.status(), 204);
    assert_eq!(server.delete(&path).await.0, 409);
    assert_eq!(server.delete(&dataset_of(&path)).await.0, 204);
    assert_eq!(head(&server, &path).await.0, 404);
}

#[tokio::test]
async fn a_new_request_takes_over_from_one_that_stalls() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let path = announced(&server, archive().len(), &[]).await;
    let stalled = begin(&server, &path, 0, &archive()[..1000]).await;
    let part = folder.path().join(path.trim_start_matches('/')).with_extension("part");
    while std::fs::metadata(&part).unwrap().len() < 1000 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let (_, headers) = head(&server, &path).await;
    assert_eq!(offset(&headers), 1000);
    assert_eq!(patch(&server, &path, 1000, &archive()[1000..]).await.status(), 204);
    let dataset = server.when(&dataset_of(&path), |dataset| dataset["status"] != "importing").await;
    assert_eq!(dataset["status"], "ready", "{dataset}");
    drop(stalled);
}

#[tokio::test]
async fn bytes_that_do_not_match_their_checksum_are_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let path = announced(&server, archive().len(), &[]).await;
    let half = archive().len() / 2;
    let (sha1, sha256) =
        (sha1::Sha1::digest(&archive()[..half]), sha2::Sha256::digest(&archive()[half..]));
    let checked = |at: usize, bytes: &'static [u8], sum: String| {
        let request = server.request(Method::PATCH, &path).header("content-type", BYTES);
        request.header("upload-offset", at).header("upload-checksum", sum).body(bytes).send()
    };
    let right = format!("sha1 {}", STANDARD.encode(sha1));
    let wrong = checked(0, &archive()[1..=half], right.clone()).await.unwrap();
    let (status, problem) = read(wrong).await;
    assert_eq!((status, &problem["status"]), (460, &json!(460)));
    assert_eq!(offset(&head(&server, &path).await.1), 0);
    for unknown in ["md5 AAAA", "sha1 ?"] {
        assert_eq!(checked(0, &archive()[..half], unknown.to_owned()).await.unwrap().status(), 400);
    }
    assert_eq!(checked(0, &archive()[..half], right).await.unwrap().status(), 204);
    let right = format!("sha256 {}", STANDARD.encode(sha256));
    assert_eq!(checked(half, &archive()[half..], right).await.unwrap().status(), 204);
    let dataset = server.when(&dataset_of(&path), |dataset| dataset["status"] != "importing").await;
    assert_eq!(dataset["status"], "ready", "{dataset}");
}

#[tokio::test]
async fn parts_that_are_uploaded_in_parallel_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let third = archive().len() / 3 + 1;
    let pieces: Vec<&'static [u8]> = archive().chunks(third).collect();
    let parts = pieces.iter().map(async |piece| {
        let path = announced(&server, piece.len(), &[("upload-concat", "partial")]).await;
        assert_eq!(patch(&server, &path, 0, *piece).await.status(), 204);
        format!("/api/v1{path}")
    });
    let parts = futures_util::future::join_all(parts).await;
    let join = |urls: String| {
        let request = server.request(Method::POST, "/uploads");
        let request = request.header("upload-metadata", metadata("joined"));
        request.header("upload-concat", format!("final;{urls}")).send()
    };
    let unfinished = announced(&server, 9, &[("upload-concat", "partial")]).await;
    let (status, problem) = read(join(format!("{} {unfinished}", parts[0])).await.unwrap()).await;
    assert_eq!(status, 422, "{problem}");
    assert_eq!(server.delete(&unfinished).await.0, 204);

    let joined = join(parts.join(" ")).await.unwrap();
    assert_eq!(joined.status(), 201);
    let path = dataset_of(&path_of(&joined));
    let dataset = server.when(&path, |dataset| dataset["status"] != "importing").await;
    assert_eq!((&dataset["name"], &dataset["images"]), (&json!("joined"), &json!(16)), "{dataset}");
    let left = std::fs::read_dir(folder.path().join("uploads")).unwrap().count();
    assert_eq!(left, 1, "only the note of the joined upload is kept");
}

#[tokio::test]
async fn requests_that_make_no_sense_are_refused_and_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.limits.upload_bytes = archive().len() as u64;
    let server = Server::start_with(folder.path(), script("exit 0"), config).await;
    let create = |name: &'static str, value: &str| {
        server.request(Method::POST, "/uploads").header(name, value).send()
    };
    for (name, value, expected) in [
        ("tus-resumable", "0.2.2", 412),
        ("x-nothing", "", 400),
        ("upload-length", "many", 400),
        ("upload-length", "0", 422),
        ("upload-length", "999999999999", 413),
        ("upload-metadata", "name ?", 422),
        ("upload-metadata", "boxes eHl4eXp6", 422),
        ("upload-concat", "final;/api/v1/uploads/none", 422),
    ] {
        let (status, problem) = read(create(name, value).await.unwrap()).await;
        assert_eq!(status, expected, "{name}: {value}: {problem}");
    }
    let path = announced(&server, archive().len(), &[]).await;
    let (status, problem) = read(patch(&server, &path, 5, "abc").await).await;
    assert_eq!(status, 409, "{problem}");
    assert!(problem["detail"].as_str().unwrap().contains("has 0 bytes"), "{problem}");
    let post = server.request(Method::PATCH, &path).header("upload-offset", 0).body("abc");
    assert_eq!(post.send().await.unwrap().status(), 415);
    let long: Vec<u8> = [archive(), b"x"].concat();
    let more =
        futures_util::stream::iter([Ok::<_, std::io::Error>(archive()[..9].to_vec()), Ok(long)]);
    assert_eq!(patch(&server, &path, 0, Body::wrap_stream(more)).await.status(), 413);
    assert!(offset(&head(&server, &path).await.1) <= archive().len(), "only what fits is kept");

    let path = announced(&server, 600, &[]).await;
    let (status, problem) = read(patch(&server, &path, 0, vec![b'x'; 300]).await).await;
    assert_eq!(status, 415, "{problem}");
    assert_eq!(head(&server, &path).await.0, 404, "it is no archive, whatever follows");

    let path = announced(&server, 600, &[]).await;
    assert_eq!(server.delete(&path).await.0, 204);
    assert_eq!(head(&server, &path).await.0, 404);
}

#[tokio::test]
async fn a_crash_at_the_end_of_an_upload_loses_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let path = announced(&server, archive().len(), &[]).await;
    server.shut_down().await;
    // The server died after moving the archive but before updating the database.
    let part = folder.path().join(path.trim_start_matches('/')).with_extension("part");
    std::fs::write(&part, archive()).unwrap();
    std::fs::rename(&part, part.with_extension("")).unwrap();
    let server = self::server(folder.path()).await;
    let dataset = server.when(&dataset_of(&path), |dataset| dataset["status"] == "ready").await;
    assert_eq!((&dataset["name"], &dataset["images"]), (&json!("crowds"), &json!(16)));
}

#[tokio::test]
async fn an_upload_that_nobody_continues_is_deleted_after_a_week() {
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    let (old, new) = (announced(&server, 9, &[]).await, announced(&server, 9, &[]).await);
    server.shut_down().await;
    let part = folder.path().join(old.trim_start_matches('/')).with_extension("part");
    let week_ago = std::time::SystemTime::now() - std::time::Duration::from_hours(7 * 24 + 1);
    std::fs::File::open(part).unwrap().set_modified(week_ago).unwrap();
    let server = self::server(folder.path()).await;
    assert_eq!(head(&server, &old).await.0, 404);
    assert_eq!(head(&server, &new).await.0, 200);
    assert_eq!(std::fs::read_dir(folder.path().join("uploads")).unwrap().count(), 2);
}

#[tokio::test]
async fn parallel_uploads_and_uploads_of_unknown_length_respect_the_reserved_space() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = config();
    config.storage.max_bytes = 100 << 20;
    let server = Server::start_with(folder.path(), script("exit 0"), config).await;
    // The first client has announced 60 MB and has not sent them yet.
    let mut first = TcpStream::connect(server.address).await.unwrap();
    let request =
        "PUT /api/v1/datasets HTTP/1.1\r\nhost: localhost\r\ncontent-length: 62914560\r\n\r\nPK";
    first.write_all(request.as_bytes()).await.unwrap();
    let uploads = folder.path().join("uploads");
    while std::fs::read_dir(&uploads).unwrap().count() == 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let zip = [archive().to_vec(), vec![0; 60 << 20]].concat();
    let second = server.request(Method::PUT, "/datasets").body(zip.clone()).send().await.unwrap();
    let (status, problem) = read(second).await;
    assert_eq!(status, 507, "{problem}");
    let chunks: Vec<_> =
        zip.chunks(1 << 20).map(|chunk| Ok::<_, std::io::Error>(chunk.to_vec())).collect();
    let unknown = Body::wrap_stream(futures_util::stream::iter(chunks));
    let third = server.request(Method::PUT, "/datasets").body(unknown).send().await.unwrap();
    let (status, problem) = read(third).await;
    assert_eq!(status, 507, "{problem}");
    // Once the first client has disconnected, there is room again.
    drop(first);
    while std::fs::read_dir(&uploads).unwrap().count() > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    let request = server.request(Method::PUT, "/datasets?name=again").body(archive().to_vec());
    let (status, dataset) = read(request.send().await.unwrap()).await;
    assert_eq!((status, &dataset["name"]), (202, &json!("again")), "{dataset}");
    let path = format!("/datasets/{}", id(&dataset));
    server.when(&path, |dataset| dataset["status"] == "ready").await;
}
