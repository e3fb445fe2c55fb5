import { describe, expect, test } from 'vitest';
import { extendedOperand, type Random } from './cases.ts';
import { FloatFlag } from './format.ts';
import { x87Differences, type F80, type X87Test } from './harness.ts';
import { nativeAvailable, x87Body } from './native.ts';
import type { Number80 } from './number.ts';
import { f2xm1, fcos, fpatan, fptan, fsin, fsincos, fyl2x, fyl2xp1 } from './transcendental.ts';

const number = ([significand, signExponent]: F80): Number80 => ({ significand, signExponent });
const f80 = ({ significand, signExponent }: Number80): F80 => [significand, signExponent];
const flags = FloatFlag.Exceptions | FloatFlag.C2;

/** Any operand, with an exponent in a range half of the time. */
const within = (lowest: number, highest: number) => (r: Random) => {
  const a = extendedOperand(r);
  const b = extendedOperand(r, a);
  if (r.below(2) === 0) return [a, b] as const;
  const field = 0x3fff + lowest + r.below(highest - lowest + 1);
  return [(BigInt(field | (r.below(2) << 15)) << 64n) | (1n << 63n) | r.fraction(63), b] as const;
};

const unary = (compute: (x: Number80, fcw: number) => Number80 & { flags: number }) => {
  return (a: F80, b: F80, fcw: number) => {
    const result = compute(number(a), fcw);
    return { st: [f80(result), b], flags: result.flags };
  };
};
const binary = (compute: (x: Number80, y: Number80, fcw: number) => Number80 & { flags: number }) => {
  return (a: F80, b: F80, fcw: number) => {
    const result = compute(number(a), number(b), fcw);
    return { st: [f80(result)], flags: result.flags };
  };
};

/** Results may differ from the processor's in the last place, which promises no more itself. */
const shared = { flags, ulps: 1n, masked: true } as const;
const cases: Record<string, X87Test> = {
  F2XM1: { ...shared, body: x87Body(0xd9, 0xf0), operands: within(-70, 0), ours: unary(f2xm1) },
  FSIN: { ...shared, body: x87Body(0xd9, 0xfe), operands: within(-40, 63), ours: unary(fsin) },
  FCOS: { ...shared, body: x87Body(0xd9, 0xff), operands: within(-40, 63), ours: unary(fcos) },
  FYL2X: { ...shared, body: x87Body(0xd9, 0xf1), operands: within(-3, 3), ours: binary(fyl2x) },
  FPATAN: { ...shared, body: x87Body(0xd9, 0xf3), operands: within(-3, 3), ours: binary(fpatan) },
  FYL2XP1: {
    ...shared,
    body: x87Body(0xd9, 0xf9),
    operands: (r) => {
      const [x, y] = within(-70, -3)(r);
      // Within the range that the manual defines.
      return [(x & ~(0x7fffn << 64n)) | ((((x >> 64n) & 0x7fffn) % 0x3ffdn) << 64n), y];
    },
    ours: binary(fyl2xp1),
  },
  FSINCOS: {
    ...shared,
    body: x87Body(0xd9, 0xfb),
    operands: within(-40, 63),
    ours: (a, b, fcw) => {
      const { sine, cosine } = fsincos(number(a), fcw);
      const st = sine.flags & FloatFlag.C2 ? [a, b] : [f80(cosine), f80(sine), b];
      return { st, flags: sine.flags };
    },
  },
  FPTAN: {
    ...shared,
    body: x87Body(0xd9, 0xf2),
    operands: within(-40, 63),
    ours: (a, b, fcw) => {
      const { tangent, pushed } = fptan(number(a), fcw);
      const st = tangent.flags & FloatFlag.C2 ? [a, b] : [f80(pushed), f80(tangent), b];
      return { st, flags: tangent.flags };
    },
  },
};

describe.skipIf(!nativeAvailable)(
  'transcendentals are within an ulp of the processor’s (needs x86-64 Linux)',
  () => {
    test.each(Object.entries(cases))('%s', (_, one) => {
      expect(x87Differences(one)).toEqual([]);
    });
  },
);
