//! Weights files in the programs that read them: the real PyTorch, MediaPipe and ONNX Runtime, in `.deps/venv`
//! (`make setup-test`).

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

mod checkpoints;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "no test here fills a disk")]
mod common;
mod hostile;
mod onnx;
mod pth;
mod support;
mod tflite;
