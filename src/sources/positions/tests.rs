//! Tests of pulls: what is signed, and what becomes an event.

use super::sign::{SignedRequest, sign, sign_query};
use super::*;
use crate::config::{
    HeaderSignature, HiddenBytes, HiddenText, ListMethod, Reach, RequestSignature, SecretUrl,
    SignatureEncoding, SignatureScheme, TimestampForm, TokenAlgorithm, TokenClaims,
};
use crate::domain::ids::Account;
use crate::expression::Preset;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_nanos(millis * 1_000_000).expect("a time")
}

fn request(url: &str, signature: Option<RequestSignature>) -> ListRequest {
    let expression = Expression::parse(Preset::Alpaca.text()).expect("an expression");
    ListRequest {
        role: Source::Broker,
        url: SecretUrl::new(url),
        method: ListMethod::Get,
        body: String::new(),
        headers: Vec::new(),
        basic: None,
        signature,
        reader: ListReader::Expression(expression),
    }
}

fn signature(secret: &[u8], key: (&str, &str), scheme: SignatureScheme) -> RequestSignature {
    let key = Some((key.0.to_owned(), HiddenText::new(key.1)));
    RequestSignature { key, secret: HiddenBytes::new(secret), scheme }
}

fn header(request: &SignedRequest, name: &str) -> String {
    let found = request.headers.iter().find(|(header, _)| header == name);
    found.map(|(_, value)| value.clone()).unwrap_or_default()
}

/// <https://developers.binance.com/docs/binance-spot-api-docs/rest-api/request-security>, the example of a
/// query string.
#[test]
fn a_query_is_signed_as_binance_documents() {
    let secret = b"NhqPtmdSJYdKjVHjA7PZj4Mge3R5YNiP1e3UZjInClVN65XAbvqqM6A7H5fATj0j";
    let key = ("X-MBX-APIKEY", "vmPUZE6mv9SD5VNHk4HlWFsOr6aKE2zvsw0MuIgwCIPy6utIco14y7Ju91duEh8A");
    let signature = signature(secret, key, SignatureScheme::Query);
    let query =
        "symbol=LTCBTC&side=BUY&type=LIMIT&timeInForce=GTC&quantity=1&price=0.1&recvWindow=5000";
    let url = format!("https://api.example/api/v3/order?{query}");
    let unsigned = |url: &str| sign(&request(url, None), at(1_700_000_000_000));
    let mut signed = unsigned(&url);
    sign_query(&signature, 1_499_827_319_559, &mut signed);
    let expect = format!(
        "{url}&timestamp=1499827319559&signature=\
         c8db56825ae71d6d79447849e617115f4a920fa2acdcab2b053c4b2838bd6b71"
    );
    assert_eq!(signed.url, expect);
    let bare = request("https://api.example/list", Some(signature));
    let bare = sign(&bare, at(1_700_000_000_000));
    assert_eq!(header(&bare, "X-MBX-APIKEY"), key.1);
    assert!(
        bare.url.starts_with("https://api.example/list?timestamp=1700000000000&signature="),
        "{}",
        bare.url
    );
}

/// <https://docs.kraken.com/api/docs/guides/spot-rest-auth>
#[test]
fn a_body_is_signed_as_kraken_documents() {
    use base64::Engine as _;
    let secret =
        "kQH5HW/8p1uGOVjbgWA7FunAmGO8lsSUXNsu3eow76sz84Q18fWxnyRzBHCd3pd5nE9qa99HAZtuZuj6F1huXg==";
    let secret = base64::engine::general_purpose::STANDARD.decode(secret).expect("base64");
    let signature = signature(&secret, ("API-Key", "k"), SignatureScheme::Kraken);
    let mut list = request("https://api.example/0/private/AddOrder", Some(signature));
    list.method = ListMethod::Post;
    list.body = String::from("ordertype=limit&pair=XBTUSD&price=37500&type=buy&volume=1.25");
    let signed = sign(&list, at(1_616_492_376_594));
    assert_eq!(signed.body, format!("nonce=1616492376594&{}", list.body));
    assert_eq!(
        header(&signed, "API-Sign"),
        "4/dpxb3iT4tp/ZCVEwSnEsLxx0bqyhLpdfOpc6fn7OR8+UClSV5n9E6aSS8MPtnRfp32bAb0nmbRn6H8ndwLUQ=="
    );
}

/// Computed with Python's `hmac`.
#[test]
fn a_text_is_signed_in_headers() {
    let check =
        |message: &str, form: TimestampForm, encoding: SignatureEncoding, expect: (&str, &str)| {
            let form = HeaderSignature {
                message: message.to_owned(),
                timestamp: form,
                timestamp_header: String::from("T"),
                signature_header: String::from("S"),
                encoding,
            };
            let signature = signature(b"secret", ("K", "key"), SignatureScheme::Header(form));
            let mut list = request("https://api.example/v5/list?a=1&b={body}", Some(signature));
            list.method = ListMethod::Post;
            list.body = String::from("{}");
            let signed = sign(&list, at(1_607_418_537_715));
            assert_eq!(
                (header(&signed, "T"), header(&signed, "S")),
                (expect.0.to_owned(), expect.1.to_owned())
            );
            assert_eq!(header(&signed, "K"), "key");
        };
    check(
        "{timestamp}{method}{path}{body}",
        TimestampForm::Rfc3339,
        SignatureEncoding::Base64,
        ("2020-12-08T09:08:57.715Z", "cFgfMI9l1CiWUN0Jifn+HNSJuaz/9y6Kiiv2XOqyoOo="),
    );
    check(
        "{timestamp}{key}5000{query}",
        TimestampForm::Milliseconds,
        SignatureEncoding::Hex,
        ("1607418537715", "e7ee3f69dd2dac51181bfbd9de58610bac9ca87f7755bbb68ac67178eee41a96"),
    );
    check(
        "{timestamp}",
        TimestampForm::Seconds,
        SignatureEncoding::Hex,
        ("1607418537", "4c9aa8a4086c22e02294e6d8786380515f1c3e42eae132354a95f2ecdf268704"),
    );
}

