/**
 * The WebAssembly of some regions, word for word: what a change of the translator does to its code is seen here.
 * Where a change is meant, `npx vitest run --project unit test/cpu/golden.test.ts -u` writes the files anew.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expect, test } from 'vitest';
import { bareMachine, CODE, DATA, NO_INTERRUPTS, STACK } from '../../engine/accel/wasm/bare-machine.ts';
import { buildTier0 } from '../../engine/accel/wasm/interpreter/handlers.ts';
import type { HotCode } from '../../engine/accel/wasm/region/hot-code.ts';
import { listInstructions, listWebAssembly } from '../../engine/accel/wasm/region/listing.ts';
import { ExitReason } from '../../engine/accel/contract.ts';
import { assemble } from '../guest/assemble.ts';

const SOURCE = path.join(import.meta.dirname, 'golden.asm');
const SPACING = 256;
/** Runs, after which all ways that code takes are known. */
const RUNS = 10;

const names = [...readFileSync(SOURCE, 'utf8').matchAll(/^ +region (\w+)$/gm)].map(([, name]) => name!);
const image = readFileSync(assemble(SOURCE));
const tier0 = buildTier0();

/** The code that is found hot at an address, when last translated. */
function hotCode(address: number): HotCode | undefined {
  let found: HotCode | undefined;
  const m = bareMachine(NO_INTERRUPTS, {
    tier: 'eager',
    watch: {
      address: BigInt(address),
      found: (code) => {
        if (code.page + code.source.entry === BigInt(address)) found = code;
      },
    },
  });
  for (let run = 0; run < RUNS; run++) {
    m.load([...image]);
    m.state.rip = BigInt(address);
    for (const [register, value] of [3, 5, 7, STACK, 0, DATA, DATA + 0x100].entries())
      m.state.gpr[register + 1] = BigInt(value);
    expect(m.run()).toBe(ExitReason.Halt);
  }
  return found;
}

test('there are a few dozen', () => expect(names.length).toBeGreaterThan(30));

/** A region's instructions and its code. @param windows its accesses share looks into the TLB */
async function textOf(name: string, windows: boolean): Promise<string> {
  const code = hotCode(CODE + names.indexOf(name) * SPACING);
  if (code === undefined) throw new Error(`${name} was not found hot`);
  const asAsked = { ...code, source: { ...code.source, windows } };
  return [
    ...listInstructions(asAsked, tier0.forms.forms),
    (await listWebAssembly(asAsked, tier0)) ?? 'left to tier 0',
    '',
  ].join('\n');
}

test.each(names)('%s', async (name) => {
  await expect(await textOf(name, false)).toMatchFileSnapshot(`golden/${name}.txt`);
});

test.each(['modify_memory', 'push_and_pop', 'frame', 'call_and_return'])(
  '%s, with page windows',
  async (name) => {
    await expect(await textOf(name, true)).toMatchFileSnapshot(`golden/${name}.windows.txt`);
  },
);
