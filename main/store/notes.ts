/**
 * What is remembered about a machine beside its configuration: how its last run ended, by the engine's own
 * record, and what else went wrong, until somebody has seen it.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { type ControlOutcome, type RunRecord, runRecordSchema } from '../../engine/api/control.ts';
import { problem, type Problem } from '../../engine/api/problem.ts';
import { parseJson } from '../contract/client.ts';
import { type LastError, lastErrorSchema } from '../contract/machine.ts';
import { writeAtomically } from './atomic-write.ts';
import { FILES } from './library.ts';

/** Bytes of the engine's last words that are shown. */
const LAST_WORDS = 16384;

const notesSchema = z.strictObject({
  version: z.literal(1),
  error: lastErrorSchema.nullable(),
  /** Errors up to here have been seen; milliseconds since 1970. */
  dismissed: z.number().nonnegative(),
});
type Notes = z.output<typeof notesSchema>;

const NONE: Notes = { version: 1, error: null, dismissed: 0 };

function readNotes(folder: string): Notes {
  return readJson(path.join(folder, FILES.notes), notesSchema) ?? NONE;
}

/** The engine's record of the last run; undefined where there is none that can be read. */
export function readRun(folder: string): RunRecord | undefined {
  return readJson(path.join(folder, FILES.run), runRecordSchema);
}

/** Notes that something went wrong now. */
export function noteError(folder: string, found: Problem): void {
  const { dismissed } = readNotes(folder);
  const error = { ...found, time: Date.now() };
  writeAtomically(
    path.join(folder, FILES.notes),
    JSON.stringify({ version: 1, error, dismissed } satisfies Notes),
  );
}

/** Notes that what went wrong up to now has been seen. */
export function dismissErrors(folder: string): void {
  const notes: Notes = { version: 1, error: null, dismissed: Date.now() };
  writeAtomically(path.join(folder, FILES.notes), JSON.stringify(notes));
}

/**
 * What went wrong last and was not dismissed.
 *
 * @param alive whether its engine's process is there: if not, a run without an end has broken off
 */
export function lastError(folder: string, alive: boolean): LastError | null {
  const { error, dismissed } = readNotes(folder);
  const run = readRun(folder);
  const found = [
    ...(error === null ? [] : [error]),
    ...(run === undefined ? [] : errorsOf(run, alive, folder)),
  ].filter(({ time }) => time > dismissed);
  // What a manager saw of a death says more than the record that merely lacks an end.
  return found.sort((a, b) => b.time - a.time)[0] ?? null;
}

function errorsOf(run: RunRecord, alive: boolean, folder: string): LastError[] {
  if (run.ended !== null && run.outcome !== null) {
    const found = problemOfOutcome(run.outcome);
    return found === undefined ? [] : [{ ...found, time: run.ended }];
  }
  if (alive) return [];
  const found = problem('internal', 'its engine ended without a word', 'start it again', lastWords(folder));
  return [{ ...found, time: run.started }];
}

/** What is wrong about an end; undefined where it was meant to be so. */
export function problemOfOutcome(outcome: ControlOutcome): Problem | undefined {
  switch (outcome.kind) {
    case 'crash':
      return problem('guest-crash', outcome.message, 'see what its console said last');
    case 'host':
      return problem('resources', outcome.message);
    case 'internal':
      return problem('internal', outcome.message, 'this is a defect in Guesthouse: please report it');
    case 'exit':
    case 'poweroff':
    case 'stopped':
      return undefined;
  }
}

/** The end of what the engine's process wrote to its standard error. */
export function lastWords(folder: string): string {
  const file = path.join(folder, FILES.log);
  try {
    // A log that someone else filled is not read whole for its end.
    if ((statSync(file, { throwIfNoEntry: false })?.size ?? 0) > 2 ** 24) return '';
    return readFileSync(file, 'utf8').slice(-LAST_WORDS).trim();
  } catch {
    return '';
  }
}

/** A file's value by its schema; undefined where it is missing or something else. */
function readJson<T>(file: string, schema: z.ZodType<T>): T | undefined {
  // Most machines have neither: an exception for each would be most of the time that a list takes.
  if (!existsSync(file)) return undefined;
  try {
    const result = schema.safeParse(parseJson(readFileSync(file, 'utf8')));
    return result.success ? result.data : undefined;
  } catch {
    return undefined;
  }
}
