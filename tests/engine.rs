//! The CPU engine against libtorch's autograd.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use blazetune::model::cpu::{Folding, Inference, Inputs, Training, measure};
use blazetune::model::layout::{ANCHORS, COORDINATES};
use blazetune::model::network::{Form, Mode, Network, array, to_input};
use blazetune::model::unfold;
use blazetune::weights::tflite;
use tch::{Device, Kind, Tensor};

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

/// Numbers unlike those of any special case, with BatchNorm or without.
fn network(form: Form) -> Network {
    let folded = Network::folded(tflite::mediapipe(), Device::Cpu);
    match form {
        Form::Folded => folded,
        Form::Unfolded => {
            let statistics = unfold::measure(&folded, &[input(&pictures(4))]);
            let network = unfold::calibrated(&folded, &statistics);
            // As training leaves it: by now BatchNorm does something.
            tch::manual_seed(5);
            let noise = network.parameters.randn_like() * 0.1 + 1.0;
            network.with_numbers(&(&network.parameters * noise), &network.buffers)
        }
    }
}

/// Norm of the gap.
fn distance(ours: &[f32], theirs: &Tensor) -> f64 {
    let theirs = theirs.to_kind(Kind::Double).reshape([-1]);
    (Tensor::from_slice(ours).to_kind(Kind::Double) - theirs).norm().double_value(&[])
}

/// Largest gap over the largest value.
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

/// What the outputs are multiplied by, for something to go backward from.
fn weights(count: i64) -> (Tensor, Tensor) {
    tch::manual_seed(17 * count);
    let numbers = |shape: &[i64]| Tensor::randn(shape, (Kind::Float, Device::Cpu)) / 100.0;
    let (anchors, coordinates) = (ANCHORS as i64, COORDINATES as i64);
    (numbers(&[count, anchors]), numbers(&[count, anchors, coordinates]))
}

fn ours(training: &mut Training, network: &Network, bytes: &[u8]) -> Step {
    let [parameters, buffers] =
        [&network.parameters, &network.buffers].map(|flat| array(flat).values);
    let folding = (network.form() == Form::Unfolded).then(Folding::default);
    let folded = array(&unfold::fold(network).parameters).values;
    let mut ours = folded.clone();
    if let Some(folding) = &folding {
        folding.fold(&parameters, &buffers, &mut ours);
        assert!(gap(&ours, &Tensor::from_slice(&folded)) < 1e-6, "folded otherwise");
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
    let (scores, boxes) = weights(count as i64);
    training.backward(&inputs, &array(&scores).values, &array(&boxes).values, gradient);
    if let Some(folding) = folding {
        let folded = std::mem::replace(gradient, vec![0.0; parameters.len()]);
        folding.gradient(&parameters, &buffers, &folded, gradient);
    }
    step
}

/// The gradient comes convolution by convolution, too.
fn theirs(network: &Network, bytes: &[u8]) -> (Step, Vec<Tensor>) {
    let kind = Kind::Double; // So that only our own rounding shows.
    let of_kind = |t: &Tensor| t.to_kind(kind);
    let mut network =
        network.with_numbers(&of_kind(&network.parameters), &of_kind(&network.buffers));
    network.parameters = network.parameters.set_requires_grad(true);
    let outputs = network.forward(&of_kind(&input(bytes)), Mode::Evaluate);
    let (scores, boxes) = weights((bytes.len() / (128 * 128 * 3)) as i64);
    let loss = (&outputs.logits * scores).sum(kind) + (&outputs.coordinates * boxes).sum(kind);
    loss.backward();
    let gradient = network.parameters.grad();
    let pieces = network.with_numbers(&gradient, &network.buffers).pieces();
    let step = Step {
        logits: array(&outputs.logits).values,
        coordinates: array(&outputs.coordinates).values,
        gradient: array(&gradient).values,
    };
    (step, pieces)
}

#[test]
fn a_step_is_libtorchs_forward_and_backward_whatever_the_batch() {
    // Seventeen are more than there are groups.
    for (form, counts) in [(Form::Folded, &[2, 1][..]), (Form::Unfolded, &[4, 1, 17])] {
        let network = network(form);
        let mut training = Training::default();
        for &count in counts {
            let bytes = pictures(count);
            let found = ours(&mut training, &network, &bytes);
            let (expected, pieces) = theirs(&network, &bytes);
            let close =
                |a: &[f32], b: &[f32]| a.is_empty() || gap(a, &Tensor::from_slice(b)) < 1e-4;
            assert!(close(&found.logits, &expected.logits), "{form:?} {count}: logits");
            assert!(
                close(&found.coordinates, &expected.coordinates),
                "{form:?} {count}: coordinates"
            );
            let norm = |piece: &Tensor| piece.norm().double_value(&[]);
            let mut rest = found.gradient.as_slice();
            for (at, piece) in pieces.iter().enumerate() {
                let (here, more) = rest.split_at(piece.numel());
                rest = more;
                let scale = norm(piece);
                let off = distance(here, piece);
                // A number that rounding moves across a ReLU's edge takes its gradient along.
                let limit = 5e-3 * scale;
                assert!(off <= limit, "{form:?} {count}: piece {at} is off by {off} of {scale}");
            }
        }
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let bytes = pictures(5);
    let steps = [1, 3].map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| ours(&mut Training::default(), &network(Form::Unfolded), &bytes))
    });
    assert_eq!(steps[0].gradient, steps[1].gradient);
    assert_eq!(steps[0].coordinates, steps[1].coordinates);
}

#[test]
fn inference_is_libtorchs_forward() {
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
fn statistics_are_what_libtorch_measures() {
    let (network, batches) = (network(Form::Folded), [pictures(3), pictures(2)]);
    let inputs = batches.each_ref().map(|bytes| Inputs::from_bytes(bytes));
    let found = measure(&array(&network.parameters).values, &inputs);
    let expected = unfold::measure(&network, &batches.each_ref().map(|bytes| input(bytes)));
    let expected = unfold::calibrated(&network, &expected);
    let (mut at, ours) = (0, expected.statistics());
    for found in found {
        for (name, values) in [("mean", found.mean), ("variance", found.variance)] {
            let values: Vec<f32> = values.iter().map(|&value| value as f32).collect();
            assert!(gap(&values, &ours[at]) < 1e-4, "{name} of convolution {}", at / 2);
            at += 1;
        }
    }
    assert_eq!(at, ours.len());
}
