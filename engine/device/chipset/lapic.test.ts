import { describe, expect, test } from 'vitest';
import type { Random } from '../../base/random.ts';
import { Arena } from '../../memory/layout.ts';
import { VcpuEvent, vcpuLayout, type VcpuState } from '../../vcpu/state.ts';
import { deviceConformance, type ManualClock, TestWorld } from '../conformance.ts';
import type { TimedDevice } from '../device.ts';
import { LocalApics, lapicLayout, Lvt } from './lapic.ts';

/** The guest's TSC in these tests: 2 GHz. */
const TSC_PER_NS = 2n;

interface Rig {
  apics: LocalApics;
  vcpus: VcpuState[];
  world: TestWorld;
  clock: ManualClock;
  /** Vectors the PIC will give, and the ends of interrupts told to the I/O APIC. */
  pic: number[];
  ended: number[];
}

function build(
  count: number,
  place: Arena,
  world: TestWorld,
  initialId: (vcpu: number) => number = (vcpu) => vcpu,
): Rig {
  const states = Array.from({ length: count }, () => place.place(lapicLayout));
  const vcpus = Array.from({ length: count }, () => place.place(vcpuLayout));
  const pic: number[] = [];
  const ended: number[] = [];
  const apics = new LocalApics(states, vcpus, {
    clock: world.clock,
    signals: {
      raise: (vcpu, mask) => {
        vcpus[vcpu]!.events |= mask;
        world.log(`raise ${vcpu} ${mask}`);
      },
      lower: (vcpu, mask) => {
        vcpus[vcpu]!.events &= ~mask;
        world.log(`lower ${vcpu} ${mask}`);
      },
    },
    acknowledgePic: () => pic.shift() ?? 0x27,
    interruptTaken: () => world.log('taken'),
    endOfInterrupt: (vector) => {
      ended.push(vector);
      world.log(`end ${vector}`);
    },
    tscToNs: (_vcpu, tsc) => Number((tsc + TSC_PER_NS - 1n) / TSC_PER_NS),
    readTsc: () => BigInt(world.clock.now()) * TSC_PER_NS,
    initialId,
    physicalAddressBits: 40,
  });
  return { apics, vcpus, world, clock: world.clock, pic, ended };
}

/** One of the APIC's MSRs, or one beside them. */
function anyMsr(random: Random): number {
  const pick = random.below(8);
  return pick === 0 ? 0x1b : pick === 1 ? 0x6e0 : 0x800 + random.below(0x110);
}

deviceConformance('lapic', (place, world) => {
  const count = 3;
  const { apics, vcpus } = build(count, place, world);
  // The machine resets the vCPUs along with their APICs; their event words are theirs.
  const machine = {
    name: 'lapic',
    reset: () => {
      for (const vcpu of vcpus) {
        vcpu.events = 0;
        vcpu.sipiVector = 0;
      }
      apics.reset();
    },
  };
  const timers = Array.from({ length: count }, (_, vcpu): TimedDevice => ({
    deadline: () => apics.deadline(vcpu),
    service: (now) => apics.service(vcpu, now),
  }));
  return {
    device: machine,
    mmio: [{ device: apics, length: 0x1000, vcpus: count }],
    timers,
    stimuli: [
      (random) => {
        const modes = [0n, 0x800n, 0x900n, 0xc00n, 0xd00n, 0x400n];
        return apics.writeMsr(random.below(count), 0x1b, 0xfee0_0000n | random.pick(modes));
      },
      (random) => apics.mmioWrite(0xf0, 4, 0x100 | random.below(0x2000), random.below(count)),
      (random) => apics.readMsr(random.below(count), anyMsr(random)),
      (random) =>
        apics.writeMsr(random.below(count), anyMsr(random), random.next64() >> BigInt(random.below(64))),
      (random) => apics.setIntr(random.oneIn(2)),
      (random) => apics.setNmi(random.oneIn(2)),
      (random) => apics.acknowledge(random.below(count)),
      (random) => apics.setTaskPriority(random.below(count), random.below(20)),
      (random) => apics.initReset(random.below(count)),
      (random) => apics.raiseLocal(random.below(count), Lvt.Thermal),
      (random) => apics.deliverMsi(0xfee0_0000 | random.below(0x10_0000), random.next()),
    ],
  };
});

