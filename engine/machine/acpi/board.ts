/**
 * What the tables have to say about a board. Addresses and sizes in bytes.
 */
export interface AcpiBoard {
  /** Where the tables go: below 4 GiB, in memory that a guest can read, RAM for the FACS in it. The RSDP is
   * at the very start; it must lie in 0xE0000 … 0xFFFFF for a guest to find it by searching. */
  readonly base: number;
  /** Local APIC id of each vCPU, in order; the first is the bootstrap processor. Each below 255. */
  readonly apicIds: readonly number[];
  /** Addresses below 4 GiB that belong to PCI: `start` inclusive, `end` exclusive. */
  readonly pciHole: { readonly start: number; readonly end: number };
  /** The same above 4 GiB, if any. */
  readonly pciHole64?: { readonly start: bigint; readonly end: bigint };
  /** First port of the power-management block. */
  readonly pmBase: number;
  readonly serialPorts: ReadonlyArray<{ readonly port: number; readonly irq: number }>;
  readonly hpet: {
    readonly address: number;
    /** Low 32 bits of the HPET's capabilities register. */
    readonly capabilities: number;
  };
  readonly localApicAddress: number;
  readonly ioApic: { readonly id: number; readonly address: number };
  readonly ps2Mouse: boolean;
  /** Whether there is a VGA adapter that a guest may probe for. */
  readonly vga: boolean;
}

/** A little-endian field that holds the address of a table; it has to be moved with that. */
export interface AcpiPointer {
  readonly address: number;
  readonly bytes: 4 | 8;
}

/** A byte that makes a range of bytes add up to zero. */
export interface AcpiChecksum {
  readonly address: number;
  readonly start: number;
  readonly length: number;
}

/** Tables at their addresses. */
export interface AcpiTables {
  readonly rsdpAddress: number;
  readonly blobs: ReadonlyArray<{ readonly address: number; readonly bytes: Uint8Array }>;
  /** First address after the last table. */
  readonly end: number;
  /** For whoever moves the tables elsewhere. */
  readonly pointers: readonly AcpiPointer[];
  readonly checksums: readonly AcpiChecksum[];
}
