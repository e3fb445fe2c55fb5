/**
 * Ports of eight-bit chips. The ISA bus splits a wider access into byte accesses at consecutive ports, low
 * byte first; where no chip answers, the bus reads as all ones.
 */
import type { AccessSize, PortDevice } from '../device.ts';

/**
 * Makes a port range out of byte accesses.
 *
 * @param length number of ports that answer, from offset 0
 * @param read returns the byte (0 … 255) at `offset`
 * @param write takes a byte (0 … 255)
 */
export function bytePorts(
  length: number,
  read: (offset: number) => number,
  write: (offset: number, value: number) => void,
): PortDevice {
  return {
    portRead(offset: number, size: AccessSize): number {
      let value = 0;
      for (let byte = 0; byte < size; byte++) {
        const at = offset + byte;
        value += (at < length ? read(at) : 0xff) * 2 ** (8 * byte);
      }
      return value;
    },
    portWrite(offset: number, size: AccessSize, value: number): void {
      for (let byte = 0; byte < size; byte++) {
        const at = offset + byte;
        if (at < length) write(at, (value >>> (8 * byte)) & 0xff);
      }
    },
  };
}
