//! The listeners: one for each configured address, accepted from in turn.
//!
//! Input: addresses. Output: accepted connections. Invariants: no address is starved by another;
//! `[::]` takes IPv4 too, and stands for `0.0.0.0` on a machine without IPv6.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::task::{Context, Poll};

use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::AppError;

/// The shortest queue of the kernel for connections that are not accepted yet.
const BACKLOG_MIN: usize = 1_024;

/// Bound listeners; at least one.
#[derive(Debug)]
pub(super) struct Listeners {
    all: Vec<TcpListener>,
    /// The one that is asked first.
    next: usize,
}

impl Listeners {
    /// Binds every address, with a queue in the kernel for at least `connections_max` connections.
    ///
    /// # Errors
    /// [`AppError::Listen`] for the first that cannot be bound.
    pub(super) fn bind(addresses: &[SocketAddr], connections_max: usize) -> Result<Self, AppError> {
        let mut all = Vec::new();
        for address in addresses {
            let bound = bind(*address, connections_max.max(BACKLOG_MIN));
            all.push(bound.map_err(|source| AppError::Listen { address: *address, source })?);
        }
        Ok(Self { all, next: 0 })
    }

    /// The addresses in use, with the ports that the system has chosen.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.all.iter().filter_map(|listener| listener.local_addr().ok()).collect()
    }

    /// Detaches the listeners from this runtime, to attach them to another one.
    pub(super) fn detach(self) -> io::Result<DetachedListeners> {
        let all = self.all.into_iter().map(TcpListener::into_std).collect::<io::Result<_>>()?;
        Ok(DetachedListeners(all))
    }

    /// Waits for a connection on any address.
    pub(super) async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        std::future::poll_fn(|context| self.poll_accept(context)).await
    }

    fn poll_accept(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let (first, last) = self.all.split_at(self.next.min(self.all.len()));
        for (steps, listener) in last.iter().chain(first).enumerate() {
            if let Poll::Ready(accepted) = listener.poll_accept(context) {
                self.next = (self.next + steps + 1) % self.all.len();
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

/// Bound listeners that belong to no runtime.
#[derive(Debug)]
pub(super) struct DetachedListeners(Vec<std::net::TcpListener>);

impl DetachedListeners {
    /// Attaches them to the runtime that this runs on.
    pub(super) fn attach(self) -> io::Result<Listeners> {
        let all = self.0.into_iter().map(TcpListener::from_std).collect::<io::Result<_>>()?;
        Ok(Listeners { all, next: 0 })
    }
}

#[cfg(test)]
impl From<TcpListener> for Listeners {
    fn from(listener: TcpListener) -> Self {
        Self { all: vec![listener], next: 0 }
    }
}

fn bind(address: SocketAddr, backlog: usize) -> io::Result<TcpListener> {
    /// EAFNOSUPPORT and EADDRNOTAVAIL: there is no IPv6.
    const WITHOUT_IPV6: [i32; 2] = [97, 99];
    match listen(address, backlog) {
        Err(error)
            if address.is_ipv6()
                && address.ip().is_unspecified()
                && error.raw_os_error().is_some_and(|code| WITHOUT_IPV6.contains(&code)) =>
        {
            listen((Ipv4Addr::UNSPECIFIED, address.port()).into(), backlog)
        }
        bound => bound,
    }
}

fn listen(address: SocketAddr, backlog: usize) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    // The kernel caps it at net.core.somaxconn.
    socket.listen(u32::try_from(backlog).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_address_is_served_in_turn() {
        let addresses = ["127.0.0.1:0", "127.0.0.1:0", "127.0.0.1:0"].map(|a| a.parse().unwrap());
        let mut listeners = Listeners::bind(&addresses, 1).unwrap();
        let ports: Vec<u16> = listeners.addresses().iter().map(SocketAddr::port).collect();
        let mut clients = Vec::new();
        for port in [0, 0, 0, 1, 2].map(|n: usize| ports[n]) {
            clients.push(TcpStream::connect(("127.0.0.1", port)).await.unwrap());
        }
        let mut served = Vec::new();
        for _ in 0..5 {
            let (stream, _) = listeners.accept().await.unwrap();
            served.push(stream.local_addr().unwrap().port());
        }
        // The busy first address waits for its turn.
        assert_eq!(served[..3], ports, "{served:?}");
    }

    #[tokio::test]
    async fn all_addresses_include_those_of_ipv4() {
        let mut listeners = Listeners::bind(&["[::]:0".parse().unwrap()], 1).unwrap();
        let port = listeners.addresses()[0].port();
        let client = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let (_, peer) = listeners.accept().await.unwrap();
        assert_eq!(peer.port(), client.local_addr().unwrap().port());
    }
}
