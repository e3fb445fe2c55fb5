/**
 * IN, OUT, INS and OUTS.
 *
 * Intel SDM 1, 18.5 (protected-mode I/O: IOPL and the permission map); 2, the instructions. Repeated ones are
 * done one element at a time: each is committed before the next, so an interrupt or fault finds the
 * registers where the instruction can go on.
 */
import { Flag, Gpr, Seg } from '../../../vcpu/state.ts';
import { S } from '../private.ts';
import { type Cpu, defineComplex, GuestFault, type Instruction, Outcome, Vector } from './cpu.ts';
import { ioBreakpoint } from './debug.ts';
import { raiseBehind } from './interrupts.ts';
import { asUser, requireAlignment, segmentAddress, writeRegister } from './operands.ts';
import { iopl, isProtected, isVirtual8086 } from './registers.ts';
import { ioMapBase, readTask } from './tasks.ts';

type PortSize = 1 | 2 | 4;

/** #GP(0) unless IOPL, or the I/O permission map of the TSS, lets these ports through. */
function checkPorts(cpu: Cpu, port: number, bytes: PortSize): void {
  const { state } = cpu;
  if (!isProtected(state)) return;
  if (!isVirtual8086(state) && state.cpl <= iopl(state)) return;
  const base = ioMapBase(cpu);
  // Two bytes are read, so that ports on a byte boundary need no second access (SDM 1, 18.5.2).
  const bits = base === null ? null : readTask(cpu, base + (port >> 3), 2);
  const wanted = ((1 << bytes) - 1) << (port & 7);
  if (bits === null || (bits & wanted) !== 0) throw new GuestFault(Vector.GP, 0);
}

/** What an I/O instruction ends with: an I/O breakpoint traps after it. */
function finish(cpu: Cpu, port: number, bytes: PortSize, outcome: Outcome): Outcome {
  return ioBreakpoint(cpu, port, bytes) ? raiseBehind(cpu, new GuestFault(Vector.DB)) : outcome;
}

function input(cpu: Cpu, port: number, bytes: PortSize): Outcome {
  checkPorts(cpu, port, bytes);
  const value = cpu.ports.in(port, bytes);
  const view = cpu.stateBytes;
  if (bytes === 1) view.setUint8(S.gpr, value);
  else writeRegister(cpu, S.gpr, bytes, value);
  return finish(cpu, port, bytes, Outcome.Next);
}

function output(cpu: Cpu, port: number, bytes: PortSize): Outcome {
  checkPorts(cpu, port, bytes);
  const view = cpu.stateBytes;
  const value =
    bytes === 1
      ? view.getUint8(S.gpr)
      : bytes === 2
        ? view.getUint16(S.gpr, true)
        : view.getUint32(S.gpr, true);
  cpu.ports.out(port, bytes, value);
  return finish(cpu, port, bytes, Outcome.Next);
}

const dx = (cpu: Cpu): number => cpu.stateBytes.getUint16(S.gpr + 8 * Gpr.RDX, true);
const wordOrDouble = ({ size }: Instruction): PortSize => (size === 2 ? 2 : 4);

defineComplex('in_byte_imm', (cpu, { imm }) => input(cpu, imm & 0xff, 1));
defineComplex('in_imm', (cpu, i) => input(cpu, i.imm & 0xff, wordOrDouble(i)));
defineComplex('in_byte', (cpu) => input(cpu, dx(cpu), 1));
defineComplex('in', (cpu, i) => input(cpu, dx(cpu), wordOrDouble(i)));
defineComplex('out_byte_imm', (cpu, { imm }) => output(cpu, imm & 0xff, 1));
defineComplex('out_imm', (cpu, i) => output(cpu, i.imm & 0xff, wordOrDouble(i)));
defineComplex('out_byte', (cpu) => output(cpu, dx(cpu), 1));
defineComplex('out', (cpu, i) => output(cpu, dx(cpu), wordOrDouble(i)));

/** A register as far as the address size reaches. */
function readIndex(cpu: Cpu, register: number, size: 2 | 4 | 8): bigint {
  return BigInt.asUintN(8 * size, cpu.state.gpr[register]);
}

/** Writes it: 16 bits leave the rest alone, 32 clear it. */
function writeIndex(cpu: Cpu, register: number, size: 2 | 4 | 8, value: bigint): void {
  const { gpr } = cpu.state;
  if (size === 2) gpr[register] = (gpr[register] & ~0xffffn) | BigInt.asUintN(16, value);
  else gpr[register] = BigInt.asUintN(8 * size, value);
}

/** Runs one element of INS or OUTS and steps the registers. */
function stringIo(
  cpu: Cpu,
  instruction: Instruction,
  bytes: PortSize,
  index: number,
  transfer: (offset: bigint, port: number) => void,
): Outcome {
  const { state } = cpu;
  const { addressSize, rep } = instruction;
  const count = rep === 0 ? 1n : readIndex(cpu, Gpr.RCX, addressSize);
  if (count === 0n) return Outcome.Next;
  const port = dx(cpu);
  checkPorts(cpu, port, bytes);
  const offset = readIndex(cpu, index, addressSize);
  transfer(offset, port);
  const step = (state.flagsSys & Flag.DF) !== 0 ? -BigInt(bytes) : BigInt(bytes);
  writeIndex(cpu, index, addressSize, offset + step);
  if (rep === 0) return finish(cpu, port, bytes, Outcome.Next);
  writeIndex(cpu, Gpr.RCX, addressSize, count - 1n);
  if (count === 1n) return finish(cpu, port, bytes, Outcome.Changed);
  state.rip = instruction.rip;
  return finish(cpu, port, bytes, Outcome.Changed);
}

function inputString(cpu: Cpu, instruction: Instruction, bytes: PortSize): Outcome {
  return stringIo(cpu, instruction, bytes, Gpr.RDI, (offset, port) => {
    const user = asUser(cpu.state);
    const to = segmentAddress(cpu.state, Seg.ES, offset, bytes, true);
    // A port read cannot be taken back: the destination must be known to be good.
    requireAlignment(cpu.state, to, bytes);
    cpu.linear.probeWrite(to, bytes, user);
    cpu.linear.write(to, bytes, cpu.ports.in(port, bytes), user);
  });
}

function outputString(cpu: Cpu, instruction: Instruction, bytes: PortSize): Outcome {
  return stringIo(cpu, instruction, bytes, Gpr.RSI, (offset, port) => {
    const from = segmentAddress(cpu.state, instruction.segment, offset, bytes, false);
    cpu.ports.out(port, bytes, cpu.linear.read(from, bytes, asUser(cpu.state)) >>> 0);
  });
}

defineComplex('ins_byte', (cpu, i) => inputString(cpu, i, 1));
defineComplex('ins', (cpu, i) => inputString(cpu, i, wordOrDouble(i)));
defineComplex('outs_byte', (cpu, i) => outputString(cpu, i, 1));
defineComplex('outs', (cpu, i) => outputString(cpu, i, wordOrDouble(i)));
