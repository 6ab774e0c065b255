// What the service worker's script knows by name: here, so that visitors do not load it.

/** `text`: all of it, good until then. `begun`: it was read at an earlier visit, or is whole. */
type Entry = { path: string, index: number | string, size: number, type: string, text?: Uint8Array<ArrayBuffer>, until?: number, begun?: boolean };
/** `alone`: nobody else has anything. */
type Table = { base: string, files: Map<string, Entry>, live: Map<string, Entry>, classes: Set<string>, wholeMax: number, alone: boolean };
/** What it asks a page's worker through a port. */
type Line = { next: (ms: number) => Promise<any>, say: (message: any) => void };
/** What a page says of a live stream: segments, and playlists themselves. */
type Live = { files: [string, number, string][], texts: [string, string, string][], until: number };
/** What may be in a place: a class, and the types that fit there. */
type Places = Record<string, [string, RegExp]>;
type Asked = { method: string, url: string, mode: string, destination: string, cache: string, header: (name: string) => string | null };
/** `alone`: from the network, `copied` for the page. */
type Found = { entry: Entry, start: number, end: number, partial: boolean, media: boolean, download: boolean, alone: boolean, copied: boolean };
