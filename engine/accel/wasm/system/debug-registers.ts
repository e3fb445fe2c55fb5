/** MOV to and from debug registers. Intel SDM 2, MOV DR; 3B, 18.2. */
import { S } from '../private.ts';
import { defineComplex, Outcome } from './cpu.ts';
import { debugRegister, writeDebugRegister } from './debug.ts';
import { readRegister, readRegister64, requirePrivilege, writeRegister64 } from './operands.ts';
import { is64Bit } from './registers.ts';

/** Number of a debug register from its operand: its offset in the state. */
const numberOf = (operand: number): number => (operand - S.dr) >> 3;

defineComplex('mov_from_dr', (cpu, { a, b }) => {
  const { state } = cpu;
  requirePrivilege(state);
  const value = state.dr[debugRegister(state, numberOf(a))];
  writeRegister64(cpu, b, is64Bit(state) ? value : BigInt.asUintN(32, value));
  return Outcome.Next;
});

defineComplex('mov_to_dr', (cpu, { a, b }) => {
  const { state } = cpu;
  requirePrivilege(state);
  const number = debugRegister(state, numberOf(a));
  writeDebugRegister(
    state,
    number,
    is64Bit(state) ? readRegister64(cpu, b) : BigInt(readRegister(cpu, b, 4)),
  );
  return Outcome.Changed;
});
