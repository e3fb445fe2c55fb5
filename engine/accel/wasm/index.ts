/** The `wasm` accelerator: our own x86-64 processor. It runs wherever Node does. */
import './v8-flags.ts';
import type { AcceleratedVcpu } from '../contract.ts';
import { MAX_VCPUS } from '../../device/chipset/lapic.ts';
import type { VcpuOptions } from '../../machine/accelerator.ts';
import type { TranslatorLink } from '../../machine/translator-link.ts';
import type { HotCode } from './region/hot-code.ts';
import type { OwnTranslator } from './region/own-translator.ts';
import { CPU_MODELS, CpuModel } from './system/cpuid.ts';
import { resetState as reset } from './system/reset.ts';
import { tiersOf } from './tiers.ts';
import type { VcpuState } from '../../vcpu/state.ts';

/** Whether the accelerator can run here: WebAssembly with threads, SIMD and tail calls is all it needs. */
export function probe(): { ok: true; features: string[] } | { ok: false; reason: string } {
  // A module with a tail call and a SIMD instruction: type (func), one function, return_call 0 and v128.const.
  const bytes = [
    0, 0x61, 0x73, 0x6d, 1, 0, 0, 0, 1, 4, 1, 0x60, 0, 0, 3, 2, 1, 0, 10, 25, 1, 23, 0, 0xfd, 0x0c,
    ...Array.from({ length: 16 }, () => 0), 0x1a, 0x12, 0, 0x0b,
  ]; // prettier-ignore
  try {
    void new WebAssembly.Module(Uint8Array.from(bytes));
  } catch {
    return { ok: false, reason: 'this JavaScript engine lacks WebAssembly tail calls or SIMD' };
  }
  return { ok: true, features: [...new CpuModel('max').features] };
}

export { areaBytes } from './area.ts';
export type { CompiledTier0 } from './interpreter/tier0.ts';
export type { OwnTranslator } from './region/own-translator.ts';

/** As many as a machine can have local APICs. */
export const maxVcpus = (): number => MAX_VCPUS;

/** SMRAM is seen by a processor that is in the mode, and by no other. */
export const systemManagement = (): boolean => true;

/** One for a machine: translates hot code for its vCPUs. */
export const translatorThread = new URL('./region/translator-thread.ts', import.meta.url);

/** Who translates for a vCPU: the machine's thread, or the vCPU, where there is none or it is to wait for all of it. */
export const translatorFor = async (link?: TranslatorLink): Promise<TranslatorLink | OwnTranslator> =>
  link !== undefined && !tiersOf(process.env.GUESTHOUSE_TIER).eager
    ? link
    : (await import('./region/own-translator.ts')).ownTranslator();

/** See {@link HotCode}. */
export const listCode = async (code: HotCode): Promise<string> =>
  await (await import('./region/listing.ts')).listCode(code);

let Vcpu: (new (options: VcpuOptions) => AcceleratedVcpu) | undefined;

/** Loads the processor into this thread, once; threads that run no vCPU do without it. */
export async function load(): Promise<void> {
  ({ Processor: Vcpu } = await import('./processor.ts'));
}

/** Makes a vCPU over its state; the state must have been reset, and {@link load} have come to its end. */
export function createVcpu(options: VcpuOptions): AcceleratedVcpu {
  if (Vcpu === undefined) throw new Error('the processor has not been loaded');
  return new Vcpu(options);
}

/** CPU models by name, the fullest first. */
export const cpuModels = (): string[] => CPU_MODELS.toReversed();

/** Puts a vCPU into the state after power-up, as a CPU of the named model. */
export function resetState(state: VcpuState, options: { index: number; model: string }): void {
  reset(state, { index: options.index, model: new CpuModel(options.model) });
}
