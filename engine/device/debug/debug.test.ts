import { expect, test } from 'vitest';
import { DebugConsole } from './debugcon.ts';
import { PostCodes } from './post-codes.ts';
import { DebugExit } from './debug-exit.ts';

test('the debug console sends the low byte of each write and reads as 0xE9', () => {
  const sent: number[] = [];
  const console = new DebugConsole({ write: (byte) => sent.push(byte) > 0 });
  console.portWrite(0, 1, 0x41);
  console.portWrite(0, 4, 0x1234_5642);
  expect(sent).toEqual([0x41, 0x42]);
  expect(console.portRead(0, 1)).toBe(0xe9);
  expect(console.portRead(0, 4)).toBe(0xffff_ffe9);
});

test('the debug exit port ends the machine with (value << 1) | 1', () => {
  const statuses: number[] = [];
  const exit = new DebugExit({
    reset() {},
    powerOff() {},
    exit: (status) => void statuses.push(status),
    systemManagementInterrupt() {},
  });
  exit.portWrite(0, 1, 0);
  exit.portWrite(0, 1, 0x10);
  exit.portWrite(0, 4, 0xffff_ffff);
  expect(statuses).toEqual([1, 0x21, 0xffff_ffff]);
});

test('POST codes are told; nothing answers to reads', () => {
  const codes: number[] = [];
  const port = new PostCodes((code) => void codes.push(code));
  port.portWrite(0, 1, 0x41);
  port.portWrite(0, 4, 0x1234_56fe);
  expect([codes, port.portRead() & 0xff]).toEqual([[0x41, 0xfe], 0xff]);
});
