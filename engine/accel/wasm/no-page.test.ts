/** What entries of the TLB hold that are of no page is no page's: an access there is not taken for one that is known. */
import { expect, test } from 'vitest';
import { ExitReason } from '../contract.ts';
import { bareMachine, type BareMachine, DATA, MIB, NO_INTERRUPTS, TABLES } from './bare-machine.ts';
import { noPage, STLB_AT, STLB_ENTRIES, stlbPlace, TLB_ENTRIES, TLB_ENTRY_BYTES } from './private.ts';

test('the tag of no page is of a page that belongs elsewhere', () => {
  for (let n = 0; n < TLB_ENTRIES + STLB_ENTRIES; n++) {
    const page = noPage(n * TLB_ENTRY_BYTES);
    const elsewhere = n < TLB_ENTRIES ? page >>> 12 : STLB_AT / TLB_ENTRY_BYTES + stlbPlace(page, 0);
    expect(elsewhere).not.toBe(n);
  }
});

const LAST = 0xffff_ffff_ffff_f000n;
/** In entries that have been used or never, next to what their tags are, or with the same low half; one goes on to the next
 * page. */
const ADDRESSES = [
  0n, 0xff8n, 0xffcn, LAST, LAST + 0xff8n, LAST - 4096n, 0xffff_ffff_0000_0000n, 0xffff_ffff_0000_1000n, 0x1_0000_0000n,
  0x1_0000_1000n, BigInt(16 * MIB), BigInt(16 * MIB + 4096),
]; // prettier-ignore
const NOT_CANONICAL = [0x8000_0000_0000_0000n, 0x8000_0000_0000_1000n, 0x7fff_ffff_ffff_f000n];
const TIERS = ['0', '1', 'eager'] as const;
const WRITES = [false, true];
const CASES = TIERS.flatMap((tier) => WRITES.map((write) => [tier, write] as const));
const CODE = 0x3000;
/** For tables of those pages, and what is mapped there for a while. */
const MORE_TABLES = 0x50_0000;
const FRAME = 0x60_0000;

/** Guest-physical address of a page's entry in the tables, which are made for it where there are none. */
function entryOf(m: BareMachine, address: bigint): number {
  let table = TABLES;
  let next = MORE_TABLES;
  for (const shift of [39n, 30n, 21n]) {
    const at = table + 8 * Number((address >> shift) & 511n);
    if (m.ram.getUint32(at, true) === 0) {
      m.ram.setUint32(at, next | 7, true);
      next += 4096;
    }
    table = m.ram.getUint32(at, true) & ~0xfff;
  }
  return table + 8 * Number((address >> 12n) & 511n);
}

test.each(CASES)('what is not mapped is not found, tier %s, writing %s', (tier, write) => {
  for (const address of [...ADDRESSES, ...NOT_CANONICAL]) {
    const m = bareMachine(NO_INTERRUPTS, { tier });
    // There are no handlers of exceptions.
    m.state.idtrLimit = 0;
    // invlpg [rsi]; l: mov rax, [rsi] or mov [rsi], rax; dec ecx; jnz l; hlt
    m.load([0x0f, 0x01, 0x3e, 0x48, write ? 0x89 : 0x8b, 0x06, 0xff, 0xc9, 0x75, 0xf9, 0xf4], CODE);
    const run = (at: bigint, rounds: number): ExitReason => {
      m.state.gpr[1] = BigInt(rounds);
      m.state.gpr[6] = at;
      m.state.rip = BigInt(CODE);
      m.state.activity = 0;
      return m.run();
    };
    const canonical = !NOT_CANONICAL.includes(address);
    const entry = canonical ? entryOf(m, address) : 0;
    const map = (pte: number): void => {
      if (canonical) m.ram.setUint32(entry, pte, true);
    };
    map(0);
    expect(run(BigInt(DATA), tier === '1' ? 400_000 : 100)).toBe(ExitReason.Halt);
    expect(run(address, 1)).toBe(ExitReason.Shutdown);
    map(FRAME | 7);
    expect(run(address, 2)).toBe(canonical ? ExitReason.Halt : ExitReason.Shutdown);
    map(0);
    expect(run(address, 1)).toBe(ExitReason.Shutdown);
    if (canonical) expect(m.state.cr2).toBe(address);
  }
});

/** Pages that share an entry of the first level with page 0 or 1, or one of the second, at a place that is even in one of them
 * and odd in the other. */
const NEIGHBOURS = [0, 1].flatMap((page) => {
  const low = page << 12;
  const among = Array.from({ length: 1 << 19 }, (_, n) => (n + 16) * 4096);
  const differs = (at: number): boolean => (((at >>> 12) ^ stlbPlace(at, 0)) & 1) !== 0;
  const first = among.find((at) => differs(at) && ((at >>> 12) & (TLB_ENTRIES - 1)) === page);
  const second = among.find((at) => differs(at) && stlbPlace(at, 0) === stlbPlace(low, 0));
  return [first, second].map((at) => [page, at!] as const);
});

test.each(TIERS.flatMap((tier) => NEIGHBOURS.map(([page, at]) => [tier, page, at] as const)))(
  'what is of no page in one level is of none in the other, tier %s, page %i and %i',
  (tier, page, at) => {
    const m = bareMachine(NO_INTERRUPTS, { tier });
    // Its entry of the first level is given to another page, and back.
    const other = at + 4096 * TLB_ENTRIES;
    m.ram.setUint32(entryOf(m, BigInt(at)), FRAME | 7, true);
    m.ram.setUint32(entryOf(m, BigInt(other)), (FRAME + 4096) | 7, true);
    // mov rax, [rsi]; mov rax, [rdi]; mov rax, [rsi]; dec ecx; jnz; mov [rbx], rdx; mov rax, [rdi]; mov [rbx + 8], rdx; hlt
    const reads = [0x48, 0x8b, 0x06, 0x48, 0x8b, 0x07, 0x48, 0x8b, 0x06, 0xff, 0xc9, 0x75, 0xf3];
    m.load([...reads, 0x48, 0x89, 0x13, 0x48, 0x8b, 0x07, 0x48, 0x89, 0x53, 0x08, 0xf4], CODE);
    m.state.gpr[1] = 100n;
    m.state.gpr[2] = 0x1234_5678n;
    m.state.gpr[3] = BigInt((page << 12) + 0x800);
    m.state.gpr[6] = BigInt(at);
    m.state.gpr[7] = BigInt(other);
    expect(m.run()).toBe(ExitReason.Halt);
    const words = [(page << 12) + 0x800, (page << 12) + 0x808, FRAME + 0x800, FRAME + 0x808, FRAME + 0x1800];
    expect(words.map((word) => m.ram.getUint32(word, true))).toEqual([0x1234_5678, 0x1234_5678, 0, 0, 0]);
  },
);
