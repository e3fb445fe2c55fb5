/** How a machine started, as the command line says it. */
import type { BootEvent } from '../../engine/api/statistics.ts';

const NAMES: Readonly<Record<BootEvent['event'], string>> = {
  Reset: 'reset vector',
  PostCode: 'POST code',
  ProtectedMode: 'protected mode',
  OptionRom: 'option ROM',
  BootDevice: 'boot device read',
  Loader: 'boot sector',
  Kernel: 'kernel',
  LongMode: 'long mode',
  Smp: 'last processor started',
  UserMode: 'user mode',
};

/** A name for people, with the code of a POST code. */
export function bootEventName({ event, code }: BootEvent): string {
  return code === undefined ? NAMES[event] : `${NAMES[event]} ${code.toString(16).padStart(2, '0')}`;
}

/** Rows of a name and a time. */
export function bootRows(events: readonly BootEvent[]): Array<readonly [name: string, seconds: string]> {
  return events.map((event) => [bootEventName(event), event.seconds.toFixed(3)] as const);
}
