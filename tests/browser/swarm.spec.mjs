// @ts-check
// Pages that take files from each other, byte for byte.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { holds, KiB, MiB, takenFrom, World } from './harness.mjs';

/** @type {World} */ let world;
before(async () => { world = await World.start(); });
after(async () => { await world?.close(); });

const film = [{ path: 'film.bin', size: 64 * MiB, seed: 1 }];

/** @param {string[]} names */
const peers = (...names) => Promise.all(names.map((name) => world.peer(name)));
/** @param {import('./harness.mjs').Peer[]} all */
const close = (...all) => Promise.all(all.map((peer) => peer.close()));

test('64 MiB from one page to another', async () => {
  const [a, b] = await peers('a', 'b');
  const { id, magnet, link, size } = await a.seed(film);
  assert.equal(size, 64 * MiB);
  assert.match(id, /^[0-9a-f]{64}$/);
  assert.match(magnet, new RegExp(`^magnet:\\?xt=urn:btmh:1220${id}`));
  const added = await b.add(link);
  assert.equal(added.id, id);
  await b.done(id);
  await holds(b, id, film);
  const progress = await b.progress(id);
  assert.equal(progress.fromPeers, 64 * MiB);
  assert.equal(progress.fromHttp, 0);
  assert.equal(progress.fraction, 1);
  await close(a, b);
});

test('what a large message held is free as soon as it was read', async () => {
  const page = await world.page('release');
  const left = await page.ask('release', async (_, base) => {
    const { release } = await import(`${base}/swarmlet/worker/release.js`);
    const messages = [100, 65_571, 65_571, 100].map((length) => new ArrayBuffer(length));
    messages.forEach(release);
    return messages.map((message) => message.byteLength);
  }, world.base);
  assert.deepEqual(left, [100, 0, 0, 100]);
  await page.close();
});

test('what no visit has written down is known not to be there', async () => {
  const page = await world.page('recorded');
  const known = await page.ask('recorded', async (_, base) => {
    const { recall, recorded } = await import(`${base}/swarmlet/worker/recorded.js`);
    const directory = await navigator.storage.getDirectory();
    for (const name of ['r-before', 'content']) await directory.getFileHandle(name, { create: true });
    await recall(directory);
    const keys = ['before', 'content', 'now'];
    const before = keys.map((key) => recorded(key, false));
    recorded('now', true);
    return [before, keys.map((key) => recorded(key, false))];
  }, world.base);
  assert.deepEqual(known, [[true, false, false], [true, false, true]]);
  await page.close();
});

test('a third page takes from both others at once', async () => {
  const [a, b, c] = await peers('a', 'b', 'c');
  const { id, magnet } = await a.seed(film);
  await b.add(magnet);
  await b.done(id);
  await c.add(magnet);
  await c.done(id);
  await holds(c, id, film);
  const stats = await c.stats();
  const shares = [a, b].map((peer) => takenFrom(stats, peer) / (64 * MiB));
  assert.ok(Math.min(...shares) > 0.1, `shares of the bytes: ${shares.join(', ')}`);
  await close(a, b, c);
});

test('a late page is served by those who stayed when the first page is gone', async () => {
  const files = [{ path: 'song.bin', size: 8 * MiB + 5, seed: 2 }];
  const [a, b, c] = await peers('a', 'b', 'c');
  const { id, magnet } = await a.seed(files);
  await Promise.all([b.add(magnet), c.add(magnet)]);
  await Promise.all([b.done(id), c.done(id)]);
  await a.close();
  const d = await world.peer('d');
  await d.add(magnet);
  await d.done(id);
  await holds(d, id, files);
  await close(b, c, d);
});

test('a page reloaded in the middle fetches nothing again', async () => {
  const [a, b] = await peers('a', 'b');
  const { id, magnet } = await a.seed(film);
  await b.add(magnet);
  const had = (await b.reached(id, 16 * MiB)).done;
  await b.reload();
  await b.join();
  await b.add(magnet);
  await b.done(id);
  await holds(b, id, film);
  const { fromStore, fromPeers, wasted } = await b.progress(id);
  // What was verified but still on its way to the disk when the page went is the only thing that may come twice.
  assert.ok(fromStore >= had - 2 * MiB, `${fromStore} bytes from the store, ${had} were there`);
  assert.equal(fromStore + fromPeers, 64 * MiB, `and ${wasted} wasted`);
  await close(a, b);
});

