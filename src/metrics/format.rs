//! The two exposition formats and the choice between them.
//!
//! Input: the `Accept` header. Output: [`Format`] and its exact content type. Invariant: the content type
//! of an answer is that of its text.

use crate::metrics::accept::MediaRanges;

/// An exposition format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// The Prometheus text format 0.0.4.
    Text,
    /// OpenMetrics 1.0.
    OpenMetrics,
}

impl Format {
    /// The `Content-Type` of an answer in this format.
    #[must_use]
    pub const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }

    /// The format that an `Accept` header asks for (RFC 9110, section 12.5.1). Join several headers with
    /// commas first.
    ///
    /// The weight of a format is that of the most specific range that matches it. The higher weight
    /// wins, then the more specific range, then the range that comes first, then text. If no range
    /// matches, the answer is text: for a scraper with an unusual header, the oldest format is more
    /// useful than 406.
    #[must_use]
    pub fn negotiate(accept: Option<&str>) -> Self {
        let Some(accept) = accept else { return Self::Text };
        let ranges = MediaRanges::parse(accept);
        let text = ranges.preference("text", "plain", "0.0.4");
        let open = ranges.preference("application", "openmetrics-text", "1.0.0");
        // `None` (not acceptable) is less than any preference.
        if open > text { Self::OpenMetrics } else { Self::Text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accept_headers_choose_the_format() {
        let check = |accept: &str, expect: Format| {
            assert_eq!(Format::negotiate(Some(accept)), expect, "{accept}");
        };
        let (text, open) = (Format::Text, Format::OpenMetrics);
        assert_eq!(Format::negotiate(None), text);
        check("", text);
        check("*/*", text);
        check("text/*", text);
        check("text/plain", text);
        check("text/plain;version=0.0.4", text);
        check("text/html", text);
        check("application/json", text);
        check("application/openmetrics-text", open);
        check("Application/OpenMetrics-Text; Version=1.0.0", open);
        check("application/openmetrics-text; version=\"1.0.0\"; charset=\"UTF-8\"", open);
        check("application/openmetrics-text;version=0.0.1", text);
        check("application/openmetrics-text;version=2.0.0", text);
        check("application/openmetrics-text;version=1.0.0;charset=latin1", text);
        check("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8", open);
        check("application/*", open);
        check("application/openmetrics-text;q=0", text);
        check("application/openmetrics-text;q=0, */*", text);
        check("text/plain;q=0, */*", open);
        check("text/plain;q=0", text);
        check("*/*;q=0", text);
        check("text/plain;q=0.5, application/openmetrics-text;q=0.4", text);
        check("text/plain;q=0.4, application/openmetrics-text;q=0.5", open);
        check("text/plain;q=0.499, application/openmetrics-text;q=0.5", open);
        check("application/openmetrics-text;q=0.5, */*;q=0.8", text);
        check("application/openmetrics-text, */*", open);
        check("*/*, application/openmetrics-text", open);
        check("text/plain, application/openmetrics-text", text);
        check("application/openmetrics-text, text/plain", open);
        // The most specific range decides, not the one with the highest weight.
        check("text/plain;q=0.9, text/plain;version=0.0.4;q=0.1, application/*;q=0.5", open);
        check(
            "application/openmetrics-text;version=1.0.0;q=0.1, application/*, text/*;q=0.5",
            text,
        );
        // A range with an invalid weight is skipped.
        check("application/openmetrics-text;q=2", text);
        check("application/openmetrics-text;q=-1", text);
        check("application/openmetrics-text;q=0.1234", text);
        check("application/openmetrics-text;q=high", text);
        check("application/openmetrics-text;q=1.000", open);
        check("application/openmetrics-text ; q=1 , text/plain ; q=0.5", open);
        // Invalid parts between valid ranges are skipped; quoted text may contain separators.
        check(",,;;,application/openmetrics-text,/,*", open);
        check("text/html;title=\"a,b;q=1\";q=0.1, application/openmetrics-text;q=0.2", open);
        check("text/html;title=\"open, application/openmetrics-text", text);
    }

    #[test]
    fn scrapers_get_what_they_expect() {
        let check = |accept: &str, expect: Format| {
            assert_eq!(Format::negotiate(Some(accept)), expect, "{accept}");
        };
        // Prometheus 2.42, 2.55, 3.5 and Grafana Alloy, in this order.
        check(
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;\
             q=0.75,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format::OpenMetrics,
        );
        check(
            "application/vnd.google.protobuf;proto=io.prometheus.client.MetricFamily;\
             encoding=delimited;q=0.6,application/openmetrics-text;version=1.0.0;q=0.5,\
             application/openmetrics-text;version=0.0.1;q=0.4,text/plain;version=0.0.4;q=0.3,\
             */*;q=0.2",
            Format::OpenMetrics,
        );
        check(
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,\
             application/openmetrics-text;version=0.0.1;q=0.5,\
             text/plain;version=1.0.0;escaping=allow-utf-8;q=0.4,text/plain;version=0.0.4;q=0.3,\
             */*;q=0.2",
            Format::OpenMetrics,
        );
        check("text/plain;version=0.0.4;q=1,*/*;q=0.1", Format::Text);
        // A browser, and curl.
        check("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", Format::Text);
        check("*/*", Format::Text);
    }

    #[test]
    fn content_types_are_exact() {
        assert_eq!(Format::Text.content_type(), "text/plain; version=0.0.4; charset=utf-8");
        assert_eq!(
            Format::OpenMetrics.content_type(),
            "application/openmetrics-text; version=1.0.0; charset=utf-8"
        );
    }
}
