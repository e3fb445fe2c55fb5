/**
 * Packed integer arithmetic, comparison, logic and shifts, on XMM and MMX registers alike.
 *
 * Intel SDM volume 1, 9.4 (MMX), 11.4.2 (SSE2), 12.6 (SSSE3), 12.10 (SSE4.1); each instruction in volume 2.
 */
import { i16x8, i32, i32x4, i64, i64x2, i8x16, v128, type I32, type I64, type V128 } from '../emit/expr.ts';
import { define } from './registry.ts';
import type { Env } from './env.ts';
import type { Operand } from './form.ts';
import { flagsExplicit } from './flags.ts';
import {
  choose, element, imm8, joined, lowHalf, mmxCommit, mmxEnter, bytes, dwords, IOTA, onXmm, readMmx, words, writeMmx,
  ZERO, type Compute,
} from './sse-operand.ts'; // prettier-ignore

/** Defines the form on MMX registers; the result is the low half of what is computed. */
function onMmx(name: string, compute: Compute, memoryBytes: 4 | 8 = 8): void {
  define(`${name}_mmx`, (e) => {
    const [target, operand] = e.operands;
    mmxEnter(e);
    const b = readMmx(e, operand, memoryBytes);
    const a = readMmx(e, target);
    const result = e.c.let(lowHalf(compute(a, b, e)));
    mmxCommit(e);
    writeMmx(e, target, result);
  });
}

/** Defines both forms of an instruction whose result elements come from the same positions of its operands. */
function both(name: string, compute: Compute): void {
  onXmm(name, compute);
  onMmx(name, compute);
}

/** Defines both forms of one whose low result half comes from the first operand and high half from the second. */
function bothHalves(name: string, compute: Compute): void {
  onXmm(name, compute);
  onMmx(name, (a, b, e) => {
    const c = e.c.let(joined(a, b));
    return compute(c, c, e);
  });
}

const swapped =
  (compute: (a: V128, b: V128) => V128): Compute =>
  (a, b) =>
    compute(b, a);

// Addition and subtraction, wrapping and saturating.
both('paddb', i8x16.add);
both('paddw', i16x8.add);
both('paddd', i32x4.add);
both('paddq', i64x2.add);
both('paddsb', i8x16.add_sat_s);
both('paddsw', i16x8.add_sat_s);
both('paddusb', i8x16.add_sat_u);
both('paddusw', i16x8.add_sat_u);
both('psubb', i8x16.sub);
both('psubw', i16x8.sub);
both('psubd', i32x4.sub);
both('psubq', i64x2.sub);
both('psubsb', i8x16.sub_sat_s);
both('psubsw', i16x8.sub_sat_s);
both('psubusb', i8x16.sub_sat_u);
both('psubusw', i16x8.sub_sat_u);

// Averages, minima and maxima.
both('pavgb', i8x16.avgr_u);
both('pavgw', i16x8.avgr_u);
both('pminub', i8x16.min_u);
both('pmaxub', i8x16.max_u);
both('pminsw', i16x8.min_s);
both('pmaxsw', i16x8.max_s);
onXmm('pminsb', i8x16.min_s);
onXmm('pmaxsb', i8x16.max_s);
onXmm('pminuw', i16x8.min_u);
onXmm('pmaxuw', i16x8.max_u);
onXmm('pminsd', i32x4.min_s);
onXmm('pmaxsd', i32x4.max_s);
onXmm('pminud', i32x4.min_u);
onXmm('pmaxud', i32x4.max_u);

// Comparison.
both('pcmpeqb', i8x16.eq);
both('pcmpeqw', i16x8.eq);
both('pcmpeqd', i32x4.eq);
onXmm('pcmpeqq', i64x2.eq);
both('pcmpgtb', i8x16.gt_s);
both('pcmpgtw', i16x8.gt_s);
both('pcmpgtd', i32x4.gt_s);
onXmm('pcmpgtq', i64x2.gt_s);

// Logic: PANDN complements its first operand, WebAssembly's andnot the second.
both('pand', v128.and);
both('pandn', swapped(v128.andnot));
both('por', v128.or);
both('pxor', v128.xor);

// Multiplication.
const EVEN_WORDS = Array.from({ length: 16 }, (_, i) => 4 * (i >> 1) + (i & 1));
const ODD_WORDS = EVEN_WORDS.map((i) => i + 2);
const EVEN_DWORDS = [0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27];
const ODD_DWORDS = EVEN_DWORDS.map((i) => i + 4);

