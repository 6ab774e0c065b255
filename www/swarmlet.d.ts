/**
 * Swarmlet's public API. `import { join } from '/swarmlet/swarmlet.js'`.
 *
 * No call needs cleaning up after except `node.close()`. Every failure is a `SwarmletError` with a stable `code`.
 */

/** The version of this API. */
export const VERSION: string;

/** Starts a node: a worker with its own identity, storage and links. */
export function join(options?: JoinOptions): Promise<Node>;

/** Whether this browser can connect to others (it can always use HTTP sources). */
export function hasWebRtc(): boolean;

export interface JoinOptions {
  /** Address of the signaller's socket (`wss://…/signal`). Default: `/signal` where this script came from. `false`: none. */
  signaller?: string | URL | false;
  /** Handed to a signaller that asks for one. A function is called for the first, and for the next one before each ends. */
  token?: string | (() => string | Promise<string>);
  /** Upload limit in bytes per second; `false` or 0: upload nothing; default: no limit. */
  upload?: number | boolean;
  /** Where content is kept. Default `auto`: the browser's private files where they exist, else memory. */
  storage?: 'auto' | 'opfs' | 'memory';
  /** STUN and TURN servers, as `RTCPeerConnection` takes them. Default: those that the signaller names (`/swarmlet/config.json` there). */
  iceServers?: RTCIceServer[];
  /** `false`: keep data channels in the page even where the browser could give them to the worker. */
  transfer?: boolean;
  /**
   * `false`: never load the overlay. Default: it is loaded when the signaller is gone, when a linked peer's overlay asks, and for
   * `node.search` and `share.publish`.
   */
  overlay?: boolean;
  /** Which of the browser's private folders to use, where a page sees to it that no other tab does: 0 to 63. */
  slot?: number;
  /** Ends the node, as `close()` does. */
  signal?: AbortSignal;
}

export type SwarmletErrorCode =
  | 'no-webrtc' | 'unsupported' | 'internal' | 'closed' | 'aborted'
  | 'bad-link' | 'bad-code' | 'version-one' | 'bad-torrent' | 'bad-info' | 'bad-name' | 'bad-argument' | 'no-files'
  | 'too-large' | 'too-many' | 'unknown' | 'storage' | 'storage-full' | 'source-gone' | 'read-failed';

export class SwarmletError extends Error {
  constructor(code: SwarmletErrorCode, message?: string, options?: { cause?: unknown });
  readonly name: 'SwarmletError';
  /** Stable; the message is for people and may change. */
  readonly code: SwarmletErrorCode;
}

export interface Node {
  /** This session's identity: 64 hexadecimal digits. */
  readonly peerId: string;
  /** `peer`, `link`, `ban`, `source`, `signaller`, `share`, `progress`: `CustomEvent`s, see `NodeEventMap`. */
  readonly events: NodeEvents;
  /** Every share of this node, in the order they were added. */
  readonly shares: readonly Share[];
  readonly closed: boolean;
  /** Hashes files and shares them. The files stay where they are and must stay unchanged. */
  seed(files: SeedInput, options?: SeedOptions): Promise<Share>;
  /** Begins to fetch a share: a share link, a magnet link, an id in hexadecimal, or the bytes of a `.torrent`. */
  add(what: AddInput, options?: AddOptions): Promise<Share>;
  /**
   * Takes in a code that somebody carried over from another node (see `Share.offer`), for a share that is here. An offer,
   * or a link with one, gives the code to carry back; an answer gives `null`, and the two connect.
   */
  meet(code: string): Promise<string | null>;
  /**
   * Looks for public shares by words of their titles, among the peers that this one reaches; no server is asked. Ends after three
   * seconds at most. What it finds is signed by a publisher, and no more than a claim: `add(listing.magnet)` proves the content.
   */
  search(text: string, options?: { signal?: AbortSignal }): AsyncIterable<Listing>;
  /** How the overlay stands. */
  overlay(): Promise<OverlayView>;
  /** Shaped like `fetch`. Magnet links and files of known shares come from the swarm, anything else from the network. */
  fetch(url: RequestInfo | URL, init?: RequestInit): Promise<Response>;
  /** Gives at most so many bytes per second from now on; `undefined`: no limit. */
  limit(rate: number | undefined): void;
  /** Removes what is stored of a file (its root, 64 hexadecimal digits) that is not wanted now. It may be fetched again. */
  drop(root: string): void;
  /** Passes news on to a few neighbours in a swarm: at most 16 KiB, and not more than four times a second. */
  tell(topic: string, news: Uint8Array): void;
  /** How things are: at most a quarter of a second old. */
  stats(): Stats;
  /** Says goodbye to everybody and ends the worker. Stored content stays. */
  close(): Promise<void>;
}

