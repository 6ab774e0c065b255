// @ts-check
// What a page that nobody looks at still carries: two pages transfer without a pause, visible, then hidden behind other tabs, then
// visible again. Rates are of verified bytes from the peer. A JSON line on stdout for each part, and one in the end.
//   HIDE=leecher|seeder|both VISIBLE=60 HIDDEN=180 MIB=384 STORAGE=memory|opfs node tests/browser/hidden.mjs
// A Chromium of its own, since drivers tell pages that they are seen whether they are or not; and without the switches by which they
// keep background pages awake. Timers of hidden pages are aligned to a second at once, and to a minute after 10 s where the browser
// thinks that nobody would notice (it exempts pages that hold data channels).
import puppeteer from 'puppeteer-core';
import { freePort, MiB, Peer, Signaller } from './harness.mjs';
import { installHelpers } from './in-page.mjs';

const hide = process.env.HIDE ?? 'both';
const [visible, hidden] = [Number(process.env.VISIBLE ?? 60), Number(process.env.HIDDEN ?? 180)];
// Of more than 400 MiB Chromium 156 reads no blob that a page made.
const mib = Number(process.env.MIB ?? 384);
const storage = process.env.STORAGE ?? 'memory';
const WARM_MS = 5000;

const signaller = await new Signaller(await freePort(), []).start();
const browser = await puppeteer.launch({
  executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
  args: ['--no-sandbox', '--disable-gpu', '--disable-dev-shm-usage',
    '--enable-features=IntensiveWakeUpThrottling:grace_period_seconds/10'],
  ignoreDefaultArgs: ['--disable-background-timer-throttling', '--disable-backgrounding-occluded-windows',
    '--disable-renderer-backgrounding'],
});

/** A page in a window of its own, and the tab that will hide it. @param {string} name */
async function page(name) {
  const context = await browser.createBrowserContext();
  const page = await context.newPage();
  await page.evaluateOnNewDocument(installHelpers, { base: signaller.base });
  const peer = new Peer(name, /** @type {any} */ (context), /** @type {any} */ (page), signaller.base);
  await page.goto(`${signaller.base}/healthz`);
  const cover = await context.newPage();
  await page.bringToFront();
  await peer.join({ storage });
  return { peer, page, cover };
}

/** @typedef {Awaited<ReturnType<typeof page>>} Tab */
/** @param {Tab} tab */
const taken = ({ page }) => page.evaluate(() => {
  const { t } = /** @type {any} */ (globalThis);
  return { at: performance.now(), bytes: t.node.stats().totals.fromPeers, seen: document.visibilityState };
});
/** How many milliseconds a timer of ten takes: the median of three. @param {Tab} tab */
const timer = ({ page }) => page.evaluate(async () => {
  const took = [];
  for (let turn = 0; turn < 3; turn += 1) {
    const began = performance.now();
    await new Promise((rang) => setTimeout(rang, 10));
    took.push(Math.round(performance.now() - began));
  }
  return took.sort((a, b) => a - b)[1];
});
/** @param {number} seconds */
const pass = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));

try {
  const [seeder, leecher] = await Promise.all([page('seeder'), page('leecher')]);
  const { magnet } = await seeder.peer.seed([{ path: 'hidden.bin', size: mib * MiB, seed: 7 }]);
  await leecher.page.evaluate((link) => {
    const { t } = /** @type {any} */ (globalThis);
    (async () => {
      for (t.rounds = 0; ; t.rounds += 1) {
        const share = await t.node.add(link);
        await share.done;
        await share.remove();
      }
    })().catch((error) => { t.failed = String(error); });
  }, magnet);
  const hiding = { leecher: [leecher], seeder: [seeder], both: [seeder, leecher] }[hide] ?? [];
  await pass(WARM_MS / 1000);
  const parts = [];
  for (const [state, seconds] of /** @type {[string, number][]} */ ([['visible', visible], ['hidden', hidden], ['visible', visible]])) {
    for (const tab of hiding) await (state === 'hidden' ? tab.cover : tab.page).bringToFront();
    const before = await taken(leecher);
    await pass(seconds);
    const after = await taken(leecher);
    const mb_s = Number(((after.bytes - before.bytes) / (after.at - before.at) / 1000).toFixed(1));
    const states = await Promise.all([seeder, leecher].map(taken));
    const timer_ms = Math.max(...await Promise.all(hiding.map(timer)));
    parts.push({ state, mb_s });
    console.log(JSON.stringify({ hide, state, seconds, mb_s, timer_ms, seen: states.map(({ seen }) => seen) }));
  }
  const failed = await leecher.page.evaluate(() => /** @type {any} */ (globalThis).t.failed);
  if (failed) throw new Error(failed);
  const [one, away, two] = parts.map(({ mb_s }) => mb_s);
  const rounds = await leecher.page.evaluate(() => /** @type {any} */ (globalThis).t.rounds);
  console.log(JSON.stringify({ summary: true, hide, storage, rounds, hidden_of_visible: Number((away * 2 / (one + two)).toFixed(3)) }));
} finally {
  await browser.close();
  await signaller.stop();
}
