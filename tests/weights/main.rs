//! Weights files against those who will read them: the real PyTorch, MediaPipe and ONNX Runtime, in
//! `.deps/venv` (`make setup-test`).

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod checkpoints;
#[path = "../common/mod.rs"]
mod common;
mod hostile;
mod onnx;
mod pth;
mod support;
mod tflite;
