/**
 * Instruction forms: every combination of an instruction, its operand kinds, sizes and address forms that
 * the opcode table admits has one handler. Two rows whose forms come to the same thing share it.
 */
import { vcpuLayout } from '../../../vcpu/state.ts';
import type { Row } from '../decode/rows.ts';
import { isRm } from '../decode/shape.ts';
import { operandSize, type Decoded } from '../decode/decoder.ts';
import { Mem } from '../private.ts';
import type { AddressMode, FormContext, Operand, Size } from '../semantics/form.ts';
import type { VexForm } from '../semantics/vex.ts';
import { isCommon } from './common-forms.ts';

/** Handlers that belong to no instruction: they come first in the table. */
export const Fixed = {
  /** Discarded record: go and look again. */
  Stale: 0,
  /** Go on at imm64: the end of a block that ends with no transfer. */
  Continue: 1,
  /** Exception `imm`. */
  Raise: 2,
  /** Instruction done in TypeScript; and one after which the block ends. */
  Complex: 3,
  ComplexEnd: 4,
  /** Address records, by address mode and check: see {@link addressHandler}. */
  Address: 5,
  /** 64-bit absolute address. */
  Absolute: 17,
  /** Address relative to RIP: imm64 beyond P.codePage; cut to 32 bits where there is a scale. */
  Relative: 18,
} as const;
export const FIXED_HANDLERS = 19;

/** What an address record checks of the segment: nothing, that it can be read, or written. */
export type Check = 'none' | 'read' | 'write';
export const ADDRESS_MODES: readonly AddressMode[] = ['64', '32in64', '32', '16'];
export const CHECKS: readonly Check[] = ['none', 'read', 'write'];

/** Index of the handler of an address record. */
export const addressHandler = (mode: AddressMode, check: Check): number =>
  Fixed.Address + ADDRESS_MODES.indexOf(mode) * 3 + CHECKS.indexOf(check);

export interface Form extends FormContext {
  readonly name: string;
  readonly handler: number;
  readonly end: boolean;
}

const STACKS = [2, 4, 8] as const;
const SIZES: readonly Size[] = [1, 2, 4, 8];

/** What distinguishes the forms of one row. */
interface Variant {
  readonly size: Size;
  readonly memory: boolean;
  readonly mem: Mem;
  readonly address: AddressMode;
  readonly stack: 2 | 4 | 8;
  readonly rep: 0 | 1 | 2;
  readonly lock: boolean;
  readonly chained: boolean;
}

/** A number for a variant, unique within its row. */
export function variantKey(v: Variant): number {
  const size = v.size === 8 ? 3 : v.size >> 1;
  const mem = v.memory ? v.mem + 1 : 0;
  const stack = v.stack >> 2; // 0, 1, 2
  const address = ADDRESS_MODES.indexOf(v.address);
  return (
    ((((((size * 5 + mem) * 4 + address) * 3 + stack) * 3 + v.rep) * 2 + (v.lock ? 1 : 0)) << 1) |
    (v.chained ? 1 : 0)
  );
}

const SLOTS = ['a', 'b', 'c'] as const;
const RAX = vcpuLayout.offset.gpr;
const FIXED_OFFSET: Record<string, number> = { al: RAX, rax: RAX, cl: RAX + 8, dx: RAX + 16 };

/** The operands of a form; register slots are handed out in order. */
function operandsOf(row: Row, memory: boolean): Operand[] {
  const operands: Operand[] = [];
  let slot = 0;
  for (const { where, size, value } of row.operands) {
    if (where === 'fixed') operands.push({ kind: 'fixed', offset: FIXED_OFFSET[size]! });
    else if (where === 'const') operands.push({ kind: 'const', value });
    else if (where === 'I' || where === 'Y') operands.push({ kind: 'imm' });
    else if (where === 'L') operands.push({ kind: 'imm64' });
    else if (where === 'J' || where === 'X') continue;
    else if (isRm(where) && memory) operands.push({ kind: 'mem' });
    else operands.push({ kind: 'reg', slot: SLOTS[slot++]! });
  }
  return operands;
}

