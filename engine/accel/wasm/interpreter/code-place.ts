/** Code found by where its bytes lie, without asking TypeScript: see `CODE_PLACE` in `private.ts`. */
import type { Code, Func } from '../emit/code.ts';
import { i32, i64, v128, type I32, type I64 } from '../emit/expr.ts';
import {
  CODE_PLACE, CODE_PLACE_BYTES, JUMP_ENTRY, JUMP_FACTOR, OTHER_JUMPS, P, PLACE_HANDLER_SHIFT, PLACE_LINE_BITS, PLACE_LINE_BYTES, REC,
  REGION_TAG, REGION_TAG_BYTES, TAG_MODE, TAG_RECORD, TLB_ENTRY, TLB_GLOBAL,
} from '../private.ts'; // prettier-ignore
import { firstEntry, isTagInUse, tagOf } from '../semantics/jump-entry.ts';
import { tlbEntry } from '../semantics/tlb-entry.ts';
import { PAGE_FILTER_BYTES, PAGE_FILTER_FOLD } from '../system/page-filter.ts';
import { Fixed } from './forms.ts';

/** Byte offset of the line in which code at a (bound) host address is looked for first. */
const firstPlaces = (host: I32): I32 => placeLine(i32.shr_u(host, Math.log2(PLACE_LINE_BYTES)));

/** The same of the line after that. */
const secondPlaces = (host: I32): I32 => placeLine(host);

const placeLine = (of: I32): I32 =>
  i32.mul(i32.shr_u(i32.mul(of, JUMP_FACTOR), 32 - PLACE_LINE_BITS), PLACE_LINE_BYTES);

/** Notes the stretch of 2^`shift` bytes of a linear address in a `PageFilter`. */
export function noteInFilter(c: Code, filter: I32, linear: I64, shift: number): void {
  const number = c.let(i32.wrap(i64.shr_u(linear, shift)));
  const slot = c.let(i32.xor(number, i32.shr_u(number, PAGE_FILTER_FOLD)));
  const byte = c.let(i32.add(filter, i32.and(i32.shr_u(slot, 3), PAGE_FILTER_BYTES - 1)));
  c.store('i32_8', byte, i32.or(i32.load8_u(byte), i32.shl(1, i32.and(slot, 7))));
}

/** Puts an entry into the jump cache as `JumpCache.put` does. */
function putJump(c: Code, cpu: I32, rip: I64, where: I32, tag: I32): void {
  const entry = c.let(i32.add(i32.load(cpu, P.jumpCache), firstEntry(c.let(i32.wrap(rip)))));
  /** Makes room for another at a place in the line. */
  const makeRoom = (at: I32, [bits, ...others]: readonly number[]): void => {
    if (bits === undefined) return;
    c.if(isTagInUse(cpu, c.let(tagOf(at))), () => {
      const next = c.let(i32.xor(entry, bits));
      makeRoom(next, others);
      c.store('v128', next, v128.load(at));
    });
  };
  c.if(i64.ne(i64.load(entry, JUMP_ENTRY.linear), rip), () => makeRoom(entry, OTHER_JUMPS));
  c.store('i64', entry, rip, JUMP_ENTRY.linear);
  c.store('i32', entry, where, JUMP_ENTRY.where);
  c.store('i32', entry, tag, JUMP_ENTRY.tag);
}

/**
 * Looks for the code at a RIP by where its bytes lie, and puts it into the jump cache. Outside 64-bit mode nothing is found,
 * as no entry has another mode.
 *
 * @param rip bound
 * @param parts `handlers` of tier 0, those from there on are regions', and what has the TLB come to have a page
 * @param found emits what is done with its record
 */
export function findByPlace(
  c: Code,
  cpu: I32,
  rip: I64,
  { handlers, fetchPage }: { readonly handlers: number; readonly fetchPage: Func },
  found: (record: I32) => void,
): void {
  c.block((missing) => {
    const tlb = c.let(i32.add(i32.load(cpu, P.tlb), tlbEntry(c.let(i32.wrap(rip)))));
    const page = c.let(i64.and(rip, -4096));
    c.unlikely(i64.ne(i64.load(tlb, TLB_ENTRY.fetch), page), () =>
      c.brIf(missing, i32.eqz(c.call('i32', fetchPage, cpu, rip))),
    );
    const host = c.let(i32.add(i32.wrap(rip), i32.load(tlb, TLB_ENTRY.addend)));
    const tagLocal = c.let(i32.load(cpu, P.tagLocal));
    const mode = i64.shl(i64.extend_u(i32.and(tagLocal, TAG_MODE)), 8 * CODE_PLACE.mode);
    const sought = c.let(i64.or(i64.extend_u(host), mode));
    const places = c.let(i32.load(cpu, P.codePlaces));
    const at = c.local('i32');
    c.block((here) => {
      for (const line of [firstPlaces(host), secondPlaces(host)]) {
        c.set(at, i32.add(places, line));
        for (let n = 0; n < PLACE_LINE_BYTES / CODE_PLACE_BYTES; n++) {
          if (n > 0) c.set(at, i32.add(at.get, CODE_PLACE_BYTES));
          c.brIf(here, i64.eq(i64.load(at.get, CODE_PLACE.host), sought));
        }
      }
      c.br(missing);
    });
    const place = at.get;
    const record = c.let(i32.load(place, CODE_PLACE.record));
    const handler = c.let(i32.load(record, REC.handler));
    c.brIf(missing, i32.eq(handler, Fixed.Stale));
    const global = c.let(i32.and(i32.load(tlb, TLB_ENTRY.flags), TLB_GLOBAL));
    const where = c.local('i32');
    const tag = c.local('i32');
    c.set(tag, i32.select(global, i32.load(cpu, P.tagGlobal), tagLocal));
    c.if(
      i32.lt_u(handler, handlers),
      () => {
        c.set(where, record);
        c.set(tag, i32.or(tag.get, TAG_RECORD));
      },
      () => {
        c.set(where, handler);
        const region = c.let(i32.load(place, CODE_PLACE.region));
        c.if(region, () => {
          // All its pages are known to lie as they did since its tag is in use.
          const number = i32.and(region, 2 ** PLACE_HANDLER_SHIFT - 1);
          const seen = c.let(i32.add(i32.load(cpu, P.regionTags), i32.mul(number, REGION_TAG_BYTES)));
          c.brIf(missing, i64.ne(i64.load(seen, REGION_TAG.codePage), page));
          const known = c.let(i32.load(seen, REGION_TAG.tag));
          c.brIf(missing, i32.eqz(isTagInUse(cpu, known)));
          c.set(tag, known);
          c.set(where, i32.shr_u(region, PLACE_HANDLER_SHIFT));
        });
      },
    );
    // Its entry depends on where the page lies.
    noteInFilter(c, i32.select(global, i32.load(cpu, P.globalPages), i32.load(cpu, P.localPages)), rip, 12);
    putJump(c, cpu, rip, where.get, tag.get);
    found(record);
  });
}
