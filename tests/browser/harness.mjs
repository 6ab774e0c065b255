// @ts-check
// A world to test in: the release server on a free port, Chromium, and pages that each live in a context of their own,
// so that storage and locks are as separate as between two machines.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { installHelpers } from './in-page.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const target = resolve(root, process.env.CARGO_TARGET_DIR ?? 'target');
export const binary = process.env.SWARMLET_SIGNALLER ?? join(target, 'release/swarmlet-signaller');

export const KiB = 1024;
export const MiB = 1024 * 1024;
/** A hang is a failure: nothing in these tests should take half as long. */
export const DEADLINE_MS = Number(process.env.DEADLINE_MS ?? 20_000);

/**
 * Waits for `promise`, and says what was waited for, and how things were, when it does not come.
 * @template T
 * @param {Promise<T>} promise @param {string} what @param {() => Promise<unknown>} [state] @param {number} [ms]
 * @returns {Promise<T>}
 */
export async function within(promise, what, state, ms = DEADLINE_MS) {
  /** @type {NodeJS.Timeout | undefined} */
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`not within ${ms} ms: ${what}`)), ms);
  });
  promise.catch(() => {});
  try {
    return await /** @type {Promise<T>} */ (Promise.race([promise, late]));
  } catch (error) {
    const seen = state ? await Promise.race([state().catch(String), timeout(2000)]) : undefined;
    throw new Error(`${what}: ${/** @type {Error} */ (error).message}${seen ? `\n${JSON.stringify(seen, null, 1)}` : ''}`);
  } finally {
    clearTimeout(timer);
  }
}

/** @param {number} ms */
const timeout = (ms) => new Promise((done) => setTimeout(() => done('no answer'), ms).unref());

/** @returns {Promise<number>} */
export function freePort() {
  return new Promise((found, failed) => {
    const probe = createServer().on('error', failed);
    probe.listen(0, '127.0.0.1', () => {
      const { port } = /** @type {import('node:net').AddressInfo} */ (probe.address());
      probe.close(() => found(port));
    });
  });
}

/** The server as people run it. It can be stopped and started again at the same address. */
export class Signaller {
  /** @type {import('node:child_process').ChildProcess | undefined} */ #child;
  #output = '';

  /** @param {number} port @param {string[]} extra */
  constructor(port, extra) {
    this.port = port;
    this.extra = extra;
    this.base = `http://127.0.0.1:${port}`;
  }

