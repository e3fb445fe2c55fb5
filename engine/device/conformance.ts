/**
 * What is asked of every device, as one test suite that each device's tests call.
 *
 * - All state is in the shared memory: a device constructed over a copy of the bytes behaves exactly like
 *   the first from there on, which is what saving and restoring a machine relies on.
 * - Reset leads to the power-on state, whatever happened before.
 * - Nothing a guest does makes a device throw, or return what does not fit the width of the access.
 * - A device that has been serviced asks for its next service in the future, so that the thread which
 *   waits for deadlines never spins.
 */
import { describe, expect, test } from 'vitest';
import { Random } from '../base/random.ts';
import { Arena } from '../memory/layout.ts';
import type { AccessSize, Clock, Device, Line, MmioDevice, PortDevice, TimedDevice } from './device.ts';

/** A clock that stands still until it is moved. */
export class ManualClock implements Clock {
  /** Guest nanoseconds. */
  time = 0;

  now(): number {
    return this.time;
  }
}

/** The surroundings of a device under test: time, and a record of all that the device does to them. */
export class TestWorld {
  readonly clock = new ManualClock();
  readonly journal: string[] = [];

  /** Notes something the device did that is not a return value. */
  log(what: string): void {
    this.journal.push(what);
  }

  /** A line whose every setting is noted. */
  line(name: string): Line {
    return (level) => this.log(`${name}=${level ? 1 : 0}`);
  }
}

/** A device ready for testing, with all the ways in which the machine reaches it. */
export interface Specimen {
  readonly device: Device;
  /** Port ranges; `length` in bytes. */
  readonly ports?: ReadonlyArray<{ readonly device: PortDevice; readonly length: number }>;
  /** Physical ranges; `length` in bytes, `vcpus` how many vCPUs access it (default 1). */
  readonly mmio?: ReadonlyArray<{
    readonly device: MmioDevice;
    readonly length: number;
    readonly vcpus?: number;
  }>;
  readonly timers?: readonly TimedDevice[];
  /** Anything else: input lines, MSRs, messages. Each call does one random thing; its result is compared. */
  readonly stimuli?: ReadonlyArray<(random: Random) => unknown>;
}

export interface ConformanceOptions {
  /** Size of the memory that `make` places its layouts in; default 64 KiB. */
  readonly bytes?: number;
  /** True for a device with battery-backed or otherwise persistent contents, which a reset leaves alone. */
  readonly persistent?: boolean;
}

/**
 * Declares the suite for one device.
 *
 * @param name shown as the suite's title
 * @param make constructs the device over layouts it places in the arena; called anew for each instance, over
 *   zeroed bytes or over a copy of another instance's bytes, so it must not reset or write anything
 */
export function deviceConformance(
  name: string,
  make: (place: Arena, world: TestWorld) => Specimen,
  options: ConformanceOptions = {},
): void {
  const size = options.bytes ?? 0x1_0000;

  const create = (bytes?: Uint8Array): Instance => {
    const memory = new SharedArrayBuffer(size);
    if (bytes !== undefined) new Uint8Array(memory).set(bytes);
    const world = new TestWorld();
    return { memory, world, specimen: make(new Arena(memory, 0, size), world) };
  };

  describe(`${name} conforms`, () => {
    test('construction changes nothing in memory', () => {
      const random = new Random(3);
      const bytes = new Uint8Array(size).map(() => random.next());
      expect(firstDifference(contents(create(bytes)), bytes)).toBe(-1);
    });

    test('restored from its bytes, it goes on as before', () => {
      for (let seed = 1; seed <= 12; seed++) {
        const first = create();
        first.specimen.device.reset();
        exercise(first, new Random(seed), 200);

        const second = create(contents(first));
        second.world.clock.time = first.world.clock.time;
        first.world.journal.length = 0;
        const was = exercise(first, new Random(seed + 1000), 200);
        const is = exercise(second, new Random(seed + 1000), 200);
        expect(is).toEqual(was);
        expect(second.world.journal).toEqual(first.world.journal);
        expect(firstDifference(contents(second), contents(first))).toBe(-1);
      }
    });

    test.skipIf(options.persistent === true)('reset leads to the power-on state', () => {
      for (let seed = 1; seed <= 12; seed++) {
        const used = create();
        used.specimen.device.reset();
        exercise(used, new Random(seed), 200);
        used.specimen.device.reset();

        const fresh = create();
        fresh.world.clock.time = used.world.clock.time;
        fresh.specimen.device.reset();
        expect(firstDifference(contents(used), contents(fresh))).toBe(-1);
      }
    });

    test('arbitrary accesses never throw, and values fit their width', () => {
      for (let seed = 100; seed < 110; seed++) {
        const instance = create();
        instance.specimen.device.reset();
        exercise(instance, new Random(seed), 2000);
      }
    });
  });
}

