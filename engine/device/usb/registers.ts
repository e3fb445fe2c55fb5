/**
 * The registers of the host controller.
 *
 * ```
 * BAR 0  0x0000 capability registers   0x0040 operational registers, ports from 0x0440 on
 *        0x0800 extended capabilities  0x1000 runtime registers   0x2000 doorbells, 4 bytes a slot
 * BAR 1  MSI-X table and pending bits
 * ```
 *
 * xHCI 1.2, chapter 5 "Register Interface" and 7.2 "xHCI Supported Protocol Capability".
 */

/** Device slots, and what bounds them in arrays by slot number, which begins with 1. */
export const MOST_SLOTS = 8;
export const SLOT_ENTRIES = MOST_SLOTS + 1;

/** Segments of an event ring at most: a power of two, as the register says it. */
export const MOST_EVENT_SEGMENTS_LOG = 4;

export const REGISTERS_BYTES = 0x4000;

/** Groups of registers, by offset. */
export const Group = { Operational: 0x40, Extended: 0x800, Runtime: 0x1000, Doorbells: 0x2000 } as const;

/** Capability registers (5.3). */
export const Cap = {
  Length: 0x00,
  Structure1: 0x04,
  Structure2: 0x08,
  Capability1: 0x10,
  Doorbells: 0x14,
  Runtime: 0x18,
} as const;

/** The version that is spoken, as BCD: nothing that came after it is offered. */
const VERSION = 0x0100;

/** Capability parameters 1 (5.3.6): 64-bit addresses, no secondary stream ids, and where extended capabilities are. */
const CAPABILITY_1 = (1 << 0) | (1 << 7) | ((Group.Extended >> 2) << 16);

/** Operational registers, by offset in their group (5.4). */
export const Op = {
  Command: 0x00,
  Status: 0x04,
  PageSize: 0x08,
  Notification: 0x14,
  CommandRing: 0x18,
  ContextArray: 0x30,
  Configure: 0x38,
  Ports: 0x400,
} as const;

export const PORT_BYTES = 0x10;

/** USBCMD (5.4.1). */
export const UsbCommand = {
  Run: 1 << 0,
  Reset: 1 << 1,
  InterruptEnable: 1 << 2,
  SystemErrorEnable: 1 << 3,
  Save: 1 << 8,
  Restore: 1 << 9,
  EnableWrap: 1 << 10,
  EnableU3Stop: 1 << 11,
} as const;

/** USBSTS (5.4.2). */
export const UsbStatus = {
  Halted: 1 << 0,
  SystemError: 1 << 2,
  EventInterrupt: 1 << 3,
  PortChange: 1 << 4,
  RestoreError: 1 << 10,
  ControllerError: 1 << 12,
} as const;

/** Pages of 4 KiB (5.4.3). */
export const PAGE_SIZE_4K = 1;

/** Low word of CRCR (5.4.5). */
export const CommandRing = { Cycle: 1 << 0, Stop: 1 << 1, Abort: 1 << 2, Running: 1 << 3 } as const;

/** Runtime registers, by offset in their group (5.5); those of the one interrupter come after the frame index. */
export const Runtime = { FrameIndex: 0x00, Interrupter: 0x20, End: 0x40 } as const;

/** Words of extended capabilities for ports of USB 2 alone: one Supported Protocol Capability (7.2), with the usual
 * speeds (7.2.2.1.1). */
export function extendedCapabilities(ports: number): readonly number[] {
  return [0x0200_0002, 0x2042_5355, (ports << 8) | 1, 0];
}

/** A capability register. @param offset a multiple of 4, @param ports of the root hub */
export function capabilityRegister(offset: number, ports: number): number {
  switch (offset) {
    case Cap.Length:
      return (VERSION << 16) | Group.Operational;
    case Cap.Structure1:
      return MOST_SLOTS | (1 << 8) | (ports << 24);
    case Cap.Structure2:
      return MOST_EVENT_SEGMENTS_LOG << 4;
    case Cap.Capability1:
      return CAPABILITY_1;
    case Cap.Doorbells:
      return Group.Doorbells;
    case Cap.Runtime:
      return Group.Runtime;
    default:
      return 0;
  }
}
