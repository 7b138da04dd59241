//! A region of Label Studio: a shape in per cent of its picture.

use serde_json::Value;

use crate::data::labels::shapes::{
    Corners, ShapeOutline, around, ellipse, plausible, rectangle, turned,
};

/// Returns the size of the picture that a region was drawn on.
pub(super) fn size(region: &Value) -> Option<[f32; 2]> {
    let size = ["original_width", "original_height"].map(|key| region[key].as_f64());
    let [Some(width), Some(height)] = size else { return None };
    (width > 0.0 && height > 0.0).then_some([width as f32, height as f32])
}

/// Returns the first label of a region: `rectanglelabels`, `labels` and so on.
pub(super) fn label(region: &Value) -> String {
    let fields = value(region).as_object().into_iter().flatten();
    let mut lists =
        fields.filter(|(key, _)| key.ends_with("labels")).filter_map(|(_, list)| list.as_array());
    let first = lists.find_map(|list| list.first()?.as_str());
    first.unwrap_or_default().to_owned()
}

/// Returns a region's outline in fractions of the picture; `None` if it is no shape but a choice, for example.
pub(super) fn outline(region: &Value) -> Option<Result<ShapeOutline, String>> {
    let has = |key: &str| value(region).get(key).is_some();
    let corners = match () {
        () if has("points") => polygon(region),
        () if has("radiusX") => oval(region),
        () if has("rle") => Err("it is a mask drawn with a brush, not a box".to_owned()),
        () if has("width") && has("height") => square(region),
        () if has("x") && has("y") => {
            let point = upright(region).and_then(|()| numbers(region, ["x", "y"]));
            let point = point.and_then(|[x, y]| plausible([x / 100.0, y / 100.0]));
            return Some(point.map(ShapeOutline::Point));
        }
        () => return None,
    };
    Some(upright(region).and(corners).map(ShapeOutline::Box))
}

/// JSON-MIN has no `value` around the fields.
fn value(region: &Value) -> &Value {
    region.get("value").unwrap_or(region)
}

/// Refuses regions of a picture that was turned in the editor: their numbers refer to the turned one.
fn upright(region: &Value) -> Result<(), String> {
    match region["image_rotation"].as_f64() {
        Some(degrees) if degrees != 0.0 => Err(format!(
            "it was drawn on a picture that was turned by {degrees} degrees in Label Studio; turn the picture's file, \
            and draw it again"
        )),
        _ => Ok(()),
    }
}

fn polygon(region: &Value) -> Result<Corners, String> {
    let points = value(region)["points"].as_array().map(Vec::as_slice).unwrap_or_default();
    let points: Option<Vec<[f32; 2]>> = points
        .iter()
        .map(|point| Some([percent(point.get(0)?)?, percent(point.get(1)?)?]))
        .collect();
    around(points.ok_or("its points are not pairs of numbers")?)
}

fn percent(value: &Value) -> Option<f32> {
    Some(value.as_f64()? as f32 / 100.0)
}

fn square(region: &Value) -> Result<Corners, String> {
    let [x, y, width, height] = numbers(region, ["x", "y", "width", "height"])?;
    if width <= 0.0 || height <= 0.0 {
        return Err(format!("the box {x},{y},{width},{height} has no width or height"));
    }
    let (degrees, [scale_x, scale_y]) = rotation(region)?;
    let corners =
        rectangle([x * scale_x, y * scale_y, (x + width) * scale_x, (y + height) * scale_y]);
    // Label Studio turns a rectangle around its left upper corner.
    let turned = if degrees == 0.0 { corners } else { turned(corners, corners[0], degrees) };
    around(turned.map(|[x, y]| [x / scale_x / 100.0, y / scale_y / 100.0]))
}

fn oval(region: &Value) -> Result<Corners, String> {
    let [x, y, a, b] = numbers(region, ["x", "y", "radiusX", "radiusY"])?;
    let (degrees, [scale_x, scale_y]) = rotation(region)?;
    let corners = ellipse([x * scale_x, y * scale_y], [a * scale_x, b * scale_y], degrees);
    around(corners.map(|[x, y]| [x / scale_x / 100.0, y / scale_y / 100.0]))
}

/// Returns how far a shape is turned, and how long a per cent is along x and y; only their ratio matters.
fn rotation(region: &Value) -> Result<(f32, [f32; 2]), String> {
    let degrees = value(region)["rotation"].as_f64().unwrap_or_default() as f32;
    match size(region) {
        Some(size) => Ok((degrees, size)),
        None if degrees == 0.0 => Ok((degrees, [1.0; 2])),
        None => Err("it is turned, but original_width and original_height are missing".to_owned()),
    }
}

fn numbers<const N: usize>(region: &Value, keys: [&str; N]) -> Result<[f32; N], String> {
    let mut numbers = [0.0; N];
    for (number, key) in numbers.iter_mut().zip(keys) {
        let value = &value(region)[key];
        let read = value.as_f64().ok_or_else(|| match value {
            Value::Null => format!("its {key} is missing"),
            _ => format!("its {key} is not a number"),
        });
        *number = read? as f32;
    }
    Ok(numbers)
}
