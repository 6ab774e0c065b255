//! Whom a peer believes that it speaks to its signaller: the authorities that browsers believe, and those of the
//! operator's own.

use crate::Error;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// TLS for signallers whose certificate is of one of these files (PEM), or of a public authority. `None`: public
/// ones are enough.
pub(super) fn config(files: &[PathBuf]) -> Result<Option<Arc<ClientConfig>>, Error> {
    if files.is_empty() {
        return Ok(None);
    }
    let mut roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
    for file in files {
        add(&mut roots, file)?;
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::Start(error.to_string()))?;
    Ok(Some(Arc::new(builder.with_root_certificates(roots).with_no_client_auth())))
}

fn add(roots: &mut RootCertStore, file: &Path) -> Result<(), Error> {
    let unfit = |text: String| Error::Unfit(file.to_owned(), text);
    let text = std::fs::read(file).map_err(|error| Error::Read(file.to_owned(), error))?;
    let before = roots.len();
    for certificate in CertificateDer::pem_slice_iter(&text) {
        let certificate = certificate.map_err(|error| unfit(error.to_string()))?;
        roots.add(certificate).map_err(|error| unfit(error.to_string()))?;
    }
    if roots.len() == before { Err(unfit("no certificate in it".to_owned())) } else { Ok(()) }
}
