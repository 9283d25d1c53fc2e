/* SPDX-License-Identifier: Apache-2.0 */
/* The options of `softsev run`: those of a VM, which are also the members of a machine file, and
 * those of the machine. */
#include "cli/run/run_table.h"

#include "cli/run/run.h"
#include "cli/run/snapshot.h"
#include "cli/settings.h"
#include "hypervisor/vm.h"
#include "image/image.h"

#define WAIT_MAX 1000000u

/* GUEST_TSC_FREQ counts MHz, and TSC_SCALE has eight bits above the point. */
#define TSC_KHZ_MIN 1000u
#define TSC_KHZ_MAX 10000000u

enum { GROUP_VM, GROUP_SEV, GROUP_MACHINE, GROUP_OUTPUT };

static const struct option_group groups[] = {
    [GROUP_VM] = {"vm", "a VM (also the members of a machine file's \"vms\")", "A guest"},
    [GROUP_SEV] = {"sev", "its encryption and its owner (also in \"vms\")",
                   "Its encryption and its owner"},
    [GROUP_MACHINE] = {"machine", "the machine", "The machine"},
    [GROUP_OUTPUT] = {"output", "what is printed and written", "What is printed and written"},
};

#define VM_IDS                                                                                     \
    RUN_KERNEL, RUN_INITRD, RUN_APPEND, RUN_FIRMWARE, RUN_FIRMWARE_VARS, RUN_KERNEL_HASHES,        \
        RUN_MEMORY, RUN_CPUS, RUN_MODE, RUN_POLICY, RUN_FEATURES, RUN_TSC_FREQUENCY,               \
        RUN_OWNER_SECRET, RUN_OWNER_SECRET_GUID, RUN_OWNER_ROOT, RUN_OWNER_DIR, RUN_DISK,          \
        RUN_CLOUD_INIT, RUN_NET, RUN_SERIAL, RUN_VIRTIO_CONSOLE, RUN_VIRTIO_RNG, RUN_DEVICE,       \
        RUN_STRICT, RUN_TAMPER, RUN_NAME

const struct option_choice run_devices[] = {
    {"none", RUN_NO_DEVICE, false}, {"pc-testdev", RUN_TESTDEV, false}, {NULL, 0, false}};
const struct option_choice run_clocks[] = {
    {"wall", RUN_CLOCK_WALL, false}, {"virtual", RUN_CLOCK_VIRTUAL, false}, {NULL, 0, false}};
const struct option_choice run_engines[] = {{"auto", CPU_ENGINE_AUTO, false},
                                            {"interpreter", CPU_ENGINE_INTERPRETER, false},
                                            {"jit", CPU_ENGINE_JIT, false},
                                            {NULL, 0, false}};

bool run_parse_time(const char *text, u64 *out)
{
    const char *end;
    return option_digits(text, out, &end) && !*end && *out <= UINT32_MAX;
}

