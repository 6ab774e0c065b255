//! The browser host: runs the node in a dedicated worker, converts types, calls browser APIs, decides nothing.
//!
//! `www/worker.js` loads this and passes the page's calls to [`Engine`]. The page owns the connections
//! (browsers give `RTCPeerConnection` to windows only) and carries out the orders of `rtc.rs`; everything else
//! happens here. Reading order: `host`, `rtc`, `store`, `fetch`, `socket`, `seed`, `hash`, `task`, `convert`.

extern crate alloc;

pub mod clock;
mod convert;
pub mod fetch;
pub mod hash;
mod host;
mod listener;
mod rtc;
mod seed;
mod socket;
pub mod store;
mod table;
mod task;

use crate::convert::{Plain, get, refusal};
use crate::host::{Ended, Host, News};
use crate::table::Table;
use crate::task::spawn;
use alloc::rc::Rc;
use core::cell::{Cell, RefCell};
use core::time::Duration;
use js_sys::{Array, Function, Uint8Array};
use swarmlet_core::content::{ContentError, Magnet, Torrent, http};
use swarmlet_core::wire::sdp;
use swarmlet_core::{Command, Config, ContentId, Failure, JobId, LinkId, PeerId, Root, Topic};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::FileSystemDirectoryHandle;

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
///
/// Each method that the glue knows is some hundred bytes to download, so there are few: what the page says comes
/// in by [`Engine::hear`], what it asks for by [`Engine::call`].
#[wasm_bindgen]
pub struct Engine {
    host: &'static Host,
    /// Hashing under way, by the page's number for the call.
    hashing: Rc<RefCell<Table<u32, Rc<Cell<bool>>>>>,
}

#[wasm_bindgen]
impl Engine {
    /// Starts a node whose public key is `me`. `options`: `{ signaller: string?, token: string?, upload: number? }`.
    /// Without a `directory` content is kept in memory. `post(message, given)` sends to the page, but for what has
    /// `t: 'key'`: that is answered by `{ t: 'vouched' }`; and for `t: 'overlay'`, which goes to the overlay.
    #[wasm_bindgen(constructor)]
    #[must_use]
    pub fn new(
        me: &[u8],
        options: &JsValue,
        directory: Option<FileSystemDirectoryHandle>,
        post: Function,
    ) -> Self {
        std::panic::set_hook(Box::new(|info| console_error(&info.to_string())));
        let mut seed = [0; 32];
        fill_random(&mut seed);
        let signaller = get(options, "signaller").as_string();
        let config = Config {
            token: get(options, "token").as_string().unwrap_or_default(),
            signaller: signaller.is_some(),
            upload_rate_max: get(options, "upload").as_f64().map(|rate| rate as u64),
            hash_leaves: hash::hash_leaves,
            spot_checks: true,
            ..Config::default()
        };
        // A public key has 32 bytes.
        let Some(me) = me.first_chunk().copied().map(PeerId) else { unreachable!() };
        let store = store::Store::new(directory);
        let host = Host::new(config, (seed, me), signaller.unwrap_or_default(), store, post);
        host.push(News::Timeout);
        Self { host, hashing: Rc::default() }
    }

    /// Lets the node work on what it was given.
    pub fn run(&self) {
        self.host.run();
    }

    /// Sends the page a snapshot, if anything happened since the last call or if it must. Says whether anything did.
    pub fn tell(&self, must: bool) -> bool {
        let changed = self.host.take_changed();
        if changed || must {
            self.host.tell_snapshot();
        }
        changed
    }

