//! A server for one test.

use std::ffi::OsString;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use blazetune::config::Config;
use blazetune::http;
use blazetune::jobs::{self, Jobs, Program};
use blazetune::sample::{self, SampleSpec};
use blazetune::store;
use blazetune::store::folder::Folder;
use reqwest::{Client, Method, RequestBuilder, Response};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;

/// A server on a free port.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) client: Client,
    jobs: Jobs,
    stop: CancellationToken,
    serving: tokio::task::JoinHandle<()>,
}

/// Blazetune's own worker.
pub(crate) fn real_worker() -> Program {
    Program { path: env!("CARGO_BIN_EXE_blazetune").into(), args: vec!["worker".into()] }
}

/// A shell script that plays the worker of a job; `$1` is the job's folder. Imports use the product's own worker.
pub(crate) fn script(text: &str) -> Program {
    let real = env!("CARGO_BIN_EXE_blazetune");
    let is_import = r#"grep -q '"kind": "import"' "$1/spec.json""#;
    shell(&format!("if {is_import}; then exec {real} worker \"$1\"; fi\n{text}"))
}

/// The product's own worker, which starts when a shell script ends; `$1` is the job's or import's folder.
pub(crate) fn real_worker_after(text: &str) -> Program {
    shell(&format!("{text}\nexec {} worker \"$1\"", env!("CARGO_BIN_EXE_blazetune")))
}

fn shell(text: &str) -> Program {
    let args: [OsString; 3] = ["-c".into(), text.into(), "worker".into()];
    Program { path: "/bin/sh".into(), args: args.into() }
}

/// A configuration with short waits and no reserve of disk space or memory.
pub(crate) fn config() -> Config {
    let mut config = Config::default();
    config.jobs.poll_ms = 10;
    config.jobs.restart_delay_s = 0;
    config.jobs.cancel_grace_s = 1;
    config.devices.cpu_threads = 1;
    config.storage.reserve_bytes = 0;
    config.devices.min_free_memory_mib = 0;
    config
}

impl Server {
    pub(crate) async fn start(folder: &Path, program: Program) -> Self {
        Self::start_with(folder, program, config()).await
    }

    pub(crate) async fn start_with(folder: &Path, program: Program, config: Config) -> Self {
        Self::start_on(folder, program, config, vec![]).await
    }

    /// Starts a server that believes the machine has these GPUs.
    pub(crate) async fn start_on(
        folder: &Path,
        program: Program,
        config: Config,
        gpus: Vec<String>,
    ) -> Self {
        let folder = Arc::new(Folder::open(folder).unwrap());
        let db = store::open(&folder.database()).await.unwrap();
        let jobs = Jobs::start(jobs::JobsSetup {
            db: db.clone(),
            folder: folder.clone(),
            config: config.clone(),
            program,
            gpus,
        });
        let jobs = jobs.await.unwrap();
        let stop = CancellationToken::new();
        let app = http::App::new(http::AppSetup {
            db,
            folder,
            jobs: jobs.clone(),
            config,
            devices: http::DevicesView(Arc::new(Vec::new)),
            stop: stop.clone(),
        });
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = http::serve(listener, http::router(app), stop.clone());
        let serving = tokio::spawn(async move { serving.await.unwrap() });
        Self { address, client: Client::new(), jobs, stop, serving }
    }

    /// Shuts the server down as a signal would; workers keep running.
    pub(crate) async fn shut_down(self) {
        let Self { client, jobs, stop, serving, .. } = self;
        drop(client); // Closes its idle connections.
        stop.cancel();
        serving.await.unwrap();
        jobs.shut_down().await;
    }

    pub(crate) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let prefix = if path.starts_with("/health") || path == "/" { "" } else { "/api/v1" };
        self.client.request(method, format!("http://{}{prefix}{path}", self.address))
    }

    pub(crate) async fn get(&self, path: &str) -> (u16, Value) {
        read(self.request(Method::GET, path).send().await.unwrap()).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, Value) {
        read(self.request(Method::POST, path).json(body).send().await.unwrap()).await
    }

    pub(crate) async fn delete(&self, path: &str) -> (u16, Value) {
        read(self.request(Method::DELETE, path).send().await.unwrap()).await
    }

    pub(crate) async fn upload(&self, name: &str, archive: Vec<u8>) -> (u16, Value) {
        let request = self.request(Method::POST, "/datasets").query(&[("name", name)]);
        let request = request.header("content-type", "application/zip").body(archive);
        read(request.send().await.unwrap()).await
    }

    /// Imports a small synthetic data set and returns its id.
    pub(crate) async fn dataset(&self) -> String {
        let (status, dataset) = self.upload("faces", archive().to_vec()).await;
        assert_eq!(status, 202, "{dataset}");
        let id = id(&dataset);
        let dataset = self.when(&format!("/datasets/{id}"), |d| d["status"] != "importing").await;
        assert_eq!(dataset["status"], "ready", "{dataset}");
        id
    }

    pub(crate) async fn job(&self, dataset: &str, params: Value) -> String {
        let body = json!({"kind": "train", "dataset_id": dataset, "params": params});
        let (status, job) = self.post("/jobs", &body).await;
        assert_eq!(status, 201, "{job}");
        id(&job)
    }

    /// Mixes the model at `path`, waits for the job to complete, and returns the new model.
    pub(crate) async fn mix(&self, path: &str, body: &Value) -> Value {
        let (status, job) = self.post(&format!("{path}/mix"), body).await;
        assert_eq!((status, &job["kind"]), (202, &json!("mix")), "{job}");
        let job = self.when_state(&id(&job), &["completed", "failed"]).await;
        assert_eq!(job["state"], "completed", "{job}");
        let (_, model) = self.get(&format!("/models/{}", job["model_id"].as_str().unwrap())).await;
        assert_eq!(model["job_id"], job["id"]);
        model
    }

    pub(crate) async fn when_state(&self, job: &str, states: &[&str]) -> Value {
        let is_there = |job: &Value| states.iter().any(|state| job["state"] == *state);
        self.when(&format!("/jobs/{job}"), is_there).await
    }

    /// Polls `path` until `is_there` accepts the answer, and returns that answer.
    pub(crate) async fn when(&self, path: &str, is_there: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..30_000 {
            last = self.get(path).await.1;
            if is_there(&last) {
                return last;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{path} never reached the expected state: {last}");
    }
}

pub(crate) async fn read(response: Response) -> (u16, Value) {
    let status = response.status().as_u16();
    let text = response.text().await.unwrap();
    (status, serde_json::from_str(&text).unwrap_or(Value::String(text)))
}

pub(crate) fn id(value: &Value) -> String {
    value["id"].as_str().unwrap_or_else(|| panic!("no id in {value}")).to_owned()
}

/// The archive of a small synthetic data set.
pub(crate) fn archive() -> &'static [u8] {
    static ARCHIVE: OnceLock<Vec<u8>> = OnceLock::new();
    ARCHIVE.get_or_init(|| drawn(16))
}

/// The archive of a synthetic data set with `images` pictures.
pub(crate) fn drawn(images: u32) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sample.zip");
    sample::write(&path, &SampleSpec { images, seed: 1 }, &mut |_| ()).unwrap();
    std::fs::read(path).unwrap()
}

/// A zip archive of one file.
pub(crate) fn zip_of(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
    zip.write_all(bytes).unwrap();
    zip.finish().unwrap().into_inner()
}
