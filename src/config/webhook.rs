//! Where directives are delivered, and the secrets that sign them.
//!
//! Invariants: no secret and no path of a URL (which may be one) is shown by `Debug`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::domain::pattern::Pattern;

/// A target of signed webhooks.
#[derive(Clone, Debug, PartialEq)]
pub struct Webhook {
    /// Its name: the label `sink` of metrics, and the name of its outbox.
    pub name: String,
    /// Where it listens.
    pub url: WebhookUrl,
    /// What it is signed with; the first one is the newest.
    pub secrets: Vec<Secret>,
    /// Kinds of directives that it gets.
    pub events: Vec<&'static str>,
    /// Accounts that it hears of; empty: all. What is said of `*` concerns all.
    pub accounts: Vec<Pattern>,
    /// How long a delivery may take.
    pub timeout: Duration,
    /// Which addresses its host may have.
    pub reach: Reach,
}

/// Which addresses a host may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Those that everybody can reach.
    Public,
    /// All of them.
    Any,
}

/// The URL of a target. Its path and query may hold a key, so `Debug` leaves them out.
#[derive(Clone, PartialEq, Eq)]
pub struct WebhookUrl(String);

impl WebhookUrl {
    /// Takes a URL that was checked.
    #[must_use]
    pub fn new(url: impl Into<String>) -> Self {
        Self(url.into())
    }

    /// The whole URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for WebhookUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let origin = self.0.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        write!(f, "{origin:?}")
    }
}

/// The bytes of a signing secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Vec<u8>);

/// What a secret begins with, by Standard Webhooks.
const PREFIX: &str = "whsec_";

impl Secret {
    /// Reads `whsec_` and base64 of 24 to 64 bytes, as Standard Webhooks has it.
    ///
    /// # Errors
    /// What it must be; never what was read.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let encoded = text.trim().strip_prefix(PREFIX).ok_or("must begin with whsec_")?;
        let bytes = STANDARD.decode(encoded).map_err(|_| "must be base64 after whsec_")?;
        if !(24..=64).contains(&bytes.len()) {
            return Err("must hold 24 to 64 bytes");
        }
        Ok(Self(bytes))
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(...)")
    }
}

/// Whether everybody can reach an address: not this host, a private network, a link (where the
/// metadata of clouds are), nor a range with another purpose. See the IANA special-purpose
/// registries (RFC 6890).
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

/// Networks of version 4 that not everybody can reach, with the bits of their prefix.
const SPECIAL_V4: [(Ipv4Addr, u32); 15] = [
    (Ipv4Addr::UNSPECIFIED, 8),
    (Ipv4Addr::new(10, 0, 0, 0), 8),
    (Ipv4Addr::new(100, 64, 0, 0), 10),
    (Ipv4Addr::new(127, 0, 0, 0), 8),
    (Ipv4Addr::new(169, 254, 0, 0), 16),
    (Ipv4Addr::new(172, 16, 0, 0), 12),
    (Ipv4Addr::new(192, 0, 0, 0), 24),
    (Ipv4Addr::new(192, 0, 2, 0), 24),
    (Ipv4Addr::new(192, 88, 99, 0), 24),
    (Ipv4Addr::new(192, 168, 0, 0), 16),
    (Ipv4Addr::new(198, 18, 0, 0), 15),
    (Ipv4Addr::new(198, 51, 100, 0), 24),
    (Ipv4Addr::new(203, 0, 113, 0), 24),
    (Ipv4Addr::new(224, 0, 0, 0), 4),
    (Ipv4Addr::new(240, 0, 0, 0), 4),
];

/// Networks of version 6 inside global unicast that not everybody can reach, in the same way.
const SPECIAL_V6: [(Ipv6Addr, u32); 3] = [
    (Ipv6Addr::new(0x2001, 0, 0, 0, 0, 0, 0, 0), 23),
    (Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0), 32),
    (Ipv6Addr::new(0x3fff, 0, 0, 0, 0, 0, 0, 0), 20),
];

