/**
 * Frames of a serial link (frame information structures): the command that the host sends, and what a drive answers.
 *
 * Serial ATA Revision 2.6, 10.3 "FIS Types"; AHCI 1.3, 4.2.1 and 4.2.3.1, has the same layouts.
 */
import type { Task } from '../ata/ata-drive.ts';

const FrameType = { ToDevice: 0x27, ToHost: 0x34, PioSetup: 0x5f, DeviceBits: 0xa1 } as const;

/** Bits of a frame's second byte. */
const FLAG = { Command: 0x80, Interrupt: 0x40, ToHost: 0x20 } as const;

/** Bytes of a register frame. */
export const REGISTER_FRAME = 20;

/** Device control, in frames without a command. */
const SOFT_RESET = 1 << 2;

/** What the host's frame asks for. */
export type HostFrame =
  | { readonly kind: 'command'; readonly task: Task }
  | { readonly kind: 'control'; readonly softReset: boolean };

/** Reads a frame of the host. @returns undefined where it is none that a drive takes */
export function parseHostFrame(frame: Uint8Array): HostFrame | undefined {
  if (frame.length < REGISTER_FRAME || frame[0] !== FrameType.ToDevice) return undefined;
  if ((frame[1] & FLAG.Command) === 0) return { kind: 'control', softReset: (frame[15] & SOFT_RESET) !== 0 };
  const task: Task = {
    command: frame[2],
    features: frame[3] | (frame[11] << 8),
    address: frame[4] | (frame[5] << 8) | (frame[6] << 16),
    device: frame[7],
    upperAddress: frame[8] | (frame[9] << 8) | (frame[10] << 16),
    count: frame[12] | (frame[13] << 8),
  };
  return { kind: 'command', task };
}

/** A drive's registers. */
export interface Registers {
  readonly status: number;
  readonly error: number;
  /** Number of a sector, or whatever the command puts into those registers: 48 bits. */
  readonly address: number;
  readonly device: number;
  /** 16 bits. */
  readonly count: number;
}

/** Register frame, device to host. */
export function registerFrame(registers: Registers, interrupt: boolean): Uint8Array {
  return frameOf(FrameType.ToHost, interrupt ? FLAG.Interrupt : 0, registers);
}

/** PIO set-up frame of data for the host. @param bytes of it in the last block */
export function pioSetupFrame(registers: Registers, endStatus: number, bytes: number): Uint8Array {
  const frame = frameOf(FrameType.PioSetup, FLAG.Interrupt | FLAG.ToHost, registers);
  frame[15] = endStatus;
  frame[16] = bytes & 0xff;
  frame[17] = bytes >>> 8;
  return frame;
}

/** Set-device-bits frame. @param finished queued commands that have ended, a bit each */
export function deviceBitsFrame(status: number, error: number, finished: number): Uint8Array {
  const frame = new Uint8Array(8);
  frame.set([FrameType.DeviceBits, FLAG.Interrupt, status & 0x77, error]);
  new DataView(frame.buffer).setUint32(4, finished, true);
  return frame;
}

function frameOf(
  type: number,
  flags: number,
  { status, error, address, device, count }: Registers,
): Uint8Array {
  const frame = new Uint8Array(REGISTER_FRAME);
  const byte = (index: number) => Math.floor(address / 2 ** (8 * index)) % 256;
  frame.set([type, flags, status, error, byte(0), byte(1), byte(2), device, byte(3), byte(4), byte(5)]);
  frame[12] = count & 0xff;
  frame[13] = (count >> 8) & 0xff;
  return frame;
}
