import { describe, expect, test } from 'vitest';
import { FloatFlag, Relation, Rounding } from './format.ts';
import { instantiate, x87Differences, type F80, type X87Test } from './harness.ts';
import { binaryOperand, type Random } from './cases.ts';
import { nativeAvailable, x87Body } from './native.ts';

const lib = instantiate();

const MASK64 = (1n << 64n) - 1n;
const CONDITION = FloatFlag.C0 | FloatFlag.C1 | FloatFlag.C2 | FloatFlag.C3;
const { C0, C2, C3 } = FloatFlag;

function f80(name: string, ...args: Array<number | bigint>): { value: F80; flags: number } {
  const [significand, signExponent, flags] = lib(name, ...args);
  return { value: [BigInt(significand!), Number(signExponent!)], flags: Number(flags ?? 0) };
}

/** SDM 2, FCOM: C3, C2 and C0 for a relation. */
const CODES: Readonly<Record<number, number>> = {
  [Relation.Less]: C0,
  [Relation.Equal]: C3,
  [Relation.Greater]: 0,
  [Relation.Unordered]: C0 | C2 | C3,
};

const cases: Record<string, X87Test> = {};

for (const [name, opcode] of Object.entries({ add: 0xc1, mul: 0xc9, sub: 0xe1, div: 0xf1 })) {
  cases[name] = {
    body: x87Body(0xd8, opcode),
    ours: (a, b, fcw) => {
      const { value, flags } = f80(`f80.${name}`, ...a, ...b, fcw);
      return { st: [value, b], flags };
    },
  };
}

for (const [name, operation] of Object.entries({ sqrt: 0xfa, roundToIntegral: 0xfc })) {
  cases[name] = {
    body: x87Body(0xd9, operation),
    ours: (a, b, fcw) => {
      const rounding = name === 'sqrt' ? [] : [(fcw >> 10) & 3];
      const { value, flags } = f80(`f80.${name}`, ...a, fcw, ...rounding);
      return { st: [value, b], flags };
    },
  };
}

for (const [name, opcode] of Object.entries({ prem: 0xf8, prem1: 0xf5, scale: 0xfd })) {
  cases[name] = {
    body: x87Body(0xd9, opcode),
    flags: FloatFlag.Exceptions | CONDITION,
    ours: (a, b, fcw) => {
      const { value, flags } = f80(`f80.${name}`, ...a, ...b, fcw);
      return { st: [value, b], flags };
    },
  };
}

cases['extract'] = {
  body: x87Body(0xd9, 0xf4),
  ours: (a) => {
    const [es, ee, s, e, flags] = lib('f80.extract', ...a);
    const exponent: F80 = [BigInt(es!), Number(ee)];
    return { st: [[BigInt(s!), Number(e)], exponent], flags: Number(flags) };
  },
};

cases['examine'] = {
  body: x87Body(0xd9, 0xe5),
  flags: CONDITION,
  ours: (a) => ({ flags: Number(lib('f80.examine', ...a)[0]) }),
};

for (const [name, body, signaling] of [
  ['FCOM', [0xd8, 0xd1], 1],
  ['FUCOM', [0xdd, 0xe1], 0],
] as const) {
  cases[name] = {
    body: x87Body(...body),
    flags: FloatFlag.Exceptions | CONDITION,
    ours: (a, b, fcw) => {
      const [relation, flags] = lib('f80.compare', ...a, ...b, fcw, signaling);
      return { st: [a, b], flags: Number(flags) | CODES[Number(relation)]! };
    },
  };
}

