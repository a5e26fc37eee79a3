//! The person, program or rule behind a decision: the name it gave and the token it held.

use serde::{Deserialize, Serialize};

use crate::domain::ids::Actor;

/// The token name where no tokens are configured.
pub const NO_TOKEN: &str = "none";

/// The origin of a decision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Principal {
    /// The name given in the request. Nothing proves it.
    pub actor: Actor,
    /// The name of the token; [`NO_TOKEN`] where no tokens are configured. None: no request.
    pub token: Option<Box<str>>,
}

impl Principal {
    /// An actor with the token of that name.
    #[must_use]
    pub fn with_token(actor: Actor, token: &str) -> Self {
        Self { actor, token: Some(token.into()) }
    }

    /// The name of the token; [`NO_TOKEN`] without one.
    #[must_use]
    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or(NO_TOKEN)
    }

    /// The exporter itself.
    #[must_use]
    pub fn exporter() -> Self {
        Self::from(Actor::exporter())
    }

    /// The sender of a SIGHUP to the process.
    #[must_use]
    pub fn signal() -> Self {
        Self::from(Actor::sighup())
    }
}

impl From<Actor> for Principal {
    fn from(actor: Actor) -> Self {
        Self { actor, token: None }
    }
}
