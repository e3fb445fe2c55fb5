/** What a region is made of and what becomes of it, as text: for whoever works on the translator. */
import { vcpuLayout } from '../../../vcpu/state.ts';
import type { Func } from '../emit/code.ts';
import { ADDRESS_MODES, FIXED_HANDLERS, Fixed, type Form } from '../interpreter/forms.ts';
import { buildTier0 } from '../interpreter/handlers.ts';
import { type Tier0, EXPORTED } from '../interpreter/tier0.ts';
import { Mem, REC, REC_BYTES } from '../private.ts';
import type { HotCode } from './hot-code.ts';
import { isDirect, PAIR_BYTES, RecordReader } from './source.ts';
import { translateRegions } from './translate.ts';

const { offset } = vcpuLayout;
const GENERAL = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];
const SEGMENTS = ['es', 'cs', 'ss', 'ds', 'fs', 'gs'];

const hex = (value: bigint): string =>
  value < 0n ? `-0x${(-value).toString(16)}` : `0x${value.toString(16)}`;

/** A register by its place in the vCPU's state. */
function register(at: number): string {
  const general = at - offset.gpr;
  if (general >= 0 && general < 128) {
    const name = GENERAL[general >> 3] ?? `r${general >> 3}`;
    return (general & 7) === 0 ? name : `${name}+${general & 7}`;
  }
  const xmm = at - offset.ymm;
  if (xmm >= 0 && xmm < 512) return `xmm${xmm >> 5}`;
  return `state+${at}`;
}

/** An instruction as its records have it: name, operand size, operands. @param place what its RIPs lack */
function instruction(reader: RecordReader, pair: number, form: Form, place: bigint): string {
  const at = pair + REC_BYTES;
  const address = (value: bigint): string => hex(BigInt.asUintN(64, place + value));
  const disp = (from: number): bigint => BigInt(reader.words[(from + REC.disp) >> 2]!);
  const sum = (from: number, indexed: boolean): string => {
    const part = (field: number): string[] => {
      const where = reader.halves[(from + field) >> 1]!;
      return where === offset.zero ? [] : [register(where)];
    };
    const index = indexed
      ? part(REC.index).map((name) => `${name}*${1 << reader.bytes[from + REC.scale]!}`)
      : [];
    const segment = SEGMENTS[reader.bytes[from + REC.segment]!];
    return `${segment === undefined ? '' : `${segment}:`}[${[...part(REC.base), ...index, hex(disp(from))].join(' + ')}]`;
  };
  const memory = (): string => {
    const before = reader.words[pair >> 2]!;
    const quad = reader.quads[(pair + REC.imm64) >> 3]!;
    if (before === Fixed.Absolute) return `[${hex(BigInt.asUintN(64, quad))}]`;
    if (before === Fixed.Relative) return `[${address(quad)}]`;
    if (before !== 0) {
      const mode = ADDRESS_MODES[Math.floor((before - Fixed.Address) / 3)]!;
      return mode === '64' ? sum(pair, true) : `addr${mode} ${sum(pair, true)}`;
    }
    if (form.mem === Mem.RipRelative) return `[${address(reader.quads[(at + REC.rip) >> 3]! + disp(at))}]`;
    return sum(at, form.mem === Mem.Full);
  };
  const operands = form.operands.map((operand) => {
    switch (operand.kind) {
      case 'reg':
        return register(reader.halves[(at + REC[operand.slot]) >> 1]!);
      case 'fixed':
        return register(operand.offset);
      case 'mem':
        return memory();
      case 'imm':
        return hex(BigInt(reader.words[(at + REC.imm) >> 2]!));
      case 'imm64':
        return hex(reader.quads[(at + REC.imm64) >> 3]!);
      default:
        return String(operand.value);
    }
  });
  const target = isDirect(form.name) ? [address(reader.quads[(at + REC.imm64) >> 3]!)] : [];
  return `${form.lock ? 'lock ' : ''}${form.name}${8 * form.size} ${[...operands, ...target].join(', ')}`.trimEnd();
}

