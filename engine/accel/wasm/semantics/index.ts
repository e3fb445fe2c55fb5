/** Every instruction's meaning: importing this fills the registry in env.ts. */
import './bits.ts';
import './flow.ts';
import './integer.ts';
import './shift.ts';
import './sse.ts';
import './string.ts';
import './x87.ts';
