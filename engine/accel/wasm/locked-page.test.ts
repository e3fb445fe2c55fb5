/** 16-byte atomics and the locks of pages: what is held, and what must not be waited for meanwhile. */
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { ExitReason } from '../contract.ts';
import { Arena } from '../../memory/layout.ts';
import { Coherence, coherenceBytes } from '../../vcpu/coherence.ts';
import { VcpuEvent } from '../../vcpu/state.ts';
import { bareMachine, NO_INTERRUPTS, TABLES } from './bare-machine.ts';

/** More than a bare machine's memory has. */
const PAGES = 0x8000;
/** The page table of the first 2 MiB, and an operand on a page that has the same lock: they lie 64 pages apart. */
const TABLE = TABLES + 0x3000;
const OPERAND = TABLE - 3 * 64 * 4096;
const ENTRY = TABLE + 8 * (OPERAND >>> 12);
const ACCESSED_DIRTY = 0x60;

// lock cmpxchg16b [OPERAND]; hlt
const CODE = [0xf0, 0x48, 0x0f, 0xc7, 0x0c, 0x25, 0, OPERAND >>> 8, OPERAND >>> 16, 0, 0xf4].map(
  (b) => b & 0xff,
);

beforeEach(() => {
  // There is one thread: whoever sleeps for a lock waits for itself.
  vi.spyOn(Atomics, 'wait').mockImplementation(() => {
    throw new Error('it waits for a lock');
  });
});
afterEach(() => void vi.restoreAllMocks());

test.each(['0', '1', 'eager'])(
  'another vCPU clears accessed and dirty bits while the page is made special, tier %s',
  (tier) => {
    const bytes = coherenceBytes(PAGES, 2);
    let dropped = 0;
    const coherence: Coherence = new Coherence(new Arena(new SharedArrayBuffer(bytes), 0, bytes), PAGES, 2, {
      post: (vcpu, events) => {
        if (vcpu !== 1 || (events & VcpuEvent.DropWrites) === 0) return;
        dropped++;
        // What the kernel does there when it looks which pages are in use.
        m.ram.setUint32(ENTRY, m.ram.getUint32(ENTRY, true) & ~ACCESSED_DIRTY, true);
        coherence.gate.advance(1);
      },
    });
    const m = bareMachine(NO_INTERRUPTS, { tier, coherence });
    const page = (address: number) => (m.ram.byteOffset + address) >>> 12;
    expect(m.ram.byteOffset + m.ram.byteLength).toBeLessThan(PAGES * 4096);
    // vCPU 1 may write to the operand's page, and has executed the page table's.
    coherence.admit(1, page(OPERAND));
    coherence.addCode(1, page(TABLE));
    coherence.gate.enter(1);
    const [rax, rcx, rdx, rbx] = [0x1111n, 0x4444n, 0x2222n, 0x3333n];
    [rax, rcx, rdx, rbx].forEach((value, i) => (m.state.gpr[i] = value));
    m.ram.setBigUint64(OPERAND, rax, true);
    m.ram.setBigUint64(OPERAND + 8, rdx, true);
    m.load(CODE);
    expect([m.run(), m.cpu.detail()]).toEqual([ExitReason.Halt, '']);
    expect(dropped).toBe(1);
    expect([0, 8].map((at) => m.ram.getBigUint64(OPERAND + at, true))).toEqual([rbx, rcx]);
    // Given up: another vCPU can have it.
    expect(coherence.lockWatched(1, page(OPERAND))).toBe(true);
  },
);
