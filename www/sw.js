// @ts-check
// `importScripts('…/swarmlet/sw.js'); swarmlet();`: listeners, one pure decision, and bytes pulled from a page's worker.
// Pages say what may be answered, and any doubt goes to the network.
'use strict';

const swarmlet = (() => {
  // Of one answer to a player: browsers end what a service worker answers after some minutes.
  const MEDIA_BYTES = 4 * 1024 * 1024;
  // A page that is busier than this does not deliver.
  const YES_MS = 250;
  // The swarm falls back to HTTP long before; this is for a page that went away, or is stuck.
  const STALL_MS = 8000;
  // From the network then, before the page is asked again.
  const DETOUR_BYTES = 2 * 1024 * 1024;
  // The reader comes first.
  const COPY_MS = 500;
  // Of a film: its index, which is less than a hundredth of it, and the first pictures. A longer film's takes a whole part.
  const START_BYTES = 1024 * 1024;
  const LONG_BYTES = 64 * START_BYTES;
  // A worker that nobody needs is taken away: each load of a page costs more with one than without.
  const LEAVE_MS = 20_000;
  // Not for everybody, or dependent on what the browser has.
  const SPECIAL = ['authorization', 'if-range', 'if-none-match', 'if-modified-since', 'if-match', 'if-unmodified-since'];
  const FRESH = new Set(['default', 'force-cache']);
  /** @type {Places} */
  const PLACES = {
    image: ['image', /^image\//],
    font: ['font', /^(font\/|application\/(font|x-font))/],
    video: ['media', /^(video|audio)\//],
    audio: ['media', /^(audio|video)\//],
    track: ['media', /^text\/vtt/],
    script: ['script', /javascript/],
    style: ['style', /^text\/css/],
    '': ['fetch', /./],
  };
  // What runs, or holds what runs, is a script by fetch, too.
  const ACTIVE = /javascript|html|wasm|xml|svg|css|json\+ld/;
  // Saved, never shown.
  const SAVED = /^application\/(octet-stream|zip|gzip|x-bittorrent)$/;

  /** One `bytes=` range of a file. `null`: none; `undefined`: nothing that we answer. @param {string | null} header @param {number} size */
  function range(header, size) {
    if (header === null) return null;
    const match = /^bytes=(\d*)-(\d*)$/.exec(header.trim());
    if (!match || (match[1] === '' && match[2] === '')) return undefined;
    const start = match[1] === '' ? Math.max(0, size - Number(match[2])) : Number(match[1]);
    const end = match[1] === '' || match[2] === '' ? size : Math.min(size, Number(match[2]) + 1);
    return start < end ? { start, end, open: match[2] === '' } : undefined;
  }

  /** Where an address is in a site: the path as its owner writes it. @param {string} url @param {string} base */
  function pathOf(url, base) {
    const bare = url.split('#')[0];
    if (!bare.startsWith(base) || bare.includes('?')) return undefined;
    try {
      return decodeURIComponent(bare.slice(base.length));
    } catch {
      return undefined;
    }
  }

  /**
   * What to answer from the swarm, if anything. Pure.
   * @param {Asked} asked @param {Table | undefined} table @param {string} origin this site's
   * @param {number} [now]
   * @returns {Found | null}
   */
  function route(asked, table, origin, now = 0) {
    if (!table || asked.method !== 'GET' || !FRESH.has(asked.cache)) return null;
    const path = pathOf(asked.url, table.base) ?? '';
    const entry = table.live.get(path) ?? table.files.get(path);
    if (!entry || (entry.until ?? now) < now) return null;
    // What another site gave without CORS must stay unreadable.
    if (!table.base.startsWith(`${origin}/`) && asked.mode !== 'cors') return null;
    if (SPECIAL.some((name) => asked.header(name) !== null)) return null;
    const download = asked.mode === 'navigate' && asked.destination === 'document' && SAVED.test(entry.type);
    const place = PLACES[asked.destination];
    if (!download && (asked.mode === 'navigate' || !place || !place[1].test(entry.type))) return null;
    const kind = download ? 'download' : asked.destination === '' && ACTIVE.test(entry.type) ? 'script' : place[0];
    if (!table.classes.has(kind)) return null;
    const part = range(asked.header('range'), entry.size);
    if (part === undefined) return null;
    const { start, end, open } = part ?? { start: 0, end: entry.size, open: false };
    const media = kind === 'media' && place[0] === 'media';
    const film = /^(video|audio)$/.test(asked.destination);
    // Of others players take no parts that come now from the network, now from us.
    if (film && asked.mode !== 'cors') return null;
    // Alone, nobody could have it sooner than the network.
    const alone = film && table.alone && !entry.begun;
    const first = entry.size > LONG_BYTES ? MEDIA_BYTES : START_BYTES;
    // A copy costs time, and where a player begins, or jumps to, there is none.
    const copied = alone && start > 0 && start % first === 0;
    const most = !alone || copied ? start + MEDIA_BYTES : (Math.floor(start / first + 0.5) + 1) * first;
    const stop = media && open ? Math.min(end, most) : end;
    if (stop - start > (alone ? MEDIA_BYTES : table.wholeMax)) return null;
    return { entry, start, end: stop, partial: part !== null, media, download, alone, copied };
  }

  /** @param {Found} found */
  function head({ entry, start, end, partial, download }) {
    const headers = new Headers({
      'content-type': entry.type,
      'content-length': String(end - start),
      'accept-ranges': 'bytes',
      'x-content-type-options': 'nosniff',
    });
    if (entry.text) headers.set('cache-control', 'no-store');
    if (partial) headers.set('content-range', `bytes ${start}-${end - 1}/${entry.size}`);
    if (download) {
      const name = encodeURIComponent(entry.path.split('/').pop() ?? '');
      headers.set('content-disposition', `attachment; filename*=UTF-8''${name}`);
      headers.set('content-security-policy', "default-src 'none'; sandbox");
    }
    return { status: partial ? 206 : 200, headers };
  }

  /** Answers in order. @param {MessagePort} port @returns {Line} */
  function line(port) {
    /** @type {((message: any) => void)[]} */
    const waiting = [];
    /** @type {any[]} */
    const come = [];
    port.onmessage = ({ data }) => {
      const next = waiting.shift();
      if (next) next(data);
      else come.push(data);
    };
    /** `null`: not in time. @type {Line['next']} */
    const next = (ms) => new Promise((resolve) => {
      if (come.length > 0) return resolve(come.shift());
      const take = (/** @type {any} */ message) => {
        clearTimeout(timer);
        resolve(message);
      };
      waiting.push(take);
      const timer = setTimeout(() => {
        const at = waiting.indexOf(take);
        if (at >= 0) waiting.splice(at, 1);
        resolve(null);
      }, ms);
    });
    return { next, say: (message) => port.postMessage(message) };
  }

  /** Tells, or asks, a page. @param {string} page @param {object} message @param {Transferable[]} [given] */
  async function ask(page, message, given = []) {
    const client = await clients.get(page);
    if (client) client.postMessage({ t: 'swarmlet', ...message }, given);
    else tables.delete(page);
    return client;
  }

  /**
   * Asks a page to deliver bytes. `null`: it does not.
   * @param {string} page @param {Found} found @param {number} start
   */
  async function connect(page, { entry, end, media }, start) {
    const { port1, port2 } = new MessageChannel();
    const worker = line(port1);
    if (!await ask(page, { ask: 'read', index: entry.index, start, end, media }, [port2])) return null;
    if (await worker.next(YES_MS) === 'yes') return worker;
    worker.say('stop');
    return null;
  }

  /**
   * The network's answer with these bytes and no others, or `null`.
   * @param {string} url @param {number} start @param {number} end @param {number} size @param {boolean} partial
   */
  async function ranged(url, start, end, size, partial = true) {
    try {
      const headers = new Headers(partial ? { range: `bytes=${start}-${end - 1}` } : {});
      const answer = await fetch(url, { headers, credentials: 'same-origin', cache: 'no-store' });
      const whole = answer.status === 200 && size === end - start;
      if (whole || (answer.status === 206 && answer.headers.get('content-range') === `bytes ${start}-${end - 1}/${size}`)) return answer;
      await answer.body?.cancel();
    } catch {
      // No network: the swarm may still come.
    }
    return null;
  }

  /**
   * A body pulled from a page's worker, and through the network where that stops.
   * @param {Request} request @param {Found} found @param {string} page @param {Line} first
   */
  function body(request, found, page, first) {
    const { entry, start, end } = found;
    let at = start;
    let asked = false;
    let worker = /** @type {Line | null} */ (first);
    const part = async () => {
      worker ??= await connect(page, found, at);
      if (worker) {
        if (!asked) worker.say('more');
        asked = true;
        const message = await worker.next(STALL_MS);
        if (message?.bytes) {
          asked = false;
          return new Uint8Array(message.bytes);
        }
        // A slow one may still come; one that failed is not asked again.
        if (message) worker = null;
      }
      const stop = Math.min(end, at + DETOUR_BYTES);
      const answer = await ranged(request.url, at, stop, entry.size);
      const bytes = new Uint8Array(await answer?.arrayBuffer().catch(() => null) ?? []);
      if (bytes.length !== stop - at) return null;
      worker?.say('stop');
      [worker, asked] = [null, false];
      ask(page, { ask: 'count', bytes: bytes.length });
      return bytes;
    };
    bodies += 1;
    const over = () => {
      bodies -= 1;
      worker?.say('stop');
    };
    return new ReadableStream({
      async pull(controller) {
        let bytes = await part();
        while (!bytes && worker) bytes = await part();
        if (!bytes) over();
        if (!bytes) throw new TypeError('Neither the swarm nor the network has this.');
        at += bytes.length;
        controller.enqueue(bytes);
        if (at < end) return;
        controller.close();
        over();
      },
      cancel: over,
    }, { highWaterMark: 0 });
  }

  /** A part of a film as the network sends it (what is wrapped or copied comes later).
   * @param {Request} request @param {Found} found @param {string} page */
  async function pass(request, found, page) {
    const { start, end, entry, partial, copied } = found;
    const network = await ranged(request.url, start, end, entry.size, partial);
    if (!network) return fetch(request);
    if (copied) copy(request.url, found, page, network.clone()).catch(() => {});
    else ask(page, { ask: 'count', bytes: end - start });
    return network;
  }

  /** Gives a page what the network sent. @param {string} url @param {Found} found @param {string} page @param {Response} answer */
  async function copy(url, { entry, start, media }, page, answer) {
    await new Promise((later) => setTimeout(later, COPY_MS));
    const bytes = await answer.arrayBuffer();
    const { port1, port2 } = new MessageChannel();
    const rules = ['cache-control', 'vary'].map((name) => answer.headers.get(name));
    await ask(page, { ask: 'read', index: entry.index, start, end: start + bytes.byteLength, media, copy: url, rules }, [port2]);
    port1.postMessage(bytes, [bytes]);
  }

  /** @param {FetchEvent} event @param {Found} found @param {string} page who has the bytes */
  async function answer({ request }, found, page) {
    const { entry, start, end } = found;
    if (entry.text) return new Response(entry.text.slice(start, end), head(found));
    const worker = await connect(page, found, start);
    if (worker) return new Response(body(request, found, page, worker), head(found));
    ask(page, { ask: 'count', bytes: end - start });
    return fetch(request);
  }

  // Answers under way.
  let bodies = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let leaving;
  /** What each page lets us answer. @type {Map<string, Table>} */
  const tables = new Map();
  /** Tabs without a node of their own, and their site. @type {Map<string, string>} */
  const followers = new Map();

  /** `undefined`: the browser does. @param {FetchEvent} event */
  function choose(event) {
    const { request } = event;
    const { method, url, mode, destination, cache, headers } = request;
    const page = pageOf(event);
    const asked = { method, url, mode, destination, cache, header: (/** @type {string} */ name) => headers.get(name) };
    const found = route(asked, tables.get(page), location.origin, Date.now());
    return found && (found.alone ? pass(request, found, page) : answer(event, found, page).catch(() => fetch(request)));
  }

  /** @param {any} data @param {string} id */
  function hear(data, id) {
    const table = tables.get(id);
    if (data.live && table) table.live = livePart(data.live);
    if (data.live) return;
    followers.delete(id);
    if (data.follow) followers.set(id, data.follow);
    if (!data.open) return void tables.delete(id);
    const { base, files, live, classes, wholeMax, alone } = data.open;
    /** @type {Map<string, Entry>} */
    const entries = new Map();
    files.forEach((/** @type {[string, number, string, boolean]} */ [path, size, type, begun], /** @type {number} */ index) => {
      if (size > 0) entries.set(path, { path, index, size, type, begun });
    });
    tables.set(id, { base, files: entries, live: livePart(live), classes: new Set(classes), wholeMax, alone });
  }

  /** @param {Live | undefined} live */
  function livePart(live) {
    /** @type {Map<string, Entry>} */
    const entries = new Map();
    for (const [path, size, type] of live?.files ?? []) entries.set(path, { path, index: path, size, type, begun: true });
    for (const [path, content, type] of live?.texts ?? []) {
      const text = new TextEncoder().encode(content);
      entries.set(path, { path, index: path, size: text.length, type, text, until: live?.until });
    }
    return entries;
  }

  /** Whom to ask: the page itself, or the one that leads it; a download begins as a navigation, and may be any page's.
   * @param {FetchEvent} event */
  function pageOf({ clientId, request }) {
    const led = followers.get(clientId);
    if (tables.has(clientId) || (!led && request.mode !== 'navigate')) return clientId;
    for (const [id, { base }] of tables) if (led ? led === base : request.url.startsWith(base)) return id;
    return '';
  }

  // What a browser need not ask: who sleeps has been told nothing, and films without CORS are never ours.
  const ROUTES = [{ runningStatus: 'not-running' }, ...['video', 'audio'].map((requestDestination) => ({ requestDestination, requestMode: 'no-cors' }))]
    .map((condition) => ({ condition, source: 'network' }));

  /** Goes, if by then nobody has anything to share. A download outlives its page. */
  function leave() {
    leaving ??= setTimeout(() => {
      leaving = undefined;
      if (bodies > 0) leave();
      else if (tables.size + followers.size === 0) registration.unregister();
    }, LEAVE_MS);
  }

  /** @param {{ only?: boolean }} [options] `only`: this worker does nothing else. */
  function install({ only = false } = {}) {
    addEventListener('install', (event) => {
      event.waitUntil(skipWaiting());
      if (only) event.waitUntil(Promise.resolve(event.addRoutes?.(ROUTES)).catch(() => {}));
    });
    addEventListener('activate', (event) => event.waitUntil(clients.claim()));
    addEventListener('message', ({ data, source }) => {
      if (data?.t !== 'swarmlet' || !source || !('id' in source)) return;
      // It came before this worker, or past it.
      if (data.claim) return void clients.claim();
      hear(data, source.id);
      if (only) leave();
    });
    addEventListener('fetch', (event) => {
      const response = choose(event);
      if (response) event.respondWith(response);
    });
    // Who slept has forgotten everything.
    clients.matchAll().then((all) => all.forEach((client) => client.postMessage({ t: 'swarmlet', ask: 'table' }))).catch(() => {});
  }

  return Object.assign(install, { route });
})();
