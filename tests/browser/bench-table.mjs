// @ts-check
// What the runs of `bench.mjs` come to: a JSON line for each case, and the part of docs/RESULTS.md with its table, goals and drawings.
import { bars, median } from './chart.mjs';
import { record, table } from './record.mjs';

/** @typedef {{ mib: number, storage: string, leechers: number }} Case */
/** @typedef {Record<string, any>} Run */
/** @typedef {{ given: Case, plain: Record<string, Run[]>, traced: Record<string, Run[]> }} Runs */

const NAMES = /** @type {Record<string, string>} */ ({ raw: 'raw channel', swarmlet: 'Swarmlet', webtorrent: 'WebTorrent' });
/** What is to be reached: a figure of ours, over the one of whom, and the limit.
 * @type {{ what: string, where: (given: Case) => boolean, key: string, over?: string, least?: number, most?: number, traced?: boolean }[]} */
const GOALS = [
  { what: 'of a raw channel, in memory', where: (c) => c.mib === 256 && c.storage === 'memory' && c.leechers === 1, key: 'mb_s', over: 'raw', least: 0.95 },
  { what: 'of a raw channel, into private files', where: (c) => c.mib === 256 && c.storage === 'opfs' && c.leechers === 1, key: 'mb_s', over: 'raw', least: 0.85 },
  { what: 'of WebTorrent from `add` to the last byte, in memory', where: (c) => c.storage === 'memory' && c.leechers === 1, key: 'whole_mb_s', over: 'webtorrent', least: 1.5 },
  { what: 'the same after the first leaf', where: (c) => c.storage === 'memory' && c.leechers === 1, key: 'mb_s', over: 'webtorrent', least: 1.5 },
  { what: 'of WebTorrent from `add` to the last byte, into private files', where: (c) => c.storage === 'opfs' && c.leechers === 1, key: 'whole_mb_s', over: 'webtorrent', least: 1.8 },
  { what: 'the same after the first leaf', where: (c) => c.storage === 'opfs' && c.leechers === 1, key: 'mb_s', over: 'webtorrent', least: 1.8 },
  { what: 'processor of WebTorrent\'s', where: (c) => c.leechers === 1, key: 'cpu_s_gb', over: 'webtorrent', most: 0.7 },
  { what: 'copies that the seeder sends to four', where: (c) => c.leechers === 4, key: 'seeder_copies', most: 1.4 },
  { what: 'time of the slowest of four, of WebTorrent\'s', where: (c) => c.leechers === 4, key: 'total_ms', over: 'webtorrent', most: 0.5 },
  { what: 'ms from `add` to the first verified leaf', where: (c) => c.leechers === 1, key: 'first_leaf_ms', most: 80 },
  { what: 'ms of the longest task of the seeder\'s main thread', where: (c) => c.mib === 256 && c.leechers === 1, key: 'seeder_task_ms', most: 16, traced: true },
  { what: 'ms of the longest task of the leecher\'s main thread', where: (c) => c.mib === 256 && c.leechers === 1, key: 'leecher_task_ms', most: 16, traced: true },
  { what: 'MiB that the leecher\'s renderer grows by', where: (c) => c.mib >= 1024 && c.storage === 'opfs', key: 'leecher_over_base_mib', most: 64 },
];

/** @param {Case} given */
const title = ({ mib, storage, leechers }) => (
  `${mib} MiB, ${storage === 'opfs' ? 'private files' : 'memory'}, ${leechers === 1 ? 'one leecher' : `${leechers} leechers`}`);
/** @param {number} value */
const short = (value) => String(Number(value.toPrecision(3)));
/** @param {Run[] | undefined} runs @param {string} key */
const of = (runs, key) => median((runs ?? []).map((run) => run[key]));
/** A median with its range. @param {Run[]} runs @param {string} key @param {number} [per] */
function spread(runs, key, per = 1) {
  const values = runs.map((run) => run[key] / per);
  const middle = short(median(values));
  return values.length > 1 ? `${middle} (${short(Math.min(...values))}–${short(Math.max(...values))})` : middle;
}

