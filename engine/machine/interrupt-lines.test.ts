import { expect, test } from 'vitest';
import { Arena } from '../memory/layout.ts';
import { IsaInterrupts } from './isa-interrupts.ts';
import { LegacyTimerGate } from './legacy-timer-gate.ts';

const arena = () => new Arena(new SharedArrayBuffer(4096), 0, 4096);

test('an ISA interrupt goes to both controllers; IRQ 0 to input 2 of the I/O APIC (ACPI 6.5, 5.2.12.5)', () => {
  const seen: string[] = [];
  const lines = new IsaInterrupts(
    arena(),
    (irq, level) => seen.push(`pic ${irq} ${level}`),
    (pin, level) => seen.push(`ioapic ${pin} ${level}`),
  );
  lines.reset();
  const timer = lines.connect(0);
  timer(true);
  timer(true);
  timer(false);
  expect(seen).toEqual(['pic 0 true', 'ioapic 2 true', 'pic 0 false', 'ioapic 2 false']);
});

test('a shared line is asserted while any of its drivers asserts it', () => {
  const levels: boolean[] = [];
  const lines = new IsaInterrupts(
    arena(),
    (_irq, level) => levels.push(level),
    () => {},
  );
  const [a, b] = [lines.connect(11), lines.connect(11)];
  a(true);
  b(true);
  a(false);
  b(false);
  b(false);
  expect(levels).toEqual([true, false]);
});

test('while the HPET replaces them, the PIT and the RTC do not interrupt, and what they hold comes after', () => {
  const lines = { irq0: false, irq8: false };
  const gate = new LegacyTimerGate(
    arena(),
    (level) => (lines.irq0 = level),
    (level) => (lines.irq8 = level),
  );
  gate.reset();
  gate.pit(true);
  expect(lines).toEqual({ irq0: true, irq8: false });
  gate.replaced(true);
  gate.rtc(true);
  expect(lines).toEqual({ irq0: false, irq8: false });
  gate.pit(false);
  gate.replaced(false);
  expect(lines).toEqual({ irq0: false, irq8: true });
});
