/**
 * A case in the making: the state and memory chosen so far, and the means to aim operands at memory.
 */
import {
  CODE, CpuState, DATA, Fx, MAX_PATCH, MIXED, PAGE, STACK, StateOffset, WINDOWS, type Operand, type Patch,
} from './case.ts'; // prettier-ignore
import {
  fillOperand, interestingDouble, interestingInteger, interestingSingle, putInterestingExtended, type Kind, type Random,
} from './generator-values.ts'; // prettier-ignore
import type { Template } from './generator-template.ts';

/** Where nothing is mapped, on the host either. */
const UNMAPPED = [
  0n,
  0x10n,
  0xff8n,
  BigInt(DATA + 2 * PAGE + 0x40),
  BigInt(MIXED + 3 * PAGE),
  BigInt(STACK - 0x100),
];

export class Draft {
  readonly random: Random;
  readonly mode: 32 | 64;
  /** The form being encoded; a sequence has several, one after the other. */
  template: Template;
  readonly state: CpuState;
  readonly memory: Patch[] = [];
  /** Registers whose value matters: operands are not addressed by changing them. */
  readonly pinned = new Set<number>();
  /** Operand and address size in bytes. */
  operandSize = 4;
  addressSize: 2 | 4 | 8 = 4;
  /** Value of the ModRM reg field with REX.R (or the SIB-less register in the opcode), and of rm in register form. */
  reg = 0;
  rm = 0;
  /** True where the ModRM operand is memory. */
  isMemory = false;
  /** Keep the operand away from the edges of mapped memory. */
  central = false;
  /** Content for the memory operand, where the set-up wants a particular one. */
  content: Uint8Array | undefined;
  /** Values of the next immediates, where the set-up wants particular ones. */
  readonly immediates: number[] = [];
  /** VEX.vvvv, as a register number. */
  vvvv = 0;
  operand: Operand | undefined;

  constructor(random: Random, mode: 32 | 64, template: Template) {
    this.random = random;
    this.mode = mode;
    this.template = template;
    this.state = CpuState.initial(mode);
    const registers = mode === 64 ? 16 : 8;
    const limit = mode === 64 ? 64 : 32;
    for (let i = 0; i < registers; i++) {
      if (i !== 4) this.state.setGpr(i, BigInt.asUintN(limit, interestingInteger(random)));
    }
    const flags = random.u32();
    // CF PF AF ZF SF OF in any combination; DF seldom, AC (alignment checks) and ID rarely.
    let rflags = 0x202 | (flags & 0x8d5);
    if (random.chance(12)) rflags |= 0x400;
    if (random.chance(2)) rflags |= 0x4_0000;
    if (random.chance(3)) rflags |= 0x20_0000;
    this.state.rflags = BigInt(rflags);
    this.setGpr(4, BigInt(STACK + 2048 + (random.below(17) - 8) * 8));
  }

  /** Forgets what the set-up of the instruction before it wanted. */
  begin(): void {
    this.content = undefined;
    this.immediates.length = 0;
  }

  get registers(): number {
    return this.mode === 64 ? 16 : 8;
  }

  /** Sets a register, and keeps operand addressing from changing it. */
  pin(register: number, value: bigint): void {
    this.setGpr(register, value);
    this.pinned.add(register);
  }

  setGpr(register: number, value: bigint): void {
    this.state.setGpr(register, BigInt.asUintN(this.mode, value));
  }

