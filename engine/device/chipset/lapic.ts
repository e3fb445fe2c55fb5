/**
 * The local APICs of all vCPUs: xAPIC registers in memory, x2APIC registers as MSRs, interprocessor
 * interrupts, local interrupts and the timer (Intel SDM 3A, chapter 11).
 *
 * They are one device, since what one does is mostly done to another. IA32_APIC_BASE lies in the vCPU's
 * state, since its address translation has to know of a register page that lies over memory.
 *
 * What a vCPU gets to see of all this is its event word: `VcpuEvent.Interrupt` is a level, recomputed
 * after every change, that tells whether a maskable interrupt would be accepted; NMI, SMI, INIT and
 * start-up are raised there once each.
 */
import type { InterruptSource } from '../../accel/contract.ts';
import { VcpuEvent, type VcpuState } from '../../vcpu/state.ts';
import type { AccessSize, Device, LocalMmioDevice } from '../device.ts';
import { DeliveryMode, type InterruptMessage, messageFromMsi } from './apic-message.ts';
import {
  apicBaseAcceptable,
  ICR_WRITABLE,
  readRegister,
  Reg,
  x2apicReadable,
  x2apicWritable,
} from './lapic-registers.ts';
import { isAddressed, messageFromIcr, Shorthand, x2apicLogicalId } from './lapic-routing.ts';
import type { LocalApicDeps } from './lapic-deps.ts';
import {
  APIC_DEFAULT_BASE,
  ApicBase,
  arbitrationPriority,
  clearVector,
  Esr,
  hasVector,
  highestVector,
  isLevelTriggered,
  type LapicState,
  Lvt,
  LVT_COUNT,
  LVT_WRITABLE,
  LvtBit,
  processorPriority,
  resetRegisters,
  setVector,
  Svr,
} from './lapic-state.ts';
import {
  timerCurrentCount,
  timerDeadline,
  timerExpire,
  TimerMode,
  timerMode,
  timerSetDivide,
  timerSetEntry,
  timerSetInitialCount,
} from './lapic-timer.ts';

export { APIC_DEFAULT_BASE, lapicLayout, type LapicState, Lvt } from './lapic-state.ts';
export { APIC_BUS_HZ } from './lapic-timer.ts';

/** At most this many vCPUs; below the 255 that 8-bit APIC ids can tell apart. */
export const MAX_VCPUS = 64;

export const MSR_APIC_BASE = 0x1b;
export const MSR_TSC_DEADLINE = 0x6e0;
const MSR_X2APIC = 0x800;

/** Vectors below are exceptions; no APIC sends or accepts them. */
const FIRST_VECTOR = 16;

export class LocalApics implements Device, LocalMmioDevice, InterruptSource {
  readonly name = 'lapic';
  readonly #apics: readonly LapicState[];
  readonly #vcpus: readonly VcpuState[];
  readonly #deps: LocalApicDeps;

  /**
   * @param apics one per vCPU, bound to `lapicLayout`
   * @param vcpus the vCPUs' states, in the same order
   */
  constructor(apics: readonly LapicState[], vcpus: readonly VcpuState[], deps: LocalApicDeps) {
    if (apics.length !== vcpus.length || apics.length > MAX_VCPUS) {
      throw new RangeError(`${apics.length} local APICs for ${vcpus.length} vCPUs; at most ${MAX_VCPUS}`);
    }
    this.#apics = apics;
    this.#vcpus = vcpus;
    this.#deps = deps;
  }

  /** Power-on state of all: xAPIC mode, software-disabled, vCPU 0 the bootstrap processor. */
  reset(): void {
    for (const [vcpu, apic] of this.#apics.entries()) {
      resetRegisters(apic);
      apic.id = this.#deps.initialId(vcpu);
      apic.lint = 0;
      const bootstrap = vcpu === 0 ? ApicBase.Bootstrap : 0n;
      this.#vcpus[vcpu]!.apicBase = BigInt(APIC_DEFAULT_BASE) | ApicBase.Enable | bootstrap;
      this.#update(vcpu);
    }
  }

