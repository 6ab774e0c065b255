//! What WebTorrent clients and a tracker say to each other: one JSON object in each WebSocket message. Ids are *binary
//! strings*, 20 characters of one byte each. Only the fields that mean something here are read; what is passed on is
//! written anew around the session description.

mod reply;
mod session;

pub use reply::{Envelope, Reply};
pub use session::{Passing, Session};

use super::Error;
use super::json::{Kind, Reader, Text};
use crate::id::ContentId;
use alloc::vec::Vec;
use core::fmt;
use serde::{Deserialize, Serialize};

/// The largest message of a client: ten offers, as older ones send, of 3 KB.
pub const MESSAGE_BYTES_MAX: usize = 32 * 1024;
/// Offers of one announce that are looked at. Clients send 5, older ones 10.
pub const OFFERS_MAX: usize = 10;
/// Swarms that one scrape may ask for.
pub const SCRAPE_MAX: usize = 50;
/// Bytes of a description, as written.
pub const SESSION_BYTES_MAX: usize = 8 * 1024;

macro_rules! id20 {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
        pub struct $name(pub [u8; 20]);

        /// The first 8 hexadecimal digits.
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                let [a, b, c, d, ..] = self.0;
                write!(f, "{:08x}", u32::from_be_bytes([a, b, c, d]))
            }
        }
    };
}

id20!(
    /// A swarm: the SHA-1 infohash, or the first 20 bytes of the v2 infohash.
    InfoHash
);
impl InfoHash {
    /// What the clients of this dialect call a content.
    #[must_use]
    pub fn of(content: &ContentId) -> Self {
        let mut short = [0; 20];
        short.copy_from_slice(&content.0[..20]);
        Self(short)
    }
}

id20!(
    /// What a client calls itself in a swarm. Nothing proves it.
    PeerCode
);
id20!(
    /// What an offerer calls an offer.
    OfferId
);

/// A message of a client.
#[derive(Clone, Debug)]
pub enum Request<'a> {
    /// I am in this swarm, and here are offers for others.
    Announce(Announce<'a>),
    /// To an offer that came from here.
    Answer(Answer<'a>),
    /// How many are in these swarms?
    Scrape(Vec<InfoHash>),
}

/// See [`Request::Announce`].
#[derive(Clone, Debug)]
pub struct Announce<'a> {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Who.
    pub peer: PeerCode,
    /// Bytes that are missing; `None` where it does not say, as without metadata.
    pub left: Option<u64>,
    /// What happened.
    pub event: Event,
    /// At most [`OFFERS_MAX`].
    pub offers: Vec<Offer<'a>>,
    /// A join token, where the application adds one.
    pub token: Option<&'a str>,
}

/// What happened to an announcer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// It began, or nothing did.
    Update,
    /// It has everything now.
    Completed,
    /// It leaves.
    Stopped,
}

/// An offer for whom the tracker chooses.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The offerer's name for it.
    pub id: OfferId,
    /// The session description.
    pub sdp: Sdp<'a>,
}

/// See [`Request::Answer`].
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// The swarm.
    pub info_hash: InfoHash,
    /// Who answers.
    pub peer: PeerCode,
    /// Who offered.
    pub to: PeerCode,
    /// What.
    pub id: OfferId,
    /// The session description.
    pub sdp: Sdp<'a>,
}

/// A session description as it was written in JSON.
#[derive(Clone, Copy, Debug)]
pub struct Sdp<'a>(Text<'a>);

impl<'a> Sdp<'a> {
    /// Reads one between its quotes, as [`Session::quoted`] writes it.
    ///
    /// # Errors
    /// When it is no JSON text, or too long.
    pub fn read(quoted: &'a str) -> Result<Self, Error> {
        let mut reader = Reader::new(quoted.as_bytes())?;
        let text = reader.text()?;
        reader.end()?;
        if text.raw().len() <= SESSION_BYTES_MAX { Ok(Self(text)) } else { Err(Error::Limit) }
    }
}

/// A message that is refused, with what its sender needs to know which one it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Why.
    pub error: Error,
    /// Whether it was a scrape.
    pub scrape: bool,
    /// The swarm, if it was named.
    pub info_hash: Option<InfoHash>,
}

impl<'a> Request<'a> {
    /// Reads a message.
    ///
    /// # Errors
    /// When it is too long, no JSON, lacks what its kind needs, or breaks a limit.
    pub fn read(bytes: &'a [u8]) -> Result<Self, Refused> {
        let mut fields = Fields::default();
        fields.read(bytes).and_then(|()| fields.request()).map_err(|error| Refused {
            error,
            scrape: fields.action.is_some_and(|action| action.is("scrape")),
            info_hash: fields.hashes.first().copied(),
        })
    }
}

/// What was found; which of it must be there depends on the kind of message.
#[derive(Default)]
struct Fields<'a> {
    action: Option<Text<'a>>,
    hashes: Vec<InfoHash>,
    peer: Option<PeerCode>,
    to: Option<PeerCode>,
    id: Option<OfferId>,
    left: Option<u64>,
    event: Option<Text<'a>>,
    offers: Vec<Offer<'a>>,
    answer: Option<Sdp<'a>>,
    token: Option<Text<'a>>,
}

