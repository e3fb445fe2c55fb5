/**
 * A processor for unit tests: the real state over flat memory without paging, ports that keep what was
 * written, and an interrupt source that answers nothing.
 */
import { Seg, vcpuLayout, type VcpuState } from '../../../vcpu/state.ts';
import { Topology } from '../../../vcpu/topology.ts';
import { loadSegment } from '../../../vcpu/segment.ts';
import { complexInstructions } from './complex.ts';
import { type Cpu, GuestFault, type Instruction, type LinearMemory, Outcome, Vector } from './cpu.ts';
import { CpuModel } from './cpuid.ts';
import { deliver, exceptionEvent, injectedEvent, type InterruptEvent } from './interrupts.ts';
import { requireAlignment } from './operands.ts';
import { Cr0, Cr4, Efer } from './registers.ts';
import { resetState } from './reset.ts';

const MEMORY = 0x40_0000;

/** Memory where linear, physical and host addresses are the same; beyond it lie faulting pages. */
export class FlatMemory implements LinearMemory {
  readonly view = new DataView(new ArrayBuffer(MEMORY));
  /** Pages that are not present, by number. */
  readonly absent = new Set<number>();
  readonly #state: VcpuState;

  constructor(state: VcpuState) {
    this.#state = state;
  }

  /** Where an operand of a size of its own lies, which a user's may have to be aligned to. */
  #operand(linear: bigint, bytes: number, write: boolean, user: boolean): number {
    if (user) requireAlignment(this.#state, linear, bytes);
    return this.#at(linear, bytes, write, user);
  }

