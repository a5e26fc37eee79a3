//! The fast path against the general one, and against `serde_json`.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use proptest::prelude::*;
use serde_json::value::RawValue;

use super::general;
use super::head_table::{HeadTable, slots_for};
use super::scan::{MemberName, ObjectEnd, each_member};
use super::token::RawJson;
use crate::domain::units::parse_decimal;

const NAMES: [&str; 3] = ["ab", "abc", "a_longer_name"];
static HEADS: HeadTable<&str, { slots_for(NAMES.len()) }> = HeadTable::new(&NAMES, &NAMES);

fn members(text: &str) -> Option<Vec<(&str, RawJson<'_>)>> {
    let mut members = Vec::new();
    let visit = |name, raw| match name {
        MemberName::Known(name) | MemberName::Text(name) => members.push((name, raw)),
    };
    let end = each_member(text, 0, ObjectEnd::Text, |head| HEADS.find(head), visit)?;
    assert_eq!(end, text.len());
    Some(members)
}

fn is_json(raw: RawJson<'_>, json: &str) -> bool {
    match raw {
        RawJson::Other(text) => text == json && json != "null",
        RawJson::Null => json == "null",
        RawJson::Text(text) => format!("\"{text}\"") == json,
        RawJson::Number(short) => parse_decimal(json) == Ok(short.decimal()),
    }
}

/// Whether `serde_json`, read directly and through `general`, finds what the scanner finds.
fn agrees(text: &str) -> bool {
    let Some(members) = members(text) else { return true };
    let mut general = Vec::new();
    general::each_member(text, |name, json| general.push((name.to_owned(), json)))
        .unwrap_or_else(|_| panic!("accepted, and not JSON: {text}"));
    let same = members.len() == general.len()
        && members
            .iter()
            .zip(&general)
            .all(|((name, raw), (expect, json))| name == expect && is_json(*raw, json));
    let last: BTreeMap<&str, RawJson<'_>> = members.into_iter().collect();
    let map: BTreeMap<String, Box<RawValue>> = serde_json::from_str(text).expect("an object");
    let is_in_map = |(name, raw): (&&str, &RawJson<'_>)| {
        map.get(*name).is_some_and(|json| is_json(*raw, json.get()))
    };
    same && last.len() == map.len() && last.iter().all(is_in_map)
}

#[test]
fn flat_objects_are_accepted_and_nothing_else() {
    let check = |text: &str, expect: Option<&[(&str, &str)]>| {
        let members = members(text);
        assert_eq!(members.as_ref().map(Vec::len), expect.map(<[_]>::len), "{text}");
        for ((name, raw), (expect, json)) in members.iter().flatten().zip(expect.unwrap_or(&[])) {
            assert!(name == expect && is_json(*raw, json), "{name} {raw:?} in {text}");
        }
        assert!(agrees(text), "{text}");
    };
    check("{}", Some(&[]));
    check(" { \t} \n", Some(&[]));
    check(r#"{"a":"x","b":-1.5e+3}"#, Some(&[("a", "\"x\""), ("b", "-1.5e+3")]));
    check(
        "{ \"a\" : true , \"b\":false,\"c\": null }",
        Some(&[("a", "true"), ("b", "false"), ("c", "null")]),
    );
    check(
        r#"{"日本":"東京都千代田区","a":0}"#,
        Some(&[("日本", "\"東京都千代田区\""), ("a", "0")]),
    );
    check(
        r#"{"ab":1,"abc" :2,"abcd":3,"a_longer_name":"x"}"#,
        Some(&[("ab", "1"), ("abc", "2"), ("abcd", "3"), ("a_longer_name", "\"x\"")]),
    );
    check(r#"{"a":1,"a":2}"#, Some(&[("a", "1"), ("a", "2")]));
    let not_flat = [
        "",
        " ",
        "{",
        "{}{}",
        "{} x",
        "[]",
        "1",
        "\"a\"",
        r#"{"a"}"#,
        r#"{"a":}"#,
        r#"{"a":1,}"#,
        r#"{"a":1 "b":2}"#,
        r"{,}",
        r"{a:1}",
        r#"{"a":01}"#,
        r#"{"a":-}"#,
        r#"{"a":1.}"#,
        r#"{"a":.5}"#,
        r#"{"a":1e}"#,
        r#"{"a":1e+}"#,
        r#"{"a":+1}"#,
        r#"{"a":NaN}"#,
        r#"{"a":truex}"#,
        r#"{"a":nul}"#,
        r#"{"a":"x}"#,
        r#"{"a":"\n"}"#,
        r#"{"\u0061":1}"#,
        "{\"a\":\"x\ny\"}",
        "{\"a\":\"12345678\u{1}\"}",
        r#"{"a":[]}"#,
        r#"{"a":{}}"#,
        r#"{"a":1]"#,
        r#"{"a":00}"#,
        r#"{"a":-01}"#,
    ];
    for text in not_flat {
        check(text, None);
    }
}

#[test]
fn depth_counts_brackets_outside_strings() {
    let check = |json: &str, expect: usize| assert_eq!(general::depth(json), expect, "{json}");
    check("1", 0);
    check("[]", 1);
    check("{\"a\":[{}]}", 3);
    check("[\"[[[[\",\"\\\"[[\",[]]", 2);
    check("[[],[],[[]]]", 3);
    check(&format!("{}{}", "[".repeat(100_000), "]".repeat(100_000)), 100_000);
}

#[test]
fn a_break_ends_the_walk_before_the_rest_is_read() {
    let walk = |text: &str, last: &str| {
        let stop_at = |element: &str| {
            if element == last {
                ControlFlow::Break(element.len())
            } else {
                ControlFlow::Continue(())
            }
        };
        general::each_element(text, stop_at).map_err(|_| "not an array")
    };
    assert_eq!(walk("[1, [22], 3]", "4"), Ok(ControlFlow::Continue(())));
    assert_eq!(walk("[1, [22], 3]", "[22]"), Ok(ControlFlow::Break(4)));
    assert_eq!(walk("[1, [22] nonsense", "[22]"), Ok(ControlFlow::Break(4)));
    assert_eq!(walk("[1, [22] nonsense", "4"), Err("not an array"));
    assert_eq!(walk("{}", "4"), Err("not an array"));
    assert_eq!(walk("[1] 2", "4"), Err("not an array"));
}

proptest! {
    #[test]
    fn whatever_is_accepted_is_json(text in r#"\{ ?("(ab|abc|[a-c\\]{0,9})" ?: ?(-?[0-2]{0,3}[.e+]{0,2}[0-2]{0,2}|"[a"\\ü]{0,9}"|true|null|\[\]),?){0,3} ?[}\]] ?"#) {
        prop_assert!(agrees(&text), "{}", text);
    }
}
