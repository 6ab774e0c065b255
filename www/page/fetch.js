// @ts-check
// `node.fetch`: content from the swarm in the shape of `fetch`. Any doubt goes to the network.

import { SwarmletError } from './error.js';
import { parseRange } from './input.js';

/**
 * @param {import('../swarmlet.js').Node} node
 * @param {RequestInfo | URL} input
 * @param {RequestInit} [init]
 * @returns {Promise<Response>}
 */
export async function fetchFrom(node, input, init) {
  const url = input instanceof Request ? input.url : String(input);
  const method = (init?.method ?? (input instanceof Request ? input.method : 'GET')).toUpperCase();
  const signal = init?.signal ?? (input instanceof Request ? input.signal : undefined);
  const headers = new Headers(init?.headers ?? (input instanceof Request ? input.headers : undefined));
  if (/^magnet:/i.test(url)) {
    if (method !== 'GET' && method !== 'HEAD') throw new SwarmletError('bad-argument');
    const share = await node.add(url);
    await share.ready;
    const wanted = share.files.filter((file) => file.wanted);
    if (wanted.length !== 1) throw new SwarmletError('bad-argument', 'A share of several files: select one with &so=.');
    return respond(wanted[0], method, headers, signal ?? undefined);
  }
  const file = method === 'GET' || method === 'HEAD' ? find(node, url) : undefined;
  if (!file || node.closed) return fetch(input, init);
  try {
    return respond(file, method, headers, signal ?? undefined);
  } catch {
    return fetch(input, init);
  }
}

/**
 * @param {import('../swarmlet.js').ShareFile} file
 * @param {string} method
 * @param {Headers} asked
 * @param {AbortSignal | undefined} signal
 */
function respond(file, method, asked, signal) {
  const range = parseRange(asked.get('range'), file.size);
  const headers = new Headers({ 'content-type': file.type, 'accept-ranges': 'bytes' });
  if (range === undefined) {
    headers.set('content-range', `bytes */${file.size}`);
    return new Response(null, { status: 416, headers });
  }
  const { start, end } = range ?? { start: 0, end: file.size };
  headers.set('content-length', String(end - start));
  if (range) headers.set('content-range', `bytes ${start}-${end - 1}/${file.size}`);
  const body = method === 'HEAD' ? null : file.stream({ start, end, signal });
  return new Response(body, { status: range ? 206 : 200, headers });
}

/**
 * The file of a known share that an address is a web seed of (BEP 19).
 * @param {import('../swarmlet.js').Node} node
 * @param {string} url
 */
function find(node, url) {
  let address;
  try {
    address = new URL(url, globalThis.location?.href).href;
  } catch {
    return undefined;
  }
  for (const share of node.shares) {
    const bases = new URLSearchParams(share.magnet.slice(share.magnet.indexOf('?'))).getAll('ws');
    for (const base of bases) {
      const file = share.files.find((candidate) => webAddresses(base, share, candidate).includes(address));
      if (file) return file;
    }
  }
  return undefined;
}

/**
 * @param {string} base
 * @param {import('../swarmlet.js').Share} share
 * @param {import('../swarmlet.js').ShareFile} file
 */
function webAddresses(base, share, file) {
  if (base.endsWith('#')) return [`${base.slice(0, -1)}${file.path.split('/').map(encodeURIComponent).join('/')}`];
  const single = share.files.length === 1 && file.path === share.name;
  const folder = base.endsWith('/') ? base : `${base}/`;
  const path = file.path.split('/').map(encodeURIComponent).join('/');
  if (!single) return [`${folder}${encodeURIComponent(share.name)}/${path}`];
  return [base, `${folder}${path}`];
}