both('pmullw', i16x8.mul);
onXmm('pmulld', i32x4.mul);
both('pmulhw', (a, b) => v128.shuffle(i32x4.extmul_low_s(a, b), i32x4.extmul_high_s(a, b), ODD_WORDS));
both('pmulhuw', (a, b) => v128.shuffle(i32x4.extmul_low_u(a, b), i32x4.extmul_high_u(a, b), ODD_WORDS));
const evenDwords = (v: V128): V128 => v128.shuffle(v, v, EVEN_DWORDS);
both('pmuludq', (a, b) => i64x2.extmul_low_u(evenDwords(a), evenDwords(b)));
onXmm('pmuldq', (a, b) => i64x2.extmul_low_s(evenDwords(a), evenDwords(b)));
both('pmaddwd', i32x4.dot_i16x8_s);
// -32768 × -32768 stays -32768, where WebAssembly saturates to 32767.
both('pmulhrsw', (a, b) => {
  const least = words(() => 0x8000);
  return v128.xor(i16x8.q15mulr_sat_s(a, b), v128.and(i16x8.eq(a, least), i16x8.eq(b, least)));
});
// Unsigned bytes of the first operand by signed bytes of the second.
both('pmaddubsw', (a, b) => {
  const even = i16x8.mul(
    v128.and(
      a,
      words(() => 0xff),
    ),
    i16x8.shr_s(i16x8.shl(b, 8), 8),
  );
  const odd = i16x8.mul(i16x8.shr_u(a, 8), i16x8.shr_s(b, 8));
  return i16x8.add_sat_s(even, odd);
});

/** Sums of absolute differences of unsigned bytes, one in each half. */
both('psadbw', (a, b, e) => {
  const difference = v128.or(i8x16.sub_sat_u(a, b), i8x16.sub_sat_u(b, a));
  const fours = e.c.let(i32x4.extadd_pairwise_i16x8_u(i16x8.extadd_pairwise_i8x16_u(difference)));
  return v128.and(
    i64x2.add(fours, i64x2.shr_u(fours, 32)),
    dwords((i) => (i & 1 ? 0 : -1)),
  );
});

// Absolute values and signs.
both('pabsb', (_, b) => i8x16.abs(b));
both('pabsw', (_, b) => i16x8.abs(b));
both('pabsd', (_, b) => i32x4.abs(b));

function sign(shape: typeof i8x16 | typeof i16x8 | typeof i32x4, bits: number): Compute {
  return (a, b, e) => {
    const negative = e.c.let(shape.shr_s(b, bits - 1));
    return v128.andnot(shape.sub(v128.xor(a, negative), negative), shape.eq(b, ZERO));
  };
}
both('psignb', sign(i8x16, 8));
both('psignw', sign(i16x8, 16));
both('psignd', sign(i32x4, 32));

// Horizontal addition and subtraction: neighbours within an operand.
function horizontal(
  even: readonly number[],
  odd: readonly number[],
  op: (a: V128, b: V128) => V128,
): Compute {
  return (a, b) => op(v128.shuffle(a, b, even), v128.shuffle(a, b, odd));
}
bothHalves('phaddw', horizontal(EVEN_WORDS, ODD_WORDS, i16x8.add));
bothHalves('phaddd', horizontal(EVEN_DWORDS, ODD_DWORDS, i32x4.add));
bothHalves('phaddsw', horizontal(EVEN_WORDS, ODD_WORDS, i16x8.add_sat_s));
bothHalves('phsubw', horizontal(EVEN_WORDS, ODD_WORDS, i16x8.sub));
bothHalves('phsubd', horizontal(EVEN_DWORDS, ODD_DWORDS, i32x4.sub));
bothHalves('phsubsw', horizontal(EVEN_WORDS, ODD_WORDS, i16x8.sub_sat_s));

// Packing with saturation; the sources are signed.
bothHalves('packsswb', i8x16.narrow_i16x8_s);
bothHalves('packuswb', i8x16.narrow_i16x8_u);
bothHalves('packssdw', i16x8.narrow_i32x4_s);
onXmm('packusdw', i16x8.narrow_i32x4_u);

// Interleaving.
const interleave = (size: number, from: number): Compute => {
  const lanes = Array.from({ length: 16 }, (_, i) => {
    const element = Math.floor(i / size);
    return from + (element >> 1) * size + (i % size) + (element & 1 ? 16 : 0);
  });
  return (a, b) => v128.shuffle(a, b, lanes);
};
for (const [name, size] of [
  ['bw', 1],
  ['wd', 2],
  ['dq', 4],
] as const) {
  onXmm(`punpckl${name}`, interleave(size, 0));
  onXmm(`punpckh${name}`, interleave(size, 8));
  onMmx(`punpckl${name}`, interleave(size, 0), 4);
  onMmx(`punpckh${name}`, interleave(size, 4));
}
onXmm('punpcklqdq', interleave(8, 0));
onXmm('punpckhqdq', interleave(8, 8));

// Shifts: by an immediate, or by the whole low 64 bits of the second operand.
type Shift = (v: V128, count: I32) => V128;

/** A count of at least the element width gives zero. */
const logical =
  (width: number, shift: Shift) =>
  (v: V128, count: I64): V128 =>
    v128.select(i64.lt_u(count, width), shift(v, i32.wrap(count)), ZERO);

/** A count of at least the element width fills with the sign. */
const arithmetic =
  (width: number, shift: Shift) =>
  (v: V128, count: I64): V128 =>
    shift(v, i32.wrap(i64.select(i64.lt_u(count, width), count, width - 1)));

