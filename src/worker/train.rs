//! A training job, from its first step or last checkpoint to its artifacts.

use std::path::Path;
use std::time::{Duration, Instant};

use tracing::info;

use super::checkpoint::{self, Kept, TrainingState};
use super::error::RunError;
use super::faults::{Faults, Point};
use super::heartbeat;
use super::result::Ended;
use super::sheets;
use crate::model::device::Device;
use crate::model::layout::Variant;
use crate::model::runner::Runner;
use crate::model::tensors::Weights;
use crate::protocol::control::Command;
use crate::protocol::events::{Body, Finished, Outcome, Started, Step};
use crate::protocol::folder::JobDir;
use crate::protocol::job_spec::JobSpec;
use crate::protocol::log::EventLog;
use crate::protocol::train_spec::{Init, TrainSpec};
use crate::train::trainer::{EpochReport, Trainer};
use crate::train::validation::{Validation, validate};
use crate::train::views::pictures::Pictures;
use crate::train::{TrainError, device, init};
use crate::weights::tflite::mediapipe;

/// How often an epoch reports progress, looks for commands and checks that the loss is still finite.
const REPORT_EVERY: Duration = Duration::from_millis(500);

/// A running training job.
pub(super) struct TrainingJob<'a> {
    pub(super) dir: &'a JobDir,
    pub(super) events: &'a mut EventLog,
    pub(super) spec: &'a JobSpec,
    pub(super) pictures: &'a Pictures,
    pub(super) base: &'a Weights,
    pub(super) device: Device,
    pub(super) trainer: Trainer<'a>,
    pub(super) kept: Kept,
    pub(super) state: TrainingState,
    /// The base model's validation.
    pub(super) baseline: Validation,
    pub(super) faults: Faults,
    /// When this worker began, and the number of epochs done by then. Used to estimate the time left.
    began: (Instant, f64),
    /// When this worker began the epoch, and the seconds that earlier workers spent on it.
    epoch_began: (Instant, f64),
    reported: Instant,
    saved: Instant,
}

/// Runs the job in `dir`, from its last checkpoint if it has one.
///
/// # Errors
///
/// [`RunError`] if the job fails.
pub fn run(dir: &JobDir, spec: &JobSpec, events: &mut EventLog) -> Result<Finished, RunError> {
    let device = device::choose(spec.params.device)?;
    let pictures = open(&spec.dataset_dir)?;
    if pictures.train.is_empty() {
        return Err(TrainError::NoPictures.into());
    }
    let weights = first_weights(spec)?;
    let base = base(&weights);
    let mut trainer = Trainer::new(&spec.params, &pictures, &weights, base, device)?;
    let mut kept = Kept { best: weights.clone(), last: weights.clone() };
    let state = checkpoint::restore(dir, spec, &mut trainer, &mut kept)?.unwrap_or_default();
    trainer.divide_batches(spec.batch_divisor);
    events.append(Body::Started(started(&spec.params, device, &trainer, &state)))?;
    let runner = Runner::new(base, device)?;
    let baseline = validate(&runner, &pictures, &spec.params.loss, None, &heartbeat::beat);
    let now = Instant::now();
    let mut job = TrainingJob {
        dir,
        events,
        spec,
        pictures: &pictures,
        base,
        device,
        began: (now, epochs_done(&state, &trainer)),
        epoch_began: (now, 0.0),
        reported: now,
        saved: now,
        faults: Faults::of(dir),
        trainer,
        kept,
        state,
        baseline,
    };
    job.catch_up()?;
    let outcome = job.epochs()?;
    job.finish(outcome)
}

