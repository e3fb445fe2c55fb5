import { expect, test } from 'vitest';
import {
  FIRST_XCR, kvmCpuidEntry, kvmDebugregs, kvmEvents, kvmMsrFilter, kvmRegs, kvmRun, kvmSregs, kvmXcrs, kvmXsave, Request,
  RUN_EXIT, RunInternal, RunIo, RunMmio, RunMsr,
} from './abi.ts'; // prettier-ignore
import { struct } from './struct.ts';

test('structures are laid out as the System V ABI has it', () => {
  const inner = struct({ byte: 'u8', word: 'u32' });
  expect(inner).toMatchObject({ size: 8, align: 4, offset: { byte: 0, word: 4 } });
  const outer = struct({ first: 'u16', inners: [inner, 3], bytes: ['u8', 3], long: 'u64', last: 'u8' });
  expect(outer.offset).toEqual({ first: 0, inners: 4, bytes: 28, long: 32, last: 40 });
  expect(outer).toMatchObject({ size: 48, align: 8 });
});

// What a C compiler makes of linux/kvm.h on x86-64.
test('structures have the sizes and offsets of the kernel headers', () => {
  expect([kvmRegs, kvmSregs, kvmEvents, kvmDebugregs, kvmXsave, kvmXcrs].map(({ size }) => size)).toEqual([
    144, 312, 64, 128, 4096, 392,
  ]);
  expect(kvmEvents.offset).toMatchObject({ tripleFaultPending: 28, exceptionPayload: 56 });
  expect([kvmCpuidEntry.size, kvmMsrFilter.size]).toEqual([40, 392]);
  expect(FIRST_XCR).toEqual({ number: 8, value: 16 });
  expect(kvmRun.offset).toMatchObject({ immediateExit: 1, exitReason: 8, readyForInterrupt: 12, cr8: 16 });
  expect(RUN_EXIT).toBe(32);
  expect(RUN_EXIT + RunIo.offset.dataOffset).toBe(0x28);
  expect(RUN_EXIT + RunMmio.offset.length).toBe(0x30);
  expect(RUN_EXIT + RunMsr.offset.data).toBe(0x30);
  expect(RUN_EXIT + RunInternal.offset.size).toBe(0x30);
});

test('requests have the numbers of the kernel headers', () => {
  expect(Request).toMatchObject({
    CreateVm: 0xae01,
    GetSupportedCpuid: 0xc008_ae05,
    GetDirtyLog: 0x4010_ae42,
    SetUserMemoryRegion: 0x4020_ae46,
    EnableCap: 0x4068_aea3,
    SetMsrFilter: 0x4188_aec6,
    Run: 0xae80,
    GetRegs: 0x8090_ae81,
    SetSregs: 0x4138_ae84,
    GetMsrs: 0xc008_ae88,
    SetSignalMask: 0x4004_ae8b,
    GetEvents: 0x8040_ae9f,
    SetDebugregs: 0x4080_aea2,
    GetXsave: 0x9000_aea4,
    SetXcrs: 0x4188_aea7,
  });
});
