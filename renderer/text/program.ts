/** The program itself: connection, keys, preferences. */

export const PROGRAM = {
  connection: {
    none: 'there is no connection to the manager',
    connecting: 'Connecting…',
    lost: 'The connection to the manager was lost. Trying again…',
    lostDetail: 'Machines go on running. If the manager was ended, start it again and open its new address.',
  },

  shortcuts: {
    title: 'Keyboard shortcuts',
    groups: [
      {
        title: 'The list',
        keys: [
          ['Ctrl+N', 'New machine'],
          ['Ctrl+F', 'Search'],
          ['↑ ↓ Home End Page ↑ ↓', 'Move; with Shift select, with Ctrl only move'],
          ['← →', 'Fold and unfold a group'],
          ['Space', 'Select or unselect (with Ctrl, one more)'],
          ['Ctrl+A', 'Select all'],
          ['Enter', 'Open'],
          ['F2', 'Rename'],
          ['Delete', 'Delete'],
          ['Shift+F10', 'Actions on the selection'],
        ],
      },
      {
        title: 'A machine',
        keys: [
          ['Alt+1 … Alt+6', 'Screen, Console, Details, Performance, Log, Configuration'],
          ['Ctrl+Shift+F', 'Find in the console'],
          ['Ctrl+Shift+C / V', 'Copy, paste in the console'],
          ['Ctrl+Shift+Escape', 'Leave the screen or the console'],
          ['Ctrl+S', 'Apply changes'],
        ],
      },
    ],
  },

  preferences: {
    title: 'Preferences',
    theme: 'Appearance',
    confirm: 'Ask before reset and force off',
    onQuit: 'When the program is closed while machines run',
    onQuitChoices: {
      ask: 'Ask',
      tray: 'Keep running in the tray',
      shutdown: 'Shut the machines down',
      destroy: 'Force the machines off',
    },
  },
} as const;
