/**
 * What instructions done in TypeScript see of the processor: the state, guest memory by linear address,
 * ports, and the translations that some of them must drop.
 */
import type { InterruptSource } from '../../contract.ts';
import type { VcpuState } from '../../../vcpu/state.ts';
import type { Topology } from '../../../vcpu/topology.ts';
import type { CpuModel } from './cpuid.ts';

/** An exception of the guest, thrown where it is found and delivered by the interpreter with `rip` (and
 * everything the instruction has not yet committed) as it was before the instruction. */
export class GuestFault {
  readonly vector: number;
  /** undefined where the exception pushes none. */
  readonly errorCode: number | undefined;
  constructor(vector: number, errorCode?: number) {
    this.vector = vector;
    this.errorCode = errorCode;
  }
}

/** Thrown by port and device accesses whose result the run loop must supply: the instruction is run again. */
export class AccessPending {}

/** Thrown where translated code must leave a store to tier 0: what it writes is code, or lies on two pages. */
export class InterpretInstead {}

/** Exception vectors (SDM 3A, table 6-1). */
export const Vector = {
  DE: 0, DB: 1, NMI: 2, BP: 3, OF: 4, BR: 5, UD: 6, NM: 7, DF: 8, TS: 10, NP: 11, SS: 12, GP: 13, PF: 14, MF: 16,
  AC: 17, MC: 18, XM: 19,
} as const; // prettier-ignore

/** What the interpreter does after an instruction done in TypeScript. */
export const Outcome = {
  /** Goes on with the next record: nothing that translations depend on has changed. */
  Next: 0,
  /** Looks `rip` up anew: a jump, or CPL, mode, segments, control registers or mappings changed. */
  Changed: 1,
  Halt: 2,
  /** Triple fault, or a shutdown for another reason. */
  Shutdown: 3,
} as const;
export type Outcome = (typeof Outcome)[keyof typeof Outcome];

/** A decoded instruction as its TypeScript function sees it. */
export interface Instruction {
  /** Operand size in bytes. */
  readonly size: 2 | 4 | 8;
  /** Byte offsets within the state of the register operands, in the order of the table's operands. */
  readonly a: number;
  readonly b: number;
  /** Immediate, sign-extended. */
  readonly imm: number;
  /** Selector of a far pointer given in the instruction; `imm` is its offset. */
  readonly selector: number;
  /** modrm is a memory operand, with this segment register and offset in it (0 … 2^64-1). */
  readonly memory: boolean;
  readonly segment: number;
  readonly offset: bigint;
  /** Address of the instruction; of the next one, truncated to the mode's width. */
  readonly rip: bigint;
  readonly next: bigint;
  /** Length in bytes. */
  readonly length: number;
  /** 8, 4 or 2: address size of implied operands (INS, OUTS). */
  readonly addressSize: 2 | 4 | 8;
  /** REP prefix: 0 none, 1 REP/REPE, 2 REPNE. */
  readonly rep: 0 | 1 | 2;
}

/** Guest memory by linear address, through paging. `user`: access as CPL 3 (false: implicit supervisor
 * access, as to descriptor tables). All throw GuestFault (#PF, or #GP(0)/#SS(0) for a non-canonical
 * address) and set CR2; accesses may cross pages, and are then checked whole before the first byte is
 * written. Widths in bytes. */
export interface LinearMemory {
  read(linear: bigint, bytes: 1 | 2 | 4, user: boolean): number;
  read64(linear: bigint, user: boolean): bigint;
  write(linear: bigint, bytes: 1 | 2 | 4, value: number, user: boolean): void;
  write64(linear: bigint, value: bigint, user: boolean): void;
  /** @param into where to put them; else they get memory of their own @returns that */
  readBytes(linear: bigint, length: number, user: boolean, into?: Uint8Array): Uint8Array;
  writeBytes(linear: bigint, bytes: Uint8Array, user: boolean): void;
  /** Throws where a write of that length would fault; writes nothing. */
  probeWrite(linear: bigint, length: number, user: boolean): void;
  /** Whether what lies at an address, and on the rest of its page, is memory; throws as an access would. */
  isMemory(linear: bigint, write: boolean, user: boolean): boolean;
}

/** Guest memory by physical address; what is not memory reads as all ones and ignores writes. */
export interface PhysicalMemory {
  read32(address: number): number;
  write32(address: number, value: number): void;
}

/** Ports. Throw {@link AccessPending} until the run loop has made the access. */
export interface Ports {
  in(port: number, bytes: 1 | 2 | 4): number;
  out(port: number, bytes: 1 | 2 | 4, value: number): void;
  /** Reads up to `count` elements, together at most {@link MOST_BLOCK} bytes. @returns those that were read, at
   * least one; valid until the next access */
  inBlock(port: number, bytes: 1 | 2 | 4, count: number): Uint8Array;
  /** Writes elements, as many bytes of them at most. @returns how many were written, at least one */
  outBlock(port: number, bytes: 1 | 2 | 4, elements: Uint8Array): number;
}

/** Bytes that a repeated port access transfers at once: as many as are on a page. */
export const MOST_BLOCK = 4096;

export interface Cpu {
  readonly state: VcpuState;
  /** Raw bytes of the state, for register operands by offset. */
  readonly stateBytes: DataView<SharedArrayBuffer>;
  readonly linear: LinearMemory;
  readonly physical: PhysicalMemory;
  readonly ports: Ports;
  readonly interrupts: InterruptSource;
  readonly model: CpuModel;
  /** The machine's, for CPUID. */
  readonly topology: Topology;
  /** The machine's TSC, before this vCPU's offset. */
  readTsc(): bigint;
  readTscDeadline(): bigint;
  writeTscDeadline(value: bigint): void;
  /** Drops translations: all, or those of the current address space whose pages are not global. */
  flushTlb(global: boolean): void;
  /** CR3 has been loaded: makes the address space of a PCID the current one.
   * @param keep what has been cached of it is still true */
  enterAddressSpace(pcid: number, keep: boolean): void;
  /** Drops translations of pages that are not global, of the address space of a PCID or of all. */
  flushAddressSpaces(pcid?: number): void;
  /** Drops the translation of one page, in the current address space or that of a PCID. */
  invalidatePage(linear: bigint, pcid?: number): void;
  /** Waits a little where the guest has spun for long. @returns true where it has waited */
  pause(): boolean;
  log(line: string): void;
}

/** An instruction done in TypeScript. On entry `state.rip` is the next instruction's. */
export type ComplexInstruction = (cpu: Cpu, instruction: Instruction) => Outcome;

/** All of them, by the name the opcode table uses. */
export const complexInstructions = new Map<string, ComplexInstruction>();

/** Adds an instruction. @throws Error where there is one of that name */
export function defineComplex(name: string, run: ComplexInstruction): void {
  if (complexInstructions.has(name)) throw new Error(`instruction ${name} is defined twice`);
  complexInstructions.set(name, run);
}
