//! A TCP connection that must be taken; nothing is sent over it.

use tokio::net::TcpStream;

use super::Seen;

/// A TCP connection that must be taken.
#[derive(Debug)]
pub(super) struct Connect {
    address: String,
}

impl Connect {
    /// To a host and a port.
    pub(super) fn new(address: &str) -> Self {
        Self { address: address.to_owned() }
    }

    pub(super) async fn see(&self) -> Seen {
        match TcpStream::connect(&self.address).await {
            Ok(_) => Ok(String::from("connected")),
            Err(error) => Err(error.to_string()),
        }
    }
}