/// Global unicast of version 6: all the rest is of another purpose.
const GLOBAL_V6: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2000, 0, 0, 0, 0, 0, 0, 0), 3);
/// What stands before an address of version 4: mapped, and translated (RFC 6052).
const BEFORE_V4: [(Ipv6Addr, u32); 2] = [
    (Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0, 0), 96),
    (Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, 0, 0), 96),
];
/// 6to4: an address of version 4 follows at once.
const SIX_TO_FOUR: (Ipv6Addr, u32) = (Ipv6Addr::new(0x2002, 0, 0, 0, 0, 0, 0, 0), 16);

fn is_public_v4(address: Ipv4Addr) -> bool {
    let within = |(network, bits): &(Ipv4Addr, u32)| {
        (address.to_bits() ^ network.to_bits()).leading_zeros() >= *bits
    };
    !SPECIAL_V4.iter().any(within)
}

/// An address that carries one of version 4 is what that one is.
fn is_public_v6(address: Ipv6Addr) -> bool {
    let within = |(network, bits): &(Ipv6Addr, u32)| {
        (address.to_bits() ^ network.to_bits()).leading_zeros() >= *bits
    };
    let [.., a, b, c, d] = address.octets();
    if BEFORE_V4.iter().any(within) {
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    if within(&SIX_TO_FOUR) {
        let [_, _, a, b, c, d, ..] = address.octets();
        return is_public_v4(Ipv4Addr::new(a, b, c, d));
    }
    within(&GLOBAL_V6) && !SPECIAL_V6.iter().any(within)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_public_addresses_are_public() {
        let check = |address: &str, expect: bool| {
            let parsed: IpAddr = address.parse().expect("an address");
            assert_eq!(is_public(parsed), expect, "{address}");
        };
        for public in [
            "1.1.1.1",
            "93.184.216.34",
            "100.63.0.1",
            "100.128.0.1",
            "172.15.0.1",
            "172.32.0.1",
            "192.0.1.1",
            "223.255.255.255",
            "2606:4700::1111",
            "2a00:1450:4001::1",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
        ] {
            check(public, true);
        }
        for special in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "192.0.0.8",
            "192.0.2.1",
            "198.18.0.1",
            "198.51.100.1",
            "203.0.113.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:169.254.169.254",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "100::1",
            "2001::1",
            "2001:db8::1",
            "2002:7f00:1::1",
            "2002:a9fe:a9fe::1",
            "3fff::1",
            "fc00::1",
            "fd00:ec2::254",
            "fe80::1",
            "fec0::1",
            "ff02::1",
        ] {
            check(special, false);
        }
    }

    #[test]
    fn secrets_are_those_of_standard_webhooks() {
        let check = |text: &str, expect: Result<usize, &str>| {
            let got = Secret::parse(text).map(|secret| secret.as_bytes().len());
            assert_eq!(got, expect, "{text}");
        };
        let of = |bytes: usize| format!("whsec_{}", STANDARD.encode(vec![7; bytes]));
        check("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw\n", Ok(24));
        check(&of(64), Ok(64));
        check(&of(23), Err("must hold 24 to 64 bytes"));
        check(&of(65), Err("must hold 24 to 64 bytes"));
        check("MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", Err("must begin with whsec_"));
        check("whsec_???", Err("must be base64 after whsec_"));
    }

    #[test]
    fn nothing_secret_is_shown() {
        let secret = Secret::parse("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw").expect("a secret");
        assert_eq!(format!("{secret:?}"), "Secret(...)");
        let url = WebhookUrl::new("https://hooks.example:8443/T0/canary?key=canary");
        assert_eq!(format!("{url:?}"), "\"https://hooks.example:8443\"");
        assert_eq!(format!("{:?}", WebhookUrl::new("https://h")), "\"https://h\"");
    }
}
