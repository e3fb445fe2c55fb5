/**
 * The interface of /dev/kvm: request numbers, capabilities, exit reasons and structures, as the kernel
 * documents them in Documentation/virt/kvm/api.rst (sections 4 "API description", 5 "The kvm_run structure",
 * 8 "Other capabilities").
 */
import { struct } from './struct.ts';

/** The version every KVM since Linux 2.6.22 answers with (4.1). */
export const API_VERSION = 12;

/** The ioctl type of KVM. */
const TYPE = 0xae;

/** Request numbers as include/uapi/asm-generic/ioctl.h composes them: direction, size, type, number. */
const encode = (direction: number, number: number, size: number): number =>
  ((direction << 30) | (size << 16) | (TYPE << 8) | number) >>> 0;
const plain = (number: number): number => encode(0, number, 0);
const write = (number: number, { size }: { readonly size: number }): number => encode(1, number, size);
const read = (number: number, { size }: { readonly size: number }): number => encode(2, number, size);
const both = (number: number, { size }: { readonly size: number }): number => encode(3, number, size);

/** 4.8: RAX … R15, RIP, RFLAGS, in the kernel's order. */
export const kvmRegs = struct({
  rax: 'u64', rbx: 'u64', rcx: 'u64', rdx: 'u64', rsi: 'u64', rdi: 'u64', rsp: 'u64', rbp: 'u64',
  r8: 'u64', r9: 'u64', r10: 'u64', r11: 'u64', r12: 'u64', r13: 'u64', r14: 'u64', r15: 'u64',
  rip: 'u64', rflags: 'u64',
}); // prettier-ignore

/** 4.10. */
export const kvmSegment = struct({
  base: 'u64', limit: 'u32', selector: 'u16', type: 'u8', present: 'u8', dpl: 'u8', db: 'u8', s: 'u8',
  l: 'u8', g: 'u8', avl: 'u8', unusable: 'u8', padding: 'u8',
}); // prettier-ignore

/** 4.10: GDTR and IDTR. */
export const kvmDtable = struct({ base: 'u64', limit: 'u16', padding: ['u16', 3] });

/** 4.10. */
export const kvmSregs = struct({
  cs: kvmSegment, ds: kvmSegment, es: kvmSegment, fs: kvmSegment, gs: kvmSegment, ss: kvmSegment,
  tr: kvmSegment, ldt: kvmSegment, gdt: kvmDtable, idt: kvmDtable,
  cr0: 'u64', cr2: 'u64', cr3: 'u64', cr4: 'u64', cr8: 'u64', efer: 'u64', apicBase: 'u64',
  interruptBitmap: ['u64', 4],
}); // prettier-ignore

/** 4.27 "KVM_GET_VCPU_EVENTS". */
export const kvmEvents = struct({
  exceptionInjected: 'u8', exceptionNr: 'u8', exceptionHasErrorCode: 'u8', exceptionPending: 'u8',
  exceptionErrorCode: 'u32',
  interruptInjected: 'u8', interruptNr: 'u8', interruptSoft: 'u8', interruptShadow: 'u8',
  nmiInjected: 'u8', nmiPending: 'u8', nmiMasked: 'u8', nmiPad: 'u8',
  sipiVector: 'u32', flags: 'u32',
  smiSmm: 'u8', smiPending: 'u8', smiInsideNmi: 'u8', smiLatchedInit: 'u8',
  tripleFaultPending: 'u8', reserved: ['u8', 26], exceptionHasPayload: 'u8', exceptionPayload: 'u64',
}); // prettier-ignore

/** Bits of `flags` in {@link kvmEvents}: which optional parts KVM_SET_VCPU_EVENTS takes (4.28). */
export const EventsFlag = { NmiPending: 1 << 0, Shadow: 1 << 2 } as const;

/** 4.30 "KVM_GET_DEBUGREGS". */
export const kvmDebugregs = struct({
  db: ['u64', 4],
  dr6: 'u64',
  dr7: 'u64',
  flags: 'u64',
  reserved: ['u64', 9],
});

/** 4.42 "KVM_GET_XSAVE": the standard, not the compacted, form of SDM 1, 13.4. */
export const kvmXsave = struct({ region: ['u32', 1024] });

const kvmXcr = struct({ xcr: 'u32', reserved: 'u32', value: 'u64' });

/** 4.44 "KVM_GET_XCRS". */
export const kvmXcrs = struct({ count: 'u32', flags: 'u32', xcrs: [kvmXcr, 16], padding: ['u64', 16] });

/** Byte offset, within {@link kvmXcrs}, of the first register's number and of its value. */
export const FIRST_XCR = {
  number: kvmXcrs.offset.xcrs + kvmXcr.offset.xcr,
  value: kvmXcrs.offset.xcrs + kvmXcr.offset.value,
} as const;

/** 4.35 "KVM_SET_USER_MEMORY_REGION". */
export const kvmMemoryRegion = struct({ slot: 'u32', flags: 'u32', guest: 'u64', bytes: 'u64', host: 'u64' });

export const MemoryFlag = { LogDirtyPages: 1 << 0, ReadOnly: 1 << 1 } as const;

/** 4.6 "KVM_GET_DIRTY_LOG". */
export const kvmDirtyLog = struct({ slot: 'u32', padding: 'u32', bitmap: 'u64' });

/** 4.37 "KVM_ENABLE_CAP". */
export const kvmEnableCap = struct({ cap: 'u32', flags: 'u32', args: ['u64', 4], pad: ['u8', 64] });

/** 4.97 "KVM_X86_SET_MSR_FILTER": sixteen ranges. */
export const kvmMsrFilterRange = struct({ flags: 'u32', count: 'u32', base: 'u32', bitmap: 'u64' });
export const kvmMsrFilter = struct({ flags: 'u32', ranges: [kvmMsrFilterRange, 16] });

