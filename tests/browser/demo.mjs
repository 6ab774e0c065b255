// @ts-check
// The demo site by hand: `make demo`, then open it in several browsers.
import { Signaller } from './harness.mjs';
import { Site } from './site.mjs';

const signaller = await new Signaller(8787, []).start();
const site = await Site.make({ signaller: signaller.base, film: true, rate: '4m', tag: { peers: '0' } });
console.log(`\nThe site is at ${site.base}. Open it in several browsers; Control C ends it.`);
process.on('SIGINT', async () => {
  await Promise.all([site.close(), signaller.stop()]);
  process.exit(0);
});
