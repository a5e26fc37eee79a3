//! Tests of expressions: numbers, mistakes, ready expressions on samples of their APIs.

use super::*;
use crate::domain::closed_set::ClosedSet;

/// The rows of an answer, each as `symbol quantity average_price market_price`.
fn rows(expression: &str, answer: &str) -> Result<Vec<String>, String> {
    let found = Expression::parse(expression)?.evaluate(answer.as_bytes())?;
    let shown = found.into_iter().map(|row| {
        let prices = [row.average_price, row.market_price].into_iter().flatten();
        let parts: Vec<String> = [row.symbol, row.quantity].into_iter().chain(prices).collect();
        parts.join(" ")
    });
    Ok(shown.collect())
}

/// Rows of spot and of futures in one answer, which Freqtrade never mixes.
const FREQTRADE_BALANCE: &str = r#"{"stake": "USDT", "note": "", "currencies": [
    {"currency": "USDT", "free": 600.0, "balance": 1000.0, "used": 400.0, "bot_owned": 990.0, "side": "long",
     "is_position": false, "position": 0, "is_bot_managed": true, "stake": "USDT"},
    {"currency": "DOGE", "free": 3764.2, "balance": 3764.2, "used": 0, "bot_owned": 3765.0,
     "is_position": false, "position": 0, "is_bot_managed": true, "side": "long"},
    {"currency": "BNB", "free": 1.5, "balance": 1.5, "is_position": false, "is_bot_managed": false},
    {"currency": "ETH/USDT:USDT", "free": 0, "balance": 0, "is_position": true, "position": 0.5,
     "side": "short", "is_bot_managed": true}]}"#;

