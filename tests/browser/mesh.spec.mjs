// @ts-check
// Pages that find each other where no server helps them: by codes that people carry, and through other pages.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { freePort, holds, MiB, Signaller, World } from './harness.mjs';

/** Serves the page's files. Where peers meet is another server, which can go. @type {World} */ let world;
before(async () => { world = await World.start(); });
after(async () => { await world?.close(); });

/**
 * A share of which some page can be given the first file only: whoever knows just that page has to meet somebody else
 * for the rest, however fast the first file comes.
 * @param {number} size @param {number} seed
 */
const parts = (size, seed) => [{ path: 'first.bin', size, seed }, { path: 'rest.bin', size: 1 * MiB + 5, seed: seed + 100 }];
const FIRST = { select: [0] };
/** Nine pages pay for a place in the overlay, with two processors. */
const OVERLAY_MS = 90_000;

/** A meeting point of its own, and how to join there. */
async function meetingPoint() {
  const server = await new Signaller(await freePort(), []).start();
  return { server, options: { signaller: `${server.base.replace('http', 'ws')}/signal` } };
}

/**
 * Two pages connect by codes: offer out, answer back.
 * @param {import('./harness.mjs').Peer} from @param {import('./harness.mjs').Peer} to @param {string} id @param {object} [options]
 */
async function carryCodes(from, to, id, options) {
  const { link } = await from.offer(id);
  const added = await to.add(link, options);
  assert.equal(added.id, id, 'the link names the share');
  const answer = await to.meet(link);
  assert.match(String(answer), /^[\w-]+$/);
  assert.equal(await from.meet(String(answer)), null, 'the answer is taken');
  return link;
}

test('two pages connect with no server at all', async () => {
  const files = [{ path: 'song.bin', size: 4 * MiB + 3, seed: 31 }];
  const [a, b] = await Promise.all(['a', 'b'].map((name) => world.peer(name, { signaller: false })));
  const { id } = await a.seed(files);
  const link = await carryCodes(a, b, id);
  await b.done(id);
  await holds(b, id, files);
  // Who is linked already needs no other link, and nonsense is none.
  for (const wrong of [link, 'AAAA', 'not a code!']) {
    const refused = await b.ask('meet', (t, code) => t.node.meet(code).then(() => '', (/** @type {any} */ error) => error.code), wrong);
    assert.equal(refused, 'bad-code', wrong);
  }
  await Promise.all([a, b].map((peer) => peer.close()));
});

test('a ninth page that knows one of eight meets others through it, with the signaller gone', async () => {
  const files = parts(6 * MiB + 1, 32);
  const { server, options } = await meetingPoint();
  const names = Array.from({ length: 8 }, (_, number) => `page ${number}`);
  const eight = [];
  for (const name of names) eight.push(await world.peer(name, options));
  const [first, known] = eight;
  const { id, magnet } = await first.seed(files);
  await Promise.all(eight.slice(1).map((peer) => peer.add(magnet, peer === known ? FIRST : {})));
  await Promise.all(eight.slice(1).map((peer) => peer.done(id)));
  await server.stop();
  await known.event('signaller', { state: 'down' });
  const ninth = await world.peer('ninth', options);
  await carryCodes(known, ninth, id);
  await ninth.done(id);
  await holds(ninth, id, files);
  const met = await ninth.ask('meets three others', (t, one) => t.condition(() => {
    const links = t.node.stats().links.filter((/** @type {any} */ link) => link.peer !== one);
    return links.length >= 3 ? links.length : undefined;
  }), known.id);
  assert.ok(met >= 3);
  // What only one of the eight has, and no tracker ever heard of, is found over the overlay, which all have loaded by now or will.
  const unheard = [{ path: 'unheard.bin', size: 1 * MiB + 7, seed: 39 }];
  const other = await first.seed(unheard);
  await ninth.add(other.magnet);
  await ninth.done(other.id, OVERLAY_MS);
  await holds(ninth, other.id, unheard);
  assert.equal((await ninth.stats()).signaller, false, 'no signaller had a part in it');
  assert.equal((await ninth.log()).filter(({ type }) => type === 'ban').length, 0);
  await Promise.all([...eight, ninth].map((peer) => peer.close()));
});

/** Resolves when a page is linked with another. @param {import('./harness.mjs').Peer} one @param {import('./harness.mjs').Peer} other */
const linked = (one, other) => one.ask(`is linked with ${other.name}`, (t, peer) => t.condition(() =>
  (t.node.stats().links.some((/** @type {any} */ link) => link.peer === peer) || undefined)), other.id);

