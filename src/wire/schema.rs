//! The schemas of request bodies for the published document (OpenAPI 3.1).
//!
//! Input: the tables of `event` and `request`. Output: JSON Schema 2020-12 for
//! `#/components/schemas`. Absent: the schemas of answers (see `answer`).

use serde_json::{Map, Value as Json, json};

use crate::domain::limits;
use crate::wire::contract::field::Field;
use crate::wire::contract::schema::{object, path};
use crate::wire::contract::spec::FieldSpec;
use crate::wire::event::{KINDS, KindSpec, ROW};
use crate::wire::request::decisions::{HALT, RECONCILE, RELEASE};
use crate::wire::request::notification;

pub use crate::wire::contract::schema::{NAME, SNAPSHOT_ROW, reference};

/// The body of an ingest request: one event or an array of them.
pub const EVENTS: &str = "Events";
/// One event of any kind.
pub const EVENT: &str = "Event";
/// The body of a halt.
pub const HALT_REQUEST: &str = "HaltRequest";
/// The body of a release.
pub const RELEASE_REQUEST: &str = "ReleaseRequest";
/// The body of a manual reconciliation.
pub const RECONCILE_REQUEST: &str = "ReconcileRequest";

/// The body of a notification of Alertmanager.
pub const NOTIFICATION: &str = "AlertmanagerNotification";

/// All schemas by name.
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::contract::spec::Presence;

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
    fn references_have_a_target() {
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