const Offset = {
  id: 0x20, version: 0x30, tpr: 0x80, ppr: 0xa0, eoi: 0xb0, ldr: 0xd0, dfr: 0xe0, svr: 0xf0, isr: 0x100,
  tmr: 0x180, irr: 0x200, esr: 0x280, icr: 0x300, icrHigh: 0x310, timer: 0x320, perf: 0x340, lint0: 0x350,
  lint1: 0x360, error: 0x370, initial: 0x380, current: 0x390, divide: 0x3e0,
} as const; // prettier-ignore
type Name = keyof typeof Offset;

interface Machine extends Rig {
  read: (vcpu: number, name: Name) => number;
  write: (vcpu: number, name: Name, value: number) => void;
  events: (vcpu: number) => number;
}

/** `count` vCPUs after reset, their APICs software-enabled with spurious vector 0xff. */
function setUp(count = 1): Machine {
  const rig = build(count, new Arena(new SharedArrayBuffer(0x2_0000), 0, 0x2_0000), new TestWorld());
  const { apics, vcpus } = rig;
  for (const [index, vcpu] of vcpus.entries()) vcpu.index = index;
  apics.reset();
  const machine: Machine = {
    ...rig,
    read: (vcpu, name) => apics.mmioRead(Offset[name], 4, vcpu),
    write: (vcpu, name, value) => apics.mmioWrite(Offset[name], 4, value >>> 0, vcpu),
    events: (vcpu) => vcpus[vcpu]!.events,
  };
  for (let vcpu = 0; vcpu < count; vcpu++) machine.write(vcpu, 'svr', 0x1ff);
  return machine;
}

const fixed = (vector: number, destination = 0, level = false) =>
  ({ destination, logical: false, mode: 0, vector, level }) as const;

describe('state after reset (SDM 3A, 11.4.7.1)', () => {
  test('registers', () => {
    const m = setUp(2);
    m.apics.reset();
    expect(m.read(0, 'svr')).toBe(0xff);
    expect(m.read(0, 'dfr')).toBe(0xffff_ffff);
    for (const name of ['timer', 'perf', 'lint0', 'lint1', 'error'] as const) {
      expect(m.read(0, name)).toBe(0x1_0000);
    }
    expect(m.read(1, 'id')).toBe(0x0100_0000);
    expect(m.read(0, 'version') & 0xff00ff).toBe(0x05_0014);
    expect(m.vcpus.map((vcpu) => vcpu.apicBase)).toEqual([0xfee0_0900n, 0xfee0_0800n]);
  });

  test('software-disabled: fixed interrupts are refused, LVT masks cannot be cleared, NMI gets through', () => {
    const m = setUp();
    m.write(0, 'svr', 0xff);
    expect(m.apics.deliver(fixed(0x40))).toBe(false);
    expect(m.apics.pending(0)).toBe(false);
    m.write(0, 'lint0', 0x700);
    expect(m.read(0, 'lint0')).toBe(0x1_0700);
    expect(m.apics.deliver({ ...fixed(0), mode: 4 })).toBe(true);
    expect(m.events(0)).toBe(VcpuEvent.Nmi);
  });
});

