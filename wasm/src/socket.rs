//! The WebSocket to the signaller.

use crate::host::{Ended, Host, News};
use crate::listener::Listener;
use js_sys::{ArrayBuffer, Uint8Array};
use swarmlet_core::config::SIGNAL_BYTES_MAX;
use swarmlet_core::{Failure, JobId};
use wasm_bindgen::JsCast;
use web_sys::{BinaryType, MessageEvent, WebSocket};

/// The sub-protocol: a signaller that does not know it refuses the connection.
const PROTOCOL: &str = "swarmlet.1";

pub(crate) struct Socket {
    socket: WebSocket,
    /// Dropped before the socket is closed, so that it cannot speak of its own end.
    listeners: Vec<Listener>,
}

impl Socket {
    /// Begins to connect; ends the job when it is open or has failed.
    pub(crate) fn open(host: &'static Host, job: JobId, url: &str) -> Option<Self> {
        let Ok(socket) = WebSocket::new_with_str(url, PROTOCOL) else {
            host.push(News::Done { job, ended: Ended::Failed(Failure::Unsupported) });
            return None;
        };
        socket.set_binary_type(BinaryType::Arraybuffer);
        let on = |name, tell: fn(&'static Host, JobId, &web_sys::Event)| {
            Listener::new(&socket, name, move |event| tell(host, job, &event))
        };
        let listeners = vec![
            on("open", |host, job, _| host.signaller_open(job)),
            on("message", |host, _, event| {
                if let Some(bytes) = message(event) {
                    host.news(News::Signalled(bytes));
                }
            }),
            on("close", |host, job, _| host.signaller_closed(job)),
        ];
        Some(Self { socket, listeners })
    }

    pub(crate) fn send(&self, bytes: &[u8]) {
        // A closing socket swallows it, and its end is reported by its own event.
        let _ = self.socket.send_with_u8_array(bytes);
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.listeners.clear();
        let _ = self.socket.close();
    }
}

fn message(event: &web_sys::Event) -> Option<Vec<u8>> {
    let data = event.unchecked_ref::<MessageEvent>().data().dyn_into::<ArrayBuffer>().ok()?;
    let bytes = Uint8Array::new(&data);
    (bytes.length() as usize <= SIGNAL_BYTES_MAX).then(|| bytes.to_vec())
}
