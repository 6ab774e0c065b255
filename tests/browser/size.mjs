// @ts-check
// What a visitor downloads before the page works, and what only some browsers download: raw, gzip -9 and brotli -11.
// Fails when the page, or the module and its glue, are over their budgets.
import { readFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import { served } from './served.mjs';

const BUDGET_BROTLI = 100 * 1024;
const PAGE_BUDGET_BROTLI = 48 * 1024;
// What a site's page loads before there is anybody to share with.
const EMBED_BUDGET_BROTLI = 8 * 1024;
// A module of its own, which most visits never load.
const OVERLAY_BUDGET_BROTLI = 64 * 1024;
const www = resolve(dirname(fileURLToPath(import.meta.url)), '../../www');

/** A script and everything it imports statically. @param {string} path @param {Set<string>} seen */
function withImports(path, seen = new Set()) {
  if (seen.has(path)) return seen;
  seen.add(path);
  const text = readFileSync(path, 'utf8');
  for (const [, from] of text.matchAll(/^\s*(?:import|export)\b[^'"();]*?from\s*['"]([^'"]+)['"]|^\s*import\s*['"][^'"]+['"]/gm)) {
    if (from?.startsWith('.')) withImports(resolve(dirname(path), from), seen);
    if (from?.startsWith('/swarmlet/')) withImports(join(www, from.slice('/swarmlet/'.length)), seen);
  }
  return seen;
}

/** As it is sent. @param {string} path */
function measure(path) {
  const raw = served(relative(www, path), readFileSync(path));
  const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: raw.length };
  return { raw: raw.length, gzip: gzipSync(raw, { level: 9 }).length, brotli: brotliCompressSync(raw, { params }).length };
}

/** @param {string} title @param {string[]} paths */
function report(title, paths) {
  const sum = { raw: 0, gzip: 0, brotli: 0 };
  console.log(`${title.padEnd(34)}${'raw'.padStart(10)}${'gzip -9'.padStart(10)}${'brotli -11'.padStart(12)}`);
  const line = (/** @type {string} */ name, /** @type {typeof sum} */ s) =>
    console.log(`  ${name.padEnd(32)}${String(s.raw).padStart(10)}${String(s.gzip).padStart(10)}${String(s.brotli).padStart(12)}`);
  for (const path of paths) {
    const size = measure(path);
    line(relative(www, path), size);
    for (const key of /** @type {(keyof typeof sum)[]} */ (Object.keys(sum))) sum[key] += size[key];
  }
  line('total', sum);
  return sum;
}

const page = withImports(join(www, 'app.js'));
const api = withImports(join(www, 'swarmlet.js'));
const worker = withImports(join(www, 'worker.js'));
const glue = join(www, 'pkg/swarmlet_wasm.js');
const wasm = join(www, 'pkg/swarmlet_wasm_bg.wasm');
const scripts = [...new Set([...page, ...api])];
const critical = report('critical path of the page', [join(www, 'index.html'), join(www, 'style.css'), ...scripts]);
const budgeted = report('module and glue', [wasm, glue]);
const embed = report('critical path of an embedding site', [join(www, 'embed.js'), join(www, 'sw.js')]);
report('the worker\'s scripts', [...worker].filter((path) => path !== glue));
const overlay = report('the overlay, where there is need', ['pkg/swarmlet_overlay_bg.wasm', 'pkg/swarmlet_overlay.js', 'worker/overlay.js'].map((path) => join(www, path)));
report('only where Ed25519 is missing', ['pkg/swarmlet_keys_bg.wasm', 'pkg/swarmlet_keys.js'].map((path) => join(www, path)));
for (const [what, bytes, budget] of /** @type {[string, number, number][]} */ ([
  ['page', critical.brotli, PAGE_BUDGET_BROTLI],
  ['embedding', embed.brotli, EMBED_BUDGET_BROTLI],
  ['overlay', overlay.brotli, OVERLAY_BUDGET_BROTLI],
  ['module and glue', budgeted.brotli, BUDGET_BROTLI],
])) {
  console.log(`${what}: ${bytes} of ${budget} bytes with brotli${bytes > budget ? ': over the budget' : ''}`);
  if (bytes > budget) process.exitCode = 1;
}
