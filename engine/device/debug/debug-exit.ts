/**
 * The debug exit port (0xF4 by custom): writing ends the machine with a status of the guest's choosing, for
 * test programs that run as guests. The status is `(value << 1) | 1`, so that a guest can never end the
 * machine with 0, which stands for an orderly power-off.
 */
import type { AccessSize, Device, MachineControl, PortDevice } from '../device.ts';

export class DebugExit implements Device, PortDevice {
  readonly name = 'debug-exit';
  readonly #control: MachineControl;

  constructor(control: MachineControl) {
    this.#control = control;
  }

  reset(): void {} // has no state

  portRead(): number {
    return 0;
  }

  portWrite(_offset: number, _size: AccessSize, value: number): void {
    this.#control.exit(((value << 1) | 1) >>> 0);
  }
}
