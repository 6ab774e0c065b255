// @ts-check
// The service worker's one decision, without a browser: what is answered from the swarm, and all that is not.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { runInNewContext } from 'node:vm';

const source = readFileSync(new URL('../../www/sw.js', import.meta.url), 'utf8');
/** @type {(asked: any, table: any, origin: string) => any} */
const route = runInNewContext(`${source}; swarmlet.route`);

const ORIGIN = 'https://shop.example';
const MiB = 1024 * 1024;
const types = {
  'a.png': 'image/png', 'ü b,c.webp': 'image/webp', 'a.svg': 'image/svg+xml', 'x.woff2': 'font/woff2', 'f.mp4': 'video/mp4',
  'big.zip': 'application/zip', 'page.html': 'text/html; charset=utf-8', 'app.js': 'text/javascript', 'm.wasm': 'application/wasm',
  's.css': 'text/css', 'hls/1.ts': 'video/mp2t', 'd.bin': 'application/octet-stream', 'feed.xml': 'application/xml', 'p.pdf': 'application/pdf',
};
const files = new Map(Object.entries(types).map(([path, type], index) => [path, { path, index, size: 10 * MiB, type }]));
const live = new Map([
  ['live/9.ts', { path: 'live/9.ts', index: 'live/9.ts', size: 9, type: 'video/mp2t' }],
  ['live/index.m3u8', { path: 'live/index.m3u8', index: '', size: 5, type: 'application/vnd.apple.mpegurl', text: new Uint8Array(5), until: 100 }],
]);
const table = { base: `${ORIGIN}/`, files, live, classes: new Set(['image', 'font', 'media', 'fetch', 'download']), wholeMax: 256 * MiB };

/** @param {string} path @param {Record<string, any>} [more] @param {any} [of] */
function ask(path, { headers = {}, ...more } = {}, of = table) {
  const header = (/** @type {string} */ name) => headers[name] ?? null;
  const asked = { method: 'GET', url: `${ORIGIN}/${path}`, mode: 'no-cors', destination: 'image', cache: 'default', header, ...more };
  const found = route(asked, of, ORIGIN);
  return found && { path: found.entry.path, start: found.start, end: found.end, partial: found.partial };
}

/** @param {string} path @param {string} destination @param {string} [mode] */
const at = (path, destination, mode = 'cors') => ask(path, { destination, mode });

test('content in its place is answered whole', () => {
  const whole = { start: 0, end: 10 * MiB, partial: false };
  assert.deepEqual(ask('a.png'), { path: 'a.png', ...whole });
  assert.deepEqual(ask('a.png#top'), { path: 'a.png', ...whole });
  assert.deepEqual(ask('%C3%BC%20b,c.webp'), { path: 'ü b,c.webp', ...whole });
  for (const [path, destination] of [['x.woff2', 'font'], ['f.mp4', 'video'], ['hls/1.ts', ''], ['d.bin', ''], ['big.zip', ''], ['f.mp4', '']]) {
    assert.deepEqual(at(path, destination), { path, ...whole }, `${path} as ${destination}`);
  }
  assert.deepEqual(at('big.zip', 'document', 'navigate'), { path: 'big.zip', ...whole }, 'a download');
});

test('nothing is answered in a place where it does not belong', () => {
  const places = ['document', 'iframe', 'frame', 'object', 'embed', 'worker', 'sharedworker', 'serviceworker', 'script', 'style', 'manifest',
    'xslt', 'report', 'audioworklet', 'paintworklet', 'json', 'unheard-of'];
  for (const path of Object.keys(types)) {
    for (const destination of places) assert.equal(at(path, destination), null, `${path} as ${destination}`);
    for (const destination of ['iframe', 'document', '']) {
      if (destination === 'document' && /zip|bin/.test(path)) continue;
      assert.equal(at(path, destination, 'navigate'), null, `${path} navigated to as ${destination}`);
    }
  }
  for (const [path, destination] of [['d.bin', 'image'], ['a.png', 'font'], ['a.png', 'video'], ['page.html', 'image'], ['x.woff2', 'track']]) {
    assert.equal(at(path, destination), null, `${path} as ${destination}`);
  }
});

