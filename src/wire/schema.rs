//! The schemas of what clients send, for the published document (OpenAPI 3.1).
//!
//! Input: the tables of `event` and `operate`. Output: JSON Schema 2020-12, to stand under
//! `#/components/schemas`. Invariant: made from the rows that the decoder is tested against, so
//! the document says what is taken. Deliberately absent: the schemas of answers (see `view`).

use serde_json::{Map, Value as Json, json};

use crate::domain::limits;
use crate::wire::contract::field::Field;
use crate::wire::contract::spec::{FieldSpec, Presence, Shape};
use crate::wire::contract::value::{DURATION_MAX, RESERVED};
use crate::wire::event::{KINDS, KindSpec, ROW};
use crate::wire::request::decisions::CAUSES_NAMED_MAX;
use crate::wire::request::decisions::{HALT, RECONCILE, RELEASE};
use crate::wire::request::notification;

/// The body of an ingest request: one event or an array of them.
pub const EVENTS: &str = "Events";
/// One event of any kind.
pub const EVENT: &str = "Event";
/// A row of a snapshot of positions.
pub const SNAPSHOT_ROW: &str = "SnapshotRow";
/// The body of a halt.
pub const HALT_REQUEST: &str = "HaltRequest";
/// The body of a release.
pub const RELEASE_REQUEST: &str = "ReleaseRequest";
/// The body of a manual reconciliation.
pub const RECONCILE_REQUEST: &str = "ReconcileRequest";

/// The body of a notification of Alertmanager.
pub const NOTIFICATION: &str = "AlertmanagerNotification";

/// An exact decimal as text.
const DECIMAL: &str = r"^[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?$";
/// A text that holds an exact decimal, or RFC 3339 with a zone.
const TIME: &str = concat!(
    r"^([0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?",
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})|\+?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?)$"
);
/// Any character but control ones (line ends and tabs are fine in texts).
const TEXT: &str = r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$";
/// The same, and not blank.
const REASON: &str = concat!(
    r"^[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*",
    r"[^\s\u0000-\u001F\u007F-\u009F]",
    r"[^\u0000-\u0008\u000B\u000C\u000E-\u001F\u007F-\u009F]*$"
);
/// No control and no bidi characters.
pub const NAME: &str = r"^[^\u0000-\u001F\u007F-\u009F\u061C\u200B-\u200F\u2028-\u202E\u2060-\u206F\uFEFF\uFFF9-\uFFFB]*$";

/// All schemas by their names.
#[must_use]
pub fn schemas() -> Map<String, Json> {
    let mut schemas = Map::new();
    let mut add = |name: &str, schema: Json| schemas.insert(String::from(name), schema);
    for kind in KINDS {
        add(&kind_name(kind), kind_schema(kind));
    }
    add(SNAPSHOT_ROW, object("One row of a snapshot of positions.", &ROW));
    add(EVENT, event_schema());
    add(EVENTS, events_schema());
    add(HALT_REQUEST, object("Sets a cause on the latch of an account, or of all.", &HALT));
    add(RELEASE_REQUEST, object("Takes causes off a latch.", &RELEASE));
    add(RECONCILE_REQUEST, object("Reconciles an open drift by hand.", &RECONCILE));
    add(NOTIFICATION, notification::schema());
    schemas
}

/// A reference to a schema of [`schemas`].
#[must_use]
pub fn reference(name: &str) -> Json {
    json!({ "$ref": path(name) })
}

fn path(name: &str) -> String {
    format!("#/components/schemas/{name}")
}

/// `order_filled` is `OrderFilledEvent`.
fn kind_name(kind: &KindSpec) -> String {
    let mut name = String::new();
    for word in kind.name.split('_') {
        let mut letters = word.chars();
        name.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        name.push_str(letters.as_str());
    }
    name + "Event"
}

fn event_schema() -> Json {
    let references: Vec<Json> = KINDS.map(|kind| reference(&kind_name(kind))).into();
    let mapping: Map<String, Json> =
        KINDS.map(|kind| (kind.name.into(), path(&kind_name(kind)).into())).into_iter().collect();
    json!({
        "description": "One event. `null` is the same as missing; names that begin with `x_` are \
                        the sender's own and are ignored.",
        "oneOf": references,
        "discriminator": { "propertyName": Field::Type.name(), "mapping": mapping },
    })
}

