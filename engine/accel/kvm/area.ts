/**
 * What the accelerator keeps in the machine's shared memory: the page that the kernel shares with a vCPU,
 * the structures handed to it, and, in the area of vCPU 0, what all vCPUs share.
 *
 * ```
 * 0         kvm_run, with the page for port data behind it; the kernel's, mapped over this memory
 * 0x10000   words for other threads, then structures
 * 0x20000   the VM: memory slots as the kernel has them (vCPU 0's area only)
 * 0x30000   the dirty bitmap of one slot (vCPU 0's area only)
 * ```
 */
import { layout } from '../../memory/layout.ts';
import { MAP_SLOTS } from '../../memory/address-map.ts';
import { MAX_RAM, PAGE_SIZE } from '../../memory/machine-memory.ts';
import { kvmCpuid, kvmCpuidEntry, kvmDebugregs, kvmDirtyLog, kvmEnableCap, kvmEvents, kvmMemoryRegion, kvmMsrEntry,
  kvmMsrFilter, kvmMsrs, kvmRegs, kvmSignalMask, kvmSregs, kvmXcrs, kvmXsave } from './abi.ts'; // prettier-ignore

/** Most bytes that the kernel may share with a vCPU (KVM_GET_VCPU_MMAP_SIZE; three pages on x86). */
export const RUN_BYTES = 0x1_0000;

/** Most entries of the lists for CPUID and MSRs. */
export const MOST_CPUID = 256;
export const MOST_MSRS = 64;

const bytes = (size: number): ['u8', number] => ['u8', size];

/** Most memory slots: the flattened address map has fewer than two ranges for each that was defined. */
export const MOST_SLOTS = 2 * MAP_SLOTS;

export const scratchLayout = layout('kvm-scratch', 1, {
  /** See {@link Presence}. */
  presence: 'i32',
  /** The vCPU's thread, as the kernel numbers it. */
  thread: 'i32',
  regs: bytes(kvmRegs.size),
  sregs: bytes(kvmSregs.size),
  events: bytes(kvmEvents.size),
  debugregs: bytes(kvmDebugregs.size),
  xcrs: bytes(kvmXcrs.size),
  xsave: bytes(kvmXsave.size),
  msrs: bytes(kvmMsrs.size + MOST_MSRS * kvmMsrEntry.size),
  cpuid: bytes(kvmCpuid.size + MOST_CPUID * kvmCpuidEntry.size),
  region: bytes(kvmMemoryRegion.size),
  dirtyLog: bytes(kvmDirtyLog.size),
  enableCap: bytes(kvmEnableCap.size),
  msrFilter: bytes(kvmMsrFilter.size),
  /** A bitmap of MSRs, all clear: none of them is let through. */
  noMsrs: bytes(16),
  signalMask: bytes(kvmSignalMask.size),
  /** Signal sets, a timespec or itimerspec, a sigevent: see kick.ts. */
  signals: bytes(128),
  /** A word that is read through its address: an interrupt's vector, an address, a timer. */
  word: bytes(16),
});

export const vmLayout = layout('kvm-vm', 1, {
  /** Held while slots change, or the dirty bitmap is used. */
  mutex: 'i32',
  /** The VM's file descriptor, 0 where there is no VM. */
  file: 'i32',
  /** {@link VmFeature}. */
  features: 'u32',
  /** 1 where the kernel has the slot. */
  used: ['u32', MOST_SLOTS],
  /** Guest-physical address, bytes, address in the shared memory. */
  start: ['f64', MOST_SLOTS],
  size: ['f64', MOST_SLOTS],
  address: ['f64', MOST_SLOTS],
  /** {@link MemoryFlag}. */
  flags: ['u32', MOST_SLOTS],
});

/** What a VM offers beyond what every KVM does. */
export const VmFeature = {
  /** Accesses to the local APIC's MSRs come to user space, so x2APIC mode and the TSC deadline work. */
  ApicMsrs: 1 << 0,
  /** System-management mode. */
  Smm: 1 << 1,
} as const;

export const SCRATCH_AT = RUN_BYTES;
export const VM_AT = 0x2_0000;
export const BITMAP_AT = 0x3_0000;
const BITMAP_BYTES = MAX_RAM / PAGE_SIZE / 8;

/** Bytes of each vCPU's area. */
export const AREA_BYTES = Math.ceil((BITMAP_AT + BITMAP_BYTES) / 0x1_0000) * 0x1_0000;

/** Where a vCPU is, as the threads that may have to get it out of the guest see it. */
export const Presence = {
  /** Out of the guest: it looks at its events before it enters. */
  Outside: 0,
  /** In the kernel or in the guest; whoever wants it out makes this {@link Kicked} and sends the signal. */
  Inside: 1,
  /** The signal has been sent, or is about to be. */
  Kicked: 2,
} as const;