// clang-format off
static const struct option_row rows[] = {
    [RUN_KERNEL] = {"kernel", OPTION_FILE, "FILE",
        "kernel image: bzImage, vmlinux, ELF or multiboot",
        .man = "A Linux bzImage or vmlinux, a 64-bit ELF program, a multiboot 1 image, or an ELF "
        "file with a PVH entry.\nA file with a PVH entry starts there if the guest is not "
        "encrypted or the file has 32 bits;\n"
        "an encrypted vmlinux starts by Linux's 64-bit boot protocol."},
    [RUN_INITRD] = {"initrd", OPTION_FILE, "FILE",
        "initramfs, or the module of a multiboot or PVH kernel",
        .man = "The initramfs, or the module of a multiboot or PVH kernel.",
        .needs = OPTION_IDS(RUN_KERNEL)},
    [RUN_APPEND] = {"append", OPTION_TEXT, "TEXT", "the kernel's command line",
        .man = "The kernel's command line.", .empty = true, .needs = OPTION_IDS(RUN_KERNEL)},
    [RUN_FIRMWARE] = {"firmware", OPTION_FILE, "FILE",
        "flash image, such as OVMF's, that starts the kernel",
        .man = "A flash image that ends at 4 GiB, such as OVMF's, in which the guest begins.\nIt "
        "asks for kernel, initramfs and command line by fw_cfg and starts them; without a kernel "
        "it looks for a disk.\nOVMF starts a bzImage or an EFI program, such as a unified kernel "
        "image, and no ELF file.\nThe host launches, and the firmware measures, the image; under\n"
        ".Cm sev-es\nand\n.Cm sev-snp\n"
        "also the processors' registers as QEMU sets them, and under\n.Cm sev-snp\n"
        "also what the image's metadata lists.\n.Ic softsev owner measure --firmware\nwith\n"
        ".Fl -cpu Cm milan\n(or the model that the machine has) computes the digest.\n"
        "The kernel is measured only with\n.Fl -kernel-hashes .\n"
        "Firmware of a DEBUG build writes its log to port 0x402;\n.Fl -trace Cm device\nshows it."},
    [RUN_FIRMWARE_VARS] = {"firmware-vars", OPTION_FILE, "FILE",
        "flash of firmware's variables: a copy of OVMF_VARS.fd",
        .man = "The flash below\n.Fl -firmware ,\nin which it keeps its variables, such as boot "
        "entries: a copy of the OVMF_VARS.fd that belongs to an OVMF_CODE.fd.\nThe guest changes "
        "it, and the file is replaced as a whole about a second after a change and at the end.\n"
        "Two runs at once each need a copy of their own: it is not locked.\n"
        "It is neither launched nor measured: the host can read and change it.\nUnder\n"
        ".Cm sev-snp\nthere is none, as on QEMU.",
        .output = true, .needs = OPTION_IDS(RUN_FIRMWARE),
        .excludes = OPTION_IDS(RUN_TSC_FREQUENCY, RUN_STRICT)},
    [RUN_KERNEL_HASHES] = {"kernel-hashes", OPTION_FLAG, NULL,
        "measure the kernel's hash; firmware starts no other",
        .man = "With\n.Fl -firmware\nthat has a place for them\n.Pq Debian's ovmf-amdsev :\n"
        "launch the hashes of kernel, initramfs and command line, too.\n"
        "They are measured, and the firmware starts nothing else.",
        .needs = OPTION_IDS(RUN_FIRMWARE, RUN_KERNEL), .group = GROUP_SEV},
    [RUN_MEMORY] = {"memory", OPTION_SIZE, "SIZE",
        "guest memory: MiB, or with K, M or G (default 512M)",
        .man = "Guest memory: a number of MiB, or with a suffix K, M or G, in steps of 2M.\n"
        "Default 512M.\nThe least is 2M, which is enough for a small program that is linked at "
        "1 MiB.\nA Linux kernel says in its header how much it needs to start, and an error says "
        "so if there is less; Debian's cloud kernels need up to 74M.",
        .min = MIB(2), .max = GIB(512), .step = MIB(2)},
    [RUN_CPUS] = {"cpus", OPTION_NUMBER, "NUMBER", "virtual processors, 1 to 8 (default 1)",
        .man = "Virtual processors, 1 to 8.\nThey take turns on one core of the machine.\n"
        "Default 1.",
        .min = 1, .max = VM_CPUS_MAX},
    [RUN_MODE] = {"mode", OPTION_CHOICE, "MODE",
        "protection: none, sev, sev-es, sev-snp (default none)",
        .man = "How the guest is protected from its host.\n.Cm sev\n"
        "encrypts its memory under a key of its own,\n.Cm sev-es\nalso its registers, and\n"
        ".Cm sev-snp\nalso stops the host from writing its pages.\nDefault\n.Cm none .",
        .choices = settings_modes, .standard = IMAGE_NONE, .group = GROUP_SEV},
    [RUN_POLICY] = {"policy", OPTION_NUMBER, "NUMBER",
        "guest policy (default: sev 1, sev-es 5, sev-snp 0x30000)",
        .man = "The guest policy, which the secure processor enforces and the owner verifies.\n"
        "Default under\n.Cm sev\n1 (no debugging), under\n.Cm sev-es\n"
        "5 (no debugging, SEV-ES required), under\n.Cm sev-snp\n0x30000 (SMT allowed).",
        .max = UINT64_MAX, .group = GROUP_SEV},
    [RUN_FEATURES] = {"guest-features", OPTION_PARSED, "NAMES",
        "SEV_FEATURES, such as secure-tsc (default none)",
        .man = "SEV_FEATURES of the guest, which are measured with its registers: names and "
        "numbers, separated by commas.\nNames are\n.Cm secure-tsc , debug-swap , vtom , "
        "vmgexit-parameter , vmsa-reg-prot , smt-protection ,\n"
        ".Cm ibpb-on-entry , prevent-host-ibs\nand\n.Cm btb-isolation ;\nunder\n.Cm sev-snp\n"
        "the SNP bit is added unless the value is one number.\nUnder\n.Cm sev-es\n"
        "only debug-swap, prevent-host-ibs and vmgexit-parameter exist.\nA kernel may refuse "
        "features that it does not know: Linux knows debug-swap from 6.7 and secure-tsc from 6.14 "
        "on.\nDefault none.",
        .parse = settings_guest_features, .should = SETTINGS_FEATURES,
        .words = SETTINGS_FEATURE_WORDS, .group = GROUP_SEV},
    [RUN_TSC_FREQUENCY] = {"tsc-frequency", OPTION_NUMBER, "KHZ",
        "frequency of a secure TSC, in kHz (default 1000000)",
        .man = "With the feature\n.Cm secure-tsc :\nthe frequency of the guest's TSC in kHz.\n"
        "The host asks for it in LAUNCH_START; it is not measured.\nDefault 1000000.",
        .min = TSC_KHZ_MIN, .max = TSC_KHZ_MAX, .needs = OPTION_IDS(RUN_FEATURES),
        .excludes = OPTION_IDS(RUN_OWNER_SECRET_GUID), .group = GROUP_SEV},
    [RUN_OWNER_SECRET] = {"owner-secret", OPTION_FILE, "FILE",
        "secret that a verified guest gets as /secret/secret",
        .man = "A secret that the owner seals for the guest after verifying it.\n"
        "The guest finds it as the file\n.Pa /secret/secret\nof its initramfs.\nWith\n"
        ".Fl -firmware\nthat publishes a place for a secret\n.Pq Debian's ovmf-amdsev\n"
        "it is an entry of OVMF's table of secrets instead; see\n.Fl -secret-guid .\nUnder\n"
        ".Cm sev-snp\nthe launch carries no secret: softsev-agent, a static program in the "
        "initramfs, asks for it.\nThe agent makes a key and sends it, with a report that binds "
        "it, over the virtio console\n.Pq Pa /dev/hvc0 ;\n"
        "nothing else can use that console then.\nThe owner seals the secret to that key only if "
        "the guest's report verifies, and the agent writes the file.\n"
        "If no agent asks, the run ends with status 9; if the owner refuses, with status 4.",
        .group = GROUP_SEV},
    [RUN_OWNER_SECRET_GUID] = {"secret-guid", OPTION_TEXT, "GUID",
        "with --firmware: the secret's entry in OVMF's table of secrets (default: a disk's "
        "passphrase)",
        .man = "With\n.Fl -firmware :\n"
        "the entry of OVMF's table of secrets that holds the owner's secret.\nDefault\n"
        ".Cm " SETTINGS_GUID_PASSPHRASE ",\n"
        "where a GRUB inside such firmware looks for the passphrase of an encrypted disk.\n"
        "Linux with\n.Dv CONFIG_EFI_SECRET\nshows each entry as a file in\n"
        ".Pa /sys/kernel/security/secrets/coco .",
        .needs = OPTION_IDS(RUN_OWNER_SECRET, RUN_FIRMWARE),
        .excludes = OPTION_IDS(RUN_OWNER_DIR, RUN_STRICT), .group = GROUP_SEV},
    [RUN_OWNER_ROOT] = {"owner-root", OPTION_FILE, "FILE",
        "root certificates that the owner trusts (default: this platform's manufacturer)",
        .man = "The root certificates (ASK and ARK; under\n.Cm sev-snp\n"
        "as X.509) that the owner trusts.\nDefault: the manufacturer of this platform.",
        .group = GROUP_SEV},
    [RUN_OWNER_DIR] = {"owner-dir", OPTION_FOLDER, "DIR",
        "the owner is on another computer: exchange files with it through DIR",
        .man = "Instead of\n.Fl -owner-secret\nand\n.Fl -owner-root :\n"
        "the owner is on another computer, and files are exchanged through this directory.\n"
        "softsev writes\n.Pa chain\n(the platform's certificates),\n.Pa platform.json\n"
        "(API version, build, policy) and, after the launch,\n.Pa measurement.b64 .\nIt reads\n"
        ".Pa godh.b64\nand\n.Pa session.b64\n(they may be there beforehand), then\n"
        ".Pa secret-header.b64\nand\n.Pa secret-payload.b64 ,\nas\n.Xr softsev-owner 1\n"
        "writes them.\nUnder\n.Cm sev-snp\nthe agent in the guest begins: softsev reads\n"
        ".Pa hello.b64\n(it may be there beforehand), writes\n.Pa evidence.b64 ,\nand reads\n"
        ".Pa answer.b64 ;\nit removes the files that it has read.\n"
        "The guest runs meanwhile; its agent waits 15 minutes for an answer.\n"
        "A file must be complete when it appears: write it under another name, then rename it.",
        .excludes = OPTION_IDS(RUN_OWNER_SECRET, RUN_OWNER_ROOT), .group = GROUP_SEV},
    [RUN_DISK] = {"disk", OPTION_FILE, "FILE",
        "raw image or nbd:unix:PATH; also FILE,readonly|snapshot",
        .man = "A raw disk image, attached as a virtio disk.\nUp to 8 may be given; a Linux guest "
        "calls them\n.Pa /dev/vda , /dev/vdb\nand so on.\nThe guest writes into the file, unless a "
        "word follows it, after a comma:\nit cannot write to a\n.Cm readonly\ndisk, and what it writes to a\n"
        ".Cm snapshot\nis dropped at the end of the run.\nUntil then a snapshot's changes are in a "
        "file without a name in\n.Ev TMPDIR\nor\n.Pa /var/tmp ,\nwhich takes as much room as the "
        "guest has written.\nA comma in the file's name is written twice.\nDisks are locked as QEMU "
        "does it: several programs may read one, but nobody may use a disk that another program "
        "writes.\n.Cm nbd:unix: Ns Ar PATH\nis what an NBD server has at a Unix socket, such as an image "
        "in another format that\n.Ic qemu-nbd -k Ar PATH Ar IMAGE\nserves; locks are the server's "
        "business.\nIn a machine file the member is a text or an array of texts.", .list = true},
    [RUN_CLOUD_INIT] = {"cloud-init", OPTION_FOLDER, "DIR",
        "add cloud-init's seed disk, made of the files in DIR",
        .man = "Add a disk from which cloud-init in the guest takes its configuration: a read-only "
        "file system with the label CIDATA and the files\n.Pa user-data , meta-data\nand, if they "
        "are there,\n.Pa network-config\nand\n.Pa vendor-data\nof this folder, of at most 1M each."
        "\nIt is made in memory when the run begins, and is the last of the guest's disks.\n"
        "The host makes it and nobody measures it, so an encrypted guest should not let it decide "
        "what is secret."},
    [RUN_NET] = {"net", OPTION_TEXT, "NETWORK",
        "user[,publish=[ADDR:]HOST:GUEST[/udp]]... (default off)",
        .man = "The guest's network.\n.Cm user\nis a virtio network card and, behind it, a network in "
        "user mode, as QEMU has it: the guest gets the address 10.0.2.15 by DHCP, reaches this "
        "computer (what listens on its loopback, too) as 10.0.2.2, a name server as 10.0.2.3, and "
        "all that this computer reaches by TCP and UDP over IPv4.\nNothing outside reaches the "
        "guest, except the ports that\n.Cm publish\nnames, up to 32 of them: connections to port\n"
        ".Ar HOST\ngo to the guest's port\n.Ar GUEST ,\nwith\n.Cm /udp\ndatagrams do.\nOnly this "
        "computer can connect, unless an\n.Ar ADDRESS\nto listen on is given: 0.0.0.0 is every "
        "one.\nIt needs libslirp.\nDefault\n.Cm off ."},
    [RUN_SERIAL] = {"serial", OPTION_FILE, "PLACE",
        "serial port: stdio, FILE, unix:PATH (default stdio)",
        .man = "Where the guest's serial port leads.\n.Cm stdio ,\nthe default, is the terminal "
        "of this program.\nA\n.Ar FILE\ngets what the guest writes, byte for byte.\n"
        ".Cm unix: Ns Ar PATH\nis a socket, for its owner alone, to which one client at a time may "
        "connect; it gets the last 64 KiB that nobody has read, and what it sends is the guest's "
        "input.\nA guest does not wait for a client that reads too slowly: the oldest of what is "
        "unread is lost then.\nThe keyboard does not reach a guest whose serial port is elsewhere; "
        "its virtio console stays on the terminal.", .output = true},
    [RUN_VIRTIO_CONSOLE] = {"virtio-console", OPTION_FLAG, NULL,
        "add a second console, /dev/hvc0 in a Linux guest",
        .man = "Add a second console,\n.Pa /dev/hvc0\nin a Linux guest."},
    [RUN_VIRTIO_RNG] = {"virtio-rng", OPTION_FLAG, NULL,
        "add an entropy source, /dev/hwrng in a Linux guest",
        .man = "Add an entropy source,\n.Pa /dev/hwrng\nin a Linux guest.\nIts bytes are the "
        "host's, which an encrypted guest does not trust; with\n.Fl -seed\nthey come from the "
        "seed."},
    [RUN_DEVICE] = {"device", OPTION_CHOICE, "DEVICE",
        "extra device: pc-testdev, QEMU's for tests of hypervisors (default none)",
        .man = "An extra device.\nDefault\n.Cm none .\n.Cm pc-testdev\n"
        "is QEMU's device for programs that test a hypervisor, such as kvm-unit-tests:\nports "
        "that keep what is written, a port for each interrupt line, and memory behind a device.\n"
        "The debug-exit port 0xf4 is always there.",
        .choices = run_devices, .standard = RUN_NO_DEVICE},
    [RUN_STRICT] = {"strict", OPTION_FLAG, NULL,
        "enforce rules of the GHCB that KVM with QEMU does not",
        .man = "Refuse requests of an SNP guest that the GHCB specification forbids and KVM with "
        "QEMU lets pass: page state changes with reserved bits, with operations that do not "
        "exist, or outside of the guest's memory, and GHCBs that are not in a shared page.\n"
        "Without this option the trace still names them.", .group = GROUP_SEV},
    [RUN_TAMPER] = {"tamper", OPTION_FLAG, NULL, "play an evil host: flip one bit of the kernel",
        .man = "Play an evil host: launch the kernel with one bit wrong, and watch the owner "
        "refuse.\nWith\n.Fl -firmware\nthe kernel is not launched: hand it out with one bit "
        "wrong, and watch what the firmware does.", .needs = OPTION_IDS(RUN_KERNEL),
        .group = GROUP_SEV},
    [RUN_NAME] = {"name", OPTION_TEXT, "NAME", "the VM's name in output (default vm1)",
        .man = "The guest's name in output.\nDefault vm1, vm2 and so on."},

    [RUN_MACHINE] = {"machine", OPTION_FILE, "FILE",
        "JSON of several VMs: {\"vms\": [{\"kernel\": ...}, ...]}",
        .man = "Run several guests, which a JSON file describes: an object with the member\n"
        ".Dq vms ,\nan array of objects whose members are the options above.\n"
        "Paths in it are relative to the working directory, like those of the command line, and "
        "not to the file.\n"
        "A machine runs up to 4096 guests.\nEncrypted guests are fewer: up to 99 with\n.Cm sev-es\n"
        "or\n.Cm sev-snp ,\nfor which the processor has ASIDs, and up to 256 with\n.Cm sev ,\n"
        "for which the firmware has contexts.\nA guest that sleeps costs no processor time.",
        .group = GROUP_MACHINE, .excludes = OPTION_IDS(VM_IDS)},
    [RUN_CPU] = {"cpu", OPTION_TEXT, "MODEL",
        "CPU model, such as milan or genoa,-umip (default: the platform's part)",
        .man = "The processor of the machine:\n.Cm naples , rome , milan , genoa , turin ,\n"
        "a name that QEMU has for one, such as\n.Cm EPYC-Milan ,\nor\n.Cm max ,\n"
        "which shows all features that these cores implement.\n"
        "Features follow, separated by commas:\n.Cm - No hides one and\n"
        ".Cm + No shows one, as in\n.Cm milan,-umip .\nThe cores report that they need no "
        "workarounds for weaknesses of a part, so that guests start sooner;\n.Cm -exempt\n"
        "takes this away.\n.Ic softsev profiles --cpu\nlists the features.\n"
        "With an encrypted guest the model must be the part that the platform is.\n"
        "Default: that part.",
        .group = GROUP_MACHINE},
    [RUN_STATE] = {"state", OPTION_FOLDER, "DIR", "folder of the platform's identity and keys",
        .man = "The folder of the platform's identity and keys; see\n.Xr softsev 1 .\n"
        "A guest without encryption needs neither.",
        .group = GROUP_MACHINE},
    [RUN_SEED] = {"seed", OPTION_TEXT, "TEXT",
        "take all randomness from TEXT: a run repeats exactly",
        .man = "Take all randomness from this text: two runs with equal files, seed and\n"
        ".Fl -time\nare equal to the byte.\nWithout\n.Fl -state\nthe platform is made from it, "
        "too, and not kept.\nThe manufacturer of all such platforms is one, whose keys are no secret:\n"
        "they are kept in\n.Pa softsev/seeded\nof\n.Ev XDG_CACHE_HOME\nor\n.Pa ~/.cache ,\n"
        "or made anew where that cannot be written.",
        .group = GROUP_MACHINE},
    [RUN_TIME] = {"time", OPTION_PARSED, "SECONDS",
        "time of day at the start, since 1970 (default: now)",
        .man = "The time of day at the start, in seconds since 1970.\nAt most 4294967295, in the "
        "year 2106: the clock that guests ask their hypervisor for ends there.\nDefault: now.",
        .parse = run_parse_time, .should = RUN_TIME_SHOULD,
        .group = GROUP_MACHINE},
    [RUN_TRACE] = {"trace", OPTION_PARSED, "WORDS",
        "print events: all, or a list as command,switch,key",
        .man = "Print events of these categories, separated by commas:\n.Cm all ,\nor\n"
        ".Cm command , switch , key , view , page , vm , owner , device .",
        .parse = settings_trace, .should = SETTINGS_TRACE, .words = SETTINGS_TRACE_WORDS,
        .group = GROUP_OUTPUT},
    [RUN_TRACE_FILE] = {"trace-file", OPTION_FILE, "FILE",
        "write events to FILE instead of standard error",
        .man = "Write events to this file instead of standard error.",
        .output = true, .needs = OPTION_IDS(RUN_TRACE), .group = GROUP_OUTPUT},
    [RUN_TRACE_HASH] = {"trace-hash", OPTION_FLAG, NULL,
        "print the SHA-256 of all events at the end",
        .man = "Print the SHA-256 of all events at the end.", .group = GROUP_OUTPUT,
        .excludes = OPTION_IDS(RUN_QUIET)},
    [RUN_RECORD] = {"record", OPTION_FILE, "FILE", "write input, and when it came, to FILE",
        .man = "Write console input and the frames of a guest's network, and the machine time at which they came, to this file.\n"
        "Console input from a pipe or a file comes all at once, before the guest is there to read it, and "
        "is lost as far as the guest's serial line has no room for it.\nTo give such input later, "
        "write a recording with the times by hand, and use\n.Fl -replay .",
        .output = true, .group = GROUP_OUTPUT},
    [RUN_REPLAY] = {"replay", OPTION_FILE, "FILE",
        "give the input of a --record file again",
        .man = "Give console input and frames from a file that\n.Fl -record\nwrote, at the same times.\n"
        "The keyboard is not read, no network is opened, and what a guest sends is dropped.\nA recording that is cut short is refused.\n"
        "With the same seed the run is the same.", .group = GROUP_MACHINE},
    [RUN_DUMP] = {"dump", OPTION_FILE, "FILE",
        "at the end, write DRAM as a probe on the bus reads it",
        .man = "At the end, write all of DRAM as a probe on the bus reads it, encrypted pages as "
        "ciphertext: a sparse file, or every byte into a pipe or device.",
        .output = true, .group = GROUP_OUTPUT},
    [RUN_MAP] = {"map", OPTION_FILE, "FILE", "at the end, write who holds each frame of memory",
        .man = "When the guests have ended, write a map of memory: under whose key each frame is "
        "held, and what the RMP says of it.\nWith\n.Fl -json\nit is one JSON object.\n"
        ".Ic softsev map\nprints the same out of a trace, also as it was at an earlier time.",
        .output = true, .group = GROUP_OUTPUT},
    [RUN_JSON] = {"json", OPTION_FLAG, NULL,
        "print steps, events, consoles, summary as JSON lines",
        .man = "Print steps, events, consoles and summary as JSON lines.", .group = GROUP_OUTPUT},
    [RUN_QUIET] = {"quiet", OPTION_FLAG, NULL, "print only the guests' consoles",
        .man = "Print only the guests' consoles.",
        .group = GROUP_OUTPUT, .excludes = OPTION_IDS(RUN_JSON)},
    [RUN_OWNER_WAIT] = {"owner-wait", OPTION_NUMBER, "SECONDS",
        "longest wait for a step of --owner-dir (default 300)",
        .man = "How long to wait for each step of an owner on another computer.\n"
        "The owner counts as having refused after that.\nDefault 300.",
        .max = WAIT_MAX, .group = GROUP_MACHINE, .needs_one = OPTION_IDS(RUN_OWNER_DIR,
        RUN_MACHINE),
        .excludes = OPTION_IDS(RUN_OWNER_SECRET, RUN_OWNER_SECRET_GUID, RUN_OWNER_ROOT)},
    [RUN_LIMIT] = {"limit", OPTION_NUMBER, "SECONDS",
        "stop after this much machine time, 1 to 1000000",
        .man = "Stop after this much machine time, 1 to 1000000 seconds.",
        .min = 1, .max = WAIT_MAX, .group = GROUP_MACHINE},
    [RUN_CLOCK] = {"clock", OPTION_CHOICE, "WORD",
        "wall: machine time passes as real time; virtual: idle time is skipped (default: virtual "
        "with --seed, --record or --replay, otherwise wall)",
        .man = "How machine time passes.\n.Cm wall :\nas real time.\nThe program sleeps while all "
        "guests idle; a guest that cannot keep up finds that time has passed.\n.Cm virtual :\n"
        "by instructions and fixed costs alone.\nTime in which all guests idle is skipped, unless "
        "somebody talks to a guest on a terminal.\nDefault: virtual with\n.Fl -seed ,\n"
        ".Fl -record\nor\n.Fl -replay ,\notherwise wall.\n"
        "With one of these\n.Cm wall\nis refused: no two runs by the wall are equal.",
        .choices = run_clocks, .standard = RUN_CLOCK_WALL, .group = GROUP_MACHINE},
    [RUN_ENGINE] = {"engine", OPTION_CHOICE, "WORD",
        "how the core runs: interpreter, jit, auto (default)",
        .man = "How the core runs the guests' instructions.\n.Cm jit\n"
        "translates code that runs often into instructions of the host,\n.Cm interpreter\n"
        "translates nothing.\n.Cm auto\n"
        "is jit, or the interpreter where the host is no x86-64 or allows no executable memory.\n"
        "Both run every instruction the same: a run with a seed has the same trace.\nDefault\n"
        ".Cm auto .",
        .choices = run_engines, .standard = CPU_ENGINE_AUTO, .group = GROUP_MACHINE},
    [RUN_NO_REBOOT] = {"no-reboot", OPTION_FLAG, NULL,
        "end when a guest reboots; do not start it again",
        .man = "End when a guest reboots.\nWithout this option a guest that is not encrypted "
        "starts again in place, from the files as they were read.\n"
        "An encrypted guest always ends, because its owner takes part in each launch.",
        .group = GROUP_MACHINE},
    [RUN_GDB] = {"gdb", OPTION_TEXT, "ADDRESS",
        "let GDB debug the first guest: :PORT or unix:PATH",
        .man = "Let GDB debug the first guest, in every mode.\n.Ar ADDRESS\nis\n"
        ".Cm \\&: Ns Ar PORT\non the loopback,\n.Ar HOST Ns Cm \\&: Ns Ar PORT\nor\n"
        ".Cm unix: Ns Ar PATH ;\nport 0 is any free one, and the run says which.\n"
        "There is no password: whoever connects has the guest's registers and memory, in "
        "plaintext, whatever its policy says.\nA stop takes no machine time and changes nothing "
        "that the guest or its host can see.\nGDB's\n.Ic monitor help\n"
        "lists what softsev shows beside.", .group = GROUP_MACHINE},
    [RUN_GDB_WAIT] = {"gdb-wait", OPTION_FLAG, NULL, "wait for GDB before the first instruction",
        .man = "Wait for GDB, and stop before the guest's first instruction.",
        .needs = OPTION_IDS(RUN_GDB), .group = GROUP_MACHINE},
    [RUN_VIEW] = {"view", OPTION_TEXT, "ADDRESS:PORT",
        "show this run as a picture in a browser: 127.0.0.1:PORT",
        .man = "Serve a page that shows this run as it goes: memory by key and RMP state, down to "
        "one page in plaintext and ciphertext, keys, guests, firmware, the owner's decisions and "
        "all events.\n.Ar ADDRESS\nis one of the loopback, such as\n.Cm 127.0.0.1:8080 ;\n"
        "port 0 is any free one.\nThe run prints the page's address, whose last part is a token: "
        "whoever has it sees guests' memory in plaintext.\nThe page changes nothing, so that a run "
        "with a seed has the same trace with it.\n.Ic softsev view\nshows a recorded trace.",
        .group = GROUP_OUTPUT, .excludes = OPTION_IDS(RUN_QUIET)},
    [RUN_VIEW_KEEP] = {"view-keep", OPTION_FLAG, NULL,
        "keep the page when the guests have ended, until a signal",
        .man = "When the guests have ended, keep machine and page until a signal comes.",
        .needs = OPTION_IDS(RUN_VIEW), .group = GROUP_OUTPUT,
        .excludes = OPTION_IDS(RUN_QUIET)},
    [RUN_GDB_REVERSE] = {"gdb-reverse", OPTION_FLAG, NULL,
        "let GDB go back in time, in a run with --seed",
        .man = "Let GDB go back in time, to where it connected:\n.Ic reverse-stepi ,\n"
        ".Ic reverse-continue\nand the like.\nThe run must be the same each time, so it needs\n"
        ".Fl -seed ,\nthe keyboard is not read, and disks must be readonly.\n"
        "It is interpreted, and copies of the process keep earlier states.\n"
        "After GDB changes memory or registers, what was before cannot be reached.",
        .needs = OPTION_IDS(RUN_GDB, RUN_SEED),
        .excludes = OPTION_IDS(RUN_TRACE_FILE, RUN_RECORD, RUN_REPLAY, RUN_DUMP, RUN_VIEW,
                                RUN_VIEW_KEEP, RUN_CONTROL, RUN_DAEMONIZE, RUN_PID_FILE),
        .group = GROUP_MACHINE},
    [RUN_CONTROL] = {"control", OPTION_TEXT, "unix:PATH",
        "a socket by which programs control this run",
        .man = "Make a socket, for its owner alone, over which other programs control this run:\n"
        ".Xr softsev-control 1\nis one of them and says what is spoken there.\n"
        "Requests are answered between two slices of machine time, and not while GDB holds the "
        "guest.\nA guest's buttons are input: with\n.Fl -record\nthey are recorded, with\n"
        ".Fl -replay ,\nand with\n.Fl -seed\nalone, they are refused.",
        .group = GROUP_MACHINE},
    [RUN_DAEMONIZE] = {"daemonize", OPTION_FLAG, NULL,
        "go on in the background after the launch",
        .man = "Go into the background as soon as all guests are launched: the command then "
        "returns with status 0, and what runs has neither a terminal nor its standard input.\n"
        "Standard output and error are kept if they are regular files, and lead to\n.Pa /dev/null\n"
        "otherwise.\nAn error before that is printed and returned as without this option.\n"
        "A signal ends the run in order, and so does\n.Ic softsev control quit .",
        .excludes = OPTION_IDS(RUN_GDB_WAIT), .group = GROUP_MACHINE},
    [RUN_PID_FILE] = {"pid-file", OPTION_FILE, "FILE",
        "keep the number of the process in FILE",
        .man = "When the guests are launched, write the number of the process that runs them to "
        "this file, which is locked meanwhile and removed at the end.\nA file that another run has "
        "locked is refused, and so is one that holds anything but a number.",
        .output = true, .group = GROUP_MACHINE},
    [RUN_INCOMING] = {"incoming", OPTION_TEXT, "unix:PATH",
        "wait there for a guest that another run sends",
        .man = "Do not launch the guest: make a socket, and wait there until another run sends it "
        "with\n.Xr softsev-migrate 1 .\nAll other options should be those with which the guest was "
        "launched; what the owner does at a launch is left out.\n"
        "A disk that the guest writes is opened when the source has closed it.",
        .needs = OPTION_IDS(RUN_STATE),
        .excludes = OPTION_IDS(RUN_MACHINE, RUN_SEED, RUN_RECORD, RUN_REPLAY, RUN_GDB_REVERSE,
                               RUN_TAMPER, RUN_OWNER_SECRET, RUN_OWNER_SECRET_GUID, RUN_OWNER_ROOT,
                               RUN_OWNER_DIR, RUN_OWNER_WAIT, RUN_TSC_FREQUENCY, RUN_STRICT),
        .group = GROUP_SEV},
    [RUN_SNAPSHOT] = {"snapshot", OPTION_FILE, "FILE",
        "where a snapshot of the whole machine goes",
        .man = "Where a snapshot of the whole machine goes, from which\n.Ic softsev resume\n"
        "goes on, in another process and later.\nIt is taken at\n.Fl -snapshot-at ,\n"
        "when Ctrl-A s is typed, or by\n.Ic softsev control snapshot ;\n"
        "the run goes on, and each snapshot replaces the one before as a whole.\n"
        "Memory is in the file as a probe on the bus reads it: encrypted pages are ciphertext.\n"
        "Keys and the secure processor's state are sealed for this platform: the machine can only "
        "be resumed with the same\n.Fl -state\nand\n.Fl -seed ,\nwhich are not in it.\n"
        "What is not encrypted is in it as it is, so the file is for its owner alone.\n"
        "The hash of\n.Fl -trace-hash\nbegins anew with a snapshot: it then equals that of the "
        "run that is resumed.\nDisks are not in it. The changes of a disk with\n.Cm ,snapshot\n"
        "are not either, so such a disk is refused.",
        .output = true, .group = GROUP_OUTPUT,
        .excludes = OPTION_IDS(RUN_RECORD, RUN_REPLAY, RUN_GDB_REVERSE)},
    [RUN_SNAPSHOT_AT] = {"snapshot-at", OPTION_PARSED, "SECONDS",
        "take the snapshot at this machine time, such as 2.5",
        .man = "Take the snapshot when machine time has come to this many seconds, such as 2.5.",
        .parse = run_parse_machine_time, .should = RUN_MACHINE_TIME_SHOULD,
        .needs = OPTION_IDS(RUN_SNAPSHOT), .group = GROUP_OUTPUT,
        .excludes = OPTION_IDS(RUN_RECORD, RUN_REPLAY, RUN_GDB_REVERSE)},
};

