/**
 * Where each vCPU sits, and the APIC id that says so.
 *
 * An APIC id is three fields, from the high bits down: socket, core, thread, each as wide as its numbers need
 * (Intel SDM 3A, 10.9.1 "Hierarchical Mapping of Shared Resources"; AMD64 APM 3, appendix E.4.7). So ids have gaps where
 * cores or threads are no power of two.
 */
import { type CpuTopology, cpuTopology } from '../api/topology.ts';

/** Bits that hold `count` different values. */
const bitsFor = (count: number): number => (count <= 1 ? 0 : 32 - Math.clz32(count - 1));

export class Topology implements CpuTopology {
  readonly sockets: number;
  readonly cores: number;
  readonly threads: number;
  /** vCPUs of a socket, and of the machine. */
  readonly perSocket: number;
  readonly vcpus: number;
  /** How far an APIC id is to be shifted right for the number of the core, and of the socket. */
  readonly coreShift: number;
  readonly socketShift: number;

  constructor({ sockets, cores, threads }: CpuTopology) {
    this.sockets = sockets;
    this.cores = cores;
    this.threads = threads;
    this.perSocket = cores * threads;
    this.vcpus = sockets * cores * threads;
    this.coreShift = bitsFor(threads);
    this.socketShift = this.coreShift + bitsFor(cores);
  }

  /** One socket with so many cores. */
  static ofCores(vcpus: number): Topology {
    return new Topology(cpuTopology(vcpus));
  }

  /** Which socket a vCPU is on, which core of that, which thread of that; vCPUs are counted thread by thread.
   * @param vcpu its index in the machine */
  place(vcpu: number): { readonly socket: number; readonly core: number; readonly thread: number } {
    return {
      socket: Math.floor(vcpu / this.perSocket),
      core: Math.floor(vcpu / this.threads) % this.cores,
      thread: vcpu % this.threads,
    };
  }

  /** A vCPU's initial APIC id; 8 bits do for as many vCPUs as a machine can have.
   * @param vcpu its index in the machine */
  apicId(vcpu: number): number {
    const { socket, core, thread } = this.place(vcpu);
    return (socket << this.socketShift) | (core << this.coreShift) | thread;
  }

  /** One more than the highest APIC id. */
  get apicIdLimit(): number {
    return this.apicId(this.vcpus - 1) + 1;
  }
}
