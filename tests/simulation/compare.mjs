// Runs the same random worlds in the native build and in wasm under Node, and compares the hashes of all their events.
//   node compare.mjs NATIVE-PROGRAM WASM-MODULE SEEDS
// @ts-check
import { spawn } from 'node:child_process'
import { readFile } from 'node:fs/promises'
import { createInterface } from 'node:readline'

const [program, module, count] = process.argv.slice(2)
const seeds = Number(count)
const { instance } = await WebAssembly.instantiate(await readFile(module), {})
const { trace } = /** @type {{ trace: (seed: number) => bigint }} */ (/** @type {unknown} */ (instance.exports))

const native = spawn(program, ['1', String(seeds)], { stdio: ['ignore', 'pipe', 'inherit'] })
let compared = 0
const different = []
for await (const line of createInterface({ input: native.stdout })) {
  const [seed, hash] = line.split(' ')
  const own = BigInt.asUintN(64, trace(Number(seed))).toString(16).padStart(16, '0')
  compared += 1
  if (own !== hash) different.push(`seed ${seed}: native ${hash}, wasm ${own}`)
}
for (const line of different) console.error(line)
console.log(`${compared} of ${seeds} worlds run natively and in wasm, ${different.length} differ`)
process.exit(compared === seeds && different.length === 0 ? 0 : 1)
