/**
 * What is asked of every accelerator, as one test suite: each exit, registers and events through the common
 * schema, memory that comes and goes, interrupts, and how soon a vCPU can be had out of the guest.
 *
 * Guests are machine code, in hexadecimal with their assembly beside them.
 */
import { readdirSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, test } from 'vitest';
import { Random } from '../base/random.ts';
import { acceleratorOf, type AcceleratorName } from '../machine/accelerator.ts';
import { PAGE_SIZE } from '../memory/machine-memory.ts';
import { loadSegment } from '../vcpu/segment.ts';
import { Activity, Flag, Gpr, Seg, VcpuEvent, vcpuLayout, type VcpuState } from '../vcpu/state.ts';
import { type Access, GUEST, nameOf, TestMachine } from './conformance-machine.ts';
import { type ConformanceThreadData, Word } from './conformance-thread.ts';
import { ExitReason } from './contract.ts';
import { readFlags, writeFlags } from './wasm/system/flags.ts';

/** Milliseconds in which a vCPU must be out of the guest. */
const KICK_LIMIT = 10;

export interface ConformanceOptions {
  /** Tests that the accelerator is known not to pass, by a word in their names. They are skipped aloud. */
  readonly lacks?: readonly string[];
}

const hex = (text: string): number[] => text.match(/[0-9a-f]{2}/g)?.map((byte) => parseInt(byte, 16)) ?? [];
const dword = (value: number): string =>
  [0, 8, 16, 24].map((shift) => ((value >>> shift) & 0xff).toString(16).padStart(2, '0')).join('');

