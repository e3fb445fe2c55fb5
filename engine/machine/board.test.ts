import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { ExitReason, type IoExit } from '../accel/contract.ts';
import { type BootFile, closeBootFile, openBootFile } from '../backend/boot-file.ts';
import { PciFunction } from '../device/pci/pci-function.ts';
import { Arena } from '../memory/layout.ts';
import { MachineMemory } from '../memory/machine-memory.ts';
import { Activity, VcpuEvent, type VcpuState } from '../vcpu/state.ts';
import type { Accelerator } from './accelerator.ts';
import { Board, boardAreaBytes, type BoardPlan } from './board.ts';
import type { BootImages } from './boot-images.ts';
import { runVcpu } from './run-vcpu.ts';
import { acpiTables } from './boot.ts';
import { cpuTopology } from '../api/topology.ts';

const MIB = 0x100000;
const RAM = 8 * MIB;
const AREA = 0x1234;

/** A kernel of 64 bytes with a Multiboot header (0.6.96, 3.1.1) that says where it goes: 1 MiB, entry at +32. */
function multibootKernel(): Uint8Array {
  const kernel = new Uint8Array(64).fill(0xf4);
  const header = [0x1bad_b002, 0x1_0000, 0, MIB, MIB, 0, 0, MIB + 0x20];
  header[2] = -(header[0] + header[1]);
  for (const [i, word] of header.entries()) new DataView(kernel.buffer).setUint32(i * 4, word, true);
  return kernel;
}

type Step = (io: IoExit, state: VcpuState) => ExitReason;

/** A processor that does what the steps say, then halts. */
function fake(steps: Step[] = []): Accelerator {
  return {
    probe: () => ({ ok: true, features: [] }),
    areaBytes: () => AREA,
    cpuModels: () => ['fake'],
    resetState(state) {
      state.gpr.fill(0n);
      state.rip = 0xfff0n;
      state.flagsSys = 0;
    },
    createVcpu({ state, area }) {
      expect(area % 0x10000).toBe(0);
      const io: IoExit = { address: 0, size: 1, write: false, data: 0n };
      let count = 0;
      return {
        state,
        io,
        run: () => (count++, steps.shift()?.(io, state) ?? ExitReason.Halt),
        detail: () => 'fake',
        instructions: () => count,
        statistics: () => ({ steps: count }),
      };
    },
  };
}

const out = (address: number, data: number, size = 1): Step => {
  return (io) => (Object.assign(io, { address, size, write: true, data: BigInt(data) }), ExitReason.PortIo);
};

const images = (some: Partial<BootImages>): BootImages => ({
  kernel: null,
  initrd: null,
  modules: [],
  firmware: null,
  commandLine: '',
  ...some,
});

/** A file with some bytes, that is gone when the test has ended. */
function bootFile(bytes: Uint8Array): BootFile {
  const file = path.join(mkdtempSync(path.join(tmpdir(), 'guesthouse-board-')), 'kernel');
  writeFileSync(file, bytes);
  const opened = openBootFile('kernel', file);
  rmSync(path.dirname(file), { recursive: true });
  onTestFinished(() => closeBootFile(opened));
  return opened;
}

function setUp(some: Partial<BoardPlan> = {}) {
  const plan: BoardPlan = {
    accelerator: 'wasm',
    cpuModel: 'fake',
    topology: cpuTopology(1),
    images: images({ kernel: bootFile(multibootKernel()) }),
    serial: [true, false],
    debugcon: true,
    debugExit: true,
    disks: [],
    boot: { order: [], menu: undefined },
    ...some,
  };
  const memory = MachineMemory.create(RAM, boardAreaBytes(plan, RAM, AREA));
  const options = { ...plan, description: memory.description, acceleratorArea: AREA, log: () => {} };
  const board = new Board(options);
  board.install();
  board.powerOn(fake());
  board.clock.start();
  return { board, options, memory };
}

