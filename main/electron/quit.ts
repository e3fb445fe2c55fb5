/** Quitting while machines run: they would end with the program, so what becomes of them is asked. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Settings } from '../contract/host.ts';
import type { MachineSummary } from '../contract/machine.ts';

/** How long guests may take to shut down, in milliseconds. */
const PATIENCE = 90_000;

/** How often it is looked whether they have, in milliseconds. */
const INTERVAL = 200;

export type QuitChoice = 'shutdown' | 'destroy' | 'tray' | 'cancel';

type Running = Pick<MachineSummary, 'id' | 'name' | 'pid'>;

/** What of the services has to do with quitting. */
export interface QuitServices {
  readonly manager: {
    list(): Promise<readonly Running[]>;
    shutdown(id: string): Promise<void>;
    destroy(id: string): Promise<void>;
  };
  readonly settings: Pick<Settings, 'onQuit'>;
}

/** What of the desktop has to do with quitting. */
export interface QuitShell {
  /** Asks what becomes of the machines that run, by their names. */
  ask(names: readonly string[]): Promise<QuitChoice>;
  showWindow(): void;
  /** Asks all windows to close.
   * @returns whether there were any */
  closeWindows(): boolean;
  /** Ends the program, by way of {@link Quit.mayEnd}. */
  quit(): void;
}

/** Decides whether the program ends: when its last window was closed, and when it is told to. */
export class Quit {
  readonly #services: QuitServices;
  readonly #shell: QuitShell;
  readonly #patience: number;
  #deciding = false;
  /** The next that wants the program to end may: nothing runs. */
  #decided = false;
  /** Windows are being closed to leave the tray alone, which is no reason to ask again. */
  #retiring = false;

  /** @param patience milliseconds that guests get to shut down */
  constructor(services: QuitServices, shell: QuitShell, patience = PATIENCE) {
    this.#services = services;
    this.#shell = shell;
    this.#patience = patience;
  }

  /** The last window was closed: the program ends, or stays as the settings or the person have it. */
  async windowsClosed(): Promise<void> {
    if (this.#retiring) this.#retiring = false;
    else await this.#decide(false);
  }

  /**
   * The program is told to end, by the tray, a menu or the system. Where machines run that is asked, whatever the
   * settings say of closing windows: who keeps them in the tray would never get out of it.
   *
   * @returns whether it may end now; if not, `quit` is called where it may later
   */
  mayEnd(): boolean {
    const may = this.#decided;
    // Good once: a window with changes that were not applied may still keep it from ending.
    this.#decided = false;
    if (!may) void this.#decide(true);
    return may;
  }

  /** @param told the program was told to end; else its last window was closed */
  async #decide(told: boolean): Promise<void> {
    if (this.#deciding) return;
    this.#deciding = true;
    try {
      const running = await this.#running();
      const choice = running.length === 0 ? 'end' : await this.#choose(running, told);
      if (choice === 'tray') this.#retiring = this.#shell.closeWindows();
      else if (choice === 'end' || (choice !== 'cancel' && (await this.#endAll(running, choice)))) {
        this.#decided = true;
        this.#shell.quit();
      } else if (choice !== 'cancel' || !told) this.#shell.showWindow();
    } catch {
      // Machines may run that nobody was asked about.
      this.#shell.showWindow();
    } finally {
      this.#deciding = false;
    }
  }

  async #running(): Promise<Running[]> {
    return (await this.#services.manager.list()).filter(({ pid }) => pid !== null);
  }

  async #choose(running: readonly Running[], told: boolean): Promise<QuitChoice> {
    const { onQuit } = this.#services.settings;
    if (onQuit === 'ask' || (onQuit === 'tray' && told))
      return this.#shell.ask(running.map(({ name }) => name));
    return onQuit;
  }

  /** @returns whether nothing runs any more; where a guest did not listen, its machine shows that */
  async #endAll(running: readonly Running[], how: 'shutdown' | 'destroy'): Promise<boolean> {
    const { manager } = this.#services;
    const end = (id: string) => (how === 'destroy' ? manager.destroy(id) : manager.shutdown(id));
    // What has ended by itself meanwhile can't be told to.
    await Promise.allSettled(running.map(({ id }) => end(id)));
    for (const deadline = performance.now() + this.#patience; performance.now() < deadline;) {
      if ((await this.#running()).length === 0) return true;
      await sleep(INTERVAL);
    }
    return false;
  }
}
