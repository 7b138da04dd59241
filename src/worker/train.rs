//! A job that trains, from its first step or its last checkpoint to its artifacts.

use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use tracing::info;

use super::checkpoint::Kept;
use super::checkpoint::{self, State};
use super::error::RunError;
use super::faults::{Faults, Point};
use super::heartbeat;
use super::result::Ended;
use super::samples;
use super::{sheets, tensorboard};
use crate::disk;
use crate::model::layout::Variant;
use crate::model::network::Network;
use crate::model::tensors::Weights;
use crate::model::unfold;
use crate::protocol::control::Command;
use crate::protocol::events::{Body, Finished, Outcome, Samples, Started, Step};
use crate::protocol::folder::JobDir;
use crate::protocol::job_spec::JobSpec;
use crate::protocol::log::EventLog;
use crate::protocol::metrics::MetricsRow;
use crate::protocol::train_spec::{Init, TrainSpec};
use crate::time::now;
use crate::train::device;
use crate::train::trainer::{Progress, Trainer};
use crate::train::validation::{Validation, validate};
use crate::train::views::batch::Place;
use crate::train::views::pictures::Pictures;
use crate::train::{TrainError, init};
use crate::weights::tflite::mediapipe;

/// A job under way.
struct Job<'a> {
    dir: &'a JobDir,
    events: &'a mut EventLog,
    spec: &'a JobSpec,
    pictures: &'a Pictures,
    untouched: &'a Weights,
    trainer: Trainer<'a>,
    kept: Kept,
    state: State,
    baseline: Validation,
    faults: Faults,
    /// When this worker began, and the epochs that were done by then, for the time that is left.
    began: (Instant, f64),
    saved: Instant,
}

/// What becomes of an epoch.
enum Epoch {
    /// It was done to its end.
    Whole(Progress),
    /// It was left in the middle, where a checkpoint was saved unless the job is cancelled.
    Left(Outcome, Progress),
}

/// Does the job in `dir`, from where it was left.
///
/// # Errors
///
/// [`RunError`].
pub fn run(dir: &JobDir, spec: &JobSpec, events: &mut EventLog) -> Result<Finished, RunError> {
    let device = device::choose(spec.params.device)?;
    let mut pictures =
        Pictures::open(&spec.dataset_dir).map_err(|error| RunError::Data(error.into()))?;
    if pictures.train.is_empty() {
        return Err(TrainError::NoPictures.into());
    }
    let weights = first_weights(spec)?;
    pictures.keep_on(device, weights.layout().input_size);
    let untouched = untouched(&weights);
    let place = Place::new(&spec.params, device, weights.layout());
    let mut trainer = Trainer::new(&spec.params, &pictures, &weights, untouched, place);
    let first = || Network::folded(&weights, device);
    let mut kept = Kept { best: first(), last: first() };
    let state = checkpoint::restore(dir, &mut trainer, &mut kept)?.unwrap_or_default();
    let started = Started {
        device: device::name(device),
        resumed_at_epoch: state.epoch,
        resumed_at_step: state.within.step,
        epochs: spec.params.epochs,
        steps: trainer.steps_per_epoch(),
    };
    info!(
        "training on {} with {} pictures, {} for validation, from epoch {} and step {}",
        started.device,
        pictures.train.len(),
        pictures.val.len(),
        state.epoch,
        state.within.step
    );
    events.append(Body::Started(started))?;
    let network = Network::folded(untouched, device);
    let baseline = validate(&network, &pictures, &spec.params.loss, None, &heartbeat::beat);
    let now = Instant::now();
    let began = (now, epochs_done(&state, &trainer));
    let (pictures, faults) = (&pictures, Faults::of(dir));
    let mut job = Job {
        dir,
        events,
        spec,
        pictures,
        untouched,
        trainer,
        kept,
        state,
        baseline,
        faults,
        began,
        saved: now,
    };
    job.catch_up()?;
    let outcome = job.epochs()?;
    job.finish(outcome)
}

fn epochs_done(state: &State, trainer: &Trainer<'_>) -> f64 {
    f64::from(state.epoch) + f64::from(state.within.step) / f64::from(trainer.steps_per_epoch())
}

