/**
 * Tests only: holds functions of the library against the host's processor, case by case, results and flags.
 * The number of cases for each function is FLOAT_CASES in the environment, by default few enough for every run.
 */
import type { Func } from '../emit/code.ts';
import { ModuleBuilder } from '../emit/module.ts';
import { binaryOperand, extendedOperand, Random } from './cases.ts';
import { FloatFlag } from './format.ts';
import { addFloatLibrary } from './library.ts';
import { CASE_BYTES, native, RESULT_BYTES } from './native.ts';

const CASES = Number(process.env['FLOAT_CASES'] ?? 4000);

type Value = number | bigint;

/** The library, each function exported as `f64.add`, `f32ToF64` and so on. */
export type Instance = (name: string, ...args: Value[]) => Value[];

/** A module of its own with the whole library, for tests to call. */
export function instantiate(): Instance {
  const m = new ModuleBuilder();
  const { f32, f64, f80, ...conversions } = addFloatLibrary(m);
  for (const [prefix, functions] of Object.entries({
    'f32.': f32,
    'f64.': f64,
    'f80.': f80,
    '': conversions,
  })) {
    for (const [name, func] of Object.entries<Func>({ ...functions })) m.export(prefix + name, func);
  }
  const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.encode()));
  const functions = exports as Record<string, ((...args: Value[]) => Value | Value[]) | undefined>;
  return (name, ...args) => {
    const f = functions[name];
    if (f === undefined) throw new Error(`no function ${name}`);
    const result = f(...args);
    return Array.isArray(result) ? result : [result];
  };
}

/** Runs the body and what should do the same over cases; gives the first few differences, as lines. */
function differences(
  body: readonly number[],
  fill: (r: Random, to: DataView, at: number) => void,
  check: (input: DataView, at: number, result: DataView, to: number) => string | undefined,
): string[] {
  const run = native(body);
  const r = new Random(body.reduce((sum, byte) => sum * 31 + byte, 7));
  const found: string[] = [];
  const chunk = 10_000;
  for (let done = 0; done < CASES && found.length < 5; done += chunk) {
    const count = Math.min(chunk, CASES - done);
    const cases = new Uint8Array(count * CASE_BYTES);
    const input = new DataView(cases.buffer);
    for (let i = 0; i < count; i++) fill(r, input, i * CASE_BYTES);
    const result = new DataView(run(cases).buffer);
    for (let i = 0; i < count && found.length < 5; i++) {
      const line = check(input, i * CASE_BYTES, result, i * RESULT_BYTES);
      if (line !== undefined) found.push(line);
    }
  }
  return found;
}

const hex = (v: Value): string => v.toString(16);

/** A value as a WebAssembly argument. */
const argument = (width: number, bits: bigint): Value =>
  width === 32 ? Number(BigInt.asIntN(32, bits)) : BigInt.asIntN(64, bits);

export interface SseTest {
  readonly body: readonly number[];
  /** Width of the operands, 0 for a 64-bit integer. */
  readonly width: 0 | 32 | 64;
  /** Bits of the result that count. */
  readonly mask: bigint;
  /** Gives result and flags. */
  readonly ours: (a: Value, b: Value, mxcsr: number) => Value[];
}

/** Differences from the processor with all exceptions masked. */
export function sseDifferences({ body, width, mask, ours }: SseTest): string[] {
  return differences(
    body,
    (r, to, at) => {
      const flush = r.below(4) === 0 ? r.pick([0x40, 0x8000, 0x8040]) : 0;
      to.setUint32(at, 0x1f80 | (r.below(4) << 13) | flush, true);
      const shift = BigInt(r.below(64));
      const a =
        width === 0 ? BigInt.asUintN(64, BigInt.asIntN(64, r.word()) >> shift) : binaryOperand(r, width);
      to.setBigUint64(at + 16, a, true);
      to.setBigUint64(at + 32, width === 0 ? 0n : binaryOperand(r, width, a), true);
    },
    (input, at, result, to) => {
      const mxcsr = input.getUint32(at, true);
      const [a, b] = [input.getBigUint64(at + 16, true), input.getBigUint64(at + 32, true)];
      const [value, flags] = ours(argument(width, a), argument(width, b), mxcsr);
      const got = BigInt(value!) & mask;
      const want = result.getBigUint64(to, true) & mask;
      const wantFlags = result.getUint32(to + 16, true) & FloatFlag.Exceptions;
      if (got === want && flags === wantFlags) return undefined;
      return `mxcsr ${hex(mxcsr)} ${hex(a)} ${hex(b)}: ${hex(got)} ${hex(flags!)}, not ${hex(want)} ${hex(wantFlags)}`;
    },
  );
}

