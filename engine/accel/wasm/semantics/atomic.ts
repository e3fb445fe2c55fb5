/** Read, compute, write as one step, as far as other vCPUs can see. Intel SDM 3A, 9.1.2. */
import type { Expr, I32, I64 } from '../emit/expr.ts';
import { i32, i64 } from '../emit/expr.ts';
import type { Env } from './env.ts';
import type { Size } from './form.ts';

/**
 * The locked form of {@link Env.modify} at a host address from a 'lock' access. Where that is the bounce buffer,
 * or not aligned, nobody is there to see the parts: see GuestAccess.slow.
 *
 * @param compute from the old value (bound) to the new one; may be encoded more than once
 * @returns the old value, bound
 */
export function atomicModify(e: Env, address: I32, size: Size, compute: (old: Expr) => Expr): Expr {
  const c = e.c;
  const type = size === 8 ? 'i64' : 'i32';
  const old = c.local(type);
  const plain = () => {
    c.set(old, e.loadHost(address, size) as Expr<typeof type>);
    e.storeHost(address, size, compute(old.get));
  };
  const locked = () => {
    c.set(old, e.loadHost(address, size) as Expr<typeof type>);
    c.loop((again) => {
      const found = c.let(compareExchange(address, size, old.get, compute(old.get)));
      const same = size === 8 ? i64.eq(found as I64, old.get as I64) : i32.eq(found as I32, old.get as I32);
      const isSame = c.let(same);
      c.set(old, found as Expr<typeof type>);
      c.brIf(again, i32.eqz(isSame));
    });
    e.finishHeld();
  };
  const unaligned = size === 1 ? e.bounced(address) : i32.or(i32.and(address, size - 1), e.bounced(address));
  c.if(unaligned, plain, locked, 'unlikely');
  return old.get;
}

/** Atomic compare-exchange on an aligned host address; the value found, zero-extended. */
function compareExchange(address: I32, size: Size, expected: Expr, value: Expr): Expr {
  if (size === 8) return i64.atomic.cmpxchg(address, expected as I64, value as I64);
  const mask = size === 1 ? 0xff : 0xffff;
  // The narrow forms compare zero-extended operands.
  const narrow = (e: Expr) => (size === 4 ? (e as I32) : i32.and(e as I32, mask));
  return i32.atomic.cmpxchg(size, address, narrow(expected), narrow(value));
}
