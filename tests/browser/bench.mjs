// @ts-check
// Swarmlet against a raw data channel and against WebTorrent, alternating in one run, between pages of one browser. A JSON line on
// stdout for each transfer, and one for each case with its medians.
//   MIB=256 REPS=1 STORAGE=memory,opfs LEECHERS=1,4 RIVALS=raw,swarmlet,webtorrent TASKS=1 RECORD=1 node tests/browser/bench.mjs
// Each combination of MIB, STORAGE and LEECHERS is a case. TASKS=1: one more transfer of each, in which the tasks of the pages' main
// threads are traced, seeding too; what a trace costs is in no other figure. RECORD=1: a part of docs/RESULTS.md.
import { told } from './bench-table.mjs';
import { World, MiB } from './harness.mjs';
import { cpu, memory, processOf, processes, resetPeak } from './processes.mjs';
import { raw, swarmlet, webtorrent } from './rivals.mjs';
import { watchTasks } from './tasks.mjs';

/** @typedef {import('./bench-table.mjs').Case} Case */

const list = (/** @type {string} */ name, /** @type {string} */ own) => (process.env[name] || own).split(',');
const reps = Number(process.env.REPS ?? 1);
const named = list('RIVALS', 'raw,swarmlet,webtorrent');
const rivals = /** @type {Record<string, (world: World, given: Case) => Promise<import('./rivals.mjs').Rival>>} */ ({
  raw: (world, { leechers }) => raw(world, leechers),
  swarmlet: (world, { leechers, storage }) => swarmlet(world, leechers, storage),
  webtorrent: (world, { leechers, storage }) => webtorrent(world, leechers, storage),
});
/** @type {Case[]} */
const cases = list('LEECHERS', '1').map(Number).flatMap((leechers) => (
  list('MIB', '256').map(Number).flatMap((mib) => list('STORAGE', 'memory').map((storage) => ({ mib, storage, leechers })))));

/** @param {number} value @param {number} [digits] */
const round = (value, digits = 1) => Number(value.toFixed(digits));

/** One transfer, measured from the moment at which the leechers begin. @param {World} world @param {string} name @param {Case} given
 * @param {boolean} traced */
async function measure(world, name, given, traced) {
  const { pages, prepare, seed, fetch, copies } = await rivals[name](world, given);
  const bytes = given.mib * MiB;
  await prepare(given.mib);
  const pids = [];
  for (const page of pages) pids.push(await processOf(page, world.browser));
  const tasks = traced ? await watchTasks(world.browser) : undefined;
  await seed();
  const all = await processes(world.browser);
  pids.forEach(resetPeak);
  const base = pids.map((pid) => memory(pid).now);
  const before = cpu(all);
  const marks = await fetch();
  const spent = cpu(all).map((seconds, at) => seconds - before[at]);
  const peak = pids.map((pid) => memory(pid).peak);
  const sent = await copies();
  const longest = await tasks?.longest(pids);
  await Promise.all(pages.map((page) => page.close()));

  // A gigabyte that somebody has got, from whomever.
  const perGb = (/** @type {number} */ seconds) => round(seconds / ((bytes * given.leechers) / 1e9), 2);
  const of = (/** @type {(entry: { type: string, pid: number }) => boolean} */ which) =>
    perGb(all.reduce((sum, entry, at) => sum + (which(entry) ? spent[at] : 0), 0));
  const slowest = marks.reduce((a, b) => (a.total > b.total ? a : b));
  const most = (/** @type {number[]} */ values) => Math.max(...values);
  return {
    rival: name, ...given,
    mb_s: round(bytes / 1000 / (slowest.total - slowest.firstLeaf)), whole_mb_s: round(bytes / 1000 / slowest.total),
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

/** @param {World} world @param {Case} given */
async function compare(world, given) {
  // One channel goes from one page to one page.
  const names = named.filter((name) => name !== 'raw' || given.leechers === 1);
  /** @type {import('./bench-table.mjs').Runs} */
  const runs = { given, plain: {}, traced: {} };
  for (let rep = 0; rep < reps + Number(process.env.TASKS === '1'); rep += 1) {
    for (const name of names) {
      const traced = rep === reps;
      const run = await measure(world, name, given, traced);
      console.log(JSON.stringify(run));
      (runs[traced ? 'traced' : 'plain'][name] ??= []).push(run);
    }
  }
  return runs;
}

const world = await World.start({ profile: true });
try {
  const all = [];
  for (const given of cases) all.push(await compare(world, given));
  told(all, reps);
} finally {
  await world.close();
}
