/**
 * Conversions between integers, single and double precision.
 *
 * Intel SDM volume 1, 11.4.1.6 and table 11-1; volume 2, the CVT instructions; table 4-1 (integer indefinite).
 */
import {
  f32, f32x4, f64, f64x2, i32, i32x4, i64, type Expr, type I32, type I64, type V128,
} from '../emit/expr.ts'; // prettier-ignore
import { call, Rounding } from '../float/format.ts';
import { define } from './registry.ts';
import type { Env } from './env.ts';
import type { Operand } from './form.ts';
import { checked, exactly, PD, PS, SD, SS, unusual, type Shape } from './sse-float.ts';
import {
  field, helper, lowHalf, mmxCommit, mmxEnter, mxcsr, read32, read64, readLow, readMmx, writeMmx,
} from './sse-operand.ts'; // prettier-ignore

/** Rounding control in force. */
const currentRounding = (control: I32): I32 => field(control, 13, 2);

// Integer to scalar.

/** CVTSI2SD with a 32-bit source is exact; the others may be inexact but nothing else. */
define('cvtsi2sd', (e) => {
  const [target, operand] = e.operands;
  if (e.size === 8) {
    const integer = read64(e, operand);
    SD.write(e, target, fromInteger(e, SD, f64.convert_i64_s(integer), integer));
  } else {
    SD.write(e, target, f64.convert_i32_s(read32(e, operand)));
  }
});
define('cvtsi2ss', (e) => {
  const [target, operand] = e.operands;
  if (e.size === 8) {
    const integer = read64(e, operand);
    SS.write(e, target, fromInteger(e, SS, f32.convert_i64_s(integer), integer));
  } else {
    const integer = read32(e, operand);
    SS.write(e, target, fromInteger(e, SS, f32.convert_i32_s(integer), i64.extend_s(integer)));
  }
});

function fromInteger<V extends 'f32' | 'f64'>(
  e: Env,
  shape: Shape<V, 'i32'>,
  native: Expr<V>,
  integer: I64,
): Expr<V> {
  const exact = exactly(e, shape, `${shape.library}.fromInteger`, integer);
  return checked(e, native, () => [unusual(mxcsr(e))], exact);
}

// Scalar to integer: rounded as MXCSR says, or (CVTT) towards zero. Denormals raise nothing but PE.
function toInteger<V extends 'f32' | 'f64'>(
  shape: Shape<V, 'i32'>,
  truncate32: (value: Expr<V>) => I32,
  truncate64: (value: Expr<V>) => I64,
): void {
  for (const truncating of [false, true]) {
    define(`cvt${truncating ? 't' : ''}${shape.suffix}2si`, (e) => {
      const c = e.c;
      const [target, operand] = e.operands;
      const a = shape.read(e, operand);
      const rounded = truncating ? a : shape.nearest(a);
      const exact = (control: I32) => {
        const rounding = truncating ? Rounding.Zero : currentRounding(control);
        const func = helper(e, `${shape.library}.toInteger`);
        const [integer, flags] = call(c, func, ['i64', 'i32'], shape.bits(a), control, rounding, 8 * e.size);
        return [integer, flags] as const;
      };
      const beyond = (bound: number) => () => [unusual(mxcsr(e)), ...shape.unless(shape.isBelow(a, bound))];
      if (e.size === 8) {
        e.write(target, checked(e, truncate64(rounded), beyond(2 ** 63 - 1024), exact));
        return;
      }
      const narrow = (control: I32) => {
        const [integer, flags] = exact(control);
        return [i32.wrap(integer), flags] as const;
      };
      e.write(target, checked(e, truncate32(rounded), beyond(2 ** 31 - 1), narrow));
    });
  }
}
toInteger(SS, i32.trunc_sat_f32_s, i64.trunc_sat_f32_s);
toInteger(SD, i32.trunc_sat_f64_s, i64.trunc_sat_f64_s);

// Between the precisions. Widening is exact.
define('cvtss2sd', (e) => {
  const [target, operand] = e.operands;
  const a = SS.read(e, operand);
  const exact = exactly(e, SD, 'f32.toF64', SS.bits(a));
  SD.write(e, target, checked(e, f64.promote(a), () => SS.unless(SS.isOrdinary(a)), exact)); // prettier-ignore
});
define('cvtps2pd', (e) => {
  const [target, operand] = e.operands;
  const a = readLow(e, operand, 8);
  const exact = exactly(e, PD, 'f32x4.toF64', a);
  e.writeV(target, checked(e, f64x2.promote_low_f32x4(a), () => PS.unless(PS.isOrdinary(a)), exact)); // prettier-ignore
});

