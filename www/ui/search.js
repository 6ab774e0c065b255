// @ts-check
import { byId, el, setText, show } from './dom.js';
import { size } from './format.js';

/** @typedef {import('../swarmlet.js').Listing} Listing */

/** Results that are shown: who wants others says more words. */
const SHOWN_MAX = 50;
const TYPES = { audio: 'Sound', video: 'Film', image: 'Pictures', text: 'Text', other: 'Files' };

/**
 * Wires the search for public shares. What is shown of a result is a stranger's text: it goes in as text, isolated, and nothing else
 * of it does.
 * @param {{ search: (text: string, options: { signal: AbortSignal }) => AsyncIterable<Listing>, open: (magnet: string) => Promise<unknown>,
 *   complain: (error: unknown) => void }} around
 */
export function wireSearch({ search, open, complain }) {
  const form = byId('search', HTMLFormElement);
  const field = byId('words', HTMLInputElement);
  const line = byId('search-line', HTMLElement);
  const list = byId('results', HTMLElement);
  let running = new AbortController();

  /** @param {Listing} listing */
  const row = (listing) => {
    const take = el('button', { type: 'button', class: 'primary', 'data-testid': 'take-result' }, 'Get');
    take.addEventListener('click', () => {
      take.disabled = true;
      void open(listing.magnet).catch(complain).finally(() => { take.disabled = false; });
    });
    return el('li', { 'data-testid': 'result', 'data-content': listing.id },
      el('div', { class: 'title' }, el('strong', {}, el('bdi', {}, listing.title)), el('p', { class: 'meta' }, `${TYPES[listing.type]} · ${size(listing.size)}`)),
      take);
  };

  /** @param {string} text */
  async function look(text) {
    running.abort();
    const mine = running = new AbortController();
    list.replaceChildren();
    show(line, true);
    setText(line, 'Asking the peers that this page reaches…');
    for await (const listing of search(text, { signal: mine.signal })) {
      if (mine !== running) return;
      if (list.childElementCount < SHOWN_MAX) list.append(row(listing));
    }
    if (mine !== running) return;
    const found = list.childElementCount;
    setText(line, found > 0 ? 'Anybody can list anything: these are their words. What you get is checked against the list of files that the entry names.'
      : 'Nobody who could be asked lists that.');
  }

  form.addEventListener('submit', (event) => {
    event.preventDefault();
    const text = field.value.trim();
    if (text !== '') void look(text).catch(complain);
  });
}
