import { beforeEach, describe, expect, test } from 'vitest';
import type { Random } from '../../base/random.ts';
import { Arena } from '../../memory/layout.ts';
import { MmioBus } from '../../memory/mmio-bus.ts';
import { deviceConformance, TestWorld } from '../conformance.ts';
import { TestMemory } from '../storage/test-disk.ts';
import { Group, Op, UsbCommand, UsbStatus } from './registers.ts';
import { DRIVER_MEMORY, PLACE, RING_TRBS, TestDriver } from './test-driver.ts';
import { Completion, TrbControl, TrbType, typeOf } from './trb.ts';
import { UsbTablet } from './usb-tablet.ts';
import { XhciController } from './xhci.ts';

const ARENA = DRIVER_MEMORY + 0x4000;

function make(arena: Arena, world: TestWorld) {
  const memory = new TestMemory(new Uint8Array(arena.buffer, arena.reserve(DRIVER_MEMORY), DRIVER_MEMORY));
  const outside = new Arena(new SharedArrayBuffer(0x4000), 0, 0x4000);
  const tablet = new UsbTablet(arena);
  const controller = new XhciController(arena, {
    mmio: new MmioBus(outside),
    memory,
    send: (address, data) => world.log(`message ${address.toString(16)}=${data}`),
    clock: world.clock,
    devices: [tablet],
  });
  controller.connectInterrupt(world.line('intx'));
  const reset = () => {
    controller.reset();
    controller.msix.reset();
    tablet.reset();
  };
  return { memory, tablet, controller, reset };
}

deviceConformance(
  'xHCI with a tablet',
  (arena, world) => {
    const { controller, memory, tablet, reset } = make(arena, world);
    return {
      device: {
        name: controller.name,
        reset() {
          reset();
          memory.bytes.fill(0);
        },
      },
      mmio: [{ device: controller.registers, length: 0x2040 }],
      timers: [controller],
      stimuli: [
        (random: Random) =>
          tablet.point(random.below(0x8000), random.below(0x8000), random.below(3) - 1, random.next()),
        (random: Random) => {
          const driver = new TestDriver(controller, memory);
          driver.start();
          driver.address();
          driver.configure();
          if (random.oneIn(2)) driver.offer(random.below(4));
          for (let i = random.below(4); i > 0; i--)
            memory.bytes[0x1000 + random.below(DRIVER_MEMORY - 0x1000)] = random.below(5);
        },
        (random: Random) => memory.view.setUint32(0x1000 + 4 * random.below(0x2000), random.next(), true),
      ],
    };
  },
  { bytes: ARENA },
);

let world: TestWorld;
let rig: ReturnType<typeof make>;
let driver: TestDriver;

beforeEach(() => {
  world = new TestWorld();
  rig = make(new Arena(new SharedArrayBuffer(ARENA), 0, ARENA), world);
  rig.reset();
  world.journal.length = 0;
  driver = new TestDriver(rig.controller, rig.memory);
});

/** A driver whose device is configured. */
function configured(): void {
  driver.start();
  expect(driver.address()).toBe(Completion.Success);
  driver.configure();
}

const descriptor = (type: number, length: number, index = 0) =>
  driver.request(0x80, 6, (type << 8) | index, 0, length);

