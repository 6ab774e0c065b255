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
  // Asked for last.
  const FILMS_MAX = 256;
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
    const stop = media && open ? Math.min(end, start + MEDIA_BYTES) : end;
    if (stop - start > table.wholeMax) return null;
    return { entry, start, end: stop, partial: part !== null, media, download };
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
    return new ReadableStream({
      async pull(controller) {
        let bytes = await part();
        while (!bytes && worker) bytes = await part();
        if (!bytes) throw new TypeError('Neither the swarm nor the network has this.');
        at += bytes.length;
        controller.enqueue(bytes);
        if (at < end) return;
        controller.close();
        worker?.say('stop');
      },
      cancel: () => worker?.say('stop'),
    }, { highWaterMark: 0 });
  }

  /** A part of a film as the network sends it (what is wrapped comes later), and a copy for the page.
   * @param {Request} request @param {Found} found @param {string} page */
  async function pass(request, found, page) {
    const network = await ranged(request.url, found.start, found.end, found.entry.size, found.partial);
    if (!network) return fetch(request);
    copy(request.url, found, page, network.clone()).catch(() => {});
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

  /** @param {FetchEvent} event @param {Found} found @param {string} page Who has the bytes. */
  async function answer({ request }, found, page) {
    const { entry, start, end } = found;
    if (entry.text) return new Response(entry.text.slice(start, end), head(found));
    const worker = await connect(page, found, start);
    if (worker) return new Response(body(request, found, page, worker), head(found));
    ask(page, { ask: 'count', bytes: end - start });
    return fetch(request);
  }

  /** What each page lets us answer. @type {Map<string, Table>} */
  const tables = new Map();
  /** Tabs without a node of their own, and their site. @type {Map<string, string>} */
  const followers = new Map();
  /** Players give up a film that is the network's here and a worker's own there: as it began it goes on. Whether it is a worker's;
   * pages know it longer. @type {Map<string, boolean>} */
  const films = new Map();

  /** @param {string} film @param {boolean} ours */
  function note(film, ours) {
    films.delete(film);
    films.set(film, ours);
    if (films.size > FILMS_MAX) films.delete([...films.keys()][0]);
  }

  /** `undefined`: the browser does. @param {FetchEvent} event @param {string} film */
  function choose(event, film) {
    const { request, clientId } = event;
    const { method, url, mode, destination, cache, headers } = request;
    const page = pageOf(event);
    const table = tables.get(page);
    const found = route({ method, url, mode, destination, cache, header: (name) => headers.get(name) }, table, location.origin, Date.now());
    const known = films.get(film);
    // Alone, nobody could have it sooner than the network.
    const ours = known ?? (!!found && !(film && table?.alone && !found.entry.begun));
    if (film) note(film, ours);
    if (film && found && known === undefined) ask(clientId, { ask: 'film', url, ours });
    const network = () => fetch(request);
    if (!found) return film && ours ? network().then(made) : undefined;
    if (!ours) return found.end - found.start > MEDIA_BYTES ? undefined : pass(request, found, page);
    const response = answer(event, found, page).catch(network);
    return film ? response.then(made) : response;
  }

  /** As a worker's own. @param {Response} response */
  const made = (response) => new Response(response.body, response);

  /** @param {any} data @param {string} id */
  function hear(data, id) {
    const table = tables.get(id);
    if (data.live && table) table.live = livePart(data.live);
    if (data.live) return;
    for (const [url, ours] of data.films ?? []) if (!films.has(`${id} ${url}`)) note(`${id} ${url}`, ours);
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

  function install() {
    // By then pages have said what a worker that slept must know.
    const told = new Promise((soon) => setTimeout(soon, YES_MS));
    addEventListener('install', (event) => event.waitUntil(skipWaiting()));
    addEventListener('activate', (event) => event.waitUntil(clients.claim()));
    addEventListener('message', ({ data, source }) => {
      if (data?.t === 'swarmlet' && source && 'id' in source) hear(data, source.id);
    });
    addEventListener('fetch', (event) => {
      const { destination, url, headers } = event.request;
      const film = /^(video|audio)$/.test(destination) ? `${event.clientId} ${url}` : '';
      const late = film && !films.has(film) && !/^bytes=0-/.test(headers.get('range') ?? 'bytes=0-');
      // It began before this worker did.
      const response = late ? told.then(() => choose(event, film) ?? fetch(event.request)) : choose(event, film);
      if (response) event.respondWith(response);
    });
    // Who slept has forgotten everything.
    clients.matchAll().then((all) => all.forEach((client) => client.postMessage({ t: 'swarmlet', ask: 'table' }))).catch(() => {});
  }

  return Object.assign(install, { route });
})();
