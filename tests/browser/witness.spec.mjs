// @ts-check
// A site that publishes nothing: the signaller looks at what its visitors load, and vouches for it; later visitors share it.
import assert from 'node:assert/strict';
import { createHash, createPrivateKey, createPublicKey } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { freePort, KiB, MiB, within, World } from './harness.mjs';
import { Site, Visitor } from './site.mjs';

const SECRET = '01'.repeat(32);

/** The public key with which the signaller signs for a site (DESIGN §10, `config/witness.rs`). @param {string} base */
function keyOf(base) {
  const seed = createHash('sha256').update('swarmlet witness').update(Buffer.from(SECRET, 'hex')).update(base).digest();
  // RFC 8410 §7: what stands before an Ed25519 seed in PKCS #8.
  const key = createPrivateKey({ key: Buffer.concat([Buffer.from('302e020100300506032b657004220420', 'hex'), seed]), format: 'der', type: 'pkcs8' });
  return createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-32).toString('hex');
}

/** @type {World} */ let world;
/** @type {Site} */ let site;
/** @type {string} */ let manifest;
before(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'swarmlet-witness-'));
  const port = await freePort();
  const base = `http://127.0.0.1:${port}/`;
  const config = join(folder, 'swarmlet.toml');
  writeFileSync(config, `[witness]\nkey = '${SECRET}'\norigins = ['${base}']\ndemand = 1\nprivate_addresses = true\n`);
  world = await World.start({ server: ['--config', config] });
  rmSync(folder, { recursive: true });
  const more = { 'private/one.bin': 64 * KiB, 'cookie/one.bin': 64 * KiB };
  site = await Site.unpublished({ signaller: world.base, port, key: keyOf(base), large: 4 * MiB, tag: { peers: '0' }, more });
  manifest = `${world.base}/swarmlet/witness/${keyOf(base)}/swarmlet.json`;
});
after(async () => {
  await site?.close();
  await world?.close();
});

test('what one visitor loaded is vouched for, and the next ones give it to each other', async () => {
  const first = await Visitor.open(world.browser, site, 'first');
  const paths = ['files/large.bin', 'private/one.bin', 'cookie/one.bin'];
  const hashes = Object.fromEntries(paths.map((path) => [path, site.hash(path)]));
  assert.deepEqual(await first.read(paths), hashes);
  assert.equal((await first.stats()).gate, 'closed', 'there is nothing to share yet');
  await first.when(`(async () => (await (await fetch('${manifest}')).json()).files.some(([path]) => path === 'files/large.bin'))()`);
  await first.close();
  const visitors = [];
  for (const name of ['second', 'third']) {
    const visitor = await Visitor.open(world.browser, site, name);
    await visitor.sharing();
    await visitor.when(`swarmletSite.stats().peers >= ${visitors.length}`);
    assert.deepEqual(await visitor.read(paths), hashes, name);
    await visitor.when(`(({ fromHttp, fromPeers }) => fromHttp + fromPeers >= ${4 * MiB})(swarmletSite.stats())`);
    visitors.push(visitor);
  }
  const told = await visitors[1]?.stats();
  assert.ok(told.fromPeers >= 3 * MiB, JSON.stringify(told));
  const { files } = await (await fetch(manifest)).json();
  assert.deepEqual(files.map((/** @type {[string]} */ [path]) => path).filter((/** @type {string} */ path) => /^(private|cookie)/.test(path)), []);
  const asked = (/** @type {string} */ path, /** @type {string} */ name) => site.lines().filter((line) => line.path === path && line.visitor.endsWith(name));
  const unasked = () => paths.filter((path) => asked(path, '(witness)').length === 0);
  // Pages tell now and then what they loaded.
  const all = async () => { while (unasked().length > 0) await new Promise((next) => setTimeout(next, 50)); };
  await within(all(), 'the signaller asks for everything', async () => unasked());
  for (const path of paths) assert.equal(asked(path, '(witness)').length, 1, `the signaller asks once for ${path}`);
  assert.ok(asked('files/large.bin', 'third').reduce((sum, { bytes }) => sum + bytes, 0) <= MiB);
  assert.equal(asked('private/one.bin', 'third').length, 1);
  await Promise.all(visitors.map((visitor) => visitor.close()));
});
