//! `tls_server_config` of the web configuration file, as a configuration of rustls.
//!
//! Input: the section, and the files that it names. Output: a [`TlsServer`]. Invariants: TLS 1.2 and 1.3
//! alone, with the suites and curves of the one crypto provider in the build; a client certificate is
//! either verified against `client_ca_file` or not asked for; a connection is never resumed past that
//! check. Deliberately absent: ALPN names other than `http/1.1`, because nothing else is served.

#[cfg(test)]
mod tests;

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{
    CertificateError, CipherSuite, DigitallySignedStruct, DistinguishedName, NamedGroup,
    RootCertStore, ServerConfig, SignatureScheme, SupportedCipherSuite, SupportedProtocolVersion,
};
use sha2::{Digest, Sha256};

use super::read_bounded;
use super::scalar::{ValueError, flag, list_of, path, text, word};
use super::section::Section;
use super::yaml::YamlNode;

/// Bytes of a PEM file, at most.
const PEM_BYTES_MAX: u64 = 1 << 20;
/// Names in `client_allowed_sans`, at most.
const NAMES_MAX: usize = 256;

/// A checked `tls_server_config`, ready to accept connections.
#[derive(Clone)]
pub struct TlsServer {
    config: Arc<ServerConfig>,
    /// SHA-256 of everything that the configuration was made of.
    digest: [u8; 32],
    policy: String,
}

impl TlsServer {
    /// The policy on client certificates and the versions, for people.
    #[must_use]
    pub fn policy(&self) -> &str {
        &self.policy
    }

    /// The configuration of rustls. Connections share it.
    #[must_use]
    pub fn config(&self) -> Arc<ServerConfig> {
        Arc::clone(&self.config)
    }
}

impl fmt::Debug for TlsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsServer").finish_non_exhaustive()
    }
}

/// Two are equal if they were made of the same settings, certificates and keys.
impl PartialEq for TlsServer {
    fn eq(&self, other: &Self) -> bool {
        self.digest == other.digest
    }
}

/// The policy on client certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ClientAuth {
    /// None is asked for.
    Never,
    /// One that is sent must be valid.
    IfGiven,
    /// A valid one is required.
    Always,
}

/// The fields of the section.
#[derive(Debug)]
struct Fields {
    cert_file: Option<PathBuf>,
    key_file: Option<PathBuf>,
    client_auth: ClientAuth,
    client_ca_file: Option<PathBuf>,
    allowed_names: Vec<SubjectName>,
    versions: Vec<&'static SupportedProtocolVersion>,
    suites: Vec<CipherSuite>,
    prefers_own_order: bool,
    groups: Vec<NamedGroup>,
}

/// Reads the section. Returns the server, or None after a mistake, and the files that it names.
pub(super) fn read(s: &mut Section<'_>, directory: &Path) -> (Option<TlsServer>, Vec<PathBuf>) {
    let fields = fields(s, directory);
    let named = [&fields.cert_file, &fields.key_file, &fields.client_ca_file];
    let files: Vec<PathBuf> = named.into_iter().flatten().cloned().collect();
    (server(s, &fields), files)
}

fn fields(s: &mut Section<'_>, directory: &Path) -> Fields {
    let here = |node: &YamlNode| path(node).map(|file| directory.join(file));
    let cert_file = s.require("cert_file", here);
    let key_file = s.require("key_file", here);
    let mut client_auth = ClientAuth::Never;
    s.set("client_auth_type", &mut client_auth, client_auth_type);
    let mut client_ca_file = None;
    s.set("client_ca_file", &mut client_ca_file, |node| here(node).map(Some));
    match (client_auth, s.has("client_ca_file")) {
        (ClientAuth::Never, true) => s.wrong(
            "client_ca_file",
            "needs client_auth_type: RequireAndVerifyClientCert or VerifyClientCertIfGiven",
        ),
        (ClientAuth::IfGiven | ClientAuth::Always, false) => s.wrong(
            "client_auth_type",
            "needs client_ca_file: the authorities of the system are not those of your clients",
        ),
        (ClientAuth::Never, false) | (ClientAuth::IfGiven | ClientAuth::Always, true) => {}
    }
    let mut allowed_names = Vec::new();
    s.set("client_allowed_sans", &mut allowed_names, list_of(NAMES_MAX, subject_name));
    if !allowed_names.is_empty() && client_auth != ClientAuth::Always {
        s.wrong("client_allowed_sans", "needs client_auth_type: RequireAndVerifyClientCert");
    }
    let versions = versions(s);
    let mut suites = Vec::new();
    s.set("cipher_suites", &mut suites, list_of(64, cipher_suite));
    let mut prefers_own_order = true;
    s.set("prefer_server_cipher_suites", &mut prefers_own_order, flag);
    let mut groups = Vec::new();
    s.set("curve_preferences", &mut groups, list_of(16, curve));
    Fields {
        cert_file,
        key_file,
        client_auth,
        client_ca_file,
        allowed_names,
        versions,
        suites,
        prefers_own_order,
        groups,
    }
}

