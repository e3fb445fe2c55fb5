/**
 * Memory-type range registers. They are kept and checked, and mean nothing here: all memory is coherent.
 *
 * Intel SDM 3A, 12.11 (MTRRs): figures 12-5 (cap), 12-6 (deftype), 12-7 (variable), table 12-9 (fixed).
 */
import type { Cpu } from './cpu.ts';
import type { Msr } from './msr-register.ts';

const CAP = 0xfe;
const DEF_TYPE = 0x2ff;
const VARIABLE = 0x200;
const PAIRS = 8;
/** Numbers of the fixed-range registers, in order of address. */
const FIXED = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f];

/** Eight pairs, fixed ranges, write-combining. */
const CAPABILITIES = BigInt(PAIRS | (1 << 8) | (1 << 10));

/** UC, WC, WT, WP, WB. */
const isType = (type: number): boolean => type <= 6 && type !== 2 && type !== 3;

function fixedIsValid(value: bigint): boolean {
  for (let at = 0n; at < 64n; at += 8n) if (!isType(Number((value >> at) & 0xffn))) return false;
  return true;
}

function variableIsValid({ model }: Cpu, isMask: boolean, value: bigint): boolean {
  if (value >> BigInt(model.physicalBits) !== 0n) return false;
  const low = Number(value & 0xfffn);
  return isMask ? (low & 0x7ff) === 0 : (low & 0xf00) === 0 && isType(low);
}

/** Adds them to the table of registers. */
export function defineMtrrs(table: Map<number, Msr>): void {
  table.set(CAP, { read: () => CAPABILITIES, write: () => false });
  table.set(DEF_TYPE, {
    read: ({ state }) => state.mtrrDefType,
    write: ({ state }, value) => {
      if ((value & ~0xcffn) !== 0n || !isType(Number(value & 0xffn))) return false;
      state.mtrrDefType = value;
      return true;
    },
  });
  for (const [index, number] of FIXED.entries()) {
    table.set(number, {
      read: ({ state }) => state.mtrrFixed[index],
      write: ({ state }, value) => {
        if (!fixedIsValid(value)) return false;
        state.mtrrFixed[index] = value;
        return true;
      },
    });
  }
  for (let index = 0; index < 2 * PAIRS; index++) {
    table.set(VARIABLE + index, {
      read: ({ state }) => state.mtrrVariable[index],
      write: (cpu, value) => {
        if (!variableIsValid(cpu, (index & 1) !== 0, value)) return false;
        cpu.state.mtrrVariable[index] = value;
        return true;
      },
    });
  }
}
