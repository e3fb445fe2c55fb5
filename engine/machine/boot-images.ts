/** What a machine boots from, as bytes in shared memory that every thread can be handed. */
export interface BootImages {
  readonly kernel: Uint8Array | null;
  readonly initrd: Uint8Array | null;
  readonly modules: readonly Uint8Array[];
  readonly firmware: Uint8Array | null;
  /** Of the kernel. */
  readonly commandLine: string;
}
