/** What is known of an instruction before it is run: its operands, and what else its encoding fixes. */
import type { Mem } from '../private.ts';
import type { VexForm } from './vex.ts';

/** Operand width in bytes. */
export type Size = 1 | 2 | 4 | 8;

/** An operand as the decoder describes it. Register slots are fields of the record. */
export type Operand =
  | { readonly kind: 'reg'; readonly slot: 'a' | 'b' | 'c' }
  | { readonly kind: 'mem' }
  /** Sign-extended 32-bit immediate. */
  | { readonly kind: 'imm' }
  /** 64-bit immediate. */
  | { readonly kind: 'imm64' }
  /** A register or number fixed by the opcode: byte offset in the state, or the value. */
  | { readonly kind: 'fixed'; readonly offset: number }
  | { readonly kind: 'const'; readonly value: number };

/** How addresses are formed: 64-bit; 32-bit within 64-bit mode; 32- and 16-bit with segment checks. */
export type AddressMode = '64' | '32in64' | '32' | '16';

/** What a form fixes beside its operands. */
export interface FormContext {
  /** Operand size in bytes of v/y/z-sized instructions; 1 for byte ones. */
  readonly size: Size;
  readonly operands: readonly Operand[];
  readonly mem: Mem;
  readonly lock: boolean;
  /** Address mode, of instructions with implied memory operands (strings, XLAT, MASKMOVQ …). */
  readonly address: AddressMode;
  /** Stack-pointer width in bytes: 8 in 64-bit mode, else by SS.B. */
  readonly stack: 2 | 4 | 8;
  /** 0 none, 1 REP/REPE, 2 REPNE. */
  readonly rep: 0 | 1 | 2;
  /** Direct jumps: the target is on the page of the jump, so the link to it can be kept. */
  readonly chained: boolean;
  /** VEX-encoded vector instructions. */
  readonly vex?: VexForm | undefined;
}
