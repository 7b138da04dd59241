//! Training in the native engine.

mod optimizer;

use self::optimizer::{NativeOptimizer, lerp};
use super::device;
use super::diagnostics::native::NativeWatch;
use super::diagnostics::sheet::Sheet;
use super::engine;
use super::engine::EngineState;
use super::loss::native::{self, Costs, NativeGrid, StepCounts};
use super::optimizer::{NORM_EPSILON, Update, decays, matrices, trainable};
use super::views;
use super::views::batch::{Batch, Cutter, Pixels, Rendering};
use super::views::pictures::Pictures;
use crate::model::folding::Folding;
use crate::model::layout::{ANCHORS, COORDINATES, INPUT_SIZE, SHORT};
use crate::model::native::{Inference, Inputs, Training, measure};
use crate::model::numbers::Numbers;
use crate::model::outputs::{Outputs, OutputsRef};
use crate::model::slots::Form;
use crate::model::tensors::Weights;
use crate::protocol::diagnostics::Diagnostics;
use crate::protocol::metrics::TrainMetrics;
use crate::protocol::schedule::TrainedPart;
use crate::protocol::train_spec::{Loss, TrainSpec, Unfold};

/// The engine that trains the short-range network on a CPU.
#[derive(Debug)]
pub struct NativeEngine {
    loss: Loss,
    grid: NativeGrid,
    clip_norm: f64,
    freeze_keypoints: bool,
    training: Training,
    /// Folds the network that is being trained, if it has BatchNorm.
    folding: Option<Folding>,
    base: Inference,
    network: Numbers,
    /// The moving average of the network's numbers, which is evaluated and exported.
    average: Numbers,
    optimizer: NativeOptimizer,
    /// `[P]`: decoupled weight decay of each parameter.
    decay: Vec<f32>,
    /// `[P]`: 1 for each parameter that may change, else 0.
    trainable: Vec<f32>,
    /// `[F]`: the folded parameters.
    folded: Vec<f32>,
    /// `[F]`: the gradient of the folded parameters.
    folded_gradient: Vec<f32>,
    /// `[P]`: the last batch's gradient.
    fresh: Vec<f32>,
    /// `[P]`: the sum of the gradients since the last update.
    gathered: Vec<f32>,
    outputs: Outputs,
    base_outputs: Outputs,
    /// The counts that the gradients are divided by, if batches were counted in advance.
    counts: Option<StepCounts>,
    figures: TrainMetrics,
    watch: NativeWatch,
}

impl NativeEngine {
    /// Creates an engine that starts from `weights`, with `base` as the teacher.
    pub fn new(spec: &TrainSpec, pictures: &Pictures, weights: &Weights, base: &Weights) -> Self {
        // Nothing here uses libtorch, whose threads would spin while they wait for work.
        device::use_threads(1);
        let network = match spec.unfold {
            Unfold::Folded => Numbers::folded(weights),
            Unfold::Identity => Numbers::identity(weights),
            Unfold::Frozen | Unfold::Calibrated => {
                let batches = calibration_views(spec, pictures);
                Numbers::calibrated(weights, &measure(&weights.flat(), &batches))
            }
        };
        let (form, count) = (network.form, network.parameters.len());
        let mut decay = decays(&SHORT, form);
        for decay in &mut decay {
            *decay *= spec.weight_decay as f32;
        }
        let folded = || vec![0.0; base.flat().len()];
        Self {
            loss: spec.loss.clone(),
            grid: NativeGrid::default(),
            clip_norm: spec.gradient_clip_norm,
            freeze_keypoints: spec.freeze_keypoint_heads,
            training: Training::default(),
            folding: (form == Form::Unfolded).then(|| Folding::new(&SHORT)),
            base: Inference::new(&base.flat()),
            average: network.clone(),
            optimizer: NativeOptimizer::new(count, matrices(spec.optimizer, &SHORT, form)),
            decay,
            trainable: trainable(&SHORT, form, TrainedPart::All, spec.freeze_keypoint_heads),
            network,
            folded: folded(),
            folded_gradient: folded(),
            fresh: vec![0.0; count],
            gathered: vec![0.0; count],
            outputs: Outputs::default(),
            base_outputs: Outputs::default(),
            counts: None,
            figures: TrainMetrics::default(),
            watch: NativeWatch::default(),
        }
    }

    /// Runs a batch through both networks.
    pub fn forward(&mut self, inputs: &Inputs) {
        for outputs in [&mut self.outputs, &mut self.base_outputs] {
            outputs.logits.resize(inputs.count() * ANCHORS, 0.0);
            outputs.coordinates.resize(inputs.count() * ANCHORS * COORDINATES, 0.0);
        }
        let Numbers { parameters, buffers, .. } = &self.network;
        match &self.folding {
            Some(folding) => folding.fold_into(parameters, buffers, &mut self.folded),
            None => self.folded.copy_from_slice(parameters),
        }
        let Outputs { logits, coordinates } = &mut self.outputs;
        self.training.forward(&self.folded, inputs, logits, coordinates);
        let Outputs { logits, coordinates } = &mut self.base_outputs;
        self.base.run(inputs, logits, coordinates);
    }

    /// Returns the network's and the base model's outputs for the last batch.
    pub fn outputs(&self) -> [OutputsRef<'_>; 2] {
        [self.outputs.as_ref(), self.base_outputs.as_ref()]
    }

