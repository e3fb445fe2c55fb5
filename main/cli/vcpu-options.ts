/** `--vcpus`: from words to a machine's vCPUs and how they are spread. */
import { type MachineConfigInput, MOST_VCPUS } from '../../engine/api/config.ts';
import { type CpuTopology, cpuTopology, topologyProblem } from '../../engine/api/topology.ts';
import { usage } from './words.ts';

type Vcpus = Required<Pick<MachineConfigInput, 'vcpus'>> & Pick<MachineConfigInput, 'topology'>;

const KEYS = ['sockets', 'cores', 'threads'] as const;

/**
 * Reads `N[,sockets=S][,cores=C][,threads=T]`. As with QEMU's `-smp`, what is left out is worked out, N too.
 *
 * @throws GuesthouseError `usage`, one line about the first thing that is wrong
 */
export function parseVcpus(text: string): Vcpus {
  const words = text.split(',');
  const total = words[0].includes('=') ? undefined : count('--vcpus', words.shift() ?? '');
  const given: { -readonly [K in keyof CpuTopology]?: number } = {};
  for (const word of words) {
    const [name, value = ''] = word.split(/=(.*)/s);
    const key = KEYS.find((each) => each === name);
    if (key === undefined) throw usage(`--vcpus knows no '${name}', only ${KEYS.join(', ')}`);
    if (given[key] !== undefined) throw usage(`--vcpus gives ${key} twice`);
    given[key] = count(`--vcpus: ${key}`, value);
  }
  const { sockets = 1, cores = 1, threads = 1 } = given;
  const vcpus = total ?? sockets * cores * threads;
  if (vcpus > MOST_VCPUS) throw usage(`--vcpus must be at most ${MOST_VCPUS}, not ${vcpus}`);
  const problem = topologyProblem(vcpus, cpuTopology(vcpus, given));
  if (problem !== null) throw usage(`--vcpus: ${problem}`);
  return words.length === 0 ? { vcpus } : { vcpus, topology: given };
}

function count(name: string, text: string): number {
  const value = /^[0-9]{1,9}$/.test(text) ? Number(text) : NaN;
  if (value >= 1 && value <= MOST_VCPUS) return value;
  throw usage(`${name} must be a whole number from 1 to ${MOST_VCPUS}, not '${text}'`);
}
