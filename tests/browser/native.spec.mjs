// @ts-check
// Pages and peers without a browser: the server's own, and those of the command line.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { World } from './harness.mjs';

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
