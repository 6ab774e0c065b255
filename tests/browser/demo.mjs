// @ts-check
// The demo site by hand: `make demo`, then open it in several browsers.
import { Signaller } from './harness.mjs';
import { Site } from './site.mjs';

const signaller = await new Signaller(8787, []).start();
const site = await Site.make({ signaller: signaller.base, film: true, dash: true, rate: '4m', tag: { peers: '0' } });
const live = await site.startLive({ signaller: signaller.base, tag: { peers: '0' } });
live.step(6);
live.run();
console.log(`\nThe site is at ${site.base}, the film as DASH at ${site.base}dash.html, a live stream at ${site.base}live.html. Open them in several browsers; Control C ends it.`);
process.on('SIGINT', async () => {
  await Promise.all([site.close(), signaller.stop()]);
  process.exit(0);
});
