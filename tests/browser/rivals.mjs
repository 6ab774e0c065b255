// @ts-check
// One transfer between pages in each of three ways: a raw data channel, Swarmlet, WebTorrent. Every way has the same steps, so
// that the bench measures all of them alike: pages, content, a seeder that is ready, and leechers that begin together.
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bytes, MiB } from './harness.mjs';
import { receiveRaw, connectRaw } from './raw-channel.mjs';

/**
 * Times are milliseconds from `add`.
 * @typedef {{ linked: number, firstLeaf: number, total: number }} Marks
 * @typedef {{ prepare: (mib: number) => Promise<void>, seed: () => Promise<void>, fetch: () => Promise<Marks[]>, copies: () => Promise<number>,
 *   pages: import('./harness.mjs').Peer[] }} Rival
 * @typedef {import('./harness.mjs').World} World
 * @typedef {import('./harness.mjs').Peer} Peer
 */

const LIMIT_MS = 400_000;
/** Content is made in parts, so that the page that makes it does not hold all of it. */
const PART_MIB = 32;
/** What a page makes as a `Blob`; more is a file of the visitor's, since Chromium 156 reads no such blob of half a gigabyte. */
const BLOB_MIB = 256;

/** @param {World} world @param {number} leechers @param {(name: string) => Promise<Peer>} make */
const pages = (world, leechers, make) =>
  Promise.all(['seeder', ...Array.from({ length: leechers }, (_, at) => `leecher ${at + 1}`)].map(make));

/** Makes `globalThis.content`, a blob or a file. @param {Peer} peer @param {number} mib */
const content = (peer, mib) => (mib > BLOB_MIB ? chosen(peer, mib) : made(peer, mib));

