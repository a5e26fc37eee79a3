//! Parts of alert messages: Prometheus templates, expanded when an alert fires.
//!
//! Invariant: a label is quoted in a query (`%q`) and escaped in a link (`urlquery`), because an engine
//! may send any name.

/// The result of a query within a sentence, or `unknown`. `query` has a `%q` for each of `labels`.
pub(super) fn ask(query: &str, labels: &[&str], format: &str) -> String {
    let labels: Vec<String> = labels.iter().map(|label| format!("$labels.{label}")).collect();
    let labels = labels.join(" ");
    format!(
        "{{{{ with query (printf `{query}` {labels}) }}}}{{{{ . | first | value | {format} }}}}\
         {{{{ else }}}}unknown{{{{ end }}}}"
    )
}

/// A number with six digits.
pub(super) const NUMBER: &str = "printf \"%.6g\"";
/// A share as a percentage.
pub(super) const PERCENT: &str = "humanizePercentage";
/// A duration in seconds, as in `2m 30s`.
pub(super) const SPAN: &str = "humanizeDuration";

/// The threshold of an account, or a note that an override applies: Prometheus has no series of those.
pub(super) fn threshold(figure: &str, severity: &str, rules: &str, format: &str) -> String {
    let number = ask(
        &format!(
            "max(last_over_time(trading_threshold{{figure=\"{figure}\",severity=\"{severity}\",account=%q}}[2m]))"
        ),
        &["account"],
        format,
    );
    let overridden = format!(
        "count(last_over_time(trading_threshold_overridden{{rules=\"{rules}\",account=%q,symbol=%q}}[2m]))"
    );
    format!(
        "{{{{ if query (printf `{overridden}` $labels.account $labels.symbol) }}}}\
         set by an override{{{{ else }}}}{number}{{{{ end }}}}"
    )
}

/// `AAPL of paper`, or the account alone.
pub(super) const WHERE: &str = "{{ with $labels.symbol }}{{ . }} of {{ end }}{{ $labels.account }}";
