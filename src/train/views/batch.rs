//! A training batch: views of some pictures, and the faces in them.

use rand::RngExt;
use rayon::prelude::*;
use tch::{Device, Tensor};

use super::native;
use super::pictures::{Entry, Pictures, unreadable};
use super::torch;
use super::{View, ViewFace};
use crate::data::PictureFile;
use crate::geometry::Rect;
use crate::model::cpu::Inputs;
use crate::model::layout::{INPUT_SIZE, Layout};
use crate::model::runner::is_engines;
use crate::protocol::train_spec::TrainSpec;
use crate::train::views;

/// Tiles of a mosaic, row by row.
const TILES: usize = 4;
/// Views of a picture within one epoch come from keys this far apart; no job has as many epochs.
const TILE_EPOCHS: u32 = 1 << 14;

/// One view of one picture.
#[derive(Clone)]
struct Cut {
    picture: usize,
    view: View,
}

/// What a batch is for.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Where the network is.
    pub device: Device,
    /// Of its input, in pixels.
    side: usize,
    /// Whether our own engine trains it.
    pub is_engines: bool,
}

impl Place {
    /// * `device`, `layout`: of the network that is to be trained.
    pub fn new(spec: &TrainSpec, device: Device, layout: &Layout) -> Self {
        let is_engines = is_engines(device, layout) && !spec.unfold.uses_batches();
        Self { device, side: layout.input_size, is_engines }
    }
}

/// A batch's pixels, where the network is.
#[derive(Debug)]
pub enum Pixels {
    /// For our own engine.
    Memory(Inputs),
    /// `[N, 3, side, side]` for libtorch, on its device.
    Device(Tensor),
}

impl Pixels {
    /// How many views.
    pub fn count(&self) -> usize {
        match self {
            Self::Memory(inputs) => inputs.count(),
            Self::Device(pictures) => pictures.size()[0] as usize,
        }
    }

    /// The first views, at most `count`, as `[K, 3, side, side]`.
    pub fn first(&self, count: usize) -> Tensor {
        let count = count.min(self.count());
        match self {
            Self::Memory(inputs) => {
                let rows =
                    (0..count).flat_map(|at| (0..INPUT_SIZE).map(move |y| inputs.row(at, y)));
                let values: Vec<f32> = rows.flatten().copied().collect();
                let side = INPUT_SIZE as i64;
                Tensor::from_slice(&values).reshape([-1, side, side, 3]).permute([0, 3, 1, 2])
            }
            // A view of all would keep all.
            Self::Device(pictures) => pictures.narrow(0, 0, count as i64).copy(),
        }
    }
}

/// Cuts one view for each of some pictures: of it alone, or a mosaic of it and three others. Mosaics come last.
///
/// Returns the views and the faces of each.
pub fn cut(
    spec: &TrainSpec,
    pictures: &Pictures,
    epoch: u32,
    indices: &[usize],
    place: Place,
) -> (Pixels, Vec<Vec<ViewFace>>) {
    Cutter::new(spec, pictures, epoch, place).prepare(indices).finish(pictures)
}

/// A batch as far as it comes without a GPU, on any thread.
pub(in crate::train) struct Prepared {
    singles: Vec<Cut>,
    tiles: Vec<Cut>,
    faces: Vec<Vec<ViewFace>>,
    place: Place,
    /// Where our own engine trains.
    inputs: Option<Inputs>,
    /// The squares of `singles` and `tiles`, where libtorch trains and the device does not keep them.
    squares: [Vec<u8>; 2],
}

impl Prepared {
    /// The views and the faces of each.
    pub(in crate::train) fn finish(self, pictures: &Pictures) -> (Pixels, Vec<Vec<ViewFace>>) {
        let Self { singles, tiles, faces, place, inputs, squares } = self;
        let on_device = || render_on_device(pictures, [&singles, &tiles], &squares, place.device);
        (inputs.map_or_else(|| Pixels::Device(on_device()), Pixels::Memory), faces)
    }
}

/// Several views at once.
fn render_in_memory(cache: &PictureFile, singles: &[Cut], tiles: &[Cut]) -> Inputs {
    let views: Vec<&[Cut]> = singles.chunks(1).chain(tiles.chunks(TILES)).collect();
    let mut inputs = Inputs::zeros(views.len());
    let all: Vec<_> = inputs.pictures_mut().zip(views).collect();
    all.into_par_iter().for_each(|(mut input, cuts)| {
        let (mut square, mut room) = (vec![0; cache.stride()], Vec::new());
        for (tile, cut) in cuts.iter().enumerate() {
            cache.read(cut.picture, &mut square).unwrap_or_else(unreadable);
            let side = cut.view.side();
            let corner = (tile % 2 * side, tile / 2 * side);
            native::render(&square, &cut.view, &mut input, corner, &mut room);
        }
    });
    inputs
}