    /// Adds the last batch's gradient.
    ///
    /// * `outputs`: the gradient of the loss with respect to the network's outputs.
    pub fn backward(&mut self, inputs: &Inputs, outputs: OutputsRef<'_>) {
        let folded = &mut self.folded_gradient;
        self.training.backward(inputs, outputs.logits, outputs.coordinates, folded);
        let fresh = match &self.folding {
            Some(folding) => {
                let Numbers { parameters, buffers, .. } = &self.network;
                folding.gradient(parameters, buffers, folded, &mut self.fresh);
                &self.fresh
            }
            None => &self.folded_gradient,
        };
        self.gathered.iter_mut().zip(fresh).for_each(|(sum, value)| *sum += value);
    }

    fn add_figures(&mut self, costs: &Costs) {
        let faces = costs.counts.faces.max(1) as f64;
        self.figures.add(&TrainMetrics {
            loss: costs.total,
            box_loss: costs.boxes,
            positive: costs.positive,
            background: costs.background,
            positives_per_face: costs.positives as f64 / faces,
            gradient_norm: 0.0, // Known only after the step's last batch.
        });
    }
}

impl engine::Engine for NativeEngine {
    fn rendering(&self) -> Rendering {
        Rendering::Native
    }

    fn train_part(&mut self, part: TrainedPart) {
        self.trainable = trainable(&SHORT, self.network.form, part, self.freeze_keypoints);
    }

    fn count(&mut self, batch: &Batch) {
        self.forward(inputs(batch));
        let [outputs, base] = self.outputs();
        let counts = native::count(outputs, base, &batch.faces, &self.loss, &self.grid);
        *self.counts.get_or_insert_default() += counts;
    }

    fn gradient(&mut self, batch: &Batch) {
        let inputs = inputs(batch);
        self.forward(inputs);
        let [outputs, base] = self.outputs();
        let (faces, loss) = (&batch.faces, &self.loss);
        let costs = native::costs(outputs, Some(base), faces, loss, &self.grid, self.counts);
        self.watch.observe(inputs, faces, &costs, &self.outputs.logits);
        self.add_figures(&costs);
        let Costs { logits, coordinates, .. } = &costs;
        self.backward(inputs, OutputsRef { logits, coordinates });
    }

    fn update(&mut self, Update { step, rate, ema_decay }: Update) {
        let masked = self.gathered.iter_mut().zip(&self.trainable);
        masked.for_each(|(gradient, trainable)| *gradient *= trainable);
        // Summed in the same order, regardless of the number of threads.
        let squares = self.gathered.iter().map(|&value| f64::from(value).powi(2));
        let norm = squares.sum::<f64>().sqrt();
        let scale = (self.clip_norm / (norm + NORM_EPSILON)).min(1.0) as f32;
        self.gathered.iter_mut().for_each(|gradient| *gradient *= scale);
        let decay: Vec<f32> =
            self.decay.iter().zip(&self.trainable).map(|(decay, mask)| decay * mask).collect();
        let parameters = &mut self.network.parameters;
        self.optimizer.step(step, parameters, &self.gathered, rate, &decay);
        let share = (1.0 - ema_decay) as f32;
        let pairs = self.average.parameters.iter_mut().zip(&self.network.parameters);
        pairs.for_each(|(average, &parameter)| *average = lerp(*average, parameter, share));
        self.gathered.fill(0.0);
        self.counts = None;
        self.figures.gradient_norm += norm;
    }

    fn figures(&self) -> TrainMetrics {
        self.figures
    }

    fn diagnostics(&self, steps: u32) -> Diagnostics {
        self.watch.diagnostics(steps)
    }

    fn take_sheet(&mut self) -> Option<Sheet> {
        self.watch.take_sheet()
    }

    fn begin_epoch(&mut self) {
        (self.figures, self.watch) = (TrainMetrics::default(), NativeWatch::default());
    }

    fn averaged(&self) -> Vec<f32> {
        self.average.fold()
    }

    fn state(&self) -> EngineState {
        EngineState {
            parameters: self.network.parameters.clone(),
            buffers: self.network.buffers.clone(),
            average_parameters: self.average.parameters.clone(),
            average_buffers: self.average.buffers.clone(),
            mean: self.optimizer.mean.clone(),
            variance: self.optimizer.variance.clone(),
            diagnostics: self.watch.sums().to_vec(),
            watched: self.watch.views(),
            figures: self.figures,
        }
    }

    fn restore(&mut self, state: EngineState) {
        (self.network.parameters, self.network.buffers) = (state.parameters, state.buffers);
        self.average.parameters = state.average_parameters;
        self.average.buffers = state.average_buffers;
        (self.optimizer.mean, self.optimizer.variance) = (state.mean, state.variance);
        self.watch = NativeWatch::restored(state.diagnostics, state.watched);
        self.figures = state.figures;
    }
}

/// Cuts views for measuring BatchNorm's initial statistics, in the same way as training views are cut.
fn calibration_views(spec: &TrainSpec, pictures: &Pictures) -> Vec<Inputs> {
    let cutter = Cutter::new(spec, pictures, 0, INPUT_SIZE, Rendering::Native);
    let batches = views::calibration_batches(spec, pictures);
    let inputs = |batch: Batch| match batch.pixels {
        Pixels::Native(inputs) => Some(inputs),
        Pixels::Squares(_) | Pixels::OnDevice => None,
    };
    batches.iter().filter_map(|indices| inputs(cutter.cut(indices))).collect()
}

/// Returns a batch's inputs.
///
/// # Panics
///
/// If the batch was cut for libtorch.
fn inputs(batch: &Batch) -> &Inputs {
    match &batch.pixels {
        Pixels::Native(inputs) => inputs,
        Pixels::Squares(_) | Pixels::OnDevice => {
            panic!("the native engine cannot use a batch for libtorch")
        }
    }
}
