//! Decides whether a table's numbers are pixels or fractions of the picture.

use super::format::Unread;
use super::{Face, LabelOptions, Row, Units};

/// Values up to this count as fractions, since boxes may extend slightly beyond the edge.
const LARGEST_FRACTION: f32 = 1.5;

/// Returns the unit of a table's boxes: fractions if no value exceeds [`LARGEST_FRACTION`].
pub(super) fn units(
    rows: &[Row],
    options: &LabelOptions,
    names: &[String; 4],
) -> Result<Units, Unread> {
    if let Some(units) = options.units {
        return Ok(units);
    }
    let boxes = || {
        rows.iter().filter_map(|row| match row.face {
            Face::At(numbers) => Some((row.number, numbers)),
            _ => None,
        })
    };
    let is_small = |numbers: &[f32; 4]| numbers.iter().all(|value| value.abs() <= LARGEST_FRACTION);
    let (all, small) = (boxes().count(), boxes().filter(|(_, numbers)| is_small(numbers)).count());
    if all == 0 || small == 0 {
        return Ok(Units::Pixels);
    }
    if small == all {
        return Ok(Units::Fractions);
    }
    let most = if small * 2 > all { Units::Fractions } else { Units::Pixels };
    // A box of small whole numbers, such as `0,0,1,1`, may well be in pixels.
    let is_odd = |numbers: &[f32; 4]| match most {
        Units::Fractions => !is_small(numbers),
        Units::Pixels => {
            is_small(numbers)
                && numbers.iter().any(|value| value.fract() != 0.0 && value.abs() < 1.0)
        }
    };
    let odd = boxes().find(|(_, numbers)| is_odd(numbers));
    match odd {
        // A box in pixels is rarely smaller than a pixel.
        Some((row, numbers))
            if most == Units::Fractions || numbers[2] < 1.0 && numbers[3] < 1.0 =>
        {
            let pairs = names.iter().zip(numbers).map(|(name, value)| format!("{name}={value}"));
            Err(Unread::MixedUnits { row, values: pairs.collect::<Vec<_>>().join(", "), most })
        }
        _ => Ok(Units::Pixels),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::labels::csv_table;

    #[test]
    fn a_table_of_small_numbers_holds_fractions_and_a_mixed_one_is_refused() {
        let table = |rows: &str| {
            let text = format!("image_path,x1,y1,x2,y2\n{rows}");
            csv_table(text.as_bytes(), &LabelOptions::default())
        };
        assert_eq!(
            table("a.jpg,0.1,0.2,0.3,0.4\nb.jpg,-0.1,0,1,1.2\n").unwrap().units,
            Units::Fractions
        );
        assert_eq!(table("a.jpg,10,20,30,40\nb.jpg,0,0,1,1\n").unwrap().units, Units::Pixels);
        let mixed = table("a.jpg,10,20,30,40\nb.jpg,10,20,30,40\nc.jpg,0.31,0.22,0.5,0.6\n");
        let values = "x1=0.31, y1=0.22, x2=0.5, y2=0.6".to_owned();
        assert_eq!(mixed.unwrap_err(), Unread::MixedUnits { row: 4, values, most: Units::Pixels });
        let stated = LabelOptions { units: Some(Units::Pixels), ..LabelOptions::default() };
        let text = b"image_path,x1,y1,x2,y2\na.jpg,0.1,0.2,0.3,0.4\n";
        assert_eq!(csv_table(text, &stated).unwrap().units, Units::Pixels);
    }
}
