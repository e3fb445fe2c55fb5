/**
 * One x86-64 processor of our own: enters emitted code, takes it over where it leaves, delivers exceptions
 * and interrupts, and keeps the code environment in step with the architectural state.
 */
import {
  ExitReason,
  type AcceleratedVcpu,
  type InterruptSource,
  type IoBlock,
  type IoExit,
} from '../contract.ts';
import { clearInjected } from '../../vcpu/injected.ts';
import { Coherence } from '../../vcpu/coherence.ts';
import type { Milestone } from '../../vcpu/boot-timeline.ts';
import { Activity, Flag, Seg, VcpuEvent, type VcpuState } from '../../vcpu/state.ts';
import type { Topology } from '../../vcpu/topology.ts';
import type { VcpuOptions } from '../../machine/accelerator.ts';
import { AddressSpaces } from './address-spaces.ts';
import { type Area, areaAt } from './area.ts';
import { Calls } from './calls.ts';
import { CodeFinder } from './code-finder.ts';
import { CodeByPlace } from './code-by-place.ts';
import { CodeModes } from './code-modes.ts';
import { CodeCache, type CodeMode } from './interpreter/code-cache.ts';
import { adoptTier0, IMPORTS } from './interpreter/tier0.ts';
import { JumpCache } from './jump-cache.ts';
import { lockedInterrupts } from './locked-interrupts.ts';
import { AWAITED, AWAITED_USER, reached } from './milestones.ts';
import { jumpTargetOf, Leave, P, privateLayout, REC, RETURN_SITES_AT, S } from './private.ts';
import { Regions } from './region/regions.ts';
import { Requests, WANTED } from './requests.ts';
import { SpinWait } from './spin-wait.ts';
import { GuestAccess } from './system/access.ts';
import {
  AccessPending, GuestFault, Outcome, Vector, type Cpu, type LinearMemory, type PhysicalMemory, type Ports,
} from './system/cpu.ts'; // prettier-ignore
import { CpuModel } from './system/cpuid.ts';
import { breakpointsEnabled, dataBreakpoint, instructionBreakpoint, singleStep } from './system/debug.ts';
import { deliver, exceptionEvent, injectedEvent, type InterruptEvent } from './system/interrupts.ts';
import { Mmu } from './system/mmu.ts';
import { PhysicalMap } from './system/physical-map.ts';
import { physicalWords } from './system/physical-words.ts';
import { Cr0 } from './system/registers.ts';
import { enterSmm } from './system/smm.ts';
import { tiersOf, type Tiers } from './tiers.ts';

/** What leaving emitted code (a fault, a change of mode) costs, in the time of so many instructions. */
const TURN_COST = 16;

export class Processor implements AcceleratedVcpu, Cpu {
  readonly state: VcpuState;
  readonly stateBytes: DataView<SharedArrayBuffer>;
  readonly linear: LinearMemory;
  readonly ports: Ports;
  readonly physical: PhysicalMemory;
  readonly interrupts: InterruptSource;
  readonly model: CpuModel;
  readonly topology: Topology;
  readonly io: IoExit;
  readonly block: IoBlock;
  readonly #options: VcpuOptions;
  readonly #at: number;
  readonly #private: ReturnType<typeof privateLayout.bind>;
  readonly #words: Int32Array;
  readonly #bytes: Uint8Array;
  readonly #quads: BigUint64Array;
  readonly #events: Int32Array<SharedArrayBuffer>;
  readonly #area: Area;
  readonly #jumps: JumpCache;
  readonly #places: CodeByPlace;
  readonly #spaces: AddressSpaces;
  readonly #access: GuestAccess;
  readonly #mmu: Mmu;
  readonly #code: CodeCache;
  readonly #run: (cpu: number, record: number, budget: number) => number;
  readonly #copy16: (to: number, from: number) => void;
  readonly #coherence: Coherence;
  readonly #vcpu: number;
  readonly #spinWait: SpinWait;
  readonly #requests: Requests;
  readonly #modes: CodeModes;
  readonly #finder: CodeFinder;
  readonly #emitted: Calls;
  #instructions = 0;
  #detail = '';
  /** State that translations depend on may have changed. */
  #stale = true;
  /** The budget ran out: where the guest is now is a sample of where it spends its time. */
  #sample = false;
  /** Tier 0 has often gone to where it is now. */
  #hot = false;
  /** The next instruction is tier 0's to run, though a region begins there. */
  #single = false;
  readonly #tiers: Tiers;
  /** Instructions until the next look at events and timers. */
  #budget: number;
  /** What is left of them; negative where a budget is to be begun. */
  #left = -1;
  readonly #regions: Regions;
  /** Breakpoints are enabled. */
  #watching = false;
  /** Word indices of RIP, RFLAGS' system bits and the interrupt shadow. */
  readonly #rip: number;
  readonly #flags: number;
  readonly #shadow: number;
  #debugHit = false;
  /** Milestones of the machine's start-up that are still to come, as far as this vCPU knows: a bit for each. */
  #awaited = 0;