/** An 80-bit number as the library takes it. */
export type F80 = readonly [significand: bigint, signExponent: number];

export interface X87Test {
  readonly body: readonly number[];
  /** What the test is told of a case; `registers` are ST0 … after it, of which it gives those that count. */
  readonly ours: (a: F80, b: F80, fcw: number) => { st?: readonly F80[]; memory?: bigint; flags: number };
  /** Bits of the status word that count. */
  readonly flags?: number;
  /** Bits of what the body stored at 112, where it stores. */
  readonly memory?: bigint;
  /** Operands, where not any. */
  readonly operands?: (r: Random) => readonly [a: bigint, b: bigint];
  /** Rounding errors allowed in the last place. */
  readonly ulps?: bigint;
  /** All exceptions are masked. */
  readonly masked?: boolean;
}

const MASK64 = (1n << 64n) - 1n;

const random80 = (r: Random): readonly [bigint, bigint] => {
  const a = extendedOperand(r);
  return [a, extendedOperand(r, a)];
};

const read80 = (v: DataView, at: number): F80 => [v.getBigUint64(at, true), v.getUint16(at + 8, true)];

const far = (a: F80, b: F80, ulps: bigint): boolean => {
  const [x, y] = [BigInt.asUintN(64, a[0]), BigInt.asUintN(64, b[0])];
  if (a[1] === b[1]) return x - y > ulps || y - x > ulps;
  return ulps === 0n || Math.abs(a[1] - b[1]) !== 1 || !(x === 1n << 63n || y === 1n << 63n);
};

/** Differences from the processor, with any precision, rounding and masks. */
export function x87Differences(test: X87Test): string[] {
  const { body, ours, flags: counted = FloatFlag.Exceptions | FloatFlag.C1, memory = 0n, ulps = 0n } = test;
  const operands = test.operands ?? random80;
  return differences(
    body,
    (r, to, at) => {
      const masks = test.masked || r.below(3) !== 0 ? 0x3f : r.below(64);
      to.setUint16(at, masks | (r.below(4) << 8) | (r.below(4) << 10), true);
      for (const [i, value] of operands(r).entries()) {
        to.setBigUint64(at + 16 + 16 * i, value & MASK64, true);
        to.setUint16(at + 24 + 16 * i, Number(value >> 64n), true);
      }
    },
    (input, at, result, to) => {
      const fcw = input.getUint16(at, true);
      const [a, b] = [read80(input, at + 16), read80(input, at + 32)];
      const got = ours(a, b, fcw);
      const flags = result.getUint16(to + 4, true) & counted;
      const stops = got.flags & ~fcw & (FloatFlag.IE | FloatFlag.DE | FloatFlag.ZE);
      const st = stops ? [a, b] : (got.st ?? []);
      const wrong = st.findIndex((value, i) => far(value, read80(result, to + 28 + 10 * i), ulps));
      const wrote = got.memory !== undefined && !(got.flags & ~fcw & 0x1f);
      const stored = result.getBigUint64(to + 112, true) | (BigInt(result.getUint16(to + 120, true)) << 64n);
      const wrongMemory = wrote && (stored & memory) !== (got.memory! & memory);
      if (wrong < 0 && !wrongMemory && flags === (got.flags & counted)) return undefined;
      const show = (v: F80) => `${hex(v[1])}:${hex(BigInt.asUintN(64, v[0]))}`;
      const registers = st
        .map((v, i) => `${show(v)}, not ${show(read80(result, to + 28 + 10 * i))};`)
        .join(' ');
      const bytes = wrote ? ` ${hex(got.memory! & memory)}, not ${hex(stored & memory)};` : '';
      return `fcw ${hex(fcw)} ${show(a)} ${show(b)}: ${registers}${bytes} ${hex(got.flags & counted)}, not ${hex(flags)}`;
    },
  );
}
