/**
 * CPUID features by name: where each has its bit, what it rests on, and which named model has it. Only what
 * the processor implements stands here; names are those of /proc/cpuinfo where it has one.
 *
 * Intel SDM 2A, CPUID; AMD64 APM 3, appendix E; x86-64 psABI (the micro-architecture levels).
 */

/** A CPUID output: leaf, sub-leaf, register (0 EAX … 3 EDX). */
export type Word = '1.c' | '1.d' | '7.b' | '7.c' | '7.d' | 'd.1.a' | '80000001.c' | '80000001.d' | '80000007.d' | '80000008.b' | '80000021.a'; // prettier-ignore

export interface FeatureInfo {
  /** Its bit, or bits where several outputs show the same. Empty where something else tells (leaf depth). */
  readonly bits: ReadonlyArray<readonly [word: Word, bit: number]>;
  /** Features without which it is not offered. */
  readonly needs: readonly string[];
  /** Lowest model that has it: 1 `x86-64-v1`, 2 `x86-64-v2`, 9 only `max`,
   * 10 none: by name only. */
  readonly level: 1 | 2 | 9 | 10;
}

const table: Record<string, FeatureInfo> = {};

/** One row: `name level word:bit… [needs…]`. */
function parse(rows: string): void {
  for (const row of rows.trim().split('\n')) {
    const [name, level, ...rest] = row.trim().split(/\s+/);
    const bits: Array<readonly [Word, number]> = [];
    const needs: string[] = [];
    for (const word of rest) {
      const at = word.indexOf(':');
      if (at < 0) needs.push(word);
      else bits.push([word.slice(0, at) as Word, Number(word.slice(at + 1))]);
    }
    table[name!] = { bits, needs, level: Number(level) as FeatureInfo['level'] };
  }
}

parse(`
  fpu 1 1.d:0 80000001.d:0
  vme 1 1.d:1 80000001.d:1
  de 1 1.d:2 80000001.d:2
  pse 1 1.d:3 80000001.d:3
  tsc 1 1.d:4 80000001.d:4
  msr 1 1.d:5 80000001.d:5
  pae 1 1.d:6 80000001.d:6
  mce 1 1.d:7 80000001.d:7
  cx8 1 1.d:8 80000001.d:8
  apic 1 1.d:9 80000001.d:9
  sep 1 1.d:11
  mtrr 1 1.d:12 80000001.d:12
  pge 1 1.d:13 80000001.d:13
  mca 1 1.d:14 80000001.d:14
  cmov 1 1.d:15 80000001.d:15
  pat 1 1.d:16 80000001.d:16
  pse36 1 1.d:17 80000001.d:17
  clflush 1 1.d:19
  mmx 1 1.d:23 80000001.d:23 fpu
  fxsr 1 1.d:24 80000001.d:24 fpu
  sse 1 1.d:25 fxsr mmx
  sse2 1 1.d:26 sse
  mmxext 1 80000001.d:22 sse
  syscall 1 80000001.d:11
  nx 1 80000001.d:20 pae
  lm 1 80000001.d:29 pae
  hypervisor 1 1.c:31
  x2apic 1 1.c:21 apic
  tsc_deadline 1 1.c:24 apic tsc
  invtsc 1 80000007.d:8 tsc
  rdtscp 1 80000001.d:27 tsc
  osvw 1 80000001.c:9
  topoext 1 80000001.c:22
  lfence_rdtsc 1 80000021.a:2 sse2
  null_sel_clears_base 1 80000021.a:6

  sse3 2 1.c:0 sse2
  ssse3 2 1.c:9 sse3
  cmpxchg16b 2 1.c:13 cx8
  sse4_1 2 1.c:19 ssse3
  sse4_2 2 1.c:20 sse4_1
  popcnt 2 1.c:23
  lahf_lm 2 80000001.c:0 lm

  pclmulqdq 9 1.c:1 sse2
  pcid 9 1.c:17 lm
  movbe 9 1.c:22
  aes 9 1.c:25 sse2
  xsave 9 1.c:26 fxsr
  avx 9 1.c:28 xsave sse4_2
  rdrand 9 1.c:30
  fsgsbase 9 7.b:0 lm
  tsc_adjust 9 7.b:1 tsc
  bmi1 9 7.b:3
  smep 9 7.b:7
  bmi2 9 7.b:8
  erms 9 7.b:9
  invpcid 9 7.b:10
  rdseed 9 7.b:18
  avx2 9 7.b:5 avx
  adx 9 7.b:19
  smap 9 7.b:20
  clflushopt 9 7.b:23 clflush
  clwb 9 7.b:24 clflush
  sha_ni 9 7.b:29 sse2
  umip 9 7.c:2
  vaes 9 7.c:9 aes avx
  vpclmulqdq 9 7.c:10 pclmulqdq avx
  la57 9 7.c:16 lm
  rdpid 9 7.c:22
  serialize 9 7.d:14
  fsrm 9 7.d:4
  xsaveopt 9 d.1.a:0 xsave
  xsavec 9 d.1.a:1 xsave
  xgetbv1 9 d.1.a:2 xsave
  xsaves 9 d.1.a:3 xsavec xgetbv1
  abm 9 80000001.c:5
  prefetchw 9 80000001.c:8
  pdpe1gb 9 80000001.d:26 lm
  autoibrs 9 80000021.a:8
`);

/** Every feature, by name. */
export const FEATURES: Readonly<Record<string, FeatureInfo>> = table;