/** Declares the suite for one accelerator. */
export function acceleratorConformance(name: AcceleratorName, { lacks = [] }: ConformanceOptions = {}): void {
  const accelerator = acceleratorOf(name);
  const machines: TestMachine[] = [];
  const make = (): TestMachine => {
    const machine = new TestMachine(accelerator);
    machines.push(machine);
    return machine;
  };
  const real = (code: string): TestMachine => {
    const machine = make();
    machine.enterReal(...hex(code));
    return machine;
  };
  const long = (code: string): TestMachine => {
    const machine = make();
    machine.enterLong(...hex(code));
    return machine;
  };
  const check = (title: string, body: () => void | Promise<void>): void => {
    const lacking = lacks.find((word) => title.includes(word));
    if (lacking === undefined) test(title, body);
    else test.skip(`${title} (${name} lacks it)`, body);
  };
  /** Serves reads with `answer` until the guest halts, and returns every access. */
  const accesses = (machine: TestMachine, answer = 0n): Access[] => {
    const all: Access[] = [];
    for (;;) {
      const reason = machine.run();
      if (reason === ExitReason.Halt) return all;
      const { io } = machine.vcpu;
      if (reason !== ExitReason.PortIo && reason !== ExitReason.Mmio) {
        throw new Error(`${nameOf(reason)}: ${machine.vcpu.detail()}`);
      }
      const port = reason === ExitReason.PortIo;
      const { address, size, write, data } = io;
      all.push([
        port ? (write ? 'out' : 'in') : write ? 'write' : 'read',
        address,
        size,
        write ? BigInt.asUintN(8 * size, data) : 0n,
      ]);
      if (!write) io.data = BigInt.asUintN(8 * size, answer);
    }
  };

  describe(`accelerator ${name}`, () => {
    afterEach(() => {
      for (const machine of machines.splice(0)) machine.close();
    });

    check('port accesses of every size', () => {
      // mov eax, 0x12345678; mov dx, 0x3f8; out dx, al; out dx, ax; out dx, eax; in al, 0x60; out 0x61, al; in eax, dx;
      // out dx, eax; hlt
      const machine = real(`66b8${dword(0x1234_5678)} baf803 ee ef 66ef e460 e661 66ed 66ef f4`);
      expect(accesses(machine, 0x89ab_cdefn)).toEqual([
        ['out', 0x3f8, 1, 0x78n],
        ['out', 0x3f8, 2, 0x5678n],
        ['out', 0x3f8, 4, 0x1234_5678n],
        ['in', 0x60, 1, 0n],
        ['out', 0x61, 1, 0xefn],
        ['in', 0x3f8, 4, 0n],
        ['out', 0x3f8, 4, 0x89ab_cdefn],
      ]);
    });

    check('string port accesses: one exit for each element', () => {
      // mov si, data; mov cx, 3; mov dx, 0x70; rep outsb; mov di, data + 0x10; mov cx, 2; rep insw; hlt
      const machine = real('be0040 b90300 ba7000 f36e bf1040 b90200 f36d f4');
      machine.write(GUEST.data, [1, 2, 3]);
      expect(accesses(machine, 0xbeefn)).toEqual([
        ['out', 0x70, 1, 1n],
        ['out', 0x70, 1, 2n],
        ['out', 0x70, 1, 3n],
        ['in', 0x70, 2, 0n],
        ['in', 0x70, 2, 0n],
      ]);
      expect(machine.ram.getUint32(GUEST.data + 0x10, true)).toBe(0xbeef_beef);
      expect(machine.ram.getUint16(GUEST.data + 0x14, true)).toBe(0);
      machine.synchronize();
      expect(machine.state.gpr[Gpr.RCX] & 0xffffn).toBe(0n);
    });

    check('string port accesses of which several elements are served at once', () => {
      // mov si, data; mov cx, 6; mov dx, 0x70; rep outsw; mov di, data + 0x20; mov cx, 7; rep insw; mov bx, di; hlt
      const machine = real('be0040 b90600 ba7000 f36f bf2040 b90700 f36d 89fb f4');
      machine.write(GUEST.data, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12]);
      const written: number[] = [];
      let read = 0;
      for (let reason = machine.run(); reason !== ExitReason.Halt; reason = machine.run()) {
        expect(reason).toBe(ExitReason.PortIo);
        const { io, block } = machine.vcpu;
        // At first one alone is served, then as many as three.
        const most = read + written.length === 0 ? 0 : Math.min(3, (block?.bytes.length ?? 0) / 2);
        if (block === undefined || most === 0) {
          if (io.write) written.push(Number(io.data));
          else io.data = BigInt(0x4000 + read++);
          continue;
        }
        const view = new DataView(block.bytes.buffer, block.bytes.byteOffset, block.bytes.length);
        for (let i = 0; i < most; i++) {
          if (io.write) written.push(view.getUint16(2 * i, true));
          else view.setUint16(2 * i, 0x4000 + read++, true);
        }
        block.done = most;
      }
      expect(written).toEqual([0x201, 0x403, 0x605, 0x807, 0xa09, 0xc0b]);
      expect(read).toBe(7);
      for (let i = 0; i < 7; i++)
        expect(machine.ram.getUint16(GUEST.data + 0x20 + 2 * i, true)).toBe(0x4000 + i);
      expect(machine.ram.getUint16(GUEST.data + 0x2e, true)).toBe(0);
      machine.synchronize();
      const { gpr } = machine.state;
      expect([gpr[Gpr.RCX] & 0xffffn, gpr[Gpr.RBX] & 0xffffn]).toEqual([0n, BigInt(GUEST.data + 0x2e)]);
    });

    check('accesses to memory that is not there, of every size', () => {
      const at = dword(GUEST.hole);
      // mov rax, 0x1122334455667788; mov [hole], al; ax; eax; rax; mov cl, [hole]; cx; ecx; rcx; mov [data], rcx; hlt
      const machine = long(
        `48b88877665544332211 880425${at} 66890425${at} 890425${at} 48890425${at}
         8a0c25${at} 668b0c25${at} 8b0c25${at} 488b0c25${at} 48890c25${dword(GUEST.data)} f4`,
      );
      expect(accesses(machine, 0x8877_6655_4433_2211n)).toEqual([
        ['write', GUEST.hole, 1, 0x88n],
        ['write', GUEST.hole, 2, 0x7788n],
        ['write', GUEST.hole, 4, 0x5566_7788n],
        ['write', GUEST.hole, 8, 0x1122_3344_5566_7788n],
        ['read', GUEST.hole, 1, 0n],
        ['read', GUEST.hole, 2, 0n],
        ['read', GUEST.hole, 4, 0n],
        ['read', GUEST.hole, 8, 0n],
      ]);
      expect(machine.ram.getBigUint64(GUEST.data, true)).toBe(0x8877_6655_4433_2211n);
    });

    check('ROM is read as memory, and keeps what it has', () => {
      const at = dword(GUEST.rom + 8);
      // mov eax, [rom + 8]; mov [data], eax; mov [rom + 8], ecx; mov eax, [rom + 8]; mov [data + 4], eax; hlt
      const machine = long(
        `8b0425${at} 890425${dword(GUEST.data)} 890c25${at} 8b0425${at} 890425${dword(GUEST.data + 4)} f4`,
      );
      machine.rom.setUint32(8, 0xcafe_f00d, true);
      expect(accesses(machine).filter(([kind]) => kind !== 'write')).toEqual([]);
      expect(machine.ram.getBigUint64(GUEST.data, true)).toBe(0xcafe_f00d_cafe_f00dn);
    });

    check('what is written to ROM comes out as an access', () => {
      // mov eax, 0x12345678; mov [rom + 8], eax; hlt
      const machine = long(`b8${dword(0x1234_5678)} 890425${dword(GUEST.rom + 8)} f4`);
      expect(accesses(machine)).toEqual([['write', GUEST.rom + 8, 4, 0x1234_5678n]]);
    });

    check('memory that is added, moved and taken away while the guest runs', () => {
      const at = dword(GUEST.movable);
      // again: mov eax, [movable]; out 0x80, eax; jmp again
      const machine = long(`8b0425${at} e780 ebf5`);
      machine.ram.setUint32(GUEST.pages, 0x1111_1111, true);
      machine.ram.setUint32(GUEST.pages + PAGE_SIZE, 0x2222_2222, true);
      const look = (): Access => {
        let access = machine.access();
        // What was read before the change may still be on its way out.
        if (access[0] === 'out') access = machine.access();
        if (access[0] === 'read') machine.vcpu.io.data = 0xffff_ffffn;
        return access[0] === 'read' ? machine.access() : access;
      };
      const address = machine.ram.byteOffset + GUEST.pages;
      for (let round = 0; round < 3; round++) {
        expect(look()).toEqual(['out', 0x80, 4, 0xffff_ffffn]);
        machine.movable.change({ enabled: true, address });
        expect(look()).toEqual(['out', 0x80, 4, 0x1111_1111n]);
        machine.movable.change({ address: address + PAGE_SIZE });
        expect(look()).toEqual(['out', 0x80, 4, 0x2222_2222n]);
        machine.movable.change({ enabled: false });
      }
    });

    check('pages that the guest writes turn up in the dirty log, each once', () => {
      // again: mov eax, [0]; mov [data], eax; out 0x80, al; jmp again
      const machine = long(`8b042500000000 890425${dword(GUEST.data)} e680 ebee`);
      const page = GUEST.data / PAGE_SIZE;
      expect(machine.access()[0]).toBe('out');
      machine.dirty.enable(0, 64);
      expect(machine.access()[0]).toBe('out');
      expect(machine.dirty.collect(page, 1)).toEqual([page]);
      expect(machine.dirty.collect(page, 1)).toEqual([]);
      expect(machine.access()[0]).toBe('out');
      expect(machine.dirty.collect(0, 64)).toEqual([page]);
      machine.dirty.disable(0, 64);
      expect(machine.access()[0]).toBe('out');
      expect(machine.dirty.collect(0, 64)).toEqual([]);
    });

    check('HLT leaves, and stays so until something wakes the vCPU', () => {
      // hlt; mov al, 1; out 0x80, al; hlt
      const machine = real('f4 b001 e680 f4');
      machine.setRealHandler(2, 0xcf); // iret
      expect(machine.run()).toBe(ExitReason.Halt);
      expect(machine.state.activity).toBe(Activity.Halted);
      expect(machine.state.flagsSys & Flag.IF).toBe(0);
      machine.interrupts.request(0x40);
      expect(machine.run()).toBe(ExitReason.Halt);
      machine.signals.raise(0, VcpuEvent.Nmi);
      expect(machine.access()).toEqual(['out', 0x80, 1, 1n]);
      expect(machine.run()).toBe(ExitReason.Halt);
    });

    check('HLT with interrupts on says so, and an interrupt ends it', () => {
      // sti; hlt; mov al, 2; out 0x80, al; hlt
      const machine = real('fb f4 b002 e680 f4');
      machine.setRealHandler(0x40, ...hex('b040 e681 cf')); // mov al, 0x40; out 0x81, al; iret
      expect(machine.run()).toBe(ExitReason.Halt);
      expect(machine.state.flagsSys & Flag.IF).toBe(Flag.IF);
      machine.interrupts.request(0x40);
      expect(machine.access()).toEqual(['out', 0x81, 1, 0x40n]);
      expect(machine.access()).toEqual(['out', 0x80, 1, 2n]);
    });

    check('an interrupt waits until the guest lets it through', () => {
      // mov al, 1; out 0x80, al; mov al, 2; out 0x80, al; sti; mov cx, 0; again: loop again; mov al, 3; out 0x80, al; hlt
      const machine = real('b001 e680 b002 e680 fb b90000 e2fe b003 e680 f4');
      machine.setRealHandler(0x40, ...hex('50 b040 e681 58 cf')); // push ax; mov al, 0x40; out 0x81, al; pop ax; iret
      expect(machine.access()).toEqual(['out', 0x80, 1, 1n]);
      machine.interrupts.request(0x40);
      expect(accesses(machine)).toEqual([
        ['out', 0x80, 1, 2n],
        ['out', 0x81, 1, 0x40n],
        ['out', 0x80, 1, 3n],
      ]);
      expect(machine.interrupts.requested).toEqual([]);
    });

    check('interrupts come one after the other, each acknowledged once', () => {
      // sti; again: jmp again
      const machine = real('fb ebfe');
      for (const vector of [0x40, 0x41]) {
        // mov al, vector; out 0x81, al; iret
        machine.setRealHandler(vector, 0xb0, vector, 0xe6, 0x81, 0xcf);
      }
      for (let i = 0; i < 20; i++) {
        machine.interrupts.request(0x40);
        machine.interrupts.request(0x41);
        expect(machine.access()).toEqual(['out', 0x81, 1, 0x40n]);
        expect(machine.access()).toEqual(['out', 0x81, 1, 0x41n]);
        expect(machine.step()).toBe(ExitReason.Interrupted);
      }
    });

    check('an NMI is delivered whatever IF says, and not within its own handler', () => {
      // cli; again: jmp again
      const machine = real('fa ebfe');
      // mov al, 1; out 0x82, al; mov al, 2; out 0x82, al; iret
      machine.setRealHandler(2, ...hex('b001 e682 b002 e682 cf'));
      machine.signals.raise(0, VcpuEvent.Nmi);
      expect(machine.access()).toEqual(['out', 0x82, 1, 1n]);
      machine.signals.raise(0, VcpuEvent.Nmi);
      expect(machine.access()).toEqual(['out', 0x82, 1, 2n]);
      expect(machine.access()).toEqual(['out', 0x82, 1, 1n]);
      expect(machine.access()).toEqual(['out', 0x82, 1, 2n]);
    });

    check('a triple fault shuts down', () => {
      const machine = long('0f0b'); // ud2
      machine.state.idtrLimit = 0;
      expect(machine.run()).toBe(ExitReason.Shutdown);
      expect(machine.state.activity).toBe(Activity.Shutdown);
    });

    check('CR8 is the task priority of the local APIC', () => {
      // mov eax, 5; mov cr8, rax; out 0x80, al; mov rcx, cr8; mov eax, ecx; out 0x80, al; hlt
      const machine = long('b805000000 440f22c0 e680 440f20c1 89c8 e680 f4');
      expect(machine.access()).toEqual(['out', 0x80, 1, 5n]);
      expect(machine.interrupts.taskPriority).toBe(5);
      machine.interrupts.taskPriority = 9;
      expect(machine.access()).toEqual(['out', 0x80, 1, 9n]);
    });

    check('IA32_APIC_BASE is the local APIC to answer', () => {
      // mov ecx, 0x1b; rdmsr; out 0x80, eax; or eax, 0x1000; wrmsr; hlt
      const machine = long('b91b000000 0f32 e780 0d00100000 0f30 f4');
      machine.interrupts.msrs.set(0x1b, 0xfee0_0900n);
      expect(machine.access()).toEqual(['out', 0x80, 4, 0xfee0_0900n]);
      expect(machine.run()).toBe(ExitReason.Halt);
      expect(machine.interrupts.msrs.get(0x1b)).toBe(0xfee0_1900n);
    });

    check('registers and events come back as they went in', () => {
      for (let seed = 0; seed < 8; seed++) {
        const machine = long('f4');
        fill(machine, new Random(seed));
        const before = image(machine);
        machine.signals.raise(0, VcpuEvent.Kick);
        expect(machine.step()).toBe(ExitReason.Interrupted);
        machine.synchronize();
        expect(image(machine)).toEqual(before);
        machine.close();
      }
    });

    check('registers survive running, synchronized or not', () => {
      // again: out 0x80, al; jmp again
      const machine = long('e680 ebfc');
      fill(machine, new Random(99));
      machine.state.interruptShadow = 0;
      const before = image(machine);
      for (let i = 0; i < 10; i++) {
        expect(machine.access()[0]).toBe('out');
        if (i % 3 === 0 && machine.vcpu.synchronize?.() === null) {
          expect({ ...image(machine), rip: '' }).toEqual({ ...before, rip: '' });
        }
      }
    });

    check('what is changed after synchronizing is what the guest goes on with', () => {
      // again: out 0x80, al; jmp again
      const machine = long('e680 ebfc');
      for (let value = 0n; value < 5n; value++) {
        expect(machine.access()[3]).toBe(value);
        machine.synchronize();
        machine.state.gpr[Gpr.RAX] = value + 1n;
        machine.state.rip = BigInt(GUEST.code);
      }
    });

    check('a delivery that had begun (injected) is carried out', () => {
      // cli; again: jmp again
      const machine = real('fa ebfe');
      machine.setRealHandler(0x33, ...hex('b033 e681 f4')); // mov al, 0x33; out 0x81, al; hlt
      machine.state.injected = 0x8000_0033;
      machine.signals.raise(0, VcpuEvent.Kick);
      expect(machine.step()).toBe(ExitReason.Interrupted);
      machine.synchronize();
      expect(machine.state.injected).toBe(0x8000_0033);
      expect(machine.access()).toEqual(['out', 0x81, 1, 0x33n]);
    });

    check('a guest that never leaves is left at its deadline', () => {
      const machine = real('fa ebfe'); // cli; again: jmp again
      const started = performance.now();
      for (let i = 0; i < 20; i++) expect(machine.step()).toBe(ExitReason.Interrupted);
      expect(performance.now() - started).toBeLessThan(1000);
    });

    check(`a kick from another thread is answered in ${KICK_LIMIT} ms`, async () => {
      const machine = real('fa ebfe'); // cli; again: jmp again
      const { words, signals } = machine;
      Atomics.store(words, Word.Answered, -1);
      const workerData: ConformanceThreadData = { accelerator: name, shared: { memory: machine.memory } };
      const worker = new Worker(new URL('conformance-thread.ts', import.meta.url), { workerData });
      const ended = new Promise((resolve, reject) => worker.once('exit', resolve).once('error', reject));
      const answered = (count: number) => {
        const until = performance.now() + 10_000;
        while (Atomics.load(words, Word.Answered) < count) {
          if (performance.now() > until) throw new Error('the thread does not answer');
          Atomics.wait(words, Word.Answered, count - 1, 100);
        }
      };
      answered(0);
      const times: number[] = [];
      for (let i = 1; i <= 50; i++) {
        Atomics.wait(words, Word.Stop, 0, i % 5); // for the thread to be in the guest
        const started = performance.now();
        signals.raise(0, VcpuEvent.Kick);
        answered(i);
        times.push(performance.now() - started);
      }
      Atomics.store(words, Word.Stop, 1);
      signals.raise(0, VcpuEvent.Kick);
      expect(await ended).toBe(0);
      // The middle one: a host with more to run than processors delays some, whatever is done here.
      times.sort((a, b) => a - b);
      expect(times[times.length >> 1]).toBeLessThan(KICK_LIMIT);
    });

    check('a hundred vCPUs, one after the other, leave nothing behind', () => {
      const round = () => {
        const machine = new TestMachine(accelerator);
        machine.enterReal(0xf4);
        expect(machine.run()).toBe(ExitReason.Halt);
        machine.close();
      };
      round();
      const before = descriptors();
      for (let i = 0; i < 100; i++) round();
      expect(descriptors()).toBe(before);
    });
  });
}

