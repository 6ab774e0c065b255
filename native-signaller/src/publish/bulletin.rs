//! Bulletins of a live stream: what there is now, signed. Two lines of text: the signature, and what it is of.
//!
//! The list of segments only grows. A bulletin shows its end, and the hash of all that came before: whoever has seen the
//! list up to some point sees that nothing before it was changed. `www/embed/live.js` judges them by the same rules.

use ed25519_dalek::{Signature, Signer, SigningKey, VerifyingKey};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use swarmlet_core::content::site_topic;
use swarmlet_core::wire::peer::NEWS_BYTES_MAX;
use swarmlet_core::{Root, Topic};

/// Signatures for one purpose are good for no other.
const CONTEXT: &[u8] = b"swarmlet site live\n";
/// What JavaScript counts exactly.
const NUMBER_MAX: u64 = 1 << 53;

/// A segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Segment {
    /// From the stream's folder.
    pub(crate) path: String,
    pub(crate) size: u64,
    pub(crate) root: Root,
    pub(crate) kind: &'static str,
}

/// What changes all the time, and is small: a playlist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Playlist {
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) kind: &'static str,
}

/// What a stream has to say.
#[derive(Clone, Debug)]
pub(crate) struct News<'a> {
    /// When this stream began: milliseconds since 1970. Numbers of segments begin anew with it.
    pub(crate) stream: u64,
    /// Of this bulletin; each is greater than the last.
    pub(crate) seq: u64,
    /// The number of the first segment that is named, and the hash of all before it.
    pub(crate) first: u64,
    pub(crate) before: Root,
    pub(crate) segments: &'a [Segment],
    pub(crate) playlists: &'a [Playlist],
    /// For how long playlists are good, in milliseconds.
    pub(crate) hold: u64,
    /// Where the stream's folder is; empty: where the bulletin is.
    pub(crate) base: Option<&'a str>,
}

/// One that was read and has proven itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bulletin {
    /// Where it is put up: one for each stream of a site.
    pub(crate) channel: Topic,
    pub(crate) key: [u8; 32],
    pub(crate) stream: u64,
    pub(crate) seq: u64,
    pub(crate) text: String,
}

/// Streams of one key are told apart by their place on the web.
fn channel(key: &[u8; 32], base: &str) -> Topic {
    Topic(Sha256::new().chain_update(b"swarmlet live").chain_update(key).chain_update(base).finalize().into())
}

/// The hash of a list that has one segment more.
pub(crate) fn chain(before: Root, segment: &Segment) -> Root {
    let Segment { path, size, root, kind } = segment;
    let line = format!("{path}\n{size}\n{root}\n{kind}");
    Root(Sha256::new().chain_update(before.0).chain_update(line).finalize().into())
}

impl News<'_> {
    /// The bulletin. `None`: there is too much to say.
    pub(crate) fn sign(&self, key: &SigningKey) -> Option<String> {
        let public = key.verifying_key().to_bytes();
        let segments = self.segments.iter();
        let segments = segments
            .map(|segment| json!([segment.path, segment.size, segment.root.to_string(), segment.kind]));
        let playlists = self.playlists.iter();
        let playlists = playlists.map(|playlist| json!([playlist.path, playlist.text, playlist.kind]));
        let text = json!({
            "version": 1,
            "key": Root(public).to_string(),
            "topic": site_topic(&public).to_string(),
            "channel": channel(&public, self.base.unwrap_or("")).to_string(),
            "stream": self.stream,
            "seq": self.seq,
            "base": self.base,
            "hold": self.hold,
            "first": self.first,
            "before": self.before.to_string(),
            "files": segments.collect::<Vec<_>>(),
            "texts": playlists.collect::<Vec<_>>(),
        });
        let text = text.to_string();
        let signature = key.sign(&[CONTEXT, text.as_bytes()].concat()).to_bytes();
        let mut whole = String::new();
        signature.iter().for_each(|byte| whole.push_str(&format!("{byte:02x}")));
        whole.push('\n');
        whole.push_str(&text);
        (whole.len() <= NEWS_BYTES_MAX).then_some(whole)
    }
}

