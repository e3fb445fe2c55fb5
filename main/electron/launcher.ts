/** Starts the engine's process under Electron: a utility process, which ends with the program. */
import { createWriteStream } from 'node:fs';
import { utilityProcess } from 'electron';
import { ENGINE_ENTRY, type EngineLauncher, type Exit } from '../vm/launcher.ts';

export const electronLauncher: EngineLauncher = {
  launch(words, log) {
    const child = utilityProcess.fork(ENGINE_ENTRY, [...words], {
      serviceName: 'Guesthouse engine',
      stdio: ['ignore', 'ignore', 'pipe'],
    });
    const file = createWriteStream(log, { flags: 'w', mode: 0o600 });
    // Without a log the machine runs all the same.
    file.on('error', () => file.destroy());
    child.stderr?.pipe(file);
    const exited = new Promise<Exit>((resolve) => {
      child.once('exit', (status) => resolve({ status, signal: null }));
    });
    return {
      get pid() {
        return child.pid;
      },
      exited,
      // A signal that it can't put off, unlike the utility process's own.
      kill: () => void (child.pid === undefined ? child.kill() : process.kill(child.pid, 'SIGKILL')),
    };
  },
};
