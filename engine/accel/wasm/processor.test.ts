import { expect, test } from 'vitest';
import { ExitReason } from '../contract.ts';
import { loadSegment } from '../../vcpu/segment.ts';
import { Flag, Seg, VcpuEvent, vcpuLayout } from '../../vcpu/state.ts';
import { bareMachine, type BareMachine, CODE, DATA, DEVICE, NO_INTERRUPTS, STACK } from './bare-machine.ts';
import { resetState } from './index.ts';
import { stlbPlace } from './private.ts';

const HLT = 0xf4;
const le32 = (value: number) => [
  value & 0xff,
  (value >> 8) & 0xff,
  (value >> 16) & 0xff,
  (value >>> 24) & 0xff,
];

test('a store into the very next instruction takes effect (SDM 3A, 8.1.3)', () => {
  const m = bareMachine();
  // mov byte [rip+1], 2 ; mov eax, 1 (its immediate is what the store changes) ; hlt
  m.load([0xc6, 0x05, 1, 0, 0, 0, 2, 0xb8, 1, 0, 0, 0, HLT]);
  expect(m.run()).toBe(ExitReason.Halt);
  expect(m.state.gpr[0]).toBe(2n);
});

test('code that was run, then changed through another mapping, runs changed', () => {
  const m = bareMachine();
  // Linear page 6 is mapped to physical page 1 as well.
  m.ram.setUint32(0x10_3000 + 8 * 6, CODE | 7, true);
  // call f; mov byte [0x6000 + f + 1], 7; call f; hlt; f: mov bl, 3; add al, bl; ret
  const f = 19;
  m.load([
    0xe8, ...le32(f - 5), 0xc6, 0x04, 0x25, ...le32(0x6000 + f + 1), 7, 0xe8, ...le32(f - 18), HLT,
    0xb3, 3, 0x00, 0xd8, 0xc3,
  ]); // prettier-ignore
  expect(m.run()).toBe(ExitReason.Halt);
  expect(m.state.gpr[0]! & 0xffn).toBe(10n);
  expect(m.state.gpr[4]).toBe(BigInt(STACK));
});

test('an instruction across two pages follows a remapping of the second', () => {
  const m = bareMachine();
  const at = 0x5000 - 2;
  // mov eax, 1 with its immediate on page 5; hlt
  m.load([0xb8, 1, 0, 0, 0, HLT], at);
  expect(m.run()).toBe(ExitReason.Halt);
  expect(m.state.gpr[0]).toBe(1n);
  // Page 5 becomes physical page 7, where the immediate is another; invlpg is what the system would do.
  for (let i = 0; i < 8; i++) m.ram.setUint8(0x7000 + i, m.ram.getUint8(0x5000 + i));
  m.ram.setUint8(0x7001, 9);
  m.ram.setUint32(0x10_3000 + 8 * 5, 0x7000 | 7, true);
  m.cpu.invalidatePage(0x5000n);
  m.state.rip = BigInt(at);
  m.state.activity = 0;
  expect(m.run()).toBe(ExitReason.Halt);
  expect(m.state.gpr[0]).toBe(0x90001n);
});

test('a modification of a device register reads once and writes once', () => {
  const m = bareMachine();
  // add dword [DEVICE], 5 ; hlt
  m.load([0x83, 0x04, 0x25, ...le32(DEVICE), 5, HLT]);
  expect(m.run()).toBe(ExitReason.Mmio);
  expect({ ...m.cpu.io }).toEqual({ address: DEVICE, size: 4, write: false, data: 0n });
  m.cpu.io.data = 37n;
  expect(m.run()).toBe(ExitReason.Mmio);
  expect({ ...m.cpu.io }).toEqual({ address: DEVICE, size: 4, write: true, data: 42n });
  expect(m.run()).toBe(ExitReason.Halt);
});

