// @ts-check
// One script tag for a web site: `<script async src="…/swarmlet/embed.js" data-manifest="/swarmlet.json" data-key="…">`.
// Looks whether sharing is worth it and allowed, and only then loads anything else. docs/EMBEDDING.md has the options.
'use strict';

(() => {
  const script = /** @type {HTMLScriptElement} */ (document.currentScript);
  const given = script.dataset;
  const manifestUrl = new URL(given.manifest ?? '/swarmlet.json', location.href);
  const home = new URL('.', script.src);
  const signaller = new URL(given.signaller ?? home.origin);
  const CLASSES = ['image', 'font', 'media', 'fetch', 'download'];
  // Between two questions who else is here; the last is also how long a policy takes to be heard.
  const ASK_MS = [2000, 3000, 5000, 10_000];
  const PEERS_MIN = Number(given.peers ?? 1);
  const BYTES_MIN = Number(given.minBytes ?? 1024 * 1024);
  const visit = hex(crypto.getRandomValues(new Uint8Array(8)));
  const connection = /** @type {any} */ (navigator).connection;
  // Apple's tablets say that they are Macs, which have no touch screens.
  const phone = /** @type {any} */ (navigator).userAgentData?.mobile || /Android|iPhone|iPad|Mobile/.test(navigator.userAgent)
    || (navigator.maxTouchPoints > 1 && /Mac/.test(navigator.userAgent));

  /** @typedef {import('./embed/run.js').Manifest} Manifest */
  const live = given.live ? new URL(given.live, location.href).href : undefined;
  const SITE_MANIFEST = given.manifest !== 'none';
  /** @type {Manifest | undefined} */
  let manifest;
  /** @type {import('./embed/run.js').Running | undefined} */
  let running;
  let mode = given.mode ?? 'shadow';
  let allowed = given.consent !== 'wait';
  let hidden = false;
  let starting = false;
  /** @type {import('./embed/beacon.js').Beacon | undefined} */
  let beacon;
  const HOLDOUT = among('holdout', Number(given.holdout ?? 0));
  let asked = 0;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let timer;
  const state = { mode, gate: 'closed', visitors: 0, reason: 'starting', started: 0 };

  /** @param {Uint8Array} bytes */
  function hex(bytes) {
    return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
  }

  /** @param {string} text */
  function unhex(text) {
    return Uint8Array.from(text.trim().match(/../g) ?? [], (pair) => Number.parseInt(pair, 16));
  }

  /** A text beside the manifest, where it is what the pinned key signed. @param {URL} url @param {string} purpose */
  async function signed(url, purpose) {
    const options = /** @type {RequestInit} */ ({ cache: 'no-cache', credentials: 'same-origin' });
    const [text, seal] = await Promise.all([url, new URL(`${url.href}.sig`)].map(async (address, at) => {
      if (at === 1 && !given.key) return '';
      const answer = await fetch(address, options);
      if (!answer.ok) throw new Error(`${address.pathname}: ${answer.status}`);
      return answer.text();
    }));
    return given.key ? proven(seal, text, purpose) : text;
  }

  function theKey() {
    return crypto.subtle.importKey('raw', unhex(given.key ?? ''), 'Ed25519', false, ['verify']);
  }

  /** A text that the pinned key signed. @param {string} seal @param {string} text @param {string} purpose */
  async function proven(seal, text, purpose) {
    const bytes = new TextEncoder().encode(`${purpose}\n${text}`);
    if (await crypto.subtle.verify('Ed25519', await theKey(), unhex(seal), bytes)) return text;
    throw new Error('The signature does not fit.');
  }

  /** The manifest, if this page has reason to believe it. */
  async function load() {
    if (!given.key && !given.id) throw new Error('Neither data-key nor data-id says which manifest to believe.');
    if (!SITE_MANIFEST && live) {
      const [seal, text] = (await (await fetch(live, { cache: 'no-cache' })).text()).split('\n');
      const { topic, base } = JSON.parse(await proven(seal, text, 'swarmlet site live'));
      return { version: 1, content: '', topic, made: 0, base: base ?? new URL('.', live).href, torrent: '', files: [] };
    }
    const text = await signed(manifestUrl, 'swarmlet site manifest');
    if (given.id && hex(new Uint8Array(await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text)))) !== given.id) {
      throw new Error('The manifest is not the one that this page names.');
    }
    const read = /** @type {Manifest} */ (JSON.parse(text));
    if (read.version !== 1) throw new Error('The manifest is of another version.');
    if (memory(`made ${manifestUrl.pathname}`, read.made) > read.made) throw new Error('The manifest is older than one seen before.');
    return read;
  }

  /** The largest number kept under this name, this one included. @param {string} name @param {number} value */
  function memory(name, value) {
    try {
      const kept = Math.max(value, Number(localStorage.getItem(`swarmlet ${name}`)) || 0);
      localStorage.setItem(`swarmlet ${name}`, String(kept));
      return kept;
    } catch {
      return value;
    }
  }

  /** Whether this visitor is among so many per cent, at each visit. @param {string} lot @param {number} percent */
  function among(lot, percent) {
    return percent >= 100 || (percent > 0 && (memory(lot, 0) || memory(lot, Math.random() || 1)) * 100 < percent);
  }

  /** What the owner says now: stronger than the page's option. No policy: as the page says. */
  async function policy() {
    if (given.policy === 'none') return given.mode ?? 'shadow';
    try {
      const text = await signed(new URL(given.policy ?? 'swarmlet-policy.json', manifestUrl), 'swarmlet site policy');
      const said = JSON.parse(text);
      if (memory('policy', said.made) > said.made) return mode;
      if (said.mode === 'page') return given.mode ?? 'shadow';
      return ['shadow', 'on'].includes(said.mode) ? said.mode : 'off';
    } catch {
      return state.reason === 'starting' ? given.mode ?? 'shadow' : mode;
    }
  }

  /** How many others are here, as the signaller knows. @param {string} topic */
  async function others(topic) {
    try {
      const answer = await fetch(new URL(`/swarmlet/gate/${topic}?v=${visit}`, signaller), { credentials: 'omit' });
      return Math.max(0, (await answer.json()).visitors - 1);
    } catch {
      return -1;
    }
  }

  /** Bytes that visitors could give each other. @param {Manifest} site */
  function worth(site) {
    return live ? Infinity : site.files.reduce((sum, [, size]) => sum + size, 0);
  }

  async function look() {
    clearTimeout(timer);
    if (hidden) return;
    timer = setTimeout(look, ASK_MS[Math.min(asked, ASK_MS.length - 1)]);
    asked += 1;
    try {
      mode = await policy();
      state.mode = mode;
      const chosen = among('lot', Number(given.percent ?? 100));
      if (mode === 'off' || !allowed || !chosen) return stop(mode === 'off' ? 'off' : allowed ? 'not chosen' : 'no consent');
      manifest ??= await load();
      if (given.beacon === 'on') await report(manifest);
      if (given.witness === 'on' && mode === 'on') (await import(new URL('embed/witness.js', home).href)).witness(manifestUrl.href, manifest);
      if (mode === 'on' && HOLDOUT) return stop('holdout');
      const count = await others(manifest.topic);
      state.visitors = Math.max(0, count);
      if (hidden || running) return;
      if (mode === 'shadow') return stop('shadow');
      if (!hasAll()) return stop('this browser lacks something');
      if (worth(manifest) < BYTES_MIN) return stop('too few bytes');
      if (count < PEERS_MIN) return stop(count < 0 ? 'no signaller' : 'too few visitors');
      await start(manifest);
    } catch (error) {
      stop(String(/** @type {Error} */ (error).message ?? error));
    }
  }

  /** Has the signaller told how it goes. @param {Manifest} site */
  async function report(site) {
    if (beacon) return;
    const { Beacon } = await import(new URL('embed/beacon.js', home).href);
    beacon ??= new Beacon({
      signaller, site, base: site.base ?? new URL('.', manifestUrl).href,
      group: () => (mode !== 'on' ? 'shadow' : HOLDOUT ? 'holdout' : 'on'), stats: () => running?.stats(),
    });
  }

  function hasAll() {
    return typeof RTCPeerConnection === 'function' && 'serviceWorker' in navigator && 'locks' in navigator && typeof WebAssembly === 'object';
  }

  /** Bytes per second that may be given: none where the visitor pays for them. */
  function upload() {
    const asked = given.upload ?? 'auto';
    if (asked === 'off' || connection?.saveData) return 0;
    if (asked === 'auto') return phone || connection?.type === 'cellular' ? 0 : undefined;
    return asked === 'always' ? undefined : Number(asked) || 0;
  }

  /** @param {Manifest} site */
  async function start(site) {
    if (starting) return;
    starting = true;
    try {
      const { run } = await import(new URL('embed/run.js', home).href);
      const classes = given.classes?.split(/[\s,]+/) ?? CLASSES;
      running = await run({
        site, classes, signaller, upload: upload(), token: given.token,
        base: site.base ?? new URL('.', manifestUrl).href,
        torrent: new URL(site.torrent, manifestUrl).href,
        live: live && given.key ? { url: live, key: await theKey() } : undefined,
        worker: new URL(given.worker ?? '/swarmlet-sw.js', location.href).href,
        exclude: given.exclude?.split(/[\s,]+/) ?? [],
        wholeMax: Number(given.wholeMax ?? 256 * 1024 * 1024),
        give: { ratio: Number(given.ratio ?? 1), dayBytes: Number(given.dayBytes ?? 2 ** 31) },
        store: given.store ? Number(given.store) : undefined, phone,
      });
      Object.assign(state, { gate: 'open', reason: '', started: performance.now(), upload: upload() ?? 'unlimited' });
      if (hidden || mode !== 'on') stop(mode);
    } finally {
      starting = false;
    }
  }

  /** @param {string} reason */
  function stop(reason) {
    // One of an earlier visit goes if nobody needs it.
    if (state.reason === 'starting' && !given.worker) navigator.serviceWorker?.controller?.postMessage({ t: 'swarmlet' });
    Object.assign(state, { gate: 'closed', reason });
    running?.stop();
    running = undefined;
  }

  // The page comes first: nothing before it is there, and nothing in the way of its way back.
  const begin = () => ('requestIdleCallback' in globalThis ? requestIdleCallback(look, { timeout: 1000 }) : setTimeout(look, 200));
  if (document.readyState === 'complete') begin();
  else addEventListener('load', begin, { once: true });
  addEventListener('pagehide', () => {
    hidden = true;
    beacon?.tell();
    clearTimeout(timer);
    stop('hidden');
  });
  addEventListener('pageshow', (event) => {
    if (!event.persisted) return;
    hidden = false;
    asked = 0;
    look();
  });

  /** What the site's own scripts may use. */
  /** @type {any} */ (globalThis).swarmletSite = {
    /** The visitor's answer to the question that the site asked. @param {boolean} yes */
    consent(yes) {
      allowed = yes;
      look();
    },
    /** Bytes by source, and why it does or does not share. */
    stats: () => ({ ...state, eligible: manifest?.files.reduce((sum, [, size]) => sum + size, 0) ?? 0, ...running?.stats() }),
  };
})();
