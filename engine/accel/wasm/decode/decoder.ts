/**
 * The instruction decoder: bytes to a table row and its fields (SDM 2, chapter 2).
 *
 * It reads bytes one at a time through `fetch`, which may throw a page fault for the byte it cannot give,
 * and never reads a byte that the instruction does not have.
 */
import { Seg } from '../../../vcpu/state.ts';
import type { AddressMode, Size } from '../semantics/form.ts';
import type { Row } from './rows.ts';
import { legacyIndex, vexIndex } from './tables.ts';

/** Code size: CS.L and CS.D. */
export type CodeSize = 16 | 32 | 64;

/** What of the processor's mode the decoder must know. */
export interface DecodeMode {
  readonly code: CodeSize;
  /** Real or virtual-8086 mode: no VEX encodings there. */
  readonly real: boolean;
  /** CPUID features offered. */
  readonly features: ReadonlySet<string>;
}

/** A decoded instruction. One object is reused for all. */
export interface Decoded {
  /** The row, or undefined for an undefined opcode. */
  row: Row | undefined;
  length: number;
  size: Size;
  address: AddressMode;
  rep: 0 | 1 | 2;
  lock: boolean;
  /** modrm.reg, modrm.rm (or the opcode's low three bits) and VEX.vvvv, extended to 4 bits. */
  reg: number;
  rm: number;
  vvvv: number;
  /** The vector register that is the index of a VSIB operand. */
  vsib: number;
  /** The modrm byte as it is. */
  modrm: number;
  /** A REX prefix is there: SPL, BPL, SIL, DIL instead of AH, CH, DH, BH. */
  rex: boolean;
  memory: boolean;
  /** Registers of the address, -1 where none; `base` 16 stands for RIP. */
  base: number;
  index: number;
  scale: number;
  disp: number;
  segment: number;
  /** Absolute 64-bit offset (MOV moffs). */
  moffs: bigint | undefined;
  imm: number;
  imm64: bigint;
  /** Displacement of a relative jump. */
  relative: number;
}

/** Instructions are at most 15 bytes long; a longer one is #GP(0) (SDM 2, 2.3.11). */
export class TooLong {}

const MAX_LENGTH = 15;

/** 16-bit addressing forms: base, index (SDM 2, table 2-1). */
const FORMS_16: ReadonlyArray<readonly [base: number, index: number]> = [
  [3, 6], [3, 7], [5, 6], [5, 7], [6, -1], [7, -1], [5, -1], [3, -1],
]; // prettier-ignore

export class Decoder {
  readonly decoded: Decoded = {
    row: undefined, length: 0, size: 4, address: '64', rep: 0, lock: false, reg: 0, rm: 0, vvvv: 0, vsib: 0, modrm: 0, rex: false,
    memory: false, base: -1, index: -1, scale: 0, disp: 0, segment: 3, moffs: undefined, imm: 0, imm64: 0n, relative: 0,
  }; // prettier-ignore
  readonly #fetchAt: (index: number) => number;
  #at = 0;

  /** @param fetch byte `index` of the instruction; may throw */
  constructor(fetch: (index: number) => number) {
    this.#fetchAt = fetch;
  }

  #byte(): number {
    if (this.#at >= MAX_LENGTH) throw new TooLong();
    return this.#fetchAt(this.#at++);
  }
  #word(): number {
    const low = this.#byte();
    return low | (this.#byte() << 8);
  }
  #dword(): number {
    const low = this.#word();
    return low | (this.#word() << 16);
  }

