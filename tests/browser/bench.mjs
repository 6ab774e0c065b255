// @ts-check
// Swarmlet against a raw data channel and against WebTorrent, alternating in one run, between pages of one browser. A JSON line on
// stdout for each transfer, and one in the end with the medians.
//   MIB=256 REPS=1 STORAGE=memory|opfs LEECHERS=1 RIVALS=raw,swarmlet,webtorrent TASKS=1 node tests/browser/bench.mjs
// TASKS=1 also traces the pages' main threads, which costs a little: seeding is part of what is traced.
import { World, MiB } from './harness.mjs';
import { cpu, memory, processOf, processes, resetPeak } from './processes.mjs';
import { raw, swarmlet, webtorrent } from './rivals.mjs';
import { watchTasks } from './tasks.mjs';

const mib = Number(process.env.MIB ?? 256);
const reps = Number(process.env.REPS ?? 1);
const storage = process.env.STORAGE ?? 'memory';
const leechers = Number(process.env.LEECHERS ?? 1);
const withTasks = process.env.TASKS === '1';
const names = (process.env.RIVALS ?? 'raw,swarmlet,webtorrent').split(',')
  // One channel goes from one page to one page.
  .filter((name) => name !== 'raw' || leechers === 1);
const rivals = /** @type {Record<string, (world: World) => Promise<import('./rivals.mjs').Rival>>} */ ({
  raw: (world) => raw(world, leechers),
  swarmlet: (world) => swarmlet(world, leechers, storage),
  webtorrent: (world) => webtorrent(world, leechers, storage),
});

/** @param {number} value @param {number} [digits] */
const round = (value, digits = 1) => Number(value.toFixed(digits));
const bytes = mib * MiB;

/** One transfer, measured from the moment at which the leechers begin. @param {World} world @param {string} name */
async function measure(world, name) {
  const { pages, prepare, seed, fetch, copies } = await rivals[name](world);
  await prepare(mib);
  const pids = [];
  for (const page of pages) pids.push(await processOf(page, world.browser));
  const tasks = withTasks ? await watchTasks(world.browser) : undefined;
  await seed();
  const list = await processes(world.browser);
  pids.forEach(resetPeak);
  const base = pids.map((pid) => memory(pid).now);
  const before = cpu(list);
  const marks = await fetch();
  const spent = cpu(list).map((seconds, at) => seconds - before[at]);
  const peak = pids.map((pid) => memory(pid).peak);
  const sent = await copies();
  const longest = await tasks?.longest(pids);
  await Promise.all(pages.map((page) => page.close()));

  // A gigabyte that somebody has got, from whomever.
  const perGb = (/** @type {number} */ seconds) => round(seconds / ((bytes * leechers) / 1e9), 2);
  const of = (/** @type {(entry: { type: string, pid: number }) => boolean} */ which) =>
    perGb(list.reduce((sum, entry, at) => sum + (which(entry) ? spent[at] : 0), 0));
  const slowest = marks.reduce((a, b) => (a.total > b.total ? a : b));
  const most = (/** @type {number[]} */ values) => Math.max(...values);
  return {
    rival: name, mib, storage, leechers,
    mb_s: round(bytes / 1000 / (slowest.total - slowest.firstLeaf)),
    total_ms: round(slowest.total), link_ms: round(slowest.linked), first_leaf_ms: round(slowest.firstLeaf),
    seeder_copies: round(sent, 2),
    cpu_s_gb: perGb(spent.reduce((a, b) => a + b)),
    cpu_seeder: of(({ pid }) => pid === pids[0]), cpu_leechers: of(({ pid }) => pids.indexOf(pid) > 0),
    cpu_network: of(({ type }) => type.includes('NetworkService')), cpu_browser: of(({ type }) => type === 'browser'),
    seeder_mib: round(peak[0] / MiB, 0), leecher_mib: round(most(peak.slice(1)) / MiB, 0),
    leecher_over_base_mib: round(most(peak.slice(1).map((now, at) => now - base[at + 1])) / MiB, 0),
    ...(longest && { seeder_task_ms: round(longest[0]), leecher_task_ms: round(most(longest.slice(1))) }),
  };
}

/** Medians of every number. @param {Record<string, any>[]} runs */
function middle(runs) {
  const of = (/** @type {string} */ key) => runs.map((run) => run[key]).sort((a, b) => a - b)[runs.length >> 1];
  return Object.fromEntries(Object.keys(runs[0]).map((key) => [key, of(key)]));
}

const world = await World.start();
/** @type {Record<string, any[]>} */
const runs = {};
try {
  for (let rep = 0; rep < reps; rep += 1) {
    for (const name of names) {
      const run = await measure(world, name);
      console.log(JSON.stringify(run));
      (runs[name] ??= []).push(run);
    }
  }
} finally {
  await world.close();
}
const medians = Object.fromEntries(Object.entries(runs).map(([name, all]) => [name, middle(all)]));
const ours = medians.swarmlet;
const against = (/** @type {string} */ name, /** @type {string} */ key) =>
  (ours && medians[name] ? round(ours[key] / medians[name][key], 3) : undefined);
console.log(JSON.stringify({
  summary: true, mib, reps, storage, leechers,
  rates: Object.fromEntries(Object.entries(medians).map(([name, run]) => [name, run.mb_s])),
  of_raw: against('raw', 'mb_s'), of_webtorrent: against('webtorrent', 'mb_s'),
  time_of_webtorrent: against('webtorrent', 'total_ms'), cpu_of_webtorrent: against('webtorrent', 'cpu_s_gb'),
  cpu_of_raw: against('raw', 'cpu_s_gb'), first_leaf_ms: ours?.first_leaf_ms, seeder_copies: ours?.seeder_copies,
}));
