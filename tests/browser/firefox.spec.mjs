// @ts-check
// Firefox and Chromium swarm with each other: neither is a special case.
import assert from 'node:assert/strict';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import puppeteer from 'puppeteer-core';
import { holds, MiB, Peer, takenFrom, within, World } from './harness.mjs';
import { installHelpers } from './in-page.mjs';

/** @type {World} */ let world;
/** @type {import('puppeteer-core').Browser} */ let firefox;
before(async () => {
  world = await World.start();
  firefox = await puppeteer.launch({ browser: 'firefox', executablePath: process.env.FIREFOX ?? '/usr/bin/firefox-esr' });
});
after(async () => {
  await firefox?.close();
  await world?.close();
});

/** A page with a node in Firefox. @param {string} name @param {Record<string, unknown>} [options] */
async function fox(name, options) {
  const context = await firefox.createBrowserContext();
  const page = await context.newPage();
  await page.evaluateOnNewDocument(installHelpers, { base: world.base });
  // What is asked of a page is the same in both drivers.
  const peer = new Peer(name, /** @type {any} */ (context), /** @type {any} */ (page), world.base);
  await page.goto(`${world.base}/healthz`);
  return peer.join(options);
}

test('a Firefox page gives to a Chromium page, and takes from it', async () => {
  const [f, c] = [await fox('firefox'), await world.peer('chromium')];
  for (const [from, to, seed] of /** @type {[Peer, Peer, number][]} */ ([[f, c, 71], [c, f, 72]])) {
    const files = [{ path: 'song.bin', size: 8 * MiB + 5, seed }];
    const { id, magnet } = await from.seed(files);
    await to.add(magnet);
    await to.done(id);
    await holds(to, id, files);
    assert.equal(takenFrom(await to.stats(), from), files[0].size);
  }
  await Promise.all([f.close(), c.close()]);
});

test('two Firefox pages swarm, and one that is reloaded goes on with what it had', async () => {
  const files = [{ path: 'song.bin', size: 24 * MiB + 3, seed: 73 }];
  const [a, b] = [await fox('a'), await fox('b')];
  assert.deepEqual(await b.stats().then(({ storage, transfer, webrtc }) => ({ storage, transfer, webrtc })),
    { storage: 'opfs', transfer: true, webrtc: true }, 'nothing is missing in Firefox');
  const { id, magnet } = await a.seed(files);
  await b.add(magnet);
  const before = await b.reached(id, 6 * MiB);
  await b.reload();
  await b.join();
  await b.add(magnet);
  await b.done(id);
  await holds(b, id, files);
  const { fromStore, fromPeers } = await b.progress(id);
  // What was on its way to the disk when the page went may come again.
  assert.ok(fromStore >= before.done - 3 * MiB, `${fromStore} of ${before.done} bytes were kept`);
  assert.equal(fromStore + fromPeers, files[0].size);
  await Promise.all([a.close(), b.close()]);
});

test('the page in Firefox: choose a file, open its link elsewhere, see it complete', async () => {
  const context = await firefox.createBrowserContext();
  const page = await context.newPage();
  await page.goto(`${world.base}/`);
  const input = await page.waitForSelector('[data-testid="drop-input"]');
  const note = join(mkdtempSync(join(tmpdir(), 'swarmlet-')), 'note.txt');
  writeFileSync(note, 'from Firefox');
  await /** @type {import('puppeteer-core').ElementHandle<HTMLInputElement>} */ (input).uploadFile(note);
  const link = await within(page.evaluate(`(async () => {
    for (;;) {
      const share = window.swarmlet?.shares[0];
      if (share?.state === 'seeding') return share.link;
      await new Promise(requestAnimationFrame);
    }
  })()`), 'the file is shared');
  const c = await world.peer('chromium');
  const { id } = await c.add(String(link));
  await c.done(id);
  const text = await c.ask('read it', async (t, given) => (await t.shares.get(given).files[0].blob()).text(), id);
  assert.equal(text, 'from Firefox');
  await Promise.all([context.close(), c.close()]);
});
