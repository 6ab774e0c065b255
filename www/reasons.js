// @ts-check
// Why content is refused, in words: loaded when something is. A test holds them against those of the core.

/** @type {Record<string, string>} */
export const REASONS = {
  'too-large': 'The torrent or magnet link is larger than any that is read.',
  malformed: 'This is not a torrent file, or it is damaged.',
  'wrong-type': 'A field of the torrent holds the wrong kind of value.',
  'missing-field': 'The torrent lacks a required field.',
  'version-one': 'This is BitTorrent v1 only. Its data cannot be verified leaf by leaf; ask for a v2 or hybrid torrent.',
  version: 'The torrent is of a version that is not known here.',
  'piece-length': "The torrent's piece length is not a power of two of at least 16 KiB.",
  'file-tree': "The torrent's file tree breaks the rules of BEP 52.",
  'no-files': 'There are no files in it.',
  'too-many-files': 'There are more than 100,000 files in it.',
  'too-deep': 'Its folders are nested more than 32 deep.',
  name: 'A file or folder name is empty, not text, or holds characters that are not safe in a name.',
  'name-too-long': 'A file or folder name is longer than 255 bytes.',
  duplicate: 'Two files in it differ only in capital letters, or one is also a folder.',
  'file-too-large': 'A file in it is larger than 512 GiB, or its length is no length.',
  'total-too-large': 'Its files together are larger than 8 PiB.',
  'bad-root': 'The root hash of a file is missing or malformed.',
  'layers-missing': 'The torrent lacks the piece hashes of a file.',
  'bad-layers': "The torrent's piece hashes do not match its files.",
  'not-magnet': 'This is not a magnet link or a content id.',
  'bad-id': 'The magnet link does not hold one whole content id.',
  'bad-escape': 'The magnet link is damaged: it holds a broken escape.',
  'bad-selection': 'The magnet link selects files in a way that makes no sense.',
  'no-such-file': 'There is no file of that number.',
  surplus: 'A file is longer now than it was at the start.',
  incomplete: 'A file is shorter now than it was at the start.',
};
