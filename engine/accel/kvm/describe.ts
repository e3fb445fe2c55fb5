/** What went wrong, in KVM's words, and where the guest was: one line for people. */
import { Seg, type VcpuState } from '../../vcpu/state.ts';
import { readFlags } from '../wasm/system/flags.ts';
import { RunInternal } from './abi.ts';

/** `suberror` of an internal error (include/uapi/linux/kvm.h, KVM_INTERNAL_ERROR_…). */
const SUBERRORS: Readonly<Record<number, string>> = {
  1: 'KVM cannot emulate an instruction',
  2: 'KVM met several exceptions at once',
  3: 'KVM met an exit while it delivered an event',
  4: 'KVM met an exit that it does not know',
};

const EMULATION = 1;
/** In an emulation failure's flags: the instruction's bytes follow. */
const HAS_BYTES = 1n;

const hex = (value: number | bigint): string => value.toString(16);

/**
 * Describes KVM_EXIT_INTERNAL_ERROR.
 *
 * @param at byte address of the exit's part of kvm_run
 */
export function describeInternalError(view: DataView, at: number): string {
  const { offset } = RunInternal;
  const suberror = view.getUint32(at + offset.suberror, true);
  const text = SUBERRORS[suberror] ?? `KVM has an internal error, ${suberror}`;
  const count = Math.min(view.getUint32(at + offset.count, true), 16);
  const has = (view.getBigUint64(at + offset.flags, true) & HAS_BYTES) !== 0n;
  if (suberror === EMULATION && count >= 3 && has) {
    const size = Math.min(view.getUint8(at + offset.size), 15);
    const bytes = Array.from({ length: size }, (_, i) =>
      hex(view.getUint8(at + offset.bytes + i)).padStart(2, '0'),
    );
    return `${text}: ${bytes.join(' ')}`;
  }
  if (suberror === EMULATION || count === 0) return text;
  const data = Array.from({ length: count }, (_, i) =>
    hex(view.getBigUint64(at + offset.flags + 8 * i, true)),
  );
  return `${text} (${data.join(', ')})`;
}

const GENERAL = ['rax', 'rcx', 'rdx', 'rbx', 'rsp', 'rbp', 'rsi', 'rdi'];

/** The registers, in hexadecimal. */
export function describeRegisters(state: VcpuState): string {
  const general = Array.from({ length: 16 }, (_, i) => `${GENERAL[i] ?? `r${i}`} ${hex(state.gpr[i])}`);
  return [
    `cs:rip ${hex(state.segSelector[Seg.CS])}:${hex(state.rip)}`,
    `rflags ${hex(readFlags(state))}`,
    ...general,
    `cr0 ${hex(state.cr0)}`,
    `cr2 ${hex(state.cr2)}`,
    `cr3 ${hex(state.cr3)}`,
    `cr4 ${hex(state.cr4)}`,
    `efer ${hex(state.efer)}`,
  ].join(', ');
}
