/** What each instruction does, by the name the opcode table uses. */
import type { Env } from './env.ts';

/** What an instruction does. */
export type Semantic = (e: Env) => void;

/** All semantic functions, by the name the opcode table uses. */
export const semantics = new Map<string, Semantic>();

/** Registers what the instruction `name` does. */
export function define(name: string, semantic: Semantic): void {
  if (semantics.has(name)) throw new Error(`instruction ${name} is defined twice`);
  semantics.set(name, semantic);
}

const complexNumbers = new Map<string, number>();

/** The number by which emitted code and records name an instruction done in TypeScript. */
export function complexNumber(name: string): number {
  let number = complexNumbers.get(name);
  if (number === undefined) {
    number = complexNumbers.size;
    complexNumbers.set(name, number);
  }
  return number;
}

/** The names given numbers so far, in order. */
export const complexNames = (): string[] => [...complexNumbers.keys()];
