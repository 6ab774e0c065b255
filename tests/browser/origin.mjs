// @ts-check
// A plain HTTP server as a web seed: ranges, CORS, and a count of what it gave.
import { createServer } from 'node:http';

/** @typedef {{ port: number, base: string, served: number, requests: number, close: () => Promise<void> }} Origin */

/**
 * Serves `files` (path without a leading slash → bytes). `spoil` may change what is sent for a range.
 * @param {Record<string, Uint8Array>} files
 * @param {{ spoil?: (body: Buffer, start: number) => Buffer }} [options]
 * @returns {Promise<Origin>}
 */
export async function startOrigin(files, { spoil = (body) => body } = {}) {
  const server = createServer((request, response) => {
    response.setHeader('Access-Control-Allow-Origin', '*');
    response.setHeader('Access-Control-Allow-Headers', 'Range');
    response.setHeader('Access-Control-Expose-Headers', 'Content-Range, Accept-Ranges, Content-Length');
    response.setHeader('Accept-Ranges', 'bytes');
    if (request.method === 'OPTIONS') return void response.writeHead(204).end();
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://origin').pathname).slice(1);
    const whole = files[path];
    if (!whole) return void response.writeHead(404).end('not here');
    origin.requests += 1;
    const range = /^bytes=(\d+)-(\d*)$/.exec(request.headers.range ?? '');
    const start = range ? Number(range[1]) : 0;
    const end = range?.[2] ? Math.min(Number(range[2]) + 1, whole.length) : whole.length;
    if (range && start >= end) {
      return void response.writeHead(416, { 'Content-Range': `bytes */${whole.length}` }).end();
    }
    const body = spoil(Buffer.from(whole.subarray(start, end)), start);
    origin.served += body.length;
    /** @type {Record<string, string | number>} */
    const head = { 'Content-Type': 'application/octet-stream', 'Content-Length': body.length };
    if (range) head['Content-Range'] = `bytes ${start}-${end - 1}/${whole.length}`;
    response.writeHead(range ? 206 : 200, head).end(body);
  });
  await new Promise((up) => server.listen(0, '127.0.0.1', () => up(undefined)));
  const { port } = /** @type {import('node:net').AddressInfo} */ (server.address());
  const close = () => new Promise((/** @type {(v: void) => void} */ down) => {
    server.close(() => down());
    server.closeAllConnections();
  });
  /** @type {Origin} */
  const origin = { port, base: `http://127.0.0.1:${port}/`, served: 0, requests: 0, close };
  return origin;
}
