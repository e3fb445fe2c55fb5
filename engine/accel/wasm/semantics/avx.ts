/**
 * What AVX adds to the VEX forms of SSE instructions: broadcasts, permutations, masked moves, operations on whole
 * 256-bit registers. Intel SDM volume 1, 14.2; volume 2, each instruction.
 */
import { i16x8, i32, i32x4, i64, i64x2, i8x16, v128, type I32, type I64, type V128 } from '../emit/expr.ts';
import { define } from './registry.ts';
import type { Env } from './env.ts';
import type { Operand } from './form.ts';
import { bytes, dwords, element64, field, imm8, xmm, ZERO } from './sse-operand.ts';
import { ptestFlags } from './sse-integer.ts';
import type { VexOperands } from './vex.ts';

/** The lanes' operands; these instructions have VEX forms only. */
function vexOf(e: Env): VexOperands {
  if (e.vex === undefined) throw new Error('a VEX instruction without its prefix');
  return e.vex;
}

/** Defines an instruction that is done at once for all lanes. */
function whole(name: string, does: (e: Env, vex: VexOperands) => void): void {
  define(name, (e) => {
    const vex = vexOf(e);
    if (vex.lane === 0) does(e, vex);
  });
}

// The whole register file. Outside 64-bit mode there are eight registers.
for (const [suffix, count] of [
  ['', 16],
  ['8', 8],
] as const) {
  whole(`vzeroupper${suffix}`, (e) => {
    for (let n = 0; n < count; n++) e.clearUpper(xmm(n));
  });
  whole(`vzeroall${suffix}`, (e) => {
    for (let n = 0; n < count; n++) {
      e.writeRegister(xmm(n), ZERO, 16, false);
      e.clearUpper(xmm(n));
    }
  });
}

// One element, or one lane, in all places.
define('vbroadcastss', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, i32x4.splat(vexOf(e).shared(operand, 4) as I32));
});
define('vbroadcastsd', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, i64x2.splat(vexOf(e).shared(operand, 8) as I64));
});
define('vbroadcastf128', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, vexOf(e).shared(operand, 16) as V128);
});

define('vpbroadcastb', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, i8x16.splat(vexOf(e).shared(operand, 1) as I32));
});
define('vpbroadcastw', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, i16x8.splat(vexOf(e).shared(operand, 2) as I32));
});

// Permutations within lanes.
/** Positions of the bytes of doublewords whose numbers are in the low two bits of each doubleword. */
function dwordPositions(numbers: V128): V128 {
  const chosen = v128.and(
    numbers,
    dwords(() => 3),
  );
  const scaled = i32x4.mul(
    chosen,
    dwords(() => 0x0404_0404),
  );
  return i32x4.add(
    scaled,
    dwords(() => 0x0302_0100),
  );
}
define('vpermilps', (e) => {
  const [target, operand] = e.operands;
  const positions = dwordPositions(e.readV(operand));
  e.writeV(target, i8x16.relaxed_swizzle(e.readV(target), positions));
});
define('vpermilpd_by', (e) => {
  const [target, operand] = e.operands;
  const upper = i64x2.shr_s(i64x2.shl(e.readV(operand), 62), 63);
  const v = e.readV(target);
  e.writeV(target, v128.bitselect(i64x2.splat(i64x2.extract(v, 1)), i64x2.splat(i64x2.extract(v, 0)), upper));
});
define('vpermilpd', (e) => {
  const [target, operand] = e.operands;
  const v = e.readV(operand);
  const imm = imm8(e);
  e.writeV(target, i64x2.replace(i64x2.splat(element64(v, imm)), 1, element64(v, field(imm, 1, 1))));
});