test('what can run is answered only where the owner asks for it', () => {
  for (const path of ['page.html', 'app.js', 'm.wasm', 's.css', 'a.svg', 'feed.xml']) assert.equal(at(path, ''), null, path);
  const more = { ...table, classes: new Set([...table.classes, 'script', 'style']) };
  assert.ok(ask('app.js', { destination: 'script', mode: 'no-cors' }, more));
  assert.ok(ask('s.css', { destination: 'style', mode: 'no-cors' }, more));
  assert.ok(ask('m.wasm', { destination: '', mode: 'cors' }, more));
  assert.equal(ask('page.html', { destination: 'iframe', mode: 'navigate' }, more), null);
  assert.equal(ask('d.bin', { destination: 'script', mode: 'no-cors' }, more), null, 'not a script by its type');
});

test('doubt is left to the browser', () => {
  const doubts = [
    { method: 'POST' }, { method: 'HEAD' }, { cache: 'no-store' }, { cache: 'reload' }, { cache: 'no-cache' }, { cache: 'only-if-cached' },
    ...['authorization', 'if-range', 'if-none-match', 'if-modified-since'].map((name) => ({ headers: { [name]: 'x' } })),
  ];
  for (const doubt of doubts) assert.equal(ask('a.png', doubt), null, JSON.stringify(doubt));
  for (const path of ['a.png?v=2', 'b.png', 'a.png/', '', '%', 'A.png', '../a.png', '__proto__', 'constructor']) assert.equal(ask(path), null, path);
  assert.equal(ask('a.png', { url: 'https://evil.example/a.png' }), null);
  assert.equal(route({ method: 'GET', url: `${ORIGIN}/a.png`, mode: 'no-cors', destination: 'image', cache: 'default', header: () => null }, undefined, ORIGIN), null);
  assert.equal(ask('a.png', {}, { ...table, classes: new Set() }), null);
  assert.equal(ask('a.png', {}, { ...table, wholeMax: MiB }), null, 'too long for one answer');
});

test('another origin is answered only where it had allowed that', () => {
  const cdn = { ...table, base: 'https://cdn.example/' };
  assert.equal(ask('a.png', { url: 'https://cdn.example/a.png' }, cdn), null);
  assert.ok(ask('a.png', { url: 'https://cdn.example/a.png', mode: 'cors' }, cdn));
  assert.equal(ask('a.png', { url: 'https://cdn.example.evil/a.png', mode: 'cors' }, cdn), null);
});

test('ranges are exact, or none of ours', () => {
  const of = (/** @type {string} */ range, destination = '') => ask('f.mp4', { headers: { range }, destination, mode: 'cors' });
  const cut = (/** @type {number} */ start, /** @type {number} */ end) => ({ path: 'f.mp4', start, end, partial: true });
  assert.deepEqual(of('bytes=0-1'), cut(0, 2));
  assert.deepEqual(of('bytes=5-'), cut(5, 10 * MiB));
  assert.deepEqual(of('bytes=-7'), cut(10 * MiB - 7, 10 * MiB));
  assert.deepEqual(of('bytes=0-99999999999'), cut(0, 10 * MiB));
  assert.deepEqual(of('bytes=0-', 'video'), cut(0, 4 * MiB), 'players get parts');
  assert.deepEqual(of('bytes=0-9999999', 'video'), cut(0, 10_000_000), 'and what they name, whole');
  for (const range of ['bytes=9-5', 'bytes=99999999-', 'bytes=-0', 'bytes=-', 'bytes=0-1,3-4', 'lines=0-1', 'bytes=a-b', '']) {
    assert.equal(of(range), null, range);
  }
});

test('a film that nobody else has is the network\'s: where a player begins as it is, and then in parts that are copied', () => {
  const lone = { ...table, alone: true };
  const of = (/** @type {string} */ range, /** @type {any} */ more = {}, /** @type {any} */ its = lone) => {
    const header = (/** @type {string} */ name) => (name === 'range' ? range : null);
    const found = route({ method: 'GET', url: `${ORIGIN}/f.mp4`, mode: 'cors', destination: 'video', cache: 'default', header, ...more }, its, ORIGIN);
    return found && [found.start / MiB, found.end / MiB, found.alone, found.copied];
  };
  assert.deepEqual(of('bytes=0-'), [0, 1, true, false]);
  assert.deepEqual(of(`bytes=${MiB}-`), [1, 5, true, true]);
  assert.deepEqual(of(`bytes=${5 * MiB}-`), [5, 9, true, true]);
  assert.deepEqual(of(`bytes=${9 * MiB}-`), [9, 10, true, true], 'to the end');
  assert.deepEqual(of(`bytes=${3.25 * MiB}-`), [3.25, 4, true, false], 'a jump');
  assert.deepEqual(of(`bytes=${3.75 * MiB}-`), [3.75, 5, true, false], 'to shortly before the next part');
  assert.deepEqual(of(`bytes=0-${2 * MiB - 1}`), [0, 2, true, false]);
  assert.equal(of(`bytes=0-${5 * MiB - 1}`), null, 'a long part, all of which is asked for');
  assert.deepEqual(of('bytes=0-', { destination: '' }), [0, 10, false, false], 'by a script');
  assert.deepEqual(of('bytes=0-', {}, { ...lone, files: new Map([['f.mp4', { ...files.get('f.mp4'), begun: true }]]) }), [0, 4, false, false], 'kept from an earlier visit');
  const long = { ...lone, files: new Map([['f.mp4', { ...files.get('f.mp4'), size: 1000 * MiB }]]) };
  assert.deepEqual(of('bytes=0-', {}, long), [0, 4, true, false], 'a long film has a long index');
  assert.deepEqual(of(`bytes=${4 * MiB}-`, {}, long), [4, 8, true, true]);
});

