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
import { adoptTier0, buildTier0, ComplexResult, IMPORTS, type Tier0 } from './interpreter/handlers.ts';
import { CodeCache, type CodeMode, type InstalledRegion } from './interpreter/code-cache.ts';
import {
  firstJump, JUMP_ENTRIES, JUMP_ENTRY, JUMP_ENTRY_BYTES, jumpTargetOf, JUMP_TARGETS_BYTES, Leave, P, privateLayout, REC, REGION_TAG, REGION_TAG_BYTES, S, secondJump,
} from './private.ts'; // prettier-ignore
import { AWAITED, reached } from './milestones.ts';
import { Regions } from './region/regions.ts';
import { REGION_IDS, Translator } from './region/translator.ts';
import { SpinWait } from './spin-wait.ts';
import { complexNames } from './semantics/env.ts';
import { GuestAccess, SlowInfo } from './system/access.ts';
import {
  AccessPending, complexInstructions, GuestFault, InterpretInstead, Outcome, Vector, type ComplexInstruction, type Cpu, type Instruction,
  type LinearMemory, type PhysicalMemory, type Ports,
} from './system/cpu.ts'; // prettier-ignore
import './system/complex.ts';
import { CpuModel } from './system/cpuid.ts';
import { breakpointsEnabled, dataBreakpoint, instructionBreakpoint, singleStep } from './system/debug.ts';
import { deliver, exceptionEvent, injectedEvent, type InterruptEvent } from './system/interrupts.ts';
import { Access, Mmu, MMU_AREA_BYTES } from './system/mmu.ts';
import { PageFilter } from './system/page-filter.ts';
import { PhysicalMap } from './system/physical-map.ts';
import { Cr0, Cr4, Efer, stackWidth } from './system/registers.ts';
import { SegAttr } from '../../vcpu/segment.ts';
import { enterSmm } from './system/smm.ts';
import { tiersOf, type Tiers } from './tiers.ts';

const JUMP_BYTES = 2 * JUMP_ENTRIES * JUMP_ENTRY_BYTES;
const REGION_BYTES = REGION_TAG_BYTES * REGION_IDS;
/** Decoded code of a machine: each vCPU has a part, within limits. */
const ARENAS_BYTES = 256 << 20;
const MOST_ARENA_BYTES = 48 << 20;

const arenaBytes = (vcpus: number): number => Math.min(MOST_ARENA_BYTES, Math.floor(ARENAS_BYTES / vcpus));

/** Machine-area bytes of each of so many vCPUs. */
export const areaBytes = (vcpus: number): number =>
  MMU_AREA_BYTES + JUMP_BYTES + JUMP_TARGETS_BYTES + REGION_BYTES + arenaBytes(vcpus);

/** What leaving emitted code (a fault, a change of mode) costs, in the time of so many instructions. */
const TURN_COST = 16;

/** Events that are the run loop's to see to. */
const WANTED = VcpuEvent.Kick | VcpuEvent.Init | VcpuEvent.Sipi;

/** Exception classes of instruction groups, by mode bits. */
const NO_MATH = Vector.NM;

/** Code modes known at a time, and generations of jump-cache entries: together a tag of 32 bits. */
const MODES = 4096;
const TAG_SHIFT = 13;
const GENERATIONS = 1 << (32 - TAG_SHIFT);

/** What has to be seen to after an instruction that serialises, before the next (SDM 3A, 9.3). */
const SERIALIZED = VcpuEvent.FlushTlb | VcpuEvent.FlushCode | VcpuEvent.CodeWritten;

/** Calls of TypeScript by emitted code, after entering the guest, that are not given up for whoever wants the vCPU: it
 * must come forward however often that is. */
const UNDISTURBED = 16;

let shared: Tier0 | undefined;

