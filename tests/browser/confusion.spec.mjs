// @ts-check
// Content that would like to be more than content: pages, scripts and pictures that run, under odd names, from a stranger's
// share. Nothing of it runs in the origin of the page that shows it.
import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { World } from './harness.mjs';
import { Site, Visitor } from './site.mjs';

/** What a payload does where it runs: leaves a mark in the origin's storage, and asks for an address that tells of it.
 * @param {string} name */
const mark = (name) => `try{localStorage.setItem('ran',${JSON.stringify(name)})}catch(e){}try{(parent||self).ran=1}catch(e){}`
  + `try{fetch('/ran?'+encodeURIComponent(${JSON.stringify(name)}))}catch(e){}`;
/** @param {string} name */
const script = (name) => `<script>${mark(name)}</script>`;
/** @param {string} name */
const html = (name) => `<!doctype html><html><body onload="${mark(name).replaceAll('"', '&quot;')}">${script(name)}</body></html>`;
/** @param {string} name */
const svg = (name) => `<svg xmlns="http://www.w3.org/2000/svg" onload="${mark(name).replaceAll('"', '&quot;')}">${script(name)}</svg>`;
/** @param {string} name */
const xhtml = (name) => `<?xml version="1.0"?><html xmlns="http://www.w3.org/1999/xhtml"><body>${script(name)}</body></html>`;
/** @param {string} name */
const xsl = (name) => `<?xml version="1.0"?><?xml-stylesheet type="text/xsl" href="#s"?><s:stylesheet id="s" version="1.0" xmlns:s="http://www.w3.org/1999/XSL/Transform"><s:template match="/"><html><body>${script(name)}</body></html></s:template></s:stylesheet>`;
/** @param {string} head @param {string} name */
const polyglot = (head, name) => `${head}/*${html(name)}*/=1;${mark(name)}`;

/** Name → text. @type {Record<string, (name: string) => string>} */
const PAYLOADS = {
  'page.html': html, 'page.htm': html, 'page.xhtml': xhtml, 'page.xht': xhtml, 'page.shtml': html, 'page.mht': html, 'LOUD.HTML': html,
  'picture.svg': svg, 'picture.svgz': svg, 'loud.SVG': svg, 'feed.xml': xhtml, 'feed.rss': xhtml, 'sheet.xsl': xsl, 'sheet.xslt': xsl,
  'code.js': mark, 'code.mjs': mark, 'code.wasm': (name) => `\0asm\x01\0\0\0${mark(name)}`, 'code.css': (name) => `</style>${script(name)}`,
  'text.txt': html, 'text.md': html, 'table.csv': html, 'data.json': html, 'paper.pdf': (name) => `%PDF-1.7\n${html(name)}`,
  'photo.png': html, 'photo.jpg': html, 'photo.gif': (name) => polyglot('GIF89a', name), 'photo.webp': svg, 'photo.avif': html,
  'song.mp3': html, 'song.ogg': html, 'film.mp4': html, 'film.webm': html, 'archive.zip': html, 'archive.gz': html,
  'noextension': html, 'page.html.': html, 'page.html.png': html, 'photo.png.html': html, 'page.html ': html, '%2e%2e.html': html,
  'page.unknown': html, 'page.hta': html, 'frame.swf': html, 'site.webmanifest': html, 'Ünï&"quot;.html': html, "it's.html": html,
};

/** @type {World} */ let world;
/** @type {string} */ let folder;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'swarmlet-strange-'));
  mkdirSync(join(folder, 'strange'));
  for (const [name, make] of Object.entries(PAYLOADS)) writeFileSync(join(folder, 'strange', name), make(name));
  world = await World.start({ server: ['--share', join(folder, 'strange')] });
});
after(async () => {
  await world?.close();
  rmSync(folder, { recursive: true, force: true });
});

/** Ways in which a page may show content. */
const KINDS = [['iframe', 'src'], ['object', 'data'], ['embed', 'src'], ['img', 'src']];
/** And in which it may use it, where that is for the page to know. */
const USED = [['script', 'src'], ['video', 'src'], ['audio', 'src'], ['track', 'src']];

/** Shows addresses in all these ways at once, and waits for each.
 * @param {import('playwright-core').Page} page @param {string} body an expression for `[name, address][]` @param {string[][]} [kinds] */
function show(page, body, kinds = KINDS) {
  return page.evaluate(`(async () => {
    for (const [name, address] of ${body}) {
      await Promise.all(${JSON.stringify(kinds)}.map(async ([kind, where]) => {
        const element = document.createElement(kind);
        const settled = new Promise((done) => {
          for (const event of ['load', 'error']) element.addEventListener(event, done);
          // What becomes a download tells nobody.
          setTimeout(done, 100);
        });
        element[where] = address;
        document.body.append(element);
        await settled;
        element.remove();
      }));
    }
  })()`);
}

