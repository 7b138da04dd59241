//! The pictures' squares, on the GPU if they fit.

use tch::{Device, Kind, Tensor};

use super::upload::upload;
use crate::data::PictureFile;
use crate::model::layout::INPUT_SIZE;
use crate::train::views::pictures::unreadable;

/// Maximum GPU memory for pictures, in bytes: about 170,000 pictures. A larger data set's pictures are uploaded as
/// needed.
const ON_DEVICE_BYTES: usize = 32 << 30;
/// Bytes to leave free for a network with a 128-pixel input: enough for a step of 256 views and libtorch's own reserve.
const ROOM_BYTES: i64 = 4 << 30;
const UPLOADED_AT_ONCE: usize = 256;

/// The squares from which views are cut.
#[derive(Debug)]
pub struct Squares {
    device: Device,
    side: i64,
    /// `[N, 256, 256, 3]` bytes: all squares, if they are on a GPU.
    all: Option<Tensor>,
}

impl Squares {
    /// Prepares the squares of a data set. Uploads all of them to a GPU if they fit.
    ///
    /// * `count`: number of the data set's pictures; `input_size`: input size of the network to train on the device.
    ///
    /// # Panics
    ///
    /// If the data set can no longer be read.
    pub fn new(cache: &PictureFile, count: usize, input_size: usize, device: Device) -> Self {
        let side = cache.side() as i64;
        let fits = count * cache.stride() <= ON_DEVICE_BYTES;
        let all = if device != Device::Cpu && fits {
            on_gpu(cache, count, input_size, device)
        } else {
            None
        };
        Self { device, side, all }
    }

    /// Whether all squares are on a GPU.
    pub fn are_on_device(&self) -> bool {
        self.all.is_some()
    }

    /// Returns the squares of some pictures on the device, as `[K, 256, 256, 3]` bytes.
    ///
    /// * `read`: the same squares in host memory, if they are not on a GPU.
    pub fn of(&self, indices: &[usize], read: &[u8]) -> Tensor {
        let Some(all) = &self.all else { return upload_squares(read, self.side, self.device) };
        let indices: Vec<i64> = indices.iter().map(|&index| index as i64).collect();
        all.index_select(0, &upload(&Tensor::from_slice(&indices), self.device))
    }
}

fn on_gpu(cache: &PictureFile, count: usize, input_size: usize, device: Device) -> Option<Tensor> {
    let side = cache.side() as i64;
    let bytes = (Kind::Uint8, device);
    // Libraries reserve memory on first use, so use them once before measuring what is left.
    let pixels = Tensor::zeros([1, 8, 8, 8], (Kind::Float, device));
    drop(pixels.conv2d::<Tensor>(&pixels, None, [1, 1], [0, 0], [1, 1], 1));
    // Allocates this much memory and frees it again, so that libtorch keeps it for training.
    let room = ROOM_BYTES * (input_size / INPUT_SIZE).pow(2) as i64;
    let room = Tensor::f_empty([room], bytes).ok()?;
    let all = Tensor::f_empty([count as i64, side, side, 3], bytes).ok()?;
    drop(room);
    let indices: Vec<usize> = (0..count).collect();
    for some in indices.chunks(UPLOADED_AT_ONCE) {
        let mut into = all.narrow(0, some[0] as i64, some.len() as i64);
        let squares = cache.read_all(some).unwrap_or_else(unreadable);
        into.copy_(&upload_squares(&squares, side, device));
    }
    Some(all)
}

fn upload_squares(squares: &[u8], side: i64, device: Device) -> Tensor {
    upload(&Tensor::from_slice(squares).reshape([-1, side, side, 3]), device)
}
