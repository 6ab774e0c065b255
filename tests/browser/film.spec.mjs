// @ts-check
// Films of a site that its visitors carry: an MP4 that is sought in, HLS and DASH through players without a plug-in, and sources that fail in the middle.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { World } from './harness.mjs';
import { Site, Visitor } from './site.mjs';

/** @type {World} */ let world;
/** @type {Site} */ let site;
before(async () => {
  world = await World.start();
  site = await Site.make({ signaller: world.base, film: true, dash: true, large: 1024 * 1024, tag: { peers: '0' } });
});
after(async () => {
  await site?.close();
  await world?.close();
});

/** Plays a film until it has moved on. @param {Visitor} visitor @param {string} id */
async function play(visitor, id) {
  await visitor.page.evaluate(`(() => {
    const film = document.getElementById('${id}');
    film.muted = true;
    film.scrollIntoView();
    film.play().catch((error) => { film.dataset.error = String(error); });
  })()`);
  await moves(visitor, id, 0);
}

/** @param {Visitor} visitor @param {string} id @param {number} from */
async function moves(visitor, id, from) {
  await visitor.when(`(() => {
    const film = document.getElementById('${id}');
    if (film.error || film.dataset.error) throw new Error(film.dataset.error ?? film.error.message);
    return film.currentTime > ${from} + 0.3;
  })()`);
}

/** @param {Visitor} visitor @param {string} id @param {number} to */
async function seek(visitor, id, to) {
  await visitor.page.evaluate(`(document.getElementById('${id}').currentTime = ${to}, undefined)`);
  await moves(visitor, id, to);
}

for (const [id, what, path] of [['film', 'an MP4', ''], ['stream', 'HLS', ''], ['dash', 'DASH', 'dash.html']]) {
  test(`${what} plays, and plays on where it is sought to, with one visitor and with two`, async () => {
    const first = await Visitor.open(world.browser, site, `${id}-1`, { path });
    await first.sharing();
    await play(first, id);
    await seek(first, id, 90);
    await seek(first, id, 30);
    await first.when('swarmletSite.stats().served.requests > 0');
    const alone = await first.stats();
    assert.equal(alone.fromPeers, 0, JSON.stringify(alone));
    const second = await Visitor.open(world.browser, site, `${id}-2`, { path });
    await second.sharing();
    await second.when('swarmletSite.stats().peers > 0');
    await play(second, id);
    await seek(second, id, 90);
    const { fromPeers, stalls } = await second.stats();
    // Shaka has its element wait for a moment when it is told where to go.
    assert.ok(fromPeers > 0 && stalls.ms < 100, JSON.stringify({ fromPeers, stalls }));
    await Promise.all([first.close(), second.close()]);
  });
}

test('a film plays on when the visitor that sends it is gone, and when sharing ends', async () => {
  const first = await Visitor.open(world.browser, site, 'gone-1');
  await first.sharing();
  const [film] = [...site.eligible().keys()].filter((path) => path.endsWith('.mp4'));
  assert.deepEqual(await first.read([film]), { [film]: site.hash(film) });
  const second = await Visitor.open(world.browser, site, 'gone-2');
  await second.sharing();
  await second.when('swarmletSite.stats().peers > 0');
  await play(second, 'film');
  await first.close();
  await seek(second, 'film', 60);
  await seek(second, 'film', 100);
  // And when nothing is shared any more: a player must not be given parts that look as if from elsewhere.
  await second.page.evaluate(`dispatchEvent(new PageTransitionEvent('pagehide', { persisted: true }))`);
  for (const to of [20, 80]) await seek(second, 'film', to);
  await second.close();
});

test('a film plays on when its service worker slept meanwhile, and has forgotten it', async () => {
  for (const [name, alone] of /** @type {[string, boolean][]} */ ([['asleep-1', true], ['asleep-2', false]])) {
    const visitor = await Visitor.open(world.browser, site, name);
    await visitor.sharing();
    const other = alone ? undefined : await Visitor.open(world.browser, site, 'other');
    if (other) await visitor.when('swarmletSite.stats().peers > 0');
    await play(visitor, 'film');
    // Chromium's own way to end them all, as it does with those that have nothing to do.
    const devtools = await visitor.context.newCDPSession(visitor.page);
    await devtools.send('ServiceWorker.enable');
    for (const to of [90, 10]) {
      await devtools.send('ServiceWorker.stopAllWorkers');
      await seek(visitor, 'film', to);
    }
    await Promise.all([visitor.close(), other?.close()]);
  }
});

