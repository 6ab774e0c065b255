// @ts-check
// The page that people use, through the marks it carries for tests.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { deflateSync } from 'node:zlib';
import { bytes, MiB, sha256, World } from './harness.mjs';

/** @typedef {import('playwright-core').Page} Page */
/** @type {World} */ let world;
before(async () => { world = await World.start({ server: ['--share', 'www/sample'] }); });
after(async () => { await world?.close(); });

/** A picture large enough to see, as the PNG that it is. */
function png(width = 96, height = 64) {
  const table = Array.from({ length: 256 }, (_, n) => {
    for (let k = 0; k < 8; k += 1) n = n & 1 ? (n >>> 1) ^ 0xedb88320 : n >>> 1;
    return n >>> 0;
  });
  const crc = (/** @type {Buffer} */ data) => {
    let c = 0xffffffff;
    for (const byte of data) c = (table[(c ^ byte) & 255] ^ (c >>> 8)) >>> 0;
    return (c ^ 0xffffffff) >>> 0;
  };
  const chunk = (/** @type {string} */ type, /** @type {Buffer} */ data) => {
    const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
    const frame = Buffer.alloc(8);
    frame.writeUInt32BE(data.length, 0);
    frame.writeUInt32BE(crc(body), 4);
    return Buffer.concat([frame.subarray(0, 4), body, frame.subarray(4)]);
  };
  const head = Buffer.from([0, 0, 0, width, 0, 0, 0, height, 8, 2, 0, 0, 0]);
  const row = Buffer.concat([Buffer.from([0]), Buffer.alloc(width * 3, 0x5a)]);
  const rows = deflateSync(Buffer.concat(Array.from({ length: height }, () => row)));
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  return Buffer.concat([signature, chunk('IHDR', head), chunk('IDAT', rows), chunk('IEND', Buffer.alloc(0))]);
}

/** @param {string} name @param {string} [path] */
async function open(name, path = '/') {
  const peer = await world.page(name, { path });
  peer.page.setDefaultTimeout(15_000);
  await peer.when('has a node', () => /** @type {any} */ (window).swarmlet !== undefined);
  return peer;
}

/** @param {Page} page @param {string} id @param {string} [card] */
const inCard = (page, id, card = '') => page.locator(`[data-testid=share-card]${card}`).first().getByTestId(id);

/** @param {import('./harness.mjs').Peer} peer @param {string} id */
const complete = (peer, id) => peer.when('is complete', (content) =>
   /** @type {any} */ (window).swarmlet.shares.some((/** @type {any} */ s) => s.id === content && s.state === 'seeding'), id);

/** Resolves when an element's text matches. @param {Page} page @param {string} testid @param {RegExp} text */
const says = (page, testid, text) => page.getByTestId(testid).filter({ hasText: text }).first().waitFor();

