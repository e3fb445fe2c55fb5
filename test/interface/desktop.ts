/** The desktop in the browser shell's place, for the same tests: Electron, driven by playwright. */
import path from 'node:path';
import {
  _electron as electron,
  type BrowserContext,
  type ElectronApplication,
  type Page,
} from 'playwright-core';
import { electronProgram } from '../../main/electron-program.ts';
import { buildApp } from '../../scripts/build-app.ts';

const ROOT = path.dirname(path.dirname(import.meta.dirname));
const APP = path.join(ROOT, 'dist', 'app');

export class Desktop {
  readonly #app: ElectronApplication;
  /** The window that it opened by itself, until somebody has asked for one. */
  #first: Page | undefined;

  private constructor(app: ElectronApplication, first: Page) {
    this.#app = app;
    this.#first = first;
  }

  /** Starts it, of the interface as it is built.
   * @throws Error where Electron's program is not there */
  static async start(env: NodeJS.ProcessEnv): Promise<Desktop> {
    const executablePath = electronProgram();
    if (executablePath === undefined) throw new Error('Electron is not here: npm start fetches it');
    buildApp(ROOT, APP);
    const defined = Object.entries(env).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, value]],
    );
    const app = await electron.launch({
      executablePath,
      args: [APP],
      env: Object.fromEntries(defined) as Record<string, string>,
    });
    return new Desktop(app, await app.firstWindow());
  }

  get context(): BrowserContext {
    return this.#app.context();
  }

  get pid(): number {
    const { pid } = this.#app.process();
    if (pid === undefined) throw new Error('the desktop is not running');
    return pid;
  }

  /** A window with the list: the first, then one more each time. */
  async open(): Promise<Page> {
    const first = this.#first;
    this.#first = undefined;
    if (first !== undefined) return first;
    const [any] = this.context.pages();
    if (any === undefined) throw new Error('the desktop has no window');
    const [page] = await Promise.all([
      this.context.waitForEvent('page'),
      any.evaluate(() => void window.open('/', '_blank')),
    ]);
    return page;
  }

  /** Ends it at once, whatever it would ask. */
  async end(): Promise<void> {
    const closed = this.#app.waitForEvent('close');
    this.#app.process().kill('SIGKILL');
    await closed;
  }
}
