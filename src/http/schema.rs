//! JSON Schema of the API's responses, from which the dashboard's types are generated.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use super::datasets;
use super::jobs;
use super::models;
use super::system;
use super::uploads;
use crate::geometry::Rect;
use crate::protocol::events::{Artifact, Samples, Step};
use crate::protocol::metrics::MetricsRow;
use crate::store::transitions::Transition;

/// Adds the schema of every response to the generator's definitions.
pub fn describe(generator: &mut SchemaGenerator) {
    generator.subschema_for::<Rect>();
    generator.subschema_for::<Artifact>();
    generator.subschema_for::<MetricsRow>();
    generator.subschema_for::<Samples>();
    generator.subschema_for::<Step>();
    generator.subschema_for::<Transition>();
    datasets::describe(generator);
    jobs::describe(generator);
    models::describe(generator);
    system::describe(generator);
    uploads::describe(generator);
}

// This is here rather than next to `Rect` because the fuzzers compile that file without `schemars`.
impl JsonSchema for Rect {
    fn schema_name() -> Cow<'static, str> {
        "Rect".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "array", "items": {"type": "number"}, "minItems": 4, "maxItems": 4,
            "description": "`[ymin, xmin, ymax, xmax]` in fractions of the picture.",
        })
    }
}
