import { beforeEach, describe, expect, test } from 'vitest';
import type { Random } from '../../base/random.ts';
import { Arena } from '../../memory/layout.ts';
import { MmioBus } from '../../memory/mmio-bus.ts';
import { deviceConformance, TestWorld } from '../conformance.ts';
import { TestMemory } from '../storage/test-disk.ts';
import { TABLET_MOST } from './tablet.ts';
import { VirtioTablet } from './virtio-tablet.ts';

const MEMORY = 0x1_0000;
const ARENA = MEMORY + 0x8000;

/** Where the driver below puts its queue of events, of so many buffers. */
const RING = { Descriptors: 0x1000, Available: 0x2000, Used: 0x3000, Buffers: 0x4000, Size: 16 } as const;

const CONFIG = 0x2000;
const NOTIFY = 0x3000;

function make(arena: Arena, world: TestWorld) {
  const memory = new TestMemory(new Uint8Array(arena.buffer, arena.reserve(MEMORY), MEMORY));
  const outside = new Arena(new SharedArrayBuffer(0x4000), 0, 0x4000);
  const tablet = new VirtioTablet(arena, memory, { mmio: new MmioBus(outside), send: () => {} });
  tablet.fn.connectInterrupt(world.line('intx'));
  const reset = () => {
    tablet.fn.reset();
    tablet.fn.msix.reset();
    tablet.reset();
  };
  return { memory, tablet, reset };
}

/** A driver with a queue of events. */
function drive({ tablet, memory }: ReturnType<typeof make>, queue = 0): void {
  const { structures } = tablet.fn;
  const set = (offset: number, size: 1 | 2 | 4, value: number) =>
    structures.mmioWrite(offset, size, value, 0);
  set(0x14, 1, 0);
  set(0x08, 4, 1);
  set(0x0c, 4, 1); // version 1
  set(0x14, 1, 11);
  set(0x16, 2, queue);
  set(0x18, 2, RING.Size);
  set(0x20, 4, RING.Descriptors);
  set(0x28, 4, RING.Available);
  set(0x30, 4, RING.Used);
  set(0x1c, 2, 1);
  for (let i = 0; i < RING.Size; i++) {
    memory.view.setUint32(RING.Descriptors + 16 * i, RING.Buffers + 8 * i, true);
    memory.view.setUint32(RING.Descriptors + 16 * i + 8, 8, true);
    memory.view.setUint16(RING.Descriptors + 16 * i + 12, queue === 0 ? 2 : 0, true);
    memory.view.setUint16(RING.Available + 4 + 2 * i, i, true);
  }
  memory.view.setUint16(RING.Available + 2, 0, true);
  set(0x14, 1, 15);
}

deviceConformance(
  'virtio tablet',
  (arena, world) => {
    const rig = make(arena, world);
    const { tablet, memory, reset } = rig;
    return {
      device: {
        name: tablet.name,
        reset() {
          reset();
          memory.bytes.fill(0);
        },
      },
      mmio: [{ device: tablet.fn.structures, length: 0x4000 }],
      stimuli: [
        (random: Random) =>
          tablet.point(random.below(0x8000), random.below(0x8000), random.below(3) - 1, random.next()),
        (random: Random) => {
          drive(rig, random.below(2));
          for (let i = random.below(4); i > 0; i--)
            memory.bytes[0x1000 + random.below(0x2010)] = random.below(5);
        },
      ],
    };
  },
  { bytes: ARENA },
);

let world: TestWorld;
let rig: ReturnType<typeof make>;

beforeEach(() => {
  world = new TestWorld();
  rig = make(new Arena(new SharedArrayBuffer(ARENA), 0, ARENA), world);
  rig.reset();
  world.journal.length = 0;
});

/** Makes buffers available, up to a count of all that ever were. */
function offer(count: number): void {
  rig.memory.view.setUint16(RING.Available + 2, count, true);
  rig.tablet.fn.structures.mmioWrite(NOTIFY, 4, 0, 0);
}

/** What the driver has been told, as [type, code, value]. */
function told(from = 0): number[][] {
  const { view } = rig.memory;
  const count = view.getUint16(RING.Used + 2, true);
  return Array.from({ length: count - from }, (_, i) => {
    const at =
      RING.Buffers + 8 * (view.getUint32(RING.Used + 4 + 8 * ((from + i) % RING.Size), true) % RING.Size);
    return [view.getUint16(at, true), view.getUint16(at + 2, true), view.getInt32(at + 4, true)];
  });
}

