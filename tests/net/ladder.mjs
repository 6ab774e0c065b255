// @ts-check
// Transfers over six lines, each worse than the one before, with losses and overtaken packets on either side, and
// each once more with five seconds in which nothing comes through. All six at the same time, each on lines of its own.
//   LEVELS=1,6 PAGES=0 node tests/net/ladder.mjs
import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Command, withFolder } from '../browser/native.mjs';
import { World, bytes, sha256 } from '../browser/harness.mjs';
import { Bed, node } from './bed.mjs';

const MBIT = 1_000_000;
const OUTAGE_MS = 5_000;
const RECOVERY_MS = 30_000;
const LIMIT_MS = 600_000;
const KIB = 1024;

/** Round trip in ms; lost and overtaken packets of a hundred, one way; KiB that are taken. */
const LEVELS = [
  { rtt: 10, loss: 0.5, reorder: 0.5, kib: 4096 },
  { rtt: 50, loss: 1, reorder: 1, kib: 4096 },
  { rtt: 100, loss: 2, reorder: 1, kib: 2048 },
  { rtt: 200, loss: 3, reorder: 2, kib: 2048 },
  { rtt: 300, loss: 5, reorder: 3, kib: 1024 },
  { rtt: 400, loss: 10, reorder: 5, kib: 512 },
].map((level, at) => ({ ...level, at: at + 1 }));
const chosen = (process.env.LEVELS ?? '1,2,3,4,5,6').split(',').map(Number);
const withPages = process.env.PAGES !== '0';

/** Half of everything on each of the two lines that a packet passes. @param {typeof LEVELS[0]} level */
const shape = (level) => ({
  rate: 10 * MBIT, delay: level.rtt * 250, loss: level.loss * 5_000, reorder: level.reorder * 5_000,
});

/** Waits until `done` of a transfer passes what is asked. @param {() => Promise<number>} done @param {number} more */
async function passes(done, more) {
  const began = performance.now();
  while (await done() < more) {
    if (performance.now() - began > LIMIT_MS) throw new Error(`not past ${more} bytes: ${await done()}`);
    await new Promise((next) => setTimeout(next, 50));
  }
  return performance.now() - began;
}

/** Cuts a line in the middle of a transfer; how long after that something comes again, in ms.
 * @param {Bed} bed @param {string} name @param {() => Promise<number>} done @param {number} size */
async function cutAndRecover(bed, name, done, size) {
  await passes(done, size / 8);
  await bed.cut([name], OUTAGE_MS);
  await new Promise((next) => setTimeout(next, OUTAGE_MS));
  const then = await done();
  return then >= size ? 0 : passes(done, then + 1);
}

/** @param {any[]} said */
const doneBytes = (said) => Number(said.findLast((line) => line.done !== undefined)?.done ?? 0);
/** @param {Buffer | Uint8Array} data */
const hash = (data) => createHash('sha256').update(data).digest('hex');

/** A transfer from a native peer to a native peer.
 * @param {Bed} bed @param {typeof LEVELS[0]} level @param {string} base @param {string} link @param {string} folder
 * @param {boolean} cut */
async function toNative(bed, level, base, link, folder, cut) {
  const began = performance.now();
  const getter = `b${level.at}`;
  const output = join(folder, `taken${level.at}`);
  const get = new Command(['get', link, '--signaller', base, '--output', output], bed.within(getter));
  const done = async () => doneBytes(get.said);
  const recovery = cut ? await cutAndRecover(bed, getter, done, level.kib * KIB) : undefined;
  const { name } = await get.hears('ready', LIMIT_MS);
  await get.hears('complete', LIMIT_MS);
  const seconds = (performance.now() - began) / 1000;
  await get.ended;
  const taken = await readFile(join(output, name));
  await rm(output, { recursive: true });
  return { seconds, recovery, sha256: hash(taken) };
}

/** A transfer from a native peer to a page, cut in the middle.
 * @param {Bed} bed @param {typeof LEVELS[0]} level @param {World} world @param {any} share */
