//! A message on its way. A block that is what it says it is waits as a reference to the true bytes, so that ten
//! thousand peers with full buffers fit into memory; it is byte for byte the same again when it comes in.

use crate::files::{Files, HEAD_BYTES_MAX};
use swarmlet_core::Channel;
use swarmlet_core::config::LEAF_BYTES;
use swarmlet_core::wire::{Frame, Message};

/// The bytes of one message.
#[derive(Clone, Debug)]
pub enum Body {
    /// As they are.
    Plain(Vec<u8>),
    /// A head, and a run of a file.
    Quoted {
        /// What comes before the run, zeros behind it.
        head: [u8; HEAD_BYTES_MAX],
        /// Bytes of the head.
        head_bytes: u8,
        /// Which file.
        file: u32,
        /// First byte of the run.
        start: u64,
        /// Bytes of the run.
        length: u32,
    },
}

impl Body {
    /// Holds a message as shortly as it can be held.
    #[must_use]
    pub fn of(bytes: Vec<u8>, channel: Channel, files: &Files) -> Self {
        let quoted = if channel == Channel::Bulk { quote(&bytes, files) } else { None };
        quoted.unwrap_or(Self::Plain(bytes))
    }

    /// How many bytes the message has.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Plain(bytes) => bytes.len(),
            Self::Quoted { head_bytes, length, .. } => *head_bytes as usize + *length as usize,
        }
    }

    /// Whether it has none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Its first bytes, at least the head.
    #[must_use]
    pub fn head(&self) -> &[u8] {
        match self {
            Self::Plain(bytes) => bytes.get(..64).unwrap_or(bytes),
            Self::Quoted { head, head_bytes, .. } => &head[..usize::from(*head_bytes)],
        }
    }

    /// The whole message, made in `scratch` where it must be made.
    #[must_use]
    pub fn bytes<'a>(&'a self, files: &'a Files, scratch: &'a mut Vec<u8>) -> &'a [u8] {
        match self {
            Self::Plain(bytes) => bytes,
            Self::Quoted { head, head_bytes, file, start, length } => {
                let head = &head[..usize::from(*head_bytes)];
                if let Some(message) = files.message(head, *file, *start, *length) {
                    return message;
                }
                scratch.clear();
                scratch.extend_from_slice(head);
                scratch.extend_from_slice(files.run(*file, *start, *length).unwrap_or_default());
                scratch
            }
        }
    }
}

fn quote(bytes: &[u8], files: &Files) -> Option<Body> {
    if bytes.len() <= HEAD_BYTES_MAX * 2 {
        return None;
    }
    let Ok(Frame { message: Message::Block { root, start }, tail }) = Frame::decode(bytes) else {
        return None;
    };
    let file = files.index(&root)?;
    let start = u64::from(start) * u64::from(LEAF_BYTES);
    let length = u32::try_from(tail.len()).ok()?;
    let true_bytes = files.run(file, start, length)?;
    let head_bytes = bytes.len() - tail.len();
    if head_bytes > HEAD_BYTES_MAX || true_bytes != tail {
        return None;
    }
    let mut head = [0; HEAD_BYTES_MAX];
    head[..head_bytes].copy_from_slice(&bytes[..head_bytes]);
    Some(Body::Quoted { head, head_bytes: head_bytes as u8, file, start, length })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Content;

    #[test]
    fn a_true_block_is_quoted_and_comes_back_byte_for_byte_and_a_lie_is_kept() {
        let content = Content::single(1, 200_000, &[]);
        let files = Files::new(&content);
        let (root, bytes) = files.iter().next().unwrap();
        let message = Message::Block { root: *root, start: 2 };
        let mut sent = message.encode(&bytes[32_768..98_304]);
        let mut scratch = Vec::new();
        let body = Body::of(sent.clone(), Channel::Bulk, &files);
        assert!(matches!(body, Body::Quoted { .. }) && body.len() == sent.len());
        assert_eq!(body.bytes(&files, &mut scratch), sent);
        *sent.last_mut().unwrap() ^= 1;
        let body = Body::of(sent.clone(), Channel::Bulk, &files);
        assert!(matches!(body, Body::Plain(_)));
        assert_eq!(body.bytes(&files, &mut scratch), sent);
        let beyond = message.encode(&[0; 500]);
        assert!(matches!(Body::of(beyond, Channel::Bulk, &files), Body::Plain(_)));
    }
}
