/** How emitted code goes on at an address by way of the jump cache (jump-cache.ts). */
import { Seg } from '../../../vcpu/state.ts';
import type { Code } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import { JUMP_ENTRY, P, S } from '../private.ts';

/** Where a jump goes, all bound. */
export interface JumpTo {
  readonly cpu: I32;
  readonly rip: I64;
  /** RIP plus the base of CS. */
  readonly linear: I64;
  readonly budget: I32;
}

/** The linear address of a RIP. Bound. */
export const linearOf = (c: Code, cpu: I32, rip: I64): I64 =>
  c.let(i64.add(rip, i64.load(cpu, S.segBase + 8 * Seg.CS)));

/** Whether a jump-cache entry is that of a linear address, and valid. */
export function isEntryOf(c: Code, cpu: I32, entry: I32, linear: I64): I32 {
  const tag = c.let(i32.load(entry, JUMP_ENTRY.tag));
  const valid = i32.or(i32.eq(tag, i32.load(cpu, P.tagLocal)), i32.eq(tag, i32.load(cpu, P.tagGlobal)));
  return i32.and(valid, i64.eq(linear, i64.load(entry, JUMP_ENTRY.linear)));
}

/** Says that the code that is run now may be on another page. */
export function enterPage(c: Code, cpu: I32, rip: I64): void {
  c.store('i64', cpu, i64.and(rip, i64.load(cpu, P.codeMask)), P.codePage);
}

/**
 * Goes on where a jump leads, if that is what a jump-cache entry has.
 *
 * @param handlerType index of the handlers' signature
 * @param enter goes on at a record
 * @param region told of an entry that leads to a region
 */
export function enterBy(
  c: Code,
  { cpu, rip, linear, budget }: JumpTo,
  entry: I32,
  handlerType: number,
  enter: (record: I32) => void,
  region = (): void => {},
): void {
  const found = isEntryOf(c, cpu, entry, linear);
  const go = () => {
    const where = c.let(i32.load(entry, JUMP_ENTRY.where));
    enterPage(c, cpu, rip);
    c.if(i32.and(where, 1), () => {
      region();
      // For whoever finds the region gone: see `run`.
      c.store('i64', cpu, rip, S.rip);
      c.returnCallIndirect(handlerType, i32.shr_u(where, 1), cpu, i32.const(0), budget);
    });
    enter(where);
  };
  c.if(found, go, undefined, 'likely');
}
