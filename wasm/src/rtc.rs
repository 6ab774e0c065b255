//! Links: the two data channels of each, either here in the worker or pumped through the page, and the orders
//! to the page, which owns the connections.

use crate::convert::Plain;
use crate::host::{Ended, Host, News};
use crate::listener::Listener;
use crate::table::Table;
use core::cell::RefCell;
use js_sys::{Array, ArrayBuffer, Uint8Array};
use swarmlet_core::config::CHANNEL_LOW_BYTES;
use swarmlet_core::wire::{Candidate, Description, sdp};
use swarmlet_core::{Channel, Failure, JobId, LinkId};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use web_sys::{MessageEvent, RtcDataChannel, RtcDataChannelState, RtcDataChannelType};

/// Every link that the node has not let go of.
#[derive(Default)]
pub(crate) struct Links {
    links: RefCell<Table<LinkId, Link>>,
    /// Channels that something was sent on since the last look at their buffers.
    touched: RefCell<Vec<(LinkId, Channel)>>,
}

struct Link {
    pipes: [Pipe; 2],
    /// Whether the node was told that both channels are open.
    linked: bool,
    /// Of the other side; candidates wait for it.
    ufrag: Option<String>,
    waiting: Vec<(JobId, Candidate)>,
}

enum Pipe {
    /// Not here yet.
    Absent,
    /// The page gave the channel away.
    Direct { channel: RtcDataChannel, _listeners: [Listener; 4] },
    /// The page keeps the channel and passes messages on. `sent`: bytes given to the page; `taken`: those of
    /// them that it says it gave to the channel; `buffered`: what the channel then held.
    Pumped { open: bool, sent: f64, taken: f64, buffered: f64 },
}

impl Link {
    fn new(ufrag: Option<String>) -> Self {
        Self { pipes: [Pipe::Absent, Pipe::Absent], linked: false, ufrag, waiting: Vec::new() }
    }
}

const fn slot(channel: Channel) -> usize {
    match channel {
        Channel::Control => 0,
        Channel::Bulk => 1,
    }
}

/// Reads what a page calls a channel.
pub(crate) fn channel_of(id: f64) -> Channel {
    if id == 0.0 { Channel::Control } else { Channel::Bulk }
}

impl Links {
    /// Orders a connection that offers.
    pub(crate) fn dial(&self, host: &Host, job: JobId, link: LinkId) {
        self.links.borrow_mut().insert(link, Link::new(None));
        host.tell(order("dial", link).number("job", job.0).done());
    }

    /// Orders a connection that answers.
    pub(crate) fn accept(&self, host: &Host, job: JobId, link: LinkId, remote: &Description) {
        let Some(text) = sdp::build(remote) else {
            host.push(News::Done { job, ended: Ended::Failed(Failure::Unsupported) });
            return;
        };
        self.links.borrow_mut().insert(link, Link::new(Some(remote.ufrag.clone())));
        host.tell(order("accept", link).number("job", job.0).set("sdp", text).done());
    }

    /// Hands the answer to a connection that offered.
    pub(crate) fn complete(&self, host: &Host, job: JobId, link: LinkId, remote: &Description) {
        let mut links = self.links.borrow_mut();
        let (Some(entry), Some(text)) = (links.get_mut(&link), sdp::build(remote)) else {
            host.push(News::Done { job, ended: Ended::Failed(Failure::Unsupported) });
            return;
        };
        entry.ufrag = Some(remote.ufrag.clone());
        let waiting = core::mem::take(&mut entry.waiting);
        host.tell(order("complete", link).number("job", job.0).set("sdp", text).done());
        for (job, candidate) in waiting {
            tell_candidate(host, job, link, &candidate, &remote.ufrag);
        }
    }

