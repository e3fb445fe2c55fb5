import { describe, expect, test } from 'vitest';
import { CPU_MODELS, CpuModel } from '../../engine/accel/wasm/system/cpuid.ts';
import { FEATURES } from '../../engine/accel/wasm/system/features.ts';
import { canAssemble, fault, FINE, runGuest } from './guest.ts';

const UD = 6; // prettier-ignore

/** An instruction of each feature that has any, as 64-bit code at CPL 0 that is fine where it is offered. The features
 * without are bits of system registers, kinds of paging, registers, or ways in which instructions work. */
const INSTRUCTIONS: Readonly<Record<string, string>> = {
  cmov: 'cmovz eax, ecx',
  cx8: 'cmpxchg8b [0x58000]',
  mmx: 'paddb mm0, mm1',
  fxsr: 'fxsave [0x58000]',
  sse: 'addps xmm0, xmm1',
  sse2: 'addpd xmm0, xmm1',
  clflush: 'clflush [0x58000]',
  rdtscp: 'rdtscp',
  sse3: 'movddup xmm0, xmm1',
  ssse3: 'pshufb xmm0, xmm1',
  sse4_1: 'blendps xmm0, xmm1, 1',
  sse4_2: 'pcmpestri xmm0, xmm1, 0',
  popcnt: 'popcnt eax, ecx',
  cmpxchg16b: 'cmpxchg16b [0x58000]',
  lahf_lm: 'lahf',
  aes: 'aesenc xmm0, xmm1',
  pclmulqdq: 'pclmulqdq xmm0, xmm1, 0',
  movbe: 'movbe eax, [0x58000]',
  bmi1: 'andn eax, ecx, edx',
  bmi2: 'shlx eax, ecx, edx',
  adx: 'adcx eax, ecx',
  rdrand: 'rdrand eax',
  rdseed: 'rdseed eax',
  rdpid: 'rdpid rax',
  smap: 'stac',
  clflushopt: 'clflushopt [0x58000]',
  clwb: 'clwb [0x58000]',
  serialize: 'serialize',
  fsgsbase: 'rdfsbase rax',
  invpcid: 'invpcid rax, [0x59000]',
  xsave: 'xgetbv',
  xsaveopt: 'xsaveopt [0x58000]',
  xsavec: 'xsavec [0x58000]',
  xsaves: 'xsaves [0x58000]',
};

describe.skipIf(!canAssemble)('CPU models', () => {
  test.each(['x86-64-v1', 'x86-64-v2', 'max'])('%s runs what its CPUID reports, and nothing else', (name) => {
    const model = new CpuModel(name);
    const entries = Object.entries(INSTRUCTIONS);
    const cr4 = 0x600 | (model.has('fsgsbase') ? 1 << 16 : 0) | (model.has('xsave') ? 1 << 18 : 0);
    const run = runGuest(
      `LONG
        mov rax, cr4
        or eax, ${cr4}
        mov cr4, rax
        ${entries.map(([, code]) => `xor eax, eax\n xor ecx, ecx\n TRY ${code}`).join('\n')}
        hlt`,
      name,
    );
    expect(run.end).toBe('halt');
    const found = Object.fromEntries(entries.map(([feature], i) => [feature, run.reports[i]]));
    const expected = entries.map(([feature]) => [feature, model.has(feature) ? FINE : fault(UD)]);
    expect(found).toEqual(Object.fromEntries(expected));
    for (const feature of Object.keys(INSTRUCTIONS)) expect(FEATURES).toHaveProperty(feature);
  });

  // A vCPU that waits for a store to memory would have to be found by whoever stores; guests wait by HLT and PAUSE.
  test.each(CPU_MODELS)(
    '%s has neither MONITOR nor MWAIT, and says so (SDM 2, MONITOR; APM 3, MONITORX)',
    (name) => {
      const code = `LONG
        mov eax, 1
        cpuid
        and ecx, 1 << 3
        REPORT ecx
        mov eax, 5
        xor ecx, ecx
        cpuid
        or eax, ebx
        or eax, ecx
        or eax, edx
        REPORT eax
        mov eax, 0x80000001
        cpuid
        and ecx, 1 << 29
        REPORT ecx
        mov eax, 0x58000
        xor ecx, ecx
        xor edx, edx
        TRY monitor
        TRY mwait
        TRY monitorx
        TRY mwaitx
        USER mwait
        hlt`;
      expect(runGuest(code, name).reports).toEqual([0, 0, 0, ...Array.from({ length: 5 }, () => fault(UD))]);
    },
  );

  test('what older processors take for another instruction is that: LZCNT is BSR, TZCNT BSF (SDM 2, LZCNT)', () => {
    const code = `LONG
        mov ecx, 0x100
        lzcnt eax, ecx
        out 0xf0, eax
        tzcnt eax, ecx
        out 0xf0, eax
        hlt`;
    expect(runGuest(code, 'x86-64-v2').reports).toEqual([8, 8]);
    expect(runGuest(code, 'max').reports).toEqual([23, 8]);
  });
});