describe('registers', () => {
  test('5.3: the capability registers say what there is', () => {
    expect(rig.controller.configRead(8, 4) >>> 8).toBe(0x0c_03_30);
    expect(rig.controller.configRead(0x60, 1)).toBe(0x30);
    expect(rig.controller.registers.mmioRead(0, 1, 0)).toBe(0x40);
    expect(rig.controller.registers.mmioRead(2, 2, 0)).toBe(0x0100);
    expect(driver.read(4)).toBe(0x0100_0108);
    // The Supported Protocol Capability: USB 2.0, one port, the first.
    const at = (driver.read(0x10) >>> 16) * 4;
    expect([0, 4, 8, 12].map((offset) => driver.read(at + offset))).toEqual([
      0x0200_0002, 0x2042_5355, 0x0101, 0,
    ]);
    expect(driver.operational(Op.PageSize)).toBe(1);
  });

  test('5.4.1: it is halted until it is told to run, and after a reset', () => {
    expect(driver.operational(Op.Status) & UsbStatus.Halted).toBe(1);
    driver.start();
    expect(driver.operational(Op.Status) & UsbStatus.Halted).toBe(0);
    driver.setOperational(Op.Command, UsbCommand.Reset);
    expect([driver.operational(Op.Command), driver.operational(Op.Status) & UsbStatus.Halted]).toEqual([
      0, 1,
    ]);
    expect(driver.operational(Op.ContextArray)).toBe(0);
  });

  test('4.23.2: what was saved is there; after a reset there is nothing to restore', () => {
    driver.start();
    driver.setOperational(Op.Command, 0);
    driver.setOperational(Op.Command, UsbCommand.Save);
    driver.setOperational(Op.Command, UsbCommand.Restore);
    expect(driver.operational(Op.Status) & UsbStatus.RestoreError).toBe(0);
    driver.setOperational(Op.Command, UsbCommand.Reset);
    driver.setOperational(Op.Command, UsbCommand.Restore);
    expect(driver.operational(Op.Status) & UsbStatus.RestoreError).toBe(UsbStatus.RestoreError);
  });

  test('5.5.1: the frame index counts microframes, and tells when it begins anew', () => {
    driver.start();
    driver.events();
    world.clock.time += 10 * 125_000;
    expect(driver.read(Group.Runtime)).toBe(10);
    expect(rig.controller.deadline()).toBe(Infinity);
    driver.setOperational(Op.Command, UsbCommand.Run | UsbCommand.EnableWrap);
    world.clock.time = rig.controller.deadline();
    expect(driver.read(Group.Runtime)).toBe(0);
    rig.controller.service(world.clock.time);
    expect(driver.events().map(typeOf)).toEqual([TrbType.WrapEvent]);
    expect(rig.controller.deadline()).toBe(world.clock.time + 0x4000 * 125_000);
  });
});

describe('the root hub', () => {
  test('4.19: a device is there from the start, and a reset enables its port', () => {
    driver.start();
    // Connected, powered, polling, full speed, connect status change.
    expect(driver.port).toBe(0x0002_06e1);
    expect(driver.events().map((event) => [typeOf(event), event.low])).toEqual([
      [TrbType.PortStatusChangeEvent, 1 << 24],
    ]);
    driver.port = 1 << 17;
    driver.port = 1 << 4;
    // Enabled, U0, reset change.
    expect(driver.port).toBe(0x0020_0603);
    expect(driver.events().map(typeOf)).toEqual([TrbType.PortStatusChangeEvent]);
    expect(driver.operational(Op.Status) & UsbStatus.PortChange).toBe(UsbStatus.PortChange);
    // Enabled is cleared by a one.
    driver.port = 2;
    expect(driver.port & 0x1e3).toBe(0x0e1);
  });

  test('4.19.2: a further change makes no event until the last was acknowledged', () => {
    driver.start();
    driver.events();
    driver.port = 1 << 4;
    expect(driver.events()).toEqual([]);
    driver.port = (1 << 17) | (1 << 21);
    driver.port = 1 << 4;
    expect(driver.events()).toHaveLength(1);
  });

  test('4.15: a suspended device is not asked, and says all when it is resumed', () => {
    configured();
    driver.offer(1);
    driver.port = (1 << 16) | (3 << 5);
    rig.tablet.point(5, 6, 0, 0);
    expect(rig.tablet.ready).toBe(false);
    driver.ring(3);
    expect(driver.transfers()).toEqual([]);
    driver.port = 0x7f << 17;
    driver.port = (1 << 16) | (15 << 5);
    driver.port = 1 << 16;
    expect(driver.port & (1 << 22)).toBe(1 << 22);
    expect(driver.report(0)).toEqual([0, 5, 6, 0]);
  });
});

