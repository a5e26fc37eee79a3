//! Tables of comma-separated values: what rows become, and what a mapping cannot read.

use super::*;
use crate::domain::units::{Decimal, Side};

/// A broker's statement of executions, in the manner of German banks.
const STATEMENT: &str = include_str!("../../../tests/fixtures/adapters/statement.csv");

fn columns(pairs: &[(&str, &str)]) -> Vec<(CsvField, String)> {
    pairs.iter().map(|(field, name)| (CsvField::of(field).unwrap(), (*name).to_owned())).collect()
}

fn statement() -> CsvMapping {
    let mut mapping = CsvMapping {
        name: String::from("statement"),
        delimiter: b';',
        skip_lines: 1,
        rows: CsvRowType::Fixed("order_filled"),
        columns: columns(&[
            ("order_id", "auftrag"),
            ("fill_id", "Ausf."),
            ("symbol", "Wertpapier"),
            ("side", "Art"),
            ("quantity", "Stk"),
            ("price", "Kurs"),
            ("time", "Zeit"),
        ]),
        sides: vec![("kauf".to_owned(), Side::Buy), ("Verkauf".to_owned(), Side::Sell)],
        decimal_comma: true,
        ..CsvMapping::default()
    };
    mapping.set_times(Some("%d.%m.%Y %H:%M:%S".to_owned()), Some("Europe/Berlin")).unwrap();
    mapping
}

fn with(mapping: CsvMapping) -> AdapterOptions {
    AdapterOptions { csv: Arc::new(mapping), ..AdapterOptions::default() }
}

fn table(text: &str, mapping: CsvMapping) -> String {
    shown(AdapterName::Csv, ForeignForm::Text, text, &with(mapping))
}

#[test]
fn a_statement_becomes_fills() {
    insta::assert_snapshot!("csv_statement", table(STATEMENT, statement()));
}

#[test]
fn a_log_becomes_the_types_of_its_words() {
    let mapping = CsvMapping {
        rows: CsvRowType::Column {
            column: String::from("Status"),
            words: vec![
                (String::from("NEW"), "order_submitted"),
                (String::from("FILLED"), "order_filled"),
                (String::from("CANCELED"), "order_cancelled"),
            ],
        },
        columns: columns(&[
            ("order_id", "Id"),
            ("symbol", "Symbol"),
            ("quantity", "Qty"),
            ("price", "Price"),
            ("time", "Time"),
        ]),
        signed_quantity: true,
        ..CsvMapping::default()
    };
    let log = "Status,Id,Symbol,Qty,Price,Time
NEW,1,BTC/USDT,-0.5,,1782900000
filled,1,BTC/USDT,-0.5,61000.1,1782900000.25
PARTIAL,2,BTC/USDT,1,61000,1782900001
CANCELED,2,BTC/USDT,,,2026-07-01T10:00:02Z
";
    insta::assert_snapshot!("csv_log", table(log, mapping));
}

#[test]
fn positions_become_one_list_for_each_account() {
    let mapping = |with_account: bool| {
        let pairs = [
            ("symbol", "Symbol"),
            ("quantity", "Position"),
            ("average_price", "Avg"),
            ("market_price", "Last"),
            ("account", "Account"),
        ];
        CsvMapping {
            rows: CsvRowType::Fixed("positions"),
            columns: columns(if with_account { &pairs } else { &pairs[..4] }),
            ..CsvMapping::default()
        }
    };
    let whole =
        "Account,Symbol,Position,Avg,Last\nU1,AAPL,100,187.4,188\nU1,MSFT,(50),410,\nU2,AAPL,7,,\n";
    let holes = "Account,Symbol,Position,Avg,Last\nU1,AAPL,100,187.4,188\nU1,MSFT\nU2,AAPL,7,,\n";
    let empty = "Account,Symbol,Position,Avg,Last\n";
    let mut text = String::new();
    for (about, body, with_account) in [
        ("two accounts", whole, true),
        ("accounts that are not mapped", whole, false),
        ("a damaged row may belong to either list", holes, true),
        ("an empty export is not flat", empty, true),
    ] {
        writeln!(text, "# {about}\n{}", table(body, mapping(with_account))).unwrap();
    }
    // What swallows, cuts or contradicts rows leaves no complete list.
    let quote = "Account,Symbol,Position,Avg,Last\nU1,AAPL,100,1,\"188\nU1,MSFT,50,410,\n";
    let cut = "Account,Symbol,Position,Avg,Last\nU1,AAPL,100,1,188\nU1,MSFT,50,4";
    let number = "Account,Symbol,Position,Avg,Last\nU1,AAPL,100,1,188\nU1,MSFT,50,n/a,\n";
    for (about, body) in [("a quote", quote), ("a cut", cut), ("a number", number)] {
        writeln!(text, "# {about}\n{}", table(body, mapping(true))).unwrap();
    }
    let sides = CsvMapping {
        rows: CsvRowType::Fixed("positions"),
        columns: columns(&[
            ("symbol", "Symbol"),
            ("side", "Side"),
            ("quantity", "Qty"),
            ("time", "Time"),
        ]),
        ..CsvMapping::default()
    };
    let body = "Symbol,Side,Qty,Time\nA,short,1,1782900000\nB,LONG,2,1782900000\nC,flat,3,1782900000\n\
                D,long,-4,1782900000\nE,long,5,1782900001\n";
    writeln!(text, "# sides and times\n{}", table(body, sides)).unwrap();
    let options =
        AdapterOptions { account: Some(Account::new("desk").unwrap()), ..with(mapping(true)) };
    let named = shown(AdapterName::Csv, ForeignForm::Text, whole, &options);
    writeln!(text, "# the account of the request\n{named}").unwrap();
    insta::assert_snapshot!("csv_positions", text);
}

