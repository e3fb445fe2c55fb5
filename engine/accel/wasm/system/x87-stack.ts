/**
 * The x87 register stack for instructions done in TypeScript, with the same rules as semantics/x87-registers.ts.
 *
 * Intel SDM volume 1, 8.1 (registers), 8.5 (exceptions), 8.7 (reporting them).
 */
import { Seg, type VcpuState } from '../../../vcpu/state.ts';
import { FloatFlag } from '../float/format.ts';
import { INVALID80, type Number80 } from '../float/number.ts';
import { StatusWord, STACK_OVERFLOW, STACK_UNDERFLOW } from '../semantics/x87-registers.ts';
import { type Cpu, GuestFault, type Instruction, Vector } from './cpu.ts';

const CR0_NE = 1n << 5n;

/** Exceptions that, not masked, keep an operation from happening. */
const BEFORE = FloatFlag.IE | FloatFlag.DE | FloatFlag.ZE;

/** Reports an exception left pending, as every waiting instruction does first: see semantics/x87-wait.ts.
 * @throws GuestFault #MF */
export function waitForException(cpu: Cpu): void {
  const { state } = cpu;
  if ((state.fsw & StatusWord.ES) === 0) return;
  if ((state.cr0 & CR0_NE) !== 0n || state.ignne === 0) throw new GuestFault(Vector.MF);
}

/** Sets the status word. IGNNE# ends with the exception that it was asserted for. */
export function setStatusWord(state: VcpuState, fsw: number): void {
  state.fsw = fsw;
  if ((fsw & StatusWord.ES) === 0) state.ignne = 0;
}

/** Notes an instruction for FSTENV. @param opcode the low three opcode bits and modrm */
export function track(cpu: Cpu, instruction: Instruction, opcode: number): void {
  const { state } = cpu;
  state.fop = opcode;
  state.fip = instruction.rip;
  state.fcs = state.segSelector[Seg.CS];
}

const physical = (state: VcpuState, i: number): number => ((state.fsw >> 11) + i) & 7;

/** Whether ST(i) is not empty. */
export const isFilled = (state: VcpuState, i: number): boolean =>
  ((state.ftw >> physical(state, i)) & 1) !== 0;

/** The value of ST(i), whether its register is empty or not. */
export function readStack(state: VcpuState, i: number): Number80 {
  const n = physical(state, i);
  return { significand: state.fpr[2 * n], signExponent: Number(state.fpr[2 * n + 1] & 0xffffn) };
}

/** Puts a value into ST(i), which is then not empty. */
export function writeStack(state: VcpuState, i: number, { significand, signExponent }: Number80): void {
  const n = physical(state, i);
  state.fpr[2 * n] = significand;
  state.fpr[2 * n + 1] = BigInt(signExponent);
  state.ftw |= 1 << n;
}

function moveTop(state: VcpuState, by: number): void {
  state.fsw = (state.fsw & ~StatusWord.Top) | (physical(state, by) << 11);
}

/** Pushes a value; that the register is empty is for the caller to see to. */
export function push(state: VcpuState, value: Number80): void {
  moveTop(state, -1);
  writeStack(state, 0, value);
}

/** Makes ST(0) empty and the next register the top. */
export function pop(state: VcpuState): void {
  state.ftw &= ~(1 << physical(state, 0));
  moveTop(state, 1);
}

/** Whether nothing among the flags keeps an operation from happening. */
export const happens = (state: VcpuState, flags: number): boolean => (flags & ~state.fcw & BEFORE) === 0;

/** Adds flags to the status word: the codes in `cleared` are replaced; ES and B are set where an exception is not
 * masked. */
export function settle(state: VcpuState, flags: number, cleared: number): void {
  const fsw = (state.fsw & ~cleared) | flags;
  const pending = (fsw & ~state.fcw & FloatFlag.Exceptions) !== 0;
  state.fsw = pending ? fsw | StatusWord.ES | StatusWord.Busy : fsw;
}

/** The answer to a stack fault: where it is masked, `store` puts the indefinite where a result goes. */
export function stackFault(
  state: VcpuState,
  overflow: boolean,
  cleared: number,
  store: (value: Number80) => void,
): void {
  if (state.fcw & FloatFlag.IE) store(INVALID80);
  settle(state, overflow ? STACK_OVERFLOW : STACK_UNDERFLOW, cleared);
}
