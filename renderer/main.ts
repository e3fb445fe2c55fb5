/** The renderer's entry. */
import { config } from 'zod';

// The content security policy allows no code made of text, and zod need not try. Schemas ask when they are made,
// so everything that has some comes after this; the page loads it meanwhile (vite.config.ts).
config({ jitless: true });
await import('./app/start.ts');