fn events_schema() -> Json {
    json!({
        "description": "One event, or an array of them.",
        "oneOf": [
            reference(EVENT),
            { "type": "array", "items": reference(EVENT), "maxItems": limits::EVENTS_MAX },
        ],
    })
}

fn kind_schema(kind: &KindSpec) -> Json {
    let fields: Vec<FieldSpec> = kind.fields().copied().collect();
    let mut schema = object(kind.about, &fields);
    let example: Json = serde_json::from_str(kind.example).unwrap_or_default();
    if let Json::Object(schema) = &mut schema {
        if let Some(Json::Object(properties)) = schema.get_mut("properties") {
            properties.insert(Field::Type.name().into(), json!({ "const": kind.name }));
        }
        if let Some(Json::Array(required)) = schema.get_mut("required") {
            required.insert(0, Field::Type.name().into());
        }
        schema.insert("examples".into(), Json::Array(vec![example]));
        if !kind.alternatives().is_empty() {
            let required = |fields: &[Field]| {
                let names: Vec<&str> = fields.iter().map(|field| field.name()).collect();
                json!({ "required": names })
            };
            let either = kind.alternatives().iter().map(|fields| required(fields)).collect();
            schema.insert("anyOf".into(), Json::Array(either));
        }
    }
    schema
}

/// The schema of an object with these fields, and of the sender's own beside them.
fn object(about: &str, fields: &[FieldSpec]) -> Json {
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

/// The schema of a value; its `type` is always an array, so that `null` can join it.
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
    match schema {
        Json::Object(schema) => schema,
        Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) | Json::Array(_) => {
            Map::new()
        }
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(json: &Json) -> Vec<String> {
        let mut names: Vec<String> = match json {
            Json::Object(object) => object.keys().cloned().collect(),
            Json::Array(array) => {
                array.iter().map(|n| n.as_str().expect("a name").into()).collect()
            }
            Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => Vec::new(),
        };
        names.sort_unstable();
        names
    }

    fn sorted<'a>(names: impl IntoIterator<Item = &'a str>) -> Vec<String> {
        let mut names: Vec<String> = names.into_iter().map(String::from).collect();
        names.sort_unstable();
        names
    }

    #[test]
    fn every_kind_is_published_as_it_is_decoded() {
        let schemas = schemas();
        for kind in KINDS {
            let schema = &schemas[&kind_name(kind)];
            let all = kind.fields().map(|spec| spec.field.name());
            let required = kind
                .fields()
                .filter(|spec| spec.presence == Presence::Required)
                .map(|spec| spec.field.name());
            assert_eq!(names(&schema["properties"]), sorted(all.chain(["type"])));
            assert_eq!(names(&schema["required"]), sorted(required.chain(["type"])));
            assert_eq!(schema["properties"]["type"]["const"], kind.name);
            assert_eq!(schema["examples"][0]["type"], kind.name);
            assert_eq!(schema["additionalProperties"], false);
        }
        assert_eq!(schemas[EVENT]["oneOf"].as_array().map(Vec::len), Some(KINDS.len()));
        assert_eq!(kind_name(KINDS[0]), "OrderSubmittedEvent");
    }

    #[test]
    fn references_lead_somewhere() {
        fn walk(json: &Json, visit: &mut impl FnMut(&str)) {
            match json {
                Json::Object(object) => {
                    if let Some(Json::String(path)) = object.get("$ref") {
                        visit(path);
                    }
                    object.values().for_each(|value| walk(value, visit));
                }
                Json::Array(array) => array.iter().for_each(|value| walk(value, visit)),
                Json::Null | Json::Bool(_) | Json::Number(_) | Json::String(_) => {}
            }
        }
        let schemas = schemas();
        let mut references = 0;
        for schema in schemas.values() {
            walk(schema, &mut |reference| {
                references += 1;
                let name = reference.strip_prefix("#/components/schemas/").expect("a component");
                assert!(schemas.contains_key(name), "{name}");
            });
        }
        assert!(references > KINDS.len());
    }

    #[test]
    fn optional_fields_may_be_null() {
        let schemas = schemas();
        let fill = &schemas["OrderFilledEvent"]["properties"];
        assert_eq!(fill["liquidity"]["type"], json!(["string", "null"]));
        assert_eq!(fill["liquidity"]["enum"], json!(["maker", "taker", null]));
        assert_eq!(fill["price"]["type"], json!(["number", "string"]));
        assert_eq!(fill["quantity"]["exclusiveMinimum"], 0);
    }
}
