/** Which view a window shows, by its address. */

export type Route = { readonly view: 'list' } | { readonly view: 'machine'; readonly id: string };

const MACHINE = /^\/machine\/([A-Za-z0-9][A-Za-z0-9_-]*)\/?$/;

/** @param path the path of the window's address */
export function routeOf(path: string): Route {
  const id = MACHINE.exec(path)?.[1];
  return id === undefined ? { view: 'list' } : { view: 'machine', id };
}

/** The address of a machine's window. `details` opens it at the details. */
export function machineAddress(id: string, tab?: 'details'): string {
  return `/machine/${id}${tab === undefined ? '' : `?tab=${tab}`}`;
}
