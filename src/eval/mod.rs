//! Runs detection and measures its quality.

pub mod average_precision;
pub mod calibration;
pub mod coco;
pub mod detect;
pub mod difficulty;
pub mod matching;
pub mod overlay;
pub mod report;
pub mod suppression;
