//! The browser host: runs the node in a dedicated worker, converts types, calls browser APIs, decides nothing.
//!
//! `www/worker.js` loads this and passes the page's calls to [`Engine`]. The page owns the connections
//! (browsers give `RTCPeerConnection` to windows only) and carries out the orders of `rtc.rs`; everything else
//! happens here. Reading order: `host`, `rtc`, `store`, `fetch`, `socket`, `seed`, `convert`.

extern crate alloc;

pub mod clock;
mod convert;
pub mod fetch;
mod host;
mod listener;
mod rtc;
mod seed;
mod socket;
pub mod store;
mod table;

use crate::convert::{Plain, get, refusal};
use crate::host::{Ended, Host, News};
use crate::table::Table;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use js_sys::{Array, Function, Promise, Uint8Array};
use swarmlet_core::content::{ContentError, Magnet, Torrent};
use swarmlet_core::wire::sdp;
use swarmlet_core::{Command, Config, ContentId, Failure, JobId, LinkId, PeerId, Root};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::future_to_promise;
use web_sys::{FileSystemDirectoryHandle, RtcDataChannel};

/// One thread, so no lock.
#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: talc::wasm::WasmDynamicTalc = talc::wasm::new_wasm_dynamic_allocator();

#[wasm_bindgen]
extern "C" {
    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    fn fill_random(out: &mut [u8]);
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(message: &str);
}

/// The node in its worker. Calls that change something wait for [`Engine::run`], so that the worker can answer
/// the page before the first news of what it asked for.
#[wasm_bindgen]
pub struct Engine {
    host: Rc<Host>,
    /// Hashing under way, by the page's number for the call.
    hashing: Rc<RefCell<Table<u32, Rc<Cell<bool>>>>>,
}

#[wasm_bindgen]
impl Engine {
    /// Starts a node whose public key is `me`. `options`: `{ signaller: string?, token: string?, upload: number? }`.
    /// Without a `directory` content is kept in memory. `post(message, given)` sends to the page, but for what has
    /// `t: 'key'`: that is answered by [`Self::vouched`].
    #[wasm_bindgen(constructor)]
    pub fn new(
        me: &[u8],
        options: &JsValue,
        directory: Option<FileSystemDirectoryHandle>,
        post: Function,
    ) -> Result<Self, JsValue> {
        let me = me.try_into().map_err(|_| refusal("unsupported", "This browser has no usable keys."))?;
        std::panic::set_hook(Box::new(|info| console_error(&info.to_string())));
        let mut seed = [0; 32];
        fill_random(&mut seed);
        let signaller = get(options, "signaller").as_string();
        let config = Config {
            token: get(options, "token").as_string().unwrap_or_default(),
            signaller: signaller.is_some(),
            upload_rate_max: get(options, "upload").as_f64().map(|rate| rate as u64),
            ..Config::default()
        };
        let store = store::Store::new(directory);
        let host = Host::new(config, (seed, PeerId(me)), signaller.unwrap_or_default(), store, post);
        host.push(News::Timeout);
        Ok(Self { host, hashing: Rc::default() })
    }

    /// Who this node is.
    #[wasm_bindgen(js_name = peerId)]
    #[must_use]
    pub fn peer_id(&self) -> String {
        self.host.with_node(|node| node.peer_id().to_string())
    }

    /// Lets the node work on what it was given.
    pub fn run(&self) {
        self.host.run();
    }

    /// Begins to fetch a share named by a magnet link or an id. Returns `{ id, name, magnet }`.
    #[wasm_bindgen(js_name = addLink)]
    pub fn add_link(&self, text: &str, select: &JsValue) -> Result<JsValue, JsValue> {
        let magnet = Magnet::parse(text).map_err(|error| refuse(error, "bad-link"))?;
        let select = convert::indices(select).or_else(|| magnet.select.clone());
        let told = told(&magnet, &[]);
        self.host.push(News::Command(Command::Add { magnet, torrent: None, select }));
        Ok(told)
    }