/** The instructions of hot code in the order of their addresses, a line each: address, bytes, meaning. */
export function listInstructions({ source, page, bytes }: HotCode, forms: readonly Form[]): string[] {
  const reader = new RecordReader(source.records.buffer);
  const lines = bytes.map((code, i) => {
    const pair = i * PAIR_BYTES;
    const at = pair + REC_BYTES;
    const rip = reader.quads[(at + REC.rip) >> 3]!;
    const form = forms[reader.words[at >> 2]! - FIXED_HANDLERS]!;
    const raw = [...code].map((byte) => byte.toString(16).padStart(2, '0')).join(' ');
    const mark = rip === source.entry ? '>' : ' ';
    const where = BigInt.asUintN(64, page + rip)
      .toString(16)
      .padStart(16, '0');
    return { rip, line: `${mark} ${where}  ${raw.padEnd(30)}  ${instruction(reader, pair, form, page)}` };
  });
  return lines.toSorted((a, b) => (a.rip < b.rip ? -1 : 1)).map(({ line }) => line);
}

/**
 * The WebAssembly of hot code in the text format, by the WebAssembly Binary Toolkit.
 *
 * @returns the function alone; undefined where the code is none that a region can hold
 */
export async function listWebAssembly({ source }: HotCode, tier0: Tier0): Promise<string | undefined> {
  const { bytes, refused } = translateRegions(tier0, [{ source, id: 0 }], { count: 0 }, true);
  if (refused.size > 0) return undefined;
  // Loaded only here: few have need of it.
  const { default: load } = await import('wabt');
  const wabt = await load();
  const module = wabt.readWasm(bytes, { readDebugNames: false, ...FEATURES });
  try {
    const text = module.toText({ foldExprs: true, inlineExport: false });
    const func = text.slice(text.indexOf('  (func '), text.indexOf('  (export ')).trimEnd();
    return nameHelpers(func, helperNames(tier0));
  } finally {
    module.destroy();
  }
}

/** The runtime's functions by their places in their table. */
function helperNames({ runtime }: Tier0): ReadonlyMap<number, string> {
  const { extra, float: _, ...own } = runtime;
  const all = [...Object.entries<Func>(own), ...extra];
  return new Map(
    all.flatMap(([name, { table }]) => (table === undefined ? [] : [[table.slot, name] as const])),
  );
}

/** Puts names in the places of the numbers in calls of helpers: the last operands, which no handler has a constant for. */
function nameHelpers(text: string, names: ReadonlyMap<number, string>): string {
  const slots = new Map<number, string>();
  for (const { index } of text.matchAll(/call_indirect /g)) {
    let end = index;
    for (let depth = 1; depth > 0; end++) depth += text[end] === '(' ? 1 : text[end] === ')' ? -1 : 0;
    const [, slot] = /\(i32\.const (\d+)\)\)$/.exec(text.slice(index, end)) ?? [];
    const name = names.get(Number(slot));
    if (slot !== undefined && name !== undefined) slots.set(end - slot.length - 2, name);
  }
  return text
    .replaceAll(/\d+/g, (number, at: number) => (slots.has(at) ? `$${slots.get(at)}` : number))
    .replaceAll(/(?<=\((?:return_)?call )\d+/g, (number) => `$${EXPORTED[Number(number)] ?? number}`);
}

const FEATURES = { threads: true, tail_call: true, simd: true, sat_float_to_int: true, sign_extension: true };

/** Everything about hot code: its instructions, and what they are translated to. */
export async function listCode(code: HotCode): Promise<string> {
  const tier0 = buildTier0();
  const webAssembly = (await listWebAssembly(code, tier0)) ?? '  (it is left to tier 0)';
  return [...listInstructions(code, tier0.forms.forms), webAssembly, ''].join('\n');
}
