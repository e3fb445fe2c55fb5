/** What a record says of an instruction beside its handler: how the decoder's findings become its fields. */
import { Seg, vcpuLayout } from '../../../vcpu/state.ts';
import type { Decoded } from '../decode/decoder.ts';
import type { Row } from '../decode/rows.ts';
import { Mem, xmmOffset } from '../private.ts';
import type { AddressMode } from '../semantics/form.ts';
import type { CodeMode } from './block-index.ts';

const GPR = vcpuLayout.offset.gpr;

/** The inlined address form of an operand, or Record where it has none. */
export function inlineMem(d: Decoded): Mem {
  if (d.address !== '64' || d.moffs !== undefined) return Mem.Record;
  const based = d.segment === Seg.FS || d.segment === Seg.GS;
  if (d.base === 16) return based ? Mem.Record : Mem.RipRelative;
  return d.index < 0 && !based ? Mem.BaseDisp : Mem.Full;
}

/** The segment as the record has it: in 64-bit mode only FS and GS have a base. */
export function segmentFor(d: Decoded): number {
  if (d.address === '32' || d.address === '16' || d.segment >= Seg.FS) return d.segment;
  return d.segment === Seg.SS ? Seg.NoneStack : Seg.None;
}

/** Bytes of the memory operand, for the segment check. */
export function memoryBytes(row: Row, d: Decoded): number {
  if (row.attributes.memory > 0) return row.attributes.memory;
  switch (row.shape.rm?.size) {
    case 'b':
      return 1;
    case 'w':
      return 2;
    case 'd':
      return 4;
    case 'q':
      return 8;
    case 'x':
      return row.attributes.ymm && row.vexL === 1 ? 32 : 16;
    default:
      return d.size;
  }
}

const ADDRESS_LOG: Readonly<Record<AddressMode, number>> = { '16': 1, '32': 2, '32in64': 2, '64': 3 };

/** Operand size (log2), address size (log2) and repetition of an instruction done in TypeScript. */
export function complexInfo(d: Decoded): number {
  const size = d.size === 8 ? 3 : d.size >> 1;
  return size | (ADDRESS_LOG[d.address] << 2) | (d.rep << 4) | (d.memory ? 0x40 : 0);
}

/** Byte offset of a register operand in the vCPU's state; segment, control and debug registers by number. */
export function registerOffset(d: Decoded, where: string, size: string): number {
  switch (where) {
    case 'S':
      // REX.R is ignored (SDM 2, 2.2.1.2).
      return d.reg & 7;
    case 'C':
    case 'D':
      return d.reg;
    case 'V':
      return xmmOffset(d.reg);
    case 'W':
    case 'U':
      return xmmOffset(d.rm);
    case 'T':
      return xmmOffset(d.vsib);
    case 'H':
      return xmmOffset(d.vvvv);
    case 'P':
      return vcpuLayout.offset.fpr + 16 * (d.reg & 7);
    case 'Q':
    case 'N':
      return vcpuLayout.offset.fpr + 16 * (d.rm & 7);
    case 'B':
      return GPR + 8 * d.vvvv;
  }
  const number = where === 'G' ? d.reg : d.rm;
  // Without REX, byte registers 4 to 7 are AH, CH, DH and BH.
  if (size === 'b' && !d.rex && number >= 4 && number < 8) return GPR + 8 * (number - 4) + 1;
  return GPR + 8 * number;
}

/** Exception that the control registers call for on an instruction of its class, or 0. */
export function classFault(row: Row, mode: CodeMode): number {
  const a = row.attributes;
  if (row.name === 'fwait') return mode.fwait;
  return (
    (a.x87 && mode.x87) ||
    (a.sse && mode.sse) ||
    (a.mmx && mode.mmx) ||
    (a.avx && mode.avx) ||
    (a.ymm && mode.ymm) ||
    0
  );
}
