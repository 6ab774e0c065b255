// @ts-check
// docs/EMBEDDING.md as somebody follows it who has a site and no more: the blocks that are marked there, in their order, on a
// fresh site with a strict policy of its own, from nothing to shadow mode to on.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, before, test } from 'node:test';
import { binary, bytes, freePort, MiB, Signaller, World } from './harness.mjs';
import { Site, Visitor } from './site.mjs';

const guide = readFileSync(new URL('../../docs/EMBEDDING.md', import.meta.url), 'utf8');

/** A marked block, without what it is set in by. @param {string} name */
function block(name) {
  const [, text] = new RegExp(`^ *<!-- walkthrough: ${name} -->\n *\`\`\`\\w*\n([^]*?)^ *\`\`\``, 'm').exec(guide) ?? [];
  assert.ok(text, `the guide has a block "${name}"`);
  return text.replaceAll(/^ +/gm, '').trim();
}

/** @type {World} */ let world;
/** @type {string} */ let home;
/** @type {Site | undefined} */ let shop;
/** @type {Signaller | undefined} */ let server;
before(async () => {
  home = mkdtempSync(join(tmpdir(), 'swarmlet-owner-'));
  symlinkSync(binary, join(home, 'swarmlet-signaller'));
  world = await World.start();
});
after(async () => {
  await shop?.close();
  await server?.stop();
  await world?.close();
  rmSync(home, { recursive: true, force: true });
});

test('the guide takes a fresh site from nothing to shadow mode to on', async () => {
  const port = await freePort();
  const signaller = `127.0.0.1:${port}`;
  const policy = block('policy').split('\n').map((line) => line.replace(/ +/, ' ').replace("… 'self'", "'self'").replace('…', "'self'")).join('; ');
  const site = await Site.bare({
    policy: `default-src 'self'; ${policy}`.replaceAll('swarm.example', signaller).replaceAll('https:', 'http:').replaceAll('wss:', 'ws:'),
    files: { 'files/catalogue.zip': bytes(77, 5 * MiB), 'shop.css': 'body { margin: 2em }', 'favicon.ico': '' },
  });
  shop = site;
  let key = '';
  const ours = (/** @type {string} */ text) => text.replaceAll('https://shop.example/', site.base).replaceAll('/srv/www', site.folder)
    .replaceAll('https://swarm.example', `http://${signaller}`).replaceAll('PUBLIC', key);
  const run = (/** @type {string} */ name) => execFileSync('sh', ['-euc', ours(block(name))], { cwd: home, encoding: 'utf8', env: { ...process.env, PATH: `${home}${delimiter}${process.env.PATH}` } });

  run('key');
  key = /public\s+([0-9a-f]{64})/.exec(readFileSync(join(home, 'site.key'), 'utf8'))?.[1] ?? '';
  writeFileSync(join(home, 'signaller.toml'), ours(block('signaller')));
  server = await new Signaller(port, ['--config', join(home, 'signaller.toml')]).start();
  const said = run('publish');
  const tag = ours(block('tag'));
  assert.ok(said.includes(tag), `the tag of the guide is what is printed: ${said}`);
  for (const line of ours(block('worker')).split('\n')) assert.ok(said.includes(line), line);
  site.put('index.html', `<!doctype html><title>A shop</title><link rel=stylesheet href="shop.css">${tag}<h1>A shop</h1>`);
  site.put('swarmlet-sw.js', ours(block('worker')));

  const wary = await Visitor.open(world.browser, site, 'in-the-shadow');
  await wary.when(`swarmletSite.stats().reason === 'shadow' && swarmletSite.stats().eligible === ${5 * MiB}`);
  assert.equal(await wary.page.evaluate('navigator.serviceWorker.controller'), null);
  await wary.close();

  run('on');
  const path = 'files/catalogue.zip';
  const visitors = [];
  for (const name of ['first', 'second']) visitors.push(await Visitor.open(world.browser, site, name));
  for (const visitor of visitors) await visitor.when('swarmletSite.stats().gate === "open" && swarmletSite.stats().peers === 1');
  for (const visitor of visitors) assert.deepEqual(await visitor.read([path]), { [path]: site.hash(path) });
  const { fromPeers, fromOrigin } = await visitors[1]?.stats();
  assert.ok(fromPeers > 4 * MiB && fromOrigin < MiB, JSON.stringify({ fromPeers, fromOrigin }));
  await visitors[0]?.when(`swarmletSite.stats().sent >= ${fromPeers}`);
  for (const { console: lines } of [wary, ...visitors]) assert.deepEqual(lines.filter((line) => /Security Policy|^error/.test(line)), []);
  await Promise.all(visitors.map((visitor) => visitor.close()));
});
