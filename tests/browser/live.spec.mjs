// @ts-check
// A live stream that its viewers carry: plain hls.js, segments that are signed as they appear, and lists that are not believed.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { World } from './harness.mjs';
import { Site, Visitor } from './site.mjs';

/** @type {World} */ let world;
/** @type {Site} */ let site;
/** @type {import('./site.mjs').Stream} */ let live;
before(async () => {
  world = await World.start();
  site = await Site.make({ signaller: world.base, large: 64 * 1024 });
  live = await site.startLive({ signaller: world.base, tag: { peers: '0' } });
  live.step(6);
});
after(async () => {
  await site?.close();
  await world?.close();
});

/** @param {string} name @param {object} [context] */
const watch = async (name, context) => {
  const visitor = await Visitor.open(world.browser, site, name, { path: 'live.html', context });
  return visitor.sharing();
};

/** @param {Visitor} visitor @param {number} seconds of film from here */
async function plays(visitor, seconds) {
  await visitor.page.evaluate(`document.getElementById('live').play().catch(() => {})`);
  const from = await visitor.page.evaluate(`document.getElementById('live').currentTime`);
  await visitor.when(`(() => {
    const film = document.getElementById('live');
    if (film.dataset.error) throw new Error(film.dataset.error);
    return film.currentTime > ${from} + ${seconds};
  })()`);
}

test('two viewers of a live stream: the second takes most segments from the first, and one copy leaves the server', async () => {
  const first = await watch('viewer-1');
  live.run();
  await plays(first, 1);
  // A phone: it takes and does not give, so the first fetches for both.
  const second = await watch('viewer-2', { userAgent: 'Mozilla/5.0 (iPhone) Mobile viewer-2' });
  await second.when('swarmletSite.stats().peers > 0');
  const since = site.lines().length;
  await plays(second, 5);
  await plays(first, 1);
  const [one, two] = await Promise.all([first.stats(), second.stats()]);
  const sent = site.lines().slice(since).filter(({ path, status }) => path.endsWith('.ts') && status < 300);
  const copies = new Map();
  for (const { path, bytes } of sent) copies.set(path, (copies.get(path) ?? 0) + bytes);
  const whole = [...copies.keys()].reduce((sum, path) => sum + (site.size(path) ?? 0), 0);
  const bytes = sent.reduce((sum, line) => sum + line.bytes, 0);
  const told = JSON.stringify({ one: one.live, two: two.live, stalls: [one.stalls, two.stalls], copies: bytes / whole });
  console.log(told);
  // Of what it has loaded: the newest segments are out before a player asks for them.
  const loaded = two.live.segments.peers + two.live.segments.site;
  assert.ok(loaded >= 4 && two.live.segments.peers >= 0.8 * loaded, told);
  assert.ok(two.live.accepted.signaller + two.live.accepted.peer >= 4 && two.live.refused === 0, told);
  assert.ok(bytes <= 1.3 * whole, told);
  await Promise.all([first.close(), second.close()]);
});

test('a list that is replayed, rolled back or forged is refused, whoever says it', async () => {
  const viewer = await watch('wary');
  await viewer.when('swarmletSite.stats().live.accepted.signaller > 1');
  const old = live.bulletin();
  await viewer.when(`swarmletSite.stats().live.seq > ${JSON.parse(old.split('\n')[1] ?? '').seq + 1}`);
  const { topic } = JSON.parse(old.split('\n')[1] ?? '');
  // The signaller takes neither what is older nor what nobody signed.
  const post = async (/** @type {string} */ body) => (await fetch(`${world.base}/swarmlet/live`, { method: 'POST', body })).status;
  const forged = live.bulletin().replace(/"seq":\d+/, '"seq":99999999');
  assert.deepEqual([await post(old), await post(forged), await post('x'.repeat(20_000)), await post('')], [409, 400, 413, 400]);
  // A neighbour says what it likes.
  const liar = await world.peer('liar');
  await liar.ask('join', async (t, given) => {
    const share = await t.node.add(new Blob([Uint8Array.from(given.torrent)]), { topic: given.topic, select: [] });
    await share.ready;
  }, { topic, torrent: [...await torrent()] });
  await liar.when('it has met the viewer', () => /** @type {any} */ (globalThis).t.node.stats().links.length > 0);
  const before = await viewer.stats();
  for (const text of [old, forged, 'nonsense', live.bulletin().replace('\n', '\n ')]) {
    await liar.ask('tell', (t, given) => t.node.tell(given.topic, new TextEncoder().encode(given.text)), { topic, text });
    await new Promise((next) => setTimeout(next, 300));
  }
  await viewer.when(`swarmletSite.stats().live.refused >= ${before.live.refused + 4}`);
  // And the site's own server, if somebody else writes there.
  await live.stop();
  const { seq } = (await viewer.stats()).live;
  const refused = (await viewer.stats()).live.refused;
  site.spoil('live/swarmlet-live.txt', () => old);
  await viewer.when(`swarmletSite.stats().live.refused > ${refused}`);
  assert.equal((await viewer.stats()).live.seq, seq, 'nothing went back');
  // Nor in the next visit.
  await viewer.page.reload();
  await viewer.sharing();
  await viewer.when(`swarmletSite.stats().live.refused > 0`);
  assert.match((await viewer.stats()).live.reason, /older|shorter/);
  assert.equal((await viewer.stats()).live.accepted.site, 0);
  await Promise.all([viewer.close(), liar.close()]);
});

/** Any torrent will do to be in a swarm. */
async function torrent() {
  const { torrentOf } = await import('../../www/embed/live.js');
  return new Uint8Array(await torrentOf(['x.ts', 7, 'ab'.repeat(32), 'video/mp2t'], `${site.base}x.ts`));
}
