// @ts-check
// Films of the page, and how they are asked for. Chromium gives up a film of which some parts come from the network and others are
// a service worker's own, unless it asks for them with CORS (its data must stay readable, or not, as it began); so the service worker
// answers only films with `crossorigin`, and here those get it that have not begun. On the site's own origin it changes nothing else.

/** Has the films of this page that are ours, and have not begun, asked for in the way that lets anybody answer. */
export class Films {
  #observer;
  #isOurs;

  /** @param {(url: string) => boolean} isOurs */
  constructor(isOurs) {
    this.#isOurs = isOurs;
    for (const film of all()) this.#mark(film);
    // Before a load that a change begins, which is a task of its own, comes this, a microtask.
    this.#observer = new MutationObserver((changes) => {
      for (const { target, addedNodes } of changes) {
        for (const node of [target, ...addedNodes]) if (node instanceof Element) this.#look(node);
      }
    });
    this.#observer.observe(document, { subtree: true, childList: true, attributeFilter: ['src'] });
  }

  stop() {
    this.#observer.disconnect();
  }

  /** @param {Element} node */
  #look(node) {
    const film = node.closest('video, audio');
    for (const one of film ? [film] : node.querySelectorAll('video, audio')) this.#mark(/** @type {HTMLMediaElement} */ (one));
  }

  /** @param {HTMLMediaElement} film */
  #mark(film) {
    const sources = [film, ...film.querySelectorAll('source')].map(({ src }) => src).filter(Boolean);
    const ours = sources.length > 0 && sources.every((url) => url.startsWith(`${location.origin}/`)) && sources.some(this.#isOurs);
    if (film.crossOrigin !== null || begun(film) || !ours) return;
    film.crossOrigin = 'anonymous';
    // A server that sends it on to another one must be able to, as before.
    film.addEventListener('error', () => {
      if (film.readyState > 0 || film.crossOrigin === null) return;
      const plays = !film.paused;
      film.crossOrigin = null;
      film.load();
      if (plays) film.play().catch(() => {});
    }, { once: true, capture: true });
  }
}

/** Whether a film of this page plays, seen or not. */
export const isPlaying = () => all().some(({ paused, ended }) => !paused && !ended);

const all = () => /** @type {HTMLMediaElement[]} */ ([...document.querySelectorAll('video, audio')]);

/** @param {HTMLMediaElement} film */
const begun = ({ networkState, readyState }) => readyState > 0 || networkState === HTMLMediaElement.NETWORK_LOADING;