impl<'a> Fields<'a> {
    fn read(&mut self, bytes: &'a [u8]) -> Result<(), Error> {
        if bytes.len() > MESSAGE_BYTES_MAX {
            return Err(Error::Oversize);
        }
        let mut reader = Reader::new(bytes)?;
        reader.object(|key, reader| self.field(key, reader))?;
        reader.end()
    }

    fn field(&mut self, key: Text<'a>, reader: &mut Reader<'a>) -> Result<(), Error> {
        match key.raw() {
            "action" => once(&mut self.action, reader.text()?),
            "info_hash" => self.hashes(reader),
            "peer_id" => once(&mut self.peer, PeerCode(reader.text()?.bytes20()?)),
            "to_peer_id" => once(&mut self.to, PeerCode(reader.text()?.bytes20()?)),
            "offer_id" => once(&mut self.id, OfferId(reader.text()?.bytes20()?)),
            "event" if reader.kind()? == Kind::Text => once(&mut self.event, reader.text()?),
            "left" if reader.kind()? == Kind::Number => {
                self.left = reader.number()?;
                Ok(())
            }
            "offers" if reader.kind()? == Kind::List => self.offers(reader),
            "answer" => once(&mut self.answer, description(reader, "answer")?),
            "token" => once(&mut self.token, reader.text()?),
            _ => reader.skip(),
        }
    }

    fn hashes(&mut self, reader: &mut Reader<'a>) -> Result<(), Error> {
        let hashes = &mut self.hashes;
        let mut take = |reader: &mut Reader<'a>| {
            if hashes.len() >= SCRAPE_MAX {
                return Err(Error::Limit);
            }
            hashes.push(InfoHash(reader.text()?.bytes20()?));
            Ok(())
        };
        if reader.kind()? == Kind::List { reader.list(take) } else { take(reader) }
    }

    fn offers(&mut self, reader: &mut Reader<'a>) -> Result<(), Error> {
        let offers = &mut self.offers;
        reader.list(|reader| {
            if offers.len() >= OFFERS_MAX {
                return reader.skip();
            }
            let (mut id, mut sdp) = (None, None);
            reader.object(|key, reader| match key.raw() {
                "offer_id" => once(&mut id, OfferId(reader.text()?.bytes20()?)),
                "offer" => once(&mut sdp, description(reader, "offer")?),
                _ => reader.skip(),
            })?;
            let (Some(id), Some(sdp)) = (id, sdp) else { return Err(Error::Malformed) };
            offers.push(Offer { id, sdp });
            Ok(())
        })
    }

    fn request(&mut self) -> Result<Request<'a>, Error> {
        let action = self.action.ok_or(Error::Malformed)?;
        if action.is("scrape") {
            // All swarms would be news to nobody but those who collect them.
            return if self.hashes.is_empty() {
                Err(Error::Malformed)
            } else {
                Ok(Request::Scrape(core::mem::take(&mut self.hashes)))
            };
        }
        let ([info_hash], Some(peer), true) = (&self.hashes[..], self.peer, action.is("announce")) else {
            return Err(Error::Malformed);
        };
        let info_hash = *info_hash;
        if let Some(sdp) = self.answer {
            let (Some(to), Some(id)) = (self.to, self.id) else { return Err(Error::Malformed) };
            return Ok(Request::Answer(Answer { info_hash, peer, to, id, sdp }));
        }
        let event = match self.event.map_or("", Text::raw) {
            "completed" => Event::Completed,
            "stopped" => Event::Stopped,
            "" | "empty" | "update" | "started" | "paused" => Event::Update,
            _ => return Err(Error::Malformed),
        };
        let (left, offers) = (self.left, core::mem::take(&mut self.offers));
        let token = self.token.map(Text::raw);
        Ok(Request::Announce(Announce { info_hash, peer, left, event, offers, token }))
    }
}

/// A field that comes twice is a message that two readers may understand differently.
fn once<T>(field: &mut Option<T>, value: T) -> Result<(), Error> {
    if field.replace(value).is_some() { Err(Error::Malformed) } else { Ok(()) }
}

/// `{"type": kind, "sdp": "…"}`.
fn description<'a>(reader: &mut Reader<'a>, kind: &str) -> Result<Sdp<'a>, Error> {
    let (mut has_kind, mut sdp) = (None, None);
    reader.object(|key, reader| match key.raw() {
        "type" => once(&mut has_kind, reader.text()?.is(kind)),
        "sdp" => once(&mut sdp, reader.text()?),
        _ => reader.skip(),
    })?;
    match (has_kind, sdp) {
        (Some(true), Some(sdp)) if sdp.raw().len() <= SESSION_BYTES_MAX => Ok(Sdp(sdp)),
        (Some(true), Some(_)) => Err(Error::Limit),
        _ => Err(Error::Malformed),
    }
}