fn client_auth_type(node: &YamlNode) -> Result<ClientAuth, ValueError> {
    let known = word(&[
        ("NoClientCert", Some(ClientAuth::Never)),
        ("VerifyClientCertIfGiven", Some(ClientAuth::IfGiven)),
        ("RequireAndVerifyClientCert", Some(ClientAuth::Always)),
    ]);
    let unverified = ["RequestClientCert", "RequireAnyClientCert", "RequireClientCert"];
    if text(node).is_ok_and(|text| unverified.contains(&text)) {
        return Err(ValueError(String::from(
            "asks for a certificate without verifying it, which is not supported: use \
             RequireAndVerifyClientCert or VerifyClientCertIfGiven",
        )));
    }
    known(node)?.ok_or_else(|| ValueError::must("a policy"))
}

/// The accepted versions. Both fields must be right to judge them together.
fn versions(s: &mut Section<'_>) -> Vec<&'static SupportedProtocolVersion> {
    let version = |node: &YamlNode| match text(node)? {
        "TLS12" => Ok(2),
        "TLS13" => Ok(3),
        "TLS10" | "TLS11" => {
            Err(ValueError(String::from("is too old and not supported: TLS12 or TLS13")))
        }
        _ => Err(ValueError::must("TLS12 or TLS13")),
    };
    let (mut min, mut max) = (2, 3);
    s.set("min_version", &mut min, version);
    s.set("max_version", &mut max, version);
    if min > max {
        s.wrong("max_version", "must not be lower than min_version");
        (min, max) = (2, 3);
    }
    let all = [(2, &rustls::version::TLS12), (3, &rustls::version::TLS13)];
    all.iter().filter(|(n, _)| (min..=max).contains(n)).map(|(_, version)| *version).collect()
}

/// A suite by its name in Go, which is that of the standard.
fn cipher_suite(node: &YamlNode) -> Result<CipherSuite, ValueError> {
    let name = text(node)?;
    let all = aws_lc_rs::ALL_CIPHER_SUITES.iter().map(SupportedCipherSuite::suite);
    let names: Vec<(String, CipherSuite)> = all.map(|suite| (suite_name(suite), suite)).collect();
    let found = names.iter().find(|(known, _)| known == name).map(|(_, suite)| *suite);
    found.ok_or_else(|| {
        let names: Vec<&str> = names.iter().map(|(name, _)| name.as_str()).collect();
        ValueError(format!("no such suite is supported; known: {}", names.join(", ")))
    })
}

/// `TLS_AES_128_GCM_SHA256`, which rustls spells `TLS13_AES_128_GCM_SHA256`.
fn suite_name(suite: CipherSuite) -> String {
    suite.as_str().unwrap_or_default().replace("TLS13_", "TLS_")
}

fn curve(node: &YamlNode) -> Result<NamedGroup, ValueError> {
    match text(node)? {
        "X25519" => Ok(NamedGroup::X25519),
        "CurveP256" => Ok(NamedGroup::secp256r1),
        "CurveP384" => Ok(NamedGroup::secp384r1),
        "CurveP521" => Err(ValueError(String::from(
            "CurveP521 is not supported: X25519, CurveP256 or CurveP384",
        ))),
        _ => Err(ValueError::must("X25519, CurveP256 or CurveP384")),
    }
}

/// Builds the server; None after a mistake.
fn server(s: &Section<'_>, fields: &Fields) -> Option<TlsServer> {
    let mut digest = Sha256::new();
    digest.update(format!("{fields:?}"));
    let mut read = |name: &str, file: &Option<PathBuf>| {
        let file = file.as_ref()?;
        match read_bounded(file, PEM_BYTES_MAX) {
            Ok(content) => {
                digest.update(Sha256::digest(&content));
                Some(content)
            }
            Err(error) => {
                s.wrong(name, format!("cannot read {}: {error}", file.display()));
                None
            }
        }
    };
    let certificate = read("cert_file", &fields.cert_file);
    let key = read("key_file", &fields.key_file);
    let authorities = read("client_ca_file", &fields.client_ca_file);
    let chain = certificate.and_then(|pem| certificates(s, "cert_file", &pem));
    let key = key.and_then(|pem| private_key(s, &pem));
    let provider = Arc::new(provider(s, fields)?);
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&fields.versions)
        .map_err(|error| s.wrong_here(format!("cannot be used: {error}")))
        .ok()?;
    let builder = if fields.client_auth == ClientAuth::Never {
        builder.with_no_client_auth()
    } else {
        let authorities = certificates(s, "client_ca_file", &authorities?)?;
        builder.with_client_cert_verifier(verifier(s, fields, authorities, provider)?)
    };
    let mut config = builder
        .with_single_cert(chain?, key?)
        .map_err(|error| {
            if matches!(error, rustls::Error::InvalidCertificate(_)) {
                s.wrong("cert_file", format!("has a certificate that cannot be read: {error}"));
            } else {
                s.wrong("key_file", format!("does not fit cert_file: {error}"));
            }
        })
        .ok()?;
    config.ignore_client_order = fields.prefers_own_order;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    if fields.client_auth != ClientAuth::Never {
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
    }
    let policy = policy(fields);
    Some(TlsServer { config: Arc::new(config), digest: digest.finalize().into(), policy })
}

