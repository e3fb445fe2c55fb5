/**
 * Resource descriptors, for _CRS and _PRS. ACPI 6.5, 6.4 "Resource data types for ACPI".
 */
import { type Aml, buffer } from './aml.ts';
import { concat, u16, u32, u64, u8 } from './bytes.ts';

/** One descriptor's bytes. */
export type Resource = Uint8Array;

/** A buffer of descriptors with the end tag (6.4.2.9); a checksum of 0 is not looked at. */
export function resourceTemplate(...resources: readonly Resource[]): Aml {
  return buffer(concat(...resources, [0x79, 0x00]));
}

/** Ports `start` … `start + count - 1`, all 16 address bits decoded (6.4.2.5). */
export function io(start: number, count: number): Resource {
  return concat([0x47, 0x01], u16(start), u16(start), [0x01], u8(count));
}

/** ISA interrupts, edge-triggered, active high, exclusive (6.4.2.1). */
export function irq(...lines: readonly number[]): Resource {
  return concat([0x22], u16(lines.reduce((mask, line) => mask | (1 << line), 0)));
}

/** Global system interrupts, level-triggered, active high, shared (6.4.3.6). The first number is at byte 5. */
export function sharedInterrupt(...lines: readonly number[]): Resource {
  const body = concat([0x09], u8(lines.length), ...lines.map(u32));
  return concat([0x89], u16(body.length), body);
}

/** A fixed range of 32-bit memory, read and write (6.4.3.4). */
export function memory32Fixed(start: number, length: number): Resource {
  return concat([0x86], u16(9), [0x01], u32(start), u32(length));
}

/** Both ends of the window are fixed. */
const FIXED = 0x0c;
const TYPE = { Memory: 0, Io: 1, Bus: 2 } as const;

/** Bus numbers that a bridge passes on (6.4.3.5.3). */
export function wordBus(first: number, last: number): Resource {
  return wordSpace(TYPE.Bus, 0, first, last);
}

/** Ports that a bridge passes on. */
export function wordIo(first: number, last: number): Resource {
  return wordSpace(TYPE.Io, 0x03, first, last); // the whole range, ISA and non-ISA
}

function wordSpace(type: number, flags: number, first: number, last: number): Resource {
  const words = [0, first, last, 0, last - first + 1].map(u16);
  return concat([0x88], u16(13), [type, FIXED, flags], ...words);
}

/** Memory that a bridge passes on, below 4 GiB, read and write, uncached unless `cacheable`. */
export function dwordMemory(first: number, last: number, cacheable = false): Resource {
  const words = [0, first, last, 0, last - first + 1].map(u32);
  return concat([0x87], u16(23), [TYPE.Memory, FIXED, cacheable ? 0x03 : 0x01], ...words);
}

/** Memory that a bridge passes on, anywhere. */
export function qwordMemory(first: bigint, last: bigint): Resource {
  const words = [0n, first, last, 0n, last - first + 1n].map(u64);
  return concat([0x8a], u16(43), [TYPE.Memory, FIXED, 0x01], ...words);
}
