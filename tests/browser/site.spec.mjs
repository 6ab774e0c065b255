// @ts-check
// A web site whose visitors carry its traffic: nginx as an origin that knows nothing of it, and visitors a second apart.
import assert from 'node:assert/strict';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { bytes, MiB, World } from './harness.mjs';
import { Site, Visitor } from './site.mjs';

/** @type {World} */ let world;
before(async () => { world = await World.start(); });
after(async () => { await world?.close(); });

/** @param {import('./site.mjs').Line[]} lines */
const sum = (lines) => lines.reduce((all, line) => all + line.bytes, 0);

/** What a page's scripts and players read; the rest is the page itself. @param {Site} site */
const contents = (site) => [...site.eligible().keys()].filter((path) => !/\.(js|html|css)$/.test(path));

/** @param {Site} site @param {string[]} paths */
const hashes = (site, paths) => Object.fromEntries(paths.map((path) => [path, site.hash(path)]));

/** Somebody comes and reads. `peers`: who is to be there before. @param {Site} site @param {string} name
 * @param {string[]} paths @param {number} [peers] */
async function visit(site, name, paths, peers = 0) {
  const visitor = await Visitor.open(world.browser, site, name);
  await visitor.sharing();
  await visitor.when(`swarmletSite.stats().peers >= ${peers}`);
  assert.deepEqual(await visitor.read(paths), hashes(site, paths), name);
  return visitor;
}

test('visitors after the first take most of it from each other, and both counts agree', async () => {
  const site = await Site.make({ signaller: world.base, film: true, rate: '4m', tag: { peers: '0' } });
  const paths = contents(site);
  const first = await visit(site, 'visitor-1', paths);
  assert.equal((await first.stats()).fromPeers, 0);
  const coming = [];
  for (let number = 2; number <= 6; number += 1) {
    coming.push(visit(site, `visitor-${number}`, paths, 1));
    await new Promise((next) => setTimeout(next, 1000));
  }
  const visitors = [first, ...await Promise.all(coming)];
  const told = await Promise.all(visitors.map((visitor) => visitor.stats()));
  const log = site.log();
  const all = sum(log);
  const counted = told.reduce((sum, { fromOrigin }) => sum + fromOrigin, 0);
  assert.ok(Math.abs(all - counted) <= 0.01 * all, `${counted} by our count, ${all} by nginx's`);
  const later = sum(log.filter(({ visitor }) => !visitor.endsWith('visitor-1')));
  const eligible = 5 * paths.reduce((sum, path) => sum + (site.eligible().get(path) ?? 0), 0);
  console.log(`from visitors: ${(100 * (1 - later / eligible)).toFixed(1)} %; by our count ${counted} from the origin, by nginx's ${all}`);
  assert.ok(later <= 0.2 * eligible, `${later} of ${eligible} bytes from the origin: ${JSON.stringify(told)}`);
  await Promise.all(visitors.map((visitor) => visitor.close()));
  await site.close();
});

test('without the origin later visitors still get it all, and without the signaller there is the web', async () => {
  const site = await Site.make({ signaller: world.base, large: 6 * MiB, tag: { peers: '0' } });
  const paths = contents(site);
  const first = await visit(site, 'visitor-1', paths);
  const second = await Visitor.open(world.browser, site, 'visitor-2');
  await second.sharing();
  await second.when('swarmletSite.stats().peers > 0');
  await site.stop();
  assert.deepEqual(await second.read(paths), hashes(site, paths), 'without the origin');
  assert.equal((await second.page.evaluate(`fetch('swarmlet.json').then(() => 'there', () => 'gone')`)), 'gone');
  await Promise.all([first.close(), second.close()]);
  await site.start();
  await world.signaller.stop();
  const third = await Visitor.open(world.browser, site, 'visitor-3');
  await third.page.waitForLoadState('load');
  assert.deepEqual(await third.read(paths), hashes(site, paths), 'without the signaller');
  await third.close();
  await world.signaller.start();
  await site.close();
});

/** Counts what a page must not have made. */
function countConnections() {
  const made = /** @type {any} */ (globalThis).made = { connections: 0, modules: 0, workers: 0 };
  globalThis.RTCPeerConnection = new Proxy(RTCPeerConnection, { construct: (target, args) => (made.connections++, Reflect.construct(target, args)) });
  globalThis.Worker = new Proxy(Worker, { construct: (target, args) => (made.workers++, Reflect.construct(target, args)) });
}