describe('commands', () => {
  test('slots are given out, used up and given back', () => {
    driver.start();
    const slots = Array.from({ length: 8 }, () => driver.command(TrbType.EnableSlot).slot);
    expect(slots).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
    expect(driver.command(TrbType.EnableSlot).code).toBe(Completion.NoSlotsAvailable);
    expect(driver.command(TrbType.DisableSlot, 0, 0, 3).code).toBe(Completion.Success);
    expect(driver.command(TrbType.DisableSlot, 0, 0, 3).code).toBe(Completion.SlotNotEnabled);
    expect(driver.command(TrbType.EnableSlot).slot).toBe(3);
    expect(driver.command(TrbType.NoOpCommand).code).toBe(Completion.Success);
    expect(driver.command(62).code).toBe(Completion.TrbError);
    expect(driver.command(TrbType.DisableSlot, 0, 0, 200).code).toBe(Completion.TrbError);
  });

  test('4.6.5: Address Device in two steps, and in one', () => {
    driver.start();
    expect(driver.address(TrbControl.BlockSetAddress)).toBe(Completion.Success);
    expect([driver.stateOf(0), driver.stateOf(1)]).toEqual([1, 1]);
    expect(descriptor(1, 8)).toEqual([18, 1, 0, 2, 0, 0, 0, 64]);
    expect(driver.addressSlot()).toBe(Completion.Success);
    expect(driver.stateOf(0)).toBe(2);
    expect(rig.memory.view.getUint8(driver.context + 12)).toBe(driver.slot);
    expect(driver.addressSlot()).toBe(Completion.ContextStateError);
    // Another slot does not reach the device, which has an address, before its port is reset.
    driver.slot = driver.command(TrbType.EnableSlot).slot;
    expect(driver.addressSlot()).toBe(Completion.UsbTransactionError);
    driver.port = 1 << 4;
    expect(driver.addressSlot()).toBe(Completion.Success);
  });

  test('a context of a port that there is not, or behind a hub, is refused', () => {
    driver.start();
    driver.port = 1 << 4;
    driver.slot = driver.command(TrbType.EnableSlot).slot;
    driver.input(3, 0, [[1, 4, PLACE.Control]]);
    rig.memory.view.setUint32(PLACE.Input + 32 + 4, 2 << 16, true);
    expect(driver.command(TrbType.AddressDevice, PLACE.Input).code).toBe(Completion.TrbError);
    driver.input(3, 0, [[1, 4, PLACE.Control]]);
    rig.memory.view.setUint32(PLACE.Input + 32, 1, true);
    expect(driver.command(TrbType.AddressDevice, PLACE.Input).code).toBe(Completion.TrbError);
    driver.input(1);
    expect(driver.command(TrbType.AddressDevice, PLACE.Input).code).toBe(Completion.ParameterError);
    expect(driver.command(TrbType.AddressDevice, 0xffff_ff00).code).not.toBe(Completion.Success);
  });

  test('4.6.6: endpoints are configured, dropped and all given up', () => {
    configured();
    expect([driver.stateOf(0), driver.stateOf(3)]).toEqual([3, 1]);
    driver.input(1, 1 << 3);
    expect(driver.command(TrbType.ConfigureEndpoint, PLACE.Input).code).toBe(Completion.Success);
    expect([driver.stateOf(0), driver.stateOf(3)]).toEqual([2, 0]);
    driver.input(1 | (1 << 3), 0, [[3, 4, PLACE.Interrupt]]);
    expect(driver.command(TrbType.ConfigureEndpoint, PLACE.Input).code).toBe(Completion.ParameterError);
    driver.configure();
    expect(driver.command(TrbType.ConfigureEndpoint, 0, TrbControl.Deconfigure).code).toBe(
      Completion.Success,
    );
    expect([driver.stateOf(0), driver.stateOf(3)]).toEqual([2, 0]);
    expect(driver.command(TrbType.StopEndpoint, 0, 3 << 16).code).toBe(Completion.EndpointNotEnabled);
  });

  test('4.6.7: Evaluate Context takes the packet size of the default endpoint, and nothing else', () => {
    configured();
    driver.input(2, 0, [[1, 4, 0x4440]]);
    rig.memory.view.setUint32(PLACE.Input + 2 * 32 + 4, (8 << 16) | (4 << 3), true);
    expect(driver.command(TrbType.EvaluateContext, PLACE.Input).code).toBe(Completion.Success);
    expect(rig.memory.view.getUint32(driver.context + 36, true)).toBe((8 << 16) | (4 << 3) | 6);
    expect(rig.memory.view.getUint32(driver.context + 40, true) & ~0x3ff).toBe(PLACE.Control);
  });

  test('4.6.9: a transfer that waits is told of when its endpoint is stopped, and is done when it goes on', () => {
    configured();
    driver.offer(1);
    expect(rig.tablet.ready).toBe(true);
    const { code, transfers } = driver.command(TrbType.StopEndpoint, 0, 3 << 16);
    expect(code).toBe(Completion.Success);
    expect(transfers).toEqual([{ code: Completion.Stopped, rest: 6, dci: 3, low: PLACE.Interrupt }]);
    expect(driver.stateOf(3)).toBe(3);
    expect(rig.memory.view.getUint32(driver.context + 3 * 32 + 8, true)).toBe(PLACE.Interrupt | 1);
    expect(rig.tablet.ready).toBe(false);
    rig.tablet.point(9, 9, 0, 0);
    expect(driver.report(0)).toEqual([0, 0, 0, 0]);
    driver.ring(3);
    expect(driver.stateOf(3)).toBe(1);
    expect(driver.report(0)).toEqual([0, 9, 9, 0]);
    expect(driver.command(TrbType.ResetEndpoint, 0, 3 << 16).code).toBe(Completion.ContextStateError);
    expect(driver.command(TrbType.SetDequeuePointer, 0, 3 << 16).code).toBe(Completion.ContextStateError);
  });

  test('4.6.11: Reset Device leaves the default endpoint', () => {
    configured();
    driver.port = 1 << 4;
    expect(driver.command(TrbType.ResetDevice).code).toBe(Completion.Success);
    expect([driver.stateOf(0), driver.stateOf(1), driver.stateOf(3)]).toEqual([1, 1, 0]);
    expect(rig.tablet.ready).toBe(false);
    expect(driver.addressSlot()).toBe(Completion.Success);
    driver.configure();
    driver.offer(1);
    expect(rig.tablet.ready).toBe(true);
  });

  test('5.4.5: the command ring can be stopped, and goes on where it was', () => {
    driver.start();
    driver.command(TrbType.NoOpCommand);
    expect(driver.operational(Op.CommandRing)).toBe(8);
    driver.setOperational(Op.CommandRing, 2);
    const [event] = driver.events();
    expect([typeOf(event), event.status >>> 24, event.low]).toEqual([
      TrbType.CommandCompletionEvent,
      Completion.CommandRingStopped,
      PLACE.Commands + 16,
    ]);
    expect(driver.operational(Op.CommandRing)).toBe(0);
    expect(driver.command(TrbType.NoOpCommand).code).toBe(Completion.Success);
  });

  test('a ring is gone round again and again', () => {
    driver.start();
    for (let i = 0; i < 5 * RING_TRBS; i++)
      expect(driver.command(TrbType.NoOpCommand).code).toBe(Completion.Success);
  });
});

