/** What the program remembers: the settings, and the interface's own choices in them. */
import { defineStore } from 'pinia';
import { computed, shallowRef, type WritableComputedRef } from 'vue';
import type { Settings, SettingsPatch } from '../../main/contract/index.ts';
import { useConnection } from './connection.ts';

const INITIAL: Settings = { theme: 'system', onQuit: 'ask', confirm: true, window: null, view: {} };

/** Choices of the interface: key of `view`, and what holds before a choice was made. */
const CHOICES = {
  /** Columns of graphs in the list. */
  columns: ['cpu', 'memory', 'disk'],
  sort: { by: 'name', descending: false },
  /** Groups that are folded in. */
  folded: [],
  card: true,
  /** CSS pixels. */
  cardWidth: 300,
  /** CSS pixels. */
  machineWindow: { width: 980, height: 700 },
  hardwareWidth: 190,
  fontSize: 13,
  /** Seconds that the graphs of a machine's window show. */
  span: 60,
} satisfies Record<string, Choice>;

type Choice = string | number | boolean | string[] | { [key: string]: string | number | boolean };
type Widened<T> = T extends string
  ? string
  : T extends number
    ? number
    : T extends boolean
      ? boolean
      : T extends readonly unknown[]
        ? string[]
        : { [K in keyof T]: Widened<T[K]> };
type ChoiceName = keyof typeof CHOICES;
type ChoiceOf<N extends ChoiceName> = Widened<(typeof CHOICES)[N]>;

/** Whether a remembered value has the shape of the initial one: an older or newer program may have stored it. */
function sameShape(value: unknown, initial: Choice): boolean {
  if (Array.isArray(initial)) return Array.isArray(value) && value.every((each) => typeof each === 'string');
  if (typeof initial !== 'object') return typeof value === typeof initial;
  if (typeof value !== 'object' || value === null) return false;
  const record = new Map(Object.entries(value));
  return Object.entries(initial).every(([key, part]) => typeof record.get(key) === typeof part);
}

export const useSettings = defineStore('settings', () => {
  const connection = useConnection();
  const settings = shallowRef<Settings>(INITIAL);

  connection.on('settings', ({ settings: news }) => (settings.value = news));
  connection.whenOpen(() => void load());

  async function load(): Promise<void> {
    try {
      settings.value = (await connection.call('settings.get', {})).settings;
    } catch (error) {
      // Without an answer the initial choices hold.
      console.warn('the settings were not loaded:', error);
    }
  }

  /** Changes settings here at once, and in main. */
  function change(patch: SettingsPatch): void {
    const { view, ...others } = patch;
    const defined = Object.fromEntries(Object.entries(others).filter(([, value]) => value !== undefined));
    settings.value = { ...settings.value, ...defined, view: { ...settings.value.view, ...view } };
    connection.call('settings.set', { settings: patch }).catch((error: unknown) => {
      console.warn('a choice could not be remembered:', error);
    });
  }

  /** A choice of the interface, to be read and written. */
  function choice<N extends ChoiceName>(name: N): WritableComputedRef<ChoiceOf<N>> {
    return computed({
      get: () => {
        const value: unknown = settings.value.view[name];
        const initial: Choice = CHOICES[name];
        return (sameShape(value, initial) ? value : initial) as ChoiceOf<N>;
      },
      set: (value) => change({ view: { [name]: value } }),
    });
  }

  return { settings, change, choice };
});
