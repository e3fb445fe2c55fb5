/** Where emitted code looks in the jump cache: see `private.ts` for what is where. */
import { i32, type I32 } from '../emit/expr.ts';
import {
  JUMP_CODE_SHIFT, JUMP_ENTRY, JUMP_FACTOR, JUMP_IN_LINE, JUMP_LINE_BITS, JUMP_LINE_SHIFT, P, RETURN_SITES, TAG_RECORD,
} from '../private.ts'; // prettier-ignore

/** Byte offset in the jump cache of the entry in which a (bound) linear address, given by its low half, is looked for first. */
export function firstEntry(low: I32): I32 {
  const hash = i32.shr_u(i32.mul(i32.shr_u(low, JUMP_CODE_SHIFT), JUMP_FACTOR), 32 - JUMP_LINE_BITS);
  const inLine = i32.and(i32.shl(low, JUMP_LINE_SHIFT - JUMP_CODE_SHIFT), JUMP_IN_LINE);
  return i32.or(i32.shl(hash, JUMP_LINE_SHIFT), inLine);
}

/** The tag of an entry at an address, whether it is that of a record or not. */
export const tagOf = (entry: I32): I32 => i32.and(i32.load(entry, JUMP_ENTRY.tag), ~TAG_RECORD);

/** Whether an entry at an address leads to a record, not to a region: 1 or 0. */
export const isRecord = (entry: I32): I32 =>
  i32.and(i32.shr_u(i32.load(entry, JUMP_ENTRY.tag), Math.log2(TAG_RECORD)), 1);

/** Whether a (bound) tag of an entry is one of the two in use. */
export const isTagInUse = (cpu: I32, tag: I32): I32 =>
  i32.or(i32.eq(tag, i32.load(cpu, P.tagLocal)), i32.eq(tag, i32.load(cpu, P.tagGlobal)));

/** Byte offset among the return sites of that of a return address, by the low half of the address where it lies. */
export const returnSite = (low: I32): I32 => i32.and(i32.shr_u(low, 1), 4 * (RETURN_SITES - 1));
