/** The host that the machines run on. */
import { defineStore } from 'pinia';
import { shallowRef } from 'vue';
import type { HostInfo } from '../../main/contract/index.ts';
import { useConnection } from './connection.ts';

export const useHost = defineStore('host', () => {
  const connection = useConnection();
  const info = shallowRef<HostInfo>();

  /** Asks again: free memory changes. */
  async function refresh(): Promise<void> {
    info.value = await connection.call('host.info', {});
  }
  connection.whenOpen(() => {
    refresh().catch((error: unknown) => console.warn('the host is not known:', error));
  });
  return { info, refresh };
});
