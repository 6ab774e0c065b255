// @ts-check
import { el, setProgress, setText, show } from './dom.js';
import { FileList } from './files.js';
import { count, duration, percent, rate, size, Smooth } from './format.js';
import { Preview } from './preview.js';
import { saveAll } from './save.js';
import { Bridge } from './bridge.js';
import { Sharing } from './sharing.js';
import { hint, state } from './words.js';

/** @typedef {import('../swarmlet.js').Share} Share */
/** @typedef {import('../swarmlet.js').ShareFile} ShareFile */
/** @typedef {import('../swarmlet.js').Progress} Progress */

/**
 * @typedef {object} Surroundings what a card may ask of the page
 * @property {(text: string) => void} announce
 * @property {(error: unknown) => void} complain
 * @property {(card: ShareCard, paused: boolean) => void} paused
 * @property {(card: ShareCard) => void} removed
 * @property {boolean} webrtc
 * @property {(code: string) => Promise<string | null>} meet takes in a code that was carried over
 */

let cards = 0;

/** One share on the page. */
export class ShareCard {
  share;
  element;
  /** The code of what stopped it; empty while nothing did. */
  problem = '';
  #around;
  #parts = parts();
  #preview = new Preview();
  #files;
  /** @type {Sharing | null} */
  #sharing = null;
  #bridge;
  #down = new Smooth();
  #up = new Smooth();
  #moved = performance.now();
  #done = -1;
  #said = '';

  /**
   * @param {Share} share
   * @param {Surroundings} around
   */
  constructor(share, around) {
    this.share = share;
    this.#around = around;
    this.#files = new FileList((file) => this.#save(file));
    const { announce, complain, meet } = around;
    this.#bridge = new Bridge({ offer: () => share.offer(), meet, announce, complain });
    const p = this.#parts;
    cards += 1;
    p.name.id = `share-${cards}`;
    p.facts.classList.toggle('mine', share.seeded);
    this.element = el(
      'article',
      { class: 'card share', 'data-testid': 'share-card', 'data-content': share.id, 'aria-labelledby': p.name.id },
      el('header', {}, el('div', { class: 'title' }, p.name, p.meta), p.state),
      p.bar, p.now, p.hint, this.#preview.element, p.facts, this.#actions(), this.#files.element, this.#bridge.element,
    );
    this.update();
  }