/** What the configuration shows of something. */
function shown(select: number, subselect = 0): number[] {
  const { structures } = rig.tablet.fn;
  structures.mmioWrite(CONFIG, 1, select, 0);
  structures.mmioWrite(CONFIG + 1, 1, subselect, 0);
  const size = structures.mmioRead(CONFIG + 2, 1, 0);
  return Array.from({ length: size }, (_, i) => structures.mmioRead(CONFIG + 8 + i, 1, 0));
}

describe('the configuration', () => {
  test('has a name, two axes, three buttons and a wheel, and nothing else', () => {
    expect(rig.tablet.fn.configRead(0, 4)).toBe(0x1052_1af4);
    expect(String.fromCharCode(...shown(1))).toBe('Guesthouse Tablet');
    expect(shown(0x11, 3)).toEqual([3]);
    expect(shown(0x11, 2)).toEqual([0, 1]);
    expect(shown(0x11, 1).findIndex((byte) => byte !== 0)).toBe(0x110 >> 3);
    expect(shown(0x11, 1).at(-1)).toBe(7);
    expect(shown(0x12, 1)).toHaveLength(20);
    expect(shown(0x12, 1).slice(4, 8)).toEqual([0xff, 0x7f, 0, 0]);
    for (const [select, subselect] of [[0, 0], [0x10, 0], [0x11, 4], [0x12, 2], [0xff, 0]]) expect(shown(select, subselect)).toEqual([]); // prettier-ignore
  });
});

describe('events', () => {
  test('say where the pointer is, and end with a synchronisation', () => {
    drive(rig);
    offer(RING.Size);
    rig.tablet.point(1000, 2000, 0, 0);
    expect(told()).toEqual([[3, 0, 1000], [3, 1, 2000], [0, 0, 0]]); // prettier-ignore
    expect(world.journal.at(-1)).toBe('intx=1');
  });

  test('leave out what is as it was', () => {
    drive(rig);
    offer(RING.Size);
    rig.tablet.point(1000, 2000, 0, 0);
    rig.tablet.point(1000, 2000, 0, 0);
    expect(told()).toHaveLength(3);
    rig.tablet.point(1000, 2000, -1, 5);
    expect(told(3)).toEqual([[2, 8, -1], [1, 0x110, 1], [1, 0x112, 1], [0, 0, 0]]); // prettier-ignore
  });

  test('wait as one until the driver has room for them all', () => {
    drive(rig);
    offer(2);
    rig.tablet.point(10, 20, 0, 0);
    rig.tablet.point(30, 40, 1, 1);
    expect(told()).toEqual([]);
    offer(RING.Size);
    expect(told()).toEqual([[3, 0, 30], [3, 1, 40], [2, 8, 1], [1, 0x110, 1], [0, 0, 0]]); // prettier-ignore
  });

  test('a place beyond the tablet is on its edge', () => {
    drive(rig);
    offer(RING.Size);
    rig.tablet.point(-5, TABLET_MOST + 5, 0, 0);
    expect(told()).toEqual([[3, 1, TABLET_MOST], [0, 0, 0]]); // prettier-ignore
  });

  test('nobody listens before there is a driver, nor after its reset', () => {
    expect(rig.tablet.ready).toBe(false);
    drive(rig);
    expect(rig.tablet.ready).toBe(true);
    rig.tablet.fn.structures.mmioWrite(0x14, 1, 0, 0);
    expect(rig.tablet.ready).toBe(false);
    rig.tablet.point(1, 1, 0, 0);
  });

  test('rings that are none stop the device', () => {
    drive(rig);
    rig.memory.view.setUint32(RING.Descriptors + 8, 4, true);
    offer(RING.Size);
    rig.tablet.point(1, 1, 0, 0);
    expect(rig.tablet.fn.structures.mmioRead(0x14, 1, 0) & 64).toBe(64);
    drive(rig);
    offer(1000);
    rig.tablet.point(2, 2, 0, 0);
    expect(rig.tablet.ready).toBe(false);
  });
});

test('what the driver says of lights is given back', () => {
  drive(rig, 1);
  rig.memory.view.setUint16(RING.Available + 2, 3, true);
  rig.tablet.fn.structures.mmioWrite(NOTIFY + 4, 4, 1, 0);
  expect(rig.memory.view.getUint16(RING.Used + 2, true)).toBe(3);
});
