/** Every instruction done in TypeScript: importing this file registers them all. */
import './control-registers.ts';
import './debug-registers.ts';
import './descriptor-tables.ts';
import './extended-state.ts';
import './far.ts';
import './flag-instructions.ts';
import './msr.ts';
import './port-io.ts';
import './processor-instructions.ts';
import './return.ts';
import './segment-instructions.ts';
import './smm.ts';
import './software-interrupts.ts';
import './syscall.ts';
import './x87.ts';

export { complexInstructions } from './cpu.ts';