// Between lanes.
/** Doublewords of the second operand by the low three bits of the first. */
define('vpermd', (e) => {
  const [target, operand] = e.operands;
  const vex = vexOf(e);
  const c = e.c;
  const index = e.readV(target);
  const positions = c.let(dwordPositions(index));
  const upper = i32x4.shr_s(i32x4.shl(index, 29), 31);
  const from = (lane: 0 | 1): V128 => i8x16.relaxed_swizzle(vex.half(operand, lane), positions);
  e.writeV(target, v128.bitselect(from(1), from(0), upper));
});
define('vpermq', (e) => {
  const [target, operand] = e.operands;
  const vex = vexOf(e);
  const imm = imm8(e);
  const [low, high] = [vex.half(operand, 0), vex.half(operand, 1)];
  const chosen = (at: number): I64 =>
    i64.select(field(imm, at + 1, 1), element64(high, field(imm, at, 1)), element64(low, field(imm, at, 1)));
  e.writeV(target, i64x2.replace(i64x2.splat(chosen(0)), 1, chosen(2)));
});
define('vperm2f128', (e) => {
  const [target, operand] = e.operands;
  const vex = vexOf(e);
  const imm = imm8(e);
  const either = (from: Operand): V128 => v128.select(i32.and(imm, 1), vex.half(from, 1), vex.half(from, 0));
  const chosen = v128.select(i32.and(imm, 2), either(operand), either(target));
  e.writeV(target, v128.select(i32.and(imm, 8), ZERO, chosen));
});
define('vinsertf128', (e) => {
  const [target, operand] = e.operands;
  const vex = vexOf(e);
  const inserted = vex.shared(operand, 16) as V128;
  const here = i32.eq(i32.and(imm8(e), 1), vex.lane);
  e.writeV(target, v128.select(here, inserted, e.readV(target)));
});
whole('vextractf128', (e, vex) => {
  const [target, operand] = e.operands;
  e.writeV(target, v128.select(i32.and(imm8(e), 1), vex.half(operand, 1), vex.half(operand, 0)));
});

/** Instructions with a register that the immediate's upper half names. */
export const BY_IMMEDIATE: ReadonlySet<string> = new Set(['vblendvps', 'vblendvpd', 'vpblendvb']);

/** Blends by the sign bits of such a register. */
function blend(name: string, mask: (v: V128) => V128): void {
  define(name, (e) => {
    const [target, operand] = e.operands;
    const b = e.readV(operand);
    const by = e.c.let(e.vectorByNumber(field(e.imm(), 4, 4), vexOf(e).lane));
    e.writeV(target, v128.bitselect(b, e.readV(target), mask(by)));
  });
}
blend('vblendvps', (v) => i32x4.shr_s(v, 31));
blend('vblendvpd', (v) => i64x2.shr_s(v, 63));
blend('vpblendvb', (v) => i8x16.shr_s(v, 7));

// Shifts of each element by its own count.
function shiftEach32(name: string, shift: (v: I32, count: I32) => I32): void {
  define(name, (e) => {
    const [target, operand] = e.operands;
    const counts = e.readV(operand);
    const v = e.readV(target);
    let result = v;
    for (let i = 0; i < 4; i++) {
      const count = e.c.let(i32x4.extract(counts, i));
      result = i32x4.replace(result, i, shift(i32x4.extract(v, i), count));
    }
    e.writeV(target, result);
  });
}
const within32 = (count: I32, shifted: I32): I32 => i32.select(i32.lt_u(count, 32), shifted, 0);
shiftEach32('vpsllvd', (v, count) => within32(count, i32.shl(v, count)));
shiftEach32('vpsrlvd', (v, count) => within32(count, i32.shr_u(v, count)));
shiftEach32('vpsravd', (v, count) => i32.shr_s(v, i32.select(i32.lt_u(count, 32), count, 31)));
for (const [name, shift] of [
  ['vpsllvq', i64.shl],
  ['vpsrlvq', i64.shr_u],
] as const) {
  define(name, (e) => {
    const [target, operand] = e.operands;
    const counts = e.readV(operand);
    const v = e.readV(target);
    let result = v;
    for (let i = 0; i < 2; i++) {
      const count = e.c.let(i64x2.extract(counts, i));
      const shifted = i64.select(i64.lt_u(count, 64), shift(i64x2.extract(v, i), count), 0);
      result = i64x2.replace(result, i, shifted);
    }
    e.writeV(target, result);
  });
}

// Tests and masks of all lanes.
function test(name: string, mask: V128): void {
  whole(name, (e, vex) => {
    const [first, second] = e.operands;
    let common = ZERO;
    let outside = ZERO;
    for (const lane of vex.lanes) {
      const b = vex.half(second, lane);
      const a = vex.half(first, lane);
      common = v128.or(common, v128.and(b, a));
      outside = v128.or(outside, v128.andnot(b, a));
    }
    const none = (v: V128): I32 => i32.eqz(v128.any_true(v128.and(v, mask)));
    ptestFlags(e, e.c.let(none(common)), e.c.let(none(outside)));
  });
}
test('ptest_256', bytes(() => 0xff)); // prettier-ignore
test('vtestps', dwords(() => 1 << 31)); // prettier-ignore
test('vtestpd', dwords((i) => (i & 1 ? 1 << 31 : 0))); // prettier-ignore