#[test]
fn a_header_that_does_not_fit_refuses_the_table() {
    let check = |text: &str, mapping: CsvMapping, expect: &str| {
        assert_eq!(
            table(text, mapping),
            format!("body refused: the table cannot be read: {expect}\n")
        );
    };
    check(
        "Auftrag;Art\n",
        CsvMapping { skip_lines: 0, ..statement() },
        "the header has no column \"Ausf.\"",
    );
    let twice = STATEMENT.replacen("Notiz", "Kurs", 1);
    check(&twice, statement(), "the header has the column \"Kurs\" twice");
    check(
        "type,symbol,qty\n",
        CsvMapping::default(),
        "the column \"qty\" is no field of a table: map it",
    );
    check("a,b\n1,2\n", CsvMapping::default(), "the header has no column \"type\"");
    check(
        "one line",
        CsvMapping { skip_lines: 5, ..statement() },
        "the header has no column \"auftrag\"",
    );
}

#[test]
fn columns_named_like_fields_need_no_mapping() {
    let text = "type,order_id,symbol,side,quantity,price,final,x_note,time
order_submitted,O1,AAPL,buy,10,,,first,2026-07-01T10:00:00Z
order_filled,O1,AAPL,BOT,10,187.5,yes,,2026-07-01T10:00:01Z
order_flled,O1,AAPL,buy,10,187.5,yes,,2026-07-01T10:00:01Z
order_filled,O2,AAPL,hold,10,187.5,yes,,2026-07-01T10:00:01Z
order_filled,O2,AAPL,buy,10,187.5,perhaps,,2026-07-01T10:00:01Z
order_filled,O2,AAPL,buy,10,187.5,,,2026-07-01 10:00:01
";
    insta::assert_snapshot!("csv_plain", table(text, CsvMapping::default()));
}

proptest! {
    /// A table that is written from fills is read as those fills, whatever stands in its cells.
    #[test]
    fn a_table_is_read_as_it_was_written(
        fills in proptest::collection::vec(("[a-z,;\" é]{1,12}", 1_u32..1_000_000, any::<bool>()), 1..20),
        delimiter in proptest::sample::select(vec![b',', b';', b'|', b'\t']),
    ) {
        let mut writer = ::csv::WriterBuilder::new().delimiter(delimiter).from_writer(Vec::new());
        writer.write_record(["note", "type", "order_id", "symbol", "quantity", "price"]).unwrap();
        for (n, (note, cents, sells)) in fills.iter().enumerate() {
            let quantity = format!("{}{}.{:02}", if *sells { "-" } else { "" }, cents / 100, cents % 100);
            let row = [note, "order_filled", &format!("O{n}"), "AAPL", &quantity, "1"];
            writer.write_record(row).unwrap();
        }
        let text = String::from_utf8(writer.into_inner().unwrap()).unwrap();
        let names = [("order_id", "order_id"), ("symbol", "symbol"), ("quantity", "quantity"), ("price", "price")];
        let mapping = CsvMapping {
            delimiter,
            signed_quantity: true,
            columns: columns(&names),
            ..CsvMapping::default()
        };
        let found = adapt_as(AdapterName::Csv, ForeignForm::Text, text.as_bytes(), &with(mapping)).unwrap();
        prop_assert_eq!(found.messages, fills.len());
        prop_assert!(found.decoded.refused.is_empty(), "{:?}", found.decoded.refused);
        let shown: Vec<String> = found.decoded.events.iter()
            .map(|(_, event)| String::from_utf8(encode(event)).unwrap())
            .collect();
        for ((n, (_, cents, sells)), event) in fills.iter().enumerate().zip(shown) {
            let event: serde_json::Value = serde_json::from_str(&event).unwrap();
            prop_assert_eq!(&event["order_id"], &serde_json::json!(format!("O{n}")));
            prop_assert_eq!(&event["side"], if *sells { "sell" } else { "buy" });
            prop_assert_eq!(event["quantity"].as_str().unwrap().parse::<Decimal>().unwrap(), Decimal::new(i64::from(*cents), 2));
        }
    }
}
