//! `blazetune schema`: JSON Schema of what the API sends.

use blazetune::{http, worker};
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// Prints JSON Schema of the API's responses and of an evaluation's `report.json`, one definition per type.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

#[expect(clippy::print_stdout, reason = "it is what the command is for")]
pub(crate) fn run() -> anyhow::Result<()> {
    println!("{}", serde_json::to_string_pretty(&schema())?);
    Ok(())
}

fn schema() -> Value {
    let mut generator = SchemaSettings::draft2020_12().for_serialize().into_generator();
    http::schema::describe(&mut generator);
    worker::report::describe(&mut generator);
    let definitions = generator.take_definitions(true);
    json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "Api", "$defs": definitions})
}
