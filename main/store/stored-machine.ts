/** A machine's file in the library: its text, and what it comes to. */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { machineName } from '../../engine/api/config.ts';
import { problem, type Problem } from '../../engine/api/problem.ts';
import { checkDocument, DOCUMENT_VERSION, issueLine, type MachineDocument } from '../contract/document.ts';

/** Says what a file is, to people and to programs. */
const FORMAT = 'guesthouse machine';

/** Largest file taken for a configuration, in bytes. */
export const LARGEST_DOCUMENT = 2 ** 20;

const headSchema = z.looseObject({ format: z.literal(FORMAT), version: z.int().positive() });

/** What a text comes to: a document, or the reason why it is none. */
export type Content =
  | { readonly document: MachineDocument; readonly problem: null }
  | { readonly document: null; readonly problem: Problem };

/** The text that a document is stored as. */
export function formatDocument(document: MachineDocument): string {
  return `${JSON.stringify({ format: FORMAT, version: DOCUMENT_VERSION, ...document }, undefined, 2)}\n`;
}

/** Reads a stored text. Never throws: whatever it holds, there is something to say about it. */
export function parseStored(text: string): Content {
  const damaged = (reason: string, hint: string, details?: string): Content => ({
    document: null,
    problem: problem('config', reason, hint, details),
  });
  const mend = 'mend machine.json in its folder, or delete the machine';
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    return damaged(
      'its configuration is damaged: it is no JSON',
      mend,
      error instanceof Error ? error.message : '',
    );
  }
  const head = headSchema.safeParse(value);
  if (!head.success)
    return damaged(`its configuration is damaged: it is no ${FORMAT}`, mend, head.error.message);
  const { format: _, version, ...fields } = head.data;
  if (version > DOCUMENT_VERSION) {
    return damaged(
      `its configuration is of version ${version}, and this Guesthouse knows up to ${DOCUMENT_VERSION}`,
      'use the newer Guesthouse that made it',
    );
  }
  const checked = checkDocument(fields);
  if (checked.ok) return { document: checked.document, problem: null };
  const lines = checked.issues.map(issueLine);
  return damaged(`its configuration is damaged: ${lines[0]}`, mend, lines.join('\n'));
}

/** The name that a text seems to give its machine, damaged or newer as it may be, for people to know it by. */
export function nameIn(text: string): string | undefined {
  const [, literal = ''] = /"name"\s*:\s*("[^"\\\n]{1,64}")/.exec(text) ?? [];
  const name = machineName.safeParse(literal.slice(1, -1));
  return name.success ? name.data : undefined;
}

/** Changes with every change of a text. */
export function revisionOf(text: string): string {
  return createHash('sha256').update(text).digest('hex').slice(0, 16);
}
