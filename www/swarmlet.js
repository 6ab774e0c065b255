// Swarmlet's public API. Types and documentation: swarmlet.d.ts.
export { join, hasWebRtc, VERSION } from './page/node.js';
export { SwarmletError } from './page/error.js';
