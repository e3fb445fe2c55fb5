import { expect, test } from 'vitest';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { parseVcpus } from './vcpu-options.ts';

test.each([
  ['3', { vcpus: 3 }],
  ['8,sockets=2', { vcpus: 8, topology: { sockets: 2 } }],
  ['8,threads=2,cores=2', { vcpus: 8, topology: { cores: 2, threads: 2 } }],
  ['cores=2,threads=2', { vcpus: 4, topology: { cores: 2, threads: 2 } }],
])('%s', (text, expected) => {
  expect(parseVcpus(text)).toEqual(expected);
});

test.each([
  ['', "--vcpus must be a whole number from 1 to 64, not ''"],
  ['0', '--vcpus must be a whole number'],
  ['65', '--vcpus must be a whole number'],
  ['2,cores', "--vcpus: cores must be a whole number from 1 to 64, not ''"],
  ['2,cores=-1', "not '-1'"],
  ['2,cores=2,cores=2', '--vcpus gives cores twice'],
  ['2,maxcpus=4', "--vcpus knows no 'maxcpus', only sockets, cores, threads"],
  ['2,', "--vcpus knows no ''"],
  ['6,sockets=2,cores=2', '--vcpus: 2 sockets of 2 cores of 1 thread are 4 vCPUs, not 6'],
  ['2,sockets=3', '--vcpus: 3 sockets of 1 core of 1 thread are 3 vCPUs, not 2'],
  ['sockets=9,cores=8', '--vcpus must be at most 64, not 72'],
])('%j is refused in one line', (text, expected) => {
  expect(() => parseVcpus(text)).toThrow(GuesthouseError);
  expect(() => parseVcpus(text)).toThrow(expected);
});
