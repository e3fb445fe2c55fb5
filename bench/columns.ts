/** The columns of the benchmark's tables: what guests run on. */
import { guesthouse, qemu, type Engine } from '../test/guest/engines.ts';

/** Where a measurement runs: in an engine, or on the host itself. */
export interface Column {
  /** As `--engines` has it. */
  readonly name: string;
  readonly title: string;
  readonly engine: Engine | 'native';
}

/** What all others are set beside. */
export const REFERENCE = 'qemu';

const tier = (name: string, tier: '0' | '1'): Engine => ({
  ...guesthouse,
  name,
  environment: { GUESTHOUSE_TIER: tier },
});

/** In the order of the table. */
export const COLUMNS: readonly Column[] = [
  { name: 'tier0', title: 'tier 0', engine: tier('Guesthouse, tier 0', '0') },
  { name: 'tiers', title: 'both tiers', engine: tier('Guesthouse, both tiers', '1') },
  { name: REFERENCE, title: 'QEMU TCG', engine: qemu },
  { name: 'native', title: 'native', engine: 'native' },
];

/** Why a column cannot be had here; undefined where it can. */
export function missing({ engine }: Column): string | undefined {
  if (engine !== 'native') return engine.missing();
  return process.platform === 'linux' && process.arch === 'x64'
    ? undefined
    : 'native programs need Linux on x86-64';
}

/** Some text about each column that is not measured and why, for the table's head. */
export const NOT_MEASURED =
  'Bochs is not measured: it starts firmware and disks, and these guests are kernels started directly';
