// @ts-check
import { el, setProgress, setText, show } from './dom.js';
import { count, percent, size } from './format.js';

/** Rows at first: enough to look around in, few enough to update often. */
const ROWS_FIRST = 50;
/** Rows added by each press of "Show more": keeps each press a short task. */
const ROWS_MORE = 500;

/** @typedef {import('../swarmlet.js').ShareFile} ShareFile */
/** @typedef {{ bar: HTMLProgressElement, note: HTMLElement, save: HTMLButtonElement, done: number }} Row */

/** The files of a share, each with its progress and a button to save it. */
export class FileList {
  element;
  #summary = el('summary');
  #list = el('ul', { class: 'files' });
  #more;
  /** @type {Row[]} */
  #rows = [];
  /** @type {readonly ShareFile[]} */
  #files = [];
  #save;

  /** @param {(file: ShareFile) => void} save called when a row's button is pressed */
  constructor(save) {
    this.#save = save;
    this.#more = el('button', { type: 'button', class: 'plain', 'data-testid': 'show-all', onclick: () => this.#grow(ROWS_MORE) });
    this.element = el('details', { class: 'filelist', 'data-testid': 'files' }, this.#summary, this.#list, this.#more);
    this.element.hidden = true;
  }

  /**
   * @param {readonly ShareFile[]} files
   * @param {ArrayLike<number>} done verified bytes of each file
   */
  update(files, done) {
    if (files.length < 2) return;
    if (this.#files.length !== files.length) {
      this.#files = files;
      this.#list.replaceChildren();
      this.#rows = [];
      setText(this.#summary, count(files.length, 'file'));
      this.#grow(ROWS_FIRST);
      this.element.open = files.length <= 6;
      this.element.hidden = false;
    }
    if (!this.element.open) return;
    this.#rows.forEach((row, index) => refresh(row, /** @type {ShareFile} */ (files[index]), done[index] ?? 0));
  }

  /** @param {number} by */
  #grow(by) {
    const end = Math.min(this.#files.length, this.#rows.length + by);
    const rows = document.createDocumentFragment();
    for (let index = this.#rows.length; index < end; index += 1) {
      rows.append(this.#row(/** @type {ShareFile} */ (this.#files[index])));
    }
    this.#list.append(rows);
    const rest = this.#files.length - end;
    show(this.#more, rest > 0);
    setText(this.#more, rest > ROWS_MORE ? `Show ${ROWS_MORE} more of ${rest.toLocaleString('en')}` : `Show all (${rest} more)`);
  }

  /** @param {ShareFile} file */
  #row(file) {
    const bar = el('progress', { max: '1', 'aria-label': `Progress of ${file.name}` });
    const note = el('span', { class: 'note' });
    const save = el('button', { type: 'button', class: 'plain', 'data-testid': 'save-file', 'aria-label': `Save ${file.name}` }, 'Save');
    save.addEventListener('click', () => this.#save(file));
    const row = { bar, note, save, done: -1 };
    this.#rows.push(row);
    return el('li', {}, el('span', { class: 'name', dir: 'ltr' }, ...elements(file.path)), bar, note, save);
  }
}

/**
 * The elements of a path, each with its own writing direction, so that folders always stand before what they hold.
 * @param {string} path
 */
function elements(path) {
  const parts = path.split('/');
  const name = el('bdi', {}, parts.pop() ?? '');
  return [...parts.map((part) => el('span', { class: 'folder' }, el('bdi', {}, part), '/\u200b')), name];
}

/**
 * @param {Row} row
 * @param {ShareFile} file
 * @param {number} done
 */
function refresh(row, file, done) {
  if (row.done === done) return;
  row.done = done;
  const complete = done >= file.size;
  setProgress(row.bar, complete ? 1 : done / file.size);
  row.bar.classList.toggle('full', complete);
  setText(row.note, complete ? size(file.size) : `${percent(done, file.size)} of ${size(file.size)}`);
  row.save.disabled = !complete;
}
