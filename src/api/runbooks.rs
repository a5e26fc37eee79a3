//! `GET /runbooks`: what to do about each alert, as a page of the exporter that raised it.
//!
//! Input: `docs/runbooks.md`, of the version that runs. Invariant: the anchor of a section is the
//! name of its alert in small letters, as the rules link to it. Deliberately absent: links to the
//! other documents, which the exporter does not serve; their text stays.

use std::sync::LazyLock;

use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use pulldown_cmark::{CowStr, Event, Options, Parser, Tag, TagEnd, html};

use crate::api::html::{FOOT, PAGE_HEADERS, head};

const TEXT: &str = include_str!("../../docs/runbooks.md");

static PAGE: LazyLock<Bytes> = LazyLock::new(|| render(TEXT).into());

/// What to do about each alert
///
/// A page with a section for each alert; the rules link to it.
#[utoipa::path(
    get, path = "/runbooks", tag = "process",
    responses((status = 200, description = "A page", body = String, content_type = "text/html; charset=utf-8")),
)]
pub(super) async fn get_runbooks() -> Response {
    (PAGE_HEADERS, PAGE.clone()).into_response()
}

fn render(markdown: &str) -> String {
    let mut away = false;
    let stays = |event: &Event<'_>| {
        if let Event::Start(Tag::Link { dest_url, .. }) = event {
            away = !dest_url.starts_with('#');
            return !away;
        }
        !matches!(event, Event::End(TagEnd::Link)) || !std::mem::take(&mut away)
    };
    let mut events: Vec<Event<'_>> =
        Parser::new_ext(markdown, Options::empty()).filter(stays).collect();
    name_headings(&mut events);
    let mut page = head("Runbooks");
    html::push_html(&mut page, events.into_iter());
    page.push_str(FOOT);
    page
}

/// Gives every heading the anchor of its text.
fn name_headings(events: &mut [Event<'_>]) {
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
