// @ts-check
// Visitors of a site that others cannot rely on: one stands still in the middle of a range, others send wrong bytes.
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';
import { freePort, MiB, World } from './harness.mjs';
import { Site, Visitor } from './site.mjs';

/** @type {World} */ let world;
before(async () => { world = await World.start(); });
after(async () => { await world?.close(); });

/** Notes in a page's worker when each read of its node was due, and when it came. @param {Visitor} visitor */
async function watchReads(visitor) {
  const [worker] = visitor.page.workers();
  await worker?.evaluate(`(async () => {
    const { Engine } = await import('${world.base}/swarmlet/pkg/swarmlet_wasm.js');
    const { Servings } = await import('${world.base}/swarmlet/worker/serve.js');
    const { call } = Engine.prototype;
    const { take } = Servings.prototype;
    self.reads = new Map();
    Engine.prototype.call = function (id, method, args) {
      if (method === 'read') reads.set(id, { due: performance.now() + args[3], came: NaN });
      return call.call(this, id, method, args);
    };
    Servings.prototype.take = function (reply) {
      const read = reads.get(reply.id);
      if (read) read.came = performance.now();
      return take.call(this, reply);
    };
  })()`);
  return {
    now: () => /** @type {Promise<number>} */ (worker?.evaluate('performance.now()')),
    all: () => /** @type {Promise<{ due: number, came: number }[]>} */ (worker?.evaluate('[...reads.values()]')),
  };
}

test('a visitor that stands still in the middle of a range: the read goes on within 300 ms of its deadline', async () => {
  const site = await Site.make({ signaller: world.base, large: 7 * MiB, csp: false, tag: { peers: '0', upload: '2000000' } });
  const first = await Visitor.open(world.browser, site, 'frozen');
  await first.sharing();
  await first.read(['files/large.bin']);
  const second = await Visitor.open(world.browser, site, 'reader');
  await second.sharing();
  await second.when('swarmletSite.stats().peers > 0');
  const reads = await watchReads(second);
  // A worker that waits for an answer does nothing else, as one whose machine sleeps.
  const port = await freePort();
  /** @type {import('node:http').ServerResponse[]} */ const waiting = [];
  const silence = createServer((_, answer) => {
    waiting.push(answer.setHeader('access-control-allow-origin', '*'));
  }).listen(port, '127.0.0.1');
  await second.page.evaluate(`(async () => {
    globalThis.came = [];
    let bytes = 0;
    const digest = [];
    for await (const part of (await fetch('files/large.bin')).body) {
      bytes += part.length;
      digest.push(part);
      came.push([performance.now(), bytes]);
    }
    const hash = new Uint8Array(await crypto.subtle.digest('SHA-256', await new Blob(digest).arrayBuffer()));
    globalThis.hash = Array.from(hash, (byte) => byte.toString(16).padStart(2, '0')).join('');
  })(), undefined`);
  await second.when(`came.at(-1)?.[1] > ${MiB}`);
  const workers = first.page.workers();
  assert.equal(workers.length, 1);
  const froze = await reads.now();
  workers[0]?.evaluate(`(() => { const ask = new XMLHttpRequest(); ask.open('GET', 'http://127.0.0.1:${port}/', false); ask.send(); })()`).catch(() => {});
  await second.when('globalThis.hash');
  assert.equal(waiting.length, 1, 'it stood still all the time');
  assert.equal(await second.page.evaluate('hash'), site.hash('files/large.bin'));
  const stats = await second.stats();
  const left = (await reads.all()).filter(({ came }) => !(came < froze));
  const late = left.map(({ due, came }) => Math.round(came - due));
  console.log(`reads that came after it stood still, ms after they were due: ${late.join(', ')}; from visitors ${stats.fromPeers}, from the server ${stats.fromHttp}`);
  assert.ok(stats.fromPeers > 0 && stats.fromHttp > 0, JSON.stringify(stats));
  assert.ok(left.length >= 3 && late.every((ms) => ms <= 300), `${late}`);
  waiting.forEach((answer) => answer.end());
  silence.close();
  await Promise.all([first.close(), second.close(), site.close()]);
});

test('visitors that send wrong bytes: none of them reaches a page', async () => {
  const site = await Site.make({ signaller: world.base, large: 3 * MiB, tag: { peers: '0' } });
  const paths = [...site.eligible().keys()].filter((path) => !/\.(js|html|css)$/.test(path));
  const hashes = Object.fromEntries(paths.map((path) => [path, site.hash(path)]));
  const liars = [];
  for (const name of ['liar-1', 'liar-2']) {
    const liar = await Visitor.open(world.browser, site, name, {
      // Where channels stay in the page, a page can do to its messages what it likes.
      init: () => {
        const { postMessage } = Worker.prototype;
        Worker.prototype.postMessage = function stay(/** @type {any} */ message, /** @type {any} */ given) {
          if (Array.isArray(given) && given.some((one) => one instanceof RTCDataChannel)) throw new DOMException('stays', 'DataCloneError');
          return postMessage.call(this, message, given);
        };
        const { send } = RTCDataChannel.prototype;
        const self = /** @type {any} */ (globalThis);
        self.lies = 0;
        RTCDataChannel.prototype.send = function lie(/** @type {any} */ data) {
          const bytes = new Uint8Array(data.slice(0));
          if (bytes.length > 4000) {
            bytes[bytes.length - 1] ^= 1;
            self.lies += 1;
          }
          send.call(this, bytes);
        };
      },
    });
    await liar.sharing();
    // What it has, it has from the server: a second liar believes the first no more than others do.
    assert.deepEqual(await liar.read(paths), hashes, name);
    liars.push(liar);
  }
  const honest = await Visitor.open(world.browser, site, 'honest');
  await honest.sharing();
  await honest.when('swarmletSite.stats().peers > 0');
  assert.deepEqual(await honest.read(paths), hashes);
  const { banned, wasted, fromPeers } = await honest.stats();
  const lies = await Promise.all(liars.map((liar) => liar.page.evaluate('lies')));
  console.log(`wrong blocks sent: ${lies.join(' and ')}; banned ${banned}, thrown away ${wasted} bytes`);
  assert.ok(lies.some((count) => Number(count) > 0) && banned > 0, JSON.stringify({ lies, banned }));
  assert.ok(fromPeers < MiB, `${fromPeers} bytes from liars, none of them wrong`);
  await Promise.all([...liars, honest].map((visitor) => visitor.close()));
  await site.close();
});