    /// Takes in what the page says of its connections, and what the worker says of keys.
    pub fn hear(&self, message: &JsValue) {
        let number = |name| get(message, name).as_f64().unwrap_or_default();
        let (host, link) = (self.host, LinkId(number("link") as u32));
        let channel = rtc::channel_of(number("channel"));
        let done = |ended| host.news(News::Done { job: JobId(number("job") as u64), ended });
        match text(&get(message, "t")).as_str() {
            "described" => {
                let described = sdp::parse(&text(&get(message, "sdp")));
                done(described.map_or(Ended::Failed(Failure::Unsupported), Ended::Described));
            }
            "finished" if get(message, "ok").is_truthy() => done(Ended::Ok),
            "finished" => done(Ended::Failed(Failure::Host)),
            "vouched" => done(vouched(&get(message, "answer"))),
            "found" => match get(message, "line").as_string() {
                None => host.news(News::Found { link, candidate: None }),
                Some(line) => {
                    if let Some(candidate) = sdp::parse_candidate(&line) {
                        host.news(News::Found { link, candidate: Some(candidate) });
                    }
                }
            },
            "adopt" => {
                let channels = ["control", "bulk"].map(|name| get(message, name).unchecked_into());
                host.links.adopt(host, link, channels);
            }
            "pump" => host.links.pump(link),
            "pumpedOpen" => host.links.pumped_open(host, link, channel),
            "pumpedMessage" => {
                host.news(News::Received { link, channel, bytes: rtc::bytes_of(&get(message, "data")) });
            }
            "pumpedDrained" => {
                host.links.pumped_drained(host, link, channel, (number("taken"), number("buffered")));
                host.run();
            }
            "lost" => host.unlinked(link),
            // Whom to open a socket to from now on.
            "signaller" => {
                host.signaller_url.replace(text(&get(message, "url")));
            }
            // The overlay that runs beside us: that it is there, then what it says.
            "overlay" => host.news(match get(message, "bytes").dyn_ref::<Uint8Array>() {
                Some(bytes) => News::Received { link: LinkId::OVERLAY, channel, bytes: bytes.to_vec() },
                None => News::Linked(LinkId::OVERLAY),
            }),
            _ => {}
        }
    }

    /// Does what the page asks for by its call number `id`. Answers at once, or throws `{ code, reason? }`; `read` and
    /// `seed` answer the page later.
    pub fn call(&self, id: u32, method: &str, args: &Array) -> Result<JsValue, JsValue> {
        let (first, second) = (args.get(0), args.get(1));
        let number = |at| args.get(at).as_f64().unwrap_or_default();
        match method {
            "addLink" => return self.add_link(&text(&first), &second),
            "addTorrent" => return self.add_torrent(&first, &second, &text(&args.get(2))),
            "upload" => self.command(Command::Upload(first.as_f64().map(|rate| rate as u64))),
            "drop" => {
                if let Some(root) = Root::from_hex(&text(&first)) {
                    self.command(Command::Drop(root));
                }
            }
            "tell" => {
                if let Some(topic) = Topic::from_hex(&text(&first)) {
                    let news = second.unchecked_ref::<Uint8Array>().to_vec();
                    self.command(Command::Tell { topic, news });
                }
            }
            "seed" => self.seed(id, &first, text(&second), &args.get(2)),
            "read" => {
                let root = Root::from_hex(&text(&first)).ok_or_else(|| refusal("bad-argument", None))?;
                let (start, length) = (number(1) as u64, number(2) as u32);
                let within = Duration::from_millis(number(3) as u64);
                self.command(Command::Read { read: id, root, start, length, within });
            }
            "invite" => {
                let content =
                    ContentId::from_hex(&text(&first)).ok_or_else(|| refusal("bad-argument", None))?;
                self.command(Command::Invite { call: id, content });
            }
            "meet" => {
                let code = first.unchecked_ref::<Uint8Array>().to_vec();
                self.command(Command::Meet { call: id, code });
            }
            // Whether a web server's answer with these headers, `Cache-Control` and `Vary`, is not for everybody.
            "private" => return Ok(http::objection(&text(&first), &text(&second), false).is_some().into()),
            "cancelRead" => self.command(Command::CancelRead(number(0) as u32)),
            "cancelSeed" => {
                if let Some(cancelled) = self.hashing.borrow().get(&(number(0) as u32)) {
                    cancelled.set(true);
                }
            }
            "online" if first.is_truthy() => self.command(Command::Online),
            "online" => self.command(Command::Offline),
            "token" => self.command(Command::Token(text(&first))),
            "close" => {
                self.host.news(News::Command(Command::Close));
                self.host.close();
            }
            _ => {
                let content =
                    ContentId::from_hex(&text(&first)).ok_or_else(|| refusal("bad-argument", None))?;
                return Ok(self.call_share(method, content, &second));
            }
        }
        Ok(JsValue::UNDEFINED)
    }
}

