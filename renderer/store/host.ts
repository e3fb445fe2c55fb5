/** The host that the machines run on, and what can run them. */
import { defineStore } from 'pinia';
import { computed, shallowRef, watch } from 'vue';
import {
  type Capabilities,
  type HostInfo,
  MEMORY_MIB,
  type MethodName,
  MOST_VCPUS,
} from '../../main/contract/index.ts';
import { useConnection } from './connection.ts';
import { useMachines } from './machines.ts';

/** Milliseconds after the list has come. */
const AFTER_LIST = 500;

export const useHost = defineStore('host', () => {
  const connection = useConnection();
  const machines = useMachines();
  const info = shallowRef<HostInfo>();
  /** Known a while later: an engine is asked. */
  const capabilities = shallowRef<Capabilities>();

  /** What a new machine gets where nothing is said. Memory in MiB. */
  const defaults = computed(() => ({
    memory: info.value?.machineMemory.usual ?? MEMORY_MIB.usual,
    vcpus: capabilities.value?.machineVcpus.usual ?? 1,
  }));
  /** The most that a machine can have. */
  const limits = computed(() => ({
    memory: info.value?.machineMemory.most ?? MEMORY_MIB.most,
    vcpus: capabilities.value?.machineVcpus.most ?? MOST_VCPUS,
  }));

  async function ask(method: Extract<MethodName, 'host.info' | 'host.capabilities'>): Promise<void> {
    try {
      if (method === 'host.info') info.value = await connection.call(method, {});
      else capabilities.value = await connection.call(method, {});
    } catch (error) {
      console.warn('the host is not known:', error);
    }
  }

  /** Asks again: free memory and permissions change. */
  async function refresh(): Promise<void> {
    await Promise.all([ask('host.info'), ask('host.capabilities')]);
  }
  connection.whenOpen(() => void ask('host.info'));
  // An engine that is started to be asked takes a processor for a second: not from the first list.
  watch(
    () => machines.loaded,
    (loaded) => {
      if (loaded) setTimeout(() => void ask('host.capabilities'), AFTER_LIST);
    },
    { immediate: true },
  );
  return { info, capabilities, defaults, limits, refresh };
});