  /** Decodes the instruction whose byte 0 is `fetch(0)`. @returns the reused {@link Decoded} */
  decode(mode: DecodeMode): Decoded {
    const d = this.decoded;
    this.#at = 0;
    d.row = undefined;
    d.lock = false;
    d.memory = false;
    d.moffs = undefined;
    d.vvvv = 0;
    let operand66 = false;
    let address67 = false;
    let repeat = 0; // 0, 0xf2 or 0xf3
    let segment = -1;
    let rex = 0;
    let vex = false;
    let vexL = 0;
    let map = 0;
    let opcode: number;
    const long = mode.code === 64;

    for (;;) {
      opcode = this.#byte();
      if (opcode === 0x66) operand66 = true;
      else if (opcode === 0x67) address67 = true;
      else if (opcode === 0xf0) d.lock = true;
      else if (opcode === 0xf2 || opcode === 0xf3) repeat = opcode;
      else if ((opcode & 0xe7) === 0x26) {
        // ES, CS, SS, DS: ignored in 64-bit mode (but they do not undo FS or GS).
        if (!long) segment = (opcode >> 3) & 3;
      } else if (opcode === 0x64 || opcode === 0x65) segment = opcode & 7;
      else if (long && (opcode & 0xf0) === 0x40) {
        rex = opcode;
        continue; // a REX prefix counts only right before the opcode
      } else break;
      rex = 0;
    }

    if (opcode === 0x0f) {
      opcode = this.#byte();
      map = 1;
      if (opcode === 0x38 || opcode === 0x3a) {
        map = opcode === 0x38 ? 2 : 3;
        opcode = this.#byte();
      }
    } else if (opcode === 0xc4 || opcode === 0xc5) {
      // LES and LDS, unless what follows has the two top bits that a register form would have.
      const second = this.#fetchAt(this.#at);
      if (long || (!mode.real && second >= 0xc0)) {
        if (operand66 || repeat || d.lock || rex) return this.#undefined();
        vex = true;
        let p = this.#byte();
        rex = 0x40 | (p & 0x80 ? 0 : 4);
        map = 1;
        if (opcode === 0xc4) {
          rex |= (p & 0x40 ? 0 : 2) | (p & 0x20 ? 0 : 1);
          map = p & 0x1f;
          p = this.#byte();
          if (p & 0x80) rex |= 8;
        }
        if (!long) rex &= 0x48;
        d.vvvv = (~p >> 3) & (long ? 15 : 7);
        vexL = (p >> 2) & 1;
        operand66 = (p & 3) === 1;
        repeat = (p & 3) === 2 ? 0xf3 : (p & 3) === 3 ? 0xf2 : 0;
        if (map === 0 || map > 3) return this.#undefined();
        opcode = this.#byte();
      }
    }

    const wide = (rex & 8) !== 0;
    d.rex = rex !== 0 && !vex;
    const row = this.#select(
      vex ? vexIndex : legacyIndex,
      map,
      opcode,
      mode,
      operand66,
      repeat,
      vexL,
      wide,
      rex,
    );
    if (row === undefined) return this.#undefined();
    const a = row.attributes;

    // Operand size. A mandatory 66 is not a size prefix; the other mandatory prefixes leave it one.
    const size16 = (mode.code === 16) !== (operand66 && row.prefix !== '66' && !vex);
    let size: Size = wide && long ? 8 : size16 ? 2 : 4;
    if (long && a.f64) size = 8;
    else if (long && a.d64 && size === 4) size = 8;
    d.rep = a.rep ? (repeat === 0xf3 ? 1 : repeat === 0xf2 ? 2 : 0) : 0;
    d.address = long ? (address67 ? '32in64' : '64') : (mode.code === 32) === address67 ? '16' : '32';

    d.rm = (opcode & 7) | ((rex & 1) << 3);
    d.segment = segment >= 0 ? segment : Seg.DS;
    if (row.shape.modrm) this.#modrm(long, rex, segment, row);
    const vsib = row.shape.vsib && this.#takeIndex(rex);
    d.size = this.#immediates(row, size, long);
    if (vsib) d.imm = 1 << d.scale;
    d.length = this.#at;
    // Known to be undefined only once the whole instruction has been fetched.
    if (d.lock && !(a.lock && d.memory)) return this.#undefined();
    if (vsib && !this.#isGather(row)) return this.#undefined();
    if (a.locked && d.memory) d.lock = true;
    d.row = row;
    return d;
  }

