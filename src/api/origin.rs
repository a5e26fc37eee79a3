//! The origin of a request: the peer of its connection, and the lane that the connection is in.
//!
//! Invariants: every request has an origin; a client is its token, or without tokens its peer, so that
//! a share for each client holds whether or not tokens are configured. Deliberately absent: who may do
//! what (see `auth`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::api::auth::Caller;

/// The origin of all requests of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    /// The peer of the connection.
    pub(crate) peer: Peer,
    /// The requests that the connection may carry.
    pub(crate) lane: Lane,
}

/// Marks an answer that is large and is read at once: a client that reads nothing of it for some seconds
/// is disconnected. An extension of the answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BulkAnswer;

/// The address of a peer, as far as it identifies one: an IPv4 address, or the network of 64 bits
/// from which an IPv6 host may choose any address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Peer(IpAddr);

/// The requests that a connection may carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// All requests.
    Common,
    /// Decisions, permits and health; all others are answered `overloaded`, because the connection
    /// took one of the last places.
    Reserve,
    /// Decisions, permits and health alone: the listener has no other paths.
    Decisions,
}

/// The holder of a share: a token, a user, or a peer without either.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Client {
    Token(Arc<str>),
    User(String),
    Peer(Peer),
}

impl Peer {
    /// The peer with this address.
    pub(crate) fn new(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() >> 64 << 64;
                Self(Ipv6Addr::from_bits(network).into())
            }
            v4 @ IpAddr::V4(_) => Self(v4),
        }
    }
}

impl Default for Origin {
    /// A connection on loopback.
    fn default() -> Self {
        Self { peer: Peer(Ipv4Addr::LOCALHOST.into()), lane: Lane::Common }
    }
}

impl Client {
    pub(super) fn of(caller: &Caller, origin: Origin) -> Self {
        match caller {
            Caller::Holder(token) => Self::Token(Arc::clone(&token.name)),
            Caller::User(user) => Self::User(user.name.clone()),
            Caller::Trusted | Caller::Anonymous => Self::Peer(origin.peer),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ipv6_host_is_one_peer_whatever_address_it_chooses() {
        let check = |a: &str, b: &str, expect: bool| {
            let peer = |text: &str| Peer::new(text.parse().unwrap());
            assert_eq!(peer(a) == peer(b), expect, "{a} {b}");
        };
        check("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", true);
        check("2001:db8:1:2::1", "2001:db8:1:3::1", false);
        check("10.0.0.1", "::ffff:10.0.0.1", true);
        check("10.0.0.1", "10.0.0.2", false);
    }
}
