//! Certificates for tests: an authority, and what it signs; and a TLS client that trusts it.
//!
//! Invariant: nothing depends on today's date, except that an expired certificate ended long ago.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa,
    KeyPair, date_time_ymd,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use crate::exporter::SOON;

/// An authority.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, as PEM.
#[derive(Clone)]
pub(crate) struct Pair {
    pub(crate) certificate: String,
    pub(crate) key: String,
}

/// The validity of a certificate.
#[derive(Clone, Copy)]
pub(crate) enum Validity {
    Current,
    Expired,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub(crate) fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for the server at 127.0.0.1.
    pub(crate) fn server(&self) -> Pair {
        let names = ["localhost", "127.0.0.1", "::1"].map(str::to_owned).to_vec();
        self.issue(names, ExtendedKeyUsagePurpose::ServerAuth, Validity::Current)
    }

    /// A certificate for a client with this DNS name.
    pub(crate) fn client(&self, name: &str, validity: Validity) -> Pair {
        self.issue(vec![name.to_owned()], ExtendedKeyUsagePurpose::ClientAuth, validity)
    }

    fn issue(
        &self,
        names: Vec<String>,
        usage: ExtendedKeyUsagePurpose,
        validity: Validity,
    ) -> Pair {
        let mut params = CertificateParams::new(names).unwrap();
        params.extended_key_usages = vec![usage];
        if matches!(validity, Validity::Expired) {
            params.not_after = date_time_ymd(2001, 1, 1);
        }
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.0).unwrap().pem();
        Pair { certificate, key: key.serialize_pem() }
    }
}

/// A directory with a web configuration file and the files that it names.
pub(crate) struct WebDirectory {
    directory: tempfile::TempDir,
    pub(crate) authority: Authority,
}

impl WebDirectory {
    /// With `cert.pem` and `key.pem` of an authority in `ca.pem`. `lines` are added to the section of
    /// TLS, `rest` comes after it.
    pub(crate) fn new(lines: &str, rest: &str) -> Self {
        let this = Self {
            directory: tempfile::tempdir().unwrap(),
            authority: Authority::new("the authority of a test"),
        };
        this.put("ca.pem", &this.authority.pem());
        this.put_server(&this.authority.server());
        let head = "tls_server_config:\n  cert_file: cert.pem\n  key_file: key.pem\n";
        this.put("web.yml", &format!("{head}{lines}{rest}"));
        this
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Replaces a file.
    pub(crate) fn put(&self, name: &str, text: &str) {
        fs::write(self.path("new"), text).unwrap();
        fs::rename(self.path("new"), self.path(name)).unwrap();
    }

    pub(crate) fn put_server(&self, pair: &Pair) {
        self.put("cert.pem", &pair.certificate);
        self.put("key.pem", &pair.key);
    }

    /// The argument that names the file.
    pub(crate) fn argument(&self) -> String {
        argument(&self.path("web.yml"))
    }

    /// A client that trusts the authority, with or without a certificate of its own.
    pub(crate) fn client(&self, pair: Option<&Pair>) -> Arc<ClientConfig> {
        client(&self.authority.pem(), pair)
    }
}

/// The argument that names a web configuration file.
pub(crate) fn argument(path: &Path) -> String {
    format!("--web.config.file={}", path.display())
}

/// A client that trusts an authority.
pub(crate) fn client(authority: &str, pair: Option<&Pair>) -> Arc<ClientConfig> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(authority.as_bytes()).unwrap()).unwrap();
    let builder = ClientConfig::builder().with_root_certificates(roots);
    Arc::new(match pair {
        None => builder.with_no_client_auth(),
        Some(pair) => {
            let chain = vec![CertificateDer::from_pem_slice(pair.certificate.as_bytes()).unwrap()];
            let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
            builder.with_client_auth_cert(chain, key).unwrap()
        }
    })
}

/// A TLS stream.
pub(crate) type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Connects, and completes the handshake. A server that refuses the client's certificate may do so
/// after it.
pub(crate) fn connect(address: SocketAddr, client: &Arc<ClientConfig>) -> io::Result<TlsStream> {
    let mut socket = TcpStream::connect_timeout(&address, SOON)?;
    socket.set_read_timeout(Some(SOON))?;
    socket.set_write_timeout(Some(SOON))?;
    let name = ServerName::from(address.ip());
    let mut session = ClientConnection::new(Arc::clone(client), name).map_err(io::Error::other)?;
    while session.is_handshaking() {
        session.complete_io(&mut socket)?;
    }
    Ok(StreamOwned::new(session, socket))
}