test('a folder of 200 files with names in several scripts', async () => {
  const words = ['résumé', 'отчёт', '報告書', 'تقرير', 'דוח', 'รายงาน', '보고서', 'रिपोर्ट', 'αναφορά', '🌊 wave'];
  const sizes = [0, 1, 16 * KiB - 1, 16 * KiB, 16 * KiB + 1, 64 * KiB, 100_000];
  const files = Array.from({ length: 200 }, (_, i) => ({
    path: `folder/${words[(i * 7) % 10]}/${words[i % 10]} ${i}.bin`, size: sizes[i % sizes.length], seed: 100 + i,
  }));
  const [a, b] = await peers('a', 'b');
  const { id, link, name } = await a.seed(files);
  assert.equal(name, 'folder');
  await b.add(link);
  await b.done(id);
  await holds(b, id, files.map((file) => ({ ...file, path: file.path.slice('folder/'.length) })));
  await close(a, b);
});

test('the signaller stops and starts again while transfers run on', async () => {
  const [a, b] = await peers('a', 'b');
  const { id, magnet } = await a.seed(film);
  await b.add(magnet);
  await b.reached(id, 8 * MiB);
  await world.signaller.stop();
  const { done } = await b.progress(id);
  assert.ok(done < 64 * MiB, 'the server went in the middle of the transfer');
  await b.event('signaller', { state: 'down' });
  await b.reached(id, Math.min(done + 8 * MiB, 64 * MiB));
  await world.signaller.start();
  await b.done(id);
  await holds(b, id, film);
  const downs = (await b.log()).filter(({ type, detail }) => type === 'link' && detail.state === 'down');
  assert.deepEqual(downs, [], 'no link was lost');
  // Both come back by themselves: a newcomer finds them.
  const c = await world.peer('c');
  await c.add(magnet);
  await c.done(id);
  await close(a, b, c);
});

test('a tab that reloads again and again breaks nobody', async () => {
  const [a, b, c, restless] = await peers('a', 'b', 'c', 'restless');
  const { id, magnet } = await a.seed(film);
  await Promise.all([b.add(magnet), c.add(magnet), restless.add(magnet)]);
  const finished = Promise.all([b.done(id), c.done(id)]);
  finished.catch(() => {});
  for (let round = 0; round < 6; round += 1) {
    await restless.ask('has a link', (t) => t.condition(() => t.node.stats().links.length > 0 || undefined));
    await restless.reload();
    await restless.join();
    await restless.add(magnet);
  }
  await finished;
  await Promise.all([holds(b, id, film), holds(c, id, film)]);
  const stayed = new Set([a.id, b.id, c.id]);
  for (const peer of [a, b, c]) {
    const lost = (await peer.log()).filter(({ type, detail }) =>
      type === 'link' && detail.state === 'down' && stayed.has(detail.peer));
    assert.deepEqual(lost, [], `${peer.name} lost no link to a page that stayed`);
  }
  await restless.done(id);
  await close(a, b, c, restless);
});

test('pages that came without TLS sign with the module of ours, and link with each other and with all others', async () => {
  const files = [{ path: 'song.bin', size: MiB + 5, seed: 3 }];
  const seed = await world.peer('seed');
  const { id, magnet } = await seed.seed(files);
  const plain = await Promise.all(['plain', 'plainer'].map((name) => world.plainPage(name)));
  for (const peer of plain) {
    const loaded = peer.page.context().waitForEvent('response', (answer) => answer.url().endsWith('/swarmlet_keys_bg.wasm'));
    assert.equal(await peer.ask('crypto.subtle', () => typeof crypto.subtle), 'undefined');
    await peer.join();
    assert.ok((await loaded).ok());
    await peer.add(magnet);
    await peer.done(id);
    const same = await peer.ask('bytes', async (t, given) => {
      const [file] = t.shares.get(given.id).files;
      const [found, made] = [new Uint8Array(await (await file.blob()).arrayBuffer()), t.bytes(given.seed, given.size)];
      return found.length === given.size && found.every((byte, at) => byte === made[at]);
    }, { id, ...files[0] });
    assert.ok(same, `${peer.name} holds the content`);
  }
  await plain[0]?.event('link', { state: 'up', peer: plain[1]?.id });
  await close(seed, ...plain);
});