/// The first one computed with Python's `hmac`.
#[test]
fn a_token_is_made_for_each_request() {
    use aws_lc_rs::rand::SystemRandom;
    use aws_lc_rs::signature::{
        ECDSA_P256_SHA256_FIXED, ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _,
        UnparsedPublicKey,
    };
    use base64::Engine as _;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let claims = |algorithm| TokenClaims {
        algorithm,
        claims: vec![
            (String::from("iss"), String::from("cdp")),
            (String::from("uri"), String::from("{method} {host}{path}")),
        ],
        lifetime: Duration::from_mins(2),
    };
    let url = "https://api.example/v3/list?limit=1";
    let make = |secret: &[u8], algorithm| {
        let claims = claims(algorithm);
        let signature = signature(secret, ("", "key"), SignatureScheme::Token(claims.clone()));
        token::of((&signature, &claims), ("GET", url), 1_700_000_000, "00")
    };
    let expect = "eyJhbGciOiJIUzI1NiIsImtpZCI6ImtleSIsIm5vbmNlIjoiMDAiLCJ0eXAiOiJKV1QifQ.eyJleHAiOjE3MDAwMDAxMjAsImlhdCI6MTcwMDAwMDAwMCwiaXNzIjoiY2RwIiwibmJmIjoxNzAwMDAwMDAwLCJ1cmkiOiJHRVQgYXBpLmV4YW1wbGUvdjMvbGlzdCJ9.eMbGq6uJ0YRyFLXOwIVGBJWRIWrDc44URpPqR0ZgjkM";
    assert_eq!(make(b"secret", TokenAlgorithm::Hs256), expect);
    let rng = SystemRandom::new();
    let key = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &rng).expect("a key");
    let es256 = make(key.as_ref(), TokenAlgorithm::Es256);
    let (signed, digest) = es256.rsplit_once('.').expect("three parts");
    let pair = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, key.as_ref());
    let public = pair.expect("a key").public_key().as_ref().to_vec();
    let digest = URL_SAFE_NO_PAD.decode(digest).expect("base64");
    let verified = UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, public);
    assert!(verified.verify(signed.as_bytes(), &digest).is_ok());
    let signature =
        signature(b"secret", ("", "key"), SignatureScheme::Token(claims(TokenAlgorithm::Hs256)));
    let signed = sign(&request(url, Some(signature)), at(1_700_000_000_000));
    assert_eq!(signed.headers.len(), 1);
    assert!(header(&signed, "Authorization").starts_with("Bearer ey"));
}

#[test]
fn only_a_list_of_the_side_becomes_an_event() {
    let source = PositionSource {
        name: String::from("s"),
        account: Account::new("a").expect("a name"),
        interval: Duration::from_mins(1),
        timeout: Duration::from_secs(10),
        answer_bytes_max: 1_000,
        reach: Reach::Any,
        authorities: None,
        lists: Vec::new(),
    };
    let never: Evaluate = Arc::new(|_, _| Box::pin(std::future::pending()));
    let puller = PositionPuller::new(source, never);
    let list = request("https://api.example", None);
    let check = |answer: &str, expect: Result<usize, &str>| {
        let adapted = puller.read_alpaca(&list, answer.as_bytes()).map_err(|e| e.to_string());
        let event = adapted.and_then(|adapted| puller.event(&list, adapted, at(1_700_000_000_000)));
        match (event, expect) {
            (Ok(Event { account, time, event_id, body: Body::Positions(rows), .. }), Ok(count)) => {
                assert_eq!(
                    (account.as_str(), time, rows.rows.len()),
                    ("a", Some(at(1_700_000_000_000)), count)
                );
                assert!(rows.complete && rows.source == Source::Broker);
                assert_eq!(event_id.expect("an id").as_str(), "s:broker:list:1700000000000000000");
            }
            (Err(why), Err(words)) => assert!(why.contains(words), "{answer}: {why}"),
            (event, expect) => panic!("{answer}: {event:?}, not {expect:?}"),
        }
    };
    check("[]", Ok(0));
    check(r#"[{"symbol": "AAPL", "qty": "-9", "side": "short"}]"#, Ok(1));
    check(r#"[{"symbol": "AAPL"}]"#, Err("needs symbol and qty"));
    check(r#"{"code": 40110000, "message": "request is not authorized"}"#, Err("not authorized"));
    check("{}", Err("not a list of positions"));
    check("[][]", Err(""));
    let order = r#"{"event": "new", "order": {"id": "1", "symbol": "A", "qty": "1", "side": "buy",
        "submitted_at": "2026-01-01T00:00:00Z", "type": "market"}}"#;
    check(order, Err("not a list of positions"));
}
