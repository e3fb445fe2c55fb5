/** What a shell gives its clients: one of each per program. */
import path from 'node:path';
import type { EventData, EventName } from '../contract/events.ts';
import type { Settings, SettingsPatch } from '../contract/host.ts';
import { Library } from '../store/library.ts';
import { libraryDirectory, settingsFile } from '../store/paths.ts';
import { PoolStore } from '../store/pools.ts';
import { SettingsStore } from '../store/settings.ts';
import { Host } from '../vm/host.ts';
import type { EngineLauncher } from '../vm/launcher.ts';
import { Manager, type ManagerListener } from '../vm/manager.ts';
import { Storage } from '../vm/storage.ts';

/** Asks for a file with the desktop's own dialog; null where nothing was chosen. */
export type FileChooser = (title: string, directory: string | undefined) => Promise<string | null>;

/** What depends on the shell. */
export interface ServiceOptions {
  readonly shell: 'browser' | 'desktop';
  readonly launcher: EngineLauncher;
  readonly chooser?: FileChooser;
  /** The user's own where not given. */
  readonly library?: string;
  readonly settings?: string;
}

export class Services {
  readonly shell: 'browser' | 'desktop';
  readonly manager: Manager;
  readonly host: Host;
  readonly storage: Storage;
  readonly chooser: FileChooser | undefined;
  readonly #settings: SettingsStore;
  readonly #listeners = new Set<ManagerListener>();

  constructor(options: ServiceOptions) {
    const library = new Library(options.library ?? libraryDirectory());
    this.shell = options.shell;
    this.chooser = options.chooser;
    this.manager = new Manager(library, options.launcher);
    this.host = new Host(options.launcher, library.directory);
    this.storage = new Storage(this.manager, new PoolStore(path.dirname(library.directory)));
    this.#settings = new SettingsStore(options.settings ?? settingsFile());
    this.manager.listen((event, data) => this.emit(event, data));
  }

  get settings(): Settings {
    return this.#settings.get();
  }

  /** Changes settings and tells everybody. */
  setSettings(patch: SettingsPatch): Settings {
    const settings = this.#settings.set(patch);
    this.emit('settings', { settings });
    return settings;
  }

  /** Hears of every event; call what is returned to end that. */
  listen(listener: ManagerListener): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  emit<E extends EventName>(event: E, data: EventData<E>): void {
    for (const listener of this.#listeners) listener(event, data);
  }
}