    /// Begins to fetch a share named by the bytes of a `.torrent`. Returns `{ id, name, magnet }`.
    #[wasm_bindgen(js_name = addTorrent)]
    pub fn add_torrent(&self, bytes: &[u8], select: &JsValue) -> Result<JsValue, JsValue> {
        let torrent = Torrent::parse(bytes).map_err(|error| refuse(error, "bad-torrent"))?;
        let magnet = torrent.magnet();
        let told = told(&magnet, &[]);
        let select = convert::indices(select);
        self.host.push(News::Command(Command::Add { magnet, torrent: Some(Box::new(torrent)), select }));
        Ok(told)
    }

    /// Hashes files (a list of `{ path: string[], blob: Blob }`) and shares them. Resolves to
    /// `{ id, name, magnet, order }`, where `order` says which given file each file of the share is.
    pub fn seed(&self, call: u32, files: &Array, name: String, web_seeds: &JsValue) -> Promise {
        let cancelled = Rc::new(Cell::new(false));
        self.hashing.borrow_mut().insert(call, cancelled.clone());
        let (hashing, host) = (self.hashing.clone(), self.host.clone());
        let (files, web_seeds) = (seed::Files::of(files), convert::texts(web_seeds));
        future_to_promise(async move {
            let made = seed::seed(host, call, files, name, web_seeds, cancelled).await;
            hashing.borrow_mut().remove(&call);
            let (magnet, order) = made?;
            Ok(told(&magnet, &order))
        })
    }

    /// Stops hashing.
    #[wasm_bindgen(js_name = cancelSeed)]
    pub fn cancel_seed(&self, call: u32) {
        if let Some(cancelled) = self.hashing.borrow().get(&call) {
            cancelled.set(true);
        }
    }

    /// The bytes of a share's `.torrent`, when they are known.
    #[must_use]
    pub fn torrent(&self, id: &str) -> Option<Vec<u8>> {
        let content = ContentId::from_hex(id)?;
        self.host.with_node(|node| node.torrent(&content)).map(|torrent| torrent.encode())
    }

    /// Fetch these files of a share from now on; `undefined`: all.
    pub fn select(&self, id: &str, files: &JsValue) {
        let files = convert::indices(files);
        self.command(id, |content| Command::Select { content, files });
    }

    /// Stops asking and serving.
    pub fn pause(&self, id: &str) {
        self.command(id, Command::Pause);
    }

    /// Goes on.
    pub fn resume(&self, id: &str) {
        self.command(id, Command::Resume);
    }

    /// Forgets a share, and what is stored for it unless `keep`.
    pub fn remove(&self, id: &str, keep: bool) {
        self.command(id, |content| Command::Remove { content, keep });
    }

    /// Asks for verified bytes; the answer goes to the page under the number `read`.
    pub fn read(&self, read: u32, root: &str, start: f64, length: u32) -> Result<(), JsValue> {
        let root = Root::from_hex(root).ok_or_else(|| refusal("bad-argument", "This is no file."))?;
        self.host.push(News::Command(Command::Read { read, root, start: start as u64, length }));
        Ok(())
    }

    /// The read is not wanted any more.
    #[wasm_bindgen(js_name = cancelRead)]
    pub fn cancel_read(&self, read: u32) {
        self.host.push(News::Command(Command::CancelRead(read)));
    }

    /// The network came or went.
    pub fn online(&self, online: bool) {
        self.host.push(News::Command(if online { Command::Online } else { Command::Offline }));
    }

    /// Says goodbye to everybody and lets go of every file.
    pub fn close(&self) {
        self.host.news(News::Command(Command::Close));
        self.host.close();
    }

    /// Sends the page a snapshot if anything happened since the last call; says whether it did.
    #[wasm_bindgen(js_name = tellChanges)]
    #[must_use]
    pub fn tell_changes(&self) -> bool {
        let changed = self.host.take_changed();
        if changed {
            self.host.tell_snapshot();
        }
        changed
    }

