//! Formats the report as aligned text.

use std::fmt::Write as _;

use blazetune::eval::report::{EvaluationReport, SizeRow};
use blazetune::protocol::evaluate_spec::SplitChoice;
use blazetune::train::evaluation::Evaluation;

/// A line of the table: a label and one figure per model.
struct Row {
    label: String,
    values: Vec<Option<f64>>,
}

/// Formats the report. Two models are shown side by side, with the second one's gain.
pub(super) fn table(dataset: &str, split: SplitChoice, models: &[Evaluation]) -> String {
    let first = &models[0].report;
    let mut text = format!("data set  {dataset}, {split}: ");
    let _ = writeln!(text, "{} pictures, {} faces", first.pictures, first.faces);
    for (title, model) in TITLES.iter().zip(models) {
        let _ = writeln!(text, "{title:<8}  {}", model.name);
    }
    let sections = [
        ("Average precision by overlap (IoU)", by_overlap(models)),
        (
            "AP at IoU 0.5 by minimum face size (px of the 128-px input)",
            sizes(models, |r| &r.by_min_size),
        ),
        ("AP at IoU 0.5 by face size (px of the 128-px input)", sizes(models, |r| &r.by_size)),
        ("AP at IoU 0.5 by WIDER FACE's difficulty", by_difficulty(models)),
        ("AP at IoU 0.5 by folder", by_folder(models)),
        ("At IoU 0.5 and a score threshold", by_threshold(models)),
        ("Scores and keypoints", rest(models)),
    ];
    let width = sections.iter().flat_map(|(_, rows)| rows).map(|row| row.label.chars().count());
    let width = width.max().unwrap_or(0);
    for (title, rows) in sections.into_iter().filter(|(_, rows)| !rows.is_empty()) {
        let _ = write!(text, "\n{title}\n  {:width$}", "");
        for title in TITLES.iter().take(models.len()) {
            let _ = write!(text, "  {title:>8}");
        }
        text.push_str(if models.len() == 2 { "    change\n" } else { "\n" });
        for row in rows {
            let _ = writeln!(text, "  {}", line(&row, width));
        }
    }
    text.push_str(&advice(models));
    text.push_str(&worst(models));
    text
}

const TITLES: [&str; 2] = ["model", "compare"];
const WORST: usize = 5;

fn line(row: &Row, width: usize) -> String {
    let mut line = format!("{:width$}", row.label);
    for value in &row.values {
        let _ = match value {
            Some(value) => write!(line, "  {value:>8.3}"),
            None => write!(line, "  {:>8}", "-"),
        };
    }
    if let [Some(first), Some(second)] = row.values[..] {
        let _ = write!(line, "  {:>+8.3}", second - first);
    }
    line
}

fn row(
    label: impl Into<String>,
    models: &[Evaluation],
    of: impl Fn(&EvaluationReport) -> Option<f64>,
) -> Row {
    let values = models.iter().map(|model| of(&model.report)).collect();
    Row { label: label.into(), values }
}

fn by_overlap(models: &[Evaluation]) -> Vec<Row> {
    let ious = models[0].report.average_precision.iter().enumerate();
    let at_iou = ious.map(|(index, at)| {
        row(format!("{:.2}", at.iou), models, |report| report.average_precision[index].ap)
    });
    std::iter::once(row("mean of 0.50 to 0.95", models, |report| report.ap50_95))
        .chain(at_iou)
        .collect()
}

fn sizes(models: &[Evaluation], of: impl Fn(&EvaluationReport) -> &Vec<SizeRow>) -> Vec<Row> {
    let rows = of(&models[0].report).iter().enumerate();
    let size = |(index, size): (usize, &SizeRow)| {
        let range = match (size.from_px, size.to_px) {
            (0, None) => "any size".to_owned(),
            (from, None) => format!("{from} or more"),
            (from, Some(to)) => format!("{from} to {to}"),
        };
        row(format!("{range} ({} faces)", size.faces), models, |report| of(report)[index].ap50)
    };
    rows.map(size).collect()
}

fn by_difficulty(models: &[Evaluation]) -> Vec<Row> {
    let rows = models[0].report.by_difficulty.iter().enumerate();
    let difficulty = rows.map(|(index, of)| {
        let name = format!("{:?}", of.difficulty).to_lowercase();
        let label = format!("{name} ({} faces)", of.faces);
        row(label, models, |report| report.by_difficulty[index].ap50)
    });
    difficulty.collect()
}

fn by_folder(models: &[Evaluation]) -> Vec<Row> {
    let folders = models[0].report.by_folder.iter().enumerate();
    let folder = folders.map(|(index, folder)| {
        let name = if folder.folder.is_empty() { "(no folder)" } else { &folder.folder };
        let label = format!("{name} ({} pictures)", folder.pictures);
        row(label, models, |report| report.by_folder[index].ap50)
    });
    folder.collect()
}

fn by_threshold(models: &[Evaluation]) -> Vec<Row> {
    vec![
        row("precision at 0.5", models, |report| report.at_default.map(|at| at.precision)),
        row("recall at 0.5", models, |report| report.at_default.map(|at| at.recall)),
        row("F1 at 0.5", models, |report| report.at_default.map(|at| at.f1)),
        row("best threshold", models, |report| report.best.map(|at| f64::from(at.threshold))),
        row("precision at best threshold", models, |report| report.best.map(|at| at.precision)),
        row("recall at best threshold", models, |report| report.best.map(|at| at.recall)),
        row("F1 at best threshold", models, |report| report.best.map(|at| at.f1)),
    ]
}

fn rest(models: &[Evaluation]) -> Vec<Row> {
    let mut rows =
        vec![row("calibration error", models, |report| report.calibration.expected_error)];
    if let [_, second] = models {
        let values = vec![None, second.keypoint_nme];
        rows.push(Row { label: "keypoint distance, in face widths".to_owned(), values });
    }
    rows
}

fn advice(models: &[Evaluation]) -> String {
    let mut text = String::new();
    for (of, model) in of_model(models).iter().zip(models) {
        if let Some(best) = model.report.best {
            let _ =
                write!(text, "\nRecommended min_detection_confidence{of}: {:.2}", best.threshold);
        }
    }
    text.push('\n');
    text
}

fn of_model(models: &[Evaluation]) -> Vec<String> {
    let of = |title| if models.len() == 2 { format!(" for {title}") } else { String::new() };
    TITLES.map(of).to_vec()
}

fn worst(models: &[Evaluation]) -> String {
    let mut text = String::new();
    for (of, model) in of_model(models).iter().zip(models) {
        let report = &model.report;
        let threshold = report.threshold();
        let _ = write!(text, "\nWorst pictures{of} at threshold {threshold:.2}");
        let _ = writeln!(text, " (missed: faces of at least 12 px)");
        for picture in report.worst.iter().take(WORST) {
            let (missed, wrong) = (picture.missed, picture.false_detections);
            let _ = writeln!(text, "  {missed:>3} missed  {wrong:>3} false  {}", picture.name);
        }
    }
    text.truncate(text.trim_end().len());
    text
}
