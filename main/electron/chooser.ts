/** The desktop's own file dialog. */
import { dialog } from 'electron';
import type { FileChooser } from '../service/services.ts';

export const chooseFile: FileChooser = async (title, directory) => {
  const { canceled, filePaths } = await dialog.showOpenDialog({
    title,
    properties: ['openFile'],
    ...(directory === undefined ? {} : { defaultPath: directory }),
  });
  return canceled ? null : (filePaths[0] ?? null);
};
