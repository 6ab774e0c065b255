// @ts-check
import { copyable } from './copy.js';
import { el, setText } from './dom.js';
import { qr } from './qr.js';

/**
 * Two people connect with no server between them: a link goes out, a code comes back.
 */
export class Bridge {
  element;
  #around;
  #make = el('button', { type: 'button', 'data-testid': 'make-offer' }, 'Make a link for one person');
  #steps = el('div', { class: 'steps' });

  /**
   * @param {{ offer: () => Promise<{ link: string }>, meet: (code: string) => Promise<string | null>,
   *   announce: (text: string) => void, complain: (error: unknown) => void }} around
   */
  constructor(around) {
    this.#around = around;
    this.#make.addEventListener('click', () => void this.#offer().catch(around.complain));
    this.element = el(
      'details',
      { class: 'sharing', 'data-testid': 'bridge' },
      el('summary', {}, 'Connect without a server'),
      el('p', { class: 'hint' }, 'Where the meeting point cannot be reached, two people can connect by themselves: one sends a link, the other sends a code back. Both keep this page open.'),
      el('div', { class: 'actions' }, this.#make),
      this.#steps,
    );
  }

  /**
   * Answers the offer of a link that was opened here.
   * @param {string} link
   */
  async answer(link) {
    const code = await this.#around.meet(link);
    if (code === null) return;
    this.element.open = true;
    const { field, copy } = copyable({ value: code, mark: 'answer', label: 'Code to send back', button: 'Copy code', announce: this.#around.announce });
    this.#steps.replaceChildren(
      el('p', {}, 'Send this code back to whoever sent you the link. They paste it on their page, and the two of you are connected.'),
      field,
      el('div', { class: 'actions' }, copy),
    );
    this.#around.announce('A code to send back is ready.');
  }

  async #offer() {
    this.#make.disabled = true;
    try {
      const { link } = await this.#around.offer();
      const { field, copy } = copyable({ value: link, mark: 'offer-link', label: 'Link for one person', button: 'Copy link', announce: this.#around.announce });
      const picture = qr(link);
      this.#steps.replaceChildren(
        el('p', {}, '1. Send this link to one person. It is good for a quarter of an hour.'),
        field,
        el('div', { class: 'actions' }, copy),
        picture === null ? '' : el('div', { class: 'qr' }, picture),
        el('p', {}, '2. Paste the code that comes back.'),
        this.#form(),
      );
    } finally {
      this.#make.disabled = false;
    }
  }

  #form() {
    const code = el('input', { type: 'text', 'data-testid': 'answer-field', 'aria-label': 'Code that came back', spellcheck: 'false', autocomplete: 'off' });
    const connect = el('button', { class: 'primary', 'data-testid': 'connect' }, 'Connect');
    const form = el('form', { class: 'actions' }, code, connect);
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      this.#around.meet(code.value).then(() => {
        setText(connect, 'Connecting…');
        connect.disabled = code.disabled = true;
      }).catch(this.#around.complain);
    });
    return form;
  }
}
