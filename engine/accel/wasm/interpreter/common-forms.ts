/**
 * The forms that most of what tier 0 runs has: one function does them all (common-handler.ts), and so goes from one to
 * the next without a call. Of the instructions that tier 0 ran in boots, compilations, interpreters and tools nine in ten
 * had these; what is rarer would only take longer to compile.
 */
import { Mem } from '../private.ts';
import type { FormContext, Operand } from '../semantics/form.ts';

const CONDITIONS = ['z', 'nz', 'b', 'nb', 'be', 'nbe', 'l', 'nl', 'le', 'nle', 's', 'ns'];
const each = (prefix: string): string[] => CONDITIONS.map((condition) => prefix + condition);

/** With any operands. */
const ALWAYS = new Set([...each('j'), 'jmp', 'call', 'ret', 'nop']);
/** Of 32 and 64 bits, or with an operand in memory. */
const MOVES = new Set(['mov', 'cmp', 'test', 'movzxb', 'movzxw', 'movsxd']);
/** Of 32 and 64 bits, where an operand in memory has a short address. */
const ARITHMETIC = new Set(['lea', 'push', 'pop', 'add', 'sub', 'and', 'or', 'xor']);
/** Of 32 and 64 bits, without an operand in memory. */
const BETWEEN_REGISTERS = new Set([
  'inc', 'dec', 'not', 'neg', 'adc', 'sbb', 'shl', 'shr', 'sar', 'rol', 'ror', 'imul', 'cbw', 'cwd', ...each('cmov'),
]); // prettier-ignore

const SETS = new Set(each('set'));

/** All instructions with such forms. */
export const COMMON_NAMES: readonly string[] = [ALWAYS, MOVES, ARITHMETIC, BETWEEN_REGISTERS, SETS].flatMap(
  (names) => [...names],
);

const isMemory = ({ kind }: Operand): boolean => kind === 'mem';

/** Whether a form is a common one. */
export function isCommon({
  name,
  size,
  operands,
  mem,
  stack,
  lock,
  rep,
}: FormContext & { name: string }): boolean {
  if (stack !== 8 || lock || rep !== 0) return false;
  const memory = operands.some(isMemory);
  const wide = size >= 4;
  if (ALWAYS.has(name)) return true;
  if (MOVES.has(name)) return wide || memory;
  if (ARITHMETIC.has(name)) return wide && (!memory || mem === Mem.BaseDisp || mem === Mem.Full);
  if (SETS.has(name)) return !memory;
  return BETWEEN_REGISTERS.has(name) && wide && !memory;
}