test('drop a picture, copy the link, open it elsewhere, see it and save it', async () => {
  const a = await open('a');
  await a.context.grantPermissions(['clipboard-read', 'clipboard-write']).catch(() => {});
  const picture = png();
  await a.page.getByTestId('drop-input').setInputFiles({ name: 'красота.png', mimeType: 'image/png', buffer: picture });
  const link = await inCard(a.page, 'share-link').inputValue();
  assert.match(link, /^http:\/\/127\.0\.0\.1:\d+\/#magnet:\?xt=urn:btmh:1220[0-9a-f]{64}/);
  await inCard(a.page, 'copy-share-link').click();
  await says(a.page, 'copy-share-link', /Copied|Ctrl/);
  const copied = await a.page.evaluate(() => navigator.clipboard.readText().catch(() => null));
  if (copied !== null) assert.equal(copied, link);
  await inCard(a.page, 'qr').locator('canvas, svg, img').first().waitFor();

  const b = await open('b', link.slice(world.base.length));
  const id = /1220([0-9a-f]{64})/.exec(link)?.[1] ?? '';
  await complete(b, id);
  await says(b.page, 'share-state', /Complete/);
  const image = inCard(b.page, 'preview').locator('img').first();
  await image.waitFor();
  await b.when('shows the picture', () => {
    const shown = /** @type {HTMLImageElement | null} */ (document.querySelector('[data-testid=preview] img'));
    return shown?.complete && shown.naturalWidth === 96;
  });
  assert.equal(await inCard(b.page, 'from-peers').getAttribute('data-value'), String(picture.length));
  assert.equal(await inCard(b.page, 'from-http').getAttribute('data-value'), '0');
  await b.page.evaluate(() => { delete /** @type {any} */ (window).showSaveFilePicker; });
  const [download] = await Promise.all([b.page.waitForEvent('download'), inCard(b.page, 'save-file').click()]);
  assert.equal(download.suggestedFilename(), 'красота.png');
  const chunks = [];
  for await (const chunk of await download.createReadStream()) chunks.push(chunk);
  assert.equal(sha256(Buffer.concat(chunks)), sha256(picture));
  await Promise.all([a.close(), b.close()]);
});

test('a large download shows its progress, pauses, resumes and is removed', async () => {
  const a = await open('a');
  const data = bytes(31, 40 * MiB);
  await a.page.getByTestId('drop-input').setInputFiles({ name: 'film.bin', mimeType: 'application/octet-stream', buffer: data });
  const link = await inCard(a.page, 'share-link').inputValue();
  const b = await open('b');
  await b.page.getByTestId('link-input').fill(link);
  await b.page.getByTestId('add-button').click();
  await b.when('has begun', () => {
    const bar = /** @type {HTMLProgressElement | null} */ (document.querySelector('[data-testid=share-progress]'));
    return bar !== null && bar.value > 0.02;
  });
  await inCard(b.page, 'pause').click();
  await says(b.page, 'share-state', /Paused/);
  await inCard(b.page, 'resume').click();
  await says(b.page, 'share-state', /Complete/);
  assert.equal(await inCard(b.page, 'from-peers').getAttribute('data-value'), String(data.length));
  await inCard(b.page, 'remove').click();
  await b.page.getByTestId('share-card').waitFor({ state: 'detached' });
  await Promise.all([a.close(), b.close()]);
});

test('what cannot be opened says why', async () => {
  const a = await open('a');
  for (const [text, answer] of /** @type {[string, RegExp][]} */ ([
    ['', /Paste a link/],
    ['hello world', /not a share link/],
    ['magnet:?xt=urn:btih:c12fe1c06bba254a9dc9f519b335aa7c1367a88a', /version 1/],
    ['magnet:?xt=urn:btmh:1220abcd', /not a share link/],
  ])) {
    await a.page.getByTestId('link-input').fill(text);
    await a.page.getByTestId('add-button').click();
    await says(a.page, 'message', answer);
  }
  assert.equal(await a.page.getByTestId('share-card').count(), 0);
  await a.close();
});

test('the sample works at once, from the server alone', async () => {
  const a = await open('a');
  await a.page.getByTestId('try-sample').click();
  await says(a.page, 'share-state', /Complete/);
  const stats = await a.page.evaluate(() => /** @type {any} */ (window).swarmlet.stats().shares[0]);
  assert.equal(stats.fromHttp, stats.wanted);
  assert.ok(stats.wanted > 0);
  await a.close();
});

test('a share is still there after a reload', async () => {
  const [a, b] = await Promise.all([open('a'), open('b')]);
  await a.page.getByTestId('drop-input').setInputFiles({ name: 'note.bin', mimeType: 'application/octet-stream', buffer: bytes(33, MiB) });
  const link = await inCard(a.page, 'share-link').inputValue();
  await b.page.getByTestId('link-input').fill(link);
  await b.page.getByTestId('add-button').click();
  await says(b.page, 'share-state', /Complete/);
  await a.close();
  await b.reload();
  await says(b.page, 'share-state', /Complete/);
  assert.equal(await inCard(b.page, 'from-peers').getAttribute('data-value'), '0');
  await b.close();
});

test('the page says that the signaller is gone, and that it is back', async () => {
  const a = await open('a');
  // A page without shares needs no signaller, and says nothing.
  await a.page.getByTestId('drop-input').setInputFiles({ name: 'x.bin', mimeType: 'application/octet-stream', buffer: bytes(34, 1000) });
  await a.when('is let in', () => /** @type {any} */ (window).swarmlet.stats().signaller === true);
  await world.signaller.stop();
  await says(a.page, 'message', /again|reconnect|signal|server/i);
  await world.signaller.start();
  await a.when('the signaller is back', () => /** @type {any} */ (window).swarmlet.stats().signaller === true);
  await a.page.getByTestId('message').waitFor({ state: 'detached' });
  await a.close();
});

test('the page works with the keyboard alone, and without WebRTC says so', async () => {
  const context = await world.browser.newContext();
  await context.addInitScript(() => { delete /** @type {any} */ (globalThis).RTCPeerConnection; });
  const a = await world.page('a', { path: '/', context });
  await says(a.page, 'message', /WebRTC/);
  await a.page.getByTestId('link-input').focus();
  await a.page.keyboard.type('nonsense');
  await a.page.keyboard.press('Enter');
  await says(a.page, 'message', /not a share link/);
  assert.deepEqual(a.console.filter((line) => /^error/.test(line)), []);
  await a.close();
});
