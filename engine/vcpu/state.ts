/**
 * The architectural state of a vCPU: one schema for every accelerator, so that a machine saved under one
 * resumes under another. It lies in the shared memory; emitted code reaches fields by `vcpuLayout.offset`.
 *
 * Intel SDM volume 1, chapter 3 (registers), volume 3A, chapter 2 (system registers).
 */
import { layout, type View } from '../memory/layout.ts';

export const vcpuLayout = layout('vcpu', 4, {
  /** Scratch of the accelerator, like `accel` below: what emitted code uses most. It comes first, with the flags and half of the
   * registers behind it, since the host's instructions have a byte for an offset below 128 and four for others (SDM 2, 2.1.5). */
  often: ['u32', 13],

  /**
   * The arithmetic flags, kept as what they can be computed from (see semantics/flags.ts):
   * ZF = flagsRes == 0; SF = sign of flagsRes ^ flagsAux bit 0; PF = even parity of
   * (flagsRes ^ flagsAux >> 8) & 0xff; CF = flagsAux bit 31; OF = flagsAux bit 31 ^ bit 30;
   * AF = flagsAux bit 3.
   */
  flagsAux: 'u32',
  flagsRes: 'i64',

  /** RAX RCX RDX RBX RSP RBP RSI RDI R8 … R15, in encoding order. */
  gpr: ['u64', 16],
  /** Always zero: the base or index of an address that has none. */
  zero: 'u64',
  rip: 'u64',
  /** Every other RFLAGS bit, in place: TF IF DF IOPL NT RF VM AC VIF VIP ID. Bit 1 reads as one. */
  flagsSys: 'u32',

  /** Segment registers ES CS SS DS FS GS, then LDTR, TR, then two null segments whose base is always
   * 0: flat 64-bit addresses, in general and through the stack pointer (a bad one is #GP, or #SS). */
  segBase: ['u64', 10],
  segSelector: ['u32', 10],
  /** Limit in bytes, scaled by G. */
  segLimit: ['u32', 10],
  /** Access rights as in VMX (SDM 3C, 25.4.1): bits 0-3 type, 4 S, 5-6 DPL, 7 P, 12 AVL, 13 L, 14 D/B,
   * 15 G, 16 unusable. */
  segAttr: ['u32', 10],
  /** Derived from limit and rights: offsets lo … hi that may be read; hi < lo where none. */
  segReadLo: ['u32', 10],
  segReadHi: ['u32', 10],
  segWriteLo: ['u32', 10],
  segWriteHi: ['u32', 10],

  gdtrBase: 'u64',
  idtrBase: 'u64',
  gdtrLimit: 'u32',
  idtrLimit: 'u32',

  cr0: 'u64',
  cr2: 'u64',
  cr3: 'u64',
  cr4: 'u64',
  cr8: 'u64',
  efer: 'u64',
  xcr0: 'u64',
  xss: 'u64',
  dr: ['u64', 8],

  /** 0 … 3. Equals SS.DPL, except in real mode (0) and virtual-8086 mode (3). */
  cpl: 'u32',
  /** 0 running, 1 halted, 2 waiting for SIPI, 3 shut down; see {@link Activity}. */
  activity: 'u32',
  /** 0 none, 1 by STI, 2 by MOV SS or POP SS: no interrupt is taken before the next instruction ends. */
  interruptShadow: 'u32',
  nmiBlocked: 'u32',
  /** 1 in system-management mode. */
  smm: 'u32',
  smbase: 'u32',
  /** 0 where address bit 20 is forced to zero. */
  a20: 'u32',
  /** 1 while the board asserts IGNNE#: an x87 exception that CR0.NE leaves to the board does not stop the processor
   * (SDM 1, 8.7). It ends with the exception. */
  ignne: 'u32',
  /** Requests to this vCPU, OR-ed in atomically by any thread; see {@link VcpuEvent}. */
  events: 'i32',
  /** Vector of the latest start-up IPI. */
  sipiVector: 'u32',
  /** CPU index, 0 the bootstrap processor. */
  index: 'u32',

  star: 'u64',
  lstar: 'u64',
  cstar: 'u64',
  sfmask: 'u64',
  kernelGsBase: 'u64',
  sysenterCs: 'u64',
  sysenterEsp: 'u64',
  sysenterEip: 'u64',
  pat: 'u64',
  tscAux: 'u64',
  /** Added to the machine's TSC. */
  tscOffset: 'i64',
  tscAdjust: 'i64',
  apicBase: 'u64',
  miscEnable: 'u64',
  specCtrl: 'u64',
  mcgStatus: 'u64',
  mtrrDefType: 'u64',
  /** Eleven fixed-range MTRRs, in order of address. */
  mtrrFixed: ['u64', 11],
  /** Base and mask, eight pairs. */
  mtrrVariable: ['u64', 16],

  /** x87 registers by physical number (not relative to TOP): significand, then sign and exponent in the
   * low 16 bits of the next word. MMX registers are the significands. */
  fpr: ['u64', 16],
  fcw: 'u32',
  /** Status word with TOP in place. */
  fsw: 'u32',
  /** Tag word abridged as FXSAVE has it: bit n set where physical register n is not empty. */
  ftw: 'u32',
  fop: 'u32',
  fip: 'u64',
  fdp: 'u64',
  fcs: 'u32',
  fds: 'u32',
  mxcsr: 'u32',
  /** XMM n at byte 32 n; the upper half is kept for AVX. */
  ymm: ['u64', 64],

  /** An interrupt or exception whose delivery has begun and not ended, to be begun again at the next entry; as
   * VM-entry interruption information (SDM 3C, 25.8.3): bits 0-7 vector, 8-10 type, 11 with an error
   * code, 31 valid. 0 where there is none, as always between two instructions. */
  injected: 'u32',
  injectedError: 'u32',

  /** Scratch of the accelerator that runs this vCPU (accel/wasm/private.ts); not part of a saved machine. */
  accel: ['u64', 64],
});

