// @ts-check
/** The page that people use: wires what is on it to the node. */

import { join, SwarmletError, VERSION } from './swarmlet.js';
import { earlier, preparing, ShareCard } from './ui/card.js';
import { hasOffer } from './page/code.js';
import { byId, el, setText, show } from './ui/dom.js';
import { chosen, dropped, isTorrent, nameOf } from './ui/drop.js';
import { count, size } from './ui/format.js';
import { fragment, read } from './ui/link.js';
import { amend, claim, entries, forget, release, remember } from './ui/memory.js';
import { Notices } from './ui/notice.js';
import { wireSearch } from './ui/search.js';
import { away, status, watch } from './ui/status.js';
import { codeOf, failure, sentence } from './ui/words.js';

/** @typedef {import('./swarmlet.js').Node} SwarmNode */
/** @typedef {import('./swarmlet.js').Share} Share */
/** @typedef {import('./ui/drop.js').Item} Item */

/** Between two updates of the page: four in a second are read as flowing. */
const UPDATE_MS = 250;
/** From a click to a link takes a second at most where UDP passes; without one after this, HTTP has to do. */
const PEER_WAIT_MS = 4000;
/** How long a share that was here before may still be held by this tab's former page. */
const CLAIM_WAIT_MS = 1500;
/** A larger `.torrent` is refused by the node as well. */
const TORRENT_BYTES_MAX = 8 * 1024 * 1024;

const list = byId('list', HTMLElement);
const notices = new Notices(byId('notices', HTMLElement), byId('quiet', HTMLElement));
/** @type {Map<string, ShareCard>} */
const cards = new Map();
/** Cards of shares that this browser remembers and cannot serve, by content id. @type {Map<string, HTMLElement>} */
const ghosts = new Map();
/** What the server offers to try, by content id. @type {{ id: string | null } | null} */
let sample = null;
/** @type {Promise<SwarmNode>} */
const starting = join();

/** @param {unknown} error */
function complain(error) {
  const code = codeOf(error);
  if (code !== 'aborted') notices.tell(`error-${code}`, 'bad', failure(error));
}

/** @param {unknown} error */
function complainAboutStart(error) {
  status('off', 'Not running');
  notices.tell('start', 'bad', `Swarmlet could not start in this browser. ${failure(error)}`);
}

/** Says so when there is no share; else the shares come first: who opened a link looks for them. */
function arrange() {
  const empty = list.childElementCount === 0;
  show(byId('empty', HTMLElement), empty);
  show(byId('sample', HTMLElement), sample !== null && !(sample.id !== null && cards.has(sample.id)));
  document.body.classList.toggle('busy', !empty);
  const shares = byId('shares', HTMLElement);
  const begin = byId('begin', HTMLElement);
  if (!empty && shares.nextElementSibling !== begin) begin.before(shares);
}

/**
 * Puts a share on the page, or shows where it is already.
 * @param {Share} share
 * @param {SwarmNode} node
 */
function present(share, node) {
  const known = cards.get(share.id);
  if (known !== undefined) {
    known.element.scrollIntoView({ block: 'nearest' });
    return;
  }
  const card = new ShareCard(share, {
    announce: (text) => notices.announce(text),
    complain,
    paused: (_, paused) => amend(share.id, { paused }),
    removed: gone,
    meet: (code) => node.meet(code),
    webrtc: node.stats().webrtc,
  });
  cards.set(share.id, card);
  ghosts.get(share.id)?.remove();
  ghosts.delete(share.id);
  list.prepend(card.element);
  arrange();
  void claim(share.id, CLAIM_WAIT_MS);
  note(card);
  share.ready.then(() => note(card)).catch(() => undefined);
  share.done.then(() => notices.clear('error-storage-full')).catch(() => undefined);
}

/** @param {ShareCard} card */
function note({ share }) {
  if (!cards.has(share.id)) return;
  const paused = share.state === 'paused';
  remember({ id: share.id, magnet: share.magnet, name: share.name, paused, mine: share.seeded, files: share.files.length, size: share.size });
}

/** @param {ShareCard} card */
function gone({ share }) {
  cards.delete(share.id);
  forget(share.id);
  release(share.id);
  const named = fragment(location.hash);
  if (named.kind === 'content' && named.id === share.id) history.replaceState(null, '', location.pathname + location.search);
  notices.announce('Removed.');
  arrange();
  byId('shares-title', HTMLElement).focus();
}

/**
 * Shares files, or opens them when they are one `.torrent`.
 * @param {Item[]} items
 */
async function give(items) {
  if (items.length === 0) return;
  try {
    const node = await starting;
    if (isTorrent(items)) {
      await take(/** @type {Item} */ (items[0]).blob);
      return;
    }
    await seed(node, items);
  } catch (error) {
    complain(error);
  }
}

/**
 * @param {SwarmNode} node
 * @param {Item[]} items
 */
