/** The x87 instructions done in TypeScript: importing this defines them. */
import './x87-environment.ts';
import './x87-transcendental.ts';
