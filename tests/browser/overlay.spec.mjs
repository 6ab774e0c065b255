// @ts-check
// Pages that find content with no server: over the overlay, by topic and by words.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { freePort, holds, MiB, Signaller, World } from './harness.mjs';

/** The price of a place in the overlay is seconds of a processor, and all pages here share two. */
const LONG_MS = 90_000;

/** Serves the page's files. Where peers meet is another server, which goes. @type {World} */ let world;
before(async () => { world = await World.start(); });
after(async () => { await world?.close(); });

/** @param {import('./harness.mjs').Peer} peer @param {number} routers */
const inMesh = (peer, routers) => peer.ask(`has ${routers} routers`, async (t, least) => {
  for (;;) {
    const view = await t.node.overlay();
    if (view.routers >= least) return view;
    await new Promise((next) => setTimeout(next, 100));
  }
}, routers, LONG_MS);

test('with the signaller dead a page finds shares by topic and by words, from pages that it never met', async () => {
  const server = await new Signaller(await freePort(), []).start();
  const options = { signaller: `${server.base.replace('http', 'ws')}/signal` };
  const [a, b, c] = [await world.peer('a', options), await world.peer('b', options), await world.peer('c', options)];
  const lobby = await a.seed([{ path: 'lobby.bin', size: 100_000, seed: 41 }]);
  await Promise.all([b, c].map(async (peer) => {
    await peer.add(lobby.magnet);
    await peer.done(lobby.id);
  }));
  await server.stop('SIGTERM');
  for (const peer of [a, b, c]) await inMesh(peer, 2);

  // A topic that nobody but `a` has, and no tracker ever heard of.
  const files = [{ path: 'song.bin', size: 2 * MiB + 3, seed: 42 }];
  const secret = await a.seed(files);
  await c.add(secret.magnet);
  await c.done(secret.id, LONG_MS);
  await holds(c, secret.id, files);

  // What is listed is found by its words, what is not is not.
  const title = 'Two <b>cities</b> & a \u202esong';
  await a.ask('publish', (t, given) => t.shares.get(given.id).publish({ title: given.title }), { id: secret.id, title }, LONG_MS);
  const open = [{ path: 'open.bin', size: 1 * MiB + 9, seed: 43 }];
  const shared = await b.seed(open, { name: 'An open secret' });
  await b.ask('publish', (t, id) => t.shares.get(id).publish(), shared.id, LONG_MS);
  const search = (/** @type {import('./harness.mjs').Peer} */ peer, /** @type {string} */ words) => peer.ask(`search ${words}`, async (t, text) => {
    const found = [];
    for await (const listing of t.node.search(text)) found.push(listing);
    return found;
  }, words, LONG_MS);
  assert.deepEqual((await search(c, 'CITIES song')).map((/** @type {any} */ one) => [one.id, one.title, one.size]), [[secret.id, title, files[0].size]]);
  const [listing] = await search(c, 'open');
  assert.equal(listing.publisher, b.id);
  await c.add(listing.magnet);
  await c.done(shared.id, LONG_MS);
  await holds(c, shared.id, open);
  assert.deepEqual(await search(c, 'lobby'), [], 'nobody has published that');
  await b.ask('unpublish', (t, id) => t.shares.get(id).unpublish(), shared.id);
  assert.deepEqual(await search(a, 'open'), [], 'it was taken back');
  for (const peer of [a, b, c]) {
    assert.equal((await peer.log()).filter(({ type }) => type === 'ban').length, 0, `${peer.name} bans nobody`);
    await peer.close();
  }
});