  /** What INIT does to the vCPU's APIC when it is taken: as power-up, but the mode and the id are kept
   * (SDM 3A, 11.4.7.3 and 11.12.5). */
  initReset(vcpu: number): void {
    const apic = this.#apics[vcpu]!;
    resetRegisters(apic);
    if (this.#isX2apic(vcpu)) apic.ldr = x2apicLogicalId(apic.id);
    this.#update(vcpu);
  }

  // ---- Interrupts in ----

  /** The PIC's INTR output, which is wired to LINT0 of every local APIC. */
  setIntr(level: boolean): void {
    for (let vcpu = 0; vcpu < this.#apics.length; vcpu++) this.#setLint(vcpu, 0, level);
  }

  /** The board's NMI signal, which is wired to LINT1 of every local APIC. */
  setNmi(level: boolean): void {
    for (let vcpu = 0; vcpu < this.#apics.length; vcpu++) this.#setLint(vcpu, 1, level);
  }

  /** A local interrupt of the processor itself: `Lvt.Thermal` or `Lvt.Performance`. */
  raiseLocal(vcpu: number, source: typeof Lvt.Thermal | typeof Lvt.Performance): void {
    if (this.#isEnabled(vcpu)) this.#fire(vcpu, source);
  }

  /**
   * Delivers a message of an I/O APIC or another device.
   *
   * @returns true where at least one local APIC has accepted it
   */
  deliver(message: InterruptMessage): boolean {
    return this.#send(message, -1, false);
  }

  /** Whether one of those that a message is for has such an interrupt still to be taken. */
  isRequested(message: InterruptMessage): boolean {
    const { mode, vector } = message;
    return this.#apics.some((apic, vcpu) => {
      if (!this.#isEnabled(vcpu) || !isAddressed(apic, this.#isX2apic(vcpu), message)) return false;
      return mode <= DeliveryMode.LowestPriority
        ? hasVector(apic.irr, vector)
        : mode === DeliveryMode.ExtInt && apic.extInt !== 0;
    });
  }

  /** Whether there is a vCPU that the PIC's INTR gets through to. */
  get takeIntr(): boolean {
    return this.#apics.some((_, vcpu) => this.#takesIntr(vcpu));
  }

  /**
   * Delivers a message-signalled interrupt.
   *
   * @param address the address written, 0xfee00000 … 0xfeefffff
   * @param data the 32-bit value written
   */
  deliverMsi(address: number, data: number): void {
    const message = messageFromMsi(address, data);
    if (message !== null) this.deliver(message);
  }

  // ---- InterruptSource ----

  pending(vcpu: number): boolean {
    return this.#extIntPending(vcpu) || this.#acceptable(vcpu) >= 0;
  }

  acknowledge(vcpu: number): number {
    const apic = this.#apics[vcpu]!;
    let vector: number;
    if (this.#extIntPending(vcpu)) {
      apic.extInt = 0;
      vector = this.#deps.acknowledgePic();
    } else {
      vector = this.#acceptable(vcpu);
      if (vector < 0) return -1;
      clearVector(apic.irr, vector);
      setVector(apic.isr, vector);
    }
    this.#update(vcpu);
    this.#deps.interruptTaken();
    return vector;
  }

  getTaskPriority(vcpu: number): number {
    return this.#apics[vcpu]!.tpr >>> 4;
  }

  setTaskPriority(vcpu: number, priority: number): void {
    this.#apics[vcpu]!.tpr = (priority & 0xf) << 4;
    this.#update(vcpu);
  }

  readMsr(vcpu: number, msr: number): bigint | null {
    if (msr === MSR_APIC_BASE) return this.#vcpus[vcpu]!.apicBase;
    if (msr === MSR_TSC_DEADLINE) return this.readTscDeadline(vcpu);
    const register = msr - MSR_X2APIC;
    if (register < 0 || register > 0xff || !this.#isX2apic(vcpu)) return null;
    if (register === Reg.IcrLow) {
      const { icrHigh, icrLow } = this.#apics[vcpu]!;
      return (BigInt(icrHigh) << 32n) | BigInt(icrLow);
    }
    const value = x2apicReadable(register) ? this.#read(vcpu, register) : -1;
    return value < 0 ? null : BigInt(value);
  }

  writeMsr(vcpu: number, msr: number, value: bigint): boolean {
    if (msr === MSR_APIC_BASE) return this.#writeApicBase(vcpu, value);
    if (msr === MSR_TSC_DEADLINE) {
      this.writeTscDeadline(vcpu, value);
      return true;
    }
    const register = msr - MSR_X2APIC;
    if (register < 0 || register > 0xff || !this.#isX2apic(vcpu)) return false;
    const low = Number(value & 0xffff_ffffn);
    if (register === Reg.IcrLow) {
      if ((low & ~ICR_WRITABLE) !== 0) return false;
      this.#apics[vcpu]!.icrHigh = Number(value >> 32n);
      this.#writeIcr(vcpu, low);
      return true;
    }
    const writable = x2apicWritable(register);
    if (writable < 0 || value >> 32n !== 0n || (low & ~writable) !== 0) return false;
    if (register === Reg.SelfIpi) this.#sendSelf(vcpu, low);
    else this.#write(vcpu, register, low);
    return true;
  }

  // ---- Registers in memory ----

  /** Where IA32_APIC_BASE puts the registers of a vCPU; nowhere while the APIC is disabled or in x2APIC mode (SDM 3A,
   * 11.4.3 and 11.4.5). */
  placeOf(vcpu: number): number {
    return this.#isXapic(vcpu) ? Number(this.#vcpus[vcpu]!.apicBase & ~0xfffn) : -1;
  }

  /** Registers are 32 bits wide, 16 bytes apart; the bytes between them read as zero. Where the APIC is
   * disabled or in x2APIC mode the page has no registers. */
  mmioRead(offset: number, size: AccessSize, vcpu: number): number {
    const ones = size === 4 ? 0xffff_ffff : size === 2 ? 0xffff : 0xff;
    if (!this.#isXapic(vcpu)) return ones;
    if ((offset & 0xc) !== 0) return 0;
    const value = this.#read(vcpu, offset >>> 4);
    if (value < 0) {
      this.#error(vcpu, Esr.IllegalRegister);
      return 0;
    }
    const shifted = value >>> (8 * (offset & 3));
    return size === 4 ? shifted : shifted & ones;
  }

  mmioWrite(offset: number, size: AccessSize, value: number, vcpu: number): void {
    if (size !== 4 || (offset & 0xf) !== 0 || !this.#isXapic(vcpu)) return;
    const register = offset >>> 4;
    if (register === Reg.SelfIpi || !this.#write(vcpu, register, value)) {
      this.#error(vcpu, Esr.IllegalRegister);
    }
  }

  // ---- Timer ----

  /** When the vCPU's timer interrupts next, in guest nanoseconds; Infinity if it does not. */
  deadline(vcpu: number): number {
    return timerDeadline(this.#apics[vcpu]!);
  }

  /** Raises the vCPU's timer interrupt if it is due at `now` (guest nanoseconds). */
  service(vcpu: number, now: number): void {
    if (timerExpire(this.#apics[vcpu]!, now)) this.#fire(vcpu, Lvt.Timer);
  }

  /** IA32_TSC_DEADLINE; 0 outside of TSC-deadline mode (SDM 3A, 11.5.4.1). */
  readTscDeadline(vcpu: number): bigint {
    this.service(vcpu, this.#deps.clock.now());
    return this.#apics[vcpu]!.tscDeadline;
  }

  /** Arms the timer for a TSC value, or disarms it with 0; ignored outside of TSC-deadline mode. */
  writeTscDeadline(vcpu: number, tsc: bigint): void {
    const apic = this.#apics[vcpu]!;
    if (timerMode(apic) !== TimerMode.TscDeadline) return;
    apic.tscDeadline = tsc;
    this.tscChanged(vcpu);
  }

  /** To be called after the vCPU's TSC has been set or moved: an armed deadline is placed in time anew. */
  tscChanged(vcpu: number): void {
    const apic = this.#apics[vcpu]!;
    if (apic.tscDeadline === 0n) return;
    if (this.#deps.readTsc(vcpu) >= apic.tscDeadline) {
      apic.tscDeadline = 0n;
      this.#fire(vcpu, Lvt.Timer);
    } else {
      apic.tscDeadlineAt = this.#deps.tscToNs(vcpu, apic.tscDeadline);
    }
  }

  // ---- Mode ----

  #isEnabled(vcpu: number): boolean {
    return (this.#vcpus[vcpu]!.apicBase & ApicBase.Enable) !== 0n;
  }

  #isX2apic(vcpu: number): boolean {
    return (this.#vcpus[vcpu]!.apicBase & ApicBase.X2apic) !== 0n;
  }

  #isXapic(vcpu: number): boolean {
    return (this.#vcpus[vcpu]!.apicBase & (ApicBase.Enable | ApicBase.X2apic)) === ApicBase.Enable;
  }

  #writeApicBase(vcpu: number, value: bigint): boolean {
    const state = this.#vcpus[vcpu]!;
    const apic = this.#apics[vcpu]!;
    const before = state.apicBase;
    if (!apicBaseAcceptable(before, value, this.#deps.physicalAddressBits)) return false;
    state.apicBase = value;
    if ((before & ~value & ApicBase.Enable) !== 0n) {
      resetRegisters(apic);
      apic.id = this.#deps.initialId(vcpu);
    } else if ((value & ~before & ApicBase.X2apic) !== 0n) {
      apic.id = this.#deps.initialId(vcpu);
      apic.ldr = x2apicLogicalId(apic.id);
      apic.icrHigh = 0;
    }
    this.#update(vcpu);
    return true;
  }

  // ---- Registers ----

  /** Reads a register of either mode; -1 where there is none. */
  #read(vcpu: number, register: number): number {
    const apic = this.#apics[vcpu]!;
    if (register === Reg.Id) return this.#isX2apic(vcpu) ? apic.id : (apic.id << 24) >>> 0;
    if (register !== Reg.CurrentCount) return readRegister(apic, register);
    const now = this.#deps.clock.now();
    this.service(vcpu, now);
    return timerCurrentCount(apic, now);
  }

  /** Writes a register of either mode; false where there is none to write. */
  #write(vcpu: number, register: number, value: number): boolean {
    const apic = this.#apics[vcpu]!;
    switch (register) {
      case Reg.Id:
        apic.id = value >>> 24;
        return true;
      case Reg.Tpr:
        apic.tpr = value & 0xff;
        this.#update(vcpu);
        return true;
      case Reg.Eoi:
        this.#endOfInterrupt(vcpu);
        return true;
      case Reg.Ldr:
        apic.ldr = value & 0xff00_0000;
        return true;
      case Reg.Dfr:
        apic.dfr = value | 0x0fff_ffff;
        return true;
      case Reg.Svr:
        this.#writeSvr(vcpu, value);
        return true;
      case Reg.Esr:
        apic.esr = apic.esrPending;
        apic.esrPending = 0;
        return true;
      case Reg.IcrLow:
        this.#writeIcr(vcpu, value & ICR_WRITABLE);
        return true;
      case Reg.IcrHigh:
        apic.icrHigh = value & 0xff00_0000;
        return true;
      case Reg.InitialCount: {
        const now = this.#deps.clock.now();
        this.service(vcpu, now);
        timerSetInitialCount(apic, now, value);
        return true;
      }
      case Reg.Divide: {
        const now = this.#deps.clock.now();
        this.service(vcpu, now);
        timerSetDivide(apic, now, value);
        return true;
      }
      default:
        if (register < Reg.Lvt || register >= Reg.Lvt + LVT_COUNT) return false;
        this.#writeLvt(vcpu, register - Reg.Lvt, value);
        return true;
    }
  }

  #writeSvr(vcpu: number, value: number): void {
    const apic = this.#apics[vcpu]!;
    apic.svr = value & Svr.Writable;
    // Disabling by software masks every local interrupt, and keeps it so (SDM 3A, 11.4.7.2).
    if ((value & Svr.Enable) === 0) {
      for (let index = 0; index < LVT_COUNT; index++) this.#writeLvt(vcpu, index, apic.lvt[index]!);
    }
    this.#update(vcpu);
  }

  #writeLvt(vcpu: number, index: number, value: number): void {
    const apic = this.#apics[vcpu]!;
    let entry = value & LVT_WRITABLE[index]!;
    if ((apic.svr & Svr.Enable) === 0) entry |= LvtBit.Mask;
    if (index === Lvt.Timer) {
      this.service(vcpu, this.#deps.clock.now());
      timerSetEntry(apic, entry);
      return;
    }
    if ((entry & LvtBit.Level) !== 0) entry |= apic.lvt[index]! & LvtBit.RemoteIrr;
    apic.lvt[index] = entry;
    if (index === Lvt.Lint0) this.#serviceLevelLint0(vcpu);
    this.#update(vcpu);
  }

  // ---- Interprocessor interrupts ----

  #writeIcr(vcpu: number, low: number): void {
    const apic = this.#apics[vcpu]!;
    apic.icrLow = low;
    const vector = low & 0xff;
    const mode = (low >>> 8) & 7;
    const shorthand = low >>> 18;
    // INIT level de-assert once set arbitration ids, and does nothing now (SDM 3A, 11.6.1).
    if (mode === DeliveryMode.Init && (low & 0xc000) === 0x8000) return;
    if (mode === DeliveryMode.ExtInt) return;
    if (mode <= DeliveryMode.LowestPriority && vector < FIRST_VECTOR) {
      this.#error(vcpu, Esr.SendIllegalVector);
      return;
    }
    // Only a fixed interrupt can be sent to oneself by shorthand (SDM 3A, table 11-3).
    const includesSelf = shorthand === Shorthand.Self || shorthand === Shorthand.All;
    if (includesSelf && mode !== DeliveryMode.Fixed) return;
    if (shorthand === Shorthand.Self) this.#sendSelf(vcpu, vector);
    else this.#send(messageFromIcr(apic, this.#isX2apic(vcpu)), vcpu, shorthand === Shorthand.AllButSelf);
  }

  #sendSelf(vcpu: number, vector: number): void {
    if (vector < FIRST_VECTOR) this.#error(vcpu, Esr.SendIllegalVector);
    else this.#accept(vcpu, DeliveryMode.Fixed, vector, false);
  }

  /** Takes a message to those it is for. @param source index of the sending vCPU, or -1 */
  #send(message: InterruptMessage, source: number, exceptSource: boolean): boolean {
    const { mode, vector, level } = message;
    const lowest = mode === DeliveryMode.LowestPriority;
    let receiver = -1;
    let priority = Infinity;
    let accepted = false;
    for (let vcpu = 0; vcpu < this.#apics.length; vcpu++) {
      if ((exceptSource && vcpu === source) || !this.#isEnabled(vcpu)) continue;
      if (!isAddressed(this.#apics[vcpu]!, this.#isX2apic(vcpu), message)) continue;
      if (!lowest) {
        accepted = this.#accept(vcpu, mode, vector, level) || accepted;
        continue;
      }
      const apic = this.#apics[vcpu]!;
      if ((apic.svr & Svr.Enable) === 0) continue;
      const its = arbitrationPriority(apic);
      if (its < priority) {
        priority = its;
        receiver = vcpu;
      }
    }
    return receiver >= 0 ? this.#accept(receiver, DeliveryMode.Fixed, vector, level) : accepted;
  }

  // ---- Acceptance ----

  /** Takes in an interrupt; false where it is refused. */
  #accept(vcpu: number, mode: number, vector: number, level: boolean): boolean {
    const apic = this.#apics[vcpu]!;
    switch (mode) {
      case DeliveryMode.Fixed:
      case DeliveryMode.LowestPriority:
        if ((apic.svr & Svr.Enable) === 0) return false;
        if (vector < FIRST_VECTOR) {
          this.#error(vcpu, Esr.ReceiveIllegalVector);
          return false;
        }
        setVector(apic.irr, vector);
        if (level) setVector(apic.tmr, vector);
        else clearVector(apic.tmr, vector);
        this.#update(vcpu);
        return true;
      case DeliveryMode.Smi:
        this.#deps.signals.raise(vcpu, VcpuEvent.Smi);
        return true;
      case DeliveryMode.Nmi:
        this.#deps.signals.raise(vcpu, VcpuEvent.Nmi);
        return true;
      case DeliveryMode.Init:
        this.#deps.signals.raise(vcpu, VcpuEvent.Init);
        return true;
      case DeliveryMode.StartUp:
        this.#vcpus[vcpu]!.sipiVector = vector;
        this.#deps.signals.raise(vcpu, VcpuEvent.Sipi);
        return true;
      case DeliveryMode.ExtInt:
        apic.extInt = 1;
        this.#update(vcpu);
        return true;
      default:
        return false;
    }
  }

  /** The vector of the highest request that the processor priority lets through, or -1. */
  #acceptable(vcpu: number): number {
    if (!this.#isEnabled(vcpu)) return -1;
    const apic = this.#apics[vcpu]!;
    const vector = highestVector(apic.irr);
    return vector >= 0 && vector >>> 4 > processorPriority(apic) >>> 4 ? vector : -1;
  }

  /** Whether the PIC's request reaches this vCPU: by LINT0 or a message in ExtINT mode or, where the APIC is
   * disabled, by the INTR pin of the bootstrap processor. Processor priority does not hold it back. */
  #extIntPending(vcpu: number): boolean {
    const apic = this.#apics[vcpu]!;
    return (this.#isEnabled(vcpu) && apic.extInt !== 0) || ((apic.lint & 1) !== 0 && this.#takesIntr(vcpu));
  }

  #takesIntr(vcpu: number): boolean {
    if (!this.#isEnabled(vcpu)) return vcpu === 0;
    const entry = this.#apics[vcpu]!.lvt[Lvt.Lint0]!;
    return (entry & LvtBit.Mask) === 0 && ((entry >>> 8) & 7) === DeliveryMode.ExtInt;
  }

  #endOfInterrupt(vcpu: number): void {
    const apic = this.#apics[vcpu]!;
    const vector = highestVector(apic.isr);
    if (vector < 0) return;
    clearVector(apic.isr, vector);
    if (hasVector(apic.tmr, vector)) {
      const lint0 = apic.lvt[Lvt.Lint0]!;
      if ((lint0 & LvtBit.RemoteIrr) !== 0 && (lint0 & 0xff) === vector) {
        apic.lvt[Lvt.Lint0] = lint0 & ~LvtBit.RemoteIrr;
        this.#serviceLevelLint0(vcpu);
      }
      if ((apic.svr & Svr.SuppressEoiBroadcast) === 0) this.#deps.endOfInterrupt(vector);
    }
    this.#update(vcpu);
  }

  // ---- Local interrupts ----

  #setLint(vcpu: number, pin: 0 | 1, level: boolean): void {
    const apic = this.#apics[vcpu]!;
    const bit = 1 << pin;
    if (((apic.lint & bit) !== 0) === level) return;
    apic.lint = (apic.lint ^ bit) >>> 0;
    if (level && !this.#isEnabled(vcpu)) {
      // Without an APIC, LINT1 is the processor's NMI pin.
      if (pin === 1 && vcpu === 0) this.#deps.signals.raise(vcpu, VcpuEvent.Nmi);
    } else if (level && pin === 0 && isLevelTriggered(apic.lvt[Lvt.Lint0]!)) {
      this.#serviceLevelLint0(vcpu);
    } else if (level && ((apic.lvt[Lvt.Lint0 + pin]! >>> 8) & 7) !== DeliveryMode.ExtInt) {
      this.#fire(vcpu, Lvt.Lint0 + pin);
    }
    this.#update(vcpu);
  }

  /** LINT0 as a level-triggered fixed interrupt: requested again after each EOI while it is asserted. */
  #serviceLevelLint0(vcpu: number): void {
    const apic = this.#apics[vcpu]!;
    const entry = apic.lvt[Lvt.Lint0]!;
    if (!isLevelTriggered(entry) || (entry & (LvtBit.Mask | LvtBit.RemoteIrr)) !== 0) return;
    if ((apic.lint & 1) === 0) return;
    if (this.#accept(vcpu, DeliveryMode.Fixed, entry & 0xff, true)) {
      apic.lvt[Lvt.Lint0] = entry | LvtBit.RemoteIrr;
    }
  }

  /** Raises the interrupt of an LVT entry, unless it is masked. The timer's and the error entry have no
   * delivery mode and so are fixed. */
  #fire(vcpu: number, index: number): void {
    const entry = this.#apics[vcpu]!.lvt[index]!;
    if ((entry & LvtBit.Mask) === 0) this.#accept(vcpu, (entry >>> 8) & 7, entry & 0xff, false);
  }

  /** Notes an error; the first of its kind since the ESR was last written raises the error interrupt. */
  #error(vcpu: number, bit: number): void {
    const apic = this.#apics[vcpu]!;
    if ((apic.esrPending & bit) !== 0) return;
    apic.esrPending |= bit;
    this.#fire(vcpu, Lvt.Error);
  }

  #update(vcpu: number): void {
    const level = this.pending(vcpu);
    if (((this.#vcpus[vcpu]!.events & VcpuEvent.Interrupt) !== 0) === level) return;
    if (level) this.#deps.signals.raise(vcpu, VcpuEvent.Interrupt);
    else this.#deps.signals.lower(vcpu, VcpuEvent.Interrupt);
  }
}
