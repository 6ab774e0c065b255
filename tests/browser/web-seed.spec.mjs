// @ts-check
// HTTP servers as sources: alone, mixed with peers, wrong, and gone.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bytes, holds, MiB, World } from './harness.mjs';
import { startOrigin } from './origin.mjs';

/** @type {World} */ let world;
before(async () => { world = await World.start(); });
after(async () => { await world?.close(); });

const files = [
  { path: 'set/one.bin', size: 6 * MiB + 321, seed: 11 },
  { path: 'set/два.bin', size: MiB, seed: 12 },
];
const inShare = files.map((file) => ({ ...file, path: file.path.slice('set/'.length) }));
const content = Object.fromEntries(files.map((file) => [file.path, bytes(file.seed, file.size)]));

/** The bytes of a `.torrent` with these sources, made by a page that goes away at once. @param {string[]} webSeeds */
async function torrentOf(webSeeds) {
  const maker = await world.peer('maker', { signaller: false });
  const { id } = await maker.seed(files, { webSeeds });
  const torrent = await maker.ask('torrent', async (t, given) => Array.from(await t.shares.get(given).torrent()), id);
  await maker.close();
  return { id, torrent };
}

test('a web seed alone gives everything', async () => {
  const origin = await startOrigin(content);
  const { id, torrent } = await torrentOf([origin.base]);
  const a = await world.peer('a');
  await a.add(torrent);
  await a.done(id);
  await holds(a, id, inShare);
  const { fromHttp, fromPeers, wanted } = await a.progress(id);
  assert.equal(fromHttp, wanted);
  assert.equal(fromPeers, 0);
  assert.ok(origin.served < wanted * 1.1, `${origin.served} bytes served for ${wanted}`);
  await a.close();
  await origin.close();
});

test('a web seed that serves wrong bytes is refused and reported, and a peer helps', async () => {
  const origin = await startOrigin(content, {
    spoil: (body) => {
      body[body.length >> 1] ^= 1;
      return body;
    },
  });
  const { id, torrent } = await torrentOf([origin.base]);
  const b = await world.peer('b');
  await b.add(torrent);
  const dropped = await b.event('source', { state: 'dropped' });
  assert.equal(dropped.reason, 'bad-data');
  assert.ok(dropped.url.startsWith(origin.base), dropped.url);
  assert.notEqual((await b.progress(id)).state, 'seeding');
  // Someone who has the content comes: the page completes without one wrong byte.
  const a = await world.peer('a');
  await a.seed(files);
  await b.done(id);
  await holds(b, id, inShare);
  await Promise.all([a.close(), b.close(), origin.close()]);
});

test('a web seed that is not there is reported and does no harm', async () => {
  const empty = await startOrigin({});
  const { id, torrent } = await torrentOf([empty.base]);
  const a = await world.peer('a');
  await a.seed(files);
  const b = await world.peer('b');
  await b.add(torrent);
  await b.done(id);
  await holds(b, id, inShare);
  await Promise.all([a.close(), b.close(), empty.close()]);
});

test('without WebRTC the web seed still serves', async () => {
  const origin = await startOrigin(content);
  const { id, torrent } = await torrentOf([origin.base]);
  const context = await world.browser.newContext();
  await context.addInitScript(() => { delete /** @type {any} */ (globalThis).RTCPeerConnection; });
  const a = await (await world.page('a', { context })).join();
  assert.equal((await a.stats()).webrtc, false);
  await a.add(torrent);
  await a.done(id);
  await holds(a, id, inShare);
  await a.close();
  await origin.close();
});
