import { expect, test } from 'vitest';
import { GuesthouseError } from '../../../base/errors.ts';
import { CPU_MODELS, CpuModel } from './cpuid.ts';
import { fakeCpu, run } from './fake-cpu.ts';
import { FEATURES } from './features.ts';
import { Topology } from '../../../vcpu/topology.ts';

const alone = Topology.ofCores(1);
const six = Topology.ofCores(6);

const text = (...words: number[]): string =>
  words.map((w) => String.fromCharCode(w & 0xff, (w >> 8) & 0xff, (w >> 16) & 0xff, w >>> 24)).join('');

test('vendor, signature and brand (APM 3, appendix E)', () => {
  const { state, model } = fakeCpu();
  const [max, ebx, ecx, edx] = model.cpuid(0, 0, state, alone);
  expect([max, text(ebx, edx, ecx)]).toEqual([0xd, 'AuthenticAMD']);
  expect(model.cpuid(1, 0, state, alone)[0]).toBe(0x60fb1);
  const brand = [2, 3, 4].map((n) => text(...model.cpuid(0x8000_0000 + n, 0, state, alone))).join('');
  expect(brand.replace(/\0+$/, '')).toBe('Guesthouse Virtual Processor');
});

test('the hypervisor names itself and its frequencies', () => {
  const { state, model } = fakeCpu();
  const [max, ...name] = model.cpuid(0x4000_0000, 0, state, alone);
  expect([max, text(...name)]).toEqual([0x4000_0010, 'GuesthouseVM']);
  expect(model.cpuid(0x4000_0010, 0, state, alone)).toEqual([1_000_000, 1_000_000, 0, 0]);
  expect(model.cpuid(1, 0, state, alone)[2] >>> 31).toBe(1);
});

test('the levels of the x86-64 psABI: each has what it promises', () => {
  const v1 = new CpuModel('x86-64-v1');
  for (const name of ['cmov', 'cx8', 'fpu', 'fxsr', 'mmx', 'sse', 'sse2', 'syscall'])
    expect(v1.has(name)).toBe(true);
  expect(v1.has('sse3')).toBe(false);
  const v2 = new CpuModel('x86-64-v2');
  for (const name of ['cmpxchg16b', 'lahf_lm', 'popcnt', 'sse3', 'ssse3', 'sse4_1', 'sse4_2']) {
    expect(v2.has(name)).toBe(true);
  }
  expect(v2.has('bmi1')).toBe(false);
});

test('every feature rests on features that exist, and no two share a bit', () => {
  const seen = new Set<string>();
  for (const { bits, needs } of Object.values(FEATURES)) {
    for (const needed of needs) expect(FEATURES).toHaveProperty(needed);
    for (const bit of bits) {
      expect(seen.has(bit.join())).toBe(false);
      seen.add(bit.join());
    }
  }
});

test('a feature brings what it rests on, and goes with it', () => {
  expect(new CpuModel('x86-64-v1', ['sse4_2']).has('ssse3')).toBe(true);
  const without = new CpuModel('max', [], ['sse3']);
  expect([without.has('sse4_2'), without.has('sse2')]).toEqual([false, true]);
  expect(new CpuModel('max', [], ['xsave']).xcr0Mask).toBe(0n);
  expect(() => new CpuModel('pentium')).toThrow(GuesthouseError);
  expect(() => new CpuModel('max', ['avx9000'])).toThrow(GuesthouseError);
  expect(CPU_MODELS).toEqual(['x86-64-v1', 'x86-64-v2', 'max']);
});

test('OSXSAVE and APIC follow the processor (SDM 2A, CPUID)', () => {
  const { state, model } = fakeCpu();
  const bits = () => {
    const [, , ecx, edx] = model.cpuid(1, 0, state, alone);
    return [(ecx >>> 27) & 1, (edx >>> 9) & 1];
  };
  expect(bits()).toEqual([0, 1]);
  state.cr4 = 1n << 18n;
  state.apicBase = 0n;
  expect(bits()).toEqual([1, 0]);
});

