/**
 * IN, OUT, INS and OUTS.
 *
 * Intel SDM 1, 18.5 (protected-mode I/O: IOPL and the permission map); 2, the instructions. Repeated ones are
 * done one element at a time, or as many as lie on a page of memory where nothing can tell the difference; what
 * was done is committed before the next, so an interrupt or fault finds the registers where the instruction can
 * go on.
 */
import { Flag, Gpr, Seg } from '../../../vcpu/state.ts';
import { S } from '../private.ts';
import { type Cpu, defineComplex, GuestFault, type Instruction, MOST_BLOCK, Outcome, Vector } from './cpu.ts';
import { breakpointsEnabled, ioBreakpoint } from './debug.ts';
import { raiseBehind } from './interrupts.ts';
import { asUser, requireAlignment, segmentAddress, writeRegister } from './operands.ts';
import { iopl, is64Bit, isProtected, isVirtual8086 } from './registers.ts';
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

/** Where a repeated instruction is: its next element, and how many are left. */
interface StringStep {
  readonly offset: bigint;
  readonly port: number;
  readonly left: bigint;
}

/**
 * How many elements from an address on can be transferred at once: upwards, within the segment, on one page, which
 * is memory, and with nothing that watches each of them.
 */
function together(
  cpu: Cpu,
  { addressSize }: Instruction,
  bytes: PortSize,
  { offset, left }: StringStep,
  linear: bigint,
  segment: number | null,
): number {
  const { state } = cpu;
  const write = segment === null;
  if (left === 1n || (state.flagsSys & (Flag.DF | Flag.TF)) !== 0 || breakpointsEnabled(state)) return 1;
  let room = BigInt(MOST_BLOCK) - BigInt.asUintN(12, linear);
  const reach = (1n << BigInt(8 * addressSize)) - offset;
  if (reach < room) room = reach;
  if (!is64Bit(state)) {
    const last = write ? state.segWriteHi[Seg.ES] : state.segReadHi[segment];
    const within = BigInt(last) + 1n - offset;
    if (within < room) room = within;
  }
  const most = room / BigInt(bytes);
  if (most <= 1n || !cpu.linear.isMemory(linear, write, asUser(state))) return 1;
  return Number(left < most ? left : most);
}

/**
 * Runs a step of INS or OUTS and moves the registers on.
 *
 * @param transfer transfers one element or more, and returns how many
 */
function stringIo(
  cpu: Cpu,
  instruction: Instruction,
  bytes: PortSize,
  index: number,
  transfer: (step: StringStep) => number,
): Outcome {
  const { state } = cpu;
  const { addressSize, rep } = instruction;
  const port = dx(cpu);
  // Also where nothing is left to transfer, as processors do.
  checkPorts(cpu, port, bytes);
  const left = rep === 0 ? 1n : readIndex(cpu, Gpr.RCX, addressSize);
  if (left === 0n) return Outcome.Next;
  const offset = readIndex(cpu, index, addressSize);
  const done = transfer({ offset, port, left });
  const moved = BigInt(done * bytes);
  const down = (state.flagsSys & Flag.DF) !== 0;
  writeIndex(cpu, index, addressSize, down ? offset - moved : offset + moved);
  if (rep === 0) return finish(cpu, port, bytes, Outcome.Next);
  const rest = left - BigInt(done);
  writeIndex(cpu, Gpr.RCX, addressSize, rest);
  if (rest !== 0n) state.rip = instruction.rip;
  return finish(cpu, port, bytes, Outcome.Changed);
}

function inputString(cpu: Cpu, instruction: Instruction, bytes: PortSize): Outcome {
  return stringIo(cpu, instruction, bytes, Gpr.RDI, (step) => {
    const user = asUser(cpu.state);
    const to = segmentAddress(cpu.state, Seg.ES, step.offset, bytes, true);
    // A port read cannot be taken back: the destination must be known to be good.
    requireAlignment(cpu.state, to, bytes);
    cpu.linear.probeWrite(to, bytes, user);
    const elements = cpu.ports.inBlock(step.port, bytes, together(cpu, instruction, bytes, step, to, null));
    cpu.linear.writeBytes(to, elements, user);
    return elements.length / bytes;
  });
}

function outputString(cpu: Cpu, instruction: Instruction, bytes: PortSize): Outcome {
  const { segment } = instruction;
  return stringIo(cpu, instruction, bytes, Gpr.RSI, (step) => {
    const from = segmentAddress(cpu.state, segment, step.offset, bytes, false);
    requireAlignment(cpu.state, from, bytes);
    const count = together(cpu, instruction, bytes, step, from, segment);
    return cpu.ports.outBlock(step.port, bytes, cpu.linear.readBytes(from, count * bytes, asUser(cpu.state)));
  });
}

defineComplex('ins_byte', (cpu, i) => inputString(cpu, i, 1));
defineComplex('ins', (cpu, i) => inputString(cpu, i, wordOrDouble(i)));
defineComplex('outs_byte', (cpu, i) => outputString(cpu, i, 1));
defineComplex('outs', (cpu, i) => outputString(cpu, i, wordOrDouble(i)));