#define ENCRYPTED (BIT(IMAGE_SEV) | BIT(IMAGE_SEV_ES) | BIT(IMAGE_SEV_SNP))

static const struct option_rule rules[] = {
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_OWNER_SECRET, RUN_OWNER_ROOT,
        RUN_OWNER_DIR),
     .others = OPTION_IDS(RUN_MODE), .values = ENCRYPTED,
     .why = "only an encrypted guest has an owner who can trust it"},
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_TAMPER), .others = OPTION_IDS(RUN_MODE),
     .values = ENCRYPTED, .why = "nobody measures another guest, and nobody would notice"},
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_POLICY), .others = OPTION_IDS(RUN_MODE),
     .values = ENCRYPTED, .why = "only an encrypted guest has a policy"},
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_INCOMING), .others = OPTION_IDS(RUN_MODE),
     .values = BIT(IMAGE_SEV) | BIT(IMAGE_SEV_ES),
     .why = "a plain guest is not moved, and an SNP guest would need a migration agent"},
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_FEATURES), .others = OPTION_IDS(RUN_MODE),
     .values = BIT(IMAGE_SEV_ES) | BIT(IMAGE_SEV_SNP),
     .why = "only the VMSA of such a guest holds SEV_FEATURES"},
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_TSC_FREQUENCY),
     .others = OPTION_IDS(RUN_MODE), .values = BIT(IMAGE_SEV_SNP),
     .why = "only an SNP guest has a secure TSC"},
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_FIRMWARE_VARS),
     .others = OPTION_IDS(RUN_MODE),
     .values = BIT(IMAGE_NONE) | BIT(IMAGE_SEV) | BIT(IMAGE_SEV_ES),
     .why = "all flash of an SNP guest is its own memory, which is launched with it"},
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_STRICT), .others = OPTION_IDS(RUN_MODE),
     .values = BIT(IMAGE_SEV_SNP), .why = "only an SNP guest asks for page states"},
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_OWNER_SECRET_GUID),
     .others = OPTION_IDS(RUN_MODE), .values = BIT(IMAGE_SEV) | BIT(IMAGE_SEV_ES),
     .why = "the launch of an SNP guest carries no secret: an agent in the guest asks for it"},
    {.relation = OPTION_ONLY, .subjects = OPTION_IDS(RUN_SEED, RUN_RECORD, RUN_REPLAY),
     .with = OPTION_IDS(RUN_CLOCK), .others = OPTION_IDS(RUN_CLOCK),
     .values = BIT(RUN_CLOCK_VIRTUAL),
     .why = "by the wall no two runs are equal, and none can be repeated"},
    {.relation = OPTION_NEEDS_ONE, .without = OPTION_IDS(RUN_MACHINE),
     .others = OPTION_IDS(RUN_KERNEL, RUN_FIRMWARE), .why = NULL},
};
// clang-format on

const struct option_table cli_run_vm_table = {
    .command = "a VM",
    .members = true,
    .rows = rows,
    .count = RUN_VM_IDS,
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
};

const struct option_table cli_run_table = {
    .command = "run",
    .title = "boot guests on a machine with SEV",
    .usage = "softsev run --kernel FILE [OPTIONS]\n"
             "softsev run --machine FILE [OPTIONS]",
    .about = "Boots guests on a machine with SEV. Ctrl-A x: quit, n: next guest, s: snapshot.",
    .groups = groups,
    .group_count = ARRAY_SIZE(groups),
    .rows = rows,
    .count = RUN_IDS,
    .common = OPTION_IDS(RUN_KERNEL, RUN_INITRD, RUN_APPEND, RUN_FIRMWARE, RUN_MEMORY, RUN_CPUS,
                         RUN_MODE, RUN_OWNER_SECRET, RUN_DISK, RUN_MACHINE, RUN_STATE, RUN_TRACE),
    .rules = rules,
    .rule_count = ARRAY_SIZE(rules),
};