    /// Hands over one of the other side's candidates, as soon as it is known whose it is.
    pub(crate) fn candidate(&self, host: &Host, job: JobId, link: LinkId, candidate: Candidate) {
        let mut links = self.links.borrow_mut();
        let Some(entry) = links.get_mut(&link) else {
            host.push(News::Done { job, ended: Ended::Failed(Failure::Host) });
            return;
        };
        match &entry.ufrag {
            Some(ufrag) => tell_candidate(host, job, link, &candidate, ufrag),
            None => entry.waiting.push((job, candidate)),
        }
    }

    /// Closes a connection and forgets it. Whether there was one.
    pub(crate) fn close(&self, host: &Host, link: LinkId) -> bool {
        let Some(entry) = self.links.borrow_mut().remove(&link) else { return false };
        for pipe in entry.pipes {
            if let Pipe::Direct { channel, _listeners } = pipe {
                // The listeners go first, so that the channel does not report its own end.
                drop(_listeners);
                channel.close();
            }
        }
        host.tell(order("close", link).done());
        true
    }

    /// Sends one message. `false`: the channel does not take it.
    pub(crate) fn send(&self, host: &Host, link: LinkId, channel: Channel, bytes: &[u8]) -> bool {
        let mut links = self.links.borrow_mut();
        // A link that just ended is reported already.
        let Some(entry) = links.get_mut(&link) else { return true };
        self.touch(link, channel);
        match &mut entry.pipes[slot(channel)] {
            Pipe::Absent => false,
            Pipe::Direct { channel, .. } => channel.send_with_u8_array(bytes).is_ok(),
            Pipe::Pumped { sent, .. } => {
                *sent += bytes.len() as f64;
                let data = Uint8Array::from(bytes).buffer();
                let message =
                    order("send", link).set("channel", slot(channel) as u8).set("data", &data).done();
                host.tell_giving(&message, &Array::of1(&data));
                true
            }
        }
    }

    fn touch(&self, link: LinkId, channel: Channel) {
        let mut touched = self.touched.borrow_mut();
        if !touched.contains(&(link, channel)) {
            touched.push((link, channel));
        }
    }

    /// Says `Writable` of every channel that a batch of sends left at or below the mark.
    pub(crate) fn report_room(&self, host: &Host) {
        for (link, channel) in core::mem::take(&mut *self.touched.borrow_mut()) {
            if let Some(buffered) = self.buffered(link, channel)
                && buffered <= CHANNEL_LOW_BYTES
            {
                host.push(News::Writable { link, channel, buffered });
            }
        }
    }

    fn buffered(&self, link: LinkId, channel: Channel) -> Option<u32> {
        match &self.links.borrow().get(&link)?.pipes[slot(channel)] {
            Pipe::Absent => None,
            Pipe::Direct { channel, .. } => Some(channel.buffered_amount()),
            Pipe::Pumped { sent, taken, buffered, .. } => Some((sent - taken + buffered) as u32),
        }
    }

    /// The page gave the two channels of a link away.
    pub(crate) fn adopt(&self, host: &'static Host, link: LinkId, channels: [RtcDataChannel; 2]) {
        if self.links.borrow().get(&link).is_none() {
            channels.iter().for_each(RtcDataChannel::close);
            return;
        }
        for (channel, rtc) in [Channel::Control, Channel::Bulk].into_iter().zip(channels) {
            rtc.set_binary_type(RtcDataChannelType::Arraybuffer);
            rtc.set_buffered_amount_low_threshold(CHANNEL_LOW_BYTES);
            let listeners = listen(host, link, channel, &rtc);
            if let Some(entry) = self.links.borrow_mut().get_mut(&link) {
                entry.pipes[slot(channel)] = Pipe::Direct { channel: rtc, _listeners: listeners };
            }
        }
        self.opened(host, link);
    }

    /// The page cannot give the channels of a link away and will pass messages on.
    pub(crate) fn pump(&self, link: LinkId) {
        if let Some(entry) = self.links.borrow_mut().get_mut(&link) {
            entry.pipes = [0, 1].map(|_| Pipe::Pumped { open: false, sent: 0.0, taken: 0.0, buffered: 0.0 });
        }
    }

