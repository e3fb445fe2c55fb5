/** What decoded code depends on beside its bytes: the mode that a vCPU's state says, and how RIP is bounded in it. */
import { SegAttr } from '../../vcpu/segment.ts';
import { Flag, Seg, type VcpuState } from '../../vcpu/state.ts';
import type { CodeMode } from './interpreter/code-cache.ts';
import { MODES } from './jump-cache.ts';
import { S, type privateLayout } from './private.ts';
import { Vector } from './system/cpu.ts';
import type { CpuModel } from './system/cpuid.ts';
import { Cr0, Cr4, Efer, stackWidth } from './system/registers.ts';

/** XCR0 as vector instructions need it: SSE and AVX state (SDM 1, 14.1.1). */
const XCR0_YMM = 6;

export class CodeModes {
  readonly #words: Int32Array;
  readonly #state: VcpuState;
  /** Index in words of the state. */
  readonly #at: number;
  readonly #features: CpuModel['features'];
  readonly #full: () => void;
  readonly #modes = new Map<string, CodeMode>();
  /** What the mode follows from, as last seen; compared as plain numbers, since this runs after every interrupt and
   * system call. */
  readonly #seen = new Int32Array(10);
  #current: CodeMode;
  #single: CodeMode;

  /**
   * @param words the shared memory
   * @param stateAddress byte address of `state` in it
   * @param full called where more modes have been seen than have a number, before one has the number of another:
   *   drops all decoded code
   */
  constructor(words: Int32Array, state: VcpuState, stateAddress: number, model: CpuModel, full: () => void) {
    this.#words = words;
    this.#state = state;
    this.#at = stateAddress >> 2;
    this.#features = model.features;
    this.#full = full;
    this.#compare();
    this.#current = this.#mode(false);
    this.#single = this.#mode(true);
    this.forget();
  }

  /** The mode as {@link refresh} last found it. */
  get current(): CodeMode {
    return this.#current;
  }

  /** The same, with one instruction a block. */
  get single(): CodeMode {
    return this.#single;
  }

  /** Makes the next {@link refresh} find a difference. */
  forget(): void {
    this.#seen.fill(0);
  }

  /** Takes over what the state says. @returns whether the mode is another than when this was last called */
  refresh(): boolean {
    if (!this.#compare()) return false;
    this.#current = this.#mode(false);
    this.#single = this.#mode(true);
    return true;
  }

  #compare(): boolean {
    const words = this.#words;
    const seen = this.#seen;
    const at = this.#at;
    let changed = false;
    const compare = (index: number, value: number): void => {
      if (seen[index] !== value) {
        seen[index] = value;
        changed = true;
      }
    };
    compare(0, words[at + (S.cr0 >> 2)]! & (Cr0.PE | Cr0.EM | Cr0.TS | Cr0.MP));
    compare(1, words[at + (S.cr4 >> 2)]! & (Cr4.OSFXSR | Cr4.OSXSAVE | Cr4.LA57));
    compare(2, words[at + (S.efer >> 2)]! & Efer.LMA);
    const code = words[at + (S.segAttr >> 2) + Seg.CS]!;
    compare(3, code & (SegAttr.Long | SegAttr.Big));
    const long = seen[2] !== 0 && (code & SegAttr.Long) !== 0;
    // In 64-bit mode the stack is 64 bits wide whatever SS says.
    compare(4, long ? 0 : words[at + (S.segAttr >> 2) + Seg.SS]! & SegAttr.Big);
    compare(5, words[at + (S.flagsSys >> 2)]! & Flag.VM);
    compare(6, long ? 0 : words[at + (S.segBase >> 2) + 2 * Seg.CS]!);
    compare(7, long ? 0 : words[at + (S.segLimit >> 2) + Seg.CS]!);
    compare(8, words[at + (S.xcr0 >> 2)]! & XCR0_YMM);
    // Never zero, so that the first comparison finds a difference.
    compare(9, 1);
    return changed;
  }

  /** CR4.LA57: linear addresses of 57 bits. */
  get wideLinear(): boolean {
    return (this.#seen[1]! & Cr4.LA57) !== 0;
  }

  /** The mode of what was last seen. @param step one instruction a block */
  #mode(step: boolean): CodeMode {
    const [cr0 = 0, cr4 = 0, lma = 0, code = 0, , vm = 0, csBase = 0, csLimit = 0, xcr0 = 0] = this.#seen;
    const long = lma !== 0 && (code & SegAttr.Long) !== 0;
    const key = `${this.#seen.join(' ')} ${step}`;
    let mode = this.#modes.get(key);
    if (mode === undefined) {
      if (this.#modes.size >= MODES) {
        this.#modes.clear();
        this.#full();
      }
      const emulated = (cr0 & Cr0.EM) !== 0;
      const switched = (cr0 & Cr0.TS) !== 0;
      const unavailable = switched ? Vector.NM : 0;
      mode = {
        id: this.#modes.size,
        code: long ? 64 : (code & SegAttr.Big) !== 0 ? 32 : 16,
        real: (cr0 & Cr0.PE) === 0 || vm !== 0,
        features: this.#features,
        stack: stackWidth(this.#state),
        csBase: csBase,
        csLimit: csLimit >>> 0,
        x87: emulated ? Vector.NM : unavailable,
        fwait: (cr0 & Cr0.MP) !== 0 ? unavailable : 0,
        mmx: emulated ? Vector.UD : unavailable,
        sse: emulated || (cr4 & Cr4.OSFXSR) === 0 ? Vector.UD : unavailable,
        avx: (cr4 & Cr4.OSXSAVE) === 0 ? Vector.UD : unavailable,
        ymm: (cr4 & Cr4.OSXSAVE) === 0 || xcr0 !== XCR0_YMM ? Vector.UD : unavailable,
        step,
      };
      this.#modes.set(key, mode);
    }
    return mode;
  }

  /** Says to emitted code whether SYSCALL and SYSRET are its own in this mode. @param wanted nobody has to see each of them */
  allowSystemCalls(ownState: ReturnType<typeof privateLayout.bind>, wanted: boolean): void {
    const enabled = (this.#words[this.#at + (S.efer >> 2)]! & Efer.SCE) !== 0;
    ownState.systemCalls = wanted && enabled && this.#current.code === 64 ? 1 : 0;
  }

  /** Says to emitted code what near jumps may reach in this mode, and what RIPs in records are relative to. */
  bound(ownState: ReturnType<typeof privateLayout.bind>): void {
    const mode = this.#current;
    if (mode.code === 64) {
      const width = this.wideLinear ? 57n : 48n;
      ownState.codeMask = BigInt.asUintN(64, ~0xfffn);
      ownState.ripBias = 1n << (width - 1n);
      ownState.ripLimit = (1n << width) - 1n;
    } else {
      ownState.codeMask = 0n;
      ownState.ripBias = 0n;
      ownState.ripLimit = BigInt(mode.csLimit);
    }
  }
}
