/**
 * Who an interrupt message is for: destinations as the ICR gives them and as local APICs compare them
 * (Intel SDM 3A, 11.6.1, 11.6.2 and 11.12.10).
 */
import { BROADCAST, destinationFrom8, type InterruptMessage } from './apic-message.ts';
import type { LapicState } from './lapic-state.ts';

/** Destination shorthands, ICR bits 19-18. */
export const Shorthand = { None: 0, Self: 1, All: 2, AllButSelf: 3 } as const;

/** Cluster in bits 31-16, one bit of 15-0 (SDM 3A, 11.12.10.2). */
export function x2apicLogicalId(id: number): number {
  return ((id >>> 4) << 16) | (1 << (id & 0xf));
}

/** The message that an ICR asks to send. Interprocessor interrupts are edges, whatever the trigger bit. A
 * shorthand that reaches more than the sender gives a broadcast. */
export function messageFromIcr(apic: LapicState, x2apic: boolean): InterruptMessage {
  const byDestination = apic.icrLow >>> 18 === Shorthand.None;
  const destination = x2apic ? apic.icrHigh : destinationFrom8(apic.icrHigh >>> 24);
  return {
    destination: byDestination ? destination : BROADCAST,
    logical: byDestination && (apic.icrLow & 0x800) !== 0,
    mode: (apic.icrLow >>> 8) & 7,
    vector: apic.icrLow & 0xff,
    level: false,
  };
}

/** Whether an enabled local APIC is one that the message is for. In xAPIC mode the destination format
 * register tells how logical ids compare: flat, one bit each, or in clusters of four. */
export function isAddressed(apic: LapicState, x2apic: boolean, message: InterruptMessage): boolean {
  const { destination, logical } = message;
  if (destination === BROADCAST) return true;
  if (!logical) return apic.id === destination;
  if (x2apic) return apic.ldr >>> 16 === destination >>> 16 && (apic.ldr & destination & 0xffff) !== 0;
  if (destination > 0xff) return false;
  const id = apic.ldr >>> 24;
  switch (apic.dfr >>> 28) {
    case 0xf:
      return (id & destination) !== 0;
    case 0x0:
      return id >>> 4 === destination >>> 4 && (id & destination & 0xf) !== 0;
    default:
      return false;
  }
}