fn policy(fields: &Fields) -> String {
    let clients = match fields.client_auth {
        ClientAuth::Never => "no client certificates",
        ClientAuth::IfGiven => "client certificates verified if given",
        ClientAuth::Always => "client certificates required",
    };
    let has_13 = fields.versions.contains(&&rustls::version::TLS13);
    let versions = match (fields.versions.contains(&&rustls::version::TLS12), has_13) {
        (true, true) => "TLS 1.2 and 1.3",
        (true, false) => "TLS 1.2",
        (false, _) => "TLS 1.3",
    };
    let names = fields.allowed_names.len();
    match names {
        0 => format!("{versions}, {clients}"),
        _ => format!("{versions}, {clients} with one of {names} names"),
    }
}

/// The provider with the configured suites and curves. As in Go, a list of suites without one of TLS 1.3
/// leaves those of TLS 1.3 as they are.
fn provider(s: &Section<'_>, fields: &Fields) -> Option<CryptoProvider> {
    let mut provider = aws_lc_rs::default_provider();
    let is_of_13 = |suite: CipherSuite| suite.as_str().is_some_and(|n| n.starts_with("TLS13_"));
    if !fields.suites.is_empty() {
        let names_13 = fields.suites.iter().any(|suite| is_of_13(*suite));
        let position = |suite: CipherSuite| fields.suites.iter().position(|own| *own == suite);
        provider.cipher_suites.retain(|known| {
            let suite = known.suite();
            position(suite).is_some() || is_of_13(suite) && !names_13
        });
        provider.cipher_suites.sort_by_key(|known| position(known.suite()).unwrap_or_default());
    }
    for version in &fields.versions {
        let mut suites = provider.cipher_suites.iter();
        if !suites.any(|suite| suite.version().version == version.version) {
            let name = if version.version == rustls::ProtocolVersion::TLSv1_3 { 13 } else { 12 };
            let message =
                format!("has no suite of TLS{name}, which min_version and max_version accept");
            s.wrong("cipher_suites", message);
            return None;
        }
    }
    if !fields.groups.is_empty() {
        let known = std::mem::take(&mut provider.kx_groups);
        let find = |name: &NamedGroup| known.iter().copied().find(|group| group.name() == *name);
        provider.kx_groups = fields.groups.iter().filter_map(find).collect();
    }
    Some(provider)
}

