/**
 * The run loop of one vCPU: enter the guest, come back with an exit, serve it, again. The same for every
 * accelerator.
 *
 * Interrupts, NMI and SMI are not injected here: the accelerator takes them from the events word and the
 * interrupt source when it is entered. INIT and SIPI are carried out here, as they concern a vCPU that is
 * not running.
 */
import { type AcceleratedVcpu, ExitReason } from '../accel/contract.ts';
import type { Mutex } from '../base/mutex.ts';
import type { AccessSize, Clock, TimedDevice } from '../device/device.ts';
import type { MmioBus } from '../memory/mmio-bus.ts';
import type { PortBus } from '../memory/port-bus.ts';
import { type ExitCounters, SAMPLE } from './exit-counters.ts';
import { HaltPoll } from './halt-poll.ts';
import type { End, RunState } from './run-state.ts';
import type { VcpuSignals } from './signals.ts';
import { Activity, Flag, VcpuEvent } from './state.ts';

/** I/O exits between two looks at the timers; a guest that polls a port must not starve them. */
const TIMER_CHECK = 8;

/** Longest time between two looks at the timers, in nanoseconds, of a vCPU that asks whether it is to leave the guest for
 * them: the guest's progress is counted then too. */
const LONGEST_STAY = 1e6;

/** Longest sleep in milliseconds: a safety net for timers that are set while the vCPU sleeps. */
const LONGEST_SLEEP = 1000;

/** What the loop works with. */
export interface RunLoopParts {
  readonly index: number;
  readonly vcpu: AcceleratedVcpu;
  readonly signals: VcpuSignals;
  readonly runState: RunState;
  readonly counters: ExitCounters;
  readonly clock: Clock;
  /** The device lock. */
  readonly devices: Mutex;
  readonly ports: PortBus;
  readonly mmio: MmioBus;
  /** What this thread services: this vCPU's local APIC timer and, in vCPU 0's thread, every other timer. */
  readonly timers: TimedDevice;
  /** Called after each port or MMIO access by a vCPU whose thread does not service every timer: wakes the
   * one that does, where its next deadline has come nearer. */
  readonly timersTouched: () => void;
  /** Told until when this vCPU will not look at the timers (guest nanoseconds), before it sleeps or enters a
   * guest that is not left by itself, and -Infinity afterwards. */
  readonly sleeping: (until: number) => void;
  /** Told when this vCPU halts, and when it goes on. Called without the device lock. */
  readonly halted: () => void;
  readonly woken: () => void;
  /** This vCPU asserts FERR#. Called with the device lock held. */
  readonly floatError: () => void;
  /** A start-up IPI has started this vCPU. */
  readonly startedUp: () => void;
  /** Puts this vCPU's state where INIT leaves it. */
  readonly initialize: () => void;
  /** Resets the whole machine, and puts every vCPU where it starts. Called without the device lock. */
  readonly resetMachine: () => void;
}

/** How the loop of one vCPU ended. */
export type LoopEnd =
  | End
  /** Triple fault. */
  | { readonly kind: 'shutdown' }
  /** A defect in the accelerator. */
  | { readonly kind: 'internal'; readonly detail: string };

export class RunLoop {
  readonly #parts: RunLoopParts;
  readonly #haltPoll: HaltPoll;
  #ioExits = 0;
  /** When the loop began, by `performance`. */
  #started = 0;
  /** When the next timer is due, in guest nanoseconds; -Infinity where that is to be found out. */
  #nextTimer = -Infinity;
  /** When the timers were last looked at, in guest nanoseconds. */
  #polled = -Infinity;

  constructor(parts: RunLoopParts) {
    this.#parts = parts;
    this.#haltPoll = new HaltPoll(parts.signals, parts.index, parts.signals.count);
  }