/** Every variant the table admits for a row. */
function* variants(row: Row): Generator<Variant> {
  const a = row.attributes;
  const letters = row.operands.map((o) => o.size);
  const sizes = new Set<Size>();
  for (const opSize of [2, 4, 8] as const) {
    let size: Size | 0 = a.sized || row.operands.some((o) => o.where === 'J') ? opSize : 0;
    for (const letter of letters) if (size === 0) size = operandSize(letter, opSize);
    sizes.add(size === 0 ? 4 : size);
  }
  const rm = row.operands.find((o) => isRm(o.where));
  const hasMemory = rm !== undefined && 'EMWQO'.includes(rm.where) && row.mod !== 'r';
  const hasRegister = (rm === undefined || (rm.where !== 'M' && rm.where !== 'O')) && row.mod !== 'm';
  const mems: Array<Mem | -1> = [];
  if (hasRegister) mems.push(-1);
  if (hasMemory) {
    mems.push(Mem.Record);
    if (a.hot) mems.push(Mem.BaseDisp, Mem.Full, Mem.RipRelative);
  }
  const direct = row.operands.some((o) => o.where === 'J');
  for (const size of SIZES) {
    if (!sizes.has(size)) continue;
    for (const mem of mems) {
      for (const address of a.string ? ADDRESS_MODES : (['64'] as const)) {
        for (const stack of a.stack ? STACKS : ([8] as const)) {
          for (const rep of a.rep ? ([0, 1, 2] as const) : ([0] as const)) {
            for (const lock of a.lock && mem === Mem.Record ? (a.locked ? [true] : [false, true]) : [false]) {
              for (const chained of direct ? [false, true] : [false]) {
                yield {
                  size, memory: mem >= 0, mem: mem < 0 ? Mem.Record : (mem as Mem), address, stack, rep, lock, chained,
                }; // prettier-ignore
              }
            }
          }
        }
      }
    }
  }
}

export interface FormTable {
  /** In order of handler, after the fixed ones; the common ones first. */
  readonly forms: readonly Form[];
  /** How many of them, from the first on, are common. */
  readonly common: number;
  /** Handler of a row's variant; -1 where the table does not admit it. */
  handler(row: Row, variant: Variant): number;
}

/** Conversions whose results are half as wide as their operands. */
const NARROWING = new Set(['cvtpd2ps', 'cvtpd2dq', 'cvttpd2dq']);

function vexForm(row: Row): VexForm | undefined {
  if (!row.attributes.ymm) return undefined;
  return {
    bytes: row.vexL === 1 ? 32 : 16,
    separate: row.operands.some(({ where }) => where === 'H'),
    narrow: NARROWING.has(row.name),
  };
}

/** Numbers all forms of the rows that are not done in TypeScript. */
export function buildForms(rows: readonly Row[]): FormTable {
  const common: Numbered[] = [];
  const others: Numbered[] = [];
  const shared = new Map<string, Numbered>();
  const byRow = new Map<Row, Map<number, Numbered>>();
  for (const row of rows) {
    if (row.attributes.ts) continue;
    const variantsOf = new Map<number, Numbered>();
    byRow.set(row, variantsOf);
    const vex = vexForm(row);
    for (const variant of variants(row)) {
      // A locked or indexed hot form exists only with the address in a record of its own.
      if (variant.memory && variant.mem !== Mem.Record && (variant.lock || row.attributes.locked)) continue;
      const operands = operandsOf(row, variant.memory);
      const key = JSON.stringify([row.name, operands, variant, vex]);
      let form = shared.get(key);
      if (form === undefined) {
        form = { ...variant, name: row.name, operands, handler: -1, end: row.attributes.end, vex };
        shared.set(key, form);
        (isCommon(form) ? common : others).push(form);
      }
      variantsOf.set(variantKey(variant), form);
    }
  }
  const forms = [...common, ...others];
  for (const [n, form] of forms.entries()) form.handler = FIXED_HANDLERS + n;
  return {
    forms,
    common: common.length,
    handler: (row, variant) => byRow.get(row)?.get(variantKey(variant))?.handler ?? -1,
  };
}

/** A form whose handler is known when there are all forms. */
interface Numbered extends Form {
  handler: number;
}

/** The variant a decoded instruction calls for, given where its address comes from. */
export function variantOf(d: Decoded, row: Row, mem: Mem, stack: 2 | 4 | 8, chained: boolean): Variant {
  const a = row.attributes;
  return {
    size: d.size,
    memory: d.memory,
    mem: d.memory ? mem : Mem.Record,
    address: a.string ? d.address : '64',
    stack: a.stack ? stack : 8,
    rep: d.rep,
    lock: d.lock,
    chained,
  };
}

/** A jump or call to an address that is computed. */
export const isComputed = (name: string): boolean => name === 'jmpr' || name === 'callr';
