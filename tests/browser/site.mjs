// @ts-check
// A web site of somebody else's: the demo's folder with pictures, a font, a large file and films, published, and served by
// nginx, which knows nothing of Swarmlet.
import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { binary, bytes, freePort, KiB, MiB, sha256, within } from './harness.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const root = resolve(here, '../..');

let made = 0;

/** @typedef {{ path: string, status: number, bytes: number, visitor: string }} Line */

export class Site {
  /** @type {import('node:child_process').ChildProcess | undefined} */ #nginx;
  /** @type {Stream | undefined} */ #live;

  /** @param {string} home @param {number} port */
  constructor(home, port) {
    this.home = home;
    this.port = port;
    this.folder = join(home, 'site');
    this.base = `http://127.0.0.1:${port}/`;
  }

  /**
   * @param {{ signaller: string, film?: boolean, dash?: boolean, large?: number, rate?: string, tag?: Record<string, string>, sign?: boolean,
   *   csp?: boolean, more?: Record<string, number> }} options
   * `film`: with MP4 and HLS (needs ffmpeg), `dash`: and DASH. `large`: bytes of the download. `rate`: bytes per second of each answer of nginx.
   * `tag`: more `data-` options of the script tag. `more`: other files, and their bytes.
   */
  static async make({ signaller, film = false, dash = false, large = 40 * MiB, rate = '0', tag = {}, sign = true, csp = true, more = {} }) {
    const site = new Site(mkdtempSync(join(tmpdir(), 'swarmlet-site-')), await freePort());
    site.#fill(large, film);
    if (dash) site.#dash();
    Object.entries(more).forEach(([path, size], at) => writeFileSync(join(site.folder, path), bytes(900 + at, size)));
    site.publish({ signaller, tag, sign });
    site.#configure({ rate, policy: csp ? policyFor(signaller) : '' });
    return site.start();
  }

  /** Somebody's own pages and files, and no more: nothing of it is published. @param {{ policy: string, files: Record<string, string | Buffer> }} options
   * `policy`: its Content-Security-Policy. */
  static async bare({ policy, files }) {
    const site = new Site(mkdtempSync(join(tmpdir(), 'swarmlet-site-')), await freePort());
    for (const [path, content] of Object.entries(files)) site.put(path, content);
    site.#configure({ rate: '0', policy });
    return site.start();
  }

  /** @param {string} path @param {string | Buffer} content */
  put(path, content) {
    mkdirSync(dirname(join(this.folder, path)), { recursive: true });
    writeFileSync(join(this.folder, path), content);
  }

  /** A site that publishes nothing, whose signaller vouches for it with a key.
   * @param {{ signaller: string, port: number, key: string, large: number, tag: Record<string, string>, more: Record<string, number> }} options */
  static async unpublished({ signaller, port, key, large, tag, more }) {
    const site = new Site(mkdtempSync(join(tmpdir(), 'swarmlet-site-')), port);
    site.#fill(large, false);
    Object.entries(more).forEach(([path, size], at) => writeFileSync(join(site.folder, path), bytes(900 + at, size)));
    const options = { manifest: `${signaller}/swarmlet/witness/${key}/swarmlet.json`, key, mode: 'on', policy: 'none', witness: 'on', ...tag };
    const script = `<script async src="${signaller}/swarmlet/embed.js" ${Object.entries(options).map(([name, value]) => `data-${name}="${value}"`).join(' ')}></script>`;
    writeFileSync(join(site.folder, 'swarmlet-sw.js'), `importScripts('${signaller}/swarmlet/sw.js');\nswarmlet({ only: true });\n`);
    writeFileSync(join(site.folder, 'index.html'), readFileSync(join(root, 'www/demo/index.html'), 'utf8').replace('<!-- swarmlet -->', script));
    site.#configure({ rate: '0', policy: policyFor(signaller) });
    return site.start();
  }

