//! Draws a whole picture: a place, the people in it, and things in front of them.

use image::RgbImage;

use super::canvas::{Canvas, rounded};
use super::clutter::{self, IN_ROOMS, ON_BEACHES, ON_WALLS, OUTDOORS, Thing};
use super::dice::Dice;
use super::finish;
use super::head::Drawing;
use super::indoors::{self, scatter};
use super::outdoors;
use super::person::{self, FEET, Person, PersonBody, SHOULDERS};
use super::visibility::{Bounds, Layers, Shape};
use crate::geometry::INPUT_SIZE;

/// A drawn picture and the boxes around its faces, in pixels.
pub(super) struct Scene {
    pub(super) picture: RgbImage,
    pub(super) faces: Vec<Bounds>,
}

/// Who is in the picture, and how they are arranged.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Cast {
    Nobody,
    Portrait,
    Group,
    Crowd,
    Walkers,
    Windows,
}

/// Draws a picture.
pub(super) fn draw(dice: &mut Dice) -> Scene {
    let (width, height) = dice.weighted(&SIZES);
    let mut stage = Stage::new(width, height, dice);
    match dice.weighted(&CASTS) {
        Cast::Nobody => nobody(&mut stage, dice),
        Cast::Portrait => portrait(&mut stage, dice),
        Cast::Group => group(&mut stage, dice),
        Cast::Crowd => crowd(&mut stage, dice),
        Cast::Walkers => walkers(&mut stage, dice),
        Cast::Windows => windows(&mut stage, dice),
    }
    let faces = stage.layers.visible_faces();
    let picture = finish::photograph(stage.canvas.into_image(), dice, stage.drawing.light);
    Scene { picture, faces }
}

const SIZES: [(f32, (u32, u32)); 5] =
    [(5.0, (480, 360)), (2.0, (480, 320)), (1.5, (360, 480)), (1.0, (480, 270)), (1.0, (420, 420))];
const CASTS: [(f32, Cast); 6] = [
    (0.08, Cast::Nobody),
    (0.2, Cast::Portrait),
    (0.25, Cast::Group),
    (0.22, Cast::Crowd),
    (0.18, Cast::Walkers),
    (0.11, Cast::Windows),
];

/// A picture being drawn.
struct Stage {
    canvas: Canvas,
    layers: Layers,
    /// The area that is visible now: the whole picture or a window in it.
    frame: Bounds,
    drawing: Drawing,
}

impl Stage {
    fn new(width: u32, height: u32, dice: &mut Dice) -> Self {
        let frame = Bounds { x0: 0.0, y0: 0.0, x1: width as f32, y1: height as f32 };
        let canvas = Canvas::new(width, height);
        Self { canvas, layers: Layers::default(), frame, drawing: Drawing::random(dice) }
    }

    /// Returns the size of a pixel of the network's input, in pixels of the picture.
    fn pixel(&self) -> f32 {
        let (w, h) = self.canvas.size();
        w.max(h) / INPUT_SIZE as f32
    }

    /// Returns the place that is farthest from all existing faces, relative to the size of the faces.
    fn free_place(&self, places: &[(f32, f32)], size: f32) -> (f32, f32) {
        let room = |&(x, y): &(f32, f32)| {
            let distance = |b: Bounds| {
                let (dx, dy) = (x - f32::midpoint(b.x0, b.x1), y - f32::midpoint(b.y0, b.y1));
                dx.hypot(dy) / (size + b.height() / 2.0)
            };
            self.layers.faces().map(distance).fold(f32::INFINITY, f32::min)
        };
        *places.iter().max_by(|a, b| room(a).total_cmp(&room(b))).unwrap_or(&(0.0, 0.0))
    }

    /// Draws a random person with the middle of the face at `(x, y)`; `size` is half the face's height. Draws nobody
    /// if that would leave another face half hidden.
    fn person(&mut self, dice: &mut Dice, (x, y): (f32, f32), size: f32, body: PersonBody) {
        let person = Person::random(dice, self.drawing);
        let (degrees, look) = (person.tilt, &person.look);
        let (head_rx, head_ry) = look.silhouette();
        let head = Shape::Ellipse { x, y, rx: head_rx * size, ry: head_ry * size, degrees };
        let half = SHOULDERS * size * 0.85;
        let foot = if body == PersonBody::Standing { y + FEET * size } else { self.frame.y1 };
        let torso = Bounds { x0: x - half, y0: y + 1.5 * size, x1: x + half, y1: foot };
        if self.layers.would_half_hide([head, Shape::Box(torso)], self.frame) {
            return;
        }
        self.canvas.placed((x, y), 0.0, (size, size), |canvas| {
            person::draw(canvas, &person, body, size > FINE_FROM);
        });
        let (fx, fy, rx, ry) = look.face_ellipse();
        let (sin, cos) = degrees.to_radians().sin_cos();
        let (x, y) = (x + (fx * cos - fy * sin) * size, y + (fx * sin + fy * cos) * size);
        let face = Shape::Ellipse { x, y, rx: rx * size, ry: ry * size, degrees };
        self.layers.hide(head, self.frame);
        self.layers.hide(Shape::Box(torso), self.frame);
        self.layers.face(face, self.frame);
    }

