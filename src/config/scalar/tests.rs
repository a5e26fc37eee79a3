//! Tables of accepted and refused single values.

use super::*;

fn node(text: &str) -> YamlNode {
    YamlNode { line: 1, value: YamlValue::Scalar(text.to_owned()) }
}

#[test]
fn durations_are_written_as_in_prometheus() {
    let check = |text: &str, millis: Option<u64>| {
        assert_eq!(parse_duration(text), millis.map(Duration::from_millis), "{text}");
    };
    check("5s", Some(5_000));
    check("1m30s", Some(90_000));
    check("500ms", Some(500));
    check("24h", Some(86_400_000));
    check("1d", Some(86_400_000));
    check("1w", Some(7 * 86_400_000));
    check("1y", Some(365 * 86_400_000));
    check("1h0m5s10ms", Some(3_605_010));
    check("0", Some(0));
    check("0s", Some(0));
    check("", None);
    check("5", None);
    check("s", None);
    check("-5s", None);
    check("1.5s", None);
    check("1s1m", None);
    check("1s1s", None);
    check("5 s", None);
    check("5S", None);
    check("99999999999999999999s", None);
    check("9999999999999999y", None);
}

#[test]
fn durations_are_shown_as_they_are_written() {
    for text in ["5s", "1m30s", "500ms", "1d", "1h5s10ms", "0"] {
        assert_eq!(show_duration(parse_duration(text).expect(text)), text);
    }
}

#[test]
fn sizes_have_binary_units() {
    let check = |text: &str, expect: Option<u64>| assert_eq!(parse_size(text), expect, "{text}");
    check("512", Some(512));
    check("512B", Some(512));
    check("8MiB", Some(8 << 20));
    check("1GiB", Some(1 << 30));
    check("8MB", None);
    check("8 MiB", None);
    check("MiB", None);
    check("-1", None);
    check("99999999999TiB", None);
    assert_eq!(show_size(8 << 20), "8MiB");
    assert_eq!(show_size(1_500), "1500B");
}

#[test]
fn decimals_are_exact_and_bounded() {
    let check = |text: &str, expect: Option<&str>| {
        let got = positive_decimal(&node(text)).ok().map(|d| d.to_string());
        assert_eq!(got.as_deref(), expect, "{text}");
    };
    check("0.1", Some("0.1"));
    check("1e-8", Some("0.00000001"));
    check("0.000000000000000001", Some("0.000000000000000001"));
    check("0", None);
    check("-1", None);
    check("1e-19", None);
    check("1e10", None);
    check("NaN", None);
    check("ten", None);
}

#[test]
fn numbers_are_finite_and_bounded() {
    let check = |text: &str, expect: Option<f64>| {
        assert_eq!(number(0.0..=1.0)(&node(text)).ok(), expect, "{text}");
    };
    check("0.75", Some(0.75));
    check("1", Some(1.0));
    check("1e-1", Some(0.1));
    check("1.01", None);
    check("-0.1", None);
    check(".nan", None);
    check("inf", None);
    check("nan", None);
    assert!(positive_number(1.0)(&node("0")).is_err());
}

#[test]
fn urls_are_http_without_secrets() {
    let check = |text: &str, fits: bool| assert_eq!(url(&node(text)).is_ok(), fits, "{text}");
    check("http://localhost:8080/health?x=1", true);
    check("https://broker.example/", true);
    check("https://[::1]:8443", true);
    check("ftp://broker.example/", false);
    check("file:///etc/passwd", false);
    check("https://", false);
    check("http:///x", false);
    check("http://host:0/", false);
    check("http://host:x/", false);
    check("http://[::1/", false);
    check("http://a b/", false);
    check("http://good\\@evil/", false);
    check("http://host?q=@", true);
    check("broker.example", false);
    check("https://user:pass@broker.example/", false);
    check("https://user@broker.example/", false);
}

#[test]
fn addresses_have_a_port() {
    let check = |text: &str, fits: bool| {
        assert_eq!(host_and_port(&node(text)).is_ok(), fits, "{text}");
    };
    check("127.0.0.1:4002", true);
    check("broker.example:443", true);
    check("[::1]:443", true);
    check("::1:443", false);
    check("broker.example", false);
    check("broker.example:0", false);
    check("broker.example:65536", false);
    check(":443", false);
    check("http://broker.example:443", false);
}

#[test]
fn hashes_are_hexadecimal() {
    assert_eq!(sha256(&"aB".repeat(32)), Ok([0xab; 32]));
    for text in ["", "ab", &"ag".repeat(32), &"+f".repeat(32), &"é".repeat(32)] {
        let fault = sha256(text).expect_err(text);
        assert!(text.is_empty() || !fault.0.contains(text), "{}", fault.0);
    }
}