test('a neighbour that lies about records and listings costs time and nothing else', async () => {
  const server = await new Signaller(await freePort(), []).start();
  const options = { signaller: `${server.base.replace('http', 'ws')}/signal` };
  const [a, b] = [await world.peer('a', options), await world.peer('b', options)];
  const liar = await world.page('liar');
  // Where channels stay in the page, a page can do to its messages what it likes: of what its overlay says, each answer (labels,
  // leads, records), envelope and listing has one wrong byte.
  await liar.page.evaluate(() => {
    const { send } = RTCDataChannel.prototype;
    const [OVERLAY, ROUTED, RUMOUR] = [26, 2, 6];
    const t = /** @type {any} */ (globalThis).t;
    t.lies = 0;
    RTCDataChannel.prototype.send = function lie(/** @type {any} */ data) {
      const bytes = new Uint8Array(data.slice(0));
      if (this.id === 0 && bytes[0] === OVERLAY && (bytes[1] === ROUTED || bytes[1] === RUMOUR)) {
        const at = t.lies % 2 ? bytes.length - 1 : bytes.length >> 1;
        bytes[at] ^= 1;
        t.lies += 1;
      }
      send.call(this, bytes);
    };
  });
  await liar.join({ ...options, transfer: false });
  const lobby = await liar.seed([{ path: 'lobby.bin', size: 100_000, seed: 51 }]);
  for (const peer of [a, b]) {
    await peer.add(lobby.magnet);
    await peer.done(lobby.id);
  }
  await server.stop('SIGTERM');
  await Promise.all([a, b].map((peer) => inMesh(peer, 1)));
  const files = [{ path: 'true.bin', size: 1 * MiB + 3, seed: 52 }];
  const share = await a.seed(files, { name: 'A true story' });
  await a.ask('publish', (t, id) => t.shares.get(id).publish(), share.id, LONG_MS);
  await liar.ask('publish', (t, id) => t.shares.get(id).publish({ title: 'A lie' }), lobby.id, LONG_MS);
  await b.add(share.magnet);
  await b.done(share.id, LONG_MS);
  await holds(b, share.id, files);
  const search = (/** @type {string} */ words) => b.ask(`search ${words}`, async (t, text) => {
    const found = [];
    for await (const listing of t.node.search(text)) found.push([listing.id, listing.title, listing.publisher]);
    return found;
  }, words, LONG_MS);
  assert.deepEqual(await search('true story'), [[share.id, 'A true story', a.id]]);
  await liar.when('has lied', () => /** @type {any} */ (globalThis).t.lies > 0);
  for (const [, title, publisher] of await search('a')) {
    assert.ok(publisher === a.id ? title === 'A true story' : publisher === liar.id && title === 'A lie', `${title} of ${publisher}`);
  }
  for (const peer of [a, b]) {
    assert.equal((await peer.log()).filter(({ type }) => type === 'ban').length, 0, `${peer.name} bans nobody`);
  }
  await Promise.all([a, b, liar].map((peer) => peer.close()));
});

test('people list and search on the page, and a stranger\'s title is text', async () => {
  const open = async (/** @type {string} */ name) => {
    const peer = await world.page(name, { path: '/' });
    peer.page.setDefaultTimeout(LONG_MS);
    await peer.when('has a node', () => /** @type {any} */ (window).swarmlet !== undefined);
    return peer;
  };
  const [a, b] = [await open('a'), await open('b')];
  const buffer = Buffer.from('found by its name');
  const name = '<img src=x onerror=boom> holiday.txt';
  await a.page.getByTestId('drop-input').setInputFiles([{ name: 'lobby.txt', mimeType: 'text/plain', buffer: Buffer.from('here we met') }]);
  const link = await a.page.getByTestId('share-link').first().inputValue();
  await b.page.locator('#link').fill(link);
  await b.page.locator('#open button').click();
  await b.when('has it', () => /** @type {any} */ (window).swarmlet.shares.some((/** @type {any} */ share) => share.state === 'seeding'));
  for (const peer of [a, b]) {
    await peer.ask('has fetched what it may need', async () => {
      while (!(await /** @type {any} */ (window).swarmlet.overlay()).fetched) await new Promise((next) => setTimeout(next, 100));
    }, undefined, LONG_MS);
  }
  await world.signaller.stop();
  try {
    await a.page.getByTestId('drop-input').setInputFiles([{ name, mimeType: 'text/plain', buffer }]);
    const card = a.page.getByTestId('share-card').filter({ hasText: 'holiday' });
    await card.getByTestId('list-publicly').check();
    await b.page.getByTestId('find').locator('summary').click();
    await b.page.getByTestId('search-input').fill('Holiday');
    const result = b.page.getByTestId('result').first();
    for (let tries = 0; tries < 20 && await result.count() === 0; tries++) {
      await b.page.getByTestId('search-button').click();
      await result.waitFor({ timeout: 4000 }).catch(() => undefined);
    }
    assert.match(String(await result.locator('bdi').textContent()), /^<img src=x onerror=boom> holiday/);
    assert.equal(await result.locator('img').count(), 0);
    await b.page.getByTestId('take-result').first().click();
    await b.page.waitForSelector('[data-testid="share-card"] >> nth=1');
  } finally {
    await world.signaller.start();
  }
  await Promise.all([a, b].map((peer) => peer.close()));
});