    /// Draws only inside the rectangle `[x, y, w, h]`, such as a window.
    fn framed(&mut self, [x, y, w, h]: [f32; 4], draw: impl FnOnce(&mut Self)) {
        let picture =
            std::mem::replace(&mut self.frame, Bounds { x0: x, y0: y, x1: x + w, y1: y + h });
        let clip = self.canvas.clip(&rounded([x, y, w, h], 0.0));
        draw(self);
        self.canvas.unclip(clip);
        self.frame = picture;
    }

    /// Draws a thing in front of everything drawn so far.
    fn thing(&mut self, dice: &mut Dice, at: (f32, f32), radius: f32, thing: Thing) {
        self.canvas.placed(at, 0.0, (radius, radius), |canvas| clutter::draw(canvas, dice, thing));
        let r = radius * 0.95;
        let shape = Shape::Ellipse { x: at.0, y: at.1, rx: r, ry: r, degrees: 0.0 };
        self.layers.hide(shape, self.frame);
    }

    fn raised_hand(&mut self, dice: &mut Dice, (x, y): (f32, f32), size: f32) {
        self.canvas.placed((x, y), 0.0, (size, size), |canvas| {
            person::draw_raised_hand(canvas, dice);
        });
        let half = 0.35 * size;
        let arm = Bounds { x0: x - half, y0: y - 0.3 * size, x1: x + half, y1: self.frame.y1 };
        self.layers.hide(Shape::Box(arm), self.frame);
    }
}

/// Heads with a half height above this, in pixels, are drawn in full detail.
const FINE_FROM: f32 = 7.0;

/// Draws a background for people who are cut off by the picture's lower edge. Returns the things that belong there.
fn somewhere(stage: &mut Stage, dice: &mut Dice) -> &'static [Thing] {
    let canvas = &mut stage.canvas;
    match dice.whole(0, 7) {
        0 | 1 => indoors::room(canvas, dice),
        2 => indoors::bricks(canvas, dice),
        3 => indoors::stage(canvas, dice),
        4 => indoors::studio(canvas, dice),
        5 => {
            outdoors::park(canvas, dice);
            return &OUTDOORS;
        }
        6 => {
            outdoors::street(canvas, dice);
            return &OUTDOORS;
        }
        _ => {
            outdoors::beach(canvas, dice);
            return &ON_BEACHES;
        }
    }
    if dice.chance(0.5) { &IN_ROOMS } else { &ON_WALLS }
}

fn nobody(stage: &mut Stage, dice: &mut Dice) {
    let things = somewhere(stage, dice);
    // Only things that hang on walls belong high up.
    let top = if things == ON_WALLS { 0.1 } else { 0.5 };
    scatter(&mut stage.canvas, dice, things, (top, 0.92), 9);
    let (w, h) = stage.canvas.size();
    for _ in 0..dice.whole(1, 3) {
        let at = (dice.between(0.1, 0.9) * w, dice.between(top.max(0.3), 0.8) * h);
        let (radius, thing) = (dice.log_between(0.06, 0.2) * h, dice.pick(things));
        stage.thing(dice, at, radius, thing);
    }
}

/// Draws one or two people close up.
fn portrait(stage: &mut Stage, dice: &mut Dice) {
    somewhere(stage, dice);
    let (w, h) = stage.canvas.size();
    let count = if dice.chance(0.45) { 2 } else { 1 };
    for i in 0..count {
        let size = h.min(w) * dice.log_between(0.13, 0.28);
        let x = w * ((i as f32 + 0.5) / count as f32 + dice.wobble(0.14));
        let y = (h * 0.5 + dice.wobble(h * 0.16)).max(size * 0.9);
        stage.person(dice, (x, y), size, PersonBody::Bust);
    }
    in_the_way(stage, dice);
}

/// Draws one or two rows of people, side by side.
fn group(stage: &mut Stage, dice: &mut Dice) {
    somewhere(stage, dice);
    let (w, h) = stage.canvas.size();
    let (rows, most) = (dice.whole(1, 2), dice.whole(2, 4));
    let size = (w / most as f32 * dice.between(0.24, 0.36)).min(h * 0.17);
    for row in 0..rows {
        let count = most - dice.whole(0, 1);
        let y =
            h * 0.5 + size * (2.8 * row as f32 - 1.4 * (rows - 1) as f32) + dice.wobble(h * 0.08);
        for i in 0..count {
            let size = size * dice.between(0.85, 1.1) * (1.0 + 0.12 * row as f32);
            let x = w * (i as f32 + 0.5) / count as f32 + dice.wobble(size * 0.4);
            let at = (x, y + dice.wobble(size * 0.4));
            stage.person(dice, at, size, PersonBody::Bust);
        }
    }
    in_the_way(stage, dice);
}

