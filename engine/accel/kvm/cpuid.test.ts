import { expect, test } from 'vitest';
import { vcpuLayout } from '../../vcpu/state.ts';
import { CPU_MODELS, type CpuidLeaf, extendedFeatures, guestCpuid, readCpuid, writeCpuid } from './cpuid.ts';
import { Topology } from '../../vcpu/topology.ts';

const state = vcpuLayout.bind(new SharedArrayBuffer(vcpuLayout.size), 0);
const offer = { topology: Topology.ofCores(1), x2apic: true, scaledTsc: true, tscKhz: 1_000_000 };
const ALL = 0xffff_ffff;

/** A host whose every feature word is as given. */
const host = (word: number): CpuidLeaf[] =>
  [1, 7, 0xd, 0x8000_0001, 0x8000_0007, 0x8000_0008, 0x8000_0021].flatMap((leaf) =>
    [0, 1].map((subleaf) => ({ leaf, subleaf, indexed: leaf === 7 || leaf === 0xd, registers: [word, word, word, word] as const })),
  ); // prettier-ignore

const word = (leaves: readonly CpuidLeaf[], leaf: number, register: number, subleaf = 0): number =>
  leaves.find((each) => each.leaf === leaf && each.subleaf === subleaf)?.registers[register] ?? 0;

const bit = (value: number, position: number): number => (value >>> position) & 1;

test('nothing is offered that the host does not support, but what is ours', () => {
  for (const model of CPU_MODELS) {
    const leaves = guestCpuid(model, host(0), state, offer);
    // x2APIC, TSC deadline, hypervisor.
    expect(word(leaves, 1, 2) & ~((1 << 21) | (1 << 24) | (1 << 31))).toBe(0);
    expect(word(leaves, 1, 3)).toBe(0);
    expect(word(leaves, 7, 1)).toBe(0);
    expect(word(leaves, 0x8000_0001, 3)).toBe(0);
    expect(extendedFeatures(leaves)).toEqual({ xsave: false, avx: false });
  }
});

test('models have what their level says, and no state that the schema has no room for', () => {
  const of = (model: string) => guestCpuid(model, host(ALL), state, offer);
  const [avx, avx2, avx512f, pku] = [
    (leaves: CpuidLeaf[]) => bit(word(leaves, 1, 2), 28),
    (leaves: CpuidLeaf[]) => bit(word(leaves, 7, 1), 5),
    (leaves: CpuidLeaf[]) => bit(word(leaves, 7, 1), 16),
    (leaves: CpuidLeaf[]) => bit(word(leaves, 7, 2), 3),
  ];
  const features = ['x86-64-v1', 'x86-64-v2', 'x86-64-v3', 'max'].map((model) =>
    [avx, avx2, avx512f, pku].map((has) => has(of(model))),
  );
  expect(features).toEqual([
    [0, 0, 0, 0],
    [0, 0, 0, 0],
    [1, 1, 0, 0],
    [1, 1, 0, 0],
  ]);
  // XCR0: x87, SSE, AVX; the area ends with AVX.
  expect(of('max').find(({ leaf, subleaf }) => leaf === 0xd && subleaf === 0)?.registers).toEqual([
    7, 832, 832, 0,
  ]);
});

test('the TSC deadline is hidden where the TSC is not the machine’s, x2APIC where its MSRs are not ours', () => {
  const own = guestCpuid('max', host(ALL), state, { ...offer, scaledTsc: false, tscKhz: 2_400_000 });
  expect(bit(word(own, 1, 2), 24)).toBe(0);
  expect(bit(word(own, 0x8000_0007, 3), 8)).toBe(0);
  expect(word(own, 0x4000_0010, 0)).toBe(2_400_000);
  const kernels = guestCpuid('max', host(ALL), state, { ...offer, x2apic: false });
  expect(bit(word(kernels, 1, 2), 21)).toBe(0);
  expect(bit(word(kernels, 1, 2), 24)).toBe(0);
});

test('what is written for the kernel is what is read of it', () => {
  const leaves = guestCpuid('max', host(ALL), state, offer);
  const view = new DataView(new ArrayBuffer(16_384));
  writeCpuid(view, 64, leaves);
  expect(readCpuid(view, 64)).toEqual(leaves);
});