test('nothing is loaded or connected before there is somebody to share with', async () => {
  const site = await Site.make({ signaller: world.base, large: 4 * MiB });
  const paths = contents(site);
  const alone = await Visitor.open(world.browser, site, 'alone', { init: countConnections });
  await alone.when(`swarmletSite.stats().reason === 'too few visitors'`);
  assert.deepEqual(await alone.read(paths), hashes(site, paths));
  assert.deepEqual(await alone.page.evaluate('made'), { connections: 0, modules: 0, workers: 0 });
  assert.equal(await alone.page.evaluate(`performance.getEntriesByType('resource').filter(({ name }) => name.endsWith('.wasm')).length`), 0);
  assert.equal(await alone.page.evaluate('navigator.serviceWorker.controller'), null);
  // Somebody comes: the gate opens on both sides, in time.
  const other = await Visitor.open(world.browser, site, 'other');
  await Promise.all([alone.sharing(), other.sharing()]);
  await Promise.all([alone, other].map((visitor) => visitor.when('swarmletSite.stats().peers > 0')));
  await Promise.all([alone.close(), other.close(), site.close()]);
});

test('the owner stops it all with a signed word, and a stranger cannot', async () => {
  const site = await Site.make({ signaller: world.base, large: 4 * MiB, tag: { peers: '0' } });
  const visitor = await visit(site, 'visitor', contents(site));
  site.policy('off');
  await visitor.when(`swarmletSite.stats().reason === 'off'`);
  assert.deepEqual(await visitor.read(contents(site)), hashes(site, contents(site)));
  // A page that comes back asks at once; before, it took as long as it takes everybody.
  const again = () => visitor.page.evaluate(`dispatchEvent(new PageTransitionEvent('pageshow', { persisted: true }))`);
  site.policy('on');
  await again();
  await visitor.sharing();
  site.spoil('swarmlet-policy.json', (text) => text.replace('"on"', '"off"').replace(/"made":\d+/, '"made":99999999999999'));
  // Heard, and judged before it is asked for once more.
  for (let heard = 0; heard < 3; heard += 1) await Promise.all([visitor.page.waitForResponse(/swarmlet-policy\.json$/), again()]);
  assert.equal((await visitor.stats()).gate, 'open', 'a word that nobody signed counts for nothing');
  await visitor.close();
  site.spoil('swarmlet.json', (text) => text.replace('application/octet-stream', 'text/html'));
  const wary = await Visitor.open(world.browser, site, 'wary');
  await wary.when(`swarmletSite.stats().reason.includes('signature')`);
  await Promise.all([wary.close(), site.close()]);
});

test('from shadow, in which nothing is loaded, to on by one word', async () => {
  const site = await Site.make({ signaller: world.base, large: 4 * MiB, tag: { mode: 'shadow' } });
  const visitors = await Promise.all(['one', 'two'].map((name) => Visitor.open(world.browser, site, name, { init: countConnections })));
  for (const visitor of visitors) {
    await visitor.when(`swarmletSite.stats().reason === 'shadow' && swarmletSite.stats().visitors === 1`);
    assert.ok((await visitor.stats()).eligible > 4 * MiB);
    assert.deepEqual(await visitor.page.evaluate('made'), { connections: 0, modules: 0, workers: 0 });
    assert.equal(await visitor.page.evaluate('navigator.serviceWorker.controller'), null);
  }
  site.policy('on');
  for (const visitor of visitors) await visitor.when('swarmletSite.stats().peers > 0');
  await Promise.all([...visitors.map((visitor) => visitor.close()), site.close()]);
});

test('a phone takes and gives nothing, and a page that is left comes back', async () => {
  const site = await Site.make({ signaller: world.base, large: 4 * MiB, tag: { peers: '0' } });
  const paths = contents(site);
  const first = await visit(site, 'first', paths);
  assert.equal((await first.stats()).upload, 'unlimited');
  const phone = await Visitor.open(world.browser, site, 'phone', { context: { userAgent: 'Mozilla/5.0 (iPhone) Mobile visitor-phone' } });
  await phone.sharing();
  await phone.when('swarmletSite.stats().peers > 0');
  assert.deepEqual(await phone.read(paths), hashes(site, paths));
  const { upload, fromPeers, sent } = await phone.stats();
  assert.ok(upload === 0 && fromPeers > 0 && sent === 0, JSON.stringify({ upload, fromPeers, sent }));
  const turn = (/** @type {string} */ type) => `dispatchEvent(new PageTransitionEvent('${type}', { persisted: true }))`;
  await phone.page.evaluate(turn('pagehide'));
  assert.equal((await phone.stats()).gate, 'closed');
  await first.when('swarmletSite.stats().peers === 0');
  assert.deepEqual(await phone.read(paths), hashes(site, paths), 'the browser alone');
  await phone.page.evaluate(turn('pageshow'));
  await phone.when('swarmletSite.stats().peers > 0');
  await Promise.all([first.close(), phone.close(), site.close()]);
});