async function toPage(bed, level, world, share) {
  const page = await world.peer(`page ${level.at}`, { storage: 'memory' });
  const began = performance.now();
  await page.ask('add', (t, given) => t.add(given), share.link, LIMIT_MS);
  const done = async () => Number((await page.progress(share.content)).done);
  const recovery = await cutAndRecover(bed, `b${level.at}`, done, level.kib * KIB);
  await page.done(share.content, LIMIT_MS);
  const seconds = (performance.now() - began) / 1000;
  const [{ sha256: found }] = await page.hashes(share.content);
  await page.close();
  return { seconds, recovery, sha256: found };
}

/** @param {Bed} bed @param {typeof LEVELS[0]} level @param {string} base @param {string} folder */
async function climb(bed, level, base, folder) {
  /** @type {{ what: string, seconds: number, recovery?: number }[]} */
  const rows = [];
  const path = join(folder, `level${level.at}.bin`);
  const content = randomBytes(level.kib * KIB);
  await writeFile(path, content);
  const seed = new Command(['seed', path, '--signaller', base], bed.within(`a${level.at}`));
  const share = await seed.hears('share');
  /** @param {string} what @param {{ seconds: number, recovery?: number, sha256: string }} result @param {string} [sha] */
  const note = (what, { sha256: found, ...row }, sha = hash(content)) => {
    assert.equal(found, sha, `level ${level.at}, ${what}: the bytes are the content`);
    rows.push({ what, ...row });
    console.error(`level ${level.at}: ${what}: ${JSON.stringify(row)}`);
  };
  note('native to native', await toNative(bed, level, base, share.link, folder, false));
  note('native to native, cut', await toNative(bed, level, base, share.link, folder, true));
  if (withPages) {
    const browser = await bed.browser(`b${level.at}`, base);
    const other = await bed.browser(`a${level.at}`, base);
    try {
      note('native to page, cut', await toPage(bed, level, new World(/** @type {any} */ ({ base }), browser), share));
      const world = new World(/** @type {any} */ ({ base }), other);
      const page = await world.peer(`seed ${level.at}`, { storage: 'memory' });
      const size = level.kib * KIB;
      const { link } = await page.seed([{ path: `page${level.at}.bin`, size, seed: level.at }]);
      note('page to native, cut', await toNative(bed, level, base, link, folder, true), sha256(bytes(level.at, size)));
    } finally {
      await browser.close();
      await other.close();
    }
  }
  await seed.stop();
  return rows;
}

const levels = LEVELS.filter((level) => chosen.includes(level.at));
const bed = await Bed.make([
  node('hub', {}),
  ...levels.flatMap((level) => [node(`a${level.at}`, shape(level)), node(`b${level.at}`, shape(level))]),
]);
let late = 0;
try {
  const signaller = await bed.signaller('hub');
  await withFolder(async (folder) => {
    const all = await Promise.all(levels.map((level) => climb(bed, level, signaller.base, folder)));
    console.log('| level | round trip, lost and overtaken one way | transfer | size | time | goodput | going again after a cut of 5 s |');
    console.log('|---|---|---|---|---|---|---|');
    for (const [at, rows] of all.entries()) {
      const { at: number, rtt, loss, reorder, kib } = levels[at];
      for (const { what, seconds, recovery } of rows) {
        const again = recovery === undefined ? '' : `${(recovery / 1000).toFixed(1)} s`;
        late += recovery !== undefined && recovery > RECOVERY_MS ? 1 : 0;
        console.log(`| ${number} | ${rtt} ms, ${loss} %, ${reorder} % | ${what} | ${kib} KiB | ${seconds.toFixed(1)} s `
          + `| ${(kib / seconds).toFixed(0)} KiB/s | ${again} |`);
      }
    }
  });
  signaller.stop();
} finally {
  await bed.close();
}
if (late) console.error(`${late} transfers went on later than ${RECOVERY_MS / 1000} s after the cut`);
process.exitCode = late ? 1 : 0;
