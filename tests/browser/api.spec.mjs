// @ts-check
// The public API with odd input, and the small promises that it makes.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { bytes, holds, MiB, sha256, World } from './harness.mjs';

/** @type {World} */ let world;
before(async () => { world = await World.start(); });
after(async () => { await world?.close(); });

const ID = 'ab'.repeat(32);

test('bad input to add and seed is refused with a stable code', async () => {
  const a = await world.peer('a');
  const bencoded = (/** @type {string} */ text) => Array.from(Buffer.from(text, 'latin1'));
  /** @type {[unknown, string[]][]} */
  const cases = [
    ['', ['bad-link']],
    ['hello', ['bad-link']],
    ['https://example.com/', ['bad-link']],
    ['magnet:', ['bad-link']],
    ['magnet:?dn=name', ['bad-link']],
    ['magnet:?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a', ['version-one']],
    [`magnet:?xt=urn:btmh:1220${ID.slice(2)}`, ['bad-link']],
    [`magnet:?xt=urn:btmh:1320${ID}`, ['bad-link']],
    [`magnet:?xt=urn:btmh:1220${ID.slice(1)}g`, ['bad-link']],
    [`magnet:?xt=urn:btmh:1220${ID}&dn=${'x'.repeat(100_000)}`, ['bad-link']],
    [ID.slice(1), ['bad-link']],
    [`${ID}00`, ['bad-link']],
    [[], ['bad-torrent']],
    [bencoded('de'), ['bad-torrent', 'bad-info']],
    [bencoded('i1e'), ['bad-torrent']],
    [bencoded('d4:infodee'), ['bad-torrent', 'bad-info']],
    [bencoded('d4:info'), ['bad-torrent']],
    [bencoded(`${'l'.repeat(5000)}${'e'.repeat(5000)}`), ['bad-torrent']],
    [bencoded('99999999999999999999:x'), ['bad-torrent']],
    [Array.from(bytes(5, 1000)), ['bad-torrent']],
  ];
  for (const [what, codes] of cases) {
    const found = await a.ask('add of bad input', async (t, given) => {
      const input = typeof given === 'string' ? given : new Uint8Array(given);
      return t.node.add(input).then(() => 'no error', (/** @type {any} */ e) => `${e.name} ${e.code}`);
    }, what);
    const label = JSON.stringify(what).slice(0, 80);
    assert.ok(codes.some((code) => found === `SwarmletError ${code}`), `${label}: ${found}, not ${codes.join(' or ')}`);
  }
  for (const what of [[], [42], null, 'text', [{ path: '../up', size: 1 }]]) {
    const found = await a.ask('seed of bad input', async (t, given) => {
      const input = Array.isArray(given) ? given.map((x) => (x.path ? { path: x.path, blob: new Blob(['x']) } : x)) : given;
      return t.node.seed(input).then(() => 'no error', (/** @type {any} */ e) => `${e.name} ${e.code}`);
    }, what);
    assert.match(found, /^SwarmletError (bad-argument|no-files|bad-name)$/, JSON.stringify(what));
  }
  assert.equal((await a.stats()).shares.length, 0, 'nothing is left of what was refused');
  await a.close();
});

test('torrent files of hostile paths are refused', async () => {
  const a = await world.peer('a');
  const { id } = await a.seed([{ path: 'folder/abcd', size: 20, seed: 3 }, { path: 'folder/b', size: 20, seed: 4 }]);
  const torrent = await a.ask('torrent', async (t, given) => Array.from(await t.shares.get(given).torrent()), id);
  const text = Buffer.from(torrent).toString('latin1');
  assert.ok(text.includes('4:abcd'));
  for (const [name, bad] of Object.entries({
    parent: '2:..', self: '1:.', slash: '4:a/cd', back: '4:a\\cd', nul: '4:a\0cd', empty: '0:', control: '4:a\x1bcd',
  })) {
    const spoiled = Array.from(Buffer.from(text.replace('4:abcd', bad), 'latin1'));
    const found = await a.ask(name, (t, given) =>
      t.node.add(new Uint8Array(given)).then(() => 'no error', (/** @type {any} */ e) => `${e.name} ${e.code}`), spoiled);
    assert.match(found, /^SwarmletError bad-/, name);
  }
  await a.close();
});

