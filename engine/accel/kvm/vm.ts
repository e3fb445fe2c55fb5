/**
 * A virtual machine of KVM as every thread sees it: its memory slots follow the machine's address map, and
 * its dirty bitmaps feed the machine's dirty log (api.rst 4.35, 4.6).
 *
 * Which slots the kernel has is kept in the shared memory, so whichever thread notices a change first
 * carries it out.
 */
import { Mutex } from '../../base/mutex.ts';
import type { AddressMap } from '../../memory/address-map.ts';
import type { DirtyLog } from '../../memory/dirty-log.ts';
import { PAGE_SIZE } from '../../memory/machine-memory.ts';
import type { View } from '../../memory/layout.ts';
import {
  kvmDirtyLog, kvmEnableCap, kvmMemoryRegion, kvmMsrFilter, kvmMsrFilterRange, MemoryFlag, MsrExitReason,
  MsrFilterFlag, Capability, Request,
} from './abi.ts'; // prettier-ignore
import { BITMAP_AT, MOST_SLOTS, SCRATCH_AT, scratchLayout, VM_AT, VmFeature, vmLayout } from './area.ts';
import { errorText, type Host, Syscall } from './host.ts';
import type { KvmSystem } from './system.ts';

/** Where VT-x without unrestricted guests keeps what real mode needs (4.58, 4.60): one page for page tables
 * and three for a task state segment, below the firmware and above the devices of the board. */
const IDENTITY_MAP = 0xfeff_c000;
const TASK_STATE = 0xfeff_d000;

/** MSRs of the local APIC, which are ours to answer. */
const APIC_MSRS = [0x1b, 0x6e0];

interface Slot {
  readonly start: number;
  readonly size: number;
  readonly address: number;
  readonly flags: number;
}

/** What the VM's memory is taken from. */
export interface VmMemory {
  readonly memory: WebAssembly.Memory;
  /** Address of vCPU 0's area. */
  readonly area: number;
  /** Address of guest RAM. */
  readonly ramBase: number;
}

export class KvmVm {
  readonly #host: Host;
  readonly #parts: VmMemory;
  readonly #base: number;
  readonly #view: DataView;
  readonly #bitmap: Uint32Array;
  readonly #slots: View<typeof vmLayout.fields>;
  readonly #mutex: Mutex;

  /** Attaches to what is in the shared memory, in any thread. */
  constructor(host: Host, parts: VmMemory) {
    const { buffer } = parts.memory;
    if (!(buffer instanceof SharedArrayBuffer)) throw new TypeError('the memory of a machine is shared');
    this.#host = host;
    this.#parts = parts;
    this.#base = host.addressOf(parts.memory);
    this.#view = new DataView(buffer);
    this.#bitmap = new Uint32Array(buffer, parts.area + BITMAP_AT);
    this.#slots = vmLayout.bind(buffer, parts.area + VM_AT);
    this.#mutex = new Mutex(buffer, parts.area + VM_AT + vmLayout.offset.mutex);
  }

  /** Makes the VM. Once for a machine, before its vCPUs are made.
   * @throws GuesthouseError `resources` where the host refuses */
  open(system: KvmSystem): void {
    this.#slots.used.fill(0);
    this.#slots.file = system.createVm();
    const word = this.#scratch('word');
    this.#view.setBigUint64(word, BigInt(IDENTITY_MAP), true);
    // Processors that do not need them have no objection; one that does says so when it runs.
    this.#host.ioctl(this.#file, Request.SetIdentityMapAddr, this.#base + word);
    this.#host.ioctl(this.#file, Request.SetTssAddr, TASK_STATE);
    const offered = system.has('UserSpaceMsr') !== 0 && system.has('MsrFilter') !== 0;
    this.#slots.features =
      (system.has('X86Smm') === 0 ? 0 : VmFeature.Smm) |
      (offered && this.#takeApicMsrs() ? VmFeature.ApicMsrs : 0);
  }

  /** {@link VmFeature}, as bits. */
  get features(): number {
    return this.#slots.features;
  }

  /** Whether there is a VM now. */
  get isOpen(): boolean {
    return this.#slots.file !== 0;
  }

  /** Makes a vCPU. @returns its file descriptor, or minus the error number */
  createVcpu(index: number): number {
    return this.#host.ioctl(this.#file, Request.CreateVcpu, index);
  }

  /** Brings the slots in line with the map and with what is logged. With the device lock held, so that the
   * map stands still.
   * @throws Error where the kernel refuses a slot */
  update(map: AddressMap, dirty: DirtyLog): void {
    const wanted = this.#wanted(map, dirty);
    this.#mutex.with(() => {
      const left = new Set(wanted);
      // A slot in which only logging differs stays, and with it what was mapped. Those that go, go first: slots
      // must not overlap.
      for (let slot = 0; slot < MOST_SLOTS; slot++) {
        if (this.#slots.used[slot] === 0) continue;
        const same = wanted.find((each) => this.#isAt(slot, each));
        if (same === undefined) this.#set(slot, { ...this.#slot(slot), size: 0 });
        else {
          left.delete(same);
          if (this.#slots.flags[slot] !== same.flags) this.#set(slot, same);
        }
      }
      for (const each of left) {
        const free = this.#slots.used.indexOf(0);
        if (free < 0) throw new Error(`more than ${MOST_SLOTS} memory slots`);
        this.#set(free, each);
      }
    });
  }

  /** Notes in the log which logged pages were written since the last time. */
  pullDirty(dirty: DirtyLog): void {
    this.#mutex.with(() => {
      for (let slot = 0; slot < MOST_SLOTS && this.isOpen; slot++) {
        if (this.#slots.used[slot] === 0) continue;
        const { flags, size, address } = this.#slot(slot);
        if ((flags & MemoryFlag.LogDirtyPages) === 0) continue;
        const at = this.#scratch('dirtyLog');
        this.#view.setUint32(at + kvmDirtyLog.offset.slot, slot, true);
        const bitmap = BigInt(this.#base + this.#parts.area + BITMAP_AT);
        this.#view.setBigUint64(at + kvmDirtyLog.offset.bitmap, bitmap, true);
        const result = this.#host.ioctl(this.#file, Request.GetDirtyLog, this.#base + at);
        if (result < 0) throw new Error(`KVM_GET_DIRTY_LOG: ${errorText(-result)}`);
        this.#mark(dirty, (address - this.#parts.ramBase) / PAGE_SIZE, size / PAGE_SIZE);
      }
    });
  }

  /** Gives the VM back, once its vCPUs are closed. */
  close(): void {
    this.#mutex.with(() => {
      if (!this.isOpen) return;
      this.#host.call(Syscall.Close, this.#file);
      this.#slots.file = 0;
    });
  }

