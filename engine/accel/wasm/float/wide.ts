/**
 * 128-bit integers as two i64 (high, low): what the significand arithmetic needs of them, as functions.
 */
import type { Code, Func } from '../emit/code.ts';
import { i32, i64, type I64 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { call } from './format.ts';

export interface Wide {
  /** (high, low, count) → (high, low): right shift by any non-negative count; bits shifted out are kept as
   * a one in bit 0 (a sticky bit). */
  readonly shiftRightSticky: Func;
  /** (high, low) → (high, low, count): left shift that brings a one to bit 127; (0, 0) is left alone with
   * count 0. */
  readonly normalize: Func;
  /** (a, b) → (high, low): unsigned product. */
  readonly multiply: Func;
  /** (high, low, divisor) → (quotient, remainder): unsigned; divisor ≥ 2^63 and high < divisor. */
  readonly divide: Func;
}

/** Adds the functions to a module. */
export function addWide(m: ModuleBuilder): Wide {
  return {
    shiftRightSticky: addShiftRightSticky(m),
    normalize: addNormalize(m),
    multiply: addMultiply(m),
    divide: addDivide(m),
  };
}

function addShiftRightSticky(m: ModuleBuilder): Func {
  return m.function(['i64', 'i64', 'i32'], ['i64', 'i64'], (c) => {
    const high = c.param('i64', 0);
    const low = c.param('i64', 1);
    const count = c.param('i32', 2);
    c.if(i32.eqz(count.get), () => c.return(high.get, low.get));
    c.if(i32.lt_u(count.get, 64), () => {
      const n = c.let(i64.extend_u(count.get));
      const back = c.let(i64.sub(64, n));
      const lost = c.let(i64.extend_u(i64.ne(i64.shl(low.get, back), 0)));
      const kept = i64.or(i64.shl(high.get, back), i64.shr_u(low.get, n));
      c.return(i64.shr_u(high.get, n), i64.or(kept, lost));
    });
    c.if(i32.eq(count.get, 64), () => {
      c.return(i64.const(0), i64.or(high.get, i64.extend_u(i64.ne(low.get, 0))));
    });
    c.if(i32.lt_u(count.get, 128), () => {
      const n = c.let(i64.extend_u(i32.sub(count.get, 64)));
      const lost = i64.or(i64.shl(high.get, i64.sub(64, n)), low.get);
      c.return(i64.const(0), i64.or(i64.shr_u(high.get, n), i64.extend_u(i64.ne(lost, 0))));
    });
    c.return(i64.const(0), i64.extend_u(i64.ne(i64.or(high.get, low.get), 0)));
  });
}

function addNormalize(m: ModuleBuilder): Func {
  return m.function(['i64', 'i64'], ['i64', 'i64', 'i32'], (c) => {
    const high = c.param('i64', 0);
    const low = c.param('i64', 1);
    const count = c.local('i32');
    c.if(i64.eqz(high.get), () => {
      c.if(i64.eqz(low.get), () => c.return(i64.const(0), i64.const(0), i32.const(0)));
      c.set(high, low.get);
      c.set(low, 0);
      c.set(count, 64);
    });
    const n = c.let(i64.clz(high.get));
    c.if(i64.ne(n, 0), () => {
      c.set(high, i64.or(i64.shl(high.get, n), i64.shr_u(low.get, i64.sub(64, n))));
      c.set(low, i64.shl(low.get, n));
    });
    c.return(high.get, low.get, i32.add(count.get, i32.wrap(n)));
  });
}

const LOW_HALF = 0xffff_ffffn;

function addMultiply(m: ModuleBuilder): Func {
  return m.function(['i64', 'i64'], ['i64', 'i64'], (c) => {
    c.return(...emitMultiply(c, c.param('i64', 0).get, c.param('i64', 1).get));
  });
}

/** The unsigned product of two bound values, written out. Bound. */
export function emitMultiply(c: Code, a: I64, b: I64): [high: I64, low: I64] {
  const aLow = c.let(i64.and(a, LOW_HALF));
  const aHigh = c.let(i64.shr_u(a, 32));
  const bLow = c.let(i64.and(b, LOW_HALF));
  const bHigh = c.let(i64.shr_u(b, 32));
  const low = c.let(i64.mul(aLow, bLow));
  const cross = c.let(i64.add(i64.mul(aHigh, bLow), i64.shr_u(low, 32)));
  const middle = c.let(i64.add(i64.mul(aLow, bHigh), i64.and(cross, LOW_HALF)));
  const high = i64.add(i64.mul(aHigh, bHigh), i64.add(i64.shr_u(cross, 32), i64.shr_u(middle, 32)));
  return [c.let(high), c.let(i64.or(i64.shl(middle, 32), i64.and(low, LOW_HALF)))];
}

/** Two digits of schoolbook division in base 2^32 (Knuth, The Art of Computer Programming 2, 4.3.1). */
function addDivide(m: ModuleBuilder): Func {
  /** (u, next, divisor) → (digit, remainder), where u < divisor and u × 2^32 + next is divided. */
  const digit = m.function(['i64', 'i64', 'i64'], ['i64', 'i64'], (c) => {
    const u = c.param('i64', 0).get;
    const next = c.param('i64', 1).get;
    const divisor = c.param('i64', 2).get;
    const leading = c.let(i64.shr_u(divisor, 32));
    const trailing = c.let(i64.and(divisor, LOW_HALF));
    const q = c.var('i64', i64.div_u(u, leading));
    const r = c.var('i64', i64.sub(u, i64.mul(q.get, leading)));
    c.block((done) => {
      c.loop((again) => {
        // The estimate is at most two too large; the remainder tells, once it has its next digit.
        c.block((tooLarge) => {
          c.brIf(tooLarge, i64.gt_u(q.get, LOW_HALF));
          const estimate = i64.mul(q.get, trailing);
          c.brIf(tooLarge, i64.gt_u(estimate, i64.or(i64.shl(r.get, 32), next)));
          c.br(done);
        });
        c.set(q, i64.sub(q.get, 1));
        c.set(r, i64.add(r.get, leading));
        c.brIf(again, i64.le_u(r.get, LOW_HALF));
      });
    });
    const rest = i64.sub(i64.or(i64.shl(u, 32), next), i64.mul(q.get, divisor));
    c.return(q.get, rest);
  });
  return m.function(['i64', 'i64', 'i64'], ['i64', 'i64'], (c) => {
    const high = c.param('i64', 0).get;
    const low = c.param('i64', 1).get;
    const divisor = c.param('i64', 2).get;
    const [q1, r1] = call(c, digit, ['i64', 'i64'], high, i64.shr_u(low, 32), divisor);
    const [q0, r0] = call(c, digit, ['i64', 'i64'], r1, i64.and(low, LOW_HALF), divisor);
    c.return(i64.or(i64.shl(q1, 32), q0), r0);
  });
}