  #at(linear: bigint, bytes: number, write: boolean, user: boolean): number {
    const at = Number(linear);
    for (let page = at >>> 12; page <= (at + bytes - 1) >>> 12; page++) {
      if (linear < BigInt(MEMORY - bytes) && !this.absent.has(page)) continue;
      this.#state.cr2 = linear;
      throw new GuestFault(Vector.PF, (write ? 2 : 0) | (user ? 4 : 0));
    }
    return at;
  }

  read(linear: bigint, bytes: 1 | 2 | 4, user: boolean): number {
    const at = this.#operand(linear, bytes, false, user);
    return bytes === 1
      ? this.view.getUint8(at)
      : bytes === 2
        ? this.view.getUint16(at, true)
        : this.view.getUint32(at, true);
  }
  read64(linear: bigint, user: boolean): bigint {
    return this.view.getBigUint64(this.#operand(linear, 8, false, user), true);
  }
  write(linear: bigint, bytes: 1 | 2 | 4, value: number, user: boolean): void {
    const at = this.#operand(linear, bytes, true, user);
    if (bytes === 1) this.view.setUint8(at, value);
    else if (bytes === 2) this.view.setUint16(at, value, true);
    else this.view.setUint32(at, value, true);
  }
  write64(linear: bigint, value: bigint, user: boolean): void {
    this.view.setBigUint64(this.#operand(linear, 8, true, user), value, true);
  }
  readBytes(
    linear: bigint,
    length: number,
    user: boolean,
    into: Uint8Array = new Uint8Array(length),
  ): Uint8Array {
    const at = this.#at(linear, length, false, user);
    into.set(new Uint8Array(this.view.buffer, at, length));
    return into;
  }
  writeBytes(linear: bigint, bytes: Uint8Array, user: boolean): void {
    const at = this.#at(linear, bytes.length, true, user);
    new Uint8Array(this.view.buffer, at, bytes.length).set(bytes);
  }
  isMemory(): boolean {
    return true;
  }
  probeWrite(linear: bigint, length: number, user: boolean): void {
    this.#at(linear, length, true, user);
  }
}

/** What a test may look at beside the processor itself. */
export interface FakeCpu extends Cpu {
  readonly linear: FlatMemory;
  /** Port writes in order: port, bytes, value. */
  readonly written: Array<readonly [port: number, bytes: number, value: number]>;
  /** What port reads give. */
  portValue: number;
  /** Flushes in order: `all`, `local`, or a page's address. */
  readonly flushes: Array<string | bigint>;
  deadline: bigint;
  tsc: bigint;
}

/** A processor of its own, as after power-up. */
export function fakeCpu(model = new CpuModel('max'), index = 0): FakeCpu {
  const buffer = new SharedArrayBuffer(vcpuLayout.size);
  const state = vcpuLayout.bind(buffer, 0);
  resetState(state, { index, model });
  const linear = new FlatMemory(state);
  let priority = 0;
  const cpu: FakeCpu = {
    state,
    stateBytes: new DataView(buffer),
    linear,
    physical: {
      read32: (address) => (address < MEMORY - 4 ? linear.view.getUint32(address, true) : 0xffff_ffff),
      write32: (address, value) => {
        if (address < MEMORY - 4) linear.view.setUint32(address, value, true);
      },
    },
    ports: {
      in: (_, bytes) => (bytes === 4 ? cpu.portValue >>> 0 : cpu.portValue & ((1 << (8 * bytes)) - 1)),
      out: (port, bytes, value) => cpu.written.push([port, bytes, value]),
      inBlock: (port, bytes) => {
        const value = cpu.ports.in(port, bytes);
        return Uint8Array.from({ length: bytes }, (_, i) => value >>> (8 * i));
      },
      outBlock: (port, bytes, elements) => {
        cpu.ports.out(
          port,
          bytes,
          elements.slice(0, bytes).reduceRight((sum, byte) => sum * 256 + byte, 0),
        );
        return 1;
      },
    },
    interrupts: {
      pending: () => false,
      acknowledge: () => -1,
      getTaskPriority: () => priority,
      setTaskPriority: (_, value) => {
        priority = value;
      },
      readMsr: (_, msr) => (msr === 0x1b ? state.apicBase : null),
      writeMsr: () => false,
    },
    model,
    topology: Topology.ofCores(1),
    readTsc: () => cpu.tsc,
    readTscDeadline: () => cpu.deadline,
    writeTscDeadline: (value) => {
      cpu.deadline = value;
    },
    flushTlb: (global) => cpu.flushes.push(global ? 'all' : 'local'),
    enterAddressSpace: (pcid, keep) => cpu.flushes.push(`${keep ? 'back to' : 'to'} ${pcid}`),
    flushAddressSpaces: (pcid) => cpu.flushes.push(pcid === undefined ? 'every local' : `local of ${pcid}`),
    invalidatePage: (address) => cpu.flushes.push(address),
    pause: () => false,
    log: () => {},
    written: [],
    portValue: 0,
    flushes: [],
    deadline: 0n,
    tsc: 0n,
  };
  return cpu;
}

const PLAIN: Instruction = {
  size: 4, a: 0, b: 0, imm: 0, selector: 0, memory: false, segment: Seg.DS, offset: 0n, rip: 0x1000n, next: 0x1002n, length: 2,
  addressSize: 4, rep: 0,
}; // prettier-ignore

/** Runs an instruction as the interpreter does: `rip` is the next one's, or this one's where it faults. */
export function run(cpu: Cpu, name: string, fields: Partial<Instruction> = {}): Outcome {
  const instruction = { ...PLAIN, ...fields };
  const complex = complexInstructions.get(name);
  if (complex === undefined) throw new Error(`no instruction ${name}`);
  cpu.state.rip = instruction.next;
  try {
    return deliverInjected(cpu, complex(cpu, instruction));
  } catch (fault) {
    cpu.state.rip = instruction.rip;
    throw fault;
  }
}

/** Delivers an interrupt or exception as the processor's loop does, with all that follows from it. */
export function deliverWhole(cpu: Cpu, event: InterruptEvent): Outcome {
  return deliverInjected(cpu, deliver(cpu, event));
}

/** The same of an exception found at `rip`. */
export function deliverException(cpu: Cpu, { vector, errorCode }: GuestFault): Outcome {
  return deliverWhole(cpu, exceptionEvent(vector, errorCode));
}

/** What has begun is carried on until it has ended. */
function deliverInjected(cpu: Cpu, outcome: Outcome): Outcome {
  for (;;) {
    const event = injectedEvent(cpu.state);
    if (event === null || outcome === Outcome.Shutdown) return outcome;
    outcome = deliver(cpu, event);
  }
}

/** The fault an action raises: `[vector, error code]`, or null. */
export function faultOf(action: () => unknown): readonly [number, number | undefined] | null {
  try {
    action();
  } catch (fault) {
    if (fault instanceof GuestFault) return [fault.vector, fault.errorCode];
    throw fault;
  }
  return null;
}

/** Where the tables of the protected-mode set-ups lie. */
export const GDT = 0x2000;
export const IDT = 0x3000;
export const TSS = 0x5000;

/** Selectors of the GDT that {@link enterProtectedMode} and {@link enterLongMode} make. */
export const Sel = {
  Code0: 0x08, Data0: 0x10, Code3: 0x1b, Data3: 0x23, Tss: 0x28, Code16: 0x38, Code64: 0x40, Conforming: 0x48,
  Code1: 0x50, Data1: 0x58, Absent: 0x60, Ldt: 0x68, ReadOnly: 0x70, Data2: 0x78, User64: 0x83, Free: 0x88,
} as const; // prettier-ignore

/** Writes a segment descriptor. @param attr in the form of `segAttr` */
export function setDescriptor(
  cpu: FakeCpu,
  selector: number,
  base: number,
  limit: number,
  attr: number,
): void {
  const at = GDT + (selector & 0xfff8);
  const scaled = (attr & 0x8000) !== 0 ? limit >>> 12 : limit;
  cpu.linear.view.setUint32(at, ((base << 16) | (scaled & 0xffff)) >>> 0, true);
  const high = (base & 0xff00_0000) | ((base >>> 16) & 0xff) | (scaled & 0xf_0000) | ((attr & 0xf0ff) << 8);
  cpu.linear.view.setUint32(at + 4, high >>> 0, true);
}

/** Writes a gate into a table. @param type the type and DPL byte, present bit included */
export function setGate(
  cpu: FakeCpu,
  at: number,
  selector: number,
  offset: number,
  type: number,
  low = 0,
): void {
  cpu.linear.view.setUint32(at, ((selector << 16) | (offset & 0xffff)) >>> 0, true);
  cpu.linear.view.setUint32(at + 4, ((offset & 0xffff_0000) | (type << 8) | low) >>> 0, true);
}

function setTables(cpu: FakeCpu): void {
  const { state } = cpu;
  const all = 0xffff_ffff;
  setDescriptor(cpu, Sel.Code0, 0, all, 0xc09a);
  setDescriptor(cpu, Sel.Data0, 0, all, 0xc092);
  setDescriptor(cpu, Sel.Code3, 0, all, 0xc0fa);
  setDescriptor(cpu, Sel.Data3, 0, all, 0xc0f2);
  setDescriptor(cpu, Sel.Tss, TSS, 0x20ff, 0x0089);
  setDescriptor(cpu, Sel.Code16, 0x1_0000, 0xffff, 0x009a);
  setDescriptor(cpu, Sel.Code64, 0, all, 0xa09a);
  setDescriptor(cpu, Sel.Conforming, 0, all, 0xc09e);
  setDescriptor(cpu, Sel.Code1, 0, all, 0xc0ba);
  setDescriptor(cpu, Sel.Data1, 0, all, 0xc0b2);
  setDescriptor(cpu, Sel.Absent, 0, all, 0xc012);
  setDescriptor(cpu, Sel.Ldt, 0x8000, 0xff, 0x0082);
  setDescriptor(cpu, Sel.ReadOnly, 0, all, 0xc090);
  setDescriptor(cpu, Sel.Data2, 0, all, 0xc0d2);
  setDescriptor(cpu, Sel.User64, 0, all, 0xa0fa);
  state.gdtrBase = BigInt(GDT);
  state.gdtrLimit = 0xff;
  state.idtrBase = BigInt(IDT);
  state.idtrLimit = 0xfff;
  loadSegment(state, Seg.TR, { selector: Sel.Tss, base: BigInt(TSS), limit: 0x20ff, attr: 0x8b });
}

function loadFlatSegments(
  cpu: FakeCpu,
  code: number,
  codeAttr: number,
  data: number,
  privilege: number,
): void {
  const { state } = cpu;
  const dpl = privilege << 5;
  const flat = { base: 0n, limit: 0xffff_ffff };
  loadSegment(state, Seg.CS, { ...flat, selector: code, attr: codeAttr | dpl });
  for (const segment of [Seg.SS, Seg.DS, Seg.ES, Seg.FS, Seg.GS]) {
    loadSegment(state, segment, { ...flat, selector: data, attr: 0xc093 | dpl });
  }
  state.cpl = privilege;
  state.gpr[4] = 0x9000n;
}

/** 32-bit protected mode with flat segments, at privilege 0 or 3. */
export function enterProtectedMode(cpu: FakeCpu, privilege: 0 | 3 = 0): void {
  setTables(cpu);
  cpu.state.cr0 = BigInt(Cr0.PE | Cr0.ET);
  loadFlatSegments(
    cpu,
    privilege === 0 ? Sel.Code0 : Sel.Code3,
    0xc09b,
    privilege === 0 ? Sel.Data0 : Sel.Data3,
    privilege,
  );
}

/** 64-bit mode, at privilege 0 or 3. */
export function enterLongMode(cpu: FakeCpu, privilege: 0 | 3 = 0): void {
  setTables(cpu);
  cpu.state.cr0 = BigInt(Cr0.PE | Cr0.ET) | BigInt(Cr0.PG);
  cpu.state.cr4 = BigInt(Cr4.PAE);
  cpu.state.efer = BigInt(Efer.LME | Efer.LMA | Efer.SCE);
  loadFlatSegments(
    cpu,
    privilege === 0 ? Sel.Code64 : Sel.User64,
    0xa09b,
    privilege === 0 ? Sel.Data0 : Sel.Data3,
    privilege,
  );
}