  constructor(options: VcpuOptions) {
    this.#options = options;
    const { memory, state, stateAddress } = options;
    const buffer = memory.buffer as SharedArrayBuffer;
    this.state = state;
    this.#at = stateAddress;
    this.#rip = (stateAddress + S.rip) >> 2;
    this.#flags = (stateAddress + S.flagsSys) >> 2;
    this.#shadow = (stateAddress + S.interruptShadow) >> 2;
    this.stateBytes = new DataView(buffer, stateAddress, P.result + 32);
    this.#private = privateLayout.bind(buffer, stateAddress);
    this.#words = new Int32Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#quads = new BigUint64Array(buffer);
    this.#events = new Int32Array(buffer, stateAddress + S.events, 1);
    this.interrupts = lockedInterrupts(options);
    this.#vcpu = state.index;
    this.#coherence = options.coherence ?? Coherence.alone(buffer.byteLength / 4096);
    this.#spinWait = new SpinWait(this.#coherence, this.#vcpu, this.#events);
    this.topology = options.topology;
    this.model = new CpuModel(options.cpuModel);
    this.#area = areaAt(options.area, options.topology.vcpus);
    this.#jumps = new JumpCache({
      memory: buffer, ownState: this.#private, area: this.#area,
      begunAnew: () => this.#spaces.forgetRegionTags(this.#regions.ids),
    }); // prettier-ignore
    this.#places = new CodeByPlace(buffer, this.#area.codePlaces);
    this.#tiers = tiersOf(options.tier ?? process.env.GUESTHOUSE_TIER);
    const { eager } = this.#tiers;
    const { translator } = options;
    if (translator === undefined) throw new Error('there is nobody who translates for this vCPU');
    const built = 'port' in translator ? adoptTier0(translator.tier0) : translator.tier0;
    this.#code = new CodeCache(built, memory, this.#area.arena, this.#area.arenaBytes, {
      fetch: (low, high) => this.#finder.fetch(low, high),
    });
    const physicalMap = new PhysicalMap(options.addressMap, state, options.smram);
    this.#mmu = new Mmu({
      memory, state, stateAddress, area: this.#area.mmu, walkTerms: this.#area.walkTerms, addressMap: physicalMap, dirtyLog: options.dirtyLog,
      ramBase: options.ramBase, code: this.#code, coherence: this.#coherence,
    }); // prettier-ignore
    this.#spaces = new AddressSpaces({
      bytes: this.#bytes, area: this.#area, ownState: this.#private, mmu: this.#mmu, jumps: this.#jumps,
    }); // prettier-ignore
    this.#requests = new Requests({
      events: this.#events, vcpu: this.#vcpu, coherence: this.#coherence, mmu: this.#mmu, code: this.#code,
    }); // prettier-ignore
    this.#code.onCodePage = (page) => {
      this.#mmu.protectHostPage(page);
      this.#coherence.addCode(this.#vcpu, page >>> 12);
      this.#requests.dropWrites();
    };
    this.#code.onPageFree = (page) => this.#coherence.removeCode(this.#vcpu, page >>> 12);
    this.#code.onFlush = () => {
      this.#jumps.dropAll();
      this.#places.clear();
    };
    this.#access = new GuestAccess({
      memory, state, stateAddress, mmu: this.#mmu, code: this.#code, coherence: this.#coherence,
      private: this.#private,
      copy16: (to, from) => this.#copy16(to, from),
      reentered: () => this.#requests.dropWrites(),
      watch: (linear, bytes, write) => {
        if (dataBreakpoint(this, linear, bytes, write)) this.#debugHit = true;
      },
    }); // prettier-ignore
    this.linear = this.#access;
    this.ports = this.#access;
    this.io = this.#access.io;
    this.block = this.#access.block;
    this.physical = physicalWords(this.#words, physicalMap, this.#access, options.dirtyLog, options.ramBase);
    this.#modes = new CodeModes(this.#words, state, stateAddress, this.model, () => this.#code.flush());
    const own = { memory, state, stateAddress, ownState: this.#private, modes: this.#modes };
    this.#finder = new CodeFinder({
      ...own, code: this.#code, mmu: this.#mmu, jumps: this.#jumps, places: this.#places,
    }); // prettier-ignore
    this.#emitted = new Calls({
      ...own, cpu: this, access: this.#access, finder: this.#finder, requests: this.#requests,
    }); // prettier-ignore
    const imports = { [IMPORTS]: { memory, ...this.#emitted.imports() } };
    const { exports } = new WebAssembly.Instance(built.module, imports);
    this.#budget = this.#tiers.budget;
    this.#run = exports.run as (cpu: number, record: number, budget: number) => number;
    this.#regions = new Regions({
      run: this.#run,
      tier0: built, code: this.#code, memory, exports, eager,
      most: this.#tiers.mostRegions,
      translator: 'port' in translator ? translator : translator.translator,
      watch: options.watch,
      places: {
        lookup: (low, high) => this.#jumps.recordAt(low, high, (handler) => this.#code.recordOf(handler)),
        page: (rip) => this.#finder.page(rip),
        target: (record) => this.#quads[(this.#private.jumpTargets + jumpTargetOf(record)) >> 3]!,
        originalHandler: (record) => this.#code.originalHandler(record),
        forget: (rip, block) => {
          this.#jumps.forget(rip);
          this.#places.forget(block);
        },
        forgetTags: (id) => this.#spaces.forgetTagsOf(id),
        forgetRegions: (handlers) => this.#jumps.forgetRegions(handlers),
      },
    }); // prettier-ignore
    this.#copy16 = exports.copy16 as (to: number, from: number) => void;
    // Emitting tier 0 leaves tens of megabytes that nothing refers to.
    if (!('port' in translator)) globalThis.gc?.();
    this.#jumps.dropAll();
  }

  // Cpu.

  readTsc(): bigint {
    return this.#options.readTsc();
  }
  readTscDeadline(): bigint {
    return this.#options.lockDevices(() => this.#options.tscDeadline.read());
  }
  writeTscDeadline(value: bigint): void {
    this.#options.lockDevices(() => this.#options.tscDeadline.write(value));
  }
  flushTlb(global: boolean): void {
    this.#spaces.flush(global);
  }
  enterAddressSpace(pcid: number, keep: boolean): void {
    this.#spaces.enter(pcid, keep);
  }
  flushAddressSpaces(pcid?: number): void {
    this.#spaces.flushLocal(pcid);
  }
  invalidatePage(linear: bigint, pcid?: number): void {
    this.#spaces.invalidatePage(linear, pcid);
  }
  pause(): boolean {
    const slept = this.#spinWait.pause();
    if (slept) this.#requests.dropWrites();
    return slept;
  }
  log(line: string): void {
    this.#options.log(line);
  }

  // AcceleratedVcpu.

  detail(): string {
    return this.#detail;
  }
  instructions(): number {
    return this.#instructions;
  }

  /** What `--stats` tells beyond the contract: tier 1's figures. */
  statistics(): Readonly<Record<string, number>> {
    const { counts } = this.#regions;
    return {
      'regions compiled': counts.regions,
      'instructions in regions': counts.instructions,
      'bytes of WebAssembly': counts.bytes,
      'milliseconds translating': Math.round(counts.milliseconds),
      'instructions run in tier 1': Number(this.#private.regionInstructions),
      'regions dropped: code written': counts.written,
      'regions dropped: mapped elsewhere': counts.remapped,
      'regions dropped: all code dropped': counts.flushed,
      'regions dropped: to make room': counts.crowded,
      'regions dropped: a larger one there': counts.grown,
      'regions come too late': counts.late,
      'regions refused': counts.refused,
    };
  }

  run(): ExitReason {
    if (this.#private.underway !== 0n) this.#access.resume();
    else this.#access.finish();
    this.#private.underway = 0n;
    // The state may have been changed from outside: by a reset, an INIT, a debugger.
    this.#stale = true;
    this.#emitted.begin();
    this.#coherence.gate.enter(this.#vcpu);
    try {
      this.#requests.dropWrites();
      const exit = this.#enter();
      if (this.#access.pending) this.#private.underway = 1n;
      return exit;
    } catch (reason) {
      this.#access.finish();
      if (reason instanceof GuesthouseShutdown) return ExitReason.Shutdown;
      const what = reason instanceof Error ? reason.message : `thrown: ${JSON.stringify(reason)}`;
      this.#detail = `${what} at rip ${this.state.rip.toString(16)}`;
      if (reason instanceof Error && reason.stack) this.log(reason.stack);
      return ExitReason.InternalError;
    } finally {
      this.#coherence.gate.leave(this.#vcpu);
    }
  }

  /** Why to leave for the access that waits. */
  #accessExit(): ExitReason {
    return this.#access.waitingForPort ? ExitReason.PortIo : ExitReason.Mmio;
  }

  #enter(): ExitReason {
    const { state } = this;
    // What the guest has left of its budget when it exits it goes on with: one that does much input and output is
    // found at a budget's end as often as any other, and its hot code known.
    if (this.#left < 0) this.#left = this.#budget;
    for (;;) {
      // A guest whose fault handlers fault retires no instruction, and must come back all the same.
      this.#left -= TURN_COST;
      if (this.#access.pending) return this.#accessExit();
      if (this.#stale) this.#refresh();
      const replaying = this.#access.replaying;
      if (state.injected !== 0) {
        // Faults in delivering faults may follow each other without end (#AC on a stack that is not aligned).
        if (!replaying && (this.#left < 0 || this.#requests.isWanted)) return ExitReason.Interrupted;
        this.#goOn();
        continue;
      }
      if (!replaying) {
        const exit = this.#takeEvents();
        if (exit >= 0) return exit as ExitReason;
        this.#code.dropWorn();
        if (state.injected !== 0) continue;
        if (this.#stale) this.#refresh();
        if (state.activity !== Activity.Running) return ExitReason.Halt;
        if (this.#left < 0) {
          if (this.#options.isDue?.() ?? true) return ExitReason.Interrupted;
          this.#left = this.#budget;
        }
      }
      const tracing = (this.#words[this.#flags]! & Flag.TF) !== 0;
      const watching = this.#watching;
      this.#endShadow();
      const step = replaying || tracing || watching || this.#words[this.#shadow] !== 0;
      this.#emitted.stepping = step;
      const mode = step || this.#single ? this.#modes.single : this.#modes.current;
      this.#single = false;
      if (!step) {
        const code = this.#execute(mode, this.#left);
        this.#left = this.#private.budget;
        const exit = this.#leave(code);
        this.#endShadow();
        if (exit >= 0) return exit as ExitReason;
        continue;
      }
      // One instruction under the rules of single-stepping.
      if (watching && !replaying && this.#breaksHere()) continue;
      state.interruptShadow = 0;
      this.#debugHit = false;
      const before = state.rip;
      // RF covers one instruction, and is what an IRET in it loads; a repeated string operation that goes on
      // keeps it (SDM 3B, 18.3.1.1).
      const resumed = state.flagsSys & Flag.RF;
      state.flagsSys &= ~Flag.RF;
      const code = this.#execute(mode, 0);
      const exit = this.#leave(code);
      if (code !== Leave.Exception && state.rip === before) state.flagsSys |= resumed;
      if (code === Leave.Budget || code === Leave.Changed || code === Leave.Halt) {
        this.#access.finish();
        const shadowed = (state.interruptShadow & 2) !== 0;
        if ((tracing && !shadowed) || this.#debugHit) {
          const trap = tracing && !shadowed ? singleStep(state) : new GuestFault(Vector.DB);
          // What the instruction itself has ended with comes first; of debug exceptions there is one, and DR6 has all.
          if (state.injected === 0) this.#fault(trap);
        }
      }
      if (exit >= 0) return exit as ExitReason;
    }
  }

  /** Runs from `rip` until something leaves. */
  #execute(mode: CodeMode, budget: number): number {
    let record: number;
    try {
      record = this.#finder.find(mode);
      if ((this.#sample || this.#hot || this.#tiers.eager) && this.#tiers.regions && !mode.step) {
        if (this.#hot) this.#regions.hot(this.state.rip & ~0xfffn);
        else this.#sampled(mode);
      }
      this.#sample = this.#hot = false;
    } catch (reason) {
      this.#private.exitRecord = 0;
      this.#private.budget = budget;
      return this.#emitted.note(reason);
    }
    const codePage = (this.#at + P.codePage) >> 2;
    const long = mode.code === 64;
    this.#words[codePage] = long ? this.#words[this.#rip]! & ~0xfff : 0;
    this.#words[codePage + 1] = long ? this.#words[this.#rip + 1]! : 0;
    const code = this.#run(this.#at, record, budget);
    // What of the budget was used; a block left in its middle counts up to the instruction before.
    const left = this.#private.exitRecord;
    this.#instructions +=
      budget - this.#private.budget + (left === 0 ? 0 : this.#bytes[left + REC.ordinal]! - 1);
    return code;
  }

  /** Says where the guest spends its time. Where it runs in tier 1 it gets further in the same time, and less often. */
  #sampled(mode: CodeMode): void {
    const { budget, mostBudget } = this.#tiers;
    const weight = Math.ceil(this.#budget / budget);
    const translated = this.#regions.sampled(mode, this.state.rip & ~0xfffn, weight);
    // Others wait for this vCPU to drop translations, which it does between two budgets.
    const most = this.#coherence.shared ? Math.min(2 * budget, mostBudget) : mostBudget;
    this.#budget = translated ? Math.min(2 * this.#budget, most) : budget;
  }

  /** Acts on what emitted code left for. @returns an exit reason, or -1 to go on */
  #leave(code: number): number {
    const { state } = this;
    const record = this.#private.exitRecord;
    if (record !== 0) state.rip = this.#emitted.placed(record);
    switch (code) {
      case Leave.Budget:
        this.#sample = true;
        return -1;
      case Leave.Hot:
        this.#hot = true;
        return -1;
      case Leave.Interpret:
        this.#single = !this.#finder.findForTier0();
        return -1;
      case Leave.Changed:
        this.#stale = true;
        return -1;
      case Leave.Exception:
        this.#access.finish();
        if (this.#private.vector === Vector.MF && !this.#reportsMathFault()) {
          // FERR#: the processor stands still here until the board's interrupt comes (SDM 1, 8.7).
          Atomics.or(this.#events, 0, VcpuEvent.FloatError);
          return ExitReason.Interrupted;
        }
        this.#fault(
          new GuestFault(
            this.#private.vector,
            HAS_ERROR_CODE.has(this.#private.vector) ? this.#private.errorCode : undefined,
          ),
        );
        return -1;
      case Leave.Access:
        return this.#accessExit();
      case Leave.Halt:
        this.#stale = true;
        // The shadow of an STI before it is over: HLT itself was the one instruction.
        state.interruptShadow = 0;
        state.activity = Activity.Halted;
        return -1;
      case Leave.Shutdown:
        return ExitReason.Shutdown;
      default:
        throw new Error(`emitted code left with code ${code}`);
    }
  }

  /** CR0.NE: x87 exceptions are #MF, and not the board's to report. */
  #reportsMathFault(): boolean {
    return (this.#words[(this.#at + S.cr0) >> 2]! & Cr0.NE) !== 0;
  }

  /** Delivers an exception found at `rip`. */
  #fault({ vector, errorCode }: GuestFault): void {
    this.#deliver(exceptionEvent(vector, errorCode));
  }

  /** Delivers an event between two instructions. Where that needs a device's answer, the access is left
   * pending, and the delivery is done again, with what has been read, when the guest is next entered. */
  #deliver(event: InterruptEvent): void {
    this.#stale = true;
    let outcome: Outcome;
    try {
      outcome = deliver(this, event);
    } catch (reason) {
      if (reason instanceof AccessPending) return;
      throw reason;
    }
    this.#access.finish();
    if (outcome === Outcome.Shutdown) throw new GuesthouseShutdown();
  }

  /** Goes on with a delivery that has begun. */
  #goOn(): void {
    const event = injectedEvent(this.state);
    if (event === null) clearInjected(this.state);
    else this.#deliver(event);
  }

  /** An instruction breakpoint at `rip`: delivers it. */
  #breaksHere(): boolean {
    const { state } = this;
    const linear =
      this.#modes.current.code === 64 ? state.rip : BigInt.asUintN(32, state.rip + state.segBase[Seg.CS]);
    if (!instructionBreakpoint(this, linear)) return false;
    this.#fault(new GuestFault(Vector.DB));
    return true;
  }

  /** Takes what other threads and the interrupt controllers have for this vCPU, between two instructions.
   * @returns an exit reason, or -1 to go on */
  #takeEvents(): number {
    const { state } = this;
    const events = Atomics.load(this.#events, 0);
    if (events === 0) return -1;
    if ((events & VcpuEvent.FlushTlb) !== 0) {
      Atomics.and(this.#events, 0, ~VcpuEvent.FlushTlb);
      this.flushTlb(true);
    }
    this.#requests.heed(events);
    if ((events & WANTED) !== 0) return ExitReason.Interrupted;
    if ((state.interruptShadow & 2) !== 0) return -1;
    if ((events & VcpuEvent.Smi) !== 0 && state.smm === 0) {
      Atomics.and(this.#events, 0, ~VcpuEvent.Smi);
      this.#wake();
      enterSmm(this);
      this.#stale = true;
      return -1;
    }
    if ((events & VcpuEvent.Nmi) !== 0 && state.nmiBlocked === 0) {
      Atomics.and(this.#events, 0, ~VcpuEvent.Nmi);
      this.#wake();
      state.nmiBlocked = 1;
      this.#deliver({ vector: Vector.NMI, kind: 'external' });
      return -1;
    }
    if (
      (events & VcpuEvent.Interrupt) !== 0 &&
      (state.flagsSys & Flag.IF) !== 0 &&
      state.interruptShadow === 0
    ) {
      const vector = this.interrupts.acknowledge(state.index);
      if (vector >= 0) {
        this.#wake();
        this.#deliver({ vector, kind: 'external' });
      }
    }
    return -1;
  }

  /** The shadow of an STI is over once its instruction has been run. */
  #endShadow(): void {
    if (this.#words[this.#shadow] === 1 && this.state.rip !== this.#private.shadowRip)
      this.state.interruptShadow = 0;
  }

  #wake(): void {
    if (this.state.activity === Activity.Halted) this.state.activity = Activity.Running;
  }

  // Keeping up with the state.

  #refresh(): void {
    const { state } = this;
    this.#stale = false;
    const watching = breakpointsEnabled(state);
    this.#access.watching = watching;
    this.#watching = watching;
    // A reset clears what lies beside the state, so that also what follows from the mode must be set anew.
    if (this.#private.jumpCache === 0) {
      this.#private.jumpCache = this.#area.jumpCache;
      this.#private.returnSites = this.#area.jumpCache + RETURN_SITES_AT;
      this.#private.jumpTargets = this.#area.jumpTargets;
      this.#private.codePlaces = this.#area.codePlaces;
      this.#spaces.show();
      this.#private.shared = this.#coherence.shared ? 1 : 0;
      this.#modes.forget();
      this.#awaited = AWAITED;
    }
    if (this.#awaited !== 0) this.#reach();
    if (this.#modes.refresh()) {
      this.#jumps.enterMode(this.#modes.current.id);
      this.#modes.bound(this.#private);
    }
    this.#jumps.enterPrivilege(state.cpl === 3);
    // Who waits for the first instruction of a user is told where emitted code is left.
    this.#modes.allowSystemCalls(this.#private, !watching && (this.#awaited & AWAITED_USER) === 0);
    this.#spaces.refresh(watching);
  }

  /** Tells what of {@link #awaited} has been reached. */
  #reach(): void {
    let found = reached(this.state) & this.#awaited;
    this.#awaited &= ~found;
    for (; found !== 0; found &= found - 1)
      this.#options.milestone?.((31 - Math.clz32(found & -found)) as Milestone);
  }
}

/** Thrown through {@link Processor.run} by a triple fault. */
class GuesthouseShutdown extends Error {}

const HAS_ERROR_CODE = new Set<number>([
  Vector.DF, Vector.TS, Vector.NP, Vector.SS, Vector.GP, Vector.PF, Vector.AC,
]); // prettier-ignore
