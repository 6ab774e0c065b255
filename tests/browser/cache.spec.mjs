// @ts-check
// What is kept of a site: by one tab for all, over visits, proven when it is read, and within a budget.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { surplus } from '../../www/embed/cache.js';
import { KiB, MiB, World } from './harness.mjs';
import { Site, Visitor } from './site.mjs';

/** @type {World} */ let world;
before(async () => { world = await World.start(); });
after(async () => { await world?.close(); });

test('what was used longest ago goes, what is read stays, and nothing goes without need', () => {
  const kept = new Map([['a', { bytes: 50, used: 3 }], ['b', { bytes: 30, used: 1 }], ['c', { bytes: 15, used: 2 }], ['d', { bytes: 5, used: 4 }]]);
  const none = () => false;
  assert.deepEqual(surplus(kept, 100, none), []);
  assert.deepEqual(surplus(kept, 99, none), ['b'], 'down to nine tenths');
  assert.deepEqual(surplus(kept, 60, none), ['b', 'c', 'a']);
  assert.deepEqual(surplus(kept, 60, (root) => root === 'b'), ['c', 'a'], 'b is read');
  assert.deepEqual(surplus(kept, 0, (root) => root === 'a'), ['b', 'c', 'd'], 'more is not there to give up');
});

/** @param {Site} site */
const contents = (site) => [...site.eligible().keys()].filter((path) => !/\.(js|html|css)$/.test(path));

/** @param {Site} site */
const sent = (site) => site.log().reduce((sum, { bytes }) => sum + bytes, 0);

/** Reads, and gives the bytes that the server sent meanwhile. @param {Site} site @param {Visitor} visitor @param {string[]} paths */
async function costs(site, visitor, paths) {
  const before = sent(site);
  assert.deepEqual(await visitor.read(paths), Object.fromEntries(paths.map((path) => [path, site.hash(path)])), visitor.name);
  return sent(site) - before;
}

function countMade() {
  const made = /** @type {any} */ (globalThis).made = { connections: 0, workers: 0 };
  globalThis.RTCPeerConnection = new Proxy(RTCPeerConnection, { construct: (target, args) => (made.connections++, Reflect.construct(target, args)) });
  globalThis.Worker = new Proxy(Worker, { construct: (target, args) => (made.workers++, Reflect.construct(target, args)) });
}

test('a second tab takes what the first has, takes over when it goes, and a later visit finds it all', async () => {
  const site = await Site.make({ signaller: world.base, large: 3 * MiB, tag: { peers: '0' } });
  const paths = contents(site);
  const first = await Visitor.open(world.browser, site, 'first');
  await first.sharing();
  assert.ok(await costs(site, first, paths) > 3 * MiB);
  assert.equal((await first.stats()).role, 'leader');
  const second = await first.tab(site, countMade);
  await second.sharing();
  assert.equal((await second.stats()).role, 'follower');
  assert.equal(await costs(site, second, paths), 0, 'from the first');
  assert.deepEqual(await second.page.evaluate('made'), { connections: 0, workers: 0 }, 'it has no node');
  // The first goes: the second is the one that answers now, from what is stored.
  await first.page.close();
  await second.when(`swarmletSite.stats().role === 'leader'`);
  assert.equal(await costs(site, second, paths), 0, 'from the store');
  const blank = await first.context.newPage();
  await second.page.close();
  const later = new Visitor('later', first.context, blank);
  await later.page.goto(site.base);
  await later.sharing();
  assert.equal(await costs(site, later, paths), 0, 'a later visit');
  assert.ok((await later.stats()).fromStore >= 3 * MiB);
  await Promise.all([first.close(), site.close()]);
});

test('what was changed on disk is not believed', async () => {
  const site = await Site.make({ signaller: world.base, large: 3 * MiB, tag: { peers: '0' } });
  const visitor = await Visitor.open(world.browser, site, 'damage');
  await visitor.sharing();
  await costs(site, visitor, ['files/large.bin']);
  await visitor.page.goto(`${site.base}pictures/index.json`);
  const changed = await visitor.page.evaluate(`(async () => {
    const all = await (await navigator.storage.getDirectory()).getDirectoryHandle('swarmlet');
    const folder = await all.getDirectoryHandle('store-0');
    for await (const [name, handle] of folder.entries()) {
      if (!/^[0-9a-f]{64}$/.test(name) || (await handle.getFile()).size < 1e6) continue;
      const writable = await handle.createWritable({ keepExistingData: true });
      await writable.write({ type: 'write', position: 1_500_000, data: new Uint8Array(10).fill(7) });
      await writable.close();
      return true;
    }
  })()`);
  assert.equal(changed, true);
  await visitor.page.goto(site.base);
  await visitor.sharing();
  const again = await costs(site, visitor, ['files/large.bin']);
  assert.ok(again > 0 && again <= MiB, `${again} bytes were fetched once more`);
  await Promise.all([visitor.close(), site.close()]);
});

test('more than the budget is not kept: what was used longest ago is fetched again', async () => {
  const more = { 'files/a.bin': 2 * MiB, 'files/b.bin': 2 * MiB, 'files/c.bin': 2 * MiB };
  const site = await Site.make({ signaller: world.base, large: 64 * KiB, more, tag: { peers: '0', store: String(5 * MiB) } });
  const visitor = await Visitor.open(world.browser, site, 'frugal');
  await visitor.sharing();
  const [a, b, c] = Object.keys(more);
  for (const path of [a, b, a, c]) await costs(site, visitor, [path ?? '']);
  await visitor.when(`swarmletSite.stats().stored.bytes <= ${5 * MiB} && swarmletSite.stats().stored.bytes >= ${4 * MiB}`);
  assert.equal(await costs(site, visitor, [a ?? '', c ?? '']), 0);
  assert.ok(await costs(site, visitor, [b ?? '']) >= 2 * MiB, 'b had to go');
  await Promise.all([visitor.close(), site.close()]);
});
