/**
 * CPU models, and what CPUID says of them.
 *
 * The processor shows itself as a generic AMD64 one: vendor AuthenticAMD, family 15, model 107. Intel SDM
 * 2A, CPUID; AMD64 APM 3, appendices D and E; hypervisor leaves 0x40000000 as is the custom.
 */
import { GuesthouseError } from '../../../base/errors.ts';
import type { VcpuState } from '../../../vcpu/state.ts';
import type { Topology } from '../../../vcpu/topology.ts';
import { FEATURES, type Word } from './features.ts';
import { Cr4, cr4 } from './registers.ts';

/** EAX, EBX, ECX, EDX, unsigned. */
export type CpuidResult = readonly [eax: number, ebx: number, ecx: number, edx: number];

const NAMED: Readonly<Record<string, number>> = { 'x86-64-v1': 1, 'x86-64-v2': 2, max: 9 };

/** Names of all models, for messages and completion. */
export const CPU_MODELS: readonly string[] = Object.keys(NAMED);

const VENDOR = 'AuthenticAMD';
const HYPERVISOR = 'GuesthouseVM';
const BRAND = 'Guesthouse Virtual Processor';

/** Family 15, model 107, stepping 1, laid out as leaf 1 has it. */
const SIGNATURE = 0x0006_0fb1;

const LAST_STANDARD = 0xd;
const LAST_EXTENDED = 0x8000_0021;
const LAST_HYPERVISOR = 0x4000_0010;

/** Frequencies in kHz: the TSC ticks once a nanosecond, as does the local APIC's timer undivided. */
const TSC_KHZ = 1_000_000;
const BUS_KHZ = 1_000_000;

/** Four characters of text from `at`, the first in the low byte. */
function characters(text: string, at: number): number {
  let word = 0;
  for (let i = 0; i < 4; i++) word |= (text.charCodeAt(at + i) || 0) << (8 * i);
  return word >>> 0;
}

/** XCR0 and XSAVE: the legacy area and header (SDM 1, 13.4). */
const XSAVE_LEGACY = 576;
/** State component 2, the upper halves of YMM. */
const AVX_COMPONENT = 4;
const AVX_OFFSET = 576;
const AVX_SIZE = 256;

/** What is offered to the guest: a named model, with features added and taken away. */
export class CpuModel {
  readonly name: string;
  /** What is offered, by the names of features.ts. */
  readonly features: ReadonlySet<string>;
  /** Leaf 1, EAX. */
  readonly signature = SIGNATURE;
  /** Width of physical addresses in bits. */
  readonly physicalBits = 40;
  /** State components that XCR0 can enable; 0 without XSAVE. */
  readonly xcr0Mask: bigint;
  /** The same for IA32_XSS: there are no supervisor components. */
  readonly xssMask = 0n;
  readonly #words = new Map<Word, number>();

  /**
   * @param name `x86-64-v1`, `x86-64-v2` or `max`
   * @param add features beyond the model's; what they rest on comes with them
   * @param remove features taken away, with all that rest on them
   * @throws GuesthouseError `config` for a name that does not exist
   */
  constructor(name: string, add: readonly string[] = [], remove: readonly string[] = []) {
    const level = NAMED[name];
    if (level === undefined) {
      throw new GuesthouseError(
        'config',
        `there is no CPU model '${name}'`,
        `models: ${CPU_MODELS.join(', ')}`,
      );
    }
    for (const each of [...add, ...remove]) {
      if (!(each in FEATURES)) throw new GuesthouseError('config', `there is no CPU feature '${each}'`);
    }
    const offered = new Set<string>();
    const offer = (feature: string): void => {
      if (offered.has(feature)) return;
      offered.add(feature);
      for (const needed of FEATURES[feature]!.needs) offer(needed);
    };
    for (const [feature, info] of Object.entries(FEATURES)) if (info.level <= level) offer(feature);
    for (const feature of add) offer(feature);
    const withdraw = (feature: string): void => {
      if (!offered.delete(feature)) return;
      for (const other of offered) if (FEATURES[other]!.needs.includes(feature)) withdraw(other);
    };
    for (const feature of remove) withdraw(feature);

    this.name = name;
    this.features = offered;
    this.xcr0Mask = offered.has('xsave') ? BigInt(3 | (offered.has('avx') ? AVX_COMPONENT : 0)) : 0n;
    for (const feature of offered) {
      for (const [word, bit] of FEATURES[feature]!.bits) {
        this.#words.set(word, ((this.#words.get(word) ?? 0) | (1 << bit)) >>> 0);
      }
    }
  }

