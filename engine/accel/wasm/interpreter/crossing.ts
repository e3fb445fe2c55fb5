/** Reads that touch two pages, by emitted code: see `GuestAccess.slow`, which has all others. */
import type { Code } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import { P, SlowInfo, TLB_ENTRY } from '../private.ts';
import { tlbEntry } from '../semantics/tlb-entry.ts';

const PAGE = 4096;

/**
 * Copies what is read from both pages to the bounce buffer, where the TLB's first level has both; comes to its end where it
 * has not, or the access is another.
 *
 * @param linear its address, bound
 * @param access `SlowInfo`
 * @param found emits what is done then, given the address of the bounce buffer
 */
export function readAcross(c: Code, cpu: I32, linear: I64, access: I32, found: (host: I32) => void): void {
  c.block((ask) => {
    const bytes = c.let(i32.and(access, SlowInfo.bytes));
    const low = c.let(i32.wrap(linear));
    const first = c.let(i32.sub(PAGE, i32.and(low, PAGE - 1)));
    c.brIf(ask, i32.or(i32.and(access, SlowInfo.write), i32.ge_u(first, bytes)));
    const tlb = c.let(i32.load(cpu, P.tlb));
    const entry = c.let(i32.add(tlb, tlbEntry(low)));
    c.brIf(ask, i64.ne(i64.load(entry, TLB_ENTRY.read), i64.and(linear, -PAGE)));
    const next = c.let(i64.add(linear, i64.extend_u(first)));
    const nextLow = c.let(i32.wrap(next));
    const nextEntry = c.let(i32.add(tlb, tlbEntry(nextLow)));
    c.brIf(ask, i64.ne(i64.load(nextEntry, TLB_ENTRY.read), next));
    const host = c.let(i32.add(low, i32.load(entry, TLB_ENTRY.addend)));
    // What lies on the second page, as if it followed.
    const behind = c.let(i32.sub(i32.add(nextLow, i32.load(nextEntry, TLB_ENTRY.addend)), first));
    const bounce = c.let(i32.add(cpu, P.bounce));
    const at = c.local('i32');
    c.set(at, i32.const(0));
    c.loop((again) => {
      const from = i32.add(i32.select(i32.lt_u(at.get, first), host, behind), at.get);
      c.store('i32_8', i32.add(bounce, at.get), i32.load8_u(from));
      c.set(at, i32.add(at.get, 1));
      c.brIf(again, i32.lt_u(at.get, bytes));
    });
    // As whoever else makes the access does.
    c.store('i32', cpu, 0, P.slowExtent);
    found(bounce);
  });
}
