/**
 * Registers of an AHCI host bus adapter, and what lies in guest memory for it.
 *
 * Serial ATA AHCI 1.3 Specification, chapter 3 "HBA Memory Registers" and chapter 4 "System Memory Structures".
 */

/** Offsets of the adapter's own registers (3.1). */
export const Hba = {
  Capabilities: 0x00,
  Control: 0x04,
  InterruptStatus: 0x08,
  PortsImplemented: 0x0c,
  Version: 0x10,
} as const;

/** First port's registers, and bytes of each port's (3.3). */
export const PORTS = 0x100;
export const PORT_BYTES = 0x80;

/** Ports of the ICH9's. */
export const MOST_PORTS = 6;

/** Slots of a port's command list. */
export const SLOTS = 32;

/** 1.3 (3.1.5). */
export const VERSION = 0x0001_0300;

/** Capabilities (3.1.1): 64-bit addresses, queued commands, command list override, 3 Gb/s, nothing but AHCI, PIO of
 * several blocks, all slots; the number of ports goes into the lowest bits. */
export const CAPABILITIES =
  (2 ** 31 + (1 << 30) + (1 << 24) + (2 << 20) + (1 << 18) + (1 << 15) + ((SLOTS - 1) << 8)) >>> 0;

/** Global control (3.1.2). */
export const Control = { Reset: 1 << 0, InterruptEnable: 1 << 1, Enable: 2 ** 31 } as const;

/** Offsets of a port's registers (3.3). */
export const Port = {
  CommandList: 0x00,
  CommandListUpper: 0x04,
  Frames: 0x08,
  FramesUpper: 0x0c,
  InterruptStatus: 0x10,
  InterruptEnable: 0x14,
  Command: 0x18,
  TaskFile: 0x20,
  Signature: 0x24,
  SataStatus: 0x28,
  SataControl: 0x2c,
  SataError: 0x30,
  SataActive: 0x34,
  CommandIssue: 0x38,
} as const;

/** Port interrupts (3.3.5). */
export const Interrupt = {
  /** A register frame, a PIO set-up frame, or a set-device-bits frame has come that asks for it. */
  Register: 1 << 0,
  PioSetup: 1 << 1,
  DeviceBits: 1 << 3,
  /** A descriptor that asks for it has been processed. */
  Descriptor: 1 << 5,
  /** What SATA error says of the link: there is something new on it, and its readiness has changed. */
  Connect: 1 << 6,
  PhyReady: 1 << 22,
  /** More came than the descriptors describe. */
  Overflow: 1 << 24,
  /** The command was none that can be sent. */
  InterfaceFatal: 1 << 27,
  /** A command has failed. */
  TaskFile: 1 << 30,
} as const;

/** Port command and status (3.3.7). */
export const PortCommand = {
  Start: 1 << 0,
  SpinUp: 1 << 1,
  PowerOn: 1 << 2,
  Override: 1 << 3,
  FrameReceive: 1 << 4,
  FrameRunning: 1 << 14,
  Running: 1 << 15,
  /** What software may write: start, frame receive, ATAPI and its light. */
  Writable: (1 << 0) | (1 << 4) | (1 << 24) | (1 << 25),
  CurrentSlot: 8,
} as const;

/** SATA error (3.3.12): the bits behind {@link Interrupt.Connect} and {@link Interrupt.PhyReady}. */
export const SataError = { PhyReady: 1 << 16, Exchanged: 1 << 26 } as const;

/** Device detection in SATA control and status (3.3.10, 3.3.11). */
export const Detection = { None: 0, Reset: 1, Established: 3, Offline: 4 } as const;

/** What a port's command list and table hold (4.2). Bytes. */
export const HEADER_BYTES = 32;
export const TABLE = { Packet: 0x40, PacketBytes: 16, Descriptors: 0x80, DescriptorBytes: 16 } as const;

/** Bits of a command header's first word (4.2.2). */
export const Header = { Write: 1 << 6, FrameWords: 0x1f } as const;

/** Where received frames are put (4.2.1). */
export const Received = { PioSetup: 0x20, Register: 0x40, DeviceBits: 0x58 } as const;
