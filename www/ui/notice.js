// @ts-check
import { el, setText } from './dom.js';

/** Messages for the whole page. One key, one message: a newer one replaces the older. */
export class Notices {
  #list;
  #quiet;
  /** @type {Map<string, { row: HTMLElement, text: HTMLElement, tail: HTMLElement }>} */
  #shown = new Map();
  /** Those that the visitor closed and that are still true. @type {Set<string>} */
  #closed = new Set();

  /**
   * @param {HTMLElement} list where messages stand
   * @param {HTMLElement} quiet a live region that is read aloud and not seen
   */
  constructor(list, quiet) {
    this.#list = list;
    this.#quiet = quiet;
  }

  /**
   * Shows a message. `bad`: something failed; `warn`: it may mend itself; `good`: news.
   * @param {string} key
   * @param {'bad' | 'warn' | 'good'} kind
   * @param {string} text
   */
  tell(key, kind, text) {
    this.#closed.delete(key);
    this.#put(key, kind, text, '');
  }

  /**
   * Shows a message about something that lasts. It may be told again and again; who closed it has read it.
   * @param {string} key
   * @param {'bad' | 'warn' | 'good'} kind
   * @param {string} text
   * @param {string} tail what changes by the second: seen, not read aloud
   */
  keepTelling(key, kind, text, tail) {
    if (!this.#closed.has(key)) this.#put(key, kind, text, tail);
  }

  /**
   * @param {string} key
   * @param {'bad' | 'warn' | 'good'} kind
   * @param {string} text
   * @param {string} tail
   */
  #put(key, kind, text, tail) {
    const old = this.#shown.get(key);
    if (old !== undefined && old.row.dataset['kind'] === kind) {
      setText(old.text, text);
      setText(old.tail, tail);
      return;
    }
    this.clear(key);
    const parts = { text: el('span', {}, text), tail: el('span', { 'aria-hidden': 'true' }, tail) };
    const close = () => {
      this.clear(key);
      this.#closed.add(key);
    };
    const row = el(
      'div',
      { class: 'notice', 'data-kind': kind, 'data-testid': 'message', role: kind === 'bad' ? 'alert' : 'status' },
      el('p', {}, parts.text, ' ', parts.tail),
      el('button', { type: 'button', class: 'close', 'aria-label': 'Dismiss', onclick: close }, '×'),
    );
    this.#shown.set(key, { row, ...parts });
    this.#list.append(row);
  }

  /**
   * Takes a message away: it is not true any more.
   * @param {string} key
   */
  clear(key) {
    this.#closed.delete(key);
    this.#shown.get(key)?.row.remove();
    this.#shown.delete(key);
  }

  /**
   * Says something to screen readers only: changes of state, not of numbers.
   * @param {string} text
   */
  announce(text) {
    setText(this.#quiet, text);
  }
}
