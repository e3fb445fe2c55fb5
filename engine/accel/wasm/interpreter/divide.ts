/** 128-bit by 64-bit unsigned division, for DIV and IDIV. */
import type { Func } from '../emit/code.ts';
import { i32, i64, type I64 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';

/**
 * Adds (high, low, divisor) → (quotient, remainder), for high < divisor. Schoolbook division in base 2^32
 * with a normalised divisor: two quotient digits, each estimated from the top and corrected at most twice
 * (Knuth, The Art of Computer Programming 2, 4.3.1, algorithm D).
 */
export function addDivide128(m: ModuleBuilder): Func {
  return m.function(['i64', 'i64', 'i64'], ['i64', 'i64'], (c) => {
    const shift = c.let(i64.clz(c.param('i64', 2).get));
    const divisor = c.let(i64.shl(c.param('i64', 2).get, shift));
    const high = c.param('i64', 0).get;
    const low = c.param('i64', 1).get;
    // low >> (64 - shift), which a shift count of 64 would not give.
    const carried = i64.shr_u(i64.shr_u(low, 1), i64.sub(63, shift));
    const top = c.var('i64', i64.or(i64.shl(high, shift), carried));
    const rest = c.let(i64.shl(low, shift));
    const d1 = c.let(i64.shr_u(divisor, 32));
    const d0 = c.let(i64.and(divisor, 0xffff_ffffn));

    /** One digit: divides top:next (three digits) by the divisor and leaves the remainder in `top`. */
    const digit = (next: I64): I64 => {
      const q = c.var('i64', i64.div_u(top.get, d1));
      const r = c.var('i64', i64.rem_u(top.get, d1));
      const n = c.let(next);
      c.block((done) =>
        c.loop((again) => {
          const tooBig = i32.or(
            i64.ge_u(q.get, 1n << 32n),
            i64.gt_u(i64.mul(q.get, d0), i64.or(i64.shl(r.get, 32), n)),
          );
          c.brIf(done, i32.eqz(tooBig));
          c.set(q, i64.sub(q.get, 1));
          c.set(r, i64.add(r.get, d1));
          c.brIf(again, i64.lt_u(r.get, 1n << 32n));
        }),
      );
      c.set(top, i64.sub(i64.add(i64.shl(top.get, 32), n), i64.mul(q.get, divisor)));
      return q.get;
    };
    const q1 = digit(i64.shr_u(rest, 32));
    const q0 = digit(i64.and(rest, 0xffff_ffffn));
    c.return(i64.or(i64.shl(q1, 32), q0), i64.shr_u(top.get, shift));
  });
}
