//! Label values that the exporter declares itself; those of the domain are declared there.
//!
//! Invariant: a metric over one of these sets has a series for each member from the start, so that
//! the first increment is an increase to Prometheus.

use crate::domain::closed_set::closed_set;

closed_set! {
    /// The outcome of a notification from Alertmanager.
    pub enum NotificationOutcome {
        /// A cause was set.
        Set = "set",
        /// The exporter had acted on each of its alerts before.
        Duplicate = "duplicate",
        /// None of its alerts asked for an action.
        Nothing = "nothing",
        /// Refused; Alertmanager does not send it again.
        Refused = "refused",
        /// Not processed; Alertmanager sends it again.
        Failed = "failed",
    }
}

closed_set! {
    /// The reason for which a TLS handshake failed.
    pub enum HandshakeFailure {
        /// It was not complete in time.
        Timeout = "timeout",
        /// The client spoke HTTP without TLS.
        Plaintext = "plaintext",
        /// The client's certificate is missing, unknown, expired or not allowed.
        ClientCertificate = "certificate",
        /// The client refused: it does not trust the exporter's certificate, for example.
        RefusedByClient = "refused",
        /// No version, suite or curve in common.
        Incompatible = "incompatible",
        /// The client disconnected, as checks of a port do.
        Disconnected = "disconnected",
        /// Anything else that is not TLS.
        Invalid = "invalid",
    }
}

closed_set! {
    /// The kind of a long-lived request.
    pub enum ListenerKind {
        /// An event stream.
        Stream = "stream",
        /// A request that waits for a permit to change.
        Permit = "permit",
    }
}

closed_set! {
    /// The reason for which a scrape was not answered, or not to its end.
    pub enum ScrapeRefusal {
        /// As many scrapes were under way as may be.
        Full = "full",
        /// It gave way to a scrape of another client, because its client read nothing or had the most.
        GaveWay = "gave_way",
        /// The client disconnected, or was cut off because it read nothing.
        Unread = "unread",
    }
}

closed_set! {
    /// A listener.
    pub enum ListenerLabel {
        /// The main one.
        Main = "main",
        /// The one for decisions.
        Decisions = "decisions",
    }
}

closed_set! {
    /// The reason for which the exporter closed a connection.
    pub enum ConnectionClose {
        /// It was idle, and many connections were open.
        IdleForRoom = "idle_for_room",
        /// It had not sent a whole head, and too many connections were open.
        HeadForRoom = "head_for_room",
        /// It did not send a whole head in time.
        SlowHead = "slow_head",
        /// It was idle for too long.
        Idle = "idle",
        /// Its peer did not read the answer in time.
        Unread = "unread",
    }
}

closed_set! {
    /// The reason for which an event stream ended.
    pub enum StreamEnd {
        /// The client disconnected.
        Client = "client",
        /// The client fell further behind than the exporter buffers.
        Slow = "slow",
        /// The stream reached its maximum lifetime.
        Lifetime = "lifetime",
        /// The client's token is no longer valid.
        Token = "token",
        /// The process is shutting down, or the journal failed.
        Draining = "draining",
    }
}

closed_set! {
    /// The outcome of a webhook, or of one attempt to deliver it.
    pub enum DeliveryOutcome {
        /// The target accepted it.
        Delivered = "delivered",
        /// One attempt failed; the webhook is retried.
        Failed = "failed",
        /// Given up: too many newer webhooks are waiting, or it was lost before.
        Dropped = "dropped",
        /// Given up: it was too old.
        Expired = "expired",
    }
}

closed_set! {
    /// The outcome of a message of a feed.
    pub enum FeedResult {
        /// It was recorded and applied.
        Accepted = "accepted",
        /// It was known already.
        Duplicate = "duplicate",
        /// It says nothing here.
        Ignored = "ignored",
        /// It was refused.
        Refused = "refused",
    }
}

closed_set! {
    /// The outcome of a pull of a position source.
    pub enum PullOutcome {
        /// Every list is in the journal.
        Recorded = "recorded",
        /// A list could not be fetched or understood.
        Failed = "failed",
        /// The journal did not take a list.
        NotRecorded = "not_recorded",
    }
}

closed_set! {
    /// A label whose quiet values fold into `__other__`.
    pub enum FoldLabel {
        /// Symbols.
        Symbol = "symbol",
        /// Strategies.
        Strategy = "strategy",
        /// Venues.
        Venue = "venue",
        /// Healthy components.
        Component = "component",
    }
}

closed_set! {
    /// How durable the journal makes an event before it acknowledges it.
    pub enum DurabilityLabel {
        /// It survives a power cut.
        Synced = "synced",
        /// It survives a crash of the process.
        Relaxed = "relaxed",
        /// It survives nothing.
        Memory = "memory",
    }
}

closed_set! {
    /// A part of the time that a snapshot of the state takes.
    pub enum SnapshotPart {
        /// The copy of the state, during which ingest waits.
        Copy = "copy",
        /// Writing the copy, during which ingest goes on.
        Write = "write",
    }
}
