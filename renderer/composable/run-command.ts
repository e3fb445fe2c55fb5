/** Carries out a command on machines, with the questions that come before it. */
import type { MachineSummary } from '../../main/contract/index.ts';
import { applicable, type Command } from '../store/commands.ts';
import { useConnection } from '../store/connection.ts';
import { useDialogs } from '../store/dialogs.ts';
import { useMachines } from '../store/machines.ts';
import { useSettings } from '../store/settings.ts';
import { machineAddress } from './route.ts';

/** Commands that are one request. */
type Request = 'start' | 'resume' | 'suspend' | 'shutdown' | 'reset' | 'destroy';

export interface CommandRunner {
  /** Does what a person chose. Machines that it cannot be done with are left out. */
  run(command: Command, machines: readonly MachineSummary[]): void;
  /** Sends the request, with no more questions. */
  request(command: Request, ids: readonly string[]): Promise<void>;
  /** Opens a machine's window, or comes back to it where it is open. */
  openWindow(id: string, tab?: 'details'): void;
}

/** For use in a component's setup. */
export function useCommands(): CommandRunner {
  const connection = useConnection();
  const machines = useMachines();
  const dialogs = useDialogs();
  const settings = useSettings();
  const windowSize = settings.choice('machineWindow');

  async function request(command: Request, ids: readonly string[]): Promise<void> {
    await Promise.all(
      ids.map((id) => machines.attempt(id, command, () => connection.call(`machine.${command}`, { id }))),
    );
  }

  function openWindow(id: string, tab?: 'details'): void {
    const { width, height } = windowSize.value;
    const address = machineAddress(id, tab);
    // Without an address, so that a window that is open comes to the front as it is.
    const opened = window.open('', `machine-${id}`, `popup,width=${width},height=${height}`);
    if (opened === null) {
      location.assign(address);
      return;
    }
    if (opened.location.href === 'about:blank') opened.location.assign(address);
    opened.focus();
  }

  function run(command: Command, chosen: readonly MachineSummary[]): void {
    const ids = applicable(command, chosen).map(({ id }) => id);
    const [id] = ids;
    if (id === undefined) return;
    switch (command) {
      case 'open':
        for (const each of ids) openWindow(each);
        return;
      case 'reset':
      case 'destroy':
        if (settings.settings.confirm) dialogs.open({ kind: 'confirm', command, ids });
        else void request(command, ids);
        return;
      case 'clone':
      case 'rename':
        dialogs.open({ kind: command, id });
        return;
      case 'label':
      case 'delete':
        dialogs.open({ kind: command, ids });
        return;
      case 'start':
      case 'resume':
      case 'suspend':
      case 'shutdown':
        void request(command, ids);
    }
  }

  return { run, request, openWindow };
}