  /** Runs until the machine ends. Must not be called with the device lock held. */
  run(): LoopEnd {
    const { vcpu, runState, index, counters } = this.#parts;
    this.#started = performance.now();
    const progress = () => this.#progress(performance.now());
    for (;;) {
      let access: ExitReason | null = null;
      if (runState.requested || this.#startupPending()) {
        progress();
        access = vcpu.synchronize?.() ?? null;
        if (access === null) {
          const end = runState.attend(index, this.#parts.resetMachine);
          if (end !== null) return end;
          this.#takeStartupEvents();
        }
      }
      if (access === null && vcpu.state.activity === Activity.WaitForSipi) {
        this.#sleep((events) => (events & (VcpuEvent.Sipi | VcpuEvent.Init | VcpuEvent.Kick)) !== 0);
        continue;
      }
      const reason = access ?? this.#enter();
      const count = counters.count(reason);
      switch (reason) {
        case ExitReason.PortIo:
        case ExitReason.Mmio:
          this.#io(reason, count);
          break;
        case ExitReason.Interrupted:
        case ExitReason.InterruptWindow:
        case ExitReason.Debug:
          this.#timed(reason, () => this.#poll());
          progress();
          break;
        case ExitReason.Halt:
          this.#timed(reason, () => this.#halt());
          progress();
          break;
        case ExitReason.Shutdown:
          progress();
          runState.fault();
          return { kind: 'shutdown' };
        case ExitReason.InternalError:
          progress();
          runState.fault();
          return { kind: 'internal', detail: vcpu.detail() };
      }
    }
  }

  /**
   * The guest is about to see that it is `now` (guest nanoseconds). Where a timer is due by then, the guest is left
   * before its next instruction: however long the host has kept this thread from running, the guest must not see the
   * time gone by without the interrupts of that time.
   */
  timeSeen(now: number): void {
    if (now < this.#nextTimer) return;
    const { timers, signals, index } = this.#parts;
    this.#nextTimer = timers.deadline();
    if (now >= this.#nextTimer) signals.post(index, VcpuEvent.Kick);
  }

  /** Whether the guest is to be left for a timer, or to count how far it has come. */
  isDue(): boolean {
    const { timers, clock } = this.#parts;
    const now = clock.now();
    this.#nextTimer = timers.deadline();
    return now >= this.#nextTimer || now - this.#polled >= LONGEST_STAY;
  }

  /** Enters the guest, and sees to it that it is left when a timer is due. */
  #enter(): ExitReason {
    const { vcpu, timers, clock, sleeping } = this.#parts;
    if (vcpu.setDeadline === undefined) return vcpu.run();
    const deadline = timers.deadline();
    sleeping(deadline);
    // Another vCPU may have moved the deadline before it could see that this one is about to be away.
    vcpu.setDeadline(Math.min(deadline, timers.deadline()), clock.now());
    const reason = vcpu.run();
    sleeping(-Infinity);
    return reason;
  }

  /** Counts how far the vCPU has come. @param now by `performance` */
  #progress(now: number): void {
    const { vcpu, counters } = this.#parts;
    counters.progress(vcpu.instructions(), (now - this.#started) * 1e6);
  }

  #timed(reason: ExitReason, body: () => void): void {
    const before = performance.now();
    body();
    this.#parts.counters.spend(reason, (performance.now() - before) * 1e6);
  }

  #io(reason: typeof ExitReason.PortIo | typeof ExitReason.Mmio, count: number): void {
    const serve = reason === ExitReason.PortIo ? this.#portIo : this.#mmio;
    const { devices, counters, timersTouched, vcpu } = this.#parts;
    const place = counters.countAccess(reason, vcpu.io.address);
    if (count % SAMPLE === 1) {
      const before = performance.now();
      devices.with(serve);
      const after = performance.now();
      const nanoseconds = (after - before) * 1e6 * SAMPLE;
      counters.spend(reason, nanoseconds);
      counters.spendAccess(place, nanoseconds);
      this.#progress(after);
    } else {
      devices.with(serve);
    }
    timersTouched();
    this.#nextTimer = -Infinity;
    if (++this.#ioExits % TIMER_CHECK === 0) this.#poll();
  }

  readonly #portIo = (): void => {
    const { vcpu, ports } = this.#parts;
    const { io, block } = vcpu;
    const size = io.size as AccessSize;
    if (block !== undefined && block.bytes.length > 0) {
      block.done = io.write
        ? ports.writeBlock(io.address, size, block.bytes)
        : ports.readBlock(io.address, size, block.bytes);
      if (block.done > 0) return;
    }
    if (io.write) ports.write(io.address, size, Number(BigInt.asUintN(32, io.data)));
    else io.data = BigInt(ports.read(io.address, size));
  };

  readonly #mmio = (): void => {
    const { vcpu, mmio, index } = this.#parts;
    const { io } = vcpu;
    const size = io.size as AccessSize | 8;
    if (io.write) mmio.write(io.address, size, io.data, index);
    else io.data = mmio.read(io.address, size, index);
  };

