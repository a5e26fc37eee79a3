//! One message to a webhook: the body that is signed, and the directive it is about.

use serde::{Deserialize, Serialize};

use crate::domain::directive::Directive;
use crate::domain::ids::{Account, DirectiveId};
use crate::domain::time::Timestamp;
use crate::wire::answer;
use crate::wire::time::Rfc3339;

/// One message to one target. Its serialized form is a line of the outbox.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct WebhookMessage {
    /// The directive.
    pub(super) id: DirectiveId,
    /// When it was decided.
    pub(super) at: Timestamp,
    /// The account, or `*`. Accounts take turns.
    pub(super) account: Account,
    /// Whether it is a halt or a release. Those are sent first.
    pub(super) of_latch: bool,
    /// The body. Every attempt sends the same bytes.
    pub(super) body: String,
}

/// The payload that Standard Webhooks recommends.
#[derive(Serialize)]
struct DeliveryPayload {
    #[serde(rename = "type")]
    kind: &'static str,
    timestamp: Rfc3339,
    data: answer::Directive,
}

impl WebhookMessage {
    /// The message about a directive.
    pub(super) fn new(directive: &Directive) -> Self {
        let payload = DeliveryPayload {
            kind: directive.kind.as_str(),
            timestamp: Rfc3339(directive.at),
            data: answer::Directive::new(directive),
        };
        Self {
            id: directive.id,
            at: directive.at,
            account: directive.account.clone(),
            of_latch: directive.kind.is_of_latch(),
            body: serde_json::to_string(&payload).unwrap_or_else(|_| {
                impossible!("strings and numbers always serialize");
                String::new()
            }),
        }
    }
}