    /// Sends the page a snapshot.
    #[wasm_bindgen(js_name = tellSnapshot)]
    pub fn tell_snapshot(&self) {
        self.host.tell_snapshot();
    }

    /// A connection has its local description.
    pub fn described(&self, job: f64, text: &str) {
        let ended = sdp::parse(text).map_or(Ended::Failed(Failure::Unsupported), Ended::Described);
        self.host.news(News::Done { job: JobId(job as u64), ended });
    }

    /// A step of making a connection ended.
    pub fn finished(&self, job: f64, ok: bool) {
        let ended = if ok { Ended::Ok } else { Ended::Failed(Failure::Host) };
        self.host.news(News::Done { job: JobId(job as u64), ended });
    }

    /// Something was signed (its 64 bytes) or verified (whether it is good); `undefined`: it could not be.
    pub fn vouched(&self, job: f64, answer: &JsValue) {
        let ended = match (answer.dyn_ref::<Uint8Array>(), answer.as_bool()) {
            (Some(signature), _) => Ended::Bytes(signature.to_vec()),
            (None, Some(true)) => Ended::Ok,
            (None, Some(false)) => Ended::Missing,
            (None, None) => Ended::Failed(Failure::Unsupported),
        };
        self.host.news(News::Done { job: JobId(job as u64), ended });
    }

    /// A connection found a candidate of its own; `undefined`: that was the last.
    pub fn found(&self, link: u32, line: Option<String>) {
        let link = LinkId(link);
        match line {
            None => self.host.news(News::Found { link, candidate: None }),
            Some(line) => {
                if let Some(candidate) = sdp::parse_candidate(&line) {
                    self.host.news(News::Found { link, candidate: Some(candidate) });
                }
            }
        }
    }

    /// The page gave the channels of a link away.
    pub fn adopt(&self, link: u32, control: RtcDataChannel, bulk: RtcDataChannel) {
        self.host.links.adopt(&self.host, LinkId(link), [control, bulk]);
    }

    /// The page cannot give the channels of a link away.
    pub fn pump(&self, link: u32) {
        self.host.links.pump(LinkId(link));
    }

    /// A channel that the page kept opened.
    #[wasm_bindgen(js_name = pumpedOpen)]
    pub fn pumped_open(&self, link: u32, channel: u8) {
        self.host.links.pumped_open(&self.host, LinkId(link), rtc::channel_of(channel));
    }

    /// A message came on a channel that the page kept.
    #[wasm_bindgen(js_name = pumpedMessage)]
    pub fn pumped_message(&self, link: u32, channel: u8, data: &JsValue) {
        let (link, channel) = (LinkId(link), rtc::channel_of(channel));
        self.host.news(News::Received { link, channel, bytes: rtc::bytes_of(data) });
    }

    /// What a channel that the page kept has taken so far, and what of it is not sent yet.
    #[wasm_bindgen(js_name = pumpedDrained)]
    pub fn pumped_drained(&self, link: u32, channel: u8, taken: f64, buffered: f64) {
        let channel = rtc::channel_of(channel);
        self.host.links.pumped_drained(&self.host, LinkId(link), channel, (taken, buffered));
        self.host.run();
    }

    /// A connection ended.
    pub fn lost(&self, link: u32) {
        self.host.unlinked(LinkId(link));
    }

    fn command(&self, id: &str, command: impl FnOnce(ContentId) -> Command) {
        if let Some(content) = ContentId::from_hex(id) {
            self.host.push(News::Command(command(content)));
        }
    }
}

/// What the page is told of a share at once.
fn told(magnet: &Magnet, order: &[usize]) -> JsValue {
    Plain::new()
        .set("id", magnet.content.to_string())
        .set("name", magnet.name.as_deref().unwrap_or_default())
        .set("magnet", magnet.to_string())
        .set("order", convert::list(order, |given| JsValue::from_f64(*given as f64)))
        .done()
}

fn refuse(error: ContentError, otherwise: &str) -> JsValue {
    let code = if error == ContentError::VersionOne { "version-one" } else { otherwise };
    refusal(code, &error.to_string())
}