  /** What is due is done; a kick has served its purpose once the guest has been left. */
  #poll(): void {
    const { clock, timers, devices, signals, index, floatError } = this.#parts;
    if ((signals.clear(index, VcpuEvent.Kick | VcpuEvent.FloatError) & VcpuEvent.FloatError) !== 0) {
      devices.with(floatError);
    }
    const now = clock.now();
    if (now >= timers.deadline()) devices.with(() => timers.service(now));
    this.#polled = now;
    this.#nextTimer = -Infinity;
  }

  /** HLT: until an interrupt that the guest lets through, an NMI, an SMI, INIT, or a request (SDM volume 2A,
   * HLT). A guest that halts with interrupts off sleeps for as long as the machine lives, as in hardware. */
  #halt(): void {
    const { state } = this.#parts.vcpu;
    let open: number = VcpuEvent.Init | VcpuEvent.Kick;
    if ((state.flagsSys & Flag.IF) !== 0) open |= VcpuEvent.Interrupt;
    if (state.nmiBlocked === 0) open |= VcpuEvent.Nmi;
    if (state.smm === 0) open |= VcpuEvent.Smi;
    this.#parts.halted();
    this.#sleep((events) => (events & open) !== 0);
    this.#parts.woken();
  }

  /** Sleeps until `wakes` likes the events word or the machine has been asked for something, and services
   * the timers meanwhile. */
  #sleep(wakes: (events: number) => boolean): void {
    const { signals, index, clock, timers, devices, runState } = this.#parts;
    for (;;) {
      const events = signals.load(index);
      if (wakes(events) || runState.requested) break;
      const now = clock.now();
      const deadline = timers.deadline();
      if (now >= deadline) {
        devices.with(() => timers.service(now));
        continue;
      }
      this.#parts.sleeping(deadline);
      // Another vCPU may have moved the deadline before it could see until when this one sleeps.
      if (timers.deadline() >= deadline) {
        this.#haltPoll.wait(events, Math.min((deadline - now) / 1e6, LONGEST_SLEEP));
      }
      this.#parts.sleeping(-Infinity);
    }
    signals.clear(index, VcpuEvent.Kick);
  }

  #startupPending(): boolean {
    const { signals, index } = this.#parts;
    return (signals.load(index) & (VcpuEvent.Init | VcpuEvent.Sipi)) !== 0;
  }

  /** INIT and start-up IPIs (SDM volume 3A, 10.4.3 and 11.4.1). */
  #takeStartupEvents(): void {
    const { signals, index, vcpu } = this.#parts;
    const pending = signals.load(index) & (VcpuEvent.Init | VcpuEvent.Sipi);
    if (pending === 0) return;
    signals.clear(index, pending);
    if ((pending & VcpuEvent.Init) !== 0) this.#parts.initialize();
    if ((pending & VcpuEvent.Sipi) !== 0 && vcpu.state.activity === Activity.WaitForSipi) {
      startUp(vcpu);
      this.#parts.startedUp();
    }
  }
}

/** Starts an application processor at the start-up IPI's vector: CS base = vector * 4096, IP = 0 in real
 * mode (SDM volume 3A, 10.4.4). */
function startUp({ state }: AcceleratedVcpu): void {
  const vector = state.sipiVector & 0xff;
  state.segSelector[1] = vector << 8;
  state.segBase[1] = BigInt(vector << 12);
  state.rip = 0n;
  state.activity = Activity.Running;
}