/// A sample of the answer that each preset is for, and its rows.
const SAMPLES: &[(Preset, &str, &[&str])] = &[
    (
        Preset::Alpaca,
        r#"[{"asset_id": "904837e3", "symbol": "AAPL", "exchange": "NASDAQ", "asset_class": "us_equity",
                 "avg_entry_price": "100.0", "qty": "5", "side": "long", "market_value": "600.0",
                 "current_price": "120.0"},
                {"symbol": "TSLA", "avg_entry_price": "210.5", "qty": "-3", "side": "short",
                 "current_price": "200"},
                {"symbol": "META", "qty": "3", "side": "short"}]"#,
        &["AAPL 5 100.0 120.0", "TSLA -3 210.5 200", "META -3"],
    ),
    (
        Preset::BinanceUsdm,
        r#"[{"symbol": "ADAUSDT", "positionSide": "BOTH", "positionAmt": "30", "entryPrice": "0.385",
                 "breakEvenPrice": "0.385077", "markPrice": "0.41047590", "unRealizedProfit": "0.76427700"},
                {"symbol": "BTCUSDT", "positionSide": "SHORT", "positionAmt": "-0.003",
                 "entryPrice": "61000.1", "markPrice": "60000"},
                {"symbol": "ETHUSDT", "positionAmt": "0", "entryPrice": "0.0", "markPrice": "2500"}]"#,
        &["ADAUSDT 30 0.385 0.41047590", "BTCUSDT -0.003 61000.1 60000", "ETHUSDT 0 2500"],
    ),
    (
        Preset::Bybit,
        r#"{"retCode": 0, "retMsg": "OK", "result": {"nextPageCursor": "updateAt%3D1672279322668",
                "category": "linear", "list": [
                {"positionIdx": 0, "symbol": "XRPUSDT", "side": "Buy", "size": "10", "avgPrice": "0.3615",
                 "markPrice": "0.3452"},
                {"symbol": "BTCUSDT", "side": "Sell", "size": "0.05", "avgPrice": "60000",
                 "markPrice": "61000"},
                {"symbol": "SOLUSDT", "side": "", "size": "0", "avgPrice": "", "markPrice": "150"}]},
                "retExtInfo": {}, "time": 1672280219169}"#,
        &["XRPUSDT 10 0.3615 0.3452", "BTCUSDT -0.05 60000 61000", "SOLUSDT 0 150"],
    ),
    (
        Preset::FreqtradeStatus,
        r#"[{"trade_id": 1, "pair": "DOGE/USDT", "is_open": true, "is_short": false, "amount": 3765.0,
                 "open_rate": 0.10622, "current_rate": 0.1063, "has_open_orders": false,
                 "orders": [{"is_open": false, "filled": 3765.0, "ft_order_side": "buy"}]},
                {"trade_id": 2, "pair": "BTC/USDT:USDT", "is_short": true, "amount": 1e-05,
                 "open_rate": 61000.1, "current_rate": null, "orders": []},
                {"trade_id": 3, "pair": "SOL/USDT", "is_short": false, "amount": 10.5, "open_rate": 150.5,
                 "current_rate": 151, "orders": [
                   {"is_open": true, "filled": 2.5, "ft_order_side": "buy"},
                   {"is_open": true, "filled": 0.1, "ft_order_side": "sell"},
                   {"is_open": true, "filled": null, "ft_order_side": "stoploss"}]},
                {"trade_id": 4, "pair": "ETH/USDT:USDT", "is_short": true, "amount": 0.0, "open_rate": 3000,
                 "current_rate": 3001, "orders": [
                   {"is_open": true, "filled": 0.4, "ft_order_side": "sell"}]}]"#,
        &[
            "DOGE/USDT 3765 0.10622 0.1063",
            "BTC/USDT:USDT -0.00001 61000.1",
            "SOL/USDT 12.9 150.5 151",
            "ETH/USDT:USDT -0.4 3000 3001",
        ],
    ),
    (Preset::FreqtradeBalance, FREQTRADE_BALANCE, &["DOGE/USDT 3764.2", "ETH/USDT:USDT -0.5"]),
    (Preset::FreqtradeBalanceAll, FREQTRADE_BALANCE, &["ETH/USDT:USDT -0.5"]),
    (
        Preset::Ibkr,
        r#"[{"acctId": "U1234567", "conid": 756733, "contractDesc": "SPY", "position": 5.0,
                 "mktPrice": 471.16000365, "mktValue": 2355.8, "currency": "USD", "avgCost": 434.93,
                 "avgPrice": 434.93, "assetClass": "STK"},
                {"contractDesc": "ES DEC2026", "position": -1.0, "mktPrice": 6000.25, "avgPrice": 6010.5}]"#,
        &["SPY 5.0 434.93 471.16000365", "ES DEC2026 -1.0 6010.5 6000.25"],
    ),
    (
        Preset::Kraken,
        r#"{"error": [], "result": {
                "TF5GVO-T7ZZ2-6NBKBI": {"ordertxid": "OLWNFG-LLH4R-D6SFFP", "posstatus": "open",
                  "pair": "XXBTZUSD", "type": "buy", "ordertype": "limit", "cost": "801243.52842",
                  "vol": "8.82412861", "vol_closed": "0.20200000"},
                "T24DOR-TAFLM-ID3NYP": {"pair": "XETHZUSD", "type": "sell", "vol": "2.5",
                  "vol_closed": "0"}}}"#,
        &["XXBTZUSD 8.62212861", "XETHZUSD -2.5"],
    ),
    (
        Preset::KrakenFutures,
        r#"{"result": "success", "openPositions": [
                {"side": "short", "symbol": "PI_XBTUSD", "price": 9392.749993345933,
                 "fillTime": "2020-07-22T14:39:12.376Z", "size": 10000, "unrealizedFunding": 0.0000104},
                {"side": "long", "symbol": "FI_XBTUSD_201225", "price": 9399.749966754434, "size": 20000}],
                "serverTime": "2020-07-22T14:39:12.376Z"}"#,
        &["PI_XBTUSD -10000 9392.749993345933", "FI_XBTUSD_201225 20000 9399.749966754434"],
    ),
    (
        Preset::Oanda,
        r#"{"lastTransactionID": "6381", "positions": [
                {"instrument": "EUR_USD", "long": {"units": "0", "unrealizedPL": "0.0000"},
                 "short": {"averagePrice": "1.13032", "units": "-700", "tradeIDs": ["6357"]}},
                {"instrument": "USB10Y_USD", "long": {"averagePrice": "110.5", "units": "7.5"},
                 "short": {"units": "0"}}]}"#,
        &["EUR_USD 0", "EUR_USD -700 1.13032", "USB10Y_USD 7.5 110.5", "USB10Y_USD 0"],
    ),
    (
        Preset::Okx,
        r#"{"code": "0", "msg": "", "data": [
                {"instType": "SWAP", "instId": "BTC-USDT-SWAP", "posSide": "net", "pos": "-10",
                 "avgPx": "60000.5", "markPx": "61000"},
                {"instType": "FUTURES", "instId": "ETH-USD-260626", "posSide": "short", "pos": "3",
                 "avgPx": "2500", "markPx": "2400.1"},
                {"instType": "SWAP", "instId": "SOL-USDT-SWAP", "posSide": "long", "pos": "7",
                 "avgPx": "", "markPx": ""}]}"#,
        &["BTC-USDT-SWAP -10 60000.5 61000", "ETH-USD-260626 -3 2500 2400.1", "SOL-USDT-SWAP 7"],
    ),
    (
        Preset::Tradier,
        r#"{"positions": {"position": [
                {"cost_basis": 207.01, "date_acquired": "2018-08-08T14:41:11.405Z", "id": 130089,
                 "quantity": 1.00000000, "symbol": "AAPL"},
                {"cost_basis": -1870.70, "id": 130090, "quantity": -3.0, "symbol": "AMZN"}]}}"#,
        &["AAPL 1.00000000", "AMZN -3.0"],
    ),
];