  /** The part of the vCPU's scratch by a name; vCPU 0's serves the VM. */
  #scratch(name: keyof typeof scratchLayout.offset): number {
    return this.#parts.area + SCRATCH_AT + scratchLayout.offset[name];
  }

  #mark(dirty: DirtyLog, first: number, pages: number): void {
    for (let word = 0; word * 32 < pages; word++) {
      let bits = this.#bitmap[word];
      while (bits !== 0) {
        const bit = 31 - Math.clz32(bits & -bits);
        dirty.mark(first + word * 32 + bit);
        bits &= bits - 1;
      }
    }
  }

  #wanted(map: AddressMap, dirty: DirtyLog): Slot[] {
    const { ramBase } = this.#parts;
    return map.memory().map(({ start, size, address, readOnly }) => {
      const logged =
        !readOnly && address >= ramBase && dirty.anyLogged((address - ramBase) / PAGE_SIZE, size / PAGE_SIZE);
      const flags = (readOnly ? MemoryFlag.ReadOnly : 0) | (logged ? MemoryFlag.LogDirtyPages : 0);
      return { start, size, address, flags };
    });
  }

  #slot(slot: number): Slot {
    const { start, size, address, flags } = this.#slots;
    return { start: start[slot], size: size[slot], address: address[slot], flags: flags[slot] };
  }

  /** Whether a slot shows the same memory at the same place, logged or not. */
  #isAt(slot: number, other: Slot): boolean {
    const { start, size, address, flags } = this.#slot(slot);
    const fixed = MemoryFlag.ReadOnly;
    return (
      start === other.start &&
      size === other.size &&
      address === other.address &&
      (flags & fixed) === (other.flags & fixed)
    );
  }

  /** Makes, changes or, with a size of 0, removes a slot. */
  #set(slot: number, { start, size, address, flags }: Slot): void {
    const at = this.#scratch('region');
    this.#view.setUint32(at + kvmMemoryRegion.offset.slot, slot, true);
    this.#view.setUint32(at + kvmMemoryRegion.offset.flags, flags, true);
    this.#view.setBigUint64(at + kvmMemoryRegion.offset.guest, BigInt(start), true);
    this.#view.setBigUint64(at + kvmMemoryRegion.offset.bytes, BigInt(size), true);
    this.#view.setBigUint64(at + kvmMemoryRegion.offset.host, BigInt(this.#base + address), true);
    const result = this.#host.ioctl(this.#file, Request.SetUserMemoryRegion, this.#base + at);
    if (result < 0) {
      const where = `${size} bytes at 0x${start.toString(16)}`;
      throw new Error(`KVM_SET_USER_MEMORY_REGION of ${where}: ${errorText(-result)}`);
    }
    this.#slots.start[slot] = start;
    this.#slots.size[slot] = size;
    this.#slots.address[slot] = address;
    this.#slots.flags[slot] = flags;
    this.#slots.used[slot] = size === 0 ? 0 : 1;
  }

  get #file(): number {
    return this.#slots.file;
  }

  /** Sends the local APIC's MSRs to user space (4.97, 7.21). Those of x2APIC mode cannot be filtered, but are
   * refused as long as the APIC is not the kernel's, which comes to user space too. */
  #takeApicMsrs(): boolean {
    const cap = this.#scratch('enableCap');
    const reasons = MsrExitReason.Filter | MsrExitReason.Invalid | MsrExitReason.Unknown;
    this.#view.setUint32(cap + kvmEnableCap.offset.cap, Capability.UserSpaceMsr, true);
    this.#view.setBigUint64(cap + kvmEnableCap.offset.args, BigInt(reasons), true);
    if (this.#host.ioctl(this.#file, Request.EnableCap, this.#base + cap) < 0) return false;
    const filter = this.#scratch('msrFilter');
    for (const [i, msr] of APIC_MSRS.entries()) {
      const at = filter + kvmMsrFilter.offset.ranges + i * kvmMsrFilterRange.size;
      const { offset } = kvmMsrFilterRange;
      this.#view.setUint32(at + offset.flags, MsrFilterFlag.Read | MsrFilterFlag.Write, true);
      this.#view.setUint32(at + offset.count, 1, true);
      this.#view.setUint32(at + offset.base, msr, true);
      this.#view.setBigUint64(at + offset.bitmap, BigInt(this.#base + this.#scratch('noMsrs')), true);
    }
    return this.#host.ioctl(this.#file, Request.SetMsrFilter, this.#base + filter) >= 0;
  }
}
