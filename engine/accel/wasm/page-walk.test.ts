/** Page walks by emitted code against those of TypeScript: what is read and written, which faults there are, and what becomes
 * of the tables. */
import { expect, test } from 'vitest';
import { Random } from '../../base/random.ts';
import { Flag } from '../../vcpu/state.ts';
import { ExitReason } from '../contract.ts';
import { areaAt } from './area.ts';
import {
  AREA,
  type BareMachine,
  bareMachine,
  le32,
  MIB,
  NO_INTERRUPTS,
  repeat,
  STACK,
  TABLES,
} from './bare-machine.ts';
import { pageWalkLayout, TLB_ENTRIES } from './private.ts';
import { Cr0, Cr4 } from './system/registers.ts';

/** What is mapped at random: in tables of its own, by the second entry of the top one, 512 GiB up. */
const BASE = 0x80_0000_0000n;
/** The same pages again, which share entries of the TLB's first level with those. */
const OTHER = BASE + BigInt(4096 * TLB_ENTRIES);
const PDPT = 2 * MIB;
const DIRECTORY = PDPT + 0x1000;
const TABLE = PDPT + 0x2000;
const TOP5 = PDPT + 0x4000;
/** Frames that it leads to, and code that reads and writes at RBX. */
const FRAMES = 4 * MIB;
const READ = 0x1000;
const WRITE = 0x1100;
/** And that calls what is there: at an offset in each frame, code that returns the frame's number. */
const FETCH = 0x1200;
const CALLED = 0x40;

interface Outcome {
  readonly reason: ExitReason;
  readonly value: bigint;
  readonly cr2: bigint;
}

/** @param emitted whether emitted code may walk */
function machine(emitted: boolean, wide: boolean): BareMachine {
  const m = bareMachine(NO_INTERRUPTS, { tier: '0' });
  m.load([0x48, 0x8b, 0x03, 0xf4], READ); // mov rax, [rbx]; hlt
  m.load([0x48, 0x89, 0x03, 0xf4], WRITE); // mov [rbx], rax; hlt
  m.load([0xff, 0xd3, 0xf4], FETCH); // call rbx; hlt
  m.ram.setUint32(TABLES + 8, PDPT | 0x27, true);
  // Where an address that is not canonical would lead.
  m.ram.setUint32(TABLES + 8 * 257, PDPT | 0x27, true);
  if (wide) {
    m.ram.setUint32(TOP5, TABLES | 0x27, true);
    m.state.cr3 = BigInt(TOP5);
    m.state.cr4 |= BigInt(Cr4.LA57);
  }
  for (let at = FRAMES; at < 8 * MIB; at += 8) m.ram.setUint32(at, at, true);
  for (let at = FRAMES; at < 8 * MIB; at += 4096) {
    // mov eax, its number; ret
    m.ram.setUint8(at + CALLED, 0xb8);
    m.ram.setUint32(at + CALLED + 1, at >>> 12, true);
    m.ram.setUint8(at + CALLED + 5, 0xc3);
  }
  if (!emitted) {
    // Once it has been shown where there is RAM, it finds none.
    expect(access(m, BigInt(READ), READ, 0n).reason).toBe(ExitReason.Halt);
    pageWalkLayout.bind(m.ram.buffer, areaAt(AREA, 1).walkTerms).windows.fill(0);
  }
  return m;
}

/** @param code what is run, with the address in RBX */
function access(m: BareMachine, at: bigint, code: number, value: bigint): Outcome {
  const { state } = m;
  state.rip = BigInt(code);
  state.gpr[4] = BigInt(STACK);
  state.activity = 0;
  state.injected = 0;
  state.cr2 = 0n;
  state.gpr[3] = at;
  state.gpr[0] = value;
  const reason = m.run();
  return { reason, value: state.gpr[0]!, cr2: state.cr2 };
}

/** How many entries emitted code has filled that nobody has taken account of yet. */
const fills = (m: BareMachine): number =>
  new DataView(m.ram.buffer).getUint32(
    pageWalkLayout.bind(m.ram.buffer, areaAt(AREA, 1).walkTerms).fills,
    true,
  );

