//! The differences between the kinds of jobs. All other code treats jobs alike.

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

/// What a job does, with its checked parameters.
#[derive(Debug, Clone)]
pub enum Task {
    /// Fine-tunes a model.
    Train(Box<TrainSpec>),
    /// Measures models.
    Evaluate(EvaluateParams),
    /// Mixes a model with the base model.
    Mix(MixParams),
}

/// The model that a completed job produces.
#[derive(Debug, Clone, Copy)]
pub(super) struct Product {
    /// The model that the job mixed with the base model, if it is a mix.
    pub(super) parent: Option<ModelId>,
}

impl Task {
    /// Reads a job's task from its stored parameters.
    pub(super) fn of(job: &Job) -> anyhow::Result<Self> {
        let params = job.params.0.clone();
        let task = match job.kind {
            JobKind::Train => train::of_stored(params).map(|params| Self::Train(Box::new(params))),
            JobKind::Evaluate => serde_json::from_value(params).map(Self::Evaluate),
            JobKind::Mix => serde_json::from_value(params).map(Self::Mix),
        };
        task.context("the job's parameters come from another version of Blazetune")
    }

    pub(super) fn kind(&self) -> JobKind {
        match self {
            Self::Train(_) => JobKind::Train,
            Self::Evaluate(_) => JobKind::Evaluate,
            Self::Mix(_) => JobKind::Mix,
        }
    }

    /// Returns the parameters in the form that the database stores.
    pub(super) fn params(&self) -> serde_json::Result<Value> {
        match self {
            Self::Train(params) => serde_json::to_value(params),
            Self::Evaluate(params) => serde_json::to_value(params),
            Self::Mix(params) => serde_json::to_value(params),
        }
    }

    /// Returns the device that the user requested.
    pub(super) fn device(&self) -> DeviceChoice {
        match self {
            Self::Train(params) => params.device,
            Self::Evaluate(_) | Self::Mix(_) => DeviceChoice::Auto,
        }
    }

    /// Checks that the server has what the job needs.
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

    /// Builds the spec for the worker. An error ends the job, and the user sees its text.
    pub(super) async fn work(&self, jobs: &Jobs, job: &Job) -> anyhow::Result<Work> {
        match self {
            Self::Train(params) => train::work(jobs, job, params).await,
            Self::Evaluate(params) => evaluate::work(jobs, job, params).await,
            Self::Mix(params) => mix::work(jobs, job, params).await,
        }
    }

    /// Returns the model that the job produces, if any.
    pub(super) fn product(&self) -> Option<Product> {
        match self {
            Self::Train(_) => Some(Product { parent: None }),
            Self::Evaluate(_) => None,
            Self::Mix(params) => Some(Product { parent: Some(params.model_id.into()) }),
        }
    }

    /// Whether the job can continue with batches half as large.
    pub(super) async fn can_shrink(&self, jobs: &Jobs, job: &Job) -> bool {
        match self {
            Self::Train(params) => train::can_shrink(jobs, job, params).await,
            Self::Evaluate(_) | Self::Mix(_) => false,
        }
    }
}

/// Returns why jobs of this kind never obey the verb, whatever their state.
pub(super) fn refusal(kind: JobKind, verb: Verb) -> Option<&'static str> {
    match (kind, verb) {
        (JobKind::Evaluate, Verb::Stop) => {
            Some("an evaluation has no result until it finishes; let it finish, or cancel it")
        }
        (JobKind::Mix, Verb::Stop | Verb::Pause) => {
            Some("a mix takes only seconds; let it finish, or cancel it")
        }
        _ => None,
    }
}

/// Refuses a feature that needs libtorch if this build lacks it.
fn refuse_without_torch(pointer: &'static str, what: &'static str) -> Result<(), SubmitError> {
    if cfg!(feature = "torch") {
        return Ok(());
    }
    Err(SubmitError::NeedsTorch { pointer, source: NeedsTorch(what) })
}

/// Refuses a model for the back camera if this build lacks libtorch.
fn refuse_back_without_torch(pointer: &'static str, model: &Model) -> Result<(), SubmitError> {
    match model.variant.0 {
        Variant::Short => Ok(()),
        Variant::Back => refuse_without_torch(pointer, "the back camera's network"),
    }
}

/// Returns the device that the scheduler assigned to a job.
fn device_of(job: &Job) -> anyhow::Result<DeviceChoice> {
    let device = job.device.clone().map_or(Ok(DeviceChoice::Auto), DeviceChoice::try_from);
    device.map_err(anyhow::Error::msg)
}
