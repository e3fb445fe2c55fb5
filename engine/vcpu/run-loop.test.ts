import { expect, test } from 'vitest';
import { type AcceleratedVcpu, ExitReason, type IoExit } from '../accel/contract.ts';
import { GuestClock } from './clock.ts';
import { Mutex } from '../base/mutex.ts';
import { Arena } from '../memory/layout.ts';
import { MmioBus } from '../memory/mmio-bus.ts';
import { PortBus } from '../memory/port-bus.ts';
import { ExitCounters } from './exit-counters.ts';
import { initializeVcpu } from './init.ts';
import { RunLoop } from './run-loop.ts';
import { RunState } from './run-state.ts';
import { VcpuSignals } from './signals.ts';
import { Activity, Flag, VcpuEvent, vcpuLayout } from './state.ts';

/** A "guest" of steps, each of which says with what exit it leaves. */
type Step = (io: IoExit) => ExitReason;

function setUp(steps: Step[], index = 0, more: Partial<AcceleratedVcpu> = {}) {
  const buffer = new SharedArrayBuffer(65536);
  const arena = new Arena(buffer, 16, buffer.byteLength);
  const addresses = Array.from({ length: index + 1 }, () => arena.reserve(vcpuLayout.size));
  const state = vcpuLayout.bind(buffer, addresses[index]);
  state.index = index;
  const signals = new VcpuSignals(buffer, addresses);
  const clock = new GuestClock(arena);
  clock.start();
  const notes: string[] = [];
  const runState = new RunState(arena, signals, clock, (line) => notes.push(line));
  const ports = new PortBus(arena);
  const mmio = new MmioBus(arena);
  const counters = new ExitCounters(arena);
  const devices = new Mutex(buffer, arena.reserve(16));
  const done: string[] = [];
  const timers = { at: Infinity, deadline: () => timers.at, service: (_now: number) => {} };
  let instructions = 0;
  const vcpu: AcceleratedVcpu = {
    state,
    io: { address: 0, size: 1, write: false, data: 0n },
    run() {
      instructions += 10;
      const step = steps.shift();
      if (step !== undefined) return step(vcpu.io);
      runState.stop();
      return ExitReason.Interrupted;
    },
    detail: () => 'what happened',
    instructions: () => instructions,
    ...more,
  };
  const loop = new RunLoop({
    index,
    vcpu,
    signals,
    runState,
    counters,
    clock,
    devices,
    ports,
    mmio,
    timers,
    timersTouched: () => {},
    sleeping: () => {},
    halted: () => {},
    woken: () => {},
    floatError: () => done.push(`FERR#, ${devices.tryLock() ? 'unlocked' : 'locked'}`),
    startedUp: () => done.push('started'),
    initialize: () => {
      done.push('init');
      initializeVcpu(state, buffer, addresses[index], () => (state.rip = 0xfff0n));
      state.activity = Activity.WaitForSipi;
    },
    resetMachine: () => done.push('reset'),
  });
  return { loop, ports, mmio, state, signals, runState, counters, timers, done, notes, devices, vcpu, clock };
}

test('port and memory accesses reach the devices, with the device lock held', () => {
  const read: bigint[] = [];
  const machine = setUp([
    (io) => (Object.assign(io, { address: 0x3f9, size: 2, write: true, data: 0xbeefn }), ExitReason.PortIo),
    (io) => (Object.assign(io, { address: 0x3fa, size: 1, write: false }), ExitReason.PortIo),
    (io) => (read.push(io.data), Object.assign(io, { address: 0x1008, size: 8 }), ExitReason.Mmio),
    (io) => (read.push(io.data), Object.assign(io, { address: 0x9000, size: 4 }), ExitReason.Mmio),
    (io) => (read.push(io.data), ExitReason.Interrupted),
  ]);
  const seen: string[] = [];
  const locked = () => expect(machine.devices.tryLock()).toBe(false);
  machine.ports.register(
    {
      portRead: (offset) => (locked(), 0x40 + offset),
      portWrite: (offset, size, value) => seen.push(`${offset} ${size} ${value.toString(16)}`),
    },
    0x3f8,
    8,
  );
  machine.mmio.register({ mmioRead: (offset) => (locked(), offset), mmioWrite: () => {} }, 0x1000, 0x1000);
  machine.ports.reset();
  machine.mmio.reset();
  expect(machine.loop.run()).toEqual({ kind: 'stopped' });
  expect(seen).toEqual(['1 2 beef']);
  expect(read).toEqual([0x42n, 0x0000000c00000008n, 0xffffffffn]);
  const { exits, instructions, accesses } = ExitCounters.sum([machine.counters]);
  expect(accesses.map(({ kind, address, count }) => [kind, address, count])).toEqual([
    ['port', 0x3f9, 1],
    ['port', 0x3fa, 1],
    ['memory', 0x1008, 1],
    ['memory', 0x9000, 1],
  ]);
  expect(exits.filter(({ count }) => count > 0).map(({ reason, count }) => [reason, count])).toEqual([
    ['Interrupted', 2],
    ['PortIo', 2],
    ['Mmio', 2],
  ]);
  expect(instructions).toBe(60);
});

