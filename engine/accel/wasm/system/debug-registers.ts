/** MOV to and from debug registers. Intel SDM 2, MOV DR; 3B, 18.2. */
import { defineComplex, Outcome } from './cpu.ts';
import { debugRegister, writeDebugRegister } from './debug.ts';
import { readRegister, readRegister64, requirePrivilege, writeRegister64 } from './operands.ts';
import { is64Bit } from './registers.ts';

defineComplex('mov_from_dr', (cpu, { a, b }) => {
  const { state } = cpu;
  requirePrivilege(state);
  const value = state.dr[debugRegister(state, a)];
  writeRegister64(cpu, b, is64Bit(state) ? value : BigInt.asUintN(32, value));
  return Outcome.Next;
});

defineComplex('mov_to_dr', (cpu, { a, b }) => {
  const { state } = cpu;
  requirePrivilege(state);
  const number = debugRegister(state, a);
  writeDebugRegister(
    state,
    number,
    is64Bit(state) ? readRegister64(cpu, b) : BigInt(readRegister(cpu, b, 4)),
  );
  return Outcome.Changed;
});
