//! `blazetune schema`: prints the JSON Schema of the API's responses.

use blazetune::{http, worker};
use schemars::generate::SchemaSettings;
use serde_json::{Value, json};

/// Prints the JSON Schema of the API's responses and of an evaluation's `report.json`, with one definition per type.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

#[expect(clippy::print_stdout, reason = "this is the command's output")]
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