  async start() {
    if (!existsSync(binary)) throw new Error(`no server at ${binary}: run make build`);
    const args = ['serve', '--addr', `127.0.0.1:${this.port}`, '--www', join(root, 'www'), ...this.extra];
    const child = spawn(binary, args, { cwd: root, stdio: ['ignore', 'pipe', 'pipe'] });
    this.#child = child;
    const note = (/** @type {Buffer} */ text) => {
      this.#output = (this.#output + text).slice(-20_000);
    };
    child.stdout?.on('data', note);
    child.stderr?.on('data', note);
    const ready = async () => {
      while (child.exitCode === null) {
        const answer = await fetch(`${this.base}/readyz`).catch(() => undefined);
        if (answer?.ok) return;
        await new Promise((next) => setTimeout(next, 10));
      }
      throw new Error(`the server ended with ${child.exitCode}`);
    };
    await within(ready(), 'the server is ready', async () => this.#output);
    return this;
  }

  /** @param {NodeJS.Signals} signal */
  async stop(signal = 'SIGKILL') {
    const child = this.#child;
    this.#child = undefined;
    if (!child || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((done) => child.once('exit', done));
    child.kill(signal);
    await within(ended, `the server ends after ${signal}`, async () => this.#output);
  }
}

/** One page with a node, alone in its browser context. */
export class Peer {
  /** @type {string[]} */ console = [];

  /** @param {string} name @param {import('playwright-core').BrowserContext} context
   * @param {import('playwright-core').Page} page @param {string} base */
  constructor(name, context, page, base) {
    this.name = name;
    this.context = context;
    this.page = page;
    this.base = base;
    /** @type {string} */ this.id = '';
    page.on('console', (message) => this.console.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => this.console.push(`error: ${error.stack ?? error}`));
  }

  /** @param {Record<string, unknown>} [options] */
  async join(options = {}) {
    this.id = await this.ask('join', (t, given) => t.join(given), options);
    return this;
  }

  /**
   * Runs `body(t, argument)` inside the page, where `t` is what `in-page.mjs` installs.
   * @template A @template R
   * @param {string} what @param {(t: any, argument: A) => R | Promise<R>} body @param {A} [argument] @param {number} [ms]
   * @returns {Promise<R>}
   */
  ask(what, body, argument, ms) {
    // An expression, because the page's policy forbids it to evaluate text itself.
    const run = this.page.evaluate(`(${body})(globalThis.t, ${JSON.stringify(argument) ?? 'undefined'})`);
    return within(/** @type {Promise<any>} */ (run), `${this.name}: ${what}`, () => this.state(), ms);
  }

  /**
   * Resolves with the first truthy value of `test(argument)`, asked at each frame. Playwright's own way compiles text
   * in the page, which the page's policy refuses.
   * @template A @template R
   * @param {string} what @param {(argument: A) => R} test @param {A} [argument]
   * @returns {Promise<R>}
   */
  when(what, test, argument) {
    const run = this.page.evaluate(`(async () => {
      const [test, argument] = [${test}, ${JSON.stringify(argument) ?? 'undefined'}];
      for (;;) {
        const value = test(argument);
        if (value) return value;
        await new Promise(requestAnimationFrame);
      }
    })()`);
    return within(/** @type {Promise<any>} */ (run), `${this.name}: ${what}`, () => this.state());
  }

  state() {
    const tail = this.console.slice(-20);
    return this.page.evaluate((lines) => {
      const t = /** @type {any} */ (globalThis).t;
      const node = t.node ?? /** @type {any} */ (globalThis).swarmlet;
      return { console: lines, stats: node?.stats(), log: t.log.slice(-40) };
    }, tail);
  }

  /** @param {{ path: string, size: number, seed: number }[]} files @param {object} [options]
   * @returns {Promise<{ id: string, magnet: string, link: string, name: string, size: number }>} */
  seed(files, options = {}) {
    return this.ask('seed', (t, given) => t.seed(given.files, given.options), { files, options });
  }

  /** @param {string | number[]} what @param {object} [options]
   * @returns {Promise<{ id: string, magnet: string, link: string, name: string, size: number }>} */
  add(what, options = {}) {
    return this.ask('add', (t, given) => t.add(given.what, given.options), { what, options });
  }

  /** @param {string} id @param {number} [ms] */
  async done(id, ms) {
    await this.ask('done', async (t, given) => void (await t.shares.get(given).done), id, ms);
    return this;
  }

  /** @param {string} id @param {number} bytes @returns {Promise<any>} */
  reached(id, bytes) {
    return this.ask(`reaches ${bytes} bytes`, (t, given) => t.until(given.id, (p) => p.done >= given.bytes), { id, bytes });
  }

  /** @param {string} id @returns {Promise<{ path: string, size: number, sha256: string }[]>} */
  hashes(id) {
    return this.ask('hashes', (t, given) => t.hashes(given), id);
  }

  /** An offer for one other page. @param {string} id @returns {Promise<{ code: string, link: string }>} */
  offer(id) {
    return this.ask('offer', (t, given) => t.shares.get(given).offer(), id);
  }

  /** Takes in a code or a link. @param {string} code @returns {Promise<string | null>} */
  meet(code) {
    return this.ask('meet', (t, given) => t.node.meet(given), code);
  }

  /** @returns {Promise<any>} */
  stats() {
    return this.ask('stats', (t) => t.node.stats());
  }

  /** @param {string} id @returns {Promise<any>} */
  progress(id) {
    return this.ask('progress', (t, given) => t.shares.get(given).stats(), id);
  }

  /** What happened so far. @returns {Promise<{ type: string, detail: any }[]>} */
  log() {
    return this.ask('log', (t) => t.log);
  }

  /** Resolves with the first event of `type` whose detail has these fields. @param {string} type @param {object} fields
   * @returns {Promise<any>} */
  event(type, fields) {
    return this.ask(`event ${type} ${JSON.stringify(fields)}`, (t, given) => t.condition(() => {
      const same = (/** @type {any} */ e) => e.type === given.type
        && Object.entries(given.fields).every(([key, value]) => e.detail[key] === value);
      return t.log.find(same)?.detail;
    }), { type, fields });
  }

  async reload() {
    await this.page.reload();
  }

  async close() {
    await this.context.close();
  }
}

/** A name of this machine that browsers do not trust without TLS, as they do trust 127.0.0.1. */
const PLAIN_HOST = 'plain.test';

export class World {
  #pages = 0;

  /** @param {Signaller} signaller @param {import('playwright-core').Browser} browser
   * @param {import('playwright-core').BrowserContext} [profile] */
  constructor(signaller, browser, profile) {
    this.signaller = signaller;
    this.browser = browser;
    this.profile = profile;
    this.base = signaller.base;
  }

  /** `profile`: the pages live in an ordinary profile, as visitors' do, each at an origin of its own; a context of a driver's is a private
   * window, whose private files are in the browser process. @param {{ server?: string[], profile?: boolean }} [options] */
  static async start({ server: extra = [], profile = false } = {}) {
    const signaller = await new Signaller(await freePort(), extra).start();
    const options = {
      executablePath: process.env.CHROMIUM ?? '/usr/bin/chromium',
      args: ['--no-sandbox', '--disable-gpu', ...(hasSharedMemory() ? [] : ['--disable-dev-shm-usage']), '--disable-background-networking',
        '--disable-component-update', '--disable-default-apps', '--autoplay-policy=no-user-gesture-required',
        `--host-resolver-rules=MAP ${PLAIN_HOST} 127.0.0.1`],
    };
    if (!profile) return new World(signaller, await chromium.launch(options));
    const context = await chromium.launchPersistentContext('', options);
    const browser = context.browser();
    if (!browser) throw new Error('this driver tells nothing of a browser with a profile');
    return new World(signaller, browser, context);
  }

  /** A page without a node. `path`: where; the default is a page of the same origin that runs no script.
   * @param {string} name
   * @param {{ path?: string, context?: import('playwright-core').BrowserContext, base?: string }} [options] */
  async page(name, { path = '/healthz', context, base = this.base } = {}) {
    if (this.profile) return this.#profilePage(this.profile, name, path);
    const own = context ?? await this.browser.newContext({ serviceWorkers: 'allow', acceptDownloads: true });
    await own.addInitScript(installHelpers, { base });
    const page = await own.newPage();
    const peer = new Peer(name, own, page, base);
    await page.goto(base + path);
    return peer;
  }

  /** @param {import('playwright-core').BrowserContext} profile @param {string} name @param {string} path */
  async #profilePage(profile, name, path) {
    this.#pages += 1;
    // Browsers trust these names as they trust 127.0.0.1, and give each a process and storage of its own.
    const base = this.base.replace('127.0.0.1', `page-${this.#pages}.localhost`);
    const page = await profile.newPage();
    await page.addInitScript(installHelpers, { base });
    const close = async () => {
      const session = await profile.newCDPSession(page);
      await page.goto('about:blank');
      await session.send('Storage.clearDataForOrigin', { origin: base, storageTypes: 'all' });
      await page.close();
    };
    const peer = new Peer(name, /** @type {any} */ ({ close }), page, base);
    await page.goto(base + path);
    return peer;
  }

  /** A page that came without TLS from a name that needs it: no `crypto.subtle`, no locks, no private files.
   * @param {string} name */
  async plainPage(name) {
    return this.page(name, { base: `http://${PLAIN_HOST}:${this.signaller.port}` });
  }

  /** A page with a node. @param {string} name @param {Record<string, unknown>} [options] */
  async peer(name, options) {
    return (await this.page(name)).join(options);
  }

  async close() {
    await (this.profile ?? this.browser).close();
    await this.signaller.stop();
  }
}

/** Whether processes can share some hundred megabytes where Chromium looks for them, as on people's machines: not in every container. */
function hasSharedMemory() {
  try {
    const { bavail, bsize } = statfsSync('/dev/shm');
    return bavail * bsize >= 1024 * MiB;
  } catch {
    return false;
  }
}

/** The bytes that the pages make: see `installHelpers`. @param {number} seed @param {number} size */
export function bytes(seed, size) {
  const words = new Uint32Array(Math.ceil(size / 4));
  let x = (seed * 2654435761) >>> 0 || 1;
  for (let i = 0; i < words.length; i += 1) {
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    words[i] = x;
  }
  return Buffer.from(words.buffer, 0, size);
}

/** @param {Uint8Array} data */
export const sha256 = (data) => createHash('sha256').update(data).digest('hex');

/** What `peer.hashes` must find for these files. @param {{ path: string, size: number, seed: number }[]} files */
export function expected(files) {
  const found = files.map(({ path, size, seed }) => ({ path, size, sha256: sha256(bytes(seed, size)) }));
  return found.sort((a, b) => (a.path < b.path ? -1 : 1));
}

/** Asserts that a page holds exactly these files. @param {Peer} peer @param {string} id
 * @param {{ path: string, size: number, seed: number }[]} files */
export async function holds(peer, id, files) {
  const found = (await peer.hashes(id)).sort((a, b) => (a.path < b.path ? -1 : 1));
  assert.deepEqual(found, expected(files), `${peer.name} holds the content`);
}

/** Bytes that one peer took from another. @param {any} stats @param {Peer} from */
export function takenFrom(stats, from) {
  const link = stats.links.find((/** @type {any} */ l) => l.peer === from.id);
  return link ? link.received : 0;
}
