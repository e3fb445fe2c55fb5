/** Shifts and rotates. SDM 2, RCL/RCR/ROL/ROR, SAL/SAR/SHL/SHR, SHLD, SHRD. A count of zero leaves every
 * flag as it was; OF is defined for a count of one only, and follows the same formula for the others. */
import { constant, i32, i64, type Expr, type I32, type I64 } from '../emit/expr.ts';
import { define } from './registry.ts';
import type { Env } from './env.ts';
import { carryFlag, flagsExplicit, setCarryOverflow } from './flags.ts';
import { bit, ops, signExtendIn, topBit } from './ops.ts';

/** The count, masked to 5 bits (6 for 64-bit operands). Bound. */
function shiftCount(e: Env, operand: number): I32 {
  const count = e.readN(e.operands[operand]!, 1) as I32;
  return e.c.let(i32.and(count, e.size === 8 ? 63 : 31));
}

/** Sets flags where the count is not zero. */
function whereShifted(e: Env, count: I32, flags: () => void): void {
  if (constant(count) !== undefined) e.c.if(count, flags);
  else e.flagsInBranch(() => e.c.if(count, flags));
}

/** Bit that the count reaches, as 0 or 1: (value >> n) & 1 for a computed n in range. */
const bitAt = (e: Env, value: Expr, n: I32): I32 => {
  const o = ops(e.size);
  return i32.and(o.low(o.shr_u(value, o.from(n))), 1);
};

define('shl', (e) => {
  const o = ops(e.size);
  const count = shiftCount(e, 1);
  const by = e.c.let(o.from(count));
  const old = e.modify(e.operands[0]!, (a) => o.shl(a, by));
  whereShifted(e, count, () => {
    const result = e.c.let(o.shl(old, by));
    const cf =
      e.size >= 4 ? bitAt(e, old, i32.sub(e.bits, count)) : i32.and(i32.shr_u(result as I32, e.bits), 1);
    const carry = e.c.let(cf);
    flagsExplicit(e, result, carry, i32.xor(carry, topBit(result, e.size)));
  });
});
define('shr', (e) => {
  const o = ops(e.size);
  const count = shiftCount(e, 1);
  const by = e.c.let(o.from(count));
  const old = e.modify(e.operands[0]!, (a) => o.shr_u(a, by));
  whereShifted(e, count, () => {
    const result = e.c.let(o.shr_u(old, by));
    flagsExplicit(e, result, bitAt(e, old, i32.sub(count, 1)), topBit(old, e.size));
  });
});
define('sar', (e) => {
  const o = ops(e.size);
  const count = shiftCount(e, 1);
  const by = e.c.let(o.from(count));
  const old = e.modify(e.operands[0]!, (a) => o.shr_s(signExtendIn(a, e.size), by));
  whereShifted(e, count, () => {
    const wide = e.c.let(signExtendIn(old, e.size));
    const result = e.c.let(o.shr_s(wide, by));
    const cf = i32.and(o.low(o.shr_s(wide, o.from(i32.sub(count, 1)))), 1);
    flagsExplicit(e, result, cf, i32.const(0));
  });
});

/** `value` rotated left by `count` within the operand size. */
function rotated(e: Env, value: Expr, count: I32, left: boolean): Expr {
  const o = ops(e.size);
  if (e.size >= 4) return left ? o.rotl(value, o.from(count)) : o.rotr(value, o.from(count));
  const n = e.c.let(i32.and(left ? count : i32.sub(0, count), e.bits - 1));
  const v = value as I32;
  return i32.or(i32.shl(v, n), i32.shr_u(v, i32.sub(e.bits, n)));
}

function rotate(name: string, left: boolean): void {
  define(name, (e) => {
    const count = shiftCount(e, 1);
    const result = e.c.local(e.type);
    e.modify(e.operands[0]!, (a) => {
      e.c.assign(result, rotated(e, a, count, left));
      return result.get;
    });
    whereShifted(e, count, () => {
      const top = e.c.let(topBit(result.get, e.size));
      const cf = e.c.let(left ? bit(result.get, 0, e.size) : top);
      const other = left ? top : bit(result.get, e.bits - 2, e.size);
      setCarryOverflow(e, cf, i32.xor(cf, other));
    });
  });
}
rotate('rol', true);
rotate('ror', false);

