// @ts-check
// The reference tracker, WebSocket only, as its own command starts it (which cannot be used: it loads the client, too, and
// with it a native module).
import Server from '../browser/webtorrent/node_modules/bittorrent-tracker/server.js';

const port = Number(process.argv[2]);
const server = new Server({ http: true, udp: false, ws: true, stats: false });
server.on('warning', () => {});
server.listen(port, '127.0.0.1', () => console.log('listening'));
