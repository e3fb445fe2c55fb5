/**
 * One vCPU of KVM: enters the guest with KVM_RUN, turns the kernel's exits into the accelerator contract's,
 * and hands interrupts of the machine's own controllers in (api.rst, section 5; 4.16 "KVM_INTERRUPT").
 *
 * While the guest runs its registers are the kernel's. They are brought into the common schema when somebody
 * is to look at them or to change them, and back at the next entry.
 */
import { ExitReason, type AcceleratedVcpu, type IoBlock, type IoExit } from '../contract.ts';
import type { VcpuOptions } from '../../machine/accelerator.ts';
import { Activity, Flag, VcpuEvent, vcpuLayout, type VcpuState } from '../../vcpu/state.ts';
import {
  ExitCode, IO_OUT, kvmRun, kvmSignalMask, Request, RUN_EXIT, RunFailEntry, RunIo, RunMmio, RunMsr,
  RunSystemEvent,
} from './abi.ts'; // prettier-ignore
import { MOST_CPUID } from './area.ts';
import { type CpuidLeaf, extendedFeatures, guestCpuid, readCpuid, writeCpuid } from './cpuid.ts';
import { describeInternalError, describeRegisters } from './describe.ts';
import { loadExtended, saveExtended } from './extended-state.ts';
import { Errno, errorText, type Host, Syscall } from './host.ts';
import { KickTarget } from './kick.ts';
import { Msrs } from './msrs.ts';
import {
  loadDebug, loadEvents, loadGeneral, loadSystem, loadXcr0, saveBlocking, saveDebug, saveEvents, saveGeneral,
  saveSystem, saveXcr0,
} from './registers.ts'; // prettier-ignore
import { VcpuFile } from './vcpu-file.ts';
import type { KvmVm } from './vm.ts';

/** Guest ticks that the TSC may be away from the machine's clock before it is set anew: a millisecond. */
const TSC_TOLERANCE = 1_000_000n;

/** Kilohertz of the machine's TSC: one tick a nanosecond. */
const MACHINE_TSC_KHZ = 1_000_000;

/** How far the TSC may be off, in millionths, for the machine's clock to be called its own. */
const TSC_PRECISION = 250;

/** Events that are acted on before an entry, or keep the guest from being entered. */
const NOTICED = ~VcpuEvent.Interrupt;

/** The local APIC's MSRs (SDM 3A, 11.4.4, 11.5.4.1, 11.12.1). */
const MSR_APIC_BASE = 0x1b;
const MSR_TSC_DEADLINE = 0x6e0;
const MSR_X2APIC = 0x800;

/** What the vCPU is given by the VM it is part of. */
export interface VcpuParts {
  readonly host: Host;
  readonly vm: KvmVm;
  /** Of the vCPU. */
  readonly file: number;
  readonly runBytes: number;
  readonly base: number;
  /** The local APIC's MSRs come to user space. */
  readonly apicMsrs: boolean;
  readonly smm: boolean;
  /** As KVM lists it: see {@link guestCpuid}. */
  readonly supported: readonly CpuidLeaf[];
}

export class KvmVcpu implements AcceleratedVcpu {
  readonly state: VcpuState;
  readonly io: IoExit = { address: 0, size: 1, write: false, data: 0n };
  readonly block: IoBlock = { bytes: new Uint8Array(0), done: 0 };

  readonly #options: VcpuOptions;
  readonly #parts: VcpuParts;
  readonly #file: VcpuFile;
  readonly #kick: KickTarget;
  readonly #msrs: Msrs;
  readonly #events: Int32Array<SharedArrayBuffer>;
  readonly #view: DataView<SharedArrayBuffer>;
  readonly #bytes: Uint8Array<SharedArrayBuffer>;
  /** Byte address of kvm_run, and of the part that depends on the exit. */
  readonly #run: number;
  readonly #exit: number;
  readonly #xsave: boolean;
  readonly #avx: boolean;
  readonly #tscKhz: number;
  /** The guest's registers are the kernel's, not the schema's. */
  #entered = false;
  /** An access has been served and its instruction not been completed. */
  #pending = false;
  #accessReason: typeof ExitReason.PortIo | typeof ExitReason.Mmio = ExitReason.PortIo;
  /** Pieces of the present access: where the data of the next one lies, and how many bytes are left. */
  #dataAt = 0;
  #dataLeft = 0;
  /** Read data goes there with the next entry. */
  #reading = false;
  /** What the guest's TSC was last set with, and whether the host's TSC took it. */
  #tscOffset: bigint | undefined;
  #tscFollows = true;
  #detail = '';