impl Job<'_> {
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
        std::fs::create_dir_all(self.dir.checkpoints())?;
        for folder in [&folder, &self.dir.checkpoints()] {
            disk::remove_leftovers(folder)?;
        }
        tensorboard::rewrite(&folder, &self.state.rows)?;
        let written = sheets::written(&folder, &self.state.rows)?;
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

    fn epochs(&mut self) -> Result<Outcome, RunError> {
        if let Err(outcome) = heed(self.dir.wanted()) {
            return self.leave(outcome);
        }
        while self.state.epoch < self.spec.params.epochs {
            let (began, before) = (Instant::now(), self.trainer.within.counts.seconds);
            let seconds = || before + began.elapsed().as_secs_f64();
            match self.train()? {
                Epoch::Whole(progress) => self.measure(&progress, &seconds, true)?,
                Epoch::Left(Outcome::Stopped, progress) => {
                    // What was learnt since the last epoch counts too.
                    self.measure(&progress, &seconds, false)?;
                    return Ok(Outcome::Stopped);
                }
                Epoch::Left(outcome, _) => return Ok(outcome),
            }
            if let Err(outcome) = heed(self.dir.wanted()) {
                return Ok(outcome);
            }
            if self.no_longer_improves() {
                return Ok(Outcome::EarlyStopped);
            }
        }
        Ok(Outcome::Completed)
    }

    /// A job that was told to stop or hold while no worker was there learns no more.
    fn leave(&mut self, outcome: Outcome) -> Result<Outcome, RunError> {
        if outcome == Outcome::Stopped && self.trainer.within.counts.step > 0 {
            let progress = self.trainer.progress(self.state.epoch + 1);
            let seconds = self.trainer.within.counts.seconds;
            self.measure(&progress, &|| seconds, false)?;
        }
        Ok(outcome)
    }

    /// The rest of an epoch, unless told to do something else. Saves checkpoints on the way.
    fn train(&mut self) -> Result<Epoch, RunError> {
        loop {
            let until = self.next_break();
            let every = Duration::from_secs(self.spec.checkpoints.seconds);
            let (epoch, steps) = (self.state.epoch + 1, self.trainer.steps_per_epoch());
            let (mut wanted, mut failure) = (Ok(()), None);
            let mut reporter = Reporter {
                events: &mut *self.events,
                epoch,
                epochs: self.spec.params.epochs,
                steps,
                began: self.began,
            };
            let (dir, saved) = (self.dir, self.saved);
            let progress = self.trainer.epoch(epoch, until, &mut |progress| {
                failure = reporter.report(&progress).err();
                wanted = heed(dir.wanted());
                if failure.is_some() || wanted.is_err() || saved.elapsed() >= every {
                    return ControlFlow::Break(());
                }
                ControlFlow::Continue(())
            })?;
            if let Some(error) = failure {
                return Err(error.into());
            }
            self.faults.meet(Point::Step, self.trainer.optimizer.steps)?;
            match (progress, wanted) {
                (ControlFlow::Continue(progress), _) => return Ok(Epoch::Whole(progress)),
                (ControlFlow::Break(progress), Err(Outcome::Cancelled)) => {
                    return Ok(Epoch::Left(Outcome::Cancelled, progress));
                }
                (ControlFlow::Break(progress), Err(outcome)) => {
                    self.save()?;
                    return Ok(Epoch::Left(outcome, progress));
                }
                (ControlFlow::Break(_), Ok(())) => {
                    if self.is_due() {
                        self.save()?;
                    }
                }
            }
        }
    }

    /// The step of the epoch before which there may be something to do.
    fn next_break(&self) -> u32 {
        let done = self.trainer.within.counts.step;
        let every = self.spec.checkpoints.steps;
        let checkpoint = done.checked_div(every).map_or(u32::MAX, |saved| (saved + 1) * every);
        let steps = self.trainer.optimizer.steps;
        let fault = self.faults.next_step(steps).map(|step| done + (step - steps) as u32);
        checkpoint.min(fault.unwrap_or(u32::MAX))
    }

    fn is_due(&self) -> bool {
        let every = self.spec.checkpoints;
        let by_steps =
            every.steps > 0 && self.trainer.within.counts.step.is_multiple_of(every.steps);
        by_steps || self.saved.elapsed() >= Duration::from_secs(every.seconds)
    }

    /// Saves a checkpoint; within an epoch, with the views that it began with.
    fn save(&mut self) -> Result<(), RunError> {
        if self.trainer.within.counts.step > 0 {
            let epoch = self.state.epoch + 1;
            sheets::save_views(&self.dir.artifacts(), epoch, &mut self.trainer.watch)?;
        }
        checkpoint::save(self.dir, &mut self.trainer, &mut self.kept, &mut self.state)?;
        self.saved = Instant::now();
        Ok(self.faults.meet(Point::Saved, self.state.steps)?)
    }

    /// Validates, saves, then reports, in this order: what is reported is on disk.
    ///
    /// An epoch that was left is measured for the result only: the checkpoint is of its middle, so that it
    /// can still be done to its end, and knows nothing of the row.
    fn measure(
        &mut self,
        progress: &Progress,
        seconds: &dyn Fn() -> f64,
        is_whole: bool,
    ) -> Result<(), RunError> {
        let epoch = self.state.epoch + 1;
        let folded = unfold::fold(&self.trainer.average);
        let loss = &self.spec.params.loss;
        let validation = validate(
            &folded,
            self.pictures,
            loss,
            Some(&self.baseline.detections),
            &heartbeat::beat,
        );
        folded.weights()?; // Fails when they are not finite.
        let monitor = self.spec.params.monitor;
        let trained = self.state.rows.iter().filter(|row| row.epoch > 0);
        let is_best = trained
            .map(|row| row.val.monitored(monitor))
            .all(|before| before < validation.metrics.monitored(monitor));
        let artifacts = self.dir.artifacts();
        let mut diagnostics = self.trainer.watch.diagnostics(progress.step);
        diagnostics.sample_views = sheets::save_views(&artifacts, epoch, &mut self.trainer.watch)?;
        let row = MetricsRow {
            epoch,
            step: self.trainer.optimizer.steps,
            time: now(),
            lr: progress.lr,
            images_per_s: progress.images_per_s,
            seconds: seconds(),
            is_best,
            train: Some(progress.train),
            diagnostics: Some(diagnostics),
            val: validation.metrics,
        };
        self.state.rows.push(row.clone());
        if is_best {
            self.kept.best.parameters = folded.parameters.copy();
        }
        self.kept.last.parameters = folded.parameters.copy();
        if is_whole {
            self.state.epoch = epoch;
            self.trainer.rest();
            self.save()?;
        }
        info!(
            "epoch {epoch}: loss {:.3}, ap50 {:.3}, ap50_ge6 {:.3}{}",
            progress.train.loss,
            row.val.ap50.unwrap_or_default(),
            row.val.ap50_ge6.unwrap_or_default(),
            if is_best { ", the best so far" } else { "" }
        );
        self.faults.meet(Point::Row, u64::from(epoch))?;
        self.report(row, &validation)
    }

    fn report(&mut self, row: MetricsRow, validation: &Validation) -> Result<(), RunError> {
        if self.events.has_epoch(row.epoch) {
            return Ok(()); // By a worker that could not save it, or one whose checkpoint was damaged.
        }
        let (epoch, artifacts) = (row.epoch, self.dir.artifacts());
        // Before the row, so that a client that sees it finds what it names.
        tensorboard::append(&artifacts, &row)?;
        let written = sheets::written(&artifacts, std::slice::from_ref(&row))?;
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

    fn finish(mut self, outcome: Outcome) -> Result<Finished, RunError> {
        match outcome {
            Outcome::Completed | Outcome::EarlyStopped | Outcome::Stopped => {
                let ended = Ended {
                    dir: self.dir,
                    spec: self.spec,
                    pictures: self.pictures,
                    rows: &self.state.rows,
                    best: self.kept.best.weights()?,
                    last: self.kept.last.weights()?,
                    untouched: self.untouched,
                    baseline: &self.baseline,
                    device: self.trainer.network.device(),
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

/// Tells of progress within an epoch.
struct Reporter<'a> {
    events: &'a mut EventLog,
    epoch: u32,
    epochs: u32,
    steps: u32,
    began: (Instant, f64),
}

impl Reporter<'_> {
    fn report(&mut self, progress: &Progress) -> std::io::Result<()> {
        let Self { epoch, epochs, steps, began: (began, before), .. } = *self;
        let all = f64::from(epoch - 1) + f64::from(progress.step) / f64::from(steps);
        let step = Step {
            epoch,
            epochs,
            step: progress.step,
            steps,
            lr: progress.lr,
            images_per_s: progress.images_per_s,
            eta_s: began.elapsed().as_secs_f64() / (all - before) * (f64::from(epochs) - all),
            train: progress.train,
        };
        self.events.append(Body::Step(step))
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

fn first_weights(spec: &JobSpec) -> Result<Weights, RunError> {
    let TrainSpec { init, seed, .. } = &spec.params;
    match init {
        Init::Mediapipe => Ok(mediapipe().clone()),
        Init::Scratch => Ok(init::scratch(*seed)),
        Init::Model(_) => {
            let path = spec.init_file.as_deref().unwrap_or(std::path::Path::new(""));
            let bytes = std::fs::read(path).map_err(|error| RunError::Init(error.into()))?;
            let weights = crate::weights::load(&bytes);
            weights.map_err(|error| RunError::Init(error.into()))
        }
    }
}

/// What a network that begins with `first` is held to, measured against and mixed with: `MediaPipe`'s own weights.
/// For the back camera's network there are none of Google's to have, so those that it begins with.
fn untouched(first: &Weights) -> &Weights {
    match first.layout().variant {
        Variant::Short => mediapipe(),
        Variant::Back => first,
    }
}
