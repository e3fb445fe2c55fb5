import { describe, expect, test } from 'vitest';
import { Relation, Rounding } from './format.ts';
import { instantiate, sseDifferences, type SseTest } from './harness.ts';
import { nativeAvailable, sseBody, sseToIntegerBody } from './native.ts';

const lib = instantiate();

/** SDM 2, UCOMISD: ZF, PF and CF for a relation. */
const EFLAGS: Readonly<Record<number, number>> = {
  [Relation.Less]: 0x01,
  [Relation.Equal]: 0x40,
  [Relation.Greater]: 0x00,
  [Relation.Unordered]: 0x45,
};

const cases: Record<string, SseTest> = {};
for (const width of [32, 64] as const) {
  const f = `f${width}`;
  const mask = (1n << BigInt(width)) - 1n;
  const scalar = width === 32 ? 0xf3 : 0xf2;
  const operations = { add: 0x58, mul: 0x59, sub: 0x5c, min: 0x5d, div: 0x5e, max: 0x5f };
  for (const [name, opcode] of Object.entries(operations)) {
    const body = sseBody(scalar, 0x0f, opcode, 0xc1);
    cases[`${f} ${name}`] = { body, width, mask, ours: (a, b, mxcsr) => lib(`${f}.${name}`, a, b, mxcsr) };
  }
  cases[`${f} sqrt`] = {
    body: sseBody(scalar, 0x0f, 0x51, 0xc0),
    width,
    mask,
    ours: (a, _, mxcsr) => lib(`${f}.sqrt`, a, mxcsr),
  };
  for (const [name, opcode, signaling] of [
    ['comis', 0x2f, 1],
    ['ucomis', 0x2e, 0],
  ] as const) {
    const prefix = width === 64 ? [0x66] : [];
    cases[`${f} ${name}`] = {
      body: sseToIntegerBody(...prefix, 0x0f, opcode, 0xc1, 0x9c, 0x58), // pushfq; pop rax
      width,
      mask: 0x45n,
      ours: (a, b, mxcsr) => {
        const [relation, flags] = lib(`${f}.compare`, a, b, mxcsr, signaling);
        return [EFLAGS[Number(relation)]!, flags!];
      },
    };
  }
  for (const bits of [32, 64] as const) {
    const rex = bits === 64 ? [0x48] : [];
    const integerMask = (1n << BigInt(bits)) - 1n;
    cases[`${f} to i${bits}`] = {
      body: sseToIntegerBody(scalar, ...rex, 0x0f, 0x2d, 0xc0),
      width,
      mask: integerMask,
      ours: (a, _, mxcsr) => lib(`${f}.toInteger`, a, mxcsr, (mxcsr >> 13) & 3, bits),
    };
    cases[`${f} truncated to i${bits}`] = {
      body: sseToIntegerBody(scalar, ...rex, 0x0f, 0x2c, 0xc0),
      width,
      mask: integerMask,
      ours: (a, _, mxcsr) => lib(`${f}.toInteger`, a, mxcsr, Rounding.Zero, bits),
    };
    cases[`${f} from i${bits}`] = {
      body: sseBody(scalar, ...rex, 0x0f, 0x2a, 0x47, 0x10),
      width: 0,
      mask,
      ours: (a, _, mxcsr) => lib(`${f}.fromInteger`, BigInt.asIntN(bits, BigInt(a)), mxcsr),
    };
  }
  for (const rounding of [0, 1, 2, 3]) {
    cases[`${f} to integral, mode ${rounding}`] = {
      body: sseBody(0x66, 0x0f, 0x3a, width === 32 ? 0x0a : 0x0b, 0xc0, rounding),
      width,
      mask,
      ours: (a, _, mxcsr) => lib(`${f}.roundToIntegral`, a, mxcsr, rounding),
    };
  }
}
cases['f32 to f64'] = {
  body: sseBody(0xf3, 0x0f, 0x5a, 0xc0),
  width: 32,
  mask: (1n << 64n) - 1n,
  ours: (a, _, mxcsr) => lib('f32ToF64', a, mxcsr),
};
cases['f64 to f32'] = {
  body: sseBody(0xf2, 0x0f, 0x5a, 0xc0),
  width: 64,
  mask: (1n << 32n) - 1n,
  ours: (a, _, mxcsr) => lib('f64ToF32', a, mxcsr),
};

describe.skipIf(!nativeAvailable)('SSE results and flags are the processor’s (needs x86-64 Linux)', () => {
  test.each(Object.entries(cases))('%s', (_, one) => {
    expect(sseDifferences(one)).toEqual([]);
  });
});

const MASKED = 0x1f80;
const unmask = (flag: number) => MASKED & ~(flag << 7);
const bits = (x: number): bigint => new BigInt64Array(new Float64Array([x]).buffer)[0]!;

test('an exact denormal result underflows only where underflow is not masked (SDM 1, 4.9.1.5)', () => {
  const [half, flags] = lib('f64.mul', bits(2 ** -1022), bits(0.5), MASKED);
  expect([half, flags]).toEqual([1n << 51n, 0]);
  expect(lib('f64.mul', bits(2 ** -1022), bits(0.5), unmask(16))[1]).toBe(16);
});

test('an unmasked denormal operand hides what rounding would have flagged (SDM 1, 4.9.2)', () => {
  const third = [bits(2 ** -1074), bits(3)] as const;
  expect(lib('f64.div', ...third, MASKED)[1]).toBe(2 | 16 | 32);
  expect(lib('f64.div', ...third, unmask(2))[1]).toBe(2);
});

test('without masking, overflow tells precision only where digits were lost', () => {
  const huge = bits(2 ** 1023);
  expect(lib('f64.add', huge, huge, MASKED)[1]).toBe(8 | 32);
  expect(lib('f64.add', huge, huge, unmask(8))[1]).toBe(8);
});
