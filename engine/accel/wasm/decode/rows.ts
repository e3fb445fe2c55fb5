/**
 * The opcode table's notation.
 *
 * A row is one line: `[prefix] [map] opcode[/extension] name operands [attributes]`.
 *
 * - prefix: `np` none of 66/F3/F2, `66`, `f3`, `f2` mandatory; absent: any (66 is then the operand size).
 *   `vex.` before the map: VEX-encoded, `vex.l0`, `vex.w0`, `vex.w1` where it matters.
 * - map: absent one-byte, `0f`, `0f38`, `0f3a`.
 * - opcode: two hex digits; `40+` stands for eight opcodes with a register in the low three bits.
 *   `/n`: modrm.reg must be n. `/n r`: and modrm must be a register form, `/n m`: memory form.
 *   `/xx` with two hex digits: the whole modrm byte.
 * - operands, comma-separated, as in SDM volume 2, appendix A.2: a letter for where and one for the size:
 *   E modrm general register or memory, G modrm.reg general, R modrm.rm general register only, M memory
 *   only, Z register in the opcode, B VEX.vvvv general, I immediate, L 64-bit immediate, J relative
 *   target, A far pointer in the instruction, O direct offset, S modrm.reg segment, C/D control/debug
 *   register by modrm.reg, V modrm.reg XMM, W modrm.rm XMM or memory, U modrm.rm XMM only, H VEX.vvvv XMM,
 *   T XMM index of a memory operand (VSIB), Y XMM in the upper half of an immediate byte, P modrm.reg MMX, Q modrm.rm MMX or memory, N modrm.rm MMX only; `al`, `cl`, `dx`, `rax` (by operand
 *   size) and numbers stand for themselves.
 *   Sizes: b 1, w 2, d 4, q 8, v 2/4/8 by operand size, y 4/8, z as v for registers and at most 4
 *   sign-extended for immediates, x 16 bytes, p far pointer, s none or irregular.
 * - attributes: see {@link Attributes}.
 */

import { shapeOf, type Shape } from './shape.ts';

export interface Attributes {
  /** LOCK is allowed with a memory destination; `locked`: implied with memory. */
  lock: boolean;
  locked: boolean;
  /** In 64-bit mode: operand size defaults to 64 (`d64`), is always 64 (`f64`), is invalid (`i64`); valid only there (`o64`). */
  d64: boolean;
  f64: boolean;
  i64: boolean;
  o64: boolean;
  /** Ends the block: control goes elsewhere. */
  end: boolean;
  /** Done in TypeScript: system/complex.ts has a function of this name. */
  ts: boolean;
  /** Has several inlined address forms; others get their address from an address record. */
  hot: boolean;
  /** Uses the stack; the form depends on the stack width. */
  stack: boolean;
  /** Has implied memory operands; the form depends on the address mode. */
  string: boolean;
  /** REP prefixes mean something (F2 and F3 differ for CMPS and SCAS). */
  rep: boolean;
  /** The memory operand is only read although it stands first (CMP, TEST, PUSH …). */
  ro: boolean;
  /** Operand needs no access check by the address record: address only, or checked by the instruction. */
  nocheck: boolean;
  /** Register class whose availability is checked when decoding: #UD or #NM by CR0, CR4, XCR0. */
  x87: boolean;
  mmx: boolean;
  sse: boolean;
  avx: boolean;
  /** VEX-encoded and on vector registers. */
  ymm: boolean;
  /** The form depends on the operand size although no operand says so. */
  sized: boolean;
  /** CPUID feature that must be offered, by its name in system/cpuid.ts. */
  feature: string | undefined;
  /** The same where REX.W is given: CMPXCHG16B is CMPXCHG8B with it. */
  wide: string | undefined;
  /** Bytes of the memory operand, where the operand letters do not say. */
  memory: number;
}

export interface OperandSpec {
  /** The letter, or 'fixed' for named registers, or 'const'. */
  readonly where: string;
  readonly size: string;
  readonly value: number;
}

export interface Row {
  readonly prefix: '' | 'np' | '66' | 'f3' | 'f2';
  readonly vex: boolean;
  readonly vexW: -1 | 0 | 1;
  readonly vexL: -1 | 0 | 1;
  readonly map: 0 | 1 | 2 | 3;
  readonly opcode: number;
  readonly plus: boolean;
  /** modrm.reg value, or -1. */
  readonly extension: number;
  /** Required form of modrm: 'r', 'm' or either. */
  readonly mod: 'r' | 'm' | '';
  /** The whole modrm byte, or -1. */
  readonly modrm: number;
  readonly name: string;
  readonly operands: readonly OperandSpec[];
  readonly attributes: Attributes;
  readonly shape: Shape;
}

