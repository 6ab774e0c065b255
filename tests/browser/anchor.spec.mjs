// @ts-check
// Pages whose signaller is gone from the start: they meet at an anchor that an earlier visit was linked with.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { freePort, holds, MiB, Signaller, World } from './harness.mjs';

/** Serves the page's files. Where peers meet are other servers. @type {World} */ let world;
/** @type {Signaller[]} */ const servers = [];
before(async () => { world = await World.start(); });
after(async () => {
  await world?.close();
  await Promise.all(servers.map((server) => server.stop()));
});

/** From the start of the visit: the signaller is waited for, up to ten seconds. */
const LONG_MS = 40_000;
const socketOf = (/** @type {Signaller} */ server) => `${server.base.replace('http', 'ws')}/signal`;

/** The addresses that a page's site remembers. @param {import('./harness.mjs').Peer} peer @returns {Promise<string[]>} */
const remembered = (peer) => peer.ask('remembered', () => JSON.parse(localStorage.getItem('swarmlet-anchors') ?? '[]'));

test('who was here before gets what another page has through an anchor, with the signaller dead from the start', async () => {
  const home = new Signaller(await freePort(), []);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const anchor = new Signaller(port, ['--seed', 'www/sample', '--public-url', url, '--anchor-of', socketOf(home)]);
  servers.push(home, anchor);
  for (const server of servers) await server.start();
  const sample = Array.from(new Uint8Array(await (await fetch(`${url}/share/sample.torrent`)).arrayBuffer()));
  const options = { signaller: socketOf(home), storage: 'memory' };

  // The first visit. What the anchor has is of no use later; that it was linked with is.
  const [a, b] = [await world.peer('a', options), await world.peer('b', options)];
  for (const peer of [a, b]) {
    await peer.add(sample);
    await peer.ask('remembers', (t) => t.condition(() => localStorage.getItem('swarmlet-anchors') ?? undefined));
    assert.deepEqual(await remembered(peer), [socketOf(anchor)]);
  }
  await home.stop('SIGTERM');

  // The second: neither knows anybody, and nobody but the anchor knows both.
  await Promise.all([a, b].map(async (peer) => {
    await peer.reload();
    await peer.join(options);
  }));
  const files = [{ path: 'song.bin', size: 2 * MiB + 7, seed: 61 }];
  const share = await a.seed(files);
  await b.add(share.magnet);
  const began = performance.now();
  await b.done(share.id, LONG_MS);
  console.log(`found and complete ${((performance.now() - began) / 1000).toFixed(1)} s after it was wanted`);
  await holds(b, share.id, files);
  const { fromPeers } = await b.progress(share.id);
  assert.equal(fromPeers, share.size);
  assert.deepEqual((await b.stats()).links.map((/** @type {any} */ link) => link.peer), [a.id], 'they have met');
  await Promise.all([a.close(), b.close()]);
});
