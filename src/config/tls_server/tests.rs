//! Tests of `tls_server_config`: what is accepted, and every mistake with its place.

use std::path::Path;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{CipherSuite, NamedGroup, SupportedCipherSuite};

use crate::config::WebFile;

/// A directory with `ca.pem`, `cert.pem`, `key.pem` and `other.key`.
fn directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(directory.path().join(name), text).unwrap();
    let mut authority = CertificateParams::new(Vec::new()).unwrap();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let server = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    write("ca.pem", &authority.pem());
    write("cert.pem", &server.signed_by(&key, &authority).unwrap().pem());
    write("key.pem", &key.serialize_pem());
    write("other.key", &KeyPair::generate().unwrap().serialize_pem());
    write("junk.pem", "s3cret");
    directory
}

/// Reads a file with these lines in `tls_server_config`.
fn load(directory: &Path, lines: &str) -> Result<WebFile, Vec<String>> {
    let path = directory.join("web.yml");
    std::fs::write(&path, format!("tls_server_config:\n{lines}")).unwrap();
    let prefix = format!("{}: ", path.display());
    let text = |m: &crate::config::Mistake| m.to_string().replace(&prefix, "");
    WebFile::load(&path).map_err(|mistakes| mistakes.iter().map(text).collect())
}

const PAIR: &str = "  cert_file: cert.pem\n  key_file: key.pem\n";

#[test]
fn mistakes_have_their_places() {
    let directory = directory();
    let check = |lines: &str, expect: &[&str]| {
        let found = load(directory.path(), lines).unwrap_err();
        assert_eq!(found.len(), expect.len(), "{lines}: {found:?}");
        for (found, expect) in found.iter().zip(expect) {
            let whole = format!("tls_server_config.{expect}");
            assert!(found.starts_with(&whole), "{lines}: {found}");
        }
        assert!(!found.concat().contains("s3cret"), "{found:?}");
    };
    let with = |lines: &str| format!("{PAIR}{lines}");
    check("  min_version: TLS12\n", &["cert_file: is missing", "key_file: is missing"]);
    check(
        "  cert_file: gone.pem\n  key_file: junk.pem\n",
        &["cert_file: cannot read", "key_file: has no private key in PEM"],
    );
    check("  cert_file: junk.pem\n  key_file: key.pem\n", &["cert_file: has no certificate"]);
    check("  cert_file: cert.pem\n  key_file: other.key\n", &["key_file: does not fit cert_file"]);
    check(&with("  min_version: TLS11\n"), &["min_version: is too old"]);
    check(&with("  max_version: TLS14\n"), &["max_version: must be TLS12 or TLS13"]);
    check(
        &with("  min_version: TLS13\n  max_version: TLS12\n"),
        &["max_version: must not be lower"],
    );
    check(&with("  client_auth_type: RequestClientCert\n"), &["client_auth_type: asks for"]);
    check(&with("  client_auth_type: RequireAnyClientCert\n"), &["client_auth_type: asks for"]);
    check(&with("  client_auth_type: Never\n"), &["client_auth_type: must be NoClientCert or"]);
    check(
        &with("  client_auth_type: RequireAndVerifyClientCert\n"),
        &["client_auth_type: needs client_ca_file"],
    );
    check(&with("  client_ca_file: ca.pem\n"), &["client_ca_file: needs client_auth_type"]);
    check(
        &with("  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: key.pem\n"),
        &["client_ca_file: has no certificate in PEM"],
    );
    check(
        &with(
            "  client_auth_type: VerifyClientCertIfGiven\n  client_ca_file: ca.pem\n  \
             client_allowed_sans: [a]\n",
        ),
        &["client_allowed_sans: needs client_auth_type"],
    );
    check(&with("  client_allowed_sans: [a@b.example]\n"), &["client_allowed_sans: entry 0: e-m"]);
    check(
        &with("  cipher_suites: [TLS_RSA_WITH_AES_128_CBC_SHA]\n"),
        &["cipher_suites: entry 0: no such suite is supported; known: TLS_AES_256_GCM_SHA384, "],
    );
    check(
        &with("  cipher_suites: [TLS_AES_128_GCM_SHA256]\n"),
        &["cipher_suites: has no suite of TLS12"],
    );
    check(
        &with("  curve_preferences: [CurveP521]\n"),
        &["curve_preferences: entry 0: CurveP521 is"],
    );
    check(&with("  curve_preferences: [P256]\n"), &["curve_preferences: entry 0: must be X25519"]);
    check(&with("  prefer_server_cipher_suites: maybe\n"), &["prefer_server_cipher_suites: must"]);
    check(&with("  cert: inline\n"), &["cert: unknown field"]);
}

#[test]
fn settings_reach_rustls() {
    let directory = directory();
    let server = |lines: &str| {
        let file = load(directory.path(), &format!("{PAIR}{lines}")).unwrap();
        file.tls.unwrap().config()
    };
    let plain = server("");
    assert_eq!(plain.alpn_protocols, [b"http/1.1"]);
    assert!(plain.ignore_client_order && plain.send_tls13_tickets > 0);

    let strict = server(
        "  client_auth_type: RequireAndVerifyClientCert\n  client_ca_file: ca.pem\n  \
         cipher_suites:\n  - TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256\n  \
         - TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256\n  prefer_server_cipher_suites: false\n  \
         curve_preferences: [CurveP384, X25519]\n",
    );
    assert!(!strict.ignore_client_order);
    assert_eq!(strict.send_tls13_tickets, 0);
    let provider = strict.crypto_provider();
    let suites: Vec<CipherSuite> =
        provider.cipher_suites.iter().map(SupportedCipherSuite::suite).collect();
    let of_12 = suites.iter().filter(|suite| !suite.as_str().unwrap().starts_with("TLS13_"));
    let expect = [
        CipherSuite::TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
        CipherSuite::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ];
    assert_eq!(of_12.copied().collect::<Vec<_>>(), expect);
    assert_eq!(suites.len(), 5, "those of TLS 1.3 stay: {suites:?}");
    let groups: Vec<NamedGroup> = provider.kx_groups.iter().map(|group| group.name()).collect();
    assert_eq!(groups, [NamedGroup::secp384r1, NamedGroup::X25519]);

    let only = server("  cipher_suites: [TLS_AES_128_GCM_SHA256]\n  min_version: TLS13\n");
    let suites = only.crypto_provider().cipher_suites.iter().map(SupportedCipherSuite::suite);
    assert_eq!(suites.collect::<Vec<_>>(), [CipherSuite::TLS13_AES_128_GCM_SHA256]);
}

#[test]
fn a_file_is_another_when_a_certificate_is_another() {
    let here = directory();
    let first = load(here.path(), PAIR).unwrap();
    let named = ["web.yml", "cert.pem", "key.pem"].map(|name| here.path().join(name));
    assert_eq!(first.files, named);
    assert_eq!(load(here.path(), PAIR).unwrap(), first);
    let other = directory();
    for name in ["cert.pem", "key.pem"] {
        std::fs::copy(other.path().join(name), here.path().join(name)).unwrap();
    }
    assert_ne!(load(here.path(), PAIR).unwrap(), first);
}
