//! Reports the cause of a worker's panic: a disk failure, a libtorch error, or a bug in Blazetune.

use std::any::Any;
use std::backtrace::Backtrace;
use std::panic;

use tracing::error;

use crate::protocol::cause::Cause;
use crate::protocol::events::Finished;
use crate::train::views::pictures::failed_read;

/// Writes each panic to the log, with its location and a backtrace for a bug report.
pub(super) fn log() {
    let print = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        let backtrace = Backtrace::force_capture();
        let place = info.location().map(ToString::to_string).unwrap_or_default();
        error!(place, %backtrace, "panic: {}", text(info.payload()));
        print(info);
    }));
}

/// Returns the final event of a job that panicked.
pub(super) fn finished(panic: &(dyn Any + Send)) -> Finished {
    let (cause, sentence) = explain(text(panic));
    Finished::failed(cause, sentence)
}

fn text(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("unknown panic")
}

fn explain(panic: &str) -> (Cause, String) {
    if let Some(error) = failed_read(panic) {
        return (Cause::of_io(&error), panic.to_owned());
    }
    let complaint = of_libtorch(panic);
    let words = complaint.as_deref().or(panic.lines().next()).unwrap_or_default();
    let speaker = if complaint.is_some() { "libtorch says: " } else { "" };
    match Cause::of_words(words) {
        Some(Cause::OutOfMemory) => {
            (Cause::OutOfMemory, format!("{speaker}{words}; try a smaller batch_size"))
        }
        Some(cause) => (cause, format!("{speaker}{words}")),
        None => {
            let asked = "this is a bug in Blazetune; please report it with the job's log";
            (Cause::Internal, format!("{asked}: {speaker}{words}"))
        }
    }
}

/// Returns the first line of libtorch's error, if the panic came from libtorch. The other lines are a C++ backtrace.
/// `tch` unwraps the error, so the panic message contains the error's `Debug` form.
fn of_libtorch(panic: &str) -> Option<String> {
    let (_, quoted) = panic.split_once("Torch(\"")?;
    let end = quoted.find("\\n").or_else(|| quoted.rfind("\")")).unwrap_or(quoted.len());
    Some(quoted[..end].replace("\\\"", "\"").replace("\\'", "'"))
}

/// Returns the message of a panic caused by this libtorch error.
pub(super) fn text_of_libtorch(complaint: &str) -> String {
    format!("called `Result::unwrap()` on an `Err` value: Torch({complaint:?})")
}

#[cfg(test)]
mod tests {
    use super::text_of_libtorch as torch;
    use super::*;

    #[test]
    fn a_libtorch_error_is_quoted_without_its_backtrace_and_determines_the_cause() {
        let memory = "CUDA out of memory. Tried to allocate 2.00 GiB\nException raised from malloc\nframe #0: NCCL";
        let told = "libtorch says: CUDA out of memory. Tried to allocate 2.00 GiB; try a smaller batch_size";
        assert_eq!(explain(&torch(memory)), (Cause::OutOfMemory, told.to_owned()));
        let lost = "CUDA error: unspecified \"launch\" failure\nCUDA kernel errors might be reported later";
        let told = "libtorch says: CUDA error: unspecified \"launch\" failure";
        assert_eq!(explain(&torch(lost)), (Cause::DeviceLost, told.to_owned()));
        let told = "libtorch says: CUDA error: it's gone";
        assert_eq!(explain(&torch("CUDA error: it's gone")).1, told, "a one-line error");
    }

    #[cfg(feature = "torch")]
    #[test]
    fn a_libtorch_error_about_our_arguments_is_our_bug() {
        use tch::{Device, Kind, Tensor};
        let zeros = |rows| Tensor::zeros([rows, 3], (Kind::Float, Device::Cpu));
        let panic = panic::catch_unwind(|| zeros(2).matmul(&zeros(2))).unwrap_err();
        let Finished { cause, error, .. } = finished(&*panic);
        assert_eq!(cause, Some(Cause::Internal));
        let expected = "this is a bug in Blazetune; please report it with the job's log: \
                        libtorch says: mat1 and mat2 shapes cannot be multiplied (2x3 and 2x3)";
        assert_eq!(error.unwrap(), expected);
    }

    #[test]
    fn our_own_panic_is_a_bug_and_only_its_first_line_is_quoted() {
        let told =
            "this is a bug in Blazetune; please report it with the job's log: assertion failed";
        assert_eq!(explain("assertion failed\n  left: 1"), (Cause::Internal, told.to_owned()));
        // Library names in a backtrace say nothing about the cause.
        assert_eq!(explain(&torch("no kernel\nframe #1: NCCL")).0, Cause::Internal);
    }
}
