/**
 * How far a machine has come since it was last reset, and when: firmware, loader, kernel, user mode.
 *
 * The first to see a milestone notes it, whatever thread that is. What concerns a vCPU's mode is seen by an
 * accelerator that runs the guest's code itself, where it leaves emitted code anyway; devices see the rest.
 */
import type { BootEvent } from '../api/statistics.ts';
import type { Clock } from '../device/device.ts';
import { type Arena, layout, type View } from '../memory/layout.ts';

export const Milestone = {
  /** CR0.PE was set for the first time (SDM volume 3A, 10.9.1). */
  ProtectedMode: 0,
  /** Firmware has enabled an expansion ROM's address decoder (PCI 2.3, 6.2.5.2). */
  OptionRom: 1,
  /** The first data were read from a disk. */
  BootDevice: 2,
  /** A boot sector runs, at 0000:7C00 (BIOS Boot Specification 1.01, 6.5). */
  Loader: 3,
  /** A kernel runs: it was started directly, or its code lies in the upper half of the address space. */
  Kernel: 4,
  /** EFER.LMA is set (SDM volume 3A, 10.8.5). */
  LongMode: 5,
  /** A vCPU was started by a start-up IPI: the last time that happened. */
  Smp: 6,
  /** Code runs at privilege level 3, other than in virtual-8086 mode. */
  UserMode: 7,
} as const;
export type Milestone = (typeof Milestone)[keyof typeof Milestone];

const MILESTONES = Object.keys(Milestone).length;

/** POST codes kept: the first ones, each time another one is written. */
const MOST_CODES = 32;

const timelineLayout = layout('boot-timeline', 1, {
  /** Guest nanoseconds. */
  reset: 'f64',
  /** The same; 0 for what has not been reached. */
  reached: ['f64', MILESTONES],
  codes: 'u32',
  code: ['u8', MOST_CODES],
  codeTime: ['f64', MOST_CODES],
});

const NAMES = Object.entries(Milestone) as ReadonlyArray<readonly [keyof typeof Milestone, Milestone]>;

export class BootTimeline {
  readonly #at: View<typeof timelineLayout.fields>;
  readonly #clock: Clock;

  constructor(arena: Arena, clock: Clock) {
    this.#at = arena.place(timelineLayout);
    this.#clock = clock;
  }

  /** The machine is reset now. */
  reset(): void {
    const at = this.#at;
    at.reset = this.#clock.now();
    at.reached.fill(0);
    at.codes = 0;
  }

  /** A milestone is reached; where it had been before, nothing changes, but for {@link Milestone.Smp}. */
  mark(milestone: Milestone): void {
    const { reached } = this.#at;
    if (reached[milestone] !== 0 && milestone !== Milestone.Smp) return;
    // At time 0 something may happen too.
    reached[milestone] = Math.max(this.#clock.now(), Number.MIN_VALUE);
  }

  /** Firmware, or whoever else, has written a POST code. With the device lock held. */
  postCode(code: number): void {
    const at = this.#at;
    if (at.codes === MOST_CODES || (at.codes > 0 && at.code[at.codes - 1] === code)) return;
    at.code[at.codes] = code;
    at.codeTime[at.codes] = this.#clock.now();
    at.codes++;
  }

  /** What has happened since the reset, in order of time. */
  events(): BootEvent[] {
    const { reset, reached, codes, code, codeTime } = this.#at;
    const since = (time: number): number => Math.max(0, time - reset) / 1e9;
    const events: BootEvent[] = [{ event: 'Reset', seconds: 0 }];
    for (const [event, milestone] of NAMES) {
      if (reached[milestone] !== 0) events.push({ event, seconds: since(reached[milestone]) });
    }
    for (let i = 0; i < codes; i++) {
      events.push({ event: 'PostCode', seconds: since(codeTime[i]), code: code[i] });
    }
    return events.sort((a, b) => a.seconds - b.seconds);
  }
}