  /** @param {number} large @param {boolean} film */
  #fill(large, film) {
    const { folder } = this;
    cpSync(join(root, 'www/demo'), folder, { recursive: true });
    for (const name of ['pictures', 'fonts', 'files', 'vendor', 'private', 'cookie']) mkdirSync(join(folder, name));
    const sample = join(root, 'www/sample');
    const pictures = readdirSync(sample).filter((name) => name.endsWith('.webp'));
    for (const name of pictures) cpSync(join(sample, name), join(folder, 'pictures', name));
    writeFileSync(join(folder, 'pictures/index.json'), JSON.stringify(pictures));
    writeFileSync(join(folder, 'fonts/site.woff2'), bytes(71, 60 * KiB));
    // Each site is another one: visitors of one are not those of the next.
    made += 1;
    writeFileSync(join(folder, 'files/large.bin'), bytes(72 + made, large));
    cpSync(join(here, 'node_modules/hls.js/dist/hls.light.min.js'), join(folder, 'vendor/hls.js'));
    if (!film) return;
    for (const name of ['film', 'hls']) mkdirSync(join(folder, name));
    const input = ['-v', 'error', '-stream_loop', '14', '-i', join(sample, '05 Swarm.mp4'), '-c', 'copy'];
    execFileSync('ffmpeg', [...input, '-movflags', '+faststart', join(folder, 'film/film.mp4')]);
    execFileSync('ffmpeg', [...input, '-f', 'hls', '-hls_time', '4', '-hls_playlist_type', 'vod',
      '-hls_segment_filename', join(folder, 'hls/%03d.ts'), join(folder, 'hls/index.m3u8')]);
  }

  #dash() {
    const folder = join(this.folder, 'dash');
    mkdirSync(folder);
    cpSync(join(here, 'node_modules/shaka-player/dist/shaka-player.dash-es2021.js'), join(this.folder, 'vendor/shaka.js'));
    execFileSync('ffmpeg', ['-v', 'error', '-stream_loop', '14', '-i', join(root, 'www/sample/05 Swarm.mp4'), '-c', 'copy', '-f', 'dash', '-seg_duration', '4',
      '-init_seg_name', 'init-$RepresentationID$.m4s', '-media_seg_name', '$RepresentationID$-$Number%03d$.m4s', join(folder, 'index.mpd')]);
  }

  /** Runs `publish` and puts the tag that it prints into the page.
   * @param {{ signaller: string, tag?: Record<string, string>, sign?: boolean, args?: string[] }} options */
  publish({ signaller, tag = {}, sign = true, args = [] }) {
    const key = join(this.home, 'key');
    if (sign) writeFileSync(key, execFileSync(binary, ['token', '--new-key'], { encoding: 'utf8' }), { flag: 'a' });
    const signed = sign ? ['--sign', key] : [];
    const said = execFileSync(binary, ['publish', this.folder, '--signaller', signaller, ...signed, ...args], { encoding: 'utf8' });
    const script = /<script .*<\/script>/.exec(said)?.[0] ?? '';
    assert.ok(script, said);
    const extra = Object.entries(tag).map(([name, value]) => ` data-${name}="${value}"`).join('');
    const [, listeners] = /In a file \/swarmlet-sw.js:\n([\s\S]*?)\n\n/.exec(said) ?? [];
    writeFileSync(join(this.folder, 'swarmlet-sw.js'), listeners ?? '');
    const whole = script.replace(' data-mode="shadow"', tag.mode ? '' : ' data-mode="on"').replace('></script>', `${extra}></script>`);
    for (const name of ['index.html', 'dash.html']) {
      const page = readFileSync(join(root, 'www/demo', name), 'utf8');
      writeFileSync(join(this.folder, name), page.replace('<!-- swarmlet -->', whole));
    }
  }

  /** @param {'off' | 'shadow' | 'on'} mode */
  policy(mode) {
    execFileSync(binary, ['publish', this.folder, '--policy', mode, '--sign', join(this.home, 'key')]);
  }

  /** Changes a file that is served. @param {string} path @param {(text: string) => string} change */
  spoil(path, change) {
    const file = join(this.folder, path);
    writeFileSync(file, change(readFileSync(file, 'utf8')));
  }

  /** @param {{ rate: string, policy: string }} options */
  #configure({ rate, policy }) {
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((name) => `${name}_temp_path ${this.home}/${name};`);
    writeFileSync(join(this.home, 'nginx.conf'), `
      daemon off; master_process off; pid ${this.home}/nginx.pid; error_log ${this.home}/error.log;
      events { worker_connections 512; }
      http {
        include /etc/nginx/mime.types;
        log_format told '$uri\\t$status\\t$body_bytes_sent\\t$http_user_agent';
        access_log ${this.home}/access.log told;
        ${temporary.join(' ')}
        server {
          listen 127.0.0.1:${this.port};
          root ${this.folder};
          limit_rate ${rate};
          location /private/ { add_header Cache-Control "private, max-age=60"; }
          location /cookie/ { add_header Set-Cookie "visit=1"; }
          ${policy ? `add_header Content-Security-Policy "${policy}";` : ''}
        }
      }`);
  }

  async start() {
    const nginx = spawn(existsSync('/usr/sbin/nginx') ? '/usr/sbin/nginx' : 'nginx', ['-c', join(this.home, 'nginx.conf'), '-p', this.home, '-e', join(this.home, 'error.log')], { stdio: 'ignore' });
    this.#nginx = nginx;
    endsWithUs(nginx);
    const ready = async () => {
      while (nginx.exitCode === null) {
        if (await fetch(this.base).catch(() => undefined)) return;
        await new Promise((next) => setTimeout(next, 10));
      }
      throw new Error(readFileSync(join(this.home, 'error.log'), 'utf8'));
    };
    await within(ready(), 'nginx serves');
    return this;
  }

  /** An encoder and `publish --live` on `live/`, with its page. @param {{ signaller: string, tag?: Record<string, string> }} options */
  async startLive({ signaller, tag = {} }) {
    const live = new Stream(this.home, join(this.folder, 'live'));
    this.#live = live;
    const key = join(this.home, 'key');
    if (!existsSync(key)) writeFileSync(key, execFileSync(binary, ['token', '--new-key'], { encoding: 'utf8' }));
    const said = await live.publish(['publish', '--live', live.folder, '--base-url', `${this.base}live/`, '--sign', key, '--signaller', signaller]);
    const extra = Object.entries({ manifest: 'none', mode: 'on', policy: 'none', ...tag }).map(([name, value]) => ` data-${name}="${value}"`).join('');
    const script = said.replace(' data-mode="shadow"', '').replace('></script>', `${extra}></script>`);
    const page = readFileSync(join(root, 'www/demo/live.html'), 'utf8');
    writeFileSync(join(this.folder, 'live.html'), page.replace('<!-- swarmlet -->', script));
    return live;
  }

  async stop() {
    const nginx = this.#nginx;
    this.#nginx = undefined;
    if (!nginx || nginx.exitCode !== null) return;
    nginx.ref();
    const ended = new Promise((done) => nginx.once('exit', done));
    nginx.kill('SIGKILL');
    await ended;
  }

  async close() {
    await this.#live?.stop();
    await this.stop();
    rmSync(this.home, { recursive: true, force: true });
  }

  manifest() {
    return JSON.parse(readFileSync(join(this.folder, 'swarmlet.json'), 'utf8'));
  }

  /** What visitors may share: path → size. @returns {Map<string, number>} */
  eligible() {
    const { files } = this.manifest();
    return new Map(files.map((/** @type {[string, number]} */ [path, size]) => [path, size]));
  }

  /** Bytes of a file that is there, or was on its way out. @param {string} path @returns {number | undefined} */
  size(path) {
    return existsSync(join(this.folder, path)) ? statSync(join(this.folder, path)).size : undefined;
  }

  /** @param {string} path */
  hash(path) {
    return sha256(readFileSync(join(this.folder, path)));
  }

  /** What nginx says that it sent of what visitors may share. @returns {Line[]} */
  log() {
    const eligible = this.eligible();
    return this.lines().filter(({ path }) => eligible.has(path));
  }

  /** All that nginx sent. @returns {Line[]} */
  lines() {
    const lines = readFileSync(join(this.home, 'access.log'), 'utf8').trim().split('\n').map((line) => line.split('\t'));
    return lines.map(([uri, status, sent, visitor]) => ({ path: uri?.slice(1) ?? '', status: Number(status), bytes: Number(sent), visitor: visitor ?? '' }));
  }
}