/** The bound state. */
export type VcpuState = View<typeof vcpuLayout.fields>;

export const Activity = { Running: 0, Halted: 1, WaitForSipi: 2, Shutdown: 3 } as const;

/** Bits of `events`. */
export const VcpuEvent = {
  /** The local APIC or the PIC has a maskable interrupt for this vCPU. A level: kept by the controllers. */
  Interrupt: 1 << 0,
  Nmi: 1 << 1,
  Smi: 1 << 2,
  Init: 1 << 3,
  Sipi: 1 << 4,
  /** The control thread wants the vCPU out of the guest (pause, stop, inspection). */
  Kick: 1 << 5,
  /** Translations must be dropped: TLB (memory map changed) or decoded code (written by another vCPU). */
  FlushTlb: 1 << 6,
  FlushCode: 1 << 7,
  /** FERR#: the processor stands before an x87 instruction, with an exception that CR0.NE leaves to the board to report.
   * The run loop tells the board. */
  FloatError: 1 << 8,
  /** Of vcpu/coherence.ts: translations that allow writing must be dropped; code that was decoded has been
   * written; another vCPU wants to be alone for a moment. */
  DropWrites: 1 << 9,
  CodeWritten: 1 << 10,
  StandStill: 1 << 11,
} as const;

/** Segment register numbers, as encoded, and the pseudo-segments behind them. */
export const Seg = {
  ES: 0,
  CS: 1,
  SS: 2,
  DS: 3,
  FS: 4,
  GS: 5,
  LDTR: 6,
  TR: 7,
  None: 8,
  NoneStack: 9,
} as const;

export const Gpr = {
  RAX: 0, RCX: 1, RDX: 2, RBX: 3, RSP: 4, RBP: 5, RSI: 6, RDI: 7,
  R8: 8, R9: 9, R10: 10, R11: 11, R12: 12, R13: 13, R14: 14, R15: 15,
} as const; // prettier-ignore

/** RFLAGS bits (SDM 1, 3.4.3). */
export const Flag = {
  CF: 1 << 0, PF: 1 << 2, AF: 1 << 4, ZF: 1 << 6, SF: 1 << 7, TF: 1 << 8, IF: 1 << 9, DF: 1 << 10,
  OF: 1 << 11, IOPL: 3 << 12, NT: 1 << 14, RF: 1 << 16, VM: 1 << 17, AC: 1 << 18, VIF: 1 << 19,
  VIP: 1 << 20, ID: 1 << 21,
} as const; // prettier-ignore
