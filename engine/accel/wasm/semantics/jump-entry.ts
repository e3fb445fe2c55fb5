/** Where emitted code looks in the jump cache: see `private.ts` for what is where. */
import { i32, type I32 } from '../emit/expr.ts';
import {
  JUMP_ENTRIES, JUMP_ENTRY, JUMP_ENTRY_BYTES, JUMP_FACTOR, JUMP_IN_LINE, JUMP_LINE_BITS, JUMP_LINE_SHIFT, JUMP_SHIFT, P, RETURN_SITES,
  TAG_RECORD,
} from '../private.ts'; // prettier-ignore

/** Byte offset of the entry of a (bound) address in a table of 2^`bits` lines. */
export function lineEntry(address: I32, bits: number): I32 {
  const hash = i32.shr_u(i32.mul(i32.shr_u(address, JUMP_LINE_SHIFT), JUMP_FACTOR), 32 - bits);
  return i32.or(i32.shl(hash, JUMP_LINE_SHIFT), i32.and(address, JUMP_IN_LINE));
}

/** Byte offset of the entry in which a linear address, given by its low half, is looked for first. */
export const firstEntry = (low: I32): I32 => lineEntry(low, JUMP_LINE_BITS);

/** The same of the entry after that. */
export function secondEntry(low: I32): I32 {
  const hash = i32.and(i32.xor(low, i32.shr_u(low, JUMP_SHIFT)), JUMP_ENTRIES - 1);
  return i32.mul(i32.add(hash, JUMP_ENTRIES), JUMP_ENTRY_BYTES);
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
