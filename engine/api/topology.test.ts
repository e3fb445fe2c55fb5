import { expect, test } from 'vitest';
import { cpuTopology, topologyProblem } from './topology.ts';

const spread = (...args: Parameters<typeof cpuTopology>): number[] => {
  const { sockets, cores, threads } = cpuTopology(...args);
  return [sockets, cores, threads];
};

test('what is left open is filled in: cores, then sockets, then threads', () => {
  expect(spread(6)).toEqual([1, 6, 1]);
  expect(spread(8, { sockets: 2 })).toEqual([2, 4, 1]);
  expect(spread(8, { threads: 2 })).toEqual([1, 4, 2]);
  expect(spread(8, { cores: 2 })).toEqual([4, 2, 1]);
  expect(spread(8, { cores: 2, threads: 2 })).toEqual([2, 2, 2]);
  expect(spread(8, { sockets: 2, cores: 2 })).toEqual([2, 2, 2]);
  expect(spread(8, { sockets: 2, threads: 2 })).toEqual([2, 2, 2]);
});

test('a product that is not the number of vCPUs is a problem', () => {
  const problem = (...[vcpus, given]: Parameters<typeof cpuTopology>) =>
    topologyProblem(vcpus, cpuTopology(vcpus, given));
  expect(problem(8, { sockets: 2, cores: 2, threads: 2 })).toBe(null);
  expect(problem(4, { sockets: 2, cores: 3 })).toBe('2 sockets of 3 cores of 1 thread are 6 vCPUs, not 4');
  expect(problem(3, { sockets: 2 })).toBe('2 sockets of 1 core of 1 thread are 2 vCPUs, not 3');
  expect(problem(2, { sockets: 1, cores: 1, threads: 1 })).toBe(
    '1 socket of 1 core of 1 thread is 1 vCPU, not 2',
  );
});
