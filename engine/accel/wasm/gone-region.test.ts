/** Regions that are gone, and come to from others that have not been told. */
import { expect, test } from 'vitest';
import { ExitReason } from '../contract.ts';
import { bareMachine, le32, NO_INTERRUPTS } from './bare-machine.ts';
import { buildTier0 } from './interpreter/handlers.ts';
import { IMPORTS } from './interpreter/tier0.ts';
import { P, S } from './private.ts';

/** Functions, on pages of their own and not at their beginnings, that are called in turns: one of them becomes part of the
 * caller's region. */
const FUNCTIONS = [0x5340, 0x6780, 0x7bc0] as const;
const WRITERS = [0x9000, 0xa000, 0xb000] as const;
const NEW = 10;

test.each([
  ['0', 300],
  ['1', 600_000],
  ['eager', 300],
] as const)('functions that are written over are run anew, tier %s', (tier, rounds) => {
  const m = bareMachine(NO_INTERRUPTS, { tier });
  const values: number[] = FUNCTIONS.map((_, i) => i + 1);
  for (const [i, at] of FUNCTIONS.entries()) {
    // mov edx, value; add r9, rdx; add r10, r9; add r11, r10; ret
    m.load([0xba, ...le32(values[i]!), 0x49, 0x01, 0xd1, 0x4d, 0x01, 0xca, 0x4d, 0x01, 0xd3, 0xc3], at);
  }
  // l: call rax; add rbx, rdx; xchg rax, r12; xchg r12, r13; dec ecx; jnz l; hlt
  const turns = [0x49, 0x94, 0x4d, 0x87, 0xec];
  const code = [0xff, 0xd0, 0x48, 0x01, 0xd3, ...turns, 0xff, 0xc9, 0x75, 0xf2, 0xf4];
  const check = (calls: number): void => {
    m.load(code);
    m.state.gpr[0] = BigInt(FUNCTIONS[0]);
    m.state.gpr[1] = BigInt(calls);
    m.state.gpr[3] = 0n;
    m.state.gpr[12] = BigInt(FUNCTIONS[1]);
    m.state.gpr[13] = BigInt(FUNCTIONS[2]);
    expect(m.run()).toBe(ExitReason.Halt);
    expect(m.state.gpr[3]).toBe(BigInt((calls / 3) * values.reduce((a, b) => a + b)));
  };
  check(rounds);
  for (const [i, at] of FUNCTIONS.entries()) {
    // mov byte [function + 1], NEW + i; hlt
    m.load([0xc6, 0x04, 0x25, ...le32(at + 1), NEW + i, 0xf4], WRITERS[i]);
    expect(m.run()).toBe(ExitReason.Halt);
    values[i] = NEW + i;
    check(3);
  }
});

test('who comes from another region is told where it was, and what has been run in regions is counted', () => {
  const memory = new WebAssembly.Memory({ initial: 64, maximum: 64, shared: true });
  const words = new DataView(memory.buffer);
  const CPU = 0x1000;
  const found: bigint[] = [];
  const none = (): number => 0;
  const find = (): number => {
    found.push(words.getBigUint64(CPU + S.rip, true));
    return 0;
  };
  const imports = {
    memory,
    slow: none,
    commit: none,
    complex: none,
    ticks: none,
    find,
    findDirect: none,
    revalidate: none,
  };
  const { run } = new WebAssembly.Instance(buildTier0().module, { [IMPORTS]: imports }).exports;
  words.setBigUint64(CPU + P.codePage, 0xffff_8000_1234_5678n, true);
  words.setInt32(CPU + P.regionsSince, 5000, true);
  (run as (cpu: number, record: number, budget: number) => number)(CPU, CPU, 4900);
  expect(found).toEqual([0xffff_8000_1234_5678n]);
  expect(words.getBigUint64(CPU + P.regionInstructions, true)).toBe(100n);
});