/** Bits of `flags` in {@link kvmMsrFilterRange}. */
export const MsrFilterFlag = { Read: 1 << 0, Write: 1 << 1 } as const;

/** Arguments of KVM_CAP_X86_USER_SPACE_MSR (7.21): which refused accesses come to user space. */
export const MsrExitReason = { Invalid: 1 << 0, Unknown: 1 << 1, Filter: 1 << 2 } as const;

/** The head and one element of lists with a count: 4.18 "KVM_GET_MSRS", 4.20 "KVM_SET_CPUID2". */
export const kvmMsrs = struct({ count: 'u32', pad: 'u32' });
export const kvmMsrEntry = struct({ index: 'u32', reserved: 'u32', data: 'u64' });
export const kvmCpuid = struct({ count: 'u32', padding: 'u32' });
export const kvmCpuidEntry = struct({
  function: 'u32', index: 'u32', flags: 'u32', eax: 'u32', ebx: 'u32', ecx: 'u32', edx: 'u32',
  padding: ['u32', 3],
}); // prettier-ignore

/** In {@link kvmCpuidEntry}: `index` is compared with ECX. */
export const CPUID_INDEX_SIGNIFICANT = 1;

/** 4.21 "KVM_SET_SIGNAL_MASK": the length of the kernel's signal set, then the set. */
export const kvmSignalMask = struct({ length: 'u32', set: ['u8', 8] });

/** 5: what precedes the part that depends on the exit reason, and that part's forms by name. */
export const kvmRun = struct({
  requestInterruptWindow: 'u8', immediateExit: 'u8', padding: ['u8', 6],
  exitReason: 'u32', readyForInterrupt: 'u8', ifFlag: 'u8', flags: 'u16', cr8: 'u64', apicBase: 'u64',
}); // prettier-ignore
const at = kvmRun.size;
export const RunIo = struct({ direction: 'u8', size: 'u8', port: 'u16', count: 'u32', dataOffset: 'u64' });
export const RunMmio = struct({ address: 'u64', data: ['u8', 8], length: 'u32', isWrite: 'u8' });
export const RunMsr = struct({ error: 'u8', pad: ['u8', 7], reason: 'u32', index: 'u32', data: 'u64' });
export const RunInternal = struct({
  suberror: 'u32',
  count: 'u32',
  flags: 'u64',
  size: 'u8',
  bytes: ['u8', 15],
});
export const RunFailEntry = struct({ reason: 'u64', cpu: 'u32' });
export const RunSystemEvent = struct({ type: 'u32' });
/** Byte offset in kvm_run of the part that depends on the exit reason. */
export const RUN_EXIT = at;

export const ExitCode = {
  Io: 2, Debug: 4, Hlt: 5, Mmio: 6, InterruptWindow: 7, Shutdown: 8, FailEntry: 9, Interrupted: 10,
  SetTpr: 11, InternalError: 17, SystemEvent: 24, ReadMsr: 29, WriteMsr: 30,
} as const; // prettier-ignore

/** `direction` in {@link RunIo}. */
export const IO_OUT = 1;

/** 4.1 ff. */
export const Request = {
  GetApiVersion: plain(0x00), CreateVm: plain(0x01), CheckExtension: plain(0x03), GetVcpuMmapSize: plain(0x04),
  GetSupportedCpuid: both(0x05, kvmCpuid),
  CreateVcpu: plain(0x41), GetDirtyLog: write(0x42, kvmDirtyLog), SetUserMemoryRegion: write(0x46, kvmMemoryRegion),
  SetTssAddr: plain(0x47), SetIdentityMapAddr: write(0x48, { size: 8 }), EnableCap: write(0xa3, kvmEnableCap),
  SetMsrFilter: write(0xc6, kvmMsrFilter),
  Run: plain(0x80), GetRegs: read(0x81, kvmRegs), SetRegs: write(0x82, kvmRegs), GetSregs: read(0x83, kvmSregs),
  SetSregs: write(0x84, kvmSregs), Interrupt: write(0x86, { size: 4 }), GetMsrs: both(0x88, kvmMsrs),
  SetMsrs: write(0x89, kvmMsrs), SetSignalMask: write(0x8b, { size: 4 }), SetCpuid2: write(0x90, kvmCpuid),
  Nmi: plain(0x9a), GetEvents: read(0x9f, kvmEvents), SetEvents: write(0xa0, kvmEvents),
  GetDebugregs: read(0xa1, kvmDebugregs), SetDebugregs: write(0xa2, kvmDebugregs), SetTscKhz: plain(0xa2),
  GetTscKhz: plain(0xa3), GetXsave: read(0xa4, kvmXsave), SetXsave: write(0xa5, kvmXsave),
  GetXcrs: read(0xa6, kvmXcrs), SetXcrs: write(0xa7, kvmXcrs), Smi: plain(0xb7),
} as const; // prettier-ignore

/** Capabilities by the numbers that KVM_CHECK_EXTENSION takes (4.4). */
export const Capability = {
  UserMemory: 3, SetTssAddr: 4, ExtCpuid: 7, NrVcpus: 9, SyncMmu: 16, UserNmi: 22, SetIdentityMapAddr: 37,
  VcpuEvents: 41, Debugregs: 50, Xsave: 55, Xcrs: 56, TscControl: 60, GetTscKhz: 61, MaxVcpus: 66,
  ReadOnlyMemory: 81, X86Smm: 117, ImmediateExit: 136, UserSpaceMsr: 188, MsrFilter: 189,
} as const; // prettier-ignore
