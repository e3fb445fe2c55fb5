/**
 * Flags of additions and subtractions that are put off beyond the code that sets them: the first operand, the result, and
 * of what kind the operation was are kept, in locals of a region or, from one region to the next, in the vCPU's state. The
 * second operand is their distance.
 */
import type { Code } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import { P, S } from '../private.ts';

/** Bits of the kind, which is 0 where the two flag words are what they should be; from `shift` on 64 less the operands'
 * bits. */
export const LateKind = { Late: 1, Subtraction: 2, KeepsCarry: 4, shift: 8 } as const;

/** What is kept: the flag words of flags.ts, of which `result` is true already and `carries` has the carry where the kind
 * keeps it, and the rest. */
export interface LateFlags {
  readonly result: I64;
  readonly carries: I32;
  readonly first: I64;
  readonly kind: I32;
}

/** The second flag word of flags that are late (the kind not being 0). */
export function lateCarries(c: Code, { result, carries, first, kind }: LateFlags): I32 {
  const subtraction = c.let(i32.and(kind, LateKind.Subtraction));
  const b = c.let(i64.select(subtraction, i64.sub(first, result), i64.sub(result, first)));
  const x = c.let(i64.select(subtraction, i64.xor(first, -1), first));
  const y = c.let(i64.select(subtraction, result, i64.xor(result, -1)));
  const all = c.let(i64.or(i64.and(x, b), i64.and(i64.or(x, b), y)));
  const top = i64.shl(all, i64.extend_u(i32.shr_u(kind, LateKind.shift)));
  const high = i32.and(i32.wrap(i64.shr_u(top, 32)), 0xc000_0000 | 0);
  const aux = c.let(i32.or(high, i32.and(i32.wrap(all), 8)));
  // OF is bit 31 ^ bit 30: where CF is kept, both change.
  const differs = c.let(i32.shr_u(i32.xor(aux, carries), 31));
  const kept = i32.xor(aux, i32.or(i32.shl(differs, 31), i32.shl(differs, 30)));
  return i32.select(i32.and(kind, LateKind.KeepsCarry), kept, aux);
}

/** Computes late flags of the vCPU's state, for whoever looks at them there. */
export function settleFlags(c: Code, cpu: I32): void {
  const kind = c.let(i32.load(cpu, P.flagsKind));
  c.if(kind, () => {
    const late = {
      result: c.let(i64.load(cpu, S.flagsRes)),
      carries: c.let(i32.load(cpu, S.flagsAux)),
      first: c.let(i64.load(cpu, P.flagsFirst)),
      kind,
    };
    c.store('i32', cpu, lateCarries(c, late), S.flagsAux);
    c.store('i32', cpu, 0, P.flagsKind);
  });
}