function text(ring: { read(into: Uint8Array): number }): string {
  const bytes = new Uint8Array(1000);
  return new TextDecoder().decode(bytes.subarray(0, ring.read(bytes)));
}

test('what the guest sends on COM1 and the debug console is there in every thread', () => {
  const { board, options } = setUp();
  const other = new Board(options);
  for (const byte of new TextEncoder().encode('hello')) board.ports.write(0x3f8, 1, byte);
  board.ports.write(0x2f8, 1, 65);
  board.ports.write(0xe9, 1, 66);
  expect(text(other.serial[0].output)).toBe('hello');
  expect(text(other.serial[1].output)).toBe('');
  expect(text(other.debugOutput)).toBe('B');
});

test('input waits for the guest and follows as it reads, FIFO by FIFO', () => {
  const { board } = setUp();
  const sent = Uint8Array.from({ length: 100 }, (_, i) => i);
  board.ports.write(0x3fa, 1, 1);
  expect(board.serial[0].input.write(sent)).toBe(100);
  expect(board.serial[0].pump()).toBe(false);
  const received: number[] = [];
  while ((board.ports.read(0x3fd, 1) & 1) !== 0) received.push(board.ports.read(0x3f8, 1));
  expect(received).toEqual([...sent]);
});

test('direct boot leaves RAM below 1 MiB and the ACPI tables in it', () => {
  const { board, memory } = setUp();
  expect(new TextDecoder().decode(board.physical.read(0xe0000, 8))).toBe('RSD PTR ');
  expect(board.map.resolve(0xf0000 / 4096)).toBe(memory.ramBase + 0xf0000);
  expect(board.map.resolve(0xa0000 / 4096)).toBe(0);
  expect(board.map.resolve(0xb8000 / 4096)).toBe(0);
  expect(board.map.resolve(RAM / 4096)).toBe(0);
  expect(board.states[0].rip).toBe(BigInt(MIB + 0x20));
  // CMOS 0x34 and 0x35: memory above 16 MiB in 64 KiB; 0x30 and 0x31: from 1 MiB on, in KiB.
  board.ports.write(0x70, 1, 0x31);
  expect(board.ports.read(0x71, 1)).toBe((RAM - MIB) / 1024 / 256);
});

test('firmware ends at 4 GiB and below 1 MiB, read-only, and PAM puts RAM in its place', () => {
  const firmware = new Uint8Array(0x40000).fill(0x90);
  firmware.set([0xea, 0x5b, 0xe0], firmware.length - 16);
  const { board, memory } = setUp({ images: images({ firmware }) });
  expect(board.physical.readU16(0xffff_fff0)).toBe(0x5bea);
  expect(board.physical.readU16(0xffff0)).toBe(0x5bea);
  board.physical.writeU16(0xffff0, 0x1234);
  expect(board.physical.readU16(0xffff0)).toBe(0x5bea);
  expect(board.map.resolve(0xffff_f000 / 4096) % 2).toBe(1);
  expect(board.states[0].rip).toBe(0xfff0n);

  // Writes to RAM, reads from the bus: what is written appears when reads are turned to RAM as well.
  const pam0 = (value: number) => {
    board.ports.write(0xcf8, 4, 0x8000_0058);
    board.ports.write(0xcfd, 1, value);
  };
  pam0(0x20);
  expect(board.physical.readU16(0xffff0)).toBe(0x5bea);
  board.mmio.write(0xffff0, 2, 0xbeefn, 0);
  pam0(0x10);
  expect(board.physical.readU16(0xffff0)).toBe(0xbeef);
  expect(board.map.resolve(0xff)).toBe(memory.ramBase + 0xff000 + 1);
  pam0(0x30);
  expect(board.map.resolve(0xff)).toBe(memory.ramBase + 0xff000);
});