fn render_on_device(
    pictures: &Pictures,
    [singles, tiles]: [&[Cut]; 2],
    [of_singles, of_tiles]: &[Vec<u8>; 2],
    device: Device,
) -> Tensor {
    let render = |cuts: &[Cut], squares: &[u8]| {
        let indices: Vec<usize> = cuts.iter().map(|cut| cut.picture).collect();
        let squares = pictures.squares_on(&indices, squares, device);
        let views: Vec<&View> = cuts.iter().map(|cut| &cut.view).collect();
        torch::render(&squares, &views)
    };
    let inputs = match (singles, tiles) {
        (singles, []) => render(singles, of_singles),
        ([], tiles) => join(&render(tiles, of_tiles)),
        (singles, tiles) => {
            Tensor::cat(&[render(singles, of_singles), join(&render(tiles, of_tiles))], 0)
        }
    };
    torch::channels_last(&inputs)
}

/// Cuts an epoch's views. Of the pictures it has what any thread may use.
#[derive(Clone, Copy)]
pub(in crate::train) struct Cutter<'a> {
    spec: &'a TrainSpec,
    cache: &'a PictureFile,
    entries: &'a [Entry],
    train: &'a [usize],
    epoch: u32,
    place: Place,
    /// Whether the device has the pictures.
    is_kept: bool,
}

impl<'a> Cutter<'a> {
    pub(in crate::train) fn new(
        spec: &'a TrainSpec,
        pictures: &'a Pictures,
        epoch: u32,
        place: Place,
    ) -> Self {
        let Pictures { cache, entries, train, on_device, .. } = pictures;
        Self { spec, cache, entries, train, epoch, place, is_kept: on_device.is_some() }
    }

    /// Views of these pictures, drawn and, for a CPU, rendered.
    pub(in crate::train) fn prepare(&self, indices: &[usize]) -> Prepared {
        let drawn: Vec<Vec<Cut>> = indices.par_iter().map(|&index| self.draw(index)).collect();
        let (singles, tiles): (Vec<_>, Vec<_>) =
            drawn.into_iter().partition(|cuts| cuts.len() == 1);
        let (singles, tiles) = (singles.concat(), tiles.concat());
        let alone = singles.iter().map(|cut| cut.view.faces.clone());
        let faces = alone.chain(tiles.chunks(TILES).map(tile_faces)).collect();
        let render = || render_in_memory(self.cache, &singles, &tiles);
        let inputs = self.place.is_engines.then(render);
        let squares = [&singles, &tiles].map(|cuts| self.squares(cuts));
        Prepared { singles, tiles, faces, place: self.place, inputs, squares }
    }

    /// Of views that libtorch is to render, where its device does not have them.
    fn squares(&self, cuts: &[Cut]) -> Vec<u8> {
        if self.place.is_engines || self.is_kept {
            return Vec::new();
        }
        let indices: Vec<usize> = cuts.iter().map(|cut| cut.picture).collect();
        self.cache.read_all(&indices).unwrap_or_else(unreadable)
    }

    /// A view of this picture alone, or the tiles of a mosaic.
    fn draw(&self, picture: usize) -> Vec<Cut> {
        let (side, min_face_px) = (self.place.side, self.spec.loss.min_face_px);
        match self.others(picture) {
            None => vec![self.cut(picture, 0, min_face_px, side)],
            Some([b, c, d]) => {
                // A tile has half as many pixels.
                let tile = |(at, picture)| self.cut(picture, at, 2.0 * min_face_px, side / 2);
                (0u32..).zip([picture, b, c, d]).map(tile).collect()
            }
        }
    }

    /// The three pictures that share a mosaic with this one; `None` when it is not to be in one.
    fn others(&self, picture: usize) -> Option<[usize; 3]> {
        let mosaics = self.epoch + TILES as u32 * TILE_EPOCHS + 1;
        let mut rng = views::rng((self.spec.seed, mosaics, picture));
        let is_mosaic = rng.random::<f64>() < self.spec.views.mosaic;
        let mut any = || self.train[rng.random_range(0..self.train.len())];
        is_mosaic.then(|| [any(), any(), any()])
    }

    fn cut(&self, picture: usize, tile: u32, min_face_px: f64, side: usize) -> Cut {
        let TrainSpec { views, colours, seed, .. } = self.spec;
        let key = (*seed, self.epoch + tile * TILE_EPOCHS, picture);
        let view = View::draw(&self.entries[picture].source, views, colours, min_face_px, key);
        Cut { picture, view: view.sized(side) }
    }
}