test('the same port instruction run twice makes two accesses, each with its own data', () => {
  const m = bareMachine();
  // mov ecx, 2 ; l: in al, 0x60 ; add bl, al ; dec ecx ; jnz l ; hlt
  m.load([0xb9, 2, 0, 0, 0, 0xe4, 0x60, 0x00, 0xc3, 0xff, 0xc9, 0x75, 0xf8, HLT]);
  for (const data of [3n, 4n]) {
    expect(m.run()).toBe(ExitReason.PortIo);
    expect({ ...m.cpu.io }).toEqual({ address: 0x60, size: 1, write: false, data: 0n });
    m.cpu.io.data = data;
  }
  expect(m.run()).toBe(ExitReason.Halt);
  expect(m.state.gpr[3]).toBe(7n);
});

test('an operand half in memory and half in a device is stored to both', () => {
  const m = bareMachine();
  // The page after DATA becomes the device's.
  m.ram.setUint32(0x10_3000 + 8 * ((DATA >> 12) + 1), DEVICE | 7, true);
  // mov dword [DATA + 0xffe], 0x44332211 ; hlt
  m.load([0xc7, 0x04, 0x25, ...le32(DATA + 0xffe), ...le32(0x44332211), HLT]);
  expect(m.run()).toBe(ExitReason.Mmio);
  expect({ ...m.cpu.io }).toEqual({ address: DEVICE, size: 2, write: true, data: 0x4433n });
  expect(m.run()).toBe(ExitReason.Halt);
  expect(m.ram.getUint16(DATA + 0xffe, true)).toBe(0x2211);
});

test('a repeated string instruction into a device goes on element by element', () => {
  const m = bareMachine();
  m.ram.setUint32(DATA, 0x0403_0201, true);
  m.load([0xf3, 0xa4, HLT]); // rep movsb
  m.state.gpr[1] = 4n;
  m.state.gpr[6] = BigInt(DATA);
  m.state.gpr[7] = BigInt(DEVICE);
  for (let i = 0; i < 4; i++) {
    expect(m.run()).toBe(ExitReason.Mmio);
    expect({ ...m.cpu.io }).toEqual({ address: DEVICE + i, size: 1, write: true, data: BigInt(i + 1) });
  }
  expect(m.run()).toBe(ExitReason.Halt);
  expect([m.state.gpr[1], m.state.gpr[6], m.state.gpr[7]]).toEqual([
    0n,
    BigInt(DATA + 4),
    BigInt(DEVICE + 4),
  ]);
});

test('an endless loop comes back, and a kick is seen', () => {
  const m = bareMachine();
  m.load([0xeb, 0xfe]);
  const before = m.cpu.instructions();
  expect(m.cpu.run()).toBe(ExitReason.Interrupted);
  expect(m.cpu.instructions()).toBeGreaterThan(before + 1000);
  m.state.events = VcpuEvent.Kick;
  expect(m.cpu.run()).toBe(ExitReason.Interrupted);
  expect(m.state.rip).toBe(BigInt(CODE));
});

test('a kick does not wait for a budget of instructions that take long', () => {
  let done = 0;
  /** Kicks when it has been called for the 100th time, somewhere in the budget. */
  const count = () => {
    if (++done === 100) m.state.events = VcpuEvent.Kick;
  };
  const m = bareMachine(NO_INTERRUPTS, {
    readTsc: () => {
      count();
      return 0n;
    },
  });
  // rdmsr of the TSC; jmp to it
  m.state.gpr[1] = 0x10n;
  m.load([0x0f, 0x32, 0xeb, 0xfc]);
  expect(m.cpu.run()).toBe(ExitReason.Interrupted);
  expect([done, m.state.rip]).toEqual([100, BigInt(CODE + 2)]);

  // Two linear pages that share a TLB entry, and one of the second level: mov [page], eax; mov [rbx], eax; jmp to the
  // first. Above 4 GiB the second level's place is one below it whose bits 26 to 31 are so much.
  const page = 0x6000;
  let high = 1;
  while (stlbPlace(0, high) >= 64) high++;
  const low = stlbPlace(0, high) * 2 ** 26;
  expect(stlbPlace(low + page, high)).toBe(stlbPlace(page, 0));
  const tables = Number(m.state.cr3);
  m.ram.setUint32(tables + 0x1000 + 8 * (4 * high + Math.floor(low / 2 ** 30)), (tables + 0x2000) | 7, true);
  m.ram.setUint32(tables + 0x2000 + 8 * (Math.floor(low / 2 ** 21) % 512), (tables + 0x3000) | 7, true);
  m.state.gpr[3] = BigInt(high) * 2n ** 32n + BigInt(low + page);
  done = 0;
  m.state.events = 0;
  m.dirty.mark = count;
  const other = CODE + 0x100;
  m.load([0x89, 0x04, 0x25, ...le32(page), 0x89, 0x03, 0xeb, 0xf5], other);
  expect(m.cpu.run()).toBe(ExitReason.Interrupted);
  expect(done).toBeGreaterThanOrEqual(100);
  expect(done).toBeLessThan(110);
  expect([other, other + 7]).toContain(Number(m.state.rip));
});

