// @ts-check
import { el, setText, show } from './dom.js';
import { qr } from './qr.js';

/** How long the copy button says that it worked. */
const COPIED_MS = 2000;

/** The link of a share: to read, to copy, to photograph, to hand to another program. */
export class Sharing {
  element;
  #link;
  #code = el('div', { class: 'qr', 'data-testid': 'qr' });
  #drawn = false;

  /**
   * @param {string} link
   * @param {{ open: boolean, name: string, announce: (text: string) => void, torrent: () => void }} options
   */
  constructor(link, { open, name, announce, torrent }) {
    this.#link = el('input', {
      type: 'text', readonly: true, value: link, 'data-testid': 'share-link', 'aria-label': `Link to share ${name}`, spellcheck: 'false',
    });
    this.#link.addEventListener('focus', () => this.#link.select());
    const copy = el('button', { type: 'button', class: 'primary', 'data-testid': 'copy-link' }, 'Copy link');
    copy.addEventListener('click', () => void this.#copy(copy, announce));
    const send = el('button', { type: 'button', 'data-testid': 'send-link' }, 'Send…');
    send.addEventListener('click', () => void navigator.share({ title: name, url: link }).catch(() => undefined));
    show(send, typeof navigator.share === 'function');
    const file = el('button', { type: 'button', class: 'plain', 'data-testid': 'save-torrent', onclick: torrent }, 'Save .torrent');
    this.element = el(
      'details',
      { class: 'sharing', open },
      el('summary', {}, 'Share link'),
      el('div', { class: 'sharebox' },
        el('div', { class: 'sharetext' },
          el('p', { class: 'hint' }, 'Send this link, or let a phone read the code. Whoever has it can fetch the files.'),
          this.#link,
          el('div', { class: 'actions' }, copy, send, file)),
        this.#code),
    );
    this.element.addEventListener('toggle', () => this.#draw());
    if (open) this.#draw();
  }

  #draw() {
    if (this.#drawn || !this.element.open) return;
    this.#drawn = true;
    const code = qr(this.#link.value);
    if (code === null) this.#code.hidden = true;
    else this.#code.append(code);
  }

  /**
   * @param {HTMLButtonElement} button
   * @param {(text: string) => void} announce
   */
  async #copy(button, announce) {
    let copied = true;
    try {
      await navigator.clipboard.writeText(this.#link.value);
    } catch {
      // No permission, or a page without TLS: select it, and use the older way.
      this.#link.select();
      copied = document.execCommand('copy');
    }
    setText(button, copied ? 'Copied' : 'Press Ctrl+C');
    announce(copied ? 'Link copied.' : 'The link is selected. Press Control C to copy it.');
    setTimeout(() => setText(button, 'Copy link'), COPIED_MS);
  }
}