/// Draws many people in rows, one row in front of another.
fn crowd(stage: &mut Stage, dice: &mut Dice) {
    let canvas = &mut stage.canvas;
    let body = match dice.whole(0, 4) {
        0 => {
            indoors::stage(canvas, dice);
            PersonBody::Bust
        }
        1 => {
            outdoors::stadium(canvas, dice);
            PersonBody::Bust
        }
        2 => {
            indoors::studio(canvas, dice);
            PersonBody::Standing
        }
        3 => {
            outdoors::street(canvas, dice);
            PersonBody::Standing
        }
        _ => {
            outdoors::park(canvas, dice);
            PersonBody::Standing
        }
    };
    let (w, h) = stage.canvas.size();
    for (y, size, spacing) in rows_of(dice, stage.pixel(), h) {
        let mut x = size + dice.between(0.0, 0.8) * spacing;
        while x < w - size {
            let at = (x + dice.wobble(spacing * 0.15), y + dice.wobble(size * 0.4));
            if dice.chance(0.85) {
                let size = size * dice.between(0.88, 1.12);
                stage.person(dice, at, size, body);
            }
            x += spacing;
        }
        if dice.chance(0.15) {
            let x = dice.between(0.0, w);
            stage.raised_hand(dice, (x, y), size);
        }
    }
    in_the_way(stage, dice);
}

/// Returns the y position, head size and spacing of each row of a crowd, from back to front.
fn rows_of(dice: &mut Dice, pixel: f32, h: f32) -> Vec<(f32, f32, f32)> {
    let (back, front) = (h * dice.between(0.2, 0.3), h * dice.between(0.75, 0.9));
    let (rows, growth) = (dice.whole(2, 3), dice.between(1.05, 1.3));
    let nearest = pixel * dice.log_between(9.0, 14.0);
    let spacing = dice.between(2.6, 3.8);
    let row = |i: u32| {
        let size = (nearest / growth.powi((rows - 1 - i) as i32)).max(SMALLEST * pixel);
        (back + (front - back) * i as f32 / (rows - 1) as f32, size, size * spacing)
    };
    (0..rows).map(row).collect()
}

/// Half the height of the smallest faces, in pixels of the network's input. The network can learn to detect these
/// faces.
const SMALLEST: f32 = 7.0;

/// Draws people here and there on the ground, smaller in the distance.
fn walkers(stage: &mut Stage, dice: &mut Dice) {
    let canvas = &mut stage.canvas;
    let horizon = match dice.whole(0, 2) {
        0 => outdoors::park(canvas, dice),
        1 => outdoors::street(canvas, dice),
        _ => outdoors::beach(canvas, dice),
    };
    let (w, h) = stage.canvas.size();
    // A person's height is proportional to the distance from the horizon down to the feet, as in perspective.
    let eye_level = dice.between(1.1, 1.6);
    let count = dice.whole(2, 5);
    let mut feet: Vec<f32> = (0..count).map(|_| horizon + h * dice.log_between(0.5, 1.1)).collect();
    feet.sort_by(f32::total_cmp);
    for foot in feet {
        let size = (foot - horizon) * eye_level / (FEET + 1.0);
        let size = size.max(SMALLEST * stage.pixel());
        let places = [(); 16].map(|()| (dice.between(0.1, 0.9) * w, foot - FEET * size));
        let at = stage.free_place(&places, size);
        stage.person(dice, at, size, PersonBody::Standing);
    }
    in_the_way(stage, dice);
}

/// Draws people who look out of the windows of a house.
fn windows(stage: &mut Stage, dice: &mut Dice) {
    for [x, y, w, h] in indoors::facade(&mut stage.canvas, dice) {
        if dice.chance(0.35) {
            continue;
        }
        let size = w.min(h) * dice.log_between(0.3, 0.42);
        let at = (x + w * dice.between(0.4, 0.6), y + h * dice.between(0.45, 0.6));
        stage.framed([x, y, w, h], |stage| stage.person(dice, at, size, PersonBody::Bust));
    }
    in_the_way(stage, dice);
}

/// Sometimes draws one or two things in front of everything else.
fn in_the_way(stage: &mut Stage, dice: &mut Dice) {
    if dice.chance(0.75) {
        return;
    }
    let (w, h) = stage.canvas.size();
    for _ in 0..dice.whole(1, 2) {
        let thing =
            dice.pick(&[Thing::Balloon, Thing::Balloon, Thing::Plant, Thing::Flower, Thing::Ball]);
        let at = (dice.between(0.0, w), h * dice.between(0.35, 0.95));
        let radius = h * dice.log_between(0.03, 0.12);
        stage.thing(dice, at, radius, thing);
    }
}