impl Engine {
    fn command(&self, command: Command) {
        self.host.push(News::Command(command));
    }

    fn call_share(&self, method: &str, content: ContentId, second: &JsValue) -> JsValue {
        match method {
            "torrent" => {
                let torrent = self.host.with_node(|node| node.torrent(&content));
                return torrent.map_or(JsValue::UNDEFINED, |torrent| {
                    Uint8Array::from(torrent.encode().as_slice()).into()
                });
            }
            // `undefined`: all files.
            "select" => self.command(Command::Select { content, files: convert::indices(second) }),
            "pause" => self.command(Command::Pause(content)),
            "resume" => self.command(Command::Resume(content)),
            "remove" => self.command(Command::Remove { content, keep: second.is_truthy() }),
            _ => {}
        }
        JsValue::UNDEFINED
    }

    /// Begins to fetch a share named by a magnet link or an id. Returns `{ id, name, magnet }`.
    fn add_link(&self, link: &str, select: &JsValue) -> Result<JsValue, JsValue> {
        let magnet = Magnet::parse(link).map_err(|error| refuse(error, "bad-link"))?;
        let select = convert::indices(select).or_else(|| magnet.select.clone());
        let told = told(&magnet, &[]);
        self.command(Command::Add { magnet, torrent: None, select, topic: None });
        Ok(told)
    }

    /// Begins to fetch a share named by the bytes of a `.torrent`, in the swarm `topic`, if it is one. Returns
    /// `{ id, name, magnet }`.
    fn add_torrent(&self, bytes: &JsValue, select: &JsValue, topic: &str) -> Result<JsValue, JsValue> {
        let bytes = bytes.unchecked_ref::<Uint8Array>().to_vec();
        let torrent = Torrent::parse(&bytes).map_err(|error| refuse(error, "bad-torrent"))?;
        let magnet = torrent.magnet();
        let told = told(&magnet, &[]);
        let (select, topic) = (convert::indices(select), Topic::from_hex(topic));
        self.command(Command::Add { magnet, torrent: Some(Box::new(torrent)), select, topic });
        Ok(told)
    }

    /// Hashes files (a list of `{ path: string[], blob: Blob }`) and shares them. Answers with
    /// `{ id, name, magnet, order }`, where `order` says which given file each file of the share is.
    fn seed(&self, call: u32, files: &JsValue, name: String, web_seeds: &JsValue) {
        let cancelled = Rc::new(Cell::new(false));
        self.hashing.borrow_mut().insert(call, cancelled.clone());
        let (hashing, host) = (self.hashing.clone(), self.host);
        let (files, web_seeds) = (seed::Files::of(files.unchecked_ref()), convert::texts(web_seeds));
        spawn(async move {
            let made = seed::seed(host, call, files, name, web_seeds, cancelled).await;
            hashing.borrow_mut().remove(&call);
            let answer = Plain::of("reply").set("id", call);
            host.tell(match made {
                Ok((magnet, order)) => answer.set("value", told(&magnet, &order)).done(),
                Err(error) => answer.set("error", error).done(),
            });
            host.run();
        });
    }
}

/// How something was signed (64 bytes) or verified (whether it is good). `undefined`: it could not be.
fn vouched(answer: &JsValue) -> Ended {
    match (answer.dyn_ref::<Uint8Array>(), answer.as_bool()) {
        (Some(signature), _) => Ended::Bytes(signature.to_vec()),
        (None, Some(true)) => Ended::Ok,
        (None, Some(false)) => Ended::Missing,
        (None, None) => Ended::Failed(Failure::Unsupported),
    }
}

fn text(value: &JsValue) -> String {
    value.as_string().unwrap_or_default()
}

/// What the page is told of a share at once.
fn told(magnet: &Magnet, order: &[usize]) -> JsValue {
    Plain::new()
        .set("id", magnet.content.hex())
        .set("name", magnet.name.as_deref().unwrap_or_default())
        .set("magnet", magnet.to_string())
        .set("order", convert::list(order, |given| JsValue::from_f64(*given as f64)))
        .done()
}

fn refuse(error: ContentError, otherwise: &str) -> JsValue {
    let code = if error == ContentError::VersionOne { "version-one" } else { otherwise };
    refusal(code, Some(error))
}
