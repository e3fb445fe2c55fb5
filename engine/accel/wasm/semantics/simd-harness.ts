/**
 * Runs single semantic functions in tests: registers are where the state has them, memory operands lie at a fixed
 * address that is its own host address, and exceptions come back as their vectors.
 */
import { vcpuLayout } from '../../../vcpu/state.ts';
import type { Code } from '../emit/code.ts';
import { i32, i64, type I32, type I64 } from '../emit/expr.ts';
import { ModuleBuilder } from '../emit/module.ts';
import { addFloatLibrary } from '../float/library.ts';
import { Mem, P, xmmOffset } from '../private.ts';
import { meaning } from './index.ts';
import type { VexForm } from './vex.ts';
import { Env } from './env.ts';
import type { FormContext, Operand, Size } from './form.ts';
import type { Runtime } from './runtime.ts';
import { addSseLibrary } from './sse.ts';
import { addX87Library } from './x87-library.ts';

/** x87 exceptions are reported as #MF. */
const CR0_NE = 1 << 5;
const CPU = 4096;
/** Address of the memory operand, page-aligned. */
export const MEMORY = 16384;

/** An instruction form: operands, immediate and operand size. */
export interface TestForm {
  readonly name: string;
  readonly operands: readonly Operand[];
  readonly size?: Size;
  /** Known when the code is emitted, as in compiled regions; else handed over at run time. */
  readonly constant?: number;
  readonly vex?: VexForm;
}

/** XMM n as an operand. */
export const xmm = (n: number): Operand => ({ kind: 'fixed', offset: xmmOffset(n) });
/** MMX register n as an operand. */
export const mmx = (n: number): Operand => ({ kind: 'fixed', offset: vcpuLayout.offset.fpr + 16 * n });
/** General register n as an operand. */
export const gpr = (n: number): Operand => ({ kind: 'fixed', offset: vcpuLayout.offset.gpr + 8 * n });
export const mem: Operand = { kind: 'mem' };
export const imm: Operand = { kind: 'imm' };

class TestEnv extends Env {
  readonly #imm: I32;
  constructor(c: Code, form: FormContext, runtime: Runtime, immediate: I32) {
    super(c, form, runtime, c.param('i32', 0).get);
    this.#imm = immediate;
  }
  override register(operand: Operand): { base: I32; offset: number } {
    if (operand.kind !== 'fixed') throw new Error(`operand of kind ${operand.kind} is no register`);
    return { base: this.cpu, offset: operand.offset };
  }
  override imm(): I32 {
    return this.#imm;
  }
  override memLinear(): I64 {
    return i64.extend_u(this.c.param('i32', 2).get);
  }
  override memOffset(): I64 {
    return this.memLinear();
  }
  override host(linear: I64): I32 {
    return this.c.let(i32.wrap(linear));
  }
  override finishStore(): void {}
  override record(): I32 {
    return i32.const(0);
  }
  override budget(): I32 {
    return i32.const(0);
  }
  override segment(): I32 {
    return i32.const(3);
  }
  override imm64(): I64 {
    return i64.const(0);
  }
  override rip(): I64 {
    return i64.const(0);
  }
  override nextRip(): I64 {
    return i64.const(0);
  }
  override target(): I64 {
    return i64.const(0);
  }
  override jumpDirect(): void {}
  override jump(): void {}
  override again(): void {}
  override leaveNext(): void {}
}

/** (vCPU, immediate, address of the memory operand) → 0 or a vector. */
type FormFunction = (cpu: number, immediate: number, address: number) => number;
const isForm = (value: unknown): value is FormFunction => typeof value === 'function';

/** A processor with nothing but the given forms. */
export class SimdMachine {
  readonly #run: readonly FormFunction[];
  readonly #forms: readonly TestForm[];
  readonly #view: DataView;
  readonly bytes: Uint8Array;

