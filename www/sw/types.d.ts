// What the service worker's script knows by name: here, so that visitors do not load it.

/** `text`: all of it, good until then. `begun`: it was read before. */
type Entry = { path: string, index: number | string, size: number, type: string, text?: Uint8Array<ArrayBuffer>, until?: number, begun?: boolean };
/** `alone`: nobody else has anything. */
type Table = { base: string, files: Map<string, Entry>, live: Map<string, Entry>, classes: Set<string>, wholeMax: number, alone: boolean };
type Asked = { method: string, url: string, mode: string, destination: string, cache: string, header: (name: string) => string | null };
type Found = { entry: Entry, start: number, end: number, partial: boolean, media: boolean, download: boolean };