describe('the tablet', () => {
  test('USB 2.0, 9.6: descriptors are consistent', () => {
    driver.start();
    driver.address();
    expect(descriptor(1, 18)).toEqual([18, 1, 0, 2, 0, 0, 0, 64, 0x27, 6, 1, 0, 0, 1, 1, 2, 0, 1]);
    // What is asked for beyond the end is a short packet.
    const configuration = descriptor(2, 255);
    if (typeof configuration === 'number') throw new Error('stalled');
    expect(configuration).toHaveLength(configuration[2] | (configuration[3] << 8));
    const lengths: number[] = [];
    for (let at = 0; at < configuration.length; at += configuration[at]) lengths.push(configuration[at + 1]);
    expect(lengths).toEqual([2, 4, 0x21, 5]);
    expect(descriptor(2, 4)).toEqual(configuration.slice(0, 4));
    expect(descriptor(3, 255)).toEqual([4, 3, 9, 4]);
    const product = descriptor(3, 255, 2);
    if (typeof product === 'number') throw new Error('stalled');
    expect(Buffer.from(product.slice(2)).toString('utf16le')).toBe('Guesthouse Tablet');
    const report = driver.request(0x81, 6, 0x2200, 0, 255);
    expect(report).toHaveLength(configuration[25] | (configuration[26] << 8));
    expect(driver.request(0x81, 6, 0x2100, 0, 9)).toEqual(configuration.slice(18, 27));
  });

  test.each([
    ['a descriptor that there is not', [0x80, 6, 0x0600, 0, 10]],
    ['a string that there is not', [0x80, 6, 0x0307, 0, 10]],
    ['a request that there is not', [0xc0, 0x55, 0, 0, 10]],
    ['a configuration that there is not', [0x00, 9, 2, 0, 0]],
    ['a feature that there is not', [0x00, 3, 1, 0, 0]],
    ['an interface that there is not', [0x01, 11, 0, 3, 0]],
    ['an idle rate', [0x21, 10, 0x0500, 0, 0]],
    ['the boot protocol', [0x21, 11, 0, 0, 0]],
    ['data for the device', [0x21, 9, 0x0200, 0, 2]],
  ] as const)(
    '%s is a stall, after which the endpoint can be used again',
    (_, [type, request, value, index, length]) => {
      configured();
      expect(driver.request(type, request, value, index, length)).toBe(Completion.Stall);
      expect(driver.stateOf(1)).toBe(2);
      driver.recover();
      expect(driver.request(0x80, 8, 0, 0, 1)).toEqual([1]);
    },
  );

  test('9.4, HID 1.11 7.2: what state it is in, and requests of the class', () => {
    configured();
    expect(driver.request(0x80, 0, 0, 0, 2)).toEqual([0, 0]);
    expect(driver.request(0x02, 3, 0, 0x81)).toEqual([]);
    expect(driver.request(0x82, 0, 0, 0x81, 2)).toEqual([1, 0]);
    driver.offer(1);
    expect(driver.transfers().map(({ code }) => code)).toEqual([Completion.Stall]);
    expect(driver.request(0x02, 1, 0, 0x81)).toEqual([]);
    expect(driver.request(0x82, 0, 0, 0x81, 2)).toEqual([0, 0]);
    expect(driver.request(0x21, 10, 0, 0)).toEqual([]);
    expect(driver.request(0xa1, 2, 0, 0, 1)).toEqual([0]);
    expect(driver.request(0xa1, 3, 0, 0, 1)).toEqual([1]);
    expect(driver.request(0x21, 11, 1, 0)).toEqual([]);
    expect(driver.request(0x81, 10, 0, 0, 1)).toEqual([0]);
    expect(driver.request(0xa1, 1, 0x0100, 0, 6)).toEqual([0, 0, 0, 0, 0, 0]);
  });

  test('listens when its endpoint is polled, and says nothing before it is moved', () => {
    configured();
    expect(rig.tablet.ready).toBe(false);
    driver.offer(2);
    expect(rig.tablet.ready).toBe(true);
    expect(driver.transfers()).toEqual([]);
    rig.tablet.point(1000, 2000, -1, 5);
    expect(driver.transfers()).toEqual([{ code: Completion.Success, rest: 0, dci: 3, low: PLACE.Interrupt }]);
    expect(driver.report(0)).toEqual([5, 1000, 2000, -1]);
    // Nothing new is nothing to report.
    rig.tablet.point(1000, 2000, 0, 5);
    expect(driver.transfers()).toEqual([]);
    expect(rig.tablet.ready).toBe(true);
    driver.setOperational(Op.Command, UsbCommand.Reset);
    expect(rig.tablet.ready).toBe(false);
  });

  test('moves that wait become one, presses and releases do not', () => {
    configured();
    driver.offer(1);
    rig.tablet.point(1, 1, 0, 0);
    for (const x of [10, 20, 30]) rig.tablet.point(x, 1, 1, 0);
    rig.tablet.point(30, 1, 0, 1);
    rig.tablet.point(30, 1, 0, 0);
    rig.tablet.point(40, 1, 0, 0);
    driver.transfers();
    driver.offer(4);
    expect([0, 1, 2, 3].map((i) => driver.report(i))).toEqual([[0, 30, 1, 3], [1, 30, 1, 0], [0, 40, 1, 0], [0, 0, 0, 0]]); // prettier-ignore
  });

  test('of more than it remembers the last state is told', () => {
    configured();
    driver.offer(1);
    for (let i = 0; i < 100; i++) rig.tablet.point(i, i, 1, i & 1);
    rig.tablet.point(99, 99, 0, 0);
    const told: number[][] = [driver.report(0)];
    for (let i = 0; i < 20; i++) {
      driver.events();
      driver.offer(1);
      told.push(driver.report(0));
    }
    expect(told.at(-1)?.slice(0, 3)).toEqual([0, 99, 99]);
  });

  test('a report that does not fit its buffer stops the endpoint', () => {
    configured();
    driver.offer(1, 4);
    rig.tablet.point(1, 1, 0, 0);
    expect(driver.transfers().map(({ code }) => code)).toEqual([Completion.BabbleDetected]);
    expect(driver.stateOf(3)).toBe(2);
  });

  test('4.11.5.2: Event Data TRBs tell how much was moved', () => {
    configured();
    const chained = (TrbType.Normal << 10) | TrbControl.Chain;
    driver.putInterrupt(PLACE.Data + 0x100, 4, chained);
    driver.putInterrupt(PLACE.Data + 0x104, 60, chained | TrbControl.InterruptOnShortPacket);
    driver.putInterrupt(0x1234_5678, 0, (TrbType.EventData << 10) | TrbControl.InterruptOnCompletion);
    driver.ring(3);
    rig.tablet.point(1, 2, 0, 0);
    const events = driver.transfers();
    expect(events).toEqual([
      { code: Completion.ShortPacket, rest: 58, dci: 3, low: PLACE.Interrupt + 16 },
      { code: Completion.ShortPacket, rest: 6, dci: 3, low: 0x1234_5678 },
    ]);
    expect(driver.report(0)).toEqual([0, 1, 2, 0]);
  });
});