test('the timer reaches the bootstrap processor through the PIC', () => {
  const { board } = setUp();
  const { ports, signals } = board;
  // ICW1-4: vectors from 0x20 and 0x28; all but IRQ 0 masked.
  for (const [port, value] of [
    [0x20, 0x11], [0x21, 0x20], [0x21, 0x04], [0x21, 0x01], [0x21, 0xfe],
    [0xa0, 0x11], [0xa1, 0x28], [0xa1, 0x02], [0xa1, 0x01], [0xa1, 0xff],
    [0x43, 0x34], [0x40, 0x00], [0x40, 0x10],
  ]) ports.write(port, 1, value); // prettier-ignore
  const timers = board.timersOf(0);
  // Programming mode 2 raises OUT, which is an edge already (82C54 data sheet, "Mode 2"): taken and ended.
  expect(board.lapics.acknowledge(0)).toBe(0x20);
  ports.write(0x20, 1, 0x20);
  expect(board.lapics.pending(0)).toBe(false);
  expect(timers.deadline()).toBeLessThan(board.clock.now() + 4e6);
  while (board.clock.now() < timers.deadline());
  timers.service(board.clock.now());
  expect(board.lapics.pending(0)).toBe(true);
  expect(signals.load(0) & VcpuEvent.Interrupt).toBe(VcpuEvent.Interrupt);
  expect(board.lapics.acknowledge(0)).toBe(0x20);
});

test('a reset by 0xCF9 puts everything back and starts the kernel anew; S5 powers off', () => {
  const { board } = setUp();
  let resets = 0;
  const accelerator = fake([
    out(0x3fb, 0x1b),
    out(0xcf9, 6),
    (_io, state) => {
      resets++;
      expect(state.rip).toBe(BigInt(MIB + 0x20));
      expect(board.ports.read(0x3fb, 1)).toBe(3);
      return ExitReason.Interrupted;
    },
    out(0x604, 0x2000, 2),
  ]);
  expect(runVcpu(board, accelerator, 0)).toEqual({ end: { kind: 'poweroff' }, statistics: { steps: 4 } });
  expect(resets).toBe(1);
});

test('the debug exit port, a triple fault, and a defect end the run each in its way', () => {
  expect(runVcpu(setUp().board, fake([out(0xf4, 3)]), 0).end).toEqual({ kind: 'exit', status: 7 });
  expect(runVcpu(setUp().board, fake([() => ExitReason.Shutdown]), 0).end).toEqual({ kind: 'shutdown' });
  const defect = runVcpu(
    setUp().board,
    fake([
      () => {
        throw new Error('broken');
      },
    ]),
    0,
  ).end;
  expect(defect.kind).toBe('internal');
});

test('INIT by the keyboard controller puts the bootstrap processor at the reset vector', () => {
  const { board } = setUp();
  const accelerator = fake([
    out(0x92, 1),
    (_io, state) => {
      expect(state.rip).toBe(0xfff0n);
      expect(state.activity).toBe(Activity.Running);
      board.runState.stop();
      return ExitReason.Interrupted;
    },
  ]);
  expect(runVcpu(board, accelerator, 0).end).toEqual({ kind: 'stopped' });
});

test('application processors wait, and each vCPU has an area of its own', () => {
  const { board } = setUp({ topology: cpuTopology(64) });
  expect(board.states[0].activity).toBe(Activity.Running);
  expect(board.states[63].activity).toBe(Activity.WaitForSipi);
  expect(new Set(board.areas).size).toBe(64);
  expect(board.states[63].index).toBe(63);
});

