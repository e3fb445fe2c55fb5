/**
 * FLDENV, FNSTENV, FRSTOR and FNSAVE: the x87 environment, 14 or 28 bytes by the operand size, and the registers
 * after it, 80 bytes from ST(0) on.
 *
 * Intel SDM volume 1, 8.1.10, figures 8-9 … 8-12 (formats); volume 2, each instruction.
 */
import type { VcpuState } from '../../../vcpu/state.ts';
import { FloatFlag } from '../float/format.ts';
import { unpack80 } from '../float/number.ts';
import { CONTROL_BITS, StatusWord } from '../semantics/x87-registers.ts';
import { type Cpu, defineComplex, type Instruction, Outcome } from './cpu.ts';
import { asUser, operandAddress, requireAlignment } from './operands.ts';
import { isRealLike } from './registers.ts';
import { readStack, setStatusWord, waitForException, writeStack } from './x87-stack.ts';

const REGISTER_BYTES = 80;

/** The whole tag word: for each physical register 0 valid, 1 zero, 2 special, 3 empty (SDM 1, 8.1.7). */
export function fullTags(state: VcpuState): number {
  const top = (state.fsw >> 11) & 7;
  let tags = 0;
  for (let n = 0; n < 8; n++) tags |= tagOf(state, n, (n - top) & 7) << (2 * n);
  return tags;
}

function tagOf(state: VcpuState, physical: number, i: number): number {
  if (((state.ftw >> physical) & 1) === 0) return 3;
  const value = readStack(state, i);
  const { kind, denormal } = unpack80(value);
  if (kind === 'zero') return 1;
  return kind === 'finite' && !denormal ? 0 : 2;
}

/** One bit for each register that is not empty. */
export function abridgedTags(tags: number): number {
  let filled = 0;
  for (let n = 0; n < 8; n++) if (((tags >> (2 * n)) & 3) !== 3) filled |= 1 << n;
  return filled;
}

const narrow = (instruction: Instruction): boolean => instruction.size === 2;
const environmentBytes = (instruction: Instruction): number => (narrow(instruction) ? 14 : 28);

/** The environment's seven fields, as wide as the operand size says, with ones in what is reserved. */
function writeEnvironment(state: VcpuState, small: boolean): Uint8Array {
  const bytes = new Uint8Array(small ? 14 : 28);
  const view = new DataView(bytes.buffer);
  const put = (index: number, low: number, high = 0xffff) => {
    if (small) view.setUint16(2 * index, low, true);
    else view.setUint32(4 * index, ((low & 0xffff) | (high << 16)) >>> 0, true);
  };
  put(0, state.fcw);
  put(1, state.fsw);
  put(2, fullTags(state));
  const [ip, dp] = [Number(state.fip & 0xffff_ffffn), Number(state.fdp & 0xffff_ffffn)];
  if (isRealLike(state)) {
    // Linear addresses, with the opcode between.
    const [code, data] = [ip + state.fcs * 16, dp + state.fds * 16];
    const opcode = state.fop & 0x7ff;
    put(3, code);
    put(5, data);
    if (small) {
      put(4, opcode | (((code >>> 16) & 15) << 12));
      put(6, ((data >>> 16) & 15) << 12);
    } else {
      view.setUint32(16, (opcode | ((code >>> 16) << 12)) >>> 0, true);
      view.setUint32(24, ((data >>> 16) << 12) >>> 0, true);
    }
    return bytes;
  }
  put(3, ip, ip >>> 16);
  put(4, state.fcs, state.fop & 0x7ff);
  put(5, dp, dp >>> 16);
  put(6, state.fds);
  return bytes;
}

