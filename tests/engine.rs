//! The native kernels against libtorch's autograd.

#![expect(clippy::unwrap_used, reason = "a failed unwrap fails the test")]

use blazetune::model::folding::Folding;
use blazetune::model::layout::{ANCHORS, COORDINATES, SHORT};
use blazetune::model::native::{Inference, Inputs, Training, measure};
use blazetune::model::numbers::Numbers;
use blazetune::model::slots::Form;
use blazetune::model::torch::{Mode, Network, array, fold, to_input};
use blazetune::weights::tflite;
use tch::{Device, Kind, Tensor};

/// Bytes per picture.
const PICTURE: usize = 128 * 128 * 3;

/// Smooth random pictures: `[N, 128, 128, 3]` bytes.
fn pictures(count: i64) -> Vec<u8> {
    tch::manual_seed(count);
    let coarse = Tensor::rand([count, 3, 12, 12], (Kind::Float, Device::Cpu)) * 255.0;
    let fine = coarse.upsample_bicubic2d([128, 128], false, None, None).clamp(0.0, 255.0);
    Vec::try_from(fine.permute([0, 2, 3, 1]).to_kind(Kind::Uint8).reshape([-1])).unwrap()
}

fn input(bytes: &[u8]) -> Tensor {
    to_input(&Tensor::from_slice(bytes).reshape([-1, 128, 128, 3]))
}

/// The base model, without BatchNorm or with one that is not the identity.
fn network(form: Form) -> Network {
    let folded = Network::folded(tflite::mediapipe(), Device::Cpu);
    match form {
        Form::Folded => folded,
        Form::Unfolded => {
            let statistics = fold::measure(&folded, &[input(&pictures(4))]);
            let numbers = Numbers::calibrated(tflite::mediapipe(), &statistics);
            let network = Network::new(&numbers, Device::Cpu);
            // As training leaves it: calibrated BatchNorm alone would change nothing.
            tch::manual_seed(5);
            let noise = network.parameters.randn_like() * 0.1 + 1.0;
            network.with_numbers(&(&network.parameters * noise), &network.buffers)
        }
    }
}

/// Euclidean norm of the difference.
fn distance(ours: &[f32], theirs: &Tensor) -> f64 {
    let theirs = theirs.to_kind(Kind::Double).reshape([-1]);
    (Tensor::from_slice(ours).to_kind(Kind::Double) - theirs).norm().double_value(&[])
}

/// Largest difference, relative to the largest value.
fn gap(ours: &[f32], theirs: &Tensor) -> f64 {
    let theirs = theirs.to_kind(Kind::Double).reshape([-1]);
    let ours = Tensor::from_slice(ours).to_kind(Kind::Double);
    let largest = theirs.abs().max().double_value(&[]);
    (ours - theirs).abs().max().double_value(&[]) / largest
}

struct Step {
    logits: Vec<f32>,
    coordinates: Vec<f32>,
    gradient: Vec<f32>,
}

/// A loss that is a weighted sum of the outputs: the weight of each.
struct Loss {
    /// `[N, 896]`
    logits: Tensor,
    /// `[N, 896, 16]`
    coordinates: Tensor,
}

impl Loss {
    fn random(count: i64) -> Self {
        tch::manual_seed(17 * count);
        let numbers = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu)) / 100.0;
        let (anchors, coordinates) = (ANCHORS as i64, COORDINATES as i64);
        let logits = numbers(&[count, anchors]);
        Self { logits, coordinates: numbers(&[count, anchors, coordinates]) }
    }

    /// The loss of a single view.
    fn of(&self, view: i64) -> Self {
        let of = |all: &Tensor| all.narrow(0, view, 1);
        Self { logits: of(&self.logits), coordinates: of(&self.coordinates) }
    }
}

fn ours(training: &mut Training, network: &Network, bytes: &[u8], loss: &Loss) -> Step {
    let [parameters, buffers] =
        [&network.parameters, &network.buffers].map(|flat| array(flat).values);
    let folding = (network.form() == Form::Unfolded).then(|| Folding::new(&SHORT));
    let folded = array(&fold::fold(network).parameters).values;
    let mut ours = folded.clone();
    if let Some(folding) = &folding {
        folding.fold_into(&parameters, &buffers, &mut ours);
        assert!(gap(&ours, &Tensor::from_slice(&folded)) < 1e-6, "the two foldings differ");
    }
    let inputs = Inputs::from_bytes(bytes);
    let count = inputs.count();
    let mut step = Step {
        logits: vec![0.0; count * ANCHORS],
        coordinates: vec![0.0; count * ANCHORS * COORDINATES],
        gradient: vec![0.0; folded.len()],
    };
    let Step { logits, coordinates, gradient } = &mut step;
    training.forward(&ours, &inputs, logits, coordinates);
    let [scores, boxes] = [&loss.logits, &loss.coordinates].map(|all| array(all).values);
    training.backward(&inputs, &scores, &boxes, gradient);
    if let Some(folding) = folding {
        let folded = std::mem::replace(gradient, vec![0.0; parameters.len()]);
        folding.gradient(&parameters, &buffers, &folded, gradient);
    }
    step
}

