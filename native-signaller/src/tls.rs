//! TLS by rustls: the certificate, its exchange while connections run, and the way in.

use crate::config::Tls;
use crate::hub::gate::HalfOpen;
use crate::{Error, State, accept, http, log};
use core::net::IpAddr;
use core::time::Duration;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert, ServerConfig};
use rustls::sign::CertifiedKey;
use rustls::version::{TLS12, TLS13};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_util::sync::CancellationToken;
use x509_parser::parse_x509_certificate;

/// Between two looks at the files. Certbot and others replace them without a word.
const LOOK_EVERY: Duration = Duration::from_secs(10);

/// The certificate that is shown to new connections.
#[derive(Debug)]
pub(crate) struct Certificate(RwLock<Current>);

#[derive(Debug)]
struct Current {
    key: Arc<CertifiedKey>,
    /// What the files had in them.
    files: [Vec<u8>; 2],
    expires_s: i64,
}

impl Certificate {
    /// Reads the files.
    pub(crate) fn load(tls: &Tls) -> Result<Arc<Self>, Error> {
        Ok(Arc::new(Self(RwLock::new(Current::read(tls)?))))
    }

    /// Reads the files again; whether they have changed. What is wrong changes nothing.
    pub(crate) fn reload(&self, tls: &Tls) -> Result<bool, Error> {
        let new = Current::read(tls)?;
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let changed = current.files != new.files;
        *current = new;
        Ok(changed)
    }

    /// Seconds since 1970.
    pub(crate) fn expires_s(&self) -> i64 {
        self.0.read().unwrap_or_else(PoisonError::into_inner).expires_s
    }

    /// What makes TLS of a connection.
    pub(crate) fn acceptor(self: &Arc<Self>) -> Result<TlsAcceptor, Error> {
        let unfit = |error: rustls::Error| Error::Start(format!("TLS: {error}"));
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(unfit)?;
        let mut config = builder.with_no_client_auth().with_cert_resolver(Arc::clone(self) as _);
        // WebSockets in HTTP/2 would need extended CONNECT, and one connection is one socket anyway.
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        config.send_tls13_tickets = 1;
        Ok(TlsAcceptor::from(Arc::new(config)))
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _hello: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(Arc::clone(&self.0.read().unwrap_or_else(PoisonError::into_inner).key))
    }
}

impl Current {
    fn read(tls: &Tls) -> Result<Self, Error> {
        let bytes = |path: &Path| std::fs::read(path).map_err(|error| Error::Read(path.to_owned(), error));
        let unfit = |path: &Path, text: &str| Error::Unfit(path.to_owned(), text.to_owned());
        let (cert, key) = (bytes(&tls.cert)?, bytes(&tls.key)?);
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&cert)
            .collect::<Result<_, _>>()
            .map_err(|error| unfit(&tls.cert, &error.to_string()))?;
        let first = chain.first().ok_or_else(|| unfit(&tls.cert, "no certificate in it"))?;
        let (_, parsed) =
            parse_x509_certificate(first).map_err(|_| unfit(&tls.cert, "not an X.509 certificate"))?;
        let expires_s = parsed.validity().not_after.timestamp();
        let private =
            PrivateKeyDer::from_pem_slice(&key).map_err(|error| unfit(&tls.key, &error.to_string()))?;
        let certified = CertifiedKey::from_der(chain, private, &ring::default_provider())
            .map_err(|error| unfit(&tls.key, &error.to_string()))?;
        Ok(Self { key: Arc::new(certified), files: [cert, key], expires_s })
    }
}

/// Takes over files that have changed, until `ending`.
async fn watch(state: Arc<State>, ending: CancellationToken) {
    loop {
        tokio::select! {
            () = ending.cancelled() => return,
            () = time::sleep(LOOK_EVERY) => state.renew().await,
        }
    }
}

/// Accepts connections that begin with TLS until `ending`.
pub(crate) async fn run(
    state: Arc<State>,
    acceptor: TlsAcceptor,
    listener: TcpListener,
    ending: CancellationToken,
) {
    let router = http::router(Arc::clone(&state));
    let room = Arc::new(Semaphore::new(state.config().socket.connections_max as usize));
    let half_open = Arc::new(Mutex::new(HalfOpen::new(state.config().socket.half_open_per_network_max)));
    state.tasks.spawn(watch(Arc::clone(&state), ending.clone()));
    loop {
        let permit = Arc::clone(&room).acquire_owned();
        let (permit, accepted) = tokio::select! {
            () = ending.cancelled() => return,
            accepted = async { (permit.await, listener.accept().await) } => accepted,
        };
        let (stream, address) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(event = "accept", %error);
                // Out of descriptors, mostly: accepting again at once would only spin.
                time::sleep(Duration::from_millis(50)).await;
                continue;
            }
        };
        let Some(shaking) = Shaking::begin(&half_open, address.ip().to_canonical()) else { continue };
        let patience = Duration::from_secs(state.config().socket.header_seconds.into());
        let (acceptor, router, ending) = (acceptor.clone(), router.clone(), ending.clone());
        let owner = Arc::clone(&state);
        state.tasks.spawn(async move {
            let shaken = shake(&owner, &acceptor, stream, patience).await;
            drop(shaking);
            if let Some(stream) = shaken {
                accept::serve(router, stream, address, patience, ending).await;
            } else {
                tracing::debug!(event = "tls", near = %log::Near(address.ip()));
            }
            drop(permit);
        });
    }
}

/// A connection whose TLS handshake is under way, counted for as long as it is.
struct Shaking {
    half_open: Arc<Mutex<HalfOpen>>,
    address: IpAddr,
}

impl Shaking {
    fn begin(half_open: &Arc<Mutex<HalfOpen>>, address: IpAddr) -> Option<Self> {
        let may = half_open.lock().is_ok_and(|mut counts| counts.enters(address));
        may.then(|| Self { half_open: Arc::clone(half_open), address })
    }
}

impl Drop for Shaking {
    fn drop(&mut self) {
        if let Ok(mut counts) = self.half_open.lock() {
            counts.left(self.address);
        }
    }
}

async fn shake(
    state: &State,
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    patience: Duration,
) -> Option<TlsStream<TcpStream>> {
    // Signals are small and somebody waits for each.
    let _ = stream.set_nodelay(true);
    let began = time::Instant::now();
    let shaken = time::timeout(patience, acceptor.accept(stream)).await;
    state.metrics.handshake(began.elapsed().as_secs_f64(), matches!(shaken, Ok(Ok(_))));
    shaken.ok()?.ok()
}