test('topology: one package of as many cores as there are vCPUs (SDM 2A, leaf 0xB; APM 3, E.4.7)', () => {
  const { state, model } = fakeCpu(new CpuModel('max'), 2);
  expect(model.cpuid(0xb, 0, state, six)).toEqual([0, 1, 0x100, 2]);
  expect(model.cpuid(0xb, 1, state, six)).toEqual([3, 6, 0x201, 2]);
  expect(model.cpuid(0xb, 2, state, six)).toEqual([0, 0, 2, 2]);
  expect(model.cpuid(1, 0, state, six)[1]).toBe(0x0206_0800);
  expect(model.cpuid(0x8000_0008, 0, state, six)[2]).toBe(0x3005);
  expect(model.cpuid(0x8000_001e, 0, state, six)).toEqual([2, 2, 0, 0]);
});

test('topology: sockets, cores and threads (SDM 2A, leaf 0xB; APM 3, E.4.7, E.4.15, E.4.16)', () => {
  // vCPU 9: the second thread of the second core of the second socket.
  const { state, model } = fakeCpu(new CpuModel('max'), 9);
  const topology = new Topology({ sockets: 2, cores: 3, threads: 2 });
  const leaf = (number: number, subleaf = 0) => model.cpuid(number, subleaf, state, topology);
  expect(leaf(0xb)).toEqual([1, 2, 0x100, 11]);
  expect(leaf(0xb, 1)).toEqual([3, 6, 0x201, 11]);
  expect(leaf(1)[1]).toBe(0x0b06_0800);
  expect(leaf(1)[3] & (1 << 28)).not.toBe(0);
  expect(leaf(0x8000_0001)[2] & 2).toBe(2);
  expect(leaf(0x8000_0008)[2]).toBe(0x3005);
  expect(leaf(0x8000_001e)).toEqual([11, 0x101, 1, 0]);
  // Who shares each cache: a core's threads, and for L3 the socket.
  expect([0, 1, 2, 3].map((cache) => (leaf(0x8000_001d, cache)[0] >>> 14) + 1)).toEqual([2, 2, 2, 6]);
  // Sockets with one thread each are several processors, but no socket has several.
  const sockets = new Topology({ sockets: 4, cores: 1, threads: 1 });
  expect(model.cpuid(1, 0, state, sockets)[3] & (1 << 28)).toBe(0);
});

test('XSAVE sizes: the legacy area, the header, and the upper halves of YMM0 to YMM15 (SDM 1, 13.2 and 13.5.3)', () => {
  const { state, model } = fakeCpu();
  expect(model.cpuid(0xd, 0, state, alone)).toEqual([7, 576, 832, 0]);
  expect(model.cpuid(0xd, 1, state, alone)).toEqual([0xf, 576, 0, 0]);
  expect(model.cpuid(0xd, 2, state, alone)).toEqual([256, 576, 0, 0]);
  expect(model.cpuid(0xd, 3, state, alone)).toEqual([0, 0, 0, 0]);
  expect(new CpuModel('x86-64-v2').cpuid(0xd, 0, state, alone)).toEqual([0, 0, 0, 0]);
});

test('address widths (APM 3, E.4.7): 40 bits physical; 57 linear where LA57 is offered', () => {
  const { state, model } = fakeCpu();
  expect(model.cpuid(0x8000_0008, 0, state, alone)[0]).toBe(0x3928);
  expect(new CpuModel('x86-64-v2').cpuid(0x8000_0008, 0, state, alone)[0]).toBe(0x3028);
});

test('leaves that do not exist are zero', () => {
  const { state, model } = fakeCpu();
  for (const leaf of [2, 4, 6, 0xe, 0x1234, 0x4000_0011, 0x8000_0022, 0xffff_ffff]) {
    expect(model.cpuid(leaf, 0, state, alone)).toEqual([0, 0, 0, 0]);
  }
});

test('the CPUID instruction clears the upper halves (SDM 2A)', () => {
  const cpu = fakeCpu();
  cpu.state.gpr[0] = 0xffff_ffff_0000_0000n;
  cpu.state.gpr[3] = ~0n;
  run(cpu, 'cpuid');
  expect([cpu.state.gpr[0], cpu.state.gpr[3]]).toEqual([0xdn, 0x6874_7541n]);
});
