//! `blazetune import`: checks a weights file and uploads it to a server.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, bail};
use blazetune::weights;
use serde_json::{Value, json};

use super::model;

/// Checks a weights file in any format and adds it to a server's models.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Weights file (.tflite, .safetensors, .pth or .pt); its content determines the format.
    file: PathBuf,
    /// Address of the server.
    #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8080")]
    server: String,
    /// Name of the model on the server; defaults to the file's name.
    #[arg(long)]
    name: Option<String>,
    /// Only check the file; no server is needed.
    #[arg(long)]
    check: bool,
}

#[expect(clippy::print_stdout, reason = "this is the command's output")]
pub(crate) fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let bytes = model::read(&args.file)?;
    let weights = weights::load(&bytes);
    let weights = weights.with_context(|| format!("cannot use {}", args.file.display()))?;
    if args.check {
        let (layout, file) = (weights.layout(), &args.file);
        let format = weights::ending(&bytes);
        let answer = json!({"file": file, "format": format, "variant": layout.variant, "network": layout.title});
        println!("{answer}");
        return Ok(ExitCode::SUCCESS);
    }
    let stem = args.file.file_stem().unwrap_or_default().to_string_lossy();
    let name = args.name.as_deref().unwrap_or(&stem);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let model = runtime.block_on(send(&args.server, name, bytes))?;
    println!("{model}");
    Ok(ExitCode::SUCCESS)
}

async fn send(server: &str, name: &str, bytes: Vec<u8>) -> anyhow::Result<Value> {
    let url = format!("{}/api/v1/models", server.trim_end_matches('/'));
    let request = reqwest::Client::new().post(&url).query(&[("name", name)]).body(bytes);
    let response =
        request.send().await.with_context(|| format!("cannot reach the server at {server}"))?;
    let status = response.status();
    let answer: Value = response.json().await.context("the server's response is not JSON")?;
    if !status.is_success() {
        bail!(
            "the server refused the file: {}",
            answer["detail"].as_str().unwrap_or(status.as_str())
        );
    }
    Ok(answer)
}
