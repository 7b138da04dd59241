//! The demo's output: a progress bar on a terminal, plain lines elsewhere.
#![expect(clippy::print_stdout, reason = "this is the command's output")]

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use blazetune::data::Splits;
use blazetune::protocol::events::Artifact;
use blazetune::protocol::metrics::{MetricsRow, ValMetrics};
use blazetune::store::jobs::{JobProgress, JobState};
use indicatif::{DecimalBytes, HumanDuration, ProgressBar, ProgressStyle};

use super::client::{Dataset, Job};

/// Prints the demo's output.
pub(super) struct DemoReport {
    address: SocketAddr,
    training: ProgressBar,
}

impl DemoReport {
    pub(super) fn new(address: SocketAddr) -> Self {
        println!("Demo: Blazetune fine-tunes MediaPipe's face detector on cartoon people.\n");
        println!("  server      http://{address}");
        Self { address, training: ProgressBar::hidden() }
    }

    pub(super) fn dataset(&mut self, dataset: &Dataset) {
        let Splits { train, val, .. } = dataset.splits.unwrap_or_default();
        println!(
            "  pictures    {} with {} faces: {} for training, {} for validation",
            train.images + val.images,
            train.faces + val.faces,
            train.images,
            val.images,
        );
        self.training = bar("  training    [{bar:36.green}] {msg}");
    }

    /// Prints the metrics of an epoch that has ended.
    pub(super) fn epoch(&self, row: &MetricsRow) {
        let line = epoch_line(row);
        if self.training.is_hidden() {
            println!("{line}");
        } else {
            self.training.println(line);
        }
    }

    /// Updates the progress bar.
    pub(super) fn progress(&self, job: &Job) {
        if job.state.is_terminal() {
            self.training.finish_and_clear();
            return;
        }
        let progress = job.progress.unwrap_or_default();
        let JobProgress { epoch, epochs, step, steps, .. } = progress;
        self.training.set_length(u64::from(epochs) * u64::from(steps));
        let done = u64::from(epoch.saturating_sub(1)) * u64::from(steps) + u64::from(step);
        self.training.set_position(done);
        self.training.set_message(progress_line(job.state, &progress));
    }

    pub(super) fn end(&self, job: &str, is_last: bool) {
        let address = self.address;
        println!(
            "\n  See charts and sample pictures, and try the model: http://{address}/jobs/{job}"
        );
        if !is_last {
            println!("  Press Ctrl-C to stop the server.");
        }
    }
}

/// Prints the metrics of the base model and of the best epoch.
pub(super) fn before_and_after(rows: &[MetricsRow]) {
    let best = rows.iter().rev().find(|row| row.is_best);
    if let (Some(before), Some(after)) = (rows.first(), best) {
        println!("\n{}", table(&before.val, &after.val));
    }
}

/// Prints the paths and sizes of the downloaded files.
pub(super) fn files(folder: &Path, files: &[Artifact]) {
    println!("  Downloaded files of the fine-tuned model:");
    for file in files {
        println!("    {:<40}{:>12}", folder.join(&file.name).display(), size(file.size_bytes));
    }
}

/// Creates a progress bar that counts up to `length`. It is hidden without a terminal.
pub(super) fn counter(what: &'static str, length: u32) -> ProgressBar {
    let bar = bar("  {msg:<11} [{bar:36.green}] {pos}/{len}").with_message(what);
    bar.set_length(u64::from(length));
    bar
}

fn bar(template: &str) -> ProgressBar {
    let style = ProgressStyle::with_template(template).expect("the template is valid");
    ProgressBar::no_length().with_style(style.progress_chars("=> "))
}

fn epoch_line(row: &MetricsRow) -> String {
    let MetricsRow { epoch, val, .. } = row;
    let mut line =
        if *epoch == 0 { "  base model ".to_owned() } else { format!("  epoch {epoch:<5}") };
    for (name, value) in [("AP", val.ap50), ("IoU", val.val_iou)] {
        let _ = write!(line, " {name} {}", number(value)); // Writing to a string never fails.
    }
    if let Some(train) = row.train {
        let _ = write!(line, "   loss {:.3}   {:.0} images/s", train.loss, row.images_per_s);
    }
    line
}

fn progress_line(state: JobState, progress: &JobProgress) -> String {
    let JobProgress { epoch, epochs, images_per_s, eta_s, .. } = *progress;
    if state != JobState::Running || epoch == 0 {
        let what =
            if state == JobState::Running { "measuring the base model" } else { state.name() };
        return what.to_owned();
    }
    let mut line = format!("epoch {epoch}/{epochs}");
    if let Some(speed) = images_per_s {
        let _ = write!(line, ", {speed:.0} images/s");
    }
    if let Some(seconds) = eta_s {
        let _ = write!(
            line,
            ", {:#} left",
            HumanDuration(Duration::from_secs(seconds.max(0.0) as u64))
        );
    }
    line
}

fn table(before: &ValMetrics, after: &ValMetrics) -> String {
    let rows = [
        ("average precision (IoU 0.5)", before.ap50, after.ap50),
        ("  faces of at least 6 pixels", before.ap50_ge6, after.ap50_ge6),
        ("  at least 12 pixels", before.ap50_ge12, after.ap50_ge12),
        ("  at least 24 pixels", before.ap50_ge24, after.ap50_ge24),
        ("mean IoU of the boxes", before.val_iou, after.val_iou),
        ("F1 at score 0.5", before.f1, after.f1),
        ("best F1", before.best_f1, after.best_f1),
        ("  at score", before.best_threshold, after.best_threshold),
    ];
    let mut text = format!("  {:<30}{:>8}{:>9}\n", "", "before", "after");
    for (name, before, after) in rows {
        let _ = writeln!(text, "  {name:<30}{:>8}{:>9}", number(before), number(after));
    }
    text
}

fn size(bytes: u64) -> String {
    DecimalBytes(bytes).to_string()
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.3}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_figure_is_printed_as_a_dash() {
        let after = ValMetrics { ap50: Some(0.5), ..ValMetrics::default() };
        let table = table(&ValMetrics::default(), &after);
        let row = table.lines().nth(1).unwrap();
        assert_eq!(row, "  average precision (IoU 0.5)          -    0.500");
    }

    #[test]
    fn a_waiting_job_shows_its_state() {
        assert_eq!(progress_line(JobState::Queued, &JobProgress::default()), "queued");
        let progress = JobProgress { epoch: 2, epochs: 9, eta_s: Some(61.0), ..Default::default() };
        assert_eq!(progress_line(JobState::Running, &progress), "epoch 2/9, 61s left");
    }
}
