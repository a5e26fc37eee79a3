//! A second tenant: it fills every table that it can reach, and must change nothing for the engines.
//!
//! It posts with a token of its own, has several accounts, and its random numbers are its own, so that a
//! world with it and one without it are otherwise the same.

use trading_exporter::domain::account::AccountState;
use trading_exporter::domain::ids::Account;
use trading_exporter::domain::monitor::Monitor;
use trading_exporter::domain::record::Entry;
use trading_exporter::metrics::{Format, encode, project_accounts};

use crate::engines::entries;
use crate::random::Random;

/// The token of its requests.
pub(crate) const TOKEN: &str = "neighbour";
/// Events of one burst.
const BURST: u64 = 30;

/// The second tenant.
pub(crate) struct Neighbour {
    random: Random,
    orders: u64,
}

impl Neighbour {
    pub(crate) fn new(seed: u64) -> Self {
        Self { random: Random(seed ^ 0x6e65_6967_6862_6f75), orders: 0 }
    }

    /// Its next request, which is often empty.
    pub(crate) fn request(&mut self, now_seconds: u64) -> Vec<Entry> {
        if self.random.chance(4) {
            return Vec::new();
        }
        let kind = self.random.below(8);
        let account = format!("neighbour-{}", self.random.below(9));
        let lines: Vec<String> =
            (0..BURST).map(|n| self.line(kind, &account, n, now_seconds)).collect();
        entries(&lines)
    }

    fn line(&mut self, kind: u64, account: &str, n: u64, at: u64) -> String {
        self.orders += 1;
        let id = self.orders;
        let head = format!(r#""account":"{account}","time":{at}"#);
        let order = format!(r#"{head},"order_id":"N{id}","symbol":"S{}","side":"buy""#, n % 9);
        let fields = match kind {
            0 => format!(r#""type":"order_submitted",{order},"quantity":5"#),
            1 => format!(r#""type":"order_rejected",{order},"reason":"other""#),
            2 => format!(
                r#""type":"order_filled",{order},"quantity":1,"price":{},"fill_id":"1""#,
                n + 1
            ),
            3 => format!(r#""type":"heartbeat",{head},"component":"C{n}","status":"unhealthy""#),
            4 => format!(r#""type":"quote",{head},"symbol":"Q{n}","price":1"#),
            5 => format!(
                r#""type":"position_adjusted","account":"{account}","time":"2199-01-01T00:00:00Z","symbol":"S1","quantity":{},"reason":"split""#,
                n + 1
            ),
            6 => format!(
                r#""type":"order_replaced",{head},"order_id":"N{id}","new_order_id":"N{}""#,
                id - 1
            ),
            _ => {
                let source = if n.is_multiple_of(2) { "local" } else { "broker" };
                format!(
                    r#""type":"positions",{head},"source":"{source}","positions":[{{"symbol":"S1","quantity":{},"average_price":9,"market_price":9}}]"#,
                    n % 2 * 40
                )
            }
        };
        format!("{{{fields}}}\n")
    }
}

/// The account that a request names.
pub(crate) fn accounts(request: &[Entry]) -> Vec<Account> {
    match request.first() {
        Some(Entry::Event(event)) => vec![event.account.clone()],
        Some(_) | None => Vec::new(),
    }
}

/// Everything that can be seen of the engines' accounts.
pub(crate) fn engines_seen(monitor: &Monitor) -> String {
    let is_engine = |account: &Account| account.as_str().starts_with("engine-");
    let mut seen = encode(&project_accounts(monitor, is_engine), None, Format::Text);
    let engines = monitor.accounts().filter(|account| is_engine(&account.name));
    for account in engines {
        seen += &seen_of(monitor, account);
    }
    seen
}

/// Permit, drift and audit of an account. Ids of causes and sequences are those of all accounts.
fn seen_of(monitor: &Monitor, account: &AccountState) -> String {
    let name = account.name.as_str();
    let permit = monitor.permit(name);
    let causes = permit.causes.iter();
    let causes = causes.map(|c| format!("{:?} {:?} {:?} {}", c.kind, c.state, c.subject, c.count));
    let audit = monitor.audit().newest(|of| of.as_str() == name);
    let audit = audit.map(|line| format!("{:?} {} {:?}", line.action, line.reason, line.refused));
    let lines: Vec<String> = causes.chain(audit).collect();
    format!("{name} {:?} {}\n{}\n", permit.state, permit.epoch, lines.join("\n"))
}
