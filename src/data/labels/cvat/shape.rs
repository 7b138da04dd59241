//! A shape of CVAT's: an element with attributes.

use std::collections::BTreeMap;

use quick_xml::XmlVersion;
use quick_xml::events::BytesStart;

use crate::data::labels::shapes::{ShapeOutline, around, ellipse, plausible, rectangle, turned};

/// The attributes of an element.
pub(super) struct Attributes(pub(super) BTreeMap<String, String>);

impl Attributes {
    pub(super) fn of(element: &BytesStart<'_>) -> Result<Self, String> {
        let mut all = BTreeMap::new();
        for attribute in element.attributes() {
            let attribute = attribute.map_err(|error| error.to_string())?;
            let value = attribute.normalized_value(XmlVersion::Implicit1_0);
            let value = value.map_err(|error| error.to_string())?.into_owned();
            all.insert(attribute.key.as_ref().to_owned(), value);
        }
        Ok(Self(all))
    }

    pub(super) fn text(&self, name: &str) -> Result<&str, String> {
        let text = self.0.get(name).map(|text| text.trim());
        text.filter(|text| !text.is_empty()).ok_or_else(|| format!("{name} is missing"))
    }

    pub(super) fn number(&self, name: &str) -> Result<f32, String> {
        let text = self.text(name)?;
        text.parse().map_err(|_| format!("{name} is {text:?}, not a number"))
    }

    fn numbers<const N: usize>(&self, names: [&str; N]) -> Result<[f32; N], String> {
        let mut numbers = [0.0; N];
        for (number, name) in numbers.iter_mut().zip(names) {
            *number = self.number(name)?;
        }
        Ok(numbers)
    }

    pub(super) fn frame(&self) -> Result<u64, String> {
        let text = self.text("frame")?;
        text.parse().map_err(|_| format!("frame is {text:?}, not the number of a frame"))
    }

    /// Reads `points`, such as `1.5,2;3,4`.
    fn points(&self) -> Result<Vec<[f32; 2]>, String> {
        let point = |text: &str| {
            let (x, y) = text.split_once(',')?;
            Some([x.trim().parse().ok()?, y.trim().parse().ok()?])
        };
        let texts = self.text("points")?.split(';');
        texts.map(|text| point(text).ok_or_else(|| format!("{text:?} is not a point"))).collect()
    }
}

/// Returns the outline of a shape, by the name of its element.
pub(super) fn outline(kind: &str, attributes: &Attributes) -> Result<ShapeOutline, String> {
    let rotation = || {
        if attributes.0.contains_key("rotation") { attributes.number("rotation") } else { Ok(0.0) }
    };
    let corners = match kind {
        "box" => {
            let corners = attributes.numbers(["xtl", "ytl", "xbr", "ybr"])?;
            let [left, top, right, bottom] = corners;
            let centre = [f32::midpoint(left, right), f32::midpoint(top, bottom)];
            match rotation()? {
                0.0 if right > left && bottom > top => around([[left, top], [right, bottom]]),
                0.0 => Err(format!("the box {left},{top},{right},{bottom} has no width or height")),
                degrees => around(turned(rectangle(corners), centre, degrees)),
            }
        }
        "polygon" | "polyline" => around(attributes.points()?),
        "points" => {
            let points = attributes.points()?;
            let &[point] = &points[..] else {
                return Err(format!("it is a set of {} points, not a box", points.len()));
            };
            return plausible(point).map(ShapeOutline::Point);
        }
        "ellipse" => {
            let [x, y, a, b] = attributes.numbers(["cx", "cy", "rx", "ry"])?;
            around(ellipse([x, y], [a, b], rotation()?))
        }
        "mask" => {
            let [left, top, width, height] =
                attributes.numbers(["left", "top", "width", "height"])?;
            around([[left, top], [left + width, top + height]])
        }
        other => Err(format!("it is a {other}, not a box")),
    };
    corners.map(ShapeOutline::Box)
}
