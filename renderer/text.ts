/**
 * Every text of the interface, in one place, so that it can be translated: tables of the same shape take these
 * ones' place, one for each area. Texts with numbers or names in them are functions.
 */
import { DETAILS } from './text/details.ts';
import { FORMATS } from './text/format.ts';
import { LIBRARY } from './text/library.ts';
import { MACHINE } from './text/machine.ts';
import { PROGRAM } from './text/program.ts';
import { STORAGE } from './text/storage.ts';
import { WIZARD } from './text/wizard.ts';

export const TEXT = {
  program: 'Guesthouse',
  close: 'Close',
  cancel: 'Cancel',
  copy: 'Copy',
  copied: 'Copied',
  none: '–',
  ...FORMATS,
  ...LIBRARY,
  ...WIZARD,
  ...MACHINE,
  ...DETAILS,
  ...STORAGE,
  ...PROGRAM,
} as const;
