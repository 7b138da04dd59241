//! Weights files against those who will read them: the real PyTorch, MediaPipe and ONNX Runtime, in
//! `.deps/venv` (`make setup-test`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod checkpoints;
#[path = "../common/mod.rs"]
#[expect(dead_code, reason = "no disk is filled here")]
mod common;
mod hostile;
mod onnx;
mod pth;
mod support;
mod tflite;
