/**
 * CPU models under KVM, and the CPUID that a guest gets: what the model has, as far as the host can give it.
 *
 * The processor presents itself as the one of the `wasm` accelerator does (wasm/system/cpuid.ts), so that a
 * machine finds the same one wherever it runs; only features differ. Features are masked by
 * KVM_GET_SUPPORTED_CPUID (api.rst 4.46). Offered is what the common vCPU schema has room for: no state beyond
 * AVX. Intel SDM 2A, CPUID; AMD64 APM 3, appendix E; x86-64 psABI, 3.1.1 (micro-architecture levels).
 */
import { CpuModel } from '../wasm/system/cpuid.ts';
import type { VcpuState } from '../../vcpu/state.ts';
import type { Topology } from '../../vcpu/topology.ts';
import { CPUID_INDEX_SIGNIFICANT, kvmCpuid, kvmCpuidEntry } from './abi.ts';
import { MOST_CPUID } from './area.ts';

/** Registers of one leaf, unsigned. */
export interface CpuidLeaf {
  readonly leaf: number;
  readonly subleaf: number;
  /** Whether the sub-leaf is told apart. */
  readonly indexed: boolean;
  /** EAX, EBX, ECX, EDX. */
  readonly registers: readonly [number, number, number, number];
}

type Register = 0 | 1 | 2 | 3;

/** The words that list features: leaf, sub-leaf, register. */
const FEATURE_WORDS: ReadonlyArray<readonly [leaf: number, subleaf: number, register: Register]> = [
  [1, 0, 2], [1, 0, 3], [7, 0, 1], [7, 0, 2], [7, 0, 3], [0xd, 1, 0], [0x8000_0001, 0, 2], [0x8000_0001, 0, 3],
  [0x8000_0007, 0, 3], [0x8000_0008, 0, 1], [0x8000_0021, 0, 0],
]; // prettier-ignore

/** Features of models beyond those the `wasm` processor knows by name. */
interface Extra {
  readonly leaf: number;
  readonly register: Register;
  readonly bits: readonly number[];
}

/** AVX and what comes with it, as x86-64-v3 has them: FMA, AVX, F16C; AVX2. */
const LEVEL3: readonly Extra[] = [
  { leaf: 1, register: 2, bits: [12, 28, 29] },
  { leaf: 7, register: 1, bits: [5] },
];

/** Beyond that: SHA; VAES, VPCLMULQDQ; SSE4A, MISALIGNSSE; FSRM. */
const MOST: readonly Extra[] = [
  ...LEVEL3,
  { leaf: 7, register: 1, bits: [29] },
  { leaf: 7, register: 2, bits: [9, 10] },
  { leaf: 7, register: 3, bits: [4] },
  { leaf: 0x8000_0001, register: 2, bits: [6, 7] },
];

interface Model {
  readonly make: () => CpuModel;
  readonly extra: readonly Extra[];
}

const MODELS: Readonly<Record<string, Model>> = {
  max: { make: () => new CpuModel('max'), extra: MOST },
  'x86-64-v3': {
    make: () => new CpuModel('x86-64-v2', ['bmi1', 'bmi2', 'abm', 'movbe', 'xsave']),
    extra: LEVEL3,
  },
  'x86-64-v2': { make: () => new CpuModel('x86-64-v2'), extra: [] },
  'x86-64-v1': { make: () => new CpuModel('x86-64-v1'), extra: [] },
};

/** CPU models by name, the fullest first. */
export const CPU_MODELS: readonly string[] = Object.keys(MODELS);

/** The `wasm` processor's model behind a name, for what does not depend on features. */
export function baseModel(name: string): CpuModel {
  const model = MODELS[name];
  if (model === undefined) throw new RangeError(`there is no CPU model '${name}'`);
  return model.make();
}

/** What the VM can do with what CPUID offers. */
export interface Offer {
  readonly topology: Topology;
  /** Whether x2APIC mode works. */
  readonly x2apic: boolean;
  /** Whether the TSC ticks as the machine's clock says; without that the TSC deadline is hidden. */
  readonly scaledTsc: boolean;
  /** Guest TSC frequency in kHz. */
  readonly tscKhz: number;
}

const AVX_BIT = 28;
const XSAVE_BIT = 26;
const FEATURES_C = { leaf: 1, register: 2 } as const;
/** Bits of leaf 1, ECX. */
const X2APIC = 1 << 21;
const TSC_DEADLINE = 1 << 24;
const HYPERVISOR = 2 ** 31;
/** In leaf 0x80000007, EDX. */
const INVARIANT_TSC = 1 << 8;

/**
 * Works out CPUID for a vCPU.
 *
 * @param name one of {@link CPU_MODELS}
 * @param supported as KVM lists it
 * @param state which vCPU it is, and the like
 */
