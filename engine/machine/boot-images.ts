import type { BootFile } from '../backend/boot-file.ts';

/** What a machine boots from, as every thread can be handed it. */
export interface BootImages {
  readonly kernel: BootFile | null;
  readonly initrd: BootFile | null;
  readonly modules: readonly BootFile[];
  /** Its bytes: as ROM they are there as long as the machine is. */
  readonly firmware: Uint8Array | null;
  /** Of the kernel. */
  readonly commandLine: string;
}