/** @param {import('playwright-core').Page} page @param {string[]} asked */
async function nothingRan(page, asked) {
  assert.equal(await page.evaluate(`localStorage.getItem('ran')`), null);
  assert.equal(await page.evaluate('globalThis.ran'), undefined);
  assert.deepEqual(asked.filter((url) => url.includes('/ran?')), []);
}

test('the payloads do run where they are served as what they are', async () => {
  const peer = await world.page('check');
  /** @type {string[]} */ const asked = [];
  peer.page.on('request', (request) => asked.push(request.url()));
  await show(peer.page, `[['page.html', URL.createObjectURL(new Blob([${JSON.stringify(html('page.html'))}], { type: 'text/html' }))]]`);
  await peer.when('the payload ran', () => localStorage.getItem('ran'));
  await peer.close();
});

test(`${Object.keys(PAYLOADS).length} payloads of a stranger's share run nowhere`, async () => {
  assert.ok(Object.keys(PAYLOADS).length >= 30);
  const stranger = await world.peer('stranger');
  const { magnet, id } = await stranger.ask('seed', async (t, given) => {
    const made = given.map((/** @type {[string, string]} */ [name, text]) => ({ path: `strange/${name}`, blob: new Blob([text]) }));
    return t.keep(await t.node.seed(made, { name: 'strange' }));
  }, Object.entries(PAYLOADS).map(([name, make]) => [name, make(name)]));
  const victim = await world.peer('victim');
  /** @type {string[]} */ const asked = [];
  victim.page.on('request', (request) => asked.push(request.url()));
  await victim.add(magnet);
  await victim.done(id);
  const types = await victim.ask('types', (t, given) => t.shares.get(given).files.map((/** @type {any} */ file) => [file.name, file.type]), id);
  assert.equal(types.length, Object.keys(PAYLOADS).length);
  for (const [name, type] of types) assert.doesNotMatch(type, /html|xml|svg|javascript|css/, name);
  await show(victim.page, `await Promise.all(t.shares.get('${id}').files.map(async (file) => [file.name, await file.url()]))`);
  await nothingRan(victim.page, asked);
  await Promise.all([stranger.close(), victim.close()]);
});

test('and neither do they from the server that offers them', async () => {
  const peer = await world.page('guest');
  /** @type {string[]} */ const asked = [];
  peer.page.on('request', (request) => asked.push(request.url()));
  const names = Object.keys(PAYLOADS).map((name) => [name, `${world.base}/share/strange/${encodeURIComponent(name)}`]);
  await show(peer.page, JSON.stringify(names));
  for (const [, address] of names) await peer.page.goto(String(address)).catch(() => {});
  await peer.page.goto(`${world.base}/healthz`);
  await nothingRan(peer.page, asked);
  await peer.close();
});

test('and neither do they as files of a site, when nobody but visitors can have sent them', async () => {
  const site = await Site.bare({ policy: '', files: {} });
  // Large enough to be published.
  for (const [name, make] of Object.entries(PAYLOADS)) site.put(`strange/${name}`, make(name) + '\n'.repeat(17 * 1024));
  site.publish({ signaller: world.base, tag: { peers: '0', 'min-bytes': '1' } });
  const [first, victim] = await Promise.all(['first', 'victim'].map(async (name) => (await Visitor.open(world.browser, site, name)).sharing()));
  await victim.when('swarmletSite.stats().peers > 0');
  const names = [...site.eligible().keys()].filter((path) => path.startsWith('strange/'));
  assert.ok(names.length >= 30, `${names.length} are published`);
  for (const visitor of [first, victim]) await visitor.read(names);
  await site.stop();
  const tab = await victim.context.newPage();
  /** @type {string[]} */ const asked = [];
  /** @type {Set<string>} */ const answered = new Set();
  for (const page of [victim.page, tab]) {
    page.on('request', (request) => asked.push(request.url()));
    page.on('response', (response) => { if (response.fromServiceWorker()) answered.add(response.url()); });
  }
  const addresses = names.map((path) => [path, site.base + path.split('/').map(encodeURIComponent).join('/')]);
  await show(victim.page, JSON.stringify(addresses), [...KINDS, ...USED]);
  for (const [, address] of addresses) await tab.goto(String(address)).catch(() => {});
  await nothingRan(victim.page, asked);
  assert.ok(answered.size >= 10, `${answered.size} were answered by the service worker`);
  await Promise.all([first.close(), victim.close(), site.close()]);
});
