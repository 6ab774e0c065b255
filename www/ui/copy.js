// @ts-check
import { el, setText } from './dom.js';

/** How long the copy button says that it worked. */
const COPIED_MS = 2000;

/**
 * A text to read, and a button that copies it.
 * @param {{ value: string, mark: string, label: string, button: string, announce: (text: string) => void }} about
 *   `mark`: for tests, of the field; the button's has `copy-` before it
 */
export function copyable({ value, mark, label, button, announce }) {
  const field = el('input', {
    type: 'text', readonly: true, value, 'data-testid': mark, 'aria-label': label, spellcheck: 'false',
  });
  field.addEventListener('focus', () => field.select());
  const copy = el('button', { type: 'button', class: 'primary', 'data-testid': `copy-${mark}` }, button);
  copy.addEventListener('click', async () => {
    let copied = true;
    try {
      await navigator.clipboard.writeText(field.value);
    } catch {
      // No permission, or a page without TLS: select it, and use the older way.
      field.select();
      copied = document.execCommand('copy');
    }
    setText(copy, copied ? 'Copied' : 'Press Ctrl+C');
    announce(copied ? 'Copied.' : 'It is selected. Press Control C to copy it.');
    setTimeout(() => setText(copy, button), COPIED_MS);
  });
  return { field, copy };
}