test('a vCPU that is kicked without end comes forward', () => {
  const m = bareMachine(NO_INTERRUPTS, {
    readTsc: () => {
      m.state.events = VcpuEvent.Kick;
      return 0n;
    },
  });
  // rdmsr of the TSC; push [0x6ffe]; pop [0x5ffe]; dec ebx; jnz to the start; hlt
  m.load([0x0f, 0x32, 0xff, 0x34, 0x25, ...le32(0x6ffe), 0x8f, 0x04, 0x25, ...le32(0x5ffe), 0xff, 0xcb, 0x75, 0xec, HLT]); // prettier-ignore
  m.state.gpr[1] = 0x10n;
  m.state.gpr[3] = 50n;
  let exit: ExitReason;
  do {
    m.state.events = 0;
    exit = m.cpu.run();
  } while (exit === ExitReason.Interrupted);
  expect([exit, m.state.gpr[3]]).toEqual([ExitReason.Halt, 0n]);
});

test('a triple fault is a shutdown', () => {
  const m = bareMachine();
  m.state.idtrLimit = 0;
  m.load([0x0f, 0x0b]);
  expect(m.run()).toBe(ExitReason.Shutdown);
});

/** Interrupt gates for vectors 0 … 15 that lead to `handler`, in a table at `at`; the code segment is GDT entry 1. */
function interruptTable(m: BareMachine, at: number, handler: number): void {
  const gdt = DATA + 0x800;
  m.ram.setUint32(gdt + 8, 0xffff, true);
  m.ram.setUint32(gdt + 12, 0x00af_9b00, true);
  [m.state.gdtrBase, m.state.gdtrLimit] = [BigInt(gdt), 15];
  [m.state.idtrBase, m.state.idtrLimit] = [BigInt(at), 0xff];
  for (let vector = 0; vector < 16; vector++) {
    m.ram.setUint32(at + 16 * vector, (8 << 16) | handler, true);
    m.ram.setUint32(at + 16 * vector + 4, 0x8e00, true);
  }
}

test('a handler that faults at its first instruction, for ever, comes back all the same', () => {
  const m = bareMachine();
  interruptTable(m, DATA, CODE);
  m.load([0x0f, 0x0b]); // ud2
  expect(m.cpu.run()).toBe(ExitReason.Interrupted);
  expect(m.state.gpr[4]).toBeLessThan(BigInt(STACK - 1000));
});

test('an exception whose stack is a device is delivered write by write', () => {
  const m = bareMachine();
  const handler = CODE + 0x100;
  interruptTable(m, DATA, handler);
  m.ram.setUint8(handler, HLT);
  m.load([0x0f, 0x0b]);
  m.state.gpr[4] = BigInt(DEVICE + 0x100);
  const written: bigint[] = [];
  for (let i = 0; i < 5; i++) {
    expect(m.run()).toBe(ExitReason.Mmio);
    expect(m.cpu.io).toMatchObject({ size: 8, write: true });
    written[(DEVICE + 0x100 - m.cpu.io.address) / 8 - 1] = m.cpu.io.data;
  }
  expect(m.run()).toBe(ExitReason.Halt);
  // SS, RSP, RFLAGS with RF, CS, RIP (SDM 3A, figure 6-9)
  expect(written).toEqual([16n, BigInt(DEVICE + 0x100), 0x1_0002n, 8n, BigInt(CODE)]);
  expect(m.state.rip).toBe(BigInt(handler + 1));
});

