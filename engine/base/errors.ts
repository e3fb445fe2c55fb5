/**
 * The one error class. Every failure a person or another program can meet carries a code from this list,
 * one line that says what is wrong, and, where there is something to do about it, a hint.
 */

/** The closed list of error codes; stable, since scripts and saved events hold them. */
export type ErrorCode =
  | 'usage' // the command line is wrong
  | 'config' // the machine's configuration is wrong
  | 'file' // a file is missing, unreadable, truncated or not what it should be
  | 'resources' // the host lacks memory, space or permission
  | 'unsupported' // known, but not offered here
  | 'state' // not possible in the machine's present state
  | 'guest-crash' // the guest shut down by a triple fault or the like
  | 'internal'; // a defect in Guesthouse

/** Exit statuses of the command line, by error code. Documented in README.md. */
export const EXIT_STATUS: Readonly<Record<ErrorCode, number>> = {
  usage: 64,
  config: 65,
  file: 66,
  resources: 71,
  unsupported: 69,
  state: 75,
  'guest-crash': 80,
  internal: 70,
};

export class GuesthouseError extends Error {
  readonly code: ErrorCode;
  readonly hint: string | undefined;

  /**
   * @param code from the closed list
   * @param message one line, says what is wrong; no trailing full stop
   * @param hint one line, says what to do
   */
  constructor(code: ErrorCode, message: string, hint?: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'GuesthouseError';
    this.code = code;
    this.hint = hint;
  }

  /** `message (hint)`, one line. */
  get line(): string {
    return this.hint === undefined ? this.message : `${this.message} (${this.hint})`;
  }
}

/** What a system call's error says, without Node's prefix. */
export function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const text = /^[A-Z0-9]+: ([^,]+)/.exec(error.message);
  return text?.[1] ?? error.message;
}

/** The message of an error with a stack on one line: what happened and where first. */
export function oneLine(text: string): string {
  const [first = '', second] = text
    .split('\n')
    .map((line) => line.trim())
    .filter((line) => line !== '');
  return second === undefined ? first : `${first} (${second})`;
}
