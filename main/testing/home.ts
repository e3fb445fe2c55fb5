/** A home of its own for a test: library, settings and sockets apart from the user's, gone afterwards. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

export interface TestHome extends Disposable {
  readonly directory: string;
  /** The library's folder; not there yet. */
  readonly library: string;
  /** For processes started by the test. */
  readonly environment: Readonly<Record<string, string>>;
}

/** Makes a home and has this process use it as well, until it is disposed of. */
export function testHome(): TestHome {
  const directory = mkdtempSync(path.join(tmpdir(), 'guesthouse-home-'));
  const environment = {
    XDG_DATA_HOME: path.join(directory, 'data'),
    XDG_CONFIG_HOME: path.join(directory, 'config'),
    XDG_RUNTIME_DIR: path.join(directory, 'run'),
  };
  mkdirSync(environment.XDG_RUNTIME_DIR, { mode: 0o700 });
  const before = Object.keys(environment).map((name) => [name, process.env[name]] as const);
  Object.assign(process.env, environment);
  return {
    directory,
    library: path.join(environment.XDG_DATA_HOME, 'guesthouse', 'machines'),
    environment,
    [Symbol.dispose]() {
      for (const [name, value] of before) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
      }
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
