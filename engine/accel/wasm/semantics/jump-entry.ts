/** Where emitted code looks in the jump cache: see `private.ts` for what is where. */
import { i32, type I32 } from '../emit/expr.ts';
import {
  JUMP_ENTRIES, JUMP_ENTRY_BYTES, JUMP_FACTOR, JUMP_IN_LINE, JUMP_LINE_BITS, JUMP_LINE_SHIFT, JUMP_SHIFT, RETURN_SITES,
} from '../private.ts'; // prettier-ignore

/** Byte offset of the entry in which a linear address, given by its low half, is looked for first. */
export function firstEntry(low: I32): I32 {
  const hash = i32.shr_u(i32.mul(i32.shr_u(low, JUMP_LINE_SHIFT), JUMP_FACTOR), 32 - JUMP_LINE_BITS);
  return i32.or(i32.shl(hash, JUMP_LINE_SHIFT), i32.and(low, JUMP_IN_LINE));
}

/** The same of the entry after that. */
export function secondEntry(low: I32): I32 {
  const hash = i32.and(i32.xor(low, i32.shr_u(low, JUMP_SHIFT)), JUMP_ENTRIES - 1);
  return i32.mul(i32.add(hash, JUMP_ENTRIES), JUMP_ENTRY_BYTES);
}

/** Byte offset among the return sites of that of a return address, by the low half of the address where it lies. */
export const returnSite = (low: I32): I32 => i32.and(i32.shr_u(low, 1), 4 * (RETURN_SITES - 1));