export function guestCpuid(
  name: string,
  supported: readonly CpuidLeaf[],
  state: VcpuState,
  offer: Offer,
): CpuidLeaf[] {
  const model = baseModel(name);
  const extra = MODELS[name].extra;
  const find = (leaf: number, subleaf: number) =>
    supported.find((each) => each.leaf === leaf && (!each.indexed || each.subleaf === subleaf))?.registers;
  const leaf = (number: number, subleaf = 0, indexed = false): CpuidLeaf => {
    const registers: [number, number, number, number] = [
      ...model.cpuid(number, subleaf, state, offer.topology),
    ];
    for (const [featureLeaf, featureSubleaf, register] of FEATURE_WORDS) {
      if (featureLeaf !== number || featureSubleaf !== subleaf) continue;
      let word = registers[register];
      for (const { leaf: at, register: of, bits } of extra) {
        if (at === number && subleaf === 0 && of === register) for (const bit of bits) word |= 1 << bit;
      }
      let host = find(number, subleaf)?.[register] ?? 0;
      if (number === FEATURES_C.leaf && register === FEATURES_C.register) {
        // Ours, whether or not the kernel has one: the local APIC, and that there is a hypervisor.
        host |= HYPERVISOR;
        host = offer.x2apic ? host | X2APIC : host & ~X2APIC;
        host = offer.scaledTsc && offer.x2apic ? host | TSC_DEADLINE : host & ~TSC_DEADLINE;
      }
      if (number === 0x8000_0007 && !offer.scaledTsc) host &= ~INVARIANT_TSC;
      registers[register] = (word & host) >>> 0;
    }
    return { leaf: number, subleaf, indexed, registers };
  };

  const standard = Array.from({ length: model.cpuid(0, 0, state, offer.topology)[0] + 1 }, (_, i) => i);
  const last = model.cpuid(0x8000_0000, 0, state, offer.topology)[0];
  const extended = Array.from({ length: last - 0x8000_0000 + 1 }, (_, i) => 0x8000_0000 + i);
  const leaves: CpuidLeaf[] = [];
  for (const number of [...standard, ...extended]) {
    const subleaves = SUBLEAVES[number];
    if (number === 0xd) leaves.push(...extendedStateLeaves(leaf(1), leaf(0xd, 1, true)));
    else if (subleaves === undefined) leaves.push(leaf(number));
    else for (let i = 0; i < subleaves; i++) leaves.push(leaf(number, i, true));
  }
  for (const number of [0x4000_0000, 0x4000_0010]) leaves.push(hypervisorLeaf(leaf(number), offer));
  // A leaf of zeros need not be listed: what is not there reads as zeros.
  return leaves.filter(({ registers }) => registers.some((value) => value !== 0));
}

/** How many sub-leaves are asked for, of leaves that have them. */
const SUBLEAVES: Readonly<Record<number, number>> = { 4: 4, 7: 1, 0xb: 2, 0x8000_001d: 5 };

/** Leaf 0xD: XCR0's components and where they lie (SDM 1, 13.2). KVM itself fills in what XCR0 makes of it. */
function extendedStateLeaves(features: CpuidLeaf, instructions: CpuidLeaf): CpuidLeaf[] {
  const word = features.registers[FEATURES_C.register];
  if ((word & (1 << XSAVE_BIT)) === 0) return [];
  const avx = (word & (1 << AVX_BIT)) !== 0;
  const size = avx ? 832 : 576;
  const leaf = (subleaf: number, ...registers: [number, number, number, number]): CpuidLeaf => ({
    leaf: 0xd,
    subleaf,
    indexed: true,
    registers,
  });
  return [
    leaf(0, avx ? 7 : 3, size, size, 0),
    leaf(1, instructions.registers[0], (instructions.registers[0] & 2) === 0 ? 0 : size, 0, 0),
    ...(avx ? [leaf(2, 256, 576, 0, 0)] : []),
  ];
}

/** Leaf 0x40000010: the frequencies of the TSC and of the local APIC's timer, in kHz. */
function hypervisorLeaf(leaf: CpuidLeaf, { tscKhz }: Offer): CpuidLeaf {
  if (leaf.leaf !== 0x4000_0010) return leaf;
  const [, bus, third, fourth] = leaf.registers;
  return { ...leaf, registers: [tscKhz, bus, third, fourth] };
}

/** Whether a guest's CPUID offers XSAVE and AVX. */
export function extendedFeatures(leaves: readonly CpuidLeaf[]): { xsave: boolean; avx: boolean } {
  const word = leaves.find(({ leaf }) => leaf === FEATURES_C.leaf)?.registers[FEATURES_C.register] ?? 0;
  const has = (bit: number): boolean => (word & (1 << bit)) !== 0;
  return { xsave: has(XSAVE_BIT), avx: has(XSAVE_BIT) && has(AVX_BIT) };
}

/** Reads a `kvm_cpuid2` at a byte address. */
export function readCpuid(view: DataView, address: number): CpuidLeaf[] {
  const count = Math.min(view.getUint32(address + kvmCpuid.offset.count, true), MOST_CPUID);
  const { offset } = kvmCpuidEntry;
  return Array.from({ length: count }, (_, i) => {
    const at = address + kvmCpuid.size + i * kvmCpuidEntry.size;
    const word = (field: keyof typeof offset): number => view.getUint32(at + offset[field], true);
    return {
      leaf: word('function'),
      subleaf: word('index'),
      indexed: (word('flags') & CPUID_INDEX_SIGNIFICANT) !== 0,
      registers: [word('eax'), word('ebx'), word('ecx'), word('edx')] as const,
    };
  });
}

/** Writes a `kvm_cpuid2` at a byte address. */
export function writeCpuid(view: DataView, address: number, leaves: readonly CpuidLeaf[]): void {
  view.setUint32(address + kvmCpuid.offset.count, leaves.length, true);
  const { offset } = kvmCpuidEntry;
  for (const [i, { leaf, subleaf, indexed, registers }] of leaves.entries()) {
    const at = address + kvmCpuid.size + i * kvmCpuidEntry.size;
    const word = (field: keyof typeof offset, value: number): void =>
      view.setUint32(at + offset[field], value, true);
    word('function', leaf);
    word('index', subleaf);
    word('flags', indexed ? CPUID_INDEX_SIGNIFICANT : 0);
    word('eax', registers[0]);
    word('ebx', registers[1]);
    word('ecx', registers[2]);
    word('edx', registers[3]);
  }
}
