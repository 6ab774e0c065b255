// @ts-check
// Peers of the command line against a raw channel of the same pair, in the same run, by turns. One JSON line on stdout.
//   MIB=256 REPS=1 node tests/browser/bench-native.mjs
import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { binary, bytes, MiB, World } from './harness.mjs';
import { Command, sha256Of, withFolder } from './native.mjs';
import { setUp } from './raw-channel.mjs';

const mib = Number(process.env.MIB ?? 256);
const reps = Number(process.env.REPS ?? 1);
const limit = 300_000;
const raw = join(dirname(binary), 'examples/raw');
const size = mib * MiB;

/** @param {number[]} values */
const median = (values) => [...values].sort((a, b) => a - b)[values.length >> 1];
/** @param {{ bytes: number, seconds: number }} run MB/s */
const rate = ({ bytes: moved, seconds }) => moved / 1e6 / seconds;

/** Lines of the raw program, parsed. @param {string[]} args */
function rawProgram(args) {
  const child = spawn(raw, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  return { child, next: async () => JSON.parse((await lines.next()).value) };
}

async function rawPair() {
  return rate(await rawProgram(['pair', String(mib)]).next());
}

/** @param {World} world @param {boolean} up from the page to the program */
async function rawPage(world, up) {
  const page = await world.page('raw');
  await page.page.evaluate(setUp, 'offer');
  const offer = await page.ask('offer', async (t) => {
    await t.raw.pc.setLocalDescription(await t.raw.pc.createOffer());
    return t.raw.gathered();
  });
  const { child, next } = rawProgram(['page', String(mib), up ? 'up' : 'down']);
  const received = up ? undefined : page.ask('receive', (t, all) => t.receiveRaw(all), size, limit);
  child.stdin.write(`${JSON.stringify(offer)}\n`);
  await page.ask('answer', async (t, sdp) => t.raw.pc.setRemoteDescription({ type: 'answer', sdp }), await next());
  await page.ask('open', (t) => t.raw.open);
  if (up) await page.ask('send', (t, all) => t.sendRaw(all), size, limit);
  const result = up ? await next() : await received;
  child.kill();
  await page.close();
  return rate(/** @type {any} */ (result));
}

/** Goodput from the first verified byte to the last. @param {any[]} said @param {number} total */
function goodput(said, total) {
  const moves = said.filter((line) => line.event === 'progress' && line.from_peers > 0);
  const [first, end] = [moves[0], said.find((line) => line.event === 'complete')];
  // Reports come four times a second: what came before the first one is left out, as its time is.
  return (total - first.from_peers) / 1e6 / (end.seconds - first.seconds);
}

/** @param {World} world @param {string} folder */
async function pair(world, folder) {
  const path = join(folder, 'film.bin');
  const seed = new Command(['seed', path, '--signaller', world.signaller.base]);
  const { link } = await seed.hears('share', limit);
  const output = join(folder, 'taken');
  const get = new Command(['get', link, '--output', output]);
  await get.hears('complete', limit);
  await get.ended;
  await seed.stop();
  if (await sha256Of(join(output, 'film.bin')) !== await sha256Of(path)) throw new Error('other bytes');
  await rm(output, { recursive: true });
  return goodput(get.said, size);
}

/** @param {World} world @param {string} folder */
async function fromPage(world, folder) {
  const a = await world.peer('a', { storage: 'memory' });
  const { link } = await a.ask('seed', (t, all) => t.seed([{ path: 'up.bin', size: all, seed: 7 }], {}), size, limit);
  const get = new Command(['get', link, '--output', folder]);
  await get.hears('complete', limit);
  await get.ended;
  await a.close();
  await rm(join(folder, 'up.bin'));
  await rm(join(folder, '.swarmlet'), { recursive: true });
  return goodput(get.said, size);
}

/** @param {World} world @param {string} folder */
async function toPage(world, folder) {
  const seed = new Command(['seed', join(folder, 'film.bin'), '--signaller', world.signaller.base]);
  const { link, content } = await seed.hears('share', limit);
  const b = await world.peer('b', { storage: 'memory' });
  const took = await b.ask('fetch', async (t, given) => {
    let first = 0;
    t.node.events.addEventListener('share', (/** @type {any} */ e) => {
      if (e.detail.state === 'first-leaf') first ||= performance.now();
    });
    t.keep(await t.node.add(given.link));
    await t.shares.get(given.content).done;
    return performance.now() - first;
  }, { link, content }, limit);
  await Promise.all([b.close(), seed.stop()]);
  return size / 1000 / took;
}

const world = await World.start();
/** @type {Record<string, number[]>} */
const runs = { raw_pair: [], pair: [], raw_up: [], up: [], raw_down: [], down: [] };
try {
  await withFolder(async (folder) => {
    await writeFile(join(folder, 'film.bin'), size > 2 ** 30 ? bytes(7, size) : randomBytes(size));
    for (let i = 0; i < reps; i += 1) {
      runs.raw_pair.push(await rawPair());
      runs.pair.push(await pair(world, folder));
      runs.raw_up.push(await rawPage(world, true));
      runs.up.push(await fromPage(world, folder));
      runs.raw_down.push(await rawPage(world, false));
      runs.down.push(await toPage(world, folder));
    }
  });
} finally {
  await world.close();
}
const of = (/** @type {string} */ name) => Number(median(runs[name]).toFixed(1));
const ratio = (/** @type {string} */ name) => Number((median(runs[name]) / median(runs[`raw_${name}`])).toFixed(2));
console.log(JSON.stringify({
  mib, reps,
  native_to_native_mb_s: of('pair'), raw_native_to_native_mb_s: of('raw_pair'), native_to_native: ratio('pair'),
  page_to_native_mb_s: of('up'), raw_page_to_native_mb_s: of('raw_up'), page_to_native: ratio('up'),
  native_to_page_mb_s: of('down'), raw_native_to_page_mb_s: of('raw_down'), native_to_page: ratio('down'),
}));