async function seed(node, items) {
  const stop = new AbortController();
  const name = nameOf(items);
  const card = preparing(name, () => stop.abort());
  list.prepend(card.element);
  arrange();
  notices.announce(`Preparing ${name}`);
  let shown = 0;
  try {
    const share = await node.seed(items, {
      name,
      signal: stop.signal,
      onProgress({ hashed, total }) {
        const now = performance.now();
        if (now - shown < UPDATE_MS && hashed < total) return;
        shown = now;
        card.progress(hashed, total);
      },
    });
    present(share, node);
    notices.announce(`${name} is shared. The link is ready.`);
  } finally {
    card.element.remove();
    arrange();
  }
}

/**
 * Opens a share that a text or a `.torrent` names.
 * @param {string | Blob | Uint8Array<ArrayBuffer>} what
 * @param {boolean} [paused]
 */
async function take(what, paused = false) {
  const node = await starting;
  if (typeof what !== 'string') {
    const bytes = what instanceof Blob ? what.size : what.byteLength;
    if (bytes > TORRENT_BYTES_MAX) throw new SwarmletError('bad-torrent');
    present(await node.add(what, { paused }), node);
    return;
  }
  const named = read(what);
  if (named.kind === 'wrong') throw new SwarmletError(/** @type {any} */ (named.code));
  if (named.kind === 'torrent') {
    await take(await download(named.url));
    return;
  }
  const known = named.id === null ? undefined : cards.get(named.id);
  const share = known?.share ?? (await node.add(named.text, { paused }));
  present(share, node);
  if (hasOffer(named.text)) await cards.get(share.id)?.answer(named.text);
}

/**
 * @param {string} url of a `.torrent`
 * @returns {Promise<Uint8Array<ArrayBuffer>>}
 */
async function download(url) {
  let response;
  try {
    response = await fetch(url);
  } catch {
    throw new SwarmletError(/** @type {any} */ ('network'));
  }
  if (!response.ok) throw new SwarmletError(/** @type {any} */ ('network'));
  return new Uint8Array(await response.arrayBuffer());
}

/**
 * Takes a share that a peer of the server has, and where no peer can be reached, from the server over HTTP.
 * @param {string} magnet
 * @param {string} url of its `.torrent`, which names the server
 */
async function takeFromPeers(magnet, url) {
  await take(magnet);
  const node = await starting;
  const named = read(magnet);
  const share = named.kind === 'content' && named.id !== null ? cards.get(named.id)?.share : undefined;
  const none = () => share !== undefined && share.stats().peers === 0 && share.stats().done < Math.max(1, share.stats().wanted);
  setTimeout(() => {
    if (none() && share?.state !== 'paused') download(url).then((torrent) => node.add(torrent)).catch(complain);
  }, node.stats().webrtc ? PEER_WAIT_MS : 0);
}

/** Opens the share that the page's address names, if any. */
async function takeFromAddress() {
  const named = fragment(location.hash);
  if (named.kind === 'wrong') {
    if (named.code !== 'empty') notices.tell('error-bad-link', 'bad', sentence(named.code));
    return;
  }
  if (named.kind === 'content') {
    const entry = entries().find((other) => other.id === named.id);
    // An offer is answered once: not again when the page is reloaded.
    if (hasOffer(named.text)) history.replaceState(null, '', location.href.replace(/&x\.offer=[\w-]+/, ''));
    await take(named.text, entry?.paused === true && !entry.mine).catch(complain);
  }
}

/** Brings back what was here at the last visit, unless another tab has it. */
async function restore() {
  const left = entries().filter(({ id }) => !cards.has(id));
  const ours = await Promise.all(left.map(({ id }) => claim(id, CLAIM_WAIT_MS)));
  for (const entry of left.filter((_, index) => ours[index])) {
    if (cards.has(entry.id)) continue;
    if (entry.mine) haunt(entry);
    else await take(entry.magnet, entry.paused).catch(complain);
  }
}

/** @param {import('./ui/memory.js').Entry} entry */
function haunt(entry) {
  const card = earlier(entry, () => {
    card.remove();
    ghosts.delete(entry.id);
    forget(entry.id);
    release(entry.id);
    arrange();
  });
  ghosts.set(entry.id, card);
  list.append(card);
  arrange();
}

function wireGiving() {
  const files = byId('files', HTMLInputElement);
  const folder = byId('folder', HTMLInputElement);
  for (const input of [files, folder]) {
    input.addEventListener('change', () => {
      void give(chosen(input.files));
      input.value = '';
    });
  }
  byId('choose-files', HTMLButtonElement).addEventListener('click', () => files.click());
  byId('choose-folder', HTMLButtonElement).addEventListener('click', () => folder.click());
}

function wireTaking() {
  const link = byId('link', HTMLInputElement);
  byId('open', HTMLFormElement).addEventListener('submit', (event) => {
    event.preventDefault();
    for (const code of ['empty', 'bad-link', 'version-one', 'network']) notices.clear(`error-${code}`);
    take(link.value).then(() => {
      link.value = '';
      link.removeAttribute('aria-invalid');
    }, (error) => {
      link.setAttribute('aria-invalid', 'true');
      complain(error);
    });
  });
  window.addEventListener('hashchange', () => void takeFromAddress());
  wireSearch({ search: async function* search(text, options) { yield* (await starting).search(text, options); }, open: take, complain });
}