  #actions() {
    const p = this.#parts;
    const on = (/** @type {HTMLButtonElement} */ button, /** @type {() => Promise<unknown>} */ act) =>
      button.addEventListener('click', () => {
        button.disabled = true;
        void act().catch(this.#around.complain).finally(() => {
          button.disabled = false;
          this.update();
        });
      });
    on(p.pause, () => this.share.pause().then(() => this.#around.paused(this, true)));
    on(p.resume, () => {
      this.problem = '';
      return this.share.resume().then(() => this.#around.paused(this, false));
    });
    on(p.cancel, () => this.#remove());
    on(p.remove, () => this.#remove());
    on(p.saveOne, () => /** @type {ShareFile} */ (this.share.files[0]).save().catch(unlessAborted));
    on(p.saveAll, () => saveAll(this.share));
    return el('div', { class: 'actions' }, p.saveOne, p.saveAll, p.resume, p.pause, p.cancel, p.remove);
  }

  async #remove() {
    await this.share.remove();
    this.#preview.close();
    this.element.remove();
    this.#around.removed(this);
  }

  /** @param {ShareFile} file */
  #save(file) {
    file.save().catch(unlessAborted).catch(this.#around.complain);
  }

  /**
   * Answers the offer of a link that was opened here.
   * @param {string} link
   */
  answer(link) {
    return this.#bridge.answer(link);
  }

  /** Brings the card up to date. Cheap when nothing changed. */
  update() {
    const view = this.share.stats();
    const now = performance.now();
    if (view.done !== this.#done) {
      this.#done = view.done;
      this.#moved = now;
    }
    this.#describe(view);
    this.#numbers(view, now);
    this.#buttons(view);
    this.#files.update(this.share.files, view.files);
    this.#preview.update(this.share.files, view.files);
    if (this.#sharing === null && this.share.name !== '') {
      this.#sharing = new Sharing(this.share.link, {
        open: this.share.seeded,
        name: this.share.name,
        announce: this.#around.announce,
        complain: this.#around.complain,
        publish: (on) => (on ? this.share.publish() : this.share.unpublish()),
        torrent: () => void this.#torrent().catch(this.#around.complain),
      });
      this.#bridge.element.before(this.#sharing.element);
    }
  }

  /** @param {Progress} view */
  #describe(view) {
    const p = this.#parts;
    const mine = this.share.seeded;
    const name = view.name || `Share ${this.share.id.slice(0, 8)}…`;
    setText(p.bdi, name);
    const { files } = this.share;
    setText(p.meta, files.length === 0 ? 'Size not known yet' : `${files.length > 1 ? `${count(files.length, 'file')} · ` : ''}${size(this.share.size)}`);
    const word = state(view, mine);
    setText(p.state, word);
    if (p.state.dataset['state'] !== view.state) p.state.dataset['state'] = view.state;
    if (this.#said !== word) {
      if (this.#said !== '') this.#around.announce(`${name}: ${word}`);
      this.#said = word;
    }
    const idle = (performance.now() - this.#moved) / 1000;
    const line = hint(view, { mine, idle, webrtc: this.#around.webrtc, problem: this.problem });
    setText(p.hint, line);
    show(p.hint, line !== '');
    p.hint.classList.toggle('bad', view.state === 'failed');
  }

  /**
   * @param {Progress} view
   * @param {number} now
   */
  #numbers(view, now) {
    const p = this.#parts;
    const known = this.share.files.length > 0;
    const complete = view.state === 'seeding';
    setProgress(p.bar, known ? (complete ? 1 : view.fraction) : null);
    p.bar.classList.toggle('full', complete);
    if (!known) setText(p.bar, '');
    show(p.bar, !(complete && this.share.seeded));
    const down = this.#down.next(view.downRate, now);
    const up = this.#up.next(view.upRate, now);
    const moving = view.state === 'fetching' && down > 0;
    setText(p.percent, !known ? '' : complete ? '' : percent(view.done, view.wanted));
    setText(p.amount, !known || complete ? '' : `${size(view.done)} of ${size(view.wanted)}`);
    setText(p.speed, [moving ? `↓ ${rate(down)}` : '', up > 0 && view.state !== 'paused' ? `↑ ${rate(up)}` : ''].filter(Boolean).join('  '));
    setText(p.left, moving && view.done < view.wanted ? `${duration((view.wanted - view.done) / down)} left` : '');
    value(p.peers, view.peers, view.peers.toLocaleString('en'));
    value(p.fromPeers, view.fromPeers, size(view.fromPeers));
    value(p.fromHttp, view.fromHttp, size(view.fromHttp));
    value(p.fromStore, view.fromStore, size(view.fromStore));
    value(p.sent, view.sent, size(view.sent));
  }

  /** @param {Progress} view */
  #buttons(view) {
    const p = this.#parts;
    const complete = view.state === 'seeding' || (view.wanted > 0 && view.done >= view.wanted);
    const one = this.share.files.length === 1;
    const stopped = view.state === 'paused' || view.state === 'failed';
    show(p.pause, !stopped);
    show(p.resume, stopped);
    show(p.saveOne, complete && one && !this.share.seeded);
    show(p.saveAll, complete && !one && !this.share.seeded);
    show(p.cancel, !complete && !this.share.seeded);
    show(p.remove, complete || this.share.seeded);
  }

  async #torrent() {
    const bytes = new Uint8Array(await this.share.torrent());
    const url = URL.createObjectURL(new Blob([bytes], { type: 'application/x-bittorrent' }));
    const anchor = el('a', { href: url, download: `${this.share.name}.torrent` });
    anchor.click();
    URL.revokeObjectURL(url);
  }
}

