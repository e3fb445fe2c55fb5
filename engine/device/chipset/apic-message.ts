/**
 * Interrupt messages: what travels from I/O APICs, message-signalled interrupts and local APICs to local
 * APICs (Intel SDM 3A, 11.6 and 11.11).
 */

/** Delivery modes, as encoded in redirection entries, LVT entries, the ICR and MSI data (bits 10-8). */
export const DeliveryMode = {
  Fixed: 0,
  LowestPriority: 1,
  Smi: 2,
  Nmi: 4,
  Init: 5,
  /** Start-up; in the ICR only. */
  StartUp: 6,
  /** The vector comes from the PIC; not in the ICR. */
  ExtInt: 7,
} as const;

export interface InterruptMessage {
  /** APIC id or logical destination; {@link BROADCAST} reaches every local APIC. */
  readonly destination: number;
  /** Logical destination mode. */
  readonly logical: boolean;
  /** 0 … 7, see {@link DeliveryMode}; the reserved ones are ignored by the receivers. */
  readonly mode: number;
  readonly vector: number;
  /** Level-triggered: its end is told to the I/O APICs. */
  readonly level: boolean;
}

export const BROADCAST = 0xffff_ffff;

/** Widens an 8-bit destination, as xAPICs, I/O APICs and MSIs have: all ones is the broadcast. */
export function destinationFrom8(destination: number): number {
  return destination === 0xff ? BROADCAST : destination;
}

/** True where `address` is one that makes a write a message-signalled interrupt (SDM 3A, 11.11.1). */
export function isMsiAddress(address: number): boolean {
  return address >= 0xfee0_0000 && address <= 0xfeef_ffff;
}

/**
 * Decodes a message-signalled interrupt (SDM 3A, 11.11.1 and 11.11.2).
 *
 * @param address bits 19-12 destination, bit 3 redirection hint, bit 2 logical destination mode
 * @param data bits 7-0 vector, 10-8 delivery mode, 14 level asserted, 15 level-triggered
 * @returns null for the de-assertion of a level, which carries no interrupt
 */
export function messageFromMsi(address: number, data: number): InterruptMessage | null {
  const logical = (address & 4) !== 0;
  const level = (data & 0x8000) !== 0;
  if (level && (data & 0x4000) === 0) return null;
  let mode = (data >>> 8) & 7;
  // The redirection hint asks for one receiver out of a logical set.
  if (mode === DeliveryMode.Fixed && logical && (address & 8) !== 0) mode = DeliveryMode.LowestPriority;
  return {
    destination: destinationFrom8((address >>> 12) & 0xff),
    logical,
    mode,
    vector: data & 0xff,
    level,
  };
}
