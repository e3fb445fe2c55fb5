/**
 * `injected` of a vCPU's state: an interrupt or exception whose delivery has begun and not ended, in the form of
 * VM-entry interruption information (SDM 3C, 25.8.3): bits 0-7 vector, 8-10 type, 11 with an error code (which is in
 * `injectedError`), 31 valid.
 */
import type { VcpuState } from './state.ts';

/** Types of a delivery (SDM 3C, table 25-17). */
export const DeliveryType = { External: 0, Nmi: 2, Exception: 3, Software: 4 } as const;
export type DeliveryType = (typeof DeliveryType)[keyof typeof DeliveryType];

const HAS_ERROR_CODE = 1 << 11;
const VALID = 2 ** 31;

export interface Delivery {
  readonly type: DeliveryType;
  readonly vector: number;
  /** undefined where the event pushes none. */
  readonly errorCode: number | undefined;
}

/** What is being delivered, or null. */
export function injectedDelivery(state: VcpuState): Delivery | null {
  const { injected } = state;
  if (injected < VALID) return null;
  const type = (injected >>> 8) & 7;
  return {
    // The types of INT n, INT3, INTO and INT1 differ in what pushes them, which is an instruction's in every case.
    type: type === 0 || type === 2 || type === 3 ? type : DeliveryType.Software,
    vector: injected & 0xff,
    errorCode: (injected & HAS_ERROR_CODE) === 0 ? undefined : state.injectedError,
  };
}

/** Notes a delivery as begun. */
export function setInjected(state: VcpuState, type: DeliveryType, vector: number, errorCode?: number): void {
  const flag = errorCode === undefined ? 0 : HAS_ERROR_CODE;
  state.injected = (VALID | flag | (type << 8) | vector) >>> 0;
  state.injectedError = (errorCode ?? 0) >>> 0;
}

/** Notes that nothing is being delivered. */
export function clearInjected(state: VcpuState): void {
  state.injected = 0;
  state.injectedError = 0;
}
