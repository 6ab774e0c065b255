// @ts-check
// Real WebTorrent clients, as their users load them, that know of each other through our signaller only.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { MiB, World, bytes, sha256, within } from './harness.mjs';

const library = readFileSync(new URL('webtorrent/node_modules/webtorrent/dist/webtorrent.min.js', import.meta.url));

/** @type {World} */ let world;

before(async () => {
  world = await World.start();
});

after(async () => {
  await world?.close();
});

/** A page with a WebTorrent client. @param {string} name */
async function client(name) {
  const { page } = await world.page(name);
  await page.route('**/webtorrent.min.js', (route) => route.fulfill({ body: library, contentType: 'text/javascript' }));
  await page.evaluate(async () => {
    const { default: WebTorrent } = await import(/** @type {any} */ ('/webtorrent.min.js'));
    const rig = /** @type {any} */ (globalThis);
    rig.warnings = [];
    rig.client = new WebTorrent({ dht: false, lsd: false, natUpnp: false, natPmp: false });
    rig.client.on('error', (/** @type {Error} */ error) => rig.warnings.push(error.message));
  });
  return page;
}

test('two pages with WebTorrent find each other and transfer 16 MiB', async () => {
  const announce = [`${world.base.replace('http', 'ws')}/signal`];
  const [seeder, leecher] = await Promise.all([client('seeder'), client('leecher')]);
  const content = bytes(77, 16 * MiB);
  await seeder.route('**/content', (route) => route.fulfill({ body: content }));
  const magnet = await within(seeder.evaluate(async (trackers) => {
    const file = new File([await (await fetch('/content')).arrayBuffer()], 'content.bin');
    const rig = /** @type {any} */ (globalThis);
    const torrent = await new Promise((seeded) => rig.client.seed(file, { announce: trackers }, seeded));
    torrent.on('warning', (/** @type {Error} */ warning) => rig.warnings.push(warning.message));
    return torrent.magnetURI;
  }, announce), 'the seeder is ready');
  const got = await within(leecher.evaluate(async (uri) => {
    const rig = /** @type {any} */ (globalThis);
    const torrent = rig.client.add(uri);
    torrent.on('warning', (/** @type {Error} */ warning) => rig.warnings.push(warning.message));
    await new Promise((done) => torrent.on('done', done));
    const digest = await crypto.subtle.digest('SHA-256', await (await torrent.files[0].blob()).arrayBuffer());
    return [...new Uint8Array(digest)].map((byte) => byte.toString(16).padStart(2, '0')).join('');
  }, magnet), 'the leecher has it', () => leecher.evaluate(() => {
    const { client: one, warnings } = /** @type {any} */ (globalThis);
    return { progress: one.torrents[0]?.progress, peers: one.torrents[0]?.numPeers, warnings };
  }), 60_000);
  assert.equal(got, sha256(content));

  // Both are complete now, and the tracker knows: clients say so, and answers have demoted nobody.
  const scraped = await within(leecher.evaluate(() => new Promise((told) => {
    const { tracker } = /** @type {any} */ (globalThis).client.torrents[0].discovery;
    tracker.on('scrape', (/** @type {any} */ data) => told({ complete: data.complete, incomplete: data.incomplete }));
    tracker.scrape();
  })), 'the tracker answers a scrape');
  assert.deepEqual(scraped, { complete: 2, incomplete: 0 });
  for (const page of [seeder, leecher]) {
    assert.deepEqual(await page.evaluate(() => /** @type {any} */ (globalThis).warnings), []);
  }
});
