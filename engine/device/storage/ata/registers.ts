/**
 * Registers, commands and status bits of ATA, as far as several files need them.
 *
 * T13/1410D, AT Attachment with Packet Interface - 6 (ATA/ATAPI-6), clause 7 "Interface register definitions" and
 * clause 8 "Command descriptions".
 */

/** Offsets from the command block's first port (1F0h, 170h), as written; the comment says what is read. */
export const Register = {
  Data: 0,
  /** Error. */
  Features: 1,
  SectorCount: 2,
  LbaLow: 3,
  LbaMid: 4,
  LbaHigh: 5,
  Device: 6,
  /** Status. */
  Command: 7,
} as const;

/** Status register (7.15). */
export const Status = {
  Error: 1 << 0,
  /** Data request: the data register is to be read or written. */
  Drq: 1 << 3,
  /** Seek complete, set by all that are ready. */
  Seek: 1 << 4,
  DeviceFault: 1 << 5,
  Ready: 1 << 6,
  Busy: 1 << 7,
} as const;

/** Error register (7.9). */
export const ErrorBit = { Abort: 1 << 2, IdNotFound: 1 << 4, Uncorrectable: 1 << 6 } as const;

/** Device register (7.7): which of two drives, whether addresses are LBA; of queued commands, whether what they write
 * is to be on the disk before they end. */
export const Device = { Second: 1 << 4, Lba: 1 << 6, Forced: 1 << 7 } as const;

/** Device control register (7.8). */
export const Control = { NoInterrupt: 1 << 1, SoftReset: 1 << 2, HighOrder: 1 << 7 } as const;

/** Interrupt reason (the sector count register) during PACKET commands (9.13). */
export const Reason = { Command: 1 << 0, ToHost: 1 << 1 } as const;

/** Command codes (8). */
export const Command = {
  Nop: 0x00,
  DataSetManagement: 0x06,
  DeviceReset: 0x08,
  ReadSectors: 0x20,
  ReadSectorsExt: 0x24,
  ReadDmaExt: 0x25,
  ReadNativeMaxExt: 0x27,
  ReadMultipleExt: 0x29,
  ReadLogExt: 0x2f,
  WriteSectors: 0x30,
  WriteSectorsExt: 0x34,
  WriteDmaExt: 0x35,
  WriteMultipleExt: 0x39,
  WriteDmaFuaExt: 0x3d,
  Verify: 0x40,
  VerifyExt: 0x42,
  ReadFpdmaQueued: 0x60,
  WriteFpdmaQueued: 0x61,
  Seek: 0x70,
  Diagnostic: 0x90,
  InitializeParameters: 0x91,
  Packet: 0xa0,
  IdentifyPacket: 0xa1,
  ReadMultiple: 0xc4,
  WriteMultiple: 0xc5,
  SetMultiple: 0xc6,
  ReadDma: 0xc8,
  WriteDma: 0xca,
  WriteMultipleFuaExt: 0xce,
  StandbyImmediate: 0xe0,
  IdleImmediate: 0xe1,
  Standby: 0xe2,
  Idle: 0xe3,
  CheckPower: 0xe5,
  Sleep: 0xe6,
  Flush: 0xe7,
  FlushExt: 0xea,
  Identify: 0xec,
  SetFeatures: 0xef,
  ReadNativeMax: 0xf8,
} as const;

/** Codes that once stood for a command without retries, the one before them with. */
export const NO_RETRY: ReadonlySet<number> = new Set([0x21, 0x31, 0x41, 0xc9, 0xcb]);

/** Commands whose addresses are of 48 bits. */
export const WIDE_COMMANDS: ReadonlySet<number> = new Set([
  Command.ReadSectorsExt,
  Command.ReadDmaExt,
  Command.ReadNativeMaxExt,
  Command.ReadMultipleExt,
  Command.WriteSectorsExt,
  Command.WriteDmaExt,
  Command.WriteMultipleExt,
  Command.WriteDmaFuaExt,
  Command.WriteMultipleFuaExt,
  Command.VerifyExt,
]);

/** Sectors of a DRQ block at most (SET MULTIPLE MODE). */
export const MOST_MULTIPLE = 16;

/** Addresses of 28 bits reach so many sectors. */
export const LBA28_SECTORS = 2 ** 28;

/** Commands that change how fast a drive answers, with their codes in ATA-1: one without a motor is always ready. */
export const POWER_COMMANDS: ReadonlySet<number> = new Set([
  Command.StandbyImmediate,
  Command.IdleImmediate,
  Command.Standby,
  Command.Idle,
  Command.Sleep,
  0x94,
  0x95,
  0x96,
  0x97,
  0x99,
]);
