//! JavaScript values ⇄ the node's types.

use js_sys::{Array, Float64Array, Object, Reflect, Uint8Array};
use swarmlet_core::action::{Event, ShareFailure, SourceFailure};
use swarmlet_core::content::ContentError;
use swarmlet_core::snapshot::{LinkView, ShareState, ShareView, Snapshot};
use swarmlet_core::{ContentId, Failure, Fault, PeerId};
use wasm_bindgen::{JsCast, JsValue};

/// A plain object under construction.
pub(crate) struct Plain(Object);

impl Plain {
    pub(crate) fn new() -> Self {
        Self(Object::new())
    }

    /// An object whose `t` says what it is.
    pub(crate) fn of(kind: &str) -> Self {
        Self::new().set("t", kind)
    }

    pub(crate) fn set(self, key: &str, value: impl Into<JsValue>) -> Self {
        // Fails only for a frozen object.
        let _ = Reflect::set(&self.0, &JsValue::from_str(key), &value.into());
        self
    }

    /// Bytes, rates and counts: all below 2^53.
    pub(crate) fn number(self, key: &str, value: u64) -> Self {
        self.set(key, value as f64)
    }

    pub(crate) fn done(self) -> JsValue {
        self.0.into()
    }
}

/// The property `key` of `value`; `undefined` when there is none.
pub(crate) fn get(value: &JsValue, key: &str) -> JsValue {
    Reflect::get(value, &JsValue::from_str(key)).unwrap_or(JsValue::UNDEFINED)
}

/// What a page gets to see when something is refused: a stable code, and the name of the rule that content breaks
/// (`www/reasons.js` has the sentences).
pub(crate) fn refusal(code: &str, reason: Option<ContentError>) -> JsValue {
    let refusal = Plain::new().set("code", code);
    match reason {
        Some(reason) => refusal.set("reason", reason.name()).done(),
        None => refusal.done(),
    }
}

/// Which kind of failure an exception of the browser's is.
pub(crate) fn failure(exception: &JsValue) -> Failure {
    match get(exception, "name").as_string().as_deref() {
        Some("QuotaExceededError") => Failure::Full,
        Some("NotSupportedError" | "SecurityError" | "NotAllowedError") => Failure::Unsupported,
        _ => Failure::Host,
    }
}

/// Whether an exception says that a file is not there.
pub(crate) fn is_missing(exception: &JsValue) -> bool {
    get(exception, "name").as_string().as_deref() == Some("NotFoundError")
}

/// A list of indices; `undefined` and `null` are `None`.
pub(crate) fn indices(value: &JsValue) -> Option<Vec<u32>> {
    let list = value.dyn_ref::<Array>()?;
    let mut indices = Vec::new();
    for at in 0..list.length() {
        if let Some(index) = list.get(at).as_f64() {
            indices.push(index as u32);
        }
    }
    Some(indices)
}

/// A list of texts.
pub(crate) fn texts(value: &JsValue) -> Vec<String> {
    let mut texts = Vec::new();
    if let Some(list) = value.dyn_ref::<Array>() {
        for at in 0..list.length() {
            texts.extend(list.get(at).as_string());
        }
    }
    texts
}

/// A snapshot, without the names of files: the page asks for those once.
pub(crate) fn snapshot(view: &Snapshot) -> JsValue {
    let totals = Plain::new()
        .number("fromPeers", view.totals.from_peers)
        .number("fromHttp", view.totals.from_http)
        .number("sent", view.totals.sent)
        .number("wireIn", view.totals.wire_in)
        .number("wireOut", view.totals.wire_out)
        .number("wasted", view.totals.wasted)
        .number("banned", view.totals.banned.into());
    Plain::of("snapshot")
        .set("signaller", view.signaller)
        .number("dialling", view.dialling.into())
        .number("connectionsMade", view.connections_made.into())
        .set("totals", totals.done())
        .set("links", list(&view.links, link))
        .set("shares", list(&view.shares, share))
        .done()
}

/// A list of what `convert` makes of each item.
pub(crate) fn list<T>(items: &[T], convert: fn(&T) -> JsValue) -> Array {
    let list = Array::new();
    for item in items {
        list.push(&convert(item));
    }
    list
}

fn link(view: &LinkView) -> JsValue {
    Plain::new()
        .set("peer", view.peer.hex())
        .number("received", view.received)
        .number("sent", view.sent)
        .number("downRate", view.down_rate)
        .number("upRate", view.up_rate)
        .set("rtt", f64::from(view.rtt_us) / 1000.0)
        .number("requested", view.requested.into())
        .done()
}

fn share(view: &ShareView) -> JsValue {
    let (mut done, mut wanted) = (Vec::new(), Vec::new());
    for file in &view.files {
        done.push(file.done as f64);
        wanted.push(f64::from(u8::from(file.wanted)));
    }
    Plain::new()
        .set("id", view.content.hex())
        .set("name", view.name.as_str())
        .set("state", state_name(view.state))
        .number("wanted", view.wanted)
        .number("done", view.done)
        .number("fromPeers", view.from_peers)
        .number("fromHttp", view.from_http)
        .number("fromStore", view.from_store)
        .number("sent", view.sent)
        .number("wasted", view.wasted)
        .number("downRate", view.down_rate)
        .number("upRate", view.up_rate)
        .number("peers", view.peers.into())
        .number("swarmSeeds", view.swarm_seeds.into())
        .number("swarmLeeches", view.swarm_leeches.into())
        .number("sources", view.sources.into())
        .number("unavailable", view.unavailable.into())
        .set("files", Float64Array::from(done.as_slice()))
        .set("wantedFiles", Float64Array::from(wanted.as_slice()))
        .done()
}

