// @ts-check
// A site that publishes nothing: its signaller is told which large files this page loaded, and vouches for those that many load.

// What `publish` leaves out too: it costs more to ask for than to send.
const BYTES_MIN = 16 * 1024;
const EVERY_MS = 5000;
// Of one report (the signaller's WISHES_MAX), and of one page.
const PATHS_MAX = 32;
const ALL_MAX = 256;
// Pages and workers are never shared.
const LEFT = new Set(['navigation', 'iframe', 'frame', 'beacon', 'early-hint']);

/** The path of a file that could be shared. Pure. @param {{ name: string, initiatorType: string, encodedBodySize: number, transferSize: number }} entry
 * @param {string} base @returns {string | undefined} */
export function wished({ name, initiatorType, encodedBodySize, transferSize }, base) {
  const url = name.split('#')[0];
  const bytes = Math.max(encodedBodySize, transferSize);
  if (LEFT.has(initiatorType) || bytes < BYTES_MIN || !url.startsWith(base) || url.includes('?')) return undefined;
  try {
    const path = decodeURIComponent(url.slice(base.length));
    return path === '' || /[\n\r]/.test(path) ? undefined : path;
  } catch {
    return undefined;
  }
}

let begun = false;

/** Begins, the first time. @param {string} manifest its address at the signaller
 * @param {{ base: string | null, files: [string, number, string, string][] }} site */
export function witness(manifest, { base, files }) {
  if (!base || begun) return;
  begun = true;
  const address = manifest.slice(0, manifest.lastIndexOf('/'));
  const said = new Set(files.map(([path]) => path));
  /** @type {string[]} */
  const paths = [];
  new PerformanceObserver((list) => {
    for (const entry of /** @type {PerformanceResourceTiming[]} */ (list.getEntries())) {
      const path = wished(entry, base);
      if (path === undefined || said.has(path) || said.size >= files.length + ALL_MAX) continue;
      said.add(path);
      paths.push(path);
    }
  }).observe({ type: 'resource', buffered: true });
  const tell = () => {
    if (paths.length > 0) fetch(address, { method: 'POST', body: paths.splice(0, PATHS_MAX).join('\n'), credentials: 'omit' }).catch(() => {});
  };
  setInterval(tell, EVERY_MS);
  setTimeout(tell);
}