/** Tier 0 of this thread, built on first use. */
export const tier0 = (): Tier0 => (shared ??= buildTier0());

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
  readonly #halves: Uint16Array;
  readonly #bytes: Uint8Array;
  readonly #quads: BigUint64Array;
  readonly #events: Int32Array<SharedArrayBuffer>;
  readonly #jumpCache: number;
  /** Which place of the jump cache was overwritten last. */
  #jumpTurn = false;
  readonly #access: GuestAccess;
  readonly #mmu: Mmu;
  readonly #code: CodeCache;
  readonly #run: (cpu: number, record: number, budget: number) => number;
  readonly #copy16: (to: number, from: number) => void;
  readonly #coherence: Coherence;
  readonly #vcpu: number;
  readonly #spinWait: SpinWait;
  /** How far the log of writes to code has been read. */
  #codeWrites: number;
  readonly #complex: readonly ComplexInstruction[];
  readonly #modes = new Map<string, CodeMode>();
  #mode: CodeMode;
  #stepMode: CodeMode;
  #localGeneration = 1;
  #globalGeneration = 1;
  #instructions = 0;
  #detail = '';
  /** State that translations depend on may have changed. */
  #stale = true;
  /** The budget ran out: where the guest is now is a sample of where it spends its time. */
  #sample = false;
  /** The next instruction is tier 0's to run. */
  #single = false;
  /** One instruction is run by itself. */
  #stepping = false;
  /** Calls of TypeScript by emitted code since the guest was entered. */
  #calls = 0;
  readonly #tiers: Tiers;
  /** Instructions until the next look at events and timers. */
  #budget: number;
  /** What is left of them; negative where a budget is to be begun. */
  #left = -1;
  readonly #regions: Regions;
  /** Pages that code has been looked up on since all jump-cache entries were last dropped for a page's sake. */
  readonly #codePages = new PageFilter(12);
  /** Breakpoints are enabled. */
  #watching = false;
  /** Word indices of RIP, CPL, RFLAGS' system bits and the interrupt shadow. */
  readonly #rip: number;
  readonly #cpl: number;
  readonly #flags: number;
  readonly #shadow: number;
  #debugHit = false;
  /** Milestones of the machine's start-up that are still to come, as far as this vCPU knows: a bit for each. */
  #awaited = 0;
  readonly #instruction: MutableInstruction = {
    size: 4, a: 0, b: 0, imm: 0, memory: false, segment: 3, offset: 0n, rip: 0n, next: 0n, length: 0, addressSize: 8, rep: 0, selector: 0,
  }; // prettier-ignore

  constructor(options: VcpuOptions) {
    this.#options = options;
    const { memory, state, stateAddress } = options;
    const buffer = memory.buffer as SharedArrayBuffer;
    this.state = state;
    this.#at = stateAddress;
    this.#rip = (stateAddress + S.rip) >> 2;
    this.#cpl = (stateAddress + S.cpl) >> 2;
    this.#flags = (stateAddress + S.flagsSys) >> 2;
    this.#shadow = (stateAddress + S.interruptShadow) >> 2;
    this.stateBytes = new DataView(buffer, stateAddress, P.result + 32);
    this.#private = privateLayout.bind(buffer, stateAddress + P.bounce);
    this.#words = new Int32Array(buffer);
    this.#halves = new Uint16Array(buffer);
    this.#bytes = new Uint8Array(buffer);
    this.#quads = new BigUint64Array(buffer);
    this.#events = new Int32Array(buffer, stateAddress + S.events, 1);
    this.interrupts = lockedInterrupts(options);
    this.#vcpu = state.index;
    this.#coherence = options.coherence ?? Coherence.alone(buffer.byteLength / 4096);
    this.#codeWrites = this.#coherence.codeWrites.position();
    this.#spinWait = new SpinWait(this.#coherence, this.#vcpu, this.#events);
    this.topology = options.topology;
    this.model = new CpuModel(options.cpuModel);
    this.#jumpCache = options.area + MMU_AREA_BYTES;
    this.#tiers = tiersOf(options.tier ?? process.env.GUESTHOUSE_TIER);
    const { eager } = this.#tiers;
    const link = eager ? undefined : options.translator;
    const built = link === undefined ? tier0() : adoptTier0(link.tier0);
    const arena = this.#jumpCache + JUMP_BYTES + JUMP_TARGETS_BYTES + REGION_BYTES;
    this.#code = new CodeCache(built, memory, arena, arenaBytes(options.topology.vcpus), {
      fetch: (low, high) => this.#fetch(low, high),
    });
    const physicalMap = new PhysicalMap(options.addressMap, state, options.smram);
    this.#mmu = new Mmu({
      memory, state, stateAddress, area: options.area, addressMap: physicalMap, dirtyLog: options.dirtyLog,
      ramBase: options.ramBase, code: this.#code, coherence: this.#coherence,
    }); // prettier-ignore
    this.#code.onCodePage = (page) => {
      this.#mmu.protectHostPage(page);
      this.#coherence.addCode(this.#vcpu, page >>> 12);
      this.#dropWrites();
    };
    this.#code.onPageFree = (page) => this.#coherence.removeCode(this.#vcpu, page >>> 12);
    this.#code.onFlush = () => this.#dropJumps(true);
    this.#access = new GuestAccess({
      memory, state, stateAddress, mmu: this.#mmu, code: this.#code, coherence: this.#coherence,
      private: this.#private,
      copy16: (to, from) => this.#copy16(to, from),
      reentered: () => this.#dropWrites(),
      watch: (linear, bytes, write) => {
        if (dataBreakpoint(this, linear, bytes, write)) this.#debugHit = true;
      },
    }); // prettier-ignore
    this.linear = this.#access;
    this.ports = this.#access;
    this.io = this.#access.io;
    this.block = this.#access.block;
    this.physical = {
      read32: (address) => {
        const page = physicalMap.resolve(Math.floor(address / 4096)) & ~1;
        return page === 0 ? 0xffff_ffff : this.#words[((page >>> 0) + (address & 0xffc)) >>> 2]! >>> 0;
      },
      write32: (address, value) => {
        const page = physicalMap.resolve(Math.floor(address / 4096));
        if (page === 0 || (page & 1) !== 0) return;
        const host = (page >>> 0) + (address & 0xffc);
        options.dirtyLog.mark((host - options.ramBase) >>> 12);
        this.#access.storePhysical(host, value);
      },
    };
    const table = new WebAssembly.Table({ element: 'anyfunc', initial: built.handlers });
    const instance = new WebAssembly.Instance(built.module, {
      [IMPORTS]: {
        memory,
        table,
        slow: (record: number, info: number) => this.#slow(record, info),
        commit: () => this.#guard(this.#commit),
        complex: (record: number, number: number) => this.#runComplex(record, number),
        find: () => this.#guard(this.#find),
        findDirect: (record: number) => this.#guard(() => this.#findDirect(record)),
        revalidate: (record: number, id: number) => this.#revalidate(record, id),
      },
    });
    this.#budget = this.#tiers.budget;
    this.#run = instance.exports.run as (cpu: number, record: number, budget: number) => number;
    this.#regions = new Regions({
      run: this.#run,
      tier0: built, code: this.#code, memory, table, eager,
      translator: link === undefined ? new Translator(tier0()) : link.port,
      watch: options.watch,
      places: {
        lookup: (rip) => this.#lookup(rip),
        page: (rip) => this.#codePage(rip),
        target: (record) => this.#quads[(this.#private.jumpTargets + jumpTargetOf(record)) >> 3]!,
        originalHandler: (record) => this.#code.originalHandler(record),
        forget: (rip) => {
          const at = this.#jumpEntryOf(rip);
          if (at >= 0) this.#words[at + JUMP_ENTRY.tag / 4] = 0;
        },
        forgetAll: () => this.#dropJumps(true),
      },
    }); // prettier-ignore
    this.#copy16 = instance.exports.copy16 as (to: number, from: number) => void;
    this.#complex = complexNames().map((name) => {
      const run = complexInstructions.get(name);
      if (run === undefined)
        return () => {
          throw new Error(`instruction ${name} is to be done in TypeScript but is not there`);
        };
      return run;
    });
    // Emitting tier 0 leaves tens of megabytes that nothing refers to.
    if (link === undefined) globalThis.gc?.();
    this.#modeChanged();
    this.#mode = this.#codeMode(false);
    this.#stepMode = this.#codeMode(true);
    this.#seen.fill(0);
    this.#dropJumps(true);
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
    this.#mmu.flush(global);
    if (global) this.#dropAllJumps();
    else this.#dropJumps(false);
  }
  invalidatePage(linear: bigint): void {
    const low = Number(linear & 0xffff_ffffn) | 0;
    const high = Number((linear >> 32n) & 0xffff_ffffn) | 0;
    const precise = this.#mmu.invalidate(low, high);
    // Jump-cache entries of a page of code cannot be told apart cheaply, so all of them go.
    if (!precise || this.#codePages.mayHave(low, high)) this.#dropAllJumps();
  }
  pause(): boolean {
    const slept = this.#spinWait.pause();
    if (slept) this.#dropWrites();
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
    this.#calls = 0;
    this.#coherence.gate.enter(this.#vcpu);
    try {
      this.#dropWrites();
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

  /** Drops translations for writing, where another vCPU waits for that. */
  #dropWrites(): void {
    if ((Atomics.load(this.#events, 0) & VcpuEvent.DropWrites) === 0) return;
    Atomics.and(this.#events, 0, ~VcpuEvent.DropWrites);
    this.#mmu.dropWrites();
  }

  /** Drops decoded code that others have overwritten. */
  #dropWritten(): void {
    Atomics.and(this.#events, 0, ~VcpuEvent.CodeWritten);
    const log = this.#coherence.codeWrites;
    const now = log.position();
    const next = log.read(this.#codeWrites, (host, bytes) => this.#code.written(host, bytes));
    if (next < 0) this.#code.flush();
    this.#codeWrites = next < 0 ? now : next;
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
        if (!replaying && (this.#left < 0 || this.#isWanted())) return ExitReason.Interrupted;
        this.#goOn();
        continue;
      }
      if (!replaying) {
        const exit = this.#takeEvents();
        if (exit >= 0) return exit as ExitReason;
        if (state.injected !== 0) continue;
        if (this.#stale) this.#refresh();
        if (state.activity !== Activity.Running) return ExitReason.Halt;
        if (this.#left < 0) return ExitReason.Interrupted;
      }
      const tracing = (this.#words[this.#flags]! & Flag.TF) !== 0;
      const watching = this.#watching;
      // The shadow of an STI is over once its instruction has been run.
      if (this.#words[this.#shadow] === 1 && state.rip !== this.#private.shadowRip) state.interruptShadow = 0;
      const step = replaying || tracing || watching || this.#single || this.#words[this.#shadow] !== 0;
      this.#stepping = step;
      if (!step) {
        const code = this.#execute(this.#mode, this.#left);
        this.#left = this.#private.budget;
        const exit = this.#leave(code);
        if (exit >= 0) return exit as ExitReason;
        continue;
      }
      // One instruction under the rules of single-stepping.
      if (watching && !replaying && this.#breaksHere()) continue;
      state.interruptShadow = 0;
      this.#single = false;
      this.#debugHit = false;
      const before = state.rip;
      // RF covers one instruction, and is what an IRET in it loads; a repeated string operation that goes on
      // keeps it (SDM 3B, 18.3.1.1).
      const resumed = state.flagsSys & Flag.RF;
      state.flagsSys &= ~Flag.RF;
      const code = this.#execute(this.#stepMode, 0);
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
    const generation = this.#code.generation;
    let record: number;
    try {
      record = this.#code.find(this.#words[this.#rip]!, this.#words[this.#rip + 1]!, mode);
    } catch (reason) {
      this.#private.exitRecord = 0;
      this.#private.budget = budget;
      return this.#note(reason);
    }
    if (generation !== this.#code.generation) this.#dropJumps(true);
    if (this.#sample || this.#tiers.eager) {
      this.#sample = false;
      if (this.#tiers.regions && !mode.step) this.#sampled(mode);
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

  /** Looks for hot code. Where the guest runs in tier 1 it gets further in the same time, and less often. */
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
    if (record !== 0) state.rip = this.#placed(record);
    switch (code) {
      case Leave.Budget:
        this.#sample = true;
        return -1;
      case Leave.Interpret:
        this.#single = true;
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
    const linear = this.#mode.code === 64 ? state.rip : BigInt.asUintN(32, state.rip + state.segBase[Seg.CS]);
    if (!instructionBreakpoint(this, linear)) return false;
    this.#fault(new GuestFault(Vector.DB));
    return true;
  }

  /** Somebody outside the guest wants this vCPU. */
  #isWanted(): boolean {
    return (Atomics.load(this.#events, 0) & WANTED) !== 0;
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
    if ((events & VcpuEvent.FlushCode) !== 0) {
      Atomics.and(this.#events, 0, ~VcpuEvent.FlushCode);
      this.#code.flush();
    }
    if ((events & VcpuEvent.CodeWritten) !== 0) this.#dropWritten();
    if ((events & VcpuEvent.StandStill) !== 0) {
      Atomics.and(this.#events, 0, ~VcpuEvent.StandStill);
      const { gate } = this.#coherence;
      gate.leave(this.#vcpu);
      gate.enter(this.#vcpu);
    }
    this.#dropWrites();
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

  #wake(): void {
    if (this.state.activity === Activity.Halted) this.state.activity = Activity.Running;
  }

  // Called by emitted code.

  /** Where an access can be made, or 0. A record whose operand is addressed through SS says so. */
  #slow(record: number, info: number): number {
    const segment = this.#bytes[record + REC.segment]!;
    try {
      this.#heed();
      const stack = segment === Seg.SS || segment === Seg.NoneStack ? SlowInfo.stack : 0;
      // Regions have no record.
      return this.#access.slow(info | stack, record === 0);
    } catch (reason) {
      this.#note(reason);
      return 0;
    }
  }

  /**
   * Leaves before an instruction where somebody wants this vCPU. What is done in TypeScript takes a thousand times as
   * long as other instructions, so that a budget full of it would keep whoever waits for far too long.
   *
   * @throws LeaveFirst
   */
  #heed(): void {
    if (++this.#calls > UNDISTURBED && !this.#stepping && this.#isWanted()) throw new LeaveFirst();
  }

  readonly #commit = (): number => {
    this.#access.commit();
    return 1;
  };

  /** Runs what may fault or have to wait; 0 with the exit code set where it does. */
  #guard(body: () => number): number {
    try {
      return body();
    } catch (reason) {
      this.#note(reason);
      return 0;
    }
  }

  /** Turns what was thrown into an exit code. */
  #note(reason: unknown): number {
    let code: number;
    if (reason instanceof GuestFault) {
      this.#private.vector = reason.vector;
      this.#private.errorCode = reason.errorCode ?? 0;
      code = Leave.Exception;
    } else if (reason instanceof AccessPending) code = Leave.Access;
    else if (reason instanceof InterpretInstead) code = Leave.Interpret;
    else if (reason instanceof LeaveFirst) code = Leave.Changed;
    else throw reason;
    this.#private.exitCode = code;
    return code;
  }

  readonly #find = (): number => {
    this.#heed();
    const words = this.#words;
    const mode = this.#mode;
    const generation = this.#code.generation;
    const ripLow = words[this.#rip]!;
    const ripHigh = words[this.#rip + 1]!;
    const record = this.#code.find(ripLow, ripHigh, mode);
    if (generation !== this.#code.generation) this.#dropJumps(true);
    const low = mode.code === 64 ? ripLow : (ripLow + mode.csBase) | 0;
    let tag = this.#mmu.global ? this.#private.tagGlobal : this.#private.tagLocal;
    let region = this.#code.regionAt(record);
    if (region !== undefined && region.ranges.length > 1) {
      // Whoever comes by the jump cache does not look again at whether all its pages are mapped as they were.
      const page = BigInt.asUintN(64, this.#quads[this.#rip >> 1]!) & ~0xfffn;
      if (!this.#isMapped(region, page)) region = undefined;
      else if (!region.global) tag = this.#private.tagLocal;
    }
    const high = mode.code === 64 ? ripHigh : 0;
    const at = this.#jumpPlace(low, high);
    words[at + JUMP_ENTRY.linear / 4] = low;
    words[at + JUMP_ENTRY.linear / 4 + 1] = high;
    words[at + JUMP_ENTRY.record / 4] = record;
    words[at + JUMP_ENTRY.tag / 4] = tag;
    words[at + JUMP_ENTRY.region / 4] = region?.direct ?? 0;
    return record;
  };

  /** Whether the jump-cache entry at an index of words is anyone's. */
  #isValidJump(at: number): boolean {
    const tag = this.#words[at + JUMP_ENTRY.tag / 4]! >>> 0;
    return tag === this.#private.tagLocal || tag === this.#private.tagGlobal;
  }

  /** Index in words of the jump-cache entry of a linear address, given by its halves; -1 where there is none. */
  #jumpEntry(low: number, high: number): number {
    const words = this.#words;
    const first = (this.#jumpCache + firstJump(low)) >> 2;
    if (words[first] === low && words[first + 1] === high && this.#isValidJump(first)) return first;
    const second = (this.#jumpCache + secondJump(low)) >> 2;
    return words[second] === low && words[second + 1] === high && this.#isValidJump(second) ? second : -1;
  }

  /** Where to put the jump-cache entry of a linear address: where it is, else where there is room, else in one place
   * or the other in turn. */
  #jumpPlace(low: number, high: number): number {
    const present = this.#jumpEntry(low, high);
    if (present >= 0) return present;
    const first = (this.#jumpCache + firstJump(low)) >> 2;
    if (!this.#isValidJump(first)) return first;
    const second = (this.#jumpCache + secondJump(low)) >> 2;
    if (!this.#isValidJump(second)) return second;
    this.#jumpTurn = !this.#jumpTurn;
    return this.#jumpTurn ? first : second;
  }

  /** The jump-cache entry of 64-bit code, or -1. */
  #jumpEntryOf(rip: bigint): number {
    return this.#jumpEntry(Number(BigInt.asIntN(32, rip)), Number(BigInt.asIntN(32, rip >> 32n)));
  }

  /** The record that the jump cache has for 64-bit code, or 0. */
  #lookup(rip: bigint): number {
    const at = this.#jumpEntryOf(rip);
    return at < 0 ? 0 : this.#words[at + JUMP_ENTRY.record / 4]!;
  }

  /** Where a page of 64-bit code lies now. */
  #codePage(rip: bigint): { host: number; global: boolean } | undefined {
    const { cr2 } = this.state;
    try {
      const host = this.#fetch(Number(BigInt.asIntN(32, rip)), Number(BigInt.asIntN(32, rip >> 32n)));
      return { host, global: this.#mmu.global };
    } catch (reason) {
      if (!(reason instanceof GuestFault)) throw reason;
      // Nobody has jumped there yet.
      this.state.cr2 = cr2;
      return undefined;
    }
  }

  /** Sees that the pages of a region are mapped as they were, and notes it; else drops it. */
  #revalidate(record: number, id: number): number {
    const region = this.#code.regionAt(record);
    if (region === undefined) return 0;
    const { codePage, tagGlobal, tagLocal } = this.#private;
    if (!this.#isMapped(region, codePage)) return 0;
    const seen = this.#private.regionTags + REGION_TAG_BYTES * id;
    this.#quads[(seen + REGION_TAG.codePage) >> 3] = codePage;
    this.#words[(seen + REGION_TAG.tag) >> 2] = region.global ? tagGlobal : tagLocal;
    return 1;
  }

  /** Whether the pages of a region are mapped as they were, from where it is entered on; else it is dropped. */
  #isMapped(region: InstalledRegion, codePage: bigint): boolean {
    const same = region.ranges.every(({ page, host }) => {
      const place = this.#codePage(BigInt.asUintN(64, codePage + page));
      return place?.host === host && (place.global || !region.global);
    });
    if (!same) this.#code.dropRegion(region, 'remapped');
    return same;
  }

  #findDirect(record: number): number {
    this.#heed();
    const generation = this.#code.generation;
    const target = this.#code.find(this.#words[this.#rip]!, this.#words[this.#rip + 1]!, this.#mode);
    if (generation === this.#code.generation) this.#code.link(record, target);
    else this.#dropJumps(true);
    return target;
  }

  /** Host address of code, for the code cache; what lies beyond CS, or is not canonical, is #GP(0). */
  #fetch(low: number, high: number): number {
    if (this.#mode.code === 64) {
      const top = high >> (this.#wideLinear ? 24 : 15);
      if (top !== 0 && top !== -1) throw new GuestFault(Vector.GP, 0);
    } else if (this.#words[this.#rip]! >>> 0 > this.#mode.csLimit) throw new GuestFault(Vector.GP, 0);
    const host = this.#mmu.translate(low, high, Access.Fetch, this.#words[this.#cpl] === 3);
    this.#codePages.add(low, high);
    return host;
  }

  /** RIP of the instruction of a record that is run now. */
  #placed(record: number): bigint {
    return BigInt.asUintN(64, this.#quads[(record + REC.rip) >> 3]! + this.#private.codePage);
  }

  #runComplex(record: number, number: number): number {
    const { state } = this;
    const insn = this.#instruction;
    const info = this.#bytes[record + REC.scale]!;
    insn.size = (1 << (info & 3)) as 2 | 4 | 8;
    insn.addressSize = (1 << ((info >> 2) & 3)) as 2 | 4 | 8;
    insn.rep = ((info >> 4) & 3) as 0 | 1 | 2;
    insn.memory = (info & 0x40) !== 0;
    insn.a = this.#halves[(record + REC.a) >> 1]!;
    insn.b = this.#halves[(record + REC.b) >> 1]!;
    insn.imm = this.#words[(record + REC.imm) >> 2]!;
    insn.selector = this.#words[(record + REC.disp) >> 2]! & 0xffff;
    insn.segment = this.#bytes[record + REC.segment]!;
    insn.offset = insn.memory ? this.#private.eaOffset : 0n;
    insn.length = this.#bytes[record + REC.length]!;
    const rip = this.#placed(record);
    insn.rip = rip;
    const sum = rip + BigInt(insn.length);
    insn.next = BigInt.asUintN(this.#mode.code === 64 ? 64 : 32, sum);
    state.rip = insn.next;
    let outcome: Outcome;
    try {
      outcome = this.#complex[number]!(this, insn);
    } catch (reason) {
      state.rip = rip;
      // The record is left as it is: it says where the instruction is.
      this.#note(reason);
      return ComplexResult.Leave;
    }
    switch (outcome) {
      case Outcome.Next:
        if ((this.#fence() & (SERIALIZED | WANTED)) === 0) return 0;
        this.#private.exitCode = Leave.Changed;
        break;
      case Outcome.Changed:
        this.#fence();
        this.#private.exitCode = Leave.Changed;
        break;
      case Outcome.Halt:
        this.#private.exitCode = Leave.Halt;
        break;
      default:
        this.#private.exitCode = Leave.Shutdown;
    }
    return ComplexResult.LeaveBehind;
  }

  /** Drains the store buffer, as instructions that serialise do, and says what is requested. */
  #fence(): number {
    return Atomics.or(this.#events, 0, 0);
  }

  // Keeping up with the state.

  /** After translations have changed: no page is known to be code. */
  #dropAllJumps(): void {
    this.#codePages.clear();
    this.#dropJumps(true);
  }

  /** Makes every jump-cache entry invalid, or those of pages that are not global. */
  #dropJumps(global: boolean): void {
    this.#localGeneration++;
    if (global) this.#globalGeneration++;
    if (Math.max(this.#localGeneration, this.#globalGeneration) >= GENERATIONS) {
      this.#words.fill(0, this.#jumpCache >> 2, (this.#jumpCache + JUMP_BYTES) >> 2);
      this.#localGeneration = this.#globalGeneration = 1;
    }
    this.#setTags();
  }

  /** A tag holds a generation, the mode's number, and which of the two generations it means. */
  #setTags(): void {
    const mode = this.#mode.id << 1;
    this.#private.tagLocal = (this.#localGeneration << TAG_SHIFT) | mode;
    this.#private.tagGlobal = (this.#globalGeneration << TAG_SHIFT) | mode | 1;
  }

  #refresh(): void {
    const { state } = this;
    this.#stale = false;
    const watching = breakpointsEnabled(state);
    this.#access.watching = watching;
    this.#watching = watching;
    // A reset clears what lies beside the state, so that also what follows from the mode must be set anew.
    if (this.#private.jumpCache === 0) {
      this.#private.jumpCache = this.#jumpCache;
      this.#private.jumpTargets = this.#jumpCache + JUMP_BYTES;
      this.#private.regionTags = this.#private.jumpTargets + JUMP_TARGETS_BYTES;
      this.#private.shared = this.#coherence.shared ? 1 : 0;
      this.#seen.fill(0);
      this.#awaited = AWAITED;
    }
    if (this.#awaited !== 0) this.#reach();
    if (this.#modeChanged()) {
      this.#mode = this.#codeMode(false);
      this.#stepMode = this.#codeMode(true);
      this.#setTags();
      if (this.#mode.code !== 64) {
        this.#private.codeMask = 0n;
        this.#private.ripBias = 0n;
        this.#private.ripLimit = BigInt(this.#mode.csLimit);
      } else {
        const width = this.#wideLinear ? 57n : 48n;
        this.#private.codeMask = BigInt.asUintN(64, ~0xfffn);
        this.#private.ripBias = 1n << (width - 1n);
        this.#private.ripLimit = (1n << width) - 1n;
      }
    }
    this.#mmu.refresh(watching);
  }

  /** Tells what of {@link #awaited} has been reached. */
  #reach(): void {
    let found = reached(this.state) & this.#awaited;
    this.#awaited &= ~found;
    for (; found !== 0; found &= found - 1)
      this.#options.milestone?.((31 - Math.clz32(found & -found)) as Milestone);
  }

  /** What the code mode follows from, as last seen; compared as plain numbers, since this runs after every
   * interrupt and system call. */
  readonly #seen = new Int32Array(9);

  /** Takes the present values over. @returns whether any is new */
  #modeChanged(): boolean {
    const words = this.#words;
    const seen = this.#seen;
    const at = this.#at >> 2;
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
    // Never zero, so that the first comparison finds a difference.
    compare(8, 1);
    return changed;
  }

  /** CR4.LA57: linear addresses of 57 bits. */
  get #wideLinear(): boolean {
    return (this.#seen[1]! & Cr4.LA57) !== 0;
  }

  /** The code mode of the present state, as {@link #modeChanged} saw it. */
  #codeMode(step: boolean): CodeMode {
    const [cr0, cr4, lma, code, , vm, csBase, csLimit] = this.#seen as unknown as readonly number[];
    const long = lma !== 0 && (code! & SegAttr.Long) !== 0;
    const key = `${this.#seen.join(' ')} ${step}`;
    let mode = this.#modes.get(key);
    if (mode === undefined) {
      if (this.#modes.size >= MODES) {
        this.#modes.clear();
        this.#code.flush();
      }
      const emulated = (cr0! & Cr0.EM) !== 0;
      const switched = (cr0! & Cr0.TS) !== 0;
      mode = {
        id: this.#modes.size,
        code: long ? 64 : (code! & SegAttr.Big) !== 0 ? 32 : 16,
        real: (cr0! & Cr0.PE) === 0 || vm !== 0,
        features: this.model.features,
        stack: stackWidth(this.state),
        csBase: csBase!,
        csLimit: csLimit! >>> 0,
        x87: emulated || switched ? NO_MATH : 0,
        fwait: switched && (cr0! & Cr0.MP) !== 0 ? NO_MATH : 0,
        mmx: emulated ? Vector.UD : switched ? NO_MATH : 0,
        sse: emulated || (cr4! & Cr4.OSFXSR) === 0 ? Vector.UD : switched ? NO_MATH : 0,
        avx: (cr4! & Cr4.OSXSAVE) === 0 ? Vector.UD : switched ? NO_MATH : 0,
        step,
      };
      this.#modes.set(key, mode);
    }
    return mode;
  }
}

/** The interrupt controllers, with the device lock taken for each call. */
function lockedInterrupts({ interrupts, lockDevices }: VcpuOptions): InterruptSource {
  return {
    pending: (vcpu) => lockDevices(() => interrupts.pending(vcpu)),
    acknowledge: (vcpu) => lockDevices(() => interrupts.acknowledge(vcpu)),
    getTaskPriority: (vcpu) => lockDevices(() => interrupts.getTaskPriority(vcpu)),
    setTaskPriority: (vcpu, priority) => lockDevices(() => interrupts.setTaskPriority(vcpu, priority)),
    readMsr: (vcpu, msr) => lockDevices(() => interrupts.readMsr(vcpu, msr)),
    writeMsr: (vcpu, msr, value) => lockDevices(() => interrupts.writeMsr(vcpu, msr, value)),
  };
}

/** Thrown where emitted code is to be left before the present instruction, which is run when the guest is entered again. */
class LeaveFirst {}

/** Thrown through {@link Processor.run} by a triple fault. */
class GuesthouseShutdown extends Error {}

type MutableInstruction = { -readonly [K in keyof Instruction]: Instruction[K] };

const HAS_ERROR_CODE = new Set<number>([
  Vector.DF, Vector.TS, Vector.NP, Vector.SS, Vector.GP, Vector.PF, Vector.AC,
]); // prettier-ignore
