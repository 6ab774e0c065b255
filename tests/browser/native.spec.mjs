// @ts-check
// Pages and peers without a browser: the server's own, and those of the command line.
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bytes, MiB, World } from './harness.mjs';
import { Command, sha256Of, withFolder } from './native.mjs';

/** @type {World} */ let world;
before(async () => { world = await World.start({ server: ['--seed', 'www/sample'] }); });
after(async () => { await world?.close(); });

test('the first visitor gets the sample from the peer in the server', async () => {
  const a = await world.page('a', { path: '/' });
  await a.page.getByTestId('try-sample').click();
  await a.when('the sample is complete', () => document.querySelector('[data-testid=share-state]')?.textContent?.includes('Complete'));
  const stats = await a.page.evaluate(() => /** @type {any} */ (window).swarmlet.stats().shares[0]);
  assert.ok(stats.wanted > 1_000_000);
  assert.equal(stats.fromPeers, stats.wanted, 'all of it came over WebRTC');
  assert.equal(stats.fromHttp, 0);
  const shown = await a.page.getByTestId('from-peers').first().getAttribute('data-value');
  assert.equal(Number(shown), stats.wanted, 'and the page says so');
  await a.close();
});

test('64 MiB from the command line to a page', () => withFolder(async (folder) => {
  const path = join(folder, 'film.bin');
  await writeFile(path, randomBytes(64 * MiB));
  const seed = new Command(['seed', path, '--signaller', world.signaller.base]);
  const { link, content } = await seed.hears('share');
  const b = await world.peer('b');
  await b.add(link);
  await b.done(content);
  const { fromPeers, fromHttp, wasted } = await b.progress(content);
  assert.deepEqual([fromPeers, fromHttp, wasted], [64 * MiB, 0, 0]);
  assert.deepEqual((await b.hashes(content)).map((file) => file.sha256), [await sha256Of(path)]);
  await Promise.all([b.close(), seed.stop()]);
}));

test('64 MiB from a page to the command line', () => withFolder(async (folder) => {
  const a = await world.peer('a');
  const { link, size } = await a.seed([{ path: 'tape.bin', size: 64 * MiB, seed: 41 }]);
  const get = new Command(['get', link, '--output', folder]);
  const end = await get.hears('complete', 60_000);
  assert.equal(await get.ended, 0);
  assert.deepEqual([end.from_peers, end.from_http, end.wanted], [size, 0, size]);
  await writeFile(join(folder, 'expected'), bytes(41, 64 * MiB));
  assert.equal(await sha256Of(join(folder, 'tape.bin')), await sha256Of(join(folder, 'expected')));
  await a.close();
}));
