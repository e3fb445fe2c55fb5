/** The settings: a file, and what it comes to. */
import { mkdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { GuesthouseError } from '../../engine/base/errors.ts';
import { parseJson } from '../contract/client.ts';
import { type Settings, type SettingsPatch, settingsSchema } from '../contract/host.ts';
import { writeAtomically } from './atomic-write.ts';

export class SettingsStore {
  readonly #file: string;
  #settings: Settings | undefined;

  constructor(file: string) {
    this.#file = file;
  }

  /** The settings. A file that is missing or damaged gives the usual ones, and stays until something is set. */
  get(): Settings {
    this.#settings ??= this.#read();
    return this.#settings;
  }

  /**
   * Changes settings.
   *
   * @throws GuesthouseError `config` where what comes of it is no settings, `resources` where it can't be written
   */
  set(patch: SettingsPatch): Settings {
    const current = this.get();
    const view = Object.entries({ ...current.view, ...patch.view }).filter(([, value]) => value !== null);
    const given = Object.entries(patch).filter(([, value]) => value !== undefined);
    const result = settingsSchema.safeParse({
      ...current,
      ...Object.fromEntries(given),
      view: Object.fromEntries(view),
    });
    if (!result.success)
      throw new GuesthouseError('config', `the settings are wrong: ${result.error.issues[0].message}`);
    mkdirSync(path.dirname(this.#file), { recursive: true, mode: 0o700 });
    writeAtomically(this.#file, `${JSON.stringify(result.data, undefined, 2)}\n`);
    this.#settings = result.data;
    return result.data;
  }

  #read(): Settings {
    let value: unknown;
    try {
      value = parseJson(readFileSync(this.#file, 'utf8'));
    } catch {
      value = undefined;
    }
    const result = settingsSchema.safeParse(value);
    return result.success ? result.data : settingsSchema.parse({});
  }
}
