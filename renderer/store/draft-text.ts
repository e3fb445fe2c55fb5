/** A draft as the text of the configuration editor. */
import { z } from 'zod';
import { TEXT } from '../text.ts';
import type { Draft } from './draft.ts';

export type ParsedDraft =
  | { readonly ok: true; readonly draft: Draft }
  /** One line; names line and column where they are known. */
  | { readonly ok: false; readonly message: string };

const draftSchema = z.record(z.string(), z.json());

/** Line and column, from 1, of an offset into a text. */
function placeOf(text: string, offset: number): { line: number; column: number } {
  const before = text.slice(0, offset).split('\n');
  return { line: before.length, column: (before.at(-1)?.length ?? 0) + 1 };
}

/** Reads a draft; never throws. */
export function parseDraft(text: string): ParsedDraft {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n', 1);
    // V8 says where, in one of two ways or not at all.
    const offset = / at position (\d+)/.exec(reason)?.[1];
    const at = /unexpected end/i.test(reason)
      ? text.length
      : offset === undefined
        ? undefined
        : Number(offset);
    const short = reason.replace(/ (?:in JSON )?at position .*$/, '').replace(/, "?\.\.\..*$/, '');
    return {
      ok: false,
      message: TEXT.configuration.syntax(short, at === undefined ? undefined : placeOf(text, at)),
    };
  }
  const draft = draftSchema.safeParse(value);
  return draft.success ? { ok: true, draft: draft.data } : { ok: false, message: TEXT.configuration.object };
}