/** @param {Peer} peer @param {number} mib */
async function chosen(peer, mib) {
  const folder = mkdtempSync(join(tmpdir(), 'swarmlet-bench-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'bench.bin');
  const file = openSync(path, 'w');
  for (let at = 0; at < mib; at += PART_MIB) writeSync(file, bytes(7 + at, Math.min(PART_MIB, mib - at) * MiB));
  closeSync(file);
  await peer.page.evaluate(() => document.documentElement.append(Object.assign(document.createElement('input'), { type: 'file' })));
  await peer.page.setInputFiles('input', path);
  await peer.ask('take content', () => {
    Object.assign(globalThis, { content: /** @type {any} */ (document.querySelector('input')).files[0] });
  });
}

/** @param {Peer} peer @param {number} mib */
const made = (peer, mib) => peer.ask('make content', (t, given) => {
  const parts = [];
  for (let at = 0; at < given.mib; at += given.part) {
    parts.push(new Blob([t.bytes(7 + at, Math.min(given.part, given.mib - at) << 20)]));
  }
  Object.assign(globalThis, { content: new Blob(parts) });
}, { mib, part: PART_MIB }, LIMIT_MS);

/** One channel to one page, nothing on top. @param {World} world @param {number} leechers @returns {Promise<Rival>} */
export async function raw(world, leechers) {
  if (leechers !== 1) throw new Error('a raw channel has one receiver');
  const [from, to] = await pages(world, 1, (name) => world.page(name));
  let size = 0;
  return {
    pages: [from, to],
    prepare: async (mib) => { size = mib * MiB; },
    seed: async () => {},
    fetch: async () => {
      const linked = await connectRaw(from, to);
      const { first, seconds } = await receiveRaw(from, to, size);
      return [{ linked, firstLeaf: linked + first, total: linked + first + seconds * 1000 }];
    },
    copies: async () => 1,
  };
}

/** @param {World} world @param {number} leechers @param {string} storage @returns {Promise<Rival>} */
export async function swarmlet(world, leechers, storage) {
  const [seeder, ...others] = await pages(world, leechers, (name) => world.peer(name, { storage }));
  let given = { id: '', magnet: '', size: 0 };
  return {
    pages: [seeder, ...others],
    prepare: (mib) => content(seeder, mib),
    seed: async () => {
      given = await seeder.ask('seed', async (t) => {
        const share = await t.node.seed([{ path: 'bench.bin', blob: /** @type {any} */ (globalThis).content }]);
        await share.ready;
        return t.keep(share);
      }, undefined, LIMIT_MS);
    },
    fetch: () => Promise.all(others.map((peer) => peer.ask('fetch', async (t, { id, magnet }) => {
      const began = performance.now();
      const marks = { linked: 0, firstLeaf: 0 };
      const mark = (/** @type {string} */ type, /** @type {string} */ state, /** @type {'linked' | 'firstLeaf'} */ name) =>
        t.node.events.addEventListener(type, (/** @type {any} */ event) => {
          if (event.detail.state === state) marks[name] ||= performance.now() - began;
        });
      mark('link', 'up', 'linked');
      mark('share', 'first-leaf', 'firstLeaf');
      t.keep(await t.node.add(magnet));
      await t.shares.get(id).done;
      return { ...marks, total: performance.now() - began };
    }, given, LIMIT_MS))),
    copies: async () => (await seeder.progress(given.id)).sent / given.size,
  };
}

/** A WebTorrent client as its users load it, with its default store or one in memory. It announces to our signaller.
 * @param {World} world @param {number} leechers @param {string} storage @returns {Promise<Rival>} */
export async function webtorrent(world, leechers, storage) {
  const library = readFileSync(new URL('webtorrent/node_modules/webtorrent/dist/webtorrent.min.js', import.meta.url));
  const all = await pages(world, leechers, async (name) => {
    const peer = await world.page(name);
    await peer.page.route('**/webtorrent.min.js', (route) => route.fulfill({ body: library, contentType: 'text/javascript' }));
    await peer.page.evaluate(startWebTorrent, storage);
    return peer;
  });
  const [seeder, ...others] = all;
  const announce = [`${world.base.replace('http', 'ws')}/signal`];
  let magnet = '';
  return {
    pages: all,
    prepare: (mib) => content(seeder, mib),
    seed: async () => {
      magnet = await seeder.ask('seed', (_, trackers) => new Promise((seeded) => {
        const { client, content: blob, options } = /** @type {any} */ (globalThis);
        client.seed(new File([blob], 'bench.bin'), { announce: trackers, ...options },
          (/** @type {any} */ torrent) => seeded(torrent.magnetURI));
      }), announce, LIMIT_MS);
    },
    fetch: () => Promise.all(others.map((peer) => peer.ask('fetch', (_, uri) => new Promise((fetched) => {
      const { client, options } = /** @type {any} */ (globalThis);
      const began = performance.now();
      const marks = { linked: 0, firstLeaf: 0 };
      const torrent = client.add(uri, options);
      torrent.once('wire', () => { marks.linked = performance.now() - began; });
      torrent.once('verified', () => { marks.firstLeaf = performance.now() - began; });
      torrent.once('done', () => fetched({ ...marks, total: performance.now() - began }));
    }), magnet, LIMIT_MS))),
    copies: () => seeder.ask('copies', () => {
      const [torrent] = /** @type {any} */ (globalThis).client.torrents;
      return torrent.uploaded / torrent.length;
    }),
  };
}

/** Runs in a page. @param {string} storage */
async function startWebTorrent(storage) {
  const { default: WebTorrent } = await import(/** @type {any} */ ('/webtorrent.min.js'));
  // What abstract-chunk-store asks for, and nothing more: the fastest store that it can have.
  class InMemory {
    /** @param {number} chunkLength */
    constructor(chunkLength) {
      this.chunkLength = chunkLength;
      /** @type {Uint8Array[]} */ this.chunks = [];
    }

    /** @param {number} index @param {Uint8Array} bytes @param {(error: null) => void} done */
    put(index, bytes, done = () => {}) {
      this.chunks[index] = bytes;
      queueMicrotask(() => done(null));
    }

    /** @param {number} index @param {any} range @param {(error: Error | null, bytes?: Uint8Array) => void} done */
    get(index, range, done) {
      if (typeof range === 'function') return this.get(index, null, range);
      const chunk = this.chunks[index];
      const [start, length] = [range?.offset ?? 0, range?.length];
      queueMicrotask(() => (chunk ? done(null, chunk.subarray(start, length === undefined ? undefined : start + length))
        : done(new Error('no such chunk'))));
    }

    close(done = () => {}) {
      queueMicrotask(done);
    }

    destroy(done = () => {}) {
      this.chunks = [];
      queueMicrotask(done);
    }
  }
  Object.assign(globalThis, {
    client: new WebTorrent({ dht: false, lsd: false, natUpnp: false, natPmp: false }),
    options: storage === 'memory' ? { store: InMemory } : {},
  });
}
