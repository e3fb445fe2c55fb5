/**
 * Walks of the page tables by emitted code, for what the TLB has nothing for: 4-level and 5-level paging, where the walk comes to RAM,
 * finds all accessed and dirty bits set, and no fault. All else is left to `system/mmu.ts`, which says in `PAGE_WALK`
 * (`private.ts`) whether and with what this may be done, and does the same.
 *
 * Intel SDM 3A, 4.5 and 4.6.
 */
import type { Code, Func, Label } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import type { ModuleBuilder } from '../emit/module.ts';
import {
  P,
  PAGE_WALK,
  RAM_WINDOWS,
  SlowInfo,
  TLB_ENTRY,
  TLB_FILL,
  TLB_FILLS,
  TLB_GLOBAL,
} from '../private.ts';
import { vcpuLayout } from '../../../vcpu/state.ts';
import { copyEntry, noPageTag, stlbEntry, tlbEntry } from '../semantics/tlb-entry.ts';
import {
  FRAME_BITS,
  HUGE_PAGE_SHIFT,
  LARGE_PAGE_SHIFT,
  PTE,
  PTE_XD,
  RESERVED_BITS,
} from '../system/paging-bits.ts';
import { noteInFilter } from './code-place.ts';

const PAGE = 4096;

/** Emits the function that finds where a guest-physical page lies: (walk, page) → host address, 0 where it is not RAM that
 * `PAGE_WALK` names. */
export function addRamPlace(m: ModuleBuilder): Func {
  return m.function(['i32', 'i32'], ['i32'], (c) => {
    const [walk, page] = [c.param('i32', 0).get, c.param('i32', 1).get];
    for (let n = 0; n < RAM_WINDOWS; n++) {
      const window = PAGE_WALK.windows + 12 * n;
      const within = c.let(i32.sub(page, i32.load(walk, window)));
      c.if(i32.lt_u(within, i32.load(walk, window + 4)), () =>
        c.return(i32.add(i32.load(walk, window + 8), i32.shl(within, 12))),
      );
    }
    c.return(i32.const(0));
  });
}

/** Access to code, for which there is no `SlowInfo`. */
export const FETCH = 'fetch';

/**
 * Walks for an access and puts what is found into the TLB in use, as `Mmu.translate` does; comes to its end where that has to.
 *
 * @param ramPlace of {@link addRamPlace}
 * @param linear its address, bound
 * @param access `SlowInfo`, without a lock, or that code is fetched
 * @param found emits what is done then, given the host address
 */
