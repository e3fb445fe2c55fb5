import { test } from 'vitest';
import { acceleratorOf } from '../machine/accelerator.ts';
import { acceleratorConformance } from './conformance.ts';

acceleratorConformance('wasm');

const found = acceleratorOf('kvm').probe();
if (found.ok) acceleratorConformance('kvm');
else test.skip(`accelerator kvm cannot run here: ${found.reason}`, () => {});
