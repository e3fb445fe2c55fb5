/** What is on a machine's screen, as a file. */
import { writeFileSync } from 'node:fs';
import { encodePng } from '../backend/display/png.ts';
import { GuesthouseError } from '../base/errors.ts';
import type { Screen } from '../device/video/screen.ts';
import { reasonOf } from './output.ts';

export interface Screenshot {
  /** Pixels. */
  readonly width: number;
  readonly height: number;
  /** What can be read on it, a string for each row; null where it shows graphics. */
  readonly text: readonly string[] | null;
}

/** Writes the screen as it was last looked at to a PNG file.
 * @throws GuesthouseError `file` where that cannot be written */
export function saveScreenshot(screen: Screen, file: string): Screenshot {
  const { width, height } = screen;
  try {
    writeFileSync(file, encodePng(screen.pixels, width));
  } catch (error) {
    throw new GuesthouseError('file', `cannot write ${file}: ${reasonOf(error)}`, undefined, {
      cause: error,
    });
  }
  return { width, height, text: screen.text() ?? null };
}
