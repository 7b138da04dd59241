//! What differs between the kinds of jobs. Everything else treats all jobs alike.

mod evaluate;
mod mix;
mod train;

use anyhow::Context;
use serde_json::Value;

use super::Jobs;
use super::lifecycle::Verb;
use super::submit_error::SubmitError;
use crate::model::device::NeedsTorch;
use crate::model::layout::Variant;
use crate::protocol::evaluate_spec::EvaluateParams;
use crate::protocol::job_spec::Work;
use crate::protocol::mix_spec::MixParams;
use crate::protocol::train_spec::{DeviceChoice, TrainSpec};
use crate::store;
use crate::store::datasets::Dataset;
use crate::store::ids::ModelId;
use crate::store::job_kind::JobKind;
use crate::store::jobs::Job;
use crate::store::models::Model;

/// What a job does, with the user's parameters, which were checked.
#[derive(Debug, Clone)]
pub enum Task {
    /// Fine-tunes a model.
    Train(Box<TrainSpec>),
    /// Measures models.
    Evaluate(EvaluateParams),
    /// Mixes a model with the base model.
    Mix(MixParams),
}

/// The model that a completed job leaves.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product {
    /// The model it was mixed from, if it was.
    pub(super) parent: Option<ModelId>,
}

impl Task {
    /// What a queued job does.
    pub(super) fn of(job: &Job) -> anyhow::Result<Self> {
        let params = job.params.0.clone();
        let task = match job.kind {
            JobKind::Train => serde_json::from_value(params).map(Self::Train),
            JobKind::Evaluate => serde_json::from_value(params).map(Self::Evaluate),
            JobKind::Mix => serde_json::from_value(params).map(Self::Mix),
        };
        task.context("the job's parameters are of another version of Blazetune")
    }

    pub(super) fn kind(&self) -> JobKind {
        match self {
            Self::Train(_) => JobKind::Train,
            Self::Evaluate(_) => JobKind::Evaluate,
            Self::Mix(_) => JobKind::Mix,
        }
    }

    /// The parameters as the database keeps them.
    pub(super) fn params(&self) -> serde_json::Result<Value> {
        match self {
            Self::Train(params) => serde_json::to_value(params),
            Self::Evaluate(params) => serde_json::to_value(params),
            Self::Mix(params) => serde_json::to_value(params),
        }
    }

    /// Where the user wants it to run.
    pub(super) fn device(&self) -> DeviceChoice {
        match self {
            Self::Train(params) => params.device,
            Self::Evaluate(_) | Self::Mix(_) => DeviceChoice::Auto,
        }
    }

    /// Whether the server has what the job needs.
    pub(super) async fn check(
        &self,
        jobs: &Jobs,
        db: &mut store::Connection,
        dataset: Option<&Dataset>,
    ) -> Result<(), SubmitError> {
        match self {
            Self::Train(params) => train::check(jobs, db, params).await,
            Self::Evaluate(params) => evaluate::check(db, dataset, params).await,
            Self::Mix(params) => mix::check(db, params).await,
        }
    }

    /// What the worker is told. An error ends the job, and its text is for the user.
    pub(super) async fn work(&self, jobs: &Jobs, job: &Job) -> anyhow::Result<Work> {
        match self {
            Self::Train(params) => train::work(jobs, job, params).await,
            Self::Evaluate(params) => evaluate::work(jobs, job, params).await,
            Self::Mix(params) => mix::work(jobs, job, params).await,
        }
    }

    /// The model that it leaves, if any.
    pub(super) fn product(&self) -> Option<Product> {
        match self {
            Self::Train(_) => Some(Product { parent: None }),
            Self::Evaluate(_) => None,
            Self::Mix(params) => Some(Product { parent: Some(params.model_id.into()) }),
        }
    }

    /// Whether it can continue with batches half as large.
    pub(super) async fn can_shrink(&self, jobs: &Jobs, job: &Job) -> bool {
        match self {
            Self::Train(params) => train::can_shrink(jobs, job, params).await,
            Self::Evaluate(_) | Self::Mix(_) => false,
        }
    }
}

/// Why jobs of a kind never obey a verb, whatever their state.
pub(super) fn refusal(kind: JobKind, verb: Verb) -> Option<&'static str> {
    match (kind, verb) {
        (JobKind::Evaluate, Verb::Stop) => {
            Some("an evaluation has nothing to keep before its end; let it finish, or cancel it")
        }
        (JobKind::Mix, Verb::Stop | Verb::Pause) => {
            Some("a mix takes seconds; let it finish, or cancel it")
        }
        _ => None,
    }
}

/// Refuses what only libtorch does, in a build without it.
fn refuse_without_torch(pointer: &'static str, what: &'static str) -> Result<(), SubmitError> {
    if cfg!(feature = "torch") {
        return Ok(());
    }
    Err(SubmitError::NeedsTorch { pointer, source: NeedsTorch(what) })
}

/// Like [`refuse_without_torch`], for a model that a job is to train or measure.
fn refuse_back_without_torch(pointer: &'static str, model: &Model) -> Result<(), SubmitError> {
    match model.variant.0 {
        Variant::Short => Ok(()),
        Variant::Back => refuse_without_torch(pointer, "the back camera's network"),
    }
}

/// The device that the scheduler gave a job.
fn device_of(job: &Job) -> anyhow::Result<DeviceChoice> {
    let device = job.device.clone().map_or(Ok(DeviceChoice::Auto), DeviceChoice::try_from);
    device.map_err(anyhow::Error::msg)
}