test('players get a film from us only where they have asked for it with CORS', () => {
  for (const [path, destination] of [['f.mp4', 'video'], ['f.mp4', 'audio']]) {
    assert.ok(at(path, destination), destination);
    assert.equal(at(path, destination, 'no-cors'), null, destination);
    assert.equal(ask(path, { destination, mode: 'no-cors' }, { ...table, alone: true }), null, destination);
  }
});

test('a live stream: its segments, and its playlists for as long as they are good', () => {
  const header = () => null;
  const asked = (/** @type {string} */ path) => ({ method: 'GET', url: `${ORIGIN}/live/${path}`, mode: 'cors', destination: '', cache: 'default', header });
  assert.deepEqual(route(asked('9.ts'), table, ORIGIN, 1).end, 9);
  assert.equal(route(asked('index.m3u8'), table, ORIGIN, 100).end, 5);
  assert.equal(route(asked('index.m3u8'), table, ORIGIN, 101), null, 'the site has a newer one');
  assert.equal(route({ ...asked('9.ts'), destination: 'document', mode: 'navigate' }, table, ORIGIN, 1), null);
});

/** The whole script in a world of its own, where time passes when it is told to. @param {object} options of `swarmlet()` */
function installed(options) {
  /** @type {Record<string, (event: any) => void>} */ const on = {};
  const seen = { left: 0, claimed: 0, routes: /** @type {any[]} */ ([]) };
  /** @type {(() => void)[]} */ let timers = [];
  const world = {
    addEventListener: (/** @type {string} */ name, /** @type {any} */ run) => (on[name] = run), skipWaiting: async () => {},
    clients: { matchAll: async () => [], claim: async () => void (seen.claimed += 1) }, registration: { unregister: async () => void (seen.left += 1) },
    setTimeout: (/** @type {() => void} */ run) => timers.push(run), clearTimeout() {}, location: { origin: ORIGIN }, TextEncoder,
  };
  runInNewContext(`${source}; swarmlet(${JSON.stringify(options)})`, world);
  const addRoutes = async (/** @type {any[]} */ routes) => void seen.routes.push(...routes);
  on.install?.({ waitUntil() {}, addRoutes });
  const pass = () => timers.splice(0).forEach((run) => run());
  pass();
  const hears = (/** @type {string} */ id, /** @type {object} */ data) => on.message?.({ source: { id }, data: { t: 'swarmlet', ...data } });
  return { seen, pass, hears };
}

test('a worker that does nothing else is not asked where it could not answer, and goes when nobody needs it', () => {
  const { seen, pass, hears } = installed({ only: true });
  const conditions = seen.routes.map(({ condition, source }) => `${source} ${Object.values(condition)}`);
  assert.deepEqual(conditions, ['network not-running', 'network video,no-cors', 'network audio,no-cors']);
  const open = { base: `${ORIGIN}/`, files: [], classes: [], wholeMax: 1, alone: true };
  hears('page', { open });
  hears('other', { follow: `${ORIGIN}/` });
  pass();
  hears('page', { open: null });
  pass();
  assert.equal(seen.left, 0, 'the other tab');
  hears('other', { follow: null });
  hears('page', { open });
  pass();
  assert.equal(seen.left, 0, 'it came back');
  hears('page', { open: null });
  pass();
  assert.equal(seen.left, 1);
  hears('late', { claim: true });
  assert.equal(seen.claimed, 1);
});

test('the worker that a site has of its own stays, and is asked', () => {
  const { seen, pass, hears } = installed({});
  hears('page', { open: null });
  pass();
  assert.deepEqual([seen.left, seen.routes], [0, []]);
});