test('what a device asks for is done when its access has ended', () => {
  const machine = setUp([
    (io) => (Object.assign(io, { address: 0x64, size: 1, write: true, data: 0xfen }), ExitReason.PortIo),
    (io) => (Object.assign(io, { address: 0xf4, size: 1, write: true, data: 3n }), ExitReason.PortIo),
    () => ExitReason.InternalError,
  ]);
  const control = machine.runState;
  machine.ports.register({ portRead: () => 0, portWrite: () => control.reset('keyboard') }, 0x64, 1);
  machine.ports.register({ portRead: () => 0, portWrite: (_o, _s, v) => control.exit(v) }, 0xf4, 1);
  machine.ports.reset();
  expect(machine.loop.run()).toEqual({ kind: 'exit', status: 3 });
  expect(machine.done).toEqual(['reset']);
  expect(machine.notes).toEqual(['reset: keyboard']);
});

test('HLT sleeps until a timer raises an interrupt that the guest lets through', () => {
  const machine = setUp([() => ExitReason.Halt]);
  machine.state.flagsSys = Flag.IF;
  const start = machine.clock.now();
  machine.timers.at = start + 5e6;
  machine.timers.service = () => {
    machine.timers.at = Infinity;
    machine.signals.raise(0, VcpuEvent.Interrupt);
  };
  expect(machine.loop.run()).toEqual({ kind: 'stopped' });
  expect(machine.clock.now() - start).toBeGreaterThanOrEqual(5e6);
});

test('with interrupts off, HLT does not end with an interrupt, but with an NMI', () => {
  const machine = setUp([() => ExitReason.Halt]);
  machine.signals.raise(0, VcpuEvent.Interrupt);
  let services = 0;
  machine.timers.at = machine.clock.now();
  machine.timers.service = (now) => {
    machine.timers.at = now + 1e6;
    if (++services === 3) machine.signals.raise(0, VcpuEvent.Nmi);
  };
  expect(machine.loop.run()).toEqual({ kind: 'stopped' });
  expect(services).toBe(3);
});

test('INIT keeps what the manual says it keeps, and the vCPU waits for SIPI', () => {
  const machine = setUp([
    () => {
      machine.state.fcw = 0x37f;
      machine.state.cr0 = 1n << 30n;
      machine.signals.raise(0, VcpuEvent.Init | VcpuEvent.Sipi);
      machine.state.sipiVector = 0x9a;
      return ExitReason.Interrupted;
    },
  ]);
  expect(machine.loop.run()).toEqual({ kind: 'stopped' });
  expect(machine.done).toEqual(['init', 'started']);
  expect(machine.state.fcw).toBe(0x37f);
  expect(machine.state.cr0).toBe(1n << 30n);
  expect(machine.state.segSelector[1]).toBe(0x9a00);
  expect(machine.state.segBase[1]).toBe(0x9a000n);
  expect(machine.state.rip).toBe(0n);
});

test('SIPI does nothing to a vCPU that does not wait for it', () => {
  const machine = setUp([() => (machine.signals.raise(0, VcpuEvent.Sipi), ExitReason.Interrupted)]);
  machine.state.rip = 0x1234n;
  machine.loop.run();
  expect(machine.state.rip).toBe(0x1234n);
  expect(machine.signals.load(0) & VcpuEvent.Sipi).toBe(0);
});

test('a guest that polls a port cannot starve the timers', () => {
  const machine = setUp(
    Array.from({ length: 40 }, (): Step => (io) => (Object.assign(io, { address: 0x61 }), ExitReason.PortIo)),
  );
  let services = 0;
  machine.timers.at = 0;
  machine.timers.service = () => services++;
  machine.loop.run();
  expect(services).toBeGreaterThanOrEqual(40 / 8);
});