    /// A pumped channel opened.
    pub(crate) fn pumped_open(&self, host: &'static Host, link: LinkId, channel: Channel) {
        if let Some(entry) = self.links.borrow_mut().get_mut(&link)
            && let Pipe::Pumped { open, .. } = &mut entry.pipes[slot(channel)]
        {
            *open = true;
        }
        self.opened(host, link);
    }

    /// The page says how much of what it got it has given to a pumped channel, and what that holds.
    pub(crate) fn pumped_drained(&self, host: &Host, link: LinkId, channel: Channel, now: (f64, f64)) {
        if let Some(entry) = self.links.borrow_mut().get_mut(&link)
            && let Pipe::Pumped { taken, buffered, .. } = &mut entry.pipes[slot(channel)]
        {
            (*taken, *buffered) = now;
            self.touch(link, channel);
        }
        self.report_room(host);
    }

    /// Reports a link once both of its channels are open.
    fn opened(&self, host: &'static Host, link: LinkId) {
        if let Some(entry) = self.links.borrow_mut().get_mut(&link) {
            let open = entry.pipes.iter().all(|pipe| match pipe {
                Pipe::Absent => false,
                Pipe::Direct { channel, .. } => channel.ready_state() == RtcDataChannelState::Open,
                Pipe::Pumped { open, .. } => *open,
            });
            if !open || entry.linked {
                return;
            }
            entry.linked = true;
            host.push(News::Linked(link));
        }
        host.run();
    }
}

fn listen(host: &'static Host, link: LinkId, channel: Channel, rtc: &RtcDataChannel) -> [Listener; 4] {
    let on = |name, tell: fn(&'static Host, LinkId, Channel, &web_sys::Event)| {
        Listener::new(rtc, name, move |event| tell(host, link, channel, &event))
    };
    [
        on("open", |host, link, _, _| host.links.opened(host, link)),
        on("message", |host, link, channel, event| {
            let data = event.unchecked_ref::<MessageEvent>().data();
            host.news(News::Received { link, channel, bytes: bytes_of(&data) });
        }),
        on("bufferedamountlow", |host, link, channel, _| {
            if let Some(buffered) = host.links.buffered(link, channel) {
                host.news(News::Writable { link, channel, buffered });
            }
        }),
        on("close", |host, link, _, _| host.unlinked(link)),
    ]
}

#[wasm_bindgen]
extern "C" {
    /// `www/worker/release.js`
    #[wasm_bindgen(js_namespace = self)]
    fn release(buffer: &ArrayBuffer);
}

/// The bytes of a message, which is empty then. Text is nothing that a peer of ours sends: it becomes no bytes, which are malformed.
pub(crate) fn bytes_of(data: &JsValue) -> Vec<u8> {
    let Some(buffer) = data.dyn_ref::<ArrayBuffer>() else { return Vec::new() };
    let bytes = Uint8Array::new(buffer).to_vec();
    release(buffer);
    bytes
}

fn order(what: &str, link: LinkId) -> Plain {
    Plain::of("rtc").set("order", what).set("link", link.0)
}

fn tell_candidate(host: &Host, job: JobId, link: LinkId, candidate: &Candidate, ufrag: &str) {
    let line = sdp::build_candidate(candidate, ufrag);
    host.tell(order("candidate", link).number("job", job.0).set("line", line).done());
}

#[cfg(test)]
mod tests {
    use super::CHANNEL_LOW_BYTES;

    #[test]
    fn the_page_tells_of_pumped_channels_at_our_mark() {
        // At a higher one it would be told of what is not room yet, and never again.
        let mark = format!("const LOW_BYTES = {} * 1024;", CHANNEL_LOW_BYTES / 1024);
        assert!(include_str!("../../www/page/rtc.js").contains(&mark));
    }
}