export function walkPages(
  c: Code,
  cpu: I32,
  ramPlace: Func,
  linear: I64,
  access: I32 | typeof FETCH,
  found: (host: I32) => void,
): void {
  c.block((ask) => {
    const walk = c.let(i32.load(cpu, P.pageWalk));
    c.brIf(ask, i32.eqz(walk));
    const write = access === FETCH ? undefined : c.let(i32.and(access, SlowInfo.write));
    const low = c.let(i32.wrap(linear));
    if (access !== FETCH && write !== undefined) {
      c.brIf(ask, i32.and(i32.ne(write, 0), i32.eqz(i32.load(walk, PAGE_WALK.writes))));
      // On one page.
      const end = i32.add(i32.and(low, PAGE - 1), i32.and(access, SlowInfo.bytes));
      c.brIf(ask, i32.gt_u(end, PAGE));
    }
    // At a canonical address.
    const wide = c.let(i32.load(walk, PAGE_WALK.wide));
    const top = i64.shr_s(linear, i64.extend_u(i32.select(wide, 56, 47)));
    c.brIf(ask, i64.gt_u(i64.add(top, 1), 1));
    c.brIf(ask, i32.gt_u(i32.load(i32.load(walk, PAGE_WALK.fills)), TLB_FILLS - 4));

    const place = (address: I64): I32 => {
      const page = i32.wrap(i64.shr_u(i64.and(address, FRAME_BITS), 12));
      const host = c.let(c.call('i32', ramPlace, walk, page));
      c.brIf(ask, i32.eqz(host));
      return host;
    };
    const entry = c.local('i64');
    const rights = c.local('i64');
    const frame = c.local('i64');
    c.set(entry, i64.load(cpu, vcpuLayout.offset.cr3));
    c.set(rights, i64.const(-1n));
    /** Goes by the entry of a level of tables (1 … 5) to the next. */
    const step = (level: number): void => {
      const table = place(entry.get);
      const index = i32.and(i32.wrap(i64.shr_u(linear, 3 + 9 * level)), 511);
      c.set(entry, i64.load(i32.add(table, i32.shl(index, 3))));
      // EFER.NXE is set, or nothing would be walked here.
      const denied = access === FETCH ? RESERVED_BITS | PTE_XD : RESERVED_BITS;
      const looked = i64.and(entry.get, BigInt(PTE.P | PTE.A) | denied);
      c.brIf(ask, i64.ne(looked, BigInt(PTE.P | PTE.A)));
      c.set(rights, i64.and(rights.get, entry.get));
      if (level >= 4) c.brIf(ask, i32.and(i32.wrap(entry.get), PTE.PS));
    };
    c.block((leaf) => {
      c.if(wide, () => step(5));
      step(4);
      for (const level of [3, 2]) {
        step(level);
        largeLeaf(c, { linear, entry: entry.get, level, walk, ask, leaf, frame });
      }
      step(1);
      c.set(frame, entry.get);
    });
    const tlb = c.let(i32.load(cpu, P.tlb));
    const all = c.let(i32.wrap(rights.get));
    const last = c.let(i32.wrap(entry.get));
    // A supervisor comes to a user's page where no SMAP keeps it from that, a user to no other. It may run code there where no
    // SMEP does, of which nothing is known here.
    const user = c.let(i32.eq(tlb, i32.load(cpu, P.tlbUser)));
    const reached = access === FETCH ? user : i32.or(user, i32.eq(tlb, i32.load(cpu, P.tlbSupervisorAc)));
    c.brIf(ask, i32.eqz(i32.select(i32.and(all, PTE.U), reached, i32.eqz(user))));
    const host = place(frame.get);
    const admit = (): void => {
      c.brIf(ask, i32.eqz(i32.and(all, PTE.W)));
      c.brIf(ask, i32.eqz(i32.and(last, PTE.D)));
      const number = c.let(i32.shr_u(host, 12));
      // Nobody has decoded code there, and nobody logs what is written.
      const owners = i64.load(i32.add(i32.load(walk, PAGE_WALK.code), i32.shl(number, 3)));
      c.brIf(ask, i64.ne(owners, 0));
      const logged = c.let(i32.sub(number, i32.load(walk, PAGE_WALK.firstLogged)));
      const word = i32.add(i32.load(walk, PAGE_WALK.logged), i32.shl(i32.shr_u(logged, 5), 2));
      c.brIf(ask, i32.and(i32.shr_u(i32.load(word), i32.and(logged, 31)), 1));
    };
    if (write !== undefined) c.if(write, admit);
    const global = c.let(i32.select(i32.and(last, i32.load(walk, PAGE_WALK.global)), TLB_GLOBAL, 0));
    fill(c, { tlb, walk, linear, write, host, global, ask });
    // As whoever else makes the access does.
    if (access !== FETCH) c.store('i32', cpu, 0, P.slowExtent);
    found(i32.add(host, i32.and(low, PAGE - 1)));
  });
}

interface Leaf {
  readonly linear: I64;
  readonly entry: I64;
  readonly level: number;
  readonly walk: I32;
  readonly ask: Label;
  readonly leaf: Label;
  readonly frame: { readonly get: I64 } & Parameters<Code['set']>[0];
}

