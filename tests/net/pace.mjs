// @ts-check
// How much of a line transfers take, how long others wait for it, and how two share it: pages with Swarmlet, native peers, and programs
// that write to a data channel of the browser and know nothing of lines. One side is behind the line, the other is not; a ping
// from the one to the other runs beside each transfer. A JSON line for each on stdout, and a table in the end.
// One page or native peer takes MIB from another; the other ways go on for SECONDS.
//   MIB=64 SECONDS=12 LINES=1,2,3,4 QUEUE_MS=300,rtt WAYS=raw-full,raw-256,pages,two,native node tests/net/pace.mjs
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { MiB, World } from '../browser/harness.mjs';
import { Command, withFolder } from '../browser/native.mjs';
import { connectRaw } from '../browser/raw-channel.mjs';
import { Bed } from './bed.mjs';

/**
 * When the receiver had how much: milliseconds since 1970, bytes.
 * @typedef {[at: number, bytes: number][]} Marks
 * @typedef {{ marks: Marks[], close: () => Promise<unknown> }} Transfer
 * @typedef {import('../browser/harness.mjs').Peer} Peer
 */

const MBIT = 1_000_000;
const mib = Number(process.env.MIB ?? 64);
const seconds = Number(process.env.SECONDS ?? 12);
/** Of one transfer no more is waited for. */
const LONGEST_MS = 90_000;
/** Until then a transfer is in its beginning. */
const FIRST_MS = 3_000;
const LEAF = 16_384;
/** The second of two transfers begins so much later: who comes late must neither starve nor push the other aside. */
const HEAD_START_MS = 3_000;
const PING_MS = 40;
const list = (/** @type {string} */ name, /** @type {string} */ own) => (process.env[name] ?? own).split(',');

/** Mbit/s from sender to receiver and back, ms one way, lost packets in a million. */
const LINES = [
  { name: '50 Mbit/s, 2 × 20 ms', rate: 50, back: 50, delay: 20, loss: 0 },
  { name: '10 Mbit/s, 2 × 50 ms', rate: 10, back: 10, delay: 50, loss: 0 },
  { name: '100 Mbit/s, 2 × 5 ms, 0.5 % lost', rate: 100, back: 100, delay: 5, loss: 5_000 },
  { name: '50 Mbit/s, 10 back, 2 × 20 ms', rate: 50, back: 10, delay: 20, loss: 0 },
];
/** @typedef {typeof LINES[0]} Line */

/** @param {number} rate @param {Line} line @param {number} queue ms that the line's queue holds */
const shape = (rate, { delay, loss }, queue) => ({
  rate: rate * MBIT, delay: delay * 1000, loss, queue: Math.round((rate * MBIT * queue) / 8000),
});

/** More than the line carries in the time of a run. @param {Line} line */
const enough = ({ rate }) => Math.ceil((rate * 125_000 * (seconds + 2 * HEAD_START_MS / 1000)) / MiB) * MiB;

