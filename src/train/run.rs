//! A job to its artifacts: one that trains, from its first step or its last checkpoint.

use std::ops::ControlFlow;
use std::time::Instant;

use tracing::{info, warn};

use super::artifacts;
use super::checkpoint::{CheckpointError, State};
use super::device::{self, DeviceError};
use super::diagnostics::{files, tensorboard};
use super::evaluation;
use super::evaluation::job::EvaluationError;
use super::events::{
    Body, Command, Finished, JobSpec, MetricsRow, Outcome, Samples, Started, Step, Work,
};
use super::job_dir::{EventLog, JobDir, JobDirError, now};
use super::pictures::Pictures;
use super::result::Ended;
use super::samples;
use super::spec::{Init, TrainSpec};
use super::trainer::{Progress, Trainer};
use super::validation::{Validation, validate};
use super::{TrainError, init};
use crate::model::network::Network;
use crate::model::tensors::{LayoutError, Weights};
use crate::model::unfold;

/// A job cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Training itself failed.
    #[error(transparent)]
    Train(#[from] TrainError),
    /// There is nothing to measure, or nothing to measure on.
    #[error(transparent)]
    Evaluation(#[from] EvaluationError),
    /// No such device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// The data set cannot be read.
    #[error("the data set cannot be read; import it again")]
    Data(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The weights to start from cannot be used.
    #[error("the weights to start from cannot be used")]
    Init(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The weights hold NaN or infinity.
    #[error("the weights are no longer finite numbers; try a lower learning rate")]
    NotFinite(#[from] LayoutError),
    /// The job's folder cannot be used.
    #[error(transparent)]
    Folder(#[from] JobDirError),
    /// A checkpoint cannot be written or read.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
    /// A file of the job cannot be written.
    #[error("cannot write to the job's folder; is the disk full?")]
    Disk(#[from] std::io::Error),
    /// The system gives no threads.
    #[error("cannot start the job's threads: {0}")]
    Threads(String),
    /// The result cannot be written in one of its formats.
    #[error("cannot export the result")]
    Export(#[source] Box<dyn std::error::Error + Send + Sync>),
}

impl RunError {
    /// Whether another try from the last checkpoint could end differently.
    pub fn retry(&self) -> bool {
        matches!(self, Self::Disk(_) | Self::Folder(_) | Self::Checkpoint(CheckpointError::Io(..)))
    }
}

/// Does the job in `dir` and reports how it ended, failures included.
///
/// # Errors
///
/// Only when not even that can be reported.
pub fn run(dir: &JobDir) -> Result<Outcome, JobDirError> {
    let mut events = dir.events()?;
    let finished = match work(dir, &mut events) {
        Ok(finished) => finished,
        Err(error) => {
            let text = chain(&error);
            warn!("the job failed: {text}");
            Finished::without_result(Outcome::Failed, Some(text), error.retry())
        }
    };
    let outcome = finished.outcome;
    info!("the job ended: {outcome:?}");
    if let Err(error) = events.append(Body::Finished(finished)) {
        warn!("cannot report the end: {error}"); // The server sees the exit without an end.
    }
    Ok(outcome)
}

fn work(dir: &JobDir, events: &mut EventLog) -> Result<Finished, RunError> {
    match dir.work()? {
        Work::Train(spec) => on_threads(spec.threads, || Job::run(dir, &spec, events)),
        Work::Evaluate(spec) => {
            on_threads(spec.threads, || evaluation::job::run(dir, &spec, events))
        }
    }
}

/// Works on this many threads, or on one a core. The work itself is on one of them, so that none is woken for what
/// the one at hand can do.
fn on_threads<T: Send>(
    threads: Option<usize>,
    work: impl FnOnce() -> Result<T, RunError> + Send,
) -> Result<T, RunError> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads.unwrap_or(0)).build();
    let pool = pool.map_err(|error| RunError::Threads(error.to_string()))?;
    pool.install(|| {
        if let Some(threads) = threads {
            tch::set_num_threads(threads as i32);
        }
        work()
    })
}

/// An error with its causes, in one line.
pub fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    let texts: Vec<String> = causes.map(ToString::to_string).collect();
    texts.join(": ")
}

/// A job under way.
struct Job<'a> {
    dir: &'a JobDir,
    events: &'a mut EventLog,
    spec: &'a JobSpec,
    pictures: &'a Pictures,
    trainer: Trainer<'a>,
    state: State,
    baseline: Validation,
    /// When this worker began, and the epochs it has done since, for the time that is left.
    began: Instant,
    epochs_here: u32,
}

/// Why the epochs ended.
enum End {
    Outcome(Outcome),
}

impl Job<'_> {
    fn run(dir: &JobDir, spec: &JobSpec, events: &mut EventLog) -> Result<Finished, RunError> {
        let device = device::choose(spec.params.device)?;
        let mut pictures =
            Pictures::open(&spec.dataset_dir).map_err(|error| RunError::Data(error.into()))?;
        if pictures.train.is_empty() {
            return Err(TrainError::NoPictures.into());
        }
        pictures.keep_on(device);
        let untouched = crate::weights::tflite::mediapipe();
        let weights = first_weights(spec, untouched)?;
        let mut trainer = Trainer::new(&spec.params, &pictures, &weights, untouched, device);
        let restored = trainer.restore(&dir.last_checkpoint())?;
        let state = restored.unwrap_or_default();
        let started = Started {
            device: device::name(device),
            resumed_at_epoch: state.epoch,
            epochs: spec.params.epochs,
            steps: trainer.steps_per_epoch(),
        };
        info!(
            "training on {} with {} pictures, {} for validation, from epoch {}",
            started.device,
            pictures.train.len(),
            pictures.val.len(),
            state.epoch
        );
        events.append(Body::Started(started))?;
        let network = Network::folded(untouched, device);
        let baseline = validate(&network, &pictures, &spec.params.loss, None);
        let began = Instant::now();
        let pictures = &pictures;
        let mut job =
            Job { dir, events, spec, pictures, trainer, state, baseline, began, epochs_here: 0 };
        job.catch_up()?;
        let End::Outcome(outcome) = job.epochs()?;
        job.finish(outcome, &weights)
    }

    /// Reports what a crash kept from being reported, and the baseline at first.
    fn catch_up(&mut self) -> Result<(), RunError> {
        if self.state.rows.is_empty() {
            let row = MetricsRow {
                epoch: 0,
                step: 0,
                time: now(),
                lr: 0.0,
                images_per_s: 0.0,
                seconds: 0.0,
                is_best: false,
                train: None,
                diagnostics: None,
                val: self.baseline.metrics,
            };
            self.state.rows.push(row);
        }
        let folder = self.dir.artifacts();
        std::fs::create_dir_all(&folder)?;
        tensorboard::rewrite(&folder, &self.state.rows)?;
        let written = files::written(&folder, &self.state.rows)?;
        self.events.append(Body::Artifacts(written))?;
        for row in self.state.rows.clone() {
            if !self.events.has_epoch(row.epoch) {
                self.events.append(Body::Epoch(Box::new(row)))?;
            }
        }
        if self.state.epoch == 0 {
            let pictures = samples::pictures(
                self.pictures,
                &self.baseline.detections,
                &self.baseline.detections,
            );
            self.events.append(Body::Sample(Samples { epoch: 0, pictures }))?;
        }
        Ok(())
    }

    fn epochs(&mut self) -> Result<End, RunError> {
        while self.state.epoch < self.spec.params.epochs {
            let epoch = self.state.epoch + 1;
            let began = Instant::now();
            let progress = match self.train(epoch)? {
                Ok(progress) => progress,
                Err(outcome) => return Ok(End::Outcome(outcome)),
            };
            self.measure(epoch, &progress, began)?;
            if let Err(outcome) = heed(self.dir.wanted()) {
                return Ok(End::Outcome(outcome));
            }
            if self.no_longer_improves() {
                return Ok(End::Outcome(Outcome::EarlyStopped));
            }
        }
        Ok(End::Outcome(Outcome::Completed))
    }

    /// One epoch, unless told to do something else.
    fn train(&mut self, epoch: u32) -> Result<Result<Progress, Outcome>, RunError> {
        let (epochs, steps) = (self.spec.params.epochs, self.trainer.steps_per_epoch());
        let (done_here, began) = (f64::from(self.epochs_here), self.began);
        let (events, dir) = (&mut *self.events, self.dir);
        let mut outcome = Outcome::Stopped;
        let mut failure = None;
        let ended = self.trainer.epoch(epoch, &mut |progress: Progress| {
            let done = done_here + f64::from(progress.step) / f64::from(steps);
            let left = f64::from(epochs - epoch + 1) - f64::from(progress.step) / f64::from(steps);
            let step = Step {
                epoch,
                epochs,
                step: progress.step,
                steps,
                lr: progress.lr,
                images_per_s: progress.images_per_s,
                eta_s: began.elapsed().as_secs_f64() / done * left,
                train: progress.train,
            };
            if let Err(error) = events.append(Body::Step(step)) {
                failure = Some(error);
                return ControlFlow::Break(());
            }
            match heed(dir.wanted()) {
                Ok(()) => ControlFlow::Continue(()),
                Err(wanted) => {
                    outcome = wanted;
                    ControlFlow::Break(())
                }
            }
        })?;
        match (ended, failure) {
            (_, Some(error)) => Err(error.into()),
            (ControlFlow::Break(()), None) => Ok(Err(outcome)),
            (ControlFlow::Continue(progress), None) => Ok(Ok(progress)),
        }
    }

    /// Validates, saves, then reports, in this order: what is reported is on disk.
    fn measure(&mut self, epoch: u32, progress: &Progress, began: Instant) -> Result<(), RunError> {
        let folded = unfold::fold(&self.trainer.average);
        let loss = &self.spec.params.loss;
        let validation = validate(&folded, self.pictures, loss, Some(&self.baseline.detections));
        let weights = folded.weights()?;
        let monitor = self.spec.params.monitor;
        let trained = self.state.rows.iter().filter(|row| row.epoch > 0);
        let is_best = trained
            .map(|row| row.val.monitored(monitor))
            .all(|before| before < validation.metrics.monitored(monitor));
        let artifacts = self.dir.artifacts();
        let mut diagnostics = self.trainer.watch.diagnostics(progress.step);
        diagnostics.sample_views = files::save_views(&artifacts, epoch, &self.trainer.watch)?;
        let row = MetricsRow {
            epoch,
            step: self.trainer.optimizer.steps,
            time: now(),
            lr: progress.lr,
            images_per_s: progress.images_per_s,
            seconds: began.elapsed().as_secs_f64(),
            is_best,
            train: Some(progress.train),
            diagnostics: Some(diagnostics),
            val: validation.metrics,
        };
        self.state.rows.push(row.clone());
        self.state.epoch = epoch;
        self.state.steps = self.trainer.optimizer.steps;
        self.epochs_here += 1;
        let folder = self.dir.checkpoints();
        if is_best {
            artifacts::save_weights(&folder.join("best-weights.safetensors"), &weights)?;
        }
        artifacts::save_weights(&folder.join("last-weights.safetensors"), &weights)?;
        self.trainer.save(&self.dir.last_checkpoint(), &self.state)?;
        info!(
            "epoch {epoch}: loss {:.3}, ap50 {:.3}, ap50_ge6 {:.3}{}",
            progress.train.loss,
            row.val.ap50.unwrap_or_default(),
            row.val.ap50_ge6.unwrap_or_default(),
            if is_best { ", the best so far" } else { "" }
        );
        // Before the row, so that a client that sees it finds what it names.
        tensorboard::append(&artifacts, &row)?;
        let written = files::written(&artifacts, std::slice::from_ref(&row))?;
        self.events.append(Body::Artifacts(written))?;
        self.events.append(Body::Epoch(Box::new(row)))?;
        let pictures =
            samples::pictures(self.pictures, &self.baseline.detections, &validation.detections);
        self.events.append(Body::Sample(Samples { epoch, pictures }))?;
        Ok(())
    }

    /// An extended job has its patience anew: what it goes on from may have used it up.
    fn no_longer_improves(&self) -> bool {
        let patience = self.spec.params.early_stopping_patience;
        let best = self.state.rows.iter().rev().find(|row| row.is_best).map_or(0, |row| row.epoch);
        let waited = self.state.epoch - best.max(self.events.done_before());
        patience > 0 && waited >= patience
    }

    fn finish(self, outcome: Outcome, first: &Weights) -> Result<Finished, RunError> {
        match outcome {
            Outcome::Completed | Outcome::EarlyStopped | Outcome::Stopped => {
                let ended = Ended {
                    dir: self.dir,
                    spec: self.spec,
                    pictures: self.pictures,
                    rows: &self.state.rows,
                    first,
                    baseline: &self.baseline,
                    device: self.trainer.network.device(),
                };
                ended.finish(outcome)
            }
            Outcome::Paused | Outcome::Cancelled | Outcome::Failed => {
                Ok(Finished::without_result(outcome, None, false))
            }
        }
    }
}

fn heed(command: Command) -> Result<(), Outcome> {
    match command {
        Command::Run => Ok(()),
        Command::Pause => Err(Outcome::Paused),
        Command::Stop => Err(Outcome::Stopped),
        Command::Cancel => Err(Outcome::Cancelled),
    }
}

fn first_weights(spec: &JobSpec, untouched: &Weights) -> Result<Weights, RunError> {
    let TrainSpec { init, seed, .. } = &spec.params;
    match init {
        Init::Mediapipe => Ok(untouched.clone()),
        Init::Scratch => Ok(init::scratch(*seed)),
        Init::Model(_) => {
            let path = spec.init_file.as_deref().unwrap_or(std::path::Path::new(""));
            let bytes = std::fs::read(path).map_err(|error| RunError::Init(error.into()))?;
            crate::weights::load(&bytes).map_err(|error| RunError::Init(error.into()))
        }
    }
}