export type SeedFile = File | Blob | { path?: string; name?: string; blob: Blob } | { path?: string; name?: string; file: Blob };
export type SeedInput = SeedFile | Iterable<SeedFile> | FileList;
export type AddInput = string | URL | ArrayBuffer | Uint8Array | Blob;

export interface SeedOptions {
  /** Name of the share. Default: the folder's or file's name. */
  name?: string;
  /** HTTP addresses that serve the same bytes (BEP 19). */
  webSeeds?: string[];
  signal?: AbortSignal;
  /** Hashing progress in bytes. */
  onProgress?: (progress: { hashed: number; total: number }) => void;
}

export interface AddOptions {
  /** Aborting removes the share and keeps what is stored. */
  signal?: AbortSignal;
  /** Which files to fetch: indices, or a test. Default: all. */
  select?: number[] | ((file: ShareFile) => boolean);
  /** Begin paused. */
  paused?: boolean;
  /** The swarm in which its members meet, where that is not one of its own: 64 hexadecimal digits. With a `.torrent` only. */
  topic?: string;
}

/** `finding` the list of files, `checking` what is stored, `fetching`, `seeding` (complete), `paused`, `failed`. */
export type ShareState = 'finding' | 'checking' | 'fetching' | 'seeding' | 'paused' | 'failed' | 'removed';

export interface Share {
  /** The content id: 64 hexadecimal digits. */
  readonly id: string;
  /** Empty while unknown. */
  readonly name: string;
  readonly state: ShareState;
  /** `magnet:?xt=urn:btmh:1220…` */
  readonly magnet: string;
  /** An address of this page that opens the share. */
  readonly link: string;
  /** Empty while unknown. */
  readonly files: readonly ShareFile[];
  /** Bytes of all files; 0 while unknown. */
  readonly size: number;
  /** Whether this node made it with `seed`. */
  readonly seeded: boolean;
  /** Resolves when the list of files is known. */
  readonly ready: Promise<Share>;
  /** Resolves when all wanted files are complete; rejects when the share fails, is aborted or removed. */
  readonly done: Promise<Share>;
  /** News at least four times a second while anything changes. Ends after the news that it is complete, or when it fails or is removed. */
  readonly progress: AsyncIterable<Progress>;
  /** The latest progress. */
  stats(): Progress;
  /** The bytes of its `.torrent` file. Waits until they are known. */
  torrent(): Promise<Uint8Array>;
  /**
   * Makes an offer for one other person, where no signaller can be reached: `link` opens this share there and holds the
   * `code`. What `node.meet` there answers is for `node.meet` here, within a quarter of an hour. Three may wait at a time.
   */
  offer(): Promise<{ code: string; link: string }>;
  /**
   * Lists the share publicly: whoever searches for words of its title finds it, and can fetch it. Nothing is listed that was not
   * published. Renewed while this node runs; forgotten by others an hour after that.
   */
  publish(options?: { title?: string }): Promise<void>;
  /** Takes it back. */
  unpublish(): Promise<void>;
  /** Whether this node lists it. */
  readonly listed: boolean;
  /** Fetch these files from now on (indices; `undefined`: all). */
  select(files?: number[]): Promise<void>;
  pause(): Promise<void>;
  resume(): Promise<void>;
  /** Forgets the share, and what is stored for it unless `keep`. */
  remove(options?: { keep?: boolean }): Promise<void>;
  /** Milliseconds from the beginning of the share, where they happened. */
  readonly timings: Readonly<{ ready?: number; linked?: number; firstLeaf?: number; done?: number }>;
}

export interface OverlayView {
  /** Whether its module is here: once somebody has been linked for three seconds. */
  readonly fetched: boolean;
  /** What this node does for others; `null`: it has not begun. */
  readonly role: 'leaf' | 'router' | 'anchor' | null;
  /** Neighbours, and those of them that pass on. */
  readonly links: number;
  readonly routers: number;
  /** What it keeps for others: records of who has what, and public listings. */
  readonly records: number;
  readonly listings: number;
}

/** A public share, as its publisher describes it: text of a stranger's. */
export interface Listing {
  /** The content id. */
  readonly id: string;
  /** One line, at most 120 bytes. */
  readonly title: string;
  /** Bytes. */
  readonly size: number;
  readonly type: 'audio' | 'video' | 'image' | 'text' | 'other';
  /** Whose key has signed it. */
  readonly publisher: string;
  /** For `node.add`. */
  readonly magnet: string;
}