describe('priorities (SDM 3A, 11.8)', () => {
  test('accept, acknowledge, end: IRR to ISR to nothing', () => {
    const m = setUp();
    m.apics.deliver(fixed(0x41));
    expect(m.apics.mmioRead(Offset.irr + 0x20, 4, 0)).toBe(2);
    expect(m.events(0)).toBe(VcpuEvent.Interrupt);
    expect(m.apics.acknowledge(0)).toBe(0x41);
    expect(m.events(0)).toBe(0);
    expect(m.apics.mmioRead(Offset.irr + 0x20, 4, 0)).toBe(0);
    expect(m.apics.mmioRead(Offset.isr + 0x20, 4, 0)).toBe(2);
    expect(m.read(0, 'ppr')).toBe(0x40);
    m.write(0, 'eoi', 0);
    expect(m.apics.mmioRead(Offset.isr + 0x20, 4, 0)).toBe(0);
    expect(m.apics.acknowledge(0)).toBe(-1);
  });

  test('only a higher class interrupts the service of another', () => {
    const m = setUp();
    m.apics.deliver(fixed(0x41));
    m.apics.acknowledge(0);
    m.apics.deliver(fixed(0x4f));
    expect(m.apics.pending(0)).toBe(false);
    m.apics.deliver(fixed(0x50));
    expect(m.apics.acknowledge(0)).toBe(0x50);
    m.write(0, 'eoi', 0);
    expect(m.apics.pending(0)).toBe(false);
    m.write(0, 'eoi', 0);
    expect(m.apics.acknowledge(0)).toBe(0x4f);
  });

  test('the task priority holds back its class and below; CR8 is its upper half', () => {
    const m = setUp();
    m.apics.deliver(fixed(0x41));
    m.apics.setTaskPriority(0, 4);
    expect(m.read(0, 'tpr')).toBe(0x40);
    expect(m.events(0)).toBe(0);
    expect(m.apics.acknowledge(0)).toBe(-1);
    m.write(0, 'tpr', 0x3f);
    expect(m.apics.getTaskPriority(0)).toBe(3);
    expect(m.events(0)).toBe(VcpuEvent.Interrupt);
  });

  test('the end of a level-triggered interrupt is broadcast, unless suppressed', () => {
    const m = setUp();
    for (const svr of [0x1ff, 0x11ff]) {
      m.write(0, 'svr', svr);
      m.apics.deliver(fixed(0x41, 0, true));
      expect(m.apics.mmioRead(Offset.tmr + 0x20, 4, 0)).toBe(2);
      m.apics.acknowledge(0);
      m.write(0, 'eoi', 0);
    }
    m.apics.deliver(fixed(0x41));
    m.apics.acknowledge(0);
    m.write(0, 'eoi', 0);
    expect(m.apics.mmioRead(Offset.tmr + 0x20, 4, 0)).toBe(0);
    expect(m.ended).toEqual([0x41]);
  });
});

/** Acknowledges what has been delivered, and tells to whom. */
function receivers(m: Machine): number[] {
  return m.vcpus.flatMap((_, vcpu) => (m.apics.acknowledge(vcpu) >= 0 ? [vcpu] : []));
}

describe('destinations (SDM 3A, 11.6.2)', () => {
  test('physical and broadcast', () => {
    const m = setUp(3);
    m.apics.deliver(fixed(0x41, 2));
    expect(receivers(m)).toEqual([2]);
    expect(m.apics.deliver(fixed(0x51, 7))).toBe(false);
    m.apics.deliverMsi(0xfeef_f000, 0x61);
    expect(receivers(m)).toEqual([0, 1, 2]);
  });

  test('logical flat: one bit each', () => {
    const m = setUp(3);
    for (let vcpu = 0; vcpu < 3; vcpu++) m.write(vcpu, 'ldr', 0x0100_0000 << vcpu);
    m.apics.deliver({ ...fixed(0x41, 0b101), logical: true });
    expect(receivers(m)).toEqual([0, 2]);
  });

  test('logical cluster: the upper half must match', () => {
    const m = setUp(3);
    for (const [vcpu, id] of [0x11, 0x12, 0x21].entries()) {
      m.write(vcpu, 'dfr', 0x0fff_ffff);
      m.write(vcpu, 'ldr', id << 24);
    }
    m.apics.deliver({ ...fixed(0x41, 0x13), logical: true });
    expect(receivers(m)).toEqual([0, 1]);
    m.apics.deliver({ ...fixed(0x51, 0x21), logical: true });
    expect(receivers(m)).toEqual([2]);
  });

  test('lowest priority: one receiver, that with the lowest', () => {
    const m = setUp(3);
    for (let vcpu = 0; vcpu < 3; vcpu++) m.write(vcpu, 'ldr', 0x0100_0000 << vcpu);
    m.write(0, 'tpr', 0x20);
    m.write(2, 'tpr', 0x10);
    m.write(1, 'tpr', 0x30);
    m.apics.deliver({ ...fixed(0x41, 0b111), logical: true, mode: 1 });
    expect(receivers(m)).toEqual([2]);
  });

  test('shorthands: self, all, all but self', () => {
    const m = setUp(3);
    m.write(1, 'icr', 0x4_4041);
    expect(receivers(m)).toEqual([1]);
    m.write(1, 'icr', 0x8_4051);
    expect(receivers(m)).toEqual([0, 1, 2]);
    m.write(1, 'icr', 0xc_4061);
    expect(receivers(m)).toEqual([0, 2]);
  });
});

