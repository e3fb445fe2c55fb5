/** The terminal: xterm.js with what a console needs, on an element. */
import { FitAddon } from '@xterm/addon-fit';
import { SearchAddon } from '@xterm/addon-search';
import { Terminal } from '@xterm/xterm';
import '@xterm/xterm/css/xterm.css';
import { copyText } from '../composable/clipboard.ts';
import { TEXT } from '../text.ts';
import type { ConsoleScreen } from './console-session.ts';
import { allowStyleAttributes, withAdoptedStyles } from './adopted-styles.ts';
import { TERMINAL_THEME } from './terminal-theme.ts';

// For the colours of characters.
allowStyleAttributes();

/** Lines kept above the screen. */
const SCROLLBACK = 20_000;

/** Marks of matches, as #RRGGBB. */
const MATCH = {
  matchBackground: '#5a4a12',
  matchOverviewRuler: '#e0b252',
  activeMatchBackground: '#8a6d00',
  activeMatchColorOverviewRuler: '#ffffff',
};

export interface TerminalEvents {
  /** Something was typed, or the terminal answers the guest. */
  input(bytes: Uint8Array): void;
  /** A search has found so many; `at` counts from 0, -1 where it is not known. */
  matches(at: number, of: number): void;
  /** Keys that are the window's, not the guest's. */
  find(): void;
  paste(): void;
  leave(): void;
  selection(some: boolean): void;
}

export class ConsoleTerminal implements ConsoleScreen {
  readonly #terminal: Terminal;
  readonly #fit = new FitAddon();
  readonly #search = new SearchAddon();
  readonly #endStyles: () => void;
  readonly #observer: ResizeObserver;
  #replaying = false;

  constructor(element: HTMLElement, fontSize: number, events: TerminalEvents) {
    const terminal = new Terminal({
      allowProposedApi: true,
      fontFamily: getComputedStyle(element).getPropertyValue('--font-mono'),
      fontSize,
      scrollback: SCROLLBACK,
      theme: TERMINAL_THEME,
      minimumContrastRatio: 4.5,
      screenReaderMode: true,
    });
    this.#terminal = terminal;
    terminal.loadAddon(this.#fit);
    terminal.loadAddon(this.#search);
    this.#search.onDidChangeResults(({ resultIndex, resultCount }) =>
      events.matches(resultIndex, resultCount),
    );
    const encoder = new TextEncoder();
    terminal.onData((text) => events.input(encoder.encode(text)));
    // Old mouse reports are bytes, not text.
    terminal.onBinary((text) => events.input(Uint8Array.from(text, (each) => each.charCodeAt(0))));
    terminal.onSelectionChange(() => events.selection(terminal.hasSelection()));
    terminal.attachCustomKeyEventHandler((event) => this.#isForGuest(event, events));
    this.#ignoreOldQueries();
    this.#endStyles = withAdoptedStyles(() => terminal.open(element));
    terminal.textarea?.setAttribute('aria-label', TEXT.console.label);
    this.#observer = new ResizeObserver(() => this.fit());
    this.#observer.observe(element);
    this.fit();
  }

  write(bytes: Uint8Array, drawn: () => void): void {
    this.#terminal.write(bytes, drawn);
  }

  newRun(started: number): void {
    this.#note(TEXT.console.newRun(TEXT.time(started)));
  }

  dropped(bytes: number): void {
    this.#note(TEXT.console.dropped(TEXT.bytes(bytes)));
  }

  replaying(replaying: boolean): void {
    this.#replaying = replaying;
  }

  /** Fills its element, unless that is not shown. */
  fit(): void {
    const { element } = this.#terminal;
    if (element !== undefined && element.offsetParent !== null) this.#fit.fit();
  }

  focus(): void {
    this.#terminal.focus();
  }

  set fontSize(pixels: number) {
    this.#terminal.options.fontSize = pixels;
    this.fit();
  }

  find(text: string, direction: 'next' | 'previous', incremental = false): void {
    const options = { decorations: MATCH, incremental };
    if (direction === 'next') this.#search.findNext(text, options);
    // Only the forward search is incremental; starting from the match again is the same backwards.
    else {
      if (incremental) this.#terminal.clearSelection();
      this.#search.findPrevious(text, options);
    }
  }

  endFind(): void {
    this.#search.clearDecorations();
  }

  paste(text: string): void {
    this.#terminal.paste(text);
  }

  async copy(): Promise<void> {
    await copyText(this.#terminal.getSelection());
  }

  scrollToEnd(): void {
    this.#terminal.scrollToBottom();
  }

  dispose(): void {
    this.#observer.disconnect();
    this.#terminal.dispose();
    this.#endStyles();
  }

  /** A line that is not the guest's, set off from its output. */
  #note(text: string): void {
    // SGR 0 first: the guest may have left colours on.
    this.#terminal.write(`\x1b[0m\r\n\x1b[90m── ${text} ──\x1b[0m\r\n`);
  }

  /** Keys with Ctrl+Shift are the window's: the guest can't tell them from Ctrl alone anyway. */
  #isForGuest(event: KeyboardEvent, events: TerminalEvents): boolean {
    if (event.altKey && /^[1-6]$/.test(event.key)) return false;
    if (!event.ctrlKey || !event.shiftKey || event.altKey) return true;
    const actions: Readonly<Record<string, () => void>> = {
      C: () => void this.copy(),
      V: events.paste,
      F: events.find,
      Escape: events.leave,
    };
    const action = actions[event.key.length === 1 ? event.key.toUpperCase() : event.key];
    if (action === undefined) return true;
    if (event.type === 'keydown') action();
    event.preventDefault();
    return false;
  }

  /** Replayed output may ask the terminal who and where it is; an answer now would be typed into the guest. */
  #ignoreOldQueries(): void {
    const { parser } = this.#terminal;
    const ignore = (): boolean => this.#replaying;
    // Device status and attributes, window reports, modes (ECMA-48 8.3.35 and 8.3.24, xterm's control sequences).
    for (const id of [
      { final: 'n' },
      { prefix: '?', final: 'n' },
      { final: 'c' },
      { prefix: '>', final: 'c' },
      { prefix: '=', final: 'c' },
      { final: 't' },
      { prefix: '?', intermediates: '$', final: 'p' },
      { intermediates: '$', final: 'p' },
    ]) {
      parser.registerCsiHandler(id, ignore);
    }
    parser.registerDcsHandler({ intermediates: '$', final: 'q' }, ignore);
    // Colours, only where they are asked for.
    for (const code of [4, 10, 11, 12])
      parser.registerOscHandler(code, (data) => this.#replaying && data.includes('?'));
  }
}
