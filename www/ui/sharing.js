// @ts-check
import { copyable } from './copy.js';
import { el, show } from './dom.js';
import { qr } from './qr.js';

/** The link of a share: to read, to copy, to photograph, to hand to another program. */
export class Sharing {
  element;
  #link;
  #code = el('div', { class: 'qr', 'data-testid': 'qr' });
  #drawn = false;

  /**
   * @param {string} link
   * @param {{ open: boolean, name: string, announce: (text: string) => void, torrent: () => void, publish: (on: boolean) => Promise<void>,
   *   complain: (error: unknown) => void }} options
   */
  constructor(link, { open, name, announce, torrent, publish, complain }) {
    this.#link = link;
    const { field, copy } = copyable({ value: link, mark: 'share-link', label: `Link to share ${name}`, button: 'Copy link', announce });
    const send = el('button', { type: 'button', 'data-testid': 'send-link' }, 'Send…');
    send.addEventListener('click', () => void navigator.share({ title: name, url: link }).catch(() => undefined));
    show(send, typeof navigator.share === 'function');
    const file = el('button', { type: 'button', class: 'plain', 'data-testid': 'save-torrent', onclick: torrent }, 'Save .torrent');
    const listed = el('input', { type: 'checkbox', 'data-testid': 'list-publicly' });
    listed.addEventListener('change', () => {
      listed.disabled = true;
      void publish(listed.checked).catch((error) => {
        listed.checked = !listed.checked;
        complain(error);
      }).finally(() => { listed.disabled = false; });
    });
    this.element = el(
      'details',
      { class: 'sharing', open },
      el('summary', {}, 'Share link'),
      el('div', { class: 'sharebox' },
        el('div', { class: 'sharetext' },
          el('p', { class: 'hint' }, 'Send this link, or let a phone read the code. Whoever has it can fetch the files.'),
          field,
          el('div', { class: 'actions' }, copy, send, file),
          el('label', { class: 'hint' }, listed, ' List publicly: anybody who searches for words of its name finds it and can fetch it.')),
        this.#code),
    );
    this.element.addEventListener('toggle', () => this.#draw());
    if (open) this.#draw();
  }

  #draw() {
    if (this.#drawn || !this.element.open) return;
    this.#drawn = true;
    const code = qr(this.#link);
    if (code === null) this.#code.hidden = true;
    else this.#code.append(code);
  }
}