/** Conditions of which none is true where narrowing to single precision neither overflows nor comes near its smallest
 * normal number. */
function narrows<V extends 'f64' | 'v128', M extends 'i32' | 'v128'>(
  e: Env,
  shape: Shape<V, M>,
  a: Expr<V>,
): I32[] {
  const inside = shape.and(shape.isBelow(a, 2 ** 127), shape.isAtLeast(a, 2 ** -125));
  return [unusual(mxcsr(e)), ...shape.unless(shape.or(shape.isZero(a), inside))];
}

define('cvtsd2ss', (e) => {
  const [target, operand] = e.operands;
  const a = SD.read(e, operand);
  const exact = exactly(e, SS, 'f64.toF32', SD.bits(a));
  SS.write(e, target, checked(e, f32.demote(a), () => narrows(e, SD, a), exact)); // prettier-ignore
});
define('cvtpd2ps', (e) => {
  const [target, operand] = e.operands;
  const a = e.readV(operand);
  const exact = exactly(e, PS, 'f64x2.toF32', a);
  e.writeV(
    target,
    checked(e, f32x4.demote_f64x2_zero(a), () => narrows(e, PD, a), exact),
  );
});

// Packed doublewords.

/** Four doublewords to singles, inexact at most. */
function singles(e: Env, integers: V128): V128 {
  const exact = exactly(e, PS, 'f32x4.fromI32', integers);
  return checked(e, f32x4.convert_i32x4_s(integers), () => [unusual(mxcsr(e))], exact);
}

/** Floating-point elements to doublewords, zeros above. */
function doublewords(
  e: Env,
  shape: Shape<'v128', 'v128'>,
  a: V128,
  truncating: boolean,
  truncate: (v: V128) => V128,
): V128 {
  const native = truncate(truncating ? a : shape.nearest(a));
  const beyond = () => [unusual(mxcsr(e)), ...shape.unless(shape.isBelow(a, 2 ** 31 - 1))];
  return checked(e, native, beyond, (control) => {
    const rounding = truncating ? Rounding.Zero : currentRounding(control);
    const func = helper(e, `${shape.library}.toI32`);
    const [value, flags] = call(e.c, func, ['v128', 'i32'], a, control, rounding);
    return [value, flags];
  });
}

define('cvtdq2ps', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, singles(e, e.readV(operand)));
});
define('cvtdq2pd', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, f64x2.convert_low_i32x4_s(readLow(e, operand, 8)));
});
for (const truncating of [false, true]) {
  const prefix = truncating ? 'cvtt' : 'cvt';
  define(`${prefix}ps2dq`, (e) => {
    const [target, operand] = e.operands;
    e.writeV(target, doublewords(e, PS, e.readV(operand), truncating, i32x4.trunc_sat_f32x4_s));
  });
  define(`${prefix}pd2dq`, (e) => {
    const [target, operand] = e.operands;
    e.writeV(target, doublewords(e, PD, e.readV(operand), truncating, i32x4.trunc_sat_f64x2_s_zero));
  });
  // To MMX registers. The x87 state changes even where an exception is then raised.
  define(`${prefix}ps2pi`, (e) => {
    const [target, operand] = e.operands;
    mmxEnter(e);
    const a = readLow(e, operand, 8);
    mmxCommit(e);
    const result = e.c.let(lowHalf(doublewords(e, PS, a, truncating, i32x4.trunc_sat_f32x4_s)));
    writeMmx(e, target, result);
  });
  define(`${prefix}pd2pi`, (e) => {
    const [target, operand] = e.operands;
    mmxEnter(e);
    const a = e.readV(operand);
    mmxCommit(e);
    const result = e.c.let(lowHalf(doublewords(e, PD, a, truncating, i32x4.trunc_sat_f64x2_s_zero)));
    writeMmx(e, target, result);
  });
}

// From MMX registers. A memory operand leaves the x87 state alone (SDM 2, CVTPI2PD).
define('cvtpi2ps', (e) => {
  const [target, operand] = e.operands;
  const integers = readIntegers(e, operand);
  e.writeN(target, 8, e.c.let(lowHalf(singles(e, integers))));
});
define('cvtpi2pd', (e) => {
  const [target, operand] = e.operands;
  e.writeV(target, f64x2.convert_low_i32x4_s(readIntegers(e, operand)));
});

function readIntegers(e: Env, operand: Operand): V128 {
  if (operand.kind === 'mem') return readMmx(e, operand);
  mmxEnter(e);
  const integers = readMmx(e, operand);
  mmxCommit(e);
  return integers;
}
