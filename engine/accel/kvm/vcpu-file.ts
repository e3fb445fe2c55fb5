/** A vCPU's file descriptor, with the structures that its ioctls read and write. */
import { scratchLayout, SCRATCH_AT } from './area.ts';
import { errorText, type Host } from './host.ts';

type Part = keyof typeof scratchLayout.offset;

export class VcpuFile {
  readonly host: Host;
  readonly view: DataView<SharedArrayBuffer>;
  /** Address of the shared memory in the process. */
  readonly base: number;
  readonly #file: number;
  readonly #area: number;

  /** @param area byte address of the vCPU's area in the shared memory */
  constructor(host: Host, file: number, buffer: SharedArrayBuffer, base: number, area: number) {
    this.host = host;
    this.view = new DataView(buffer);
    this.base = base;
    this.#file = file;
    this.#area = area;
  }

  get number(): number {
    return this.#file;
  }

  /** Where a structure lies in the shared memory. */
  at(part: Part): number {
    return this.#area + SCRATCH_AT + scratchLayout.offset[part];
  }

  /** @returns the result, or minus the error number */
  ioctl(request: number, argument: number): number {
    return this.host.ioctl(this.#file, request, argument);
  }

  /** An ioctl with one of the structures. @returns the result, or minus the error number */
  try(request: number, part: Part): number {
    return this.ioctl(request, this.base + this.at(part));
  }

  /** An ioctl that does not fail unless there is a defect here.
   * @throws Error with the request's name and the reason */
  request(name: string, request: number, part: Part): number {
    const result = this.try(request, part);
    if (result < 0) throw new Error(`${name}: ${errorText(-result)}`);
    return result;
  }
}
