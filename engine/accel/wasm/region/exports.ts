/** What whoever runs regions has to know of the modules they come in. */

/** Numbers of a machine's regions; each has words of its own in every vCPU. */
export const REGION_IDS = 65_536;

/** Name under which a module exports region `id`: a function with a handler's signature. */
export const exportName = (id: number): string => `region${id}`;

/** The same for one on several pages, which sees first that they are still mapped as they were. */
export const checkedName = (id: number): string => `checked${id}`;