test('a page without TLS meets a third through a second, with keys of our own', async () => {
  const files = parts(2 * MiB + 7, 33);
  const [a, b] = await Promise.all(['a', 'b'].map((name) => world.peer(name, { signaller: false })));
  const c = await (await world.plainPage('c')).join({ signaller: false });
  const { id } = await a.seed(files);
  await carryCodes(a, b, id, FIRST);
  await b.done(id);
  await carryCodes(b, c, id);
  await linked(c, a);
  await c.done(id);
  assert.equal((await c.progress(id)).done, files[0].size + files[1].size);
  await Promise.all([a, b, c].map((peer) => peer.close()));
});

test('a neighbour that alters what it passes on costs time and nothing else', async () => {
  const files = parts(2 * MiB + 9, 34);
  const [source, good] = await Promise.all(['source', 'good'].map((name) => world.peer(name, { signaller: false })));
  const bad = await world.page('bad');
  // Where channels stay in the page, a page can do to its messages what it likes.
  await bad.page.evaluate(() => {
    const { send } = RTCDataChannel.prototype;
    const [PARCEL, FROM] = [23, 33];
    const t = /** @type {any} */ (globalThis).t;
    t.altered = 0;
    RTCDataChannel.prototype.send = function alter(/** @type {any} */ data) {
      const bytes = new Uint8Array(data);
      const from = Array.from(bytes.subarray(FROM, FROM + 32), (byte) => byte.toString(16).padStart(2, '0')).join('');
      if (this.id === 0 && bytes[0] === PARCEL && from !== t.node.peerId) {
        bytes[bytes.length - 1] ^= 1;
        t.altered += 1;
      }
      send.call(this, bytes);
    };
  });
  await bad.join({ signaller: false, transfer: false });
  const { id } = await source.seed(files);
  for (const peer of [bad, good]) {
    await carryCodes(source, peer, id, peer === bad ? FIRST : {});
    await peer.done(id);
  }
  const late = await world.peer('late', { signaller: false });
  await carryCodes(bad, late, id);
  await bad.when('has altered a parcel', () => /** @type {any} */ (globalThis).t.altered > 0);
  await carryCodes(good, late, id);
  await linked(late, good);
  await late.done(id);
  await holds(late, id, files);
  for (const peer of [source, bad, good, late]) {
    assert.equal((await peer.log()).filter(({ type }) => type === 'ban').length, 0, `${peer.name} bans nobody`);
  }
  await Promise.all([source, good, bad, late].map((peer) => peer.close()));
});

test('tabs of one browser find each other with no server and nobody to carry codes', async () => {
  const files = [{ path: 'song.bin', size: 1 * MiB + 11, seed: 35 }];
  const a = await world.peer('a', { signaller: false });
  const b = await (await world.page('b', { context: a.context })).join({ signaller: false });
  const { id, magnet } = await a.seed(files);
  await b.add(magnet);
  await b.done(id);
  await holds(b, id, files);
  await a.close();
});

test('people do it on the page: a link goes out, a code comes back', async () => {
  const open = async (/** @type {string} */ name) => {
    const peer = await world.page(name, { path: '/' });
    peer.page.setDefaultTimeout(20_000);
    await peer.when('has a node', () => /** @type {any} */ (window).swarmlet !== undefined);
    return peer;
  };
  const [a, b] = [await open('a'), await open('b')];
  await world.signaller.stop();
  try {
    await a.page.getByTestId('drop-input').setInputFiles({ name: 'note.txt', mimeType: 'text/plain', buffer: Buffer.from('no server') });
    const bridge = a.page.getByTestId('bridge').first();
    await bridge.locator('summary').click();
    await a.page.getByTestId('make-offer').first().click();
    const link = await a.page.getByTestId('offer-link').inputValue();
    assert.match(link, /#magnet:.*&x\.offer=[\w-]+$/);
    await b.page.locator('#link').fill(link);
    await b.page.locator('#open button').click();
    const answer = await b.page.getByTestId('answer').inputValue();
    await a.page.getByTestId('answer-field').fill(answer);
    await a.page.getByTestId('connect').click();
    await b.when('has it', () => /** @type {any} */ (window).swarmlet.shares.some((/** @type {any} */ share) => share.state === 'seeding'));
  } finally {
    await world.signaller.start();
  }
  await Promise.all([a, b].map((peer) => peer.close()));
});
