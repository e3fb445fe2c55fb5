/** Code that is found by where its bytes lie, by emitted code: that it is, and that it is no other than what is there now. */
import { afterEach, expect, test, vi } from 'vitest';
import { ExitReason } from '../contract.ts';
import { type BareMachine, bareMachine, le32, NO_INTERRUPTS, repeat, TABLES } from './bare-machine.ts';
import { CodeFinder } from './code-finder.ts';

/** Code pages, and the frames that the first is mapped to in turns. */
const FIRST = 0x2_0000;
const SECOND = 0x2_1000;
const FRAMES = [0x3_0000, 0x3_1000] as const;
/** Pointers to functions. */
const POINTERS = 0x4000;
const PGE = 0x80n;
const GLOBAL = 0x100;
const HLT = 0xf4;

const TIERS = [
  ['0', 50],
  ['1', 100_000],
  ['eager', 50],
  ['eager', 3000],
] as const;
const ALL = TIERS.flatMap(([tier, rounds]) => [false, true].map((global) => [tier, rounds, global] as const));

const entryOf = (page: number): number => TABLES + 0x3000 + 8 * (page >>> 12);
/** mov eax, value; ret */
const returning = (value: number): number[] => [0xb8, ...le32(value), 0xc3];
/** call [POINTERS + 8 * n]; add edx, eax */
const call = (n: number): number[] => [0xff, 0x14, 0x25, ...le32(POINTERS + 8 * n), 0x01, 0xc2];
/** invlpg [page] */
const invalidate = (page: number): number[] => [0x0f, 0x01, 0x3c, 0x25, ...le32(page)];
function put(m: BareMachine, at: number, code: readonly number[]): void {
  code.forEach((byte, i) => m.ram.setUint8(at + i, byte));
}

/** As edx has it. */
const sum = (value: number): bigint => BigInt.asUintN(32, BigInt(value));

function run(m: BareMachine): bigint {
  m.state.gpr[2] = 0n;
  expect(m.run(100_000)).toBe(ExitReason.Halt);
  return m.state.gpr[2]!;
}

afterEach(() => vi.restoreAllMocks());

// Six bytes apart more of them lie together than a line of places has room for.
test.each(TIERS.flatMap(([tier, rounds]) => [0x44, 6].map((apart) => [tier, rounds, apart] as const)))(
  'a load of CR3 has each page asked for, not each address, tier %s, %i times, %i bytes apart',
  (tier, rounds, apart) => {
    const FUNCTIONS = 16;
    const m = bareMachine(NO_INTERRUPTS, { tier });
    for (let n = 0; n < FUNCTIONS; n++) {
      put(m, FIRST + apart * n, returning(n));
      m.ram.setBigUint64(POINTERS + 8 * n, BigInt(FIRST + apart * n), true);
    }
    const calls = Array.from({ length: FUNCTIONS }, (_, n) => call(n)).flat();
    // mov rax, cr3; mov cr3, rax
    m.load([...repeat(rounds, [0x0f, 0x20, 0xd8, 0x0f, 0x22, 0xd8, ...calls]), HLT]);
    const asked = vi.spyOn(CodeFinder.prototype, 'findComputed');
    expect(run(m)).toBe(sum((rounds * FUNCTIONS * (FUNCTIONS - 1)) / 2));
    expect(asked.mock.calls.length).toBeLessThan(4 * rounds + 8 * FUNCTIONS);
  },
);

test.each(ALL)(
  'a page is mapped elsewhere after others were dropped, tier %s, %i times, global %s',
  (tier, rounds, global) => {
    const m = bareMachine(NO_INTERRUPTS, { tier });
    const [one, other] = FRAMES;
    put(m, one, returning(1));
    put(m, other, returning(0x100));
    put(m, SECOND, returning(0x1_0000));
    const flags = 7 | (global ? GLOBAL : 0);
    if (global) m.state.cr4 |= PGE;
    m.ram.setUint32(entryOf(FIRST), one | flags, true);
    m.ram.setUint32(entryOf(SECOND), SECOND | flags, true);
    for (const [n, at] of [FIRST, SECOND].entries()) m.ram.setBigUint64(POINTERS + 8 * n, BigInt(at), true);
    // xor dword [the first page's entry], one ^ other
    const swap = [0x81, 0x34, 0x25, ...le32(entryOf(FIRST)), ...le32(one ^ other)];
    // Between the first two calls of the first page what is known of code on any page is dropped, but not its translation.
    const body = [
      ...call(0), ...call(1), ...invalidate(SECOND), ...call(0), ...swap, ...invalidate(FIRST),
    ]; // prettier-ignore
    m.load([...repeat(rounds, body), HLT]);
    expect(run(m)).toBe(sum(rounds * (0x101 + 0x1_0000)));
  },
);

test.each(TIERS)('code is written over, tier %s, %i times', (tier, rounds) => {
  const m = bareMachine(NO_INTERRUPTS, { tier });
  put(m, FIRST, returning(1));
  put(m, SECOND, returning(0x1_0000));
  for (const [n, at] of [FIRST, SECOND].entries()) m.ram.setBigUint64(POINTERS + 8 * n, BigInt(at), true);
  // xor byte [the first function's result], 3
  const write = [0x80, 0x34, 0x25, ...le32(FIRST + 1), 3];
  m.load([...repeat(rounds, [...call(0), ...call(1), ...invalidate(SECOND), ...call(0), ...write]), HLT]);
  expect(run(m)).toBe(sum(rounds * (3 + 0x1_0000)));
});
