//! The traps of each format, made by hand: a body each, with what it becomes.

use super::*;

#[test]
fn alpaca_traps() {
    let order = |id: &str, rest: &str| {
        format!(
            r#""order":{{"id":"{id}","symbol":"AAPL","side":"buy","type":"limit","qty":"10","limit_price":"187.5","submitted_at":"2026-03-02T14:30:00Z"{rest}}}"#
        )
    };
    let update = |event: &str, rest: &str, order: &str| {
        format!(
            r#"{{"stream":"trade_updates","data":{{"event":"{event}","execution_id":"X-{event}","timestamp":"2026-03-02T14:30:01.5Z"{rest},{order}}}}}"#
        )
    };
    let chain = [
        update("new", "", &order("A", "")),
        update("replaced", "", &order("A", r#","replaced_by":"B""#)),
        update("new", "", &order("B", r#","replaces":"A""#)).replace("X-new", "X-new-b"),
        update("fill", r#","price":"187.4","qty":"10","position_qty":"10""#, &order("B", "")),
    ];
    let legs = r#","symbol":"","side":null,"legs":[{"id":"L1","symbol":"AAPL260619C00190000","side":"buy","qty":"2","type":"limit","filled_qty":"2","filled_avg_price":"6.35","submitted_at":"2026-03-02T14:30:00Z"},{"id":"L2","symbol":"AAPL260619C00200000","side":"sell","qty":"2","type":"limit","filled_qty":"2","filled_avg_price":"3.1","submitted_at":"2026-03-02T14:30:00Z"}]"#;
    let bust = r#","previous_execution_id":"X-fill","price":"187.3","qty":"9""#;
    golden_of_each(
        "alpaca_traps",
        AdapterName::Alpaca,
        &[
            ("a replace changes the id", &chain.join("\n")),
            ("a multi-leg order", &update("fill", "", &order("M", legs))),
            ("a part of a multi-leg order", &update("partial_fill", "", &order("M", legs))),
            ("a bust", &update("trade_bust", bust, &order("A", ""))),
            ("a correction", &update("trade_correct", bust, &order("A", ""))),
            ("an event that changes nothing", &update("done_for_day", "", &order("A", ""))),
            ("an unknown event", &update("brand_new_event", "", &order("A", ""))),
            ("another stream", r#"{"stream":"listening","data":{"streams":["trade_updates"]}}"#),
            ("a bare update", &format!(r#"{{"event":"new",{}}}"#, order("C", ""))),
            (
                "an order by notional",
                r#"{"event":"new","execution_id":"n","order":{"id":"N","symbol":"BTC/USD","side":"buy","qty":null,"notional":"100","submitted_at":null}}"#,
            ),
            ("a flat account", "[]"),
            (
                "a short with a positive quantity, and prices of 0",
                r#"[{"symbol":"SPY","qty":"5","side":"short","avg_entry_price":"0","current_price":"0.0"}]"#,
            ),
            ("a list with a row that is not understood", r#"[{"symbol":"SPY"}]"#),
            (
                "an error instead of a list",
                r#"{"code":40110000,"message":"request is not authorized"}"#,
            ),
            ("no order", r#"{"stream":"trade_updates","data":{"event":"new"}}"#),
        ],
    );
}

#[test]
fn fix_traps() {
    let report = |fields: &str| {
        format!("8=FIX.4.4|35=8|37=V1|11=C1|55=AAPL|54=1|1=DU1|{fields}|60=20240304-14:30:24.181|")
    };
    let old = |fields: &str| report(fields).replace("FIX.4.4", "FIX.4.2");
    let list = "8=FIX.4.4|35=AP|1=DU1|710=R1|727=2|728=0|55=AAPL|730=187.5|702=1|703=TQ|704=100|705=0|52=20240304-21:00:00|8=FIX.4.4|35=AP|1=DU1|710=R1|727=2|728=0|55=SPY|730=0|702=2|703=SOD|704=10|705=0|703=TQ|704=0|705=25|52=20240304-21:00:00|";
    let half = list.rfind("8=FIX").and_then(|at| list.get(..at)).expect("the first report");
    golden_of_each(
        "fix_traps",
        AdapterName::Fix,
        &[
            ("an execution of 4.2", &old("17=E1|20=0|150=1|39=1|32=10|31=187.5|12=0.01|13=1")),
            ("the last one of 4.2", &old("17=E2|20=0|150=2|39=2|32=10|31=187.5|851=2")),
            ("a cancel of 4.2", &old("17=E3|20=1|19=E1|150=1|39=1|32=10|31=187.5")),
            ("a correction of 4.2", &old("17=E4|20=2|19=E1|150=1|39=1|32=9|31=187.4")),
            ("a status of 4.2", &old("17=0|20=3|150=2|39=2|32=0|31=0")),
            ("a correction of 4.4", &report("17=E5|19=E1|150=G|39=1|32=8|31=187.3")),
            ("a bust of 4.4", &report("17=E6|19=E1|150=H|39=1")),
            ("a bust without a reference", &report("17=E7|150=H|39=1")),
            (
                "an execution of IBKR",
                &report("17=0000e0d5.6578abcd.01.01|150=F|39=2|32=5|31=187.5"),
            ),
            ("its correction", &report("17=0000e0d5.6578abcd.01.02|150=F|39=2|32=4|31=187.5")),
            ("a cancel that was asked for", &report("17=E8|150=4|39=4|41=C0")),
            ("a replace", &report("17=E9|150=5|39=0|41=C0|38=20|44=188")),
            ("a reject", &report("17=EA|150=8|39=8|103=2|58=too late today")),
            (
                "a reject of another kind",
                &report("17=EB|150=8|39=8|103=99|58=Insufficient buying power"),
            ),
            ("pending", &report("17=EC|150=A|39=A|38=10|40=2|44=187.5|59=0")),
            (
                "a short sale of an option",
                "8=FIX.4.4|35=D|11=C2|55=AAPL|54=5|38=2|40=1|167=OPT|200=202606|205=19|201=1|202=190|60=20240304-14:30:24|",
            ),
            (
                "an order by money",
                "8=FIX.4.4|35=D|11=C3|55=AAPL|54=1|38=0|152=1000|40=1|60=20240304-14:30:24|",
            ),
            ("a text with the separator", &report("17=ED|150=8|39=8|58=a|b=c|no tag")),
            ("a wrong checksum", "8=FIX.4.4|9=5|35=0|10=164|"),
            ("a right one, with SOH", "8=FIX.4.4\u{1}9=5\u{1}35=0\u{1}10=163\u{1}"),
            ("a refused cancel", "8=FIX.4.4|35=9|11=C4|41=C1|434=1|102=0|"),
            ("a logon", "8=FIX.4.4|35=A|98=0|108=30|"),
            ("a list of two", list),
            ("half of it", half),
            ("no positions", "8=FIX.4.4|35=AP|1=DU1|710=R2|727=0|728=2|52=20240304-21:00:00|"),
            (
                "none of a symbol",
                "8=FIX.4.4|35=AP|1=DU1|710=R2|727=0|728=2|55=AAPL|52=20240304-21:00:00|",
            ),
            ("a failed query", "8=FIX.4.4|35=AP|1=DU1|710=R3|728=3|52=20240304-21:00:00|"),
            ("a query with another result", "8=FIX.4.4|35=AO|1=DU1|710=R3|728=99|58=ask later|"),
            ("not FIX", "hello"),
        ],
    );
}

/// A message of freqtrade about trade 7.
fn freqtrade_message(kind: &str, rest: &str) -> String {
    format!(
        r#"{{"type":"{kind}","exchange":"Binance","pair":"ETH/USDT","trade_id":"7","order_type":"limit",{rest}}}"#
    )
}

#[test]
fn freqtrade_traps() {
    let long =
        |kind: &str, rest: &str| freqtrade_message(kind, &format!(r#""direction":"Long",{rest}"#));
    let entry = long("entry", r#""amount":"2.0","order_rate":"100.0","current_rate":"100.5""#);
    let fill =
        |amount: &str| long("entry_fill", &format!(r#""amount":"{amount}","open_rate":"99.9""#));
    let part = long(
        "entry_cancel",
        r#""amount":"0.7","limit":"99.9","reason":"cancelled due to timeout, partially filled""#,
    );
    let more = long(
        "entry",
        r#""amount":"1.0","order_rate":"98.0","current_rate":"98.0","sub_trade":"True""#,
    );
    let more_fill = long("entry_fill", r#""amount":"1.0","open_rate":"98.0","sub_trade":"True""#);
    let exit = |rate: &str| {
        long("exit", &format!(r#""amount":"1.5","order_rate":"{rate}","current_rate":"110""#))
    };
    let exit_fill =
        long("exit_fill", r#""amount":"1.5","close_rate":"111.0","current_rate":"None""#);
    let exit_cancel =
        long("exit_cancel", r#""amount":"0.0","limit":"0","reason":"cancelled due to timeout""#);
    let kept = long(
        "exit_cancel",
        r#""amount":"0.0","limit":"0","reason":"partially filled - keeping order open""#,
    );
    let stop = long("exit_fill", r#""amount":"1.5","close_rate":"90.0","order_type":"stoploss""#)
        .replacen(r#""order_type":"limit","#, "", 1);
    let short = freqtrade_message(
        "entry",
        r#""direction":"Short","amount":"2.0","order_rate":"100.0","current_rate":"None""#,
    );
    let lines =
        |bodies: &[&String]| bodies.iter().map(|b| b.as_str()).collect::<Vec<_>>().join("\n");
    let all = [
        ("an order and its execution", lines(&[&entry, &fill("2.0")])),
        ("a fee in the coin", lines(&[&entry, &fill("1.998")])),
        ("a part, and the cancel of the rest", lines(&[&entry, &fill("0.7"), &part])),
        ("another entry of the trade", lines(&[&entry, &fill("2.0"), &more, &more_fill])),
        ("an exit that was replaced without a word", lines(&[&entry, &fill("2.0"), &exit("110"), &exit("111"), &exit_fill])),
        ("a cancelled exit, and the next one", lines(&[&exit("110"), &exit_cancel, &exit("111"), &exit_fill])),
        ("an exit that stays open", lines(&[&exit("110"), &kept, &exit_fill])),
        ("a stop on the exchange", lines(&[&entry, &fill("2.0"), &stop])),
        ("all of it sent again", lines(&[&entry, &entry, &fill("2.0"), &fill("2.0"), &exit("110"), &exit("110")])),
        ("an execution of an order that was not announced", lines(&[&exit_fill])),
        ("a cancel of an order that was not announced", lines(&[&exit_cancel])),
        ("a short entry sells", lines(&[&short])),
        ("a literal of Python", entry.replace(r#""100.5""#, "None")),
        ("no direction", freqtrade_message("entry", r#""amount":"2.0""#)),
        ("no trade", r#"{"type":"entry","pair":"ETH/USDT"}"#.to_owned()),
        ("no type", r#"{"source":"freqtrade"}"#.to_owned()),
        ("an unknown type", r#"{"type":"wallet","status":"x"}"#.to_owned()),
        ("a candle", r#"{"type":"new_candle","data":"('BTC/USDT', '5m', <CandleType.SPOT: 'spot'>)"}"#.to_owned()),
        ("a failure of the bot", r#"{"type":"exception","status":"OperationalException: no money"}"#.to_owned()),
        ("fields", "type=entry&exchange=Binance&pair=BTC%2FUSDT%3AUSDT&direction=Short&amount=0.01955&order_rate=61365.93&order_type=limit&trade_id=1".to_owned()),
    ];
    let all: Vec<(&str, &str)> = all.iter().map(|(about, body)| (*about, body.as_str())).collect();
    golden_of_each("freqtrade_traps", AdapterName::Freqtrade, &all);
}

#[test]
#[expect(clippy::too_many_lines, reason = "a table")]
fn hummingbot_traps() {
    let event = |kind: &str, data: &str| {
        format!(r#"{{"timestamp":1772442042,"type":"{kind}","data":{{"order_id":"O",{data}}}}}"#)
    };
    let fill = |id: &str, fee: &str| {
        event(
            "OrderFilled",
            &format!(
                r#""trading_pair":"ETH-USDT","trade_type":"TradeType.BUY","price":2000.0,"amount":0.5,"exchange_trade_id":"{id}","trade_fee":{fee}"#
            ),
        )
    };
    let none = r#"{"fee_type":"AddedToCost","percent":"0","percent_token":null,"flat_fees":[]}"#;
    let done = |base: &str, quote: &str| {
        event(
            "BuyOrderCompleted",
            &format!(
                r#""base_asset":"ETH","quote_asset":"USDT","base_asset_amount":{base},"quote_asset_amount":{quote}"#
            ),
        )
    };
    let lost = [fill("1", none), done("1.5", "3010.0")].join("\n");
    let whole = [fill("1", none), fill("2", none), done("1.0", "2000.0")].join("\n");
    golden_of_each(
        "hummingbot_traps",
        AdapterName::Hummingbot,
        &[
            (
                "a market order has no price",
                &event(
                    "SellOrderCreated",
                    r#""type":"OrderType.MARKET","trading_pair":"ETH-USDT","amount":1.2,"price":NaN,"creation_timestamp":1772442042.0185409"#,
                ),
            ),
            (
                "a flat fee",
                &fill("1", r#"{"percent":"0","flat_fees":[{"token":"BNB","amount":"0.01"}]}"#),
            ),
            (
                "a fee in per cent",
                &fill(
                    "1",
                    r#"{"fee_type":"AddedToCost","percent":"0.001","percent_token":null,"flat_fees":[]}"#,
                ),
            ),
            (
                "a fee out of the coins",
                &fill(
                    "1",
                    r#"{"fee_type":"DeductedFromReturns","percent":"0.001","percent_token":null,"flat_fees":[]}"#,
                ),
            ),
            (
                "two flat fees",
                &fill(
                    "1",
                    r#"{"percent":"0","flat_fees":[{"token":"BNB","amount":"0.01"},{"token":"ETH","amount":"0.01"}]}"#,
                ),
            ),
            ("an execution was lost", &lost),
            ("none was lost", &whole),
            ("a total of nothing", &done("0.0", "0.0")),
            (
                "a failure without a word",
                &event("OrderFailure", r#""error_message":null,"error_type":null"#),
            ),
            ("an event of a pool", &event("RangePositionLiquidityAdded", r#""amount":1"#)),
            (
                "a heartbeat",
                r#"{"topic":"hbot/engine-1/hb","payload":"{\"ts\":1772442042500000}"}"#,
            ),
            (
                "a bot that leaves",
                r#"{"topic":"hbot/engine-1/status_updates","payload":{"timestamp":1772442042500,"type":"availability","msg":"offline"}}"#,
            ),
            (
                "a log line",
                r#"{"topic":"hbot/engine-1/log","payload":{"timestamp":1.5,"msg":"hi","level_no":20}}"#,
            ),
            ("no order", r#"{"timestamp":1,"type":"OrderCancelled","data":{}}"#),
        ],
    );
}

#[test]
fn nautilus_traps() {
    let common =
        r#""strategy_id":"S-1","instrument_id":"BTC/USDT.BINANCE","client_order_id":"O-1""#;
    let event = |kind: &str, rest: &str| {
        format!(
            r#"{{"type":"{kind}",{common},"account_id":"BINANCE-1","event_id":"{kind}","ts_event":1709562622288000000{rest}}}"#
        )
    };
    let announced = format!(
        r#"{{"type":"OrderInitialized",{common},"order_side":"SELL","order_type":"LIMIT","quantity":"2","time_in_force":"GTC","reduce_only":true,"quote_quantity":false,"options":{{"price":"43000"}},"tags":["expected_price=43001","kind=x"],"event_id":"i","ts_event":1}}"#
    );
    let submitted = event("OrderSubmitted", "");
    let fill = r#","trade_id":"T1","order_side":"SELL","last_qty":"2","last_px":"43000","commission":"-0.5 USDT","liquidity_side":"MAKER""#;
    let position = |kind: &str, id: &str, rest: &str| {
        event(kind, &format!(r#","position_id":"P-{id}",{rest}"#))
            .replace(&format!(r#""event_id":"{kind}""#), &format!(r#""event_id":"{kind}-{id}""#))
    };
    let two_strategies = [
        position(
            "PositionOpened",
            "1",
            r#""entry":"BUY","side":"LONG","signed_qty":3.0,"quantity":"3","peak_qty":"3","last_qty":"3","avg_px_open":43000.0"#,
        ),
        position(
            "PositionOpened",
            "2",
            r#""entry":"SELL","side":"SHORT","signed_qty":-1.0,"quantity":"1","peak_qty":"1","last_qty":"1","avg_px_open":43000.0"#,
        ),
        position(
            "PositionChanged",
            "1",
            r#""entry":"BUY","side":"LONG","signed_qty":5.0,"quantity":"5","peak_qty":"5","last_qty":"2","avg_px_open":43000.0,"avg_px_close":0.0"#,
        ),
        position(
            "PositionChanged",
            "1b",
            r#""entry":"BUY","side":"LONG","signed_qty":1.0,"quantity":"1","peak_qty":"5","last_qty":"4","avg_px_open":43000.0,"avg_px_close":43001.0"#,
        ),
        position(
            "PositionClosed",
            "2",
            r#""entry":"SELL","side":"FLAT","signed_qty":0.0,"quantity":"0","peak_qty":"1","last_qty":"1","avg_px_open":43000.0"#,
        ),
    ];
    let report = |symbol: &str, quantity: &str| {
        format!(
            r#"{{"type":"PositionStatusReport","account_id":"BINANCE-1","instrument_id":"{symbol}","position_side":"LONG","quantity":"{quantity}","signed_decimal_qty":"{quantity}","report_id":"r","ts_last":1,"ts_init":1709562622288000000,"avg_px_open":null}}"#
        )
    };
    golden_of_each(
        "nautilus_traps",
        AdapterName::Nautilus,
        &[
            ("a submission is announced", &[announced.clone(), submitted.clone()].join("\n")),
            ("a denied order was never submitted", &[announced.clone(), event("OrderDenied", r#","reason":"MAX""#)].join("\n")),
            ("a submission without its announcement", &submitted),
            ("the Rust core", &format!(r#"{{"Filled":{}}}"#, event("x", fill).replace(r#""type":"x","#, ""))),
            ("an entry of the stream", &serde_json::json!({"topic":"events.order.S-1","type":"OrderCanceled","payload":event("OrderCanceled","")}).to_string()),
            ("a fill of a reconciliation", &event("OrderFilled", &format!(r#"{fill},"reconciliation":true"#))),
            ("a post-only reject", &event("OrderRejected", r#","reason":"would take","due_post_only":true"#)),
            ("a time in words", &event("OrderCanceled", "").replace("1709562622288000000", r#""2024-03-04T14:30:22.288000000Z""#)),
            ("two strategies hold one symbol", &two_strategies.join("\n")),
            ("positions of the venue", &[report("BTC.X", "1"), report("BTC.X", "-3"), report("ETH.X", "2")].join("\n")),
            ("a fill of the venue", &format!(r#"{{"type":"FillReport","account_id":"A-1","instrument_id":"BTC.X","venue_order_id":"V1","client_order_id":null,"ts_event":1709562622288000000{fill}}}"#)),
            ("an order of the venue", r#"{"type":"OrderStatusReport","account_id":"A-1","instrument_id":"BTC.X","venue_order_id":"V1","client_order_id":"O-9","order_side":"BUY","order_status":"CANCELED","quantity":"1","filled_qty":"0","report_id":"r1","ts_accepted":1,"ts_last":1709562622288000000}"#),
            ("an update by money", &event("OrderUpdated", r#","quantity":"1000","price":null,"is_quote_quantity":true"#)),
            ("in flight", &event("OrderPendingCancel", "")),
            ("not an event", r#"{"a":1,"b":2}"#),
        ],
    );
}

#[test]
fn lean_traps() {
    golden_of_each(
        "lean_traps",
        AdapterName::Lean,
        &[
            (
                "a packet, with capitals and numbers",
                r#"{"Type":"OrderEvent","Event":{"OrderId":4,"Id":2,"Symbol":{"value":"SPY","id":"SPY R735QTJ8XC9X"},"Time":"2026-11-22T14:30:00Z","Status":3,"FillQuantity":-3,"FillPrice":400.5,"Direction":1}}"#,
            ),
            (
                "an order with its quotes",
                r#"{"id":7,"algorithmId":"L","symbol":{"value":"SPY","id":"SPY R735QTJ8XC9X"},"quantity":-3,"createdTime":"2026-11-22T14:30:00Z","orderSubmissionData":{"bidPrice":400.1,"askPrice":400.3,"lastPrice":400.2}}"#,
            ),
            ("holdings alone", r#"{"SPY R735QTJ8XC9X":{"a":400.0,"q":3},"AAPL R735QTJ8XC9X":{}}"#),
            (
                "holdings with long names",
                r#"{"Holdings":{"ES":{"averagePrice":4000,"quantity":-1,"marketPrice":4001}}}"#,
            ),
            ("no holdings", r#"{"Holdings":{}}"#),
            ("an empty object", "{}"),
            (
                "a status in flight",
                r#"{"orderId":1,"orderEventId":9,"status":"cancelPending","symbolValue":"SPY","quantity":1,"time":1795357800}"#,
            ),
            ("another packet", r#"{"Type":"AlgorithmStatus","Status":"Running"}"#),
        ],
    );
}

#[test]
fn tradingview_traps() {
    golden_of_each(
        "tradingview_traps",
        AdapterName::Tradingview,
        &[
            ("words", "BTCUSD crossed 61000"),
            (
                "placeholders that were not filled in",
                r#"{"ticker":"BTCUSD","close":"{{close}}","position_size":"NaN"}"#,
            ),
            ("no ticker", r#"{"close":"1"}"#),
            (
                "a size that is signed already",
                r#"{"ticker":"ES1!","close":5000,"position_size":-2}"#,
            ),
        ],
    );
}