describe('interrupts', () => {
  test('4.17: the pin is up until the driver has acknowledged, and the handler is not interrupted', () => {
    driver.start();
    expect(world.journal.at(-1)).toBe('intx=1');
    driver.setInterrupter(0, 3);
    expect(world.journal.at(-1)).toBe('intx=0');
    // Event handler busy.
    driver.write(Group.Doorbells, 0);
    driver.port = 0x7f << 17;
    driver.port = 1 << 4;
    expect(world.journal.at(-1)).toBe('intx=0');
    // What came meanwhile interrupts when the handler is done without it.
    driver.setInterrupter(0x18, (PLACE.Events + 16) | 8);
    expect(world.journal.at(-1)).toBe('intx=1');
    expect(driver.operational(Op.Status) & UsbStatus.EventInterrupt).toBe(UsbStatus.EventInterrupt);
    driver.setOperational(Op.Command, UsbCommand.Run);
    expect(world.journal.at(-1)).toBe('intx=0');
  });

  test('a message takes the place of the pin', () => {
    const { msix } = rig.controller;
    for (const [word, value] of [[0, 0xfee0_0000], [1, 0], [2, 0x31], [3, 0]]) msix.mmioWrite(4 * word, 4, value); // prettier-ignore
    rig.controller.configWrite(rig.controller.capabilityOffset(0) + 2, 2, 0x8000);
    driver.start();
    expect(world.journal.filter((line) => line.startsWith('message'))).toEqual(['message fee00000=49']);
    expect(world.journal).not.toContain('intx=1');
    expect(driver.interrupter(0)).toBe(2);
  });

  test('an event that blocks its interrupt makes none', () => {
    configured();
    driver.setInterrupter(0, 3);
    driver.events();
    const control = (TrbType.NoOp << 10) | TrbControl.InterruptOnCompletion | TrbControl.BlockEventInterrupt;
    world.journal.length = 0;
    driver.putInterrupt(0, 0, control);
    driver.ring(3);
    expect(world.journal).not.toContain('intx=1');
    expect(driver.transfers()).toHaveLength(1);
  });

  test('4.9.4: a full event ring is told of, and what waits goes on when there is room', () => {
    configured();
    driver.events();
    const control = (TrbType.NoOp << 10) | TrbControl.InterruptOnCompletion;
    let put = 0;
    const seen: number[] = [];
    // More than the event ring holds, without taking any.
    for (; put < 14; put++) driver.putInterrupt(0, 0, control);
    driver.ring(3);
    for (let i = 0; i < 4; i++) driver.putControl(0, 0, control);
    driver.ring(1);
    seen.push(...driver.events().map(typeOf));
    expect(seen).toHaveLength(RING_TRBS - 1);
    expect(seen.at(-1)).toBe(TrbType.HostControllerEvent);
    expect(driver.events().map(typeOf)).toEqual(Array(4).fill(TrbType.TransferEvent));
  });
});