  /** @throws WebAssembly.CompileError where a semantic function emits what is not valid */
  constructor(forms: readonly TestForm[]) {
    const m = new ModuleBuilder();
    m.importMemory('t', 'memory', 1, 1);
    const none = m.importFunction('t', 'none', [], []);
    const raise = m.function(['i32', 'i32', 'i32', 'i32', 'i32'], ['i32'], (c) =>
      c.return(c.param('i32', 3).get),
    );
    const float = addFloatLibrary(m);
    const runtime: Runtime = {
      slow: none, look: none, ticks: none, revalidate: none, refind: none, commit: none, leave: none, raise, lookup: none,
      lookupFrom: none, leaveRegion: none, interpret: none, link: none, leaveNext: none, leaveComplex: none,
      complex: none, hot: none, float,
      extra: new Map([...addSseLibrary(m, float), ...addX87Library(m, float)]),
    }; // prettier-ignore
    forms.forEach((form, i) => {
      const context: FormContext = {
        size: form.size ?? 4, operands: form.operands, mem: Mem.BaseDisp, lock: false, address: '64', stack: 8,
        rep: 0, chained: false, vex: form.vex,
      }; // prettier-ignore
      const semantic = meaning({ ...context, name: form.name });
      if (!semantic) throw new Error(`no instruction ${form.name}`);
      const func = m.function(['i32', 'i32', 'i32'], ['i32'], (c) => {
        const immediate = form.constant === undefined ? c.param('i32', 1).get : i32.const(form.constant);
        semantic(new TestEnv(c, context, runtime, immediate));
        c.return(i32.const(0));
      });
      m.export(String(i), func);
    });
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
    const { exports } = new WebAssembly.Instance(new WebAssembly.Module(m.encode()), {
      t: { memory, none: () => {} },
    });
    this.#forms = forms;
    this.#run = forms.map((_, i) => {
      const run = exports[i];
      if (!isForm(run)) throw new Error(`no function ${i}`);
      return run;
    });
    this.#view = new DataView(memory.buffer);
    this.bytes = new Uint8Array(memory.buffer);
    this.mxcsr = 0x1f80;
    this.setField32('cr0', CR0_NE);
    this.#view.setUint32(CPU + vcpuLayout.offset.fcw, 0x37f, true);
    this.#view.setUint32(CPU + P.tlb, 0, true);
  }

  /** Runs the first form of that name. @returns 0, or the vector of the exception raised */
  run(name: string, immediate = 0, address = MEMORY): number {
    const index = this.#forms.findIndex((form) => form.name === name);
    const run = this.#run[index];
    if (!run) throw new Error(`no form of ${name}`);
    return run(CPU, immediate, address);
  }
  /** Runs a form by its place in the list given to the constructor. */
  runForm(index: number, immediate = 0, address = MEMORY): number {
    return this.#run[index](CPU, immediate, address);
  }

  #offset(field: keyof typeof vcpuLayout.offset): number {
    return CPU + vcpuLayout.offset[field];
  }
  get mxcsr(): number {
    return this.#view.getUint32(this.#offset('mxcsr'), true);
  }
  set mxcsr(value: number) {
    this.#view.setUint32(this.#offset('mxcsr'), value, true);
  }
  field32(field: keyof typeof vcpuLayout.offset): number {
    return this.#view.getUint32(this.#offset(field), true);
  }
  setField32(field: keyof typeof vcpuLayout.offset, value: number): void {
    this.#view.setUint32(this.#offset(field), value, true);
  }
  /** Sets the arithmetic flags in the form they are kept in, see vcpu/state.ts. */
  setFlags(result: bigint, aux: number): void {
    this.#view.setBigInt64(this.#offset('flagsRes'), result, true);
    this.setField32('flagsAux', aux);
  }
  /** The arithmetic flags, in their RFLAGS positions. */
  flags(): number {
    const result = this.#view.getBigInt64(this.#offset('flagsRes'), true);
    const aux = this.field32('flagsAux');
    let ones = 0;
    for (let b = Number((result ^ (BigInt(aux) >> 8n)) & 0xffn); b !== 0; b &= b - 1) ones++;
    const carry = aux >>> 31;
    return (
      carry | ((ones & 1 ? 0 : 1) << 2) | (((aux >> 3) & 1) << 4) | ((result === 0n ? 1 : 0) << 6) |
      (((result < 0n ? 1 : 0) ^ (aux & 1)) << 7) | ((carry ^ ((aux >>> 30) & 1)) << 11)
    ); // prettier-ignore
  }
  gpr(n: number): bigint {
    return this.#view.getBigUint64(this.#offset('gpr') + 8 * n, true);
  }
  setGpr(n: number, value: bigint): void {
    this.#view.setBigUint64(this.#offset('gpr') + 8 * n, value, true);
  }
  /** XMM register, live. */
  xmm(n: number): Uint8Array {
    const at = CPU + xmmOffset(n);
    return this.bytes.subarray(at, at + 16);
  }
  /** x87 register by physical number, live: significand and the word of sign and exponent. */
  fpr(n: number): Uint8Array {
    const at = this.#offset('fpr') + 16 * n;
    return this.bytes.subarray(at, at + 10);
  }
  /** Bytes of guest memory, live. */
  memory(length: number, address = MEMORY): Uint8Array {
    return this.bytes.subarray(address, address + length);
  }
}
