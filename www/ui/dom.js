// @ts-check
/** Small helpers to build and change the page. Text goes in as text nodes, never as markup. */

/**
 * Builds an element.
 * @template {keyof HTMLElementTagNameMap} K
 * @param {K} tag
 * @param {Record<string, string | boolean | EventListener | undefined>} [props] attributes; `on…` are listeners
 * @param {(Node | string | null)[]} children
 * @returns {HTMLElementTagNameMap[K]}
 */
export function el(tag, props = {}, ...children) {
  const node = document.createElement(tag);
  for (const [key, value] of Object.entries(props)) {
    if (value === undefined || value === false) continue;
    if (typeof value === 'function') node.addEventListener(key.slice(2), value);
    else node.setAttribute(key, value === true ? '' : value);
  }
  for (const child of children) if (child !== null) node.append(child);
  return node;
}

/**
 * Sets the text of an element, and touches the page only when it differs.
 * @param {Element} node
 * @param {string} text
 */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

/**
 * Shows or hides an element.
 * @param {HTMLElement} node
 * @param {boolean} shown
 */
export function show(node, shown) {
  if (node.hidden === shown) node.hidden = !shown;
}

/**
 * The element with this id, which index.html has.
 * @template {HTMLElement} T
 * @param {string} id
 * @param {new () => T} kind
 * @returns {T}
 */
export function byId(id, kind) {
  const node = document.getElementById(id);
  if (!(node instanceof kind)) throw new Error(`index.html has no #${id}`);
  return node;
}

/**
 * Sets the fraction of a progress bar; `null` means that it is not known yet.
 * @param {HTMLProgressElement} bar
 * @param {number | null} fraction 0 to 1
 */
export function setProgress(bar, fraction) {
  if (fraction === null) {
    if (bar.hasAttribute('value')) bar.removeAttribute('value');
    return;
  }
  const value = Math.floor(Math.min(1, Math.max(0, fraction)) * 1000) / 1000;
  if (!bar.hasAttribute('value') || bar.value !== value) bar.value = value;
}
