/** A failure as data: what crosses a process or is kept on a machine until somebody has read it. */
import { z } from 'zod';
import { type ErrorCode, GuesthouseError } from '../base/errors.ts';

/** Every code of {@link ErrorCode}; the compiler sees to it that none is left out. */
const CODES = Object.keys({
  usage: true,
  config: true,
  file: true,
  resources: true,
  unsupported: true,
  state: true,
  'guest-crash': true,
  internal: true,
} satisfies Record<ErrorCode, true>) as ErrorCode[];

/** Longest text of any kind in a problem, in UTF-16 code units. */
const LONGEST = 65536;

export const problemSchema = z.strictObject({
  code: z.enum(CODES),
  /** One line: what is wrong. */
  message: z.string().max(LONGEST),
  /** One line: what to do about it. */
  hint: z.string().max(LONGEST).optional(),
  /** Several lines for whoever looks into it: a stack, the last words of a process. */
  details: z.string().max(LONGEST).optional(),
});

export type Problem = Readonly<z.output<typeof problemSchema>>;

/** An error as data. What is not a {@link GuesthouseError} is a defect and says so. */
export function problemOf(error: unknown): Problem {
  if (error instanceof GuesthouseError) {
    const { code, message, hint } = error;
    const { cause } = error;
    const details = cause instanceof Error ? cause.message : undefined;
    return problem(code, message, hint, details === message ? undefined : details);
  }
  if (error instanceof Error) {
    const [line = ''] = error.message.split('\n', 1);
    return problem('internal', `internal error: ${line}`, undefined, error.stack);
  }
  return problem('internal', `internal error: ${String(error)}`);
}

/** Puts a problem together, leaving out what there is not. */
export function problem(code: ErrorCode, message: string, hint?: string, details?: string): Problem {
  const cut = (text: string) => (text.length > LONGEST ? text.slice(-LONGEST) : text);
  return {
    code,
    message: cut(message),
    ...(hint === undefined ? {} : { hint: cut(hint) }),
    ...(details === undefined || details === '' ? {} : { details: cut(details) }),
  };
}

/** A problem as an error again, to be thrown on this side. */
export function errorOf({ code, message, hint, details }: Problem): GuesthouseError {
  return new GuesthouseError(
    code,
    message,
    hint,
    details === undefined ? undefined : { cause: new Error(details) },
  );
}
