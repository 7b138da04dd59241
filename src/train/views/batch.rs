//! A training batch: views and the faces in them.

use rand::RngExt;
use rayon::prelude::*;

use super::native;
use super::pictures::{Entry, Pictures, unreadable};
use super::{View, ViewFace, rng};
use crate::data::PictureFile;
use crate::geometry::Rect;
use crate::model::native::Inputs;
use crate::protocol::train_spec::TrainSpec;

/// Number of tiles in a mosaic. Tiles are ordered row by row.
const TILES: usize = 4;
/// Offset that each tile adds to the epoch in its random key. No job has this many epochs, so keys never collide.
const TILE_EPOCHS: u32 = 1 << 14;

/// A view and the picture that it shows.
#[derive(Debug, Clone)]
pub(in crate::train) struct Cut {
    pub(in crate::train) picture: usize,
    pub(in crate::train) view: View,
}

/// How much of the rendering happens on the CPU before an engine gets a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendering {
    /// Renders the views, for the native kernels.
    Native,
    /// Reads the squares from which libtorch renders the views.
    Squares,
    /// Does nothing, because the squares are already on the device.
    OnDevice,
}

/// The prepared pixels of a batch.
#[derive(Debug)]
pub enum Pixels {
    /// The rendered views.
    Native(Inputs),
    /// The squares of the single views and the squares of the tiles, each `[K, 256, 256, 3]` bytes.
    Squares([Vec<u8>; 2]),
    /// No pixels; the squares are already on the device.
    OnDevice,
}

/// Views and the faces in them. Single views come first, then mosaics.
#[derive(Debug)]
#[cfg_attr(not(feature = "torch"), expect(dead_code, reason = "only libtorch uses the cuts"))]
pub struct Batch {
    /// Single views, each of one picture.
    pub(in crate::train) singles: Vec<Cut>,
    /// The tiles of the mosaics, four per mosaic.
    pub(in crate::train) tiles: Vec<Cut>,
    /// The faces in each view.
    pub faces: Vec<Vec<ViewFace>>,
    /// The pixels of all views.
    pub pixels: Pixels,
}

/// Cuts an epoch's views. It can be copied to any thread.
#[derive(Debug, Clone, Copy)]
pub struct Cutter<'a> {
    spec: &'a TrainSpec,
    cache: &'a PictureFile,
    entries: &'a [Entry],
    train: &'a [usize],
    epoch: u32,
    /// Side of the network's input, in pixels.
    side: usize,
    rendering: Rendering,
}

impl<'a> Cutter<'a> {
    /// Creates a cutter for one epoch.
    ///
    /// * `side`: side of the network's input, in pixels.
    pub fn new(
        spec: &'a TrainSpec,
        pictures: &'a Pictures,
        epoch: u32,
        side: usize,
        rendering: Rendering,
    ) -> Self {
        let Pictures { cache, entries, train, .. } = pictures;
        Self { spec, cache, entries, train, epoch, side, rendering }
    }

    /// Cuts one view per picture: either of the picture alone, or a mosaic of the picture and three others.
    ///
    /// # Panics
    ///
    /// If the data set can no longer be read.
    pub fn cut(&self, indices: &[usize]) -> Batch {
        let drawn: Vec<Vec<Cut>> = indices.par_iter().map(|&index| self.draw(index)).collect();
        let (singles, tiles): (Vec<_>, Vec<_>) =
            drawn.into_iter().partition(|cuts| cuts.len() == 1);
        let (singles, tiles) = (singles.concat(), tiles.concat());
        let alone = singles.iter().map(|cut| cut.view.faces.clone());
        let faces = alone.chain(tiles.chunks(TILES).map(tile_faces)).collect();
        let pixels = match self.rendering {
            Rendering::Native => Pixels::Native(self.render(&singles, &tiles)),
            Rendering::Squares => {
                Pixels::Squares([&singles, &tiles].map(|cuts| self.squares(cuts)))
            }
            Rendering::OnDevice => Pixels::OnDevice,
        };
        Batch { singles, tiles, faces, pixels }
    }

    /// Renders views in parallel. Mosaics come last.
    fn render(&self, singles: &[Cut], tiles: &[Cut]) -> Inputs {
        let views: Vec<&[Cut]> = singles.chunks(1).chain(tiles.chunks(TILES)).collect();
        let mut inputs = Inputs::zeros(views.len());
        let all: Vec<_> = inputs.pictures_mut().zip(views).collect();
        all.into_par_iter().for_each(|(mut input, cuts)| {
            let (mut square, mut room) = (vec![0; self.cache.stride()], Vec::new());
            for (tile, cut) in cuts.iter().enumerate() {
                self.cache.read(cut.picture, &mut square).unwrap_or_else(unreadable);
                let side = cut.view.side();
                let corner = (tile % 2 * side, tile / 2 * side);
                native::render(&square, &cut.view, &mut input, corner, &mut room);
            }
        });
        inputs
    }

