// @ts-check
// The longest task of a page's main thread, from the browser's own trace of every task.

const CATEGORY = 'disabled-by-default-devtools.timeline';

/** @typedef {{ name: string, ph: string, pid: number, tid: number, dur?: number, args?: any }} TraceEvent */

/** @param {import('playwright-core').Browser} browser */
export async function watchTasks(browser) {
  await browser.startTracing(undefined, { categories: [CATEGORY, '__metadata'] });
  return {
    /** Milliseconds, for each of these processes. @param {number[]} pids @returns {Promise<number[]>} */
    async longest(pids) {
      const { traceEvents } = /** @type {{ traceEvents: TraceEvent[] }} */ (JSON.parse(String(await browser.stopTracing())));
      const mains = new Set(traceEvents
        .filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain')
        .map(({ pid, tid }) => `${pid} ${tid}`));
      const longest = new Map(pids.map((pid) => [pid, 0]));
      for (const { name, pid, tid, dur } of traceEvents) {
        if (name === 'RunTask' && longest.has(pid) && mains.has(`${pid} ${tid}`)) {
          longest.set(pid, Math.max(longest.get(pid) ?? 0, (dur ?? 0) / 1000));
        }
      }
      return pids.map((pid) => longest.get(pid) ?? 0);
    },
  };
}
