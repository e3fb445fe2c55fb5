/** Which code becomes regions, how many are kept, and what becomes of their numbers. */
import { MessageChannel, receiveMessageOnPort } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { ExitReason } from '../../contract.ts';
import { areaAt } from '../area.ts';
import { AREA, type BareMachine, bareMachine, CODE, le32, NO_INTERRUPTS, repeat } from '../bare-machine.ts';
import { HOT } from '../interpreter/entry-count.ts';
import { PLACE_HANDLER_SHIFT, REGION_TAG_BYTES } from '../private.ts';
import { MOST_REGIONS } from '../tiers.ts';
import { tier0 } from './own-translator.ts';
import type { HotCode } from './hot-code.ts';
import type { RegionSource } from './source.ts';
import { Translator, type TranslatorMessage } from './translator.ts';

const HLT = 0xf4;
const RET = 0xc3;
const FUNCTION = 0x2_0000;

/** Runs code, that must be on a page of its own. @returns regions made so far */
function regionsAfter(m: BareMachine, code: readonly number[], at = CODE): number {
  m.load([...code, HLT], at);
  expect(m.run(100_000)).toBe(ExitReason.Halt);
  return m.cpu.statistics()['regions compiled']!;
}

/** mov eax, value; inc ebx three times; ret */
const LONG = [0xb8, ...le32(1), 0xff, 0xc3, 0xff, 0xc3, 0xff, 0xc3, RET];
/** mov eax, value; ret */
const SHORT = [0xb8, ...le32(1), RET];

const callAt = (at: number, target: number): number[] => [0xe8, ...le32(target - (at + 5))];

/** Calls the function so often; nothing else is gone to more often than a fiftieth of that. */
function call(m: BareMachine, times: number, at: number): number {
  const calls = 50;
  const body = Array.from({ length: calls }, (_, i) => callAt(at + 5 + 5 * i, FUNCTION)).flat();
  return regionsAfter(m, repeat(times / calls, body), at);
}

test.each([
  ['a function', LONG, HOT],
  ['one of few instructions', SHORT, 17 * HOT],
])('%s is translated when it has been gone to often enough, not before', (_what, code, times) => {
  const m = bareMachine(NO_INTERRUPTS, { tier: '1' });
  for (const [i, byte] of code.entries()) m.ram.setUint8(FUNCTION + i, byte);
  const before = call(m, times - 50, CODE);
  const after = call(m, 100, CODE + 0x1000);
  expect([before, after]).toEqual([0, 1]);
});

test('a loop is translated when it has gone round often enough, not before', () => {
  const m = bareMachine(NO_INTERRUPTS, { tier: '1' });
  // It is entered once from above, and twice by jumps that are not linked yet.
  expect(regionsAfter(m, repeat(HOT + 2, [0xff, 0xc0]))).toBe(0);
  const n = bareMachine(NO_INTERRUPTS, { tier: '1' });
  expect(regionsAfter(n, repeat(HOT + 3, [0xff, 0xc0]))).toBe(1);
});

test('handlers of as many regions as are kept have places that can be named', () => {
  expect(tier0().handlers + 2 * MOST_REGIONS + 1024).toBeLessThan(2 ** PLACE_HANDLER_SHIFT);
});

/** The source of a loop that loads a number. */
function sourceOf(n: number): RegionSource {
  let source: RegionSource | undefined;
  const watch = { address: BigInt(CODE + 5), found: (code: HotCode) => (source = code.source) };
  regionsAfter(bareMachine(NO_INTERRUPTS, { tier: 'eager', watch }), repeat(4, [0xb8, ...le32(n)]));
  return source!;
}

test('translations are kept, the oldest are forgotten, and their numbers used again', () => {
  const sources = [0, 1, 2, 3, 4].map(sourceOf);
  const translator = new Translator(tier0(), 2);
  const numbers = (n: number) => {
    const [{ id, made, module }] = translator.translate([{ request: 0, source: sources[n]! }]).translations;
    expect(module).toBeDefined();
    return { id, made };
  };
  const expected = (made: number) => ({ id: made % 4, made });
  expect([0, 1, 0, 1].map(numbers)).toEqual([0, 1, 0, 1].map(expected));
  expect([2, 3, 4].map(numbers)).toEqual([2, 3, 4].map(expected));
  expect([4, 3, 0, 3].map(numbers)).toEqual([4, 3, 5, 6].map(expected));
});

test('a region goes when another is given its number, and what was known of its pages', () => {
  const functions = 6;
  const translator = { tier0: tier0(), translator: new Translator(tier0(), 2) };
  const m = bareMachine(NO_INTERRUPTS, { tier: 'interrupt', translator });
  const tags = new Int32Array(m.ram.buffer, areaAt(AREA, 1).regionTags, (4 * REGION_TAG_BYTES) / 4);
  const run = (from: number, to: number) => {
    for (let i = from; i < to; i++) {
      // On two pages: lea rdx, [rdx + a number]; ret
      const at = FUNCTION + 0x1000 * i + 0xffd;
      for (const [n, byte] of [0x48, 0x8d, 0x92, ...le32(i), RET].entries()) m.ram.setUint8(at + n, byte);
      const code = CODE + 0x2000 * i;
      m.state.gpr[2] = 0n;
      regionsAfter(m, repeat(40, callAt(code + 5, at)), code);
      expect(m.state.gpr[2]).toBe(BigInt(40 * i));
    }
  };
  run(0, 3);
  tags.fill(-1);
  run(3, functions);
  expect(m.cpu.statistics()['regions dropped: to make room']).toBeGreaterThan(0);
  expect(Array.from(tags)).not.toContain(-1);
});

test('what the translator is asked for, it is asked for in a hurry when it is gone to again and again', () => {
  const { port1: port, port2: other } = new MessageChannel();
  const word = new Int32Array(new SharedArrayBuffer(4));
  const m = bareMachine(NO_INTERRUPTS, { tier: '1', translator: { port, word, tier0: tier0() } });
  const asked = () => receiveMessageOnPort(other)?.message as TranslatorMessage | undefined;
  /** Goes round so often. */
  const round = (times: number) => {
    m.state.gpr[1] = BigInt(times);
    m.state.rip = BigInt(CODE + 5);
    m.state.activity = 0;
    expect(m.run(100_000)).toBe(ExitReason.Halt);
  };
  regionsAfter(m, repeat(HOT + 3, [0xff, 0xc0]));
  expect(asked()).toMatchObject({ request: 0 });
  round(4 * HOT - 10);
  expect(asked()).toBeUndefined();
  round(20);
  expect(asked()).toEqual({ hurry: 0 });
  port.close();
});