test('a triple fault and a defect end the loop, and every other vCPU with it', () => {
  const shutdown = setUp([() => ExitReason.Shutdown]);
  expect(shutdown.loop.run()).toEqual({ kind: 'shutdown' });
  expect(shutdown.runState.attend(0, () => {})).toEqual({ kind: 'fault' });
  expect(setUp([() => ExitReason.InternalError]).loop.run()).toEqual({
    kind: 'internal',
    detail: 'what happened',
  });
});

test('before registers are looked at or changed, the accelerator brings them up to date', () => {
  const order: string[] = [];
  const machine = setUp(
    [
      () => (machine.signals.raise(0, VcpuEvent.Init | VcpuEvent.Sipi), ExitReason.Interrupted),
      () => ExitReason.Interrupted,
    ],
    0,
    {
      synchronize: () => {
        order.push(`synchronized, ${machine.done.length} done`);
        return null;
      },
    },
  );
  machine.loop.run();
  expect(order[0]).toBe('synchronized, 0 done');
  expect(machine.done).toEqual(['init', 'started']);
});

test('an access that turns up meanwhile is served first', () => {
  const written: number[] = [];
  let left = 3;
  const machine = setUp([() => (machine.runState.reset('test'), ExitReason.Interrupted)], 0, {
    synchronize: () => {
      if (left === 0) return null;
      left--;
      Object.assign(machine.vcpu.io, { address: 0x80, size: 1, write: true, data: BigInt(left) });
      return ExitReason.PortIo;
    },
  });
  machine.ports.register({ portRead: () => 0, portWrite: (_o, _s, value) => written.push(value) }, 0x80, 1);
  machine.ports.reset();
  machine.loop.run();
  expect(written).toEqual([2, 1, 0]);
  expect(machine.done).toEqual(['reset']);
});

test('an accelerator that is not left by itself is told when the next timer is due', () => {
  const told: number[] = [];
  const machine = setUp([() => ExitReason.Interrupted, () => ExitReason.Interrupted], 0, {
    setDeadline: (deadline) => told.push(deadline),
  });
  machine.timers.at = 1e15;
  machine.loop.run();
  expect(told.length).toBeGreaterThanOrEqual(2);
  expect(new Set(told)).toEqual(new Set([1e15]));
});

test('FERR# reaches the board once, with the device lock held', () => {
  const machine = setUp([
    () => (machine.signals.raise(0, VcpuEvent.FloatError), ExitReason.Interrupted),
    () => ExitReason.Interrupted,
  ]);
  machine.loop.run();
  expect(machine.done).toEqual(['FERR#, locked']);
});

test('a guest that sees a time at which a timer was due is left, and only then', () => {
  const seen: number[] = [];
  const look = (at: number) => () => {
    machine.loop.timeSeen(at);
    seen.push(machine.signals.load(0) & VcpuEvent.Kick);
    return ExitReason.Interrupted;
  };
  const machine = setUp([look(4e15), look(5e15), look(6e15), look(7e15)]);
  // Far off: the clock itself does not get there.
  machine.timers.at = 5e15;
  machine.timers.service = () => {};
  expect(machine.loop.run()).toEqual({ kind: 'stopped' });
  const { Kick } = VcpuEvent;
  expect(seen).toEqual([0, Kick, Kick, Kick]);
  machine.timers.at = Infinity;
  expect(look(8e15)()).toBe(ExitReason.Interrupted);
  expect(seen.at(-1)).toBe(0);
});

test('a guest may go on until a timer is due, or it has not been left for long', () => {
  const seen: boolean[] = [];
  const machine = setUp([
    // From here on no time goes by, however long the host takes.
    () => (machine.clock.stop(), ExitReason.Interrupted),
    () => {
      seen.push(machine.loop.isDue());
      machine.timers.at = machine.clock.now();
      seen.push(machine.loop.isDue());
      machine.timers.at = Infinity;
      seen.push(machine.loop.isDue());
      machine.clock.start();
      const until = machine.clock.now() + 2e6;
      while (machine.clock.now() < until);
      seen.push(machine.loop.isDue());
      return ExitReason.Interrupted;
    },
  ]);
  // Nobody has looked at the timers yet.
  expect(machine.loop.isDue()).toBe(true);
  expect(machine.loop.run()).toEqual({ kind: 'stopped' });
  expect(seen).toEqual([false, true, false, true]);
});