impl Bulletin {
    /// Reads one. `None`: it is none, or its key did not sign it.
    pub(crate) fn read(text: &str) -> Option<Self> {
        if text.len() > NEWS_BYTES_MAX {
            return None;
        }
        let (seal, body) = text.split_once('\n')?;
        let (first, second) = seal.split_at_checked(64)?;
        let signature = [Root::from_hex(first)?.0, Root::from_hex(second)?.0].concat();
        let value: Value = serde_json::from_str(body).ok()?;
        let key = Root::from_hex(value["key"].as_str()?)?.0;
        let signature = Signature::from_slice(&signature).ok()?;
        VerifyingKey::from_bytes(&key)
            .ok()?
            .verify_strict(&[CONTEXT, body.as_bytes()].concat(), &signature)
            .ok()?;
        let number = |name: &str| value[name].as_u64().filter(|number| *number < NUMBER_MAX);
        let (stream, seq) = (number("stream")?, number("seq")?);
        let channel = channel(&key, value["base"].as_str().unwrap_or(""));
        let fits = value["version"] == 1 && value["channel"] == channel.to_string() && !body.contains('\n');
        fits.then(|| Self { channel, key, stream, seq, text: text.to_owned() })
    }

    /// What is newer comes later.
    pub(crate) const fn order(&self) -> (u64, u64) {
        (self.stream, self.seq)
    }
}

/// Where a list stood, so that a publisher that starts again goes on with it.
pub(crate) struct Stood {
    pub(crate) stream: u64,
    pub(crate) seq: u64,
    pub(crate) first: u64,
    pub(crate) before: Root,
    pub(crate) segments: Vec<Segment>,
}

impl Stood {
    /// Reads it from the last bulletin, if `key` signed it.
    pub(crate) fn read(text: &str, key: &SigningKey) -> Option<Self> {
        let Bulletin { stream, seq, key: of, .. } = Bulletin::read(text)?;
        if of != key.verifying_key().to_bytes() {
            return None;
        }
        let value: Value = serde_json::from_str(text.split_once('\n')?.1).ok()?;
        let mut segments = Vec::new();
        for entry in value["files"].as_array()? {
            let path = entry[0].as_str()?.to_owned();
            let kind =
                super::kind::of(&path, (entry[3] == "video/mp2t").then_some(super::kind::TRANSPORT_SYNC));
            let segment =
                Segment { path, size: entry[1].as_u64()?, root: Root::from_hex(entry[2].as_str()?)?, kind };
            segments.push(segment);
        }
        let before = Root::from_hex(value["before"].as_str()?)?;
        Some(Self { stream, seq, first: value["first"].as_u64()?, before, segments })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segment(at: u8) -> Segment {
        Segment { path: format!("s{at}.ts"), size: 7, root: Root([at; 32]), kind: "video/mp2t" }
    }

    fn news(segments: &[Segment]) -> News<'_> {
        let before = Root([0; 32]);
        News { stream: 3, seq: 9, first: 0, before, segments, playlists: &[], hold: 4000, base: None }
    }

    #[test]
    fn a_bulletin_reads_back_and_no_byte_of_it_can_be_changed() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let segments = [segment(1), segment(2)];
        let text = news(&segments).sign(&key).unwrap();
        let read = Bulletin::read(&text).unwrap();
        assert_eq!((read.order(), read.key), ((3, 9), key.verifying_key().to_bytes()));
        assert_eq!(read.channel, channel(&read.key, ""));
        assert_ne!(read.channel, channel(&read.key, "https://shop.example/live/"));
        let stood = Stood::read(&text, &key).unwrap();
        assert_eq!((stood.segments.as_slice(), stood.seq), (segments.as_slice(), 9));
        assert!(Stood::read(&text, &SigningKey::from_bytes(&[8; 32])).is_none());
        for at in 0..text.len() {
            let mut damaged = text.clone().into_bytes();
            damaged[at] ^= 1;
            let Ok(damaged) = String::from_utf8(damaged) else { continue };
            assert_eq!(Bulletin::read(&damaged), None, "{at}");
        }
        assert_eq!(Bulletin::read(&format!("{text}\n")), None);
    }

    #[test]
    fn the_chain_is_of_every_word() {
        let (start, whole) = (Root([0; 32]), segment(1));
        let reference = chain(start, &whole);
        let others = [
            Segment { path: "s2.ts".into(), ..whole.clone() },
            Segment { size: 8, ..whole.clone() },
            Segment { root: Root([2; 32]), ..whole.clone() },
            Segment { kind: "audio/aac", ..whole.clone() },
        ];
        assert!(others.iter().all(|other| chain(start, other) != reference));
        assert_ne!(chain(Root([1; 32]), &whole), reference);
        // The same vector as in tests/browser/live-list.spec.mjs.
        assert_eq!(reference.to_string(), "fc2eac485858eb6b67a4666ae304a7be73b95f58e7a9b0967cf98ec46940b2af");
    }

    #[test]
    fn too_much_is_not_said() {
        let key = SigningKey::from_bytes(&[7; 32]);
        let segments: Vec<_> = (0..200).map(segment).collect();
        assert_eq!(news(&segments).sign(&key), None);
    }
}
