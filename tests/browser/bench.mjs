// @ts-check
// Swarmlet against a raw data channel, in the same run, between two pages. One JSON line on stdout.
//   MIB=256 REPS=1 STORAGE=memory|opfs LEECHERS=1 node tests/browser/bench.mjs
// With LEECHERS above 1 it also tells how many copies the seeder sent, and when the slowest was done.
import { World, MiB, holds } from './harness.mjs';
import { rawGoodput } from './raw-channel.mjs';

const mib = Number(process.env.MIB ?? 256);
const reps = Number(process.env.REPS ?? 1);
const storage = process.env.STORAGE ?? 'memory';
const leechers = Number(process.env.LEECHERS ?? 1);
const limit = 300_000;

/** @param {number[]} values */
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
/** @param {number} value @param {number} [digits] */
const round = (value, digits = 1) => Number(value.toFixed(digits));

/** Notes the longest task, as the browser reports those over 50 ms, and the longest time a timer came late.
 * @param {import('./harness.mjs').Peer} peer */
function watchMainThread(peer) {
  return peer.page.evaluate(() => {
    const t = /** @type {any} */ (globalThis).t;
    t.main = { task: 0, gap: 0, running: true };
    new PerformanceObserver((list) => {
      for (const entry of list.getEntries()) if (t.main.running) t.main.task = Math.max(t.main.task, entry.duration);
    }).observe({ type: 'longtask' });
    const step = 5;
    let due = performance.now() + step;
    const tick = () => {
      const now = performance.now();
      t.main.gap = Math.max(t.main.gap, now - due);
      due = now + step;
      if (t.main.running) setTimeout(tick, step);
    };
    setTimeout(tick, step);
  });
}

/** @param {import('./harness.mjs').Peer} peer @returns {Promise<{ task: number, gap: number }>} */
const mainThread = (peer) => peer.ask('main thread', (t) => {
  t.main.running = false;
  return { task: t.main.task, gap: t.main.gap };
});

/** @param {World} world */
async function swarmlet(world) {
  const [a, b] = await Promise.all([world.peer('a', { storage }), world.peer('b', { storage })]);
  const files = [{ path: 'bench.bin', size: mib * MiB, seed: 7 }];
  const { id, magnet } = await a.ask('seed', (t, given) => t.seed(given, {}), files, limit);
  await Promise.all([watchMainThread(a), watchMainThread(b)]);
  const seen = await b.ask('transfer', async (t, given) => {
    const began = performance.now();
    const marks = { linked: 0, firstLeaf: 0 };
    t.node.events.addEventListener('link', (/** @type {any} */ e) => {
      if (e.detail.state === 'up') marks.linked ||= performance.now() - began;
    });
    t.node.events.addEventListener('share', (/** @type {any} */ e) => {
      if (e.detail.state === 'first-leaf') marks.firstLeaf ||= performance.now() - began;
    });
    t.keep(await t.node.add(given.magnet));
    const share = t.shares.get(given.id);
    await share.done;
    return { ...marks, total: performance.now() - began, timings: { ...share.timings } };
  }, { id, magnet }, limit);
  const threads = await Promise.all([mainThread(a), mainThread(b)]);
  const progress = await b.progress(id);
  await holds(b, id, files);
  await Promise.all([a.close(), b.close()]);
  const linked = seen.timings.linked ?? seen.linked;
  const firstLeaf = seen.timings.firstLeaf ?? seen.firstLeaf;
  return {
    goodput: (mib * MiB) / 1000 / (seen.total - firstLeaf),
    linked, firstLeaf, total: seen.total, wasted: progress.wasted,
    task: Math.max(...threads.map((x) => x.task)), gap: Math.max(...threads.map((x) => x.gap)),
  };
}

/** One seeder and several that begin together. @param {World} world */
async function crowd(world) {
  const names = Array.from({ length: leechers }, (_, at) => `leecher ${at + 1}`);
  const [a, ...others] = await Promise.all(['seeder', ...names].map((name) => world.peer(name, { storage })));
  const files = [{ path: 'crowd.bin', size: mib * MiB, seed: 8 }];
  const { id, magnet } = await a.ask('seed', (t, given) => t.seed(given, {}), files, limit);
  const times = await Promise.all(others.map((peer) => peer.ask('fetch', async (t, given) => {
    const began = performance.now();
    const share = await t.node.add(given);
    await share.done;
    t.keep(share);
    return performance.now() - began;
  }, magnet, limit)));
  const { sent } = await a.progress(id);
  await Promise.all([a, ...others].map((peer) => peer.close()));
  return { leechers, seeder_copies: round(sent / (mib * MiB), 2), slowest_ms: round(Math.max(...times)) };
}

const world = await World.start();
try {
  const raw = [];
  const ours = [];
  for (let i = 0; i < reps; i += 1) {
    const [from, to] = await Promise.all([world.page('from'), world.page('to')]);
    const { bytes, seconds } = await rawGoodput(from, to, mib);
    raw.push(bytes / 1e6 / seconds);
    await Promise.all([from.close(), to.close()]);
    ours.push(await swarmlet(world));
  }
  const many = leechers > 1 ? await crowd(world) : {};
  const of = (/** @type {(run: any) => number} */ pick) => median(ours.map(pick));
  const [rawRate, ourRate] = [median(raw), of((run) => run.goodput)];
  console.log(JSON.stringify({
    mib, reps, storage,
    raw_mb_s: round(rawRate), swarmlet_mb_s: round(ourRate), ratio: round(ourRate / rawRate, 3),
    link_open_ms: round(of((run) => run.linked)), first_leaf_ms: round(of((run) => run.firstLeaf)),
    total_ms: round(of((run) => run.total)), wasted_bytes: of((run) => run.wasted),
    longest_task_ms: round(Math.max(...ours.map((run) => run.task))),
    longest_gap_ms: round(Math.max(...ours.map((run) => run.gap))),
    ...many,
  }));
} finally {
  await world.close();
}
