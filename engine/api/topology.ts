/** CPU topology: how a machine's vCPUs are spread over sockets, cores and threads. */

/** Every socket has as many cores, and every core as many threads. */
export interface CpuTopology {
  readonly sockets: number;
  /** Of each socket. */
  readonly cores: number;
  /** Of each core. */
  readonly threads: number;
}

/**
 * Fills in what is left open, as QEMU's `-smp` does: cores first, then sockets, then threads, so that the product is
 * `vcpus`; and otherwise one. So vCPUs are the cores of one socket where nothing is said.
 *
 * What cannot come out is left as it is: see {@link topologyProblem}.
 *
 * @param vcpus 1 or more
 * @param given whole numbers, 1 or more
 */
export function cpuTopology(
  vcpus: number,
  given: { readonly [K in keyof CpuTopology]?: number | undefined } = {},
): CpuTopology {
  const share = (...others: readonly number[]): number =>
    Math.max(1, Math.floor(vcpus / others.reduce((product, each) => product * each, 1)));
  const { sockets, cores, threads } = given;
  if (cores === undefined) {
    const [s, t] = [sockets ?? 1, threads ?? 1];
    return { sockets: s, cores: share(s, t), threads: t };
  }
  if (sockets === undefined) return { sockets: share(cores, threads ?? 1), cores, threads: threads ?? 1 };
  return { sockets, cores, threads: threads ?? share(sockets, cores) };
}

/** Why a topology is not one of so many vCPUs, or null: `2 sockets of 3 cores of 1 thread are 6 vCPUs, not 4`. */
export function topologyProblem(vcpus: number, { sockets, cores, threads }: CpuTopology): string | null {
  const product = sockets * cores * threads;
  if (product === vcpus) return null;
  const some = (count: number, name: string): string => `${count} ${name}${count === 1 ? '' : 's'}`;
  const parts = [some(sockets, 'socket'), some(cores, 'core'), some(threads, 'thread')].join(' of ');
  return `${parts} ${product === 1 ? 'is' : 'are'} ${some(product, 'vCPU')}, not ${vcpus}`;
}
