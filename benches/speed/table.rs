//! The table of results.

use std::fmt;

use serde_json::{Value, json};

/// Measured rows, each printed as soon as it is added.
#[derive(Default)]
pub(crate) struct Table {
    rows: Vec<Row>,
}

struct Row {
    what: String,
    ours: f64,
    unit: &'static str,
    /// What it is compared with, and the value of that in the same unit.
    other: Option<(String, f64)>,
}

impl Table {
    pub(crate) fn add(&mut self, what: impl Into<String>, ours: f64, unit: &'static str) {
        self.compare(what, ours, unit, "", None);
    }

    /// Adds a row with a comparison, or without one if `theirs` is `None`.
    pub(crate) fn compare(
        &mut self,
        what: impl Into<String>,
        ours: f64,
        unit: &'static str,
        other: &str,
        theirs: Option<f64>,
    ) {
        let other = theirs.map(|theirs| (other.to_owned(), theirs));
        let row = Row { what: what.into(), ours, unit, other };
        println!("{row}");
        self.rows.push(row);
    }

    pub(crate) fn to_json(&self) -> Value {
        let row = |row: &Row| {
            let (other, theirs) = row.other.clone().unzip();
            let ratio = theirs.map(|theirs| row.ours / theirs);
            json!({"what": row.what, "ours": row.ours, "unit": row.unit, "other": other, "theirs": theirs, "ratio": ratio})
        };
        self.rows.iter().map(row).collect()
    }
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, ours, unit, other } = self;
        write!(f, "{what:44} {:>9} {unit:10}", short(*ours))?;
        match other {
            Some((name, theirs)) => {
                write!(f, "  {name}: {} (× {:.2})", short(*theirs), ours / theirs)
            }
            None => Ok(()),
        }
    }
}

fn short(value: f64) -> String {
    if value.abs() < 100.0 { format!("{value:.2}") } else { format!("{value:.0}") }
}
