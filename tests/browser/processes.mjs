// @ts-check
// What the browser's processes cost: processor time by process and by thread, and memory, read from Linux's /proc.
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';

/** Ticks of a second in /proc: what every Linux that browsers run on has. */
const TICKS = 100;

/** @param {string} path */
const read = (path) => {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
};

/** Processor seconds in a stat file. @param {string} path */
function seconds(path) {
  const fields = read(path).split(') ').pop()?.split(' ') ?? [];
  return (Number(fields[11] ?? 0) + Number(fields[12] ?? 0)) / TICKS;
}

/** The processes of a browser, by what they do. @param {import('playwright-core').Browser} browser
 * @returns {Promise<{ type: string, pid: number }[]>} */
export async function processes(browser) {
  const session = await browser.newBrowserCDPSession();
  const { processInfo } = await session.send('SystemInfo.getProcessInfo');
  await session.detach();
  return processInfo.map(({ type, id }) => ({ type, pid: id }));
}

/** The process that a page runs in: the renderer that is busy when the page is. @param {import('./harness.mjs').Peer} peer
 * @param {import('playwright-core').Browser} browser */
export async function processOf(peer, browser) {
  const renderers = (await processes(browser)).filter(({ type }) => type === 'renderer').map(({ pid }) => pid);
  const main = (/** @type {number} */ pid) => seconds(`/proc/${pid}/task/${pid}/stat`);
  const before = renderers.map(main);
  await peer.page.evaluate(() => {
    for (const began = performance.now(); performance.now() - began < 500;);
  });
  const spent = renderers.map((pid, at) => main(pid) - before[at]);
  return renderers[spent.indexOf(Math.max(...spent))];
}

/** Processor seconds of each process up to now. @param {{ type: string, pid: number }[]} list */
export const cpu = (list) => list.map(({ pid }) => seconds(`/proc/${pid}/stat`));

/** Processor seconds of each thread of a process up to now, by its name. @param {number} pid */
export function threads(pid) {
  /** @type {Record<string, number>} */
  const spent = {};
  for (const id of readdirSync(`/proc/${pid}/task`)) {
    const name = read(`/proc/${pid}/task/${id}/comm`).trim();
    spent[name] = (spent[name] ?? 0) + seconds(`/proc/${pid}/task/${id}/stat`);
  }
  return spent;
}

/** Bytes resident now, and the most since the last call of `resetPeak`. @param {number} pid */
export function memory(pid) {
  const of = (/** @type {string} */ name) =>
    Number(new RegExp(`${name}:\\s+(\\d+)`).exec(read(`/proc/${pid}/status`))?.[1] ?? 0) * 1024;
  return { now: of('VmRSS'), peak: of('VmHWM') };
}

/** @param {number} pid */
export function resetPeak(pid) {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
