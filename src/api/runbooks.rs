//! `GET /runbooks`: the runbook of each alert, served by the exporter that raised the alert.
//!
//! Input: `docs/runbooks.md` of the running version. Invariant: the anchor of a section is the name
//! of its alert in lower case, which the alert rules link to. Deliberately absent: links to other
//! documents, which the exporter does not serve. Their text is kept.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use crate::api::html::{FOOT, PAGE_HEADERS, head};

const TEXT: &str = include_str!("../../docs/runbooks.md");

static PAGE: LazyLock<Bytes> = LazyLock::new(|| render(TEXT).into());

/// The runbooks
///
/// A page with a section for each alert. The alert rules link to it.
#[utoipa::path(
    get, path = "/runbooks", tag = "process",
    responses((status = 200, description = "A page", body = String, content_type = "text/html; charset=utf-8")),
)]
pub(super) async fn get_runbooks() -> Response {
    (PAGE_HEADERS, PAGE.clone()).into_response()
}

fn render(markdown: &str) -> String {
    let mut in_foreign_link = false;
    let is_kept = |event: &Event<'_>| {
        if let Event::Start(Tag::Link { dest_url, .. }) = event {
            in_foreign_link = !dest_url.starts_with('#');
            return !in_foreign_link;
        }
        !matches!(event, Event::End(TagEnd::Link)) || !std::mem::take(&mut in_foreign_link)
    };
    let mut events: Vec<Event<'_>> =
        Parser::new_ext(markdown, Options::empty()).filter(is_kept).collect();
    add_anchors(&mut events);
    let mut page = head("Runbooks");
    html::push_html(&mut page, events.into_iter());
    page.push_str(FOOT);
    page
}

/// Gives every heading its text in lower case as its anchor.
fn add_anchors(events: &mut [Event<'_>]) {
    let mut heading = None;
    for at in 0..events.len() {
        if let Some(Event::Start(Tag::Heading { .. })) = events.get(at) {
            heading = Some(at);
        } else if let Some(Event::End(TagEnd::Heading(_))) = events.get(at) {
            heading = None;
        } else if let Some(Event::Text(text)) = events.get(at) {
            let anchor = CowStr::from(text.to_lowercase().replace(' ', "-"));
            let start = heading.take().and_then(|start: usize| events.get_mut(start));
            if let Some(Event::Start(Tag::Heading { id, .. })) = start {
                *id = Some(anchor);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sections_have_anchors_and_links_stay_on_the_page() {
        let check = |markdown: &str, expect: &str| {
            let page = render(markdown);
            assert!(page.contains(expect), "{markdown}: {page}");
        };
        check("## PositionDrift\n\ntext", "<h2 id=\"positiondrift\">PositionDrift</h2>");
        check("## Two words", "<h2 id=\"two-words\">");
        check("[here](#x)", "<a href=\"#x\">here</a>");
        check("see [there](other.md).", "<p>see there.</p>");
        check("`a < b`", "<code>a &lt; b</code>");
        check(TEXT, "<h2 id=\"tradinghalted\">");
    }
}