/** Pings until it is stopped: when an answer came, and after how many ms. @param {Bed} bed */
function ping(bed) {
  const [file, ...args] = [...bed.within('a'), 'ping', '-D', '-n', '-i', String(PING_MS / 1000), bed.address('b')];
  const child = spawn(file, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const ended = new Promise((done) => child.once('exit', done));
  let text = '';
  child.stdout.on('data', (more) => { text += more; });
  return async () => {
    child.kill('SIGINT');
    await ended;
    return Array.from(text.matchAll(/^\[([\d.]+)\].*time=([\d.]+) ms/gm), ([, at, took]) => ({ at: Number(at) * 1000, took: Number(took) }));
  };
}

/** The value below which that share of them is. @param {number[]} sorted @param {number} share */
const nearest = (sorted, share) => sorted[Math.max(Math.ceil(sorted.length * share) - 1, 0)];
/** @param {number} ms */
const wait = (ms) => new Promise((next) => setTimeout(next, ms));

/** What the page had last, and when, up to a moment. @param {Marks} marks @param {number} until */
const lastOf = (marks, until) => marks.findLast(([at]) => at <= until) ?? marks[0];

/** Mbit/s between two moments. @param {Marks} marks @param {number} from @param {number} until */
function rate(marks, from, until) {
  const [[began, had], [ended, has]] = [lastOf(marks, from), lastOf(marks, until)];
  return ended > began ? ((has - had) * 8) / 1000 / (ended - began) : 0;
}

/** A page that writes to a channel as long as it holds less than `high` bytes. @param {Peer} from @param {Peer} to @param {number} high
 * @returns {Promise<Transfer>} */
async function raw(from, to, high) {
  await connectRaw(from, to);
  await to.ask('receive', (t) => {
    t.marks = [];
    let got = 0;
    t.raw.channel.onmessage = (/** @type {any} */ event) => {
      got += event.data.byteLength;
      t.marks.push([performance.timeOrigin + performance.now(), got]);
    };
  });
  await from.ask('send', (t, most) => { void t.sendRaw(Number.MAX_SAFE_INTEGER, most); }, high);
  return watched([to], [from, to], wait(seconds * 1000));
}

/** What receivers noted until then, and what closes everything.
 * @param {Peer[]} receivers @param {Peer[]} all @param {Promise<unknown>} until @returns {Promise<Transfer>} */
async function watched(receivers, all, until) {
  /** @type {Transfer} */
  const transfer = { marks: [], close: () => Promise.all(all.map((peer) => peer.close())) };
  await until;
  for (const to of receivers) transfer.marks.push(await to.ask('marks', (t) => t.marks));
  return transfer;
}

/** Fetches, and notes what is there at each event: the first leaf, progress, the last. @param {Peer} to @param {string} link @param {number} size
 * @returns {Promise<string>} */
const begin = (to, link, size) => to.ask('add', async (t, given) => {
  t.marks = [];
  const note = (/** @type {number} */ bytes) => t.marks.push([performance.timeOrigin + performance.now(), bytes]);
  t.node.events.addEventListener('share', (/** @type {any} */ { detail }) => {
    if (detail.state === 'first-leaf') note(given.leaf);
  });
  const share = await t.node.add(given.link);
  t.node.events.addEventListener('progress', () => { if (share.stats().done > (t.marks.at(-1)?.[1] ?? 0)) note(share.stats().done); });
  share.done.then(() => note(given.size));
  return t.keep(share).id;
}, { link, size, leaf: LEAF });

/** Pages that each fetch what a page of their own seeds; each begins a little later than the one before.
 * @param {[from: World, to: World]} worlds @param {Line} line @param {number} count @returns {Promise<Transfer>} */
async function pages([from, to], line, count) {
  const size = count === 1 ? mib * MiB : enough(line);
  const pairs = await Promise.all(Array.from({ length: count }, async (_, at) => {
    const seed = await from.peer(`seed ${at}`, { storage: 'memory' });
    const { link } = await seed.ask('seed', (t, file) => t.seed([file]), { path: 'pace.bin', size, seed: at + 1 }, 60_000);
    return { seed, link, leech: await to.peer(`leech ${at}`, { storage: 'memory' }) };
  }));
  /** @type {Promise<unknown> | undefined} */
  let until;
  for (const [at, { leech, link }] of pairs.entries()) {
    if (at > 0) await wait(HEAD_START_MS);
    const id = await begin(leech, link, size);
    if (count === 1) until = Promise.race([leech.done(id, 2 * LONGEST_MS), wait(LONGEST_MS)]);
  }
  return watched(pairs.map(({ leech }) => leech), pairs.flatMap(({ seed, leech }) => [seed, leech]), until ?? wait(seconds * 1000));
}

/** Native peers. @param {Bed} bed @param {string} base @param {string} folder @returns {Promise<Transfer>} */
async function native(bed, base, folder) {
  const path = join(folder, 'pace.bin');
  await writeFile(path, randomBytes(mib * MiB));
  const seed = new Command(['seed', path, '--signaller', base], bed.within('a'));
  const { link } = await seed.hears('share');
  const get = new Command(['get', link, '--signaller', base, '--output', join(folder, `taken ${performance.now()}`)], bed.within('b'));
  /** @type {Marks} */
  const marks = [];
  const timer = setInterval(() => {
    const { done = 0 } = get.said.findLast((line) => line.done !== undefined) ?? {};
    if (done > (marks.at(-1)?.[1] ?? 0)) marks.push([Date.now(), done]);
  }, 10);
  await Promise.race([get.hears('complete', 2 * LONGEST_MS), wait(LONGEST_MS)]);
  clearInterval(timer);
  return { marks: [marks], close: () => Promise.all([get.stop(), seed.stop()]) };
}

/** @type {Record<string, { name: string, run: (bed: Bed, line: Line, base: string, worlds: [World, World], folder: string) => Promise<Transfer> }>} */
const WAYS = {
  'raw-full': { name: 'raw channel, buffer of 4 MiB', run: async (_, __, ___, [from, to]) => (
    raw(await from.page('from'), await to.page('to'), 4 * MiB)) },
  'raw-256': { name: 'raw channel, buffer of 256 KiB', run: async (_, __, ___, [from, to]) => (
    raw(await from.page('from'), await to.page('to'), MiB / 4)) },
  pages: { name: 'page to page', run: (_, line, __, worlds) => pages(worlds, line, 1) },
  two: { name: 'two of these', run: (_, line, __, worlds) => pages(worlds, line, 2) },
  native: { name: 'native to native', run: (bed, _, base, __, folder) => native(bed, base, folder) },
};

/** @param {number} value @param {number} [digits] */
const round = (value, digits = 1) => Number(value.toFixed(digits));

/** One way over one line, and what it did to it. @param {Bed} bed @param {Line} line @param {number} queue @param {string} way
 * @param {string} base @param {[World, World]} worlds @param {string} folder */
async function measure(bed, line, queue, way, base, worlds, folder) {
  const stop = ping(bed);
  const dropped = async () => (await bed.dropped('a')) + (await bed.dropped('b'));
  const [before, droppedBefore] = [(await bed.count()).count.a.up, await dropped()];
  const { marks, close } = await WAYS[way].run(bed, line, base, worlds, folder);
  const [after, droppedAfter] = [(await bed.count()).count.a.up, await dropped()];
  const pings = await stop();
  await close();
  // All of the transfers run from the moment in which the last one has something to that in which the first one was asked.
  const begun = marks.map((of) => of.findIndex(([, bytes]) => bytes > 0));
  if (begun.some((at) => at < 0)) return { line: line.name, queue_ms: queue, way, mbit_s: 0, failed: true };
  const from = Math.max(...marks.map((of, at) => of[begun[at]][0]));
  const until = Math.min(...marks.map((of) => of[of.length - 1][0]));
  const rates = marks.map((of) => rate(of, from, until));
  const sum = rates.reduce((a, b) => a + b);
  const times = pings.filter(({ at }) => at > from && at < until).map(({ took }) => took).sort((a, b) => a - b);
  const queued = (/** @type {number} */ share) => round(nearest(times, share) - 2 * line.delay);
  const each = Array.from({ length: Math.floor((until - from) / 1000) }, (_, at) => (
    marks.map((of) => round(rate(of, from + at * 1000, from + (at + 1) * 1000)))));
  const carried = Math.max(...marks.map((of) => of[of.length - 1][1]));
  const whole = rates.length === 1 && !way.startsWith('raw') && carried === mib * MiB;
  return {
    line: line.name, queue_ms: queue, way, mib: whole ? mib : undefined, seconds: round((until - from) / 1000), mbit_s: round(sum, 2), of_line: round(sum / line.rate, 3),
    first_mbit_s: round(marks.reduce((all, of) => all + rate(of, from, Math.min(from + FIRST_MS, until)), 0), 2),
    first_share: rates.length > 1 ? round(rates[0] / sum, 3) : undefined,
    queued_p50_ms: queued(0.5), queued_p95_ms: queued(0.95),
    overflowed: round((after.overflowed - before.overflowed) / (after.packets - before.packets + after.overflowed - before.overflowed), 5),
    dropped_by_machine: droppedAfter - droppedBefore, mbit_s_each_second: each,
  };
}

/** @param {Line} line @param {number} queue @param {string[]} ways @param {string} folder */
async function over(line, queue, ways, folder) {
  const rows = [];
  const bed = await Bed.make([{ name: 'hub' }, { name: 'b' },
    { name: 'a', up: shape(line.rate, line, queue), down: shape(line.back, line, queue) }]);
  try {
    const signaller = await bed.signaller('hub');
    const { base } = signaller;
    const browsers = await Promise.all(['a', 'b'].map((name) => bed.browser(name, base)));
    const [from, to] = browsers.map((browser) => new World(/** @type {any} */ ({ base }), browser));
    for (const way of ways) {
      const row = await measure(bed, line, queue, way, base, [from, to], folder);
      console.log(JSON.stringify(row));
      rows.push(row);
    }
    await Promise.all(browsers.map((browser) => browser.close()));
    signaller.stop();
  } finally {
    await bed.close();
  }
  return rows;
}

const ways = list('WAYS', Object.keys(WAYS).join());
const rows = [];
await withFolder(async (folder) => {
  for (const number of list('LINES', '1,2,3,4')) {
    for (const queue of list('QUEUE_MS', '300,rtt')) {
      const line = LINES[Number(number) - 1];
      rows.push(...await over(line, queue === 'rtt' ? 2 * line.delay : Number(queue), ways, folder));
    }
  }
});
console.log('| line | queue | what | Mbit/s | in the first 3 s | of the line | of a raw channel | longer round trip: half, 95 % | packets without room | shares |');
console.log('|---|---|---|---|---|---|---|---|---|---|');
for (const row of rows) {
  const best = Math.max(...rows.filter(({ line, queue_ms, way }) => (
    line === row.line && queue_ms === row.queue_ms && way.startsWith('raw'))).map(({ mbit_s }) => mbit_s));
  const percent = (/** @type {number} */ part, digits = 0) => `${(part * 100).toFixed(digits)} %`;
  const shares = row.first_share === undefined ? '' : `${percent(row.first_share)} / ${percent(1 - row.first_share)}`;
  console.log(`| ${row.line} | ${row.queue_ms} ms | ${WAYS[row.way].name} | ${row.mbit_s.toFixed(1)} | ${(row.first_mbit_s ?? 0).toFixed(1)} | ${percent(row.of_line ?? 0)} `
    + `| ${best > 0 ? (row.mbit_s / best).toFixed(2) : ''} | ${row.queued_p50_ms} ms, ${row.queued_p95_ms} ms `
    + `| ${percent(row.overflowed ?? 0, 2)} | ${shares} |`);
}