test('a PCI function on the board: messages reach the local APIC, its devices are reset with the rest', () => {
  const { board } = setUp();
  let resets = 0;
  const arena = new Arena(new SharedArrayBuffer(4096), 0, 4096);
  const fn = new PciFunction(arena, { name: 'probe', vendorId: 1, deviceId: 2, classCode: 0 });
  board.chipset.addPciDevice({ device: 9, function: 0 }, fn, { name: 'behind', reset: () => void resets++ });
  board.powerOn(fake());
  expect(resets).toBe(1);
  board.chipset.sendMessage(0xfee0_0000, 0x51);
  const irr = board.lapics.mmioRead(0x200 + 0x10 * (0x51 >> 5), 4, 0);
  expect(irr).toBe(1 << (0x51 & 31));
  board.chipset.sendMessage(0x1000, 0x52);
  expect(board.lapics.mmioRead(0x200 + 0x10 * (0x52 >> 5), 4, 0)).toBe(irr);
});

test('CMOS tells firmware the boot order and how many processors there are', () => {
  const { board } = setUp({
    boot: { order: ['cdrom', 'disk', 'network'], menu: undefined },
    topology: cpuTopology(2),
  });
  const cmos = (address: number) => (board.ports.write(0x70, 1, address), board.ports.read(0x71, 1));
  expect([cmos(0x3d), cmos(0x38), cmos(0x5f)]).toEqual([0x23, 0x41, 1]);
});

test('each vCPU finds its local APIC where its IA32_APIC_BASE says, and nowhere once it is disabled', () => {
  const { board } = setUp({ topology: cpuTopology(2) });
  const id = (address: number, vcpu: number) => board.mmio.read(address + 0x20, 4, vcpu);
  const nothing = 0xffff_ffffn;
  expect([id(0xfee0_0000, 0), id(0xfee0_0000, 1)]).toEqual([0n, 1n << 24n]);
  expect(board.lapics.writeMsr(1, 0x1b, 0xd000_0800n)).toBe(true);
  expect([id(0xfee0_0000, 1), id(0xd000_0000, 1)]).toEqual([nothing, 1n << 24n]);
  expect([id(0xfee0_0000, 0), id(0xd000_0000, 0)]).toEqual([0n, nothing]);
  expect(board.lapics.writeMsr(1, 0x1b, 0xd000_0000n)).toBe(true);
  expect(id(0xd000_0000, 1)).toBe(nothing);
});

test('APIC ids follow the topology, in the local APICs, the ACPI tables and what firmware is told', () => {
  const topology = { sockets: 2, cores: 3, threads: 1 };
  const { board } = setUp({ topology });
  const ids = [0, 1, 2, 4, 5, 6];
  const found = ids.map((_, vcpu) => Number(board.mmio.read(0xfee0_0020, 4, vcpu) >> 24n));
  expect(found).toEqual(ids);
  // 5.2.12.2: processor local APIC structures, type 0 of 8 bytes: UID, APIC id, enabled.
  const madt = acpiTables(board, 0xe0000).blobs.find(
    ({ bytes }) => new TextDecoder().decode(bytes.subarray(0, 4)) === 'APIC',
  );
  const entries = ids.map((_, vcpu) => [...(madt?.bytes.subarray(44 + 8 * vcpu, 52 + 8 * vcpu) ?? [])]);
  expect(entries).toEqual(ids.map((id, vcpu) => [0, 8, vcpu, id, 1, 0, 0, 0]));
  const fwCfg = (item: number) => {
    board.ports.write(0x510, 2, item);
    return board.ports.read(0x511, 1) | (board.ports.read(0x511, 1) << 8);
  };
  expect([fwCfg(5), fwCfg(0xf)]).toEqual([6, 7]);
});

test('port 0x70 holds the NMI signal back', () => {
  const { board } = setUp();
  board.lapics.mmioWrite(0xf0, 4, 0x1ff, 0); // SVR: enabled
  board.lapics.mmioWrite(0x360, 4, 0x400, 0); // LINT1: NMI
  board.ports.write(0x70, 1, 0x80);
  board.chipset.nmi.signal(true);
  expect(board.signals.load(0) & VcpuEvent.Nmi).toBe(0);
  board.ports.write(0x70, 1, 0);
  expect(board.signals.load(0) & VcpuEvent.Nmi).toBe(VcpuEvent.Nmi);
});