  /** Writes data memory; what lies outside the windows or on unmapped pages is left out. */
  poke(address: number, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += MAX_PATCH) {
      const start = address + at;
      const part = bytes.subarray(at, at + MAX_PATCH);
      for (const window of WINDOWS) {
        const from = Math.max(start, window.address);
        const to = Math.min(start + part.length, window.address + window.bytes);
        if (from < to) this.memory.push({ address: from, bytes: part.slice(from - start, to - start) });
      }
    }
  }

  /** A linear address for an operand of `bytes` bytes. */
  target(bytes: number, align: number): bigint {
    const random = this.random;
    const wide = Math.max(bytes, 1);
    if (this.central) return BigInt(DATA + PAGE - 64 + random.below(128));
    const kind = random.below(100);
    const aligned = (address: number): bigint => {
      const to = align > 1 ? (random.chance(92) ? align : 1) : random.chance(60) ? wide & -wide : 1;
      return BigInt(address - (address % to));
    };
    if (kind < 72) return aligned(DATA + PAGE - 512 + random.below(Math.max(1, 1024 - wide)));
    if (kind < 80) return aligned(DATA + PAGE - random.below(wide)); // over two writable pages
    if (kind < 85) return BigInt(DATA + 2 * PAGE - wide); // the last bytes that are mapped
    if (kind < 89) return aligned(DATA + 2 * PAGE - 1 - random.below(wide)); // into the unmapped page
    if (kind < 93) return aligned(MIXED + PAGE - Math.min(128, wide) + random.below(Math.min(128, 2 * wide)));
    if (kind < 95) return aligned(STACK + 2048 - 256 + random.below(Math.max(1, 512 - wide)));
    // Cut to 32 bits, a non-canonical address could be one of the host's.
    if (kind < 97 || this.mode === 32 || this.addressSize === 4) return random.pick(UNMAPPED);
    return this.nonCanonical();
  }

  nonCanonical(): bigint {
    const low = this.random.u64() & 0x7fff_ffff_ffffn;
    const high = BigInt(1 + this.random.below(0xfffe)) << 48n;
    return this.random.chance(50) ? 0x8000_0000_0000n | (low & ~7n) : high | low;
  }

  /** Puts random operands into vector registers. */
  fillVectors(kind: Kind): void {
    const state = this.state;
    const start = StateOffset.xsave + Fx.xmm;
    const bytes = this.registers * 16;
    const random = this.random;
    if (kind === 'f32') {
      for (let at = 0; at < bytes; at += 4) state.view.setUint32(start + at, interestingSingle(random), true);
    } else if (kind === 'f64') {
      for (let at = 0; at < bytes; at += 8)
        state.view.setBigUint64(start + at, interestingDouble(random), true);
    } else {
      for (let i = 0; i < this.registers; i++) fillOperand(random, state.xmm(i), kind);
    }
    this.state.mxcsr = this.randomMxcsr();
  }

  fillUpperVectors(kind: Kind): void {
    for (let i = 0; i < this.registers; i++) fillOperand(this.random, this.state.ymmHigh(i), kind);
  }

  /** MXCSR: any rounding, DAZ and FTZ at times, mostly masked, some exceptions already noted. SDM 1, 10.2.3. */
  randomMxcsr(): number {
    const random = this.random;
    const masks = random.chance(85) ? 0x3f : random.below(0x40);
    const sticky = random.chance(30) ? random.below(0x40) : 0;
    return (
      (masks << 7) |
      sticky |
      (random.below(4) << 13) |
      (random.chance(10) ? 0x8000 : 0) |
      (random.chance(10) ? 0x40 : 0)
    );
  }

  /** x87 state: control, status, tags and registers. Status and summary agree, as hardware keeps them. */
  fillX87(registers: 'f80' | 'int'): void {
    const { random, state } = this;
    const masks = random.chance(75) ? 0x3f : random.below(0x40);
    // Precision control 01 is reserved.
    state.fcw = 0x40 | masks | (random.pick([3, 3, 3, 0, 2]) << 8) | (random.below(4) << 10);
    let status = ((random.below(8) << 11) | (random.u32() & 0x4700)) & 0xffff;
    if (random.chance(25)) status |= random.below(0x40);
    if (random.chance(15)) status |= 0x41;
    if ((status & ~masks & 0x3f) !== 0) {
      if (random.chance(70))
        status &= ~0x3f | masks; // mostly nothing pending
      else status |= 0x8080;
    }
    state.fsw = status;
    state.ftw = random.chance(60)
      ? 0xff & ~(1 << random.below(8))
      : random.chance(50)
        ? 0xff
        : random.below(256);
    for (let i = 0; i < 8; i++) {
      const at = StateOffset.xsave + Fx.st + i * 16;
      if (registers === 'f80') putInterestingExtended(random, state.view, at);
      else {
        state.view.setBigUint64(at, interestingInteger(random), true);
        state.view.setUint16(at + 8, random.chance(80) ? 0xffff : random.below(0x1_0000), true);
      }
    }
  }

  /** An address to jump to: mostly the code pages, where HLT waits. */
  codeTarget(): bigint {
    const kind = this.random.below(100);
    if (kind < 85) return BigInt(CODE + this.random.below(2 * PAGE));
    if (kind < 90) return BigInt(CODE + 2 * PAGE + this.random.below(16));
    if (kind < 94) return BigInt(DATA + this.random.below(64));
    return this.random.pick(UNMAPPED);
  }

  /** Little-endian bytes of a value. */
  static bytes(value: bigint, count: number): Uint8Array {
    return Uint8Array.from({ length: count }, (_, i) => Number((value >> BigInt(8 * i)) & 0xffn));
  }
}
