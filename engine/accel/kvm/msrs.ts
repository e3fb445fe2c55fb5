/**
 * Model-specific registers, between KVM (api.rst 4.18 f.) and the common schema. Numbers: Intel SDM 4; AMD64
 * APM 2, appendix A.
 */
import type { VcpuState } from '../../vcpu/state.ts';
import { kvmMsrEntry, kvmMsrs, Request } from './abi.ts';
import type { VcpuFile } from './vcpu-file.ts';

interface Msr {
  readonly number: number;
  get(state: VcpuState): bigint;
  set(state: VcpuState, value: bigint): void;
}

type Name = { [K in keyof VcpuState]: VcpuState[K] extends bigint ? K : never }[keyof VcpuState];

const field = (number: number, name: Name): Msr => ({
  number,
  get: (state) => BigInt.asUintN(64, state[name]),
  set: (state, value) => {
    state[name] = value;
  },
});

const element = (number: number, name: 'mtrrFixed' | 'mtrrVariable', index: number): Msr => ({
  number,
  get: (state) => state[name][index],
  set: (state, value) => {
    state[name][index] = value;
  },
});

/** The fixed-range MTRRs in order of address (SDM 3A, 12.11.2.2). */
const FIXED = [0x250, 0x258, 0x259, 0x268, 0x269, 0x26a, 0x26b, 0x26c, 0x26d, 0x26e, 0x26f];
const VARIABLE = 0x200;

const TSC = 0x10;

/** All but the TSC, and those that KVM_SET_SREGS takes. */
const MSRS: readonly Msr[] = [
  field(0x174, 'sysenterCs'),
  field(0x175, 'sysenterEsp'),
  field(0x176, 'sysenterEip'),
  field(0xc000_0081, 'star'),
  field(0xc000_0082, 'lstar'),
  field(0xc000_0083, 'cstar'),
  field(0xc000_0084, 'sfmask'),
  field(0xc000_0102, 'kernelGsBase'),
  field(0xc000_0103, 'tscAux'),
  field(0x277, 'pat'),
  field(0x1a0, 'miscEnable'),
  field(0x48, 'specCtrl'),
  field(0x17a, 'mcgStatus'),
  field(0x3b, 'tscAdjust'),
  field(0xda0, 'xss'),
  field(0x2ff, 'mtrrDefType'),
  ...FIXED.map((number, i) => element(number, 'mtrrFixed', i)),
  ...Array.from({ length: 16 }, (_, i) => element(VARIABLE + i, 'mtrrVariable', i)),
];

/** The MSRs of one vCPU. Which of them the kernel knows depends on it and on CPUID; the others are left out
 * once it has refused them. */
export class Msrs {
  readonly #file: VcpuFile;
  #known: Msr[] = [...MSRS];

  constructor(file: VcpuFile) {
    this.#file = file;
  }

  load(state: VcpuState): void {
    this.#transfer(Request.SetMsrs, 'KVM_SET_MSRS', (list) => {
      for (const [i, { number, get }] of list.entries()) this.#entry(i, number, get(state));
    });
  }

  save(state: VcpuState): void {
    this.#transfer(Request.GetMsrs, 'KVM_GET_MSRS', (list) => {
      for (const [i, { number }] of list.entries()) this.#entry(i, number, 0n);
    });
    for (const [i, { set }] of this.#known.entries()) set(state, this.#value(i));
  }

  /** The guest's TSC as it is now. */
  readTsc(): bigint {
    this.#entry(0, TSC, 0n);
    this.#count(1);
    this.#file.request('KVM_GET_MSRS', Request.GetMsrs, 'msrs');
    return this.#value(0);
  }

  writeTsc(value: bigint): void {
    this.#entry(0, TSC, BigInt.asUintN(64, value));
    this.#count(1);
    this.#file.request('KVM_SET_MSRS', Request.SetMsrs, 'msrs');
  }

  /** Both requests stop at the first MSR that they refuse and return how many came before it. */
  #transfer(request: number, name: string, fill: (list: readonly Msr[]) => void): void {
    for (;;) {
      fill(this.#known);
      this.#count(this.#known.length);
      const done = this.#file.request(name, request, 'msrs');
      if (done >= this.#known.length) return;
      this.#known.splice(done, 1);
    }
  }

  #entry(index: number, number: number, value: bigint): void {
    const at = this.#at(index);
    this.#file.view.setUint32(at + kvmMsrEntry.offset.index, number, true);
    this.#file.view.setUint32(at + kvmMsrEntry.offset.reserved, 0, true);
    this.#file.view.setBigUint64(at + kvmMsrEntry.offset.data, value, true);
  }

  #value(index: number): bigint {
    return this.#file.view.getBigUint64(this.#at(index) + kvmMsrEntry.offset.data, true);
  }

  #at(index: number): number {
    return this.#file.at('msrs') + kvmMsrs.size + index * kvmMsrEntry.size;
  }

  #count(count: number): void {
    this.#file.view.setUint32(this.#file.at('msrs') + kvmMsrs.offset.count, count, true);
  }
}
