/** PCLMULQDQ: products of polynomials over GF(2). Intel SDM volume 1, 12.13.4; volume 2, PCLMULQDQ. */
import { i64, i64x2, i32, type I64, type V128 } from '../emit/expr.ts';
import { define } from './env.ts';
import { imm8 } from './sse-operand.ts';

/** The product of the halves of the operands that imm[0] and imm[4] choose. */
define('pclmulqdq', (e) => {
  const c = e.c;
  const [target, operand] = e.operands;
  const imm = imm8(e);
  const y = e.readV(operand);
  const x = e.readV(target);
  const half = (v: V128, bit: number): I64 =>
    c.let(i64.select(i32.and(imm, 1 << bit), i64x2.extract(v, 1), i64x2.extract(v, 0)));
  const a = half(x, 0);
  const rest = c.var('i64', half(y, 4));
  const low = c.var('i64', 0);
  const high = c.var('i64', 0);
  // One round for each bit set in the multiplier.
  c.block((done) => {
    c.loop((again) => {
      c.brIf(done, i64.eqz(rest.get));
      const at = c.let(i64.ctz(rest.get));
      c.set(low, i64.xor(low.get, i64.shl(a, at)));
      // In two steps, so that a shift by 64 is one.
      c.set(high, i64.xor(high.get, i64.shr_u(i64.shr_u(a, 1), i64.sub(63, at))));
      c.set(rest, i64.and(rest.get, i64.sub(rest.get, 1)));
      c.br(again);
    });
  });
  e.writeV(target, i64x2.replace(i64x2.splat(low.get), 1, high.get));
});