    fn squares(&self, cuts: &[Cut]) -> Vec<u8> {
        let indices: Vec<usize> = cuts.iter().map(|cut| cut.picture).collect();
        self.cache.read_all(&indices).unwrap_or_else(unreadable)
    }

    /// Draws a random view of the picture alone, or the four tiles of a mosaic.
    fn draw(&self, picture: usize) -> Vec<Cut> {
        let (side, min_face_px) = (self.side, self.spec.loss.min_face_px);
        match self.others(picture) {
            None => vec![self.view(picture, 0, min_face_px, side)],
            Some([b, c, d]) => {
                // A tile is rendered at half size, so the minimum face size at full size is twice as large.
                let tile = |(at, picture)| self.view(picture, at, 2.0 * min_face_px, side / 2);
                (0u32..).zip([picture, b, c, d]).map(tile).collect()
            }
        }
    }

    /// Returns the three pictures that share a mosaic with this picture, or `None` if its view is not a mosaic.
    fn others(&self, picture: usize) -> Option<[usize; 3]> {
        let mosaics = self.epoch + TILES as u32 * TILE_EPOCHS + 1;
        let mut rng = rng((self.spec.seed, mosaics, picture));
        let is_mosaic = rng.random::<f64>() < self.spec.views.mosaic;
        let mut any = || self.train[rng.random_range(0..self.train.len())];
        is_mosaic.then(|| [any(), any(), any()])
    }

    fn view(&self, picture: usize, tile: u32, min_face_px: f64, side: usize) -> Cut {
        let TrainSpec { views, colours, seed, .. } = self.spec;
        let key = (*seed, self.epoch + tile * TILE_EPOCHS, picture);
        let view = View::draw(&self.entries[picture].source, views, colours, min_face_px, key);
        Cut { picture, view: view.sized(side) }
    }
}

/// Returns the faces of a mosaic's tiles, as fractions of the mosaic.
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

#[cfg(test)]
mod tests {
    use super::super::Source;
    use super::*;
    use crate::geometry::Letterbox;
    use crate::model::layout::INPUT_SIZE;
    use std::io::Write;

    /// Creates pictures with a face in the centre. Every byte of a picture is `index × 10`.
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
            difficulties: Vec::new(),
            letterbox: Letterbox::exact(256, 256, INPUT_SIZE as u32),
            name: String::new(),
            width: 256,
            height: 256,
        };
        Pictures {
            cache: file(256),
            inputs: file(128),
            entries: (0..count).map(entry).collect(),
            train: (0..count as usize).collect(),
            val: Vec::new(),
            test: Vec::new(),
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

    fn cutter<'a>(spec: &'a TrainSpec, pictures: &'a Pictures, epoch: u32) -> Cutter<'a> {
        Cutter::new(spec, pictures, epoch, INPUT_SIZE, Rendering::Native)
    }

    fn inputs(batch: &Batch) -> &Inputs {
        let Pixels::Native(inputs) = &batch.pixels else { panic!("not rendered") };
        inputs
    }

    #[test]
    fn a_mosaic_shows_four_pictures_at_half_size_with_their_faces() {
        let (pictures, spec) = (pictures(20), spec(1.0));
        let cutter = cutter(&spec, &pictures, 1);
        let batch = cutter.cut(&[7]);
        let inputs = inputs(&batch);
        assert_eq!(inputs.count(), 1);
        assert_eq!(batch.faces[0].iter().filter(|face| !face.ignored).count(), 4);
        let shade = |y: usize, x: usize| {
            let value = inputs.row(0, y)[x * 3];
            ((value + 1.0) * 12.75).round() as usize
        };
        assert_eq!(shade(20, 20), 7, "the given picture comes first");
        let others = cutter.others(7).unwrap();
        assert_eq!([shade(20, 100), shade(100, 20), shade(100, 100)], others);
    }

    #[test]
    fn the_share_of_mosaics_matches_the_spec_and_views_are_reproducible() {
        let pictures = pictures(20);
        let all: Vec<usize> = (0..20).collect();
        let count = |share: f64| {
            let spec = spec(share);
            (1..=50)
                .flat_map(|epoch| all.iter().map(move |&index| (epoch, index)))
                .filter(|&(epoch, index)| cutter(&spec, &pictures, epoch).others(index).is_some())
                .count()
        };
        assert_eq!((count(0.0), count(1.0)), (0, 1000));
        assert!((250..350).contains(&count(0.3)), "{}", count(0.3));
        let again = || cutter(&spec(0.5), &pictures, 3).cut(&all);
        let (first, second) = (again(), again());
        assert!(first.faces.concat().len() > 20 && inputs(&first).count() == 20);
        for view in 0..20 {
            for y in 0..INPUT_SIZE {
                assert_eq!(inputs(&first).row(view, y), inputs(&second).row(view, y));
            }
        }
    }
}