test('a film that began alone takes the rest from those who come', async () => {
  const first = await Visitor.open(world.browser, site, 'alone-1');
  await first.sharing();
  await play(first, 'film');
  assert.equal((await first.stats()).fromPeers, 0);
  const second = await Visitor.open(world.browser, site, 'alone-2');
  await second.sharing();
  const [path] = [...site.eligible().keys()].filter((name) => name.endsWith('.mp4'));
  await first.when('swarmletSite.stats().peers > 0');
  assert.deepEqual(await second.read([path]), { [path]: site.hash(path) });
  await seek(first, 'film', 100);
  await seek(first, 'film', 40);
  const { fromPeers } = await first.stats();
  assert.ok(fromPeers > 0, `${fromPeers}`);
  await Promise.all([first.close(), second.close()]);
});

test('films that a script puts into the page are shared, those it keeps to itself are left to the browser, and both play on', async () => {
  const visitor = await Visitor.open(world.browser, site, 'scripted');
  await visitor.sharing();
  /** @param {string} place @returns {Promise<{ ours: string | null, at: number[] }>} */
  const plays = (place) => visitor.page.evaluate(`(async () => {
    const film = document.createElement('video');
    film.muted = true;
    ${place}
    const at = [];
    await film.play();
    for (const to of [90, 20]) {
      film.currentTime = to;
      await new Promise((moved, failed) => Object.assign(film, { ontimeupdate: () => film.currentTime > to + 0.3 && moved(), onerror: () => failed(film.error) }));
      at.push(to);
    }
    film.remove();
    return { ours: film.crossOrigin, at };
  })()`);
  const served = async () => (await visitor.stats()).fromOrigin;
  assert.deepEqual(await plays(`document.body.append(film); film.src = 'film/film.mp4';`), { ours: 'anonymous', at: [90, 20] });
  assert.deepEqual(await plays(`film.append(Object.assign(document.createElement('source'), { src: 'film/film.mp4' })); document.body.append(film);`), { ours: 'anonymous', at: [90, 20] });
  const before = await served();
  assert.ok(before > 0);
  assert.deepEqual(await plays(`film.src = 'film/film.mp4';`), { ours: null, at: [90, 20] });
  assert.deepEqual(await plays(`film.src = 'data:,'; document.body.append(film); film.src = 'film/film.mp4?other';`), { ours: null, at: [90, 20] });
  await visitor.close();
});

test('stalls are counted: not the start, not a jump', async () => {
  const visitor = await Visitor.open(world.browser, site, 'stalls');
  await visitor.sharing();
  const after = async (/** @type {Record<string, unknown>} */ state, /** @type {string[]} */ events) => {
    await visitor.page.evaluate(`(async () => {
      const film = document.body.appendChild(document.createElement('video'));
      for (const [name, value] of Object.entries(${JSON.stringify(state)})) Object.defineProperty(film, name, { value, configurable: true });
      for (const event of ${JSON.stringify(events)}) {
        film.dispatchEvent(new Event(event));
        await new Promise((next) => setTimeout(next, 60));
      }
      film.remove();
    })()`);
    return (await visitor.stats()).stalls;
  };
  assert.deepEqual(await after({ played: [], seeking: false }, ['waiting', 'playing']), { count: 0, ms: 0 }, 'the start');
  assert.deepEqual(await after({ played: [1], seeking: true }, ['waiting', 'playing']), { count: 0, ms: 0 }, 'a jump');
  const once = await after({ played: [1], seeking: false }, ['waiting', 'waiting', 'playing', 'playing']);
  assert.ok(once.count === 1 && once.ms >= 100 && once.ms < 5000, JSON.stringify(once));
  const twice = await after({ played: [1], seeking: false }, ['waiting', 'pause']);
  assert.ok(twice.count === 2 && twice.ms > once.ms, JSON.stringify(twice));
  await visitor.close();
});

test('a film that began before there was anybody to share with plays on when there is', async () => {
  const other = await Site.make({ signaller: world.base, film: true, large: 1024 * 1024 });
  const first = await Visitor.open(world.browser, other, 'early-1');
  await first.when(`swarmletSite.stats().reason === 'too few visitors'`);
  await play(first, 'film');
  const second = await Visitor.open(world.browser, other, 'early-2');
  await Promise.all([first.sharing(), second.sharing()]);
  await first.when('swarmletSite.stats().peers > 0');
  for (const to of [90, 30, 100]) await seek(first, 'film', to);
  await Promise.all([first.close(), second.close(), other.close()]);
});
