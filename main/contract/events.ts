/** What main tells every client by itself. */
import { z } from 'zod';
import { problemSchema } from '../../engine/api/problem.ts';
import { settingsSchema } from './host.ts';
import {
  logRecordSchema,
  machineIdSchema,
  machineSummarySchema,
  operationSchema,
  sampleSchema,
} from './machine.ts';
import { streamSchema } from './methods.ts';

const TABLE = {
  /** A machine is new, or something in its summary has changed. */
  'machine.changed': z.strictObject({ machine: machineSummarySchema }),
  'machine.removed': z.strictObject({ id: machineIdSchema }),
  /** Once a second: the machines that run. */
  statistics: z.strictObject({
    samples: z.array(z.strictObject({ id: machineIdSchema, sample: sampleSchema })),
  }),
  log: z.strictObject({ record: logRecordSchema }),
  /** An operation has begun, moved on or ended. */
  operation: z.strictObject({ operation: operationSchema }),
  settings: z.strictObject({ settings: settingsSchema }),
  /** No more output will come: the machine is off (null), or something failed. */
  'console.closed': z.strictObject({ stream: streamSchema, error: problemSchema.nullable() }),
  /** The desktop's own menu or tray asks for something. */
  command: z.strictObject({ command: z.enum(['new-machine', 'preferences', 'about']) }),
} as const;

export type EventName = keyof typeof TABLE;
export type EventData<E extends EventName> = z.output<(typeof TABLE)[E]>;

export const EVENTS: { readonly [E in EventName]: z.ZodType<EventData<E>> } = TABLE;

export function isEventName(name: string): name is EventName {
  return Object.hasOwn(TABLE, name);
}
