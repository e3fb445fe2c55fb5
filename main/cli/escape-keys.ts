/**
 * The keys that speak to Guesthouse rather than to the guest, as in QEMU's -nographic: Ctrl-A, then another.
 */

const CTRL_A = 0x01;

export type KeyCommand = 'quit' | 'resume' | 'help';

/** What the keys typed so far come to. */
export interface Keys {
  /** For the guest. */
  readonly bytes: Uint8Array;
  /** For Guesthouse, in order. */
  readonly commands: readonly KeyCommand[];
}

export const KEY_HELP = [
  'Ctrl-A X       end the machine',
  'Ctrl-A Ctrl-A  send Ctrl-A to the guest',
  'Ctrl-A R       let the machine go on that was paused because the host failed a disk',
  'Ctrl-A H       this help',
] as const;

export class EscapeKeys {
  #escaped = false;

  /** Takes what was typed; an escape may be split over two calls. Ctrl-A and a key that means nothing are
   * both dropped. */
  feed(typed: Uint8Array): Keys {
    const bytes: number[] = [];
    const commands: KeyCommand[] = [];
    for (const byte of typed) {
      if (!this.#escaped) {
        if (byte === CTRL_A) this.#escaped = true;
        else bytes.push(byte);
        continue;
      }
      this.#escaped = false;
      switch (String.fromCharCode(byte).toLowerCase()) {
        case 'x':
          commands.push('quit');
          break;
        case 'r':
          commands.push('resume');
          break;
        case 'h':
        case '?':
          commands.push('help');
          break;
        case '\x01':
        case 'a': // as in screen and QEMU
          bytes.push(CTRL_A);
          break;
      }
    }
    return { bytes: Uint8Array.from(bytes), commands };
  }
}
