import { expect, test } from 'vitest';
import { MOST_VCPUS } from '../api/config.ts';
import { Topology } from './topology.ts';

const ids = (topology: Topology): number[] =>
  Array.from({ length: topology.vcpus }, (_, vcpu) => topology.apicId(vcpu));

test('vCPUs of one socket are numbered through', () => {
  expect(ids(Topology.ofCores(6))).toEqual([0, 1, 2, 3, 4, 5]);
});

test('socket, core and thread have bits of their own (SDM 3A, 10.9.1)', () => {
  const topology = new Topology({ sockets: 2, cores: 3, threads: 2 });
  expect(ids(topology)).toEqual([0, 1, 2, 3, 4, 5, 8, 9, 10, 11, 12, 13]);
  expect([topology.coreShift, topology.socketShift, topology.apicIdLimit]).toEqual([1, 3, 14]);
  expect(topology.place(9)).toEqual({ socket: 1, core: 1, thread: 1 });
});

test('8 bits hold every APIC id, whatever the topology, and no two are the same', () => {
  for (let sockets = 1; sockets <= MOST_VCPUS; sockets++) {
    for (let cores = 1; sockets * cores <= MOST_VCPUS; cores++) {
      for (let threads = 1; sockets * cores * threads <= MOST_VCPUS; threads++) {
        const topology = new Topology({ sockets, cores, threads });
        const all = ids(topology);
        expect(new Set(all).size).toBe(topology.vcpus);
        expect(Math.max(...all)).toBeLessThan(255);
      }
    }
  }
});