export interface ShareFile {
  readonly index: number;
  /** Last element of the path. */
  readonly name: string;
  /** Elements joined by `/`. */
  readonly path: string;
  readonly size: number;
  /** By the name's extension, from a short list of harmless types; else `application/octet-stream`. */
  readonly type: string;
  /** The file's own identity (BEP 52 `pieces root`, hexadecimal); `null` when it is empty. */
  readonly root: string | null;
  /** Verified bytes. */
  readonly done: number;
  /** 0 to 1. */
  readonly progress: number;
  readonly wanted: boolean;
  readonly complete: boolean;
  /** Verified bytes in order, as they come; `end` is exclusive. What is read is fetched first. */
  stream(range?: { start?: number; end?: number; signal?: AbortSignal }): ReadableStream<Uint8Array>;
  blob(options?: { signal?: AbortSignal }): Promise<Blob>;
  /** An object URL of the whole file. The caller revokes it. */
  url(options?: { signal?: AbortSignal }): Promise<string>;
  /** Writes it to the visitor's disk: where they say, or as a download. */
  save(options?: { signal?: AbortSignal }): Promise<void>;
}

export interface Progress {
  id: string;
  name: string;
  state: ShareState;
  /** Bytes of the wanted files, and those of them that are verified. */
  wanted: number;
  done: number;
  /** 0 to 1. */
  fraction: number;
  /** At the present speed; `Infinity` when nothing comes. */
  secondsLeft: number;
  fromPeers: number;
  fromHttp: number;
  fromStore: number;
  /** Payload bytes given to peers. */
  sent: number;
  wasted: number;
  /** Bytes per second. */
  downRate: number;
  upRate: number;
  peers: number;
  /** As the signaller told. */
  swarmSeeds: number;
  swarmLeeches: number;
  /** HTTP sources in use. */
  sources: number;
  /** Missing pieces that nobody here has. */
  unavailable: number;
  /** Verified bytes of each file. */
  files: ArrayLike<number>;
}

export interface LinkStats {
  /** 64 hexadecimal digits. */
  peer: string;
  received: number;
  sent: number;
  downRate: number;
  upRate: number;
  /** Round trip in milliseconds; 0 while unknown. */
  rtt: number;
  /** Requests outstanding, in leaves of 16 KiB. */
  requested: number;
}

export interface Stats {
  peerId: string;
  /** Whether this browser can make links. */
  webrtc: boolean;
  /** Whether the signaller has let us in. */
  signaller: boolean;
  /** Where content is kept. */
  storage: 'opfs' | 'memory';
  /** Whether data channels run in the worker itself. */
  transfer: boolean;
  dialling: number;
  connectionsMade: number;
  totals: {
    fromPeers: number; fromHttp: number; fromStore: number; sent: number;
    wireIn: number; wireOut: number; wasted: number; banned: number;
  };
  links: LinkStats[];
  shares: Progress[];
  /** Milliseconds since `join` was called, where they happened. */
  timings: { worker?: number; signaller?: number; link?: number };
}

export interface NodeEventMap {
  /** A proven peer came or went. */
  peer: CustomEvent<{ peer: string; connected: boolean }>;
  /** `took` in milliseconds since the dial began; `fault`: what the peer did wrong. */
  link: CustomEvent<{ state: 'up' | 'down' | 'failed'; peer: string; took?: number; fault?: string | null }>;
  /** A peer lied and is shut out. */
  ban: CustomEvent<{ peer: string; fault: string }>;
  /** An HTTP source is not used any more. `bad-data`: it served bytes that are not the content. `unreachable`, or a `status` of 429 or 5xx: it is tried again
   * now and then, and used when it is back, which `sources` in the stats tells. */
  source: CustomEvent<{ state: 'dropped'; url: string; reason: 'bad-data' | 'status' | 'unreachable'; status?: number }>;
  /** `retry`: milliseconds until the next try. */
  signaller: CustomEvent<{ state: 'up' | 'down' | 'refused'; retry?: number; reason?: string }>;
  share: CustomEvent<{
    state: 'ready' | 'first-leaf' | 'file' | 'done' | 'failed' | 'damaged' | 'removed';
    id: string; share?: Share; file?: number; code?: SwarmletErrorCode; root?: string;
  }>;
  /** A neighbour in a swarm passed on what somebody says (`tell`). Nothing of it is proven. */
  news: CustomEvent<{ topic: string; news: Uint8Array }>;
  /** Numbers changed. */
  progress: CustomEvent<null>;
}

export interface NodeEvents extends EventTarget {
  addEventListener<K extends keyof NodeEventMap>(
    type: K, listener: (event: NodeEventMap[K]) => void, options?: boolean | AddEventListenerOptions): void;
  addEventListener(type: string, listener: EventListenerOrEventListenerObject | null, options?: boolean | AddEventListenerOptions): void;
}