function shiftCount(e: Env, operand: Operand, vector: (operand: Operand) => V128): I64 {
  if (operand.kind === 'imm') return e.c.let(i64.extend_u(imm8(e)));
  // In VEX forms one count serves both lanes.
  const count = e.vex === undefined ? vector(operand) : (e.vex.shared(operand, 16) as V128);
  return e.c.let(i64x2.extract(count, 0));
}

function shifts(name: string, shift: (v: V128, count: I64) => V128): void {
  define(name, (e) => {
    const [target, by] = e.operands;
    const count = shiftCount(e, by, (operand) => e.readV(operand));
    e.writeV(target, shift(e.readV(target), count));
  });
  define(`${name}_mmx`, (e) => {
    const [target, by] = e.operands;
    mmxEnter(e);
    const count = shiftCount(e, by, (operand) => readMmx(e, operand));
    const result = e.c.let(lowHalf(shift(readMmx(e, target), count)));
    mmxCommit(e);
    writeMmx(e, target, result);
  });
}
shifts('psllw', logical(16, i16x8.shl));
shifts('pslld', logical(32, i32x4.shl));
shifts('psllq', logical(64, i64x2.shl));
shifts('psrlw', logical(16, i16x8.shr_u));
shifts('psrld', logical(32, i32x4.shr_u));
shifts('psrlq', logical(64, i64x2.shr_u));
shifts('psraw', arithmetic(16, i16x8.shr_s));
shifts('psrad', arithmetic(32, i32x4.shr_s));

/** Whole-register shifts by bytes; a count above 15 gives zero. */
function byteShift(name: string, index: (count: V128) => V128): void {
  define(name, (e) => {
    const [target] = e.operands;
    const count = imm8(e);
    const limited = i8x16.splat(i32.select(i32.lt_u(count, 16), count, 16));
    e.writeV(target, choose(e.readV(target), index(limited)));
  });
}
byteShift('pslldq', (count) => i8x16.sub(IOTA, count));
byteShift('psrldq', (count) => i8x16.add(IOTA, count));

// Tests.
/** ZF: no bit in common; CF: no bit of the second operand outside the first. The other flags are cleared. */
define('ptest', (e) => {
  const [first, second] = e.operands;
  const b = e.readV(second);
  const a = e.readV(first);
  const common = e.c.let(v128.any_true(v128.and(b, a)));
  const outside = e.c.let(v128.any_true(v128.andnot(b, a)));
  ptestFlags(e, i32.eqz(common), i32.eqz(outside));
});

/** ZF and CF (0 or 1) with OF, AF, PF and SF clear. */
export function ptestFlags(e: Env, zf: I32, cf: I32): void {
  const z = e.c.let(zf);
  // A result of one has SF, ZF and PF clear; zero has PF set, which an odd bit in the parity byte mends.
  const carry = e.c.let(cf);
  flagsExplicit(e, i32.xor(z, 1), carry, i32.const(0), 0, 4);
  e.setFlagsCarries(i32.or(e.flagsCarries(), i32.shl(z, 8)));
}

define('pmovmskb', (e) => {
  const [target, operand] = e.operands;
  e.write(target, i8x16.bitmask(e.readV(operand)), 4);
});
define('pmovmskb_mmx', (e) => {
  const [target, operand] = e.operands;
  mmxEnter(e);
  const mask = e.c.let(i8x16.bitmask(readMmx(e, operand)));
  mmxCommit(e);
  e.write(target, mask, 4);
});

// What has no counterpart in WebAssembly.

/** The smallest unsigned word, and its position in the next word. */
define('phminposuw', (e) => {
  const [target, operand] = e.operands;
  const c = e.c;
  const v = e.readV(operand);
  let least = v;
  for (const distance of [8, 4, 2]) {
    const turned = v128.shuffle(
      least,
      least,
      Array.from({ length: 16 }, (_, i) => (i + distance) & 15),
    );
    least = c.let(i16x8.min_u(least, turned));
  }
  const position = i32.ctz(i16x8.bitmask(i16x8.eq(v, least)));
  const result = i32.or(i16x8.extract_u(least, 0), i32.shl(position, 16));
  e.writeV(target, i32x4.replace(ZERO, 0, result));
});

/** Eight sums of four absolute differences: a sliding window of the first operand by one block of the second. */
onXmm('mpsadbw', (a, b, e) => {
  const c = e.c;
  const imm = imm8(e);
  const block = c.let(i32x4.splat(element(b, i32.and(imm, 3), 4)));
  const window = c.let(i8x16.add(IOTA, i8x16.splat(i32.and(imm, 4))));
  let sum = ZERO;
  for (let i = 0; i < 4; i++) {
    const x = i16x8.extend_low_u(
      i8x16.swizzle(
        a,
        i8x16.add(
          window,
          bytes(() => i),
        ),
      ),
    );
    const y = i16x8.extend_low_u(
      v128.shuffle(
        block,
        block,
        Array.from({ length: 16 }, () => i),
      ),
    );
    sum = c.let(i16x8.add(sum, i16x8.abs(i16x8.sub(x, y))));
  }
  return sum;
});
