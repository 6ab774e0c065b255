// @ts-check
// Native peers and pages that take one file from one seed, each behind a line of its own, and the simulator's prediction
// for the same lines. Where namespaces cannot be made: native peers alone, each with a slower line inside its process.
//   PEERS=30 PAGES=3 MIB=64 UP=2 DOWN=20 RTT=60 ORIGIN=4 QUEUE_KIB=384 RECORD=1 node tests/net/swarm.mjs
// RECORD=1: a part of docs/RESULTS.md.
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { Command, sha256Of, withFolder } from '../browser/native.mjs';
import { record, table } from '../browser/record.mjs';
import { Signaller, World, within } from '../browser/harness.mjs';
import { Bed, NotPermitted, run } from './bed.mjs';

const of = (/** @type {string} */ name, /** @type {number} */ own) => Number(process.env[name] ?? own);
const peers = of('PEERS', 30);
const mib = of('MIB', 64);
const [up, down, rtt, origin] = [of('UP', 2), of('DOWN', 20), of('RTT', 60), of('ORIGIN', 4)];
const queue = of('QUEUE_KIB', 384) * 1024;
const size = mib * 1024 * 1024;
/** Ten times what a chain would take is a hang. */
const LIMIT_MS = 10_000 * (60 + (size * 8) / (up * 1e6));
/** Goal E3 of the simulator: how far it may be from what is measured. */
const MEAN_OFF = 10;
const P95_OFF = 15;

/** @param {string} name @param {number} times */
const access = (name, times) => ({
  name,
  up: { rate: up * times * 1e6, delay: rtt * 250, queue: queue * times },
  down: { rate: down * 1e6, delay: rtt * 250 },
});
const names = Array.from({ length: peers }, (_, at) => `n${at}`);

/** Where everybody is, and how to get there. @param {number} pages */
async function place(pages) {
  const tabs = Array.from({ length: pages }, (_, at) => `p${at}`);
  try {
    const bed = await Bed.make([{ name: 'hub' }, access('seed', origin), ...[...names, ...tabs].map((name) => access(name, 1))]);
    return { bed, tabs };
  } catch (error) {
    if (!(error instanceof NotPermitted)) throw error;
    console.error(`${error.message}: no pages, and each peer has its line inside its own process`);
    return { bed: undefined, tabs: [] };
  }
}

/** @param {Bed | undefined} bed @param {string} name @param {string[]} args @param {number} [times] */
function peer(bed, name, args, times = 1) {
  const line = ['--line', `${Math.round(up * times * 125)}k,${rtt / 2}`];
  return new Command(['seed', ...args, '--links-max', '30', ...(bed ? [] : line)], bed?.within(name));
}

/** Waits for one event of a peer; when it came, in ms since the process began. @param {Command} command */
async function whenDone(command) {
  await command.hears('share', LIMIT_MS);
  return performance.now();
}

/** @param {Bed} bed @param {string[]} tabs @param {string} base */
async function openPages(bed, tabs, base) {
  const found = [];
  for (const tab of tabs) {
    const browser = await bed.browser(tab, base);
    const world = new World(/** @type {any} */ ({ base }), browser);
    found.push({ browser, page: await world.page(tab) });
  }
  return found;
}

/** The value below which that share of them is. @param {number[]} times @param {number} share */
const nearest = (times, share) => times.toSorted((a, b) => a - b)[Math.max(Math.ceil(times.length * share) - 1, 0)];
/** @param {number[]} times */
const mean = (times) => times.reduce((sum, time) => sum + time, 0) / times.length;

/** What the simulator says for lines that carry that much in channels. @param {number} count @param {number} share */
async function predict(count, share) {
  const args = ['flash-crowd', '--peers', count, '--mib', mib, '--origin-ratio', origin, '--seeds', 5, '--json', '--threads', 1];
  const values = { up: up * share, down: down * share, rtt_min: rtt, rtt_max: rtt, jitter: 1, links_max: 30 };
  const set = Object.entries(values).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
  const target = resolve(import.meta.dirname, '../..', process.env.CARGO_TARGET_DIR ?? 'target');
  const { stdout } = await run(join(target, 'release/sim'), [...args, ...set].map(String));
  return JSON.parse(stdout);
}

