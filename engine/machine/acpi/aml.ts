/**
 * ACPI machine language, built term by term: each function returns the bytes of one term.
 *
 * ACPI 6.5, chapter 20 "ACPI Machine Language (AML) Specification"; opcodes from table 20.2.
 */
import { ascii, concat, u16, u32, u64, u8 } from './bytes.ts';

/** The encoding of a term. */
export type Aml = Uint8Array;

/** A number as an integer term, a string as a name; anything else as it is. */
export type Operand = Aml | number | bigint | string;

/** Opcodes that take operands and a target. */
const BINARY = {
  Add: 0x72,
  Subtract: 0x74,
  Multiply: 0x77,
  ShiftLeft: 0x79,
  ShiftRight: 0x7a,
  And: 0x7b,
  Or: 0x7d,
  Xor: 0x7f,
} as const;

/** Opcodes that compare two operands. */
const COMPARE = { Equal: 0x93, Greater: 0x94, Less: 0x95, And: 0x90, Or: 0x91 } as const;

/** Address spaces of an operation region (table 5.166). */
export const RegionSpace = { SystemMemory: 0, SystemIo: 1, PciConfig: 2 } as const;

/** PkgLength (20.2.4): the length of what follows, itself included, in one to four bytes. */
function withLength(body: Aml): Aml {
  if (body.length + 1 < 1 << 6) return concat([body.length + 1], body);
  for (let extra = 1; extra <= 3; extra++) {
    const length = body.length + 1 + extra;
    if (length < 1 << (4 + 8 * extra)) {
      const lead = [(extra << 6) | (length & 0xf)];
      for (let i = 0; i < extra; i++) lead.push((length >>> (4 + 8 * i)) & 0xff);
      return concat(lead, body);
    }
  }
  throw new RangeError(`an AML package of ${body.length} bytes is too long`);
}

/** A term with a package length after its opcode. */
function block(opcode: readonly number[], ...body: readonly Aml[]): Aml {
  return concat(opcode, withLength(concat(...body)));
}

/** One name segment of up to four characters, filled up with underscores. */
function segment(text: string): Aml {
  if (!/^[A-Z_][A-Z0-9_]{0,3}$/.test(text)) throw new RangeError(`"${text}" is not an AML name segment`);
  return ascii(text.padEnd(4, '_'));
}

/**
 * A name string (20.2.2): `\` for the root, `^` for each parent, segments separated by dots.
 *
 * @throws RangeError for anything else
 */
export function path(text: string): Aml {
  const [, prefix, rest] = /^(\\|\^*)(.*)$/s.exec(text) ?? ['', '', ''];
  const segments = rest === '' ? [] : rest.split('.').map(segment);
  if (segments.length > 255 || (segments.length === 0 && prefix === '')) {
    throw new RangeError(`"${text}" is not an AML name`);
  }
  const lead = [[0x00], [], [0x2e]][segments.length] ?? [0x2f, segments.length];
  return concat(ascii(prefix), lead, ...segments);
}

/** An integer in the shortest encoding (20.2.3). */
export function integer(value: number | bigint): Aml {
  const n = BigInt(value);
  if (n < 0n || n >= 1n << 64n) throw new RangeError(`${n} is not an AML integer`);
  if (n <= 1n) return u8(Number(n));
  if (n < 1n << 8n) return concat([0x0a], u8(Number(n)));
  if (n < 1n << 16n) return concat([0x0b], u16(Number(n)));
  if (n < 1n << 32n) return concat([0x0c], u32(Number(n)));
  return concat([0x0e], u64(n));
}

/** A string constant, ASCII. */
export function string(text: string): Aml {
  return concat([0x0d], ascii(text), [0]);
}

function operand(value: Operand): Aml {
  if (typeof value === 'string') return path(value);
  return typeof value === 'object' ? value : integer(value);
}

/** A buffer with initial contents. */
export function buffer(bytes: Uint8Array): Aml {
  return block([0x11], integer(bytes.length), bytes);
}

/** A package of up to 255 elements. */
export function pack(...elements: readonly Operand[]): Aml {
  if (elements.length > 255)
    throw new RangeError(`an AML package of ${elements.length} elements is too long`);
  return block([0x12], u8(elements.length), ...elements.map(operand));
}

/**
 * A compressed EISA identifier as an integer (19.3.4): three letters and four hexadecimal digits.
 *
 * @throws RangeError for anything else
 */
