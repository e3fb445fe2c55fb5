/**
 * Addition, multiplication, division and square root of finite, non-zero unpacked numbers (see format.ts),
 * exact to 128 bits of significand with the lowest bit sticky: enough to round correctly to any format.
 */
import type { Func } from '../emit/code.ts';
import { f64, i32, i64, type I64 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { call, Rounding } from './format.ts';
import { addWide, type Wide } from './wide.ts';

export interface Core {
  readonly wide: Wide;
  /** (signA, exponentA, significandA, signB, exponentB, significandB, rounding) → (sign, exponent, high, low);
   * high is 0 only where the sum is exactly zero, whose sign follows the rounding control. */
  readonly add: Func;
  /** (exponentA, significandA, exponentB, significandB) → (exponent, high, low) */
  readonly multiply: Func;
  /** (exponentA, significandA, exponentB, significandB) → (exponent, high, low) */
  readonly divide: Func;
  /** (exponent, significand) → (exponent, high, low) */
  readonly squareRoot: Func;
}

/** Adds the functions to a module. */
export function addCore(m: ModuleBuilder): Core {
  const wide = addWide(m);
  return {
    wide,
    add: addAdd(m, wide),
    multiply: addMultiply(m, wide),
    divide: addDivide(m, wide),
    squareRoot: addSquareRoot(m, wide),
  };
}

const TOP = 1n << 63n;

function addAdd(m: ModuleBuilder, wide: Wide): Func {
  return m.function(['i32', 'i32', 'i64', 'i32', 'i32', 'i64', 'i32'], ['i32', 'i32', 'i64', 'i64'], (c) => {
    // a is the one of larger magnitude.
    const sign = c.param('i32', 0);
    const exponent = c.param('i32', 1);
    const a = c.param('i64', 2);
    const signB = c.param('i32', 3);
    const exponentB = c.param('i32', 4);
    const b = c.param('i64', 5);
    const smaller = i32.select(
      i32.eq(exponent.get, exponentB.get),
      i64.lt_u(a.get, b.get),
      i32.lt_s(exponent.get, exponentB.get),
    );
    c.if(smaller, () => {
      const [s, e, significand] = [c.var('i32', sign.get), c.var('i32', exponent.get), c.var('i64', a.get)];
      c.set(sign, signB.get);
      c.set(exponent, exponentB.get);
      c.set(a, b.get);
      c.set(signB, s.get);
      c.set(exponentB, e.get);
      c.set(b, significand.get);
    });
    const distance = i32.sub(exponent.get, exponentB.get);
    const [bHigh, bLow] = call(c, wide.shiftRightSticky, ['i64', 'i64'], b.get, 0n, distance);
    c.if(i32.eq(sign.get, signB.get), () => {
      const sum = c.let(i64.add(a.get, bHigh));
      c.if(i64.lt_u(sum, a.get), () => {
        const low = i64.or(i64.or(i64.shl(sum, 63), i64.shr_u(bLow, 1)), i64.and(bLow, 1));
        c.return(sign.get, i32.add(exponent.get, 1), i64.or(i64.shr_u(sum, 1), TOP), low);
      });
      c.return(sign.get, exponent.get, sum, bLow);
    });
    const borrow = i64.extend_u(i64.ne(bLow, 0));
    const difference = i64.sub(i64.sub(a.get, bHigh), borrow);
    const [high, low, count] = call(c, wide.normalize, ['i64', 'i64', 'i32'], difference, i64.sub(0, bLow));
    c.if(i64.eqz(high), () => {
      c.return(i32.eq(c.param('i32', 6).get, Rounding.Down), i32.const(0), i64.const(0), i64.const(0));
    });
    c.return(sign.get, i32.sub(exponent.get, count), high, low);
  });
}

function addMultiply(m: ModuleBuilder, wide: Wide): Func {
  return m.function(['i32', 'i64', 'i32', 'i64'], ['i32', 'i64', 'i64'], (c) => {
    const exponent = c.let(i32.add(c.param('i32', 0).get, c.param('i32', 2).get));
    const [high, low] = call(c, wide.multiply, ['i64', 'i64'], c.param('i64', 1).get, c.param('i64', 3).get);
    c.if(i64.lt_s(high, 0), () => c.return(i32.add(exponent, 1), high, low));
    c.return(exponent, i64.or(i64.shl(high, 1), i64.shr_u(low, 63)), i64.shl(low, 1));
  });
}

function addDivide(m: ModuleBuilder, wide: Wide): Func {
  return m.function(['i32', 'i64', 'i32', 'i64'], ['i32', 'i64', 'i64'], (c) => {
    const exponent = c.var('i32', i32.sub(c.param('i32', 0).get, c.param('i32', 2).get));
    const a = c.param('i64', 1).get;
    const b = c.param('i64', 3).get;
    const high = c.var('i64', a);
    const low = c.local('i64');
    c.if(
      i64.lt_u(a, b),
      () => c.set(exponent, i32.sub(exponent.get, 1)),
      () => {
        c.set(high, i64.shr_u(a, 1));
        c.set(low, i64.shl(a, 63));
      },
    );
    const [quotient, rest] = call(c, wide.divide, ['i64', 'i64'], high.get, low.get, b);
    c.return(exponent.get, quotient, fraction(rest, i64.sub(b, rest)));
  });
}

/** What follows the integer digits, as far as rounding asks: nothing, or below, at or above one half, told
 * from a remainder and how far it is from the next integer. */
function fraction(rest: I64, complement: I64) {
  const notHalf = i64.select(i64.lt_u(rest, complement), 1n << 62n, TOP | 1n);
  const some = i64.select(i64.eq(rest, complement), TOP, notHalf);
  return i64.select(i64.eqz(rest), 0, some);
}

/**
 * The integer root of the significand scaled to 126 or 127 bits. An estimate from the f64 square root is good
 * to about 52 bits; one Newton step leaves it at most a few units off, which the exact remainder mends.
 */
function addSquareRoot(m: ModuleBuilder, wide: Wide): Func {
  return m.function(['i32', 'i64'], ['i32', 'i64', 'i64'], (c) => {
    const exponent = c.param('i32', 0).get;
    const significand = c.param('i64', 1).get;
    const even = c.let(i32.eqz(i32.and(exponent, 1)));
    const high = c.let(i64.select(even, i64.shr_u(significand, 1), significand));
    const low = c.let(i64.select(even, i64.shl(significand, 63), 0));
    const root = c.var('i64', i64.trunc_sat_f64_u(f64.mul(f64.sqrt(f64.convert_i64_u(high)), 2 ** 32)));
    // remainder = radicand - root², signed, 128 bits
    const restHigh = c.local('i64');
    const restLow = c.local('i64');
    const remainder = () => {
      const [squareHigh, squareLow] = call(c, wide.multiply, ['i64', 'i64'], root.get, root.get);
      c.set(restHigh, i64.sub(i64.sub(high, squareHigh), i64.extend_u(i64.lt_u(low, squareLow))));
      c.set(restLow, i64.sub(low, squareLow));
    };
    remainder();
    const rest = f64.add(f64.mul(f64.convert_i64_s(restHigh.get), 2 ** 64), f64.convert_i64_u(restLow.get));
    const step = c.let(i64.trunc_sat_f64_s(f64.div(rest, f64.mul(f64.convert_i64_u(root.get), 2))));
    const moved = c.let(i64.add(root.get, step));
    // A root beyond 64 bits stays at the largest.
    const wrapped = i32.and(i64.gt_s(step, 0), i64.lt_u(moved, root.get));
    c.set(root, i64.select(wrapped, -1n, moved));
    remainder();
    c.block((done) => {
      c.loop((again) => {
        c.if(i64.lt_s(restHigh.get, 0), () => {
          c.set(root, i64.sub(root.get, 1));
          remainder();
          c.br(again);
        });
        // Too small where the remainder exceeds 2 root.
        const doubleHigh = i64.shr_u(root.get, 63);
        const doubleLow = i64.shl(root.get, 1);
        const exceeds = i32.or(
          i64.gt_u(restHigh.get, doubleHigh),
          i32.and(i64.eq(restHigh.get, doubleHigh), i64.gt_u(restLow.get, doubleLow)),
        );
        c.brIf(done, i32.eqz(exceeds));
        c.set(root, i64.add(root.get, 1));
        remainder();
        c.br(again);
      });
    });
    // (root + 1/2)² = root² + root + 1/4, so above one half means a remainder above root.
    const some = i64.select(
      i32.or(i64.ne(restHigh.get, 0), i64.gt_u(restLow.get, root.get)),
      TOP | 1n,
      1n << 62n,
    );
    const exact = i64.eqz(i64.or(restHigh.get, restLow.get));
    c.return(i32.shr_s(exponent, 1), root.get, i64.select(exact, 0, some));
  });
}
