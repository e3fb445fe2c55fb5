/** The terminal's colours: dark in both schemes, as terminals are, with 4.5:1 or more on the background. */
import type { ITheme } from '@xterm/xterm';

export const TERMINAL_THEME: ITheme = {
  background: '#16171a',
  foreground: '#e3e4e6',
  cursor: '#e3e4e6',
  cursorAccent: '#16171a',
  selectionBackground: '#3d5f96',
  selectionForeground: '#ffffff',
  black: '#6f737c',
  red: '#ff7b72',
  green: '#5cc98a',
  yellow: '#e0b252',
  blue: '#79b0ff',
  magenta: '#d49aec',
  cyan: '#5bc8d6',
  white: '#d5d7da',
  brightBlack: '#90949d',
  brightRed: '#ff9c95',
  brightGreen: '#7fdca5',
  brightYellow: '#f0cb7d',
  brightBlue: '#a2c8ff',
  brightMagenta: '#e3bcf4',
  brightCyan: '#86dce7',
  brightWhite: '#ffffff',
};