for (const width of [32, 64] as const) {
  const operands = (r: Random) => [binaryOperand(r, width), 0n] as const;
  const argument = (a: F80) => (width === 32 ? Number(BigInt.asIntN(32, a[0])) : a[0]);
  cases[`load ${width}`] = {
    body: x87Body(width === 32 ? 0xd9 : 0xdd, 0x47, 0x10), // fld [rdi+16]
    operands,
    masked: true,
    ours: (a, b) => {
      const { value, flags } = f80(`f80.load${width}`, argument(a));
      return { st: [value, a, b], flags };
    },
  };
  cases[`add ${width}`] = {
    body: x87Body(0xd9, 0xc9, width === 32 ? 0xd8 : 0xdc, 0x47, 0x10), // fxch; fadd [rdi+16]
    operands: (r) => [binaryOperand(r, width), (BigInt(r.pick([0x3fff, 0x7fff, 0])) << 64n) | (3n << 62n)],
    masked: true,
    ours: (a, b, fcw) => {
      const widened = f80(`f80.widen${width}`, argument(a)).value;
      const { value, flags } = f80('f80.add', ...b, ...widened, fcw);
      return { st: [value, a], flags };
    },
  };
  cases[`store ${width}`] = {
    body: x87Body(width === 32 ? 0xd9 : 0xdd, 0x56, 0x70), // fst [rsi+112]
    memory: (1n << BigInt(width)) - 1n,
    ours: (a, _, fcw) => {
      const [bits, flags] = lib(`f80.store${width}`, ...a, fcw);
      return { st: [a], memory: BigInt(bits!), flags: Number(flags) };
    },
  };
}

for (const [width, round, truncate] of [
  [16, [0xdf, 0x56, 0x70], [0xdf, 0x4e, 0x70]],
  [32, [0xdb, 0x56, 0x70], [0xdb, 0x4e, 0x70]],
  [64, [0xdf, 0x7e, 0x70], [0xdd, 0x4e, 0x70]],
] as const) {
  for (const [name, body] of Object.entries({ round, truncate })) {
    cases[`${name} to i${width}`] = {
      body: x87Body(...body),
      memory: (1n << BigInt(width)) - 1n,
      ours: (a, _, fcw) => {
        const rounding = name === 'truncate' ? Rounding.Zero : (fcw >> 10) & 3;
        const [integer, flags] = lib('f80.toInteger', ...a, fcw, rounding, width);
        return { memory: BigInt(integer!), flags: Number(flags) };
      },
    };
  }
}

cases['from i64'] = {
  body: x87Body(0xdf, 0x6f, 0x10),
  ours: (a) => {
    const { value } = f80('f80.extendInteger', a[0]);
    return { st: [value, a], flags: 0 };
  },
};

cases['to decimal'] = {
  body: x87Body(0xdf, 0x76, 0x70),
  memory: (1n << 80n) - 1n,
  ours: (a, _, fcw) => {
    const [low, high, flags] = lib('f80.toDecimal', ...a, fcw);
    const memory = BigInt.asUintN(64, BigInt(low!)) | (BigInt(high!) << 64n);
    return { memory, flags: Number(flags) };
  },
};

cases['from decimal'] = {
  body: x87Body(0xdf, 0x67, 0x10),
  operands: (r) => {
    const digits = BigInt(`0x${(r.word() % 10n ** BigInt(1 + r.below(18))).toString()}`);
    return [digits | (BigInt(r.below(2)) << 79n), 0n];
  },
  ours: (a) => ({ st: [f80('f80.fromDecimal', ...a).value], flags: 0 }),
};

describe.skipIf(!nativeAvailable)('x87 results and flags are the processor’s (needs x86-64 Linux)', () => {
  test.each(Object.entries(cases))('%s', (_, one) => {
    expect(x87Differences(one)).toEqual([]);
  });
});

test('the largest packed decimal has 18 nines; more is the indefinite (SDM 1, 4.7)', () => {
  const [significand, exponent] = lib('f80.extendInteger', 10n ** 18n);
  const [low, high, flags] = lib('f80.toDecimal', significand!, exponent!, 0x37f);
  expect([BigInt.asUintN(64, BigInt(low!)), high, flags]).toEqual([0xc000_0000_0000_0000n, 0xffff, 1]);
  const [s, e] = lib('f80.extendInteger', 10n ** 18n - 1n);
  const nines = lib('f80.toDecimal', s!, e!, 0x37f);
  expect([BigInt(nines[0]!) & MASK64, nines[1], nines[2]]).toEqual([0x9999_9999_9999_9999n, 0x99, 0]);
});
