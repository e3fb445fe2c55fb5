/** Where emitted code looks in the TLB in use: see `private.ts` for what is where. */
import type { Code } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import {
  P, SlowInfo, STLB_AT, STLB_ENTRIES, STLB_FACTOR, STLB_FOLD, STLB_SPREAD, TLB_ENTRIES, TLB_ENTRY, TLB_ENTRY_BYTES,
} from '../private.ts'; // prettier-ignore

const SHIFT = 12 - Math.log2(TLB_ENTRY_BYTES);
const WRITE_SHIFT = Math.log2(SlowInfo.write / TLB_ENTRY.write);

/** Byte offset of the entry of a linear address, given by its low half. */
export const tlbEntry = (low: I32): I32 =>
  i32.and(i32.shr_u(low, SHIFT), (TLB_ENTRIES - 1) * TLB_ENTRY_BYTES);

/** The same in the second level, given by both (bound) halves. */
export function stlbEntry(low: I32, high: I32): I32 {
  const folded = i32.xor(i32.shr_u(low, 12), i32.shr_u(low, STLB_FOLD));
  const place = i32.xor(folded, i32.shr_u(i32.mul(high, STLB_FACTOR), STLB_SPREAD));
  return i32.add(i32.mul(i32.and(place, STLB_ENTRIES - 1), TLB_ENTRY_BYTES), STLB_AT);
}

/** The tag of no page in the entry at a (bound) address: see `noPage`. */
export const noPageTag = (entry: I32): I32 =>
  i32.shl(i32.xor(i32.and(entry, TLB_ENTRY_BYTES), TLB_ENTRY_BYTES), 7);

/** Copies what the entry at a (bound) address has of a (bound) page to another: tags of no page depend on where they are. */
export function copyEntry(c: Code, to: I32, from: I32, page: I64): void {
  const none = c.let(i64.extend_u(noPageTag(to)));
  for (const at of [TLB_ENTRY.read, TLB_ENTRY.write, TLB_ENTRY.fetch])
    c.store('i64', to, i64.select(i64.eq(i64.load(from, at), page), page, none), at);
  // And the flags behind it.
  c.store('i64', to, i64.load(from, TLB_ENTRY.addend), TLB_ENTRY.addend);
}

/** Whether the tag of an entry for an access is that of its page. @param access `SlowInfo` */
function isThere(entry: I32, linear: I64, access: I32): I32 {
  // A bit of the access says which tag.
  const tag = i64.load(
    i32.add(entry, i32.and(i32.shr_u(access, WRITE_SHIFT), TLB_ENTRY.write)),
    TLB_ENTRY.read,
  );
  const last = i64.extend_u(i32.sub(4096, i32.and(access, SlowInfo.bytes)));
  return i64.le_u(i64.xor(tag, linear), last);
}

/** Where an access (its linear address and `SlowInfo` bound) leads by the first level, or 0. */
export function look(c: Code, cpu: I32, linear: I64, access: I32): I32 {
  const low = c.let(i32.wrap(linear));
  const entry = c.let(i32.add(i32.load(cpu, P.tlb), tlbEntry(low)));
  return i32.select(isThere(entry, linear, access), i32.add(low, i32.load(entry, TLB_ENTRY.addend)), 0);
}

/**
 * Copies what the second level has for an access that the first has nothing for.
 *
 * @param linear its address, bound
 * @param access `SlowInfo`
 * @param found emits what is done then, given the host address
 */
export function refill(c: Code, cpu: I32, linear: I64, access: I32, found: (host: I32) => void): void {
  const low = c.let(i32.wrap(linear));
  const tlb = c.let(i32.load(cpu, P.tlb));
  const second = c.let(i32.add(tlb, stlbEntry(low, c.let(i32.wrap(i64.shr_u(linear, 32))))));
  c.if(isThere(second, linear, access), () => {
    const first = c.let(i32.add(tlb, tlbEntry(low)));
    copyEntry(c, first, second, c.let(i64.and(linear, -4096)));
    found(i32.add(low, i32.load(second, TLB_ENTRY.addend)));
  });
}

/** The same for code on a page, by a (bound) address there. */
export function refillFetch(c: Code, cpu: I32, linear: I64, found: () => void): void {
  const low = c.let(i32.wrap(linear));
  const page = c.let(i64.and(linear, -4096));
  const tlb = c.let(i32.load(cpu, P.tlb));
  const second = c.let(i32.add(tlb, stlbEntry(low, c.let(i32.wrap(i64.shr_u(linear, 32))))));
  c.if(i64.eq(i64.load(second, TLB_ENTRY.fetch), page), () => {
    copyEntry(c, c.let(i32.add(tlb, tlbEntry(low))), second, page);
    found();
  });
}
