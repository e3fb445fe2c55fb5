/**
 * What AVX adds to the VEX forms of SSE instructions: broadcasts, permutations, masked moves, operations on whole
 * 256-bit registers. Intel SDM volume 1, 14.2; volume 2, each instruction.
 */
import { vcpuLayout } from '../../../vcpu/state.ts';
import { i32, i32x4, i64, i64x2, i8x16, v128, type I32, type I64, type V128 } from '../emit/expr.ts';
import { define, type Env, type Operand } from './env.ts';
import { bytes, dwords, element64, field, imm8, ZERO } from './sse-operand.ts';
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
const YMM = vcpuLayout.offset.ymm;
for (const [suffix, count] of [['', 16], ['8', 8]] as const) {
  for (const [name, halves] of [['vzeroupper', [16]], ['vzeroall', [0, 16]]] as const) {
    whole(`${name}${suffix}`, (e) => {
      for (let n = 0; n < count; n++)
        for (const at of halves) e.c.store('v128', e.cpu, ZERO, YMM + 32 * n + at);
    });
  }
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

// Permutations within lanes.
define('vpermilps', (e) => {
  const [target, operand] = e.operands;
  const chosen = v128.and(
    e.readV(operand),
    dwords(() => 3),
  );
  const scaled = i32x4.mul(
    chosen,
    dwords(() => 0x0404_0404),
  );
  const positions = i32x4.add(
    scaled,
    dwords(() => 0x0302_0100),
  );
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
define('vperm2f128', (e) => {
  const [target, operand] = e.operands;
  const vex = vexOf(e);
  const imm = imm8(e);
  const either = (from: Operand): V128 =>
    v128.select(i32.and(imm, 1), vex.half(from, 1), vex.half(from, 0));
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

/** Blends by the sign bits of a register that the immediate's upper half names. */
function blend(name: string, mask: (v: V128) => V128): void {
  define(name, (e) => {
    const [target, operand] = e.operands;
    const b = e.readV(operand);
    const register = i32.add(e.cpu, i32.shl(i32.and(e.imm(), 0xf0), 1));
    const by = v128.load(register, YMM + 16 * vexOf(e).lane);
    e.writeV(target, v128.bitselect(b, e.readV(target), mask(by)));
  });
}
blend('vblendvps', (v) => i32x4.shr_s(v, 31));
blend('vblendvpd', (v) => i64x2.shr_s(v, 63));
blend('vpblendvb', (v) => i8x16.shr_s(v, 7));

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
for (const [suffix, size] of [['ps', 4], ['pd', 8]] as const) {
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
    const at = (index: I32): I64 => i64.add(linear, i64.extend_u(i32.mul(index, size)));
    c.if(mask, () => {
      // All the elements lie on two pages at most: where the first and the last can be stored all can.
      e.host(at(i32.ctz(mask)), size, true);
      e.host(at(i32.sub(31, i32.clz(mask))), size, true);
      for (const lane of vex.lanes) {
        const v = vex.half(data, lane);
        for (let i = 0; i < count; i++) {
          const n = count * lane + i;
          c.if(i32.and(mask, 1 << n), () =>
            e.storeLinear(i64.add(linear, size * n), size, size === 4 ? i32x4.extract(v, i) : i64x2.extract(v, i)),
          );
        }
      }
    });
  });
}