export function eisaId(id: string): Aml {
  if (!/^[A-Z]{3}[0-9A-F]{4}$/.test(id)) throw new RangeError(`"${id}" is not an EISA identifier`);
  const letter = (i: number) => id.charCodeAt(i) - 0x40;
  const vendor = (letter(0) << 10) | (letter(1) << 5) | letter(2);
  const product = Number.parseInt(id.slice(3), 16);
  // The vendor and the product each have their high byte lowest.
  return integer(swapped(product) * 0x1_0000 + swapped(vendor));
}

function swapped(word: number): number {
  return ((word & 0xff) << 8) | (word >> 8);
}

/** Name (NameString, DataRefObject): ACPI 6.5, 20.2.5.1. */
export function name(of: string, value: Operand): Aml {
  return concat([0x08], path(of), operand(value));
}

/** Scope (NameString) {TermList}: ACPI 6.5, 20.2.5.1. */
export function scope(of: string, ...terms: readonly Aml[]): Aml {
  return block([0x10], path(of), ...terms);
}

/** Device (NameString) {TermList}: ACPI 6.5, 20.2.5.2. */
export function device(of: string, ...terms: readonly Aml[]): Aml {
  return block([0x5b, 0x82], path(of), ...terms);
}

/** @param args 0 … 7; @param serialized as a method must be that creates names */
export function method(of: string, args: number, serialized: boolean, ...terms: readonly Aml[]): Aml {
  return block([0x14], path(of), u8((args & 7) | (serialized ? 8 : 0)), ...terms);
}

/** An operation region. @param space {@link RegionSpace}; @param offset, @param length in bytes */
export function operationRegion(of: string, space: number, offset: number, length: number): Aml {
  return concat([0x5b, 0x80], path(of), u8(space), integer(offset), integer(length));
}

/**
 * Fields of a region, from its start on, each `[name, bits]`; without a name, bits that are skipped.
 *
 * @param access 1 byte, 2 word, 3 dword: how wide the region is accessed; preserving, not locked
 */
export function field(
  region: string,
  access: 1 | 2 | 3,
  fields: ReadonlyArray<readonly [string, number]>,
): Aml {
  const units = fields.map(([unit, bits]) => {
    const length = fieldLength(bits);
    return unit === '' ? concat([0x00], length) : concat(segment(unit), length);
  });
  return block([0x5b, 0x81], path(region), u8(access), ...units);
}

/** A field's bit count: encoded as PkgLength, but not counting itself. */
function fieldLength(bits: number): Aml {
  if (bits < 0x40) return u8(bits);
  if (bits < 0x1000) return concat([0x40 | (bits & 0xf)], [bits >> 4]);
  throw new RangeError(`an AML field of ${bits} bits is too long`);
}

/** CreateDWordField (SourceBuffer, ByteIndex, NameString): ACPI 6.5, 20.2.5.2. */
export function createDWordField(source: Operand, index: number, of: string): Aml {
  return concat([0x8a], operand(source), integer(index), path(of));
}

/** If (Predicate) {TermList}: ACPI 6.5, 20.2.5.3. */
export function when(predicate: Operand, ...terms: readonly Aml[]): Aml {
  return block([0xa0], operand(predicate), ...terms);
}

/** Follows a {@link when} directly. */
export function otherwise(...terms: readonly Aml[]): Aml {
  return block([0xa1], ...terms);
}

/** Return (ArgObject): ACPI 6.5, 20.2.5.3. */
export function giveBack(value: Operand): Aml {
  return concat([0xa4], operand(value));
}

/** Store (TermArg, SuperName): ACPI 6.5, 20.2.5.4. */
export function store(value: Operand, target: Operand): Aml {
  return concat([0x70], operand(value), operand(target));
}

/** @param target where the result goes too; left out, only its value is used */
export function binary(operator: keyof typeof BINARY, a: Operand, b: Operand, target?: Operand): Aml {
  return concat([BINARY[operator]], operand(a), operand(b), target === undefined ? [0x00] : operand(target));
}

/** A comparison of two operands: ACPI 6.5, 20.2.5.4. */
export function compare(operator: keyof typeof COMPARE, a: Operand, b: Operand): Aml {
  return concat([COMPARE[operator]], operand(a), operand(b));
}

/** LNot (Operand): ACPI 6.5, 20.2.5.4. */
export function not(value: Operand): Aml {
  return concat([0x92], operand(value));
}

/** Calls a method. */
export function call(of: string, ...args: readonly Operand[]): Aml {
  return concat(path(of), ...args.map(operand));
}

/** Local variable 0 … 7. */
export function local(index: number): Aml {
  return u8(0x60 + index);
}

/** Argument 0 … 6. */
export function arg(index: number): Aml {
  return u8(0x68 + index);
}