/** The elements of a card that change. */
function parts() {
  const button = (/** @type {string} */ id, /** @type {string} */ text, kind = '') =>
    el('button', { type: 'button', 'data-testid': id, class: kind || undefined }, text);
  const fact = (/** @type {string} */ id, /** @type {string} */ label) => {
    const number = el('dd', { 'data-testid': id });
    facts.append(el('div', {}, el('dt', {}, label), number));
    return number;
  };
  const bdi = el('bdi');
  const facts = el('dl', { class: 'facts' });
  const [percentage, amount, left] = [el('strong'), el('span'), el('span')];
  const speed = el('span', { class: 'speed', 'data-testid': 'speed' });
  return {
    bdi, facts, percent: percentage, amount, left, speed,
    name: el('h3', {}, bdi),
    meta: el('p', { class: 'meta' }),
    state: el('p', { class: 'state', 'data-testid': 'share-state' }),
    bar: el('progress', { max: '1', 'data-testid': 'share-progress', 'aria-label': 'Progress' }),
    now: el('p', { class: 'now' }, percentage, amount, speed, left),
    hint: el('p', { class: 'hint' }),
    peers: fact('peers', 'Peers'),
    fromPeers: fact('from-peers', 'From peers'),
    fromHttp: fact('from-http', 'From servers'),
    fromStore: fact('from-store', 'From this device'),
    sent: fact('sent', 'Passed on'),
    pause: button('pause', 'Pause'),
    resume: button('resume', 'Resume', 'primary'),
    cancel: button('cancel', 'Cancel', 'danger'),
    remove: button('remove', 'Remove', 'danger'),
    saveOne: button('save-file', 'Save', 'primary'),
    saveAll: button('save-all', 'Save all', 'primary'),
  };
}

/**
 * A number as text for people and, exactly, in `data-value` for scripts.
 * @param {HTMLElement} node
 * @param {number} exact
 * @param {string} text
 */
function value(node, exact, text) {
  if (node.dataset['value'] === String(exact)) return;
  node.dataset['value'] = String(exact);
  setText(node, text);
}

/**
 * Closing a save dialog is no failure.
 * @param {unknown} error
 */
function unlessAborted(error) {
  if (error instanceof Error && (error.name === 'AbortError' || ('code' in error && error.code === 'aborted'))) return;
  throw error;
}

/**
 * A share that is being prepared: its files are hashed. Removed by whoever made it.
 * @param {string} name
 * @param {() => void} cancel
 */
export function preparing(name, cancel) {
  const bar = el('progress', { max: '1', value: '0', 'data-testid': 'hash-progress', 'aria-label': `Preparing ${name}` });
  const line = el('p', { class: 'hint' }, 'Reading the files. They stay on this device.');
  const stop = el('button', { type: 'button', class: 'danger', 'data-testid': 'cancel', onclick: cancel }, 'Cancel');
  const element = el(
    'article',
    { class: 'card share', 'data-testid': 'hashing' },
    el('header', {}, el('div', { class: 'title' }, el('h3', {}, el('bdi', {}, name))), el('p', { class: 'state', 'data-state': 'checking' }, 'Preparing')),
    bar, line, el('div', { class: 'actions' }, stop),
  );
  return {
    element,
    /** @param {number} hashed @param {number} total */
    progress(hashed, total) {
      setProgress(bar, total === 0 ? 1 : hashed / total);
      setText(line, `${percent(hashed, total)} · ${size(hashed)} of ${size(total)} read. They stay on this device.`);
    },
  };
}

/**
 * A share that this browser made before from files that a page cannot open again by itself.
 * @param {import('./memory.js').Entry} entry
 * @param {() => void} forget
 */
export function earlier(entry, forget) {
  const drop = el('button', { type: 'button', class: 'danger', 'data-testid': 'forget', onclick: forget }, 'Forget');
  return el(
    'article',
    { class: 'card share', 'data-testid': 'earlier-card', 'data-content': entry.id },
    el('header', {},
      el('div', { class: 'title' }, el('h3', {}, el('bdi', {}, entry.name)), el('p', { class: 'meta' }, `${count(entry.files, 'file')} · ${size(entry.size)}`)),
      el('p', { class: 'state', 'data-state': 'paused' }, 'Not shared now')),
    el('p', { class: 'hint' }, 'You shared this before. A page may not open your files again by itself: drop the same files here to go on sharing under the same link.'),
    el('div', { class: 'actions' }, drop),
  );
}