  /** @throws Error where the kernel refuses what every KVM has */
  constructor(options: VcpuOptions, parts: VcpuParts) {
    const { buffer } = options.memory;
    if (!(buffer instanceof SharedArrayBuffer)) throw new TypeError('the memory of a machine is shared');
    const { host, base, file, runBytes } = parts;
    this.#options = options;
    this.#parts = parts;
    this.state = options.state;
    this.#view = new DataView(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#events = new Int32Array(buffer, options.stateAddress + vcpuLayout.offset.events, 1);
    this.#run = options.area;
    this.#exit = this.#run + RUN_EXIT;
    const mapped = host.mapOver(base + this.#run, runBytes, file);
    if (mapped < 0) throw new Error(`mmap of a vCPU: ${errorText(-mapped)}`);
    this.#file = new VcpuFile(host, file, buffer, base, options.area);
    this.#kick = new KickTarget(host, buffer, base, options.area);
    this.#msrs = new Msrs(this.#file);
    this.#setSignalMask();
    this.#tscKhz = this.#chooseTscFrequency();
    ({ xsave: this.#xsave, avx: this.#avx } = this.#setCpuid());
  }

  detail(): string {
    return this.#detail;
  }

  /** KVM does not count them. */
  instructions(): number {
    return 0;
  }

  setDeadline(deadline: number, now: number): void {
    if (deadline !== Infinity) this.#kick.alarm((deadline - now) / 1e6);
  }

  run(): ExitReason {
    try {
      const piece = this.#nextPiece();
      if (piece !== null) return piece;
      for (;;) {
        if (!this.#entered) this.#load();
        const before = this.#prepare();
        if (before !== null) return before;
        const after = this.#enter();
        if (after !== null) return after;
      }
    } catch (error) {
      return this.#broken(error instanceof Error ? error.message : String(error));
    }
  }

  synchronize(): ExitReason | null {
    try {
      const piece = this.#nextPiece();
      if (piece !== null) return piece;
      if (!this.#entered) return null;
      while (this.#pending) {
        const further = this.#complete();
        if (further !== null) return further;
      }
      this.#save();
      return null;
    } catch (error) {
      return this.#broken(error instanceof Error ? error.message : String(error));
    }
  }

  close(): void {
    this.#kick.close();
    this.#parts.host.unmap(this.#parts.base + this.#run, this.#parts.runBytes);
    this.#parts.host.call(Syscall.Close, this.#file.number);
  }

  // Entering and leaving.

  /** Acts on what others have for this vCPU. @returns why the guest is not entered, or null */
  #prepare(): ExitReason | null {
    const { state } = this;
    const events = Atomics.load(this.#events, 0);
    if (events !== 0) {
      if ((events & (VcpuEvent.FlushTlb | VcpuEvent.FlushCode)) !== 0) {
        this.#take(VcpuEvent.FlushTlb | VcpuEvent.FlushCode);
        if ((events & VcpuEvent.FlushTlb) !== 0) this.#updateMemory();
      }
      if ((events & (VcpuEvent.Kick | VcpuEvent.Init | VcpuEvent.Sipi)) !== 0) return ExitReason.Interrupted;
      if ((events & VcpuEvent.FloatError) !== 0) this.#take(VcpuEvent.FloatError);
      if ((events & VcpuEvent.Smi) !== 0) {
        this.#take(VcpuEvent.Smi);
        if (this.#parts.smm) {
          this.#file.ioctl(Request.Smi, 0);
          this.#wake();
        } else this.#options.log('this KVM has no system-management mode: SMI dropped');
      }
      if ((events & VcpuEvent.Nmi) !== 0 && !(state.activity === Activity.Halted && state.nmiBlocked !== 0)) {
        this.#take(VcpuEvent.Nmi);
        this.#file.ioctl(Request.Nmi, 0);
        this.#wake();
      }
    }
    this.#interrupt((events & VcpuEvent.Interrupt) !== 0);
    if (state.activity !== Activity.Running) return ExitReason.Halt;
    // Four bits of the eight bytes are ever in use.
    this.#view.setUint32(
      this.#run + kvmRun.offset.cr8,
      this.#options.interrupts.getTaskPriority(state.index),
      true,
    );
    return null;
  }

  /** Hands an interrupt in where the guest takes one now, or asks to be told when it does. */
  #interrupt(wanted: boolean): void {
    const { state } = this;
    let window = 0;
    if (wanted) {
      if (state.activity === Activity.Halted && (state.flagsSys & Flag.IF) !== 0) this.#wake();
      const ready = this.#run + kvmRun.offset.readyForInterrupt;
      if (this.#view.getUint8(ready) === 0) window = 1;
      else if (state.activity === Activity.Running) {
        const vector = this.#options.lockDevices(() => this.#options.interrupts.acknowledge(state.index));
        if (vector >= 0) {
          this.#view.setUint8(ready, 0);
          this.#view.setUint32(this.#file.at('word'), vector, true);
          this.#file.request('KVM_INTERRUPT', Request.Interrupt, 'word');
        }
        if ((Atomics.load(this.#events, 0) & VcpuEvent.Interrupt) !== 0) window = 1;
      }
    }
    this.#view.setUint8(this.#run + kvmRun.offset.requestInterruptWindow, window);
  }

  /** @returns why the guest was left, or null where that has been dealt with */
  #enter(): ExitReason | null {
    this.#kick.enter();
    // What came before a kick could reach this vCPU is noticed here; what comes now, by the kick.
    const events = Atomics.load(this.#events, 0);
    const window = this.#view.getUint8(this.#run + kvmRun.offset.requestInterruptWindow);
    if ((events & NOTICED) !== 0 || ((events & VcpuEvent.Interrupt) !== 0 && window === 0)) {
      this.#kick.leave();
      return null;
    }
    const result = this.#file.ioctl(Request.Run, 0);
    this.#kick.leave();
    this.#pending = false;
    this.#followTaskPriority();
    if (result >= 0) return this.#decode();
    if (result !== -Errno.EINTR && result !== -Errno.EAGAIN) {
      return this.#broken(`KVM_RUN: ${errorText(-result)}`);
    }
    this.#kick.interrupted();
    return ExitReason.Interrupted;
  }

  /** Completes the instruction whose access has been served, without running any other.
   * @returns its next access that is to be served, or null */
  #complete(): ExitReason | null {
    const immediate = this.#run + kvmRun.offset.immediateExit;
    this.#view.setUint8(immediate, 1);
    const result = this.#file.ioctl(Request.Run, 0);
    this.#view.setUint8(immediate, 0);
    this.#pending = false;
    if (result >= 0) return this.#decode();
    if (result !== -Errno.EINTR) return this.#broken(`KVM_RUN: ${errorText(-result)}`);
    return null;
  }

  #decode(): ExitReason | null {
    const view = this.#view;
    const code = view.getUint32(this.#run + kvmRun.offset.exitReason, true);
    switch (code) {
      case ExitCode.Io:
        return this.#portAccess();
      case ExitCode.Mmio:
        return this.#memoryAccess();
      case ExitCode.Hlt:
        return this.#halted();
      case ExitCode.InterruptWindow:
        return ExitReason.InterruptWindow;
      case ExitCode.Interrupted:
        return ExitReason.Interrupted;
      case ExitCode.SetTpr:
        return null;
      case ExitCode.Debug:
        return ExitReason.Debug;
      case ExitCode.ReadMsr:
      case ExitCode.WriteMsr:
        this.#msrAccess(code === ExitCode.WriteMsr);
        return null;
      case ExitCode.SystemEvent: {
        const type = view.getUint32(this.#exit + RunSystemEvent.offset.type, true);
        this.#options.log(`system event ${type}`);
        return this.#shutDown();
      }
      case ExitCode.Shutdown:
        return this.#shutDown();
      case ExitCode.FailEntry: {
        const reason = view.getBigUint64(this.#exit + RunFailEntry.offset.reason, true);
        return this.#broken(`the processor refused to enter the guest, reason 0x${reason.toString(16)}`);
      }
      case ExitCode.InternalError:
        return this.#broken(describeInternalError(view, this.#exit));
      default:
        return this.#broken(`KVM left the guest for a reason unknown here, ${code}`);
    }
  }

  // Accesses.

  #portAccess(): ExitReason {
    const view = this.#view;
    const { offset } = RunIo;
    const write = view.getUint8(this.#exit + offset.direction) === IO_OUT;
    const size = view.getUint8(this.#exit + offset.size);
    const count = view.getUint32(this.#exit + offset.count, true);
    this.#dataAt = this.#run + view.getUint32(this.#exit + offset.dataOffset, true);
    this.#dataLeft = size * count;
    this.io.address = view.getUint16(this.#exit + offset.port, true);
    return this.#piece(ExitReason.PortIo, size, write);
  }

  #memoryAccess(): ExitReason | null {
    const view = this.#view;
    const { offset } = RunMmio;
    const write = view.getUint8(this.#exit + offset.isWrite) !== 0;
    const address = Number(view.getBigUint64(this.#exit + offset.address, true));
    this.#dataAt = this.#exit + offset.data;
    this.#dataLeft = view.getUint32(this.#exit + offset.length, true);
    this.io.address = address;
    // While another thread moves a slot the kernel may find no memory where there is some.
    const memory = this.#options.addressMap.resolve(Math.floor(address / 4096));
    if (memory !== 0 && (!write || memory % 2 === 0)) {
      const at = memory - (memory % 2) + (address % 4096);
      const [from, to] = write ? [this.#dataAt, at] : [at, this.#dataAt];
      this.#bytes.copyWithin(to, from, from + this.#dataLeft);
      this.#dataLeft = 0;
      this.#pending = true;
      return null;
    }
    return this.#piece(ExitReason.Mmio, this.#wholePiece(), write);
  }

  /** The largest power of two that is left, at most 8: an access may have any length up to that. */
  #wholePiece(): number {
    return 1 << (31 - Math.clz32(Math.min(this.#dataLeft, 8)));
  }

  #piece(
    reason: typeof ExitReason.PortIo | typeof ExitReason.Mmio,
    size: number,
    write: boolean,
  ): ExitReason {
    const { io } = this;
    io.size = size;
    io.write = write;
    io.data = 0n;
    const isBlock = reason === ExitReason.PortIo && this.#dataLeft > size;
    this.block.bytes = this.#bytes.subarray(this.#dataAt, this.#dataAt + (isBlock ? this.#dataLeft : 0));
    this.block.done = 0;
    this.#accessReason = reason;
    this.#reading = !write;
    this.#pending = true;
    if (write && size === 1) io.data = BigInt(this.#bytes[this.#dataAt]);
    else if (write) {
      for (let i = size - 1; i >= 0; i--) io.data = (io.data << 8n) | BigInt(this.#bytes[this.#dataAt + i]);
    }
    return reason;
  }

  /** Takes what a read has brought, and goes on to the next piece of the access, if there is one: string
   * instructions repeat on the same port, memory accesses go upwards. */
  #nextPiece(): ExitReason | null {
    if (this.#dataLeft === 0) return null;
    const { io, block } = this;
    if (this.#reading && block.done === 0) {
      for (let i = 0; i < io.size; i++) {
        this.#bytes[this.#dataAt + i] = Number(BigInt.asUintN(8, io.data >> BigInt(8 * i)));
      }
    }
    const served = io.size * Math.max(block.done, 1);
    this.#dataAt += served;
    this.#dataLeft -= served;
    if (this.#dataLeft === 0) return null;
    const port = this.#accessReason === ExitReason.PortIo;
    if (!port) io.address += io.size;
    return this.#piece(this.#accessReason, port ? io.size : this.#wholePiece(), io.write);
  }

  #halted(): ExitReason {
    const { state } = this;
    state.activity = Activity.Halted;
    const open = this.#view.getUint8(this.#run + kvmRun.offset.ifFlag) !== 0;
    state.flagsSys = (open ? state.flagsSys | Flag.IF : state.flagsSys & ~Flag.IF) >>> 0;
    saveBlocking(this.#file, state);
    return ExitReason.Halt;
  }

  #msrAccess(write: boolean): void {
    const view = this.#view;
    const { offset } = RunMsr;
    const { interrupts, lockDevices, tscDeadline } = this.#options;
    const number = view.getUint32(this.#exit + offset.index, true);
    const index = this.state.index;
    const data = view.getBigUint64(this.#exit + offset.data, true);
    this.#pending = true;
    const accepted = lockDevices(() => {
      if (number === MSR_TSC_DEADLINE) {
        if (write) tscDeadline.write(data);
        else view.setBigUint64(this.#exit + offset.data, tscDeadline.read(), true);
        return true;
      }
      if (number !== MSR_APIC_BASE && (number & ~0xff) !== MSR_X2APIC) return false;
      if (write) return interrupts.writeMsr(index, number, data);
      const value = interrupts.readMsr(index, number);
      if (value !== null) view.setBigUint64(this.#exit + offset.data, value, true);
      return value !== null;
    });
    if (!accepted) this.#options.log(`${write ? 'write' : 'read'} of MSR 0x${number.toString(16)} refused`);
    view.setUint8(this.#exit + offset.error, accepted ? 0 : 1);
  }

  /** A guest that writes CR8 changes the local APIC's task priority. */
  #followTaskPriority(): void {
    const { interrupts, lockDevices } = this.#options;
    const { index } = this.state;
    const priority = this.#view.getUint32(this.#run + kvmRun.offset.cr8, true);
    if (priority === interrupts.getTaskPriority(index)) return;
    lockDevices(() => interrupts.setTaskPriority(index, priority));
  }

  #shutDown(): ExitReason {
    this.#save();
    this.state.activity = Activity.Shutdown;
    return ExitReason.Shutdown;
  }

  #broken(what: string): ExitReason {
    let registers = '';
    try {
      if (this.#entered) this.#save();
      registers = `; ${describeRegisters(this.state)}`;
    } catch {
      // The kernel does not give them any more: what it said first is what counts.
    }
    this.#detail = `${what}${registers}`;
    return ExitReason.InternalError;
  }

  // State.

  #load(): void {
    const { state } = this;
    const file = this.#file;
    if (this.#xsave) loadXcr0(file, state);
    loadExtended(file, state, this.#avx);
    loadSystem(file, state);
    this.#msrs.load(state);
    loadGeneral(file, state);
    loadDebug(file, state);
    loadEvents(file, state);
    this.#loadTsc();
    // Whether the guest takes an interrupt is known again when it has been entered.
    this.#view.setUint8(this.#run + kvmRun.offset.readyForInterrupt, 0);
    this.#entered = true;
  }

  #save(): void {
    const { state } = this;
    const file = this.#file;
    saveGeneral(file, state);
    saveSystem(file, state);
    if (this.#xsave) saveXcr0(file, state);
    saveExtended(file, state, this.#avx);
    this.#msrs.save(state);
    saveDebug(file, state);
    this.#saveTsc();
    this.#entered = false;
    // An NMI that waits in the kernel goes back to where it came from.
    if (saveEvents(file, state)) Atomics.or(this.#events, 0, VcpuEvent.Nmi);
  }

  /** The guest's TSC as the machine's clock and the vCPU's offset have it. */
  #expectedTsc(): bigint {
    const ticks = (this.#options.readTsc() * BigInt(this.#tscKhz)) / BigInt(MACHINE_TSC_KHZ);
    return ticks + this.state.tscOffset;
  }

  /** The TSC is set where it is not what it should be: at first, after it was moved or the clock stood. */
  #loadTsc(): void {
    if (this.#tscOffset === this.state.tscOffset && this.#tscError() === 0n) return;
    this.#msrs.writeTsc(this.#expectedTsc());
    this.#tscOffset = this.state.tscOffset;
    // Some hosts have one TSC for all, and take no other value.
    this.#tscFollows = this.#tscError() === 0n;
  }

  /** A guest that has set its TSC has moved the offset. */
  #saveTsc(): void {
    const error = this.#tscFollows ? this.#tscError() : 0n;
    if (error === 0n) return;
    const { state } = this;
    state.tscOffset = BigInt.asIntN(64, state.tscOffset + error);
    this.#tscOffset = state.tscOffset;
  }

  /** How far the guest's TSC is ahead of what is expected, in ticks; 0 where it is near enough, or where it
   * cannot be told because this thread was held up meanwhile. */
  #tscError(): bigint {
    const before = this.#expectedTsc();
    const tsc = this.#msrs.readTsc();
    const after = this.#expectedTsc();
    if (BigInt.asIntN(64, tsc - before) < -TSC_TOLERANCE) return BigInt.asIntN(64, tsc - before);
    if (BigInt.asIntN(64, tsc - after) > TSC_TOLERANCE) return BigInt.asIntN(64, tsc - after);
    return 0n;
  }

  // Setting up.

  #setSignalMask(): void {
    const at = this.#file.at('signalMask');
    this.#view.setUint32(at + kvmSignalMask.offset.length, 8, true);
    // Behind a word of 4 bytes, so not where a number of 8 is aligned.
    this.#view.setBigUint64(at + kvmSignalMask.offset.set, this.#kick.maskInGuest, true);
    this.#file.request('KVM_SET_SIGNAL_MASK', Request.SetSignalMask, 'signalMask');
  }

  /** Asks for the machine's TSC frequency. @returns the frequency that the guest gets, in kHz */
  #chooseTscFrequency(): number {
    if (this.#file.ioctl(Request.SetTscKhz, MACHINE_TSC_KHZ) >= 0) {
      const got = this.#file.ioctl(Request.GetTscKhz, 0);
      if (Math.abs(got - MACHINE_TSC_KHZ) * 1e6 <= TSC_PRECISION * MACHINE_TSC_KHZ) return MACHINE_TSC_KHZ;
    }
    const khz = this.#file.ioctl(Request.GetTscKhz, 0);
    return khz > 0 ? khz : MACHINE_TSC_KHZ;
  }

  #setCpuid(): { xsave: boolean; avx: boolean } {
    const { supported, apicMsrs } = this.#parts;
    const leaves = guestCpuid(this.#options.cpuModel, supported, this.state, {
      topology: this.#options.topology,
      x2apic: apicMsrs,
      scaledTsc: this.#tscKhz === MACHINE_TSC_KHZ,
      tscKhz: this.#tscKhz,
    });
    writeCpuid(this.#view, this.#file.at('cpuid'), leaves.slice(0, MOST_CPUID));
    this.#file.request('KVM_SET_CPUID2', Request.SetCpuid2, 'cpuid');
    return extendedFeatures(leaves);
  }

  #wake(): void {
    if (this.state.activity === Activity.Halted) this.state.activity = Activity.Running;
  }

  #take(events: number): void {
    Atomics.and(this.#events, 0, ~events);
  }

  #updateMemory(): void {
    const { lockDevices, addressMap, dirtyLog } = this.#options;
    lockDevices(() => this.#parts.vm.update(addressMap, dirtyLog));
  }
}

/** What KVM says that it can offer to guests, read through a vCPU's scratch.
 * @param request fills the `kvm_cpuid2` at an address of this process; returns 0 or minus the error number */
export function supportedCpuid(
  view: DataView,
  at: number,
  base: number,
  request: (address: number) => number,
): CpuidLeaf[] {
  writeCpuid(view, at, []);
  view.setUint32(at, MOST_CPUID, true);
  const result = request(base + at);
  if (result < 0) throw new Error(`KVM_GET_SUPPORTED_CPUID: ${errorText(-result)}`);
  return readCpuid(view, at);
}