test('an access that a reset cuts off is not taken for one of the code that runs next', () => {
  const m = bareMachine();
  const state = new Uint8Array(m.state.often.buffer, m.state.often.byteOffset, vcpuLayout.size);
  const mode = state.slice();
  const input = [0xe4, 0x60, HLT]; // in al, 0x60
  m.load(input);
  expect(m.run()).toBe(ExitReason.PortIo);
  m.cpu.io.data = 1n;
  resetState(m.state, { index: 0, model: 'max' });
  // What the reset has left of the processor's own area stays; the rest is 64-bit mode again.
  const { flagsAux, accel } = vcpuLayout.offset;
  state.set(mode.subarray(flagsAux, accel), flagsAux);
  m.load(input);
  expect(m.run()).toBe(ExitReason.PortIo);
  m.cpu.io.data = 2n;
  expect(m.run()).toBe(ExitReason.Halt);
  expect(m.state.gpr[0]! & 0xffn).toBe(2n);
});

test('a logged page is noticed at its first write, and again after it was collected', () => {
  const m = bareMachine();
  const page = DATA >> 12;
  // l: mov [DATA], eax ; in al, 0 ; jmp l
  m.load([0x89, 0x04, 0x25, ...le32(DATA), 0xe4, 0, 0xeb, 0xf5]);
  expect(m.run()).toBe(ExitReason.PortIo);
  m.dirty.enable(0, 2048);
  for (let i = 0; i < 2; i++) {
    m.state.events = VcpuEvent.FlushTlb;
    expect(m.run()).toBe(ExitReason.PortIo);
    expect(m.dirty.collect(page, 1)).toEqual([page]);
    expect(m.dirty.collect(page, 1)).toEqual([]);
  }
});

test('guest code cannot reach beyond guest memory by any linear address it can form', () => {
  const m = bareMachine();
  // A page-table entry that points far outside RAM.
  m.ram.setUint32(0x10_3000 + 8 * (DATA >> 12), 0xfff0_0000 | 7, true);
  m.load([0x8b, 0x04, 0x25, ...le32(DATA), HLT]); // mov eax, [DATA]
  expect(m.run()).toBe(ExitReason.Mmio);
  expect(m.cpu.io.address).toBe(0xfff0_0000);
});

test('an exception whose delivery faults without end leaves the guest in reach, and is carried on (SDM 3A, 6.15)', () => {
  const m = bareMachine();
  const [table, handler] = [0x2000, 0x3000];
  // 32-bit protected mode at CPL 3, alignment checked; #AC is handled at CPL 3 too, on the same stack.
  m.state.cr0 = 0x4_0031n;
  m.state.cr4 = 0n;
  m.state.efer = 0n;
  const flat = { base: 0n, limit: 0xffff_ffff };
  loadSegment(m.state, Seg.CS, { ...flat, selector: 0x1b, attr: 0xc0fb });
  for (const segment of [Seg.SS, Seg.DS])
    loadSegment(m.state, segment, { ...flat, selector: 0x23, attr: 0xc0f3 });
  m.state.cpl = 3;
  m.state.flagsSys = Flag.AC;
  m.state.gdtrBase = m.state.idtrBase = BigInt(table);
  m.state.gdtrLimit = m.state.idtrLimit = 0xfff;
  m.ram.setBigUint64(table + 0x18, 0x00cf_fa00_0000_ffffn, true);
  m.ram.setBigUint64(table + 8 * 17, 0x0000_ee00_001b_0000n | BigInt(handler), true);
  m.load([0xeb, 0xfe], handler); // jmp to itself
  m.load([0x50]); // push eax
  m.state.gpr[4] = BigInt(STACK + 1);
  expect(m.run(3)).toBe(ExitReason.Interrupted);
  const injected = 0x8000_0b11; // valid, with an error code, an exception, vector 17
  expect([m.state.rip, m.state.injected, m.state.injectedError]).toEqual([BigInt(CODE), injected, 0]);
  m.state.events = VcpuEvent.Kick;
  expect(m.cpu.run()).toBe(ExitReason.Interrupted);
  m.state.events = 0;
  m.state.gpr[4] = BigInt(STACK);
  expect(m.cpu.run()).toBe(ExitReason.Interrupted);
  expect([m.state.rip, m.state.injected]).toEqual([BigInt(handler), 0]);
  expect(m.ram.getUint32(STACK - 12, true)).toBe(CODE);
});