function readEnvironment(state: VcpuState, bytes: Uint8Array, small: boolean): void {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const low = (index: number) => view.getUint16(small ? 2 * index : 4 * index, true);
  const high = (index: number) => (small ? 0 : view.getUint16(4 * index + 2, true));
  const word = (index: number) => (low(index) | (high(index) << 16)) >>> 0;
  state.fcw = (low(0) & CONTROL_BITS) | 0x40;
  const fsw = low(1) & ~(StatusWord.ES | StatusWord.Busy);
  const pending = (fsw & ~state.fcw & FloatFlag.Exceptions) !== 0;
  setStatusWord(state, pending ? fsw | StatusWord.ES | StatusWord.Busy : fsw);
  state.ftw = abridgedTags(low(2));
  if (isRealLike(state)) {
    const above = (index: number) =>
      small ? (word(index) >>> 12) << 16 : ((word(index) >>> 12) & 0xffff) << 16;
    state.fip = BigInt((low(3) | above(4)) >>> 0);
    state.fdp = BigInt((low(5) | above(6)) >>> 0);
    state.fop = low(4) & 0x7ff;
    state.fcs = 0;
    state.fds = 0;
    return;
  }
  state.fip = BigInt(word(3));
  state.fcs = low(4);
  if (!small) state.fop = high(4) & 0x7ff;
  state.fdp = BigInt(word(5));
  state.fds = low(6);
}

/** Address of the operand, whose alignment is that of its fields (SDM 3A, table 6-7). */
function fields(cpu: Cpu, instruction: Instruction, bytes: number, write: boolean): bigint {
  const address = operandAddress(cpu, instruction, 0, bytes, write);
  requireAlignment(cpu.state, address, narrow(instruction) ? 2 : 4);
  return address;
}

/** Linear addresses of the first and the last byte, which processors touch before the rest, as CR2 tells. */
const ends = (cpu: Cpu, instruction: Instruction, bytes: number, write: boolean): bigint[] =>
  [0, bytes - 1].map((delta) => operandAddress(cpu, instruction, delta, 1, write));

function load(cpu: Cpu, instruction: Instruction, bytes: number): Uint8Array {
  const address = fields(cpu, instruction, bytes, false);
  for (const at of ends(cpu, instruction, bytes, false)) cpu.linear.read(at, 1, asUser(cpu.state));
  return cpu.linear.readBytes(address, bytes, asUser(cpu.state));
}

function store(cpu: Cpu, instruction: Instruction, bytes: Uint8Array): void {
  const address = fields(cpu, instruction, bytes.length, true);
  for (const at of ends(cpu, instruction, bytes.length, true))
    cpu.linear.probeWrite(at, 1, asUser(cpu.state));
  cpu.linear.writeBytes(address, bytes, asUser(cpu.state));
}

defineComplex('fldenv', (cpu, instruction) => {
  waitForException(cpu);
  readEnvironment(cpu.state, load(cpu, instruction, environmentBytes(instruction)), narrow(instruction));
  return Outcome.Next;
});

defineComplex('fnstenv', (cpu, instruction) => {
  const { state } = cpu;
  store(cpu, instruction, writeEnvironment(state, narrow(instruction)));
  // All exceptions are masked then, and so none is pending.
  state.fcw |= FloatFlag.Exceptions;
  setStatusWord(state, state.fsw & ~(StatusWord.ES | StatusWord.Busy));
  return Outcome.Next;
});

defineComplex('frstor', (cpu, instruction) => {
  waitForException(cpu);
  const { state } = cpu;
  const size = environmentBytes(instruction);
  const bytes = load(cpu, instruction, size + REGISTER_BYTES);
  readEnvironment(state, bytes.subarray(0, size), narrow(instruction));
  const tags = state.ftw;
  const view = new DataView(bytes.buffer, bytes.byteOffset + size);
  for (let i = 0; i < 8; i++) {
    const significand = view.getBigUint64(10 * i, true);
    writeStack(state, i, { significand, signExponent: view.getUint16(10 * i + 8, true) });
  }
  state.ftw = tags;
  return Outcome.Next;
});

defineComplex('fnsave', (cpu, instruction) => {
  const { state } = cpu;
  const environment = writeEnvironment(state, narrow(instruction));
  const bytes = new Uint8Array(environment.length + REGISTER_BYTES);
  bytes.set(environment);
  const view = new DataView(bytes.buffer, environment.length);
  for (let i = 0; i < 8; i++) {
    const { significand, signExponent } = readStack(state, i);
    view.setBigUint64(10 * i, significand, true);
    view.setUint16(10 * i + 8, signExponent, true);
  }
  store(cpu, instruction, bytes);
  state.fcw = 0x37f;
  setStatusWord(state, 0);
  state.ftw = 0;
  state.fop = 0;
  state.fip = 0n;
  state.fdp = 0n;
  state.fcs = 0;
  state.fds = 0;
  return Outcome.Next;
});