/** Looks at the lines every second, until it is stopped: what the native peers' lines sent of what they could, from
 * 10 % to 90 % of the time, as the simulator counts it, and in each tenth of the time; and the seed's line in each.
 * @param {Bed | undefined} bed */
function watch(bed) {
  /** @type {{ at: number, peers: number, seed: number }[]} */ const seen = [];
  const look = async () => {
    const counted = await bed?.count();
    if (!counted) return;
    const bytes = names.reduce((sum, name) => sum + counted.count[name].up.bytes, 0);
    const rate = up * 125_000;
    seen.push({ at: counted.micros / 1e6, peers: bytes / (peers * rate), seed: counted.count.seed.up.bytes / (origin * rate) });
  };
  const timer = setInterval(look, 1000);
  /** @param {'peers' | 'seed'} whose @param {number} begin @param {number} end */
  const use = (whose, begin, end) => {
    const [from, to] = [begin, end].map((part) => seen[Math.round((seen.length - 1) * part)]);
    return from && to ? (to[whose] - from[whose]) / (to.at - from.at) : Number.NaN;
  };
  const tenths = (/** @type {'peers' | 'seed'} */ whose) => (
    Array.from({ length: 10 }, (_, at) => use(whose, at / 10, (at + 1) / 10)));
  return () => {
    clearInterval(timer);
    return { use: use('peers', 0.1, 0.9), tenths: tenths('peers'), seedTenths: tenths('seed') };
  };
}

/** Lets all of them fetch; seconds from the start of each to its end, and what the lines carried.
 * @param {Bed | undefined} bed @param {string[]} tabs @param {string} base @param {string} folder */
async function swarm(bed, tabs, base, folder) {
  const path = join(folder, 'film.bin');
  await writeFile(path, randomBytes(size));
  const seed = peer(bed, 'seed', [path, '--signaller', base], origin);
  const { link, content } = await seed.hears('share');
  const pages = bed ? await openPages(bed, tabs, base) : [];
  const began = performance.now();
  const stopWatch = watch(bed);
  const natives = names.map((name) => peer(bed, name, [link, '--signaller', base, '--data', join(folder, name)]));
  const inPages = pages.map(async ({ page }) => {
    await page.join({ storage: 'memory' });
    await page.add(link);
    await page.done(content, LIMIT_MS);
    return performance.now();
  });
  const ended = await Promise.all([...natives.map(whenDone), ...inPages]);
  const used = stopWatch();
  const times = ended.map((at) => (at - began) / 1000);
  const counted = await bed?.count();
  const carried = await tally(natives, counted);
  const wanted = await sha256Of(path);
  for (const { page } of pages) {
    const [{ sha256: found }] = await page.hashes(content);
    if (found !== wanted) throw new Error('a page holds other bytes');
  }
  await Promise.all([...natives, seed].map((command) => command.stop()));
  await Promise.all(pages.map(({ browser }) => browser.close()));
  return { times, ...used, ...carried };
}

/** Bytes on channels of what native peers' lines carried, and packets for which a queue had no room.
 * @param {Command[]} natives @param {Awaited<ReturnType<Bed['count']>> | undefined} counted */
async function tally(natives, counted) {
  if (!counted) return { share: 1, payload: 1, wasted: 0, failed: 0, overflowed: 0 };
  // A status comes every ten seconds: the next is of the time of the count, and little is sent when all are done.
  const before = natives.map((native) => native.said.length);
  const heard = await Promise.all(natives.map((native, at) => within((async () => {
    for (;;) {
      const status = native.said.slice(before[at]).find((line) => line.event === 'status');
      if (status) return status;
      await new Promise((next) => setTimeout(next, 100));
    }
  })(), 'a status')));
  const sum = (/** @type {number[]} */ all) => all.reduce((total, one) => total + one, 0);
  const of = (/** @type {string} */ key) => sum(heard.map((status) => status[key]));
  const lines = names.map((name) => counted.count[name].up);
  const total = sum(lines.map((line) => line.bytes));
  return {
    share: of('wire_sent') / total,
    payload: of('sent') / total,
    wasted: of('wasted') / of('received'),
    failed: of('dials_failed'),
    overflowed: sum(lines.map((line) => line.overflowed)) / sum(lines.map((line) => line.packets)),
  };
}

