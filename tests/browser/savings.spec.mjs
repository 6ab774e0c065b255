// @ts-check
// Proof of savings: what pages say of themselves, added up by group without a name; and how much a visitor gives.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { since, sums } from '../../www/embed/beacon.js';
import { mayGive } from '../../www/embed/governor.js';
import { freePort, MiB, World } from './harness.mjs';
import { Site, Visitor } from './site.mjs';

/** @type {World} */ let world;
let admin = '';
before(async () => {
  const port = await freePort();
  admin = `http://127.0.0.1:${port}`;
  world = await World.start({ server: ['--admin-addr', `127.0.0.1:${port}`] });
});
after(async () => { await world?.close(); });

test('a visitor gives no more than it took, and no more in a day than it may', () => {
  const limits = { ratio: 1, dayBytes: 1000 * MiB };
  assert.equal(mayGive({ sent: 0, taken: 0, today: 0 }, limits), true, 'somebody has to begin');
  assert.equal(mayGive({ sent: 16 * MiB, taken: 0, today: 0 }, limits), false);
  assert.equal(mayGive({ sent: 100 * MiB, taken: 100 * MiB, today: 0 }, limits), true);
  assert.equal(mayGive({ sent: 117 * MiB, taken: 100 * MiB, today: 0 }, limits), false);
  assert.equal(mayGive({ sent: 0, taken: 100 * MiB, today: 1000 * MiB }, limits), false);
  assert.equal(mayGive({ sent: 70 * MiB, taken: 100 * MiB, today: 0 }, { ...limits, ratio: 0.5 }), false);
});

test('reports are of what was added', () => {
  const before = sums({ fromPeers: 5, fromOrigin: 7, stalls: { count: 1, ms: 20 } });
  const now = sums({ fromPeers: 9, fromOrigin: 7, stalls: { count: 1, ms: 30 }, links: { up: 2, failed: 1 } });
  assert.deepEqual(since(now, before), { ...sums({}), from_peers: 4, stall_ms: 10, links: 2, links_failed: 1 });
  assert.equal(since(sums({ fromPeers: 3 }), before).from_peers, 3, 'a node that began anew');
});

/** @returns {Promise<Map<string, number>>} */
async function metrics() {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return new Map(text.split('\n').filter((line) => line.startsWith('swarm_site_')).map((line) => /** @type {[string, number]} */ ([line.split(' ')[0], Number(line.split(' ')[1])])));
}

test('what pages say comes to the sums that the server and the visitors count, by group', async () => {
  const site = await Site.make({ signaller: world.base, large: 3 * MiB, tag: { peers: '0', beacon: 'on' } });
  const paths = [...site.eligible().keys()].filter((path) => !/\.(js|html|css)$/.test(path));
  const hashes = Object.fromEntries(paths.map((path) => [path, site.hash(path)]));
  /** @type {string[]} */ const told = [];
  const visitors = [];
  for (const name of ['one', 'two']) {
    const visitor = await Visitor.open(world.browser, site, name);
    visitor.page.on('request', (request) => request.url().endsWith('/beacon') && told.push(request.postData() ?? ''));
    await visitor.sharing();
    if (visitors.length > 0) await visitor.when('swarmletSite.stats().peers > 0');
    assert.deepEqual(await visitor.read(paths), hashes);
    visitors.push(visitor);
  }
  const seen = await Promise.all(visitors.map((visitor) => visitor.stats()));
  for (const visitor of visitors) await visitor.page.evaluate(`dispatchEvent(new Event('pagehide'))`);
  const taken = seen.reduce((sum, { fromPeers }) => sum + fromPeers, 0);
  const server = seen.reduce((sum, { fromOrigin }) => sum + fromOrigin, 0);
  const peers = 'swarm_site_bytes_total{group="on",source="peers"}';
  for (let tries = 0; tries < 100 && (await metrics()).get(peers) !== taken; tries += 1) await new Promise((next) => setTimeout(next, 50));
  const counted = await metrics();
  assert.equal(counted.get(peers), taken, JSON.stringify({ told, dropped: counted.get('swarm_site_reports_dropped_total') }));
  assert.equal(counted.get('swarm_site_bytes_total{group="on",source="origin"}'), server);
  assert.equal(counted.get('swarm_site_visits_total{group="on"}'), 2);
  assert.ok((counted.get('swarm_site_load_milliseconds_total{group="on"}') ?? 0) > 0);
  for (const text of told) assert.doesNotMatch(text, /[0-9a-f]{16}|\d+\.\d+\.\d+\.\d+|http/, 'no names, no addresses');
  // The page for the operator.
  const page = await (await fetch(`${admin}/sites`)).text();
  assert.match(page, /Offload<td>\d+\.\d %/);
  assert.match(page, /<polyline class=peers points='/);
  for (const body of ['{}', '{"group":"on","peer":"x"}', 'x'.repeat(5000)]) {
    assert.ok((await fetch(`${world.base}/swarmlet/beacon`, { method: 'POST', body })).status >= 400);
  }
  await Promise.all(visitors.map((visitor) => visitor.close()));
  await site.close();
});

test('who is held out loads nothing more and is counted beside the others', async () => {
  const site = await Site.make({ signaller: world.base, large: MiB, tag: { peers: '0', beacon: 'on', holdout: '100' } });
  const visitor = await Visitor.open(world.browser, site, 'held-out');
  await visitor.when(`swarmletSite.stats().reason === 'holdout'`);
  await visitor.read(['files/large.bin']);
  await visitor.page.evaluate(`dispatchEvent(new Event('pagehide'))`);
  const origin = 'swarm_site_bytes_total{group="holdout",source="origin"}';
  for (let tries = 0; tries < 100 && !((await metrics()).get(origin) ?? 0); tries += 1) await new Promise((next) => setTimeout(next, 50));
  assert.ok(((await metrics()).get(origin) ?? 0) >= MiB);
  assert.equal(await visitor.page.evaluate('navigator.serviceWorker.controller'), null);
  await Promise.all([visitor.close(), site.close()]);
});

test('what the web server says is not for everybody is not published', async () => {
  const more = { 'private/a.bin': 64 * 1024, 'cookie/b.bin': 64 * 1024, 'files/c.bin': 64 * 1024 };
  const site = await Site.make({ signaller: world.base, large: MiB, more });
  assert.ok(Object.keys(more).every((path) => site.eligible().has(path)), 'without a look at the server all are');
  site.publish({ signaller: world.base, args: ['--base-url', site.base, '--check'] });
  assert.deepEqual(Object.keys(more).filter((path) => site.eligible().has(path)), ['files/c.bin']);
  await site.close();
});
