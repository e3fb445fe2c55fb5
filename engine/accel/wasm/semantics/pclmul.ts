/** PCLMULQDQ: products of polynomials over GF(2). Intel SDM volume 1, 12.13.4; volume 2, PCLMULQDQ. */
import type { Func } from '../emit/code.ts';
import { i64, i64x2, type I64, type V128 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import { define } from './registry.ts';
import { element64, field, helper, imm8 } from './sse-operand.ts';

/** Every fourth bit, from bit `n` modulo 4 on. */
const everyFourth = (n: number): bigint => BigInt.asUintN(64, 0x1111_1111_1111_1111n << BigInt(n & 3));

/**
 * (a, b) → product, of 32-bit polynomials in i64s. Of factors with every fourth bit at most, a multiplication of
 * integers adds no more than eight bits in one place, so its carries stay below the next bit that counts.
 */
function addProduct(m: ModuleBuilder): Func {
  return m.function(['i64', 'i64'], ['i64'], (c) => {
    const parts = (of: I64): I64[] => [0, 1, 2, 3].map((n) => c.let(i64.and(of, everyFourth(n))));
    const a = parts(c.param('i64', 0).get);
    const b = parts(c.param('i64', 1).get);
    const sums = [0, 1, 2, 3].map((n) => {
      const products = a.map((part, i) => i64.mul(part, b[(n - i) & 3]));
      return i64.and(products.reduce(i64.xor), everyFourth(n));
    });
    c.return(sums.reduce(i64.or));
  });
}

/** Adds `pclmul`: (a, b) → product of 64-bit polynomials, by three of half the width (Karatsuba). */
export function addPclmulLibrary(m: ModuleBuilder): Map<string, Func> {
  const half = addProduct(m);
  const product = m.function(['i64', 'i64'], ['v128'], (c) => {
    const [a, b] = [c.param('i64', 0).get, c.param('i64', 1).get];
    const low = (v: I64): I64 => i64.and(v, 0xffff_ffffn);
    const high = (v: I64): I64 => i64.shr_u(v, 32);
    const times = (x: I64, y: I64): I64 => c.let(c.call('i64', half, x, y));
    const lows = times(low(a), low(b));
    const highs = times(high(a), high(b));
    const all = times(i64.xor(low(a), high(a)), i64.xor(low(b), high(b)));
    const middle = c.let(i64.xor(all, i64.xor(lows, highs)));
    const result = i64x2.splat(i64.xor(lows, i64.shl(middle, 32)));
    c.return(i64x2.replace(result, 1, i64.xor(highs, high(middle))));
  });
  return new Map([['pclmul', product]]);
}

/** The product of the halves of the operands that imm[0] and imm[4] choose. */
define('pclmulqdq', (e) => {
  const [target, operand] = e.operands;
  const imm = imm8(e);
  const b = e.readV(operand);
  const a = e.readV(target);
  const half = (v: V128, bit: number): I64 => element64(v, field(imm, bit, 1));
  e.writeV(target, e.c.call('v128', helper(e, 'pclmul'), half(a, 0), half(b, 4)));
});
