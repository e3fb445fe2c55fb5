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
import { checked, exactly, PD, PS, SD, SS, usual, type Shape } from './sse-float.ts';
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
    const native = i64.reinterpret(f64.convert_i64_s(integer));
    SD.write(e, target, fromInteger(e, SD, native, integer));
  } else {
    SD.write(e, target, i64.reinterpret(f64.convert_i32_s(read32(e, operand))));
  }
});
define('cvtsi2ss', (e) => {
  const [target, operand] = e.operands;
  if (e.size === 8) {
    const integer = read64(e, operand);
    SS.write(e, target, fromInteger(e, SS, i32.reinterpret(f32.convert_i64_s(integer)), integer));
  } else {
    const integer = read32(e, operand);
    const native = i32.reinterpret(f32.convert_i32_s(integer));
    SS.write(e, target, fromInteger(e, SS, native, i64.extend_s(integer)));
  }
});

function fromInteger<V extends 'i32' | 'i64'>(
  e: Env,
  shape: Shape<V, 'i32'>,
  native: Expr<V>,
  integer: I64,
): Expr<V> {
  const exact = exactly(e.c, helper(e, `${shape.library}.fromInteger`), shape.type, integer);
  return checked(e, native, () => usual(mxcsr(e)), exact);
}

// Scalar to integer: rounded as MXCSR says, or (CVTT) towards zero. Denormals raise nothing but PE.
function toInteger<V extends 'i32' | 'i64'>(
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
        const [integer, flags] = call(c, func, ['i64', 'i32'], a, control, rounding, 8 * e.size);
        return [integer, flags] as const;
      };
      const fine = (bound: number) => () => i32.and(usual(mxcsr(e)), shape.isBelow(a, bound));
      if (e.size === 8) {
        e.write(target, checked(e, truncate64(rounded), fine(2 ** 63 - 1024), exact));
        return;
      }
      const narrow = (control: I32) => {
        const [integer, flags] = exact(control);
        return [i32.wrap(integer), flags] as const;
      };
      e.write(target, checked(e, truncate32(rounded), fine(2 ** 31 - 1), narrow));
    });
  }
}
toInteger(
  SS,
  (v) => i32.trunc_sat_f32_s(f32.reinterpret(v)),
  (v) => i64.trunc_sat_f32_s(f32.reinterpret(v)),
);
toInteger(
  SD,
  (v) => i32.trunc_sat_f64_s(f64.reinterpret(v)),
  (v) => i64.trunc_sat_f64_s(f64.reinterpret(v)),
);

// Between the precisions. Widening is exact.
define('cvtss2sd', (e) => {
  const [target, operand] = e.operands;
  const a = read32(e, operand);
  const exact = exactly(e.c, helper(e, 'f32.toF64'), 'i64', a);
  const native = i64.reinterpret(f64.promote(f32.reinterpret(a)));
  SD.write(
    e,
    target,
    checked(e, native, () => SS.isOrdinary(a), exact),
  );
});
define('cvtps2pd', (e) => {
  const [target, operand] = e.operands;
  const a = readLow(e, operand, 8);
  const exact = exactly(e.c, helper(e, 'f32x4.toF64'), 'v128', a);
  e.writeV(
    target,
    checked(e, f64x2.promote_low_f32x4(a), () => PS.holds(PS.isOrdinary(a)), exact),
  );
});

/** True where narrowing to single precision neither overflows nor comes near its smallest normal number. */
function narrows<V extends 'i64' | 'v128', M extends 'i32' | 'v128'>(
  e: Env,
  shape: Shape<V, M>,
  a: Expr<V>,
): I32 {
  const inside = shape.and(shape.isBelow(a, 2 ** 127), shape.isAtLeast(a, 2 ** -125));
  return i32.and(usual(mxcsr(e)), shape.holds(shape.or(shape.isZero(a), inside)));
}

define('cvtsd2ss', (e) => {
  const [target, operand] = e.operands;
  const a = read64(e, operand);
  const exact = exactly(e.c, helper(e, 'f64.toF32'), 'i32', a);
  const native = i32.reinterpret(f32.demote(f64.reinterpret(a)));
  SS.write(
    e,
    target,
    checked(e, native, () => narrows(e, SD, a), exact),
  );
});
define('cvtpd2ps', (e) => {
  const [target, operand] = e.operands;
  const a = e.readV(operand);
  const exact = exactly(e.c, helper(e, 'f64x2.toF32'), 'v128', a);
  e.writeV(
    target,
    checked(e, f32x4.demote_f64x2_zero(a), () => narrows(e, PD, a), exact),
  );
});

// Packed doublewords.

/** Four doublewords to singles, inexact at most. */
function singles(e: Env, integers: V128): V128 {
  const exact = exactly(e.c, helper(e, 'f32x4.fromI32'), 'v128', integers);
  return checked(e, f32x4.convert_i32x4_s(integers), () => usual(mxcsr(e)), exact);
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
  const fine = () => i32.and(usual(mxcsr(e)), shape.holds(shape.isBelow(a, 2 ** 31 - 1)));
  return checked(e, native, fine, (control) => {
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
