"""Metrics that no panel and no alert rule uses, each with the reason."""

import re

import boards
import catalogue

NOT_ON_PANELS = {
    "trading_account_fill_ratio": "panels and alerts leave out what the user cancelled, as a maker "
    "that quotes and cancels is healthy",
    r"trading_\w+_by_(strategy|venue)_total": "panels by strategy and venue show ratios; counters "
    "are for queries of one's own",
    "trading_fill_slippage_bps": "no panel rests on buckets; the quantiles of the window are exact",
    "trading_exporter_journal_snapshot_(sequence|bytes|duration_seconds)": "for whoever sizes the "
    "disk and the pause of a snapshot; the panels show its age and what went wrong",
    "trading_exporter_ingest_warnings_total": "the sender has them in its answer; what people must "
    "act on has metrics and alerts of its own",
    "trading_exporter_adapter_messages(_ignored)?_total": "what a system sends that says nothing "
    "here is no fault; what it sends that is refused has an alert",
    r"trading_exporter_feed_\w+": "a feed that fails is an unhealthy component, which has an alert "
    "and a panel; these say what it read, for finding a cause",
    "trading_exporter_sums_recounted_total": "it shows that the check runs; a difference is a "
    "broken invariant, which has an alert",
    "trading_exporter_events_old_total": "it keeps old sessions out of the delays, and nothing is "
    "wrong with replaying one",
    "trading_exporter_replay_progress_ratio": "it is 1 but for the minutes of a replay, in which "
    "/-/ready is refused and the log tells it",
    "trading_exporter_tls_handshake_failures_total": "scans of the port fail handshakes all "
    "day; a client that cannot connect is missing elsewhere, and this says why",
    "trading_exporter_rate_limited_requests_total": "the limit is the operator's own, and its "
    "client sees the 429",
    "trading_exporter_web_config_reload_failures_total": "the alert follows the gauge of the state",
    "trading_exporter_connections(_limit|_closed_total|_reserve_used_total)?": "for finding out "
    "who keeps connections open; what is refused for want of them has an alert",
    "trading_exporter_scrapes_refused_total": "a refused scrape is a gap that ExporterDown shows",
    "trading_exporter_state_full_total": "StateNearLimit comes before the first refusal, and "
    "the sender has each in its answer",
    r"trading_exporter_position_pull(s_total|_last_\w+_seconds)": "a pull that fails makes the "
    "component broker unhealthy and the book stale: both have alerts",
    "process_virtual_memory_bytes": "it says nothing of what is used; resident memory does",
}


def findings():
    """Unused metrics without a reason, and reasons for metrics that are used."""
    names = [row[0] for row in catalogue.ROW.findall(catalogue.TABLE.read_text())]
    texts = [
        query.expression
        for document in boards.load().values()
        for query in boards.queries(document)
    ]
    texts += [path.read_text() for path in (boards.ROOT / "alerts").glob("*.rules.yml")]
    used = set(re.findall(r"\w+", " ".join(texts)))
    unused = [name for name in names if not used & {name, f"{name}_bucket"}]
    for name in unused:
        if not any(re.fullmatch(pattern, name) for pattern in NOT_ON_PANELS):
            yield f"{name}: on no panel, in no rule, and no reason why"
    for pattern in NOT_ON_PANELS:
        if not any(re.fullmatch(pattern, name) for name in unused):
            yield f"{pattern}: the reason is not needed"