for (const [name, bitmask, bits] of [
  ['pmovmskb', i8x16.bitmask, 16],
  ['movmskps', i32x4.bitmask, 4],
  ['movmskpd', i64x2.bitmask, 2],
] as const) {
  whole(`${name}_256`, (e, vex) => {
    const [target, operand] = e.operands;
    const upper = i32.shl(bitmask(vex.half(operand, 1)), bits);
    e.write(target, i32.or(bitmask(vex.half(operand, 0)), upper), 4);
  });
}

// Masked moves: elements whose mask has its top bit set; the others are not accessed, and are zero when loaded.
for (const [suffix, size] of [
  ['ps', 4],
  ['pd', 8],
] as const) {
  const bitmask = size === 4 ? i32x4.bitmask : i64x2.bitmask;
  const count = 16 / size;
  /** One bit for each element of all lanes. Bound. */
  const maskOf = (e: Env, vex: VexOperands, operand: Operand): I32 =>
    e.c.let(
      vex.lanes
        .map((lane) => i32.shl(bitmask(vex.half(operand, lane)), count * lane))
        .reduce((all, each) => i32.or(all, each)),
    );
  define(`vmaskmov${suffix}`, (e) => {
    const c = e.c;
    const [target] = e.operands;
    const { lane } = vexOf(e);
    const mask = c.let(bitmask(e.readV(target)));
    const linear = c.let(i64.add(e.memLinear(), 16 * lane));
    const result = c.local('v128');
    c.set(result, ZERO);
    for (let i = 0; i < count; i++) {
      c.if(i32.and(mask, 1 << i), () => {
        const value = e.loadLinear(i64.add(linear, size * i), size);
        const { get } = result;
        const next = size === 4 ? i32x4.replace(get, i, value as I32) : i64x2.replace(get, i, value as I64);
        c.set(result, next);
      });
    }
    e.writeV(target, result.get);
  });
  whole(`vmaskmov${suffix}_store`, (e, vex) => {
    const c = e.c;
    const [memory, data] = e.form.operands.filter((_, i) => i !== 1);
    const [, by] = e.form.operands;
    if (memory === undefined || data === undefined || by === undefined) throw new Error('no operands');
    const mask = maskOf(e, vex, by);
    const linear = c.let(e.memLinear());
    c.if(mask, () => {
      // None is stored unless all can be; the first that can't is the one reported.
      for (let n = 0; n < count * vex.lanes.length; n++) {
        c.if(i32.and(mask, 1 << n), () => e.host(i64.add(linear, size * n), size, true));
      }
      for (const lane of vex.lanes) {
        const v = vex.half(data, lane);
        for (let i = 0; i < count; i++) {
          const n = count * lane + i;
          c.if(i32.and(mask, 1 << n), () =>
            e.storeLinear(
              i64.add(linear, size * n),
              size,
              size === 4 ? i32x4.extract(v, i) : i64x2.extract(v, i),
            ),
          );
        }
      }
    });
  });
}

/**
 * Gathers: elements whose mask has its top bit set, in order, each by an index of its own. What is loaded is written at
 * once and its mask cleared, so that after a fault the instruction goes on where it was (SDM 2, VPGATHERDD).
 */
for (const [name, indexSize, size] of [
  ['vpgatherdd', 4, 4],
  ['vpgatherdq', 4, 8],
  ['vpgatherqd', 8, 4],
  ['vpgatherqq', 8, 8],
] as const) {
  whole(name, (e, vex) => {
    const c = e.c;
    const [target, , mask, index] = e.form.operands;
    if (target === undefined || mask === undefined || index === undefined) throw new Error('no operands');
    const length = 16 * vex.lanes.length;
    const count = length / Math.max(indexSize, size);
    const scale = i64.extend_u(e.imm());
    for (let i = 0; i < count; i++) {
      const top = e.readRegister(mask, 4, size * (i + 1) - 4) as I32;
      c.if(i32.lt_s(top, 0), () => {
        const read = e.readRegister(index, indexSize, indexSize * i);
        const number = indexSize === 4 ? i64.extend_s(read as I32) : (read as I64);
        const linear = e.memLinearAt(c.let(i64.mul(number, scale)), size, false);
        const value = e.loadLinear(linear, size);
        e.writeRegister(target, value, size, false, size * i);
      });
      e.writeRegister(mask, size === 4 ? i32.const(0) : i64.const(0), size, false, size * i);
    }
    const done = size * count;
    e.writeRegister(mask, ZERO, 16, false);
    e.writeRegister(mask, ZERO, 16, false, 16);
    if (done === 8) e.writeRegister(target, i64.const(0), 8, false, 8);
    if (done <= 16) e.writeRegister(target, ZERO, 16, false, 16);
  });
}
