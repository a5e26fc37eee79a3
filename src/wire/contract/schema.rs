//! JSON Schema 2020-12 of the fields of the contract.
//!
//! Input: rows of a table of fields. Output: the schema of an object with these fields. Invariant: the
//! decoder reads the same rows, so the document says what is accepted.

use serde_json::{Map, Value as Json, json};

use crate::domain::limits;
use crate::wire::contract::shape::Shape;
use crate::wire::contract::spec::{FieldSpec, Presence};
use crate::wire::contract::value::{CAUSES_NAMED_MAX, DURATION_MAX, RESERVED};

/// A row of a snapshot of positions.
pub const SNAPSHOT_ROW: &str = "SnapshotRow";
/// A decimal as text.
const DECIMAL: &str = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$";
/// RFC 3339 with a zone, or a decimal as text.
const TIME: &str = concat!(
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?",
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})|\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)$"
);
/// No control characters except line ends and tabs.
const TEXT: &str = r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$";
/// [`TEXT`], and not blank.
const REASON: &str = concat!(
    r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*",
    r"[^\s\u0000-\u001F\u007F-\u009F]",
    r"[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$"
);
/// No control and no bidi characters.
pub const NAME: &str = r"^[^\u0000-\u001F\u007F-\u009F\u061C\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB]*$";

/// A reference to a schema of the published document.
#[must_use]
pub fn reference(name: &str) -> Json {
    json!({ "$ref": path(name) })
}

pub(crate) fn path(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

/// The schema of an object with these fields; the sender may add its own, `x_*`.
pub(crate) fn object(about: &str, fields: &[FieldSpec]) -> Json {
    let required: Vec<&str> = fields
        .iter()
        .filter(|spec| spec.presence == Presence::Required)
        .map(|spec| spec.field.name())
        .collect();
    let properties: Map<String, Json> =
        fields.iter().map(|spec| (spec.field.name().into(), field_schema(spec))).collect();
    json!({
        "type": "object",
        "description": about,
        "properties": properties,
        "required": required,
        "patternProperties": { "^x_": {} },
        "additionalProperties": false,
    })
}

fn field_schema(spec: &FieldSpec) -> Json {
    let mut schema = shape_schema(spec.shape);
    schema.insert("description".into(), spec.about.into());
    if spec.presence == Presence::Optional {
        if let Some(Json::Array(types)) = schema.get_mut("type") {
            types.push("null".into());
        }
        if let Some(Json::Array(words)) = schema.get_mut("enum") {
            words.push(Json::Null);
        }
    }
    Json::Object(schema)
}

/// The schema of a value. Its `type` is always an array, so that `null` can be added.
fn shape_schema(shape: Shape) -> Map<String, Json> {
    let schema = match shape {
        Shape::Identifier => name(1),
        Shape::IdentifierOrEmpty => name(0),
        Shape::Label => reserved(&RESERVED),
        Shape::LabelOrAll => reserved(RESERVED.get(1..).unwrap_or_default()),
        Shape::Text => {
            json!({ "type": ["string"], "maxLength": limits::TEXT_BYTES_MAX, "pattern": TEXT })
        }
        Shape::Reason => {
            json!({ "type": ["string"], "maxLength": limits::TEXT_BYTES_MAX, "pattern": REASON })
        }
        Shape::Choice(words) => json!({ "type": ["string"], "enum": words }),
        Shape::Boolean => json!({ "type": ["boolean"] }),
        Shape::Quantity | Shape::Notional => {
            json!({ "type": ["number", "string"], "pattern": DECIMAL, "exclusiveMinimum": 0 })
        }
        Shape::Position | Shape::Price | Shape::Amount => {
            json!({ "type": ["number", "string"], "pattern": DECIMAL })
        }
        Shape::Time => json!({ "type": ["string", "number"], "pattern": TIME }),
        Shape::TimeNs => json!({ "type": ["integer", "string"], "pattern": r"^\+?[0-9]+$" }),
        Shape::Seconds => json!({
            "type": ["number", "string"],
            "pattern": DECIMAL,
            "minimum": 0,
            "maximum": DURATION_MAX.as_secs(),
        }),
        Shape::Integer => json!({
            "type": ["integer", "string"],
            "pattern": r"^\+?[0-9]{1,19}$",
            "minimum": 0,
            "maximum": u64::MAX,
        }),
        Shape::Integers => json!({
            "type": ["array"],
            "items": shape_schema(Shape::Integer),
            "maxItems": CAUSES_NAMED_MAX,
        }),
        Shape::Rows => json!({ "type": ["array"], "items": reference(SNAPSHOT_ROW) }),
    };
    let Json::Object(schema) = schema else {
        impossible!("each schema above is an object");
        return Map::new();
    };
    schema
}

fn name(length_min: usize) -> Json {
    json!({
        "type": ["string"],
        "minLength": length_min,
        "maxLength": limits::ID_BYTES_MAX,
        "pattern": NAME,
    })
}

fn reserved(names: &[&str]) -> Json {
    let mut schema = name(1);
    if let Json::Object(schema) = &mut schema {
        schema.insert("not".into(), json!({ "enum": names }));
    }
    schema
}