describe('interprocessor interrupts (SDM 3A, 11.6.1)', () => {
  test('INIT and start-up reach the vCPU with the vector; INIT de-assert does nothing', () => {
    const m = setUp(2);
    m.write(0, 'icrHigh', 0x0100_0000);
    m.write(0, 'icr', 0x8500);
    expect(m.events(1)).toBe(0);
    m.write(0, 'icr', 0xc500);
    expect(m.events(1)).toBe(VcpuEvent.Init);
    m.write(0, 'icr', 0x469a);
    expect(m.events(1)).toBe(VcpuEvent.Init | VcpuEvent.Sipi);
    expect(m.vcpus[1]!.sipiVector).toBe(0x9a);
    expect(m.read(0, 'icr')).toBe(0x469a);
  });

  test('NMI and SMI', () => {
    const m = setUp(3);
    m.write(0, 'icr', 0xc_4400);
    expect([0, 1, 2].map(m.events)).toEqual([0, VcpuEvent.Nmi, VcpuEvent.Nmi]);
    m.write(0, 'icrHigh', 0x0200_0000);
    m.write(0, 'icr', 0x4200);
    expect(m.events(2)).toBe(VcpuEvent.Nmi | VcpuEvent.Smi);
  });

  test('a vector below 16 is a send error; the ESR shows it after a write, and the error LVT tells', () => {
    const m = setUp(2);
    m.write(0, 'error', 0xfe);
    m.write(0, 'icr', 0xc_4005);
    expect(m.apics.pending(1)).toBe(false);
    expect(m.read(0, 'esr')).toBe(0);
    m.write(0, 'esr', 0);
    expect(m.read(0, 'esr')).toBe(0x20);
    expect(m.apics.acknowledge(0)).toBe(0xfe);
    m.write(0, 'esr', 0);
    expect(m.read(0, 'esr')).toBe(0);
  });

  test('a received vector below 16 and an access to no register are errors too', () => {
    const m = setUp();
    expect(m.apics.deliver(fixed(3))).toBe(false);
    m.write(0, 'esr', 0);
    expect(m.read(0, 'esr')).toBe(0x40);
    m.apics.mmioRead(0x50, 4, 0);
    m.write(0, 'esr', 0);
    expect(m.read(0, 'esr')).toBe(0x80);
  });

  test('INIT resets the registers but not the id', () => {
    const m = setUp(2);
    m.apics.deliver(fixed(0x41, 1));
    m.apics.initReset(1);
    expect(m.events(1)).toBe(0);
    expect(m.read(1, 'svr')).toBe(0xff);
    expect(m.read(1, 'id')).toBe(0x0100_0000);
  });
});

