//! Why a torrent, a magnet link or a list of files was refused, in words for those who read it.

use core::fmt;

macro_rules! reasons {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $text:literal;)*) => {
        /// Why content was refused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum ContentError {
            $($(#[$doc])* $variant,)*
        }

        impl ContentError {
            /// All reasons.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// A stable code for programs.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$variant => $name,)*
                }
            }
        }

        /// A sentence for users.
        impl fmt::Display for ContentError {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self {
                    $(Self::$variant => $text,)*
                })
            }
        }
    };
}

reasons! {
    /// More bytes than the limit for their kind.
    TooLarge = "too-large", "The torrent or magnet link is larger than any that is read.";
    /// Not strict canonical bencoding.
    Malformed = "malformed", "This is not a torrent file, or it is damaged.";
    /// A known key with a value of another kind.
    WrongType = "wrong-type", "A field of the torrent holds the wrong kind of value.";
    /// A required key is not there.
    MissingField = "missing-field", "The torrent lacks a required field.";
    /// Only BitTorrent v1.
    VersionOne = "version-one",
        "This is BitTorrent v1 only. Its data cannot be verified leaf by leaf; ask for a v2 or hybrid torrent.";
    /// A `meta version` other than 2.
    Version = "version", "The torrent is of a version that is not known here.";
    /// Not a power of two of at least 16 KiB.
    PieceLength = "piece-length", "The torrent's piece length is not a power of two of at least 16 KiB.";
    /// A file among folders' keys, a root that is a file, a folder without files.
    FileTree = "file-tree", "The torrent's file tree breaks the rules of BEP 52.";
    /// No file at all.
    NoFiles = "no-files", "There are no files in it.";
    /// More files than the limit.
    TooManyFiles = "too-many-files", "There are more than 100,000 files in it.";
    /// Folders in folders beyond the limit.
    TooDeep = "too-deep", "Its folders are nested more than 32 deep.";
    /// An empty name, `.`, `..`, a separator, a control character, or not UTF-8.
    Name = "name", "A file or folder name is empty, not text, or holds characters that are not safe in a name.";
    /// A name of too many bytes.
    NameTooLong = "name-too-long", "A file or folder name is longer than 255 bytes.";
    /// Two paths that many file systems hold for the same.
    Duplicate = "duplicate", "Two files in it differ only in capital letters, or one is also a folder.";
    /// A negative length, or one above the limit for a file.
    FileTooLarge = "file-too-large", "A file in it is larger than 512 GiB, or its length is no length.";
    /// The lengths add up to more than the limit.
    TotalTooLarge = "total-too-large", "Its files together are larger than 8 PiB.";
    /// No `pieces root` of 32 bytes where there must be one, or one of an empty file.
    BadRoot = "bad-root", "The root hash of a file is missing or malformed.";
    /// A `.torrent` without the layers of its large files.
    LayersMissing = "layers-missing", "The torrent lacks the piece hashes of a file.";
    /// Layers that do not belong to a file, have the wrong length or do not fold up to the root.
    BadLayers = "bad-layers", "The torrent's piece hashes do not match its files.";
    /// Not a magnet link.
    NotMagnet = "not-magnet", "This is not a magnet link or a content id.";
    /// A magnet link without an id, with a broken one, or with two.
    BadId = "bad-id", "The magnet link does not hold one whole content id.";
    /// A broken percent escape, or text that is not UTF-8.
    BadEscape = "bad-escape", "The magnet link is damaged: it holds a broken escape.";
    /// A selection of files that is none.
    BadSelection = "bad-selection", "The magnet link selects files in a way that makes no sense.";
    /// A file number that was not given.
    NoSuchFile = "no-such-file", "There is no file of that number.";
    /// More bytes than the file was said to have.
    Surplus = "surplus", "A file is longer now than it was at the start.";
    /// Fewer bytes than the files were said to have.
    Incomplete = "incomplete", "A file is shorter now than it was at the start.";
}

impl core::error::Error for ContentError {}
