import { beforeEach, describe, expect, test } from 'vitest';
import { Random } from '../../base/random.ts';
import { Arena } from '../../memory/layout.ts';
import { MmioBus } from '../../memory/mmio-bus.ts';
import { deviceConformance, TestWorld } from '../conformance.ts';
import { PciCommand, PciRegister } from '../pci/pci-function.ts';
import { IoSlots } from './io-slots.ts';
import { TestDisk, TestMemory } from './test-disk.ts';
import { VirtioBlk, type VirtioBlkOptions } from './virtio-blk.ts';
import { Feature, VirtioStatus } from '../virtio/virtio-pci.ts';

const MEMORY = 0x4_0000;
const DISK = 2 ** 20;
const ARENA = MEMORY + DISK + 0x1_0000;

const lock = <T>(body: () => T): T => body();

function make(arena: Arena, world: TestWorld, options: Partial<VirtioBlkOptions> = {}) {
  const memory = new TestMemory(new Uint8Array(arena.buffer, arena.reserve(MEMORY), MEMORY));
  const disk = new TestDisk(new Uint8Array(arena.buffer, arena.reserve(DISK), DISK));
  // Where devices are and how often they were called off is not theirs.
  const outside = new Arena(new SharedArrayBuffer(0x4000), 0, 0x4000);
  const slots = new IoSlots(outside);
  // With a vCPU that has halted nothing is held back.
  slots.halted();
  const device = new VirtioBlk(arena, {
    name: 'blk',
    bytes: DISK,
    writable: true,
    serial: 'A SERIAL',
    queues: 2,
    memory,
    mmio: new MmioBus(outside),
    send: (address, data) => world.log(`message ${address.toString(16)} ${data}`),
    slot: slots.slot(),
    ...options,
  });
  device.fn.connectInterrupt(world.line('intx'));
  const serve = () => device.serve([disk], lock);
  const reset = () => {
    device.fn.reset();
    device.fn.msix.reset();
    device.reset();
  };
  return { memory, disk, device, slots, serve, reset };
}

deviceConformance(
  'virtio-blk',
  (arena, world) => {
    const { memory, disk, device, serve, reset } = make(arena, world);
    const { structures } = device.fn;
    const set = (offset: number, size: 1 | 2 | 4, value: number) =>
      structures.mmioWrite(offset, size, value, 0);
    return {
      device: {
        name: 'blk',
        reset() {
          reset();
          device.install();
          memory.bytes.fill(0);
          disk.bytes.fill(0);
        },
      },
      mmio: [{ device: structures, length: 0x4000 }],
      stimuli: [
        serve,
        (random: Random) => device.fn.configRead(random.below(256), random.pick([1, 2, 4])),
        (random: Random) => device.fn.configWrite(random.below(256), random.pick([1, 2, 4]), random.next()),
        // A driver that has got as far as to have a queue, and rings of noise.
        (random: Random) => {
          set(0x14, 1, 0);
          for (const [word, value] of [[0, 0xffff_ffff], [1, 1]]) {
            set(0x08, 4, word);
            set(0x0c, 4, value);
          } // prettier-ignore
          set(0x16, 2, random.below(2));
          set(0x18, 2, 4);
          set(0x20, 4, 0x1000);
          set(0x28, 4, 0x2000);
          set(0x30, 4, 0x3000);
          set(0x1c, 2, 1);
          set(0x14, 1, 15);
          for (let i = 0; i < 64; i++) memory.bytes[0x1000 + random.below(0x1010)] = random.below(5);
        },
      ],
    };
  },
  { bytes: ARENA },
);

/** A driver, as far as tests need one. */
class Driver {
  readonly rig: ReturnType<typeof make>;
  readonly size: number;
  #next = 0;
  #free = 0x8000;
  seen = 0;

  constructor(rig: ReturnType<typeof make>, features: readonly number[], size = 8, queue = 0) {
    this.rig = rig;
    this.size = size;
    this.set(0x14, 1, 0);
    this.set(0x14, 1, VirtioStatus.Acknowledge | VirtioStatus.Driver);
    const wanted = [Feature.Version1, ...features].reduce((all, bit) => all | (1n << BigInt(bit)), 0n);
    for (const word of [0, 1]) {
      this.set(0x08, 4, word);
      this.set(0x0c, 4, Number(BigInt.asUintN(32, wanted >> BigInt(32 * word))));
    }
    this.set(0x14, 1, this.get(0x14, 1) | VirtioStatus.FeaturesOk);
    this.set(0x16, 2, queue);
    this.set(0x18, 2, size);
    this.set(0x1a, 2, queue + 1);
    this.set(0x20, 4, 0x1000);
    this.set(0x28, 4, 0x2000);
    this.set(0x30, 4, 0x3000);
    this.set(0x1c, 2, 1);
    this.set(0x14, 1, this.get(0x14, 1) | VirtioStatus.DriverOk);
  }