test.each([1, 2, 3, 4].flatMap((seed) => [false, true].map((wide) => [seed, wide] as const)))(
  'both find the same, seed %i, 5 levels: %s',
  (seed, wide) => {
    const random = new Random(seed);
    const machines = [machine(true, wide), machine(false, wide)];
    const any = <T>(of: readonly T[]): T => of[random.below(of.length)]!;
    const both = (body: (m: BareMachine) => void): void => machines.forEach(body);
    let filled = 0;
    let fetched = 0;
    /** Rights that mostly let the access be made. */
    const bits = (): number =>
      any([0x67, 0x67, 0x67, 0x27, 0x63, 0x65, 0x47, 0x26, 0x167, 0x07]) |
      (random.below(40) === 0 ? 0x200 : 0);
    const setEntry = (at: number, low: number, high: number): void =>
      both((m) => {
        m.ram.setUint32(at, low, true);
        m.ram.setUint32(at + 4, high, true);
      });
    const upper = (): number => any([0, 0, 0, 0, 0, 0x8000_0000, 0x100, 0x10_0000]);
    const changeTables = (): void => {
      const frame = FRAMES + 4096 * random.below(1024);
      switch (random.below(6)) {
        case 0:
          setEntry(PDPT, DIRECTORY | bits(), any([0, 0, 0, upper()]));
          break;
        case 1:
          // A table, or a page of 2 MiB.
          if (random.below(2) === 0) setEntry(DIRECTORY, TABLE | bits(), any([0, 0, upper()]));
          else setEntry(DIRECTORY, any([4 * MIB, 6 * MIB, 4 * MIB + 0x4000]) | bits() | 0x80, upper());
          break;
        case 2:
          // A page of 1 GiB: the first has all memory.
          setEntry(PDPT + 8, bits() | 0x80 | any([0, 0, 0, 0x2000]), upper());
          break;
        default:
          setEntry(TABLE + 8 * random.below(8), any([frame, frame, 0xc0_0000]) | bits(), upper());
      }
    };
    setEntry(PDPT, DIRECTORY | 0x67, 0);
    setEntry(DIRECTORY, TABLE | 0x67, 0);
    setEntry(DIRECTORY + 8 * ((4096 * TLB_ENTRIES) / (2 * MIB)), TABLE | 0x67, 0);
    for (let page = 0; page < 8; page++) setEntry(TABLE + 8 * page, (FRAMES + 4096 * page) | 0x67, 0);
    for (let step = 0; step < 3000; step++) {
      const offset = any([0, 8, 0x7f8, 0xff8, 0xffc]);
      const page = BigInt(random.below(8)) * 4096n;
      const code = any([READ, READ, WRITE, WRITE, FETCH]);
      const at =
        any([BASE, BASE, BASE, OTHER, BASE + 0x4040_0000n, BASE + 2n ** 47n]) +
        page +
        BigInt(code === FETCH ? CALLED : offset);
      if (random.below(4) === 0) {
        changeTables();
        const how = random.below(3);
        const forgotten = BASE + BigInt(random.below(8)) * 4096n;
        const global = random.below(2) === 0;
        both((m) => {
          if (how === 0) m.cpu.flushTlb(global);
          else if (how === 1) m.cpu.invalidatePage(forgotten);
        });
      }
      if (random.below(10) === 0) {
        const cr4 = random.below(4);
        const smep = random.below(4) === 0;
        const [wp, user, ac] = [random.below(2) === 0, random.below(3) === 0, random.below(2) === 0];
        both((m) => {
          const { state } = m;
          setOwner(m, user);
          state.cr4 &= ~BigInt(Cr4.SMAP | Cr4.PGE | Cr4.SMEP);
          if (smep) state.cr4 |= BigInt(Cr4.SMEP);
          if ((cr4 & 1) !== 0) state.cr4 |= BigInt(Cr4.SMAP);
          if ((cr4 & 2) !== 0) state.cr4 |= BigInt(Cr4.PGE);
          state.cr0 = wp ? state.cr0 | BigInt(Cr0.WP) : state.cr0 & ~BigInt(Cr0.WP);
          state.cpl = user ? 3 : 0;
          state.flagsSys = ac ? Flag.AC : 0;
          m.cpu.flushTlb(true);
        });
      }
      const before = fills(machines[0]!);
      const [emitted, typescript] = machines.map((m) => access(m, at, code, BigInt(step)));
      if (code === FETCH) fetched += Math.max(0, fills(machines[0]!) - before);
      else filled += Math.max(0, fills(machines[0]!) - before);
      expect(emitted, `step ${step}: ${code.toString(16)} with ${at.toString(16)}`).toEqual(typescript);
    }
    const [a, b] = machines.map((m) => new Uint8Array(m.ram.buffer, m.ram.byteOffset, m.ram.byteLength));
    expect(Buffer.compare(Buffer.from(a!), Buffer.from(b!))).toBe(0);
    expect(filled).toBeGreaterThan(100);
    expect(fetched).toBeGreaterThan(10);
    expect(fills(machines[1]!)).toBe(0);
  },
);

test('more is filled than there is room to note', () => {
  const m = machine(true, false);
  setPages(m, 512);
  // Of the pages of a table, in turns with pages that take their entries: mov rax, [rbx]; add rbx, 0x1000; dec ecx; jnz
  m.load([0x48, 0x8b, 0x03, 0x48, 0x81, 0xc3, ...le32(0x1000), 0xff, 0xc9, 0x75, 0xf2, 0xf4], READ);
  for (let turn = 0; turn < 8; turn++) {
    m.state.gpr[1] = 512n;
    expect(access(m, BASE, READ, 0n).value).toBe(BigInt(FRAMES + 4096 * 511));
    // The pages are forgotten one and all, also those that nobody had taken account of.
    m.cpu.flushTlb(true);
    m.ram.setUint32(TABLE, (FRAMES + 4096 * turn) | 0x67, true);
    m.state.gpr[1] = 1n;
    expect(access(m, BASE, READ, 0n).value).toBe(BigInt(FRAMES + 4096 * turn));
  }
});

