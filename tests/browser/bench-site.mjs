// @ts-check
// What the embed costs a visitor whom nobody else can help: pairs of loads of the same page without and with it, in turns, and
// the start of a film. A JSON line for each case with both medians and their ratio. [LOADS=20 CASE=closed|open]
import { MiB, World } from './harness.mjs';
import { Site, Visitor } from './site.mjs';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LOADS = Number(process.env.LOADS ?? 20);
const world = await World.start();

/** @param {Record<string, string>} tag */
async function siteWith(tag) {
  const site = await Site.make({ signaller: world.base, film: true, large: MiB, tag });
  const page = readFileSync(join(site.folder, 'index.html'), 'utf8');
  writeFileSync(join(site.folder, 'plain.html'), page.replace(/<script async .*<\/script>/, ''));
  return site;
}

/** Milliseconds from asking for a film to its first picture. */
const film = `(async () => {
  const film = document.getElementById('film');
  film.muted = true;
  film.scrollIntoView();
  await new Promise((next) => setTimeout(next, 300));
  const start = performance.now();
  const shown = new Promise((shown) => film.requestVideoFrameCallback(() => shown(performance.now() - start)));
  await film.play();
  return shown;
})()`;

/** @param {Site} site @param {string} path @param {boolean} sharing @param {number} number */
async function visit(site, path, sharing, number) {
  const visitor = await Visitor.open(world.browser, site, `${path}-${number}`, { path });
  const load = await visitor.page.evaluate(`(async () => {
    if (document.readyState !== 'complete') await new Promise((loaded) => addEventListener('load', loaded));
    await new Promise((next) => setTimeout(next));
    const { loadEventEnd, startTime } = performance.getEntriesByType('navigation')[0];
    return loadEventEnd - startTime;
  })()`);
  if (sharing && path === '') await visitor.sharing();
  const start = await visitor.page.evaluate(film);
  await visitor.close();
  return { load, start };
}

/** @param {number[]} all */
const median = (all) => [...all].sort((a, b) => a - b)[Math.floor(all.length / 2)] ?? NaN;

/** @param {string} name @param {Record<string, string>} tag @param {boolean} sharing */
async function pairs(name, tag, sharing) {
  const site = await siteWith(tag);
  /** @type {Record<string, { load: number, start: number }[]>} */
  const seen = { 'plain.html': [], '': [] };
  await visit(site, 'plain.html', false, -1);
  await visit(site, '', sharing, -1);
  for (let number = 0; number < LOADS; number += 1) {
    const order = number % 2 === 0 ? ['plain.html', ''] : ['', 'plain.html'];
    for (const path of order) seen[path]?.push(await visit(site, path, sharing, number));
  }
  await site.close();
  const row = (/** @type {'load' | 'start'} */ what) => {
    const [http, embed] = ['plain.html', ''].map((path) => median((seen[path] ?? []).map((one) => one[what])));
    return { http: Math.round(http * 10) / 10, embed: Math.round(embed * 10) / 10, ratio: Math.round((embed / http) * 1000) / 1000 };
  };
  return { case: name, loads: LOADS, page_load_ms: row('load'), film_start_ms: row('start') };
}

// Nobody else is here, so nothing is loaded (visits of a minute ago still count, so one other is not enough here). And ready for
// others, so that all goes through the service worker.
if (process.env.CASE !== 'open') console.log(JSON.stringify(await pairs('gate closed', { peers: '1000' }, false)));
if (process.env.CASE !== 'closed') console.log(JSON.stringify(await pairs('gate open, no peers', { peers: '0' }, true)));
await world.close();