test('visitors of an older deploy give those of the new one what has not changed', async () => {
  const more = { 'files/same.bin': 3 * MiB, 'files/changed.bin': 2 * MiB };
  const site = await Site.make({ signaller: world.base, large: MiB, tag: { peers: '0' }, more });
  const paths = ['files/same.bin', 'files/changed.bin'];
  const old = await visit(site, 'old', paths);
  const { content } = site.manifest();
  writeFileSync(join(site.folder, 'files/changed.bin'), bytes(950, 2 * MiB));
  site.publish({ signaller: world.base, tag: { peers: '0' } });
  assert.notEqual(site.manifest().content, content, 'another share');
  const before = site.lines().length;
  const visitor = await visit(site, 'new', paths, 1);
  const sent = (/** @type {string} */ path) => sum(site.lines().slice(before).filter((line) => line.path === path));
  const { fromPeers } = await visitor.stats();
  assert.ok(fromPeers > 2.5 * MiB && sent('files/same.bin') < 0.5 * MiB && sent('files/changed.bin') >= 2 * MiB, `${fromPeers} ${sent('files/same.bin')} ${sent('files/changed.bin')}`);
  // And the other way: who is still on the old page is not given the new file for the old one.
  assert.equal((await old.stats()).banned, 0);
  await Promise.all([old.close(), visitor.close(), site.close()]);
});

test('what the server sends to some only is shared by nobody, whatever the manifest says', async () => {
  const more = { 'private/one.bin': 64 * 1024, 'private/large.bin': 5 * MiB, 'files/open.bin': 64 * 1024 };
  const site = await Site.make({ signaller: world.base, large: MiB, tag: { peers: '0' }, more });
  const paths = Object.keys(more);
  assert.ok(paths.every((path) => site.eligible().has(path)), 'they are in the manifest');
  const first = await visit(site, 'first', paths);
  // One came through the service worker, the other was asked for by the node.
  await first.when('swarmletSite.stats().private === 2');
  await first.when('swarmletSite.stats().fromHttp > 0');
  assert.ok((await first.stats()).fromHttp < 2 * 64 * 1024);
  const second = await visit(site, 'second', paths, 1);
  await second.when('swarmletSite.stats().private === 2');
  assert.ok((await second.stats()).fromPeers <= 64 * 1024);
  assert.ok((await first.stats()).sent <= 2 * 64 * 1024);
  assert.deepEqual(await second.read(paths), hashes(site, paths), 'and they are there as ever');
  await Promise.all([first.close(), second.close(), site.close()]);
});

test('consent is waited for, what the owner leaves out is left to the browser, and who saves data gives nothing', async () => {
  const site = await Site.make({ signaller: world.base, large: 2 * MiB, tag: { peers: '0', consent: 'wait', exclude: 'files/' } });
  const saves = () => Object.defineProperty(Navigator.prototype, 'connection', { get: () => ({ saveData: true }) });
  const visitor = await Visitor.open(world.browser, site, 'careful', {
    init: saves,
    prepare: (context) => context.addInitScript(countConnections),
  });
  await visitor.when(`swarmletSite.stats().reason === 'no consent'`);
  assert.deepEqual(await visitor.page.evaluate('made'), { connections: 0, modules: 0, workers: 0 });
  await visitor.page.evaluate('swarmletSite.consent(true)');
  await visitor.sharing();
  assert.equal((await visitor.stats()).upload, 0);
  const paths = contents(site).filter((path) => /large\.bin|\.webp$/.test(path));
  assert.deepEqual(await visitor.read(paths), hashes(site, paths));
  await visitor.when(`swarmletSite.stats().served.requests === ${paths.length - 1}`);
  assert.equal(site.lines().filter(({ path, bytes }) => path === 'files/large.bin' && bytes === 2 * MiB).length, 1, 'by the browser, whole');
  await visitor.page.evaluate('swarmletSite.consent(false)');
  await visitor.when(`swarmletSite.stats().gate === 'closed' && swarmletSite.stats().reason === 'no consent'`);
  await Promise.all([visitor.close(), site.close()]);
});
