//! HTML pages: escaped text, head and foot, and the headers of a page that loads and runs nothing.

use std::fmt;

use axum::http::{HeaderName, header};

/// Text, escaped for an HTML element or a quoted attribute.
#[derive(Clone, Copy, Debug)]
pub(super) struct Escaped<'a>(pub &'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = self.0;
        while let Some(at) = rest.find(['&', '<', '>', '"', '\'']) {
            let (plain, special) = rest.split_at(at);
            f.write_str(plain)?;
            let mut characters = special.chars();
            f.write_str(match characters.next() {
                Some('&') => "&amp;",
                Some('<') => "&lt;",
                Some('>') => "&gt;",
                Some('"') => "&quot;",
                _ => "&#39;",
            })?;
            rest = characters.as_str();
        }
        f.write_str(rest)
    }
}

/// The style of every page. [`PAGE_HEADERS`] allows it by its digest.
pub(super) const STYLE: &str = include_str!("page.css");

/// The headers of a page: only our style is applied, no script runs, nothing is loaded.
pub(super) const PAGE_HEADERS: [(HeaderName, &str); 2] = [
    (header::CONTENT_TYPE, "text/html; charset=utf-8"),
    (
        header::CONTENT_SECURITY_POLICY,
        "default-src 'none'; style-src 'sha256-Du6zbhYcArl+SMb++NYTIu3Ph/ppzJpNqbi7GF6up4c='; base-uri 'none'; form-action 'none'; \
         frame-ancestors 'none'",
    ),
];

/// The start of a page, up to its content.
#[must_use]
pub(super) fn head(title: &str) -> String {
    let title = Escaped(title);
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
         <title>{title}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
    )
}

/// The end of a page.
pub(super) const FOOT: &str = "</main>\n</body>\n</html>\n";

#[cfg(test)]
mod tests {
    use base64::Engine as _;
    use base64::prelude::BASE64_STANDARD;
    use sha2::{Digest, Sha256};

    use super::*;

    #[test]
    fn text_stays_text() {
        let check = |text: &str, expect: &str| {
            assert_eq!(Escaped(text).to_string(), expect);
        };
        check("", "");
        check("BTC/USDT:USDT", "BTC/USDT:USDT");
        check("<script>alert('x')</script>", "&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;");
        check("a & \"b\"", "a &amp; &quot;b&quot;");
        check("日本<", "日本&lt;");
    }

    #[test]
    fn the_policy_names_the_style() {
        let digest = format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(STYLE)));
        let policy = PAGE_HEADERS[1].1;
        assert!(policy.contains(&digest), "the style changed: its digest is {digest}");
    }
}
