// @ts-check
import { el } from './dom.js';

/**
 * Extensions that are shown in place, and as what. Only what a browser decodes as pixels or sound: a page or an SVG
 * from strangers could carry scripts.
 * @type {Record<string, 'img' | 'audio' | 'video'>}
 */
const KINDS = {
  png: 'img', jpg: 'img', jpeg: 'img', gif: 'img', webp: 'img', avif: 'img',
  mp3: 'audio', ogg: 'audio', wav: 'audio', m4a: 'audio', flac: 'audio',
  mp4: 'video', webm: 'video',
};
/** Shown at once; a folder of photos must not fill the memory. */
const SHOWN_MAX = 8;
/** A larger image costs more memory decoded than a phone has. */
const IMAGE_BYTES_MAX = 64 * 1024 * 1024;
/** Players read from an object URL: the browser keeps large blobs on disk, but not without end. */
const MEDIA_BYTES_MAX = 512 * 1024 * 1024;

/** @typedef {import('../swarmlet.js').ShareFile} ShareFile */

/**
 * As what a file is shown, if at all.
 * @param {ShareFile} file
 */
function kindOf(file) {
  const extension = file.name.slice(file.name.lastIndexOf('.') + 1).toLowerCase();
  const kind = Object.hasOwn(KINDS, extension) ? KINDS[extension] : undefined;
  const most = kind === 'img' ? IMAGE_BYTES_MAX : MEDIA_BYTES_MAX;
  return kind !== undefined && file.size > 0 && file.size <= most ? kind : null;
}

/** The images, sounds and films of a share, each shown once it is complete. */
export class Preview {
  element = el('div', { class: 'preview', 'data-testid': 'preview' });
  /** @type {Set<number>} */
  #taken = new Set();
  /** @type {string[]} */
  #urls = [];
  #closed = false;

  constructor() {
    this.element.hidden = true;
  }

  /**
   * Shows what has become complete.
   * @param {readonly ShareFile[]} files
   * @param {ArrayLike<number>} done verified bytes of each file
   */
  update(files, done) {
    for (let index = 0; index < files.length && this.#taken.size < SHOWN_MAX; index += 1) {
      const file = /** @type {ShareFile} */ (files[index]);
      if (this.#taken.has(index) || (done[index] ?? 0) < file.size) continue;
      const kind = kindOf(file);
      if (kind === null) continue;
      this.#taken.add(index);
      void this.#open(file, kind, index);
    }
  }

  /**
   * @param {ShareFile} file
   * @param {'img' | 'audio' | 'video'} kind
   * @param {number} order
   */
  async #open(file, kind, order) {
    let url;
    try {
      url = await file.url();
    } catch {
      this.#taken.delete(order);
      return;
    }
    if (this.#closed) {
      URL.revokeObjectURL(url);
      return;
    }
    this.#urls.push(url);
    const figure = el('figure', { class: kind }, media(kind, url, file.name), el('figcaption', {}, el('bdi', {}, file.name)));
    figure.dataset['order'] = String(order);
    const next = [...this.element.children].find((other) => Number(/** @type {HTMLElement} */ (other).dataset['order']) > order);
    this.element.insertBefore(figure, next ?? null);
    this.element.classList.toggle('many', this.element.childElementCount > 1);
    this.element.hidden = false;
  }

  /** Gives the object URLs back. */
  close() {
    this.#closed = true;
    for (const url of this.#urls) URL.revokeObjectURL(url);
    this.element.replaceChildren();
  }
}

/**
 * @param {'img' | 'audio' | 'video'} kind
 * @param {string} url
 * @param {string} name
 */
function media(kind, url, name) {
  if (kind === 'img') return el('img', { src: url, alt: name, decoding: 'async' });
  const player = el(kind, { src: url, 'aria-label': name, controls: true, preload: 'metadata' });
  player.setAttribute('playsinline', '');
  return player;
}
