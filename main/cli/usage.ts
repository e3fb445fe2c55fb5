/** What `guesthouse --help` says. */
import { MEMORY_MIB, MOST_VCPUS } from '../../engine/api/config.ts';
import { EXIT_STATUS } from '../../engine/base/errors.ts';
import { KEY_HELP } from './escape-keys.ts';

export const USAGE = `Usage: guesthouse run [OPTION]…     start a machine and wait for its end
       guesthouse sample DIRECTORY  make the files of a small Linux guest
       guesthouse serve [--port N] [--open]
                                    serve the interface to a browser on this computer
       guesthouse image …           work with disk images, below
       guesthouse COMMAND […]       work with the machines of the library, below
       guesthouse --help | --version

What to boot, at most one of; without any, SeaBIOS looks for something:
  --kernel FILE       a Linux kernel, or an ELF file with a PVH entry
  --firmware FILE     a firmware image, started at the reset vector
  --sample            the sample guest, which is made where it is not there yet

  --boot ORDER        what firmware tries, in order: disk,cdrom,network, and menu=on for its menu

With a kernel:
  --initrd FILE       initial RAM file system
  --append TEXT       kernel command line
  --module FILE       another boot module; may be given several times

The machine:
  --accel NAME        auto, kvm, wasm (default: auto)
  --cpu MODEL         CPU model (default: the accelerator's best)
  --memory MIB        ${MEMORY_MIB.least} to ${MEMORY_MIB.most} (default: ${MEMORY_MIB.usual})
  --vcpus N[,sockets=S][,cores=C][,threads=T]
                      1 to ${MOST_VCPUS} (default: 1), and how they are spread (default: cores of one socket)
  --disk FILE[,KEY=VALUE]…
                      a hard disk: format=raw|qcow2, bus=virtio|sata|ide, cache=writeback|writethrough, readonly,
                      serial=TEXT, werror=enospc|stop|report, rerror=report|stop
  --cdrom FILE[,…]    a CD-ROM drive; none for an empty one
  --serial WHERE      first serial port: stdio, null, file:PATH (default: stdio)
  --debugcon WHERE    debug console at ports 0xE9 and 0x402: stdio, file:PATH
  --display WHERE     the screen: none, vnc=ADDRESS[,password=FILE] (default: none)
  --tablet KIND       what the guest's pointer follows a viewer's by: usb, virtio, none (default: usb, or virtio
                      with a kernel)
  --debug-exit        let the guest end the machine through port 0xF4
  --dump-code ADDRESS show the guest's code around an address whenever it is translated, and what it becomes
  --stats             at the end, say what the machine did, on standard error

Machines of the library (MACHINE is a name, a UUID or the Id of one that runs; --json prints for scripts):
  list [--all | --inactive] [--name | --uuid]
  define FILE                   FILE as dumpconfig prints it, - for standard input
  define --name NAME OPTION…    with the options of run
  undefine MACHINE              delete it, with all in its folder
  start MACHINE [--paused] [--console]
  shutdown MACHINE              press its power button
  destroy MACHINE               cut its power
  suspend MACHINE, resume MACHINE, reset MACHINE
  console MACHINE [--history]   work on its console; Ctrl-] leaves it
  screenshot MACHINE FILE       write what is on its screen as PNG; --text prints what can be read there
  send-key MACHINE KEY…         press keys (KEY_LEFTCTRL, KEY_F1, …) together; [--holdtime MS]
  domblklist MACHINE [--details] [--inactive], domblkstat MACHINE [TARGET]
                                its disks and what they have moved
  attach-disk MACHINE FILE[,KEY=VALUE]… [TARGET] [--type cdrom]
  detach-disk MACHINE TARGET    add and take away disks, for the next start
  change-media MACHINE TARGET [--eject | --insert FILE | --update FILE] [--live] [--config] [--force]
                                take the disc out of a CD-ROM drive, or put one in
  domid MACHINE, domname MACHINE, domuuid MACHINE
  domstate MACHINE, dominfo MACHINE, vcpuinfo MACHINE, domstats [MACHINE]
  dumpconfig MACHINE, edit MACHINE, domrename MACHINE NAME, clone MACHINE NAME

Storage pools, which are folders, and the images in them (VOL is a name or a path):
  pool-list [--details], pool-define-as NAME --target FOLDER, pool-undefine NAME
  vol-list [POOL] [--details], vol-info VOL, vol-path VOL, vol-delete VOL   [--pool POOL]
  vol-create-as POOL NAME SIZE [--format F] [--backing-vol VOL [--backing-vol-format F]]
  vol-resize VOL SIZE [--delta] [--shrink] [--pool POOL]

Disk images (SIZE as 512M or 20G; --format raw or qcow2, for a new image qcow2 unless given, else guessed):
  image create FILE [SIZE] [--format F] [--backing FILE [--backing-format F]] [--cluster-size SIZE]
               [--lazy-refcounts]
  image info FILE [--json]
  image resize FILE [+]SIZE [--shrink]
  image convert FILE NEW [--format F] [--from-format F] [--snapshot NAME] [--cluster-size SIZE] [--progress]
  image check FILE [--repair] [--json]      status 2: damaged, 3: space is lost

Keys of run, while the serial port is the terminal:
${KEY_HELP.map((line) => `  ${line}`).join('\n')}

Exit status: 0 when the guest powers off or Ctrl-A X is typed, what the guest asked for through --debug-exit,
128 plus the number of the signal that ended the machine, or:
${Object.entries(EXIT_STATUS)
  .map(([code, status]) => `  ${status}  ${code}`)
  .join('\n')}
`;
