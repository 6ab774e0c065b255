// @ts-check
// What the embed costs a visitor whom nobody else can help: pairs of loads of the same page without and with it, in turns, and
// the start of a film. A JSON line for each case with both medians, and the median of the pairs' ratios with the 95 % interval
// that its order statistics give. `same` compares the plain page with itself: what a ratio of such runs says of nothing.
// `RTT`: milliseconds that the way to the site's server and back takes; 0 is loopback, where whatever a service worker costs is a
// large part of everything. `asleep` and `awake`: the gate is closed, but a page of before has installed the service worker, which the
// browser has put to sleep meanwhile, or not. [LOADS=20 CASE=closed|open|asleep|awake|same RTT=0]
import { connect, createServer } from 'node:net';
import { freePort, MiB, World } from './harness.mjs';
import { Site, Visitor } from './site.mjs';
import { readdirSync, readFileSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const LOADS = Number(process.env.LOADS ?? 20);
const RTT = Number(process.env.RTT ?? 0);
const world = await World.start();

/** A way to a server that takes so long, also to connect. @param {number} to a port @param {number} ms there and back @returns {Promise<number>} its port */
async function far(to, ms) {
  const port = await freePort();
  const later = (/** @type {() => void} */ run) => setTimeout(run, ms / 2);
  /** @param {import('node:net').Socket} from @param {import('node:net').Socket} into */
  const carry = (from, into) => from.on('data', (bytes) => later(() => into.write(bytes))).on('close', () => later(() => into.destroy())).on('error', () => {});
  const server = createServer({ noDelay: true }, (client) => {
    // Its handshake took no time: what it says first comes as much later.
    client.pause();
    const socket = connect({ port: to, host: '127.0.0.1', noDelay: true });
    carry(client, socket);
    carry(socket, client);
    setTimeout(() => client.resume(), ms);
  });
  await new Promise((ready) => server.listen(port, '127.0.0.1', () => ready(undefined)));
  server.unref();
  return port;
}

/** @param {Record<string, string>} tag */
async function siteWith(tag) {
  const site = await Site.make({ signaller: world.base, film: true, large: MiB, tag });
  const page = readFileSync(join(site.folder, 'index.html'), 'utf8');
  for (const name of ['plain.html', 'plain-before.html']) writeFileSync(join(site.folder, name), page.replace(/<script async .*<\/script>/, ''));
  writeFileSync(join(site.folder, 'closed-before.html'), page);
  writeFileSync(join(site.folder, 'before.html'), page.replace(/data-peers="\d+"/, 'data-peers="0"'));
  // Browsers take a tenth of a file's age for the time that it stays good: what was made just now would be asked for again, or not, by chance.
  const made = Date.now() / 1000 - 30 * 86_400;
  for (const name of readdirSync(site.folder, { recursive: true })) utimesSync(join(site.folder, String(name)), made, made);
  if (RTT > 0) site.base = `http://127.0.0.1:${await far(site.port, RTT)}/`;
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

/** `before`: the page that was open before; `rest`: the browser puts service workers to sleep then.
 * @typedef {{ path: string, sharing: boolean, before?: string, rest?: boolean }} Visit */

/** @param {Site} site @param {Visit} visit @param {number} number */
async function visit(site, { path, sharing, before, rest }, number) {
  const visitor = await Visitor.open(world.browser, site, `${path}-${number}`, { path: before ?? path });
  if (before !== undefined) {
    if (before === 'before.html') await visitor.sharing();
    // What it leaves behind is not to be measured.
    await visitor.page.goto('about:blank');
    await new Promise((next) => setTimeout(next, 500));
    const devtools = await visitor.context.newCDPSession(visitor.page);
    if (rest) await devtools.send('ServiceWorker.enable');
    if (rest) await devtools.send('ServiceWorker.stopAllWorkers');
    await visitor.page.goto(site.base + path);
  }
  const load = await visitor.page.evaluate(`(async () => {
    if (document.readyState !== 'complete') await new Promise((loaded) => addEventListener('load', loaded));
    await new Promise((next) => setTimeout(next));
    const { loadEventEnd, startTime } = performance.getEntriesByType('navigation')[0];
    return loadEventEnd - startTime;
  })()`);
  if (sharing) await visitor.sharing();
  const start = await visitor.page.evaluate(film);
  await visitor.close();
  return { load, start };
}

/** @param {number[]} all */
function median(all) {
  const [low, high] = [Math.floor((all.length - 1) / 2), Math.ceil((all.length - 1) / 2)].map((at) => sorted(all)[at] ?? NaN);
  return (low + high) / 2;
}

/** @param {number[]} all */
const sorted = (all) => [...all].sort((a, b) => a - b);

/** An interval that holds the median of what was drawn from with at least 95 %, whatever its distribution: the k-th smallest
 * and the k-th largest, where fewer than k of n fair coins show heads with at most 2.5 % (Conover, Practical Nonparametric
 * Statistics, §3.2). For fewer than six there is none. @param {number[]} all @returns {[number, number]} */
function interval(all) {
  const n = all.length;
  let [tail, term, k] = [0, 0.5 ** n, 0];
  while (tail + term <= 0.025) {
    tail += term;
    term *= (n - k) / (k + 1);
    k += 1;
  }
  const values = sorted(all);
  return k === 0 ? [NaN, NaN] : [values[k - 1] ?? NaN, values[n - k] ?? NaN];
}

/** @param {number} value @param {number} digits */
const round = (value, digits) => Math.round(value * 10 ** digits) / 10 ** digits;

/** @typedef {{ load: number, start: number }} Seen */

/** @param {string} name @param {Record<string, string>} tag @param {Partial<Visit>} how the page beside the plain one is visited */
async function pairs(name, tag, how = {}) {
  const site = await siteWith(tag);
  const ours = { path: '', sharing: false, ...how };
  const plain = { path: 'plain.html', sharing: false, before: how.before && 'plain-before.html', rest: how.rest };
  /** @type {{ ours: Seen, plain: Seen }[]} */
  const seen = [];
  // What is slow the first time: the browser, and the files.
  await visit(site, plain, -1);
  await visit(site, ours, -1);
  for (let number = 0; number < LOADS; number += 1) {
    // In turns, so that what changes with time is on both sides.
    const first = number % 2 === 0 ? plain : ours;
    const one = await visit(site, first, number);
    const second = first === plain ? ours : plain;
    const two = await visit(site, second, number);
    seen.push(first === plain ? { plain: one, ours: two } : { plain: two, ours: one });
  }
  await site.close();
  const row = (/** @type {keyof Seen} */ what) => {
    const ratios = seen.map((pair) => pair.ours[what] / pair.plain[what]);
    const of = (/** @type {'ours' | 'plain'} */ side) => round(median(seen.map((pair) => pair[side][what])), 1);
    return { http: of('plain'), embed: of('ours'), ratio: round(median(ratios), 3), ratio_95: interval(ratios).map((value) => round(value, 3)) };
  };
  return { case: name, loads: LOADS, rtt_ms: RTT, page_load_ms: row('load'), film_start_ms: row('start') };
}

// Nobody else is here, so nothing is loaded (visits of a minute ago still count, so one other is not enough here). And ready for
// others, so that all goes through the service worker.
const wanted = (/** @type {string} */ name) => (process.env.CASE ?? 'closed open').split(' ').includes(name);
const shut = { peers: '1000' };
if (wanted('closed')) console.log(JSON.stringify(await pairs('gate closed', shut)));
if (wanted('open')) console.log(JSON.stringify(await pairs('gate open, no peers', { peers: '0' }, { sharing: true })));
if (wanted('again')) console.log(JSON.stringify(await pairs('gate closed, no worker', shut, { before: 'closed-before.html' })));
if (wanted('asleep')) console.log(JSON.stringify(await pairs('gate closed, worker asleep', shut, { before: 'before.html', rest: true })));
if (wanted('awake')) console.log(JSON.stringify(await pairs('gate closed, worker awake', shut, { before: 'before.html' })));
if (wanted('same')) console.log(JSON.stringify(await pairs('plain HTTP twice', {}, { path: 'plain.html' })));
await world.close();
