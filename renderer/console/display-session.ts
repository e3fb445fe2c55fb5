/** A machine's screen in an element: connected while the machine runs, and what can be done with it. */
import RFB from '@novnc/novnc';
import { keysOfCharacter } from '../../engine/api/keys.ts';
import { type Client, type Problem, RequestError } from '../../main/contract/index.ts';
import { DisplayChannel } from './display-channel.ts';

export type DisplayStatus = 'off' | 'connecting' | 'open' | 'failed';

/** A key as noVNC sends it: an X11 keysym, and KeyboardEvent.code. */
export interface Key {
  readonly keysym: number;
  readonly code: string;
}

export const KEYS = {
  control: { keysym: 0xffe3, code: 'ControlLeft' },
  alt: { keysym: 0xffe9, code: 'AltLeft' },
  shift: { keysym: 0xffe1, code: 'ShiftLeft' },
  delete: { keysym: 0xffff, code: 'Delete' },
  print: { keysym: 0xff61, code: 'PrintScreen' },
  enter: { keysym: 0xff0d, code: 'Enter' },
  escape: { keysym: 0xff1b, code: 'Escape' },
  tab: { keysym: 0xff09, code: 'Tab' },
  space: { keysym: 0x20, code: 'Space' },
  up: { keysym: 0xff52, code: 'ArrowUp' },
  down: { keysym: 0xff54, code: 'ArrowDown' },
  backspace: { keysym: 0xff08, code: 'Backspace' },
} as const satisfies Record<string, Key>;

/** F1 … F12. */
export function functionKey(n: number): Key {
  return { keysym: 0xffbd + n, code: `F${n}` };
}

/** Milliseconds between two characters that are typed: guests' keyboards hold sixteen bytes. */
const BETWEEN_CHARACTERS = 15;

export class DisplaySession {
  readonly #target: HTMLElement;
  readonly #onStatus: (status: DisplayStatus, problem: Problem | null) => void;
  #rfb: RFB | undefined;
  /** Raised with each attachment and its end, so that what belongs to an earlier one is known. */
  #attempt = 0;
  #scaled = true;

  constructor(target: HTMLElement, onStatus: (status: DisplayStatus, problem: Problem | null) => void) {
    this.#target = target;
    this.#onStatus = onStatus;
  }

  /** Connects to a machine; an earlier connection ends. */
  async attach(client: Client, machine: string): Promise<void> {
    this.detach();
    const attempt = ++this.#attempt;
    const isCurrent = (): boolean => attempt === this.#attempt;
    this.#onStatus('connecting', null);
    let channel: DisplayChannel;
    try {
      channel = await DisplayChannel.attach(client, machine);
    } catch (error) {
      if (isCurrent()) this.#onStatus('failed', error instanceof RequestError ? error.failure : null);
      return;
    }
    if (!isCurrent()) {
      channel.close();
      return;
    }
    const rfb = new RFB(this.#target, channel, { shared: true });
    this.#rfb = rfb;
    rfb.background = 'transparent';
    rfb.scaleViewport = this.#scaled;
    rfb.addEventListener('connect', () => {
      if (isCurrent()) this.#onStatus('open', null);
    });
    rfb.addEventListener('disconnect', () => {
      if (!isCurrent()) return;
      this.#rfb = undefined;
      this.#onStatus(channel.problem === null ? 'off' : 'failed', channel.problem);
    });
  }

  detach(): void {
    this.#attempt++;
    const rfb = this.#rfb;
    this.#rfb = undefined;
    // It closes the channel.
    rfb?.disconnect();
  }

  focus(): void {
    this.#rfb?.focus();
  }

  /** Pixels of the machine's screen; undefined where there is none. */
  get size(): { width: number; height: number } | undefined {
    const canvas = this.#rfb === undefined ? null : this.#target.querySelector('canvas');
    return canvas === null ? undefined : { width: canvas.width, height: canvas.height };
  }

  /** Lets go of the keys that lead out of the screen: their release is seen elsewhere. */
  release(): void {
    for (const { keysym, code } of [KEYS.shift, KEYS.control]) this.#rfb?.sendKey(keysym, code, false);
    this.#rfb?.blur();
  }

  /** Whether the picture is made to fit, or each of its pixels is one of the screen's. */
  set scaled(scaled: boolean) {
    this.#scaled = scaled;
    if (this.#rfb !== undefined) this.#rfb.scaleViewport = scaled;
  }

  /** Presses keys in order, and lets them go in the opposite order. */
  press(...keys: readonly Key[]): void {
    for (const { keysym, code } of keys) this.#rfb?.sendKey(keysym, code, true);
    for (const { keysym, code } of keys.toReversed()) this.#rfb?.sendKey(keysym, code, false);
  }

  /** Types a text on an American keyboard.
   * @returns how many characters it has no keys for */
  async type(text: string): Promise<number> {
    let missing = 0;
    for (const character of text.replaceAll('\r\n', '\n')) {
      const keys = keysOfCharacter(character);
      if (keys === undefined) {
        missing++;
        continue;
      }
      const keysym = character === '\n' ? 0xff0d : character === '\t' ? 0xff09 : character.charCodeAt(0);
      if (keys.shift) this.#rfb?.sendKey(KEYS.shift.keysym, KEYS.shift.code, true);
      this.#rfb?.sendKey(keysym, null);
      if (keys.shift) this.#rfb?.sendKey(KEYS.shift.keysym, KEYS.shift.code, false);
      await new Promise((resolve) => setTimeout(resolve, BETWEEN_CHARACTERS));
    }
    return missing;
  }

  /** The picture as a PNG file; undefined where there is none. */
  picture(): Promise<Blob | undefined> {
    const rfb = this.#rfb;
    if (rfb === undefined) return Promise.resolve(undefined);
    return new Promise((resolve) => rfb.toBlob((blob) => resolve(blob ?? undefined), 'image/png'));
  }
}