#[test]
fn presets_read_the_documented_answers() {
    for preset in Preset::ALL {
        let found = SAMPLES.iter().find(|(of, _, _)| *of == preset);
        let (_, sample, expect) = found.unwrap_or_else(|| panic!("no sample of {preset:?}"));
        let got = rows(preset.text(), sample);
        assert_eq!(got, Ok(expect.iter().map(|row| (*row).to_owned()).collect()), "{preset:?}");
    }
    let spot = r#"{"stake": "USDT", "currencies": [{"currency": "USDT", "balance": 1, "is_position": false},
        {"currency": "BNB", "balance": 1.5, "is_position": false, "is_bot_managed": false}]}"#;
    let all = rows(Preset::FreqtradeBalanceAll.text(), spot);
    assert_eq!(all, Ok(vec![String::from("BNB/USDT 1.5")]));
    assert_eq!(rows(Preset::FreqtradeBalance.text(), spot), Ok(Vec::new()));
    let one = r#"{"positions": {"position": {"symbol": "AAPL", "quantity": 1}}}"#;
    assert_eq!(rows(Preset::Tradier.text(), one), Ok(vec![String::from("AAPL 1")]));
    assert_eq!(rows(Preset::Tradier.text(), r#"{"positions": "null"}"#), Ok(Vec::new()));
}

#[test]
fn presets_take_no_error_for_a_flat_account() {
    let errors = [
        "{}",
        "null",
        "[1]",
        "[{}]",
        r#"{"code": -2015, "msg": "Invalid API-key"}"#,
        r#"{"code": "50111", "msg": "Invalid OK-ACCESS-KEY", "data": []}"#,
        r#"{"retCode": 10003, "retMsg": "API key is invalid.", "result": {"list": []}}"#,
        r#"{"error": ["EAPI:Invalid key"]}"#,
        r#"{"result": "error", "error": "apiLimitExceeded"}"#,
        r#"{"errorMessage": "Insufficient authorization to perform request."}"#,
    ];
    for preset in Preset::ALL {
        for error in errors {
            let got = rows(preset.text(), error);
            assert!(got.is_err(), "{} on {error}: {got:?}", preset.as_str());
        }
    }
    let full = format!("[{}]", vec![r#"{"contractDesc": "A", "position": 1}"#; 100].join(","));
    assert!(rows(Preset::Ibkr.text(), &full).is_err());
    let margin =
        r#"{"code": "0", "data": [{"instType": "MARGIN", "instId": "BTC-USDT", "pos": "1"}]}"#;
    assert!(rows(Preset::Okx.text(), margin).is_err());
}

#[test]
fn numbers_keep_every_digit() {
    let check = |expression: &str, answer: &str, expect: &str| {
        let text = format!("[{{symbol: \"A\", quantity: ({expression})}}]");
        let got = rows(&text, answer).map(|rows| rows.concat());
        assert_eq!(got, Ok(format!("A {expect}")), "{expression} of {answer}");
    };
    check(".", "0.1", "0.1");
    check(".", "-0.10", "-0.10");
    check(".", "12345678901234567890", "12345678901234567890");
    check(".", "12345678901234567890.123456789", "12345678901234567890.123456789");
    check(".", "1e-8", "1e-8");
    check(".", "\"0.10\"", "0.10");
    check(". + 1", "2", "3");
    check(". * 2", "0.25", "0.5");
    check("negate", "0.1", "-0.1");
    check("negate", "\"-12345678901234567890.5\"", "12345678901234567890.5");
    check("exact_sum", "[0.1, \"0.2\", -1]", "-0.7");
    check("tonumber", "\"0.30000000000000004\"", "0.30000000000000004");
}

#[test]
fn mistakes_of_results_are_named() {
    let check = |expression: &str, answer: &str, expect: &str| {
        let why = rows(expression, answer).expect_err(expression);
        assert!(why.contains(expect), "{expression} of {answer}: {why}");
    };
    check(".", "{", "the answer is not JSON");
    check(".", "[NaN]", "the answer is not JSON");
    check(".", "<html>", "the answer is not JSON");
    check(".", "[1] [2]", "the answer is not JSON");
    check(".", &"[".repeat(100_000), "the answer is not JSON");
    check("empty", "1", "gives nothing");
    check(".[]", "[[], []]", "several values");
    check(".", "{}", "gives {}, not an array");
    check(".", "null", "gives null, not an array");
    check("[.]", "1", "row 0: 1 is not an object");
    check("[{symbol: 1, quantity: 1}]", "0", "symbol: is no text");
    check("[{symbol: \"A\"}]", "0", "A: quantity is missing");
    check("[{quantity: 1}]", "0", "symbol is missing");
    check("[{symbol: \"A\", quantity: \"many\"}]", "0", "\"many\" is no number");
    check("[{symbol: \"A\", quantity: null}]", "0", "null is no number");
    check("[{symbol: \"A\", quantity: (0.1 + 0.2)}]", "0", "was rounded");
    check("[{symbol: \"A\", quantity: (1 / 0)}]", "0", "was rounded");
    check("[{symbol: \"A\", quantity: 1, price: 2}]", "0", "price is not a field");
    check(".a", "[]", "the expression fails");
    check("error(\"no luck\")", "0", "no luck");
}

#[test]
fn mistakes_of_texts_are_placed() {
    let check = |text: &str, expect: &str| {
        let why = Expression::parse(text).expect_err(text);
        assert!(why.contains(expect), "{text}: {why}");
    };
    check("[.[] | {symbol", "must have");
    check(".a\n| nosuch(1)", "unknown filter `nosuch` at line 2, column 3 of the expression");
    check("$nosuch", "unknown variable");
    check("", "must have");
    check("import \"x\" as x; .", "must not import");
    check(&format!("{}1{}", "(".repeat(65), ")".repeat(65)), "brackets");
    check(&"1".repeat(EXPRESSION_BYTES_MAX + 1), "bytes");
    for filter in ["env", "$ENV", "now", "input", "inputs", "debug", "halt", "stderr", "localtime"]
    {
        check(filter, "unknown");
    }
}

#[test]
fn every_filter_left_out_exists_in_jq() {
    // A filter that is renamed in a new version must not come back unseen.
    for preset in Preset::MEMBERS {
        assert!(Expression::parse(preset.text()).is_ok(), "{preset:?}");
    }
    let known: Vec<&str> = jaq_core::funs::<data::JustLut<Val>>()
        .chain(jaq_std::funs())
        .chain(jaq_json::funs())
        .map(|(name, _, _)| name)
        .collect();
    for name in filters::NATIVES_LEFT_OUT {
        assert!(known.contains(&name), "{name}");
    }
}