impl TrainingJob<'_> {
    fn epochs(&mut self) -> Result<Outcome, RunError> {
        if let Some(outcome) = ending(self.dir.wanted()) {
            return self.not_begin(outcome);
        }
        for epoch in self.state.epoch + 1..=self.spec.params.epochs {
            self.epoch_began = (Instant::now(), self.trainer.progress().seconds);
            let mut pass = self.trainer.begin(epoch);
            while pass.step(&mut self.trainer) {
                let looks = pass.is_over() || self.is_time_to_look();
                if looks {
                    self.report(epoch)?;
                }
                self.faults.meet(Point::Step, self.trainer.steps())?;
                if pass.is_over() {
                    break;
                }
                if looks && let Some(outcome) = ending(self.dir.wanted()) {
                    return self.leave(epoch, outcome);
                }
                if self.is_checkpoint_due() {
                    self.save()?;
                }
            }
            self.record(epoch, true)?;
            if let Some(outcome) = ending(self.dir.wanted()) {
                return Ok(outcome);
            }
            if self.no_longer_improves() {
                return Ok(Outcome::EarlyStopped);
            }
        }
        Ok(Outcome::Completed)
    }

    /// Ends a job that was told to stop, pause or cancel before this worker took its first step.
    fn not_begin(&mut self, outcome: Outcome) -> Result<Outcome, RunError> {
        let progress = self.trainer.progress();
        if outcome == Outcome::Stopped && progress.step > 0 {
            self.epoch_began = (Instant::now(), progress.seconds);
            self.record(self.state.epoch + 1, false)?;
        }
        Ok(outcome)
    }

    /// Leaves an unfinished epoch. If the job was told to stop, the unfinished epoch counts towards its result.
    fn leave(&mut self, epoch: u32, outcome: Outcome) -> Result<Outcome, RunError> {
        if outcome != Outcome::Cancelled {
            self.save()?;
        }
        if outcome == Outcome::Stopped {
            self.record(epoch, false)?;
        }
        Ok(outcome)
    }

    fn is_time_to_look(&self) -> bool {
        self.reported.elapsed() >= REPORT_EVERY
            || self.is_checkpoint_due()
            || self.faults.has_step(self.trainer.steps())
    }

    fn is_checkpoint_due(&self) -> bool {
        let every = self.spec.checkpoints;
        let step = self.trainer.progress().step;
        let by_steps = every.steps > 0 && step.is_multiple_of(every.steps);
        by_steps || self.saved.elapsed() >= Duration::from_secs(every.seconds)
    }

    /// Reports progress within an epoch. Fails if training has diverged.
    fn report(&mut self, epoch: u32) -> Result<(), RunError> {
        self.reported = Instant::now();
        let EpochReport { step, lr, images_per_s, train } = self.trainer.report(epoch)?;
        let (epochs, steps) = (self.spec.params.epochs, self.trainer.steps_per_epoch());
        let (began, before) = self.began;
        let done = f64::from(epoch - 1) + f64::from(step) / f64::from(steps);
        let eta_s = began.elapsed().as_secs_f64() / (done - before) * (f64::from(epochs) - done);
        let step = Step { epoch, epochs, step, steps, lr, images_per_s, eta_s, train };
        Ok(self.events.append(Body::Step(step))?)
    }

    /// Returns the seconds that all workers together have spent on the epoch.
    pub(super) fn epoch_seconds(&self) -> f64 {
        let (began, before) = self.epoch_began;
        before + began.elapsed().as_secs_f64()
    }

    /// Saves a checkpoint and, within an epoch, the epoch's sample views.
    pub(super) fn save(&mut self) -> Result<(), RunError> {
        if self.trainer.progress().step > 0 {
            let epoch = self.state.epoch + 1;
            sheets::save_views(&self.dir.artifacts(), epoch, &mut self.trainer)?;
        }
        checkpoint::save(self.dir, &self.trainer, &self.kept, &mut self.state)?;
        self.saved = Instant::now();
        Ok(self.faults.meet(Point::Saved, self.state.steps)?)
    }

    /// Whether training should stop early. An extended job starts with its full patience, because the finished job may
    /// have used it up.
    fn no_longer_improves(&self) -> bool {
        let patience = self.spec.params.early_stopping_patience;
        let best = self.state.rows.iter().rev().find(|row| row.is_best).map_or(0, |row| row.epoch);
        let waited = self.state.epoch - best.max(self.events.done_before());
        patience > 0 && waited >= patience
    }

    fn finish(mut self, outcome: Outcome) -> Result<Finished, RunError> {
        match outcome {
            Outcome::Completed | Outcome::EarlyStopped | Outcome::Stopped => {
                let ended = Ended {
                    dir: self.dir,
                    spec: self.spec,
                    pictures: self.pictures,
                    rows: &self.state.rows,
                    best: self.kept.best,
                    last: self.kept.last,
                    base: self.base,
                    baseline: &self.baseline,
                    device: self.device,
                };
                let finished = ended.finish(outcome)?;
                self.faults.meet(Point::End, 0)?;
                Ok(finished)
            }
            Outcome::Paused | Outcome::Cancelled | Outcome::Failed => {
                Ok(Finished::without_result(outcome))
            }
        }
    }
}

fn started(
    spec: &TrainSpec,
    device: Device,
    trainer: &Trainer<'_>,
    state: &TrainingState,
) -> Started {
    let (resumed_at_epoch, resumed_at_step) = (state.epoch, state.progress.step);
    let pictures = trainer.pictures();
    info!(
        "training on {device} with {pictures} pictures, after {resumed_at_epoch} epochs and {resumed_at_step} steps"
    );
    Started {
        device: device.to_string(),
        resumed_at_epoch,
        resumed_at_step,
        epochs: spec.epochs,
        steps: trainer.steps_per_epoch(),
        views_per_step: Some(trainer.views_per_step() as u32),
    }
}

fn epochs_done(state: &TrainingState, trainer: &Trainer<'_>) -> f64 {
    f64::from(state.epoch) + f64::from(state.progress.step) / f64::from(trainer.steps_per_epoch())
}

/// Returns the outcome that a command leads to; `None` if the job keeps running.
fn ending(command: Command) -> Option<Outcome> {
    match command {
        Command::Run => None,
        Command::Pause => Some(Outcome::Paused),
        Command::Stop => Some(Outcome::Stopped),
        Command::Cancel => Some(Outcome::Cancelled),
    }
}

fn open(dataset: &Path) -> Result<Pictures, RunError> {
    Pictures::open(dataset).map_err(|error| RunError::Data(error.into()))
}

fn first_weights(spec: &JobSpec) -> Result<Weights, RunError> {
    let TrainSpec { init, seed, .. } = &spec.params;
    match init {
        Init::Mediapipe => Ok(mediapipe().clone()),
        Init::Scratch => Ok(init::scratch(*seed)),
        Init::Model(_) => {
            let path = spec.init_file.as_deref().unwrap_or(Path::new(""));
            let bytes = std::fs::read(path).map_err(|error| RunError::Init(error.into()))?;
            let weights = crate::weights::load(&bytes);
            weights.map_err(|error| RunError::Init(error.into()))
        }
    }
}

/// Returns the base model of a job that starts from `first`: `MediaPipe`'s weights, or `first` itself for the back
/// camera's network, because Google publishes no weights for that network.
fn base(first: &Weights) -> &Weights {
    match first.layout().variant {
        Variant::Short => mediapipe(),
        Variant::Back => first,
    }
}
