/** Log lines: a level, the part that speaks, and one line of text. */

export type LogLevel = 'debug' | 'info' | 'warn' | 'error';

export interface LogRecord {
  readonly level: LogLevel;
  /** The part that speaks, as `vcpu 0` or `serial`. */
  readonly scope: string;
  readonly text: string;
}

/** Takes log records; chosen by whoever starts the engine. */
export type LogSink = (record: LogRecord) => void;

/** Speaks for one part. */
export class Logger {
  readonly #scope: string;
  readonly #sink: LogSink;

  constructor(scope: string, sink: LogSink) {
    this.#scope = scope;
    this.#sink = sink;
  }

  log(level: LogLevel, text: string): void {
    this.#sink({ level, scope: this.#scope, text: text.replaceAll(/\s*\n\s*/g, ' ').trim() });
  }

  debug(text: string): void {
    this.log('debug', text);
  }

  info(text: string): void {
    this.log('info', text);
  }

  warn(text: string): void {
    this.log('warn', text);
  }

  error(text: string): void {
    this.log('error', text);
  }
}
