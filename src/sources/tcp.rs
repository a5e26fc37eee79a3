//! A TCP connection that must be accepted. Nothing is sent over it.

use tokio::net::TcpStream;

use super::ProbeOutcome;

/// Checks that a TCP connection is accepted.
#[derive(Debug)]
pub(super) struct TcpConnect {
    address: String,
}

impl TcpConnect {
    /// A check of `address`, a host and a port.
    pub(super) fn new(address: &str) -> Self {
        Self { address: address.to_owned() }
    }

    pub(super) async fn check(&self) -> ProbeOutcome {
        match TcpStream::connect(&self.address).await {
            Ok(_) => Ok(String::from("connected")),
            Err(error) => Err(error.to_string()),
        }
    }
}