test('a stream gives ranges in order, also of a file that is still to come', async () => {
  const files = [{ path: 'long.bin', size: 5 * MiB + 77, seed: 21 }];
  const [a, b] = await Promise.all([world.peer('a'), world.peer('b')]);
  const { id, link } = await a.seed(files);
  await b.add(link);
  const whole = bytes(21, 5 * MiB + 77);
  for (const [start, end] of [[0, 1], [3 * MiB - 5, 3 * MiB + 70_000], [5 * MiB, 5 * MiB + 77], [0, 5 * MiB + 77]]) {
    const found = await b.ask(`stream ${start} to ${end}`, async (t, given) => {
      const share = await t.shares.get(given.id).ready;
      const blob = await new Response(share.files[0].stream({ start: given.start, end: given.end })).blob();
      return { size: blob.size, sha256: await t.sha256(await blob.arrayBuffer()) };
    }, { id, start, end });
    assert.deepEqual(found, { size: end - start, sha256: sha256(whole.subarray(start, end)) });
  }
  await Promise.all([a.close(), b.close()]);
});

test('pause, resume, abort and remove do what they say', async () => {
  const files = [{ path: 'film.bin', size: 32 * MiB, seed: 22 }];
  const [a, b] = await Promise.all([world.peer('a'), world.peer('b')]);
  const { id, link } = await a.seed(files);
  await b.add(link);
  await b.reached(id, 4 * MiB);
  const stopped = await b.ask('pause', async (t, given) => {
    await t.shares.get(given).pause();
    return t.until(given, (/** @type {any} */ p) => p.state === 'paused');
  }, id);
  assert.ok(stopped.done < 32 * MiB, 'it was paused before its end');
  await b.ask('resume', async (t, given) => t.shares.get(given).resume(), id);
  await b.done(id);
  await holds(b, id, files);
  const gone = await b.ask('remove', async (t, given) => {
    await t.shares.get(given).remove();
    return t.node.shares.length;
  }, id);
  assert.equal(gone, 0);
  const aborted = await b.ask('abort', async (t, given) => {
    const stop = new AbortController();
    const share = await t.node.add(given, { signal: stop.signal });
    stop.abort();
    return share.done.then(() => 'done', (/** @type {any} */ e) => e.code);
  }, link);
  assert.equal(aborted, 'aborted');
  await Promise.all([a.close(), b.close()]);
});

test('progress tells the story to its end, and fetch answers from the swarm', async () => {
  const files = [{ path: 'note.txt', size: 300_000, seed: 23 }];
  const [a, b] = await Promise.all([world.peer('a'), world.peer('b')]);
  const { id, link, magnet } = await a.seed(files);
  await b.add(link);
  const story = await b.ask('progress to its end', async (t, given) => {
    const seen = [];
    for await (const news of t.shares.get(given).progress) seen.push(news.fraction);
    return seen;
  }, id);
  assert.equal(story.at(-1), 1);
  assert.deepEqual(story, [...story].sort((x, y) => x - y));
  const answer = await b.ask('fetch', async (t, given) => {
    const response = await t.node.fetch(given);
    return { status: response.status, sha256: await t.sha256(await response.arrayBuffer()) };
  }, magnet);
  assert.deepEqual(answer, { status: 200, sha256: sha256(bytes(23, 300_000)) });
  const plain = await b.ask('plain fetch', async (t) => (await t.node.fetch('/healthz')).status);
  assert.equal(plain, 200);
  await Promise.all([a.close(), b.close()]);
});

test('after close everything says so', async () => {
  const a = await world.peer('a');
  const found = await a.ask('close', async (t) => {
    await t.node.close();
    return t.node.add('ab'.repeat(32)).then(() => 'no error', (/** @type {any} */ e) => e.code);
  });
  assert.equal(found, 'closed');
  await a.close();
});