describe('local interrupts and the PIC', () => {
  test('LINT0 in ExtINT mode passes the PIC request, whatever the priority', () => {
    const m = setUp();
    m.pic.push(0x20);
    m.apics.setIntr(true);
    expect(m.apics.pending(0)).toBe(false);
    m.write(0, 'lint0', 0x700);
    m.write(0, 'tpr', 0xf0);
    expect(m.events(0)).toBe(VcpuEvent.Interrupt);
    expect(m.apics.acknowledge(0)).toBe(0x20);
    expect(m.apics.mmioRead(Offset.isr + 0x10, 4, 0)).toBe(0);
    m.apics.setIntr(false);
    expect(m.events(0)).toBe(0);
  });

  test('with the APIC disabled, INTR and NMI are pins of vCPU 0', () => {
    const m = setUp(2);
    m.apics.writeMsr(0, 0x1b, 0xfee0_0100n);
    m.apics.writeMsr(1, 0x1b, 0xfee0_0000n);
    m.apics.setIntr(true);
    m.apics.setNmi(true);
    expect([0, 1].map(m.events)).toEqual([VcpuEvent.Interrupt | VcpuEvent.Nmi, 0]);
    expect(m.apics.mmioRead(Offset.version, 4, 0)).toBe(0xffff_ffff);
    expect(m.apics.deliver(fixed(0x41))).toBe(false);
  });

  test('a message in ExtINT mode is kept until it is acknowledged', () => {
    const m = setUp(2);
    m.pic.push(0x33);
    m.apics.deliver({ ...fixed(0, 1), mode: 7 });
    expect([0, 1].map(m.events)).toEqual([0, VcpuEvent.Interrupt]);
    expect(m.apics.acknowledge(1)).toBe(0x33);
    expect(m.events(1)).toBe(0);
  });

  test('LINT1 in NMI mode: one NMI per rising edge', () => {
    const m = setUp();
    m.write(0, 'lint1', 0x400);
    m.apics.setNmi(true);
    expect(m.events(0)).toBe(VcpuEvent.Nmi);
    m.vcpus[0]!.events = 0;
    m.apics.setNmi(true);
    expect(m.events(0)).toBe(0);
    m.apics.setNmi(false);
    m.apics.setNmi(true);
    expect(m.events(0)).toBe(VcpuEvent.Nmi);
  });

  test('LINT0 fixed and level-triggered: remote IRR until EOI, then again while asserted', () => {
    const m = setUp();
    m.write(0, 'lint0', 0x8045);
    m.apics.setIntr(true);
    expect(m.read(0, 'lint0')).toBe(0xc045);
    expect(m.apics.acknowledge(0)).toBe(0x45);
    expect(m.apics.pending(0)).toBe(false);
    m.write(0, 'eoi', 0);
    expect(m.apics.acknowledge(0)).toBe(0x45);
    m.apics.setIntr(false);
    m.write(0, 'eoi', 0);
    expect(m.apics.pending(0)).toBe(false);
    expect(m.read(0, 'lint0')).toBe(0x8045);
  });
});

