/**
 * /dev/kvm itself: opening it, what it can do, and making virtual machines (api.rst, section 4, "system
 * ioctls").
 */
import { closeSync, constants, openSync } from 'node:fs';
import { GuesthouseError } from '../../base/errors.ts';
import { API_VERSION, Capability, Request } from './abi.ts';
import { RUN_BYTES } from './area.ts';
import { errorText, type Host } from './host.ts';

/** Without these there is nothing to run on; each with the Linux release that brought it. */
const REQUIRED = [
  ['UserMemory', 'guest memory from user space', '2.6.23'],
  ['SetTssAddr', 'a place for its task state segment', '2.6.24'],
  ['ExtCpuid', 'CPUID for guests', '2.6.26'],
  ['SyncMmu', 'memory that the host manages', '2.6.28'],
  ['UserNmi', 'NMI from user space', '2.6.30'],
  ['VcpuEvents', 'pending events', '2.6.33'],
  ['Debugregs', 'debug registers', '2.6.35'],
  ['Xsave', 'extended processor state', '2.6.36'],
  ['Xcrs', 'extended control registers', '2.6.36'],
  ['ReadOnlyMemory', 'read-only memory', '3.7'],
  ['ImmediateExit', 'immediate exits', '4.12'],
] as const satisfies ReadonlyArray<readonly [keyof typeof Capability, string, string]>;

/** An open /dev/kvm. */
export class KvmSystem {
  readonly #host: Host;
  readonly #path: string;
  readonly #file: number;

  /**
   * Opens the device and sees that it has what the accelerator needs.
   *
   * @param path of the device
   * @throws GuesthouseError `unsupported` or `resources`, one line that says what to do
   */
  constructor(host: () => Host, path = '/dev/kvm') {
    this.#path = path;
    this.#file = openDevice(path);
    try {
      this.#host = host();
      this.#require();
    } catch (error) {
      closeSync(this.#file);
      throw error;
    }
  }

  /** Bytes of the area that the kernel shares with each vCPU. */
  get runBytes(): number {
    return this.#host.ioctl(this.#file, Request.GetVcpuMmapSize, 0);
  }

  /** What KVM says of a capability; 0 where it lacks it. */
  has(capability: keyof typeof Capability): number {
    return Math.max(0, this.#host.ioctl(this.#file, Request.CheckExtension, Capability[capability]));
  }

  /** Fills a `kvm_cpuid2` at an address with what guests can be offered. @returns 0, or minus the error */
  supportedCpuid(address: number): number {
    return this.#host.ioctl(this.#file, Request.GetSupportedCpuid, address);
  }

  /** Makes a virtual machine without memory or vCPUs.
   * @returns its file descriptor
   * @throws GuesthouseError `resources` where the host refuses */
  createVm(): number {
    const file = this.#host.ioctl(this.#file, Request.CreateVm, 0);
    if (file >= 0) return file;
    throw new GuesthouseError('resources', `${this.#path} makes no virtual machine: ${errorText(-file)}`);
  }

  close(): void {
    closeSync(this.#file);
  }

  #require(): void {
    const version = this.#host.ioctl(this.#file, Request.GetApiVersion, 0);
    if (version < 0) {
      throw new GuesthouseError('unsupported', `${this.#path} is not KVM: ${errorText(-version)}`);
    }
    if (version !== API_VERSION) {
      throw new GuesthouseError(
        'unsupported',
        `${this.#path} has interface version ${version} instead of ${API_VERSION}`,
        'update the Linux kernel',
      );
    }
    const lacking = REQUIRED.find(([name]) => this.has(name) === 0);
    if (lacking !== undefined) {
      const [, what, release] = lacking;
      throw new GuesthouseError(
        'unsupported',
        `${this.#path} lacks ${what}`,
        `it takes Linux ${release} or later`,
      );
    }
    if (this.runBytes > RUN_BYTES || this.runBytes <= 0) {
      throw new GuesthouseError('unsupported', `${this.#path} shares ${this.runBytes} bytes with each vCPU`);
    }
  }
}

function openDevice(path: string): number {
  try {
    return openSync(path, constants.O_RDWR);
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? error.code : undefined;
    switch (code) {
      case 'ENOENT':
        throw new GuesthouseError(
          'unsupported',
          `there is no ${path}`,
          'load the module kvm_intel or kvm_amd, and enable virtualization in the firmware setup',
        );
      case 'EACCES':
      case 'EPERM':
        throw new GuesthouseError(
          'resources',
          `no permission to open ${path}`,
          'add yourself to the group that owns it, usually kvm, and log in again',
        );
      case 'ENODEV':
      case 'ENXIO':
        throw new GuesthouseError(
          'unsupported',
          `nothing answers at ${path}`,
          'load the module kvm_intel or kvm_amd',
        );
      default:
        throw new GuesthouseError(
          'resources',
          `cannot open ${path}: ${error instanceof Error ? error.message : String(error)}`,
        );
    }
  }
}