describe('what drivers must not do', () => {
  const failed = () => (driver.operational(Op.Status) & UsbStatus.ControllerError) !== 0;

  test('a command ring that leads in circles is the controller’s error, until it is reset', () => {
    driver.start();
    rig.memory.view.setUint32(PLACE.Commands, PLACE.Commands, true);
    rig.memory.view.setUint32(PLACE.Commands + 12, (TrbType.Link << 10) | 1, true);
    driver.write(Group.Doorbells, 0);
    expect(failed()).toBe(true);
    expect(driver.operational(Op.Status) & UsbStatus.Halted).toBe(1);
    configured();
    expect(failed()).toBe(false);
  });

  test('a transfer ring that leads in circles is the endpoint’s error', () => {
    configured();
    rig.memory.view.setUint32(PLACE.Interrupt, PLACE.Interrupt, true);
    rig.memory.view.setUint32(PLACE.Interrupt + 12, (TrbType.Link << 10) | 1, true);
    driver.ring(3);
    expect(driver.transfers().map(({ code }) => code)).toEqual([Completion.TrbError]);
    expect(driver.stateOf(3)).toBe(4);
    expect(failed()).toBe(false);
    expect(driver.command(TrbType.SetDequeuePointer, PLACE.Interrupt | 1, 3 << 16).code).toBe(
      Completion.Success,
    );
  });

  test('transfers without an end are the endpoint’s error', () => {
    configured();
    for (let i = 0; i < 15; i++) driver.putInterrupt(0, 0, TrbType.NoOp << 10);
    // The link back does not toggle the cycle: the driver's TRBs are there for ever.
    rig.memory.view.setUint32(PLACE.Interrupt + 15 * 16 + 12, (TrbType.Link << 10) | 1, true);
    driver.ring(3);
    expect(driver.stateOf(3)).toBe(4);
  });

  test.each([
    ['no segments', () => driver.setInterrupter(0x08, 0)],
    ['too many segments', () => driver.setInterrupter(0x08, 17)],
    ['a segment too small', () => rig.memory.view.setUint32(PLACE.Segments + 8, 4, true)],
    ['a table in no memory', () => driver.setInterrupter(0x14, 0x1000)],
  ])('an event ring with %s is the controller’s error', (_, spoil) => {
    driver.start();
    spoil();
    driver.port = 0x7f << 17;
    driver.port = 1 << 4;
    expect(failed()).toBe(true);
  });

  test('contexts and rings in no memory are errors of commands and endpoints', () => {
    driver.start();
    driver.setOperational(Op.ContextArray + 4, 0xff);
    driver.address();
    driver.ring(1);
    configured();
    driver.command(TrbType.StopEndpoint, 0, 3 << 16);
    driver.command(TrbType.SetDequeuePointer, 0xffff_0001, 3 << 16);
    driver.ring(3);
    expect(driver.stateOf(3)).not.toBe(1);
    expect(failed()).toBe(false);
  });

  test('nothing is touched before the function may be bus master', () => {
    driver.start();
    driver.events();
    rig.controller.configWrite(4, 2, 2);
    driver.port = 0x7f << 17;
    driver.port = 1 << 4;
    expect(driver.events()).toEqual([]);
    rig.controller.configWrite(4, 2, 6);
    expect(driver.events().map(typeOf)).toEqual([TrbType.PortStatusChangeEvent]);
  });
});