describe('timer (SDM 3A, 11.5.4)', () => {
  test('one-shot: counts down by the divisor, interrupts once at zero and stays there', () => {
    const m = setUp();
    m.write(0, 'timer', 0x50);
    m.write(0, 'divide', 0x3); // by 16
    m.write(0, 'initial', 100);
    expect(m.apics.deadline(0)).toBe(1600);
    m.clock.time = 800;
    expect(m.read(0, 'current')).toBe(50);
    m.clock.time = 1599;
    m.apics.service(0, 1599);
    expect(m.apics.pending(0)).toBe(false);
    m.clock.time = 1600;
    m.apics.service(0, 1600);
    expect(m.apics.acknowledge(0)).toBe(0x50);
    expect(m.read(0, 'current')).toBe(0);
    expect(m.apics.deadline(0)).toBe(Infinity);
  });

  test('the divisors: 2 to 128 by the code in bits 3, 1 and 0, and 1 for the last', () => {
    const m = setUp();
    m.write(0, 'timer', 0x50);
    const deadlines = [0x0, 0x1, 0x2, 0x3, 0x8, 0x9, 0xa, 0xb].map((divide) => {
      m.write(0, 'divide', divide);
      m.write(0, 'initial', 1000);
      return m.apics.deadline(0) / 1000;
    });
    expect(deadlines).toEqual([2, 4, 8, 16, 32, 64, 128, 1]);
  });

  test('periodic: goes on in phase however late it is served', () => {
    const m = setUp();
    m.write(0, 'timer', 0x2_0050);
    m.write(0, 'divide', 0xb);
    m.write(0, 'initial', 1000);
    m.clock.time = 3250;
    m.apics.service(0, 3250);
    expect(m.apics.acknowledge(0)).toBe(0x50);
    expect(m.apics.deadline(0)).toBe(4000);
    expect(m.read(0, 'current')).toBe(750);
    m.write(0, 'initial', 0);
    expect(m.apics.deadline(0)).toBe(Infinity);
  });

  test('a masked timer counts silently', () => {
    const m = setUp();
    m.write(0, 'timer', 0x1_0050);
    m.write(0, 'divide', 0xb);
    m.write(0, 'initial', 1000);
    expect(m.apics.deadline(0)).toBe(Infinity);
    m.clock.time = 400;
    expect(m.read(0, 'current')).toBe(600);
    m.clock.time = 2000;
    m.write(0, 'timer', 0x50);
    expect(m.apics.pending(0)).toBe(false);
    expect(m.apics.deadline(0)).toBe(Infinity);
  });

  test('a new divisor takes effect on the running count', () => {
    const m = setUp();
    m.write(0, 'timer', 0x50);
    m.write(0, 'divide', 0xb);
    m.write(0, 'initial', 1000);
    m.clock.time = 400;
    m.write(0, 'divide', 0x0);
    expect(m.read(0, 'current')).toBe(600);
    expect(m.apics.deadline(0)).toBe(400 + 1200);
  });

  test('TSC deadline: fires once when the TSC gets there and then reads as zero', () => {
    const m = setUp();
    m.apics.writeMsr(0, 0x6e0, 5000n);
    expect(m.apics.readMsr(0, 0x6e0)).toBe(0n);
    m.write(0, 'timer', 0x4_0050);
    m.write(0, 'initial', 5);
    expect(m.read(0, 'current')).toBe(0);
    m.apics.writeTscDeadline(0, 5000n);
    expect(m.apics.readTscDeadline(0)).toBe(5000n);
    expect(m.apics.deadline(0)).toBe(2500);
    m.clock.time = 2500;
    m.apics.service(0, 2500);
    expect(m.apics.acknowledge(0)).toBe(0x50);
    expect(m.apics.readTscDeadline(0)).toBe(0n);
    m.write(0, 'eoi', 0);
    m.apics.writeTscDeadline(0, 1n); // already past
    expect(m.apics.acknowledge(0)).toBe(0x50);
    m.apics.writeTscDeadline(0, 1_000_000n);
    m.write(0, 'timer', 0x50); // another mode disarms
    expect(m.apics.deadline(0)).toBe(Infinity);
  });
});