/** The lines that docs/EMBEDDING.md gives, for this signaller, and what the demo's own pages need. @param {string} signaller */
function policyFor(signaller) {
  return `default-src 'self'; script-src 'self' ${signaller} 'wasm-unsafe-eval'; worker-src 'self' blob: ${signaller}; `
    + `connect-src 'self' ${signaller} ${signaller.replace('http', 'ws')}; img-src 'self' data:; style-src 'self'; media-src 'self' blob:`;
}

/** A live stream: segments of a second that are ready, and come out one by one. */
export class Stream {
  /** @type {import('node:child_process').ChildProcess | undefined} */ #publisher;
  /** @type {NodeJS.Timeout | undefined} */ #timer;
  /** @type {string[]} */ said = [];
  next = 0;
  /** Segments that are ready: then they begin anew. */
  #whole;

  /** @param {string} home @param {string} folder */
  constructor(home, folder) {
    this.folder = folder;
    this.ready = join(home, 'ready');
    mkdirSync(folder);
    mkdirSync(this.ready);
    execFileSync('ffmpeg', ['-v', 'error', '-stream_loop', '5', '-i', join(root, 'www/sample/05 Swarm.mp4'), '-t', '32', '-vf', 'scale=640:360,noise=alls=20:allf=t',
      '-c:v', 'libx264', '-preset', 'ultrafast', '-b:v', '3M', '-g', '25', '-keyint_min', '25', '-sc_threshold', '0', '-c:a', 'aac', '-f', 'hls', '-hls_time', '1', '-hls_list_size', '0',
      '-hls_segment_filename', join(this.ready, '%03d.ts'), join(this.ready, 'index.m3u8')]);
    this.#whole = readdirSync(this.ready).length - 1;
  }