  has(feature: string): boolean {
    return this.features.has(feature);
  }

  /** Width of linear addresses in bits. */
  get linearBits(): number {
    return this.has('la57') ? 57 : 48;
  }

  #word(word: Word): number {
    return this.#words.get(word) ?? 0;
  }

  /** Bytes of an XSAVE area for the components of `mask`, in standard or (here the same) compacted form. */
  xsaveSize(mask: bigint): number {
    return (mask & BigInt(AVX_COMPONENT)) !== 0n ? AVX_OFFSET + AVX_SIZE : XSAVE_LEGACY;
  }

  /**
   * What CPUID returns.
   *
   * @param leaf EAX, @param subleaf ECX, both unsigned
   * @param state for what depends on it: CR4.OSXSAVE, IA32_APIC_BASE, XCR0, which vCPU it is
   * @param topology of the machine
   */
  cpuid(leaf: number, subleaf: number, state: VcpuState, topology: Topology): CpuidResult {
    if (leaf >= 0x8000_0000 && leaf <= LAST_EXTENDED) return this.#extended(leaf, subleaf, state, topology);
    if (leaf >= 0x4000_0000 && leaf <= LAST_HYPERVISOR && this.has('hypervisor')) return hypervisorLeaf(leaf);
    // Beyond the last leaf AMD's processors return zeros.
    if (leaf > LAST_STANDARD) return [0, 0, 0, 0];
    return this.#standard(leaf, subleaf, state, topology);
  }

  #standard(leaf: number, subleaf: number, state: VcpuState, topology: Topology): CpuidResult {
    switch (leaf) {
      case 0:
        return [LAST_STANDARD, characters(VENDOR, 0), characters(VENDOR, 8), characters(VENDOR, 4)];
      case 1: {
        const apicId = topology.apicId(state.index);
        const ebx = (apicId << 24) | (topology.perSocket << 16) | (this.has('clflush') ? 8 << 8 : 0);
        const osxsave = (cr4(state) & Cr4.OSXSAVE) !== 0 ? 1 << 27 : 0;
        const htt = topology.perSocket > 1 ? 1 << 28 : 0;
        // The APIC bit follows the global enable of IA32_APIC_BASE (SDM 3A, 11.4.3).
        const apic = (state.apicBase & 0x800n) === 0n ? 1 << 9 : 0;
        return [
          this.signature,
          ebx >>> 0,
          (this.#word('1.c') | osxsave) >>> 0,
          ((this.#word('1.d') & ~apic) | htt) >>> 0,
        ];
      }
      case 7:
        return subleaf === 0 ? [0, this.#word('7.b'), this.#word('7.c'), this.#word('7.d')] : [0, 0, 0, 0];
      case 0xb: {
        const apicId = topology.apicId(state.index);
        if (subleaf > 1) return [0, 0, subleaf & 0xff, apicId];
        // Level 0, threads of a core. Level 1, threads of a socket.
        const [shift, count] =
          subleaf === 0 ? [topology.coreShift, topology.threads] : [topology.socketShift, topology.perSocket];
        return [shift, count, ((subleaf + 1) << 8) | subleaf, apicId];
      }
      case 0xd:
        return this.has('xsave') ? this.#xsave(subleaf, state) : [0, 0, 0, 0];
      default:
        return [0, 0, 0, 0];
    }
  }

  #xsave(subleaf: number, state: VcpuState): CpuidResult {
    switch (subleaf) {
      case 0:
        return [Number(this.xcr0Mask), this.xsaveSize(state.xcr0), this.xsaveSize(this.xcr0Mask), 0];
      case 1:
        return [this.#word('d.1.a'), this.has('xsavec') ? this.xsaveSize(state.xcr0 | state.xss) : 0, 0, 0];
      case 2:
        return this.has('avx') ? [AVX_SIZE, AVX_OFFSET, 0, 0] : [0, 0, 0, 0];
      default:
        return [0, 0, 0, 0];
    }
  }

  #extended(leaf: number, subleaf: number, state: VcpuState, topology: Topology): CpuidResult {
    switch (leaf) {
      case 0x8000_0000:
        return [LAST_EXTENDED, characters(VENDOR, 0), characters(VENDOR, 8), characters(VENDOR, 4)];
      case 0x8000_0001: {
        // CmpLegacy: the socket's logical processors are counted in leaf 1.
        const legacy = topology.perSocket > 1 ? 2 : 0;
        // SYSCALL is offered in every mode, so its bit shows in every mode (as AMD has it).
        return [this.signature, 0, this.#word('80000001.c') | legacy, this.#word('80000001.d')];
      }
      case 0x8000_0002:
      case 0x8000_0003:
      case 0x8000_0004: {
        const at = 16 * (leaf - 0x8000_0002);
        return [
          characters(BRAND, at),
          characters(BRAND, at + 4),
          characters(BRAND, at + 8),
          characters(BRAND, at + 12),
        ];
      }
      case 0x8000_0005:
        // TLBs: 32 fully associative entries each; L1 data and code: 32 KiB, 8 ways, 64-byte lines.
        return [0xff20_ff20, 0xff20_ff20, 0x2008_0140, 0x2008_0140];
      case 0x8000_0006:
        // TLBs: 1024 entries, direct-mapped; L2: 512 KiB, 8 ways; L3: 8 MiB, 16 ways.
        return [0, 0x1400_1400, 0x0200_6140, 0x0040_8140];
      case 0x8000_0007:
        return [0, 0, 0, this.#word('80000007.d')];
      case 0x8000_0008:
        return [
          this.physicalBits | (this.linearBits << 8),
          this.#word('80000008.b'),
          (topology.perSocket - 1) | (topology.socketShift << 12),
          0,
        ];
      case 0x8000_001d:
        return this.has('topoext') ? cacheLeaf(subleaf, topology) : [0, 0, 0, 0];
      case 0x8000_001e: {
        if (!this.has('topoext')) return [0, 0, 0, 0];
        // Extended APIC id; threads of a core, and its number; one node a socket, and its number.
        const { socket, core } = topology.place(state.index);
        return [topology.apicId(state.index), ((topology.threads - 1) << 8) | core, socket, 0];
      }
      case 0x8000_0021:
        return [this.#word('80000021.a'), 0, 0, 0];
      default:
        return [0, 0, 0, 0];
    }
  }
}

/** AMD64 APM 3, E.4.15: the caches, as deterministic parameters. A core's threads share L1 and L2, a socket's cores
 * L3. */
function cacheLeaf(index: number, { threads, perSocket }: Topology): CpuidResult {
  const cache = (type: number, level: number, shared: number, ways: number, sets: number): CpuidResult => [
    (type | (level << 5) | (1 << 8) | ((shared - 1) << 14)) >>> 0,
    (63 | ((ways - 1) << 22)) >>> 0,
    sets - 1,
    0,
  ];
  switch (index) {
    case 0:
      return cache(1, 1, threads, 8, 64);
    case 1:
      return cache(2, 1, threads, 8, 64);
    case 2:
      return cache(3, 2, threads, 8, 1024);
    case 3:
      return cache(3, 3, perSocket, 16, 8192);
    default:
      return [0, 0, 0, 0];
  }
}

function hypervisorLeaf(leaf: number): CpuidResult {
  switch (leaf) {
    case 0x4000_0000:
      return [
        LAST_HYPERVISOR,
        characters(HYPERVISOR, 0),
        characters(HYPERVISOR, 4),
        characters(HYPERVISOR, 8),
      ];
    case 0x4000_0010:
      return [TSC_KHZ, BUS_KHZ, 0, 0];
    default:
      return [0, 0, 0, 0];
  }
}