/** Rotates through CF: the operand and CF together are one number of bits + 1 bits. */
function rotateThroughCarry(name: string, left: boolean): void {
  define(name, (e) => {
    const c = e.c;
    const count = shiftCount(e, 1);
    const carry = c.let(i64.extend_u(carryFlag(e)));
    const result = c.local(e.type);
    const out = c.local('i32');
    const n = e.size === 8 ? count : c.let(i32.rem_u(count, e.bits + 1));
    const steps = c.let(i64.extend_u(n));
    const rotateValue = (a: Expr): Expr => {
      if (e.size === 8) {
        const v = a as I64;
        c.if(
          n,
          () => {
            // The shift by 65 - n is made in two steps, since a count of 64 would wrap to none.
            const rest = i64.sub(64, steps);
            const far = left ? i64.shr_u(i64.shr_u(v, 1), rest) : i64.shl(i64.shl(v, 1), rest);
            const near = left ? i64.shl(v, steps) : i64.shr_u(v, steps);
            const bitIn = left ? i64.shl(carry, i64.sub(steps, 1)) : i64.shl(carry, rest);
            c.assign(result, i64.or(i64.or(near, far), bitIn));
            const last = left ? i64.shr_u(v, rest) : i64.shr_u(v, i64.sub(steps, 1));
            c.set(out, i32.and(i32.wrap(last), 1));
          },
          () => {
            c.assign(result, a);
            c.set(out, i32.wrap(carry));
          },
        );
        return result.get;
      }
      const whole = c.let(i64.or(i64.extend_u(a as I32), i64.shl(carry, e.bits)));
      const back = i64.sub(e.bits + 1, steps);
      const turned = c.let(
        left
          ? i64.or(i64.shl(whole, steps), i64.shr_u(whole, back))
          : i64.or(i64.shr_u(whole, steps), i64.shl(whole, back)),
      );
      c.assign(result, i32.wrap(turned));
      c.set(out, i32.and(i32.wrap(i64.shr_u(turned, e.bits)), 1));
      return result.get;
    };
    e.modify(e.operands[0]!, rotateValue);
    whereShifted(e, count, () => {
      const top = c.let(topBit(result.get, e.size));
      const other = left ? out.get : bit(result.get, e.bits - 2, e.size);
      setCarryOverflow(e, out.get, i32.xor(top, other));
    });
  });
}
rotateThroughCarry('rcl', true);
rotateThroughCarry('rcr', false);

function doubleShift(name: string, left: boolean): void {
  define(name, (e) => {
    const c = e.c;
    const o = ops(e.size);
    const count = shiftCount(e, 2);
    const other = e.read(e.operands[1]!);
    const by = c.let(o.from(count));
    const compute = (a: Expr): Expr => {
      if (e.size === 2) {
        // A count above 16 goes on into the destination again.
        const [x, y] = left ? [a, other] : [other, a];
        const high = i64.shl(i64.extend_u(a as I32), 32);
        const middle = i64.or(i64.shl(i64.extend_u((left ? y : x) as I32), 16), i64.extend_u(a as I32));
        const wide = c.let(i64.or(high, middle));
        const n = i64.extend_u(count);
        return left ? i32.wrap(i64.shr_u(i64.shl(wide, n), 32)) : i32.wrap(i64.shr_u(wide, n));
      }
      const rest = o.sub(o.const(e.bits), by);
      const shifted = left
        ? o.or(o.shl(a, by), o.shr_u(other, rest))
        : o.or(o.shr_u(a, by), o.shl(other, rest));
      return o.select(count, shifted, a);
    };
    const old = e.modify(e.operands[0]!, compute);
    whereShifted(e, count, () => {
      const result = c.let(compute(old));
      const cf = left
        ? e.size === 2
          ? i32.and(i32.shr_u(i32.shl(old as I32, i32.and(count, 31)), 16), 1)
          : bitAt(e, old, i32.sub(e.bits, count))
        : bitAt(e, old, i32.sub(count, 1));
      const carry = c.let(cf);
      const changed = i32.xor(topBit(old, e.size), topBit(result, e.size));
      flagsExplicit(e, result, carry, changed);
    });
  });
}
doubleShift('shld', true);
doubleShift('shrd', false);

// BMI2: no flags, the count is masked to the operand size.

function plainShift(name: string, shift: 'shl' | 'shr_u' | 'shr_s'): void {
  define(name, (e) => {
    const value = e.read(e.operands[1]!);
    const count = e.read(e.operands[2]!);
    e.write(e.operands[0]!, ops(e.size)[shift](value, count));
  });
}
plainShift('shlx', 'shl');
plainShift('shrx', 'shr_u');
plainShift('sarx', 'shr_s');
define('rorx', (e) => {
  const value = e.read(e.operands[1]!);
  e.write(e.operands[0]!, ops(e.size).rotr(value, e.read(e.operands[2]!)));
});