interface Instance {
  readonly memory: SharedArrayBuffer;
  readonly world: TestWorld;
  readonly specimen: Specimen;
}

function contents(instance: Instance): Uint8Array {
  return new Uint8Array(instance.memory).slice();
}

/** Address of the first byte that differs, or -1. */
function firstDifference(one: Uint8Array, other: Uint8Array): number {
  return Buffer.compare(one, other) === 0 ? -1 : one.findIndex((byte, at) => byte !== other[at]);
}

/** Does `steps` random things and returns what was seen of each. */
function exercise(instance: Instance, random: Random, steps: number): unknown[] {
  const { specimen, world } = instance;
  const actions: Array<() => unknown> = [() => pass(specimen, world.clock, random)];
  for (const { device, length } of specimen.ports ?? []) actions.push(() => usePort(device, length, random));
  for (const { device, length, vcpus } of specimen.mmio ?? []) {
    actions.push(() => useMmio(device, length, random.below(vcpus ?? 1), random));
  }
  for (const stimulus of specimen.stimuli ?? []) actions.push(() => stimulus(random));

  const seen: unknown[] = [];
  for (let step = 0; step < steps; step++) seen.push(random.pick(actions)());
  return seen;
}

/** Lets time pass: a little, a lot, or just to the next deadline; then services what is due. */
function pass(specimen: Specimen, clock: ManualClock, random: Random): number[] {
  const timers = specimen.timers ?? [];
  const next = Math.min(...timers.map((timer) => timer.deadline()));
  const step = random.below(4);
  if (step === 0 && next < clock.time + 1e15) clock.time = Math.max(clock.time, next);
  else if (step === 1) clock.time += random.below(100);
  else clock.time += random.below(step === 2 ? 100_000 : 2_000_000_000);
  return timers.map((timer) => {
    timer.service(clock.time);
    const deadline = timer.deadline();
    if (!(deadline > clock.time)) {
      throw new Error(`serviced at ${clock.time}, yet the next deadline is ${deadline}`);
    }
    return deadline;
  });
}

const SIZES: readonly AccessSize[] = [1, 2, 4];

function usePort(device: PortDevice, length: number, random: Random): number {
  const size = random.pick(SIZES.filter((bytes) => bytes <= length));
  const offset = random.below(length - size + 1);
  if (random.oneIn(2)) return fit(device.portRead(offset, size), size);
  device.portWrite(offset, size, truncate(interestingValue(random), size));
  return -1;
}

function useMmio(device: MmioDevice, length: number, vcpu: number, random: Random): number | bigint {
  if (device.mmioRead64 !== undefined && device.mmioWrite64 !== undefined && random.oneIn(4)) {
    const offset = random.below(length >>> 3) * 8;
    if (random.oneIn(2)) return fit64(device.mmioRead64(offset, vcpu));
    const value = (BigInt(interestingValue(random)) << 32n) | BigInt(interestingValue(random));
    device.mmioWrite64(offset, value, vcpu);
    return -1;
  }
  const size = random.pick(SIZES);
  // Registers are mostly aligned, so most accesses are; the others have to be survived all the same.
  const offset = random.oneIn(8) ? random.below(length - size + 1) : random.below(length >>> 2) * 4;
  if (random.oneIn(2)) return fit(device.mmioRead(offset, size, vcpu), size);
  device.mmioWrite(offset, size, truncate(interestingValue(random), size), vcpu);
  return -1;
}

/** All zeros, all ones, one bit, a small number, or anything. */
function interestingValue(random: Random): number {
  switch (random.below(6)) {
    case 0:
      return 0;
    case 1:
      return 0xffff_ffff;
    case 2:
      return (1 << random.below(32)) >>> 0;
    case 3:
      return random.below(256);
    default:
      return random.next();
  }
}

function truncate(value: number, size: AccessSize): number {
  return size === 4 ? value : value & (2 ** (8 * size) - 1);
}

function fit(value: number, size: AccessSize): number {
  if (!Number.isInteger(value) || value < 0 || value >= 2 ** (8 * size)) {
    throw new Error(`a read of ${size} bytes returned ${value}`);
  }
  return value;
}

function fit64(value: bigint): bigint {
  if (value < 0n || value >= 1n << 64n) throw new Error(`a read of 8 bytes returned ${value}`);
  return value;
}
