//! Detection over HTTP, next to calls of MediaPipe's Python `FaceDetector` on the same pictures.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use blazetune::weights::tflite;
use image::imageops::{FilterType, resize};
use serde_json::{Value, json};

use crate::table::Table;
use crate::{Effort, pictures, rival, root};

const CLIENTS: [usize; 3] = [1, 4, 16];

pub(crate) fn measure(folder: &Path, effort: &Effort, table: &mut Table) -> Value {
    eprintln!("detection: {} requests for each of {CLIENTS:?} clients …", effort.requests);
    let files = small_pictures(folder);
    let bodies: Vec<Vec<u8>> = files.iter().map(|file| std::fs::read(file).unwrap()).collect();
    let server = Server::start(folder);
    load(&server.address, &bodies, 1, 100); // Warms up.
    let ours: Vec<Load> =
        CLIENTS.map(|clients| load(&server.address, &bodies, clients, effort.requests)).into();
    drop(server);

    let model = folder.join("mediapipe.tflite");
    std::fs::write(&model, tflite::base()).unwrap();
    let requests = effort.requests.to_string();
    let mut arguments = vec!["mediapipe".to_owned(), model.display().to_string(), requests];
    arguments.extend(files.iter().map(|file| file.display().to_string()));
    let mediapipe = rival(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let theirs = |key: &str| mediapipe.as_ref().and_then(|found| found[key].as_f64());
    for (clients, load) in CLIENTS.iter().zip(&ours) {
        let (what, other) =
            (format!("detect over HTTP, {clients} clients"), "MediaPipe in-process");
        table.compare(format!("{what}, median"), load.p50_ms, "ms", other, theirs("p50_ms"));
        table.compare(format!("{what}, 99 %"), load.p99_ms, "ms", other, theirs("p99_ms"));
        let one = ("one client", Some(ours[0].per_s));
        table.compare(format!("{what}, throughput"), load.per_s, "pictures/s", one.0, one.1);
    }
    let rows = CLIENTS.iter().zip(&ours).map(|(clients, load)| {
        json!({"clients": clients, "p50_ms": load.p50_ms, "p99_ms": load.p99_ms, "images_per_s": load.per_s})
    });
    json!({"http": rows.collect::<Value>(), "mediapipe": mediapipe})
}

/// The tests' pictures at 128 × 128, as JPEG.
fn small_pictures(folder: &Path) -> Vec<PathBuf> {
    let golden = root().join("tests/parity/golden/pictures");
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let small = |file: &PathBuf| {
        let picture = resize(&image::open(file).ok()?.into_rgb8(), 128, 128, FilterType::Triangle);
        let path = folder.join(file.file_name()?);
        std::fs::write(&path, pictures::jpeg(&picture, 90)).unwrap();
        Some(path)
    };
    files.iter().filter_map(small).collect()
}

struct Load {
    p50_ms: f64,
    p99_ms: f64,
    per_s: f64,
}

/// Sends this many requests from clients that each wait for a response before the next request.
fn load(address: &str, bodies: &[Vec<u8>], clients: usize, requests: usize) -> Load {
    let each = requests.div_ceil(clients);
    let began = Instant::now();
    let mut times: Vec<f64> = std::thread::scope(|scope| {
        let client = |number: usize| {
            move || {
                let mut client = Client::connect(address);
                let body = |turn: usize| &bodies[(number + turn) % bodies.len()];
                (0..each).map(|turn| client.detect(body(turn))).collect::<Vec<f64>>()
            }
        };
        let threads: Vec<_> = (0..clients).map(|number| scope.spawn(client(number))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
    });
    let per_s = times.len() as f64 / began.elapsed().as_secs_f64();
    times.sort_by(f64::total_cmp);
    let at = |share: f64| 1e3 * times[((times.len() - 1) as f64 * share) as usize];
    Load { p50_ms: at(0.5), p99_ms: at(0.99), per_s }
}

/// HTTP/1.1 over one connection, with almost no overhead of its own.
struct Client {
    connection: BufReader<TcpStream>,
}

impl Client {
    fn connect(address: &str) -> Self {
        let connection = TcpStream::connect(address).unwrap();
        connection.set_nodelay(true).unwrap();
        Self { connection: BufReader::new(connection) }
    }

    /// Sends one picture; returns the seconds until the response is complete.
    fn detect(&mut self, picture: &[u8]) -> f64 {
        let began = Instant::now();
        let mut request = format!(
            "POST /api/v1/models/base/detect HTTP/1.1\r\nHost: bench\r\nContent-Type: image/jpeg\r\n\
             Content-Length: {}\r\n\r\n",
            picture.len()
        )
        .into_bytes();
        request.extend_from_slice(picture);
        self.connection.get_mut().write_all(&request).unwrap();
        let (mut status, mut length, mut line) = (String::new(), 0, String::new());
        self.connection.read_line(&mut status).unwrap();
        while line != "\r\n" {
            line.clear();
            self.connection.read_line(&mut line).unwrap();
            if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        let mut answer = vec![0; length];
        self.connection.read_exact(&mut answer).unwrap();
        assert!(status.contains(" 200 "), "{status}{}", String::from_utf8_lossy(&answer));
        began.elapsed().as_secs_f64()
    }
}

/// A separate server process, started as a user would.
struct Server {
    process: Child,
    address: String,
}

impl Server {
    fn start(folder: &Path) -> Self {
        let log = folder.join("serve.log");
        let file = std::fs::File::create(&log).unwrap();
        let process = Command::new(env!("CARGO_BIN_EXE_blazetune"))
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(folder.join("serve"))
            .stdout(Stdio::null())
            .stderr(file)
            .spawn()
            .unwrap();
        let mut server = Self { process, address: String::new() };
        for _ in 0..3000 {
            let text = std::fs::read_to_string(&log).unwrap();
            if let Some((_, rest)) = text.split_once("listening on http://") {
                let end = rest.find(|c: char| !(c.is_ascii_digit() || ".:".contains(c)));
                rest[..end.unwrap_or(rest.len())].clone_into(&mut server.address);
                return server;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server is not listening: {}", std::fs::read_to_string(&log).unwrap());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill(); // It may already have exited.
        let _ = self.process.wait();
    }
}