function wireDropping() {
  const veil = byId('veil', HTMLElement);
  let depth = 0;
  const reveal = (/** @type {number} */ next) => {
    depth = Math.max(0, next);
    show(veil, depth > 0);
  };
  window.addEventListener('dragenter', (event) => {
    event.preventDefault();
    reveal(depth + 1);
  });
  window.addEventListener('dragleave', () => reveal(depth - 1));
  window.addEventListener('dragover', (event) => event.preventDefault());
  window.addEventListener('drop', (event) => {
    event.preventDefault();
    reveal(0);
    if (event.dataTransfer !== null) receive(event.dataTransfer, true);
  });
  document.addEventListener('paste', (event) => {
    const field = event.target instanceof HTMLInputElement && event.target.type === 'text';
    if (event.clipboardData === null || (field && event.clipboardData.files.length === 0)) return;
    event.preventDefault();
    receive(event.clipboardData, false);
  });
}

/**
 * @param {DataTransfer} transfer
 * @param {boolean} loud whether to complain about text that names nothing
 */
function receive(transfer, loud) {
  const text = (transfer.getData('text/uri-list') || transfer.getData('text/plain')).trim();
  if (transfer.types.includes('Files')) {
    dropped(transfer).then((items) => {
      if (items.length === 0) throw new SwarmletError('no-files');
      return give(items);
    }).catch(complain);
  } else if (text !== '' && (loud || read(text).kind !== 'wrong')) {
    take(text).catch(complain);
  }
}

/** Offers the sample share where the server has one. */
async function offerSample() {
  /** @type {unknown} */
  let offers;
  try {
    const response = await fetch('/share/index.json');
    if (!response.ok) return;
    offers = await response.json();
  } catch {
    return;
  }
  const first = Array.isArray(offers) ? offers[0] : undefined;
  if (typeof first?.torrent !== 'string' || typeof first.name !== 'string') return;
  const files = Array.isArray(first.files) ? first.files.length : Number(first.files);
  const about = byId('sample-text', HTMLElement);
  about.replaceChildren(
    'Take “', el('bdi', {}, first.name), `” from the server and from whoever has it open: ${`${count(files, 'file')}, ${size(Number(first.size))}`.replaceAll(' ', '\u00a0')}.`,
  );
  const button = byId('try-sample', HTMLButtonElement);
  button.addEventListener('click', () => {
    button.disabled = true;
    const url = new URL(first.torrent, location.href).href;
    const taken = first.seeded === true ? takeFromPeers(String(first.magnet), url) : download(url).then(take);
    taken.catch(complain).finally(() => {
      button.disabled = false;
    });
  });
  const named = read(String(first.magnet));
  sample = { id: named.kind === 'content' ? named.id : null };
  arrange();
}

/** @param {SwarmNode} node */
function update(node) {
  for (const card of cards.values()) card.update();
  watch(node);
  const trouble = away(node);
  if (trouble === null) notices.clear('away');
  else notices.keepTelling('away', 'warn', ...trouble);
}

async function main() {
  wireGiving();
  wireTaking();
  wireDropping();
  void offerSample();
  setText(byId('version', HTMLElement), `Swarmlet ${VERSION}`);
  const node = await starting;
  /** For the curious: the node behind this page, with the API of swarmlet.d.ts. */
  Object.assign(window, { swarmlet: node });
  listen(node);
  setInterval(() => update(node), UPDATE_MS);
  update(node);
  await takeFromAddress();
  await restore();
}

/** @param {SwarmNode} node */
function listen(node) {
  if (!node.stats().webrtc) notices.tell('no-webrtc', 'warn', sentence('no-webrtc'));
  node.events.addEventListener('source', ({ detail }) => {
    const host = URL.canParse(detail.url) ? new URL(detail.url).host : 'A server';
    const text = detail.reason === 'bad-data'
      ? `${host} sent bytes that are not the content. They were refused, and it is not used any more.`
      : `${host} does not have this content or cannot be reached. It is not used any more.`;
    notices.tell(`source-${host}`, 'warn', text);
  });
  node.events.addEventListener('ban', () => {
    notices.tell('ban', 'warn', 'Somebody sent bytes that are not the content. They were refused, and that peer is shut out.');
  });
  node.events.addEventListener('share', ({ detail }) => {
    const card = cards.get(detail.id);
    if (card === undefined) return;
    if (detail.state === 'failed') {
      card.problem = detail.code ?? 'unknown';
      notices.tell(`error-${card.problem}`, 'bad', `${card.share.name || 'A share'} stopped. ${sentence(card.problem)}`);
    }
    if (detail.state === 'damaged') notices.tell('damaged', 'warn', 'A stored piece was damaged. It is fetched again.');
    if (detail.state === 'ready') note(card);
  });
  node.events.addEventListener('signaller', ({ detail }) => {
    if (detail.state === 'up') notices.clear('refused');
    if (detail.state === 'refused') {
      notices.tell('refused', 'warn', `The meeting point refused something (${detail.reason ?? 'no reason given'}). Running transfers go on.`);
    }
  });
}

main().catch(complainAboutStart);
