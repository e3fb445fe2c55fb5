/**
 * Starts the engine's process. Which kind of process that is depends on the shell around: under Node it stands
 * on its own and lives on when whoever started it has ended; under Electron see ../electron/launcher.ts.
 */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { codeCacheDirectory } from '../store/paths.ts';
import type { Endpoint } from './endpoint.ts';

/** The engine's entry. */
export const ENGINE_ENTRY = fileURLToPath(new URL('../../engine/host/process.ts', import.meta.url));

/** V8's own threads and young generation, as scripts/link-bin.mjs has them for the command: what compilers and the
 * collector take is the host's memory, and cores that the guest could have. */
const ENGINE_FLAGS = ['--expose-gc', '--v8-pool-size=1', '--max-semi-space-size=2'];

/** How a process ended: a status, or the signal that ended it. */
export interface Exit {
  readonly status: number | null;
  readonly signal: string | null;
}

export interface EngineProcess {
  /** Undefined where it could not be started. */
  readonly pid: number | undefined;
  readonly exited: Promise<Exit>;
  /** Ends it at once. */
  kill(): void;
}

export interface EngineLauncher {
  /**
   * Starts a process.
   *
   * @param words its command line (engine/host/process.ts)
   * @param log takes its standard error; emptied first
   */
  launch(words: readonly string[], log: string): EngineProcess;
}

/** The words of a process for one machine. */
export function engineWords({ socket, lock }: Endpoint, record: string): string[] {
  return ['--socket', socket, '--lock', lock, '--record', record];
}

export const nodeLauncher: EngineLauncher = {
  launch(words, log) {
    let errors: number;
    try {
      errors = openSync(log, 'w', 0o600);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new GuesthouseError('resources', `cannot write ${log}: ${reason}`, undefined, { cause });
    }
    const child = spawn(process.execPath, [...ENGINE_FLAGS, ENGINE_ENTRY, ...words], {
      // Not in the way of whoever wants to unmount or delete the folder that this was started in.
      cwd: '/',
      detached: true,
      env: { ...process.env, NODE_COMPILE_CACHE: codeCacheDirectory() },
      stdio: ['ignore', 'ignore', errors],
      windowsHide: true,
    });
    closeSync(errors);
    child.unref();
    const exited = new Promise<Exit>((resolve) => {
      child.once('error', () => resolve({ status: 71, signal: null }));
      child.once('exit', (status, signal) => resolve({ status, signal }));
    });
    return { pid: child.pid, exited, kill: () => void child.kill('SIGKILL') };
  },
};

/** An end in words: `was ended by SIGKILL`, `ended with status 70`. */
export function exitLine({ status, signal }: Exit): string {
  return signal === null ? `ended with status ${status ?? 'unknown'}` : `was ended by ${signal}`;
}
