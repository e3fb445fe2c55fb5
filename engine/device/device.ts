/**
 * What a device is, and what it may ask of the machine around it.
 *
 * A device is a class over a declared layout in the shared memory. It is constructed in every thread that
 * may run it, keeps nothing outside its layout that cannot be derived from it, and knows offsets, never
 * addresses. All of its methods are called with the device lock held.
 */

/** Width of an access in bytes. */
export type AccessSize = 1 | 2 | 4;

/** A device on the port bus. Offsets count from the first port of the range it was registered at. */
export interface PortDevice {
  /** Reads `size` bytes at `offset`, little-endian, as an unsigned number. */
  portRead(offset: number, size: AccessSize): number;
  /** Writes `value` (unsigned, `size` bytes). */
  portWrite(offset: number, size: AccessSize, value: number): void;
  /**
   * Reads at one offset again and again, as REP INS does: as often as the device can say at once what as many
   * single reads would have brought.
   *
   * @param into elements of `size` bytes
   * @returns elements read; 0 where the device wants them one at a time
   */
  portReadBlock?(offset: number, size: AccessSize, into: Uint8Array): number;
  /** The same for writes and REP OUTS. @returns elements written */
  portWriteBlock?(offset: number, size: AccessSize, from: Uint8Array): number;
}

/** A device in physical memory. The bus splits 8-byte accesses in two where the 64-bit methods are absent,
 * and never passes an access that leaves the registered range. */
export interface MmioDevice {
  /** @param vcpu index of the vCPU that makes the access (a local APIC differs by it) */
  mmioRead(offset: number, size: AccessSize, vcpu: number): number;
  mmioWrite(offset: number, size: AccessSize, value: number, vcpu: number): void;
  /** 8-byte access at a multiple of 8, where the device has registers of that width. */
  mmioRead64?(offset: number, vcpu: number): bigint;
  mmioWrite64?(offset: number, value: bigint, vcpu: number): void;
}

/** A device that each vCPU finds on a page of its own choosing: its local APIC. */
export interface LocalMmioDevice extends MmioDevice {
  /** Guest-physical address of the page, or -1 where the vCPU has none. */
  placeOf(vcpu: number): number;
}

/** What every device has. */
export interface Device {
  /** Unique in the machine; names its section in a saved state. */
  readonly name: string;
  /** Puts the device into its power-on state. Lines it drives are lowered. */
  reset(): void;
}

/** A device with something to do at a time of its own. */
export interface TimedDevice {
  /** The next moment at which {@link service} has something to do, in guest nanoseconds; Infinity if none. */
  deadline(): number;
  /** Does everything that is due at `now` (guest nanoseconds). Late calls lose nothing. */
  service(now: number): void;
}

/** An interrupt or signal line. Level: `true` is asserted. Setting a level twice is harmless. */
export type Line = (level: boolean) => void;

/** Guest time: nanoseconds since power-on, as a Number (exact for 104 days), monotonic, stopped while paused. */
export interface Clock {
  now(): number;
}

/** Wall-clock time for the RTC: milliseconds since 1970, UTC. */
export interface WallClock {
  unixMilliseconds(): number;
}

/** What a device may ask of the machine as a whole. The request is noted and carried out by the run loop
 * when the present access has ended. */
export interface MachineControl {
  /** A full reset, as by pulling RESET#. */
  reset(cause: string): void;
  /** Power off, as by ACPI S5. */
  powerOff(): void;
  /** Ends the machine with a status of the guest's choosing (the debug exit port). */
  exit(status: number): void;
  /** Raises SMI# on the bootstrap processor: firmware relocates the save area of no other. */
  systemManagementInterrupt(): void;
}