/// Also returns the gradient of each parameter.
fn theirs(network: &Network, bytes: &[u8], loss: &Loss) -> (Step, Vec<Tensor>) {
    let kind = Kind::Double; // So that only our own rounding shows.
    let of_kind = |t: &Tensor| t.to_kind(kind);
    let mut network =
        network.with_numbers(&of_kind(&network.parameters), &of_kind(&network.buffers));
    network.parameters = network.parameters.set_requires_grad(true);
    let outputs = network.forward(&of_kind(&input(bytes)), Mode::Evaluate);
    let logits = (&outputs.logits * &loss.logits).sum(kind);
    (logits + (&outputs.coordinates * &loss.coordinates).sum(kind)).backward();
    let gradient = network.parameters.grad();
    let pieces = network.with_numbers(&gradient, &network.buffers).pieces();
    let step = Step {
        logits: array(&outputs.logits).values,
        coordinates: array(&outputs.coordinates).values,
        gradient: array(&gradient).values,
    };
    (step, pieces)
}

/// Largest relative error of a piece of the gradient: its distance from the expected piece over the norm of that piece.
/// Infinite if a piece that should be all zeros is not.
fn largest_distance(gradient: &[f32], pieces: &[Tensor]) -> f64 {
    assert!(gradient.iter().all(|value| value.is_finite()), "a gradient is not finite");
    let mut rest = gradient;
    let each = pieces.iter().map(|piece| {
        let (here, more) = rest.split_at(piece.numel());
        rest = more;
        match distance(here, piece) {
            0.0 => 0.0,
            apart => apart / piece.norm().double_value(&[]),
        }
    });
    each.fold(0.0, f64::max)
}

#[test]
fn the_forward_and_backward_pass_of_a_view_match_libtorchs() {
    const VIEWS: i64 = 17;
    let (pictures, losses) = (pictures(VIEWS), Loss::random(VIEWS));
    for form in [Form::Folded, Form::Unfolded] {
        let (network, mut training) = (network(form), Training::default());
        let mut at_an_edge = 0;
        for (view, bytes) in (0..VIEWS).zip(pictures.chunks_exact(PICTURE)) {
            let loss = losses.of(view);
            let found = ours(&mut training, &network, bytes, &loss);
            let (expected, pieces) = theirs(&network, bytes, &loss);
            for (what, ours, theirs) in [
                ("logits", &found.logits, &expected.logits),
                ("coordinates", &found.coordinates, &expected.coordinates),
            ] {
                let gap = gap(ours, &Tensor::from_slice(theirs));
                assert!(gap < 1e-4, "{form:?}, view {view}: {what} are off by {gap}");
            }
            let off = largest_distance(&found.gradient, &pieces);
            assert!(off < 0.5, "{form:?}, view {view}: off by {off}");
            at_an_edge += u32::from(off > 1e-3);
        }
        // Where the input of a ReLU is 0 up to rounding, the processor decides on which side of the edge it falls, and
        // so whether a gradient passes. About one view in thirty has such an input.
        assert!(at_an_edge <= 4, "{form:?}: {at_an_edge} of {VIEWS} views are off");
    }
}

#[test]
fn the_gradient_of_a_batch_is_the_sum_over_its_views() {
    let mut training = Training::default();
    // 17 views: more than the largest number of groups.
    for (form, count) in [(Form::Folded, 2), (Form::Unfolded, 4), (Form::Unfolded, 17)] {
        let (network, bytes, losses) = (network(form), pictures(count), Loss::random(count));
        let batch = ours(&mut training, &network, &bytes, &losses);
        let mut sum = Tensor::zeros([batch.gradient.len() as i64], (Kind::Double, Device::Cpu));
        for (view, picture) in (0..count).zip(bytes.chunks_exact(PICTURE)) {
            let alone = ours(&mut training, &network, picture, &losses.of(view));
            sum += Tensor::from_slice(&alone.gradient);
            let at = view as usize * ANCHORS;
            assert_eq!(alone.logits, batch.logits[at..at + ANCHORS], "{form:?} {count}: {view}");
        }
        let off = largest_distance(&batch.gradient, &[sum]);
        assert!(off < 1e-6, "{form:?} {count}: off by {off}");
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let bytes = pictures(5);
    let steps = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let (network, loss) = (network(Form::Unfolded), Loss::random(5));
            ours(&mut Training::default(), &network, &bytes, &loss)
        })
    });
    assert_eq!(steps[0].gradient, steps[1].gradient);
    assert_eq!(steps[0].coordinates, steps[1].coordinates);
}

#[test]
fn inference_matches_libtorchs_forward_pass() {
    let (network, bytes) = (network(Form::Folded), pictures(3));
    let inference = Inference::new(&array(&network.parameters).values);
    let (mut logits, mut coordinates) =
        (vec![0.0; 3 * ANCHORS], vec![0.0; 3 * ANCHORS * COORDINATES]);
    inference.run(&Inputs::from_bytes(&bytes), &mut logits, &mut coordinates);
    let expected = tch::no_grad(|| network.forward(&input(&bytes), Mode::Evaluate));
    assert!(gap(&logits, &expected.logits) < 1e-4);
    assert!(gap(&coordinates, &expected.coordinates) < 1e-4);
}

#[test]
fn measured_statistics_match_libtorchs() {
    let (network, batches) = (network(Form::Folded), [pictures(3), pictures(2)]);
    let inputs = batches.each_ref().map(|bytes| Inputs::from_bytes(bytes));
    let found = measure(&array(&network.parameters).values, &inputs);
    let expected = fold::measure(&network, &batches.each_ref().map(|bytes| input(bytes)));
    assert_eq!(found.len(), expected.len());
    for (at, (found, expected)) in found.iter().zip(&expected).enumerate() {
        for (name, found, expected) in [
            ("mean", &found.mean, &expected.mean),
            ("variance", &found.variance, &expected.variance),
        ] {
            let gap = gap(found, &Tensor::from_slice(expected));
            assert!(gap < 1e-4, "{name} of convolution {at}: {gap}");
        }
    }
}