  /** Puts out the next segment, and a playlist of the last ones. @param {number} [count] */
  step(count = 1) {
    for (let at = 0; at < count; at += 1, this.next += 1) {
      cpSync(join(this.ready, this.#name(this.next % this.#whole)), join(this.folder, this.#name(this.next)));
    }
    const first = Math.max(0, this.next - 6);
    const list = Array.from({ length: this.next - first }, (_, at) => {
      const again = at + first > 0 && (at + first) % this.#whole === 0 ? '#EXT-X-DISCONTINUITY\n' : '';
      return `${again}#EXTINF:1.0,\n${this.#name(first + at)}\n`;
    }).join('');
    const text = `#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:1\n#EXT-X-MEDIA-SEQUENCE:${first}\n${list}`;
    writeFileSync(join(this.folder, 'index.part'), text);
    renameSync(join(this.folder, 'index.part'), join(this.folder, 'index.m3u8'));
  }

  /** A segment each second from now on. */
  run() {
    this.#timer = setInterval(() => this.step(), 1000);
  }

  /** @param {number} at */
  #name(at) {
    return `${String(at).padStart(3, '0')}.ts`;
  }

  /** Starts to publish, and gives the script tag. @param {string[]} args @returns {Promise<string>} */
  publish(args) {
    const child = spawn(binary, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    this.#publisher = child;
    endsWithUs(child);
    return within(new Promise((told) => child.stdout?.on('data', (text) => {
      this.said.push(...String(text).split('\n').filter(Boolean));
      const script = /<script .*<\/script>/.exec(this.said.join('\n'))?.[0];
      if (script) told(script);
    })), 'publish --live begins', async () => this.said);
  }

  bulletin() {
    return readFileSync(join(this.folder, 'swarmlet-live.txt'), 'utf8');
  }

  async stop() {
    clearInterval(this.#timer);
    const child = this.#publisher;
    this.#publisher = undefined;
    if (!child || child.exitCode !== null) return;
    child.ref();
    const ended = new Promise((done) => child.once('exit', done));
    child.kill();
    await ended;
  }
}

/** A test that failed leaves its site behind, which must not keep the others waiting.
 * @param {import('node:child_process').ChildProcess} child */
function endsWithUs(child) {
  child.unref();
  /** @type {any} */ (child.stdout)?.unref();
  const end = () => child.kill('SIGKILL');
  process.once('exit', end);
  child.once('exit', () => process.off('exit', end));
}

/** Somebody who opens the site. */
export class Visitor {
  /** @type {string[]} */ console = [];

  /** @param {string} name @param {import('playwright-core').BrowserContext} context @param {import('playwright-core').Page} page */
  constructor(name, context, page) {
    this.name = name;
    this.context = context;
    this.page = page;
    page.on('console', (message) => this.console.push(`${message.type()}: ${message.text()}`));
    page.on('pageerror', (error) => this.console.push(`error: ${error.stack ?? error}`));
  }

  /** @param {import('playwright-core').Browser} browser @param {Site} site @param {string} name
   * @param {{ path?: string, init?: () => void, context?: object,
   *   prepare?: (context: import('playwright-core').BrowserContext) => Promise<void> }} [options] */
  static async open(browser, site, name, { path = '', init, context: more = {}, prepare } = {}) {
    const context = await browser.newContext({ serviceWorkers: 'allow', userAgent: `Mozilla/5.0 Test ${name}`, ...more });
    if (init) await context.addInitScript(init);
    await prepare?.(context);
    const visitor = new Visitor(name, context, await context.newPage());
    await visitor.page.goto(site.base + path);
    return visitor;
  }

  /** The same visitor in another tab. @param {Site} site @param {() => void} [init] */
  async tab(site, init) {
    const page = await this.context.newPage();
    if (init) await page.addInitScript(init);
    const other = new Visitor(`${this.name}'s other tab`, this.context, page);
    await page.goto(site.base);
    return other;
  }

  /** @returns {Promise<any>} */
  stats() {
    return this.page.evaluate('globalThis.swarmletSite?.stats()');
  }

  async seen() {
    return { console: this.console.slice(-20), stats: await this.stats() };
  }

  /** Resolves when an expression holds in the page. @param {string} expression @param {number} [ms] */
  async when(expression, ms) {
    const run = this.page.evaluate(`(async () => { for (;;) { const v = await (${expression}); if (v) return v;
      await new Promise((next) => setTimeout(next, 50)); } })()`);
    return within(/** @type {Promise<any>} */ (run), `${this.name}: ${expression}`, () => this.seen(), ms);
  }

  /** Waits until it shares. */
  async sharing() {
    await this.when(`swarmletSite.stats().gate === 'open' && navigator.serviceWorker.controller !== null`);
    return this;
  }

  /** Reads files as the site's scripts would, one after the other, and hashes what came.
   * @param {string[]} paths @param {number} [ms] @returns {Promise<Record<string, string>>} */
  read(paths, ms = 60_000) {
    const run = this.page.evaluate(`(async () => {
      const found = {};
      for (const path of ${JSON.stringify(paths)}) {
        const answer = await fetch(path.split('/').map(encodeURIComponent).join('/'));
        const whole = await answer.arrayBuffer();
        const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', whole));
        const hash = Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
        found[path] = answer.ok && whole.byteLength === Number(answer.headers.get('content-length')) ? hash : answer.status + ' ' + whole.byteLength;
      }
      return found;
    })()`);
    return within(/** @type {Promise<any>} */ (run), `${this.name} reads`, () => this.seen(), ms);
  }

  async close() {
    await this.context.close();
  }
}
