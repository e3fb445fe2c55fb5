/**
 * The x87 transcendental instructions: operands from the register stack, results and exceptions to it.
 *
 * Intel SDM volume 2: F2XM1, FCOS, FPATAN, FPTAN, FSIN, FSINCOS, FYL2X, FYL2XP1.
 */
import type { VcpuState } from '../../../vcpu/state.ts';
import { FloatFlag } from '../float/format.ts';
import type { Number80, Result80 } from '../float/number.ts';
import { f2xm1, fcos, fpatan, fptan, fsin, fsincos, fyl2x, fyl2xp1 } from '../float/transcendental.ts';
import { defineComplex, Outcome } from './cpu.ts';
import {
  happens,
  isFilled,
  pop,
  push,
  readStack,
  settle,
  stackFault,
  track,
  waitForException,
  writeStack,
} from './x87-stack.ts';

const { C1, C2 } = FloatFlag;

function define(name: string, modrm: number, run: (state: VcpuState) => void): void {
  defineComplex(name, (cpu, instruction) => {
    waitForException(cpu);
    track(cpu, instruction, 0x100 | modrm);
    run(cpu.state);
    return Outcome.Next;
  });
}

/** ST(0) to ST(0); C2 tells an argument out of range. */
function unary(
  name: string,
  modrm: number,
  cleared: number,
  compute: (x: Number80, fcw: number) => Result80,
): void {
  define(name, modrm, (state) => {
    if (!isFilled(state, 0)) {
      stackFault(state, false, cleared, (value) => writeStack(state, 0, value));
      return;
    }
    const result = compute(readStack(state, 0), state.fcw);
    if (happens(state, result.flags)) writeStack(state, 0, result);
    settle(state, result.flags, cleared);
  });
}
unary('f2xm1', 0xf0, C1, f2xm1);
unary('fsin', 0xfe, C1 | C2, fsin);
unary('fcos', 0xff, C1 | C2, fcos);

/** ST(0) and ST(1) to ST(1), then a pop. */
function binary(
  name: string,
  modrm: number,
  compute: (x: Number80, y: Number80, fcw: number) => Result80,
): void {
  define(name, modrm, (state) => {
    const store = (value: Number80) => {
      writeStack(state, 1, value);
      pop(state);
    };
    if (!isFilled(state, 0) || !isFilled(state, 1)) {
      stackFault(state, false, C1, store);
      return;
    }
    const result = compute(readStack(state, 0), readStack(state, 1), state.fcw);
    if (happens(state, result.flags)) store(result);
    settle(state, result.flags, C1);
  });
}
binary('fyl2x', 0xf1, fyl2x);
binary('fpatan', 0xf3, fpatan);
binary('fyl2xp1', 0xf9, fyl2xp1);

/** ST(0) to ST(0) and a push. */
function widening(
  name: string,
  modrm: number,
  compute: (x: Number80, fcw: number) => { below: Result80; above: Number80 },
): void {
  define(name, modrm, (state) => {
    const store = (below: Number80, above: Number80) => {
      writeStack(state, 0, below);
      push(state, above);
    };
    const filled = isFilled(state, 0);
    if (!filled || isFilled(state, -1)) {
      stackFault(state, filled, C1 | C2, (value) => store(value, value));
      return;
    }
    const { below, above } = compute(readStack(state, 0), state.fcw);
    if ((below.flags & C2) === 0 && happens(state, below.flags)) store(below, above);
    settle(state, below.flags, C1 | C2);
  });
}
widening('fptan', 0xf2, (x, fcw) => {
  const { tangent, pushed } = fptan(x, fcw);
  return { below: tangent, above: pushed };
});
widening('fsincos', 0xfb, (x, fcw) => {
  const { sine, cosine } = fsincos(x, fcw);
  return { below: sine, above: cosine };
});
