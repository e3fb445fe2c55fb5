/** The tray: what is left of the program to see while no window is open. */
import path from 'node:path';
import { app, Menu, nativeImage, Tray } from 'electron';

const ICON = path.join(import.meta.dirname, '../../resources/icons/32x32.png');

/** Shows the icon. The returned tray must be kept: it goes when it is collected.
 * @param show opens the main window */
export function makeTray(show: () => void): Tray {
  const tray = new Tray(nativeImage.createFromPath(ICON));
  tray.setToolTip('Guesthouse');
  tray.setContextMenu(
    Menu.buildFromTemplate([
      { label: 'Show Guesthouse', click: show },
      { type: 'separator' },
      { label: 'Quit', click: () => app.quit() },
    ]),
  );
  tray.on('click', show);
  return tray;
}
