//! Closed sets of words that label the exporter's own figures.
//!
//! Invariant: every word of a set is a series from the start, so that its first use is an increase.

macro_rules! words {
    ($(#[doc = $doc:literal])* $name:ident, $count:literal, {
        $($(#[doc = $about:literal])* $member:ident = $word:literal,)*
    }) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name {
            $($(#[doc = $about])* $member,)*
        }

        impl $name {
            /// The whole set.
            pub const ALL: [Self; $count] = [$(Self::$member),*];

            /// The word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self {
                    $(Self::$member => $word,)*
                }
            }
        }
    };
}

words! {
    /// What came of a notification of Alertmanager.
    NotificationOutcome, 5, {
        /// A cause was set.
        Set = "set",
        /// Every alert that asks for something was acted on before.
        Duplicate = "duplicate",
        /// It asked for nothing.
        Nothing = "nothing",
        /// It was refused, and will not be sent again.
        Refused = "refused",
        /// It could not be taken, and will be sent again.
        Failed = "failed",
    }
}

words! {
    /// Who stays connected.
    ListenerKind, 2, {
        /// An event stream.
        Stream = "stream",
        /// A request that waits for a permit.
        Permit = "permit",
    }
}

words! {
    /// Why an event stream ended.
    StreamEnd, 5, {
        /// The client went.
        Client = "client",
        /// The client was behind by more than is held.
        Slow = "slow",
        /// It lasted as long as a stream may.
        Lifetime = "lifetime",
        /// The token is not valid any more.
        Token = "token",
        /// The process ends, or nothing can be recorded any more.
        Draining = "draining",
    }
}

words! {
    /// What came of a webhook, or of an attempt at one.
    DeliveryOutcome, 4, {
        /// The target has it.
        Delivered = "delivered",
        /// An attempt failed.
        Failed = "failed",
        /// Too many newer ones wait, or it was lost before.
        Dropped = "dropped",
        /// It was too old.
        Expired = "expired",
    }
}
