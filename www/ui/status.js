// @ts-check
/** The line at the top: how this page is connected. */

import { byId, setText } from './dom.js';
import { count } from './format.js';

/** @typedef {import('../swarmlet.js').Node} SwarmNode */

/** When the next try is due, in milliseconds of `performance.now`; 0 while connected. */
let retryAt = 0;
/** @type {WeakSet<SwarmNode>} */
const listening = new WeakSet();
let everUp = false;

/**
 * @param {'starting' | 'up' | 'down' | 'off'} state
 * @param {string} text
 */
export function status(state, text) {
  const line = byId('status', HTMLElement);
  if (line.dataset['state'] !== state) line.dataset['state'] = state;
  setText(line, text);
}

/**
 * Brings the line up to date.
 * @param {SwarmNode} node
 */
export function watch(node) {
  if (!listening.has(node)) listen(node);
  const stats = node.stats();
  const peers = stats.links.length;
  if (node.closed) {
    status('off', 'Stopped');
  } else if (!stats.webrtc) {
    status('down', 'Web servers only');
  } else if (stats.signaller) {
    everUp = true;
    status('up', peers === 0 ? 'Ready' : `Connected to ${count(peers, 'peer')}`);
  } else if (!navigator.onLine) {
    status('down', 'Offline');
  } else if (retryAt === 0 && !everUp) {
    // A node without shares has nobody to look for, and does not call the server.
    if (stats.shares.length === 0) status('up', 'Ready');
    else status('starting', 'Connecting');
  } else {
    status('down', 'Server away');
  }
}

/** @param {SwarmNode} node */
function listen(node) {
  listening.add(node);
  node.events.addEventListener('signaller', ({ detail }) => {
    if (detail.state === 'up') retryAt = 0;
    if (detail.state === 'down') retryAt = performance.now() + (detail.retry ?? 0);
  });
}

/**
 * What to tell about a server that is away, and what is next; `null` while it is there.
 * @param {SwarmNode} node
 * @returns {[text: string, next: string] | null}
 */
export function away(node) {
  if (!navigator.onLine && !node.closed) return ['This device is offline. Everything goes on by itself when the network is back.', ''];
  if (node.closed) return ['Swarmlet has stopped in this tab. Reload the page to start it again.', ''];
  if (node.stats().signaller || retryAt === 0) return null;
  const seconds = Math.max(0, Math.ceil((retryAt - performance.now()) / 1000));
  const next = seconds > 0 ? `Trying again in ${seconds} s.` : 'Trying again now.';
  return ['The server that introduces peers is away. Running transfers go on.', next];
}