const FLAGS = [
  'lock', 'locked', 'd64', 'f64', 'i64', 'o64', 'end', 'ts', 'hot', 'stack', 'string', 'rep', 'ro', 'nocheck',
  'x87', 'mmx', 'sse', 'avx', 'ymm', 'sized',
] as const; // prettier-ignore

const MAPS: Record<string, 0 | 1 | 2 | 3> = { '0f': 1, '0f38': 2, '0f3a': 3 };

function operand(text: string): OperandSpec {
  if (/^-?\d+$/.test(text)) return { where: 'const', size: '', value: Number(text) };
  if (['al', 'cl', 'dx', 'rax'].includes(text)) return { where: 'fixed', size: text, value: 0 };
  const match = /^([EGRMZBILJAOSCDVWUHPQNXYT])([bwdqvyzxps])$/.exec(text);
  if (!match) throw new Error(`operand '${text}' is not in the notation`);
  return { where: match[1]!, size: match[2]!, value: 0 };
}

/** Parses rows, one a line; `#` starts a comment. @throws Error naming the line that is not in the notation */
export function parseRows(text: string): Row[] {
  const rows: Row[] = [];
  for (const line of text.split('\n')) {
    const words = line.replace(/#.*/, '').trim().split(/\s+/);
    if (words[0] === '') continue;
    let prefix: Row['prefix'] = '';
    let map: Row['map'] = 0;
    let vex = false;
    let vexW: Row['vexW'] = -1;
    let vexL: Row['vexL'] = -1;
    if (words[0] === 'vex' || words[0]!.startsWith('vex.')) {
      vex = true;
      for (const part of words.shift()!.split('.').slice(1)) {
        if (part === 'w0' || part === 'w1') vexW = part === 'w1' ? 1 : 0;
        if (part === 'l0' || part === 'l1') vexL = part === 'l1' ? 1 : 0;
      }
    }
    // `66`, `f2`, `f3` is a prefix where another opcode-like word follows it.
    if (
      words[0] === 'np' ||
      (/^(66|f2|f3)$/.test(words[0]!) && /^([0-9a-f]{2}\+?(\/.*)?|0f38|0f3a)$/.test(words[1]!))
    ) {
      prefix = words.shift() as Row['prefix'];
    }
    const [mapWord] = words;
    if (mapWord !== undefined && mapWord in MAPS && /^[0-9a-f]{2}\+?(\/.*)?$/.test(words[1]!))
      map = MAPS[words.shift()!]!;
    const code = /^([0-9a-f]{2})(\+)?(?:\/([0-7])|\/([0-9a-f]{2}))?$/.exec(words.shift()!);
    if (!code) throw new Error(`opcode row '${line}' is not in the notation`);
    const mod = words[0] === 'r' || words[0] === 'm' ? (words.shift() as 'r' | 'm') : '';
    const name = words.shift()!;
    const operands: OperandSpec[] = [];
    if (words[0] !== undefined && /^(([A-Z][a-z])|al|cl|dx|rax|-?\d+)(,|$)/.test(words[0])) {
      for (const each of words.shift()!.split(',')) operands.push(operand(each));
    }
    const attributes = Object.fromEntries(FLAGS.map((f) => [f, false])) as unknown as Attributes;
    attributes.feature = undefined;
    attributes.wide = undefined;
    attributes.memory = 0;
    for (const word of words) {
      if (word.startsWith('feature=')) attributes.feature = word.slice(8);
      else if (word.startsWith('wide=')) attributes.wide = word.slice(5);
      else if (word.startsWith('memory=')) attributes.memory = Number(word.slice(7));
      else {
        const flag = FLAGS.find((f) => f === word);
        if (!flag) throw new Error(`attribute '${word}' of '${line}' is not in the notation`);
        attributes[flag] = true;
      }
    }
    const row: Omit<Row, 'shape'> = {
      prefix,
      vex,
      vexW,
      vexL,
      map,
      opcode: Number.parseInt(code[1]!, 16),
      plus: code[2] !== undefined,
      extension: code[3] === undefined ? -1 : Number(code[3]),
      mod,
      modrm: code[4] === undefined ? -1 : Number.parseInt(code[4], 16),
      name,
      operands,
      attributes,
    };
    rows.push({ ...row, shape: shapeOf(row) });
  }
  return rows;
}