/** @param {Runs} runs @param {number} reps */
function summary({ given, plain }, reps) {
  const against = (/** @type {string} */ name, /** @type {string} */ key) => (
    plain.swarmlet && plain[name] ? Number((of(plain.swarmlet, key) / of(plain[name], key)).toFixed(3)) : undefined);
  return {
    summary: true, ...given, reps,
    rates: Object.fromEntries(Object.entries(plain).map(([name, all]) => [name, of(all, 'mb_s')])),
    of_raw: against('raw', 'mb_s'), of_webtorrent: against('webtorrent', 'mb_s'),
    time_of_webtorrent: against('webtorrent', 'total_ms'), cpu_of_webtorrent: against('webtorrent', 'cpu_s_gb'),
    cpu_of_raw: against('raw', 'cpu_s_gb'), first_leaf_ms: of(plain.swarmlet, 'first_leaf_ms'), seeder_copies: of(plain.swarmlet, 'seeder_copies'),
  };
}

/** @param {Runs[]} all */
function goals(all) {
  const rows = [];
  for (const { what, where, key, over, least = 0, most = Number.POSITIVE_INFINITY, traced } of GOALS) {
    for (const { given, plain, traced: watched } of all.filter((runs) => where(runs.given))) {
      const from = traced ? watched : plain;
      if (!from.swarmlet || (over && !from[over])) continue;
      const is = of(from.swarmlet, key) / (over ? of(from[over], key) : 1);
      const asked = least > 0 ? `≥ ${least}` : `≤ ${most}`;
      rows.push([what, title(given), asked, short(is), is >= least && is <= most ? 'yes' : '**no**']);
    }
  }
  return table(['goal', 'case', 'asked', 'is', 'met'], rows);
}

/** @param {Runs[]} all */
function measured(all) {
  const rows = all.flatMap(({ given, plain, traced }) => Object.entries(plain).map(([name, runs]) => [
    title(given), NAMES[name], spread(runs, 'mb_s'), spread(runs, 'total_ms', 1000), `${short(of(runs, 'link_ms'))}, ${short(of(runs, 'first_leaf_ms'))}`,
    short(of(runs, 'seeder_copies')), spread(runs, 'cpu_s_gb'),
    ['cpu_seeder', 'cpu_leechers', 'cpu_network', 'cpu_browser'].map((key) => short(of(runs, key))).join(', '),
    `${of(runs, 'seeder_mib')}, ${of(runs, 'leecher_mib')} (+${of(runs, 'leecher_over_base_mib')})`,
    traced[name] ? `${short(of(traced[name], 'seeder_task_ms'))}, ${short(of(traced[name], 'leecher_task_ms'))}` : '',
  ]));
  return table(['case', 'what', 'MB/s', 's to the last byte', 'ms to link, first leaf', 'copies sent by the seeder', 'processor s/GB',
    'of it seeder, leechers, network, browser process', 'MiB at most: seeder, leecher (grown by)', 'longest task, ms: seeder, leecher'], rows);
}

/** Prints and keeps what it came to. @param {Runs[]} all @param {number} reps */
export function told(all, reps) {
  for (const runs of all) console.log(JSON.stringify(summary(runs, reps)));
  const env = ['MIB', 'STORAGE', 'LEECHERS', 'REPS', 'TASKS'].filter((name) => process.env[name]).map((name) => `${name}=${process.env[name]}`);
  const drawn = (/** @type {string} */ what, /** @type {string} */ key) => bars(what, all.map(({ given, plain }) => ({
    title: title(given),
    bars: Object.entries(plain).map(([name, runs]) => ({ name: NAMES[name], values: runs.map((run) => run[key]) })),
  })));
  const most = Math.max(...all.map(({ given }) => given.leechers));
  const name = most === 1 ? 'browser' : `browser-${most}`;
  record({
    name,
    title: most === 1 ? 'Pages, beside a raw data channel and WebTorrent' : `One page to ${most} others, beside WebTorrent`,
    command: ['make bench-browser', ...env].join(' '),
    text: `Transfers between pages of one Chromium with an ordinary profile, on loopback, the ways in turn, ${reps} times; medians, and the range in brackets. A raw channel is one reliable data
channel that is kept at 256 KiB of 64 KiB messages; WebTorrent is the package of npm with its own tracker client, at our signaller, with its default store for private files. Processor seconds are of all
processes of the browser for each gigabyte that somebody got. "Longest task" is of one more transfer of each, which was traced.

${goals(all)}

${measured(all)}

![MB/s of each way in each case](plots/${name}-rate.svg)

MB/s from the first verified leaf to the last, of the slowest leecher: medians as bars, ranges as lines.

![Processor seconds of each way in each case](plots/${name}-processor.svg)

Processor seconds for each gigabyte.`,
    plots: { [`${name}-rate`]: drawn('MB/s', 'mb_s'), [`${name}-processor`]: drawn('Processor seconds for each gigabyte', 'cpu_s_gb') },
  });
}