/// `{ name, files: [{ path, size, root }] }` of a share; `undefined` when it is unknown.
pub(crate) fn files(view: &Snapshot, content: ContentId) -> JsValue {
    let Some(view) = view.shares.iter().find(|share| share.content == content) else {
        return JsValue::UNDEFINED;
    };
    let file = |file: &swarmlet_core::snapshot::FileView| {
        Plain::new()
            .set("path", list(&file.path, |part| JsValue::from_str(part)))
            .number("size", file.length)
            .set("root", file.root.map_or(JsValue::NULL, |root| root.hex().into()))
            .done()
    };
    Plain::new().set("name", view.name.as_str()).set("files", list(&view.files, file)).done()
}

const fn state_name(state: ShareState) -> &'static str {
    match state {
        ShareState::Finding => "finding",
        ShareState::Checking => "checking",
        ShareState::Fetching => "fetching",
        ShareState::Seeding => "seeding",
        ShareState::Paused => "paused",
        ShareState::Failed => "failed",
    }
}

/// News for the page.
pub(crate) fn event(event: &Event) -> Plain {
    let share = |state: &str, content: &ContentId| {
        Plain::of("event").set("name", "share").set("state", state).set("id", content.hex())
    };
    let peer = |name: &str, peer: &PeerId| Plain::of("event").set("name", name).set("peer", peer.hex());
    let signaller = |state: &str| Plain::of("event").set("name", "signaller").set("state", state);
    match event {
        // The host answers reads itself.
        Event::Bytes { .. } | Event::ReadFailed { .. } | Event::Code { .. } | Event::NoCode { .. } => {
            Plain::new()
        }
        Event::Ready { content } => share("ready", content),
        Event::FileDone { content, file } => share("file", content).number("file", (*file).into()),
        Event::Done { content } => share("done", content),
        Event::FirstLeaf { content } => share("first-leaf", content),
        Event::Failed { content, reason } => share("failed", content).set("code", share_code(*reason)),
        Event::Damaged { root } => {
            Plain::of("event").set("name", "share").set("state", "damaged").set("root", root.hex())
        }
        Event::LinkUp { peer: id, took_ms } => {
            peer("link", id).set("state", "up").number("took", (*took_ms).into())
        }
        Event::LinkDown { peer: id, fault } => {
            peer("link", id).set("state", "down").set("fault", fault.map_or(JsValue::NULL, fault_name))
        }
        Event::DialFailed { peer: id, fault } => {
            peer("link", id).set("state", "failed").set("fault", fault_name(*fault))
        }
        Event::Anchor { address } => {
            Plain::of("event").set("name", "anchor").set("address", Uint8Array::from(address.as_slice()))
        }
        Event::News { topic, news } => Plain::of("event")
            .set("name", "news")
            .set("topic", topic.hex())
            .set("news", Uint8Array::from(news.as_slice())),
        Event::Banned { peer: id, fault } => peer("ban", id).set("fault", fault_name(*fault)),
        Event::SourceDropped { url, reason } => source(url, *reason),
        Event::SignallerUp => signaller("up"),
        Event::SignallerDown { retry_ms } => signaller("down").number("retry", (*retry_ms).into()),
        Event::SignallerRefused { reason } => signaller("refused").set("reason", *reason),
    }
}

fn fault_name(fault: Fault) -> JsValue {
    fault.name().into()
}

const fn share_code(reason: ShareFailure) -> &'static str {
    match reason {
        ShareFailure::BadInfo => "bad-info",
        ShareFailure::Storage(Failure::Full) => "storage-full",
        ShareFailure::Storage(_) => "storage",
        ShareFailure::TooMany => "too-many",
        ShareFailure::Unknown => "unknown",
        ShareFailure::SourceGone => "source-gone",
    }
}

fn source(url: &str, reason: SourceFailure) -> Plain {
    let plain = Plain::of("event").set("name", "source").set("state", "dropped").set("url", url);
    match reason {
        SourceFailure::BadData => plain.set("reason", "bad-data"),
        SourceFailure::Status(status) => plain.set("reason", "status").set("status", status),
        SourceFailure::Unreachable => plain.set("reason", "unreachable"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_has_a_sentence_for_each_reason() {
        let page = include_str!("../../www/reasons.js");
        for reason in ContentError::ALL {
            let line = |quote: char| format!("{quote}{reason}{quote},\n");
            let (name, _) = page
                .split_once(&line('\''))
                .or_else(|| page.split_once(&line('"')))
                .unwrap_or_else(|| panic!("no line says: {reason}"));
            let name = name.lines().last().unwrap_or_default().trim();
            assert_eq!(name.trim_end_matches([':', '\'']).trim_start_matches('\''), reason.name());
        }
    }
}