  get(offset: number, size: 1 | 2 | 4): number {
    return this.rig.device.fn.structures.mmioRead(offset, size, 0);
  }

  set(offset: number, size: 1 | 2 | 4, value: number): void {
    this.rig.device.fn.structures.mmioWrite(offset, size, value, 0);
  }

  descriptor(index: number, address: number, length: number, flags: number, next = 0, table = 0x1000): void {
    const { view } = this.rig.memory;
    view.setBigUint64(table + 16 * index, BigInt(address), true);
    view.setUint32(table + 16 * index + 8, length, true);
    view.setUint16(table + 16 * index + 12, flags, true);
    view.setUint16(table + 16 * index + 14, next, true);
  }

  /** Makes the chain that begins at a descriptor available. */
  offer(head: number): void {
    const { view } = this.rig.memory;
    view.setUint16(0x2004 + 2 * (this.#next % this.size), head, true);
    this.#next = (this.#next + 1) & 0xffff;
    view.setUint16(0x2002, this.#next, true);
  }

  header(type: number, sector: number | bigint): number {
    const at = this.#free;
    this.#free += 16;
    this.rig.memory.view.setUint32(at, type, true);
    this.rig.memory.view.setBigUint64(at + 8, BigInt(sector), true);
    return at;
  }

  /** A request of three descriptors, carried out. @returns its status, and the bytes said to be written */
  request(
    type: number,
    sector: number | bigint,
    data: { at: number; length: number; write: boolean },
  ): number[] {
    const { view } = this.rig.memory;
    view.setUint8(0x7000, 0xee);
    this.descriptor(0, this.header(type, sector), 16, 1, 1);
    this.descriptor(1, data.at, data.length, data.write ? 3 : 1, 2);
    this.descriptor(2, 0x7000, 1, 2);
    this.offer(0);
    this.rig.serve();
    const entry = 0x3004 + 8 * (this.seen++ % this.size);
    expect(view.getUint16(0x3002, true)).toBe(this.seen);
    expect(view.getUint32(entry, true)).toBe(0);
    return [view.getUint8(0x7000), view.getUint32(entry + 4, true)];
  }
}

let world: TestWorld;
let rig: ReturnType<typeof make>;

function setUp(options: Partial<VirtioBlkOptions> = {}) {
  world = new TestWorld();
  rig = make(new Arena(new SharedArrayBuffer(ARENA), 0, ARENA), world, options);
  rig.device.install();
  rig.reset();
  rig.device.fn.configWrite(PciRegister.Command, 2, PciCommand.Memory | PciCommand.BusMaster);
  rig.disk.bytes.forEach((_, i, all) => (all[i] = (i >> 9) ^ i));
  world.journal.length = 0;
}
beforeEach(() => setUp());

const In = 0;
const Out = 1;

test('reads and writes, in and out of memory', () => {
  const driver = new Driver(rig, [9]);
  expect(driver.request(In, 3, { at: 0xa000, length: 4096, write: true })).toEqual([0, 4097]);
  expect(rig.memory.bytes.slice(0xa000, 0xb000)).toEqual(rig.disk.bytes.slice(1536, 5632));
  rig.memory.bytes.fill(0x77, 0xa000, 0xa400);
  expect(driver.request(Out, 100, { at: 0xa000, length: 1024, write: false })).toEqual([0, 1]);
  expect(rig.disk.bytes.slice(51200, 52224).every((byte) => byte === 0x77)).toBe(true);
  expect(rig.disk.journal).toEqual(['read 1536+4096', 'write 51200+1024']);
});

test('a driver without flush has its writes on the disk when they end', () => {
  const driver = new Driver(rig, []);
  driver.request(Out, 0, { at: 0xa000, length: 512, write: false });
  expect(rig.disk.journal).toEqual(['write 0+512', 'flush']);
});

test('flush, serial number, discard, zeros', () => {
  const driver = new Driver(rig, [9, 13, 14]);
  expect(driver.request(4, 0, { at: 0xa000, length: 0, write: false })).toEqual([0, 1]);
  expect(driver.request(8, 0, { at: 0xa000, length: 20, write: true })).toEqual([0, 21]);
  expect(new TextDecoder().decode(rig.memory.bytes.slice(0xa000, 0xa014)).replaceAll('\0', '')).toBe(
    'A SERIAL',
  );
  const range = (sector: number, sectors: number, flags: number) => {
    rig.memory.view.setBigUint64(0xa000, BigInt(sector), true);
    rig.memory.view.setUint32(0xa008, sectors, true);
    rig.memory.view.setUint32(0xa00c, flags, true);
    return { at: 0xa000, length: 16, write: false };
  };
  expect(driver.request(11, 0, range(8, 16, 0))).toEqual([0, 1]);
  expect(driver.request(13, 0, range(24, 8, 1))).toEqual([0, 1]);
  expect(rig.disk.journal).toEqual(['flush', 'discard 4096+8192', 'zero 12288+4096']);
  expect(driver.request(11, 0, range(DISK / 512, 1, 0))[0]).toBe(1);
  expect(driver.request(11, 0, range(0, 1, 1))[0]).toBe(2);
});

test('what cannot be done is said in the status', () => {
  const driver = new Driver(rig, [9]);
  const data = { at: 0xa000, length: 512, write: true };
  expect(driver.request(In, DISK / 512, data)[0]).toBe(1);
  expect(driver.request(In, 2n ** 64n - 1n, data)[0]).toBe(1);
  expect(driver.request(In, 0, { ...data, length: 100 })[0]).toBe(1);
  expect(driver.request(77, 0, data)[0]).toBe(2);
  rig.disk.broken = true;
  expect(driver.request(In, 0, data)[0]).toBe(1);
  setUp({ writable: false });
  expect(new Driver(rig, [9]).request(Out, 0, { ...data, write: false })[0]).toBe(1);
});

test('indirect descriptors; data in many pieces', () => {
  const driver = new Driver(rig, [9, Feature.IndirectDescriptors]);
  const table = 0x9000;
  driver.descriptor(0, driver.header(In, 0), 16, 1, 1, table);
  for (let i = 0; i < 20; i++) driver.descriptor(1 + i, 0x1_0000 + 0x1000 * i, 512, 3, 2 + i, table);
  driver.descriptor(21, 0x7000, 1, 2, 0, table);
  driver.descriptor(5, table, 22 * 16, 4);
  driver.offer(5);
  rig.serve();
  expect(rig.memory.view.getUint32(0x3008, true)).toBe(20 * 512 + 1);
  expect(rig.memory.bytes.slice(0x1_3000, 0x1_3200)).toEqual(rig.disk.bytes.slice(1536, 2048));
});

test('interrupts: by pin, by message, suppressed by flag and by event index', () => {
  const data = { at: 0xa000, length: 512, write: true };
  let driver = new Driver(rig, [9]);
  world.journal.length = 0;
  driver.request(In, 0, data);
  expect(world.journal).toEqual(['intx=1']);
  expect(driver.get(0x1000, 1)).toBe(1);
  expect(world.journal).toEqual(['intx=1', 'intx=0']);
  rig.memory.view.setUint16(0x2000, 1, true);
  driver.request(In, 0, data);
  expect(world.journal.length).toBe(2);
  rig.memory.bytes.fill(0);

  // MSI-X: the capability is the first; vector 1 is the queue's.
  const capability = rig.device.fn.configRead(PciRegister.CapabilityPointer, 1);
  rig.device.fn.configWrite(capability + 2, 2, 0x8000);
  const { msix } = rig.device.fn;
  for (const [word, value] of [[4, 0xfee0_0000], [5, 0], [6, 0x31], [7, 0]]) msix.mmioWrite(4 * word, 4, value); // prettier-ignore
  driver = new Driver(rig, [9, Feature.EventIndex]);
  world.journal.length = 0;
  driver.request(In, 0, data);
  expect(world.journal).toEqual(['message fee00000 49']);
  // The driver wants to hear of the third only.
  rig.memory.view.setUint16(0x2004 + 2 * driver.size, 2, true);
  driver.request(In, 0, data);
  expect(world.journal.length).toBe(1);
  driver.request(In, 0, data);
  expect(world.journal.length).toBe(2);
  // And the device asks to be told of the fourth.
  expect(rig.memory.view.getUint16(0x3004 + 8 * driver.size, true)).toBe(3);
});

test('requests that wait are given back together, with one interrupt where the driver waits for any of them', () => {
  const { view } = rig.memory;
  const driver = new Driver(rig, [9, Feature.EventIndex, Feature.IndirectDescriptors], 64);
  const offer = (count: number) => {
    for (let i = 0; i < count; i++) {
      const table = 0x9000 + 0x40 * i;
      driver.descriptor(0, driver.header(In, i), 16, 1, 1, table);
      driver.descriptor(1, 0x2_0000 + 512 * i, 512, 3, 2, table);
      driver.descriptor(2, 0x7000 + i, 1, 2, 0, table);
      driver.descriptor(i, table, 48, 4);
      driver.offer(i);
    }
  };
  const usedEvent = (index: number) => view.setUint16(0x2004 + 2 * driver.size, index, true);
  const usedIndex = () => view.getUint16(0x3002, true);
  world.journal.length = 0;
  usedEvent(2);
  offer(5);
  rig.serve();
  expect([usedIndex(), world.journal]).toEqual([5, ['intx=1']]);
  expect(rig.disk.journal).toEqual([0, 1, 2, 3, 4].map((sector) => `read ${512 * sector}+512`));
  for (let i = 0; i < 5; i++) expect(view.getUint32(0x3004 + 8 * i, true)).toBe(i);
  // The driver has taken those, and waits for one that is not in the next lot.
  driver.get(0x1000, 1);
  usedEvent(8);
  offer(3);
  rig.serve();
  expect([usedIndex(), world.journal]).toEqual([8, ['intx=1', 'intx=0']]);
  // More than are given back at once.
  offer(40);
  rig.serve();
  expect([usedIndex(), world.journal]).toEqual([48, ['intx=1', 'intx=0', 'intx=1']]);
});

test('what was done before a ring that breaks the rules is given back', () => {
  const driver = new Driver(rig, [9]);
  driver.descriptor(0, driver.header(In, 0), 16, 1, 1);
  driver.descriptor(1, 0xa000, 512, 3, 2);
  driver.descriptor(2, 0x7000, 1, 2);
  driver.descriptor(3, 0x7000, 16, 1, 3);
  driver.offer(0);
  driver.offer(3);
  rig.serve();
  expect(rig.memory.view.getUint16(0x3002, true)).toBe(1);
  expect(driver.get(0x14, 1) & VirtioStatus.NeedsReset).not.toBe(0);
});

test('a change of size is told, and reads back', () => {
  const driver = new Driver(rig, [9]);
  const generation = driver.get(0x15, 1);
  rig.device.resize(DISK / 2);
  expect(driver.get(0x15, 1)).not.toBe(generation);
  expect(driver.get(0x2000, 4)).toBe(DISK / 1024);
  expect(driver.get(0x1000, 1)).toBe(2);
});

test('configuration through the window in configuration space', () => {
  const { fn } = rig.device;
  let at = fn.configRead(PciRegister.CapabilityPointer, 1);
  while (fn.configRead(at, 1) !== 9 || fn.configRead(at + 3, 1) !== 5) at = fn.configRead(at + 1, 1);
  fn.configWrite(at + 4, 1, 4);
  fn.configWrite(at + 8, 4, 0x2000);
  fn.configWrite(at + 12, 4, 4);
  expect(fn.configRead(at + 16, 4)).toBe(DISK / 512);
  fn.configWrite(at + 8, 4, 0x14);
  fn.configWrite(at + 12, 4, 1);
  fn.configWrite(at + 16, 1, 3);
  expect(fn.structures.mmioRead(0x14, 1, 0)).toBe(3);
});

describe('hostile rings', () => {
  const broken = (driver: Driver) => (driver.get(0x14, 1) & VirtioStatus.NeedsReset) !== 0;

  test.each<[string, (driver: Driver) => void]>([
    ['a chain that loops', (driver) => driver.descriptor(0, 0x7000, 16, 1, 0)],
    ['a next descriptor outside', (driver) => driver.descriptor(0, 0x7000, 16, 1, 8)],
    ['an indirect table nobody agreed on', (driver) => driver.descriptor(0, 0x9000, 32, 4)],
    ['no room for a status', (driver) => driver.descriptor(0, 0x7000, 16, 0)],
    ['no header', (driver) => driver.descriptor(0, 0x7000, 16, 2)],
  ])('%s: the device needs a reset, after which it works', (_name, build) => {
    const driver = new Driver(rig, [9]);
    build(driver);
    driver.offer(0);
    rig.serve();
    expect(broken(driver)).toBe(true);
    expect(rig.disk.journal).toEqual([]);
    rig.memory.bytes.fill(0);
    const again = new Driver(rig, [9]);
    expect(again.request(In, 0, { at: 0xa000, length: 512, write: true })).toEqual([0, 513]);
  });

  test('rings of noise: it ends, keeps to the disk, and works after a reset', () => {
    for (let seed = 1; seed <= 150; seed++) {
      const random = new Random(seed);
      rig.memory.bytes.fill(0);
      const driver = new Driver(rig, [9, 13, 14, Feature.IndirectDescriptors, Feature.EventIndex], 16);
      const { view } = rig.memory;
      const address = () => random.pick([0, 0x1000, 0x7000, 0xa000, 0x3_fff0, MEMORY, 2 ** 40, 2 ** 60]);
      for (let i = 0; i < 16; i++) {
        const length = random.pick([0, 1, 16, 512, 4096, 0x1_0000, 0xffff_ffff]);
        driver.descriptor(i, address() % 2 ** 53, length, random.below(8), random.below(18));
        if (random.oneIn(8)) view.setBigUint64(0x1000 + 16 * i, random.next64(), true);
      }
      for (let i = 0; i < 3; i++) {
        view.setUint32(0x7000, random.pick([0, 1, 4, 8, 11, 13, 99]), true);
        view.setBigUint64(0x7008, random.oneIn(2) ? BigInt(random.below(4096)) : random.next64(), true);
        driver.offer(random.below(20));
        rig.serve();
      }
      if (random.oneIn(4)) view.setUint16(0x2002, random.below(65536), true);
      for (let i = 0; i < 40 && rig.serve(); i++);
    }
    rig.memory.bytes.fill(0);
    const driver = new Driver(rig, [9]);
    expect(driver.request(In, 0, { at: 0xa000, length: 512, write: true })[0]).toBe(0);
  });
});

describe('while every vCPU is busy', () => {
  const place = { at: 0xa000, length: 512, write: true };
  let time: number;
  beforeEach(() => {
    time = 100;
    setUp({ now: () => time });
  });
  /** A driver with event indices, which wants to hear of whatever has been given back since `reaped`. */
  const start = () => {
    const driver = new Driver(rig, [9, Feature.EventIndex]);
    rig.serve();
    rig.slots.woken();
    world.journal.length = 0;
    return driver;
  };
  const reap = (driver: Driver) => rig.memory.view.setUint16(0x2004 + 2 * driver.size, driver.seen, true);
  const asked = (driver: Driver) => rig.memory.view.getUint16(0x3004 + 8 * driver.size, true);
  const interrupts = () => world.journal.filter((line) => line === 'intx=1').length;

  test('requests are given back at once, and told of together when one halts', () => {
    const driver = start();
    const before = asked(driver);
    expect(driver.request(In, 3, place)).toEqual([0, 513]);
    expect(driver.request(In, 4, place)).toEqual([0, 513]);
    expect([interrupts(), asked(driver)]).toEqual([0, before]);
    expect(rig.device.due).toBeLessThan(time + 1);
    rig.slots.halted();
    expect(rig.slots.wait(0)).toBe(1);
    expect(rig.serve()).toBe(true);
    expect(interrupts()).toBe(1);
    expect(rig.serve()).toBe(false);
    expect([rig.device.due, asked(driver)]).toEqual([Infinity, driver.seen]);
  });

  test('or when their time is over', () => {
    const driver = start();
    driver.request(In, 3, place);
    while (interrupts() === 0) {
      expect(rig.device.due).toBeLessThan(102);
      time = rig.device.due;
      while (rig.serve());
    }
    expect([rig.device.due, asked(driver)]).toEqual([Infinity, driver.seen]);
  });

  test('what the driver has found by itself is not told of', () => {
    const driver = start();
    driver.request(In, 3, place);
    reap(driver);
    rig.slots.halted();
    while (rig.serve());
    expect(interrupts()).toBe(0);
    driver.request(In, 3, place);
    expect(interrupts()).toBe(1);
  });

  test('a driver that starts anew is owed nothing', () => {
    const before = start();
    for (let i = 0; i < 4; i++) {
      before.request(In, 3, place);
      rig.slots.halted();
      while (rig.serve());
      rig.slots.woken();
    }
    rig.memory.bytes.fill(0, 0x2000, 0x4000);
    const after = new Driver(rig, [9, Feature.EventIndex]);
    world.journal.length = 0;
    rig.slots.halted();
    while (rig.serve());
    expect(interrupts()).toBe(0);
    after.request(In, 3, place);
    expect(interrupts()).toBe(1);
  });

  test('one request at a time is soon told of at once', () => {
    const driver = start();
    for (let i = 0; i < 10; i++) {
      driver.request(In, i, place);
      reap(driver);
      rig.slots.halted();
      while (rig.serve());
      rig.slots.woken();
    }
    let held = 0;
    for (let i = 0; i < 100; i++) {
      driver.request(In, i, place);
      if (rig.device.due !== Infinity) held++;
      reap(driver);
      rig.slots.halted();
      while (rig.serve());
      rig.slots.woken();
    }
    expect(held).toBeLessThan(5);
  });
});
