/** What a model-specific register is. */
import type { Cpu } from './cpu.ts';

/** Values are unsigned 64-bit numbers. */
export interface Msr {
  /** undefined: not there on this model. */
  read(cpu: Cpu): bigint | undefined;
  /** False: not there, not writable, or a reserved bit is set. */
  write(cpu: Cpu, value: bigint): boolean;
}
