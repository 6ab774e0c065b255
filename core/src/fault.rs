//! What a peer did wrong. A fault costs the peer its own link and nothing else.

/// Why a link was ended by this node, or refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// Bytes that are no message: oversize, truncated, trailing or unknown.
    Malformed,
    /// A version that this node does not speak.
    Version,
    /// A message that makes no sense in this state.
    Unexpected,
    /// The peer could not prove the key it claims, or somebody sits between.
    Identity,
    /// A leaf, hash or info dictionary that does not match its hash.
    BadData,
    /// More of something than the limits allow.
    Flooding,
    /// Nothing useful came for too long.
    Stalled,
    /// The link did not open in time.
    Deadline,
    /// A second link to the same peer, or to ourselves.
    Duplicate,
    /// No room, or banned.
    Refused,
}

impl Fault {
    /// Whether the peer is shut out for good: it lied in a way that no network error explains.
    #[must_use]
    pub const fn bans(self) -> bool {
        matches!(self, Self::BadData | Self::Identity)
    }

    /// A stable name for logs, events and metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::Version => "version",
            Self::Unexpected => "unexpected",
            Self::Identity => "identity",
            Self::BadData => "bad-data",
            Self::Flooding => "flooding",
            Self::Stalled => "stalled",
            Self::Deadline => "deadline",
            Self::Duplicate => "duplicate",
            Self::Refused => "refused",
        }
    }
}