  #undefined(): Decoded {
    this.decoded.row = undefined;
    this.decoded.length = this.#at;
    return this.decoded;
  }

  #select(
    table: readonly (readonly Row[])[],
    map: number,
    opcode: number,
    mode: DecodeMode,
    operand66: boolean,
    repeat: number,
    vexL: number,
    wide: boolean,
    rex: number,
  ): Row | undefined {
    for (const row of table[map * 256 + opcode]!) {
      const a = row.attributes;
      if (mode.code === 64 ? a.i64 : a.o64) continue;
      switch (row.prefix) {
        case 'f3':
          if (repeat !== 0xf3) continue;
          break;
        case 'f2':
          if (repeat !== 0xf2) continue;
          break;
        case '66':
          if (!operand66 || repeat !== 0) continue;
          break;
        case 'np':
          if (operand66 || repeat !== 0) continue;
          break;
        case '':
          break;
      }
      if (row.vex && ((row.vexL >= 0 && row.vexL !== vexL) || (row.vexW >= 0 && (row.vexW === 1) !== wide)))
        continue;
      // VEX.vvvv must be all ones where it names no operand.
      if (row.vex && this.decoded.vvvv !== 0 && !row.shape.vvvv) continue;
      // 90 is NOP, unless REX.B makes it XCHG R8.
      if (row.name === 'nop' && map === 0 && rex & 1) continue;
      if (a.feature !== undefined && !mode.features.has(a.feature)) continue;
      if (a.wide !== undefined && (rex & 8) !== 0 && !mode.features.has(a.wide)) continue;
      if (row.shape.modrm) {
        const modrm = this.#peek();
        if (row.extension >= 0 && ((modrm >> 3) & 7) !== row.extension) continue;
        if (row.modrm >= 0 && modrm !== row.modrm) continue;
        const register = modrm >= 0xc0;
        if (row.mod !== '' && (row.mod === 'r') !== register) continue;
        if (register ? row.shape.needsMemory : row.shape.needsRegister) continue;
      }
      return row;
    }
    return undefined;
  }

  #peek(): number {
    if (this.#at >= MAX_LENGTH) throw new TooLong();
    return this.#fetchAt(this.#at);
  }

  #modrm(long: boolean, rex: number, segment: number, row: Row): void {
    const d = this.decoded;
    const modrm = this.#byte();
    d.modrm = modrm;
    const mod = modrm >> 6;
    d.reg = ((modrm >> 3) & 7) | ((rex & 4) << 1);
    d.rm = (modrm & 7) | ((rex & 1) << 3);
    // Moves to and from control and debug registers take rm as a register whatever mod says.
    if (mod === 3 || row.shape.ignoresMod) return;
    d.memory = true;
    d.index = -1;
    d.scale = 0;
    d.disp = 0;
    const rm = modrm & 7;
    if (d.address === '16') {
      [d.base, d.index] = FORMS_16[rm] as [number, number];
      if (mod === 0 && rm === 6) {
        d.base = -1;
        d.disp = (this.#word() << 16) >> 16;
      } else if (mod === 1) d.disp = (this.#byte() << 24) >> 24;
      else if (mod === 2) d.disp = (this.#word() << 16) >> 16;
      if (segment < 0) d.segment = d.base === 5 ? Seg.SS : Seg.DS;
      return;
    }
    d.base = d.rm;
    if (rm === 4) {
      const sib = this.#byte();
      d.scale = sib >> 6;
      d.index = ((sib >> 3) & 7) | ((rex & 2) << 2);
      if (d.index === 4) d.index = -1;
      d.base = (sib & 7) | ((rex & 1) << 3);
      if ((sib & 7) === 5 && mod === 0) {
        d.base = -1;
        d.disp = this.#dword();
      }
    } else if (rm === 5 && mod === 0) {
      d.base = long ? 16 : -1;
      d.disp = this.#dword();
    }
    if (mod === 1) d.disp = (this.#byte() << 24) >> 24;
    else if (mod === 2) d.disp = this.#dword();
    if (segment < 0) d.segment = d.base === 4 || d.base === 5 ? Seg.SS : Seg.DS;
  }

  /** A VSIB operand needs a SIB byte, and its destination, mask and index differ (SDM 2, 2.3.12). */
  #isGather(row: Row): boolean {
    const { reg, vvvv, vsib, modrm, address } = this.decoded;
    return (
      row.shape.vsib && address !== '16' && (modrm & 7) === 4 && reg !== vvvv && reg !== vsib && vvvv !== vsib
    );
  }

  /** Makes a vector register of the index of a VSIB operand; the rest is its address. @returns true */
  #takeIndex(rex: number): boolean {
    const d = this.decoded;
    // Index 4 is a register like any other here.
    d.vsib = d.index < 0 ? 4 | ((rex & 2) << 2) : d.index;
    d.index = -1;
    return true;
  }

  /** Reads immediates and settles the size of the form. */
  #immediates(row: Row, opSize: Size, long: boolean): Size {
    const d = this.decoded;
    let size: Size | 0 = row.attributes.sized ? opSize : 0;
    let shift = 0;
    d.imm = 0;
    for (const operand of row.operands) {
      const { where } = operand;
      if (where === 'I') {
        const value = this.#immediate(operand.size, opSize);
        d.imm = shift === 0 ? value : (d.imm & 0xffff) | (value << 16);
        shift = 16;
      } else if (where === 'Y') {
        // Outside 64-bit mode there are eight registers.
        d.imm = this.#byte() & (long ? 0xf0 : 0x70);
      } else if (where === 'L') {
        if (opSize === 8) {
          const low = this.#dword();
          d.imm64 = (BigInt(this.#dword() >>> 0) << 32n) | BigInt(low >>> 0);
        } else
          d.imm64 = BigInt(opSize === 2 ? this.#word() : operand.size === 'b' ? this.#byte() : this.#dword());
      } else if (where === 'J') {
        d.relative =
          operand.size === 'b'
            ? (this.#byte() << 24) >> 24
            : opSize === 2
              ? (this.#word() << 16) >> 16
              : this.#dword();
        size = opSize;
      } else if (where === 'A') {
        // Far pointer: offset, then selector.
        d.imm = opSize === 2 ? this.#word() : this.#dword();
        d.imm64 = BigInt(this.#word());
        size = opSize;
      } else if (where === 'O') {
        d.memory = true;
        d.base = -1;
        d.index = -1;
        d.disp = 0;
        if (d.address === '64') {
          const low = this.#dword();
          d.moffs = (BigInt(this.#dword() >>> 0) << 32n) | BigInt(low >>> 0);
        } else d.disp = d.address === '16' ? this.#word() : this.#dword();
      }
      size = size === 0 ? operandSize(operand.size, opSize) : size;
    }
    if (row.attributes.ts) return opSize;
    return size === 0 ? 4 : size;
  }

  #immediate(kind: string, opSize: Size): number {
    switch (kind) {
      case 'b':
        return (this.#byte() << 24) >> 24;
      case 'w':
        return this.#word();
      default:
        return opSize === 2 ? (this.#word() << 16) >> 16 : this.#dword();
    }
  }
}

/** The form size an operand's size letter calls for, 0 where it says nothing. */
export function operandSize(letter: string, opSize: Size): Size | 0 {
  switch (letter) {
    case 'b':
    case 'al':
      return 1;
    case 'w':
      return 2;
    case 'd':
      return 4;
    case 'q':
      return 8;
    case 'v':
    case 'z':
    case 'rax':
      return opSize;
    case 'y':
      return opSize === 8 ? 8 : 4;
    default:
      return 0;
  }
}