test('code is decoded on a page that emitted code lets be written', () => {
  const m = machine(true, false);
  setPages(m, 1);
  expect(access(m, BASE, WRITE, 0n).reason).toBe(ExitReason.Halt);
  // By its other address: mov eax, 1; ret
  m.load([0xb8, ...le32(1), 0xc3], FRAMES);
  const call = [0xbf, ...le32(FRAMES), 0xff, 0xd7]; // mov edi, FRAMES; call rdi
  // call; mov esi, eax; mov byte [rbx + 1], 7; call; hlt
  m.load([...call, 0x89, 0xc6, 0xc6, 0x43, 0x01, 0x07, ...call, 0xf4], READ);
  expect(access(m, BASE, READ, 0n)).toMatchObject({ reason: ExitReason.Halt, value: 7n });
  expect(m.state.gpr[6]).toBe(1n);
});

test('code takes the entry of a page that is read, and gives it back', () => {
  const m = machine(true, false);
  setPages(m, 1);
  // By a table of its own the other page lies in the next frame, and is the supervisor's.
  const other = TABLE + 0x1000;
  m.ram.setUint32(DIRECTORY + 8 * ((4096 * TLB_ENTRIES) / (2 * MIB)), other | 0x67, true);
  m.ram.setUint32(other, (FRAMES + 0x1000) | 0x63, true);
  const called = (): Outcome => access(m, OTHER + BigInt(CALLED), FETCH, 0n);
  for (let turn = 0; turn < 4; turn++) {
    expect(access(m, BASE, READ, 0n).value).toBe(BigInt(FRAMES));
    const before = fills(m);
    expect(called().value).toBe(BigInt((FRAMES + 0x1000) >>> 12));
    // The first time it has to be decoded.
    if (turn > 0) expect(fills(m)).toBeGreaterThan(before);
    expect(access(m, BASE, READ, 0n).value).toBe(BigInt(FRAMES));
    m.cpu.invalidatePage(OTHER);
    m.cpu.invalidatePage(BASE);
  }
});

/** Has what is run, and the stack, belong to the user or the supervisor. */
function setOwner(m: BareMachine, user: boolean): void {
  for (const page of [READ, STACK - 0x1000])
    m.ram.setUint32(TABLES + 0x3000 + 8 * (page >>> 12), page | (user ? 0x67 : 0x63), true);
}

function setPages(m: BareMachine, pages: number): void {
  m.ram.setUint32(PDPT, DIRECTORY | 0x67, true);
  m.ram.setUint32(DIRECTORY, TABLE | 0x67, true);
  for (let page = 0; page < pages; page++)
    m.ram.setUint32(TABLE + 8 * page, (FRAMES + 4096 * page) | 0x67, true);
}

/** Instructions that read at RBX into RAX, zero-extended, by size in bytes; the largest reads into XMM0. */
const READS = [
  [2, [0x0f, 0xb7, 0x03]],
  [4, [0x8b, 0x03]],
  [8, [0x48, 0x8b, 0x03]],
  [16, [0xf3, 0x0f, 0x6f, 0x03]],
] as const;

test.each(['0', '1', 'eager'].flatMap((tier) => READS.map((read) => [tier, ...read] as const)))(
  'reads of two pages that lie apart, tier %s, %i bytes',
  (tier, size, code) => {
    const m = bareMachine(NO_INTERRUPTS, { tier });
    m.ram.setUint32(TABLES + 8, PDPT | 0x27, true);
    setPages(m, 4);
    // The second page lies in front of the first, the third is not there.
    m.ram.setUint32(TABLE, (FRAMES + 0x1000) | 0x67, true);
    m.ram.setUint32(TABLE + 8, FRAMES | 0x67, true);
    m.ram.setUint32(TABLE + 16, 0, true);
    const bytes = Array.from({ length: 32 }, (_, i) => i + 1);
    bytes.forEach((byte, i) => m.ram.setUint8(i < 16 ? FRAMES + 0x1ff0 + i : FRAMES + i - 16, byte));
    m.load([...repeat(tier === '1' ? 100_000 : 20, [...code]), 0xf4], READ);
    for (let behind = 1; behind < size; behind++) {
      const at = 16 - size + behind;
      const { reason, value } = access(m, BASE + 0xff0n + BigInt(at), READ, 0n);
      expect(reason).toBe(ExitReason.Halt);
      const quads = size === 16 ? m.state.ymm.slice(0, 2) : BigUint64Array.of(value);
      const seen = new Uint8Array(quads.buffer);
      expect([...seen].slice(0, size)).toEqual(bytes.slice(at, at + size));
    }
    const missing = access(m, BASE + 0x2000n - 1n, READ, 0n);
    expect(missing).toMatchObject({ reason: ExitReason.Shutdown, cr2: BASE + 0x2000n });
  },
);
