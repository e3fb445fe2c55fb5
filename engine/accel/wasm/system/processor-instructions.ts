/**
 * Instructions about the processor itself: HLT, caches and translations, time, identification, random
 * numbers, and the bases of FS and GS.
 *
 * Intel SDM 2, the instructions; 3A, 4.10.4.1 (INVLPG, INVPCID); SDM 1, 7.3.17 (random numbers).
 */
import { randomFillSync } from 'node:crypto';
import { Activity, Flag, Gpr, Seg } from '../../../vcpu/state.ts';
import { type Cpu, defineComplex, GuestFault, type Instruction, Outcome, Vector } from './cpu.ts';
import { ARITHMETIC, writeFlags } from './flags.ts';
import {
  gpr32,
  operandAddress,
  readRegister64,
  requirePrivilege,
  setGpr32,
  writeRegister,
  writeRegister64,
} from './operands.ts';
import { Cr4, cr4, is64Bit, isCanonical } from './registers.ts';

const fault = (): GuestFault => new GuestFault(Vector.GP, 0);

defineComplex('hlt', ({ state }) => {
  requirePrivilege(state);
  state.activity = Activity.Halted;
  return Outcome.Halt;
});

/** PAUSE: the vCPU may give its core up for a moment. */
defineComplex('pause', (cpu) => (cpu.pause() ? Outcome.Changed : Outcome.Next));

// There is no cache between the guest and its memory.
defineComplex('invd', ({ state }) => {
  requirePrivilege(state);
  return Outcome.Next;
});
defineComplex('wbinvd', ({ state }) => {
  requirePrivilege(state);
  return Outcome.Next;
});

/** INVLPG: the page of the operand's address; nothing is accessed, so nothing is checked. */
defineComplex('invlpg', (cpu, { segment, offset }) => {
  const { state } = cpu;
  requirePrivilege(state);
  if (is64Bit(state)) {
    const based = segment === Seg.FS || segment === Seg.GS;
    const linear = based ? BigInt.asUintN(64, offset + state.segBase[segment]) : offset;
    if (!isCanonical(state, linear)) return Outcome.Next;
    cpu.invalidatePage(linear);
  } else {
    cpu.invalidatePage(BigInt.asUintN(32, offset + state.segBase[segment]));
  }
  return Outcome.Changed;
});

/** Kinds of INVPCID. */
const Invalidate = { Address: 0n, Context: 1n, All: 2n, AllButGlobal: 3n } as const;

/** INVPCID: what translations are dropped follows from a register, of whom from 16 bytes of memory. */
defineComplex('invpcid', (cpu, instruction) => {
  const { state } = cpu;
  requirePrivilege(state);
  const at = operandAddress(cpu, instruction, 0, 16, false);
  const bytes = cpu.linear.readBytes(at, 16, false);
  const view = new DataView(bytes.buffer, bytes.byteOffset, 16);
  const pcid = view.getBigUint64(0, true);
  const address = view.getBigUint64(8, true);
  const whole = readRegister64(cpu, instruction.a);
  const type = is64Bit(state) ? whole : BigInt.asUintN(32, whole);
  if (type > Invalidate.AllButGlobal || pcid > 0xfffn) throw fault();
  const named = type === Invalidate.Address || type === Invalidate.Context;
  if (named && pcid !== 0n && (cr4(state) & Cr4.PCIDE) === 0) throw fault();
  if (type === Invalidate.Address) {
    if (!isCanonical(state, address)) throw fault();
    cpu.invalidatePage(address, Number(pcid));
  } else if (type === Invalidate.Context) cpu.flushAddressSpaces(Number(pcid));
  else if (type === Invalidate.All) cpu.flushTlb(true);
  else cpu.flushAddressSpaces();
  return Outcome.Changed;
});

/** This processor's TSC. */
export const readTsc = (cpu: Cpu): bigint => BigInt.asUintN(64, cpu.readTsc() + cpu.state.tscOffset);

defineComplex('rdpid', (cpu, { a }) => {
  writeRegister64(cpu, a, cpu.state.tscAux);
  return Outcome.Next;
});

/** RDPMC: CPUID offers no performance counters, so every counter number is out of range. */
defineComplex('rdpmc', () => {
  throw fault();
});

defineComplex('cpuid', (cpu) => {
  const leaf = gpr32(cpu, Gpr.RAX);
  const subleaf = gpr32(cpu, Gpr.RCX);
  const [eax, ebx, ecx, edx] = cpu.model.cpuid(leaf, subleaf, cpu.state, cpu.topology);
  setGpr32(cpu, Gpr.RAX, eax);
  setGpr32(cpu, Gpr.RBX, ebx);
  setGpr32(cpu, Gpr.RCX, ecx);
  setGpr32(cpu, Gpr.RDX, edx);
  return Outcome.Next;
});

/** Random numbers are taken from the host's generator a page at a time. */
const pool = new BigUint64Array(512);
let unused = 0;

function randomWord(): bigint {
  if (unused === 0) {
    randomFillSync(pool);
    unused = pool.length;
  }
  unused--;
  const word = pool[unused]!;
  pool[unused] = 0n;
  return word;
}

/** RDRAND and RDSEED: CF says that there was one, which here there always is. */
function defineRandom(name: string): void {
  defineComplex(name, (cpu: Cpu, { a, size }: Instruction) => {
    const word = randomWord();
    if (size === 8) writeRegister64(cpu, a, word);
    else writeRegister(cpu, a, size, Number(BigInt.asUintN(8 * size, word)));
    writeFlags(cpu.state, Flag.CF, ARITHMETIC);
    return Outcome.Next;
  });
}
defineRandom('rdrand');
defineRandom('rdseed');