/** @param {number} pages */
const title = (pages) => `${peers} native peers and ${pages} pages, ${mib} MiB from one seed, beside the simulator's prediction`;
const ABOUT = `Each behind its own line: ${up} Mbit/s up, ${down} down, ${rtt} ms, the seed ${up * origin} up. The prediction is \`sim flash-crowd\` with the same numbers and
five seeds, at the part of the lines that was on channels in this run ([NETWORK.md](NETWORK.md) says why). Goals E3 and A8.`;

/** Rows of the table, and how many are further off than they may be. @param {number[]} times @param {any} said */
function compared(times, said) {
  let far = 0;
  const rows = /** @type {[string, number, number, number?][]} */ ([
    ['first', Math.min(...times), Number.NaN],
    ['median', nearest(times, 0.5), said.median_s],
    ['mean', mean(times), said.mean_s, MEAN_OFF],
    ['95 %', nearest(times, 0.95), said.p95_s, P95_OFF],
    ['last', Math.max(...times), said.last_s],
    ['pages alone, mean', mean(times.slice(peers)), Number.NaN],
  ]).map(([what, is, was, most]) => {
    const off = (100 * (is - was)) / was;
    far += most !== undefined && Math.abs(off) > most ? 1 : 0;
    const seen = Number.isNaN(was) ? ['', ''] : [`${was.toFixed(1)} s`, `${off > 0 ? '+' : ''}${off.toFixed(1)} %`];
    return [what, `${is.toFixed(1)} s`, ...seen, most === undefined ? '' : `${most} %`];
  });
  return { rows, far };
}

const { bed, tabs } = await place(of('PAGES', 3));
/** @type {{ stop: () => unknown, base: string } | undefined} */ let signaller;
try {
  signaller = bed ? await bed.signaller('hub') : await new Signaller(of('PORT', 18787), []).start();
  const { base } = signaller;
  await withFolder(async (folder) => {
    const { times, use, tenths, seedTenths, share, payload, wasted, failed, overflowed } = await swarm(bed, tabs, base, folder);
    const said = await predict(times.length, share);
    const percent = (/** @type {number} */ part) => (part * 100).toFixed(1);
    const lines = `${percent(share)} % of the lines' bytes were on channels, ${percent(payload)} % were blocks, of which ${percent(wasted)} % came twice; `
      + `${percent(overflowed)} % of the packets found no room, ${failed} dials failed. The peers' lines were used to ${percent(use)} % `
      + `(simulated: ${percent(said.uplink_use)} %), by tenths of the time ${tenths.map(percent).join(', ')}; the seed's `
      + `${seedTenths.map(percent).join(', ')}.`;
    const { rows, far } = compared(times, said);
    const text = `${lines}\n\n${table(['completion', 'measured', 'simulated', 'off', 'at most'], rows)}`;
    console.log(`${title(tabs.length)}\n\n${text}`);
    const set = Object.keys(process.env).filter((name) => ['PEERS', 'PAGES', 'MIB', 'UP', 'DOWN', 'RTT', 'ORIGIN', 'QUEUE_KIB'].includes(name));
    record({
      name: 'swarm', title: title(tabs.length), text: `${ABOUT}\n\n${text}`,
      command: ['make net-test SCENE=swarm', ...set.map((name) => `${name}=${process.env[name]}`)].join(' '),
    });
    process.exitCode = far ? 1 : 0;
  });
} finally {
  await signaller?.stop();
  await bed?.close();
}