test('a delivery that waits for its stack in a device is in the state until it is done', () => {
  const m = bareMachine();
  const table = 0x2000;
  m.state.gdtrBase = m.state.idtrBase = BigInt(table);
  m.state.gdtrLimit = m.state.idtrLimit = 0xfff;
  m.ram.setBigUint64(table + 8, 0x00af_9a00_0000_ffffn, true);
  m.ram.setBigUint64(table + 16 * 6, 0x0000_8e00_0008_3000n, true);
  m.load([HLT], 0x3000);
  m.load([0x0f, 0x0b]); // ud2
  m.state.gpr[4] = BigInt(DEVICE + 0x100);
  for (let word = 1; word <= 5; word++) {
    expect(m.run()).toBe(ExitReason.Mmio);
    expect([m.cpu.io.address, m.cpu.io.size, m.cpu.io.write]).toEqual([DEVICE + 0x100 - 8 * word, 8, true]);
    expect(m.state.injected).toBe(0x8000_0306); // valid, an exception, vector 6
  }
  expect(m.run()).toBe(ExitReason.Halt);
  expect([m.state.rip, m.state.injected]).toEqual([0x3001n, 0]);
});

test('the registers of the local APIC lie over memory where IA32_APIC_BASE puts them (SDM 3A, 11.4.5)', () => {
  const place = 0x5000;
  const m: BareMachine = bareMachine({
    ...NO_INTERRUPTS,
    writeMsr: (_vcpu, _msr, value) => {
      m.state.apicBase = value;
      return true;
    },
  });
  m.ram.setUint32(place + 0x30, 0x1234, true);
  // mov ecx, 0x1b; l: mov ebx, [place + 0x30]; wrmsr; mov ebx, [place + 0x30]; hlt
  const read = [0x8b, 0x1c, 0x25, ...le32(place + 0x30)];
  const run = (base: number) => {
    m.state.gpr[0] = BigInt(base);
    m.state.gpr[2] = 0n;
    m.load([0xb9, 0x1b, 0, 0, 0, ...read, 0x0f, 0x30, ...read, HLT]);
    return m.run();
  };
  expect(run(place | 0x800)).toBe(ExitReason.Mmio);
  expect([m.cpu.io.address, m.cpu.io.size, m.cpu.io.write]).toEqual([place + 0x30, 4, false]);
  m.cpu.io.data = 0x14n;
  expect(m.run()).toBe(ExitReason.Halt);
  expect(m.state.gpr[3]).toBe(0x14n);
  // Disabled, there is memory again.
  expect(run(place)).toBe(ExitReason.Mmio);
  expect(m.run()).toBe(ExitReason.Halt);
  expect(m.state.gpr[3]).toBe(0x1234n);
});

test('a region stays watched after its last block on a page is gone', () => {
  const m = bareMachine(NO_INTERRUPTS, { tier: 'eager' });
  const f = CODE + 0x1000;
  const writer = CODE + 0x2000;
  // Much before the call, so that only the beginning of f fits into the region: mov al, 1, and no more than one block.
  const entry = [...Array.from({ length: 40 }, () => 0x90), 0xe8, ...le32(f - (CODE + 45)), HLT];
  const body = [0xb0, 1, ...Array.from({ length: 44 }, () => 0x90), 0xc3];
  const run = (code: readonly number[], at: number): bigint => {
    m.load(code, at);
    expect(m.run()).toBe(ExitReason.Halt);
    return m.state.gpr[0]! & 0xffn;
  };
  m.load(body, f);
  m.load(entry);
  for (let i = 0; i < 12; i++) {
    m.state.rip = BigInt(CODE);
    m.state.activity = 0;
    m.run();
  }
  const store = (at: number, value: number) => [0xc6, 0x04, 0x25, ...le32(at), value, HLT];
  // Behind what the region has of f, then within it.
  run(store(f + 42, 0x90), writer);
  run(store(f + 1, 2), writer + 0x100);
  m.state.rip = BigInt(CODE);
  m.state.activity = 0;
  expect(m.run()).toBe(ExitReason.Halt);
  expect(m.state.gpr[0]! & 0xffn).toBe(2n);
});
