//! The part of the HTTP API that the demo uses.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail, ensure};
use blazetune::data::Splits;
use blazetune::data::options::ImportProgress;
use blazetune::protocol::events::Artifact;
use blazetune::protocol::metrics::MetricsRow;
use blazetune::store::datasets::DatasetStatus;
use blazetune::store::jobs::{JobProgress, JobState};
use reqwest::{RequestBuilder, Response, Url};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::io::AsyncWriteExt;

/// A server's API.
pub(super) struct Client {
    http: reqwest::Client,
    api: Url,
}

/// A page of a list.
#[derive(Debug, Deserialize)]
struct Page<T> {
    items: Vec<T>,
}

/// The fields of a data set that the demo needs.
#[derive(Debug, Deserialize)]
pub(super) struct Dataset {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) status: DatasetStatus,
    pub(super) error: Option<String>,
    pub(super) splits: Option<Splits>,
    pub(super) progress: Option<ImportProgress>,
}

/// The fields of a job that the demo needs.
#[derive(Debug, Deserialize)]
pub(super) struct Job {
    pub(super) id: String,
    pub(super) state: JobState,
    pub(super) error: Option<String>,
    pub(super) progress: Option<JobProgress>,
}

/// A problem, as defined by RFC 9457.
#[derive(Debug, Deserialize)]
struct Problem {
    title: String,
    detail: Option<String>,
}

impl Client {
    /// Creates a client for the server at `address`.
    pub(super) fn new(address: SocketAddr) -> Self {
        let api = Url::parse(&format!("http://{address}/api/v1/"));
        Self { http: reqwest::Client::new(), api: api.expect("a socket address is valid in a URL") }
    }

    /// Returns the newest data set with this name that is ready for training.
    pub(super) async fn ready_dataset(&self, name: &str) -> anyhow::Result<Option<Dataset>> {
        let url = self.url("datasets")?;
        let page: Page<Dataset> = read(self.http.get(url).query(&[("limit", "200")])).await?;
        Ok(page.items.into_iter().find(|d| d.name == name && d.status == DatasetStatus::Ready))
    }

    /// Uploads an archive.
    pub(super) async fn upload(&self, archive: &Path, name: &str) -> anyhow::Result<Dataset> {
        let file = tokio::fs::File::open(archive).await;
        let file = file.with_context(|| format!("cannot open {}", archive.display()))?;
        let length = file.metadata().await?.len();
        let body = reqwest::Body::wrap_stream(tokio_util::io::ReaderStream::new(file));
        let request = self.http.post(self.url("datasets")?).query(&[("name", name)]);
        let request = request.header("content-type", "application/zip");
        read(request.header("content-length", length).body(body)).await
    }

    /// Fetches a data set.
    pub(super) async fn dataset(&self, id: &str) -> anyhow::Result<Dataset> {
        self.get(&format!("datasets/{id}")).await
    }

    /// Queues a training job.
    pub(super) async fn start_job(&self, dataset_id: &str, epochs: u32) -> anyhow::Result<Job> {
        let body = json!({
            "kind": "train",
            "dataset_id": dataset_id,
            "name": "demo",
            "params": {"epochs": epochs},
        });
        read(self.http.post(self.url("jobs")?).json(&body)).await
    }

    /// Fetches a job.
    pub(super) async fn job(&self, id: &str) -> anyhow::Result<Job> {
        self.get(&format!("jobs/{id}")).await
    }

    /// Fetches a job's metrics: one row per epoch, starting with the base model's.
    pub(super) async fn metrics(&self, id: &str) -> anyhow::Result<Vec<MetricsRow>> {
        let page: Page<MetricsRow> = self.get(&format!("jobs/{id}/metrics")).await?;
        Ok(page.items)
    }

    /// Downloads all artifacts of a job into `folder` and verifies their checksums.
    pub(super) async fn download_artifacts(
        &self,
        id: &str,
        folder: &Path,
    ) -> anyhow::Result<Vec<Artifact>> {
        tokio::fs::create_dir_all(folder).await?;
        let page: Page<Artifact> = self.get(&format!("jobs/{id}/artifacts")).await?;
        for artifact in &page.items {
            let url = self.url(&format!("jobs/{id}/artifacts/{}", artifact.name))?;
            let path = folder.join(&artifact.name);
            let sha256 = download(send(self.http.get(url)).await?, &path).await?;
            ensure!(sha256 == artifact.sha256, "{} was damaged in transit", path.display());
        }
        Ok(page.items)
    }

    async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        read(self.http.get(self.url(path)?)).await
    }

    fn url(&self, path: &str) -> anyhow::Result<Url> {
        Ok(self.api.join(path)?)
    }
}

/// Writes a response's body to a temporary file, renames it to `path` and returns its SHA-256.
async fn download(mut response: Response, path: &Path) -> anyhow::Result<String> {
    let part = PathBuf::from(format!("{}.part", path.display()));
    let mut file = tokio::fs::File::create(&part).await?;
    let mut sha256 = Sha256::new();
    while let Some(chunk) = response.chunk().await? {
        sha256.update(&chunk);
        file.write_all(&chunk).await?;
    }
    file.sync_all().await?;
    tokio::fs::rename(&part, path).await?;
    Ok(hex::encode(sha256.finalize()))
}

async fn read<T: DeserializeOwned>(request: RequestBuilder) -> anyhow::Result<T> {
    let response = send(request).await?;
    let url = response.url().clone();
    response.json().await.with_context(|| format!("unexpected response from {url}"))
}

/// Sends the request. A problem becomes an error with the server's message.
async fn send(request: RequestBuilder) -> anyhow::Result<Response> {
    let response = request.send().await?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    match response.json::<Problem>().await {
        Ok(Problem { title, detail }) => bail!("{}", detail.unwrap_or(title)),
        Err(_) => bail!("the server responded with {status}"),
    }
}