/// The faces of the tiles as fractions of the mosaic.
fn tile_faces(tiles: &[Cut]) -> Vec<ViewFace> {
    let place = |(tile, face): (usize, &ViewFace)| {
        let (x, y) = face.rect.centre();
        let (left, top) = ((tile % 2) as f32, (tile / 2) as f32);
        let (width, height) = (face.rect.width() / 2.0, face.rect.height() / 2.0);
        let rect = Rect::around(f32::midpoint(left, x), f32::midpoint(top, y), width, height);
        let half = |[x, y]: [f32; 2]| [f32::midpoint(left, x), f32::midpoint(top, y)];
        let keypoints = face.keypoints.map(|point| point.map(half));
        ViewFace { rect, keypoints, ..*face }
    };
    let all = tiles.iter().enumerate();
    all.flat_map(|(tile, cut)| cut.view.faces.iter().map(move |face| (tile, face)))
        .map(place)
        .collect()
}

/// `[4 N, 3, side, side]` → `[N, 3, 2 side, 2 side]`.
fn join(tiles: &Tensor) -> Tensor {
    let (n, side) = (tiles.size()[0] / TILES as i64, tiles.size()[3]);
    let tiles = tiles.contiguous().view([n, 2, 2, 3, side, side]);
    tiles.permute([0, 3, 1, 4, 2, 5]).reshape([n, 3, 2 * side, 2 * side])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::geometry::Letterbox;
    use crate::model::layout::SHORT;
    use crate::train::views::Source;
    use std::io::Write;

    fn place() -> Place {
        Place::new(&TrainSpec::default(), Device::Cpu, &SHORT)
    }

    /// Pictures of one brightness each, `index × 10`, with a face in the middle.
    fn pictures(count: i64) -> Pictures {
        let file = |side: usize| {
            let mut file = tempfile::tempfile().unwrap();
            for index in 0..count {
                file.write_all(&vec![index as u8 * 10; side * side * 3]).unwrap();
            }
            PictureFile::new(file, side)
        };
        let face = Rect::around(0.5, 0.5, 0.5, 0.5);
        let entry = |_| Entry {
            source: Source {
                content: [0.0, 0.0, 1.0, 1.0].into(),
                faces: vec![face],
                keypoints: Vec::new(),
            },
            faces: vec![face],
            difficulties: Vec::new(),
            letterbox: Letterbox::exact(256, 256, INPUT_SIZE as u32),
            name: String::new(),
            width: 256,
            height: 256,
        };
        Pictures {
            cache: file(256),
            inputs: file(128),
            on_device: None,
            entries: (0..count).map(entry).collect(),
            train: (0..count as usize).collect(),
            val: Vec::new(),
        }
    }

    fn spec(mosaic: f64) -> TrainSpec {
        let mut spec = TrainSpec::default();
        spec.views.mosaic = mosaic;
        (spec.views.scale_min, spec.views.scale_max, spec.views.zoom_on_face) = (1.0, 1.0, 0.0);
        spec.views.rotation_degrees = 0.0;
        spec.colours.brightness = 0.0;
        (spec.colours.contrast, spec.colours.saturation, spec.colours.grey) = (0.0, 0.0, 0.0);
        spec
    }

    #[test]
    fn a_mosaic_shows_four_pictures_at_half_their_size_each_with_its_face() {
        let pictures = pictures(20);
        let (inputs, faces) = cut(&spec(1.0), &pictures, 1, &[7], place());
        let inputs = inputs.first(9);
        assert_eq!(inputs.size(), [1, 3, 128, 128]);
        assert_eq!(faces[0].iter().filter(|face| !face.ignored).count(), 4);
        let shade = |y: i64, x: i64| {
            let value = inputs.double_value(&[0, 0, y, x]);
            ((value + 1.0) * 12.75).round() as i64
        };
        assert_eq!(shade(20, 20), 7, "its own picture comes first");
        let spec = spec(1.0);
        let others = Cutter::new(&spec, &pictures, 1, place()).others(7).unwrap();
        let shown = [shade(20, 100), shade(100, 20), shade(100, 100)];
        assert_eq!(shown, others.map(|other| other as i64));
    }

    #[test]
    fn as_many_views_are_mosaics_as_was_asked_for_and_always_the_same() {
        let pictures = pictures(20);
        let all: Vec<usize> = (0..20).collect();
        let count = |share: f64| {
            let spec = spec(share);
            (1..=50)
                .flat_map(|epoch| all.iter().map(move |&index| (epoch, index)))
                .filter(|&(epoch, index)| {
                    Cutter::new(&spec, &pictures, epoch, place()).others(index).is_some()
                })
                .count()
        };
        assert_eq!((count(0.0), count(1.0)), (0, 1000));
        assert!((250..350).contains(&count(0.3)), "{}", count(0.3));
        let again = || cut(&spec(0.5), &pictures, 3, &all, place());
        let ((first, faces), (second, _)) = (again(), again());
        assert_eq!(first.first(20), second.first(20));
        assert!(faces.concat().len() > 20 && first.count() == 20);
    }
}
