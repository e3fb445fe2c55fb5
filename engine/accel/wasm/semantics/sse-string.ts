/**
 * String comparison, PCMPISTRI and its kin: every element of one operand against every element of the other.
 *
 * Intel SDM volume 1, 12.11.2, and volume 2, 4.1 (imm8 control byte, overrides of invalid elements, flags).
 */
import type { Func } from '../emit/code.ts';
import { i16x8, i32, i32x4, i64, i8x16, v128, type I32, type I64, type V128 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { define } from './registry.ts';
import type { Env } from './env.ts';
import type { Size } from './form.ts';
import { setArithmeticFlags } from './flags.ts';
import { bytes, field, helper, imm8, words, xmm, ZERO } from './sse-operand.ts';

/** What the aggregation of imm8[3:2] is called. */
const Aggregation = { EqualAny: 0, Ranges: 1, EqualEach: 2, EqualOrdered: 3 } as const;

/** Adds `sse.strings`: (a, b, length of a, length of b, imm8) → IntRes2, one bit for each element of b. */
export function addStringLibrary(m: ModuleBuilder): Map<string, Func> {
  const ofBytes = addAggregate(m, 16);
  const ofWords = addAggregate(m, 8);
  const params = ['v128', 'v128', 'i32', 'i32', 'i32'] as const;
  const strings = m.function(params, ['i32'], (c) => {
    const [a, b] = [c.param('v128', 0).get, c.param('v128', 1).get];
    const [lengthA, lengthB, imm] = [c.param('i32', 2).get, c.param('i32', 3).get, c.param('i32', 4).get];
    c.if(i32.and(imm, 1), () => c.return(c.call('i32', ofWords, a, b, lengthA, lengthB, imm)));
    c.return(c.call('i32', ofBytes, a, b, lengthA, lengthB, imm));
  });
  return new Map([['sse.strings', strings]]);
}

/** The same for one element size. */
function addAggregate(m: ModuleBuilder, count: 8 | 16): Func {
  const shape = count === 16 ? i8x16 : i16x8;
  const all = (1 << count) - 1;
  const signs = count === 16 ? bytes(() => 0x80) : words(() => 0x8000);
  return m.function(['v128', 'v128', 'i32', 'i32', 'i32'], ['i32'], (c) => {
    const a = c.param('v128', 0);
    const b = c.param('v128', 1);
    const [lengthA, lengthB, imm] = [c.param('i32', 2).get, c.param('i32', 3).get, c.param('i32', 4).get];
    const valid = (length: I32): I32 => c.let(i32.sub(i32.shl(1, length), 1));
    const validA = valid(lengthA);
    const validB = valid(lengthB);
    const result = c.local('i32');
    const aggregation = c.let(field(imm, 2, 2));
    /** Element `i` of a, in every place. */
    const spread = (i: I32): V128 =>
      count === 16
        ? i8x16.swizzle(a.get, i8x16.splat(i))
        : i8x16.swizzle(a.get, i16x8.splat(i32.add(i32.mul(i, 0x0202), 0x0100)));
    /** Runs `body` for the elements of a before `end`, `step` apart. */
    const each = (end: I32, step: number, body: (i: I32) => void) => {
      const i = c.var('i32', 0);
      c.block((done) => {
        c.loop((again) => {
          c.brIf(done, i32.ge_u(i.get, end));
          body(i.get);
          c.set(i, i32.add(i.get, step));
          c.br(again);
        });
      });
    };
    c.block((done) => {
      c.if(i32.eq(aggregation, Aggregation.EqualAny), () => {
        c.set(result, 0);
        each(lengthA, 1, (i) => c.set(result, i32.or(result.get, shape.bitmask(shape.eq(b.get, spread(i))))));
        c.set(result, i32.and(result.get, validB));
        c.br(done);
      });
      c.if(i32.eq(aggregation, Aggregation.Ranges), () => {
        // Signed elements compare as unsigned ones once their signs are turned.
        c.if(i32.and(imm, 2), () => {
          c.set(a, v128.xor(a.get, signs));
          c.set(b, v128.xor(b.get, signs));
        });
        c.set(result, 0);
        // A lower bound without an upper one bounds nothing.
        each(i32.and(lengthA, ~1), 2, (i) => {
          const within = v128.and(
            shape.ge_u(b.get, spread(i)),
            shape.le_u(b.get, spread(c.let(i32.add(i, 1)))),
          );
          c.set(result, i32.or(result.get, shape.bitmask(within)));
        });
        c.set(result, i32.and(result.get, validB));
        c.br(done);
      });
      c.if(i32.eq(aggregation, Aggregation.EqualEach), () => {
        const equal = i32.and(shape.bitmask(shape.eq(a.get, b.get)), i32.and(validA, validB));
        // Where both strings have ended they are equal.
        c.set(result, i32.or(equal, i32.xor(i32.or(validA, validB), all)));
        c.br(done);
      });
      c.set(result, all);
      each(lengthA, 1, (i) => {
        const equal = i32.and(shape.bitmask(shape.eq(b.get, spread(i))), validB);
        // What would lie beyond the register is taken to match.
        const beyond = i32.shl(-1, i32.sub(count, i));
        c.set(result, i32.and(result.get, i32.or(i32.shr_u(equal, i), beyond)));
      });
    });
    const negated = i32.select(field(imm, 5, 1), validB, all);
    c.return(i32.xor(i32.and(result.get, all), i32.select(field(imm, 4, 1), negated, 0)));
  });
}

/** Position of the first zero element, or the number of elements. */
const implicitLength = (words16: I32, v: V128): I32 => {
  const inBytes = i32.or(i8x16.bitmask(i8x16.eq(v, ZERO)), 1 << 16);
  const inWords = i32.or(i16x8.bitmask(i16x8.eq(v, ZERO)), 1 << 8);
  return i32.ctz(i32.select(words16, inWords, inBytes));
};

/** Magnitude of a general register, at most the number of elements. */
function explicitLength(e: Env, register: number, count: I32, size: Size): I32 {
  const value = size === 8 ? e.gpr64(register) : i64.extend_s(e.gpr32(register));
  const bound = e.c.let(value);
  const magnitude: I64 = e.c.let(i64.select(i64.lt_s(bound, 0), i64.sub(0, bound), bound));
  return i32.select(i64.lt_u(magnitude, i64.extend_u(count)), i32.wrap(magnitude), count);
}

for (const explicit of [false, true]) {
  for (const index of [false, true]) {
    define(`pcmp${explicit ? 'e' : 'i'}str${index ? 'i' : 'm'}`, (e) => {
      const c = e.c;
      const [first, second] = e.operands;
      const b = e.readV(second, false);
      const a = e.readV(first);
      const imm = imm8(e);
      const ofWords = c.let(i32.and(imm, 1));
      const count = c.let(i32.select(ofWords, 8, 16));
      const length = (register: number, v: V128): I32 =>
        c.let(explicit ? explicitLength(e, register, count, e.size) : implicitLength(ofWords, v));
      const lengthA = length(0, a);
      const lengthB = length(2, b);
      const result = c.let(c.call('i32', helper(e, 'sse.strings'), a, b, lengthA, lengthB, imm));
      const most = c.let(field(imm, 6, 1));
      if (index) {
        const found = i32.select(most, i32.sub(31, i32.clz(result)), i32.ctz(result));
        e.setGpr(1, i32.select(result, found, count), 4);
      } else {
        e.writeV(xmm(0), v128.select(most, expand(ofWords, result), i32x4.replace(ZERO, 0, result)));
      }
      setStringFlags(e, result, i32.lt_u(lengthB, count), i32.lt_u(lengthA, count));
    });
  }
}

/** A mask of all ones in each element whose bit is set. */
function expand(ofWords: I32, bits: I32): V128 {
  const inBytes = i8x16.swizzle(
    i32x4.splat(bits),
    bytes((i) => i >> 3),
  );
  const byteBits = bytes((i) => 1 << (i & 7));
  const wordBits = words((i) => 1 << i);
  return v128.select(
    ofWords,
    i16x8.eq(v128.and(i16x8.splat(bits), wordBits), wordBits),
    i8x16.eq(v128.and(inBytes, byteBits), byteBits),
  );
}

/** CF: any bit; ZF and SF: the second and the first string end within the register; OF: bit 0. */
function setStringFlags(e: Env, result: I32, endB: I32, endA: I32): void {
  const word = i32.or(
    i32.or(i32.ne(result, 0), i32.shl(endB, 6)),
    i32.or(i32.shl(endA, 7), i32.shl(i32.and(result, 1), 11)),
  );
  setArithmeticFlags(e, word);
}
