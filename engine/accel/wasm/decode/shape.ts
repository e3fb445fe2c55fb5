/**
 * What follows from a row's operands, found once: decoding asks these for every instruction, and guests that
 * start programs all the time decode a lot.
 */
import type { OperandSpec, Row } from './rows.ts';

export interface Shape {
  /** There is a modrm byte. */
  readonly modrm: boolean;
  /** modrm must be a memory operand, or a register; what it says is not looked at. */
  readonly needsMemory: boolean;
  readonly needsRegister: boolean;
  readonly ignoresMod: boolean;
  /** VEX.vvvv names an operand. */
  readonly vvvv: boolean;
  /** The memory operand's index is a vector register. */
  readonly vsib: boolean;
  /** A relative target, an immediate, a 64-bit immediate, a far pointer. */
  readonly target: boolean;
  readonly immediate: boolean;
  readonly wide: boolean;
  readonly far: boolean;
  /** The operand that modrm.rm names. */
  readonly rm: OperandSpec | undefined;
  /** The operands that have a register slot in the record, in order, where modrm.rm is a register, and where it
   * is memory. */
  readonly slots: readonly OperandSpec[];
  readonly memorySlots: readonly OperandSpec[];
}

const MODRM_LETTERS = 'EGMRSCDVWUPQN';

/** True where an operand letter names the modrm.rm operand. */
export const isRm = (where: string): boolean => 'EMRWUQNO'.includes(where);

/** @param row all but its shape */
export function shapeOf(row: Omit<Row, 'shape'>): Shape {
  const { operands } = row;
  const has = (letters: string): boolean => operands.some(({ where }) => letters.includes(where));
  const slots = operands.filter(
    ({ where }) => where !== 'fixed' && where !== 'const' && !'IJLAXOY'.includes(where),
  );
  const ignoresMod = has('CD');
  return {
    modrm: row.extension >= 0 || row.modrm >= 0 || row.mod !== '' || has(MODRM_LETTERS),
    needsMemory: has('M'),
    needsRegister: !ignoresMod && has('RUN'),
    ignoresMod,
    vvvv: has('BH'),
    vsib: has('T'),
    target: has('J'),
    immediate: has('IYT'),
    wide: has('L'),
    far: has('A'),
    rm: operands.find(({ where }) => isRm(where)),
    slots,
    memorySlots: slots.filter(({ where }) => !isRm(where)),
  };
}