/** Open file descriptors of this process; 0 where the host has no /proc. */
function descriptors(): number {
  return process.platform === 'linux' ? readdirSync('/proc/self/fd').length : 0;
}

/** Addresses that every processor takes: sign-extended from bit 46. */
const canonical = (random: Random): bigint => BigInt.asUintN(64, BigInt.asIntN(47, random.next64()));

/** Gives the registers values that a processor can have, all of them different. */
function fill({ state }: TestMachine, random: Random): void {
  for (let i = 0; i < 16; i++) state.gpr[i] = random.next64();
  const flags = Flag.CF | Flag.PF | Flag.AF | Flag.ZF | Flag.SF | Flag.OF | Flag.DF | Flag.AC | Flag.ID;
  writeFlags(state, random.next() & flags);
  for (const segment of [Seg.FS, Seg.GS]) {
    loadSegment(state, segment, { selector: 16, base: canonical(random), limit: 0xffff_ffff, attr: 0xc093 });
  }
  state.cr2 = canonical(random);
  for (let i = 0; i < 4; i++) state.dr[i] = canonical(random);
  state.dr[6] = 0xffff_0ff0n | (random.next64() & 0xfn);
  state.dr[7] = 0x400n;
  for (const name of ['lstar', 'cstar', 'kernelGsBase', 'sysenterEsp', 'sysenterEip'] as const) {
    state[name] = canonical(random);
  }
  state.star = random.next64();
  state.sfmask = BigInt(random.next());
  state.sysenterCs = BigInt(random.next() & 0xffff);
  state.pat = 0x0007_0406_0007_0401n;
  state.mtrrDefType = 0xc06n;
  state.mtrrFixed.fill(0x0606_0606_0606_0606n);
  for (let i = 0; i < 16; i += 2) {
    state.mtrrVariable[i] = BigInt(random.next() & 0xfff) << 20n;
    state.mtrrVariable[i + 1] = 0xf_fff0_0800n;
  }
  state.tscOffset = BigInt.asIntN(40, random.next64());
  for (let i = 0; i < 16; i += 2) {
    state.fpr[i] = random.next64();
    state.fpr[i + 1] = BigInt(random.next() & 0xffff);
  }
  state.fcw = 0x37f & ~(random.next() & 0xc00);
  // The stack's top and the condition codes.
  state.fsw = random.next() & 0x7f00;
  state.ftw = random.next() & 0xff;
  state.mxcsr = 0x1f80 | (random.next() & 0x603f);
  for (let i = 0; i < 16; i++) {
    state.ymm[4 * i] = random.next64();
    state.ymm[4 * i + 1] = random.next64();
  }
  state.interruptShadow = 1;
  state.nmiBlocked = random.next() & 1;
}

/** What is not the registers' or has another form for each accelerator: flags are compared as RFLAGS. */
const APART = new Set(['accel', 'often', 'events', 'flagsRes', 'flagsAux', 'flagsSys']);

/** Every register by name, as text. */
function image({ state }: TestMachine): Record<string, string> {
  const all: Record<string, string> = { rflags: readFlags(state).toString(16) };
  for (const [name, value] of Object.entries(fieldsOf(state))) {
    if (!APART.has(name)) all[name] = typeof value === 'object' ? [...value].join(' ') : String(value);
  }
  return all;
}

function fieldsOf(state: VcpuState): Record<string, number | bigint | Iterable<number | bigint>> {
  const names = Object.keys(vcpuLayout.fields) as Array<keyof VcpuState>;
  return Object.fromEntries(names.map((name) => [name, state[name]]));
}