describe('x2APIC (SDM 3A, 11.12)', () => {
  const X2APIC = 0xfee0_0c00n;

  test('mode transitions: those that are not raise #GP', () => {
    const { apics } = setUp();
    const base = 0xfee0_0000n;
    const [disabled, invalid, xapic, x2apic] = [base, base | 0x400n, base | 0x800n, base | 0xc00n];
    expect(apics.writeMsr(0, 0x1b, invalid)).toBe(false);
    expect(apics.writeMsr(0, 0x1b, disabled)).toBe(true);
    expect(apics.writeMsr(0, 0x1b, x2apic)).toBe(false);
    expect(apics.writeMsr(0, 0x1b, xapic)).toBe(true);
    expect(apics.writeMsr(0, 0x1b, x2apic)).toBe(true);
    expect(apics.writeMsr(0, 0x1b, xapic)).toBe(false);
    expect(apics.writeMsr(0, 0x1b, invalid)).toBe(false);
    expect(apics.readMsr(0, 0x1b)).toBe(x2apic);
    expect(apics.writeMsr(0, 0x1b, disabled)).toBe(true);
    expect(apics.writeMsr(0, 0x1b, xapic | 1n)).toBe(false);
    expect(apics.writeMsr(0, 0x1b, xapic | (1n << 40n))).toBe(false);
  });

  test('outside of the mode its MSRs raise #GP', () => {
    const { apics } = setUp();
    expect(apics.readMsr(0, 0x802)).toBe(null);
    expect(apics.writeMsr(0, 0x80b, 0n)).toBe(false);
  });

  test('ids, and registers that are gone, read-only, write-only or have reserved bits', () => {
    const { apics } = setUp(20);
    apics.writeMsr(18, 0x1b, X2APIC);
    expect(apics.readMsr(18, 0x802)).toBe(18n);
    expect(apics.readMsr(18, 0x80d)).toBe(0x1_0004n);
    expect(apics.readMsr(18, 0x80e)).toBe(null); // DFR
    expect(apics.readMsr(18, 0x831)).toBe(null); // ICR high
    expect(apics.readMsr(18, 0x80b)).toBe(null); // EOI
    expect(apics.writeMsr(18, 0x80b, 1n)).toBe(false);
    expect(apics.writeMsr(18, 0x80b, 0n)).toBe(true);
    expect(apics.writeMsr(18, 0x802, 0n)).toBe(false);
    expect(apics.writeMsr(18, 0x828, 1n)).toBe(false);
    expect(apics.writeMsr(18, 0x808, 0x100n)).toBe(false);
    expect(apics.writeMsr(18, 0x808, 0x20n)).toBe(true);
    expect(apics.getTaskPriority(18)).toBe(2);
    expect(apics.mmioRead(0x20, 4, 18)).toBe(0xffff_ffff);
  });

  test('the ICR is one register of 64 bits; destinations are whole ids, logical by cluster', () => {
    const { apics, vcpus } = setUp(20);
    for (let vcpu = 0; vcpu < 20; vcpu++) apics.writeMsr(vcpu, 0x1b, X2APIC);
    apics.writeMsr(0, 0x830, (18n << 32n) | 0x4041n);
    expect(apics.readMsr(0, 0x830)).toBe((18n << 32n) | 0x4041n);
    expect(apics.acknowledge(18)).toBe(0x41);
    apics.writeMsr(0, 0x830, (0x1_000cn << 32n) | 0x4851n);
    const got = vcpus.flatMap((_, vcpu) => (apics.acknowledge(vcpu) === 0x51 ? [vcpu] : []));
    expect(got).toEqual([18, 19]);
    expect(apics.writeMsr(0, 0x830, 0x1000n)).toBe(false);
  });

  test('self IPI', () => {
    const { apics } = setUp(2);
    apics.writeMsr(1, 0x1b, X2APIC);
    expect(apics.writeMsr(1, 0x83f, 0x61n)).toBe(true);
    expect(apics.acknowledge(1)).toBe(0x61);
    expect(apics.readMsr(1, 0x83f)).toBe(null);
  });
});

test('after power-up and in x2APIC mode the id is that of the topology, whatever was written (SDM 3A, 11.12)', () => {
  const place = new Arena(new SharedArrayBuffer(0x2_0000), 0, 0x2_0000);
  const { apics } = build(2, place, new TestWorld(), (vcpu) => 8 * vcpu + 1);
  apics.reset();
  expect([0, 1].map((vcpu) => apics.mmioRead(0x20, 4, vcpu) >>> 24)).toEqual([1, 9]);
  apics.mmioWrite(0x20, 4, 0x55 << 24, 1);
  expect(apics.writeMsr(1, 0x1b, 0xfee0_0c00n)).toBe(true);
  expect([apics.readMsr(1, 0x802), apics.readMsr(1, 0x80d)]).toEqual([9n, 0x200n]);
});