fn certificates(s: &Section<'_>, name: &str, pem: &str) -> Option<Vec<CertificateDer<'static>>> {
    let all: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem.as_bytes()).collect();
    match all {
        Ok(all) if !all.is_empty() => Some(all),
        Ok(_) => {
            s.wrong(name, "has no certificate in PEM");
            None
        }
        Err(error) => {
            s.wrong(name, format!("is not PEM: {error}"));
            None
        }
    }
}

fn private_key(s: &Section<'_>, pem: &str) -> Option<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_slice(pem.as_bytes())
        // The cause may repeat a part of the file.
        .map_err(|_| s.wrong("key_file", "has no private key in PEM without a passphrase"))
        .ok()
}

fn verifier(
    s: &Section<'_>,
    fields: &Fields,
    authorities: Vec<CertificateDer<'static>>,
    provider: Arc<CryptoProvider>,
) -> Option<Arc<dyn ClientCertVerifier>> {
    let mut roots = RootCertStore::empty();
    for authority in authorities {
        if let Err(error) = roots.add(authority) {
            s.wrong("client_ca_file", format!("has a certificate that is no authority: {error}"));
            return None;
        }
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match fields.client_auth {
        ClientAuth::IfGiven => builder.allow_unauthenticated(),
        ClientAuth::Never | ClientAuth::Always => builder,
    };
    let verifier = builder
        .build()
        .map_err(|error| s.wrong("client_ca_file", format!("cannot be used: {error}")))
        .ok()?;
    if fields.allowed_names.is_empty() {
        return Some(verifier);
    }
    Some(Arc::new(NamedClients { inner: verifier, allowed: fields.allowed_names.clone() }))
}

/// A subject alternative name of a client certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SubjectName {
    Dns(String),
    Ip(IpAddr),
    Uri(String),
}

fn subject_name(node: &YamlNode) -> Result<SubjectName, ValueError> {
    let text = text(node)?;
    if let Ok(ip) = text.parse() {
        return Ok(SubjectName::Ip(ip));
    }
    if text.is_empty() || text.contains(|c: char| !c.is_ascii_graphic()) {
        return Err(ValueError::must("a DNS name, an IP address or a URI"));
    }
    if text.contains(':') {
        return Ok(SubjectName::Uri(text.to_owned()));
    }
    if text.contains('@') {
        return Err(ValueError(String::from(
            "e-mail addresses are not supported: use a DNS name, an IP address or a URI",
        )));
    }
    Ok(SubjectName::Dns(text.to_owned()))
}

/// Verifies a client certificate, and that it has one of the allowed names.
#[derive(Debug)]
struct NamedClients {
    inner: Arc<dyn ClientCertVerifier>,
    allowed: Vec<SubjectName>,
}

impl NamedClients {
    fn is_allowed(&self, certificate: &webpki::EndEntityCert<'_>) -> bool {
        self.allowed.iter().any(|allowed| match allowed {
            SubjectName::Dns(name) => certificate.valid_dns_names().any(|own| own == name),
            SubjectName::Uri(name) => certificate.valid_uri_names().any(|own| own == name),
            SubjectName::Ip(ip) => {
                let name = ServerName::IpAddress((*ip).into());
                certificate.verify_is_valid_for_subject_name(&name).is_ok()
            }
        })
    }
}

impl ClientCertVerifier for NamedClients {
    fn offer_client_auth(&self) -> bool {
        self.inner.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.inner.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.inner.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, rustls::Error> {
        let verified = self.inner.verify_client_cert(end_entity, intermediates, now)?;
        let refused =
            || rustls::Error::InvalidCertificate(CertificateError::ApplicationVerificationFailure);
        let certificate = webpki::EndEntityCert::try_from(end_entity).map_err(|_| refused())?;
        if self.is_allowed(&certificate) { Ok(verified) } else { Err(refused()) }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }
}