/** Ends the walk where the entry is that of a large page. */
function largeLeaf(c: Code, { linear, entry, level, walk, ask, leaf, frame }: Leaf): void {
  const shift = level === 2 ? LARGE_PAGE_SHIFT : HUGE_PAGE_SHIFT;
  const size = 2n ** BigInt(shift);
  c.if(i32.and(i32.wrap(entry), PTE.PS), () => {
    // The address bits below its size, bar PAT (bit 12), are reserved.
    c.brIf(ask, i64.ne(i64.and(entry, size - 0x2000n), 0));
    c.set(frame, i64.or(i64.and(entry, -size), i64.and(linear, size - 0x1000n)));
    const filter = i32.load(walk, level === 2 ? PAGE_WALK.largePages : PAGE_WALK.hugePages);
    noteInFilter(c, filter, linear, shift);
    c.br(leaf);
  });
}

interface Fill {
  readonly tlb: I32;
  readonly walk: I32;
  readonly linear: I64;
  /** Not 0 where it is to be written; undefined where it is code. */
  readonly write: I32 | undefined;
  /** Of the page. */
  readonly host: I32;
  readonly global: I32;
  readonly ask: Label;
}

/** Fills the entry of a page, and what else of both levels that concerns: see `Tlbs.keep` and `Mmu.translate`. */
function fill(c: Code, { tlb, walk, linear, write, host, global, ask }: Fill): void {
  const low = c.let(i32.wrap(linear));
  const page = c.let(i64.and(linear, -PAGE));
  const addend = c.let(i32.sub(host, i32.wrap(page)));
  const at = c.let(i32.add(tlb, tlbEntry(low)));
  const fills = c.let(i32.load(walk, PAGE_WALK.fills));
  const note = (entry: I32, isGlobal: I32): void => {
    const count = c.let(i32.load(fills));
    c.store('i32', i32.add(fills, i32.shl(count, 2)), i32.or(entry, isGlobal), TLB_FILL);
    c.store('i32', fills, i32.add(count, 1));
  };
  const second = (of: I64): I32 =>
    c.let(i32.add(tlb, stlbEntry(c.let(i32.wrap(of)), c.let(i32.wrap(i64.shr_u(of, 32))))));
  const isOf = (entry: I32): I32 =>
    i32.or(i64.eq(i64.load(entry, TLB_ENTRY.read), page), i64.eq(i64.load(entry, TLB_ENTRY.fetch), page));
  const shared = c.local('i32');
  c.set(shared, i32.const(0));
  c.if(
    isOf(at),
    () => c.brIf(ask, i32.ne(i32.load(at, TLB_ENTRY.addend), addend)),
    () => {
      const isHere = (tag: I64): I32 => i32.eq(i32.add(tlb, tlbEntry(c.let(i32.wrap(tag)))), at);
      const read = c.let(i64.load(at, TLB_ENTRY.read));
      const other = c.let(i64.select(isHere(read), read, i64.load(at, TLB_ENTRY.fetch)));
      c.if(isHere(other), () => {
        const place = second(other);
        copyEntry(c, place, at, other);
        note(place, i32.and(i32.load(at, TLB_ENTRY.flags), TLB_GLOBAL));
        c.set(shared, i32.const(1));
      });
      const none = c.let(i64.extend_u(noPageTag(at)));
      c.store('i64', at, none, TLB_ENTRY.write);
      c.store('i64', at, none, write === undefined ? TLB_ENTRY.read : TLB_ENTRY.fetch);
    },
  );
  c.store('i64', at, page, write === undefined ? TLB_ENTRY.fetch : TLB_ENTRY.read);
  if (write !== undefined) c.if(write, () => c.store('i64', at, page, TLB_ENTRY.write));
  c.store('i32', at, addend, TLB_ENTRY.addend);
  c.store('i32', at, global, TLB_ENTRY.flags);
  note(at, global);
  const place = second(linear);
  // What the second level has of the page may be from before its tables were changed.
  c.if(i32.or(shared.get, isOf(place)), () => {
    copyEntry(c, place, at, page);
    note(place, global);
  });
}
