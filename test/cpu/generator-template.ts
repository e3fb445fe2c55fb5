/**
 * Instruction templates: one per form, written as rows of text in the notation of the SDM (volume 2, 3.1.1).
 *
 *     name | encoding | attributes
 *
 * Encoding: `p66` `pF2` `pF3` mandatory prefixes; `W` REX.W; `vex.L.pp.map.W` (L 128 or 256, pp NP 66 F3 F2,
 * map 0F 0F38 0F3A); opcode bytes; `+r` register in the opcode; `/r` or `/0` … `/7` a ModRM byte; literal ModRM
 * bytes are just opcode bytes; `ib` `iw` `iz` (2 or 4 bytes) `iv` (2, 4 or 8) immediates; `rel8` `relz`
 * branch displacements; `moffs`; `far` a far pointer.
 *
 * Attributes:
 *   v       operand size 16, 32 or 64 by prefixes         y      32 or 64
 *   d64     64 bits by default in 64-bit mode, or 16      b      8-bit registers
 *   m=N     bytes of the memory operand where not the operand size; 0: an address that is not accessed
 *   reg mem only that form of ModRM                       lock   LOCK allowed on the memory form
 *   o32 o64 only in that mode                             al=N   memory operand must be aligned
 *   k=KIND  content of operands (generator-values.ts)     use=X  a set-up of generator-setup.ts
 *   x87 mmx sse  the register file that gets content       feat=F left out unless the generator is told
 *   rep     takes REP and REPNE                           noprefix  without redundant prefixes
 */
import type { Kind } from './generator-values.ts';

export type ModRm = { readonly kind: 'r' } | { readonly kind: 'digit'; readonly digit: number };

export interface Vex {
  readonly l: 0 | 1;
  readonly pp: 0 | 1 | 2 | 3;
  readonly map: 1 | 2 | 3;
  readonly w: 0 | 1 | undefined;
}

export type Tail = 'ib' | 'iw' | 'iz' | 'iv' | 'rel8' | 'relz' | 'moffs' | 'far';

export interface Template {
  readonly name: string;
  readonly group: string;
  readonly mandatory: 0 | 0x66 | 0xf2 | 0xf3;
  readonly rexW: boolean;
  readonly vex: Vex | undefined;
  readonly opcode: readonly number[];
  readonly registerInOpcode: boolean;
  readonly modrm: ModRm | undefined;
  readonly tail: readonly Tail[];
  readonly size: 'v' | 'y' | 'd64' | 'b' | undefined;
  /** Bytes of the memory operand, where fixed. */
  readonly memory: number | undefined;
  readonly form: 'reg' | 'mem' | 'both';
  readonly lock: boolean;
  readonly mode: 32 | 64 | undefined;
  readonly align: number;
  readonly kind: Kind;
  readonly setup: string | undefined;
  readonly file: 'x87' | 'mmx' | 'sse' | undefined;
  readonly feature: string | undefined;
  readonly rep: boolean;
  readonly noPrefix: boolean;
}

const PP = ['NP', '66', 'F3', 'F2'];
const MAP = ['', '0F', '0F38', '0F3A'];
const KINDS: readonly string[] = ['int', 'f32', 'f64', 'f80', 'bcd', 'bytes'];
const TAILS: readonly string[] = ['ib', 'iw', 'iz', 'iv', 'rel8', 'relz', 'moffs', 'far'];

function isKind(text: string): text is Kind {
  return KINDS.includes(text);
}

function isTail(text: string): text is Tail {
  return TAILS.includes(text);
}

function parseVex(token: string): Vex {
  const [, l, pp, map, w] = token.split('.');
  const [ppIndex, mapIndex] = [PP.indexOf(pp), MAP.indexOf(map)];
  if (ppIndex < 0 || mapIndex < 1) throw new SyntaxError(`bad VEX encoding: ${token}`);
  return {
    l: l === '256' ? 1 : 0,
    pp: ppIndex as Vex['pp'],
    map: mapIndex as Vex['map'],
    w: w === 'W1' ? 1 : w === 'W0' ? 0 : undefined,
  };
}

/** Parses one row. @throws SyntaxError where it is not in the notation */
export function parseTemplate(row: string, group: string): Template {
  const [name, encoding, attributes = ''] = row.split('|').map((part) => part.trim());
  let mandatory: Template['mandatory'] = 0;
  let rexW = false;
  let vex: Vex | undefined;
  let registerInOpcode = false;
  let modrm: ModRm | undefined;
  const opcode: number[] = [];
  const tail: Tail[] = [];
  for (const token of encoding.split(/\s+/)) {
    if (token === 'p66') mandatory = 0x66;
    else if (token === 'pF2') mandatory = 0xf2;
    else if (token === 'pF3') mandatory = 0xf3;
    else if (token === 'W') rexW = true;
    else if (token.startsWith('vex.')) vex = parseVex(token);
    else if (token === '+r') registerInOpcode = true;
    else if (token === '/r') modrm = { kind: 'r' };
    else if (/^\/[0-7]$/.test(token)) modrm = { kind: 'digit', digit: Number(token[1]) };
    else if (isTail(token)) tail.push(token);
    else if (/^[0-9A-F]{2}$/.test(token)) opcode.push(parseInt(token, 16));
    else throw new SyntaxError(`bad encoding token ${token} in: ${row}`);
  }
  const set = new Map(
    attributes.split(/\s+/).flatMap((attribute) => {
      if (attribute === '') return [];
      const [key, value = ''] = attribute.split('=');
      return [[key, value]] as const;
    }),
  );
  const flag = (key: string): boolean => set.delete(key);
  const value = (key: string): string | undefined => {
    const found = set.get(key);
    set.delete(key);
    return found;
  };
  const oneOf = <T extends string>(...keys: T[]): T | undefined => keys.find((key) => flag(key));
  const kind = value('k') ?? 'int';
  if (!isKind(kind)) throw new SyntaxError(`bad kind in: ${row}`);
  const memory = value('m');
  const template: Template = {
    name, group, mandatory, rexW, vex, opcode, registerInOpcode, modrm, tail, kind,
    size: oneOf('v', 'y', 'd64', 'b'),
    memory: memory === undefined ? undefined : Number(memory),
    form: oneOf('reg', 'mem') ?? 'both',
    lock: flag('lock'),
    mode: flag('o32') ? 32 : flag('o64') ? 64 : undefined,
    align: Number(value('al') ?? 1),
    setup: value('use'),
    file: oneOf('x87', 'mmx', 'sse'),
    feature: value('feat'),
    rep: flag('rep'),
    noPrefix: flag('noprefix'),
  }; // prettier-ignore
  if (set.size > 0) throw new SyntaxError(`unknown attribute ${[...set.keys()].join(' ')} in: ${row}`);
  return template;
}

/** Parses a table of rows, one to a line; empty lines are skipped. */
export function parseTable(group: string, rows: string): Template[] {
  return rows
    .split('\n')
    .filter((row) => row.trim() !== '')
    .map((row) => parseTemplate(row, group));
}
